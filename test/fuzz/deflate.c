/* Fuzzes compressed messages: bytes that a peer could send are inflated in pieces, and must give
 * what zlib gives for all of them at once; and the same bytes as a text are compressed, and must
 * come back.
 *
 * Input: how (1 byte: bits of the window, takeover, level), cuts (1), limit (2), messages: a length
 * (1) and its bytes. */
#include "fuzz/support.h"

#include <zlib.h>

#include "base/memory.h"
#include "websocket/deflate.h"

#define MAX_OUT 70000

static struct carom_ws_deflaters deflaters;

/* What comes of a message by zlib alone: its length, or -1 for what is no message. `more`: over the
 * limit. */
static long inflate_at_once(z_stream *stream, const uint8_t *data, size_t length, uint8_t *out,
                            size_t limit, bool *more)
{
    static const uint8_t tail[] = {0, 0, 0xff, 0xff};
    bool ended = length == 0;
    *more = false;
    stream->next_out = out;
    stream->avail_out = (uInt)limit + 1;
    for (int part = 0; part < 2 && !(part == 1 && ended); part++) {
        stream->next_in = part == 0 ? (z_const Bytef *)data : (z_const Bytef *)tail;
        stream->avail_in = part == 0 ? (uInt)length : sizeof tail;
        while (stream->avail_in > 0) {
            int result = inflate(stream, Z_SYNC_FLUSH);
            ended = result == Z_STREAM_END || (stream->data_type & 191) == 128;
            if (stream->avail_out == 0) {
                *more = true;
                return (long)limit + 1;
            }
            if (result == Z_STREAM_END)
                (void)inflateResetKeep(stream);
            else if (result != Z_OK && result != Z_BUF_ERROR)
                return -1;
        }
        if (part == 1 && !ended)
            return -1;
    }
    return (long)(limit + 1 - stream->avail_out);
}

/* Returns whether the conversation goes on. */
static bool compare_inflated(struct carom_ws_deflate *socket, z_stream *reference,
                             const uint8_t *data, size_t length, size_t limit, struct cuts *cuts)
{
    static uint8_t expected[MAX_OUT], got[MAX_OUT];
    bool more;
    long size = inflate_at_once(reference, data, length, expected, limit, &more);
    size_t at = 0, have = 0;
    int error;
    do {
        size_t piece = next_piece(cuts);
        carom_slice out;
        if (piece > length - at)
            piece = length - at;
        uint8_t *copy = exact(data + at, piece);
        error = carom_ws_inflate(socket, &deflaters, copy, piece, at + piece == length,
                                 limit - have, &out);
        free(copy);
        at += piece;
        carom_assert(out.length <= limit - have + 1);
        if (error == 0) {
            memcpy(got + have, out.data, out.length);
            have += out.length;
        }
    } while (error == 0 && at < length);
    carom_assert(error == (more ? -1009 : size < 0 ? -1007 : 0));
    if (error == 0) {
        carom_assert(have == (size_t)size);
        carom_assert(memcmp(got, expected, have) == 0);
    }
    if (socket->agreed.client_no_takeover)
        inflateReset(reference);
    return error == 0;
}

static void compress_and_inflate(struct carom_ws_deflate *socket, z_stream *peer,
                                 const uint8_t *data, size_t length)
{
    static uint8_t back[MAX_OUT];
    uint8_t *copy = exact(data, length);
    carom_slice sent;
    bool more;
    bool compressed = carom_ws_deflate_message(socket, &deflaters, copy, length, &sent);
    free(copy);
    if (!compressed)
        return;
    long size = inflate_at_once(peer, (const uint8_t *)sent.data, sent.length, back, length, &more);
    carom_assert(size == (long)length && !more && memcmp(back, data, length) == 0);
    if (socket->agreed.server_no_takeover)
        inflateReset(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t how = take_byte(&input), bits = (uint8_t)(8 + how % 8);
    struct cuts cuts = cuts_of(take_byte(&input), input.length);
    size_t limit = take_number(&input, 2);
    bool takeover = (how & 8) != 0 && bits > 8, going = true;
    struct carom_ws_deflate socket = {.agreed = {.used = true,
                                                 .client_no_takeover = !takeover,
                                                 .server_no_takeover = !takeover,
                                                 .client_bits = takeover ? bits : 15,
                                                 .server_bits = bits}};
    z_stream reference = {0}, peer = {0};
    carom_assert(inflateInit2(&reference, takeover ? -bits : -15) == Z_OK);
    carom_assert(inflateInit2(&peer, -bits) == Z_OK);
    carom_ws_deflaters_init(&deflaters, 0, (uint8_t)(1 + (how >> 4) % 9), CAROM_WS_MEMORY);
    while (going && input.length > 0) {
        size_t length = take_byte(&input);
        if (length == 255)
            length = take_number(&input, 2);
        if (length > input.length)
            length = input.length;
        compress_and_inflate(&socket, &peer, input.data, length);
        going = compare_inflated(&socket, &reference, input.data, length, limit, &cuts);
        input.data += length;
        input.length -= length;
    }
    carom_ws_deflate_finish(&socket, &deflaters);
    carom_ws_deflaters_finish(&deflaters);
    carom_assert(carom_memory_held() == 0);
    inflateEnd(&reference);
    inflateEnd(&peer);
    return 0;
}
