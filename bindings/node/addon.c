/* The functions of the addon that JavaScript calls. Their arguments come from our own package,
 * which has checked what users gave; an argument that is wrong all the same throws a TypeError. */
#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* The server of the first argument; NULL, with an exception, when it is none or over. */
static struct server *server_of(napi_env env, napi_value value)
{
    void *server = NULL;
    if (napi_get_value_external(env, value, &server) != napi_ok || server == NULL)
        napi_throw_type_error(env, NULL, "not a server");
    else if (((struct server *)server)->service == NULL)
        server = NULL;
    return server;
}

struct server_ring *server_ring_of(napi_env env, napi_value value, napi_value index)
{
    struct server *server = server_of(env, value);
    uint32_t i = to_uint(env, index);
    return server != NULL && i < server->workers ? &server->rings[i] : NULL;
}

/* A setting that is true or false: `uring`, `watch`. */
static bool wants(napi_env env, napi_value object, const char *name)
{
    napi_value value;
    bool given = false;
    napi_get_named_property(env, object, name, &value);
    napi_get_value_bool(env, value, &given);
    return given;
}

/* ---------------------------------------------------------------- create */

static void finalize(napi_env env, void *data, void *hint)
{
    struct server *server = data;
    (void)env;
    (void)hint;
    if (server->running && !server->over)
        return; /* the environment ends in a turn: see inline.c */
    if (server->service != NULL)
        server_free(server);
    free(server->rings);
    free(server);
}

/* Rings over the control blocks in `controls`; 0 or an error. */
static int make_rings(struct server *server, napi_value controls, uint32_t capacity, double bytes,
                      bool in_line, bool watch)
{
    for (uint32_t i = 0; i < server->workers; i++) {
        napi_value control;
        void *memory;
        size_t size;
        struct server_ring *ring = &server->rings[i];
        napi_get_element(server->env, controls, i, &control);
        if (napi_get_arraybuffer_info(server->env, control, &memory, &size) != napi_ok)
            return -CAROM_EINVAL;
        const carom_ring_options options = {.size = sizeof(carom_ring_options),
                                            .capacity = capacity,
                                            .memory = (size_t)bytes,
                                            .wake = in_line ? inline_wake : threads_wake,
                                            .data = ring,
                                            .watch = watch};
        ring->server = server;
        int error = carom_ring_create(&ring->ring, &options, memory, size);
        if (error == 0)
            error = carom_ring_attach(ring->ring, server->service, i);
        if (error < 0)
            return error;
    }
    return 0;
}

/* create(settings, workers, inline, capacity, bytes, memory, drain, finished): a server, or a
 * negative error. capacity, bytes: of each ring; memory: an array of the control blocks. */
static napi_value create(napi_env env, napi_callback_info info)
{
    ARGUMENTS(8);
    double bytes = 0;
    napi_get_value_double(env, arguments[4], &bytes);
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return number(env, -CAROM_ENOMEM);
    memory_keep();
    bool in_line = false;
    carom_options options = CAROM_OPTIONS_INIT;
    settings_read(env, arguments[0], &options);
    napi_get_value_bool(env, arguments[2], &in_line);
    options.handler = route_handle;
    options.handler_data = server;
    options.record_state = sizeof(void *);
    options.log = tls_note;
    options.workers = to_uint(env, arguments[1]);
    options.backend = wants(env, arguments[0], "uring") ? "uring" : "epoll";
    server->env = env;
    server->rings = calloc(options.workers, sizeof *server->rings);
    int error =
        server->rings == NULL ? -CAROM_ENOMEM : carom_service_create(&server->service, &options);
    if (error == 0) {
        server->workers = options.workers;
        error = make_rings(server, arguments[5], to_uint(env, arguments[3]), bytes, in_line,
                           wants(env, arguments[0], "watch"));
    }
    napi_value result;
    napi_create_external(env, server, finalize, NULL, &result);
    if (error < 0)
        return number(env, error);
    napi_create_reference(env, arguments[5], 1, &server->memory);
    napi_create_reference(env, arguments[6], 1, &server->drain);
    napi_create_reference(env, arguments[7], 1, &server->finished);
    return result;
}

/* backend(server): "epoll" or "uring" */
static napi_value backend(napi_env env, napi_callback_info info)
{
    ARGUMENTS(1);
    struct server *server = server_of(env, arguments[0]);
    napi_value name = NULL;
    if (server != NULL)
        napi_create_string_utf8(env, carom_service_backend(server->service), NAPI_AUTO_LENGTH,
                                &name);
    return name;
}

/* listen(server, address, tls): 0 or a negative error. tls: options, or undefined */
static napi_value listen_on(napi_env env, napi_callback_info info)
{
    ARGUMENTS(3);
    struct server *server = server_of(env, arguments[0]);
    char address[256];
    size_t length;
    napi_get_value_string_utf8(env, arguments[1], address, sizeof address, &length);
    napi_valuetype type;
    napi_typeof(env, arguments[2], &type);
    if (server == NULL)
        return number(env, -CAROM_ESTATE);
    return number(env, type == napi_object ? tls_listen(server, address, arguments[2])
                                           : carom_service_listen(server->service, address));
}

/* start(server, inline): 0 or a negative error */
static napi_value start(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server *server = server_of(env, arguments[0]);
    bool in_line = false;
    napi_get_value_bool(env, arguments[1], &in_line);
    int error = -CAROM_ESTATE;
    if (server != NULL && !server->running)
        error = in_line ? inline_start(server) : threads_start(server);
    if (error == 0)
        server->running = true;
    return number(env, error);
}

/* discard(server): it is not to be started; what it has is freed */
static napi_value discard(napi_env env, napi_callback_info info)
{
    ARGUMENTS(1);
    struct server *server = server_of(env, arguments[0]);
    if (server != NULL && !server->running)
        server_discard(server);
    return NULL;
}

/* address(server, index): [family, port, text] */
static napi_value address(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server *server = server_of(env, arguments[0]);
    carom_address found = {0};
    if (server != NULL)
        carom_service_listener(server->service, to_uint(env, arguments[1]), &found);
    napi_value result;
    napi_create_array_with_length(env, 3, &result);
    napi_set_element(env, result, 0, number(env, found.family));
    napi_set_element(env, result, 1, number(env, found.port));
    napi_set_element(env, result, 2, text(env, found.text));
    return result;
}

/* route(server, path, status, fields, body): 0 or a negative error. fields, body: Uint8Array */
static napi_value route(napi_env env, napi_callback_info info)
{
    ARGUMENTS(5);
    struct server *server = server_of(env, arguments[0]);
    char path[1024];
    size_t length, fields_length, body_length;
    void *fields, *body;
    napi_get_value_string_utf8(env, arguments[1], path, sizeof path, &length);
    napi_get_typedarray_info(env, arguments[3], NULL, &fields_length, &fields, NULL, NULL);
    napi_get_typedarray_info(env, arguments[4], NULL, &body_length, &body, NULL, NULL);
    if (server == NULL || server->running)
        return number(env, -CAROM_ESTATE);
    return number(env, route_add(server, path, length, (uint16_t)to_uint(env, arguments[2]), fields,
                                 fields_length, body, body_length));
}

/* ---------------------------------------------------------------- while it runs */

/* addBlock(server, ring, number, block): 0 or a negative error. The caller keeps the block until
 * the engine has given it back */
static napi_value add_block(napi_env env, napi_callback_info info)
{
    ARGUMENTS(4);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    void *memory;
    size_t size;
    if (ring == NULL || napi_get_arraybuffer_info(env, arguments[3], &memory, &size) != napi_ok ||
        size < (size_t)CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE)
        return number(env, -CAROM_EINVAL);
    return number(env, carom_ring_add_block(ring->ring, to_uint(env, arguments[2]), memory));
}

/* wake(server, ring) */
static napi_value wake(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    if (ring != NULL)
        carom_ring_wake(ring->ring);
    return NULL;
}

/* Lend bytes by `call`, to be read or to be written. 0 or a negative error */
static napi_value lend_by(napi_env env, napi_callback_info info,
                          int (*call)(carom_ring *ring, uint32_t loan, void *data, size_t length))
{
    ARGUMENTS(4);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    void *data;
    size_t length;
    if (ring == NULL ||
        napi_get_typedarray_info(env, arguments[3], NULL, &length, &data, NULL, NULL) != napi_ok)
        return number(env, -CAROM_EINVAL);
    return number(env, call(ring->ring, to_uint(env, arguments[2]), data, length));
}

static int lend_to_read(carom_ring *ring, uint32_t loan, void *data, size_t length)
{
    return carom_ring_lend(ring, loan, data, length);
}

/* lend(server, ring, loan, bytes) */
static napi_value lend(napi_env env, napi_callback_info info)
{
    return lend_by(env, info, lend_to_read);
}

/* lendRoom(server, ring, loan, bytes): the engine writes there */
static napi_value lend_room(napi_env env, napi_callback_info info)
{
    return lend_by(env, info, carom_ring_lend_room);
}

/* replaceTls(server, tls): 0 or a negative error */
static napi_value replace_tls(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server *server = server_of(env, arguments[0]);
    return number(env, server == NULL ? -CAROM_ESTATE : tls_replace(server, arguments[1]));
}

/* tls(server, ring, slot): what is known of the connection, or null; for a slot that is held */
static napi_value tls(napi_env env, napi_callback_info info)
{
    ARGUMENTS(3);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    return ring == NULL ? NULL : tls_describe(env, ring->ring, to_uint(env, arguments[2]));
}

/* duplicate(fd): a descriptor of the same file, or a negative error */
static napi_value duplicate(napi_env env, napi_callback_info info)
{
    ARGUMENTS(1);
    int fd = fcntl((int)to_uint(env, arguments[0]), F_DUPFD_CLOEXEC, 0);
    return number(env, fd >= 0 ? fd : errno == EMFILE ? -CAROM_EMFILE : -CAROM_ENOENT);
}

/* shutdown(server, milliseconds); -1: no deadline */
static napi_value shut_down(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server *server = server_of(env, arguments[0]);
    double deadline = -1;
    napi_get_value_double(env, arguments[1], &deadline);
    if (server != NULL)
        carom_shutdown(server->service, deadline < 0 ? CAROM_OFF : (uint32_t)deadline);
    return NULL;
}

/* adjust(server, settings): 0 or a negative error */
static napi_value adjust(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server *server = server_of(env, arguments[0]);
    carom_options options = CAROM_OPTIONS_INIT;
    settings_read(env, arguments[1], &options);
    return number(env,
                  server == NULL ? -CAROM_ESTATE : carom_service_adjust(server->service, &options));
}

/* reference(server, on, inline) */
static napi_value reference(napi_env env, napi_callback_info info)
{
    ARGUMENTS(3);
    struct server *server = server_of(env, arguments[0]);
    bool on = true, in_line = false;
    napi_get_value_bool(env, arguments[1], &on);
    napi_get_value_bool(env, arguments[2], &in_line);
    if (server != NULL && server->running && !server->over)
        (in_line ? inline_reference : threads_reference)(server, on);
    return NULL;
}

/* stats(server): an object, or undefined when it is over */
static napi_value stats(napi_env env, napi_callback_info info)
{
    ARGUMENTS(1);
    struct server *server = server_of(env, arguments[0]);
    if (server == NULL)
        return NULL;
    carom_stats now = CAROM_STATS_INIT;
    napi_value result, ended;
    carom_service_stats(server->service, &now);
    napi_create_object(env, &result);
    napi_create_object(env, &ended);
    set(env, result, "connectionsAccepted", now.connections_accepted);
    set(env, result, "connectionsRefused", now.connections_refused);
    set(env, result, "connectionsOpen", now.connections_open);
    set(env, result, "requests", now.requests);
    set(env, result, "responses", now.responses);
    set(env, result, "bytesReceived", now.bytes_received);
    set(env, result, "bytesSent", now.bytes_sent);
    set(env, result, "recordsInFlight", now.records_in_flight);
    set(env, result, "recordsPeak", now.records_peak);
    set(env, result, "recordsPooled", now.records_pooled);
    set(env, result, "recordsRecycled", now.records_recycled);
    set(env, result, "recordsAllocated", now.records_allocated);
    set(env, result, "memory", now.memory);
    set(env, result, "allocations", now.allocations);
    set(env, result, "timeouts", now.timeouts);
    set(env, result, "cancellations", now.cancellations);
    set(env, result, "tlsHandshakes", now.tls_handshakes);
    set(env, result, "tlsResumed", now.tls_resumed);
    set(env, result, "tlsFailed", now.tls_failed);
    set(env, result, "h2Connections", now.h2_connections);
    set(env, result, "h2Calmed", now.h2_calmed);
    set(env, result, "requestsRefused", now.requests_refused);
    set(env, result, "calls", server->calls);
    sockets_stats(env, result, &now);
    for (int reason = 1; reason < CAROM_REASON_COUNT; reason++)
        set(env, ended, carom_reason_name((carom_reason)reason), now.ended[reason]);
    napi_set_named_property(env, result, "ended", ended);
    return result;
}

/* ---------------------------------------------------------------- names */

static napi_value error_name(napi_env env, napi_callback_info info)
{
    ARGUMENTS(1);
    return text(env, carom_error_name((int)to_uint(env, arguments[0])));
}

static napi_value error_text(napi_env env, napi_callback_info info)
{
    ARGUMENTS(1);
    return text(env, carom_error_text((int)to_uint(env, arguments[0])));
}

/* reasons(): names in order */
static napi_value reasons(napi_env env, napi_callback_info info)
{
    (void)info;
    napi_value result;
    napi_create_array(env, &result);
    for (int i = 0; i < CAROM_REASON_COUNT; i++)
        napi_set_element(env, result, (uint32_t)i, text(env, carom_reason_name((carom_reason)i)));
    return result;
}

static napi_value version(napi_env env, napi_callback_info info)
{
    (void)info;
    return text(env, carom_version());
}

NAPI_MODULE_INIT()
{
    static const struct {
        const char *name;
        napi_callback call;
    } functions[] = {
        {"create", create},
        {"listen", listen_on},
        {"start", start},
        {"discard", discard},
        {"address", address},
        {"route", route},
        {"addBlock", add_block},
        {"wake", wake},
        {"lend", lend},
        {"lendRoom", lend_room},
        {"addSockets", sockets_add},
        {"addSocketSettings", sockets_settings},
        {"replaceTls", replace_tls},
        {"tls", tls},
        {"said", tls_said},
        {"selfSigned", tls_self_signed},
        {"connection", connections_take},
        {"forgetConnection", connections_forget},
        {"closeConnection", connections_close},
        {"keepAlive", connections_keep_alive},
        {"duplicate", duplicate},
        {"traffic", connections_traffic},
        {"shutdown", shut_down},
        {"adjust", adjust},
        {"reference", reference},
        {"stats", stats},
        {"backend", backend},
        {"errorName", error_name},
        {"errorText", error_text},
        {"reasons", reasons},
        {"version", version},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        napi_value function;
        napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL,
                             &function);
        napi_set_named_property(env, exports, functions[i].name, function);
    }
    return exports;
}
