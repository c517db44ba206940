/* How a request becomes a socket: the handshake (RFC 6455, 4.2; over HTTP/2 RFC 8441, 5), and what
 * a socket is asked for. */
#include <string.h>

#include "http/core.h"
#include "websocket/websocket.h"

#define ANOTHER_THREAD "this is not the thread of the socket's worker"

static struct carom_websockets *shared_of(const carom_record *record)
{
    return record->ops->core(record)->connections->websockets;
}

static bool is_h2(const carom_record *record)
{
    return record->head.version == 20;
}

bool carom_websocket_is_asked(const carom_record *record)
{
    if (record == NULL)
        return false;
    carom_slice protocol = carom_request_protocol(record);
    return protocol.length == 9 && strncasecmp(protocol.data, "websocket", 9) == 0;
}

/* ---------------------------------------------------------------- what is refused */

/* Answer what is no handshake, with the field that says what would be one. */
static int refuse(carom_record *record, uint16_t status, const carom_field *field)
{
    const carom_field fields[] = {
        {CAROM_SLICE("Upgrade"), CAROM_SLICE("websocket")},
        field != NULL ? *field : (carom_field){CAROM_SLICE("Content-Length"), CAROM_SLICE("0")},
    };
    bool upgrade = status == 426 && !is_h2(record);
    const carom_response response = {
        .status = status,
        .fields = upgrade ? fields : fields + 1,
        .field_count = upgrade ? 2 : 1,
    };
    shared_of(record)->refused++;
    int error = carom_respond(record, &response);
    return error < 0 ? error : -CAROM_EPROTOCOL;
}

/* The only value of a field; data is NULL when there is none, or more than one. */
static carom_slice only_value(const carom_record *record, const char *name)
{
    size_t cursor = 0;
    carom_slice value = carom_request_field_next(record, name, &cursor);
    carom_slice second = carom_request_field_next(record, name, &cursor);
    return second.data == NULL ? value : (carom_slice){NULL, 0};
}

/* 0, or why it is no handshake: it was answered. */
static int check_request(carom_record *record, const struct carom_ws_settings *settings)
{
    static const carom_field version = {CAROM_SLICE("Sec-WebSocket-Version"), CAROM_SLICE("13")};
    carom_slice asked = only_value(record, "sec-websocket-version");
    carom_slice method = carom_request_method(record);
    if (!is_h2(record) && !(method.length == 3 && memcmp(method.data, "GET", 3) == 0))
        return refuse(record, 400, NULL);
    if (asked.data == NULL || asked.length != 2 || memcmp(asked.data, "13", 2) != 0)
        return refuse(record, 426, &version);
    if (!is_h2(record) && !carom_ws_key_is_valid(only_value(record, "sec-websocket-key")))
        return refuse(record, 400, NULL);
    size_t cursor = 0;
    carom_slice origin = carom_request_field_next(record, "origin", &cursor);
    bool secure = carom_core_tls(record->ops->core(record)) != NULL;
    if (carom_request_field_next(record, "origin", &cursor).data != NULL ||
        !carom_ws_origin_is_allowed(origin, secure, carom_request_field(record, "host"),
                                    settings->origins, settings->origin_count))
        return refuse(record, 403, NULL);
    return 0;
}

/* ---------------------------------------------------------------- the answer */

/* Fields of ours, beside the program's. */
enum { OUR_FIELDS = 4 };

struct answer {
    char accept[CAROM_WS_ACCEPT_BYTES];
    char extensions[CAROM_WS_EXTENSIONS_BYTES];
    int extensions_length; /* 0: none */
    struct carom_ws_deflate_agreed deflate;
    int protocol;        /* its place in the settings, or CAROM_WS_NO_PROTOCOL */
    carom_field *fields; /* of the worker's bins */
    size_t count;
};

/* The lines of a field that is a list; how many. More are not looked at. */
enum { LINES_MOST = 32 };

static size_t lines_of(const carom_record *record, const char *name, carom_slice lines[LINES_MOST])
{
    size_t cursor = 0, count = 0;
    while (count < LINES_MOST) {
        lines[count] = carom_request_field_next(record, name, &cursor);
        if (lines[count].data == NULL)
            break;
        count++;
    }
    return count;
}

static bool name_is(const carom_field *field, const char *name)
{
    return field->name.data != NULL && field->name.length == strlen(name) &&
           strncasecmp(field->name.data, name, field->name.length) == 0;
}

static void add(struct answer *answer, const char *name, carom_slice value)
{
    answer->fields[answer->count++] = (carom_field){{name, strlen(name)}, value};
}

/* The program's own choice of a subprotocol stands; what the handshake says is ours. */
static int take_fields(struct answer *answer, const carom_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (name_is(&fields[i], "upgrade") || name_is(&fields[i], "connection") ||
            name_is(&fields[i], "sec-websocket-accept") ||
            name_is(&fields[i], "sec-websocket-extensions"))
            return -CAROM_EFIELD;
        if (name_is(&fields[i], "sec-websocket-protocol"))
            answer->protocol = CAROM_WS_NO_PROTOCOL;
        answer->fields[answer->count++] = fields[i];
    }
    return 0;
}

/* What both sides will speak: a subprotocol, and compression. 0, or the request is no handshake. */
static int agree(struct answer *answer, carom_record *record,
                 const struct carom_ws_settings *settings)
{
    const carom_websocket_options *options = &settings->options;
    carom_slice lines[LINES_MOST];
    size_t count = lines_of(record, "sec-websocket-protocol", lines);
    answer->protocol =
        carom_ws_protocol_choose(lines, count, settings->protocols, settings->protocol_count);
    const struct carom_ws_deflate_wanted wanted = {
        .takeover = options->deflate == CAROM_WEBSOCKET_DEFLATE_OWN,
        .bits = options->deflate_window,
    };
    count = lines_of(record, "sec-websocket-extensions", lines);
    answer->extensions_length =
        carom_ws_deflate_agree(&answer->deflate, &wanted, lines, count, answer->extensions);
    if (answer->extensions_length > 0 &&
        (options->deflate == CAROM_WEBSOCKET_DEFLATE_OFF || !carom_ws_deflate_is_there())) {
        answer->extensions_length = 0;
        answer->deflate.used = false;
    }
    if (answer->protocol < CAROM_WS_NO_PROTOCOL || answer->extensions_length < 0)
        return refuse(record, 400, NULL);
    return 0;
}

static int make_answer(struct answer *answer, carom_record *record,
                       const struct carom_ws_settings *settings, const carom_field *fields,
                       size_t count)
{
    int error = take_fields(answer, fields, count);
    if (!is_h2(record)) {
        carom_ws_accept(answer->accept, carom_request_field(record, "sec-websocket-key").data);
        add(answer, "Upgrade", (carom_slice){"websocket", 9});
        add(answer, "Sec-WebSocket-Accept", (carom_slice){answer->accept, sizeof answer->accept});
    }
    if (answer->protocol >= 0)
        add(answer, "Sec-WebSocket-Protocol", settings->protocols[answer->protocol]);
    if (answer->extensions_length > 0)
        add(answer, "Sec-WebSocket-Extensions",
            (carom_slice){answer->extensions, (size_t)answer->extensions_length});
    return error;
}

/* ---------------------------------------------------------------- the socket */

static carom_websocket *make_socket(struct carom_websockets *shared,
                                    struct carom_ws_settings *settings,
                                    const struct carom_ws_deflate_agreed *agreed, void *data)
{
    carom_websocket *socket = carom_pool_take(&shared->sockets);
    if (socket == NULL)
        return NULL;
    struct carom_life *life = socket->life;
    struct carom_ws_deflate *deflate = NULL;
    if (agreed->used) {
        deflate = carom_pool_take(&shared->compressing);
        if (deflate == NULL) {
            carom_pool_give(&shared->sockets, socket);
            return NULL;
        }
        *deflate = (struct carom_ws_deflate){.agreed = *agreed};
    }
    *socket = (carom_websocket){
        .life = life,
        .settings = settings,
        .data = data,
        .deflate = deflate,
        .state = CAROM_WEBSOCKET_OPEN,
        .opens = true,
    };
    carom_node_init(&socket->link);
    return socket;
}

/* The record is the tunnel's. */
static void begin(carom_websocket *socket, const struct answer *answer)
{
    socket->protocol = (uint8_t)(answer->protocol + 1);
    socket->life->generation++;
    carom_ws_shared(socket)->accepted++;
    carom_ws_shared(socket)->connections->look_at_all_pools = true;
    carom_list_append(&carom_ws_shared(socket)->open, &socket->link);
    carom_ws_keep_time(socket);
    carom_ws_due(socket);
}

static int open_socket(carom_record *record, struct carom_ws_settings *settings,
                       struct answer *answer, void *data, carom_websocket **made)
{
    struct carom_websockets *shared = shared_of(record);
    carom_websocket *socket = make_socket(shared, settings, &answer->deflate, data);
    if (socket == NULL)
        return -CAROM_ENOMEM;
    const carom_response response = {
        .status = is_h2(record) ? 200 : 101,
        .fields = answer->fields,
        .field_count = answer->count,
    };
    int error = carom_tunnel_begin(&socket->tunnel, &carom_ws_tunnel_events, record, &response);
    if (error < 0) {
        if (socket->deflate != NULL)
            carom_pool_give(&shared->compressing, socket->deflate);
        carom_pool_give(&shared->sockets, socket);
        return error;
    }
    begin(socket, answer);
    *made = socket;
    return 0;
}

int carom_websocket_accept(carom_record *record, const carom_websocket_options *options,
                           const carom_field *fields, size_t field_count, void *data,
                           carom_websocket **socket)
{
    int error = carom_record_check(record, __func__);
    if (socket != NULL)
        *socket = NULL;
    if (error == 0 && (fields == NULL && field_count > 0))
        error = -CAROM_EINVAL;
    if (error == 0 && carom_record_over(record))
        error = -CAROM_ECANCELED;
    if (error == 0 &&
        (record->response != CAROM_RESPONSE_OPEN || !carom_websocket_is_asked(record)))
        error = -CAROM_ESTATE;
    if (error < 0)
        return error;
    struct carom_websockets *shared = shared_of(record);
    struct carom_ws_settings *settings;
    error = carom_ws_settings_take(shared, options, &settings);
    if (error < 0)
        return error;
    struct answer answer = {0};
    error = check_request(record, settings);
    if (error == 0)
        error = agree(&answer, record, settings);
    if (error == 0) {
        answer.fields =
            carom_bins_take(&shared->bins, (field_count + OUR_FIELDS) * sizeof *answer.fields);
        error = answer.fields == NULL ? -CAROM_ENOMEM
                                      : make_answer(&answer, record, settings, fields, field_count);
    }
    carom_websocket *made = NULL;
    if (error == 0)
        error = open_socket(record, settings, &answer, data, &made);
    if (answer.fields != NULL)
        carom_bins_give(&shared->bins, answer.fields);
    if (error < 0)
        carom_ws_settings_give(shared, settings);
    else if (socket != NULL)
        *socket = made;
    return error;
}

/* ---------------------------------------------------------------- what it is asked for */

int carom_ws_refuses(const carom_websocket *socket, const char *call)
{
    if (socket == NULL)
        return -CAROM_EINVAL;
    if (!pthread_equal(socket->life->records->thread, pthread_self()))
        carom_misused(call, ANOTHER_THREAD);
#ifdef CAROM_EXPENSIVE_CHECKS
    carom_misused(call, "the socket has ended");
#else
    return -CAROM_ESTATE;
#endif
}

uint64_t carom_websocket_buffered(const carom_websocket *socket)
{
    return carom_ws_check(socket, __func__) < 0 ? 0 : carom_tunnel_unsent(&socket->tunnel);
}

void carom_websocket_pause(carom_websocket *socket)
{
    if (carom_ws_check(socket, __func__) == 0 && carom_ws_is_open(socket))
        carom_tunnel_receive(&socket->tunnel, false);
}

void carom_websocket_resume(carom_websocket *socket)
{
    if (carom_ws_check(socket, __func__) == 0 && carom_ws_is_open(socket) && !socket->failed)
        carom_tunnel_receive(&socket->tunnel, true);
}

carom_websocket_state carom_websocket_get_state(const carom_websocket *socket)
{
    return carom_ws_check(socket, __func__) < 0 ? CAROM_WEBSOCKET_CLOSED
                                                : (carom_websocket_state)socket->state;
}

void *carom_websocket_data(const carom_websocket *socket)
{
    return carom_ws_check(socket, __func__) < 0 ? NULL : socket->data;
}

void carom_websocket_set_data(carom_websocket *socket, void *data)
{
    if (carom_ws_check(socket, __func__) == 0)
        socket->data = data;
}

carom_slice carom_websocket_protocol(const carom_websocket *socket)
{
    return carom_ws_check(socket, __func__) < 0 || socket->protocol == 0
               ? (carom_slice){NULL, 0}
               : socket->settings->protocols[socket->protocol - 1];
}

bool carom_websocket_is_compressed(const carom_websocket *socket)
{
    return carom_ws_check(socket, __func__) == 0 && carom_ws_deflates(socket);
}

void carom_websocket_peer(const carom_websocket *socket, carom_address *address)
{
    if (address == NULL)
        return;
    *address = (carom_address){.family = CAROM_FAMILY_NONE};
    if (carom_ws_check(socket, __func__) == 0)
        carom_endpoint_describe(&carom_tunnel_core(&socket->tunnel)->peer, address);
}

carom_websocket_ref carom_websocket_get_ref(carom_websocket *socket)
{
    if (carom_ws_check(socket, __func__) < 0)
        return (carom_websocket_ref){NULL, 0};
    return (carom_websocket_ref){socket->life, socket->life->generation};
}

carom_websocket *carom_websocket_get(carom_websocket_ref ref)
{
    struct carom_life *life = ref.life;
    if (life == NULL)
        return NULL;
    if (!pthread_equal(life->records->thread, pthread_self()))
        carom_misused(__func__, ANOTHER_THREAD);
    return life->generation == ref.generation ? life->object : NULL;
}
