/* ws_load: a client that loads a server of WebSockets, and checks each byte that comes back.
 *
 *     ws_load PORT TARGET CONNECTIONS DEPTH BYTES SECONDS [shared|own]
 *     ws_load PORT TARGET CONNECTIONS
 *
 * It opens the connections, prints "open", waits for a line, then loads the server for SECONDS and
 * prints how many messages came back, and how long it took. To /echo each connection sends DEPTH
 * messages of BYTES in one call, and again when all are back; to /room the first one does, and all
 * are to get them. With `shared` messages are compressed each by itself, with `own` after what came
 * before (RFC 7692), as far as the server agrees. Without DEPTH nothing is sent: the sockets are
 * idle until the line comes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define TEXTS      16 /* messages that differ, in turn */
#define MOST_DEPTH 64
#define MOST_BYTES (1024 * 1024)
#define DEFLATED   4096 /* longest message where they are compressed */
#define HEAD_BYTES 14
#define EVENTS     256
#define WINDOW     15

enum compression { PLAIN, SHARED, OWN };

/* What has come of a frame. */
struct reading {
    uint8_t head[10];
    uint8_t head_have;
    bool in_payload, deflated;
    uint64_t left, have; /* of the payload */
};

struct peer {
    int socket;
    bool for_write; /* epoll waits for room to send, too */
    unsigned waits; /* messages that are still to come */
    unsigned text;  /* the next one to come */
    const uint8_t *out;
    size_t unsent;
    struct reading reading;
    z_stream deflater, inflater;
    bool remembers_out, remembers_in; /* context takeover, each way */
    uint8_t *sending, *inflated;
};

static unsigned connections, depth;
static size_t bytes;
static enum compression compression;
static bool is_room;
static struct peer *peers;
static uint8_t *texts[TEXTS];
static uint8_t *batches[TEXTS]; /* `depth` frames, beginning with the text of that number */
static size_t batch_lengths[TEXTS];
static uint8_t received[2 * MOST_BYTES];
static unsigned long long completed;
static unsigned long long room_waits; /* messages that members of the room are still to get */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "ws_load: %s (%s)\n", what, errno ? strerror(errno) : "no system error");
    exit(1);
}

static void *take(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        fail("no memory");
    return memory;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---------------------------------------------------------------- frames */

/* Texts like what programs send one another: names that repeat, and numbers that do not. */
static void make_texts(void)
{
    uint32_t random = 1;
    for (unsigned i = 0; i < TEXTS; i++) {
        size_t have = 0;
        texts[i] = take(bytes + 128);
        while (have < bytes) {
            random = random * 1664525u + 1013904223u;
            have += (size_t)snprintf(
                (char *)texts[i] + have, 128,
                "{\"id\":%u,\"user\":\"user%u\",\"price\":%u.%02u,\"side\":\"%s\"},", random >> 4,
                random >> 20 & 255, random >> 12 & 1023, random >> 8 & 63,
                random >> 30 & 1 ? "buy" : "sell");
        }
    }
}

/* A frame of text with a mask (RFC 6455, 5.2); how long it is. */
static size_t write_frame(uint8_t *to, bool deflated, const uint8_t *payload, size_t length)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t size = 2, extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
    to[0] = deflated ? 0xc1 : 0x81;
    to[1] = (uint8_t)(0x80 | (extra == 0 ? length : extra == 2 ? 126 : 127));
    for (size_t i = 0; i < extra; i++)
        to[size++] = (uint8_t)(length >> 8 * (extra - 1 - i));
    memcpy(to + size, mask, 4);
    size += 4;
    for (size_t i = 0; i < length; i++)
        to[size + i] = payload[i] ^ mask[i % 4];
    return size + length;
}

/* A compressed message without its last four bytes (RFC 7692, 7.2.1); its length. */
static size_t deflate_text(z_stream *stream, bool remembers, const uint8_t *text, uint8_t *to)
{
    stream->next_in = (uint8_t *)(uintptr_t)text;
    stream->avail_in = (uInt)bytes;
    stream->next_out = to;
    stream->avail_out = DEFLATED;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in > 0 || stream->avail_out == 0)
        fail("a message cannot be compressed");
    size_t length = DEFLATED - stream->avail_out - 4;
    if (!remembers)
        deflateReset(stream);
    return length;
}

static size_t write_batch(z_stream *stream, bool remembers, uint8_t *to, unsigned first)
{
    uint8_t deflated[DEFLATED];
    size_t size = 0;
    for (unsigned i = 0; i < depth; i++) {
        const uint8_t *text = texts[(first + i) % TEXTS];
        if (compression == PLAIN)
            size += write_frame(to + size, false, text, bytes);
        else
            size += write_frame(to + size, true, deflated,
                                deflate_text(stream, remembers, text, deflated));
    }
    return size;
}

static void begin_deflater(z_stream *stream, int bits)
{
    *stream = (z_stream){0};
    if (deflateInit2(stream, 1, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        fail("no memory");
}

static size_t batch_room(void)
{
    return depth * (HEAD_BYTES + (compression == PLAIN ? bytes : (size_t)DEFLATED));
}

/* Those that are the same for all. */
static void make_batches(void)
{
    z_stream stream;
    if (compression != PLAIN)
        begin_deflater(&stream, 12); /* a text is shorter, so every window will do */
    for (unsigned i = 0; i < TEXTS; i++) {
        batches[i] = take(batch_room());
        batch_lengths[i] = write_batch(&stream, false, batches[i], i);
    }
    if (compression != PLAIN)
        deflateEnd(&stream);
}

/* ---------------------------------------------------------------- sending */

static void send_some(struct peer *peer)
{
    while (peer->unsent > 0) {
        ssize_t sent = send(peer->socket, peer->out, peer->unsent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            fail("the server does not take messages");
        peer->out += sent;
        peer->unsent -= (size_t)sent;
    }
}

static void begin(struct peer *peer)
{
    unsigned first = peer->text;
    peer->out = batches[first];
    peer->unsent = batch_lengths[first];
    if (peer->remembers_out) {
        peer->out = peer->sending;
        peer->unsent = write_batch(&peer->deflater, true, peer->sending, first);
    }
    if (!is_room)
        peer->waits = depth;
    for (unsigned i = 0; is_room && i < connections; i++)
        peers[i].waits = depth;
    room_waits = (unsigned long long)depth * connections;
    send_some(peer);
}

/* ---------------------------------------------------------------- receiving */

static void message_came(struct peer *peer)
{
    if (peer->waits == 0)
        fail("a message came that nobody has sent");
    peer->waits--;
    peer->text = (peer->text + 1) % TEXTS;
    completed++;
    room_waits--;
}

static void inflate_piece(struct peer *peer, const uint8_t *data, size_t length)
{
    z_stream *stream = &peer->inflater;
    stream->next_in = (uint8_t *)(uintptr_t)data;
    stream->avail_in = (uInt)length;
    int result = length == 0 ? Z_OK : inflate(stream, Z_SYNC_FLUSH);
    if ((result != Z_OK && result != Z_BUF_ERROR) || stream->avail_in > 0)
        fail("what came cannot be inflated");
}

static void compare_inflated(struct peer *peer)
{
    static const uint8_t tail[4] = {0, 0, 0xff, 0xff};
    inflate_piece(peer, tail, sizeof tail);
    if (DEFLATED - peer->inflater.avail_out != bytes ||
        memcmp(peer->inflated, texts[peer->text], bytes) != 0)
        fail("another message came than was sent");
    if (!peer->remembers_in)
        inflateReset(&peer->inflater);
    peer->inflater.next_out = peer->inflated;
    peer->inflater.avail_out = DEFLATED;
}

/* A piece of a payload. */
static void take_payload(struct peer *peer, const uint8_t *data, size_t length)
{
    struct reading *reading = &peer->reading;
    if (reading->deflated)
        inflate_piece(peer, data, length);
    else if (memcmp(texts[peer->text] + reading->have, data, length) != 0)
        fail("another message came than was sent");
    reading->have += length;
    reading->left -= length;
    if (reading->left > 0)
        return;
    if (reading->deflated)
        compare_inflated(peer);
    message_came(peer);
    reading->in_payload = false;
    reading->head_have = 0;
}

/* The head is whole, as far as its second byte says; else false. */
static bool read_head(struct peer *peer)
{
    struct reading *reading = &peer->reading;
    const uint8_t *head = reading->head;
    if (reading->head_have < 2)
        return false;
    size_t extra = head[1] < 126 ? 0 : head[1] == 126 ? 2 : 8;
    if (reading->head_have < 2 + extra)
        return false;
    reading->deflated = (head[0] & 0x40) != 0;
    if ((head[0] & 0xbf) != 0x81 || head[1] > 127 || reading->deflated != (compression != PLAIN))
        fail("a frame came that is no text, in pieces, or not compressed as it should be");
    reading->left = extra == 0 ? head[1] : 0;
    for (size_t i = 0; i < extra; i++)
        reading->left = reading->left << 8 | head[2 + i];
    if (reading->deflated ? reading->left == 0 : reading->left != bytes)
        fail("a message came with another length than was sent");
    reading->have = 0;
    reading->in_payload = true;
    return true;
}

static void take_bytes(struct peer *peer, const uint8_t *data, size_t length)
{
    struct reading *reading = &peer->reading;
    size_t at = 0;
    while (at < length) {
        if (!reading->in_payload) {
            reading->head[reading->head_have++] = data[at++];
            if (!read_head(peer))
                continue;
        }
        size_t here = length - at < reading->left ? length - at : (size_t)reading->left;
        take_payload(peer, data + at, here);
        at += here;
    }
}

static void move(int poll, struct peer *peer)
{
    ssize_t length = recv(peer->socket, received, sizeof received, 0);
    if (length == 0 || (length < 0 && errno != EAGAIN))
        fail("the server closed the connection");
    if (length > 0)
        take_bytes(peer, received, (size_t)length);
    send_some(peer);
    if (is_room && room_waits == 0)
        begin(&peers[0]);
    else if (!is_room && peer->waits == 0 && peer->unsent == 0)
        begin(peer);
    if (peer->for_write != (peer->unsent > 0)) {
        peer->for_write = !peer->for_write;
        struct epoll_event event = {.events = EPOLLIN | (peer->for_write ? EPOLLOUT : 0u),
                                    .data.ptr = peer};
        if (epoll_ctl(poll, EPOLL_CTL_MOD, peer->socket, &event) < 0)
            fail("epoll_ctl");
    }
}

/* ---------------------------------------------------------------- opening */

/* What the server has agreed to. */
static void begin_compression(struct peer *peer, const char *answer)
{
    const char *bits = strcasestr(answer, "client_max_window_bits=");
    if (compression == PLAIN)
        return;
    if (strcasestr(answer, "permessage-deflate") == NULL)
        fail("it does not compress");
    peer->remembers_in = strcasestr(answer, "server_no_context_takeover") == NULL;
    peer->remembers_out =
        compression == OWN && strcasestr(answer, "client_no_context_takeover") == NULL;
    peer->inflated = take(DEFLATED);
    if (inflateInit2(&peer->inflater, -WINDOW) != Z_OK)
        fail("no memory");
    peer->inflater.next_out = peer->inflated;
    peer->inflater.avail_out = DEFLATED;
    if (!peer->remembers_out)
        return;
    begin_deflater(&peer->deflater, bits == NULL ? WINDOW : atoi(bits + 23));
    peer->sending = take(batch_room());
}

static void handshake(struct peer *peer, unsigned port, const char *target)
{
    static const char *const offers[] = {
        "",
        ("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
         "client_no_context_takeover\r\n"),
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    };
    char text[2048];
    size_t have = 0;
    int size = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                        target, port, offers[compression]);
    if (send(peer->socket, text, (size_t)size, MSG_NOSIGNAL) != size)
        fail("the server does not take the request");
    while (have < 4 || memcmp(text + have - 4, "\r\n\r\n", 4) != 0) {
        ssize_t length = recv(peer->socket, text + have, sizeof text - 1 - have, 0);
        if (length <= 0)
            fail("the server does not answer the request");
        have += (size_t)length;
    }
    text[have] = '\0';
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0)
        fail("the server does not upgrade");
    begin_compression(peer, text);
}

static void open_peer(int poll, struct peer *peer, uint16_t port, const char *target)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    int one = 1;

    peer->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->socket < 0 ||
        setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        connect(peer->socket, (struct sockaddr *)&address, sizeof address) < 0)
        fail("cannot connect");
    handshake(peer, port, target);
    if (fcntl(peer->socket, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(poll, EPOLL_CTL_ADD, peer->socket, &event) < 0)
        fail("cannot wait for it");
    peer->text = (unsigned)(is_room ? 0 : (peer - peers) % TEXTS);
}

static void open_all(int poll, uint16_t port, const char *target)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    peers = take(connections * sizeof *peers);
    for (unsigned i = 0; i < connections; i++)
        open_peer(poll, &peers[i], port, target);
    printf("open\n");
    fflush(stdout);
    if (getchar() == EOF)
        exit(0);
}

/* The seconds it took. */
static double run(int poll, double seconds)
{
    struct epoll_event events[EVENTS];
    double start = now(), end = start + seconds, time;

    for (unsigned i = 0; i < (is_room ? 1 : connections); i++)
        begin(&peers[i]);
    for (unsigned i = 0; i < connections; i++)
        move(poll, &peers[i]);
    while ((time = now()) < end) {
        int ready = epoll_wait(poll, events, EVENTS, 5000);
        if (ready < 0 && errno != EINTR)
            fail("epoll_wait");
        errno = 0;
        if (ready == 0)
            fail("the server has stalled for five seconds");
        for (int i = 0; i < ready; i++)
            move(poll, events[i].data.ptr);
    }
    return time - start;
}

static unsigned long number(const char *word, unsigned long most)
{
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    if (*end != '\0' || value < 1 || value > most) {
        fprintf(stderr, "ws_load: %s is not 1 to %lu\n", word, most);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 7 && argc != 8) {
        fprintf(stderr,
                "usage: ws_load PORT TARGET CONNECTIONS [DEPTH BYTES SECONDS [shared|own]]\n");
        return 2;
    }
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll < 0)
        fail("epoll_create1");
    uint16_t port = (uint16_t)number(argv[1], 65535);
    connections = (unsigned)number(argv[3], 20000);
    if (argc == 4) {
        open_all(poll, port, argv[2]);
        return 0;
    }
    depth = (unsigned)number(argv[4], MOST_DEPTH);
    if (argc == 8)
        compression = strcmp(argv[7], "own") == 0 ? OWN : SHARED;
    bytes = number(argv[5], compression == PLAIN ? MOST_BYTES : DEFLATED / 2);
    is_room = strcmp(argv[2], "/room") == 0;
    make_texts();
    make_batches();
    open_all(poll, port, argv[2]);
    double seconds = run(poll, (double)number(argv[6], 3600));
    printf("messages %llu seconds %.6f\n", completed, seconds);
    return 0;
}
