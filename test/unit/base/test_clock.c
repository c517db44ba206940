/* Tests of how long a wait sleeps. */
#include "unit/base/support.h"

#include "base/clock.h"

static void a_wait_sleeps_until_its_deadline(void **state)
{
    (void)state;
    uint64_t now = carom_clock_milliseconds(CLOCK_MONOTONIC);
    assert_int_equal(carom_clock_sleep(now, UINT64_MAX), -1);
    assert_int_equal(carom_clock_sleep(now, now), 0);
    assert_int_equal(carom_clock_sleep(now, 0), 0);
    assert_int_equal(carom_clock_sleep(now, now + 100ull * 86400 * 1000), INT32_MAX); /* days */
    /* A turn has taken its time: what is left is counted from the end of it. */
    assert_in_range(carom_clock_sleep(now - 5000, now + 1000), 0, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_wait_sleeps_until_its_deadline)};
    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
