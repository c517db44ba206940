/* Segments of a queue that lie in files, and how the queue describes them. Nothing is read from a
 * file here. */
#include "unit/base/support.h"

#include <string.h>

#include "base/memory.h"
#include "base/queue.h"
#include "carom.h"

static struct carom_pool segments;
static struct carom_queue queue, other;
static int given_back;

static int begin(void **state)
{
    (void)state;
    carom_pool_init(&segments, sizeof(struct carom_segment), 0);
    carom_queue_init(&queue);
    carom_queue_init(&other);
    return 0;
}

static int end(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    carom_queue_clear(&queue, &segments);
    carom_queue_clear(&other, &segments);
    carom_pool_finish(&segments);
    return carom_memory_held() == 0 ? 0 : -1;
}

static void count_up(void *owner)
{
    ++*(int *)owner;
}

static void borrow(const char *text)
{
    assert_int_equal(carom_queue_append_borrowed(&queue, &segments, text, strlen(text), NULL, NULL),
                     0);
}

static void lend_file(struct carom_queue *q, uint64_t offset, uint64_t length, int *count)
{
    assert_int_equal(carom_queue_append_file(q, &segments, 5, offset, length, count_up, count), 0);
}

static void assert_file(const struct carom_segment *segment, uint64_t offset, uint64_t length)
{
    assert_null(segment->data);
    assert_int_equal(segment->fd, 5);
    assert_true(segment->offset == offset && segment->length == length);
}

static void files_are_consumed_and_split_as_bytes_are(void **state)
{
    (void)state;
    const uint64_t far = 5000000000, long_way = 6000000000;
    struct iovec vectors[4];
    given_back = 0;
    borrow("abc");
    lend_file(&queue, far, long_way, &given_back);
    borrow("def");
    assert_true(queue.length == long_way + 6);
    assert_int_equal(carom_queue_vectors(&queue, vectors, 4), 1); /* as far as there is memory */
    assert_false(carom_queue_ends_with(&queue, &vectors[0]));
    carom_queue_consume(&queue, &segments, 5);
    assert_file(queue.first, far + 2, long_way - 2);
    assert_int_equal(carom_queue_vectors(&queue, vectors, 4), 0);
    assert_int_equal(carom_queue_move(&other, &queue, long_way - 10, &segments), 0);
    assert_file(other.first, far + 2, long_way - 10);
    assert_file(queue.first, far + long_way - 8, 8);
    carom_queue_consume(&queue, &segments, 8);
    assert_int_equal(given_back, 0);
    carom_queue_consume(&other, &segments, long_way - 10);
    assert_int_equal(given_back, 1);
    assert_int_equal(queue.length, 3);
    assert_int_equal(carom_queue_vectors(&queue, vectors, 4), 1);
    assert_true(carom_queue_ends_with(&queue, &vectors[0]));
    carom_queue_clear(&queue, &segments);
    assert_int_equal(segments.in_use, 0);
}

static void nothing_of_a_file_is_given_back_at_once(void **state)
{
    (void)state;
    given_back = 0;
    lend_file(&queue, 7, 0, &given_back);
    assert_int_equal(given_back, 1);
    assert_null(queue.first);
    carom_pool_tick(&segments); /* a free object would hide it */
    carom_pool_tick(&segments);
    carom_memory_fail_after(0);
    assert_int_equal(carom_queue_append_file(&queue, &segments, 5, 7, 1, count_up, &given_back),
                     -CAROM_ENOMEM);
    assert_int_equal(given_back, 1);
    assert_null(queue.first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(files_are_consumed_and_split_as_bytes_are),
        TEST(nothing_of_a_file_is_given_back_at_once),
    };
    return cmocka_run_group_tests_name("base/queue_file", tests, NULL, NULL);
}
