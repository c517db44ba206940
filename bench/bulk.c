/* bulk: a client that moves 1 MiB contents as fast as one thread can, so that the server is the
 * limit (wrk receives in pieces of 8 KiB and would be).
 *
 *     bulk get|post PORT TARGET CONNECTIONS SECONDS
 *
 * Each connection sends GET, or POST with 1 MiB, takes the whole response, and begins again;
 * contents that arrive are dropped in the kernel (MSG_TRUNC), not copied. A response may come
 * before the content is sent; the content is sent to its end all the same. Prints the exchanges
 * completed and the seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE        (1024 * 1024)
#define HEAD_SIZE   256
#define CONNECTIONS 256
#define PIECE       (256 * 1024) /* of one receive */

/* One exchange at a time on each connection. */
struct peer {
    size_t unsent; /* bytes of the request still to go */
    size_t unread; /* bytes of content still to come, once the head is complete */
    size_t head;   /* bytes of the head so far */
    int socket;
    bool answered;  /* the whole response is here */
    bool for_write; /* epoll waits for room to send, too */
    char text[1024];
};

static struct peer peers[CONNECTIONS];
static char request[HEAD_SIZE + SIZE];
static size_t request_length;
static size_t wanted; /* the least content of a response */
static unsigned long long completed;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bulk: %s (%s)\n", what, errno ? strerror(errno) : "no system error");
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void begin(struct peer *peer)
{
    peer->unsent = request_length;
    peer->unread = peer->head = 0;
    peer->answered = false;
}

static void send_some(struct peer *peer)
{
    while (peer->unsent > 0) {
        ssize_t sent = send(peer->socket, request + request_length - peer->unsent, peer->unsent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            fail("the server does not take the request");
        peer->unsent -= (size_t)sent;
    }
}

/* The head by copy, until it is complete. False when there is nothing to receive now. */
static bool receive_head(struct peer *peer)
{
    ssize_t length = recv(peer->socket, peer->text + peer->head, sizeof peer->text - 1 - peer->head,
                          MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return false;
    if (length <= 0)
        fail("the server closed the connection, or its head is over 1 KiB");
    peer->head += (size_t)length;
    peer->text[peer->head] = '\0';

    const char *end = strstr(peer->text, "\r\n\r\n");
    if (end == NULL)
        return true;
    const char *field = strcasestr(peer->text, "\r\nContent-Length:");
    if (strncmp(peer->text, "HTTP/1.1 200 ", 13) != 0 || field == NULL || field > end)
        fail("the response is not 200 with a Content-Length");
    size_t content = strtoul(field + 17, NULL, 10);
    size_t have = peer->head - (size_t)(end + 4 - peer->text);
    if (have > content || content < wanted)
        fail("the response is not the one that was asked for");
    peer->unread = content - have;
    peer->answered = peer->unread == 0;
    peer->head = sizeof peer->text;
    return true;
}

static bool receive_content(struct peer *peer)
{
    size_t most = peer->unread < PIECE ? peer->unread : PIECE;
    /* tcp(7): with MSG_TRUNC the bytes are dropped and no buffer is needed. */
    // cppcheck-suppress nullPointer ; as above
    ssize_t length = recv(peer->socket, NULL, most, MSG_TRUNC | MSG_DONTWAIT);

    if (length < 0 && errno == EAGAIN)
        return false;
    if (length <= 0)
        fail("the server closed the connection");
    peer->unread -= (size_t)length;
    peer->answered = peer->unread == 0;
    return true;
}

static void move(int poll, struct peer *peer)
{
    bool more = true;

    send_some(peer);
    while (more && !peer->answered)
        more = peer->head < sizeof peer->text ? receive_head(peer) : receive_content(peer);
    if (peer->answered && peer->unsent == 0) {
        completed++;
        begin(peer);
        send_some(peer);
    }
    if (peer->for_write != (peer->unsent > 0)) {
        peer->for_write = !peer->for_write;
        struct epoll_event event = {.events = EPOLLIN | (peer->for_write ? EPOLLOUT : 0u),
                                    .data.ptr = peer};
        if (epoll_ctl(poll, EPOLL_CTL_MOD, peer->socket, &event) < 0)
            fail("epoll_ctl");
    }
}

static void open_peer(int poll, struct peer *peer, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};

    peer->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->socket < 0 ||
        connect(peer->socket, (struct sockaddr *)&address, sizeof address) < 0 ||
        epoll_ctl(poll, EPOLL_CTL_ADD, peer->socket, &event) < 0)
        fail("cannot connect");
    begin(peer);
}

static void make_request(bool post, const char *target)
{
    request_length =
        (size_t)snprintf(request, HEAD_SIZE, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                         post ? "POST" : "GET", target, post ? "Content-Length: 1048576\r\n" : "");
    if (request_length >= HEAD_SIZE)
        fail("the target is too long");
    if (post) {
        memset(request + request_length, 'x', SIZE);
        request_length += SIZE;
    }
    wanted = post ? 0 : SIZE;
}

/* The seconds it took. */
static double run(int poll, uint16_t port, size_t count, double seconds)
{
    struct epoll_event events[CONNECTIONS];
    double start = now(), end = start + seconds, time;

    for (size_t i = 0; i < count; i++)
        open_peer(poll, &peers[i], port);
    for (size_t i = 0; i < count; i++)
        move(poll, &peers[i]);
    while ((time = now()) < end) {
        int ready = epoll_wait(poll, events, CONNECTIONS, 1000);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        if (ready == 0)
            fail("the server has stalled for a second");
        for (int i = 0; i < ready; i++)
            move(poll, events[i].data.ptr);
    }
    return time - start;
}

int main(int argc, char **argv)
{
    if (argc != 6 || (strcmp(argv[1], "post") != 0 && strcmp(argv[1], "get") != 0)) {
        fprintf(stderr, "usage: bulk get|post PORT TARGET CONNECTIONS SECONDS\n");
        return 2;
    }
    long port = strtol(argv[2], NULL, 10), count = strtol(argv[4], NULL, 10);
    double seconds = strtod(argv[5], NULL);
    if (port < 1 || port > 65535 || count < 1 || count > CONNECTIONS || !(seconds > 0)) {
        fprintf(stderr, "bulk: PORT is 1 to 65535, CONNECTIONS 1 to %d, SECONDS above 0\n",
                CONNECTIONS);
        return 2;
    }
    make_request(strcmp(argv[1], "post") == 0, argv[3]);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll < 0)
        fail("epoll_create1");
    seconds = run(poll, (uint16_t)port, (size_t)count, seconds);
    printf("exchanges %llu seconds %.6f\n", completed, seconds);
    return 0;
}
