/* floor_uring: what floor is for epoll, for io_uring: the least that a server on it must do.
 *
 *     floor_uring [PORT] [--direct]
 *
 * One thread, one multishot accept, one multishot receive for each connection into buffers that the
 * kernel chooses from, sends as operations without a completion, and one system call a turn, which
 * submits all of these and waits. What is answered is what floor answers, to whole requests: what
 * is measured here never splits one. PORT is 8080 unless given; 0 takes any free one. With --direct
 * connections are in the ring's own table of files, and have no descriptor of the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/uring.h"

#define SUBMISSIONS 1024
#define COMPLETIONS 4096
#define BUFFERS     256
#define BUFFER_SIZE 16384
#define COPIES      1024 /* requests in one buffer, at most */

static const char response[] = "HTTP/1.1 200 OK\r\n"
                               "content-type: text/plain\r\n"
                               "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                               "Content-Length: 13\r\n"
                               "Connection: keep-alive\r\n"
                               "Keep-Alive: timeout=75\r\n"
                               "\r\n"
                               "Hello, World!";

static const char last_response[] = "HTTP/1.1 200 OK\r\n"
                                    "content-type: text/plain\r\n"
                                    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                    "Content-Length: 13\r\n"
                                    "Connection: close\r\n"
                                    "\r\n"
                                    "Hello, World!";
static const char last_mark[] = "close\r\n\r\n";

#define RESPONSE_LENGTH (sizeof response - 1)

#define DIRECT_FILES 8192 /* connections, with --direct */

enum kind { OTHER, ACCEPT, RECEIVE };

static char responses[COPIES * RESPONSE_LENGTH];
static char received[BUFFERS * BUFFER_SIZE];
static struct carom_uring ring;
static struct carom_uring_buffers buffers;
static bool direct;

static struct io_uring_sqe *operation(uint8_t code, int fd, enum kind kind)
{
    struct io_uring_sqe *sqe = carom_uring_sqe(&ring);
    sqe->opcode = code;
    sqe->fd = fd;
    sqe->user_data = (uint64_t)fd << 2 | kind;
    if (kind == OTHER)
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    if (direct && kind != ACCEPT)
        sqe->flags |= IOSQE_FIXED_FILE;
    return sqe;
}

static void start_accept(int listener)
{
    struct io_uring_sqe *sqe = operation(IORING_OP_ACCEPT, listener, ACCEPT);
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    if (direct)
        sqe->file_index = IORING_FILE_INDEX_ALLOC;
    else
        sqe->accept_flags = SOCK_CLOEXEC;
}

static void start_receive(int peer)
{
    struct io_uring_sqe *sqe = operation(IORING_OP_RECV, peer, RECEIVE);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags |= IOSQE_BUFFER_SELECT;
}

static void close_peer(int peer)
{
    struct io_uring_sqe *sqe = operation(IORING_OP_CLOSE, peer, OTHER);
    if (direct) {
        sqe->flags &= (uint8_t)~IOSQE_FIXED_FILE;
        sqe->fd = 0;
        sqe->file_index = (uint32_t)peer + 1;
    }
}

/* A client that does not take its answers waits: what is measured here never does that. */
static struct io_uring_sqe *send_all(int peer, const char *bytes, size_t length)
{
    struct io_uring_sqe *sqe = operation(IORING_OP_SEND, peer, OTHER);
    sqe->addr = (uintptr_t)bytes;
    sqe->len = (uint32_t)length;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    return sqe;
}

static void answer(int peer, const char *data, size_t length)
{
    const char *end = data + length;
    size_t mark = sizeof last_mark - 1, count = 0;
    if (length > mark && memcmp(end - mark, last_mark, mark) == 0) {
        send_all(peer, last_response, sizeof last_response - 1)->flags |= IOSQE_IO_LINK;
        operation(IORING_OP_SHUTDOWN, peer, OTHER)->len = SHUT_WR; /* the receive holds it open */
        return;
    }
    while ((data = memmem(data, (size_t)(end - data), "\r\n\r\n", 4)) != NULL) {
        count++;
        data += 4;
    }
    if (count > 0)
        send_all(peer, responses, count * RESPONSE_LENGTH);
}

static void offer(uint16_t id)
{
    carom_uring_buffers_add(&buffers, received + (size_t)id * BUFFER_SIZE, BUFFER_SIZE, id);
}

static void completed(const struct io_uring_cqe *cqe)
{
    int fd = (int)(cqe->user_data >> 2);
    bool goes_on = cqe->flags & IORING_CQE_F_MORE;
    switch ((enum kind)(cqe->user_data & 3)) {
    case OTHER:
        break;
    case ACCEPT:
        if (cqe->res >= 0)
            start_receive(cqe->res);
        if (!goes_on)
            start_accept(fd);
        break;
    case RECEIVE:
        if (cqe->flags & IORING_CQE_F_BUFFER) {
            uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
            if (cqe->res > 0)
                answer(fd, received + (size_t)id * BUFFER_SIZE, (size_t)cqe->res);
            offer(id);
        }
        if (!goes_on && (cqe->res > 0 || cqe->res == -ENOBUFS))
            start_receive(fd);
        else if (!goes_on)
            close_peer(fd);
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 || /* inherited */
        bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        fprintf(stderr, "floor_uring: cannot listen on port %u: %s\n", port, strerror(errno));
        return -1;
    }
    printf("floor_uring: http://127.0.0.1:%u/\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static _Noreturn void run(int listener)
{
    start_accept(listener);
    for (;;) {
        carom_uring_enter(&ring, -1);
        uint32_t count = carom_uring_ready(&ring);
        for (uint32_t i = 0; i < count; i++)
            completed(carom_uring_cqe(&ring, i));
        carom_uring_seen(&ring, count);
    }
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "8080";
    char *end;
    unsigned long port = strtoul(word, &end, 10);

    direct = argc == 3 && strcmp(argv[2], "--direct") == 0;
    if (argc > 2 + direct || end == word || *end != '\0' || port > 65535) {
        fprintf(stderr, "usage: floor_uring [PORT] [--direct]\n");
        return 2;
    }
    int error = carom_uring_create(&ring, SUBMISSIONS, COMPLETIONS);
    if (error == 0)
        error = carom_uring_buffers_create(&buffers, &ring, 0, BUFFERS);
    if (error == 0 && direct) {
        const struct io_uring_rsrc_register files = {.nr = DIRECT_FILES,
                                                     .flags = IORING_RSRC_REGISTER_SPARSE};
        error = carom_uring_register(&ring, IORING_REGISTER_FILES2, &files, sizeof files);
    }
    if (error == 0)
        error = carom_uring_enable(&ring);
    if (error < 0) {
        fprintf(stderr, "floor_uring: %s\n", strerror(-error));
        return 1;
    }
    for (size_t i = 0; i < COPIES; i++)
        memcpy(responses + i * RESPONSE_LENGTH, response, RESPONSE_LENGTH);
    for (uint16_t id = 0; id < BUFFERS; id++)
        offer(id);
    int listener = listen_on((uint16_t)port);
    if (listener < 0)
        return 1;
    run(listener);
}
