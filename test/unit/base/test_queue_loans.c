/* Borrowed bytes in queues: neighbours in memory are not joined, and an owner who is given bytes
 * back finds the pool whole. */
#include "unit/base/support.h"

#include "base/memory.h"
#include "base/queue.h"

static struct carom_pool segments;
static struct carom_queue queue, other;
static int given;
static uint32_t in_use_when_given;

static int begin(void **state)
{
    (void)state;
    carom_pool_init(&segments, sizeof(struct carom_segment), 0);
    carom_queue_init(&queue);
    carom_queue_init(&other);
    given = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    carom_queue_clear(&queue, &segments);
    carom_queue_clear(&other, &segments);
    carom_pool_finish(&segments);
    return 0;
}

static void give_back(void *owner)
{
    (void)owner;
    given++;
    in_use_when_given = segments.in_use;
}

static void lend(struct carom_queue *to, const char *bytes, size_t length)
{
    assert_int_equal(carom_queue_append_borrowed(to, &segments, bytes, length, give_back, NULL), 0);
}

static void neighbours_of_two_owners_stay_apart(void **state)
{
    (void)state;
    static const char bytes[] = "onetwo";
    lend(&queue, bytes, 3);
    lend(&other, bytes + 3, 3);
    carom_queue_splice(&queue, &other, &segments);
    assert_int_equal(given, 0);
    assert_int_equal(queue.length, 6);
    assert_ptr_not_equal(queue.first, queue.last);
    carom_queue_consume(&queue, &segments, 3);
    assert_int_equal(given, 1);
    carom_queue_consume(&queue, &segments, 3);
    assert_int_equal(given, 2);
}

/* So that the owner may put something into a queue there and then. */
static void memory_is_back_before_the_owner_is_called(void **state)
{
    (void)state;
    lend(&queue, "whole", 5);
    carom_queue_consume(&queue, &segments, 5);
    assert_int_equal(given, 1);
    assert_int_equal(in_use_when_given, 0);
    lend(&queue, "halves", 6);
    assert_int_equal(carom_queue_move(&other, &queue, 3, &segments), 0);
    carom_queue_clear(&queue, &segments);
    assert_int_equal(given, 1);
    carom_queue_clear(&other, &segments);
    assert_int_equal(given, 2);
    assert_int_equal(in_use_when_given, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(neighbours_of_two_owners_stay_apart, begin, end),
        cmocka_unit_test_setup_teardown(memory_is_back_before_the_owner_is_called, begin, end),
    };
    return cmocka_run_group_tests_name("base/queue_loans", tests, NULL, NULL);
}
