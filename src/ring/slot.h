/* What a ring, its slots and its loans are on the engine's side, which keeps to itself what the
 * VM must not be able to change; and what is done to one slot by all who work on it. */
#ifndef CAROM_RING_SLOT_H
#define CAROM_RING_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "carom_ring.h"
#include "record/record.h"

enum carom_slot_state {
    CAROM_SLOT_FREE,
    CAROM_SLOT_PENDING, /* a request waits for a page: the VM does not know of it */
    CAROM_SLOT_HELD,    /* the VM has it */
    CAROM_SLOT_BLOCKED, /* and its message waits for room */
};

/* The engine's part of a slot. */
struct carom_slot {
    struct carom_node link; /* of those that are free, or wait for a page */
    struct carom_ring *ring;
    uint32_t *words; /* the VM's memory */
    carom_record *record;
    uint32_t index, generation;
    uint32_t head_page, piece_page; /* number + 1; 0: none */
    uint8_t state;
    bool watched; /* ENDED is told, however it ends */
    bool reading; /* the VM waits for content */
    carom_waker ended, readable, writable;
};

enum carom_loan_state { CAROM_LOAN_FREE, CAROM_LOAN_GIVEN, CAROM_LOAN_USED };

struct carom_loan {
    struct carom_ring *ring;
    const void *data;
    size_t length;
    atomic_int state; /* enum carom_loan_state */
};

struct carom_block {
    uint8_t *memory;
    struct carom_slot *slots;
    uint32_t count;
};

#define CAROM_RING_BLOCKS 32

struct carom_ring {
    struct carom_guest guest; /* first member: found from it */
    carom_ring_options options;
    struct carom_records *records; /* of its worker */
    uint32_t *control;
    uint8_t *pages;
    uint32_t mask;
    uint32_t event_tail, command_head, return_tail; /* ours: the VM cannot change them */
    struct carom_slot **slots;                      /* by number */
    uint32_t slot_count;                            /* of them */
    uint32_t blocks_seen;                           /* blocks whose slots are among them */
    struct carom_node free;                         /* slots */
    struct carom_node starved;                      /* slots that wait for a page */
    carom_record *waiting, **waiting_last;          /* records that wait for a slot */
    uint32_t waiting_count;
    uint32_t free_pages; /* a bit each */
    bool news;           /* put in since the VM was last told */
    struct carom_loan *loans;
    /* Written by the VM's thread. */
    struct carom_block blocks[CAROM_RING_BLOCKS];
    uint32_t slots_given; /* in all blocks */
    atomic_uint block_count;
    atomic_bool abandoned;
};

/* What a record keeps for the ring (options.record_state). */
struct carom_ring_state {
    carom_record *next; /* waiting for a slot */
};

static inline _Atomic uint32_t *carom_ring_atomic(uint32_t *words, unsigned index)
{
    return (_Atomic uint32_t *)(void *)&words[index];
}

/* The slot carries a new request: what was told before and not heard is void. */
void carom_slot_tell_request(struct carom_slot *slot);
/* Tell the VM. */
void carom_slot_tell(struct carom_slot *slot, uint32_t news);
/* A page of the ring as number + 1; 0 when none is free. */
uint32_t carom_ring_take_page(struct carom_ring *ring);
/* Give a page back, if it is one: *page becomes 0. */
void carom_ring_give_page(struct carom_ring *ring, uint32_t *page);
uint8_t *carom_ring_page(struct carom_ring *ring, uint32_t page);
/* Let go of the record; the slot is free. */
void carom_slot_release(struct carom_slot *slot);

#endif
