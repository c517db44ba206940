/* The end of a socket: closing from both sides (RFC 6455, 7), and its times: pings that must be
 * answered, and a Close that must. */
#include <string.h>

#include "record/waker.h"
#include "websocket/websocket.h"
#include "websocket/websockets.h"

/* ---------------------------------------------------------------- over */

/* Nothing comes or goes any more; the program is told in the next pass. Before its tunnel ends:
 * what is given back by that may ask for more to be sent. */
static void over(carom_websocket *socket, uint16_t code)
{
    struct carom_websockets *shared = carom_ws_shared(socket);
    if (socket->state == CAROM_WEBSOCKET_CLOSED)
        return;
    socket->state = CAROM_WEBSOCKET_CLOSED;
    socket->code = code;
    carom_timer_disarm(&carom_websockets_records(shared)->wheel, &socket->timer);
    carom_topics_leave_all(&shared->topics, &socket->subscriptions);
    unsigned counted = code >= 1000 && code < 1015 ? code - 1000u : CAROM_WS_CODES_COUNTED - 1u;
    shared->closed[counted]++;
    carom_ws_due(socket);
}

static void send_close(carom_websocket *socket, uint16_t code, const char *reason, size_t length)
{
    uint8_t bytes[CAROM_WS_CONTROL_BYTES];
    bytes[0] = (uint8_t)(code >> 8);
    bytes[1] = (uint8_t)code;
    if (length > 0)
        memcpy(bytes + 2, reason, length);
    (void)carom_ws_send_control(socket, CAROM_WS_CLOSE, bytes, code == 0 ? 0 : length + 2);
}

void carom_ws_abandon(carom_websocket *socket, carom_reason reason)
{
    if (socket->state == CAROM_WEBSOCKET_CLOSED)
        return;
    over(socket, CAROM_WS_CODE_ABNORMAL);
    carom_tunnel_abort(&socket->tunnel, reason);
}

/* ---------------------------------------------------------------- the client is wrong */

static void arm(carom_websocket *socket, uint32_t milliseconds)
{
    struct carom_records *records = carom_websockets_records(carom_ws_shared(socket));
    carom_timer_disarm(&records->wheel, &socket->timer);
    if (milliseconds == CAROM_OFF)
        return;
    carom_timer_arm(&records->wheel, &socket->timer, carom_records_now(records) + milliseconds + 1);
    carom_records_work(records);
}

/* The last frame, with the code that is `said`, and the end: there is no answer to wait for. */
static void end_failed(carom_websocket *socket, uint16_t said, carom_slice reason)
{
    if (carom_ws_is_open(socket))
        send_close(socket, said, reason.data, reason.length);
    if (socket->state == CAROM_WEBSOCKET_CLOSED)
        return;
    over(socket, socket->code);
    carom_tunnel_end(&socket->tunnel);
}

void carom_ws_fail(carom_websocket *socket, uint16_t code)
{
    static const carom_slice nothing = {NULL, 0};
    const carom_websocket_handlers *handlers = &socket->settings->handlers;
    socket->code = code;
    if (!carom_ws_is_open(socket) || handlers->error == NULL) {
        end_failed(socket, code, nothing);
        return;
    }
    socket->failed = true;
    carom_tunnel_receive(&socket->tunnel, false);
    arm(socket, socket->settings->options.close_timeout);
    handlers->error(socket, code);
}

/* ---------------------------------------------------------------- the client closes */

/* The code of a Close, which is valid with its reason, or the code with which it is answered
 * instead: `*fault`. */
static uint16_t read_close(const uint8_t *data, size_t length, uint16_t *fault)
{
    *fault = 0;
    if (length == 0)
        return CAROM_WS_CODE_NONE;
    uint16_t code = 0;
    if (length >= 2)
        code = (uint16_t)(data[0] << 8 | data[1]);
    struct carom_utf8 text = {0};
    if (!carom_ws_close_code_is_valid(code))
        *fault = CAROM_WS_CODE_PROTOCOL;
    else if (!carom_utf8_check(&text, data + 2, length - 2) || !carom_utf8_whole(&text))
        *fault = CAROM_WS_CODE_NOT_UTF8;
    return code;
}

/* The client's words stay until the program has heard of them. */
static bool keep_reason(carom_websocket *socket, const uint8_t *data, size_t length)
{
    struct carom_ws_partial *partial = carom_ws_partial_of(socket);
    if (partial == NULL)
        return false;
    memcpy(partial->control, data, length);
    partial->reason_length = (uint8_t)(length - 2);
    return true;
}

void carom_ws_close_came(carom_websocket *socket, const uint8_t *data, size_t length)
{
    uint16_t fault;
    uint16_t code = read_close(data, length, &fault);
    if (fault != 0) {
        carom_ws_fail(socket, fault);
        return;
    }
    if (length > 2 && !keep_reason(socket, data, length))
        return;
    if (carom_ws_is_open(socket)) /* in its own words */
        (void)carom_ws_send_control(socket, CAROM_WS_CLOSE, data, length);
    if (socket->state == CAROM_WEBSOCKET_CLOSED)
        return;
    socket->clean = true;
    over(socket, code);
    carom_tunnel_end(&socket->tunnel);
}

static void peer_done(struct carom_tunnel *tunnel)
{
    over(carom_container(tunnel, carom_websocket, tunnel), CAROM_WS_CODE_ABNORMAL);
    carom_tunnel_end(tunnel);
}

static void tunnel_over(struct carom_tunnel *tunnel, carom_reason reason)
{
    (void)reason;
    over(carom_container(tunnel, carom_websocket, tunnel), CAROM_WS_CODE_ABNORMAL);
}

const struct carom_tunnel_events carom_ws_tunnel_events = {
    .received = carom_ws_received,
    .peer_done = peer_done,
    .sent = carom_ws_sent,
    .over = tunnel_over,
};

/* ---------------------------------------------------------------- the program closes */

static void begin_close(carom_websocket *socket, uint16_t code, carom_slice reason)
{
    send_close(socket, code, reason.data, reason.length);
    if (socket->state == CAROM_WEBSOCKET_CLOSED)
        return;
    socket->state = CAROM_WEBSOCKET_CLOSING;
    socket->spoke = false;
    carom_tunnel_receive(&socket->tunnel, true); /* or its answer would not come */
    arm(socket, socket->settings->options.close_timeout);
}

/* The time to answer begins when the Close has left. */
void carom_ws_close_moves(carom_websocket *socket)
{
    socket->spoke = true;
    if (carom_tunnel_unsent(&socket->tunnel) == 0)
        arm(socket, socket->settings->options.close_timeout);
}

/* What was sent before the Close may take its time, as long as the client takes some of it. */
static void close_is_due(carom_websocket *socket)
{
    bool moves = socket->spoke && carom_tunnel_unsent(&socket->tunnel) > 0;
    socket->spoke = false;
    if (moves)
        arm(socket, socket->settings->options.close_timeout);
    else
        carom_ws_abandon(socket, CAROM_REASON_CLIENT_RESET);
}

int carom_websocket_close(carom_websocket *socket, uint16_t code, carom_slice reason)
{
    int error = carom_ws_check(socket, __func__);
    if (error < 0)
        return error;
    if (reason.data == NULL && reason.length > 0)
        return -CAROM_EINVAL;
    struct carom_utf8 text = {0};
    bool valid = code == 0 ? reason.length == 0 : carom_ws_close_code_is_valid(code);
    if (!valid || reason.length > CAROM_WS_CONTROL_BYTES - 2 ||
        !carom_utf8_check(&text, (const uint8_t *)reason.data, reason.length) ||
        !carom_utf8_whole(&text))
        return -CAROM_EINVAL;
    if (!carom_ws_is_open(socket))
        return -CAROM_ECANCELED;
    if (socket->failed)
        end_failed(socket, code, reason);
    else
        begin_close(socket, code, reason);
    return 0;
}

void carom_websocket_abort(carom_websocket *socket)
{
    if (carom_ws_check(socket, __func__) == 0)
        carom_ws_abandon(socket, CAROM_REASON_CANCELED);
}

/* ---------------------------------------------------------------- time */

/* The ping was sent long enough ago to be answered; the next look is one interval behind it. */
static void pong_is_due(carom_websocket *socket)
{
    const carom_websocket_options *options = &socket->settings->options;
    bool paused = !socket->tunnel.receives; /* and a pong would not be read */
    bool heard = socket->heard;
    socket->pinged = socket->heard = false; /* what was heard before must not spare the next ping */
    if (!heard && !paused)
        carom_ws_abandon(socket, CAROM_REASON_CLIENT_RESET);
    else
        arm(socket, options->ping_interval > options->pong_timeout
                        ? options->ping_interval - options->pong_timeout
                        : options->ping_interval);
}

/* When one side was silent for an interval a ping follows, so that what lies between sees that the
 * connection lives, and so that we see whether the client does. */
static void interval_is_over(carom_websocket *socket)
{
    const carom_websocket_options *options = &socket->settings->options;
    bool silent = !socket->heard || !socket->spoke;
    if (silent && carom_ws_send_control(socket, CAROM_WS_PING, "", 0) < 0)
        return;
    socket->pinged = silent && options->pong_timeout != CAROM_OFF;
    socket->heard = socket->spoke = false;
    arm(socket, socket->pinged ? options->pong_timeout : options->ping_interval);
}

static void time_is_over(struct carom_timer *timer)
{
    static const carom_slice nothing = {NULL, 0};
    carom_websocket *socket = carom_container(timer, carom_websocket, timer);
    if (socket->state == CAROM_WEBSOCKET_CLOSING)
        close_is_due(socket);
    else if (socket->failed)
        end_failed(socket, socket->code, nothing);
    else if (carom_ws_shared(socket)->draining)
        begin_close(socket, CAROM_WS_CODE_GOING_AWAY, nothing);
    else if (socket->pinged)
        pong_is_due(socket);
    else
        interval_is_over(socket);
}

void carom_ws_keep_time(carom_websocket *socket)
{
    carom_timer_init(&socket->timer, time_is_over);
    arm(socket, carom_ws_shared(socket)->draining ? 0 : socket->settings->options.ping_interval);
}

/* So many milliseconds when a shutdown has no deadline. */
#define SPREAD_WITHOUT_DEADLINE 5000

static uint32_t drain_list(struct carom_node *list, uint32_t step, uint32_t index)
{
    for (struct carom_node *node = list->next; node != list; node = node->next) {
        carom_websocket *socket = carom_container(node, carom_websocket, link);
        if (carom_ws_is_open(socket))
            arm(socket, (uint32_t)((uint64_t)step * index++ / 1024));
    }
    return index;
}

void carom_websockets_drain(struct carom_websockets *websockets, uint32_t milliseconds)
{
    /* Half of the time is for those who are told last, to answer. */
    uint32_t spread = milliseconds == CAROM_OFF ? SPREAD_WITHOUT_DEADLINE : milliseconds / 2;
    uint32_t count = websockets->sockets.in_use;
    websockets->draining = true;
    if (count == 0)
        return;
    uint32_t step = (uint32_t)((uint64_t)spread * 1024 / count); /* in 1/1024 ms */
    drain_list(&websockets->due, step, drain_list(&websockets->open, step, 0));
}

/* ---------------------------------------------------------------- the program is told */

void carom_ws_due(carom_websocket *socket)
{
    struct carom_websockets *shared = carom_ws_shared(socket);
    if (socket->is_due)
        return;
    socket->is_due = true;
    carom_node_remove(&socket->link);
    carom_list_append(&shared->due, &socket->link);
    carom_waker_ready_once(carom_websockets_records(shared), &shared->tell);
}

void carom_ws_tell_open(carom_websocket *socket)
{
    if (!socket->opens)
        return;
    socket->opens = false;
    if (socket->settings->handlers.open != NULL)
        socket->settings->handlers.open(socket);
}

/* The last that happens to a socket. */
static void tell_close(carom_websocket *socket)
{
    struct carom_websockets *shared = carom_ws_shared(socket);
    const struct carom_ws_partial *partial = socket->partial;
    carom_slice reason = {NULL, 0};
    if (partial != NULL && partial->reason_length > 0)
        reason = (carom_slice){(const char *)partial->control + 2, partial->reason_length};
    if (socket->settings->handlers.close != NULL)
        socket->settings->handlers.close(socket, socket->code, reason, socket->clean);
    carom_ws_drop_partial(socket);
    socket->life->generation++;
    carom_node_remove(&socket->link);
    if (socket->deflate != NULL) {
        carom_ws_deflate_finish(socket->deflate, &socket->settings->deflaters);
        carom_pool_give(&shared->compressing, socket->deflate);
    }
    carom_ws_settings_give(shared, socket->settings);
    carom_tunnel_finish(&socket->tunnel);
    carom_pool_give(&shared->sockets, socket);
}

/* A waker of the worker's: those of whom there is something to tell now; who comes meanwhile has
 * the next pass. */
void carom_websockets_tell(carom_waker *waker, int status)
{
    struct carom_websockets *shared = carom_container(waker, struct carom_websockets, tell);
    struct carom_node pass, *node;
    (void)status;
    carom_node_init(&pass);
    carom_list_splice(&pass, &shared->due);
    while ((node = carom_list_take(&pass)) != NULL) {
        carom_websocket *socket = carom_container(node, carom_websocket, link);
        socket->is_due = false;
        carom_list_append(&shared->open, &socket->link);
        carom_ws_tell_open(socket);
        if (socket->cut_for != CAROM_REASON_NONE)
            carom_ws_abandon(socket, (carom_reason)socket->cut_for);
        bool drained = socket->drained;
        socket->drained = false;
        if (drained && carom_ws_is_open(socket) && socket->settings->handlers.drain != NULL)
            socket->settings->handlers.drain(socket);
        if (socket->state == CAROM_WEBSOCKET_CLOSED && !socket->is_due)
            tell_close(socket);
    }
}
