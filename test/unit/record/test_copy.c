/* Tests of content that is copied where its reader wants it: in whatever pieces it lies and is
 * asked for, and what comes straight from the network behind it. */
#include "unit/record/support.h"

static const size_t pieces[] = {3, 7, 1, 5};
#define ALL   "concontentcconte"
#define BYTES (sizeof ALL - 1)

static struct lent lent[COUNT(pieces)];

static carom_record *take_with_content(bool whole)
{
    carom_record *record = take();
    for (size_t i = 0; i < COUNT(pieces); i++)
        add_content(record, &lent[i], pieces[i]);
    if (whole)
        carom_record_content_whole(record);
    return record;
}

/* Each byte once, in its place, and none beside it. */
static void content_is_copied_in_any_steps(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++)
        for (size_t room = 1; room <= BYTES + 2; room++) {
            carom_record *record = take_with_content(whole);
            uint8_t got[BYTES + 1];
            size_t length = 0, copied = 99;
            int result = 1;
            while (result == 1) {
                uint8_t to[BYTES + 4];
                memset(to, '#', sizeof to);
                result = carom_request_copy(record, to, room, &copied);
                assert_in_range(copied, 0, room);
                assert_true(length + copied <= BYTES);
                assert_true(result != 1 || copied == room);
                for (size_t i = copied; i < sizeof to; i++)
                    assert_int_equal(to[i], '#');
                memcpy(got + length, to, copied);
                length += copied;
            }
            assert_int_equal(result, whole ? 0 : -CAROM_EAGAIN);
            assert_int_equal(length, BYTES);
            assert_memory_equal(got, ALL, BYTES);
            for (size_t i = 0; i < COUNT(pieces); i++)
                assert_int_equal(lent[i].given_back, 1);
            finish(record);
        }
}

/* The last bytes and the end are told in one, where it is known. */
static void the_end_is_told_with_the_last_bytes(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        carom_record *record = take_with_content(whole);
        uint8_t to[BYTES];
        size_t copied;
        assert_int_equal(carom_request_copy(record, to, BYTES, &copied), whole ? 0 : 1);
        assert_int_equal(copied, BYTES);
        assert_int_equal(carom_request_copy(record, to, BYTES, &copied), whole ? 0 : -CAROM_EAGAIN);
        assert_int_equal(copied, 0);
        finish(record);
    }
}

static void what_is_over_is_told(void **state)
{
    (void)state;
    carom_record *record = take_with_content(false);
    uint8_t to[4];
    size_t copied;
    assert_int_equal(carom_request_copy(record, to, sizeof to, &copied), 1);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    assert_int_equal(carom_request_copy(record, to, sizeof to, &copied), -CAROM_ECANCELED);
    assert_int_equal(copied, 0);
    finish(record);
}

/* ---------------------------------------------------------------- straight from the network */

static size_t brings; /* the network, at the next call */
static bool brings_all;

static size_t receive(carom_record *record, uint8_t *to, size_t room)
{
    size_t length = brings < room ? brings : room;
    memset(to, 'n', length);
    brings = 0;
    if (brings_all)
        carom_record_content_whole(record);
    return length;
}

static void what_the_network_has_lands_behind_it(void **state)
{
    (void)state;
    struct carom_exchange_ops ops = exchange_ops;
    ops.receive = receive;
    for (size_t room = 3; room <= 8; room++)
        for (int all = 0; all < 2; all++)
            for (size_t more = 0; more <= 5; more++) {
                carom_record *record = carom_record_take(&records, &ops, NULL);
                carom_request_move(record, CAROM_REQUEST_CONTENT);
                carom_record_hand_over(record);
                add_content(record, &lent[0], 3);
                brings = more;
                brings_all = all;
                uint8_t to[9];
                size_t copied;
                memset(to, '#', sizeof to);
                int result = carom_request_copy(record, to, room, &copied);
                size_t wanted = 3 + (more < room - 3 ? more : room - 3);
                assert_int_equal(copied, wanted);
                assert_memory_equal(to, "connnnnn#", wanted);
                assert_int_equal(to[wanted], '#');
                bool asked = room > 3;
                if (all && asked && more > 0)
                    assert_int_equal(result, 0);
                else
                    assert_int_equal(result, copied == room ? 1 : -CAROM_EAGAIN);
                finish(record);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(content_is_copied_in_any_steps, begin, end),
        cmocka_unit_test_setup_teardown(the_end_is_told_with_the_last_bytes, begin, end),
        cmocka_unit_test_setup_teardown(what_is_over_is_told, begin, end),
        cmocka_unit_test_setup_teardown(what_the_network_has_lands_behind_it, begin, end),
    };
    return cmocka_run_group_tests_name("record/copy", tests, NULL, NULL);
}
