/* WebSockets in the scenarios: a program that echoes, lends and publishes, and what comes back of
 * that, read by hand. */
#ifndef CAROM_TEST_UNIT_FAULT_SOCKETS_H
#define CAROM_TEST_UNIT_FAULT_SOCKETS_H

#include <string.h>
#include <zlib.h>

#include "unit/base/support.h"

#include "carom.h"
#include "carom_websocket.h"

/* A client's frames under a mask of blanks, which makes letters large, and has no zeros. */
#define SOCKET_GET(target, more)                                                                   \
    "GET " target " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"          \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define SOCKET_HELLO "\x81\x85    HELLO"
#define SOCKET_BEGIN "\x01\x82    ON"
#define SOCKET_GO_ON "\x80\x82    CE"
#define SOCKET_PING  "\x89\x81    X"
#define SOCKET_ALL   "\x81\x83    ALL"
#define SOCKET_LEND  "\x82\x84    LEND"
#define SOCKET_HELLO_DEFLATED                                                                      \
    "\xc1\x87    "                                                                                 \
    "\xea\x68\xed\xe9\xe9\x27\x20"
#define SOCKET_CLOSE "\x88\x82    \x23\xc8"

/* An extended CONNECT to "/socket" on stream 1 (RFC 8441). */
#define H2_SOCKET                                                                                  \
    "\0\0\x45\1\4\0\0\0\1"                                                                         \
    "\2\7CONNECT"                                                                                  \
    "\0\x9:protocol\x9websocket\x86"                                                               \
    "\4\7/socket"                                                                                  \
    "\1\1a"                                                                                        \
    "\0\x15sec-websocket-version\x2"                                                               \
    "13"

/* What is lent when it asks for it. */
#define SOCKET_LENT 20000

/* ---------------------------------------------------------------- the program */

static struct {
    const char *lent;
    void (*on_event)(void);
    void (*take_back)(void *owner);
    int *lent_count;
} socket_program;

static char socket_messages[SOCKET_LENT + 15]; /* all that a socket is sent */

static inline void make_socket_messages(const char *lent)
{
    memcpy(socket_messages, "helloonceallall", 15);
    memcpy(socket_messages + 15, lent, SOCKET_LENT);
    socket_program.lent = lent;
}

static inline void begin_socket_program(void (*on_event)(void), void (*take_back)(void *owner),
                                        int *lent_count)
{
    socket_program.on_event = on_event;
    socket_program.take_back = take_back;
    socket_program.lent_count = lent_count;
}

static void socket_said(carom_websocket *socket, int result)
{
    if (result == -CAROM_EAGAIN)
        carom_websocket_pause(socket);
    else if (result < 0)
        carom_websocket_abort(socket);
}

static void socket_heard(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    static const carom_slice topic = CAROM_SLICE("all");
    carom_content content = {.data = data, .length = length};
    socket_program.on_event();
    if (carom_websocket_get_state(socket) != CAROM_WEBSOCKET_OPEN)
        return;
    if (length == 4 && memcmp(data, "lend", 4) == 0) {
        content = (carom_content){socket_program.lent, SOCKET_LENT, socket_program.take_back, NULL};
        ++*socket_program.lent_count;
    }
    socket_said(socket, carom_websocket_send(socket, kind, &content));
    if (length != 3 || memcmp(data, "all", 3) != 0)
        return;
    int error = carom_websocket_subscribe(socket, topic);
    if (error == 0)
        error = carom_publish(carom_websocket_worker(socket), topic, kind, &content);
    socket_said(socket, error);
}

static void socket_has_room(carom_websocket *socket)
{
    socket_program.on_event();
    carom_websocket_resume(socket);
}

static void socket_ended(carom_websocket *socket, uint16_t code, carom_slice reason, bool clean)
{
    (void)socket, (void)code, (void)reason, (void)clean;
    socket_program.on_event();
}

/* 0: the record is the library's. */
static int accept_socket(carom_record *record, bool deflates)
{
    static const carom_websocket_handlers handlers = {
        .size = sizeof handlers,
        .message = socket_heard,
        .drain = socket_has_room,
        .close = socket_ended,
    };
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    options.handlers = &handlers;
    options.write_buffer = 4096;
    if (deflates) {
        options.deflate = CAROM_WEBSOCKET_DEFLATE_OWN;
        options.deflate_threshold = 1;
    }
    carom_websocket *socket;
    return carom_websocket_accept(record, &options, NULL, 0, NULL, &socket);
}

/* ---------------------------------------------------------------- what came back */

/* Of what a socket was sent. */
enum socket_verdict {
    SOCKET_CUT,   /* not all, and no Close */
    SOCKET_WHOLE, /* all that was to come, and the Close that answers the client's */
    SOCKET_GONE   /* a part, and a Close of the server's own */
};

struct socket_bytes {
    char bytes[2 * SOCKET_LENT];
    size_t length;
};

/* What has come on the stream of one, in HTTP/2. */
static struct socket_bytes socket_stream;

static inline void take_on_stream(size_t at, const char *bytes, size_t length)
{
    assert_true(at + length <= sizeof socket_stream.bytes);
    memcpy(socket_stream.bytes + at, bytes, length);
}

/* The payload of a message, inflated. */
static inline void socket_take(struct socket_bytes *to, z_stream *inflater, const uint8_t *payload,
                               size_t length, bool deflated)
{
    static const uint8_t tail[] = {0, 0, 0xff, 0xff};
    size_t room = sizeof to->bytes - to->length;
    assert_true(length <= room);
    if (!deflated) {
        memcpy(to->bytes + to->length, payload, length);
        to->length += length;
        return;
    }
    inflater->next_out = (Bytef *)to->bytes + to->length;
    inflater->avail_out = (uInt)room;
    for (int i = 0; i < 2; i++) {
        inflater->next_in = (Bytef *)(uintptr_t)(i == 0 ? payload : tail);
        inflater->avail_in = (uInt)(i == 0 ? length : sizeof tail);
        int result = inflate(inflater, Z_SYNC_FLUSH);
        assert_true(result == Z_OK || result == Z_BUF_ERROR);
        assert_int_equal(inflater->avail_in, 0);
    }
    to->length = sizeof to->bytes - inflater->avail_out;
}

/* All of a frame but its payload; false: there is no whole one. */
static inline bool socket_frame(const uint8_t *at, size_t there, size_t *head, size_t *length)
{
    if (there < 2)
        return false;
    assert_int_equal(at[1] & 0x80, 0);
    *head = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10;
    if (there < *head)
        return false;
    *length = at[1];
    if (at[1] >= 126)
        *length = 0;
    for (size_t i = 2; i < *head; i++)
        *length = *length << 8 | at[i];
    return there - *head >= *length;
}

/* The frames of a socket, whose messages must be `expected`, or its beginning. */
static inline enum socket_verdict judge_socket(const char *bytes, size_t length,
                                               const char *expected, size_t expected_length)
{
    static struct socket_bytes got;
    const uint8_t *at = (const uint8_t *)bytes, *end = at + length;
    enum socket_verdict verdict = SOCKET_CUT;
    z_stream inflater = {0};
    size_t head, size;
    got.length = 0;
    assert_int_equal(inflateInit2(&inflater, -15), Z_OK);
    while (socket_frame(at, (size_t)(end - at), &head, &size)) {
        assert_int_equal(verdict, SOCKET_CUT); /* nothing follows a Close */
        unsigned opcode = at[0] & 15u;
        assert_true(at[0] & 0x80);
        if (opcode < 8) {
            socket_take(&got, &inflater, at + head, size, (at[0] & 0x40) != 0);
        } else if (opcode == 8) {
            assert_int_equal(size, 2);
            verdict = at[head + 1] == (1000 & 255) ? SOCKET_WHOLE : SOCKET_GONE;
        }
        at += head + size;
    }
    inflateEnd(&inflater);
    assert_true(got.length <= expected_length);
    assert_memory_equal(got.bytes, expected, got.length);
    assert_true(verdict != SOCKET_WHOLE || got.length == expected_length);
    return verdict;
}

#endif
