/* permessage-deflate over zlib, and ISA-L: raw streams, flushed at the end of each message, whose
 * last four bytes are left out on the way and put back here (RFC 7692, 7.2). */
#include "websocket/deflate.h"

#include <string.h>
#include <zlib.h>

#include "base/assert.h"
#include "base/memory.h"
#include "websocket/isal.h"
#include "wire/ws_frame.h"

#define MOST_BITS 15
/* zlib cannot compress with less. */
#define LEAST_BITS 9
/* Streams for messages that stand for themselves: what is cleared for each is 2^(memory + 8) bytes.
 */
#define SMALL_BITS   12
#define SMALL_MEMORY 5
#define LARGE_MEMORY 8

/* What every flush ends with. */
static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};

/* What zlib says of a stream between two blocks of which no bits are left, which is where a message
 * begins and ends; and what we say of one that begins. */
#define BETWEEN_BLOCKS 128
#define PLACE          (BETWEEN_BLOCKS | 63)

/* zlib counts by unsigned int. */
#define AT_ONCE ((size_t)1 << 30)

bool carom_ws_deflate_is_there(void)
{
    return true;
}

/* ---------------------------------------------------------------- rooms */

#define LEAST_ROOM ((size_t)16 << 10)
/* A room up to this size is kept while anything uses it. */
#define KEPT_ROOM ((size_t)64 << 10)

static void give_room(struct carom_ws_room *room)
{
    carom_memory_give(room->data, room->size);
    *room = (struct carom_ws_room){NULL, 0, 0};
}

/* See that more than `used` bytes fit in, which stay. False: no memory; nothing changed. */
static bool grow(struct carom_ws_room *room, size_t used, size_t size)
{
    if (size < LEAST_ROOM)
        size = LEAST_ROOM;
    uint8_t *data = carom_memory_take(size);
    if (data == NULL)
        return false;
    if (used > 0)
        memcpy(data, room->data, used);
    carom_memory_give(room->data, room->size);
    room->data = data;
    room->size = size;
    return true;
}

static void note_use(struct carom_ws_room *room, size_t used)
{
    if (used > room->used)
        room->used = used;
}

/* Returns whether something is left to give back. */
static bool tick_room(struct carom_ws_room *room)
{
    if (room->used == 0 || (room->size > KEPT_ROOM && room->used < room->size / 4))
        give_room(room);
    room->used = 0;
    return room->size > 0;
}

/* ---------------------------------------------------------------- streams */

static void *take(void *bins, unsigned count, unsigned size)
{
    return carom_bins_take(bins, (size_t)count * size);
}

static void give(void *bins, void *memory)
{
    carom_bins_give(bins, memory);
}

static z_stream *new_stream(struct carom_bins *bins)
{
    z_stream *stream = carom_bins_take_zeroed(bins, 1, sizeof *stream);
    if (stream != NULL) {
        stream->zalloc = take;
        stream->zfree = give;
        stream->opaque = bins;
    }
    return stream;
}

static z_stream *new_compressor(struct carom_ws_deflaters *deflaters, int bits, int memory)
{
    z_stream *stream = new_stream(&deflaters->bins);
    if (stream != NULL && deflateInit2(stream, deflaters->level, Z_DEFLATED, -bits, memory,
                                       Z_DEFAULT_STRATEGY) != Z_OK) {
        carom_bins_give(&deflaters->bins, stream);
        return NULL;
    }
    return stream;
}

static z_stream *new_inflater(struct carom_ws_deflaters *deflaters, int bits)
{
    z_stream *stream = new_stream(&deflaters->bins);
    if (stream != NULL && inflateInit2(stream, -bits) != Z_OK) {
        carom_bins_give(&deflaters->bins, stream);
        return NULL;
    }
    if (stream != NULL)
        stream->data_type = BETWEEN_BLOCKS;
    return stream;
}

static void give_compressor(struct carom_ws_deflaters *deflaters, z_stream **stream)
{
    if (*stream == NULL)
        return;
    (void)deflateEnd(*stream);
    carom_bins_give(&deflaters->bins, *stream);
    *stream = NULL;
}

static void give_inflater(struct carom_ws_deflaters *deflaters, z_stream **stream)
{
    if (*stream == NULL)
        return;
    (void)inflateEnd(*stream);
    carom_bins_give(&deflaters->bins, *stream);
    *stream = NULL;
}

static void give_isal(struct carom_ws_deflaters *deflaters)
{
    if (deflaters->isal != NULL)
        carom_bins_give(&deflaters->bins, deflaters->isal);
    deflaters->isal = NULL;
}

void carom_ws_deflaters_init(struct carom_ws_deflaters *deflaters, size_t threshold, uint8_t level,
                             uint8_t memory)
{
    *deflaters =
        (struct carom_ws_deflaters){.threshold = threshold, .level = level, .memory = memory};
    carom_bins_init(&deflaters->bins);
}

void carom_ws_deflaters_finish(struct carom_ws_deflaters *deflaters)
{
    give_compressor(deflaters, &deflaters->small);
    give_compressor(deflaters, &deflaters->large);
    give_inflater(deflaters, &deflaters->inflater);
    give_isal(deflaters);
    give_room(&deflaters->compressed);
    give_room(&deflaters->inflated);
    carom_bins_finish(&deflaters->bins);
}

bool carom_ws_deflaters_tick(struct carom_ws_deflaters *deflaters)
{
    bool more = tick_room(&deflaters->compressed);
    more |= tick_room(&deflaters->inflated);
    if (!deflaters->small_used)
        give_compressor(deflaters, &deflaters->small);
    if (!deflaters->large_used)
        give_compressor(deflaters, &deflaters->large);
    if (!deflaters->inflater_used)
        give_inflater(deflaters, &deflaters->inflater);
    if (!deflaters->isal_used)
        give_isal(deflaters);
    deflaters->small_used = deflaters->large_used = false;
    deflaters->inflater_used = deflaters->isal_used = false;
    more |= deflaters->small != NULL || deflaters->large != NULL || deflaters->inflater != NULL ||
            deflaters->isal != NULL;
    for (int i = 0; i < CAROM_BIN_COUNT; i++) {
        (void)carom_pool_tick(&deflaters->bins.pools[i]);
        more |= carom_pool_above_floor(&deflaters->bins.pools[i]);
    }
    return more;
}

void carom_ws_deflate_finish(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters)
{
    give_compressor(deflaters, &deflate->compressor);
    give_inflater(deflaters, &deflate->inflater);
    if (deflate->sent != NULL)
        carom_bins_give(&deflaters->bins, deflate->sent);
    deflate->sent = NULL;
    deflate->sent_length = 0;
}

void carom_ws_deflate_forget(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters)
{
    (void)deflaters;
    if (deflate->compressor != NULL)
        (void)deflateReset(deflate->compressor);
    deflate->sent_length = 0;
}

/* ---------------------------------------------------------------- compressing, by ISA-L */

static bool has_isal(const struct carom_ws_deflaters *deflaters)
{
    return deflaters->level == 1 && carom_ws_isal_size() > 0;
}

/* Compress a message to less than it was. False: it is more, or there is no memory. */
static bool compress_by_isal(struct carom_ws_deflaters *deflaters, uint8_t bits, carom_slice before,
                             const uint8_t *data, size_t length, carom_slice *to)
{
    struct carom_ws_room *room = &deflaters->compressed;
    size_t most = length + sizeof tail;
    if (length > AT_ONCE || (room->size < most && !grow(room, 0, most)))
        return false;
    if (deflaters->isal == NULL)
        deflaters->isal = carom_bins_take_zeroed(&deflaters->bins, 1, carom_ws_isal_size());
    if (deflaters->isal == NULL)
        return false;
    deflaters->isal_used = true;
    note_use(room, most);
    size_t size =
        carom_ws_isal_deflate(deflaters->isal, bits, before, data, length, room->data, most);
    if (size < sizeof tail || memcmp(room->data + size - sizeof tail, tail, sizeof tail) !=
                                  0) /* a stored block is last */
        return false;
    *to = (carom_slice){(const char *)room->data, size - sizeof tail};
    return to->length < length;
}

/* The peer's window has moved on by a message. */
static void remember(struct carom_ws_deflate *deflate, const uint8_t *data, size_t length)
{
    size_t most = (size_t)1 << deflate->agreed.server_bits, have = deflate->sent_length;
    if (length > most) {
        data += length - most;
        length = most;
    }
    size_t stays = have < most - length ? have : most - length;
    memmove(deflate->sent, deflate->sent + have - stays, stays);
    memcpy(deflate->sent + stays, data, length);
    deflate->sent_length = (uint16_t)(stays + length);
}

static bool compress_with_takeover(struct carom_ws_deflate *deflate,
                                   struct carom_ws_deflaters *deflaters, const uint8_t *data,
                                   size_t length, carom_slice *to)
{
    uint8_t bits = deflate->agreed.server_bits;
    if (deflate->sent == NULL)
        deflate->sent = carom_bins_take(&deflaters->bins, (size_t)1 << bits);
    if (deflate->sent == NULL)
        return false;
    const carom_slice before = {(const char *)deflate->sent, deflate->sent_length};
    if (!compress_by_isal(deflaters, bits, before, data, length, to))
        return false;
    remember(deflate, data, length);
    return true;
}

/* ---------------------------------------------------------------- compressing, by zlib */

/* Put data through the stream into the room, behind *used bytes. False: no memory. */
static bool put_through(z_stream *stream, struct carom_ws_room *room, size_t *used,
                        const uint8_t *data, size_t length, int flush)
{
    while (length > 0) {
        size_t piece = length < AT_ONCE ? length : AT_ONCE;
        stream->next_in = (z_const Bytef *)data;
        stream->avail_in = (uInt)piece;
        do {
            /* With less room than a flush takes, zlib would flush again. */
            if (room->size - *used < LEAST_ROOM / 2 && !grow(room, *used, 2 * room->size))
                return false;
            size_t free = room->size - *used < AT_ONCE ? room->size - *used : AT_ONCE;
            stream->next_out = room->data + *used;
            stream->avail_out = (uInt)free;
            int result = deflate(stream, piece < length ? Z_NO_FLUSH : flush);
            carom_assert(result == Z_OK || result == Z_BUF_ERROR);
            *used += free - stream->avail_out;
        } while (stream->avail_out == 0);
        data += piece;
        length -= piece;
    }
    return true;
}

/* `at_once`: after so many bytes the stream forgets what was before, so that nothing refers further
 * back. */
static bool compress_message(z_stream *stream, struct carom_ws_room *room, const uint8_t *data,
                             size_t length, size_t at_once, carom_slice *to)
{
    size_t used = 0;
    for (; length > at_once; data += at_once, length -= at_once)
        if (!put_through(stream, room, &used, data, at_once, Z_FULL_FLUSH))
            return false;
    if (!put_through(stream, room, &used, data, length, Z_SYNC_FLUSH))
        return false;
    note_use(room, used);
    carom_assert(used > sizeof tail &&
                 memcmp(room->data + used - sizeof tail, tail, sizeof tail) == 0);
    *to = (carom_slice){(const char *)room->data, used - sizeof tail};
    return true;
}

bool carom_ws_deflate_alone(struct carom_ws_deflaters *deflaters, uint8_t bits, const uint8_t *data,
                            size_t length, carom_slice *to)
{
    if (length < deflaters->threshold || length == 0)
        return false;
    if (has_isal(deflaters))
        return compress_by_isal(deflaters, bits, (carom_slice){NULL, 0}, data, length, to);
    bool is_small = length <= (size_t)1 << SMALL_BITS;
    z_stream **stream = is_small ? &deflaters->small : &deflaters->large;
    if (*stream == NULL)
        *stream = is_small ? new_compressor(deflaters, SMALL_BITS, SMALL_MEMORY)
                           : new_compressor(deflaters, MOST_BITS, LARGE_MEMORY);
    if (*stream == NULL)
        return false;
    *(is_small ? &deflaters->small_used : &deflaters->large_used) = true;
    size_t at_once = bits < MOST_BITS ? (size_t)1 << bits : SIZE_MAX;
    bool done = compress_message(*stream, &deflaters->compressed, data, length, at_once, to);
    (void)deflateReset(*stream);
    return done && to->length < length;
}

bool carom_ws_deflate_message(struct carom_ws_deflate *deflate,
                              struct carom_ws_deflaters *deflaters, const uint8_t *data,
                              size_t length, carom_slice *to)
{
    if (deflate->agreed.server_no_takeover)
        return carom_ws_deflate_alone(deflaters, deflate->agreed.server_bits, data, length, to);
    if (length < deflaters->threshold || length == 0)
        return false;
    carom_assert(deflate->agreed.server_bits >= LEAST_BITS);
    if (has_isal(deflaters))
        return compress_with_takeover(deflate, deflaters, data, length, to);
    if (deflate->compressor == NULL)
        deflate->compressor =
            new_compressor(deflaters, deflate->agreed.server_bits, deflaters->memory);
    if (deflate->compressor == NULL)
        return false;
    if (compress_message(deflate->compressor, &deflaters->compressed, data, length, SIZE_MAX, to))
        return true;
    carom_ws_deflate_forget(deflate, deflaters); /* the peer will not see what it has seen */
    return false;
}

/* ---------------------------------------------------------------- inflating */

static bool between_blocks(const z_stream *stream)
{
    return (stream->data_type & PLACE) == BETWEEN_BLOCKS;
}

/* Behind a final block another may begin (7.2.3.4), which may refer to what was before, so the
 * window stays. */
static int inflate_next(z_stream *stream)
{
    int result = inflate(stream, Z_SYNC_FLUSH);
    if (result == Z_STREAM_END) {
        (void)inflateResetKeep(stream);
        stream->data_type = BETWEEN_BLOCKS;
        return 0;
    }
    if (result == Z_OK || result == Z_BUF_ERROR)
        return 0;
    return result == Z_MEM_ERROR ? -CAROM_WS_CODE_INTERNAL : -CAROM_WS_CODE_NOT_UTF8;
}

/* Inflate data into the room, behind *used bytes. One byte over the limit shows that there is more.
 */
static int inflate_piece(z_stream *stream, struct carom_ws_room *room, size_t *used,
                         const uint8_t *data, size_t length, uint64_t limit)
{
    size_t most = limit < SIZE_MAX / 4 ? (size_t)limit + 1 : SIZE_MAX / 4;
    while (length > 0) {
        size_t piece = length < AT_ONCE ? length : AT_ONCE;
        stream->next_in = (z_const Bytef *)data;
        stream->avail_in = (uInt)piece;
        do {
            if (*used == room->size && !grow(room, *used, 2 * room->size))
                return -CAROM_WS_CODE_INTERNAL;
            size_t free = (room->size < most ? room->size : most) - *used;
            free = free < AT_ONCE ? free : AT_ONCE;
            stream->next_out = room->data + *used;
            stream->avail_out = (uInt)free;
            int error = inflate_next(stream);
            *used += free - stream->avail_out;
            note_use(room, *used);
            if (*used == most)
                return -CAROM_WS_CODE_TOO_BIG;
            if (error < 0)
                return error;
        } while (stream->avail_in > 0 || (stream->avail_out == 0 && !between_blocks(stream)));
        data += piece;
        length -= piece;
    }
    return 0;
}

/* Put back what the peer has left out of its last flush. It has left out nothing if there was no
 * flush: the last block was a final one, or there was none, since some send an empty message as no
 * bytes. */
static int inflate_tail(z_stream *stream, struct carom_ws_room *room, size_t *used, uint64_t limit)
{
    if (between_blocks(stream))
        return 0;
    int error = inflate_piece(stream, room, used, tail, sizeof tail, limit);
    return error < 0 || between_blocks(stream) ? error : -CAROM_WS_CODE_NOT_UTF8;
}

/* The stream that a piece goes through: the socket's, or the worker's where the piece is a whole
 * message that stands for itself. NULL: no memory. */
static z_stream *inflater_for(struct carom_ws_deflate *deflate,
                              struct carom_ws_deflaters *deflaters, bool last)
{
    if (deflate->inflater != NULL)
        return deflate->inflater;
    bool alone = deflate->agreed.client_no_takeover;
    z_stream **stream = alone && last ? &deflaters->inflater : &deflate->inflater;
    deflaters->inflater_used |= alone && last;
    if (*stream == NULL)
        *stream = new_inflater(deflaters, alone ? MOST_BITS : deflate->agreed.client_bits);
    return *stream;
}

int carom_ws_inflate(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters,
                     const uint8_t *data, size_t length, bool last, uint64_t limit, carom_slice *to)
{
    struct carom_ws_room *room = &deflaters->inflated;
    size_t used = 0;
    z_stream *stream = inflater_for(deflate, deflaters, last);
    if (stream == NULL)
        return -CAROM_WS_CODE_INTERNAL;
    int error = inflate_piece(stream, room, &used, data, length, limit);
    if (error == 0 && last)
        error = inflate_tail(stream, room, &used, limit);
    if (stream == deflaters->inflater) {
        (void)inflateReset(stream);
        stream->data_type = BETWEEN_BLOCKS;
    } else if (last && deflate->agreed.client_no_takeover) {
        give_inflater(deflaters, &deflate->inflater);
    }
    *to = (carom_slice){used > 0 ? (const char *)room->data : "", used};
    return error;
}
