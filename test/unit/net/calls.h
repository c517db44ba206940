/* System calls, counted and made to fail: these definitions go before those of the C library. */
#ifndef CAROM_TEST_UNIT_NET_CALLS_H
#define CAROM_TEST_UNIT_NET_CALLS_H

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/base/libc.h"

static struct calls {
    int recv, send, sendmsg, control, accept;
    int send_flags;          /* of the last send or sendmsg */
    uint32_t control_events; /* what the last epoll_ctl asked for */
    int accept_error[3];     /* errno of the next calls of accept4; 0: the call is made */
    int send_error;          /* errno of the next send or sendmsg */
    int recv_error;          /* errno of the next recv */
} calls;

static int planned_error(int *error)
{
    errno = *error;
    *error = 0;
    return errno;
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
    calls.recv++;
    if (planned_error(&calls.recv_error) != 0)
        return -1;
    return syscall(SYS_recvfrom, fd, data, length, flags, 0L, 0L);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
    calls.send++;
    calls.send_flags = flags;
    if (planned_error(&calls.send_error) != 0)
        return -1;
    return syscall(SYS_sendto, fd, data, length, flags, 0L, 0L);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    calls.sendmsg++;
    calls.send_flags = flags;
    if (planned_error(&calls.send_error) != 0)
        return -1;
    return syscall(SYS_sendmsg, fd, message, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    calls.control++;
    calls.control_events = event->events;
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

int accept4(int fd, __SOCKADDR_ARG peer, socklen_t *restrict length, int flags)
{
    calls.accept++;
    int error = calls.accept_error[0];
    calls.accept_error[0] = calls.accept_error[1];
    calls.accept_error[1] = calls.accept_error[2];
    calls.accept_error[2] = 0;
    if (error != 0) {
        errno = error;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, ADDRESS_OF(peer), length, flags);
}

#endif
