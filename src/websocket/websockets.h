/* The sockets of a worker, for the worker: made and freed with it, drained, and asked. */
#ifndef CAROM_WEBSOCKET_WEBSOCKETS_H
#define CAROM_WEBSOCKET_WEBSOCKETS_H

#include "websocket/shared.h"

void carom_websockets_init(struct carom_websockets *websockets,
                           struct carom_connections *connections);
/* Both are of one service: what is published on one goes to the other, too. */
void carom_websockets_join(struct carom_websockets *first, struct carom_websockets *other);
void carom_websockets_finish(struct carom_websockets *websockets);
/* A shutdown has begun: each socket is sent Close 1001, spread over `milliseconds`, so that clients
 * do not all come back at once. */
void carom_websockets_drain(struct carom_websockets *websockets, uint32_t milliseconds);

/* What carom_pool_above_floor and carom_pool_tick are for a pool: memory of what compresses. */
bool carom_websockets_hold_memory(const struct carom_websockets *websockets);
void carom_websockets_tick(struct carom_websockets *websockets);

/* How many sockets of the worker are subscribed to a topic. Any thread. */
uint32_t carom_websockets_subscribers(const struct carom_websockets *websockets, carom_slice topic);

/* Whether a worker may stop: nothing that it has published is on its way. */
static inline bool carom_websockets_are_quiet(const struct carom_websockets *websockets)
{
    return websockets->posts_out == 0;
}

#endif
