/* Connections as JavaScript knows them: by their numbers. */
#include "values.h"

napi_value connections_take(napi_env env, napi_callback_info info)
{
    ARGUMENTS(2);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    carom_ring_connection found = CAROM_RING_CONNECTION_INIT;
    if (ring == NULL || carom_ring_take_connection(ring->ring, &found) <= 0)
        return NULL;
    const napi_value values[] = {
        number(env, found.number),
        number(env, found.news),
        number(env, found.peer.family),
        number(env, found.peer.port),
        text(env, found.peer.text),
        boolean(env, found.secure),
        text(env, carom_reason_name(found.reason)),
        number(env, (double)found.received),
        number(env, (double)found.sent),
    };
    napi_value result;
    napi_create_array(env, &result);
    for (uint32_t i = 0; i < sizeof values / sizeof *values; i++)
        napi_set_element(env, result, i, values[i]);
    return result;
}

napi_value connections_forget(napi_env env, napi_callback_info info)
{
    ARGUMENTS(3);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    if (ring != NULL)
        carom_ring_forget_connection(ring->ring, to_uint(env, arguments[2]));
    return NULL;
}

napi_value connections_close(napi_env env, napi_callback_info info)
{
    ARGUMENTS(4);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    if (ring != NULL)
        carom_ring_close_connection(ring->ring, to_uint(env, arguments[2]),
                                    to_uint(env, arguments[3]));
    return NULL;
}

napi_value connections_keep_alive(napi_env env, napi_callback_info info)
{
    ARGUMENTS(4);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    if (ring != NULL)
        carom_ring_keep_alive(ring->ring, to_uint(env, arguments[2]), to_uint(env, arguments[3]));
    return NULL;
}

napi_value connections_traffic(napi_env env, napi_callback_info info)
{
    ARGUMENTS(3);
    struct server_ring *ring = server_ring_of(env, arguments[0], arguments[1]);
    uint64_t received = 0, sent = 0;
    if (ring != NULL)
        carom_ring_traffic(ring->ring, to_uint(env, arguments[2]), &received, &sent);
    napi_value result;
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, number(env, (double)received));
    napi_set_element(env, result, 1, number(env, (double)sent));
    return result;
}
