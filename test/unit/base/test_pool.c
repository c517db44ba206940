/* Tests of the pool: reuse, counts, and trimming by the window; and the experiment that decided for
 * the window (see the_textbook_rule_thrashes_at_batches). */
#include "unit/base/support.h"

#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "carom.h"

#define OBJECT_SIZE 96
#define MOST        1024

static void *held[MOST];

static int let_all_through(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    return 0;
}

/* Take `count` objects, and write all over each. */
static void take(struct carom_pool *pool, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        held[i] = carom_pool_take(pool);
        assert_non_null(held[i]);
        memset(held[i], (int)i, pool->object_size);
    }
}

static void give(struct carom_pool *pool, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        carom_pool_give(pool, held[i]);
}

static void takes_again_what_was_given(void **state)
{
    (void)state;
    uint64_t memory = carom_memory_held();
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 4);
    assert_int_equal(carom_memory_held(), memory);
    take(&pool, 3);
    assert_int_equal(pool.in_use, 3);
    assert_int_equal(pool.allocated, 3);
    assert_int_equal(pool.recycled, 0);
    void *last = held[2];
    give(&pool, 3);
    assert_int_equal(pool.in_use, 0);
    assert_int_equal(pool.free_count, 3);
    void *again = carom_pool_take(&pool);
    assert_ptr_equal(again, last); /* the warmest first */
    assert_int_equal(pool.allocated, 3);
    assert_int_equal(pool.recycled, 1);
    assert_int_equal(pool.peak, 3);
    carom_pool_give(&pool, again);
    carom_pool_finish(&pool);
    assert_int_equal(carom_memory_held(), memory);
}

static void fills_to_the_floor(void **state)
{
    (void)state;
    uint64_t memory = carom_memory_held();
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 8);
    carom_memory_fail_after(5);
    assert_int_equal(carom_pool_fill(&pool), -CAROM_ENOMEM);
    assert_int_equal(pool.free_count, 5);
    carom_memory_fail_after(3);
    assert_int_equal(carom_pool_fill(&pool), 0);
    carom_memory_fail_after(0);
    assert_int_equal(carom_pool_fill(&pool), 0);
    assert_int_equal(carom_memory_held(), memory + 8 * OBJECT_SIZE);
    assert_int_equal(carom_pool_tick(&pool), 0);
    take(&pool, 8);
    assert_null(carom_pool_take(&pool));
    carom_memory_fail_after(UINT64_MAX);
    assert_int_equal(pool.recycled, 8);
    assert_int_equal(pool.peak, 8);
    give(&pool, 8);
    carom_pool_finish(&pool);
    assert_int_equal(carom_memory_held(), memory);
}

static void keeps_what_lies_behind_the_first_word(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 4);
    uint64_t *object = carom_pool_take(&pool);
    assert_non_null(object);
    object[1] = 41;
    carom_pool_give(&pool, object);
    assert_ptr_equal(carom_pool_take(&pool), object);
    assert_int_equal(object[1], 41);
    carom_pool_give(&pool, object);
    carom_pool_finish(&pool);
}

static void smallest_object_is_a_pointer(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, sizeof(void *), 0);
    take(&pool, 10);
    give(&pool, 10);
    take(&pool, 10);
    give(&pool, 10);
    assert_int_equal(pool.allocated, 10);
    carom_pool_finish(&pool);
}

static void a_burst_is_given_back_in_two_windows(void **state)
{
    (void)state;
    uint64_t memory = carom_memory_held();
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 50);
    take(&pool, 1000);
    give(&pool, 1000);
    assert_true(carom_pool_above_floor(&pool));
    assert_int_equal(carom_pool_tick(&pool), 0); /* this window used them all */
    assert_int_equal(carom_pool_tick(&pool), 950 * OBJECT_SIZE);
    assert_int_equal(pool.free_count, 50);
    assert_int_equal(carom_memory_held() - memory, 50 * OBJECT_SIZE);
    assert_false(carom_pool_above_floor(&pool));
    assert_int_equal(carom_pool_tick(&pool), 0);
    carom_pool_finish(&pool);
    assert_int_equal(carom_memory_held(), memory);
}

static void filled_to_the_floor_it_does_not_allocate(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 50);
    assert_int_equal(carom_pool_fill(&pool), 0);
    assert_int_equal(pool.free_count, 50);
    uint64_t taken = carom_memory_taken();
    take(&pool, 50);
    assert_int_equal(pool.peak, 50);
    assert_int_equal(carom_memory_taken(), taken);
    give(&pool, 50);
    assert_int_equal(carom_pool_tick(&pool), 0);
    carom_pool_finish(&pool);
}

static void filling_fails_without_memory(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 50);
    carom_memory_fail_after(10);
    assert_int_equal(carom_pool_fill(&pool), -CAROM_ENOMEM);
    carom_memory_fail_after(UINT64_MAX);
    assert_int_equal(pool.free_count, 10);
    carom_pool_finish(&pool);
}

static void without_a_floor_the_last_one_goes_too(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 0);
    take(&pool, 3);
    give(&pool, 3);
    carom_pool_tick(&pool);
    carom_pool_tick(&pool);
    assert_int_equal(pool.free_count, 0);
    carom_pool_finish(&pool);
}

/* While some of the floor are in use, the others stay. */
static void nothing_goes_from_below_the_floor(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 4);
    for (unsigned kept = 0; kept <= 6; kept++) {
        take(&pool, 6);
        for (unsigned i = 0; i < kept; i++)
            carom_pool_give(&pool, held[i]);
        carom_pool_tick(&pool);
        carom_pool_tick(&pool);
        assert_int_equal(pool.free_count, kept < 4 ? kept : 4);
        for (unsigned i = kept; i < 6; i++)
            carom_pool_give(&pool, held[i]);
    }
    carom_pool_finish(&pool);
}

/* After a burst, windows that each use 300 of 1000: the pool comes down to those 300, and not one
 * of them is ever allocated again. */
static void steady_load_keeps_what_the_window_uses(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 16);
    take(&pool, 1000);
    give(&pool, 1000);
    for (int window = 0; window < 100; window++) {
        for (int batch = 0; batch < 3; batch++) {
            take(&pool, 300);
            give(&pool, 300);
        }
        carom_pool_tick(&pool);
    }
    assert_int_equal(pool.allocated, 1000);
    assert_int_equal(pool.free_count, 300);
    carom_pool_finish(&pool);
}

/* The same when the tick finds everything in use. */
static void a_tick_in_the_middle_of_a_batch_trims_nothing_of_it(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 16);
    for (int window = 0; window < 20; window++) {
        take(&pool, 300);
        carom_pool_tick(&pool);
        give(&pool, 300);
    }
    assert_int_equal(pool.allocated, 300);
    carom_pool_finish(&pool);
}

/* ---- the experiment */

/* The textbook rule: at each recycle, release what lies free beyond twice what is in use (and
 * beyond a floor). */
static void textbook_give(struct carom_pool *pool, void *object)
{
    carom_pool_give(pool, object);
    uint32_t bound = 2 * pool->in_use > pool->floor ? 2 * pool->in_use : pool->floor;
    while (pool->free_count > bound) {
        /* Take one back from the pool and give it to the allocator. */
        void *surplus = carom_pool_take(pool);
        pool->in_use--;
        carom_memory_give(surplus, pool->object_size);
    }
}

/* Batches of 256 requests, each batch answered whole before the next one comes, as a batching VM
 * does it; 50 batches fall into one window of the timer. Returns the allocations. */
static uint64_t run_batches(bool textbook)
{
    enum { batches = 1000, batch_size = 256, batches_per_window = 50, floor = 16 };
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, floor);
    uint64_t before = carom_memory_taken();
    for (int batch = 1; batch <= batches; batch++) {
        take(&pool, batch_size);
        for (int i = 0; i < batch_size; i++) {
            if (textbook)
                textbook_give(&pool, held[i]);
            else
                carom_pool_give(&pool, held[i]);
        }
        if (!textbook && batch % batches_per_window == 0)
            carom_pool_tick(&pool);
    }
    uint64_t allocations = carom_memory_taken() - before;
    carom_pool_finish(&pool);
    return allocations;
}

static void the_textbook_rule_thrashes_at_batches(void **state)
{
    (void)state;
    uint64_t textbook = run_batches(true), window = run_batches(false);
    print_message("allocations over 1000 batches of 256: textbook rule %llu, window rule %llu\n",
                  (unsigned long long)textbook, (unsigned long long)window);
    /* In flight falls to zero at the end of each batch, so all but the floor goes, each time. */
    assert_int_equal(textbook, 256 + 999 * (256 - 16));
    assert_int_equal(window, 256);
}

/* ---- failures and misuse */

static void out_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 4);
    take(&pool, 2);
    carom_pool_give(&pool, held[1]);
    carom_memory_fail_after(0);
    held[1] = carom_pool_take(&pool); /* from the pool: no allocation */
    assert_non_null(held[1]);
    assert_null(carom_pool_take(&pool));
    assert_null(carom_pool_take(&pool));
    assert_int_equal(pool.in_use, 2);
    assert_int_equal(pool.allocated, 2);
    assert_int_equal(pool.peak, 2);
    carom_memory_fail_after(UINT64_MAX);
    held[2] = carom_pool_take(&pool);
    assert_non_null(held[2]);
    give(&pool, 3);
    carom_pool_finish(&pool);
}

static void give_same_twice(void *data)
{
    carom_pool_give(data, held[0]);
    carom_pool_give(data, held[0]);
}

static void give_same_later(void *data)
{
    carom_pool_give(data, held[0]);
    carom_pool_give(data, held[1]);
    carom_pool_give(data, held[0]);
}

static void finish(void *data)
{
    carom_pool_finish(data);
}

static void misuse_asserts(void **state)
{
    (void)state;
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 4);
    take(&pool, 3);
    assert_true(dies(finish, &pool));
    assert_true(dies(give_same_twice, &pool));
#ifdef CAROM_POISONS
    assert_true(dies(give_same_later, &pool));
#else
    (void)give_same_later;
#endif
    give(&pool, 3);
    assert_false(dies(finish, &pool));
    carom_pool_finish(&pool);
}

static void look_inside(void *data)
{
    volatile char *object = data;
    (void)object[OBJECT_SIZE - 1];
}

static void a_free_object_is_poisoned(void **state)
{
    (void)state;
#ifdef CAROM_POISONS
    struct carom_pool pool;
    carom_pool_init(&pool, OBJECT_SIZE, 4);
    take(&pool, 1);
    assert_false(dies(look_inside, held[0]));
    give(&pool, 1);
    assert_true(dies(look_inside, held[0]));
    take(&pool, 1);
    assert_false(dies(look_inside, held[0]));
    give(&pool, 1);
    carom_pool_finish(&pool);
#else
    (void)look_inside;
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_again_what_was_given),
        cmocka_unit_test_teardown(fills_to_the_floor, let_all_through),
        cmocka_unit_test(keeps_what_lies_behind_the_first_word),
        cmocka_unit_test(smallest_object_is_a_pointer),
        cmocka_unit_test(a_burst_is_given_back_in_two_windows),
        cmocka_unit_test(filled_to_the_floor_it_does_not_allocate),
        cmocka_unit_test(filling_fails_without_memory),
        cmocka_unit_test(without_a_floor_the_last_one_goes_too),
        cmocka_unit_test(nothing_goes_from_below_the_floor),
        cmocka_unit_test(steady_load_keeps_what_the_window_uses),
        cmocka_unit_test(a_tick_in_the_middle_of_a_batch_trims_nothing_of_it),
        cmocka_unit_test(the_textbook_rule_thrashes_at_batches),
        cmocka_unit_test_teardown(out_of_memory_changes_nothing, let_all_through),
        cmocka_unit_test(misuse_asserts),
        cmocka_unit_test(a_free_object_is_poisoned),
    };
    return cmocka_run_group_tests_name("base/pool", tests, NULL, NULL);
}
