/* What comes on a socket: frames become messages and control (RFC 6455, 5 and 6.2). A message that
 * has come whole in one piece is unmasked where it lies and lent to the program from there;
 * otherwise it gathers in memory that grows with what has come, and not with what was promised. */
#include <string.h>

#include "websocket/websocket.h"

static struct carom_bins *bins_of(carom_websocket *socket)
{
    return &carom_ws_shared(socket)->bins;
}

static carom_websocket *of_tunnel(struct carom_tunnel *tunnel)
{
    return carom_container(tunnel, carom_websocket, tunnel);
}

static bool is_control(uint8_t opcode)
{
    return opcode >= CAROM_WS_CLOSE;
}

/* ---------------------------------------------------------------- the partial */

static void give_partial(carom_websocket *socket, struct carom_ws_partial *partial)
{
    if (partial->bytes != NULL)
        carom_bins_give(bins_of(socket), partial->bytes);
    carom_pool_give(&carom_ws_shared(socket)->partials, partial);
}

void carom_ws_drop_partial(carom_websocket *socket)
{
    if (socket->partial != NULL)
        give_partial(socket, socket->partial);
    socket->partial = NULL;
}

struct carom_ws_partial *carom_ws_partial_of(carom_websocket *socket)
{
    if (socket->partial == NULL) {
        struct carom_ws_partial *partial = carom_pool_take(&carom_ws_shared(socket)->partials);
        if (partial == NULL) {
            carom_ws_abandon(socket, CAROM_REASON_NO_MEMORY);
            return NULL;
        }
        *partial = (struct carom_ws_partial){0};
        socket->partial = partial;
        carom_ws_shared(socket)->connections->look_at_all_pools = true;
    }
    return socket->partial;
}

/* ---------------------------------------------------------------- messages to the program */

static void count_message(carom_websocket *socket, size_t length)
{
    carom_ws_shared(socket)->messages_received++;
    carom_ws_shared(socket)->bytes_received += length;
}

/* Put what a compressed message stands for in its place; false: it is none, and the socket is over.
 */
static bool inflate(carom_websocket *socket, uint8_t kind, const uint8_t **data, size_t *length)
{
    carom_slice message = {NULL, 0};
    carom_ws_shared(socket)->deflates = true;
    int code = carom_ws_inflate(socket->deflate, &socket->settings->deflaters, *data, *length, true,
                                socket->settings->options.max_message, &message);
    *data = (const uint8_t *)message.data;
    *length = message.length;
    struct carom_utf8 text = {0};
    if (code == 0 && kind == CAROM_WEBSOCKET_TEXT &&
        !(carom_utf8_check(&text, *data, *length) && carom_utf8_whole(&text)))
        code = -CAROM_WS_CODE_NOT_UTF8;
    if (code < 0)
        carom_ws_fail(socket, (uint16_t)-code);
    return code == 0;
}

/* A message is whole, and checked, if it is a text that was not compressed. */
static void deliver(carom_websocket *socket, uint8_t kind, bool compressed, const uint8_t *data,
                    size_t length)
{
    const carom_websocket_handlers *handlers = &socket->settings->handlers;
    if (compressed && !inflate(socket, kind, &data, &length))
        return;
    count_message(socket, length);
    if (!carom_ws_is_open(socket)) /* it is closing: nobody hears of it any more */
        return;
    if (handlers->piece != NULL)
        handlers->piece(socket, (carom_websocket_kind)kind, data, length, true);
    else if (handlers->message != NULL)
        handlers->message(socket, (carom_websocket_kind)kind, data, length);
}

static void control_came(carom_websocket *socket, uint8_t opcode, const uint8_t *data,
                         size_t length)
{
    const carom_websocket_handlers *handlers = &socket->settings->handlers;
    if (opcode == CAROM_WS_CLOSE) {
        carom_ws_close_came(socket, data, length);
    } else if (opcode == CAROM_WS_PONG) {
        if (handlers->pong != NULL && carom_ws_is_open(socket))
            handlers->pong(socket, data, length);
    } else if (carom_ws_is_open(socket)) {
        /* A client that pings and reads nothing gets no answer at all: only that to its last ping
         * would be owed (RFC 6455, 5.5.3). */
        if (carom_tunnel_unsent(&socket->tunnel) < socket->settings->options.write_buffer &&
            carom_ws_send_control(socket, CAROM_WS_PONG, data, length) < 0)
            return;
        if (handlers->ping != NULL)
            handlers->ping(socket, data, length);
    }
}

/* ---------------------------------------------------------------- how long it may be */

/* Bytes of a message as it comes. What cannot be compressed becomes longer: zlib says by how much
 * at the worst (deflateBound), which is less than a quarter. What it stands for is measured when it
 * is inflated. */
static uint64_t most_to_come(const carom_websocket *socket, bool compressed)
{
    uint64_t most = socket->settings->options.max_message;
    uint64_t more = compressed ? most / 4 + 64 : 0;
    return most > UINT64_MAX - more ? UINT64_MAX : most + more;
}

/* Who sends long messages sends more of them: then the next is received with room for it. */
static void expect_like(carom_websocket *socket, const struct carom_ws_head *head)
{
    bool is_long = head->length > CAROM_PAGE_SIZE / 2;
    if (is_long)
        carom_ws_shared(socket)->long_came = true;
    if (!is_control(head->opcode))
        carom_tunnel_widen(&socket->tunnel, is_long);
}

/* ---------------------------------------------------------------- whole at once */

/* A frame that has come whole, and that is a message, or control; how many bytes it has, or 0: it
 * is for the partial. */
static uint32_t read_whole(carom_websocket *socket, uint8_t *data, uint32_t length)
{
    struct carom_ws_head head;
    int taken = carom_ws_head_read(&head, data, length, carom_ws_deflates(socket));
    if (taken < 0) {
        carom_ws_fail(socket, (uint16_t)-taken);
        return length;
    }
    bool whole = taken > 0 && head.length <= length - (uint32_t)taken;
    if (!whole || !head.fin || head.opcode == CAROM_WS_CONTINUATION ||
        head.length > most_to_come(socket, head.compressed))
        return 0;
    expect_like(socket, &head);
    uint8_t *payload = data + taken;
    size_t size = (size_t)head.length;
    bool text = head.opcode == CAROM_WS_TEXT && !head.compressed;
    struct carom_utf8 state = {0};
    if (!text)
        carom_ws_unmask(payload, payload, size, head.mask, 0);
    else if (!carom_ws_unmask_text(payload, payload, size, head.mask, 0, &state) ||
             !carom_utf8_whole(&state)) {
        carom_ws_fail(socket, CAROM_WS_CODE_NOT_UTF8);
        return length;
    }
    if (is_control(head.opcode))
        control_came(socket, head.opcode, payload, size);
    else
        deliver(socket, head.opcode, head.compressed, payload, size);
    return (uint32_t)(taken + (int)size);
}

/* ---------------------------------------------------------------- piece by piece */

/* Whether the frame that has begun may follow what came before it; 0, or the code of the Close. */
static uint16_t begin_frame(carom_websocket *socket, struct carom_ws_partial *partial)
{
    const struct carom_ws_head *frame = &partial->frame;
    const carom_websocket_options *options = &socket->settings->options;
    if (is_control(frame->opcode))
        return 0;
    bool continues = frame->opcode == CAROM_WS_CONTINUATION;
    if (continues != (partial->kind != 0))
        return CAROM_WS_CODE_PROTOCOL;
    if (!continues) {
        partial->kind = frame->opcode;
        partial->compressed = frame->compressed;
        partial->streams = socket->settings->handlers.piece != NULL && !frame->compressed;
        partial->fragments = 0;
        partial->length = 0;
        partial->text = (struct carom_utf8){0};
    }
    if (++partial->fragments > options->max_fragments)
        return CAROM_WS_CODE_POLICY;
    if (!partial->streams &&
        frame->length > most_to_come(socket, partial->compressed) - partial->length)
        return CAROM_WS_CODE_TOO_BIG;
    return 0;
}

/* Room for `more` bytes of the message. It doubles, up to what was announced; false: no memory. */
static bool make_room(carom_websocket *socket, struct carom_ws_partial *partial, size_t more)
{
    size_t needed = partial->length + more;
    if (needed <= partial->size)
        return true;
    uint64_t announced = partial->length + partial->frame.length - partial->frame_have;
    uint64_t size = partial->size < 512 ? 1024 : (uint64_t)partial->size * 2;
    if (size > announced && partial->frame.fin)
        size = announced;
    if (size < needed)
        size = needed;
    uint8_t *bytes = carom_bins_resize(bins_of(socket), partial->bytes, (size_t)size);
    if (bytes == NULL)
        return false;
    partial->bytes = bytes;
    partial->size = (size_t)size;
    return true;
}

/* A piece of the payload of a message, which goes to the program or to what has gathered. False
 * when the socket is over. */
static bool take_payload(carom_websocket *socket, struct carom_ws_partial *partial, uint8_t *data,
                         uint32_t length)
{
    const struct carom_ws_head *frame = &partial->frame;
    size_t offset = (size_t)partial->frame_have;
    if (!partial->streams && !make_room(socket, partial, length)) {
        carom_ws_abandon(socket, CAROM_REASON_NO_MEMORY);
        return false;
    }
    bool gathers = !partial->streams && length > 0;
    uint8_t *to = gathers ? partial->bytes + partial->length : data;
    bool valid = true;
    if (partial->kind == CAROM_WEBSOCKET_TEXT && !partial->compressed)
        valid = carom_ws_unmask_text(to, data, length, frame->mask, offset, &partial->text);
    else
        carom_ws_unmask(to, data, length, frame->mask, offset);
    partial->frame_have += length;
    bool last = frame->fin && partial->frame_have == frame->length;
    if (!valid || (last && !carom_utf8_whole(&partial->text))) {
        carom_ws_fail(socket, CAROM_WS_CODE_NOT_UTF8);
        return false;
    }
    if (!partial->streams) {
        partial->length += length;
        return true;
    }
    carom_ws_shared(socket)->bytes_received += length;
    carom_ws_shared(socket)->messages_received += last;
    if (carom_ws_is_open(socket) && (length > 0 || last))
        socket->settings->handlers.piece(socket, (carom_websocket_kind)partial->kind, data, length,
                                         last);
    return socket->state != CAROM_WEBSOCKET_CLOSED;
}

/* The frame is whole. What it completes is given to the program when nothing of the socket refers
 * to it any more. */
static void end_frame(carom_websocket *socket, struct carom_ws_partial *partial)
{
    uint8_t opcode = partial->frame.opcode;
    partial->in_frame = false;
    partial->head_have = 0;
    if (is_control(opcode)) {
        uint8_t bytes[CAROM_WS_CONTROL_BYTES];
        size_t length = (size_t)partial->frame.length;
        memcpy(bytes, partial->control, length);
        if (partial->kind == 0)
            carom_ws_drop_partial(socket);
        control_came(socket, opcode, bytes, length);
    } else if (partial->frame.fin) {
        socket->partial = NULL;
        const uint8_t *bytes = partial->length > 0 ? partial->bytes : (const uint8_t *)"";
        if (!partial->streams)
            deliver(socket, partial->kind, partial->compressed, bytes, partial->length);
        give_partial(socket, partial);
    }
}

/* The head of a frame, as far as it has come; how many bytes of it are here. */
static uint32_t read_head(carom_websocket *socket, struct carom_ws_partial *partial,
                          const uint8_t *data, uint32_t length)
{
    uint32_t have = partial->head_have;
    uint32_t room = (uint32_t)sizeof partial->head - have;
    uint32_t more = length < room ? length : room;
    memcpy(partial->head + have, data, more);
    int taken =
        carom_ws_head_read(&partial->frame, partial->head, have + more, carom_ws_deflates(socket));
    if (taken == 0) {
        partial->head_have = (uint8_t)(have + more);
        return more;
    }
    uint16_t code = taken < 0 ? (uint16_t)-taken : begin_frame(socket, partial);
    if (code != 0) {
        carom_ws_fail(socket, code);
        return length;
    }
    expect_like(socket, &partial->frame);
    partial->in_frame = true;
    partial->frame_have = 0;
    return (uint32_t)taken - have;
}

/* As much of one frame as is here; how many bytes that is. */
static uint32_t read_part(carom_websocket *socket, uint8_t *data, uint32_t length)
{
    struct carom_ws_partial *partial = carom_ws_partial_of(socket);
    if (partial == NULL)
        return length;
    uint32_t taken = 0;
    if (!partial->in_frame) {
        taken = read_head(socket, partial, data, length);
        if (socket->partial != partial || !partial->in_frame)
            return taken;
    }
    uint64_t left = partial->frame.length - partial->frame_have;
    uint32_t here = length - taken < left ? length - taken : (uint32_t)left;
    if (is_control(partial->frame.opcode)) {
        carom_ws_unmask(partial->control + partial->frame_have, data + taken, here,
                        partial->frame.mask, (size_t)partial->frame_have);
        partial->frame_have += here;
    } else if (!take_payload(socket, partial, data + taken, here)) {
        return length;
    }
    if (partial->frame_have == partial->frame.length)
        end_frame(socket, partial);
    return taken + here;
}

uint32_t carom_ws_received(struct carom_tunnel *tunnel, uint8_t *data, uint32_t length)
{
    carom_websocket *socket = of_tunnel(tunnel);
    uint32_t at = 0;
    socket->heard = true;
    carom_ws_tell_open(socket);
    while (at < length && tunnel->receives && socket->state != CAROM_WEBSOCKET_CLOSED) {
        uint32_t taken = 0;
        if (socket->partial == NULL)
            taken = read_whole(socket, data + at, length - at);
        if (taken == 0 && socket->state != CAROM_WEBSOCKET_CLOSED)
            taken = read_part(socket, data + at, length - at);
        at += taken;
    }
    return socket->state == CAROM_WEBSOCKET_CLOSED ? length : at;
}
