/* What the tests over real sockets share: a loop of the backend that CAROM_BACKEND names (epoll
 * when it names none), connections whose other end is the test's, and waiting that cannot hang. */
#ifndef CAROM_TEST_UNIT_NET_SOCKETS_H
#define CAROM_TEST_UNIT_NET_SOCKETS_H

#include "unit/net/support.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>

#include "unit/net/calls.h"

static struct owner one, two;

static bool on_uring;
static uint32_t pages_at_first; /* a backend may need some of its own */

static inline int begin(void **state)
{
    (void)state;
    on_uring = backend_is_uring();
    int error = begin_with(on_uring ? carom_loop_uring_create : carom_loop_epoll_create);
    if (error < 0)
        return error;
    if (on_uring)
        assert_true(loop->ops->descriptor(loop) >= 0); /* it may have news at first */
    loop->ops->wait(loop, 0);                          /* the loop is this thread's */
    loop->ops->deliver(loop);
    memset(&calls, 0, sizeof calls);
    pages_at_first = pages.pool.in_use;
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    return end_all();
}

/* Wait at most 10 seconds for something, and deliver it. */
static inline void wait_and_deliver(void)
{
    loop->ops->wait(loop, loop->ops->now(loop) + 10000);
    loop->ops->deliver(loop);
}

#define turn_until(condition)                                                                      \
    do {                                                                                           \
        for (int turns = 0; !(condition) && turns < 1000; turns++)                                 \
            wait_and_deliver();                                                                    \
        assert_true(condition);                                                                    \
    } while (0)

/* At the end of a turn. */
static inline bool quiet(void)
{
    struct pollfd poll_for = {.fd = loop->ops->descriptor(loop), .events = POLLIN};
    assert_true(poll_for.fd >= 0);
    loop->ops->alarm(loop, UINT64_MAX);
    return poll(&poll_for, 1, 0) == 0;
}

/* After what the backend has begun in the kernel has ended, too, and what the kernel looks at once
 * more when it moves bytes. */
static inline bool soon_quiet(void)
{
    uint64_t end = loop->ops->now(loop) + PATIENCE;
    while (on_uring && !quiet() && loop->ops->now(loop) < end) {
        loop->ops->wait(loop, 0);
        loop->ops->deliver(loop);
    }
    return quiet();
}

static inline int listen_tcp(struct sockaddr_in *in)
{
    socklen_t length = sizeof *in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *in = (struct sockaddr_in){.sin_family = AF_INET};
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)in, sizeof *in), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)in, &length), 0);
    return fd;
}

static inline int connect_tcp(const struct sockaddr_in *in)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)in, sizeof *in), 0);
    return fd;
}

/* A TCP connection: `owner` is one end, the other is returned. */
static inline int open_tcp(struct owner *owner)
{
    struct sockaddr_in in;
    int listening = listen_tcp(&in);
    int peer = connect_tcp(&in);
    int fd = (int)syscall(SYS_accept4, listening, 0L, 0L, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(listening);
    owner_begin(owner, fd);
    return peer;
}

static inline int open_unix(struct owner *owner)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    owner_begin(owner, fds[0]);
    return fds[1];
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline void reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
}

static inline int64_t send_text(struct owner *owner, struct carom_queue *queue, const char *text)
{
    assert_int_equal(carom_queue_append_borrowed(queue, &segments, text, strlen(text), NULL, NULL),
                     0);
    return loop->ops->send(loop, &owner->socket, queue);
}

/* Send until the kernel takes no more: the send is pending. Returns the bytes it took. */
static inline int64_t fill(struct owner *owner, struct carom_queue *queue)
{
    static const char zeros[1 << 20];
    int64_t total = 0, result;
    carom_queue_init(queue);
    do {
        carom_queue_clear(queue, &segments);
        assert_int_equal(
            carom_queue_append_borrowed(queue, &segments, zeros, sizeof zeros, NULL, NULL), 0);
        result = loop->ops->send(loop, &owner->socket, queue);
        total += result > 0 ? result : 0;
    } while (result > 0);
    assert_true(result == CAROM_SEND_PENDING);
    assert_ptr_equal(owner->socket.sending, queue);
    return total;
}

static inline void drain(int fd, int64_t length)
{
    char bytes[65536];
    while (length > 0) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        assert_true(got > 0);
        length -= got;
    }
}

#endif
