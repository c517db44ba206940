/* Tests of the door to the allocator: what it counts, how it aligns, how it is made to fail. */
#include "unit/base/support.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "carom.h"

static int let_all_through(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    return 0;
}

static void counts_what_is_held_and_taken(void **state)
{
    (void)state;
    uint64_t held = carom_memory_held(), taken = carom_memory_taken();
    void *small = carom_memory_take(10);
    void *large = carom_memory_take_zeroed(1000);
    assert_non_null(small);
    assert_non_null(large);
    assert_int_equal(carom_memory_held() - held, 1010);
    assert_int_equal(carom_memory_taken() - taken, 2);
    carom_memory_give(small, 10);
    assert_int_equal(carom_memory_held() - held, 1000);
    carom_memory_give(large, 1000);
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(carom_memory_taken() - taken, 2);
    carom_memory_give(NULL, 77);
    assert_int_equal(carom_memory_held(), held);
    carom_memory_return_to_system();
}

/* ---------------------------------------------------------------- an allocator of the program's */

static _Atomic uint64_t allocated, released, bytes; /* by any thread */

static void *count_allocate(void *data, size_t size, size_t alignment)
{
    void *memory = NULL;
    assert_ptr_equal(data, &allocated);
    assert_true(size > 0);
    assert_int_equal(alignment, size < 256 ? _Alignof(max_align_t) : 64);
    if (posix_memalign(&memory, alignment, size) != 0)
        return NULL;
    allocated++;
    bytes += size;
    return memory;
}

static void count_release(void *data, void *memory, size_t size)
{
    assert_ptr_equal(data, &allocated);
    assert_non_null(memory);
    released++;
    bytes -= size;
    free(memory);
}

static void answer(carom_record *record, void *data)
{
    (void)data;
    carom_release(record);
}

/* All that is taken goes through it, a service included; and it cannot come too late. */
static void memory_is_taken_where_the_program_says(void **state)
{
    (void)state;
    const carom_allocator counting = {count_allocate, count_release, &allocated};
    carom_options options = CAROM_OPTIONS_INIT;
    carom_stats stats = CAROM_STATS_INIT;
    carom_service *service;
    assert_int_equal(carom_set_allocator(NULL), -CAROM_EINVAL);
    assert_int_equal(carom_set_allocator(&(carom_allocator){count_allocate, NULL, NULL}),
                     -CAROM_EINVAL);
    assert_int_equal(carom_set_allocator(&(carom_allocator){NULL, count_release, NULL}),
                     -CAROM_EINVAL);
    assert_int_equal(carom_set_allocator(&counting), 0);
    options.handler = answer;
    options.workers = 2;
    assert_int_equal(carom_service_create(&service, &options), 0);
    assert_int_equal(carom_service_listen(service, "127.0.0.1:0"), 0);
    carom_service_stats(service, &stats);
    assert_true(allocated > 100);
    assert_int_equal(stats.allocations, allocated);
    assert_int_equal(stats.memory, bytes);
    assert_int_equal(carom_set_allocator(&counting), -CAROM_ESTATE);
    assert_int_equal(carom_service_destroy(service), 0);
    assert_int_equal(released, allocated);
    assert_int_equal(bytes, 0);
    assert_int_equal(carom_set_allocator(&counting), -CAROM_ESTATE); /* also when all is back */
    void *none = carom_memory_take(0); /* an allocator is never asked for nothing */
    assert_int_equal(bytes, 1);
    carom_memory_give(none, 0);
    assert_int_equal(bytes, 0); /* and is told at its end what it was asked for */
}

static void aligns_by_size(void **state)
{
    (void)state;
    void *taken[300];
    for (size_t size = 0; size < COUNT(taken); size++) {
        taken[size] = carom_memory_take(size);
        assert_non_null(taken[size]);
        assert_int_equal((uintptr_t)taken[size] % (size >= 256 ? 64 : 16), 0);
        memset(taken[size], 0xff, size);
    }
    for (size_t size = 0; size < COUNT(taken); size++)
        carom_memory_give(taken[size], size);
}

static void zeroes_what_was_used_before(void **state)
{
    (void)state;
    for (size_t size = 1; size < 300; size += 13) {
        unsigned char *used = carom_memory_take(size);
        assert_non_null(used);
        memset(used, 0xaa, size);
        carom_memory_give(used, size);
        unsigned char *zeroed = carom_memory_take_zeroed(size);
        assert_non_null(zeroed);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(zeroed[i], 0);
        carom_memory_give(zeroed, size);
    }
}

static void fails_from_the_chosen_allocation_on(void **state)
{
    (void)state;
    for (uint64_t count = 0; count < 4; count++) {
        void *taken[4] = {0};
        uint64_t held = carom_memory_held(), before = carom_memory_taken();
        carom_memory_fail_after(count);
        for (uint64_t i = 0; i < count; i++) {
            taken[i] = carom_memory_take(100);
            assert_non_null(taken[i]);
        }
        assert_null(carom_memory_take(100));
        assert_null(carom_memory_take_zeroed(1));
        assert_null(carom_memory_take(100));
        assert_int_equal(carom_memory_held() - held, 100 * count);
        assert_int_equal(carom_memory_taken() - before, count);
        for (uint64_t i = 0; i < count; i++)
            carom_memory_give(taken[i], 100);
        assert_null(carom_memory_take(100)); /* what was given does not count as allowed */
        carom_memory_fail_after(UINT64_MAX);
        void *again = carom_memory_take(100);
        assert_non_null(again);
        carom_memory_give(again, 100);
    }
}

static void fails_once(void **state)
{
    (void)state;
    uint64_t failed = carom_memory_failed();
    for (uint64_t count = 0; count < 4; count++) {
        carom_memory_fail_once_after(count);
        for (uint64_t i = 0; i < 6; i++) {
            void *memory = carom_memory_take(100);
            assert_true((memory == NULL) == (i == count));
            carom_memory_give(memory, 100);
        }
    }
    assert_int_equal(carom_memory_failed() - failed, 4);
}

/* What was asked for last counts alone. */
static void fails_on_after_it_was_to_fail_once(void **state)
{
    (void)state;
    carom_memory_fail_once_after(5);
    carom_memory_fail_after(0);
    for (int i = 0; i < 3; i++)
        assert_null(carom_memory_take(1));
    carom_memory_fail_once_after(0);
    assert_null(carom_memory_take(1));
    void *memory = carom_memory_take(1);
    assert_non_null(memory);
    carom_memory_give(memory, 1);
}

/* The least size of those that begin a cache line; more than one, for any could by chance. */
static void four_lines_are_aligned(void **state)
{
    (void)state;
    void *objects[8];
    for (size_t i = 0; i < COUNT(objects); i++) {
        objects[i] = carom_memory_take(256);
        assert_int_equal((uintptr_t)objects[i] % 64, 0);
    }
    for (size_t i = 0; i < COUNT(objects); i++)
        carom_memory_give(objects[i], 256);
}

static void a_refusal_of_the_system_changes_no_count(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip(); /* they stop the program instead of refusing */
#else
    uint64_t held = carom_memory_held(), taken = carom_memory_taken();
    /* More than any machine has, and with 32 bits more than there may be in one piece. */
    const size_t too_much = SIZE_MAX > UINT32_MAX ? PTRDIFF_MAX / 2 : (size_t)PTRDIFF_MAX + 1;
    assert_null(carom_memory_take(too_much));
    assert_null(carom_memory_take_zeroed(too_much));
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(carom_memory_taken(), taken);
#endif
}

static void *take_and_give(void *data)
{
    (void)data;
    for (size_t i = 0; i < 5000; i++)
        carom_memory_give(carom_memory_take(i % 128), i % 128);
    return NULL;
}

static void counts_of_threads_add_up(void **state)
{
    (void)state;
    uint64_t held = carom_memory_held(), taken = carom_memory_taken();
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(carom_memory_taken() - taken, COUNT(threads) * 5000);
}

static void give_too_much(void *data)
{
    carom_memory_give(data, 101 + (size_t)carom_memory_held());
}

static void giving_more_than_was_taken_asserts(void **state)
{
    (void)state;
    void *memory = carom_memory_take(100);
    assert_true(dies(give_too_much, memory));
    carom_memory_give(memory, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_taken_where_the_program_says), /* the first that takes any */
        cmocka_unit_test_teardown(counts_what_is_held_and_taken, let_all_through),
        cmocka_unit_test_teardown(aligns_by_size, let_all_through),
        cmocka_unit_test_teardown(zeroes_what_was_used_before, let_all_through),
        cmocka_unit_test_teardown(fails_from_the_chosen_allocation_on, let_all_through),
        cmocka_unit_test_teardown(fails_once, let_all_through),
        cmocka_unit_test_teardown(fails_on_after_it_was_to_fail_once, let_all_through),
        cmocka_unit_test_teardown(four_lines_are_aligned, let_all_through),
        cmocka_unit_test_teardown(a_refusal_of_the_system_changes_no_count, let_all_through),
        cmocka_unit_test_teardown(counts_of_threads_add_up, let_all_through),
        cmocka_unit_test_teardown(giving_more_than_was_taken_asserts, let_all_through),
    };
    return cmocka_run_group_tests_name("base/memory", tests, NULL, NULL);
}
