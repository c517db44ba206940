/* What is Linux's alone, beside its loops. */
#include "net/os.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <time.h>

#include "base/clock.h"
#include "base/errors.h"
#include "carom.h"

_Static_assert(sizeof(off_t) == 8, "files may be of more than 2 GiB");

/* Events that one look takes. */
#define EVENTS 64

/* ---------------------------------------------------------------- sockets */

int carom_os_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int carom_os_accept(int listening, struct sockaddr *peer, socklen_t *length)
{
    return accept4(listening, peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

bool carom_os_accept_again(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM: /* a firewall forbids it */
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

int carom_os_limit_unsent(int fd, int bytes)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

int carom_os_set_silence(int fd, int seconds)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
}

/* ---------------------------------------------------------------- sending */

ssize_t carom_os_send(int to, struct iovec *vectors, int count, bool more)
{
    int flags = more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
    ssize_t length;
    do {
        if (count == 1) {
            length = send(to, vectors[0].iov_base, vectors[0].iov_len, flags);
        } else {
            struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)count};
            length = sendmsg(to, &message, flags);
        }
    } while (length < 0 && errno == EINTR);
    return length;
}

static sigset_t only_sigpipe(void)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    return pipe;
}

/* sendfile has no MSG_NOSIGNAL. In threads of ours SIGPIPE is blocked; elsewhere it is kept from
 * the program here. */
static ssize_t move_quietly(int to, int file, off_t offset, size_t length)
{
    sigset_t pipe = only_sigpipe(), before, waiting;
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    sigpending(&waiting);
    ssize_t moved = sendfile(to, file, &offset, length);
    int error = errno;
    if (moved < 0 && error == EPIPE && !sigismember(&waiting, SIGPIPE)) {
        static const struct timespec none = {0};
        while (sigtimedwait(&pipe, NULL, &none) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return moved;
}

ssize_t carom_os_send_file(int to, int file, off_t offset, size_t length, bool blocked)
{
    ssize_t moved;
    do
        moved =
            blocked ? sendfile(to, file, &offset, length) : move_quietly(to, file, offset, length);
    while (moved < 0 && errno == EINTR);
    return moved;
}

void carom_os_block_sigpipe(sigset_t *before)
{
    sigset_t pipe = only_sigpipe();
    pthread_sigmask(SIG_BLOCK, &pipe, before);
}

void carom_os_unblock_sigpipe(const sigset_t *before)
{
    static const struct timespec none = {0};
    sigset_t pipe = only_sigpipe();
    if (!sigismember(before, SIGPIPE))
        sigtimedwait(&pipe, NULL, &none);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---------------------------------------------------------------- the clock */

int64_t carom_os_seconds(void)
{
    return (int64_t)(carom_clock_milliseconds(CLOCK_REALTIME_COARSE) / 1000);
}

/* ---------------------------------------------------------------- watched descriptors */

int carom_os_set_create(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

int carom_os_set_change(int set, int fd, unsigned before, unsigned events)
{
    int operation = before == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = {
        .events = (events & CAROM_WATCH_READABLE ? (uint32_t)EPOLLIN : 0u) |
                  (events & CAROM_WATCH_WRITABLE ? (uint32_t)EPOLLOUT : 0u),
        .data.fd = fd,
    };
    if (epoll_ctl(set, operation, fd, &event) == 0)
        return 0;
    switch (errno) {
    case EEXIST:
        return -CAROM_ESTATE;
    case EPERM: /* a regular file: it is ready always */
    case ELOOP:
    case EINVAL:
        return -CAROM_EUNSUPPORTED;
    case ENOSPC: /* max_user_watches */
        return -CAROM_EMFILE;
    default:
        return carom_error_from_errno(errno);
    }
}

int carom_os_set_look(int set, struct carom_os_found *found, int room)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(set, events, room < EVENTS ? room : EVENTS, 0);
    for (int i = 0; i < count; i++) {
        uint32_t what = events[i].events;
        bool ended = (what & (EPOLLERR | EPOLLHUP)) != 0;
        found[i].fd = events[i].data.fd;
        found[i].events = (ended || what & EPOLLIN ? (unsigned)CAROM_WATCH_READABLE : 0u) |
                          (ended || what & EPOLLOUT ? (unsigned)CAROM_WATCH_WRITABLE : 0u);
    }
    return count > 0 ? count : 0;
}
