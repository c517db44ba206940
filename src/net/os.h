/* What systems do each in a way of their own, beside their loops: sockets that are made and
 * accepted, bytes that are held back for more, files that the kernel sends, SIGPIPE, watched
 * descriptors, a cheap clock. os_linux.c does it on Linux; another system has a file like that one,
 * and a loop. What these files and the loops use is used nowhere else (`tools/tidy systems`). */
#ifndef CAROM_NET_OS_H
#define CAROM_NET_OS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A socket for streams of this family, non-blocking and close-on-exec. -1 with errno. */
int carom_os_socket(int family);

/* Take a connection from a listening socket, non-blocking and close-on-exec; `length` is room of
 * `peer`, and becomes what is used of it. -1 with errno. */
int carom_os_accept(int listening, struct sockaddr *peer, socklen_t *length);

/* Whether an error of carom_os_accept concerns that one connection only: there may be others. */
bool carom_os_accept_again(int error);

/* Send from vectors (at least one) and raise no signal, whatever signals interrupt it. `more`: what
 * follows may share the packet. Bytes taken; -1 with errno. */
ssize_t carom_os_send(int to, struct iovec *vectors, int count, bool more);

/* Have the kernel send bytes of a file, whatever signals interrupt it; SIGPIPE does not reach the
 * program, for which the caller has blocked it (`blocked`) or not. Bytes moved; 0 at the end of the
 * file; -1 with errno, which does not tell the fault of the file from that of the socket. */
ssize_t carom_os_send_file(int to, int file, off_t offset, size_t length, bool blocked);

/* Keep SIGPIPE from this thread until `unblock` is given the mask that is left in `before`; one
 * that was raised meanwhile is taken away. */
void carom_os_block_sigpipe(sigset_t *before);
void carom_os_unblock_sigpipe(const sigset_t *before);

/* Options of a socket for TCP, or of one that listens for such: the kernel takes at most so many
 * bytes beyond those on their way; and asks a silent peer after so many seconds whether it is
 * there. -1 with errno. */
int carom_os_limit_unsent(int fd, int bytes);
int carom_os_set_silence(int fd, int seconds);

/* Seconds since 1970, from the cheapest clock that has them. */
int64_t carom_os_seconds(void);

/* ---------------------------------------------------------------- watched descriptors */

/* Something that a set of watched descriptors found: its number, and CAROM_WATCH_READABLE,
 * _WRITABLE; both where it has failed or was hung up. */
struct carom_os_found {
    int fd;
    unsigned events;
};

/* A set of watched descriptors, which is a descriptor itself: a loop can watch it, and it is
 * readable while one of them is ready. -1 with errno. */
int carom_os_set_create(void);

/* Change for which events a descriptor is watched: for `before` until now, and for `events` from
 * now on, where 0 is not at all. -CAROM_ESTATE: it is in the set although `before` is 0;
 * -CAROM_EUNSUPPORTED: it cannot be watched; or another negative error. */
int carom_os_set_change(int set, int fd, unsigned before, unsigned events);

/* Those that are ready now, up to `room`; how many. */
int carom_os_set_look(int set, struct carom_os_found *found, int room);

#endif
