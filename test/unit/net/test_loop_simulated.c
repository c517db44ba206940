/* Tests of the simulated backend: it keeps the loop's contract, and its peers see what happened. */
#include "net/loop_simulated.h"
#include "unit/net/support.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct owner owners[80];
static int accepted_count, stop_after;
static uint16_t last_port;

static void accepted(struct carom_acceptor *acceptor, int fd, const struct sockaddr *peer,
                     socklen_t length)
{
    assert_int_equal(length, sizeof(struct sockaddr_in));
    last_port = ntohs(((const struct sockaddr_in *)(const void *)peer)->sin_port);
    owner_open(&owners[accepted_count++], fd);
    if (accepted_count == stop_after)
        loop->ops->accept_stop(loop, acceptor);
}

static struct carom_acceptor door;

static int begin(void **state)
{
    (void)state;
    accepted_count = stop_after = 0;
    door = (struct carom_acceptor){.fd = -1, .accepted = accepted};
    int error = begin_with(carom_loop_simulated_create);
    return error == 0 ? loop->ops->accept_start(loop, &door, false) : error;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < accepted_count; i++) {
        if (!owners[i].socket.closing)
            loop->ops->close(loop, &owners[i].socket, false);
    }
    return end_all();
}

static struct carom_peer *connect_peer(void)
{
    struct carom_peer *peer = carom_simulated_connect(loop);
    int before = accepted_count;
    assert_non_null(peer);
    turn();
    assert_int_equal(accepted_count, before + 1);
    return peer;
}

static void put(struct carom_peer *peer, const char *text)
{
    carom_peer_send(peer, text, strlen(text));
}

static void assert_peer_got(const struct carom_peer *peer, const char *text)
{
    size_t length;
    const char *bytes = carom_peer_received(peer, &length);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, length);
}

static int64_t send_text(struct owner *owner, struct carom_queue *queue, const char *text)
{
    carom_queue_clear(queue, &segments);
    assert_int_equal(carom_queue_append_borrowed(queue, &segments, text, strlen(text), NULL, NULL),
                     0);
    return loop->ops->send(loop, &owner->socket, queue);
}

/* ---------------------------------------------------------------- accepting */

static void peers_wait_for_an_acceptor(void **state)
{
    (void)state;
    loop->ops->accept_stop(loop, &door);
    assert_non_null(carom_simulated_connect(loop));
    assert_false(carom_simulated_busy(loop));
    turn();
    assert_int_equal(accepted_count, 0);
    assert_int_equal(loop->ops->accept_start(loop, &door, true), 0);
    assert_true(carom_simulated_busy(loop));
    loop->ops->deliver(loop); /* no wait has found it */
    assert_int_equal(accepted_count, 0);
    turn();
    assert_int_equal(accepted_count, 1);
    assert_int_equal(last_port, 1);
    assert_false(carom_simulated_busy(loop));
}

static void a_turn_accepts_a_batch(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++)
        assert_non_null(carom_simulated_connect(loop));
    turn();
    assert_int_equal(accepted_count, 64);
    stop_after = 66;
    turn();
    assert_int_equal(accepted_count, 66);
    assert_false(carom_simulated_busy(loop));
}

static void an_unknown_descriptor_is_refused(void **state)
{
    (void)state;
    struct carom_socket socket = {.fd = 3};
    assert_int_equal(loop->ops->open(loop, &socket), -CAROM_ENOENT);
    struct carom_peer *peer = connect_peer();
    (void)peer;
    socket.fd = owners[0].socket.fd + 1;
    assert_int_equal(loop->ops->open(loop, &socket), -CAROM_ENOENT);
}

/* ---------------------------------------------------------------- receiving */

static void bytes_come_in_pieces_one_a_turn(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    carom_peer_set_piece(peer, 3);
    put(peer, "abcde");
    carom_peer_shutdown(peer);
    turn();
    assert_got(&owners[0], "abc");
    assert_int_equal(carom_peer_unread(peer), 2);
    turn();
    assert_got(&owners[0], "abcde");
    assert_int_equal(owners[0].fins, 0);
    turn();
    assert_int_equal(owners[0].fins, 1);
    assert_int_equal(owners[0].length_at_fin, 5);
    assert_int_equal(loop->bytes_received, 5);
    assert_false(carom_simulated_busy(loop));
}

static void a_page_ends_a_piece(void **state)
{
    (void)state;
    static const char bytes[CAROM_PAGE_SIZE + 1];
    struct carom_peer *peer = connect_peer();
    carom_peer_send(peer, bytes, sizeof bytes);
    turn();
    assert_int_equal(carom_peer_unread(peer), 1);
    struct carom_page *page = carom_page_take(&pages);
    owners[0].socket.landing = page;
    turn();
    assert_int_equal(page->used, 1);
    carom_page_drop(page);
}

static void a_paused_socket_hears_of_fin_and_reset(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    loop->ops->receive(loop, &owners[0].socket, false);
    put(peer, "x");
    carom_peer_shutdown(peer);
    turn();
    assert_int_equal(owners[0].lefts, 1);
    assert_false(carom_simulated_busy(loop));
    turn();
    assert_int_equal(owners[0].pieces + owners[0].fins, 0);
    assert_int_equal(owners[0].lefts, 1);
    carom_peer_reset(peer);
    assert_true(carom_simulated_busy(loop));
    turn();
    turn();
    assert_int_equal(owners[0].errors, 1);
    assert_int_equal(owners[0].fins, 0);
    assert_int_equal(owners[0].last_error, -CAROM_ESYSTEM); /* as with epoll */
    assert_false(carom_simulated_busy(loop));
    loop->ops->receive(loop, &owners[0].socket, true);
    assert_false(owners[0].socket.receiving);
}

static void pausing_between_wait_and_deliver_holds(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    put(peer, "x");
    loop->ops->wait(loop, 0);
    loop->ops->receive(loop, &owners[0].socket, false);
    loop->ops->deliver(loop);
    assert_int_equal(owners[0].pieces, 0);
    loop->ops->receive(loop, &owners[0].socket, true);
    loop->ops->deliver(loop);
    assert_int_equal(owners[0].pieces, 0);
    turn();
    assert_got(&owners[0], "x");
}

static void no_memory_for_a_page_breaks_the_connection(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    put(peer, "x");
    carom_memory_fail_after(0);
    turn();
    turn();
    assert_int_equal(owners[0].errors, 1);
    assert_int_equal(owners[0].last_error, -CAROM_ENOMEM);
}

/* ---------------------------------------------------------------- sending */

static void a_send_beyond_the_window_is_pending(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 4);
    assert_int_equal(send_text(&owners[0], &queue, "abcdef"), 4);
    assert_true(send_text(&owners[0], &queue, "ef") == CAROM_SEND_PENDING);
    assert_false(carom_simulated_busy(loop));
    turn();
    assert_int_equal(owners[0].sents, 0);
    carom_peer_set_window(peer, 1);
    assert_true(carom_simulated_busy(loop));
    turn();
    assert_int_equal(owners[0].sents, 1);
    assert_int_equal(owners[0].sent, 1);
    assert_peer_got(peer, "abcde");
    assert_int_equal(loop->bytes_sent, 5);
    carom_queue_clear(&queue, &segments);
}

static void sending_to_a_reset_peer_fails_and_is_told_once(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    struct carom_peer *peer = connect_peer();
    loop->ops->receive(loop, &owners[0].socket, false);
    carom_peer_reset(peer);
    assert_int_equal(send_text(&owners[0], &queue, "x"), -CAROM_ESYSTEM);
    assert_int_equal(owners[0].errors, 0);
    turn();
    turn();
    assert_int_equal(owners[0].errors, 1);
    carom_queue_clear(&queue, &segments);
}

static void a_reset_drops_a_pending_send(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    struct carom_peer *peer = connect_peer();
    carom_peer_shutdown(peer);
    turn();
    carom_peer_set_window(peer, 0);
    assert_true(send_text(&owners[0], &queue, "x") == CAROM_SEND_PENDING);
    carom_peer_reset(peer);
    carom_peer_set_window(peer, 9);
    turn();
    assert_int_equal(owners[0].fins, 1);
    assert_int_equal(owners[0].errors, 1);
    assert_int_equal(owners[0].sents, 0);
    assert_null(owners[0].socket.sending);
    carom_queue_clear(&queue, &segments);
}

static void no_memory_for_sent_bytes_is_a_reset(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    struct carom_peer *peer = connect_peer();
    assert_true(send_text(&owners[0], &queue, "x") == 1);
    carom_memory_fail_after(0);
    assert_int_equal(send_text(&owners[0], &queue, "too long for the room"), -CAROM_ENOMEM);
    turn();
    assert_int_equal(owners[0].errors, 1);
    assert_peer_got(peer, "x");
    carom_queue_clear(&queue, &segments);
}

static void no_memory_for_a_peer_or_its_bytes(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    carom_memory_fail_after(0);
    assert_null(carom_simulated_connect(loop));
    put(peer, "x");
    turn();
    assert_int_equal(owners[0].errors, 1);
    struct carom_loop *other;
    assert_int_equal(carom_loop_simulated_create(&other, &arena), -CAROM_ENOMEM);
}

/* ---------------------------------------------------------------- what the peer sees */

static void a_peer_sees_fin_and_then_the_close(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    assert_false(carom_peer_saw_fin(peer));
    loop->ops->shutdown(loop, &owners[0].socket);
    assert_true(carom_peer_saw_fin(peer));
    assert_false(carom_peer_saw_close(peer));
    put(peer, "still heard");
    turn();
    assert_got(&owners[0], "still heard");
    owner_close(&owners[0]);
    assert_true(carom_peer_saw_close(peer));
    assert_false(carom_peer_saw_reset(peer));
    put(peer, "too late");
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(carom_peer_unread(peer), 0);
    assert_false(carom_simulated_busy(loop));
}

static void a_close_is_a_reset_when_asked_for_or_with_bytes_unread(void **state)
{
    (void)state;
    struct carom_peer *peer = connect_peer();
    loop->ops->close(loop, &owners[0].socket, true);
    assert_int_equal(owners[0].closed, 0);
    loop->ops->reclaim(loop);
    assert_int_equal(owners[0].closed, 1);
    assert_true(carom_peer_saw_reset(peer));
    assert_false(carom_peer_saw_fin(peer));

    struct carom_peer *other = connect_peer();
    put(other, "unread");
    owner_close(&owners[1]);
    assert_true(carom_peer_saw_reset(other));

    struct carom_peer *third = connect_peer();
    owner_close(&owners[2]);
    assert_false(carom_peer_saw_reset(third));
    assert_true(carom_peer_saw_fin(third));
}

static void close_all(struct owner *owner, struct carom_page *page, const uint8_t *data,
                      uint32_t length)
{
    (void)owner;
    (void)page;
    (void)data;
    (void)length;
    for (int i = 0; i < accepted_count; i++)
        loop->ops->close(loop, &owners[i].socket, false);
}

static void nothing_but_closed_follows_a_close(void **state)
{
    (void)state;
    struct carom_peer *first = connect_peer(), *second = connect_peer();
    owners[0].on_received = owners[1].on_received = close_all;
    put(first, "x");
    put(second, "y");
    turn();
    assert_int_equal(owners[0].pieces, 1);
    assert_int_equal(owners[1].pieces, 0);
    assert_int_equal(owners[0].closed + owners[1].closed, 0);
    loop->ops->reclaim(loop);
    assert_int_equal(owners[0].closed + owners[1].closed, 2);
}

/* ---------------------------------------------------------------- the turn */

static void time_moves_when_told_and_is_seen_when_read(void **state)
{
    (void)state;
    assert_int_equal(loop->ops->now(loop), 1000);
    assert_int_equal(loop->ops->seconds(loop), 784111777);
    carom_simulated_advance(loop, 2500);
    assert_int_equal(loop->ops->now(loop), 1000);
    loop->ops->read_clock(loop);
    assert_int_equal(loop->ops->now(loop), 3500);
    assert_int_equal(loop->ops->seconds(loop), 784111779);
    carom_simulated_advance(loop, 1);
    loop->ops->wait(loop, UINT64_MAX);
    assert_int_equal(loop->ops->now(loop), 3501);
    assert_string_equal(loop->ops->name, "simulated");
}

static void a_wake_makes_it_busy_until_the_next_wait(void **state)
{
    (void)state;
    assert_false(carom_simulated_busy(loop));
    loop->ops->wake(loop);
    assert_true(carom_simulated_busy(loop));
    loop->ops->wait(loop, 0);
    assert_false(carom_simulated_busy(loop));
}

static void the_descriptor_is_readable_when_there_is_work_or_the_alarm_has_come(void **state)
{
    (void)state;
    assert_true(loop->ops->descriptor(loop) > 0);
    assert_false(carom_simulated_readable(loop));
    loop->ops->alarm(loop, loop->ops->now(loop) + 5);
    carom_simulated_advance(loop, 4);
    assert_false(carom_simulated_readable(loop));
    carom_simulated_advance(loop, 1);
    assert_true(carom_simulated_readable(loop));
    loop->ops->alarm(loop, UINT64_MAX);
    assert_false(carom_simulated_readable(loop));
    loop->ops->wake(loop);
    assert_true(carom_simulated_readable(loop));
}

static void second_by_second(void *calls)
{
    ++*(int *)calls;
    carom_simulated_advance(loop, 1000);
}

static void a_wait_lasts_until_its_deadline_while_the_world_goes_on(void **state)
{
    (void)state;
    int calls = 0;
    carom_simulated_set_idle(loop, second_by_second, &calls);
    loop->ops->wait(loop, loop->ops->now(loop) + 2500);
    assert_int_equal(calls, 3);
    loop->ops->wait(loop, 0);
    assert_int_equal(calls, 4);
}

/* ---------------------------------------------------------------- whims */

static uint32_t smallest(void *source, uint32_t below)
{
    (void)source;
    (void)below;
    return 0;
}

static void a_whim_takes_one_byte_and_sends_none(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    struct carom_peer *peer = connect_peer();
    carom_simulated_set_whims(
        loop, &(struct carom_simulated_whims){.random = smallest, .partial = 1, .shuffled = 1});
    put(peer, "abc");
    turn();
    assert_got(&owners[0], "a");
    assert_true(send_text(&owners[0], &queue, "xyz") == CAROM_SEND_PENDING);
    turn();
    assert_int_equal(owners[0].sents, 0);
    assert_true(carom_simulated_busy(loop));
    carom_simulated_set_whims(loop, &(struct carom_simulated_whims){0});
    turn();
    assert_int_equal(owners[0].sent, 3);
    assert_peer_got(peer, "xyz");
    carom_queue_clear(&queue, &segments);
}

static void no_buffers_break_the_connection(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    struct carom_peer *peer = connect_peer(), *other = connect_peer();
    carom_simulated_set_whims(loop,
                              &(struct carom_simulated_whims){.random = smallest, .no_buffers = 1});
    put(peer, "abc");
    turn();
    assert_int_equal(owners[0].last_error, -CAROM_ENOMEM);
    assert_true(send_text(&owners[1], &queue, "xyz") == -CAROM_ENOMEM);
    turn();
    assert_int_equal(owners[1].errors, 1);
    assert_true(carom_peer_failed(peer) && carom_peer_failed(other));
    carom_queue_clear(&queue, &segments);
}

static int failed_accepts;

static void accept_failed(struct carom_acceptor *acceptor, int error)
{
    assert_int_equal(error, -CAROM_EMFILE);
    assert_false(acceptor->accepting);
    failed_accepts++;
}

static void out_of_descriptors(void **state)
{
    (void)state;
    door.failed = accept_failed;
    carom_simulated_set_whims(
        loop, &(struct carom_simulated_whims){.random = smallest, .no_descriptor = 1});
    struct carom_peer *peer = carom_simulated_connect(loop);
    turn();
    assert_int_equal(failed_accepts, 1);
    assert_false(carom_peer_accepted(peer));
    carom_simulated_set_whims(loop, &(struct carom_simulated_whims){0});
    assert_int_equal(loop->ops->accept_start(loop, &door, false), 0);
    turn();
    assert_true(carom_peer_accepted(peer));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(peers_wait_for_an_acceptor),
        TEST(the_descriptor_is_readable_when_there_is_work_or_the_alarm_has_come),
        TEST(a_wait_lasts_until_its_deadline_while_the_world_goes_on),
        TEST(a_whim_takes_one_byte_and_sends_none),
        TEST(no_buffers_break_the_connection),
        TEST(out_of_descriptors),
        TEST(a_turn_accepts_a_batch),
        TEST(an_unknown_descriptor_is_refused),
        TEST(bytes_come_in_pieces_one_a_turn),
        TEST(a_page_ends_a_piece),
        TEST(a_paused_socket_hears_of_fin_and_reset),
        TEST(pausing_between_wait_and_deliver_holds),
        TEST(no_memory_for_a_page_breaks_the_connection),
        TEST(a_send_beyond_the_window_is_pending),
        TEST(sending_to_a_reset_peer_fails_and_is_told_once),
        TEST(a_reset_drops_a_pending_send),
        TEST(no_memory_for_sent_bytes_is_a_reset),
        TEST(no_memory_for_a_peer_or_its_bytes),
        TEST(a_peer_sees_fin_and_then_the_close),
        TEST(a_close_is_a_reset_when_asked_for_or_with_bytes_unread),
        TEST(nothing_but_closed_follows_a_close),
        TEST(time_moves_when_told_and_is_seen_when_read),
        TEST(a_wake_makes_it_busy_until_the_next_wait),
    };
    return cmocka_run_group_tests_name("net/loop_simulated", tests, NULL, NULL);
}
