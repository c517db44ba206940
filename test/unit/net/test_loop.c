/* Tests of what backends share: where bytes land, and that they stay there as long as they are
 * kept. */
#include "unit/net/sockets.h"

/* ---------------------------------------------------------------- pages */

static void keep_in_queue(struct owner *owner, struct carom_page *page, const uint8_t *data,
                          uint32_t length)
{
    assert_int_equal(carom_queue_append_page(owner->data, &segments, page, data, length), 0);
}

/* Kept bytes may join others of the page without a hold of their own. */
static void kept_bytes_stay_as_they_are(void **state)
{
    (void)state;
    struct carom_queue queue;
    int peer = open_unix(&one);
    carom_queue_init(&queue);
    one.on_received = keep_in_queue;
    one.data = &queue;
    put(peer, "first ");
    turn();
    put(peer, "second ");
    turn();
    put(peer, "third");
    turn();
    assert_int_equal(queue.length, 18);
    struct iovec vector;
    assert_int_equal(carom_queue_vectors(&queue, &vector, 1), 1);
    assert_int_equal(vector.iov_len, 18);
    assert_memory_equal(vector.iov_base, "first second third", 18);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

/* Keeps its bytes while another lets go of bytes in the same page. */
static void keep_and_drop_the_other(struct owner *owner, struct carom_page *page,
                                    const uint8_t *data, uint32_t length)
{
    keep_in_queue(owner, page, data, length);
    carom_queue_clear(two.data, &segments);
}

static void keeping_is_not_hidden_by_letting_go(void **state)
{
    (void)state;
    struct carom_queue queue, other_queue;
    int peer = open_unix(&one), other = open_unix(&two);
    carom_queue_init(&queue);
    carom_queue_init(&other_queue);
    one.on_received = keep_and_drop_the_other;
    two.on_received = keep_in_queue;
    one.data = &queue;
    two.data = &other_queue;
    put(other, "gone");
    turn();
    put(peer, "kept");
    turn();
    put(other, "more");
    turn();
    struct iovec vector;
    assert_int_equal(carom_queue_vectors(&queue, &vector, 1), 1);
    assert_memory_equal(vector.iov_base, "kept", 4);
    carom_queue_clear(&queue, &segments);
    carom_queue_clear(&other_queue, &segments);
    owner_close(&one);
    owner_close(&two);
    close(peer);
    close(other);
}

static void bytes_that_nobody_keeps_take_no_room(void **state)
{
    (void)state;
    int peer = open_unix(&one);
    for (int i = 0; i < 50; i++) {
        char bytes[1000] = {0};
        assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
        turn();
    }
    assert_int_equal(loop->bytes_received, 50000);
    assert_int_equal(pages.pool.in_use, pages_at_first + 1);
    owner_close(&one);
    close(peer);
}

static void bytes_land_behind_those_of_the_landing_page(void **state)
{
    (void)state;
    struct carom_pages small;
    carom_pages_init(&small, 10, 0);
    struct carom_page *page = carom_page_take(&small);
    int peer = open_unix(&one);
    memcpy(page->data, "GET ", 4);
    page->used = 4;
    one.socket.landing = page;
    put(peer, "/path HTTP");
    turn();
    assert_int_equal(page->used, 10);
    assert_memory_equal(page->data, "GET /path ", 10);
    assert_int_equal(page->holds, 1);
    assert_true(on_uring || one.length == 6);
    turn(); /* it is full: the rest goes elsewhere */
    assert_got(&one, "/path HTTP");
    assert_int_equal(page->used, 10);
    carom_page_drop(page);
    owner_close(&one);
    carom_pages_finish(&small);
    close(peer);
}

static void drop_landing(struct owner *owner, struct carom_page *page, const uint8_t *data,
                         uint32_t length)
{
    assert_ptr_equal(page, owner->socket.landing);
    owner->socket.landing = NULL;
    carom_page_drop(page);
    assert_memory_equal(data, "still here", length);
}

static void a_landing_page_outlives_the_call(void **state)
{
    (void)state;
    int peer = open_unix(&one);
    one.socket.landing = carom_page_take(&pages);
    one.on_received = drop_landing;
    put(peer, "still here");
    turn();
    assert_got(&one, "still here");
    assert_int_equal(pages.pool.in_use, pages_at_first);
    owner_close(&one);
    close(peer);
}

int main(void)
{
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(kept_bytes_stay_as_they_are),
        TEST(keeping_is_not_hidden_by_letting_go),
        TEST(bytes_that_nobody_keeps_take_no_room),
        TEST(bytes_land_behind_those_of_the_landing_page),
        TEST(a_landing_page_outlives_the_call),
    };
    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
