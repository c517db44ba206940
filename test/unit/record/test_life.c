/* References to records: what they say while a handler has the record, after it was released, and
 * when its memory is used by another record or given back; and the list of what handlers hold. */
#include <pthread.h>

#include "unit/record/support.h"

static void a_reference_tells_when_the_record_is_over(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_ref ref = carom_record_ref(record), again = carom_record_ref(record);
    assert_ptr_equal(carom_record_get(ref), record);
    assert_memory_equal(&ref, &again, sizeof ref);
    carom_record_cancel(record, CAROM_REASON_CLIENT_RESET);
    leave(record);
    assert_ptr_equal(carom_record_get(ref), record); /* it is to be released all the same */
    carom_release(record);
    assert_null(carom_record_get(ref));
    assert_null(carom_record_get((carom_ref){NULL, 0}));
    assert_null(carom_record_ref(NULL).life);
}

/* From release on, though the response is still on its way. */
static void a_record_that_is_being_sent_is_over(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_ref ref = carom_record_ref(record);
    carom_release(record);
    assert_int_equal(records.pool.in_use, 1);
    assert_null(carom_record_get(ref));
    leave(record);
}

static void a_reference_does_not_find_who_has_the_memory_next(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_ref ref = carom_record_ref(record);
    finish(record);
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(take(), record); /* the warmest first */
        assert_null(carom_record_get(ref));
        carom_ref other = carom_record_ref(record);
        assert_ptr_equal(carom_record_get(other), record);
        finish(record);
        assert_null(carom_record_get(other));
    }
    /* Given back to the allocator, and a life that is another record's by now. */
    records.pool.floor = 0;
    carom_pool_tick(&records.pool);
    carom_pool_tick(&records.pool);
    assert_int_equal(records.pool.free_count, 0);
    assert_null(carom_record_get(ref));
    record = take();
    assert_ptr_equal(carom_record_ref(record).life, ref.life);
    assert_null(carom_record_get(ref));
    finish(record);
}

#define MANY 200 /* more than a block of lives */

static int held_now(carom_record *const *list, int count)
{
    struct carom_life_cursor cursor = {0};
    carom_record *record;
    int found = 0;
    while ((record = carom_lives_next(&records.lives, &cursor)) != NULL) {
        bool known = false;
        for (int i = 0; i < count; i++)
            known = known || list[i] == record;
        assert_true(known);
        found++;
    }
    return found;
}

static void what_handlers_hold_is_found(void **state)
{
    (void)state;
    carom_record *list[MANY] = {NULL};
    assert_int_equal(held_now(list, 0), 0);
    for (int i = 0; i < MANY; i++)
        list[i] = take();
    assert_int_equal(held_now(list, MANY), MANY);
    for (int i = 0; i < MANY; i += 2)
        carom_release(list[i]); /* being sent: not held any more */
    carom_record *kept[MANY / 2];
    for (int i = 1; i < MANY; i += 2)
        kept[i / 2] = list[i];
    assert_int_equal(held_now(kept, MANY / 2), MANY / 2);
    for (int i = 0; i < MANY; i++) {
        if (i % 2 != 0)
            carom_release(list[i]);
        leave(list[i]);
    }
    assert_int_equal(held_now(list, 0), 0);
}

static void without_memory_for_a_life_there_is_no_record(void **state)
{
    (void)state;
    carom_memory_fail_after(1); /* the record, but not the block of lives */
    assert_null(carom_record_take(&records, &exchange_ops, NULL));
    carom_memory_fail_after(UINT64_MAX);
    assert_int_equal(records.pool.in_use, 0);
    finish(take());
}

static void *get_there(void *ref)
{
    carom_record_get(*(carom_ref *)ref);
    return NULL;
}

static void get_on_another_thread(void *ref)
{
    pthread_t thread;
    pthread_create(&thread, NULL, get_there, ref);
    pthread_join(thread, NULL);
}

static void another_thread_may_not_ask(void **state)
{
    (void)state;
    carom_record *record = take();
    carom_ref ref = carom_record_ref(record);
    assert_says(get_on_another_thread, &ref,
                "carom: carom_record_get: this is not the thread of the record's worker\n");
    finish(record);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_reference_tells_when_the_record_is_over),
        TEST(a_record_that_is_being_sent_is_over),
        TEST(a_reference_does_not_find_who_has_the_memory_next),
        TEST(what_handlers_hold_is_found),
        TEST(without_memory_for_a_life_there_is_no_record),
        TEST(another_thread_may_not_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
