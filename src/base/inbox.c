/* Inbox: a stack that producers push on and the consumer takes whole and reverses. Messages are
 * never popped one by one, so there is no ABA problem.
 *
 * Going to sleep. The producer stores a message and then looks whether the consumer sleeps; the
 * consumer stores that it sleeps and then looks for messages. Each stores one word and loads the
 * other, and at least one of the two must see the other's store. Acquire and release do not give
 * that (both loads may be satisfied before both stores are seen, and x86 does it); so these four
 * accesses are sequentially consistent: in their single total order one of the stores comes first,
 * and the other side's load comes after it. Fences would do too, but ThreadSanitizer does not
 * follow them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nanosleep */
#endif
#include "base/inbox.h"

#include <sched.h>
#include <time.h>

#include "base/assert.h"

/* What the consumer is. ROUSED is written by carom_inbox_rouse only, and makes the next attempt to
 * sleep fail: a rouse that comes just before the consumer lies down is not lost. */
enum { AWAKE, ASLEEP, ROUSED };

void carom_inbox_init(struct carom_inbox *inbox)
{
    atomic_init(&inbox->last, NULL);
    atomic_init(&inbox->consumer, AWAKE);
    atomic_init(&inbox->inside, 0);
}

void carom_inbox_finish(struct carom_inbox *inbox)
{
    /* Producers are inside for some instructions and at most one system call. Yielding is enough
     * for that; sleeping is for one that was preempted and has a lower real-time priority than we.
     */
    for (unsigned tries = 0; atomic_load_explicit(&inbox->inside, memory_order_acquire) > 0;
         tries++) {
        if (tries < 100)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = 50 * 1000}, NULL);
    }
}

void carom_inbox_enter(struct carom_inbox *inbox)
{
    atomic_fetch_add_explicit(&inbox->inside, 1, memory_order_relaxed);
}

void carom_inbox_leave(struct carom_inbox *inbox)
{
    /* Release: all that the producer did with the inbox is done when finish sees the count fall. */
    unsigned before = atomic_fetch_sub_explicit(&inbox->inside, 1, memory_order_release);
    carom_assert(before > 0);
}

/* What `last` points to when the inbox is closed. */
static struct carom_inbox_entry closed;

/* False when it is closed. */
static bool put_in(struct carom_inbox *inbox, struct carom_inbox_entry *message)
{
    struct carom_inbox_entry *last = atomic_load_explicit(&inbox->last, memory_order_relaxed);
    do {
        if (last == &closed)
            return false;
        message->next = last;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->last, &last, message,
                                                    memory_order_seq_cst, memory_order_relaxed));
    return true;
}

/* After a message was put in. The plain load first: while the consumer is awake, producers only
 * read its line. Of those that see it asleep the one whose exchange succeeds wakes it. */
static bool must_wake(struct carom_inbox *inbox)
{
    if (atomic_load_explicit(&inbox->consumer, memory_order_seq_cst) != ASLEEP)
        return false;
    unsigned expected = ASLEEP;
    return atomic_compare_exchange_strong_explicit(&inbox->consumer, &expected, AWAKE,
                                                   memory_order_seq_cst, memory_order_relaxed);
}

bool carom_inbox_post(struct carom_inbox *inbox, struct carom_inbox_entry *message)
{
    bool open = put_in(inbox, message);
    carom_assert(open);
    return must_wake(inbox);
}

int carom_inbox_offer(struct carom_inbox *inbox, struct carom_inbox_entry *message)
{
    return put_in(inbox, message) ? must_wake(inbox) : -1;
}

bool carom_inbox_rouse(struct carom_inbox *inbox)
{
    /* Release for what the caller stored before; the consumer's exchanges below acquire it. */
    return atomic_exchange_explicit(&inbox->consumer, ROUSED, memory_order_acq_rel) == ASLEEP;
}

/* Take all out, and leave `instead` there. */
static struct carom_inbox_entry *exchange(struct carom_inbox *inbox,
                                          struct carom_inbox_entry *instead)
{
    struct carom_inbox_entry *newest =
        atomic_exchange_explicit(&inbox->last, instead, memory_order_acquire);
    struct carom_inbox_entry *oldest = NULL;
    while (newest != NULL) {
        struct carom_inbox_entry *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

struct carom_inbox_entry *carom_inbox_take_all(struct carom_inbox *inbox)
{
    return exchange(inbox, NULL);
}

struct carom_inbox_entry *carom_inbox_close(struct carom_inbox *inbox)
{
    return exchange(inbox, &closed);
}

bool carom_inbox_sleep(struct carom_inbox *inbox)
{
    unsigned expected = AWAKE;
    if (atomic_compare_exchange_strong_explicit(&inbox->consumer, &expected, ASLEEP,
                                                memory_order_seq_cst, memory_order_relaxed) &&
        atomic_load_explicit(&inbox->last, memory_order_seq_cst) == NULL)
        return true;
    carom_inbox_awake(inbox);
    return false;
}

void carom_inbox_awake(struct carom_inbox *inbox)
{
    /* An exchange and not a store, to acquire what a rouser stored before ROUSED, which ends here.
     */
    atomic_exchange_explicit(&inbox->consumer, AWAKE, memory_order_acq_rel);
}
