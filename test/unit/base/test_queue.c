/* Tests of the queue: joining, splitting, loans of borrowed bytes that end exactly once, every
 * failing allocation, and random operations on two queues against a plain array of bytes. */
#include "unit/base/support.h"

#include <string.h>

#include "base/memory.h"
#include "base/queue.h"
#include "carom.h"

#define PAGE_SIZE 4096

static struct carom_pages pages;
static struct carom_pool segments;
static struct carom_arena arena;
static struct carom_queue queue, other;

static int begin(void **state)
{
    (void)state;
    carom_pages_init(&pages, PAGE_SIZE, 0);
    carom_pool_init(&segments, sizeof(struct carom_segment), 0);
    carom_arena_init(&arena, &pages);
    carom_queue_init(&queue);
    carom_queue_init(&other);
    return 0;
}

/* Whatever a test leaves is dropped; then all segments and pages must be back (asserted). */
static int end(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    carom_queue_clear(&queue, &segments);
    carom_queue_clear(&other, &segments);
    carom_arena_finish(&arena);
    carom_pages_finish(&pages);
    carom_pool_finish(&segments);
    return carom_memory_held() == 0 ? 0 : -1;
}

/* Free objects would hide a failing allocation. */
static void forget_free_objects(void)
{
    while (segments.free_count > 0 || pages.pool.free_count > 0) {
        carom_pool_tick(&segments);
        carom_pool_tick(&pages.pool);
    }
}

static unsigned segment_count(const struct carom_queue *q)
{
    unsigned count = 0;
    for (const struct carom_segment *s = q->first; s != NULL; s = s->next)
        count++;
    return count;
}

/* The invariants of queue.c, and that the queue's bytes are `expected`. */
static void assert_bytes(const struct carom_queue *q, const void *expected, size_t length)
{
    const uint8_t *at = expected;
    size_t left = length;
    const struct carom_segment *last = NULL;
    for (const struct carom_segment *s = q->first; s != NULL; last = s, s = s->next) {
        assert_true(s->length > 0 && s->length <= left);
        assert_memory_equal(s->data, at, s->length);
        assert_false(last != NULL && s->page != NULL && s->page == last->page &&
                     last->data + last->length == s->data);
        assert_true(s->page == NULL || s->page->holds > 0);
        at += s->length;
        left -= s->length;
    }
    assert_int_equal(left, 0);
    assert_ptr_equal(q->last, last);
    assert_int_equal(q->length, length);
}

static void assert_text(const struct carom_queue *q, const char *expected)
{
    assert_bytes(q, expected, strlen(expected));
}

/* Put a text into a page at its `used`. */
static const uint8_t *fill(struct carom_page *page, const char *text)
{
    uint8_t *at = page->data + page->used;
    memcpy(at, text, strlen(text));
    page->used += (uint32_t)strlen(text);
    return at;
}

/* How often a test's loans were given back. Not on a test's stack: end() gives back what is left.
 */
static int given, rest, ignored;

static void count_up(void *owner)
{
    ++*(int *)owner;
}

static void lend_text(struct carom_queue *q, const char *text, int *count)
{
    assert_int_equal(carom_queue_append_borrowed(q, &segments, text, strlen(text), count_up, count),
                     0);
}

static void neighbours_in_a_page_are_joined(void **state)
{
    (void)state;
    struct carom_page *page = carom_page_take(&pages);
    const uint8_t *one = fill(page, "one"), *two = fill(page, "two"), *six = fill(page, "six");
    assert_int_equal(carom_queue_append_page(&queue, &segments, page, one, 3), 0);
    assert_int_equal(page->holds, 2);
    assert_int_equal(carom_queue_append_page(&queue, &segments, page, two, 3), 0);
    assert_int_equal(page->holds, 2);
    assert_int_equal(segment_count(&queue), 1);
    assert_int_equal(carom_queue_append_page(&queue, &segments, page, two, 3), 0); /* a gap */
    assert_int_equal(page->holds, 3);
    assert_int_equal(segment_count(&queue), 2);
    assert_int_equal(carom_queue_append_page(&queue, &segments, page, six, 0), 0); /* nothing */
    assert_int_equal(page->holds, 3);
    assert_text(&queue, "onetwotwo");

    /* Across a splice too, and the spliced segment's hold goes. */
    assert_int_equal(carom_queue_append_page(&other, &segments, page, six, 3), 0);
    lend_text(&other, "!", &ignored);
    assert_int_equal(page->holds, 4);
    carom_queue_splice(&queue, &other, &segments);
    assert_text(&queue, "onetwotwosix!");
    assert_text(&other, "");
    assert_int_equal(segment_count(&queue), 3);
    assert_int_equal(page->holds, 3);
    carom_page_drop(page);
    assert_int_equal(pages.pool.in_use, 1);
    carom_queue_consume(&queue, &segments, 12);
    assert_int_equal(pages.pool.in_use, 0);
}

static void splicing_nothing_or_to_nothing(void **state)
{
    (void)state;
    given = 0;
    carom_queue_splice(&queue, &other, &segments);
    assert_text(&queue, "");
    lend_text(&other, "abc", &given);
    carom_queue_splice(&queue, &other, &segments);
    assert_text(&queue, "abc");
    carom_queue_splice(&queue, &other, &segments);
    assert_text(&queue, "abc");
    lend_text(&queue, "def", &given);
    assert_text(&queue, "abcdef");
}

/* A join that leaves nothing of the second queue. */
static void splicing_joins_the_only_segment(void **state)
{
    (void)state;
    assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, "ab", 2), 0);
    assert_int_equal(carom_queue_append_copy(&other, &segments, &arena, "cd", 2), 0);
    carom_queue_splice(&queue, &other, &segments);
    assert_text(&queue, "abcd");
    assert_text(&other, "");
    assert_int_equal(segment_count(&queue), 1);
    assert_int_equal(segments.in_use, 1);
    assert_int_equal(arena.page->holds, 2);
}

static void consumes_across_segments(void **state)
{
    (void)state;
    static int ends[3] = {0};
    lend_text(&queue, "abc", &ends[0]);
    lend_text(&queue, "defg", &ends[1]);
    lend_text(&queue, "h", &ends[2]);
    carom_queue_consume(&queue, &segments, 0);
    carom_queue_consume(&queue, &segments, 2);
    assert_text(&queue, "cdefgh");
    assert_int_equal(ends[0], 0);
    carom_queue_consume(&queue, &segments, 1); /* to the end of a segment */
    assert_int_equal(ends[0], 1);
    assert_text(&queue, "defgh");
    carom_queue_consume(&queue, &segments, 5);
    assert_text(&queue, "");
    assert_int_equal(ends[0] + 10 * ends[1] + 100 * ends[2], 111);
    lend_text(&queue, "again", &ends[0]);
    carom_queue_clear(&queue, &segments);
    assert_int_equal(ends[0], 2);
}

static void nothing_borrowed_is_given_back_at_once(void **state)
{
    (void)state;
    given = 0;
    lend_text(&queue, "", &given);
    assert_int_equal(given, 1);
    assert_null(queue.first);
    assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "", 0, NULL, NULL), 0);
    assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, "", 0), 0);
    assert_null(queue.first);
    assert_null(arena.page);
}

static void vectors_describe_the_first_segments(void **state)
{
    (void)state;
    struct iovec vectors[4];
    assert_int_equal(carom_queue_vectors(&queue, vectors, 4), 0);
    const char *texts[] = {"a", "bc", "def"};
    for (size_t i = 0; i < COUNT(texts); i++)
        lend_text(&queue, texts[i], &ignored);
    assert_int_equal(carom_queue_vectors(&queue, vectors, 0), 0);
    assert_int_equal(carom_queue_vectors(&queue, vectors, 2), 2);
    assert_int_equal(carom_queue_vectors(&queue, vectors, 4), 3);
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_ptr_equal(vectors[i].iov_base, texts[i]);
        assert_int_equal(vectors[i].iov_len, strlen(texts[i]));
    }
    assert_text(&queue, "abcdef");
}

static void split_loans_end_once_in_any_order(void **state)
{
    (void)state;
    struct carom_queue third = {0};
    struct carom_queue *orders[][3] = {
        {&queue, &other, &third}, {&queue, &third, &other}, {&other, &queue, &third},
        {&other, &third, &queue}, {&third, &queue, &other}, {&third, &other, &queue},
    };
    for (size_t i = 0; i < COUNT(orders); i++) {
        given = 0;
        lend_text(&queue, "abcdefghi", &given);
        assert_int_equal(carom_queue_move(&other, &queue, 6, &segments), 0);
        assert_int_equal(carom_queue_move(&third, &other, 2, &segments), 0);
        assert_text(&third, "ab");
        assert_text(&other, "cdef");
        assert_text(&queue, "ghi");
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(given, 0);
            carom_queue_clear(orders[i][k], &segments);
        }
        assert_int_equal(given, 1);
        assert_int_equal(segments.in_use, 0); /* the loan's object too */
    }
}

static void moves_whole_segments_and_parts(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 12; length++) {
        given = 0;
        assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, "abc", 3), 0);
        lend_text(&queue, "def", &given);
        assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, "ghi", 3), 0);
        assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "jkl", 3, NULL, NULL), 0);
        assert_int_equal(carom_queue_append_borrowed(&other, &segments, "__", 2, NULL, NULL), 0);
        assert_int_equal(carom_queue_move(&other, &queue, length, &segments), 0);
        assert_bytes(&other, "__abcdefghijkl", 2 + length);
        assert_bytes(&queue, &"abcdefghijkl"[length], 12 - length);
        assert_int_equal(carom_queue_move(&other, &queue, 12 - length, &segments), 0);
        assert_text(&other, "__abcdefghijkl");
        assert_text(&queue, "");
        assert_int_equal(given, 0);
        carom_queue_consume(&other, &segments, 7);
        assert_int_equal(given, 0);
        carom_queue_consume(&other, &segments, 1);
        assert_int_equal(given, 1);
        carom_queue_clear(&other, &segments);
    }
}

/* Bytes of one page that were split join again when they meet. */
static void moved_parts_of_a_page_are_joined_again(void **state)
{
    (void)state;
    assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, "abcdefghi", 9), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(carom_queue_move(&other, &queue, 1, &segments), 0);
    assert_text(&other, "abcdefghi");
    assert_int_equal(segment_count(&other), 1);
    assert_int_equal(segments.in_use, 1);
    assert_int_equal(arena.page->holds, 2);
}

static void copies_fill_pages(void **state)
{
    (void)state;
    static char text[3 * PAGE_SIZE];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7 % 251);
    assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, text, 10), 0);
    assert_int_equal(
        carom_queue_append_copy(&queue, &segments, &arena, text + 10, sizeof text - 10), 0);
    assert_bytes(&queue, text, sizeof text);
    assert_int_equal(pages.pool.in_use, 3);
    assert_int_equal(segment_count(&queue), 3);
    carom_queue_clear(&queue, &segments);
    assert_int_equal(pages.pool.in_use, 1); /* the arena's */

    /* No crumbs: with 100 bytes left, a longer copy begins in the next page. */
    assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, text, PAGE_SIZE - 100), 0);
    assert_int_equal(carom_queue_append_copy(&other, &segments, &arena, text, 3000), 0);
    assert_int_equal(segment_count(&other), 1);
    assert_bytes(&other, text, 3000);
}

/* ---- giving back runs somebody's code */

static void append_more(void *owner)
{
    int *count = owner;
    assert_int_equal(queue.length, 3);
    if (++*count == 1)
        assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "xyz", 3, count_up, owner),
                         0);
}

static void give_back_may_append_to_the_queue(void **state)
{
    (void)state;
    given = rest = 0;
    assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "abc", 3, append_more, &given),
                     0);
    lend_text(&queue, "def", &rest);
    carom_queue_consume(&queue, &segments, 4);
    assert_text(&queue, "efxyz");
    assert_int_equal(given, 1);
    carom_queue_consume(&queue, &segments, 5);
    assert_int_equal(given, 2);

    given = rest = 0;
    assert_int_equal(carom_queue_append_borrowed(&queue, &segments, "abc", 3, append_more, &given),
                     0);
    lend_text(&queue, "def", &rest);
    carom_queue_clear(&queue, &segments); /* what was appended meanwhile is dropped too */
    assert_text(&queue, "");
    assert_int_equal(given, 2);
    assert_int_equal(rest, 1);
}

/* ---- failing allocations */

/* What each of these does needs memory; it is run with every allocation failing in turn. */
static int append_to_page(void)
{
    return carom_queue_append_page(&queue, &segments, arena.page, arena.page->data, 2);
}

static int borrow(void)
{
    return carom_queue_append_borrowed(&queue, &segments, "pq", 2, NULL, NULL);
}

static int copy(void)
{
    /* The rest of the arena's page and three more: four segments, three pages. */
    static const char text[3 * PAGE_SIZE] = "p";
    return carom_queue_append_copy(&queue, &segments, &arena, text, sizeof text);
}

static int split_loan(void)
{
    return carom_queue_move(&other, &queue, 9, &segments); /* a segment and the loan */
}

static int split_page(void)
{
    return carom_queue_move(&other, &queue, 2, &segments);
}

static void out_of_memory_changes_nothing(void **state)
{
    (void)state;
    const struct {
        int (*run)(void);
        unsigned allocations;
    } cases[] = {{append_to_page, 1}, {borrow, 1}, {copy, 4 + 3}, {split_loan, 2}, {split_page, 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (unsigned fail = 0;; fail++) {
            given = 0;
            assert_int_equal(carom_queue_append_copy(&queue, &segments, &arena, "abcdefg", 7), 0);
            lend_text(&queue, "hij", &given);
            lend_text(&other, "o", &given);
            forget_free_objects();
            uint32_t segments_in_use = segments.in_use;
            carom_memory_fail_after(fail);
            int result = cases[i].run();
            carom_memory_fail_after(UINT64_MAX);
            assert_int_equal(given, 0);
            if (result == 0)
                assert_int_equal(fail, cases[i].allocations);
            else {
                assert_int_equal(result, -CAROM_ENOMEM);
                assert_text(&queue, "abcdefghij");
                assert_text(&other, "o");
                assert_int_equal(segments.in_use, segments_in_use);
                assert_true(fail < cases[i].allocations);
            }
            carom_queue_clear(&queue, &segments);
            carom_queue_clear(&other, &segments);
            assert_int_equal(given, 2);
            if (result == 0)
                break;
        }
    }
}

static void consume_too_much(void *data)
{
    carom_queue_consume(data, &segments, 4);
}

static void move_too_much(void *data)
{
    carom_queue_move(&other, data, 4, &segments);
}

static void misuse_asserts(void **state)
{
    (void)state;
    given = 0;
    lend_text(&queue, "abc", &given);
    assert_true(dies(consume_too_much, &queue));
    assert_true(dies(move_too_much, &queue));
    carom_queue_clear(&queue, &segments);
}

/* ---- random operations against a model */

#define MODEL_MOST (1 << 16)
#define LOANS      4000

struct model {
    struct carom_queue *queue;
    uint8_t bytes[MODEL_MOST];
    size_t length;
};

static struct model models[2];
static int loans[LOANS];
static size_t loan_count;
static uint8_t source[2 * PAGE_SIZE];

static void model_append(struct model *model, const uint8_t *data, size_t length)
{
    assert_true(model->length + length <= MODEL_MOST);
    memcpy(model->bytes + model->length, data, length);
    model->length += length;
}

static void model_consume(struct model *model, size_t length)
{
    model->length -= length;
    memmove(model->bytes, model->bytes + length, model->length);
}

/* One random append; memory may be out. */
static void random_append(uint64_t *seed, struct model *model)
{
    size_t length = random_below(seed, random_below(seed, 8) == 0 ? sizeof source : 200);
    const uint8_t *data = source + random_below(seed, sizeof source - length + 1);
    int result = 0;
    switch (random_below(seed, 3)) {
    case 0: {
        if (length > PAGE_SIZE)
            length = PAGE_SIZE;
        struct carom_page *page = carom_arena_room(&arena, (uint32_t)length);
        if (page == NULL)
            return;
        uint8_t *at = page->data + page->used;
        memcpy(at, data, length);
        result = carom_queue_append_page(model->queue, &segments, page, at, length);
        if (result == 0)
            page->used += (uint32_t)length;
        break;
    }
    case 1:
        if (loan_count == LOANS)
            return;
        result = carom_queue_append_borrowed(model->queue, &segments, data, length, count_up,
                                             &loans[loan_count]);
        if (result == 0)
            loan_count++;
        break;
    default:
        result = carom_queue_append_copy(model->queue, &segments, &arena, data, length);
        break;
    }
    if (result == 0)
        model_append(model, data, length);
    else
        assert_int_equal(result, -CAROM_ENOMEM);
}

static void random_step(uint64_t *seed)
{
    size_t which = random_below(seed, 2);
    struct model *to = &models[which], *from = &models[1 - which];
    size_t part = random_below(seed, from->length + 1);
    switch (random_below(seed, 16)) {
    case 0:
        if (to->length + from->length > MODEL_MOST)
            break;
        carom_queue_splice(to->queue, from->queue, &segments);
        model_append(to, from->bytes, from->length);
        from->length = 0;
        break;
    case 1:
        if (random_below(seed, 10) > 0)
            break;
        carom_queue_clear(from->queue, &segments);
        from->length = 0;
        break;
    case 2:
    case 3:
    case 4:
        carom_queue_consume(from->queue, &segments, part);
        model_consume(from, part);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        if (to->length + part > MODEL_MOST)
            break;
        if (carom_queue_move(to->queue, from->queue, part, &segments) != 0)
            break;
        model_append(to, from->bytes, part);
        model_consume(from, part);
        break;
    default:
        if (to->length + sizeof source <= MODEL_MOST)
            random_append(seed, to);
        break;
    }
}

static void random_operations_keep_the_bytes(void **state)
{
    (void)state;
    uint64_t seed = random_seed("base/queue");
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)random_below(&seed, 256);
    for (unsigned round = rounds(40); round-- > 0;) {
        models[0] = (struct model){.queue = &queue};
        models[1] = (struct model){.queue = &other};
        memset(loans, 0, sizeof loans);
        loan_count = 0;
        for (int step = 0; step < 1000; step++) {
            if (random_below(&seed, 20) == 0) {
                forget_free_objects();
                carom_memory_fail_after(random_below(&seed, 5));
            }
            random_step(&seed);
            carom_memory_fail_after(UINT64_MAX);
            for (size_t i = 0; i < 2; i++)
                assert_bytes(models[i].queue, models[i].bytes, models[i].length);
        }
        carom_queue_clear(&queue, &segments);
        carom_queue_clear(&other, &segments);
        for (size_t i = 0; i < LOANS; i++)
            assert_int_equal(loans[i], i < loan_count);
        assert_int_equal(segments.in_use, 0);
        assert_true(pages.pool.in_use <= 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(neighbours_in_a_page_are_joined),
        TEST(splicing_nothing_or_to_nothing),
        TEST(splicing_joins_the_only_segment),
        TEST(consumes_across_segments),
        TEST(nothing_borrowed_is_given_back_at_once),
        TEST(vectors_describe_the_first_segments),
        TEST(split_loans_end_once_in_any_order),
        TEST(moves_whole_segments_and_parts),
        TEST(moved_parts_of_a_page_are_joined_again),
        TEST(copies_fill_pages),
        TEST(give_back_may_append_to_the_queue),
        TEST(out_of_memory_changes_nothing),
        TEST(misuse_asserts),
        TEST(random_operations_keep_the_bytes),
    };
    return cmocka_run_group_tests_name("base/queue", tests, NULL, NULL);
}
