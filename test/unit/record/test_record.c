/* The record's life: holds, reasons, cancel, refuse, sent, release, and what is freed when. */
#include "unit/record/support.h"

#include <arpa/inet.h>

/* ---------------------------------------------------------------- content that was handed out */

static void cancel(carom_record *record)
{
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
}

static void cancel_by_handler(carom_record *record)
{
    carom_cancel(record);
}

static void refuse(carom_record *record)
{
    carom_record_refuse(record, CAROM_REASON_HANDLER_TIMEOUT, 503);
}

static void (*const ends[])(carom_record *) = {cancel, cancel_by_handler, refuse};

/* carom_request_read: a piece is valid until the next read or the release. */
static void a_piece_stays_until_it_is_read_on_or_released(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++)
        for (int released = 0; released < 2; released++) {
            carom_record *record = take();
            struct lent first, second;
            carom_slice piece;
            add_content(record, &first, 3);
            add_content(record, &second, 4);
            assert_int_equal(carom_request_read(record, &piece), 1);
            assert_ptr_equal(piece.data, first.bytes);
            assert_int_equal(piece.length, 3);
            ends[i](record);
            assert_int_equal(first.given_back, 0);
            if (!released) {
                assert_int_equal(carom_request_read(record, &piece), -CAROM_ECANCELED);
                assert_null(piece.data);
                assert_int_equal(piece.length, 0);
                assert_int_equal(first.given_back + second.given_back, 2);
                assert_int_equal(carom_request_buffered(record), 0);
                assert_int_equal(carom_request_read(record, &piece), -CAROM_ECANCELED);
            }
            carom_release(record);
            assert_int_equal(first.given_back, 1);
            assert_int_equal(second.given_back, 1);
            leave(record);
        }
}

static void content_that_nobody_looks_at_goes_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        carom_record *record = take();
        struct lent first, second;
        carom_slice piece;
        add_content(record, &first, 3);
        assert_int_equal(carom_request_read(record, &piece), 1);
        assert_int_equal(first.given_back, 0);
        assert_int_equal(carom_request_read(record, &piece), -CAROM_EAGAIN);
        assert_int_equal(first.given_back, 1);
        add_content(record, &second, 4);
        ends[i](record);
        assert_int_equal(second.given_back, 1);
        carom_release(record);
        leave(record);
    }
}

static void reading_goes_on_until_the_end(void **state)
{
    (void)state;
    carom_record *record = take();
    struct lent first, second;
    carom_slice piece;
    assert_int_equal(carom_request_read(record, &piece), -CAROM_EAGAIN);
    assert_int_equal(exchange.wants, 1);
    assert_true(record->wanted);
    add_content(record, &first, 3);
    assert_false(record->wanted);
    assert_int_equal(carom_request_buffered(record), 3);
    assert_int_equal(carom_request_read(record, &piece), 1);
    assert_int_equal(carom_request_buffered(record), 0);
    assert_int_equal(exchange.wants, 1);
    add_content(record, &second, 4);
    assert_int_equal(carom_request_buffered(record), 4);
    carom_record_content_whole(record);
    assert_int_equal(carom_request_read(record, &piece), 1);
    assert_int_equal(piece.length, 4);
    assert_int_equal(first.given_back, 1);
    assert_int_equal(second.given_back, 0);
    assert_int_equal(carom_request_read(record, &piece), 0);
    assert_int_equal(second.given_back, 1);
    assert_int_equal(carom_request_read(record, &piece), 0);
    assert_int_equal(exchange.wants, 1);
    carom_release(record);
    leave(record);
}

/* ---------------------------------------------------------------- reasons */

static void a_reason_is_written_once_and_counted(void **state)
{
    (void)state;
    uint64_t timeouts = 0;
    for (int reason = CAROM_REASON_NONE + 1; reason < CAROM_REASON_COUNT; reason++) {
        bool timeout = strstr(carom_reason_name((carom_reason)reason), "-timeout") != NULL;
        carom_record *record = take();
        uint64_t before = records.cancellations;
        carom_record_set_reason(record, (carom_reason)reason);
        carom_record_set_reason(record, CAROM_REASON_CLIENT_RESET);
        carom_record_set_reason(record, CAROM_REASON_COMPLETE);
        timeouts += timeout;
        assert_int_equal(record->reason, reason);
        assert_int_equal(records.timeouts, timeouts);
        assert_int_equal(records.cancellations - before, reason != CAROM_REASON_COMPLETE);
        assert_int_equal(carom_record_over(record), reason != CAROM_REASON_COMPLETE);
        carom_record_cancel(record, CAROM_REASON_CANCELED);
        assert_int_equal(record->reason, reason);
        carom_release(record);
        leave(record);
    }
    assert_true(timeouts > 0);
    assert_int_equal(records.ended[CAROM_REASON_NONE], 0);
    for (int reason = CAROM_REASON_NONE + 1; reason < CAROM_REASON_COUNT; reason++)
        assert_int_equal(records.ended[reason], 1);
}

/* Of a request whose head never came nobody was told. */
static void what_the_handler_never_had_is_no_cancellation(void **state)
{
    (void)state;
    carom_record *record = carom_record_take(&records, &exchange_ops, NULL);
    carom_record_cancel(record, CAROM_REASON_HEADER_TIMEOUT);
    assert_int_equal(records.timeouts, 1);
    assert_int_equal(records.cancellations, 0);
    leave(record);
    assert_int_equal(exchange.recycled, 1);
}

/* ---------------------------------------------------------------- what ends it */

static struct waiter waiters[CAROM_WAIT_COUNT];

static void wait_for_all(carom_record *record)
{
    exchange.unsent = WRITE_BUFFER;
    for (int edge = 0; edge < CAROM_WAIT_COUNT; edge++)
        waiters[edge] = (struct waiter)WAITER;
    for (int edge = 0; edge < CAROM_EDGE_COUNT; edge++)
        assert_int_equal(carom_wait(record, (carom_edge)edge, &waiters[edge].waker), 0);
    assert_int_equal(carom_wait_time(record, 1000, &waiters[CAROM_WAIT_TIMER].waker), 0);
    pass();
    for (int edge = 0; edge < CAROM_WAIT_COUNT; edge++)
        assert_int_equal(waiters[edge].fired, 0);
}

static void assert_all_were_told(void)
{
    pass();
    assert_fired(waiters[CAROM_READABLE], 1, -CAROM_ECANCELED);
    assert_fired(waiters[CAROM_WRITABLE], 1, -CAROM_ECANCELED);
    assert_fired(waiters[CAROM_ENDED], 1, 0);
    assert_fired(waiters[CAROM_CANCELLED], 1, 0);
    assert_fired(waiters[CAROM_DRAINING], 1, -CAROM_ECANCELED);
    assert_fired(waiters[CAROM_WAIT_TIMER], 1, -CAROM_ECANCELED);
    carom_wheel_advance(&records.wheel, clock_now + 5000);
    pass();
    assert_int_equal(waiters[CAROM_WAIT_TIMER].fired, 1);
}

static void a_cancel_tells_everybody_once_and_drops_the_output(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) { /* not a refusal */
        carom_record *record = take();
        struct lent out, body, tail;
        wait_for_all(record);
        lend(&record->out, &out, 1);
        lend(&record->body, &body, 2);
        lend(&record->tail, &tail, 3);
        carom_timer_arm(&records.wheel, &record->deadline, clock_now + 100);
        int changed = exchange.changed;
        ends[i](record);
        assert_int_equal(exchange.changed - changed, ends[i] == cancel_by_handler);
        assert_int_equal(out.given_back + body.given_back + tail.given_back, 3);
        assert_int_equal(record->response, CAROM_RESPONSE_CANCELLED);
        assert_int_equal(record->reason, ends[i] == cancel_by_handler ? CAROM_REASON_CANCELED
                                                                      : CAROM_REASON_CLIENT_RESET);
        assert_false(carom_timer_armed(&record->deadline));
        assert_all_were_told();
        changed = exchange.changed;
        carom_cancel(record);
        carom_record_cancel(record, CAROM_REASON_ABANDONED);
        pass();
        assert_int_equal(exchange.changed, changed);
        assert_int_equal(waiters[CAROM_CANCELLED].fired, 1);
        carom_release(record);
        leave(record);
    }
}

static void a_refusal_tells_everybody_and_leaves_the_response_open(void **state)
{
    (void)state;
    carom_record *record = take();
    struct lent out;
    wait_for_all(record);
    lend(&record->out, &out, 1); /* a 100 on its way */
    carom_timer_arm(&records.wheel, &record->deadline, clock_now + 100);
    refuse(record);
    assert_int_equal(record->response, CAROM_RESPONSE_OPEN);
    assert_int_equal(record->refused, 503);
    assert_int_equal(record->reason, CAROM_REASON_HANDLER_TIMEOUT);
    assert_int_equal(out.given_back, 0);
    assert_false(carom_timer_armed(&record->deadline));
    assert_all_were_told();
    carom_cancel(record); /* it is over: the engine's answer stays */
    assert_int_equal(record->response, CAROM_RESPONSE_OPEN);
    assert_int_equal(exchange.changed, 0);
    carom_release(record);
    assert_int_equal(exchange.changed, 0);
    assert_int_equal(exchange.released, 1);
    leave(record);
    assert_int_equal(out.given_back, 1);
}

/* A drain is told to who waits for it, once, and to who asks for it later; not to who is over. */
static void a_drain_is_told(void **state)
{
    (void)state;
    struct waiter waits = WAITER, late = WAITER, over = WAITER;
    carom_record *record = take(), *done = take(), *silent = take();
    assert_int_equal(carom_wait(record, CAROM_DRAINING, &waits.waker), 0);
    assert_int_equal(carom_wait(done, CAROM_DRAINING, &over.waker), 0);
    carom_record_cancel(done, CAROM_REASON_CLIENT_RESET);
    pass();
    assert_int_equal(waits.fired, 0);
    assert_fired(over, 1, -CAROM_ECANCELED);
    assert_false(carom_record_draining(record));
    carom_records_drain(&records);
    assert_int_equal(waits.fired, 0); /* never within a call */
    pass();
    assert_fired(waits, 1, 0);
    assert_int_equal(over.fired, 1);
    assert_true(carom_record_draining(silent));
    assert_int_equal(carom_wait(silent, CAROM_DRAINING, &late.waker), 0);
    pass();
    assert_fired(late, 1, 0);
    finish(record);
    finish(done);
    finish(silent);
    records.draining = false;
}

static void a_response_that_was_sent_wakes_its_writer_and_its_end(void **state)
{
    (void)state;
    carom_record *record = take();
    wait_for_all(record);
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    record->content_framed = 77;
    exchange.unsent = 3; /* the kernel has the rest, and the peer not all of that */
    exchange.unreceived = 7;
    assert_int_equal(carom_record_outcome(record).content_sent, 70);
    carom_record_sent(record);
    assert_int_equal(record->response, CAROM_RESPONSE_SENT);
    assert_int_equal(record->reason, CAROM_REASON_COMPLETE);
    assert_int_equal(carom_record_outcome(record).content_sent, 77);
    pass();
    assert_fired(waiters[CAROM_ENDED], 1, 0);
    assert_fired(waiters[CAROM_WRITABLE], 1, -CAROM_ECANCELED);
    assert_int_equal(waiters[CAROM_CANCELLED].fired, 0);
    assert_int_equal(waiters[CAROM_READABLE].fired, 0);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET); /* nothing to do any more */
    carom_cancel(record);
    pass();
    assert_int_equal(exchange.changed, 0);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_COMPLETE);
    assert_int_equal(waiters[CAROM_CANCELLED].fired, 0);
    /* Who waited for it waits no more. */
    assert_int_equal(carom_wait(record, CAROM_CANCELLED, &waiters[CAROM_ENDED].waker), 0);
    carom_unwait(record, &waiters[CAROM_ENDED].waker);
    assert_int_equal(carom_wait(record, CAROM_ENDED, &waiters[CAROM_CANCELLED].waker), 0);
    carom_unwait(record, &waiters[CAROM_CANCELLED].waker);
    leave(record); /* the rest of the content will not come */
    pass();
    assert_fired(waiters[CAROM_READABLE], 1, -CAROM_ECANCELED);
    carom_release(record);
    carom_wheel_advance(&records.wheel, clock_now + 5000);
    assert_int_equal(waiters[CAROM_WAIT_TIMER].fired, 0);
}

/* ---------------------------------------------------------------- the handler's deadline */

static void a_late_handler_is_refused(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_timer_arm(&records.wheel, &record->deadline, clock_now + 100);
    carom_wheel_advance(&records.wheel, clock_now + 99);
    assert_int_equal(exchange.changed, 0);
    carom_wheel_advance(&records.wheel, clock_now + 100);
    assert_int_equal(exchange.changed, 1);
    assert_int_equal(record->refused, 503);
    assert_int_equal(record->reason, CAROM_REASON_HANDLER_TIMEOUT);
    carom_release(record);
    leave(record);
}

static void a_handler_that_has_begun_is_not_late(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_timer_arm(&records.wheel, &record->deadline, clock_now + 100);
    carom_response_move(record, CAROM_RESPONSE_BEGUN);
    carom_wheel_advance(&records.wheel, clock_now + 100);
    assert_int_equal(exchange.changed, 0);
    assert_int_equal(record->reason, CAROM_REASON_NONE);
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    carom_release(record);
    leave(record);
}

/* ---------------------------------------------------------------- holds */

static void it_is_recycled_when_both_have_let_go(void **state)
{
    (void)state;
    for (int handler_first = 0; handler_first < 2; handler_first++) {
        exchange = (struct exchange){0};
        carom_record *record = take();
        carom_request_move(record, CAROM_REQUEST_WHOLE);
        carom_response_move(record, CAROM_RESPONSE_WHOLE);
        carom_timer_arm(&records.wheel, &record->deadline, clock_now + 100);
        if (!handler_first)
            leave(record);
        else
            carom_release(record);
        assert_int_equal(exchange.recycled, 0);
        assert_int_equal(records.pool.in_use, 1);
        if (!handler_first)
            carom_release(record);
        else
            leave(record);
        assert_int_equal(exchange.recycled, 1);
        assert_int_equal(records.pool.in_use, 0);
        assert_int_equal(exchange.released, handler_first);
        assert_int_equal(exchange.changed, 0);
        assert_int_equal(records.wheel.armed, 0);
    }
}

static void without_its_exchange_nothing_is_asked_of_it(void **state)
{
    (void)state;
    carom_record *record = take();
    struct lent body;
    carom_slice piece;
    record->content_framed = 50;
    record->content_sent = 20;
    exchange.unsent = exchange.unreceived = 60;
    assert_int_equal(carom_record_outcome(record).content_sent, 0); /* of what was framed none */
    lend(&record->body, &body, 5);
    assert_int_equal(carom_record_unsent(record), 65);
    leave(record);
    assert_int_equal(record->request, CAROM_REQUEST_DROPPED);
    assert_int_equal(carom_record_unsent(record), 5);
    assert_int_equal(carom_record_outcome(record).content_sent, 20);
    assert_int_equal(carom_request_read(record, &piece), -CAROM_ECANCELED);
    assert_int_equal(exchange.wants, 0);
    carom_release(record);
    assert_int_equal(exchange.released + exchange.changed, 0);
    assert_int_equal(body.given_back, 1);
}

static void a_release_without_a_whole_answer_is_made_good(void **state)
{
    (void)state;
    static const struct {
        uint8_t to, then, response, reason;
        uint16_t refused;
        int changed;
    } table[] = {
        {CAROM_RESPONSE_OPEN, 0, CAROM_RESPONSE_OPEN, CAROM_REASON_ABANDONED, 500, 1},
        {CAROM_RESPONSE_BEGUN, 0, CAROM_RESPONSE_CANCELLED, CAROM_REASON_ABANDONED, 0, 1},
        {CAROM_RESPONSE_WHOLE, 0, CAROM_RESPONSE_WHOLE, CAROM_REASON_NONE, 0, 0},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        exchange = (struct exchange){0};
        carom_record *record = take();
        struct lent content;
        add_content(record, &content, 3);
        record->collecting = record->wanted = true;
        if (table[i].to != CAROM_RESPONSE_OPEN)
            carom_response_move(record, (enum carom_response_state)table[i].to);
        carom_release(record);
        assert_int_equal(record->response, table[i].response);
        assert_int_equal(record->reason, table[i].reason);
        assert_int_equal(record->refused, table[i].refused);
        assert_int_equal(exchange.changed, table[i].changed);
        assert_int_equal(exchange.released, 1);
        assert_int_equal(content.given_back, 1);
        assert_false(record->collecting);
        assert_false(record->wanted);
        leave(record);
    }
}

/* What one request leaves behind is not seen by the next, whatever it was. */
static void a_record_is_taken_as_new(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_record *same = record;
    const unsigned char zeroes[STATE_SIZE] = {0};
    memset(carom_record_state(record), 0xff, STATE_SIZE);
    memset(&record->request, 0xff, offsetof(carom_record, head) - offsetof(carom_record, request));
    record->request = CAROM_REQUEST_WHOLE;
    record->response = CAROM_RESPONSE_SENT;
    for (int i = 0; i < 15; i++) {
        const struct carom_span span = {0, 1};
        assert_int_equal(carom_fields_add(&record->head.fields, span, span), 0);
        assert_int_equal(carom_fields_add(&record->trailers, span, span), 0);
    }
    assert_int_equal(carom_request_trailer_count(record), 15);
    record->content_received = record->content_expected = record->content_written = 9;
    record->content_framed = record->content_sent = record->stream_end = 9;
    record->head.content_length = 9;
    record->head.protocol = (struct carom_span){1, 1};
    memset(&record->head.version, 0xff,
           sizeof record->head - offsetof(struct carom_request_head, version));
    carom_release(record);
    leave(record);
    assert_int_equal(records.tables.in_use, 0);

    record = carom_record_take(&records, &exchange_ops, &exchange);
    assert_ptr_equal(record, same);
    assert_ptr_equal(record->exchange, &exchange);
    assert_int_equal(record->holds, CAROM_HOLD_EXCHANGE);
    const unsigned char *flags = &record->request;
    for (size_t i = 0; i < offsetof(carom_record, head) - offsetof(carom_record, request); i++)
        assert_int_equal(flags[i], 0);
    assert_int_equal(record->head.fields.count + record->trailers.count, 0);
    assert_int_equal(record->head.content_length, 0);
    assert_int_equal(record->head.protocol.length, 0);
    assert_false(record->head.is_connect || record->head.is_head || record->head.wants_upgrade);
    assert_int_equal(record->content_received + record->content_expected, 0);
    assert_int_equal(record->content_written + record->content_framed, 0);
    assert_int_equal(record->content_sent + record->stream_end, 0);
    assert_int_equal(record->content.length + record->out.length + record->body.length, 0);
    carom_record_hand_over(record);
    assert_memory_equal(carom_record_state(record), zeroes, STATE_SIZE);
    carom_release(record);
    leave(record);
}

/* ---------------------------------------------------------------- what is told of the request */

static void lengths_and_trailers_are_told_when_they_are_known(void **state)
{
    (void)state;
    carom_record *record = take();
    const struct carom_span span = {0, 1};
    assert_int_equal(carom_fields_add(&record->trailers, span, span), 0);
    assert_int_equal(carom_request_trailer_count(record), 0);
    carom_request_move(record, CAROM_REQUEST_WHOLE);
    assert_int_equal(carom_request_trailer_count(record), 1);
    assert_int_equal(carom_request_content_length(record), -1);
    record->head.framing = CAROM_FRAMING_LENGTH;
    record->head.content_length = INT64_MAX;
    assert_int_equal(carom_request_content_length(record), INT64_MAX);
    record->head.framing = CAROM_FRAMING_NONE;
    assert_int_equal(carom_request_content_length(record), 0);
    record->head.is_connect = true;
    assert_int_equal(carom_request_content_length(record), -1);
    carom_release(record);
    leave(record);
}

/* A head as a parser leaves it: spans over its bytes. */
static void the_head_is_told_from_its_bytes(void **state)
{
    (void)state;
    static const char bytes[] = "GET /path HTTP/1.1 upgrade: here Upgrade: there websocket";
    struct carom_span name = {19, 7}, value = {28, 4}, other_name = {33, 7}, other_value = {42, 5};
    carom_record *record = take();
    carom_slice slice;
    size_t cursor = 0;
    record->head.fields.base = (const uint8_t *)bytes;
    record->head.method = (struct carom_span){0, 3};
    record->head.target = (struct carom_span){4, 5};
    record->head.version = 11;
    assert_int_equal(carom_fields_add(&record->head.fields, name, value), 0);
    assert_int_equal(carom_fields_add(&record->head.fields, other_name, other_value), 0);
    slice = carom_request_method(record);
    assert_int_equal(slice.length, 3);
    assert_memory_equal(slice.data, "GET", 3);
    slice = carom_request_target(record);
    assert_int_equal(slice.length, 5);
    assert_memory_equal(slice.data, "/path", 5);
    assert_int_equal(carom_request_version(record), 11);
    assert_int_equal(carom_request_field_count(record), 2);
    assert_memory_equal(carom_request_field_at(record, 1).value.data, "there", 5);
    assert_memory_equal(carom_request_field(record, "UPGRADE").data, "here", 4);
    assert_null(carom_request_field(record, "upgrad").data);
    assert_memory_equal(carom_request_field_next(record, "Upgrade", &cursor).data, "here", 4);
    assert_memory_equal(carom_request_field_next(record, "Upgrade", &cursor).data, "there", 5);
    assert_null(carom_request_field_next(record, "Upgrade", &cursor).data);
    /* An Upgrade field by itself asks for nothing; :protocol of HTTP/2 comes before it. */
    assert_null(carom_request_protocol(record).data);
    record->head.wants_upgrade = true;
    assert_memory_equal(carom_request_protocol(record).data, "here", 4);
    record->head.protocol = (struct carom_span){48, 9};
    assert_memory_equal(carom_request_protocol(record).data, "websocket", 9);
    carom_release(record);
    leave(record);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_piece_stays_until_it_is_read_on_or_released),
        TEST(content_that_nobody_looks_at_goes_at_once),
        TEST(reading_goes_on_until_the_end),
        TEST(a_reason_is_written_once_and_counted),
        TEST(what_the_handler_never_had_is_no_cancellation),
        TEST(a_cancel_tells_everybody_once_and_drops_the_output),
        TEST(a_refusal_tells_everybody_and_leaves_the_response_open),
        TEST(a_drain_is_told),
        TEST(a_response_that_was_sent_wakes_its_writer_and_its_end),
        TEST(a_late_handler_is_refused),
        TEST(a_handler_that_has_begun_is_not_late),
        TEST(it_is_recycled_when_both_have_let_go),
        TEST(without_its_exchange_nothing_is_asked_of_it),
        TEST(a_release_without_a_whole_answer_is_made_good),
        TEST(a_record_is_taken_as_new),
        TEST(lengths_and_trailers_are_told_when_they_are_known),
        TEST(the_head_is_told_from_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
