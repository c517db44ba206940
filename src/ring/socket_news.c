/* News of sockets: what the library tells of one becomes entries of the log, whole or in pieces.
 * What finds no room is copied, its socket is paused, and it waits in line. */
#include <string.h>

#include "ring/socket.h"

/* The least piece of a message that is worth an entry. */
#define LEAST_PIECE 1024

/* ---------------------------------------------------------------- entries */

static _Atomic uint32_t *word(const struct carom_ring_sockets *sockets, unsigned index)
{
    return carom_ring_atomic(sockets->words, index);
}

/* Bytes that may be written in one piece, behind the padding that is needed for as many as
 * `wanted`; less than that: there is no room for more. A VM that says it has read what was never
 * written has no room. */
static uint32_t room_for(struct carom_ring_sockets *sockets, uint32_t wanted, uint32_t *padding)
{
    struct carom_log *news = &sockets->news;
    uint32_t size = news->mask + 1;
    uint32_t head =
        atomic_load_explicit(word(sockets, CAROM_SOCKETS_NEWS_HEAD), memory_order_acquire);
    uint32_t used = news->at - head;
    *padding = 0;
    sockets->seen_head = head;
    if (used > size)
        return 0;
    uint32_t free = (size - used) & ~(uint32_t)(CAROM_ENTRY_ALIGN - 1);
    uint32_t to_end = size - (news->at & news->mask);
    if (free <= to_end)
        return free;
    if (wanted <= to_end)
        return to_end;
    *padding = to_end;
    return free - to_end;
}

static void put_head(struct carom_log *news, uint32_t size, uint32_t kind, uint32_t number,
                     uint32_t value)
{
    const uint32_t head[4] = {size, kind, number, value};
    memcpy(news->bytes + (news->at & news->mask), head, sizeof head);
}

/* Write an entry with as many of `length` bytes as there is room for, all of them if `whole`. How
 * many, or -1: there is no room. */
static int64_t put(struct carom_ring_sockets *sockets, uint32_t kind, uint32_t number,
                   uint32_t value, const void *data, uint32_t length, bool whole)
{
    struct carom_log *news = &sockets->news;
    uint32_t most = (news->mask + 1) / 2,
             padding; /* padding and such an entry always fit in time */
    uint32_t wanted = CAROM_ENTRY_HEAD + length < most ? CAROM_ENTRY_HEAD + length : most;
    uint32_t room = room_for(sockets, wanted, &padding);
    if (room < wanted && (whole || room < CAROM_ENTRY_HEAD + LEAST_PIECE))
        return -1;
    uint32_t size = room < wanted ? room : wanted;
    if (padding > 0) {
        put_head(news, padding, CAROM_ENTRY_PADDING, 0, 0);
        news->at += padding;
    }
    put_head(news, size, kind, number, value);
    if (size > CAROM_ENTRY_HEAD && data != NULL)
        memcpy(news->bytes + (news->at & news->mask) + CAROM_ENTRY_HEAD, data,
               size - CAROM_ENTRY_HEAD);
    news->at += carom_entry_room(size);
    atomic_store(word(sockets, CAROM_SOCKETS_NEWS_TAIL), news->at);
    sockets->ring->news = true;
    return size - CAROM_ENTRY_HEAD;
}

/* ---------------------------------------------------------------- waiting for room */

static bool is_gone(const struct carom_ring *ring)
{
    return atomic_load_explicit(&ring->abandoned, memory_order_relaxed);
}

static void let_wait(struct carom_ring_socket *socket)
{
    if (carom_node_alone(&socket->waiting))
        carom_list_append(&socket->ring->sockets->waiting, &socket->waiting);
}

/* Nothing of the socket, nor of others before it, waits already. */
static bool may_tell(const struct carom_ring_socket *socket)
{
    return carom_node_alone(&socket->ring->sockets->waiting);
}

/* Keep what could not be told; false: no memory. */
static bool keep(struct carom_ring_socket *socket, struct carom_telling *telling, uint8_t kind,
                 const void *data, uint32_t length, uint32_t told)
{
    struct carom_bins *bins = &socket->ring->sockets->bins;
    uint8_t *bytes = length > 0 ? carom_bins_take(bins, length) : NULL;
    if (length > 0 && bytes == NULL)
        return false;
    if (bytes != NULL)
        memcpy(bytes, data, length);
    *telling = (struct carom_telling){bytes, length, told, kind};
    return true;
}

/* Tell a message, or the rest of it; how much of it is told, or -1: not even that it has begun. A
 * ping or a pong is shorter than the least piece. */
static int64_t tell_bytes(struct carom_ring_socket *socket, uint8_t kind, const uint8_t *data,
                          uint32_t length, int64_t told)
{
    struct carom_ring_sockets *sockets = socket->ring->sockets;
    for (;;) {
        uint32_t before = told < 0 ? 0 : (uint32_t)told;
        const uint8_t *rest = before > 0 ? data + before : data; /* of an empty one: NULL */
        int64_t more = put(sockets, told < 0 ? kind : (uint32_t)CAROM_TOLD_MORE, socket->number,
                           length, rest, length - before, false);
        if (more < 0)
            return told;
        told = before + more;
        if (told == length)
            return told;
    }
}

static void tell_or_keep(carom_websocket *websocket, uint8_t kind, const void *data, size_t size)
{
    struct carom_ring_socket *socket = carom_websocket_data(websocket);
    uint32_t length = (uint32_t)size;
    if (is_gone(socket->ring) || size > UINT32_MAX - CAROM_ENTRY_HEAD) {
        carom_websocket_abort(websocket);
        return;
    }
    int64_t told = may_tell(socket) ? tell_bytes(socket, kind, data, length, -1) : -1;
    if (told == length)
        return;
    /* Nothing comes after this call, so that one is all that is ever kept. */
    carom_websocket_pause(websocket);
    if (!keep(socket, &socket->telling, kind, data, length, (uint32_t)(told + 1)))
        carom_websocket_abort(websocket);
    else
        let_wait(socket);
}

/* ---------------------------------------------------------------- parts of news */

static bool put_opened(const struct carom_ring_socket *socket)
{
    carom_slice protocol = carom_websocket_protocol(socket->socket);
    uint32_t flags = carom_websocket_is_compressed(socket->socket) ? CAROM_ENTRY_COMPRESSED : 0;
    return put(socket->ring->sockets, CAROM_TOLD_OPENED | flags << 16, socket->number, 0,
               protocol.data, (uint32_t)protocol.length, true) >= 0;
}

static bool put_closed(const struct carom_ring_socket *socket)
{
    uint32_t flags = socket->clean ? CAROM_ENTRY_CLEAN : 0;
    return put(socket->ring->sockets, CAROM_TOLD_CLOSED | flags << 16, socket->number, socket->code,
               socket->closing.bytes, socket->closing.length, true) >= 0;
}

/* The rest of the message that is kept; the socket may be read again. */
static bool put_rest(struct carom_ring_socket *socket)
{
    struct carom_telling *telling = &socket->telling;
    int64_t told = tell_bytes(socket, telling->kind, telling->bytes, telling->length,
                              (int64_t)telling->told - 1);
    telling->told = (uint32_t)(told + 1);
    if (told < (int64_t)telling->length)
        return false;
    carom_ring_socket_forget(socket, telling);
    if (socket->socket != NULL && !socket->paused)
        carom_websocket_resume(socket->socket);
    return true;
}

/* All that is owed, in order; false: there is no room for the rest. */
static bool tell_owed(struct carom_ring_socket *socket)
{
    if (socket->owes_opened && socket->socket != NULL && !put_opened(socket))
        return false;
    socket->owes_opened = false;
    if (socket->telling.kind != 0 && !put_rest(socket))
        return false;
    if (socket->owes_failed && put(socket->ring->sockets, CAROM_TOLD_FAILED, socket->number,
                                   socket->code, NULL, 0, true) < 0)
        return false;
    socket->owes_failed = false;
    if (socket->owes_drained &&
        put(socket->ring->sockets, CAROM_TOLD_DRAINED, socket->number, 0, NULL, 0, true) < 0)
        return false;
    socket->owes_drained = false;
    if (socket->owes_closed && !put_closed(socket))
        return false;
    return true;
}

/* It waits in line when there is no room. */
static void tell_now(struct carom_ring_socket *socket)
{
    if (!may_tell(socket) || !tell_owed(socket))
        let_wait(socket);
    else if (socket->owes_closed)
        carom_ring_socket_free(socket);
}

bool carom_ring_sockets_tell_waiting(struct carom_ring_sockets *sockets)
{
    bool done = false;
    while (!carom_node_alone(&sockets->waiting)) {
        struct carom_ring_socket *socket =
            carom_container(sockets->waiting.next, struct carom_ring_socket, waiting);
        uint32_t before = sockets->news.at;
        bool all = tell_owed(socket);
        done |= sockets->news.at != before;
        if (!all)
            break;
        carom_node_remove(&socket->waiting);
        if (socket->owes_closed)
            carom_ring_socket_free(socket);
    }
    return done;
}

void carom_ring_socket_tell_drained(struct carom_ring_socket *socket)
{
    socket->owes_drained = true;
    tell_now(socket);
}

void carom_ring_sockets_tell_refused(struct carom_ring_socket *socket, int error)
{
    socket->code = (uint16_t)-error;
    if (put(socket->ring->sockets, CAROM_TOLD_REFUSED, socket->number, socket->code, NULL, 0,
            true) >= 0) {
        carom_ring_socket_free(socket);
        return;
    }
    socket->owes_closed = true; /* which says as much */
    socket->code = 1006;
    let_wait(socket);
}

void carom_ring_sockets_tell_no_memory(struct carom_ring_sockets *sockets, uint32_t number)
{
    (void)put(sockets, CAROM_TOLD_REFUSED, number, CAROM_ENOMEM, NULL, 0, true);
}

void carom_ring_socket_tell_dropped(struct carom_ring_socket *socket, uint32_t length)
{
    bool told = may_tell(socket) && put(socket->ring->sockets, CAROM_TOLD_DROPPED, socket->number,
                                        length, NULL, 0, true) >= 0;
    if (!told)
        carom_websocket_abort(socket->socket);
}

/* ---------------------------------------------------------------- what the library tells */

static void opened(carom_websocket *websocket)
{
    struct carom_ring_socket *socket = carom_websocket_data(websocket);
    if (is_gone(socket->ring)) {
        carom_websocket_abort(websocket);
        return;
    }
    socket->owes_opened = true;
    tell_now(socket);
}

static void message(carom_websocket *websocket, carom_websocket_kind kind, const void *data,
                    size_t length)
{
    uint8_t told = kind == CAROM_WEBSOCKET_TEXT ? CAROM_TOLD_TEXT : CAROM_TOLD_BINARY;
    tell_or_keep(websocket, told, data, length);
}

static void drained(carom_websocket *websocket)
{
    struct carom_ring_socket *socket = carom_websocket_data(websocket);
    if (!is_gone(socket->ring))
        carom_ring_socket_count(socket);
}

static void ping(carom_websocket *websocket, const void *data, size_t length)
{
    const struct carom_ring_socket *socket = carom_websocket_data(websocket);
    if (socket->settings->pings)
        tell_or_keep(websocket, CAROM_TOLD_PING, data, length);
}

static void pong(carom_websocket *websocket, const void *data, size_t length)
{
    const struct carom_ring_socket *socket = carom_websocket_data(websocket);
    if (socket->settings->pongs)
        tell_or_keep(websocket, CAROM_TOLD_PONG, data, length);
}

/* The VM ends it when it has answered what came before. */
static void failed(carom_websocket *websocket, uint16_t code)
{
    struct carom_ring_socket *socket = carom_websocket_data(websocket);
    if (is_gone(socket->ring)) {
        carom_websocket_abort(websocket);
        return;
    }
    socket->owes_failed = true;
    socket->code = code;
    tell_now(socket);
}

/* Bytes that were not sent are given up. */
static void closed(carom_websocket *websocket, uint16_t code, carom_slice reason, bool clean)
{
    struct carom_ring_socket *socket = carom_websocket_data(websocket);
    socket->socket = NULL;
    carom_node_remove(&socket->unsent);
    if (is_gone(socket->ring)) {
        carom_ring_socket_free(socket);
        return;
    }
    atomic_store_explicit(word(socket->ring->sockets, CAROM_SOCKETS_LEFT_WORD + socket->number - 1),
                          socket->taken, memory_order_relaxed);
    socket->code = code;
    socket->clean = clean;
    socket->owes_closed = true;
    socket->owes_drained = socket->owes_failed = false;
    if (!keep(socket, &socket->closing, CAROM_TOLD_CLOSED, reason.data, (uint32_t)reason.length, 0))
        socket->closing =
            (struct carom_telling){0}; /* no memory for its words: it closes without */
    tell_now(socket);
}

const carom_websocket_handlers carom_ring_socket_handlers = {
    .size = sizeof(carom_websocket_handlers),
    .open = opened,
    .message = message,
    .drain = drained,
    .ping = ping,
    .pong = pong,
    .close = closed,
    .error = failed,
};
