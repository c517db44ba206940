/* Sockets on the simulated network: a program that notes what it is told, and a client that writes
 * frames and reads them, over HTTP/1.1. */
#ifndef CAROM_TEST_UNIT_WEBSOCKET_SOCKETS_H
#define CAROM_TEST_UNIT_WEBSOCKET_SOCKETS_H

#include "unit/http/simulation.h"

#include "base/memory.h"
#include "websocket/websocket.h"

#define NOTES_MOST 8192

/* What the program was told, a word for each call, and the sockets that are open. */
static struct {
    char notes[NOTES_MOST];
    carom_websocket *sockets[HELD_MAX];
    int count;
    carom_websocket_options options;
    int (*on_message)(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                      size_t length);
    int accepted;  /* what the last accept returned */
    uint64_t held; /* bytes of memory, before there was a service */
} program;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t used = strlen(program.notes);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(program.notes + used, sizeof program.notes - used, format, arguments);
    va_end(arguments);
    used = strlen(program.notes);
    assert_true(used + 2 < sizeof program.notes);
    memcpy(program.notes + used, " ", 2);
}

/* What was noted since the last call. */
static const char *noted(void)
{
    static char copy[NOTES_MOST];
    memcpy(copy, program.notes, sizeof copy);
    program.notes[0] = '\0';
    size_t used = strlen(copy);
    if (used > 0)
        copy[used - 1] = '\0';
    return copy;
}

static void socket_opened(carom_websocket *socket)
{
    program.sockets[program.count++] = socket;
    note("open");
}

static void socket_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                           size_t length)
{
    if (length <= 40)
        note("%c:%.*s", kind == CAROM_WEBSOCKET_TEXT ? 't' : 'b', (int)length, (const char *)data);
    else
        note("%c#%zu", kind == CAROM_WEBSOCKET_TEXT ? 't' : 'b', length);
    if (program.on_message != NULL)
        program.on_message(socket, kind, data, length);
}

static void socket_piece(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length, bool last)
{
    (void)socket;
    note("%c%s%.*s", kind == CAROM_WEBSOCKET_TEXT ? 't' : 'b', last ? "." : ",", (int)length,
         (const char *)data);
}

static void socket_drained(carom_websocket *socket)
{
    (void)socket;
    note("drain");
}

static void socket_ping(carom_websocket *socket, const void *data, size_t length)
{
    (void)socket;
    note("ping:%.*s", (int)length, (const char *)data);
}

static void socket_pong(carom_websocket *socket, const void *data, size_t length)
{
    (void)socket;
    note("pong:%.*s", (int)length, (const char *)data);
}

static void socket_closed(carom_websocket *socket, uint16_t code, carom_slice reason, bool clean)
{
    for (int i = 0; i < program.count; i++)
        if (program.sockets[i] == socket)
            program.sockets[i] = program.sockets[--program.count];
    note("close:%u%s%.*s", code, clean ? "+" : "-", (int)reason.length,
         reason.length > 0 ? reason.data : "");
}

static const carom_websocket_handlers handlers = {
    .size = sizeof handlers,
    .open = socket_opened,
    .message = socket_message,
    .drain = socket_drained,
    .ping = socket_ping,
    .pong = socket_pong,
    .close = socket_closed,
};

static const carom_websocket_handlers piece_handlers = {
    .size = sizeof piece_handlers,
    .open = socket_opened,
    .piece = socket_piece,
    .close = socket_closed,
};

/* "/hold" is kept, and accepted when the test says so. */
static void accept_handler(carom_record *record, void *data)
{
    (void)data;
    carom_slice target = carom_request_target(record);
    if (target.length == 5 && memcmp(target.data, "/hold", 5) == 0) {
        sim.held[sim.held_count++] = record;
        return;
    }
    carom_websocket *socket;
    program.accepted = carom_websocket_accept(record, &program.options, NULL, 0, NULL, &socket);
    if (program.accepted < 0)
        carom_release(record);
}

static carom_options sockets_options(void)
{
    carom_options options = simulation_options();
    options.handler = accept_handler;
    memset(&program, 0, sizeof program);
    program.options = (carom_websocket_options)CAROM_WEBSOCKET_OPTIONS_INIT;
    program.options.handlers = &handlers;
    program.options.ping_interval = CAROM_OFF;
    program.held = carom_memory_held();
    return options;
}

static inline void begin_sockets(void)
{
    const carom_options options = sockets_options();
    begin(&options);
}

/* All sockets must be gone, or go by the shutdown. */
static inline carom_stats finish_sockets(void)
{
    carom_stats stats = finish();
    assert_int_equal(program.count, 0);
    assert_int_equal(stats.websockets_open, 0);
    uint64_t closed = 0;
    for (int i = 0; i < 16; i++)
        closed += stats.websockets_closed[i];
    assert_int_equal(closed, stats.websockets_accepted);
    assert_int_equal(carom_memory_held(), program.held);
    return stats;
}

/* ---------------------------------------------------------------- the client */

#define HANDSHAKE(target, more)                                                                    \
    "GET " target " HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"                    \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

struct socket_client {
    struct carom_peer *peer;
    size_t taken; /* of what it has received */
};

/* A frame as a client sends it; `mask` 0 is a mask, too. Returns its length. */
static size_t make_frame(uint8_t *to, uint8_t first, const void *payload, size_t length,
                         uint32_t mask)
{
    const uint8_t *bytes = payload;
    size_t size = 2;
    to[0] = first;
    if (length < 126) {
        to[1] = (uint8_t)(0x80 | length);
    } else if (length < 65536) {
        to[1] = 0x80 | 126;
        to[2] = (uint8_t)(length >> 8);
        to[3] = (uint8_t)length;
        size = 4;
    } else {
        to[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            to[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
        size = 10;
    }
    memcpy(to + size, &mask, 4);
    for (size_t i = 0; i < length; i++)
        to[size + 4 + i] = bytes[i] ^ ((const uint8_t *)&mask)[i % 4];
    return size + 4 + length;
}

static inline void send_frame_of(struct socket_client *client, uint8_t first, const void *payload,
                                 size_t length)
{
    uint8_t *frame = malloc(length + 14);
    size_t size = make_frame(frame, first, payload, length, 0x1b2c3d4e);
    carom_peer_send(client->peer, (const char *)frame, size);
    free(frame);
    turn();
}

enum { FIN = 0x80, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static inline void send_text(struct socket_client *client, const char *text)
{
    send_frame_of(client, FIN | TEXT, text, strlen(text));
}

static inline void send_close_code(struct socket_client *client, unsigned code, const char *reason)
{
    char bytes[130] = {(char)(code >> 8), (char)code};
    strcpy(bytes + 2, reason);
    send_frame_of(client, FIN | CLOSE, bytes, 2 + strlen(reason));
}

/* The frames that have come since the last call, "t:text", "b:bytes", "close:1000", "ping:", a "#"
 * and the length for long ones, "," where more frames follow; "z" in front: compressed. */
static inline const char *frames_of(const uint8_t *bytes, size_t length, size_t *taken)
{
    static char words[4096];
    char *to = words;
    *to = '\0';
    while (*taken < length) {
        const uint8_t *at = bytes + *taken;
        size_t size = at[1], head = 2;
        assert_int_equal(at[1] & 0x80, 0); /* no mask */
        if (size == 126) {
            size = (size_t)at[2] << 8 | at[3];
            head = 4;
        } else if (size == 127) {
            size = (size_t)at[6] << 24 | (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
            head = 10;
        }
        if (*taken + head + size > length)
            break;
        uint8_t opcode = at[0] & 15;
        static const char *const names[16] = {"c", "t", "b",     "",     "",    "",
                                              "",  "",  "close", "ping", "pong"};
        to += sprintf(to, "%s%s%s%s", to == words ? "" : " ", at[0] & 0x40 ? "z" : "",
                      names[opcode], at[0] & 0x80 ? ":" : ",");
        if (opcode == CLOSE && size >= 2)
            to += sprintf(to, "%d%.*s", at[head] << 8 | at[head + 1], (int)size - 2,
                          (const char *)at + head + 2);
        else if (size <= 40 && !(at[0] & 0x40))
            to += sprintf(to, "%.*s", (int)size, (const char *)at + head);
        else
            to += sprintf(to, "#%zu", size);
        *taken += head + size;
    }
    return words;
}

static inline const char *frames(struct socket_client *client)
{
    size_t length;
    const char *bytes = carom_peer_received(client->peer, &length);
    return frames_of((const uint8_t *)bytes, length, &client->taken);
}

/* What came of a handshake is an HTTP head; frames begin behind it. */
static inline void skip_head(struct socket_client *client)
{
    size_t length;
    const char *bytes = carom_peer_received(client->peer, &length);
    const char *end = length == 0 ? NULL : memmem(bytes, length, "\r\n\r\n", 4);
    assert_non_null(end);
    client->taken = (size_t)(end + 4 - bytes);
}

static inline struct socket_client open_with(const char *handshake)
{
    struct socket_client client = {.peer = connect_peer()};
    say(client.peer, handshake);
    turn();
    skip_head(&client);
    return client;
}

static inline struct socket_client open_client(void)
{
    struct socket_client client = open_with(HANDSHAKE("/", ""));
    assert_got(client.peer, "HTTP/1.1 101 ");
    assert_string_equal(noted(), "open");
    return client;
}

static inline int send_words(carom_websocket *socket, const char *text)
{
    const carom_content content = {.data = text, .length = strlen(text)};
    return carom_websocket_send(socket, CAROM_WEBSOCKET_TEXT, &content);
}

#endif
