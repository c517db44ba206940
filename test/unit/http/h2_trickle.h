/* How a peer trickles, and for how long it may (test_h2_slow_peers.c, test_h2_slow_readers.c). */
#ifndef CAROM_TEST_UNIT_HTTP_H2_TRICKLE_H
#define CAROM_TEST_UNIT_HTTP_H2_TRICKLE_H

#include "unit/http/h2_raw.h"

#define KIB     1024u
#define FOREVER (24u * 3600)
#define WHOLE   (NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM)
#define NOTHING 99 /* no frame at all */

struct trickled {
    uint8_t type, flags;
    uint32_t id;
    const void *payload;
    size_t length;
};

static inline void say_frame(const struct trickled *piece)
{
    if (piece->type != NOTHING)
        frame(piece->type, piece->flags, piece->id, piece->payload, piece->length);
}

static inline int came(uint8_t type)
{
    uint32_t word;
    return frames(type, &word);
}

/* In tenths, since streams are looked at in steps of their own. */
static inline void wait_for(unsigned seconds)
{
    for (unsigned tenths = 0; tenths < 10 * seconds; tenths++)
        pass(SECOND / 10);
}

/* Send `piece` every second until a further frame of `type` comes, or the end; returns after how
 * many. */
static inline unsigned trickle(const struct trickled *piece, uint8_t type)
{
    int before = came(type);
    unsigned seconds = 0;
    for (; came(type) == before && !carom_peer_saw_fin(peer) && !carom_peer_saw_close(peer);
         seconds++) {
        assert_true(seconds < FOREVER);
        say_frame(piece);
        turn();
        wait_for(1);
    }
    return seconds;
}

static const struct trickled ping = {NGHTTP2_PING, 0, 0, "12345678", 8},
                             silence = {NOTHING, 0, 0, NULL, 0};

#endif
