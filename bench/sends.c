/* sends: what the ways to send a body from memory cost the sender over loopback: send(2), an
 * operation of io_uring, and one without a copy (IORING_OP_SEND_ZC).
 *
 *     sends [ROUNDS]
 *
 * One connection to a thread that throws all away; the ways take turns. CPU time of the sending
 * thread for a MiB, which has the kernel's work below it, and how much was copied after all.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/uring.h"
#include "timing.h"

#define MIB         (1024 * 1024)
#define EACH        (256 * MIB) /* bytes sent in one measurement */
#define MOST_ROUNDS 99

enum way { CALL, OPERATION, ZERO_COPY, WAYS };

static const char *const names[WAYS] = {"send(2)", "IORING_OP_SEND", "IORING_OP_SEND_ZC"};
static const size_t sizes[] = {16 * 1024, 64 * 1024, MIB};

static char body[MIB];
static struct carom_uring ring;
static int sender, receiver;
static unsigned long notifications, copied;

static void *throw_away(void *data)
{
    static char sink[MIB];
    (void)data;
    while (recv(receiver, sink, sizeof sink, 0) > 0) {
    }
    return NULL;
}

static void fail(const char *what)
{
    fprintf(stderr, "sends: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void connect_pair(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    sender = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || sender < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
        connect(sender, (struct sockaddr *)&address, size) < 0 ||
        (receiver = accept(listener, NULL, NULL)) < 0 ||
        setsockopt(sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        fail("cannot connect");
    close(listener);
}

#define NOT_YET INT_MIN

/* Reap what is there; the result of the operation, or NOT_YET. */
static int reap(void)
{
    int result = NOT_YET;
    uint32_t count = carom_uring_ready(&ring);
    for (uint32_t i = 0; i < count; i++) {
        const struct io_uring_cqe *cqe = carom_uring_cqe(&ring, i);
        if (!(cqe->flags & IORING_CQE_F_NOTIF)) {
            result = cqe->res;
            continue;
        }
        notifications++;
        copied += ((uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED) != 0;
    }
    carom_uring_seen(&ring, count);
    return result;
}

static size_t send_some(enum way way, const char *from, size_t length)
{
    if (way == CALL) {
        ssize_t sent = send(sender, from, length, MSG_NOSIGNAL);
        if (sent < 0)
            fail("send");
        return (size_t)sent;
    }
    struct io_uring_sqe *sqe = carom_uring_sqe(&ring);
    sqe->opcode = way == ZERO_COPY ? IORING_OP_SEND_ZC : IORING_OP_SEND;
    sqe->ioprio = way == ZERO_COPY ? IORING_SEND_ZC_REPORT_USAGE : 0;
    sqe->fd = sender;
    sqe->addr = (uintptr_t)from;
    sqe->len = (uint32_t)length;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    int result;
    do
        carom_uring_enter(&ring, -1);
    while ((result = reap()) == NOT_YET);
    if (result < 0) {
        errno = -result;
        fail(names[way]);
    }
    return (size_t)result;
}

/* us for a MiB */
static double measure(enum way way, size_t size)
{
    double begin = thread_time();
    for (size_t sent = 0; sent < EACH;) {
        size_t at = sent % size;
        sent += send_some(way, body + at, size - at);
    }
    return (thread_time() - begin) / 1e3 / ((double)EACH / MIB);
}

static void run(size_t size, unsigned rounds)
{
    static double times[WAYS][MOST_ROUNDS];
    notifications = copied = 0;
    for (unsigned round = 0; round < rounds; round++)
        for (enum way way = 0; way < WAYS; way++)
            times[way][round] = measure(way, size);
    for (enum way way = 0; way < WAYS; way++) {
        double middle = median(times[way], rounds);
        printf("%7zu bytes  %-18s %6.1f us a MiB (%.1f to %.1f)\n", size, names[way], middle,
               times[way][0], times[way][rounds - 1]);
    }
    printf("%7zu bytes  copied after all: %lu of %lu\n", size, copied, notifications);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 9;
    pthread_t thread;
    if (rounds == 0 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: sends [ROUNDS]: 1 to %d\n", MOST_ROUNDS);
        return 2;
    }
    memset(body, 'x', sizeof body);
    connect_pair();
    int error = carom_uring_create(&ring, 64, 256);
    if (error == 0)
        error = carom_uring_enable(&ring);
    if (error < 0) {
        fprintf(stderr, "sends: no io_uring: %s\n", strerror(-error));
        return 1;
    }
    pthread_create(&thread, NULL, throw_away, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        run(sizes[i], rounds);
    shutdown(sender, SHUT_WR);
    pthread_join(thread, NULL);
    return 0;
}
