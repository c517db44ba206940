/* Waiting: when each edge is there, who is woken with what, how a wait ends without a wake, in
 * which order wakers fire, and posts from other threads. */
#include "unit/record/support.h"

/* ---------------------------------------------------------------- edges */

static void readable_is_what_has_not_been_read(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    struct lent first, second, third;
    carom_slice piece;
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    pass();
    assert_int_equal(waiter.fired, 0);
    assert_int_equal(exchange.wants, 1);
    add_content(record, &first, 3);
    pass();
    assert_fired(waiter, 1, 0);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0); /* not read yet */
    pass();
    assert_int_equal(waiter.fired, 2);
    assert_int_equal(carom_request_read(record, &piece), 1);
    /* The piece is still looked at, but nothing new is there. */
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    pass();
    assert_int_equal(waiter.fired, 2);
    assert_int_equal(exchange.wants, 2);
    assert_true(record->wanted);
    add_content(record, &second, 1);
    add_content(record, &third, 1);
    pass();
    assert_int_equal(waiter.fired, 3);
    assert_int_equal(carom_request_read(record, &piece), 1);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0); /* the third */
    pass();
    assert_int_equal(waiter.fired, 4);
    assert_int_equal(carom_request_read(record, &piece), 1);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    pass();
    assert_int_equal(waiter.fired, 4);
    carom_record_content_whole(record);
    pass();
    assert_fired(waiter, 5, 0);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0); /* the end is news */
    pass();
    assert_fired(waiter, 6, 0);
    assert_int_equal(exchange.wants, 3);
    finish(record);
}

/* What will not come is told when what has come is read. */
static void what_is_unread_is_told_before_the_loss(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    struct lent content;
    carom_slice piece;
    add_content(record, &content, 3);
    carom_record_content_dropped(record);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 1, 0);
    assert_int_equal(carom_request_read(record, &piece), 1);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 2, -CAROM_ECANCELED);
    finish(record);
}

static void writable_is_room_in_the_buffer(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    exchange.unsent = WRITE_BUFFER - 1;
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 1, 0);
    exchange.unsent = WRITE_BUFFER;
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &waiter.waker), 0);
    pass();
    assert_int_equal(waiter.fired, 1);
    exchange.unsent = WRITE_BUFFER / 2 + 1;
    carom_record_wake_writer(record);
    pass();
    assert_int_equal(waiter.fired, 1);
    exchange.unsent = WRITE_BUFFER / 2;
    carom_record_wake_writer(record);
    carom_record_wake_writer(record);
    pass();
    assert_fired(waiter, 2, 0);
    carom_record_wake_writer(record); /* nobody waits */
    pass();
    assert_int_equal(waiter.fired, 2);
    finish(record);
}

/* What is not framed yet counts as what the stream has. */
static void content_on_both_sides_of_the_framing_is_unsent(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    struct lent body;
    lend(&record->body, &body, 2);
    exchange.unsent = WRITE_BUFFER - 2;
    assert_int_equal(carom_record_unsent(record), WRITE_BUFFER);
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &waiter.waker), 0);
    pass();
    assert_int_equal(waiter.fired, 0);
    finish(record);
    pass();
    assert_int_equal(waiter.fired, 0);
}

/* A wait that begins when all is over is answered in the next pass. */
static void who_comes_late_is_told_at_once(void **state)
{
    (void)state;
    enum { CANCELLED, REFUSED, SENT, LATE_COUNT };
    static const struct {
        int fired, status;
    } expected[LATE_COUNT][CAROM_WAIT_COUNT] = {
#define OVER {1, -CAROM_ECANCELED}
        [CANCELLED] = {OVER, OVER, {1, 0}, {1, 0}, OVER, OVER},
        [REFUSED] = {OVER, OVER, {1, 0}, {1, 0}, OVER, OVER},
        [SENT] = {{1, 0}, OVER, {1, 0}, {0, 0}, OVER, {0, 0}},
#undef OVER
    };
    for (int late = 0; late < LATE_COUNT; late++) {
        carom_record *record = take();
        carom_request_move(record, CAROM_REQUEST_WHOLE);
        if (late == CANCELLED)
            carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
        if (late == REFUSED)
            carom_record_refuse(record, CAROM_REASON_HANDLER_TIMEOUT, 503);
        if (late == SENT) {
            carom_response_move(record, CAROM_RESPONSE_WHOLE);
            carom_record_sent(record);
        }
        struct waiter waiters[CAROM_WAIT_COUNT] = {WAITER, WAITER, WAITER, WAITER, WAITER, WAITER};
        for (int edge = 0; edge < CAROM_EDGE_COUNT; edge++)
            assert_int_equal(carom_wait(record, (carom_edge)edge, &waiters[edge].waker), 0);
        assert_int_equal(carom_wait_time(record, 10, &waiters[CAROM_WAIT_TIMER].waker), 0);
        for (int slot = 0; slot < CAROM_WAIT_COUNT; slot++)
            assert_int_equal(waiters[slot].fired, 0); /* never within a call */
        pass();
        for (int slot = 0; slot < CAROM_WAIT_COUNT; slot++)
            assert_fired(waiters[slot], expected[late][slot].fired, expected[late][slot].status);
        finish(record);
        assert_int_equal(records.wheel.armed, 0);
    }
}

/* The response has begun or ended, but is not sent: no end, and room as before. */
static void what_is_not_sent_has_not_ended(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter ended = WAITER, writable = WAITER, cancelled = WAITER;
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    assert_int_equal(carom_wait(record, CAROM_ENDED, &ended.waker), 0);
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &writable.waker), 0);
    assert_int_equal(carom_wait(record, CAROM_CANCELLED, &cancelled.waker), 0);
    pass();
    assert_int_equal(ended.fired + cancelled.fired, 0);
    assert_fired(writable, 1, 0);
    finish(record);
}

/* ---------------------------------------------------------------- places */

static void each_edge_has_one_place(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter one = WAITER, two = WAITER, time = WAITER, time_two = WAITER;
    exchange.unsent = WRITE_BUFFER;
    assert_int_equal(carom_wait(record, CAROM_READABLE, &one.waker), 0);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &two.waker), -CAROM_ESTATE);
    assert_int_equal(carom_request_collect(record, 10, &two.waker), -CAROM_ESTATE);
    assert_false(record->collecting);
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &one.waker), -CAROM_ESTATE);
    assert_int_equal(carom_wait_time(record, 10, &one.waker), -CAROM_ESTATE);
    assert_int_equal(carom_wait_time(record, 10, &time.waker), 0);
    assert_int_equal(carom_wait_time(record, 10, &time_two.waker), -CAROM_ESTATE);
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &two.waker), 0);
    carom_record_content_dropped(record);
    pass();
    assert_fired(one, 1, -CAROM_ECANCELED);
    assert_int_equal(two.fired + time.fired + time_two.fired, 0);
    assert_int_equal(carom_wait(record, CAROM_ENDED, &one.waker), 0); /* idle again */
    finish(record);
}

/* ---------------------------------------------------------------- unwait */

static void wait_in(carom_record *record, unsigned slot, struct waiter *waiter)
{
    int error = slot == CAROM_WAIT_TIMER ? carom_wait_time(record, 10, &waiter->waker)
                                         : carom_wait(record, (carom_edge)slot, &waiter->waker);
    assert_int_equal(error, 0);
}

static void who_waits_no_more_is_not_woken(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < CAROM_WAIT_COUNT; slot++)
        for (int ready = 0; ready < 2; ready++) {
            carom_record *record = take();
            struct waiter waiter = WAITER, other = WAITER;
            exchange.unsent = WRITE_BUFFER;
            wait_in(record, slot, &waiter);
            if (ready)
                carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
            carom_unwait(record, &other.waker); /* does not wait: nothing happens */
            assert_ptr_equal(record->wakers[slot], &waiter.waker);
            carom_unwait(record, &waiter.waker);
            assert_null(record->wakers[slot]);
            assert_true(carom_node_alone(&records.ready));
            assert_int_equal(records.wheel.armed, 0);
            carom_unwait(record, &waiter.waker);
            wait_in(record, slot, &other); /* the place is free */
            assert_int_equal(carom_wait(record, slot == CAROM_ENDED ? CAROM_CANCELLED : CAROM_ENDED,
                                        &waiter.waker),
                             0); /* and so is the waker */
            carom_unwait(record, &waiter.waker);
            if (!ready)
                carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
            carom_wheel_advance(&records.wheel, clock_now + 1000);
            pass();
            assert_int_equal(waiter.fired, 0);
            assert_int_equal(other.fired, 1);
            finish(record);
        }
}

static void unwait_ends_one_wait_of_many(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiters[CAROM_WAIT_COUNT] = {WAITER, WAITER, WAITER, WAITER, WAITER, WAITER};
    exchange.unsent = WRITE_BUFFER;
    for (unsigned slot = 0; slot < CAROM_WAIT_COUNT; slot++)
        wait_in(record, slot, &waiters[slot]);
    carom_unwait(record, &waiters[CAROM_WRITABLE].waker);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    pass();
    for (unsigned slot = 0; slot < CAROM_WAIT_COUNT; slot++)
        assert_int_equal(waiters[slot].fired, slot != CAROM_WRITABLE);
    finish(record);
}

/* Who stops gathering is not counted any more: content comes as to any reader. */
static void unwait_ends_gathering(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter collector = WAITER, reader = WAITER, writer = WAITER;
    struct lent content;
    exchange.unsent = WRITE_BUFFER;
    assert_int_equal(carom_request_collect(record, 2, &collector.waker), 0);
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &writer.waker), 0);
    carom_unwait(record, &writer.waker);
    assert_true(record->collecting);
    carom_unwait(record, &collector.waker);
    assert_false(record->collecting || record->wanted);
    assert_int_equal(exchange.rests, 1); /* none is let in while nobody waits */
    assert_int_equal(carom_wait(record, CAROM_READABLE, &reader.waker), 0);
    add_content(record, &content, 3);
    pass();
    assert_fired(reader, 1, 0);
    assert_int_equal(collector.fired, 0);
    finish(record);
}

static struct waiter *victim;

static void unwait_the_victim(struct waiter *waiter)
{
    carom_unwait(waiter->record, &victim->waker);
}

static void release_it(struct waiter *waiter)
{
    carom_release(waiter->record);
}

/* Two are ready; the first one's wake takes the second one out, or ends the record. */
static void a_wake_may_disarm_the_next(void **state)
{
    (void)state;
    void (*const thens[])(struct waiter *) = {unwait_the_victim, release_it};
    for (size_t i = 0; i < COUNT(thens); i++) {
        carom_record *record = take();
        struct waiter first = WAITER, second = WAITER;
        first.record = record;
        first.then = thens[i];
        victim = &second;
        assert_int_equal(carom_wait(record, CAROM_READABLE, &first.waker), 0);
        assert_int_equal(carom_wait(record, CAROM_ENDED, &second.waker), 0);
        carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
        pass();
        assert_int_equal(first.fired, 1);
        assert_int_equal(second.fired, 0);
        if (thens[i] != release_it)
            carom_release(record);
        leave(record);
    }
}

/* ---------------------------------------------------------------- passes */

static void wait_again(struct waiter *waiter)
{
    if (waiter->fired < 3)
        assert_int_equal(carom_wait(waiter->record, CAROM_ENDED, &waiter->waker), 0);
}

static void what_becomes_ready_in_a_pass_waits_for_the_next(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter again = WAITER, other = WAITER;
    again.record = record;
    again.then = wait_again;
    assert_int_equal(carom_wait(record, CAROM_ENDED, &again.waker), 0);
    assert_int_equal(carom_wait(record, CAROM_CANCELLED, &other.waker), 0);
    assert_false(carom_wakers_pass(&records));
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    assert_true(carom_wakers_pass(&records));
    assert_int_equal(again.fired, 1);
    assert_int_equal(other.fired, 1);
    assert_true(again.place < other.place); /* in the order in which they became ready */
    assert_true(carom_wakers_pass(&records));
    assert_int_equal(again.fired, 2);
    assert_true(carom_wakers_pass(&records));
    assert_int_equal(again.fired, 3);
    assert_false(carom_wakers_pass(&records));
    finish(record);
}

/* A worker's call takes no waker from a record, neither while it waits nor when it is about to
 * fire. */
static void a_worker_withdraws_no_waker_of_a_record(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waits = WAITER, ready = WAITER;
    assert_int_equal(carom_wait(record, CAROM_ENDED, &waits.waker), 0);
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &ready.waker), 0);
    carom_waker_withdraw(&records, &waits.waker);
    carom_waker_withdraw(&records, &ready.waker);
    pass();
    assert_fired(ready, 1, 0);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    pass();
    assert_fired(waits, 1, 0);
    finish(record);
}

static void the_first_news_count(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    struct lent content;
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    add_content(record, &content, 1);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    pass();
    assert_fired(waiter, 1, 0);
    finish(record);
}

/* Outside a turn somebody must be told that there is work, once. */
static void a_worker_that_sleeps_is_roused(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter ended = WAITER, time = WAITER;
    records.in_turn = false;
    assert_true(carom_inbox_sleep(&records.inbox));
    assert_int_equal(carom_wait(record, CAROM_ENDED, &ended.waker), 0);
    assert_int_equal(exchange.rouses, 0); /* that is no work */
    clock_now = 5000;
    assert_int_equal(carom_wait_time(record, 10, &time.waker), 0);
    assert_int_equal(exchange.rouses, 1);
    assert_int_equal(exchange.clock_reads, 1);
    assert_int_equal(carom_wheel_next(&records.wheel) <= 5011, 1);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    assert_int_equal(exchange.rouses, 1);
    records.in_turn = true;
    carom_inbox_awake(&records.inbox);
    pass();
    assert_int_equal(ended.fired, 1);
    records.in_turn = false;
    assert_true(carom_inbox_sleep(&records.inbox));
    assert_int_equal(carom_wait(record, CAROM_ENDED, &ended.waker), 0); /* is there: work */
    assert_int_equal(exchange.rouses, 2);
    records.in_turn = true;
    carom_inbox_awake(&records.inbox);
    finish(record);
}

/* ---------------------------------------------------------------- time */

static void a_time_is_never_early(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    records.now = 1500; /* of the turn; the wheel stands at 1000 */
    assert_int_equal(carom_wait_time(record, 10, &waiter.waker), 0);
    assert_int_equal(exchange.clock_reads, 0);
    carom_wheel_advance(&records.wheel, 1510);
    pass();
    assert_int_equal(waiter.fired, 0); /* the clock was rounded down */
    carom_wheel_advance(&records.wheel, 1511);
    assert_int_equal(waiter.fired, 0);
    pass();
    assert_fired(waiter, 1, 0);
    assert_int_equal(carom_wait_time(record, UINT32_MAX, &waiter.waker), 0);
    carom_wheel_advance(&records.wheel, 1500 + (uint64_t)UINT32_MAX);
    pass();
    assert_int_equal(waiter.fired, 1);
    carom_wheel_advance(&records.wheel, 1501 + (uint64_t)UINT32_MAX);
    pass();
    assert_int_equal(waiter.fired, 2);
    finish(record);
}

/* ---------------------------------------------------------------- posts */

static void posts_fire_in_their_order_and_rouse_who_sleeps(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter first = WAITER, second = WAITER, third = WAITER;
    carom_post(record, &first.waker);
    assert_int_equal(exchange.rouses, 0);
    carom_wakers_take_posted(&records);
    assert_true(carom_inbox_sleep(&records.inbox));
    carom_post(record, &second.waker);
    carom_post(record, &third.waker);
    assert_int_equal(exchange.rouses, 1);
    carom_inbox_awake(&records.inbox);
    assert_int_equal(first.fired, 0);
    carom_wakers_take_posted(&records);
    assert_int_equal(first.fired, 0);
    carom_release(record); /* who was posted is in no place of the record */
    pass();
    assert_fired(first, 1, 0);
    assert_fired(second, 1, 0);
    assert_fired(third, 1, 0);
    assert_true(first.place < second.place && second.place < third.place);
    leave(record);
    carom_wakers_take_posted(&records);
    assert_false(carom_wakers_pass(&records));
}

/* What a waker once waited for is nothing to its post: another waits there now. */
static void a_post_leaves_the_place_to_who_waits(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter before = WAITER, waits = WAITER;
    struct lent content;
    carom_slice piece;
    assert_int_equal(carom_wait(record, CAROM_READABLE, &before.waker), 0);
    add_content(record, &content, 1);
    pass();
    assert_int_equal(carom_request_read(record, &piece), 1);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waits.waker), 0);
    carom_post(record, &before.waker);
    carom_wakers_take_posted(&records);
    pass();
    carom_record_content_whole(record);
    pass();
    assert_fired(waits, 1, 0);
    finish(record);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(readable_is_what_has_not_been_read),
        TEST(what_is_unread_is_told_before_the_loss),
        TEST(writable_is_room_in_the_buffer),
        TEST(content_on_both_sides_of_the_framing_is_unsent),
        TEST(who_comes_late_is_told_at_once),
        TEST(what_is_not_sent_has_not_ended),
        TEST(each_edge_has_one_place),
        TEST(who_waits_no_more_is_not_woken),
        TEST(unwait_ends_one_wait_of_many),
        TEST(unwait_ends_gathering),
        TEST(a_wake_may_disarm_the_next),
        TEST(what_becomes_ready_in_a_pass_waits_for_the_next),
        TEST(a_worker_withdraws_no_waker_of_a_record),
        TEST(the_first_news_count),
        TEST(a_worker_that_sleeps_is_roused),
        TEST(a_time_is_never_early),
        TEST(posts_fire_in_their_order_and_rouse_who_sleeps),
        TEST(a_post_leaves_the_place_to_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
