/* Wakers, inside the engine: which waker waits for what, and the list of those that are ready to be
 * called. A record has one place for each edge, and one for a time. A waker is idle, or it stands
 * in such a place, waiting or ready, or another thread has posted it, or it waits for a time of its
 * worker's, in no place. */
#ifndef CAROM_RECORD_WAKER_H
#define CAROM_RECORD_WAKER_H

#include <stdatomic.h>

#include "record/record.h"

/* What carom_waker.reserved holds. */
struct carom_waiting {
    union {
        struct carom_timer timer; /* its node is also that of the ready list */
        struct carom_inbox_entry message;
    };
    union {
        carom_record *record;          /* whose place it is in; NULL: no place */
        struct carom_records *records; /* timed */
    };
    int32_t status;
    uint8_t place;
    atomic_uchar state; /* enum carom_waker_state; any thread makes it POSTED, if it is IDLE */
};

_Static_assert(sizeof(struct carom_waiting) <= sizeof(((carom_waker *)0)->reserved),
               "a waiting waker fits into the public struct");

enum carom_waker_state {
    CAROM_WAKER_IDLE,
    CAROM_WAKER_WAITING,
    CAROM_WAKER_READY,
    CAROM_WAKER_POSTED,
    CAROM_WAKER_TIMED, /* it waits for a time in no place */
};

/* Put an idle waker into a free place of the record; -CAROM_ESTATE when one is there, or it is not
 * idle; -CAROM_EINVAL when it is none. */
int carom_waker_wait(carom_record *record, unsigned place, carom_waker *waker);
/* carom_wait, behind its checks, for whoever has the record in the handler's place. */
int carom_record_wait(carom_record *record, carom_edge edge, carom_waker *waker);
/* The same of carom_unwait. */
void carom_record_unwait(carom_record *record, carom_waker *waker);
/* Make the waker in a place of the record ready, if it still waits. */
void carom_waker_make_ready(carom_record *record, unsigned place, int status);
/* Fire a waker that is idle on the worker's thread. Any thread. -CAROM_EINVAL: there is no such
 * waker; -CAROM_ESTATE: it waits or is posted, or the worker has stopped. */
int carom_waker_post(struct carom_records *records, carom_waker *waker);
/* Whether there is a waker, with a function that can be called. */
static inline bool carom_waker_is_set(const carom_waker *waker)
{
    return waker != NULL && waker->wake != NULL;
}

/* Make a waker that is in no place ready. */
void carom_waker_ready_alone(struct carom_records *records, carom_waker *waker, int status);
/* The same, with 0, unless it is ready already. */
void carom_waker_ready_once(struct carom_records *records, carom_waker *waker);
/* Make one that is in no place idle again: it does not wait for its time, nor is it ready. */
void carom_waker_withdraw(struct carom_records *records, carom_waker *waker);
/* Fire a waker that is in no place after a time, as carom_wait_time. 0 or -CAROM_ESTATE. */
int carom_waker_wait_time(struct carom_records *records, uint32_t milliseconds, carom_waker *waker);
/* The worker stops: those that wait for their time, and those that were posted and that nobody can
 * post any more, become ready, as if cancelled. */
void carom_wakers_cancel(struct carom_records *records);
/* Disarm the waker in a place. */
void carom_waker_take_out(carom_record *record, unsigned place);
/* Move the wakers that other threads have posted to the ready list. */
void carom_wakers_take_posted(struct carom_records *records);
/* Fire what is ready now; what becomes ready meanwhile waits for the next pass. False when nothing
 * was. */
bool carom_wakers_pass(struct carom_records *records);

/* The same for a place that may be empty, as most are. */
static inline void carom_waker_ready(carom_record *record, unsigned place, int status)
{
    if (record->wakers[place] != NULL)
        carom_waker_make_ready(record, place, status);
}

static inline void carom_waker_disarm(carom_record *record, unsigned place)
{
    if (record->wakers[place] != NULL)
        carom_waker_take_out(record, place);
}

#endif
