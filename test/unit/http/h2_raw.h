/* A client of HTTP/2 on the simulated network that sends raw frames, right or wrong ones. */
#ifndef CAROM_TEST_UNIT_HTTP_H2_RAW_H
#define CAROM_TEST_UNIT_HTTP_H2_RAW_H

#include <nghttp2/nghttp2.h>

#include "unit/http/simulation.h"

/* GET, http, a path, and the authority "a", in HPACK without its dynamic table. */
#define HOLD                                                                                       \
    "\x82\x86\x04\x05/hold\x01\x01"                                                                \
    "a"
/* POST of the same. */
#define POST                                                                                       \
    "\x83\x86\x04\x05/hold\x01\x01"                                                                \
    "a"
#define LENGTH(digit) "\x0f\x0d\x01" digit /* content-length */
#define SECTION(text) (text), sizeof(text) - 1

static struct carom_peer *peer;

static inline void frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload,
                         size_t length)
{
    const uint8_t head[9] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,    type,       flags,
        (uint8_t)(id >> 24),     (uint8_t)(id >> 16),    (uint8_t)(id >> 8), (uint8_t)id};
    carom_peer_send(peer, (const char *)head, sizeof head);
    if (length > 0)
        carom_peer_send(peer, payload, length);
}

static inline void begin_raw(const carom_options *options)
{
    begin(options);
    peer = connect_peer();
    say(peer, NGHTTP2_CLIENT_MAGIC);
    frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    turn();
}

/* Credit that has come for a stream, or for the connection: 0. */
static inline uint64_t credit(uint32_t id)
{
    size_t length;
    const uint8_t *at = (const uint8_t *)carom_peer_received(peer, &length);
    const uint8_t *end = at + length;
    uint64_t sum = 0;
    while (end - at >= 9) {
        uint32_t stream =
            (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
        if (at[3] == NGHTTP2_WINDOW_UPDATE && stream == id)
            sum += (uint32_t)at[9] << 24 | (uint32_t)at[10] << 16 | (uint32_t)at[11] << 8 | at[12];
        at += 9 + ((size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2]);
    }
    return sum;
}

/* How many frames of a type have come; *last is the last word of the last one: for GOAWAY and
 * RST_STREAM the error. */
static inline int frames(uint8_t type, uint32_t *last)
{
    size_t length;
    const uint8_t *at = (const uint8_t *)carom_peer_received(peer, &length);
    const uint8_t *end = at + length;
    int count = 0;
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (at[3] == type && size >= 4) {
            const uint8_t *word = at + 9 + (type == NGHTTP2_GOAWAY ? 4 : size - 4);
            *last = (uint32_t)word[0] << 24 | (uint32_t)word[1] << 16 | (uint32_t)word[2] << 8 |
                    word[3];
            count++;
        }
        at += 9 + size;
    }
    return count;
}

#endif
