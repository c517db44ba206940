/* Routes that become WebSockets. */
#include <string.h>

#include "tool/serve/serve.h"

static const carom_slice room = CAROM_SLICE("room");

/* What the program may hear of a call that sends: all but that it was wrong, or without memory. */
static int sent(int result)
{
    note_result(result == -CAROM_EAGAIN || result == -CAROM_ETOOBIG ? 0 : result);
    return result;
}

/* ---------------------------------------------------------------- the echo */

static void echo_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    const carom_content content = {.data = data, .length = length};
    if (sent(carom_websocket_send(socket, kind, &content)) == -CAROM_EAGAIN)
        carom_websocket_pause(socket);
}

static void echo_drain(carom_websocket *socket)
{
    carom_websocket_resume(socket);
}

/* ---------------------------------------------------------------- the room */

static void room_open(carom_websocket *socket)
{
    note_result(carom_websocket_subscribe(socket, room));
}

static void room_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    const carom_content content = {.data = data, .length = length};
    sent(carom_publish(carom_websocket_worker(socket), room, kind, &content));
}

/* ---------------------------------------------------------------- the last words */

/* Many bytes and a Close at once, when something comes. */
static void last_message(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                         size_t length)
{
    static const carom_slice reason = CAROM_SLICE("that was all");
    (void)kind, (void)data, (void)length;
    uint64_t left = (uint64_t)(uintptr_t)carom_websocket_data(socket);
    while (left > 0) {
        const carom_content piece = {pattern, (size_t)(left < PIECE_MAX ? left : PIECE_MAX),
                                     carom_static_content, NULL};
        sent(carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &piece));
        left -= piece.length;
    }
    note_result(carom_websocket_close(socket, 4001, reason));
}

/* ---------------------------------------------------------------- routes */

static const carom_websocket_handlers echo = {
    .size = sizeof echo,
    .message = echo_message,
    .drain = echo_drain,
};
static const carom_websocket_handlers talk = {
    .size = sizeof talk,
    .open = room_open,
    .message = room_message,
};
static const carom_websocket_handlers last = {
    .size = sizeof last,
    .message = last_message,
};

static void become(struct exchange *exchange, const carom_websocket_handlers *handlers, void *data)
{
    carom_record *record = exchange->record;
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    options.handlers = handlers;
    options.write_limit = handlers == &last ? CAROM_OFF : 0;
    options.deflate = (carom_websocket_deflate)query_number(record, "deflate", 0);
    carom_websocket *socket;
    if (carom_websocket_accept(record, &options, NULL, 0, data, &socket) < 0)
        carom_release(record);
}

/* /sockets: an echo. deflate=1: shared, 2: own. */
void route_sockets(struct exchange *exchange)
{
    become(exchange, &echo, NULL);
}

/* /room: what one sends is published to all, on all workers. */
void route_room(struct exchange *exchange)
{
    become(exchange, &talk, NULL);
}

/* /last?bytes=N: so many, and a Close, when a message comes. */
void route_last(struct exchange *exchange)
{
    become(exchange, &last, (void *)(uintptr_t)query_number(exchange->record, "bytes", 0));
}
