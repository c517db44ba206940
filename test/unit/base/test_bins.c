/* Tests of the bins: what fits, what grows in place, what is counted. */
#include "unit/base/support.h"

#include <stdint.h>
#include <string.h>

#include "base/bins.h"
#include "base/memory.h"

static struct carom_bins bins;
static uint64_t held_before;

static int begin(void **state)
{
    (void)state;
    held_before = carom_memory_held();
    carom_bins_init(&bins);
    return 0;
}

/* Nothing is lost: what the pools keep goes with them. */
static int end(void **state)
{
    (void)state;
    carom_bins_finish(&bins);
    return carom_memory_held() == held_before ? 0 : 1;
}

static void sizes_come_back_from_their_pools(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,    1,    32,    33,    100,   1000,
                                   4080, 4081, 17392, 17393, 65536, 1048576};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *first = carom_bins_take(&bins, sizes[i]);
        assert_non_null(first);
        assert_int_equal((uintptr_t)first % 16, 0);
        memset(first, 0xa5, sizes[i]);
        carom_bins_give(&bins, first);
        uint64_t taken = carom_memory_taken();
        assert_ptr_equal(carom_bins_take(&bins, sizes[i]), first);
        assert_int_equal(carom_memory_taken(), taken);
        carom_bins_give(&bins, first);
    }
    carom_bins_give(&bins, NULL);
}

static void what_is_larger_than_all_bins_is_not_kept(void **state)
{
    (void)state;
    uint8_t *large = carom_bins_take(&bins, 1049585);
    memset(large, 1, 1049585);
    assert_true(carom_memory_held() >= held_before + 1049585);
    carom_bins_give(&bins, large);
    assert_int_equal(carom_memory_held(), held_before);
}

static void growth_stays_in_place_while_there_is_room(void **state)
{
    (void)state;
    uint8_t *memory = carom_bins_resize(&bins, NULL, 1);
    assert_ptr_equal(carom_bins_resize(&bins, memory, 32), memory);
    for (uint8_t i = 0; i < 32; i++)
        memory[i] = i;
    uint8_t *moved = carom_bins_resize(&bins, memory, 33);
    assert_ptr_not_equal(moved, memory);
    for (uint8_t i = 0; i < 32; i++)
        assert_int_equal(moved[i], i);
    assert_ptr_equal(carom_bins_resize(&bins, moved, 1), moved);
    carom_bins_give(&bins, moved);
}

static void growth_without_memory_leaves_what_there_is(void **state)
{
    (void)state;
    uint8_t *memory = carom_bins_take(&bins, 8);
    memset(memory, 7, 8);
    carom_memory_fail_after(0);
    uint8_t *moved = carom_bins_resize(&bins, memory, 1000);
    carom_memory_fail_after(UINT64_MAX);
    assert_null(moved);
    assert_int_equal(memory[7], 7);
    carom_bins_give(&bins, memory);
}

static void zeroed_is_zero_and_does_not_wrap(void **state)
{
    (void)state;
    uint8_t *memory = carom_bins_take(&bins, 48);
    memset(memory, 0xff, 48);
    carom_bins_give(&bins, memory);
    uint8_t *zeroed = carom_bins_take_zeroed(&bins, 6, 8);
    assert_ptr_equal(zeroed, memory);
    for (int i = 0; i < 48; i++)
        assert_int_equal(zeroed[i], 0);
    carom_bins_give(&bins, zeroed);
    assert_null(carom_bins_take_zeroed(&bins, SIZE_MAX / 8 + 2, 8));
    assert_null(carom_bins_take(&bins, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes_come_back_from_their_pools, begin, end),
        cmocka_unit_test_setup_teardown(what_is_larger_than_all_bins_is_not_kept, begin, end),
        cmocka_unit_test_setup_teardown(growth_stays_in_place_while_there_is_room, begin, end),
        cmocka_unit_test_setup_teardown(growth_without_memory_leaves_what_there_is, begin, end),
        cmocka_unit_test_setup_teardown(zeroed_is_zero_and_does_not_wrap, begin, end),
    };
    return cmocka_run_group_tests_name("base/bins", tests, NULL, NULL);
}
