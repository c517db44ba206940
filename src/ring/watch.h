/* Connections, for a VM that wants to hear of them: each has a number while the VM knows it, and
 * what is told of it waits here, once for each connection, until the VM takes it. */
#ifndef CAROM_RING_WATCH_H
#define CAROM_RING_WATCH_H

#include "http/core.h"
#include "ring/slot.h"

/* Sets ring->watch. 0 or -CAROM_ENOMEM. */
int carom_watch_create(struct carom_ring *ring);
void carom_watch_destroy(struct carom_ring *ring);
/* NULL: connections are not told of. */
struct carom_watcher *carom_ring_watcher(struct carom_ring *ring);

/* A request is told to the VM: the number of its connection. The worker's thread. */
uint32_t carom_watch_request(struct carom_ring_watch *watch, const carom_record *record);
/* Close what the VM wants closed; true when there was something. The worker's thread. */
bool carom_watch_work(struct carom_ring_watch *watch);
bool carom_watch_has_work(const struct carom_ring_watch *watch);

/* A window is over: what it has not used of the table goes back. The worker's thread. */
void carom_watch_tick(struct carom_ring_watch *watch);
bool carom_watch_above_floor(const struct carom_ring_watch *watch);

#endif
