/* A record whose handler and exchange are the test itself: it counts what the record asks of its
 * exchange, and tells the record what an exchange would. */
#ifndef CAROM_TEST_UNIT_RECORD_SUPPORT_H
#define CAROM_TEST_UNIT_RECORD_SUPPORT_H

#include <string.h>

#include "unit/base/support.h"

#include "base/memory.h"
#include "record/waker.h"

#define WRITE_BUFFER 1000
#define STATE_SIZE   24

static struct carom_records records;
static uint64_t held_before; /* memory */
static uint64_t clock_now;   /* what the records' clock says when it is read */

/* What was asked of the exchange. */
static struct exchange {
    int changed, wants, rests, released, recycled, rouses, clock_reads;
    uint64_t unsent, unreceived;
} exchange;

static inline void exchange_changed(carom_record *record)
{
    assert_true(record->holds & CAROM_HOLD_EXCHANGE);
    exchange.changed++;
}

static inline void exchange_want(carom_record *record)
{
    assert_true(record->holds & CAROM_HOLD_EXCHANGE);
    if (record->wanted)
        exchange.wants++;
    else
        exchange.rests++;
}

static inline uint64_t exchange_unsent(const carom_record *record)
{
    assert_true(record->holds & CAROM_HOLD_EXCHANGE);
    return exchange.unsent;
}

static inline uint64_t exchange_unreceived(const carom_record *record)
{
    assert_true(record->holds & CAROM_HOLD_EXCHANGE);
    return exchange.unreceived;
}

static inline void exchange_released(carom_record *record)
{
    assert_true(record->holds & CAROM_HOLD_EXCHANGE);
    exchange.released++;
}

static inline void exchange_recycled(carom_record *record)
{
    assert_int_equal(record->holds, 0);
    exchange.recycled++;
}

static const struct carom_exchange_ops exchange_ops = {
    .changed = exchange_changed,
    .want = exchange_want,
    .unsent = exchange_unsent,
    .unreceived = exchange_unreceived,
    .released = exchange_released,
    .recycled = exchange_recycled,
};

static inline void rouse(struct carom_records *of)
{
    assert_ptr_equal(of, &records);
    exchange.rouses++;
}

static inline void read_clock(struct carom_records *of)
{
    exchange.clock_reads++;
    of->now = clock_now;
}

static inline int begin(void **state)
{
    (void)state;
    carom_options options = CAROM_OPTIONS_INIT;
    options.pool_floor = 2;
    options.record_state = STATE_SIZE;
    options.max_fields = 20;
    options.write_buffer = WRITE_BUFFER;
    exchange = (struct exchange){0};
    held_before = carom_memory_held();
    clock_now = 1000;
    carom_records_init(&records, &options, CAROM_PAGE_SIZE, clock_now);
    records.rouse = rouse;
    records.read_clock = read_clock;
    records.thread = pthread_self();
    records.in_turn = true;
    return 0;
}

/* Everything must be back. What a test that failed has left is no matter to the next one. */
static inline int end(void **state)
{
    (void)state;
    if (records.pool.in_use + records.segments.in_use + records.tables.in_use > 0)
        return -1;
    carom_records_finish(&records);
    return carom_memory_held() == held_before ? 0 : -1;
}

/* A record whose head was read and that the handler has, with content to come. */
static inline carom_record *take(void)
{
    carom_record *record = carom_record_take(&records, &exchange_ops, NULL);
    assert_non_null(record);
    carom_request_move(record, CAROM_REQUEST_CONTENT);
    record->head.framing = CAROM_FRAMING_CHUNKED;
    carom_record_hand_over(record);
    return record;
}

/* The exchange ends as after a response that was sent. */
static inline void leave(carom_record *record)
{
    carom_record_drop(record, CAROM_HOLD_EXCHANGE);
}

/* Let the handler go, then the exchange. */
static inline void finish(carom_record *record)
{
    carom_release(record);
    leave(record);
}

/* Bytes that know how often they were given back. */
struct lent {
    char bytes[8];
    int given_back;
};

static inline void take_back(void *owner)
{
    ((struct lent *)owner)->given_back++;
}

static inline void lend(struct carom_queue *queue, struct lent *lent, size_t length)
{
    *lent = (struct lent){"content", 0};
    assert_int_equal(
        carom_queue_append_borrowed(queue, &records.segments, lent->bytes, length, take_back, lent),
        0);
}

/* Content arrives as the exchange puts it in. */
static inline void add_content(carom_record *record, struct lent *lent, size_t length)
{
    lend(&record->content, lent, length);
    carom_record_content_added(record);
}

/* Who waits. */
struct waiter {
    carom_waker waker;
    int fired, status;
    int place; /* in the order of firing */
    void (*then)(struct waiter *waiter);
    carom_record *record;
};

static int fired_last;

static inline void waiter_fired(carom_waker *waker, int status)
{
    struct waiter *waiter = carom_container(waker, struct waiter, waker);
    waiter->fired++;
    waiter->status = status;
    waiter->place = ++fired_last;
    if (waiter->then != NULL)
        waiter->then(waiter);
}

#define WAITER                                                                                     \
    {                                                                                              \
        .waker.wake = waiter_fired                                                                 \
    }

/* All that is ready, and what becomes so meanwhile, fires. */
static inline void pass(void)
{
    while (carom_wakers_pass(&records))
        ;
}

#define assert_fired(waiter, times, with)                                                          \
    do {                                                                                           \
        assert_int_equal((waiter).fired, times);                                                   \
        assert_int_equal((waiter).status, with);                                                   \
    } while (0)

#endif
