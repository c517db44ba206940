/* What the tests of compressed messages share: a worker's streams, and zlib itself as the peer,
 * whose window is no larger than what was agreed on. */
#ifndef CAROM_TEST_UNIT_WEBSOCKET_SUPPORT_H
#define CAROM_TEST_UNIT_WEBSOCKET_SUPPORT_H

#include "unit/base/support.h"

#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "websocket/deflate.h"
#include "websocket/isal.h"

static struct carom_ws_deflaters deflaters;
/* Each test runs with 1, at which ISA-L compresses where that is there, and with 2: by zlib. */
static uint8_t level = CAROM_WS_LEVEL;

static inline bool is_isal(void)
{
    return level == 1 && carom_ws_isal_size() > 0;
}

static const struct carom_ws_deflate_agreed alone = {
    .used = true,
    .client_no_takeover = true,
    .server_no_takeover = true,
    .client_bits = 15,
    .server_bits = 15,
};
static const struct carom_ws_deflate_agreed kept = {
    .used = true, .client_bits = 12, .server_bits = 12};

static inline int begin(void **state)
{
    (void)state;
    carom_ws_deflaters_init(&deflaters, 0, level, CAROM_WS_MEMORY);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    carom_ws_deflaters_finish(&deflaters);
    return carom_memory_held() == 0 ? 0 : -1;
}

/* A copy with nothing behind it goes in. */
static inline int inflate_copy(struct carom_ws_deflate *deflate, const void *bytes, size_t length,
                               bool last, uint64_t limit, carom_slice *to)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    int error = carom_ws_inflate(deflate, &deflaters, copy, length, last, limit, to);
    free(copy);
    return error;
}

static inline void assert_text(carom_slice got, const char *text)
{
    assert_int_equal(got.length, strlen(text));
    assert_memory_equal(got.data, text, got.length);
}

/* ---------------------------------------------------------------- the peer */

static uint8_t peer_bytes[400000];

/* Compress as a peer does; returns the length in peer_bytes. */
static inline size_t peer_compress(z_stream *stream, const void *data, size_t length)
{
    stream->next_in = (z_const Bytef *)data;
    stream->avail_in = (uInt)length;
    stream->next_out = peer_bytes;
    stream->avail_out = sizeof peer_bytes;
    assert_int_equal(deflate(stream, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(stream->avail_in, 0);
    size_t size = sizeof peer_bytes - stream->avail_out;
    assert_memory_equal(peer_bytes + size - 4, "\0\0\xff\xff", 4);
    return size - 4;
}

/* Inflate as a peer does, a few bytes at a time, so that nothing but its window is looked back to.
 */
static inline size_t peer_inflate(z_stream *stream, carom_slice message)
{
    size_t size = 0;
    for (int part = 0; part < 2; part++) {
        stream->next_in =
            part == 0 ? (z_const Bytef *)message.data : (z_const Bytef *)"\0\0\xff\xff";
        stream->avail_in = part == 0 ? (uInt)message.length : 4;
        do {
            stream->next_out = peer_bytes + size;
            stream->avail_out = 50;
            int result = inflate(stream, Z_SYNC_FLUSH);
            assert_true(result == Z_OK || result == Z_BUF_ERROR);
            size += 50 - stream->avail_out;
            assert_true(size + 50 < sizeof peer_bytes);
        } while (stream->avail_out == 0 || stream->avail_in > 0);
    }
    return size;
}

/* Text that repeats itself from near and far. */
static inline void write_text(uint64_t *seed, uint8_t *to, size_t length)
{
    size_t i = 0;
    while (i < length) {
        size_t run = 1 + random_below(seed, 40), back = 1 + random_below(seed, i + 1);
        if (run > length - i)
            run = length - i;
        if (i > 0 && back <= i && random_below(seed, 3) > 0)
            for (size_t k = 0; k < run; k++, i++)
                to[i] = to[i - back];
        else
            for (size_t k = 0; k < run; k++, i++)
                to[i] = (uint8_t)random_below(seed, 256);
    }
}

static const char plain[] = "a text that says a text that says a text that says the same again";

#endif
