/* ws_floor: the least that any server of WebSockets must do, to measure Carom and others against.
 *
 *     ws_floor [PORT]
 *
 * One thread and a level-triggered epoll. A request is answered with 101 and not looked at but for
 * its key, its target, and whether it offers compression. Of what comes, whole frames are unmasked
 * where they lie. To /echo all frames of one receive go back by one send; those in /room are put
 * together once, and sent to each member by a call. Compressed messages are inflated, and deflated
 * by zlib at its level 1, each for itself, with one stream for all. Nothing else is here: no
 * checks, no limits, no fragments, no time-outs, and a client that does not take what it is sent is
 * dropped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "wire/ws_handshake.h"

#define EVENTS      256
#define DESCRIPTORS 65536
#define ROOM        (512 * 1024) /* for what comes, and for what goes */
#define INFLATED    (64 * 1024)

struct peer {
    bool is_open, is_member, deflates;
    uint8_t *rest; /* of a frame, that has come */
    size_t length;
};

static struct peer peers[DESCRIPTORS];
static int members[DESCRIPTORS];
static unsigned member_count;
static uint8_t in[ROOM], out[ROOM], inflated[INFLATED];
static z_stream inflater, deflater;

/* ---------------------------------------------------------------- frames */

typedef uint64_t wide __attribute__((vector_size(32), aligned(1), may_alias));

static void unmask(uint8_t *to, const uint8_t *from, size_t length, const uint8_t mask[4])
{
    uint32_t word;
    size_t i = 0;
    memcpy(&word, mask, 4);
    uint64_t twice = word * UINT64_C(0x100000001);
    const wide masks = {twice, twice, twice, twice};
    for (; i + sizeof(wide) <= length; i += sizeof(wide))
        *(wide *)(to + i) = *(const wide *)(from + i) ^ masks;
    for (; i < length; i++)
        to[i] = from[i] ^ mask[i & 3];
}

static size_t write_head(uint8_t *to, uint8_t first, size_t length)
{
    size_t extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
    to[0] = first;
    to[1] = (uint8_t)(extra == 0 ? length : extra == 2 ? 126 : 127);
    for (size_t i = 0; i < extra; i++)
        to[2 + i] = (uint8_t)(length >> 8 * (extra - 1 - i));
    return 2 + extra;
}

/* The message, inflated and deflated again; its length, or 0. */
static size_t compress_again(uint8_t *to, size_t room, uint8_t *data, size_t length)
{
    static uint8_t tail[4] = {0, 0, 0xff, 0xff};
    inflater.next_in = data;
    inflater.avail_in = (uInt)length;
    inflater.next_out = inflated;
    inflater.avail_out = INFLATED;
    int result = inflate(&inflater, Z_SYNC_FLUSH);
    inflater.next_in = tail;
    inflater.avail_in = sizeof tail;
    if (result == Z_OK)
        result = inflate(&inflater, Z_SYNC_FLUSH);
    deflater.next_in = inflated;
    deflater.avail_in = INFLATED - inflater.avail_out;
    deflater.next_out = to;
    deflater.avail_out = (uInt)room;
    inflateReset(&inflater);
    if ((result == Z_OK || result == Z_BUF_ERROR) && deflate(&deflater, Z_SYNC_FLUSH) == Z_OK &&
        deflater.avail_out > 0)
        length = room - deflater.avail_out - 4;
    else
        length = 0;
    deflateReset(&deflater);
    return length;
}

/* Write what answers the frame; how many bytes it is. */
static size_t answer_frame(const struct peer *peer, uint8_t *to, uint8_t *payload, size_t length,
                           const uint8_t mask[4])
{
    uint8_t head[10];
    if (peer->deflates) {
        unmask(payload, payload, length, mask);
        length = compress_again(to + 4, (size_t)(out + ROOM - to) - 4, payload, length);
        size_t size = write_head(head, 0xc1, length);
        memmove(to + size, to + 4, length);
        memcpy(to, head, size);
        return size + length;
    }
    size_t size = write_head(to, 0x81, length);
    unmask(to + size, payload, length, mask);
    return size + length;
}

/* Whole frames in data[0..length); how many bytes they are. */
static size_t answer_frames(const struct peer *peer, uint8_t *data, size_t length, size_t *answer)
{
    size_t at = 0;
    while (length - at >= 6) {
        uint8_t *head = data + at;
        size_t size = head[1] & 127, extra = size < 126 ? 0 : size == 126 ? 2 : 8;
        if (length - at < 6 + extra)
            break;
        if (extra > 0)
            size = 0;
        for (size_t i = 0; i < extra; i++)
            size = size << 8 | head[2 + i];
        if (length - at < 6 + extra + size)
            break;
        *answer += answer_frame(peer, out + *answer, head + 6 + extra, size, head + 2 + extra);
        at += 6 + extra + size;
    }
    return at;
}

/* ---------------------------------------------------------------- connections */

static bool send_all(int to, size_t length)
{
    return length == 0 || send(to, out, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool upgrade(int descriptor, struct peer *peer, char *request)
{
    static const char extensions[] = "Sec-WebSocket-Extensions: permessage-deflate; "
                                     "server_no_context_takeover; client_no_context_takeover\r\n";
    char accept[CAROM_WS_ACCEPT_BYTES + 1] = {0}, answer[512];
    const char *key = strcasestr(request, "Sec-WebSocket-Key: ");
    if (key == NULL || strlen(key) < 19 + CAROM_WS_KEY_BYTES)
        return false;
    carom_ws_accept(accept, key + 19);
    peer->deflates = strcasestr(request, "permessage-deflate") != NULL;
    peer->is_member = strncmp(request, "GET /room ", 10) == 0;
    if (peer->is_member)
        members[member_count++] = descriptor;
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                          accept, peer->deflates ? extensions : "");
    peer->is_open = true;
    return send(descriptor, answer, (size_t)length, MSG_NOSIGNAL) == length;
}

/* What is no whole frame is kept. */
static bool keep(struct peer *peer, const uint8_t *data, size_t length)
{
    if (length > 0 && peer->rest == NULL)
        peer->rest = malloc(ROOM);
    if (length > 0 && peer->rest == NULL)
        return false;
    if (length > 0)
        memcpy(peer->rest, data, length);
    peer->length = length;
    return true;
}

/* False when the connection is over. */
static bool serve(int descriptor)
{
    struct peer *peer = &peers[descriptor];
    size_t answer = 0;
    if (peer->length > 0)
        memcpy(in, peer->rest, peer->length);
    ssize_t length = recv(descriptor, in + peer->length, ROOM - 1 - peer->length, 0);
    if (length <= 0)
        return length < 0 && errno == EAGAIN;
    in[peer->length + (size_t)length] = '\0';
    if (!peer->is_open)
        return upgrade(descriptor, peer, (char *)in);
    size_t here = peer->length + (size_t)length;
    size_t taken = answer_frames(peer, in, here, &answer);
    if (!keep(peer, in + taken, here - taken))
        return false;
    if (!peer->is_member)
        return send_all(descriptor, answer);
    bool sent = true;
    for (unsigned i = 0; i < member_count; i++)
        sent = (send_all(members[i], answer) || members[i] != descriptor) && sent;
    return sent;
}

static void end(int descriptor)
{
    for (unsigned i = 0; i < member_count; i++)
        if (members[i] == descriptor)
            members[i] = members[--member_count];
    free(peers[descriptor].rest);
    peers[descriptor] = (struct peer){0};
    close(descriptor);
}

static void accept_one(int poll, int listener)
{
    // cppcheck-suppress nullPointer ; accept(2) allows it
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (descriptor >= 0 &&
        (descriptor >= DESCRIPTORS || epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) < 0))
        close(descriptor);
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
        fprintf(stderr, "ws_floor: cannot listen on port %u: %s\n", port, strerror(errno));
        return -1;
    }
    printf("ws_floor: http://127.0.0.1:%u/\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static int run(int poll, int listener)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) {
            perror("ws_floor: epoll_wait");
            return 1;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_one(poll, listener);
            else if (!serve(events[i].data.fd))
                end(events[i].data.fd);
        }
    }
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "8080";
    char *rest;
    unsigned long port = strtoul(word, &rest, 10);
    if (argc > 2 || rest == word || *rest != '\0' || port > 65535) {
        fprintf(stderr, "usage: ws_floor [PORT]\n");
        return 2;
    }
    int listener = listen_on((uint16_t)port);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (listener < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0 ||
        inflateInit2(&inflater, -15) != Z_OK ||
        deflateInit2(&deflater, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        fprintf(stderr, "ws_floor: cannot begin\n");
        return 1;
    }
    return run(poll, listener);
}
