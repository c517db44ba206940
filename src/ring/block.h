/* Blocks of slots: they come from the VM as they are wanted, and go back to it when a burst is
 * over, as a pool's objects to the allocator (base/pool.h). */
#ifndef CAROM_RING_BLOCK_H
#define CAROM_RING_BLOCK_H

#include "ring/slot.h"

/* 0 or -CAROM_ENOMEM. `block_most` is set. */
int carom_blocks_init(struct carom_ring *ring);
void carom_blocks_finish(struct carom_ring *ring);

/* Take over the blocks that came since; true when some did. `prepare` is called for each slot. */
bool carom_blocks_take(struct carom_ring *ring, void (*prepare)(struct carom_slot *slot));

/* A free slot, which is now held: the lowest, so that whole blocks stay free. NULL: none. */
struct carom_slot *carom_slot_take(struct carom_ring *ring);
/* The slot is free; its record is another's. */
void carom_slot_give(struct carom_slot *slot);
/* Let go of the record; the slot is free. */
void carom_slot_release(struct carom_slot *slot);
/* The slot of a number that the engine has; NULL: none. Any of the two threads, of a slot that is
 * held. */
struct carom_slot *carom_slot_at(const struct carom_ring *ring, uint32_t index);

/* A window is over: give back the blocks that it has not used. */
void carom_blocks_tick(struct carom_ring *ring);
bool carom_blocks_above_floor(const struct carom_ring *ring);

#endif
