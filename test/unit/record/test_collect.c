/* Gathering content: up to which limit, what counts for it, and what ends it. */
#include "unit/record/support.h"

static void a_limit_counts_to_the_byte_as_content_comes(void **state)
{
    (void)state;
    for (uint64_t limit = 4; limit <= 6; limit++) {
        carom_record *record = take();
        struct waiter waiter = WAITER;
        struct lent first, second, third;
        assert_int_equal(carom_request_collect(record, limit, &waiter.waker), 0);
        assert_true(record->wanted);
        add_content(record, &first, 3);
        add_content(record, &second, 2);
        pass();
        assert_int_equal(waiter.fired, limit == 4);
        assert_int_equal(record->collecting, limit != 4);
        assert_int_equal(record->wanted, limit != 4);
        if (limit == 4)
            assert_int_equal(waiter.status, -CAROM_ETOOBIG);
        add_content(record, &third, 1);
        pass();
        assert_int_equal(waiter.fired, limit != 6);
        carom_record_content_whole(record);
        pass();
        assert_fired(waiter, 1, limit == 6 ? 0 : -CAROM_ETOOBIG);
        assert_false(record->collecting);
        assert_false(record->wanted);
        assert_int_equal(carom_request_buffered(record), 6);
        finish(record);
    }
}

static void what_lies_there_already_counts(void **state)
{
    (void)state;
    for (uint64_t limit = 2; limit <= 3; limit++)
        for (int whole = 0; whole < 2; whole++) {
            carom_record *record = take();
            struct waiter waiter = WAITER;
            struct lent content;
            int wants = exchange.wants;
            add_content(record, &content, 3);
            if (whole)
                carom_record_content_whole(record);
            assert_int_equal(carom_request_collect(record, limit, &waiter.waker), 0);
            pass();
            assert_int_equal(waiter.fired, limit == 2 || whole);
            assert_int_equal(waiter.status, limit == 2 ? -CAROM_ETOOBIG : 0);
            assert_int_equal(record->collecting, waiter.fired == 0);
            assert_int_equal(exchange.wants - wants, waiter.fired == 0);
            finish(record);
        }
}

static void what_is_announced_counts(void **state)
{
    (void)state;
    for (uint64_t length = 9; length <= 11; length++) {
        carom_record *record = take();
        struct waiter waiter = WAITER;
        record->head.framing = CAROM_FRAMING_LENGTH;
        record->head.content_length = length;
        assert_int_equal(carom_request_collect(record, 10, &waiter.waker), 0);
        pass();
        assert_int_equal(waiter.fired, length > 10);
        assert_int_equal(waiter.status, length > 10 ? -CAROM_ETOOBIG : 0);
        finish(record);
    }
    /* It has come, and has been read: what was announced is no matter any more. */
    carom_record *record = take();
    struct waiter waiter = WAITER;
    record->head.framing = CAROM_FRAMING_LENGTH;
    record->head.content_length = 11;
    carom_record_content_whole(record);
    assert_int_equal(carom_request_collect(record, 10, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 1, 0);
    finish(record);
}

static void gathering_ends_with_the_exchange(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    struct lent content;
    assert_int_equal(carom_request_collect(record, 10, &waiter.waker), 0);
    add_content(record, &content, 3);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    assert_int_equal(content.given_back, 1);
    assert_false(record->collecting);
    pass();
    assert_fired(waiter, 1, -CAROM_ECANCELED);
    assert_int_equal(carom_request_collect(record, 10, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 2, -CAROM_ECANCELED);
    assert_false(record->collecting);
    finish(record);
}

/* Answered and sent before the content had come: half of it must not be taken for all. */
static void content_that_will_not_come_is_not_whole(void **state)
{
    (void)state;
    carom_record *record = take();
    struct waiter waiter = WAITER;
    carom_slice piece;
    carom_response_move(record, CAROM_RESPONSE_WHOLE);
    carom_record_sent(record);
    assert_int_equal(carom_request_collect(record, 10, &waiter.waker), 0);
    leave(record);
    assert_false(record->collecting);
    assert_false(record->wanted);
    pass();
    assert_fired(waiter, 1, -CAROM_ECANCELED);
    assert_int_equal(carom_request_collect(record, 10, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 2, -CAROM_ECANCELED);
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waiter.waker), 0);
    pass();
    assert_fired(waiter, 3, -CAROM_ECANCELED);
    assert_int_equal(carom_request_read(record, &piece), -CAROM_ECANCELED);
    carom_release(record);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_limit_counts_to_the_byte_as_content_comes),
        TEST(what_lies_there_already_counts),
        TEST(what_is_announced_counts),
        TEST(gathering_ends_with_the_exchange),
        TEST(content_that_will_not_come_is_not_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
