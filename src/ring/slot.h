/* The engine's own part of a ring, of its slots and of its loans: it lies in the engine's memory,
 * because the VM can write its own at any time and must not be able to change this. Beside it the
 * few calls on a slot that all files of the ring need. */
#ifndef CAROM_RING_SLOT_H
#define CAROM_RING_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "carom_ring.h"
#include "record/record.h"
#include "ring/field_list.h"

enum carom_slot_state {
    CAROM_SLOT_FREE,
    CAROM_SLOT_PENDING, /* a request waits for a page: the VM does not know of it */
    CAROM_SLOT_HELD,    /* the VM has it */
    CAROM_SLOT_BLOCKED, /* and its message waits for room */
};

/* The engine's part of a slot. */
struct carom_slot {
    struct carom_node link; /* of those that wait for a page */
    struct carom_ring *ring;
    uint32_t *words; /* the VM's memory */
    carom_record *record;
    uint32_t index, generation;
    uint32_t piece_page; /* that was told last, number + 1; 0: none */
    uint8_t state;
    bool watched;            /* ENDED is told, however it ends */
    bool reading;            /* the VM waits for content */
    bool fills;              /* until `room` is full */
    uint32_t filled;         /* bytes in `room` */
    struct carom_loan *room; /* where content goes; NULL: into a page */
    carom_waker ended, readable, writable, timer;
};

enum carom_loan_state { CAROM_LOAN_FREE, CAROM_LOAN_GIVEN, CAROM_LOAN_USED };

enum carom_loan_kind { CAROM_LOAN_BYTES, CAROM_LOAN_FILE, CAROM_LOAN_ROOM };

/* What is lent. */
struct carom_loan {
    struct carom_ring *ring;
    union {
        const void *data; /* of bytes */
        uint64_t offset;  /* in a file */
        uint8_t *room;
    };
    uint64_t length;
    int descriptor; /* of a file */
    uint8_t kind;   /* enum carom_loan_kind */
    uint32_t number;
    atomic_int state; /* enum carom_loan_state */
};

/* Loans are taken from memory so many at a time, 40 bytes each, and given back in a window in which
 * none of them was lent. */
#define CAROM_LOAN_CHUNK  256
#define CAROM_LOAN_CHUNKS (CAROM_RING_LOANS / CAROM_LOAN_CHUNK)

struct carom_loan_chunk {
    struct carom_loan loans[CAROM_LOAN_CHUNK];
    bool used; /* since the last tick; under the lock of the loans */
};

enum carom_block_state {
    CAROM_BLOCK_NONE,  /* the VM may give one of this number */
    CAROM_BLOCK_GIVEN, /* and has; the engine has not seen it */
    CAROM_BLOCK_TAKEN
};

/* Slots that came together. All but the state are written by whose turn the state says it is. */
struct carom_block {
    uint8_t *memory;
    struct carom_slot *slots; /* CAROM_RING_BLOCK_SLOTS */
    uint32_t free;            /* those without a record: a bit each */
    bool used;                /* since the last tick */
    uint32_t generation;      /* the highest of its slots when it last went back */
    atomic_uint state;        /* enum carom_block_state */
};

struct carom_ring {
    struct carom_guest guest; /* first member: found from it */
    carom_ring_options options;
    struct carom_records *records; /* of its worker */
    uint32_t *control;
    uint8_t *pages;
    uint32_t mask;
    uint32_t event_tail, command_head, return_tail; /* ours: the VM cannot change them */
    struct carom_block *blocks;                     /* by number */
    uint32_t block_most;                            /* of them */
    uint32_t blocks_seen;                           /* of those given */
    uint64_t *roomy;                                /* blocks with free slots: a bit each */
    uint32_t slot_count, held;                      /* slots that there are; those with a record */
    uint32_t spare_blocks;                          /* beyond those that stay, with no slot held */
    struct carom_node starved;                      /* slots that wait for a page */
    carom_record *waiting, **waiting_last;          /* records that wait for a slot */
    uint32_t waiting_count;
    struct carom_field_list fields;       /* of the message that is being taken */
    uint64_t refused_told;                /* of records->refused */
    struct carom_ring_observer *observer; /* or NULL: connections are not told of */
    carom_worker *worker;
    uint32_t
        crowded;   /* the `most` with which carom_guest.behind last answered true; 0: it did not */
    bool news;     /* put in since the VM was last told */
    bool released; /* it is abandoned, and all that the VM held was let go */
    pthread_mutex_t loans_lock; /* for who lends, and who takes chunks away */
    atomic_uint loan_chunks;    /* how many there are; changed under the lock */
    _Atomic(struct carom_loan_chunk *) loans[CAROM_LOAN_CHUNKS];
    /* Written by the VM's thread. */
    atomic_uint blocks_given; /* how often */
    atomic_bool abandoned;
    _Atomic(struct carom_ring_sockets *) sockets; /* or NULL: the VM serves none */
};

/* What a record keeps for the ring (options.record_state). */
struct carom_ring_state {
    carom_record *next; /* waiting for a slot */
};

static inline _Atomic uint32_t *carom_ring_atomic(uint32_t *words, unsigned index)
{
    return (_Atomic uint32_t *)(void *)&words[index];
}

/* The loan of a number below CAROM_RING_LOANS; NULL: it is not lent. The engine's thread, or under
 * the lock. */
static inline struct carom_loan *carom_ring_loan(struct carom_ring *ring, uint32_t number)
{
    struct carom_loan_chunk *chunk = atomic_load(&ring->loans[number / CAROM_LOAN_CHUNK]);
    return chunk == NULL ? NULL : &chunk->loans[number % CAROM_LOAN_CHUNK];
}

/* The slot carries a new request: what was told before and not heard is void. */
void carom_slot_tell_request(struct carom_slot *slot);
/* Tell the VM. */
void carom_slot_tell(struct carom_slot *slot, uint32_t news);
/* A page of the ring, as number + 1, in which something is put for the VM; 0 when none is free. */
uint32_t carom_ring_take_page(struct carom_ring *ring);
/* Nothing was put there, or the VM has not heard of it. 0 is allowed. */
void carom_ring_give_page(struct carom_ring *ring, uint32_t page);
/* Whether the VM has copied what lay in one of them. */
bool carom_ring_has_page(const struct carom_ring *ring);
uint8_t *carom_ring_page(struct carom_ring *ring, uint32_t page);

#endif
