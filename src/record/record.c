/* A record from the time when it is taken: handed to the handler, cancelled or sent, released,
 * recycled. */
#include "record/record.h"

#include <stddef.h>
#include <string.h>

#include "record/waker.h"

/* A streamed response has about as many on their way: head, lines and pieces of chunks. */
#define SEGMENTS_PER_RECORD 8

static const uint8_t request_moves[] = {
    [CAROM_REQUEST_HEAD] = CAROM_TO(CAROM_REQUEST_CONTENT) | CAROM_TO(CAROM_REQUEST_WHOLE) |
                           CAROM_TO(CAROM_REQUEST_DROPPED),
    [CAROM_REQUEST_CONTENT] = CAROM_TO(CAROM_REQUEST_WHOLE) | CAROM_TO(CAROM_REQUEST_DROPPED),
    /* An upgrade begins a second content: the raw stream. */
    [CAROM_REQUEST_WHOLE] = CAROM_TO(CAROM_REQUEST_CONTENT),
    [CAROM_REQUEST_DROPPED] = 0,
};

static const uint8_t response_moves[] = {
    [CAROM_RESPONSE_OPEN] = CAROM_TO(CAROM_RESPONSE_BEGUN) | CAROM_TO(CAROM_RESPONSE_WHOLE) |
                            CAROM_TO(CAROM_RESPONSE_CANCELLED),
    [CAROM_RESPONSE_BEGUN] = CAROM_TO(CAROM_RESPONSE_WHOLE) | CAROM_TO(CAROM_RESPONSE_CANCELLED),
    [CAROM_RESPONSE_WHOLE] = CAROM_TO(CAROM_RESPONSE_SENT) | CAROM_TO(CAROM_RESPONSE_CANCELLED),
    [CAROM_RESPONSE_SENT] = 0,
    [CAROM_RESPONSE_CANCELLED] = 0,
};

carom_mark_states("request", request_moves);
carom_mark_states("response", response_moves);

void carom_request_move(carom_record *record, enum carom_request_state to)
{
    carom_state_move(request_moves, &record->request, (uint8_t)to);
}

void carom_response_move(carom_record *record, enum carom_response_state to)
{
    carom_state_move(response_moves, &record->response, (uint8_t)to);
}

/* Bytes behind the handler's own memory, by which it is seen that the handler wrote beyond that.
 * The address sanitizer sees it by itself, and needs none. */
#ifdef CAROM_POISONS
enum { GUARD = 0 };
#else
enum { GUARD = 8 };
#endif
static const char guard[] = "is mine!";

static void set_guard(carom_record *record)
{
    memcpy((char *)record->state + record->records->state_size, guard, GUARD);
}

static bool guard_is_whole(const carom_record *record)
{
    uint32_t size = record->records->state_size;
    return size == 0 || memcmp((const char *)record->state + size, guard, GUARD) == 0;
}

/* What lies in the pool can be asked whether somebody holds it. */
static int record_made(struct carom_pool *pool, void *object)
{
    carom_record *record = object;
    record->records = carom_container(pool, struct carom_records, pool);
    record->holds = 0;
    carom_fields_init(&record->head.fields, &record->records->tables, record->records->max_fields);
    carom_fields_init(&record->trailers, &record->records->tables, record->records->max_fields);
    record->life = carom_life_take(&record->records->lives, record->records, record);
    return record->life == NULL ? -CAROM_ENOMEM : 0;
}

static void record_unmade(struct carom_pool *pool, void *object)
{
    struct carom_records *records = carom_container(pool, struct carom_records, pool);
    carom_life_give(&records->lives, ((carom_record *)object)->life);
}

void carom_records_init(struct carom_records *records, const carom_options *options,
                        uint32_t page_size, uint64_t now)
{
    memset(records, 0, sizeof *records);
    uint32_t floor = options->pool_floor;
    carom_pool_init(&records->pool, sizeof(carom_record) + options->record_state + GUARD, floor);
    records->pool.kept = offsetof(carom_record, ops);
    records->pool.made = record_made;
    records->pool.unmade = record_unmade;
    carom_pool_init(&records->segments, sizeof(struct carom_segment), floor * SEGMENTS_PER_RECORD);
    carom_pool_init(&records->tables, options->max_fields * sizeof(struct carom_field_span), floor);
    carom_pages_init(&records->pages, page_size, floor);
    carom_arena_init(&records->outgoing, &records->pages);
    carom_wheel_init(&records->wheel, now);
    carom_node_init(&records->ready);
    carom_inbox_init(&records->inbox);
    records->state_size = options->record_state;
    records->max_fields = options->max_fields;
    records->write_buffer = options->write_buffer;
    records->max_response_head = options->max_response_head;
    records->now = now;
}

void carom_records_finish(struct carom_records *records)
{
    carom_inbox_finish(&records->inbox);
    carom_arena_finish(&records->outgoing);
    carom_pool_finish(&records->pool);
    carom_lives_finish(&records->lives);
    carom_pool_finish(&records->segments);
    carom_pool_finish(&records->tables);
    carom_pages_finish(&records->pages);
}

void carom_records_work(struct carom_records *records)
{
    if (!records->in_turn && carom_inbox_rouse(&records->inbox))
        records->rouse(records);
}

uint64_t carom_records_now(struct carom_records *records)
{
    if (!records->in_turn)
        records->read_clock(records);
    return records->now;
}

#define WAS_RELEASED "the record was released"

int carom_record_refuses(const carom_record *record, const char *call)
{
    if (record == NULL)
        return -CAROM_EINVAL;
    if (carom_record_is_held(record))
        carom_misused(call, "this is not the thread of the record's worker");
#ifdef CAROM_EXPENSIVE_CHECKS
    carom_misused(call, WAS_RELEASED);
#else
    return -CAROM_ESTATE;
#endif
}

static void handler_is_late(struct carom_timer *timer);

carom_record *carom_record_take(struct carom_records *records, const struct carom_exchange_ops *ops,
                                void *exchange)
{
    carom_record *record = carom_pool_take(&records->pool);
    if (record == NULL)
        return NULL;
    /* All but the handler's state and the spans, which are written before they are read, and the
     * field tables, which are as they were made whenever the record lies in its pool. */
    carom_node_init(&record->link);
    record->ops = ops;
    record->exchange = exchange;
    record->holds = CAROM_HOLD_EXCHANGE;
    memset(&record->request, 0, offsetof(carom_record, head) - offsetof(carom_record, request));
    memset(&record->head.content_length, 0,
           sizeof record->head - offsetof(struct carom_request_head, content_length));
    memset(&record->content, 0, offsetof(carom_record, deadline) - offsetof(carom_record, content));
    carom_timer_init(&record->deadline, handler_is_late);
    return record;
}

static void drop_output(carom_record *record)
{
    struct carom_pool *segments = &record->records->segments;
    carom_queue_clear(&record->out, segments);
    carom_queue_clear(&record->body, segments);
    carom_queue_clear(&record->tail, segments);
}

/* The handler's own memory is so no more, though the response may be on its way for long. */
static void poison_state(carom_record *record)
{
#ifdef CAROM_EXPENSIVE_CHECKS
    memset(record->state, 0xd5, record->records->state_size);
#endif
    carom_poison(record->state, record->records->state_size);
}

/* Whoever still looks at it shall see that it is nothing. */
static void poison(carom_record *record)
{
    carom_unpoison(record->state, record->records->state_size);
#ifdef CAROM_EXPENSIVE_CHECKS
    struct carom_records *records = record->records;
    memset(&record->ops, 0xd5, records->pool.object_size - offsetof(carom_record, ops));
    carom_fields_init(&record->head.fields, &records->tables, records->max_fields);
    carom_fields_init(&record->trailers, &records->tables, records->max_fields);
#endif
}

static void recycle(carom_record *record)
{
    struct carom_records *records = record->records;
    carom_timer_disarm(&records->wheel, &record->deadline);
    carom_queue_clear(&record->content, &records->segments);
    drop_output(record);
    carom_fields_clear(&record->head.fields);
    carom_fields_clear(&record->trailers);
    record->ops->recycled(record);
    poison(record);
    carom_pool_give(&records->pool, record);
}

void carom_record_content_dropped(carom_record *record)
{
    carom_request_move(record, CAROM_REQUEST_DROPPED);
    record->collecting = false;
    record->wanted = false;
    carom_waker_ready(record, CAROM_READABLE, -CAROM_ECANCELED);
}

void carom_record_drop(carom_record *record, enum carom_hold hold)
{
    carom_assert(record->holds & hold);
    if (hold == CAROM_HOLD_EXCHANGE && record->request < CAROM_REQUEST_WHOLE)
        carom_record_content_dropped(record);
    unsigned ends = hold == CAROM_HOLD_HANDLER ? CAROM_HOLD_HANDLER | CAROM_HOLD_TAKEN : hold;
    /* Others look at it in carom_post, while they keep the handler's hold. */
    __atomic_store_n(&record->holds, record->holds & (uint8_t)~ends, __ATOMIC_RELAXED);
    CAROM_MARK_IF(record->holds == CAROM_HOLD_EXCHANGE, "holds: released before the end");
    CAROM_MARK_IF(record->holds == CAROM_HOLD_HANDLER, "holds: the record outlives its exchange");
    if (record->holds == 0)
        recycle(record);
}

void carom_record_hand_over(carom_record *record)
{
    record->holds |= CAROM_HOLD_HANDLER;
    record->life->generation++;
    record->life->since = record->records->now;
    if (record->records->state_size > 0) {
        memset(record->state, 0, record->records->state_size);
        set_guard(record);
    }
}

void carom_record_set_reason(carom_record *record, carom_reason reason)
{
    if (record->reason != CAROM_REASON_NONE)
        return;
    struct carom_records *records = record->records;
    record->reason = (uint8_t)reason;
    records->ended[reason]++;
    if (reason >= CAROM_REASON_HEADER_TIMEOUT && reason <= CAROM_REASON_HANDLER_TIMEOUT)
        records->timeouts++;
    if (reason != CAROM_REASON_COMPLETE && (record->holds & CAROM_HOLD_HANDLER))
        records->cancellations++;
}

/* ---------------------------------------------------------------- what is joined to it */

void carom_record_join(carom_record *record, struct carom_joined *joined)
{
    joined->next = record->joined;
    joined->from = &record->joined;
    if (joined->next != NULL)
        joined->next->from = &joined->next;
    record->joined = joined;
}

void carom_joined_leave(struct carom_joined *joined)
{
    if (joined->from == NULL)
        return;
    *joined->from = joined->next;
    if (joined->next != NULL)
        joined->next->from = joined->from;
    joined->from = NULL;
}

static void release_joined(carom_record *record)
{
    while (record->joined != NULL) {
        struct carom_joined *joined = record->joined;
        joined->released(joined);
        carom_assert(joined->from == NULL);
    }
}

/* ---------------------------------------------------------------- its end */

/* Everybody who waits learns that the exchange is over. */
static void wake_all(carom_record *record)
{
    carom_waker_ready(record, CAROM_DRAINING, -CAROM_ECANCELED);
    carom_waker_ready(record, CAROM_READABLE, -CAROM_ECANCELED);
    carom_waker_ready(record, CAROM_WRITABLE, -CAROM_ECANCELED);
    carom_waker_ready(record, CAROM_ENDED, 0);
    carom_waker_ready(record, CAROM_CANCELLED, 0);
    carom_waker_ready(record, CAROM_WAIT_TIMER, -CAROM_ECANCELED);
    for (struct carom_joined *joined = record->joined; joined != NULL; joined = joined->next)
        joined->over(joined);
}

void carom_records_drain(struct carom_records *records)
{
    struct carom_life_cursor cursor = {0};
    carom_record *record;
    records->draining = true;
    while ((record = carom_lives_next(&records->lives, &cursor)) != NULL)
        carom_waker_ready(record, CAROM_DRAINING, 0);
}

/* What the reader looks at stays until it reads on or releases. */
static void drop_content(carom_record *record)
{
    record->collecting = false;
    if (record->handed == 0)
        carom_queue_clear(&record->content, &record->records->segments);
}

void carom_record_cancel(carom_record *record, carom_reason reason)
{
    if (record->response >= CAROM_RESPONSE_SENT)
        return;
    carom_record_set_reason(record, reason);
    carom_response_move(record, CAROM_RESPONSE_CANCELLED);
    carom_timer_disarm(&record->records->wheel, &record->deadline);
    drop_output(record);
    drop_content(record);
    wake_all(record);
}

void carom_record_refuse(carom_record *record, carom_reason reason, uint16_t status)
{
    carom_assert(record->response == CAROM_RESPONSE_OPEN);
    carom_record_set_reason(record, reason);
    record->refused = status;
    carom_timer_disarm(&record->records->wheel, &record->deadline);
    drop_content(record);
    wake_all(record);
}

void carom_record_sent(carom_record *record)
{
    carom_response_move(record, CAROM_RESPONSE_SENT);
    record->content_sent = record->content_framed;
    carom_record_set_reason(record, CAROM_REASON_COMPLETE);
    carom_waker_ready(record, CAROM_DRAINING, -CAROM_ECANCELED);
    carom_waker_ready(record, CAROM_ENDED, 0);
    carom_waker_ready(record, CAROM_WRITABLE, -CAROM_ECANCELED);
    carom_waker_disarm(record, CAROM_CANCELLED);
}

void carom_record_content_added(carom_record *record)
{
    if (record->collecting) {
        if (record->content.length <= record->collect_limit)
            return;
        record->collecting = false;
        record->wanted = false;
        carom_waker_ready(record, CAROM_READABLE, -CAROM_ETOOBIG);
    } else {
        record->wanted = false;
        carom_waker_ready(record, CAROM_READABLE, 0);
    }
}

void carom_record_content_whole(carom_record *record)
{
    carom_request_move(record, CAROM_REQUEST_WHOLE);
    record->wanted = false;
    record->collecting = false;
    carom_waker_ready(record, CAROM_READABLE, 0);
}

uint64_t carom_record_unsent(const carom_record *record)
{
    uint64_t unsent = record->body.length;
    if (record->holds & CAROM_HOLD_EXCHANGE)
        unsent += record->ops->unsent(record);
    return unsent;
}

void carom_record_wake_writer(carom_record *record)
{
    if (record->wakers[CAROM_WRITABLE] != NULL &&
        carom_record_unsent(record) <= record->records->write_buffer / 2)
        carom_waker_ready(record, CAROM_WRITABLE, 0);
}

static void handler_is_late(struct carom_timer *timer)
{
    carom_record *record = carom_container(timer, carom_record, deadline);
    if (record->response != CAROM_RESPONSE_OPEN)
        return;
    carom_record_refuse(record, CAROM_REASON_HANDLER_TIMEOUT, 503);
    record->ops->changed(record);
}

void *carom_record_state(carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return NULL;
    return record->records->state_size > 0 ? record->state : NULL;
}

bool carom_record_draining(const carom_record *record)
{
    return carom_record_tells(record, __func__) && record->records->draining;
}

carom_outcome carom_record_outcome(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return (carom_outcome){CAROM_REASON_NONE, 0, 0};
    uint64_t sent = record->content_sent;
    if (record->response < CAROM_RESPONSE_SENT && (record->holds & CAROM_HOLD_EXCHANGE)) {
        uint64_t unreceived = record->ops->unreceived(record);
        sent = record->content_framed > unreceived ? record->content_framed - unreceived : 0;
    }
    return (carom_outcome){(carom_reason)record->reason, record->content_received, sent};
}

void carom_cancel(carom_record *record)
{
    if (carom_record_check(record, __func__) < 0 || record->response >= CAROM_RESPONSE_SENT ||
        carom_record_over(record))
        return;
    carom_record_cancel(record, CAROM_REASON_CANCELED);
    record->ops->changed(record);
}

/* Nothing of the handler's waits on it any more, and what it has read is done with. */
static void let_go_of_handler(carom_record *record)
{
    if (record->waits != 0)
        for (unsigned place = 0; place < CAROM_WAIT_COUNT; place++)
            carom_waker_disarm(record, place);
    release_joined(record);
    if (record->handed > 0)
        carom_queue_consume(&record->content, &record->records->segments, record->handed);
    record->handed = 0;
    record->collecting = false;
    record->wanted = false;
}

void carom_record_take_over(carom_record *record)
{
    record->life->generation++; /* references lead to nothing */
    record->holds |= CAROM_HOLD_TAKEN;
    let_go_of_handler(record);
    poison_state(record);
}

void carom_release(carom_record *record)
{
    if (record == NULL)
        return;
    if (carom_record_check(record, __func__) < 0) /* the next time it would be another's */
        carom_misused(__func__, WAS_RELEASED);
    if (carom_unlikely(!guard_is_whole(record)))
        carom_misused(__func__, "the handler has written behind its options.record_state bytes");
    record->life->generation++;
    carom_record_let_go(record);
}

void carom_record_let_go(carom_record *record)
{
    let_go_of_handler(record);
    carom_queue_clear(&record->content, &record->records->segments);
    if (record->holds & CAROM_HOLD_EXCHANGE) {
        if (record->response == CAROM_RESPONSE_OPEN && !record->refused) {
            CAROM_MARK("released unanswered");
            /* Who made no tunnel of a CONNECT need not know of it (RFC 9110, 9.3.6). */
            bool tunnel = record->head.is_connect && record->head.protocol.length == 0;
            if (record->refusal != 0)
                carom_record_refuse(record, record->refusal_reason, record->refusal);
            else
                carom_record_refuse(record, CAROM_REASON_ABANDONED, tunnel ? 405 : 500);
            record->ops->changed(record);
        } else if (record->response == CAROM_RESPONSE_BEGUN) {
            CAROM_MARK("released while streaming");
            carom_record_cancel(record, CAROM_REASON_ABANDONED);
            record->ops->changed(record);
        }
        record->ops->released(record);
    }
    if ((record->holds & CAROM_HOLD_TAKEN) == 0) /* or it was poisoned then */
        poison_state(record);
    carom_record_drop(record, CAROM_HOLD_HANDLER);
}

/* ---------------------------------------------------------------- references */

carom_ref carom_record_ref(carom_record *record)
{
    if (carom_record_check(record, __func__) < 0)
        return (carom_ref){NULL, 0};
    return (carom_ref){record->life, record->life->generation};
}

carom_record *carom_record_get(carom_ref ref)
{
    struct carom_life *life = ref.life;
    if (life == NULL)
        return NULL;
    if (!pthread_equal(life->records->thread, pthread_self()))
        carom_misused(__func__, "this is not the thread of the record's worker");
    return life->generation == ref.generation ? life->object : NULL;
}
