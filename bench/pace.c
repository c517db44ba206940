/* pace: latency at a constant rate. An open loop: who is late is asked all the same.
 *
 *     pace PORT TARGET CONNECTIONS RATE SECONDS
 *
 * RATE requests per second are due at fixed times, on the connections in turn; a connection that
 * still waits gets its next request behind the one before. A time runs from when the request was
 * due, not from when it was sent, to its whole response: what a stall delays is counted for every
 * request that it delays (no coordinated omission). The first tenth of the seconds is not counted.
 * Prints one line of JSON: how many responses came, how many requests had none at the end, the
 * times in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4096
#define WAITING     1024    /* requests on one connection without a response */
#define TIMES       1000000 /* by microsecond; the last: that or more */

struct peer {
    int socket;
    uint32_t head, tail; /* of `due`: answered so far, asked so far */
    size_t have;         /* bytes of the response that has begun */
    uint64_t due[WAITING];
    char text[4096];
};

static struct peer *peers;
static uint64_t times[TIMES + 1], answered, counted, counted_from;
static char request[512];
static size_t request_length;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "pace: %s (%s)\n", what, errno ? strerror(errno) : "no system error");
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void ask(struct peer *peer, uint64_t due)
{
    if (peer->tail - peer->head == WAITING)
        fail("the server is too far behind");
    peer->due[peer->tail++ % WAITING] = due;
    if (send(peer->socket, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
        fail("the server does not take the request");
}

static void count(struct peer *peer, uint64_t time)
{
    uint64_t due = peer->due[peer->head++ % WAITING];
    uint64_t took = (time - due) / 1000;

    answered++;
    if (due < counted_from)
        return;
    counted++;
    times[took < TIMES ? took : TIMES]++;
}

/* One response at the front of what has come; false when it is not whole yet. */
static int take_one(struct peer *peer)
{
    peer->text[peer->have] = '\0';
    const char *end = strstr(peer->text, "\r\n\r\n");
    if (end == NULL)
        return 0;
    const char *field = strcasestr(peer->text, "\r\nContent-Length:");
    if (strncmp(peer->text, "HTTP/1.1 200 ", 13) != 0 || field == NULL || field > end)
        fail("the response is not 200 with a Content-Length");
    size_t whole = (size_t)(end + 4 - peer->text) + strtoul(field + 17, NULL, 10);
    if (whole >= sizeof peer->text)
        fail("the response is over 4 KiB");
    if (peer->have < whole)
        return 0;
    peer->have -= whole;
    memmove(peer->text, peer->text + whole, peer->have);
    return 1;
}

static void receive(struct peer *peer)
{
    ssize_t length = recv(peer->socket, peer->text + peer->have, sizeof peer->text - 1 - peer->have,
                          MSG_DONTWAIT);

    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0)
        fail("the server closed the connection");
    peer->have += (size_t)length;
    uint64_t time = now();
    while (peer->head != peer->tail && take_one(peer))
        count(peer, time);
}

static void open_peer(int poll, struct peer *peer, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    int one = 1;

    peer->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->socket < 0 ||
        connect(peer->socket, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        epoll_ctl(poll, EPOLL_CTL_ADD, peer->socket, &event) < 0)
        fail("cannot connect");
}

/* Ask when it is due, take what comes, until `due` has passed the end. Polls without sleeping: the
 * core is the generator's own, and a sleep would wake late. Returns the requests. */
static uint64_t run(int poll, size_t connections, double rate, double seconds)
{
    struct epoll_event events[256];
    uint64_t start = now(), asked = 0, end = start + (uint64_t)(seconds * 1e9);
    uint64_t grace = end + 1000000000u, due = start;

    counted_from = start + (uint64_t)(seconds * 1e8);
    for (uint64_t time = start; time < grace; time = now()) {
        while (due <= time && due < end) {
            ask(&peers[asked % connections], due);
            due = start + (uint64_t)((double)++asked * 1e9 / rate);
        }
        int ready = epoll_wait(poll, events, 256, 0);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
        if (due >= end && answered == asked)
            break;
    }
    return asked;
}

/* The least time in microseconds that `share` of the answers did not exceed. */
static size_t percentile(double share)
{
    uint64_t before = 0, wanted = (uint64_t)(share * (double)counted);
    size_t time = 0;

    while (time < TIMES && (before += times[time]) <= wanted)
        time++;
    return time;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: pace PORT TARGET CONNECTIONS RATE SECONDS\n");
        return 2;
    }
    long port = strtol(argv[1], NULL, 10), connections = strtol(argv[3], NULL, 10);
    double rate = strtod(argv[4], NULL), seconds = strtod(argv[5], NULL);
    if (port < 1 || port > 65535 || connections < 1 || connections > CONNECTIONS || !(rate > 0) ||
        !(seconds > 0)) {
        fprintf(stderr, "pace: CONNECTIONS is 1 to %d, RATE and SECONDS are above 0\n",
                CONNECTIONS);
        return 2;
    }
    request_length = (size_t)snprintf(
        request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\n\r\n", argv[2], port);
    peers = calloc((size_t)connections, sizeof *peers);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (request_length >= sizeof request || peers == NULL || poll < 0)
        fail("cannot begin");
    for (long i = 0; i < connections; i++)
        open_peer(poll, &peers[i], (uint16_t)port);
    uint64_t asked = run(poll, (size_t)connections, rate, seconds);
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"errors\": %llu, \"p50\": %zu, \"p90\": %zu, "
           "\"p99\": %zu, \"p999\": %zu}\n",
           (unsigned long long)answered, seconds, (unsigned long long)(asked - answered),
           percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999));
    free(peers);
    return 0;
}
