/* Tests of pages (who holds one keeps it) and of the arena (packing, rewinding, the next page). */
#include "unit/base/support.h"

#include <string.h>

#include "base/memory.h"
#include "base/page.h"

#define SIZE 100

static struct carom_pages pages;
static struct carom_arena arena;

static int begin(void **state)
{
    (void)state;
    carom_pages_init(&pages, SIZE, 4);
    carom_arena_init(&arena, &pages);
    return 0;
}

/* Everything must be back: carom_pages_finish asserts it. */
static int end(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    carom_arena_finish(&arena);
    carom_pages_finish(&pages);
    return carom_memory_held() == 0 ? 0 : -1;
}

static void a_page_lives_as_long_as_it_is_held(void **state)
{
    (void)state;
    struct carom_page *page = carom_page_take(&pages);
    assert_non_null(page);
    assert_int_equal(page->holds, 1);
    assert_int_equal(page->used, 0);
    assert_int_equal(page->size, SIZE);
    memset(page->data, 1, SIZE);
    page->used = SIZE;
    assert_ptr_equal(carom_page_hold(page), page);
    carom_page_drop(page);
    assert_int_equal(pages.pool.in_use, 1);
    carom_page_drop(page);
    assert_int_equal(pages.pool.in_use, 0);
    struct carom_page *again = carom_page_take(&pages);
    assert_ptr_equal(again, page);
    assert_int_equal(again->holds, 1);
    assert_int_equal(again->used, 0);
    carom_page_drop(again);
}

static void the_arena_packs_pieces_into_one_page(void **state)
{
    (void)state;
    struct carom_page *page = carom_arena_room(&arena, 40);
    assert_non_null(page);
    page->used += 40;
    carom_page_hold(page);
    assert_ptr_equal(carom_arena_room(&arena, 60), page); /* fits exactly */
    assert_int_equal(page->used, 40);
    page->used += 60;
    carom_page_hold(page);
    assert_ptr_equal(carom_arena_room(&arena, 0), page);
    assert_int_equal(pages.pool.in_use, 1);
    carom_page_drop(page);
    carom_page_drop(page);
}

static void it_is_rewound_when_nobody_else_holds_it(void **state)
{
    (void)state;
    struct carom_page *page = carom_arena_room(&arena, 40);
    assert_non_null(page);
    page->used += 40;
    carom_page_hold(page);
    assert_ptr_equal(carom_arena_room(&arena, 10), page);
    assert_int_equal(page->used, 40); /* somebody points there */
    carom_page_drop(page);
    assert_ptr_equal(carom_arena_room(&arena, 10), page);
    assert_int_equal(page->used, 0);
    page->used = SIZE;
    assert_ptr_equal(carom_arena_room(&arena, SIZE), page);
    assert_int_equal(page->used, 0);
    assert_int_equal(pages.pool.allocated, 1);
}

static void a_full_page_is_left_to_those_who_hold_it(void **state)
{
    (void)state;
    struct carom_page *first = carom_arena_room(&arena, 70);
    assert_non_null(first);
    first->used += 70;
    carom_page_hold(first);
    struct carom_page *second = carom_arena_room(&arena, 31);
    assert_non_null(second);
    assert_ptr_not_equal(second, first);
    assert_int_equal(second->used, 0);
    assert_int_equal(first->holds, 1); /* ours; the arena has let go */
    assert_int_equal(pages.pool.in_use, 2);
    carom_page_drop(first);
    assert_int_equal(pages.pool.in_use, 1);
}

static void out_of_memory_leaves_the_arena_as_it_was(void **state)
{
    (void)state;
    carom_memory_fail_after(0);
    assert_null(carom_arena_room(&arena, 1));
    assert_null(carom_page_take(&pages));
    carom_memory_fail_after(UINT64_MAX);
    struct carom_page *page = carom_arena_room(&arena, 70);
    assert_non_null(page);
    page->used += 70;
    carom_page_hold(page);
    carom_memory_fail_after(0);
    assert_null(carom_arena_room(&arena, 31));
    assert_int_equal(page->holds, 2);
    assert_ptr_equal(carom_arena_room(&arena, 30), page);
    assert_int_equal(page->used, 70);
    carom_page_drop(page);
    assert_ptr_equal(carom_arena_room(&arena, 31), page); /* rewound: no memory needed */
}

static void ask_for_more_than_a_page(void *data)
{
    carom_arena_room(data, SIZE + 1);
}

static void more_than_a_page_is_one_of_its_own(void **state)
{
    (void)state;
    struct carom_page *small = carom_arena_hold(&arena, SIZE);
    assert_int_equal(small->holds, 2); /* the arena's, and ours */
    struct carom_page *large = carom_arena_hold(&arena, SIZE + 1);
    assert_int_equal(large->holds, 1);
    assert_int_equal(large->size, SIZE + 1);
    assert_int_equal(pages.pool.in_use, 1);
    memset(large->data, 1, SIZE + 1);
    carom_page_drop(large);
    carom_page_drop(small);
    carom_memory_fail_after(0);
    assert_null(carom_arena_hold(&arena, SIZE + 1));
    carom_memory_fail_after(UINT64_MAX);
    assert_null(
        carom_arena_hold(&arena, UINT32_MAX)); /* with its head it would be more than 32 bits */
    assert_null(carom_arena_hold(&arena, SIZE_MAX));
}

static void drop(void *data)
{
    carom_page_drop(data);
}

static void misuse_asserts(void **state)
{
    (void)state;
    assert_true(dies(ask_for_more_than_a_page, &arena));
    struct carom_page *page = carom_page_take(&pages);
    assert_false(dies(drop, page));
    page->holds = 0;
    assert_true(dies(drop, page));
    page->holds = 1;
    carom_page_drop(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_lives_as_long_as_it_is_held, begin, end),
        cmocka_unit_test_setup_teardown(the_arena_packs_pieces_into_one_page, begin, end),
        cmocka_unit_test_setup_teardown(it_is_rewound_when_nobody_else_holds_it, begin, end),
        cmocka_unit_test_setup_teardown(a_full_page_is_left_to_those_who_hold_it, begin, end),
        cmocka_unit_test_setup_teardown(out_of_memory_leaves_the_arena_as_it_was, begin, end),
        cmocka_unit_test_setup_teardown(more_than_a_page_is_one_of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(misuse_asserts, begin, end),
    };
    return cmocka_run_group_tests_name("base/page", tests, NULL, NULL);
}
