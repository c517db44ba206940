/* Copying a few bytes: each length, and not a byte more. */
#include "base/copy.h"

#include "unit/base/support.h"

#define MOST 100

static void each_length_is_copied_and_no_byte_more(void **state)
{
    (void)state;
    uint8_t from[MOST], to[MOST + 2];
    for (size_t i = 0; i < MOST; i++)
        from[i] = (uint8_t)(i + 1);
    for (size_t length = 0; length <= MOST; length++) {
        memset(to, 0xee, sizeof to);
        carom_copy(to + 1, from, length);
        assert_int_equal(to[0], 0xee);
        assert_memory_equal(to + 1, from, length);
        for (size_t i = length + 1; i < sizeof to; i++)
            assert_int_equal(to[i], 0xee);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_length_is_copied_and_no_byte_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
