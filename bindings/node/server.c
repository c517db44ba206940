/* Servers of JavaScript: makes and frees them, and calls JavaScript with their news. */
#include "server.h"

#include <stdlib.h>

void server_call_drain(struct server *server)
{
    napi_handle_scope scope;
    napi_value drain, global, result;
    napi_env env = server->env;
    if (server->over)
        return;
    server->calls++;
    napi_open_handle_scope(env, &scope);
    napi_get_reference_value(env, server->drain, &drain);
    napi_get_global(env, &global);
    napi_status status = napi_make_callback(env, NULL, global, drain, 0, NULL, &result);
    if (status == napi_pending_exception) {
        napi_value error;
        if (napi_get_and_clear_last_exception(env, &error) == napi_ok)
            napi_fatal_exception(env, error);
    }
    napi_close_handle_scope(env, scope);
}

void server_free(struct server *server)
{
    for (uint32_t i = 0; i < server->workers; i++)
        carom_ring_destroy(server->rings[i].ring);
    carom_service_destroy(server->service);
    routes_free(server);
    server->service = NULL;
    server->workers = 0;
}

void server_discard(struct server *server)
{
    server_free(server);
    napi_delete_reference(server->env, server->drain);
    napi_delete_reference(server->env, server->finished);
    napi_delete_reference(server->env, server->memory);
    server->drain = server->finished = server->memory = NULL;
}

void server_finish(struct server *server)
{
    napi_env env = server->env;
    napi_handle_scope scope;
    napi_value finished, global, result;
    napi_open_handle_scope(env, &scope);
    napi_get_reference_value(env, server->finished, &finished);
    napi_get_global(env, &global);
    napi_make_callback(env, NULL, global, finished, 0, NULL, &result); /* reads the last figures */
    server_discard(server);
    napi_close_handle_scope(env, scope);
}
