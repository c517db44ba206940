/* What goes on a socket: messages become frames in the tunnel's queue (RFC 6455, 5 and 6.1), within
 * the limits of what may wait for the client. */
#include <string.h>

#include "base/copy.h"
#include "websocket/websocket.h"

static void give_back(const carom_content *content)
{
    if (content->give_back != NULL)
        content->give_back(content->owner);
}

/* What is as long as this is sent from where it lies, where the client takes it at once: a copy
 * costs more than a system call for each of several messages. */
#define AT_ONCE (16 * 1024)

/* Send a frame whose payload is long, and append a copy of what does not leave. 0 or -CAROM_ENOMEM.
 */
static int send_long(carom_websocket *socket, const uint8_t *head, size_t size, const void *data,
                     size_t length)
{
    struct carom_records *records = carom_websockets_records(carom_ws_shared(socket));
    struct carom_queue *out = carom_tunnel_out(&socket->tunnel);
    struct carom_segment payload = {.data = data, .length = length};
    struct carom_segment frame = {.next = &payload, .data = head, .length = size};
    struct carom_queue whole = {.first = &frame, .last = &payload, .length = size + length};
    uint64_t left = carom_tunnel_send_now(&socket->tunnel, &whole);
    int error = 0;
    if (left < size) {
        error = carom_queue_append_copy(out, &records->segments, &records->outgoing, head + left,
                                        size - (size_t)left);
        left = size;
    }
    size_t done = (size_t)left - size;
    if (error == 0 && done < length)
        error = carom_queue_append_copy(out, &records->segments, &records->outgoing,
                                        (const uint8_t *)data + done, length - done);
    return error;
}

/* Append a frame's head, and its payload where that is copied. 0 or -CAROM_ENOMEM. */
static int append_frame(carom_websocket *socket, uint8_t opcode, bool fin, bool compressed,
                        const void *data, size_t length, bool copies)
{
    struct carom_records *records = carom_websockets_records(carom_ws_shared(socket));
    struct carom_queue *out = carom_tunnel_out(&socket->tunnel);
    uint8_t frame[CAROM_WS_HEAD_BYTES + CAROM_COPY_AT_MOST];
    size_t size = carom_ws_head_write(frame, opcode, fin, compressed, length);
    if (copies && length >= AT_ONCE)
        return send_long(socket, frame, size, data, length);
    bool along = copies && length <= CAROM_COPY_AT_MOST;
    if (along) {
        carom_copy(frame + size, data, length);
        size += length;
    }
    int error = carom_queue_append_copy(out, &records->segments, &records->outgoing, frame, size);
    if (error == 0 && copies && !along)
        error = carom_queue_append_copy(out, &records->segments, &records->outgoing, data, length);
    return error;
}

/* The frame is queued, or cannot be: then half of one may be, and nothing may follow it. */
static int framed(carom_websocket *socket, int error, uint64_t before)
{
    if (error < 0) {
        carom_ws_abandon(socket, CAROM_REASON_NO_MEMORY);
        return error;
    }
    carom_tunnel_added(&socket->tunnel, carom_tunnel_out(&socket->tunnel)->length - before);
    socket->spoke = true;
    return 0;
}

int carom_ws_send_control(carom_websocket *socket, uint8_t opcode, const void *data, size_t length)
{
    uint64_t before = carom_tunnel_out(&socket->tunnel)->length;
    return framed(socket, append_frame(socket, opcode, true, false, data, length, true), before);
}

/* Bytes of a pong and a ping, of which the program need not know. */
#define NEARLY_NONE (2 * (2 + CAROM_WS_CONTROL_BYTES))

/* Whether the socket may be sent a message of so many bytes now. The first may have any length:
 * what is longer than the limit would wait for ever otherwise, and so goes behind such frames. */
static int room_for(const carom_websocket *socket, uint64_t length)
{
    if (!carom_ws_is_open(socket))
        return -CAROM_ECANCELED;
    uint64_t unsent = carom_tunnel_unsent(&socket->tunnel);
    uint32_t most = socket->settings->options.write_limit;
    bool first = unsent == 0 || (unsent <= NEARLY_NONE && length > most);
    return first || most == CAROM_OFF || unsent + length <= most ? 0 : -CAROM_ETOOBIG;
}

/* The same, for the program, who is told when there is room again. */
static int admit(carom_websocket *socket, uint64_t length)
{
    int error = room_for(socket, length);
    if (error == -CAROM_ETOOBIG) {
        socket->drains = true;
        if (socket->settings->options.close_at_limit)
            carom_ws_abandon(socket, CAROM_REASON_OVER_LIMIT);
    }
    return error;
}

/* How the client stands after a message was queued. */
static int standing(carom_websocket *socket)
{
    if (carom_tunnel_unsent(&socket->tunnel) <= socket->settings->options.write_buffer)
        return 0;
    socket->drains = true;
    return -CAROM_EAGAIN;
}

static int check(const carom_websocket *socket, carom_websocket_kind kind,
                 const carom_content *content, const char *call)
{
    int error = carom_ws_check(socket, call);
    if (error == 0 && (content == NULL || !carom_ws_kind_is_known(kind) ||
                       (content->data == NULL && content->length > 0)))
        error = -CAROM_EINVAL;
    return error;
}

/* Queue one frame of a message. Content is given back, now or later, whatever happens. */
static int send_frame(carom_websocket *socket, uint8_t opcode, bool fin,
                      const carom_content *content)
{
    struct carom_records *records = carom_websockets_records(carom_ws_shared(socket));
    struct carom_queue *out = carom_tunnel_out(&socket->tunnel);
    uint64_t before = out->length;
    bool copies = content->give_back == NULL || content->length <= CAROM_COPY_AT_MOST;
    bool kept = false;
    int error = append_frame(socket, opcode, fin, false, content->data, content->length, copies);
    if (error == 0 && !copies) {
        error = carom_queue_append_borrowed(out, &records->segments, content->data, content->length,
                                            content->give_back, content->owner);
        kept = error == 0;
    }
    if (!kept)
        give_back(content);
    return framed(socket, error, before);
}

/* Compressed, if it was agreed on, the program lets it be, and it makes it shorter. */
static int send_message(carom_websocket *socket, uint8_t kind, const carom_content *content)
{
    carom_slice compressed;
    uint8_t opcode = carom_ws_opcode_of(kind);
    if (!carom_ws_deflates(socket) || (kind & CAROM_WEBSOCKET_PLAIN) ||
        !carom_ws_deflate_message(socket->deflate, &socket->settings->deflaters, content->data,
                                  content->length, &compressed))
        return send_frame(socket, opcode, true, content);
    carom_ws_shared(socket)->deflates = true;
    /* With takeover it may be longer, and is sent all the same. */
    if (compressed.length < content->length)
        carom_ws_shared(socket)->bytes_saved += content->length - compressed.length;
    uint64_t before = carom_tunnel_out(&socket->tunnel)->length;
    int error = append_frame(socket, opcode, true, true, compressed.data, compressed.length, true);
    give_back(content);
    return framed(socket, error, before);
}

int carom_websocket_send(carom_websocket *socket, carom_websocket_kind kind,
                         const carom_content *content)
{
    int error = check(socket, kind, content, __func__);
    if (error == 0)
        error = admit(socket, content->length);
    if (error == 0 && socket->piece_kind != 0)
        error = -CAROM_ESTATE;
    if (error < 0) {
        if (content != NULL)
            give_back(content);
        return error;
    }
    carom_ws_shared(socket)->messages_sent++;
    carom_ws_shared(socket)->bytes_sent += content->length;
    error = send_message(socket, (uint8_t)kind, content);
    return error < 0 ? error : standing(socket);
}

int carom_websocket_send_piece(carom_websocket *socket, carom_websocket_kind kind,
                               const carom_content *content, bool last)
{
    int error = check(socket, kind, content, __func__);
    uint8_t opcode = carom_ws_opcode_of(kind);
    if (error == 0)
        error = admit(socket, content->length);
    if (error == 0 && socket->piece_kind != 0 && socket->piece_kind != opcode)
        error = -CAROM_ESTATE;
    if (error < 0) {
        if (content != NULL)
            give_back(content);
        return error;
    }
    if (socket->piece_kind != 0)
        opcode = CAROM_WS_CONTINUATION;
    socket->piece_kind = last ? 0 : kind & 3u;
    carom_ws_shared(socket)->messages_sent += last;
    carom_ws_shared(socket)->bytes_sent += content->length;
    error = send_frame(socket, opcode, last, content);
    return error < 0 ? error : standing(socket);
}

static void abandon_later(carom_websocket *socket, carom_reason reason)
{
    socket->cut_for = (uint8_t)reason;
    carom_ws_due(socket);
}

bool carom_ws_takes(carom_websocket *socket, size_t length)
{
    int error = room_for(socket, length);
    if (error == -CAROM_ETOOBIG && socket->settings->options.close_at_limit)
        abandon_later(socket, CAROM_REASON_OVER_LIMIT);
    return error == 0 && socket->piece_kind == 0;
}

int carom_ws_send_framed(carom_websocket *socket, struct carom_page *page, const uint8_t *frame,
                         size_t size, size_t length)
{
    struct carom_websockets *websockets = carom_ws_shared(socket);
    struct carom_queue *out = carom_tunnel_out(&socket->tunnel);
    websockets->messages_sent++;
    websockets->bytes_sent += length;
    int error = carom_queue_append_page(out, &carom_websockets_records(websockets)->segments, page,
                                        frame, size);
    if (carom_unlikely(error < 0)) {
        abandon_later(socket, CAROM_REASON_NO_MEMORY);
        return error;
    }
    carom_tunnel_added(&socket->tunnel, size);
    socket->spoke = true;
    return 0;
}

static int send_ping_or_pong(carom_websocket *socket, uint8_t opcode, const void *data,
                             size_t length, const char *call)
{
    int error = carom_ws_check(socket, call);
    if (error < 0)
        return error;
    if (data == NULL && length > 0)
        return -CAROM_EINVAL;
    if (length > CAROM_WS_CONTROL_BYTES)
        return -CAROM_ETOOBIG;
    if (!carom_ws_is_open(socket))
        return -CAROM_ECANCELED;
    return carom_ws_send_control(socket, opcode, data, length);
}

int carom_websocket_ping(carom_websocket *socket, const void *data, size_t length)
{
    return send_ping_or_pong(socket, CAROM_WS_PING, data, length, __func__);
}

int carom_websocket_pong(carom_websocket *socket, const void *data, size_t length)
{
    return send_ping_or_pong(socket, CAROM_WS_PONG, data, length, __func__);
}

void carom_ws_sent(struct carom_tunnel *tunnel)
{
    carom_websocket *socket = carom_container(tunnel, carom_websocket, tunnel);
    if (socket->state == CAROM_WEBSOCKET_CLOSING)
        carom_ws_close_moves(socket);
    if (!socket->drains || carom_tunnel_unsent(tunnel) > socket->settings->options.write_buffer / 2)
        return;
    socket->drains = false;
    socket->drained = true;
    carom_ws_due(socket);
}
