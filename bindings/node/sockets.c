/* WebSockets for JavaScript: the memory in which they travel, the settings with which they are
 * accepted, which js/src/websocket/options.js has checked, and what is counted of them. */
#include "values.h"

#include <stdio.h>

#define LONGEST_LIST 4096

napi_value sockets_add(napi_env env, napi_callback_info info)
{
    ARGUMENTS(6);
    void *memory;
    size_t size;
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    if (ring == NULL || napi_get_arraybuffer_info(env, arguments[2], &memory, &size) != napi_ok)
        return number(env, -CAROM_EINVAL);
    const carom_ring_socket_options options = {
        .size = sizeof options,
        .sockets = to_uint(env, arguments[3]),
        .news_size = to_uint(env, arguments[4]),
        .messages_size = to_uint(env, arguments[5]),
    };
    return number(env, carom_ring_add_sockets(ring->ring, &options, memory, size));
}

/* A property that is a number; -1: off. */
static double take_number(napi_env env, napi_value object, const char *name)
{
    napi_value value;
    double number = 0;
    napi_get_named_property(env, object, name, &value);
    napi_get_value_double(env, value, &number);
    return number;
}

static uint32_t take_word(napi_env env, napi_value object, const char *name)
{
    double number = take_number(env, object, name);
    return number < 0 ? CAROM_OFF : (uint32_t)number;
}

/* A property that is a string, in `text`; NULL: it is none. */
static const char *take_list(napi_env env, napi_value object, const char *name,
                             char text[LONGEST_LIST])
{
    napi_value value;
    size_t length;
    napi_get_named_property(env, object, name, &value);
    if (napi_get_value_string_utf8(env, value, text, LONGEST_LIST, &length) != napi_ok)
        return NULL;
    return text;
}

napi_value sockets_settings(napi_env env, napi_callback_info info)
{
    napi_value arguments[3];
    size_t count = 3;
    char protocols[LONGEST_LIST], origins[LONGEST_LIST];
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    napi_value object = arguments[2];
    if (ring == NULL)
        return number(env, -CAROM_ESTATE);
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    options.protocols = take_list(env, object, "protocols", protocols);
    options.origins = take_list(env, object, "origins", origins);
    options.max_message = (uint64_t)take_number(env, object, "maxMessage");
    options.max_fragments = take_word(env, object, "maxFragments");
    options.write_limit = take_word(env, object, "writeLimit");
    options.write_buffer = take_word(env, object, "writeBuffer");
    options.close_at_limit = take_number(env, object, "closeAtLimit") != 0;
    options.ping_interval = take_word(env, object, "pingInterval");
    options.pong_timeout = take_word(env, object, "pongTimeout");
    options.close_timeout = take_word(env, object, "closeTimeout");
    options.deflate = (carom_websocket_deflate)take_word(env, object, "deflate");
    options.deflate_threshold = take_word(env, object, "deflateThreshold");
    options.deflate_window = (uint8_t)take_word(env, object, "deflateWindow");
    options.deflate_memory = (uint8_t)take_word(env, object, "deflateMemory");
    options.deflate_level = (uint8_t)take_word(env, object, "deflateLevel");
    return number(env, carom_ring_add_socket_settings(ring->ring, &options,
                                                      take_number(env, object, "pings") != 0,
                                                      take_number(env, object, "pongs") != 0));
}

void sockets_stats(napi_env env, napi_value result, const carom_stats *stats)
{
    set(env, result, "webSocketsOpen", stats->websockets_open);
    set(env, result, "webSocketsAccepted", stats->websockets_accepted);
    set(env, result, "webSocketsRefused", stats->websockets_refused);
    set(env, result, "webSocketMessagesReceived", stats->websocket_messages_received);
    set(env, result, "webSocketMessagesSent", stats->websocket_messages_sent);
    set(env, result, "webSocketBytesReceived", stats->websocket_bytes_received);
    set(env, result, "webSocketBytesSent", stats->websocket_bytes_sent);
    set(env, result, "webSocketBytesSaved", stats->websocket_bytes_saved);
    napi_value closed;
    napi_create_object(env, &closed);
    for (unsigned i = 0; i < 15; i++) {
        char code[8];
        snprintf(code, sizeof code, "%u", 1000 + i);
        set(env, closed, code, stats->websockets_closed[i]);
    }
    set(env, closed, "other", stats->websockets_closed[15]);
    napi_set_named_property(env, result, "webSocketsClosed", closed);
}
