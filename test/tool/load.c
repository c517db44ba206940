/* A load driver on epoll that checks every byte it gets back. It ends with 1 and a line on standard
 * error at the first difference, and otherwise prints one line of JSON.
 *
 *   load --address 127.0.0.1:PORT|unix:PATH --mode MODE [--kind KIND] [--connections N]
 *        [--requests N] [--warmup N] [--size BYTES] [--depth N] [--seed N]
 *
 * Modes: keep (one request at a time on each connection), new (a connection for each request),
 * pipeline (`depth` requests at once), abort (leaves at a random byte sent or received), swing
 * (between 0 and all connections in flight). Kinds: hello, later, thread, stream, count (an
 * upload), echo (chunked both ways), mixed. After the warm-up and at the end it asks for
 * /allocations. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tool/load/load.h"

#define CLIENTS_MAX       1024
#define SEND_MAX          4096   /* bytes a send: uploads arrive in pieces */
#define WAIT_MILLISECONDS 600000 /* it ends what hangs, not what is slow */

enum mode { KEEP, NEW, PIPELINE, ABORT, SWING };

static const char *const mode_names[] = {"keep", "new", "pipeline", "abort", "swing", NULL};
static const char *const kind_names[] = {"hello", "later", "thread", "stream", "count",
                                         "echo",  "file",  "mixed",  NULL};

static struct {
    enum mode mode;
    int kind; /* KINDS: mixed */
    uint64_t connections, requests, warmup, size, depth, seed;
    struct sockaddr_storage address;
    socklen_t address_length;
    int epoll;
    uint64_t begun;  /* requests begun, warm-up included */
    uint64_t random; /* state of the generator */
    uint64_t opened, in_flight, lost;
} load = {.connections = 32, .requests = 1000, .size = 8192, .depth = 16, .seed = 1};

static struct client clients[CLIENTS_MAX];

static _Noreturn void fail(const char *what, const char *detail)
{
    (void)fprintf(stderr, "load: %s%s%s (mode %s, kind %s, seed %llu, after %llu requests)\n", what,
                  detail ? ": " : "", detail ? detail : "", mode_names[load.mode],
                  kind_names[load.kind], (unsigned long long)load.seed,
                  (unsigned long long)load.begun);
    exit(1);
}

/* splitmix64: a number below `limit`. */
static uint64_t random_below(uint64_t limit)
{
    uint64_t z = (load.random += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (z ^ (z >> 31)) % limit;
}

/* ------------------------------------------------------------------ requests */

static void put_content(struct client *client, uint64_t offset, uint64_t length)
{
    for (uint64_t i = 0; i < length; i++)
        client->out[client->out_length++] = (char)('a' + (offset + i) % 26);
}

__attribute__((format(printf, 2, 3))) static void put_text(struct client *client,
                                                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    client->out_length += (uint32_t)vsnprintf(client->out + client->out_length,
                                              OUT_MAX - client->out_length, format, arguments);
    va_end(arguments);
}

#define HOST " HTTP/1.1\r\nHost: test\r\n"

static void put_upload(struct client *client, struct expected *expected)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < load.size; i++)
        sum += 'a' + i % 26;
    expected->length = (uint64_t)snprintf(expected->text, sizeof(expected->text), "%llu %llu\n",
                                          (unsigned long long)load.size, (unsigned long long)sum);
    put_text(client, "POST /count" HOST "Content-Length: %llu\r\n\r\n",
             (unsigned long long)load.size);
    put_content(client, 0, load.size);
}

static void put_echo(struct client *client, struct expected *expected)
{
    expected->length = load.size;
    put_text(client, "POST /echo" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (uint64_t offset = 0; offset < load.size;) {
        uint64_t length = 1 + random_below(2000);
        if (length > load.size - offset)
            length = load.size - offset;
        put_text(client, "%llx\r\n", (unsigned long long)length);
        put_content(client, offset, length);
        put_text(client, "\r\n");
        offset += length;
    }
    put_text(client, "0\r\n\r\n");
}

/* Append one request and what is expected of its answer. */
static void put_request(struct client *client)
{
    struct expected *expected = &client->expected[(client->first + client->waiting) % DEPTH_MAX];
    int kind = load.kind == KINDS ? (int)random_below(KINDS) : load.kind;
    *expected = (struct expected){.kind = (enum kind)kind, .length = 6};
    client->waiting++;
    load.begun++;
    load.in_flight++;
    if (kind == HELLO) {
        memcpy(expected->text, "hello\n", 6);
        put_text(client, "GET /hello" HOST "\r\n");
    } else if (kind == LATER) {
        memcpy(expected->text, "later\n", 6);
        put_text(client, "GET /later?ms=1" HOST "\r\n");
    } else if (kind == THREAD) {
        memcpy(expected->text, "thread\n", 7);
        expected->length = 7;
        put_text(client, "GET /thread" HOST "\r\n");
    } else if (kind == STREAM) {
        expected->length = load.size;
        put_text(client, "GET /stream?size=%llu" HOST "\r\n", (unsigned long long)load.size);
    } else if (kind == IN_FILE) {
        expected->length = load.size;
        put_text(client, "GET /file?size=%llu" HOST "\r\n", (unsigned long long)load.size);
    } else if (kind == COUNT) {
        put_upload(client, expected);
    } else {
        put_echo(client, expected);
    }
}

/* ------------------------------------------------------------------ connections */

static void interest(struct client *client, int operation, bool writing)
{
    client->writing = writing;
    struct epoll_event event = {.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN};
    event.data.ptr = client;
    if (epoll_ctl(load.epoll, operation, client->fd, &event) < 0)
        fail("epoll_ctl", strerror(errno));
}

/* Aborting clients come from many loopback addresses, so that those that close in order do not use
 * up the ports of one. */
static void choose_source(int fd)
{
    const struct sockaddr_in *to = (const struct sockaddr_in *)(const void *)&load.address;
    if (load.mode != ABORT || to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
        return;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000102U + (uint32_t)(load.opened % 250));
    int on = 1;
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
        fail("bind", strerror(errno));
}

static void client_open(struct client *client)
{
    client->fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        fail("socket", strerror(errno));
    load.opened++;
    choose_source(client->fd);
    int on = 1;
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(client->fd, (const struct sockaddr *)&load.address, load.address_length) < 0 &&
        errno != EINPROGRESS)
        fail("connect", strerror(errno));
    client->sent = client->received = 0;
    client->cut_sent = client->cut_received = UINT64_MAX;
    client->first = client->waiting = 0;
    client->out_length = client->out_sent = 0;
    check_reset(&client->checker);
    interest(client, EPOLL_CTL_ADD, true);
}

/* Close; by a reset unless told otherwise, so that no port stays in TIME-WAIT. */
static void client_close(struct client *client)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (client->by_reset)
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(client->fd);
    client->fd = -1;
    load.in_flight -= client->waiting;
}

/* Whether the client has reached the byte at which it leaves. */
static bool client_cut(struct client *client)
{
    if (client->sent < client->cut_sent && client->received < client->cut_received)
        return false;
    load.lost += client->waiting;
    client_close(client);
    return true;
}

static void client_plan_cut(struct client *client)
{
    client->by_reset = random_below(4) != 0;
    if (random_below(2) != 0)
        client->cut_sent = random_below(client->out_length + 1U);
    else
        client->cut_received = random_below(200 + client->expected[client->first].length);
}

/* Send what there is, in pieces. */
static void client_send(struct client *client)
{
    uint64_t length = client->out_length - client->out_sent;
    if (length > SEND_MAX)
        length = SEND_MAX;
    if (length > client->cut_sent - client->sent)
        length = client->cut_sent - client->sent;
    if (length > 0) {
        ssize_t sent =
            send(client->fd, client->out + client->out_sent, (size_t)length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != ENOTCONN)
            fail("send", strerror(errno));
        if (sent > 0) {
            client->out_sent += (uint32_t)sent;
            client->sent += (uint64_t)sent;
        }
    }
    bool more = client->out_sent < client->out_length;
    if (more != client->writing)
        interest(client, EPOLL_CTL_MOD, more);
}

/* Give a client that has nothing to do its next requests. */
static void client_next(struct client *client)
{
    if (client->fd >= 0 && load.mode == NEW)
        client_close(client);
    if (client->fd < 0)
        client_open(client);
    client->out_length = client->out_sent = 0;
    client->by_reset = true;
    for (uint64_t i = 0; i < (load.mode == PIPELINE ? load.depth : 1); i++)
        put_request(client);
    if (load.mode == ABORT)
        client_plan_cut(client);
    client_send(client);
    if (load.mode == ABORT)
        (void)client_cut(client);
}

static void client_receive(struct client *client)
{
    static char buffer[64 * 1024];
    uint64_t room = client->cut_received - client->received;
    if (room > sizeof(buffer))
        room = sizeof(buffer);
    ssize_t got = recv(client->fd, buffer, (size_t)room, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got < 0)
        fail("recv", strerror(errno));
    if (got == 0)
        fail("the server has closed", NULL);
    client->received += (uint64_t)got;
    uint32_t before = client->waiting;
    const char *wrong = check_bytes(client, buffer, (size_t)got);
    load.in_flight -= before - client->waiting;
    if (wrong != NULL)
        fail(wrong, client->checker.head);
}

/* Serve one event; true when the client has nothing left to do. */
static bool client_event(struct client *client, uint32_t events)
{
    if (client->fd < 0)
        return true;
    if (events & EPOLLOUT)
        client_send(client);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        client_receive(client);
    if (load.mode == ABORT && client_cut(client))
        return true;
    if (client->waiting > 0)
        return false;
    if (load.mode == ABORT) /* it was complete before the byte came */
        client_close(client);
    return true;
}

/* ------------------------------------------------------------------ runs */

/* In a swing every second wave has all connections in flight, the others some. */
static void swing(void)
{
    if (load.in_flight > 0)
        return;
    static bool whole;
    whole = !whole;
    uint64_t wave = whole ? load.connections : random_below(load.connections);
    for (uint64_t i = 0; i < wave; i++)
        client_next(&clients[i]);
}

static void start(uint64_t until)
{
    if (load.mode == SWING) {
        swing();
        return;
    }
    for (uint64_t i = 0; i < load.connections && load.begun < until; i++)
        if (clients[i].waiting == 0 || clients[i].fd < 0)
            client_next(&clients[i]);
}

/* Go on until `until` requests were begun; with `drain`, until all are answered. */
static void run(uint64_t until, bool drain)
{
    struct epoll_event events[256];
    start(until);
    while (load.begun < until || (drain && load.in_flight > 0)) {
        /* A client that left at once has no event: it goes on here. */
        if (load.in_flight == 0)
            start(until);
        if (load.in_flight == 0)
            continue;
        int count = epoll_wait(load.epoll, events, 256, WAIT_MILLISECONDS);
        if (count <= 0)
            fail(count == 0 ? "no answer" : "epoll_wait", NULL);
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client_event(client, events[i].events))
                continue;
            if (load.mode == SWING)
                swing();
            else if (load.begun < until)
                client_next(client);
        }
        if (load.mode == ABORT)
            start(until);
    }
}

/* Ask for /allocations on a connection of its own. */
static long long allocations(void)
{
    static int fd = -1;
    static const char request[] = "GET /allocations" HOST "\r\n";
    char answer[HEAD_MAX] = "";
    size_t length = 0;
    if (fd < 0) {
        fd = socket(load.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (const struct sockaddr *)&load.address, load.address_length) < 0)
            fail("connect", strerror(errno));
    }
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
        fail("send", strerror(errno));
    const char *content = NULL;
    while (content == NULL || answer[length - 1] != '\n' || content[4] == '\0') {
        ssize_t got = recv(fd, answer + length, sizeof(answer) - 1 - length, 0);
        if (got <= 0)
            fail("no answer to /allocations", NULL);
        length += (size_t)got;
        answer[length] = '\0';
        content = strstr(answer, "\r\n\r\n");
    }
    return strtoll(content + 4, NULL, 10);
}

static int index_of(const char *const *names, const char *name)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail("no such mode or kind", name);
}

static void set_address(const char *text)
{
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *to = (struct sockaddr_un *)(void *)&load.address;
        to->sun_family = AF_UNIX;
        (void)snprintf(to->sun_path, sizeof(to->sun_path), "%s", text + 5);
        load.address_length = sizeof(*to);
        return;
    }
    struct sockaddr_in *to = (struct sockaddr_in *)(void *)&load.address;
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        fail("not an address", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, host, &to->sin_addr) != 1)
        fail("not an address", text);
    load.address_length = sizeof(*to);
}

static void read_arguments(int count, char **arguments)
{
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {
        {"--connections", &load.connections},
        {"--requests", &load.requests},
        {"--warmup", &load.warmup},
        {"--size", &load.size},
        {"--depth", &load.depth},
        {"--seed", &load.seed},
    };
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i];
        const char *value = arguments[i + 1];
        bool known = true;
        if (strcmp(name, "--address") == 0)
            set_address(value);
        else if (strcmp(name, "--mode") == 0)
            load.mode = (enum mode)index_of(mode_names, value);
        else if (strcmp(name, "--kind") == 0)
            load.kind = index_of(kind_names, value);
        else
            known = false;
        for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
            if (strcmp(name, numbers[k].name) == 0) {
                *numbers[k].number = strtoull(value, NULL, 10);
                known = true;
            }
        }
        if (!known)
            fail("no such option", name);
    }
    if (load.address_length == 0 || load.connections == 0 || load.connections > CLIENTS_MAX ||
        load.depth > DEPTH_MAX || load.size > OUT_MAX - 4096)
        fail("an option is missing or out of range", NULL);
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    load.random = load.seed;
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0)
        fail("epoll_create1", strerror(errno));
    for (uint64_t i = 0; i < CLIENTS_MAX; i++)
        clients[i].fd = -1;
    (void)allocations();
    run(load.warmup, false);
    long long before = allocations();
    uint64_t from = load.begun;
    run(from + load.requests, true);
    long long after = allocations();
    uint64_t done = 0;
    for (uint64_t i = 0; i < load.connections; i++)
        done += clients[i].checker.done;
    (void)printf("{\"mode\": \"%s\", \"kind\": \"%s\", \"seed\": %llu, \"requests\": %llu, "
                 "\"measured\": %llu, \"answered\": %llu, \"left\": %llu, \"connections\": %llu, "
                 "\"allocations\": %lld}\n",
                 mode_names[load.mode], kind_names[load.kind], (unsigned long long)load.seed,
                 (unsigned long long)load.begun, (unsigned long long)(load.begun - from),
                 (unsigned long long)done, (unsigned long long)load.lost,
                 (unsigned long long)load.opened, before < 0 ? -1 : after - before);
    return done + load.lost == load.begun ? 0 : 1;
}
