/* Wakers: how they wait, become ready and fire; and the public calls by which a handler waits. */
#include "record/waker.h"

#include <stddef.h>

static struct carom_waiting *waiting_of(carom_waker *waker)
{
    return (struct carom_waiting *)(void *)waker->reserved;
}

static carom_waker *waker_of(struct carom_timer *timer)
{
    return carom_container(timer, carom_waker, reserved);
}

/* This caller, and no other, may put it into an inbox. */
static int claim(carom_waker *waker)
{
    if (!carom_waker_is_set(waker))
        return -CAROM_EINVAL;
    unsigned char idle = CAROM_WAKER_IDLE;
    return atomic_compare_exchange_strong_explicit(&waiting_of(waker)->state, &idle,
                                                   CAROM_WAKER_POSTED, memory_order_acquire,
                                                   memory_order_relaxed)
               ? 0
               : -CAROM_ESTATE;
}

/* Plain stores and loads on the worker's thread. */
static void set_state(struct carom_waiting *waiting, enum carom_waker_state state)
{
    atomic_store_explicit(&waiting->state, (unsigned char)state, memory_order_relaxed);
}

static bool is_in(struct carom_waiting *waiting, enum carom_waker_state state)
{
    return atomic_load_explicit(&waiting->state, memory_order_relaxed) == state;
}

/* Release: whoever posts it from now on finds that we have done with it. */
static void set_idle(struct carom_waiting *waiting)
{
    atomic_store_explicit(&waiting->state, CAROM_WAKER_IDLE, memory_order_release);
}

static void make_ready(struct carom_records *records, struct carom_waiting *waiting, int status)
{
    waiting->status = status;
    set_state(waiting, CAROM_WAKER_READY);
    carom_list_append(&records->ready, &waiting->timer.node);
    carom_records_work(records);
}

/* Its place is free again. */
static void leave_place(carom_record *record, unsigned place)
{
    record->wakers[place] = NULL;
    record->waits &= (uint8_t) ~(1u << place);
}

void carom_waker_make_ready(carom_record *record, unsigned place, int status)
{
    struct carom_waiting *waiting = waiting_of(record->wakers[place]);
    if (!is_in(waiting, CAROM_WAKER_WAITING))
        return;
    carom_timer_disarm(&record->records->wheel, &waiting->timer);
    make_ready(record->records, waiting, status);
}

void carom_waker_ready_alone(struct carom_records *records, carom_waker *waker, int status)
{
    struct carom_waiting *waiting = waiting_of(waker);
    carom_timer_init(&waiting->timer, NULL);
    waiting->record = NULL;
    make_ready(records, waiting, status);
}

void carom_waker_ready_once(struct carom_records *records, carom_waker *waker)
{
    if (!is_in(waiting_of(waker), CAROM_WAKER_READY))
        carom_waker_ready_alone(records, waker, 0);
}

void carom_waker_withdraw(struct carom_records *records, carom_waker *waker)
{
    struct carom_waiting *waiting = waiting_of(waker);
    bool ready = is_in(waiting, CAROM_WAKER_READY) && waiting->record == NULL;
    if (!ready && !is_in(waiting, CAROM_WAKER_TIMED))
        return;
    carom_timer_disarm(&records->wheel, &waiting->timer);
    carom_node_remove(&waiting->timer.node);
    set_idle(waiting);
}

void carom_waker_take_out(carom_record *record, unsigned place)
{
    struct carom_waiting *waiting = waiting_of(record->wakers[place]);
    carom_timer_disarm(&record->records->wheel, &waiting->timer);
    carom_node_remove(&waiting->timer.node);
    set_idle(waiting);
    leave_place(record, place);
}

void carom_wakers_take_posted(struct carom_records *records)
{
    struct carom_inbox_entry *message = carom_inbox_take(&records->inbox);
    while (message != NULL) {
        struct carom_inbox_entry *next = message->next;
        struct carom_timer *timer = carom_container(message, struct carom_timer, node);
        carom_waker_ready_alone(records, waker_of(timer), 0);
        message = next;
    }
}

bool carom_wakers_pass(struct carom_records *records)
{
    if (carom_node_alone(&records->ready))
        return false;
    /* Taken as a list of its own, from which a release may still remove its wakers. */
    struct carom_node pass;
    carom_node_init(&pass);
    carom_list_splice(&pass, &records->ready);
    struct carom_node *node;
    while ((node = carom_list_take(&pass)) != NULL) {
        struct carom_timer *timer = carom_container(node, struct carom_timer, node);
        carom_waker *waker = waker_of(timer);
        struct carom_waiting *waiting = waiting_of(waker);
        int status = waiting->status;
        if (waiting->record != NULL)
            leave_place(waiting->record, waiting->place);
        set_idle(waiting);
        waker->wake(waker, status);
    }
    return true;
}

int carom_waker_wait(carom_record *record, unsigned place, carom_waker *waker)
{
    if (!carom_waker_is_set(waker))
        return -CAROM_EINVAL;
    struct carom_waiting *waiting = waiting_of(waker);
    if (record->wakers[place] != NULL || !is_in(waiting, CAROM_WAKER_IDLE))
        return -CAROM_ESTATE;
    carom_timer_init(&waiting->timer, NULL);
    waiting->record = record;
    waiting->place = (uint8_t)place;
    set_state(waiting, CAROM_WAKER_WAITING);
    record->wakers[place] = waker;
    record->waits |= (uint8_t)(1u << place);
    return 0;
}

/* Whether an edge is there already, and with which status. */
static bool edge_now(carom_record *record, carom_edge edge, int *status)
{
    bool over = carom_record_over(record);
    bool answered = record->response >= CAROM_RESPONSE_SENT;
    bool unread = record->content.length > record->handed;
    *status = 0;
    switch (edge) {
    case CAROM_READABLE:
        if (over || (!unread && record->request == CAROM_REQUEST_DROPPED))
            *status = -CAROM_ECANCELED;
        return over || unread || record->request != CAROM_REQUEST_CONTENT;
    case CAROM_WRITABLE:
        *status = over || answered ? -CAROM_ECANCELED : 0;
        return over || answered || carom_record_unsent(record) < record->records->write_buffer;
    case CAROM_ENDED:
        return over || answered;
    case CAROM_DRAINING:
        if (over || answered)
            *status = -CAROM_ECANCELED;
        return over || answered || record->records->draining;
    default:
        return over;
    }
}

int carom_wait(carom_record *record, carom_edge edge, carom_waker *waker)
{
    int error = carom_record_check(record, __func__);
    if (error == 0 && (unsigned)edge >= CAROM_EDGE_COUNT)
        error = -CAROM_EINVAL;
    return error < 0 ? error : carom_record_wait(record, edge, waker);
}

int carom_record_wait(carom_record *record, carom_edge edge, carom_waker *waker)
{
    int error = carom_waker_wait(record, edge, waker);
    if (error < 0)
        return error;
    int status;
    if (edge_now(record, edge, &status)) {
        carom_waker_ready(record, edge, status);
    } else if (edge == CAROM_READABLE) {
        record->wanted = true;
        record->ops->want(record);
    }
    return 0;
}

static void time_has_come(struct carom_timer *timer)
{
    struct carom_waiting *waiting = waiting_of(waker_of(timer));
    carom_waker_ready(waiting->record, CAROM_WAIT_TIMER, 0);
}

/* The clock was read at the turn's start, rounded down: one more, so that it is never early. */
static void arm(struct carom_records *records, struct carom_waiting *waiting, uint32_t milliseconds)
{
    uint64_t now = carom_records_now(records);
    carom_timer_arm(&records->wheel, &waiting->timer, now + milliseconds + 1);
    carom_records_work(records);
}

int carom_wait_time(carom_record *record, uint32_t milliseconds, carom_waker *waker)
{
    int error = carom_record_check(record, __func__);
    if (error == 0)
        error = carom_waker_wait(record, CAROM_WAIT_TIMER, waker);
    if (error < 0)
        return error;
    if (carom_record_over(record)) {
        carom_waker_ready(record, CAROM_WAIT_TIMER, -CAROM_ECANCELED);
        return 0;
    }
    waiting_of(waker)->timer.fire = time_has_come;
    arm(record->records, waiting_of(waker), milliseconds);
    return 0;
}

static void time_has_come_alone(struct carom_timer *timer)
{
    carom_waker *waker = waker_of(timer);
    carom_waker_ready_alone(waiting_of(waker)->records, waker, 0);
}

int carom_waker_wait_time(struct carom_records *records, uint32_t milliseconds, carom_waker *waker)
{
    if (!carom_waker_is_set(waker))
        return -CAROM_EINVAL;
    struct carom_waiting *waiting = waiting_of(waker);
    if (!is_in(waiting, CAROM_WAKER_IDLE))
        return -CAROM_ESTATE;
    carom_timer_init(&waiting->timer, time_has_come_alone);
    waiting->records = records;
    set_state(waiting, CAROM_WAKER_TIMED);
    arm(records, waiting, milliseconds);
    return 0;
}

void carom_wakers_cancel(struct carom_records *records)
{
    struct carom_inbox_entry *message = carom_inbox_close(&records->inbox);
    while (message != NULL) {
        struct carom_inbox_entry *next = message->next;
        struct carom_timer *timer = carom_container(message, struct carom_timer, node);
        carom_waker_ready_alone(records, waker_of(timer), -CAROM_ECANCELED);
        message = next;
    }
    struct carom_node timers, *node;
    carom_node_init(&timers);
    carom_wheel_take_all(&records->wheel, time_has_come_alone, &timers);
    while ((node = carom_list_take(&timers)) != NULL) {
        struct carom_timer *timer = carom_container(node, struct carom_timer, node);
        carom_waker_ready_alone(records, waker_of(timer), -CAROM_ECANCELED);
    }
}

/* Nobody waits for content any more: none comes, and its time stands still. */
static void stop_wanting(carom_record *record)
{
    record->collecting = record->wanted = false;
    if (record->holds & CAROM_HOLD_EXCHANGE)
        record->ops->want(record);
}

void carom_unwait(carom_record *record, carom_waker *waker)
{
    if (waker != NULL && carom_record_check(record, __func__) == 0)
        carom_record_unwait(record, waker);
}

void carom_record_unwait(carom_record *record, carom_waker *waker)
{
    for (unsigned place = 0; place < CAROM_WAIT_COUNT; place++)
        if (record->wakers[place] == waker) {
            carom_waker_disarm(record, place);
            if (place == CAROM_READABLE)
                stop_wanting(record);
        }
}

int carom_waker_post(struct carom_records *records, carom_waker *waker)
{
    int error = claim(waker);
    if (error < 0)
        return error;
    struct carom_inbox *inbox = &records->inbox;
    carom_inbox_enter(inbox);
    int wake = carom_inbox_offer(inbox, &waiting_of(waker)->message);
    if (wake > 0)
        records->rouse(records);
    carom_inbox_leave(inbox);
    if (wake >= 0)
        return 0;
    set_idle(waiting_of(waker));
    return -CAROM_ESTATE;
}

int carom_post(carom_record *record, carom_waker *waker)
{
    /* This may be any thread. Of the record only what never changes is read, and whether the
     * handler holds it: who posts sees to it that this does not change, either. */
    if (record == NULL)
        return -CAROM_EINVAL;
    if ((__atomic_load_n(&record->holds, __ATOMIC_RELAXED) &
         (CAROM_HOLD_HANDLER | CAROM_HOLD_TAKEN)) != CAROM_HOLD_HANDLER)
        return carom_record_refuses(record, __func__);
    struct carom_records *records = record->records;
    int error = claim(waker);
    if (error < 0)
        return error;
    carom_inbox_enter(&records->inbox);
    if (carom_inbox_post(&records->inbox, &waiting_of(waker)->message))
        records->rouse(records);
    carom_inbox_leave(&records->inbox);
    return 0;
}
