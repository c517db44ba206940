/* A socket of io_uring: what becomes of each byte, end and buffer, and what its ring counts. */
#include "net/uring_sockets.h"

#include "unit/net/sockets.h"

/* Two operations with one mark: the socket would be freed when the first of them has ended. */
static void a_socket_comes_again_once(void **state)
{
    (void)state;
    struct carom_uring *ring = &carom_uring_of(loop)->ring;
    int peer = open_tcp(&one);
    loop->ops->receive(loop, &one.socket, false);
    put(peer, "kept");
    turn_until(carom_uring_of(loop)->kept.in_use > 0);
    uint32_t before = carom_uring_unsubmitted(ring);
    for (int i = 0; i < 3; i++)
        loop->ops->receive(loop, &one.socket, true);
    assert_int_equal(carom_uring_unsubmitted(ring), before + 1);
    owner_close(&one);
    close(peer);
}

/* FIN that comes while bytes wait to be handed over, or while nobody receives, is seen later. */
static void fin_waits_behind_bytes_and_pauses(void **state)
{
    (void)state;
    int peer = open_unix(&one);
    loop->ops->receive(loop, &one.socket, false);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    for (int turns = 0; turns < 10; turns++)
        turn();
    assert_int_equal(one.fins, 0);
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.fins == 1);
    owner_close(&one);
    close(peer);

    peer = open_unix(&two);
    loop->ops->receive(loop, &two.socket, false);
    put(peer, "kept");
    turn_until(carom_uring_of(loop)->kept.in_use > 0);
    loop->ops->receive(loop, &two.socket, true);
    carom_uring_socket_completed(loop, &two.socket, CAROM_URING_RECEIVE, 0, IORING_CQE_F_MORE);
    assert_int_equal(two.fins, 0);
    turn_until(two.pieces == 1);
    assert_got(&two, "kept");
    owner_close(&two);
    close(peer);
}

static void pause_it(struct owner *owner, struct carom_page *page, const uint8_t *data,
                     uint32_t length)
{
    (void)page, (void)data, (void)length;
    owner->on_received = NULL;
    loop->ops->receive(loop, &owner->socket, false);
}

static void resume_the_other(struct owner *owner, struct carom_page *page, const uint8_t *data,
                             uint32_t length)
{
    (void)owner, (void)page, (void)data, (void)length;
    loop->ops->receive(loop, &one.socket, true);
}

/* A socket that goes on in the middle of a delivery has bytes in it yet, and others that are kept.
 */
static void bytes_do_not_overtake_those_that_are_kept(void **state)
{
    (void)state;
    int peer = open_unix(&one), other = open_unix(&two);
    one.on_received = pause_it;
    two.on_received = resume_the_other;
    turn();
    put(peer, "1");
    loop->ops->wait(loop, 0);
    put(peer, "2");
    loop->ops->wait(loop, 0);
    put(other, "x");
    loop->ops->wait(loop, 0);
    put(peer, "3");
    loop->ops->wait(loop, 0);
    loop->ops->deliver(loop);
    assert_int_equal(two.pieces, 1);
    turn_until(one.length == 3);
    assert_got(&one, "123");
    owner_close(&one);
    owner_close(&two);
    close(peer);
    close(other);
}

/* The kernel keeps the rest, and its sender waits. */
static void a_pause_ends_what_is_received(void **state)
{
    (void)state;
    int peer = open_unix(&one);
    turn();
    loop->ops->receive(loop, &one.socket, false);
    for (int i = 0; i < 20; i++) {
        put(peer, "x");
        loop->ops->wait(loop, 0);
        loop->ops->deliver(loop);
    }
    assert_in_range(carom_uring_of(loop)->kept.in_use, 1, 3);
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.length == 20);
    owner_close(&one);
    close(peer);
}

static uint32_t piece_lengths[4];
static bool piece_shared[4]; /* in the worker's page of small pieces */

static void note_piece(struct owner *owner, struct carom_page *page, const uint8_t *data,
                       uint32_t length)
{
    (void)data;
    piece_lengths[owner->pieces - 1] = length;
    piece_shared[owner->pieces - 1] = page == arena.page;
}

/* A page of 32 KiB is too dear for a few bytes. */
static void few_bytes_are_copied_and_many_are_not(void **state)
{
    (void)state;
    static char bytes[4097];
    for (size_t length = 4095; length <= 4097; length++) {
        int peer = open_unix(&one);
        one.on_received = note_piece;
        assert_int_equal(write(peer, bytes, length), length);
        turn_until(one.pieces == 1);
        assert_int_equal(piece_lengths[0], length);
        assert_int_equal(piece_shared[0], length <= 4096);
        owner_close(&one);
        close(peer);
    }
    int peer = open_unix(&one); /* the same when they are kept */
    uint32_t in_use = pages.pool.in_use;
    loop->ops->receive(loop, &one.socket, false);
    put(peer, "few");
    turn_until(carom_uring_of(loop)->kept.in_use == 1);
    assert_int_equal(pages.pool.in_use, in_use);
    owner_close(&one);
    close(peer);
}

static void a_landing_page_takes_what_it_has_room_for(void **state)
{
    (void)state;
    static char bytes[1002];
    for (uint32_t length = 999; length <= 1002; length++) {
        struct carom_pages landings;
        carom_pages_init(&landings, 1000, 0);
        struct carom_page *landing = carom_page_take(&landings);
        int peer = open_unix(&one);
        one.on_received = note_piece;
        one.socket.landing = landing;
        assert_int_equal(write(peer, bytes, length), length);
        turn_until(one.length == length);
        assert_int_equal(one.pieces, length > 1000 ? 2 : 1);
        assert_int_equal(piece_lengths[0], length > 1000 ? 1000 : length);
        assert_int_equal(landing->used, piece_lengths[0]);
        owner_close(&one);
        close(peer);
        carom_page_drop(landing);
        carom_pages_finish(&landings);
    }
}

/* The kernel gets them back, though nobody wants the bytes. */
static void buffers_of_closed_sockets_are_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CAROM_URING_BUFFERS; i++) {
        int peer = open_unix(&one);
        turn();
        put(peer, "not wanted");
        loop->ops->wait(loop, 0);
        loop->ops->close(loop, &one.socket, false); /* between the wait and the delivery */
        loop->ops->deliver(loop);
        owner_close(&one);
        close(peer);
    }
    int peer = open_unix(&one);
    put(peer, "wanted");
    turn_until(one.pieces == 1);
    owner_close(&one);
    close(peer);
}

static void pending_sends_count(void **state)
{
    (void)state;
    struct carom_queue queue;
    int peer = open_unix(&one);
    int64_t total = fill(&one, &queue);
    assert_int_equal(loop->bytes_sent, total);
    drain(peer, total);
    turn_until(one.sents == 1);
    assert_true(one.sent > 0);
    assert_int_equal(loop->bytes_sent, total + one.sent);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

/* There are so many for the sends of one turn; those of the turns before have been taken. */
static void places_for_messages_are_used_again(void **state)
{
    (void)state;
    static const char zeros[65536];
    int peer = open_unix(&one);
    for (int i = 1; i <= CAROM_URING_MESSAGES + 2; i++) {
        struct carom_queue queue = {0};
        ssize_t taken, total = 0;
        char got[2];
        while ((taken = write(one.socket.fd, zeros, sizeof zeros)) > 0)
            total += taken;
        carom_queue_append_borrowed(&queue, &segments, "a", 1, NULL, NULL);
        assert_int_equal(send_text(&one, &queue, "b"), CAROM_SEND_PENDING);
        assert_in_range(carom_uring_of(loop)->message_count, 1, CAROM_URING_MESSAGES);
        drain(peer, total);
        turn_until(one.sents == i);
        assert_int_equal(read(peer, got, sizeof got), 2);
        assert_memory_equal(got, "ab", 2);
        carom_queue_clear(&queue, &segments);
    }
    owner_close(&one);
    close(peer);
}

/* What found no room among the completions is asked for, also by turns that do not sleep. */
static void completions_beyond_their_room_come(void **state)
{
    (void)state;
    const uint32_t count = 5000;
    uint32_t found = 0;
    turn();
    for (uint32_t i = 0; i < count; i++)
        carom_uring_operation(loop, IORING_OP_NOP, -1, 0);
    for (int turns = 0; turns < 10; turns++) {
        loop->ops->wait(loop, 0);
        found += carom_uring_of(loop)->found;
        loop->ops->deliver(loop);
    }
    assert_true(found >= count);
}

/* The kernel may end the poll of wakes, as when completions find no room. */
static void wakes_are_watched_again(void **state)
{
    (void)state;
    turn();
    carom_uring_cancel(loop, carom_uring_tagged(NULL, CAROM_URING_WAKE));
    for (int turns = 0; turns < 3; turns++) {
        loop->ops->wait(loop, 0);
        loop->ops->deliver(loop);
    }
    loop->ops->wake(loop);
    for (int turns = 0; turns < 1000 && carom_uring_of(loop)->found == 0; turns++)
        loop->ops->wait(loop, 0);
    assert_int_equal(carom_uring_of(loop)->found, 1);
    loop->ops->deliver(loop);
}

/* Of the memory for kept bytes what two windows did not use goes back. */
static void memory_for_kept_bytes_goes_back(void **state)
{
    (void)state;
    struct carom_uring_loop *self = carom_uring_of(loop);
    void *objects[CAROM_URING_BUFFERS + 10];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = carom_pool_take(&self->kept);
    for (size_t i = 0; i < COUNT(objects); i++)
        carom_pool_give(&self->kept, objects[i]);
    assert_true(carom_pool_above_floor(&self->kept));
    self->now = self->trimmed + CAROM_POOL_WINDOW - 1;
    for (int i = 0; i < 3; i++)
        loop->ops->deliver(loop);
    assert_true(carom_pool_above_floor(&self->kept)); /* no window has passed */
    for (int windows = 0; windows < 2; windows++) {
        self->now = self->trimmed + CAROM_POOL_WINDOW;
        loop->ops->deliver(loop);
    }
    assert_false(carom_pool_above_floor(&self->kept));
}

int main(void)
{
    setenv("CAROM_BACKEND", "uring", 1);
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_socket_comes_again_once),
        TEST(fin_waits_behind_bytes_and_pauses),
        TEST(bytes_do_not_overtake_those_that_are_kept),
        TEST(a_pause_ends_what_is_received),
        TEST(few_bytes_are_copied_and_many_are_not),
        TEST(a_landing_page_takes_what_it_has_room_for),
        TEST(buffers_of_closed_sockets_are_used_again),
        TEST(pending_sends_count),
        TEST(places_for_messages_are_used_again),
        TEST(completions_beyond_their_room_come),
        TEST(wakes_are_watched_again),
        TEST(memory_for_kept_bytes_goes_back),
    };
    return cmocka_run_group_tests_name("net/uring_sockets", tests, NULL, NULL);
}
