/* Tests of the backends: closing, accepting, waiting, waking. */
#include "unit/net/sockets.h"

#include <pthread.h>
#include <sys/resource.h>

/* ---------------------------------------------------------------- closing */

static void close_both(struct owner *owner, struct carom_page *page, const uint8_t *data,
                       uint32_t length)
{
    (void)owner;
    (void)page;
    (void)data;
    (void)length;
    loop->ops->close(loop, &one.socket, false);
    loop->ops->close(loop, &two.socket, false);
}

static void nothing_but_closed_follows_a_close(void **state)
{
    (void)state;
    int peer = open_unix(&one), other = open_unix(&two);
    one.on_received = two.on_received = close_both;
    put(peer, "x");
    put(other, "y");
    turn();
    assert_int_equal(one.pieces + two.pieces, 1);
    assert_int_equal(calls.recv, !on_uring);
    assert_int_equal(one.closed + two.closed, 0);
    loop->ops->close(loop, &one.socket, true); /* changes nothing */
    owner_close(&one);
    owner_close(&two);
    assert_true(quiet());
    close(peer);
    close(other);
}

static void close_when_ended(struct owner *owner, int error)
{
    (void)error;
    loop->ops->close(loop, &owner->socket, false);
}

static void a_leaving_client_costs_no_change_of_interest(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    one.on_ended = close_when_ended;
    calls.control = 0;
    close(peer);
    turn_until(one.socket.closing);
    /* Its removal, because a forked child may keep the descriptor open: no event comes for it. */
    assert_int_equal(calls.control, !on_uring);
    owner_close(&one);
}

static void close_two(struct owner *owner)
{
    (void)owner;
    loop->ops->close(loop, &two.socket, false);
}

static void closed_may_close_others(void **state)
{
    (void)state;
    int peer = open_unix(&one), other = open_unix(&two);
    one.on_closed = close_two;
    owner_close(&one);
    owner_close(&two);
    assert_int_equal(two.closed, 1);
    close(peer);
    close(other);
}

/* Its memory may be that of another socket by then. */
static void events_of_freed_sockets_are_forgotten(void **state)
{
    (void)state;
    int peer = open_tcp(&one);
    reset(peer);
    loop->ops->wait(loop, 0);
    owner_close(&one);
    peer = open_tcp(&one);
    loop->ops->deliver(loop);
    assert_int_equal(one.errors, 0);
    put(peer, "x");
    turn_until(one.pieces == 1);
    owner_close(&one);
    close(peer);
}

static void a_close_is_in_order_or_a_reset(void **state)
{
    (void)state;
    char byte;
    for (int with_reset = 0; with_reset < 2; with_reset++) {
        int peer = open_tcp(&one);
        loop->ops->close(loop, &one.socket, with_reset);
        owner_close(&one);
        assert_int_equal(read(peer, &byte, 1), with_reset ? -1 : 0);
        if (with_reset)
            assert_int_equal(errno, ECONNRESET);
        close(peer);
    }
}

/* ---------------------------------------------------------------- accepting */

static struct {
    struct carom_acceptor acceptor;
    int fds[100];
    int count, stop_after, failures, error;
    uint16_t port; /* of the last peer */
} door;

static void accepted(struct carom_acceptor *acceptor, int fd, const struct sockaddr *peer,
                     socklen_t length)
{
    assert_ptr_equal(acceptor, &door.acceptor);
    assert_int_equal(length, sizeof(struct sockaddr_in));
    door.port = ((const struct sockaddr_in *)(const void *)peer)->sin_port;
    door.fds[door.count++] = fd;
    if (door.count == door.stop_after)
        loop->ops->accept_stop(loop, acceptor);
}

static void failed(struct carom_acceptor *acceptor, int error)
{
    assert_false(acceptor->accepting);
    door.failures++;
    door.error = error;
}

static void open_door(struct sockaddr_in *in)
{
    memset(&door, 0, sizeof door);
    door.acceptor =
        (struct carom_acceptor){.fd = listen_tcp(in), .accepted = accepted, .failed = failed};
    assert_int_equal(loop->ops->accept_start(loop, &door.acceptor, false), 0);
    assert_true(door.acceptor.accepting);
}

static void close_door(void)
{
    loop->ops->accept_stop(loop, &door.acceptor);
    close(door.acceptor.fd);
    for (int i = 0; i < door.count; i++)
        close(door.fds[i]);
}

static void batches_grow_while_connections_wait(void **state)
{
    (void)state;
    struct sockaddr_in in, name;
    socklen_t length = sizeof name;
    int clients[71];
    open_door(&in);
    for (int i = 0; i < 70; i++)
        clients[i] = connect_tcp(&in);
    for (int i = 0; i < 8; i++)
        turn();
    assert_int_equal(door.count, 8);
    turn();
    assert_int_equal(door.count, 10);
    turn_until(door.count == 70);
    assert_int_equal(calls.accept, 71); /* in the end more were asked for than there are */
    assert_true(quiet());
    clients[70] = connect_tcp(&in);
    turn();
    assert_int_equal(door.count, 71);
    assert_int_equal(calls.accept, 72); /* one is not followed by a look for another */
    assert_int_equal(getsockname(clients[70], (struct sockaddr *)&name, &length), 0);
    assert_int_equal(door.port, name.sin_port);
    assert_true(fcntl(door.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(door.fds[0], F_GETFD) & FD_CLOEXEC);
    for (int i = 0; i < 71; i++)
        close(clients[i]);
    close_door();
}

/* Twice as many after each 8 turns that found all they asked for, and 64 at the most. */
static void a_batch_is_of_64_at_the_most(void **state)
{
    (void)state;
    struct sockaddr_in in;
    int clients[128];
    size_t oldest = 0;
    open_door(&in);
    for (size_t i = 0; i < COUNT(clients); i++)
        clients[i] = connect_tcp(&in);
    for (unsigned turns = 0; turns < 64; turns++) {
        turn();
        assert_int_equal(door.count, turns < 48 ? 1 << turns / 8 : 64);
        for (; door.count > 0; oldest++) {
            close(door.fds[--door.count]);
            close(clients[oldest % COUNT(clients)]);
            clients[oldest % COUNT(clients)] = connect_tcp(&in);
        }
    }
    for (size_t i = 0; i < COUNT(clients); i++)
        close(clients[i]);
    close_door();
}

static void take_one(struct carom_acceptor *acceptor, int fd, const struct sockaddr *peer,
                     socklen_t length)
{
    (void)acceptor;
    (void)peer;
    (void)length;
    owner_open(&one, fd);
}

/* One client that has said something when its connection is accepted. */
static void deliver_a_speaker(int *peer)
{
    struct sockaddr_in in;
    open_door(&in);
    door.acceptor.accepted = take_one;
    *peer = connect_tcp(&in);
    put(*peer, "hello");
    calls.control = 0;
    wait_and_deliver();
}

static void what_was_said_is_read_in_the_turn_of_the_accept(void **state)
{
    (void)state;
    int peer;
    deliver_a_speaker(&peer);
    if (!on_uring) { /* there the kernel reads, when it is asked to */
        assert_got(&one, "hello");
        assert_int_equal(calls.control, 0);
    }
    loop->ops->reclaim(loop);
    assert_int_equal(calls.control, !on_uring);
    put(peer, " again");
    turn_until(one.length == strlen("hello again"));
    owner_close(&one);
    close_door();
    close(peer);
}

static void who_is_answered_in_that_turn_is_never_registered(void **state)
{
    (void)state;
    int peer;
    deliver_a_speaker(&peer);
    owner_close(&one);
    assert_int_equal(calls.control, 0);
    close_door();
    close(peer);
}

static void connections_that_broke_are_passed_over(void **state)
{
    (void)state;
    struct sockaddr_in in;
    open_door(&in);
    int client = connect_tcp(&in);
    calls.accept_error[0] = ECONNABORTED;
    calls.accept_error[1] = EINTR;
    calls.accept_error[2] = ENETUNREACH;
    turn();
    assert_int_equal(door.count, 1);
    assert_int_equal(door.failures, 0);
    close(client);
    close_door();
}

static void want_of_something_stops_accepting(void **state)
{
    (void)state;
    static const struct {
        int number, error;
    } wants[] = {{EMFILE, -CAROM_EMFILE},
                 {ENFILE, -CAROM_EMFILE},
                 {ENOBUFS, -CAROM_ENOMEM},
                 {ENOMEM, -CAROM_ENOMEM},
                 {EINVAL, -CAROM_EINVAL}}; /* not listening any more */
    struct sockaddr_in in;
    open_door(&in);
    int client = connect_tcp(&in);
    for (size_t i = 0; i < COUNT(wants); i++) {
        calls.accept_error[0] = wants[i].number;
        turn();
        assert_int_equal(door.failures, i + 1);
        assert_int_equal(door.error, wants[i].error);
        assert_int_equal(door.count, 0);
        assert_true(quiet()); /* though somebody waits */
        assert_int_equal(loop->ops->accept_start(loop, &door.acceptor, false), 0);
    }
    turn();
    assert_int_equal(door.count, 1);
    close(client);
    close_door();
}

static void a_stopped_acceptor_hears_nothing(void **state)
{
    (void)state;
    struct sockaddr_in in;
    int clients[4];
    open_door(&in);
    door.stop_after = 2;
    for (int i = 0; i < 4; i++)
        clients[i] = connect_tcp(&in);
    turn_until(door.count == 2);
    assert_true(quiet());
    assert_int_equal(loop->ops->accept_start(loop, &door.acceptor, false), 0);
    loop->ops->wait(loop, 0);
    calls.accept = 0;
    loop->ops->accept_stop(loop, &door.acceptor);
    door.acceptor.accepting = true; /* were it freed and used again, nobody would know */
    loop->ops->deliver(loop);
    assert_int_equal(calls.accept, 0);
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    close_door();
}

/* Whoever closes its listener after that gives the port back: nothing of the loop's may hold the
 * socket until the next turn, so that clients would be let in and left there. */
static void a_stopped_listener_is_gone_when_it_is_closed(void **state)
{
    (void)state;
    for (int turns = 0; turns < 3; turns++) { /* since it was started */
        struct sockaddr_in in;
        open_door(&in);
        for (int i = 0; i < turns; i++)
            turn();
        loop->ops->accept_stop(loop, &door.acceptor);
        close(door.acceptor.fd);
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&in, sizeof in), -1);
        assert_int_equal(errno, ECONNREFUSED);
        int again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(again, (struct sockaddr *)&in, sizeof in), 0);
        close(again);
        close(client);
    }
    turn();
    assert_true(soon_quiet());
}

static void a_batch_ends_when_its_acceptor_is_stopped(void **state)
{
    (void)state;
    struct sockaddr_in in;
    int clients[4];
    open_door(&in);
    door.stop_after = 2;
    door.acceptor.filled = 3 * 8; /* a batch of 8 */
    for (int i = 0; i < 4; i++)
        clients[i] = connect_tcp(&in);
    for (int turns = 0; turns < 10; turns++)
        turn();
    assert_int_equal(door.count, 2);
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    close_door();
}

static void a_shared_acceptor_is_exclusive(void **state)
{
    (void)state;
    struct sockaddr_in in;
    open_door(&in);
    assert_false(calls.control_events & EPOLLEXCLUSIVE);
    loop->ops->accept_stop(loop, &door.acceptor);
    assert_int_equal(loop->ops->accept_start(loop, &door.acceptor, true), 0);
    assert_true(on_uring || calls.control_events & EPOLLEXCLUSIVE);
    int client = connect_tcp(&in);
    turn_until(door.count == 1);
    close(client);
    close_door();
}

/* ---------------------------------------------------------------- the turn */

static uint64_t clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void a_wait_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    uint64_t deadline = clock_now() + 20;
    int64_t begun = (int64_t)time(NULL);
    loop->ops->wait(loop, deadline);
    assert_true(clock_now() >= deadline);
    assert_true(loop->ops->now(loop) >= deadline);
    loop->ops->wait(loop, deadline); /* long past: no sleep */
    loop->ops->wait(loop, 1);
    loop->ops->wait(loop, 0);
    assert_true(loop->ops->seconds(loop) >= begun - 1); /* the coarse clock lags by a tick */
    assert_true(loop->ops->seconds(loop) <= (int64_t)time(NULL));
    assert_string_equal(loop->ops->name, on_uring ? "uring" : "epoll");
}

static void *wake_it(void *data)
{
    (void)data;
    loop->ops->wake(loop);
    return NULL;
}

static void a_wake_ends_a_wait(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_it, NULL), 0);
    loop->ops->wait(loop, UINT64_MAX); /* or it hangs */
    loop->ops->deliver(loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(quiet());
    errno = 77;
    loop->ops->wake(loop); /* the next one, too */
    loop->ops->wake(loop);
    assert_int_equal(errno, 77);
    loop->ops->wait(loop, UINT64_MAX);
    loop->ops->deliver(loop);
    assert_true(quiet());
}

static void the_descriptor_tells_of_work_and_of_the_alarm(void **state)
{
    (void)state;
    struct pollfd poll_for = {.fd = loop->ops->descriptor(loop), .events = POLLIN};
    assert_int_equal(loop->ops->descriptor(loop), poll_for.fd);
    assert_true(quiet());
    uint64_t deadline = clock_now() + 20;
    loop->ops->alarm(loop, deadline);
    assert_int_equal(poll(&poll_for, 1, 10000), 1);
    assert_true(clock_now() >= deadline);
    turn();
    assert_true(quiet());
    loop->ops->alarm(loop, deadline); /* past: at once */
    assert_int_equal(poll(&poll_for, 1, 10000), 1);
    turn();
    loop->ops->alarm(loop, clock_now() + 20);
    loop->ops->alarm(loop, UINT64_MAX);
    assert_int_equal(poll(&poll_for, 1, 60), 0);
    int peer = open_unix(&one);
    loop->ops->alarm(loop, UINT64_MAX);
    put(peer, "x");
    assert_int_equal(poll(&poll_for, 1, 10000), 1);
    turn();
    assert_true(quiet());
    owner_close(&one);
    close(peer);
}

static void an_alarm_may_be_set_to_the_same_time_again(void **state)
{
    (void)state;
    struct pollfd poll_for = {.fd = loop->ops->descriptor(loop), .events = POLLIN};
    static const uint64_t past[] = {0, 1}; /* 0 is now, not never */
    for (size_t i = 0; i < COUNT(past); i++) {
        for (int times = 0; times < 3; times++) {
            loop->ops->alarm(loop, past[i]);
            assert_int_equal(poll(&poll_for, 1, 10000), 1);
            turn();
        }
        assert_true(quiet());
    }
}

static void creating_fails_cleanly(void **state)
{
    (void)state;
    struct carom_loop *other = NULL;
    carom_memory_fail_after(0);
    int (*create)(struct carom_loop **, struct carom_arena *) =
        on_uring ? carom_loop_uring_create : carom_loop_epoll_create;
    assert_int_equal(create(&other, &arena), -CAROM_ENOMEM);
    carom_memory_fail_after(UINT64_MAX);
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    uint64_t held = carom_memory_held();
    int next = dup(0);
    close(next);
    for (int left = 0; left < 2; left++) {
        none = (struct rlimit){(rlim_t)(next + left), limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        int error = create(&other, &arena);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(error, -CAROM_EMFILE);
        assert_null(other);
        assert_int_equal(carom_memory_held(), held);
        int again = dup(0);
        assert_int_equal(again, next); /* no descriptor is left behind */
        close(again);
    }
}

int main(void)
{
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(nothing_but_closed_follows_a_close),
        TEST(a_leaving_client_costs_no_change_of_interest),
        TEST(closed_may_close_others),
        TEST(events_of_freed_sockets_are_forgotten),
        TEST(a_close_is_in_order_or_a_reset),
        TEST(batches_grow_while_connections_wait),
        TEST(a_batch_is_of_64_at_the_most),
        TEST(what_was_said_is_read_in_the_turn_of_the_accept),
        TEST(who_is_answered_in_that_turn_is_never_registered),
        TEST(connections_that_broke_are_passed_over),
        TEST(want_of_something_stops_accepting),
        TEST(a_stopped_acceptor_hears_nothing),
        TEST(a_batch_ends_when_its_acceptor_is_stopped),
        TEST(a_stopped_listener_is_gone_when_it_is_closed),
        TEST(a_shared_acceptor_is_exclusive),
        TEST(a_wait_ends_at_its_deadline_and_not_before),
        TEST(a_wake_ends_a_wait),
        TEST(the_descriptor_tells_of_work_and_of_the_alarm),
        TEST(an_alarm_may_be_set_to_the_same_time_again),
        TEST(creating_fails_cleanly),
    };
    return cmocka_run_group_tests_name("net/loop_turn", tests, NULL, NULL);
}
