/* websocket: an echo, and a room in which everybody hears everybody.
 *
 *     websocket [PORT] [--deflate shared|own] [--deflate-level 1-9] [--OPTION VALUE]...
 *
 *     /echo       a socket that is sent what it sends
 *     /room       what one sends is published to all that are in the room, on all workers
 *     GET /       a page to try them in a browser
 *
 * OPTION is one of the library's, as "--workers 2" or "--max_connections 100". Sockets speak
 * HTTP/1.1, and HTTP/2 where the client does (RFC 8441).
 */
#include "serve.h"

#include <stdbool.h>

static const carom_slice room = CAROM_SLICE("room");

/* ---------------------------------------------------------------- the echo */

/* A client that sends and does not read is slowed down: nothing more is taken from it until half of
 * what it has coming is gone. */
static void echo_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    const carom_content content = {.data = data, .length = length};
    if (carom_websocket_send(socket, kind, &content) == -CAROM_EAGAIN)
        carom_websocket_pause(socket);
}

static void echo_drain(carom_websocket *socket)
{
    carom_websocket_resume(socket);
}

/* ---------------------------------------------------------------- the room */

static void room_open(carom_websocket *socket)
{
    carom_websocket_subscribe(socket, room); /* without memory it hears nothing */
}

/* Who takes too slowly misses messages, and holds up nobody. */
static void room_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    const carom_content content = {.data = data, .length = length};
    carom_websocket_publish(socket, room, kind, &content);
    carom_websocket_send(socket, kind, &content); /* publish leaves the sender out */
}

/* ---------------------------------------------------------------- requests */

static carom_websocket_options echo = CAROM_WEBSOCKET_OPTIONS_INIT;
static carom_websocket_options talk = CAROM_WEBSOCKET_OPTIONS_INIT;

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>room</title><form><input "
    "autofocus></form><pre></pre>"
    "<script>"
    "const socket = new WebSocket(`ws${location.protocol.slice(4)}//${location.host}/room`);"
    "const say = text => document.querySelector('pre').append(`${text}\\n`);"
    "socket.onmessage = event => say(event.data);"
    "socket.onclose = event => say(`closed: ${event.code}`);"
    "document.querySelector('form').onsubmit = event => {"
    " event.preventDefault(); socket.send(event.target[0].value); event.target.reset(); };"
    "</script>\n";

static void answer(carom_record *record, void *data)
{
    static const carom_field html[] = {{CAROM_SLICE("content-type"), CAROM_SLICE("text/html")}};
    carom_slice target = carom_request_target(record);
    bool talks = target.length == 5 && memcmp(target.data, "/room", 5) == 0;
    (void)data;
    if (carom_websocket_is_asked(record)) {
        int error = carom_websocket_accept(record, talks ? &talk : &echo, NULL, 0, NULL, NULL);
        if (error < 0)
            carom_release(record); /* what is no handshake was answered */
        return;
    }
    const carom_response response = {
        .status = 200,
        .fields = html,
        .field_count = 1,
        .content = {.data = page, .length = sizeof page - 1, .give_back = carom_static_content},
    };
    carom_respond(record, &response);
    carom_release(record);
}

int main(int argc, char **argv)
{
    static const carom_websocket_handlers echo_handlers = {
        .size = sizeof echo_handlers, .message = echo_message, .drain = echo_drain};
    static const carom_websocket_handlers room_handlers = {
        .size = sizeof room_handlers, .open = room_open, .message = room_message};
    carom_options options = CAROM_OPTIONS_INIT;
    const char *port = NULL;
    options.handler = answer;
    options.h2_connect_protocol = true;
    echo.handlers = &echo_handlers;
    talk.handlers = &room_handlers;
    echo.max_message = 16 * 1024 * 1024;
    echo.max_fragments = 256 * 1024; /* of 64 bytes each, as Autobahn's suite sends them */
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--deflate") == 0) {
            echo.deflate = strcmp(value, "own") == 0 ? CAROM_WEBSOCKET_DEFLATE_OWN
                                                     : CAROM_WEBSOCKET_DEFLATE_SHARED;
            talk.deflate = echo.deflate;
            i++;
        } else if (strcmp(argv[i], "--deflate-level") == 0 && *value >= '1' && *value <= '9' &&
                   value[1] == '\0') {
            echo.deflate_level = (uint8_t)(*value - '0');
            talk.deflate_level = echo.deflate_level;
            i++;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            if (carom_options_set(&options, argv[i] + 2, value) < 0) {
                fprintf(stderr, "websocket: %s %s: no such option or value\n", argv[i], value);
                return 2;
            }
            i++;
        } else {
            port = argv[i];
        }
    }
    return serve_until_signal("websocket", &options, port);
}
