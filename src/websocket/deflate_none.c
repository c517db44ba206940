/* Stands in for deflate.c in a build without zlib (CAROM_DEFLATE=OFF): no socket agrees on
 * permessage-deflate, so messages go as they are, and none comes with RSV1. */
#include "base/assert.h"
#include "websocket/deflate.h"
#include "wire/ws_frame.h"

bool carom_ws_deflate_is_there(void)
{
    return false;
}

void carom_ws_deflaters_init(struct carom_ws_deflaters *deflaters, size_t threshold, uint8_t level,
                             uint8_t memory)
{
    *deflaters =
        (struct carom_ws_deflaters){.threshold = threshold, .level = level, .memory = memory};
}

void carom_ws_deflaters_finish(struct carom_ws_deflaters *deflaters)
{
    (void)deflaters;
}

bool carom_ws_deflaters_tick(struct carom_ws_deflaters *deflaters)
{
    (void)deflaters;
    return false;
}

void carom_ws_deflate_finish(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters)
{
    (void)deflaters;
    carom_assert(!deflate->agreed.used);
}

bool carom_ws_deflate_message(struct carom_ws_deflate *deflate,
                              struct carom_ws_deflaters *deflaters, const uint8_t *data,
                              size_t length, carom_slice *to)
{
    (void)deflate;
    (void)deflaters;
    (void)data;
    (void)length;
    (void)to;
    return false;
}

bool carom_ws_deflate_alone(struct carom_ws_deflaters *deflaters, uint8_t bits, const uint8_t *data,
                            size_t length, carom_slice *to)
{
    (void)deflaters;
    (void)bits;
    (void)data;
    (void)length;
    (void)to;
    return false;
}

void carom_ws_deflate_forget(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters)
{
    (void)deflate;
    (void)deflaters;
}

int carom_ws_inflate(struct carom_ws_deflate *deflate, struct carom_ws_deflaters *deflaters,
                     const uint8_t *data, size_t length, bool last, uint64_t limit, carom_slice *to)
{
    (void)deflate;
    (void)deflaters;
    (void)data;
    (void)length;
    (void)last;
    (void)limit;
    (void)to;
    return -CAROM_WS_CODE_PROTOCOL;
}
