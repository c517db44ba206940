/* Inbox of a worker: many producer threads, one consumer, no lock. A producer asks for a wake-up
 * only when the consumer sleeps. */
#ifndef CAROM_BASE_INBOX_H
#define CAROM_BASE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carom_inbox_entry {
    struct carom_inbox_entry *next;
};

struct carom_inbox {
    _Atomic(struct carom_inbox_entry *) last; /* newest first */
    atomic_uint consumer;                     /* awake, asleep, or roused: see inbox.c */
    atomic_uint inside;                       /* producers between enter and leave */
};

void carom_inbox_init(struct carom_inbox *inbox);
/* Wait until no producer is inside. */
void carom_inbox_finish(struct carom_inbox *inbox);

/* Producers bracket a post and the wake-up that may follow it, so that the consumer is not
 * destroyed in between. Async-signal-safe. */
void carom_inbox_enter(struct carom_inbox *inbox);
void carom_inbox_leave(struct carom_inbox *inbox);
/* Put a message in; true when the consumer sleeps and this caller must wake it. Async-signal-safe.
 */
bool carom_inbox_post(struct carom_inbox *inbox, struct carom_inbox_entry *message);
/* As carom_inbox_post, for a caller that cannot know whether the consumer still takes messages: 1
 * when this caller must wake it, 0 when not, or -1: the inbox is closed, and the message is not in
 * it. Async-signal-safe. */
int carom_inbox_offer(struct carom_inbox *inbox, struct carom_inbox_entry *message);
/* Rouse the consumer without a message: true when it sleeps and this caller must wake it. When it
 * is awake, its next attempt to sleep fails once, so whatever was stored before this call is seen
 * by the turn that follows. Async-signal-safe. */
bool carom_inbox_rouse(struct carom_inbox *inbox);

/* Private: take out what is there. */
struct carom_inbox_entry *carom_inbox_take_all(struct carom_inbox *inbox);

/* Consumer: all messages, oldest first; NULL when empty. One atomic load when empty: relaxed,
 * because a message that is missed now is seen by carom_inbox_sleep. */
static inline struct carom_inbox_entry *carom_inbox_take(struct carom_inbox *inbox)
{
    if (atomic_load_explicit(&inbox->last, memory_order_relaxed) == NULL)
        return NULL;
    return carom_inbox_take_all(inbox);
}

/* Consumer: close the inbox to further messages, and return those that are in it, oldest first. */
struct carom_inbox_entry *carom_inbox_close(struct carom_inbox *inbox);

/* Consumer: announce sleep; false when there are messages, or it was roused since it awoke, and it
 * must not sleep: then it is awake, as after carom_inbox_awake. */
bool carom_inbox_sleep(struct carom_inbox *inbox);
/* Consumer: awake again. */
void carom_inbox_awake(struct carom_inbox *inbox);

#endif
