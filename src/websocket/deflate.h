/* Messages compressed and inflated (RFC 7692, 7.2), by zlib; compressed at level 1 by ISA-L, where
 * that is there (isal.h). A socket of which nothing is kept from one message to the next uses its
 * worker's streams; one with takeover has streams of its own from the first message that needs
 * them, or, with ISA-L, the bytes that it has sent last. All memory comes out of the worker's bins,
 * and what comes out of a stream lies in a room of the worker: nothing is allocated for a message
 * once both are large enough. One thread. In a build without zlib deflate_none.c stands here:
 * nothing is agreed on. */
#ifndef CAROM_WEBSOCKET_DEFLATE_H
#define CAROM_WEBSOCKET_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bins.h"
#include "carom.h"
#include "wire/ws_handshake.h"

/* Whether this build has zlib. If not, no socket may agree on permessage-deflate. */
bool carom_ws_deflate_is_there(void);

struct z_stream_s;

/* Where output lies until the next call. */
struct carom_ws_room {
    uint8_t *data;
    size_t size;
    size_t used; /* most since the last tick */
};

/* What the sockets of a worker share. */
struct carom_ws_deflaters {
    struct carom_bins bins;
    /* For messages that stand for themselves, made when first needed. A short message goes through
     * a small one, because a stream is cleared for each. */
    struct z_stream_s *small, *large, *inflater;
    struct carom_ws_isal *isal; /* what compresses in their place */
    struct carom_ws_room compressed, inflated;
    size_t threshold;      /* bytes; what is shorter is sent as it is */
    uint8_t level, memory; /* zlib's, 1 to 9; `memory` of streams with takeover */
    bool small_used, large_used, inflater_used, isal_used; /* since the last tick */
};

/* What zlib gets where nobody says otherwise: a socket that keeps a window of 2^12 bytes either way
 * costs 41 KiB for what it sends, or with ISA-L 4 KiB, and 12 KiB for what it gets. */
#define CAROM_WS_LEVEL  1
#define CAROM_WS_MEMORY 5
#define CAROM_WS_BITS   12

/* Allocates nothing. */
void carom_ws_deflaters_init(struct carom_ws_deflaters *deflaters, size_t threshold, uint8_t level,
                             uint8_t memory);
/* All sockets have finished theirs. */
void carom_ws_deflaters_finish(struct carom_ws_deflaters *deflaters);
/* Give back what was not used since the last tick: streams, rooms that were far too large, and what
 * lies free in the bins. Called every CAROM_POOL_WINDOW milliseconds. Returns whether there is more
 * for the next tick. */
bool carom_ws_deflaters_tick(struct carom_ws_deflaters *deflaters);

/* Of a socket. All zeros but for `agreed` at first. */
struct carom_ws_deflate {
    struct z_stream_s *compressor; /* with takeover, when a message was compressed */
    struct z_stream_s *inflater;   /* with takeover, or while a message comes in pieces */
    uint8_t *sent;        /* with ISA-L in the compressor's place: the bytes that the peer */
    uint16_t sent_length; /* has in its window */
    struct carom_ws_deflate_agreed agreed;
};

/* Give its streams back. */
void carom_ws_deflate_finish(struct carom_ws_deflate *deflate,
                             struct carom_ws_deflaters *deflaters);

/* Compress a whole message of the socket. True: *to lies in the worker's room until the next call
 * of this or of carom_ws_deflate_alone, and is sent with RSV1. False: the message is sent as it is,
 * because it is below the threshold, is not made shorter, or there is no memory. `data` may not lie
 * in that room. */
bool carom_ws_deflate_message(struct carom_ws_deflate *deflate,
                              struct carom_ws_deflaters *deflaters, const uint8_t *data,
                              size_t length, carom_slice *to);

/* The same for a message that refers to none before it, with a window of 2^bits bytes (8 to 15), so
 * that it can be sent to many sockets: to those with at least this window. Each that has takeover
 * forgets then. */
bool carom_ws_deflate_alone(struct carom_ws_deflaters *deflaters, uint8_t bits, const uint8_t *data,
                            size_t length, carom_slice *to);

/* The socket is sent a message with RSV1 that its own stream has not compressed. The peer's window
 * moves by that, so ours begins anew. */
void carom_ws_deflate_forget(struct carom_ws_deflate *deflate,
                             struct carom_ws_deflaters *deflaters);

/* Inflate a piece of a message, its `last` or not, of which at most `limit` bytes may come. *to
 * lies in the worker's room until the next call; `data` may not. 0; -1009 when more would come (no
 * more than that is inflated); -1007 for what is no deflate, or ends in the midst of a block; -1011
 * without memory. After an error the socket's stream is of no use, and the socket is to be closed.
 */
int carom_ws_inflate(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters,
                     const uint8_t *data, size_t length, bool last, uint64_t limit,
                     carom_slice *to);

#endif
