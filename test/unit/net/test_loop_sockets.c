/* Tests of the backends over real sockets: what is received, sent and noticed, in which order,
 * and with how many system calls. "Quiet" means that the loop's descriptor has nothing to say, so
 * nothing spins. */
#include "unit/net/sockets.h"

/* ---------------------------------------------------------------- receiving */

static void received_bytes_come_from_a_delivery_only(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    put(peer, "hello");
    loop->ops->wait(loop, UINT64_MAX);
    assert_int_equal(one.pieces, 0);
    loop->ops->deliver(loop);
    assert_got(&one, "hello");
    assert_int_equal(loop->bytes_received, 5);
    loop->ops->deliver(loop); /* nothing is delivered twice */
    assert_int_equal(one.pieces, 1);
    assert_int_equal(calls.recv, !on_uring);
    owner_close(&one);
    close(peer);
}

/* Opened between two turns, as by a timer: the wait that follows must know of it. */
static void a_socket_that_came_outside_a_delivery_is_watched(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    owner_open(&one, fds[0]);
    calls.control = 0;
    loop->ops->wait(loop, 0);
    assert_int_equal(calls.control, !on_uring);
    put(fds[1], "hello");
    turn_until(one.pieces == 1);
    owner_close(&one);
    close(fds[1]);
}

static void the_steady_state_costs_one_receive_and_one_send(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    struct carom_queue queue;
    char answer[8];
    carom_queue_init(&queue);
    put(peer, "warm");
    turn_until(one.pieces == 1);
    assert_int_equal(send_text(&one, &queue, "up"), 2);
    drain(peer, 2);
    carom_queue_clear(&queue, &segments);
    memset(&calls, 0, sizeof calls);
    uint64_t taken = carom_memory_taken();
    for (int i = 0; i < 20; i++) {
        put(peer, "ping");
        turn_until(one.pieces == 2 + i);
        assert_int_equal(send_text(&one, &queue, "pong"), 4);
        carom_queue_consume(&queue, &segments, 4);
        assert_int_equal(read(peer, answer, sizeof answer), 4);
        loop->ops->reclaim(loop);
    }
    assert_int_equal(calls.recv, on_uring ? 0 : 20);
    assert_int_equal(calls.send, 20);
    assert_int_equal(calls.sendmsg, 0);
    assert_int_equal(calls.control, 0);
    assert_int_equal(carom_memory_taken(), taken);
    assert_int_equal(loop->bytes_sent, 82);
    owner_close(&one);
    close(peer);
}

/* io_uring may receive more in a turn, but never keeps a neighbour waiting either. */
static void a_turn_receives_once_per_socket(void **state)
{
    (void)state;
    static const char bytes[2 * CAROM_PAGE_SIZE];
    int peer = open_unix(&one), other = open_unix(&two);
    assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
    put(other, "me too");
    turn();
    assert_got(&two, "me too");
    if (!on_uring) {
        assert_int_equal(one.pieces, 1);
        turn();
        assert_int_equal(one.pieces, 2);
    }
    turn_until(loop->bytes_received == sizeof bytes + 6);
    owner_close(&one);
    owner_close(&two);
    close(peer);
    close(other);
}

/* What passes is no error; what does not is told with its reason. */
static void a_receive_that_fails(void **state)
{
    (void)state;
    if (on_uring)
        skip(); /* its receives are no calls: net/loop_uring */
    static const int passing[] = {EAGAIN, EINTR};
    int peer = open_unix(&one);
    put(peer, "x");
    for (size_t i = 0; i < COUNT(passing); i++) {
        calls.recv_error = passing[i];
        turn();
        assert_int_equal(calls.recv_error, 0);
        assert_int_equal(one.pieces + one.errors, 0);
    }
    turn();
    assert_got(&one, "x");
    put(peer, "y");
    calls.recv_error = ENOBUFS;
    turn();
    assert_int_equal(one.errors, 1);
    assert_int_equal(one.last_error, -CAROM_ENOMEM);
    assert_true(quiet());
    owner_close(&one);
    close(peer);
}

/* A page was filled, so more may wait; with less than there is room for, all of it has come, and no
 * call is made to learn that. */
static void what_waits_comes_into_the_owners_memory(void **state)
{
    (void)state;
    if (on_uring) {
        assert_null(loop->ops->receive_now); /* nothing waits in the kernel */
        skip();
    }
    static char bytes[CAROM_PAGE_SIZE + 20], to[64];
    memset(bytes, 'p', CAROM_PAGE_SIZE);
    memcpy(bytes + CAROM_PAGE_SIZE, "0123456789abcdefghij", 20);
    int peer = open_unix(&one);
    assert_int_equal(loop->ops->receive_now(loop, &one.socket, (uint8_t *)to, sizeof to), 0);
    assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
    turn();
    assert_int_equal(one.pieces, 1);
    calls.recv = 0;
    assert_int_equal(loop->ops->receive_now(loop, &one.socket, (uint8_t *)to, 10), 10);
    assert_int_equal(loop->ops->receive_now(loop, &one.socket, (uint8_t *)to + 10, 20), 10);
    assert_memory_equal(to, "0123456789abcdefghij", 20);
    assert_int_equal(loop->ops->receive_now(loop, &one.socket, (uint8_t *)to, sizeof to), 0);
    assert_int_equal(calls.recv, 2);
    assert_int_equal(loop->bytes_received, sizeof bytes);
    turn();
    assert_int_equal(one.pieces, 1);
    owner_close(&one);
    close(peer);
}

/* FIN, and an error, are told in a delivery, whoever has met them first. */
static void who_receives_now_is_told_of_the_end_later(void **state)
{
    (void)state;
    if (on_uring)
        skip();
    static char bytes[CAROM_PAGE_SIZE];
    static const int errors[] = {0, EINTR, ENOBUFS};
    for (size_t i = 0; i < COUNT(errors); i++) {
        uint8_t to[8];
        int peer = open_unix(&one);
        assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
        turn();
        shutdown(peer, SHUT_WR);
        calls.recv_error = errors[i];
        assert_int_equal(loop->ops->receive_now(loop, &one.socket, to, sizeof to), 0);
        assert_int_equal(one.fins + one.errors, 0);
        turn();
        assert_int_equal(one.fins, errors[i] != ENOBUFS);
        assert_int_equal(one.errors, errors[i] == ENOBUFS);
        assert_int_equal(loop->ops->receive_now(loop, &one.socket, to, sizeof to), 0);
        owner_close(&one);
        close(peer);
    }
}

static void pausing_costs_a_call_only_when_bytes_come(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    assert_true(soon_quiet());
    calls.control = 0;
    loop->ops->receive(loop, &one.socket, false);
    loop->ops->receive(loop, &one.socket, true);
    loop->ops->receive(loop, &one.socket, false);
    assert_int_equal(calls.control, 0);
    put(peer, "later");
    wait_and_deliver();
    assert_int_equal(one.pieces, 0);
    assert_int_equal(calls.control, !on_uring);
    assert_true(soon_quiet());
    loop->ops->receive(loop, &one.socket, true);
    assert_int_equal(calls.control, on_uring ? 0 : 2);
    turn_until(one.pieces == 1);
    assert_got(&one, "later");
    owner_close(&one);
    close(peer);
}

static void a_pause_holds_for_what_is_on_its_way(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    put(peer, "x");
    loop->ops->wait(loop, UINT64_MAX);
    loop->ops->receive(loop, &one.socket, false);
    loop->ops->deliver(loop);
    assert_int_equal(one.pieces, 0);
    owner_close(&one);
    close(peer);
}

static void fin_comes_after_all_bytes_and_once(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    put(peer, "last words");
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    turn_until(one.fins == 1);
    assert_int_equal(one.length_at_fin, 10);
    assert_true(soon_quiet());
    turn();
    assert_int_equal(one.fins, 1);
    assert_int_equal(one.errors, 0);
    owner_close(&one);
    close(peer);
}

/* It is told that there is one, and comes behind the bytes. */
static void fin_while_paused_is_told_and_waits(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    loop->ops->receive(loop, &one.socket, false);
    put(peer, "before");
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    turn_until(one.lefts == 1);
    assert_true(soon_quiet());
    assert_int_equal(one.pieces + one.fins + one.errors, 0);
    assert_int_equal(one.lefts, 1);
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.fins == 1);
    assert_int_equal(one.length_at_fin, 6);
    assert_int_equal(one.lefts, 1);
    owner_close(&one);
    close(peer);
}

static void pause_again(struct owner *owner, struct carom_page *page, const uint8_t *data,
                        uint32_t length)
{
    (void)page;
    (void)data;
    (void)length;
    loop->ops->receive(loop, &owner->socket, false);
}

/* Who has gone on receiving, and pauses again, is told again. */
static void fin_is_told_in_each_pause(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    one.on_received = pause_again;
    loop->ops->receive(loop, &one.socket, false);
    put(peer, "before");
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    turn_until(one.lefts == 1);
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.length == 6);
    for (int turns = 0; one.lefts < 2 && turns < 10; turns++)
        wait_and_deliver();
    assert_int_equal(one.lefts, 2);
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.fins == 1);
    assert_int_equal(one.lefts, 2);
    owner_close(&one);
    close(peer);
}

static void fin_alone_is_told_while_paused(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    put(peer, "before");
    turn_until(one.length == 6);
    loop->ops->receive(loop, &one.socket, false);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    turn_until(one.lefts == 1);
    assert_true(soon_quiet());
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.fins == 1);
    owner_close(&one);
    close(peer);
}

/* A Unix socket whose peer has closed hangs up at once, though its bytes are still there. */
static void a_unix_peer_that_closed_is_heard_out(void **state)
{
    (void)state;
    int peer = open_unix(&one);
    loop->ops->receive(loop, &one.socket, false);
    put(peer, "before");
    close(peer);
    turn_until(one.lefts == 1);
    turn();
    assert_true(soon_quiet());
    assert_int_equal(one.pieces + one.fins + one.errors, 0);
    assert_int_equal(one.lefts, 1);
    loop->ops->receive(loop, &one.socket, true);
    turn_until(one.errors == 1); /* it cannot be sent to: that is worse than FIN */
    assert_int_equal(one.fins, 1);
    assert_int_equal(one.length_at_fin, 6);
    assert_int_equal(one.last_error, -CAROM_ECANCELED);
    assert_true(soon_quiet());
    owner_close(&one);
}

/* ---------------------------------------------------------------- breaking */

static void a_reset_is_noticed_once(void **state)
{
    (void)state;
    for (int paused = 0; paused < 2; paused++) {
        int peer = open_tcp(&one);
        loop->ops->receive(loop, &one.socket, !paused);
        reset(peer);
        turn_until(one.errors == 1);
        assert_int_equal(one.fins, 0);
        assert_int_equal(one.last_error, -CAROM_ESYSTEM);
        assert_true(soon_quiet());
        turn();
        assert_int_equal(one.errors, 1);
        struct carom_queue queue = {0};
        assert_true(send_text(&one, &queue, "x") < 0);
        carom_queue_clear(&queue, &segments);
        turn();
        assert_int_equal(one.errors, 1);
        loop->ops->receive(loop, &one.socket, true); /* changes nothing now */
        assert_false(one.socket.receiving);
        owner_close(&one);
    }
}

static void a_reset_after_fin_is_noticed_and_drops_a_pending_send(void **state)
{
    (void)state;
    struct carom_queue queue;
    int peer = open_tcp(&one);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    turn_until(one.fins == 1);
    fill(&one, &queue);
    assert_true(soon_quiet());
    reset(peer);
    turn_until(one.errors == 1);
    assert_true(one.sents == 0 || one.sent < 0);
    assert_null(one.socket.sending);
    assert_true(soon_quiet());
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
}

static void fin_both_ways_is_no_error(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    loop->ops->shutdown(loop, &one.socket);
    char byte;
    assert_int_equal(read(peer, &byte, 1), 0);
    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    turn_until(one.fins == 1);
    turn();
    turn();
    assert_true(soon_quiet());
    assert_int_equal(one.errors, 0);
    owner_close(&one);
    close(peer);
}

static void no_memory_for_bytes_breaks_the_connection(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    put(peer, "x");
    carom_memory_fail_after(0);
    turn_until(one.errors == 1);
    assert_int_equal(one.last_error, -CAROM_ENOMEM);
    turn();
    assert_int_equal(one.errors, 1);
    owner_close(&one);
    close(peer);
}

/* ---------------------------------------------------------------- sending */

static void a_pending_send_ends_when_there_is_room(void **state)
{
    (void)state;
    struct carom_queue queue;
    int peer = open_unix(&one);
    int64_t total = fill(&one, &queue);
    assert_true(soon_quiet());
    turn();
    assert_int_equal(one.sents, 0);
    drain(peer, total);
    turn_until(one.sents == 1);
    assert_true(one.sent > 0);
    assert_null(one.socket.sending);
    drain(peer, one.sent);
    turn();
    assert_true(soon_quiet()); /* room to send is of no interest now */
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

/* The kernel may say that there is room and then take nothing. */
static void a_pending_send_waits_again(void **state)
{
    (void)state;
    if (on_uring)
        skip(); /* its pending sends are no calls: net/loop_uring */
    struct carom_queue queue;
    int peer = open_unix(&one);
    drain(peer, fill(&one, &queue));
    calls.send_error = EAGAIN;
    turn();
    assert_int_equal(calls.send_error, 0);
    assert_int_equal(one.sents, 0);
    assert_ptr_equal(one.socket.sending, &queue);
    turn();
    assert_int_equal(one.sents, 1);
    assert_true(one.sent > 0);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

static void a_closed_socket_drops_its_pending_send(void **state)
{
    (void)state;
    struct carom_queue queue;
    int peer = open_unix(&one);
    int64_t total = fill(&one, &queue);
    drain(peer, total);
    loop->ops->wait(loop, 0);
    loop->ops->close(loop, &one.socket, false);
    assert_null(one.socket.sending);
    loop->ops->deliver(loop);
    assert_int_equal(one.sents, 0);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

static void many_segments_leave_by_one_call(void **state)
{
    (void)state;
    struct carom_queue queue;
    char got[128];
    int peer = open_unix(&one);
    carom_queue_init(&queue);
    for (int i = 0; i < 70; i++)
        carom_queue_append_borrowed(&queue, &segments, &"0123456789"[i % 10], 1, NULL, NULL);
    assert_int_equal(loop->ops->send(loop, &one.socket, &queue), 64);
    assert_int_equal(calls.sendmsg, 1);
    assert_int_equal(calls.send, 0);
    assert_int_equal(queue.length, 70); /* consuming is the owner's */
    assert_int_equal(read(peer, got, sizeof got), 64);
    assert_memory_equal(got, "012345678901234567890123456789", 30);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

/* Errors that leave no trace in the sockets: only the loop can tell. */
static void failed_sends_are_told_later_and_once(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    int peer = open_unix(&one), other = open_unix(&two);
    struct owner *const order[] = {&one, &two, &one};
    loop->ops->receive(loop, &one.socket, false);
    for (size_t i = 0; i < COUNT(order); i++) {
        calls.send_error = ENOBUFS;
        assert_int_equal(send_text(order[i], &queue, "x"), -CAROM_ENOMEM);
        carom_queue_clear(&queue, &segments);
    }
    assert_int_equal(one.errors + two.errors, 0);
    assert_false(quiet());
    wait_and_deliver();
    assert_int_equal(one.errors, 1);
    assert_int_equal(two.errors, 1);
    close(peer);
    close(other);
    turn();
    turn();
    assert_int_equal(one.errors + two.errors, 2);
    assert_true(soon_quiet());
    owner_close(&one);
    owner_close(&two);
}

static void a_failed_send_of_a_closed_socket_is_not_told(void **state)
{
    (void)state;
    struct carom_queue queue = {0};
    int peer = open_unix(&one), other = open_unix(&two);
    for (int i = 0; i < 2; i++) {
        calls.send_error = EPIPE;
        assert_int_equal(send_text(i == 0 ? &one : &two, &queue, "x"), -CAROM_ESYSTEM);
        carom_queue_clear(&queue, &segments);
    }
    owner_close(&one);
    turn();
    assert_int_equal(one.errors, 0);
    assert_int_equal(two.errors, 1);
    owner_close(&two);
    close(peer);
    close(other);
}

static void a_pending_send_that_fails_says_so_and_ends_the_socket(void **state)
{
    (void)state;
    if (on_uring)
        skip(); /* the kernel sends: test_loop_uring.c */
    struct carom_queue queue;
    int peer = open_unix(&one);
    int64_t total = fill(&one, &queue);
    drain(peer, total);
    calls.send_error = ENOBUFS;
    turn_until(one.sents == 1);
    assert_int_equal(one.sent, -CAROM_ENOMEM);
    assert_int_equal(one.errors, 1);
    carom_queue_clear(&queue, &segments);
    owner_close(&one);
    close(peer);
}

int main(void)
{
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(received_bytes_come_from_a_delivery_only),
        TEST(a_socket_that_came_outside_a_delivery_is_watched),
        TEST(the_steady_state_costs_one_receive_and_one_send),
        TEST(a_turn_receives_once_per_socket),
        TEST(a_receive_that_fails),
        TEST(what_waits_comes_into_the_owners_memory),
        TEST(who_receives_now_is_told_of_the_end_later),
        TEST(pausing_costs_a_call_only_when_bytes_come),
        TEST(a_pause_holds_for_what_is_on_its_way),
        TEST(fin_comes_after_all_bytes_and_once),
        TEST(fin_while_paused_is_told_and_waits),
        TEST(fin_is_told_in_each_pause),
        TEST(fin_alone_is_told_while_paused),
        TEST(a_unix_peer_that_closed_is_heard_out),
        TEST(a_reset_is_noticed_once),
        TEST(a_reset_after_fin_is_noticed_and_drops_a_pending_send),
        TEST(fin_both_ways_is_no_error),
        TEST(no_memory_for_bytes_breaks_the_connection),
        TEST(a_pending_send_ends_when_there_is_room),
        TEST(a_pending_send_waits_again),
        TEST(a_closed_socket_drops_its_pending_send),
        TEST(many_segments_leave_by_one_call),
        TEST(failed_sends_are_told_later_and_once),
        TEST(a_failed_send_of_a_closed_socket_is_not_told),
        TEST(a_pending_send_that_fails_says_so_and_ends_the_socket),
    };
    return cmocka_run_group_tests_name("net/loop_sockets", tests, NULL, NULL);
}
