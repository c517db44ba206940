/* floor: the least that any server must do, to measure Carom and others against.
 *
 *     floor [PORT]
 *
 * One thread and a level-triggered epoll: receive, count the ends of header sections, and send that
 * many copies of one fixed response, byte for byte as long as what examples/hello sends, in one
 * send. What ends with "close" and an empty line is the last request of its connection. Nothing
 * else of HTTP is here: no parsing, no limits, no time-outs. PORT is 8080 unless given; 0 takes any
 * free one.
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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS      256
#define DESCRIPTORS 65536
#define COPIES      512 /* responses in one send */

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

static char responses[COPIES * RESPONSE_LENGTH];
static char received[64 * 1024];

/* By descriptor: how much of an end of a header section the last receive ended with, 0 to 3. */
static uint8_t matched[DESCRIPTORS];

static const char end_mark[] = "\r\n\r\n";

/* One more byte; true when it completes an end. */
static bool step(uint8_t *match, char byte)
{
    if (byte != end_mark[*match]) {
        *match = byte == '\r';
        return false;
    }
    *match = (uint8_t)((*match + 1) % 4);
    return *match == 0;
}

/* The ends of header sections in data[0..length), counting one that began before. */
static size_t count_ends(uint8_t *match, const char *data, size_t length)
{
    const char *at = data, *end = data + length, *found;
    size_t count = 0;

    while (*match > 0 && at < end)
        count += step(match, *at++);
    while ((found = memmem(at, (size_t)(end - at), end_mark, 4)) != NULL) {
        count++;
        at = found + 4;
    }
    if (end - at > 3)
        at = end - 3;
    while (at < end)
        count += step(match, *at++);
    return count;
}

/* A client that does not take its answers is dropped: what is measured here never does that. */
static bool answer(int peer, size_t count)
{
    while (count > 0) {
        size_t copies = count < COPIES ? count : COPIES;
        size_t length = copies * RESPONSE_LENGTH;
        if (send(peer, responses, length, MSG_NOSIGNAL) != (ssize_t)length)
            return false;
        count -= copies;
    }
    return true;
}

/* False when the connection is over. */
static bool serve(int peer)
{
    ssize_t length = recv(peer, received, sizeof received, 0);

    if (length <= 0)
        return length < 0 && errno == EAGAIN;
    size_t mark = sizeof last_mark - 1;
    if ((size_t)length > mark && memcmp(received + length - mark, last_mark, mark) == 0) {
        send(peer, last_response, sizeof last_response - 1, MSG_NOSIGNAL);
        return false;
    }
    return answer(peer, count_ends(&matched[peer], received, (size_t)length));
}

/* One at a time: a look for another that is not there costs more than a further event. */
static void accept_one(int poll, int listener)
{
    // cppcheck-suppress nullPointer ; accept(2) allows it
    int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = peer};

    if (peer < 0)
        return;
    if (peer >= DESCRIPTORS || epoll_ctl(poll, EPOLL_CTL_ADD, peer, &event) < 0) {
        close(peer);
        return;
    }
    matched[peer] = 0;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        fprintf(stderr, "floor: cannot listen on port %u: %s\n", port, strerror(errno));
        return -1;
    }
    printf("floor: http://127.0.0.1:%u/\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static int run(int poll, int listener)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) {
            perror("floor: epoll_wait");
            return 1;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_one(poll, listener);
            else if (!serve(events[i].data.fd))
                close(events[i].data.fd);
        }
    }
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "8080";
    char *end;
    unsigned long port = strtoul(word, &end, 10);

    if (argc > 2 || end == word || *end != '\0' || port > 65535) {
        fprintf(stderr, "usage: floor [PORT]\n");
        return 2;
    }
    for (size_t i = 0; i < COPIES; i++)
        memcpy(responses + i * RESPONSE_LENGTH, response, RESPONSE_LENGTH);

    int listener = listen_on((uint16_t)port);
    if (listener < 0)
        return 1;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0) {
        perror("floor: epoll");
        return 1;
    }
    return run(poll, listener);
}
