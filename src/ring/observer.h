/* Connections, for a VM that wants to hear of them: each has a number while the VM knows it, and
 * what is told of it waits here, once for each connection, until the VM takes it. */
#ifndef CAROM_RING_OBSERVER_H
#define CAROM_RING_OBSERVER_H

#include "http/core.h"
#include "ring/slot.h"

/* Sets ring->observer. 0 or -CAROM_ENOMEM. */
int carom_ring_observer_create(struct carom_ring *ring);
void carom_ring_observer_destroy(struct carom_ring *ring);
/* NULL: connections are not told of. */
struct carom_observer *carom_ring_observer_of(struct carom_ring *ring);

/* A request is told to the VM: the number of its connection. The worker's thread. */
uint32_t carom_ring_observer_request(struct carom_ring_observer *observer,
                                     const carom_record *record);
/* Close what the VM wants closed; true when there was something. The worker's thread. */
bool carom_ring_observer_work(struct carom_ring_observer *observer);
bool carom_ring_observer_has_work(const struct carom_ring_observer *observer);

/* A window is over: what it has not used of the table goes back. The worker's thread. */
void carom_ring_observer_tick(struct carom_ring_observer *observer);
bool carom_ring_observer_above_floor(const struct carom_ring_observer *observer);

#endif
