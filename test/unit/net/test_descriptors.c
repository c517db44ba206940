/* Tests of descriptors of the program that a loop watches. */
#include "unit/net/sockets.h"

#include <sys/resource.h>

struct watched {
    struct carom_descriptor descriptor;
    unsigned events; /* of the last call */
    int calls;
};

static void told(struct carom_descriptor *descriptor, unsigned events)
{
    struct watched *watched = carom_container(descriptor, struct watched, descriptor);
    watched->events = events;
    watched->calls++;
}

static int watch(struct watched *watched, int fd, unsigned events)
{
    if (watched->descriptor.ready == NULL)
        *watched = (struct watched){.descriptor = {.ready = told, .fd = fd}};
    return loop->ops->watch(loop, &watched->descriptor, events);
}

static void unwatch(struct watched *watched)
{
    loop->ops->unwatch(loop, &watched->descriptor);
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

/* Whatever was still to be told has been told. (io_uring may need a turn for its poll to begin, and
 * one for it to end.) */
static void turns(void)
{
    for (int i = 0; i < 4; i++)
        turn();
}

static void it_is_told_for_as_long_as_it_is_ready(void **state)
{
    (void)state;
    struct watched watched = {0};
    int fds[2];
    make_pair(fds);
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    turns();
    assert_int_equal(watched.calls, 0);
    put(fds[1], "x");
    turn_until(watched.calls == 1);
    assert_int_equal(watched.events, CAROM_WATCH_READABLE);
    turn_until(watched.calls == 3);
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 1);
    turns(); /* the last may have been on its way */
    int so_far = watched.calls;
    turns();
    assert_int_equal(watched.calls, so_far);
    assert_true(soon_quiet());
    unwatch(&watched);
    close(fds[0]);
    close(fds[1]);
}

static void a_wait_ends_when_one_is_ready(void **state)
{
    (void)state;
    struct watched watched = {0};
    int fds[2];
    make_pair(fds);
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    turns();
    assert_true(soon_quiet());
    put(fds[1], "x");
    if (!on_uring) /* its own descriptor tells of what the kernel has done by then */
        assert_false(quiet());
    loop->ops->wait(loop, UINT64_MAX); /* for ever, if nothing ended it */
    loop->ops->deliver(loop);
    turn_until(watched.calls > 0);
    unwatch(&watched);
    close(fds[0]);
    close(fds[1]);
}

static void what_it_is_watched_for_may_change(void **state)
{
    (void)state;
    struct watched watched = {0};
    int fds[2];
    make_pair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_WRITABLE), 0);
    turn_until(watched.calls == 1);
    assert_int_equal(watched.events, CAROM_WATCH_WRITABLE);
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    turn_until(watched.events == CAROM_WATCH_READABLE);
    calls.control = 0;
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    assert_int_equal(calls.control, 0); /* the kernel knows it already */
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE | CAROM_WATCH_WRITABLE), 0);
    turn_until(watched.events == (CAROM_WATCH_READABLE | CAROM_WATCH_WRITABLE));
    unwatch(&watched);
    turns();
    int so_far = watched.calls;
    turns();
    assert_int_equal(watched.calls, so_far);
    close(fds[0]);
    close(fds[1]);
}

/* One that is watched for both is told which of them it is ready for. */
static void both_are_told_apart(void **state)
{
    (void)state;
    struct watched watched = {0};
    static char bytes[65536];
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE | CAROM_WATCH_WRITABLE), 0);
    turn_until(watched.calls > 1);
    assert_int_equal(watched.events, CAROM_WATCH_WRITABLE);
    while (send(fds[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
    turns(); /* what was ready before */
    put(fds[1], "x");
    watched.events = 0;
    turn_until(watched.events == CAROM_WATCH_READABLE);
    shutdown(fds[1], SHUT_WR); /* FIN is something to read, and no more than that */
    turns();
    assert_int_equal(watched.events, CAROM_WATCH_READABLE);
    unwatch(&watched);
    close(fds[0]);
    close(fds[1]);
}

static void what_was_hung_up_is_ready_for_all_it_is_watched_for(void **state)
{
    (void)state;
    struct watched reader = {0}, writer = {0};
    int fds[2], out[2];
    make_pair(fds);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(out[1], &reader, sizeof reader) > 0) {
    }
    assert_int_equal(watch(&reader, fds[0], CAROM_WATCH_READABLE), 0);
    assert_int_equal(watch(&writer, out[1], CAROM_WATCH_WRITABLE), 0);
    turns();
    assert_int_equal(reader.calls + writer.calls, 0);
    close(fds[1]);
    close(out[0]);
    turn_until(reader.calls > 0 && writer.calls > 0);
    assert_int_equal(reader.events, CAROM_WATCH_READABLE);
    assert_int_equal(writer.events, CAROM_WATCH_WRITABLE);
    unwatch(&reader);
    unwatch(&writer);
    close(fds[0]);
    close(out[1]);
}

static void more_than_are_told_at_once_are_told_in_the_end(void **state)
{
    (void)state;
    static struct watched many[150];
    int fds[COUNT(many)][2];
    memset(many, 0, sizeof many);
    for (size_t i = 0; i < COUNT(many); i++) {
        make_pair(fds[i]);
        assert_int_equal(watch(&many[i], fds[i][0], CAROM_WATCH_WRITABLE), 0);
    }
    for (size_t i = 0; i < COUNT(many); i++)
        turn_until(many[i].calls > 0);
    for (size_t i = 0; i < COUNT(many); i++) {
        unwatch(&many[i]);
        close(fds[i][0]);
        close(fds[i][1]);
    }
    turns();
}

static void what_cannot_be_watched_is_refused(void **state)
{
    (void)state;
    struct watched watched = {0}, other = {0};
    int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    make_pair(fds);
    assert_true(file >= 0);
    assert_int_equal(watch(&watched, -1, CAROM_WATCH_READABLE), -CAROM_ENOENT);
    watched.descriptor.fd = 100000;
    assert_int_equal(watch(&watched, 100000, CAROM_WATCH_READABLE), -CAROM_ENOENT);
    watched.descriptor.fd = file;
    assert_int_equal(watch(&watched, file, CAROM_WATCH_READABLE), -CAROM_EUNSUPPORTED);
    watched.descriptor.fd = fds[0];
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    assert_int_equal(watch(&other, fds[0], CAROM_WATCH_READABLE), -CAROM_ESTATE);
    unwatch(&other); /* it is not watched: the first one still is */
    put(fds[1], "x");
    turn_until(watched.calls > 0);
    assert_int_equal(other.calls, 0);
    unwatch(&watched);
    unwatch(&watched);
    close(file);
    close(fds[0]);
    close(fds[1]);
}

/* Its number is another's by then, who must not suffer from what its former owner does. */
static void one_that_was_closed_under_its_watch_is_told_no_more(void **state)
{
    (void)state;
    struct watched closed = {0}, next = {0};
    int fds[2], others[2];
    make_pair(fds);
    assert_int_equal(watch(&closed, fds[0], CAROM_WATCH_READABLE), 0);
    int number = fds[0];
    close(fds[0]);
    close(fds[1]);
    turns();
    assert_int_equal(closed.calls, 0);
    make_pair(others);
    assert_int_equal(others[0], number);
    assert_int_equal(watch(&next, number, CAROM_WATCH_READABLE), 0);
    assert_int_equal(watch(&closed, number, CAROM_WATCH_READABLE), -CAROM_ESTATE);
    unwatch(&closed);
    put(others[1], "x");
    turn_until(next.calls > 0);
    assert_int_equal(closed.calls, 0);
    unwatch(&next);
    assert_int_equal(watch(&closed, number, CAROM_WATCH_READABLE), 0);
    close(number);
    unwatch(&closed); /* it is closed, and nobody else's */
    close(others[1]);
    turns();
    assert_true(soon_quiet());
}

static void without_memory_or_descriptors_nothing_has_changed(void **state)
{
    (void)state;
    struct watched watched = {0};
    int fds[2];
    make_pair(fds);
    carom_memory_fail_after(0);
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), -CAROM_ENOMEM);
    carom_memory_fail_after(UINT64_MAX);
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int error = watch(&watched, fds[0], CAROM_WATCH_READABLE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(error, -CAROM_EMFILE);
    put(fds[1], "x");
    turns();
    assert_int_equal(watched.calls, 0);
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    turn_until(watched.calls > 0);
    unwatch(&watched);
    close(fds[0]);
    close(fds[1]);
}

static void sockets_beside_them_go_on(void **state)
{
    (void)state;
    struct watched watched = {0};
    int fds[2], peer = open_unix(&one), other = open_tcp(&two);
    make_pair(fds);
    put(fds[1], "x"); /* which nobody reads: it is ready in each turn */
    assert_int_equal(watch(&watched, fds[0], CAROM_WATCH_READABLE), 0);
    put(peer, "abc");
    put(other, "def");
    turn_until(one.length == 3 && two.length == 3 && watched.calls > 0);
    owner_close(&one);
    owner_close(&two);
    unwatch(&watched);
    close(fds[0]);
    close(fds[1]);
    close(peer);
    close(other);
}

int main(void)
{
    skip_where_refused();
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(it_is_told_for_as_long_as_it_is_ready),
        TEST(a_wait_ends_when_one_is_ready),
        TEST(what_it_is_watched_for_may_change),
        TEST(both_are_told_apart),
        TEST(what_was_hung_up_is_ready_for_all_it_is_watched_for),
        TEST(more_than_are_told_at_once_are_told_in_the_end),
        TEST(what_cannot_be_watched_is_refused),
        TEST(one_that_was_closed_under_its_watch_is_told_no_more),
        TEST(sockets_beside_them_go_on),
        TEST(without_memory_or_descriptors_nothing_has_changed),
    };
    return cmocka_run_group_tests_name("net/descriptors", tests, NULL, NULL);
}
