/* The system calls of the engine, in which one is made to fail. These definitions go before those
 * of the C library; what is not called from within ENGINE(...) just passes through.
 *
 * A fault is one that the kernel may answer at that point, by its manual page. Left out, because
 * there they cannot be: epoll_ctl MOD and DEL and timerfd_settime of descriptors that exist, a
 * write to an eventfd that is not full, getsockopt(SO_ERROR), setsockopt(SO_LINGER). What says
 * EAGAIN once stays ready, and epoll reports it again, because it is level-triggered. */
#ifndef CAROM_TEST_UNIT_FAULT_SYSTEM_CALLS_H
#define CAROM_TEST_UNIT_FAULT_SYSTEM_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "unit/base/libc.h"

enum call {
    CALL_ACCEPT,
    CALL_RECEIVE,
    CALL_SEND,
    CALL_WATCH, /* epoll_ctl ADD */
    CALL_WAIT,
    CALL_READ, /* of the eventfd, the timerfd */
    CALL_CLOSE,
    CALL_SHUTDOWN,
    CALL_DESCRIPTOR, /* epoll_create1, eventfd, timerfd_create */
    CALL_SOCKET,
    CALL_OPTION,
    CALL_BIND,
    CALL_LISTEN,
    CALL_NAME,
    CALL_CONNECT, /* to see whether a socket file is stale */
    CALL_FILE,    /* lstat, chmod, unlink */
    CALL_MOVE,    /* sendfile: all else that it may say is said by what is done in its place */
    CALL_CONTENT, /* pread */
    CALL_STATUS,  /* fstat */
    CALL_RING,    /* io_uring_setup; this and what follows is in ring_calls.h */
    CALL_REGISTER,
    CALL_ENTER,
    CALL_OPERATION_RECEIVE,
    CALL_OPERATION_SEND,
    CALL_OPERATION_ROOM, /* a poll, for a file */
    CALL_OPERATION_POLL,
    CALLS
};

static const char *const call_names[CALLS] = {
    "accept4",
    "recv",
    "send",
    "epoll_ctl",
    "epoll_wait",
    "read",
    "close",
    "shutdown",
    "create",
    "socket",
    "setsockopt",
    "bind",
    "listen",
    "getsockname",
    "connect",
    "lstat, chmod, unlink",
    "sendfile",
    "pread",
    "fstat",
    "io_uring_setup",
    "io_uring_register",
    "io_uring_enter",
    "receive of the ring",
    "send of the ring",
    "poll for room of the ring",
    "poll of the ring",
};

#define SHORT_COUNT (-1)

struct fault {
    int error;   /* errno; or SHORT_COUNT: one byte is taken */
    bool passes; /* nobody may notice, but that it takes longer */
    bool lasts;  /* until the conversation is over */
};

#define FAULTS_MAX 12

static const struct fault faults[CALLS][FAULTS_MAX] = {
    [CALL_ACCEPT] = {{EAGAIN, true, false},
                     {EINTR, true, false},
                     {ECONNABORTED, true, false},
                     {EPERM, true, false},
                     {EPROTO, true, false},
                     {EMFILE, true, false},
                     {ENFILE, true, false},
                     {ENOBUFS, true, false},
                     {ENOMEM, true, false},
                     {EMFILE, true, true},
                     {ENOMEM, true, true}},
    [CALL_RECEIVE] = {{EAGAIN, true, false},
                      {EINTR, true, false},
                      {SHORT_COUNT, true, false},
                      {ECONNRESET, false, false},
                      {ETIMEDOUT, false, false},
                      {ENOMEM, false, false}},
    [CALL_SEND] = {{EAGAIN, true, false},
                   {EINTR, true, false},
                   {SHORT_COUNT, true, false},
                   {EPIPE, false, false},
                   {ECONNRESET, false, false},
                   {ETIMEDOUT, false, false},
                   {ENOBUFS, false, false},
                   {ENOMEM, false, false}},
    [CALL_WATCH] = {{ENOMEM, false, false}, {ENOSPC, false, false}, {ENOSPC, false, true}},
    [CALL_WAIT] = {{EINTR, true, false}},
    [CALL_READ] = {{EAGAIN, true, false}, {EINTR, true, false}},
    [CALL_CLOSE] = {{EINTR, true, false},
                    {EIO, true, false}},         /* the descriptor is closed all the same */
    [CALL_SHUTDOWN] = {{ENOTCONN, true, false}}, /* done all the same */
    [CALL_DESCRIPTOR] = {{EMFILE, false, false},
                         {ENFILE, false, false},
                         {ENOMEM, false, false},
                         {ENODEV, false, false}},
    [CALL_SOCKET] = {{EMFILE, false, false},
                     {ENFILE, false, false},
                     {ENOMEM, false, false},
                     {ENOBUFS, false, false},
                     {EACCES, false, false},
                     {EAFNOSUPPORT, false, false}},
    [CALL_OPTION] = {{ENOPROTOOPT, false, false}, {ENOMEM, false, false}},
    [CALL_BIND] = {{EACCES, false, false},
                   {EADDRINUSE, false, false},
                   {EADDRNOTAVAIL, false, false},
                   {ENOMEM, false, false}},
    [CALL_LISTEN] = {{EADDRINUSE, false, false}},
    [CALL_NAME] = {{ENOBUFS, false, false}},
    [CALL_CONNECT] = {{EACCES, false, false}, {EAGAIN, false, false}},
    [CALL_FILE] = {{EACCES, false, false},
                   {EIO, false, false},
                   {EROFS, false, false},
                   {ENOMEM, false, false}},
    [CALL_MOVE] = {{EAGAIN, true, false},
                   {EINTR, true, false},
                   {SHORT_COUNT, true, false},
                   {EINVAL, true, false},
                   {EIO, true, false},
                   {ENOMEM, true, false},
                   {ENOSYS, true, true},
                   {EPIPE, true, false}},
    [CALL_CONTENT] = {{EINTR, true, false},
                      {SHORT_COUNT, true, false},
                      {EIO, false, false},
                      {EISDIR, false, false}},
    [CALL_STATUS] = {{EIO, false, false}, {ENOMEM, false, false}},
    [CALL_RING] = {{ENOSYS, true, false},
                   {EPERM, true, false},
                   {EINVAL, true, false},
                   {ENOMEM, true, false},
                   {EMFILE, false, false},
                   {ENFILE, false, false}},
    [CALL_REGISTER] = {{EPERM, false, false}, {EINVAL, false, false}, {ENOMEM, false, false}},
    [CALL_ENTER] = {{EINTR, true, false},
                    {EAGAIN, true, false},
                    {EBUSY, true, false},
                    {ENOMEM, true, false}},
    [CALL_OPERATION_RECEIVE] = {{EAGAIN, true, false},
                                {EINTR, true, false},
                                {ENOBUFS, true, false},
                                {SHORT_COUNT, true, false},
                                {ECONNRESET, false, false},
                                {ETIMEDOUT, false, false},
                                {ENOMEM, false, false}},
    [CALL_OPERATION_SEND] = {{EAGAIN, true, false},
                             {EINTR, true, false},
                             {SHORT_COUNT, true, false},
                             {EPIPE, false, false},
                             {ECONNRESET, false, false},
                             {ETIMEDOUT, false, false},
                             {ENOBUFS, false, false},
                             {ENOMEM, false, false}},
    [CALL_OPERATION_ROOM] = {{ENOMEM, false, false}},
    [CALL_OPERATION_POLL] = {{ENOMEM, true, false}},
};

static struct {
    bool inside;    /* the engine */
    bool narrow;    /* what is accepted takes little before it is full */
    unsigned calls; /* of the engine so far, that can fail */
    unsigned after; /* calls before the one that fails */
    unsigned index; /* in its list of faults */
    bool injected;
    enum call call; /* the one that failed */
    bool passes, lasts;
    int error;
    bool bound_file;   /* a socket file was made */
    time_t seconds_on; /* what the clock is put forward by */
} calls;

#define ENGINE(call)                                                                               \
    do {                                                                                           \
        calls.inside = true;                                                                       \
        call;                                                                                      \
        calls.inside = false;                                                                      \
    } while (0)

/* The fault of this call: 0, an errno, or SHORT_COUNT. */
static int fault_of(enum call call)
{
    if (!calls.inside)
        return 0;
    if (calls.lasts && call == calls.call) {
        errno = calls.error;
        return calls.error;
    }
    if (calls.calls++ != calls.after || calls.index >= FAULTS_MAX)
        return 0;
    const struct fault *fault = &faults[call][calls.index];
    if (fault->error == 0)
        return 0;
    calls.injected = true;
    calls.call = call;
    calls.error = fault->error;
    calls.passes = fault->passes;
    calls.lasts = fault->lasts;
    errno = fault->error;
    return fault->error;
}

int accept4(int fd, __SOCKADDR_ARG peer, socklen_t *restrict length, int flags)
{
    if (fault_of(CALL_ACCEPT) != 0)
        return -1;
    int to = (int)syscall(SYS_accept4, fd, ADDRESS_OF(peer), length, flags);
    if (to >= 0 && calls.narrow)
        syscall(SYS_setsockopt, to, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
    return to;
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
    int error = fault_of(CALL_RECEIVE);
    if (error > 0)
        return -1;
    if (error == SHORT_COUNT)
        length = 1;
    return syscall(SYS_recvfrom, fd, data, length, flags, 0L, 0L);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
    int error = fault_of(CALL_SEND);
    if (error > 0)
        return -1;
    if (error == SHORT_COUNT)
        length = 1;
    return syscall(SYS_sendto, fd, data, length, flags, 0L, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    int error = fault_of(CALL_SEND);
    if (error > 0)
        return -1;
    if (error == SHORT_COUNT)
        return syscall(SYS_sendto, fd, message->msg_iov[0].iov_base, 1, flags, 0L, 0);
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* The kernel does not move the bytes of this file. */
static int unmovable = -1;

ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
    if (from == unmovable) {
        errno = EINVAL;
        return -1;
    }
    int error = fault_of(CALL_MOVE);
    if (error > 0)
        return -1;
    if (error == SHORT_COUNT)
        length = 1;
    return syscall(SYS_SENDFILE, to, from, offset, length);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset)
{
    int error = fault_of(CALL_CONTENT);
    if (error > 0)
        return -1;
    if (error == SHORT_COUNT)
        length = 1;
    return syscall(SYS_pread64, fd, data, length, WORDS(offset));
}

int fstat(int fd, struct stat *status)
{
    if (fault_of(CALL_STATUS) != 0)
        return -1;
    return stat_at(fd, "", status, AT_EMPTY_PATH);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fault_of(CALL_WATCH) != 0)
        return -1;
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int milliseconds)
{
    if (fault_of(CALL_WAIT) != 0)
        return -1;
    return (int)syscall(SYS_epoll_pwait, epoll, events, count, milliseconds, 0L, 0);
}

ssize_t read(int fd, void *data, size_t length)
{
    if (fault_of(CALL_READ) != 0)
        return -1;
    return syscall(SYS_read, fd, data, length);
}

int close(int fd)
{
    int result = (int)syscall(SYS_close, fd);
    return fault_of(CALL_CLOSE) != 0 ? -1 : result;
}

int shutdown(int fd, int how)
{
    int result = (int)syscall(SYS_shutdown, fd, how);
    return fault_of(CALL_SHUTDOWN) != 0 ? -1 : result;
}

int epoll_create1(int flags)
{
    return fault_of(CALL_DESCRIPTOR) != 0 ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int eventfd(unsigned count, int flags)
{
    return fault_of(CALL_DESCRIPTOR) != 0 ? -1 : (int)syscall(SYS_eventfd2, count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    return fault_of(CALL_DESCRIPTOR) != 0 ? -1 : (int)syscall(SYS_timerfd_create, clock, flags);
}

int socket(int family, int type, int protocol)
{
    return fault_of(CALL_SOCKET) != 0 ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    if (option != SO_LINGER && fault_of(CALL_OPTION) != 0)
        return -1;
    return (int)syscall(SYS_setsockopt, fd, level, option, value, length);
}

int bind(int fd, __CONST_SOCKADDR_ARG name, socklen_t length)
{
    if (fault_of(CALL_BIND) != 0)
        return -1;
    int result = (int)syscall(SYS_bind, fd, ADDRESS_OF(name), length);
    if (result == 0 && ADDRESS_OF(name)->sa_family == AF_UNIX &&
        ((const struct sockaddr_un *)(const void *)ADDRESS_OF(name))->sun_path[0] != '\0')
        calls.bound_file = true;
    return result;
}

int listen(int fd, int backlog)
{
    return fault_of(CALL_LISTEN) != 0 ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

int getsockname(int fd, __SOCKADDR_ARG name, socklen_t *restrict length)
{
    if (fault_of(CALL_NAME) != 0)
        return -1;
    return (int)syscall(SYS_getsockname, fd, ADDRESS_OF(name), length);
}

int connect(int fd, __CONST_SOCKADDR_ARG name, socklen_t length)
{
    if (fault_of(CALL_CONNECT) != 0)
        return -1;
    return (int)syscall(SYS_connect, fd, ADDRESS_OF(name), length);
}

int lstat(const char *restrict path, struct stat *restrict status)
{
    if (fault_of(CALL_FILE) != 0)
        return -1;
    return stat_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

int chmod(const char *path, mode_t mode)
{
    if (fault_of(CALL_FILE) != 0)
        return -1;
    return (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}

int unlink(const char *path)
{
    if (fault_of(CALL_FILE) != 0)
        return -1;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* The test moves the clock of the engine, too, so that nothing waits. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_CLOCK, clock, now);
    now->tv_sec += calls.seconds_on;
    return result;
}

#endif
