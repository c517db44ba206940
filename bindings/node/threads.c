/* `io: 'thread'`: the engine runs on threads of its own and wakes JavaScript once per batch. */
#include "server.h"

#include <signal.h>

/* What a call to JavaScript's thread is for. */
static char events_are_there, service_is_over;

static void environment_ends(void *data);

static void *run(void *data)
{
    struct server *server = data;
    carom_run(server->service);
    napi_call_threadsafe_function(server->function, &service_is_over, napi_tsfn_blocking);
    return NULL;
}

/* On JavaScript's thread. */
static void called(napi_env env, napi_value callback, void *context, void *what)
{
    struct server *server = context;
    (void)callback;
    if (env == NULL || server->over)
        return;
    if (what == &events_are_there) {
        server_call_drain(server);
        return;
    }
    server->over = true;
    pthread_join(server->thread, NULL);
    napi_remove_env_cleanup_hook(env, environment_ends, server);
    server_finish(server);
    napi_release_threadsafe_function(server->function, napi_tsfn_release);
}

void threads_wake(void *server_ring)
{
    struct server_ring *ring = server_ring;
    napi_call_threadsafe_function(ring->server->function, &events_are_there, napi_tsfn_nonblocking);
}

void threads_reference(struct server *server, bool on)
{
    if (on)
        napi_ref_threadsafe_function(server->env, server->function);
    else
        napi_unref_threadsafe_function(server->env, server->function);
}

/* The environment ends while the server runs: give up what JavaScript holds, and wait. */
static void environment_ends(void *data)
{
    struct server *server = data;
    if (server->over)
        return;
    server->over = true;
    for (uint32_t i = 0; i < server->workers; i++)
        carom_ring_abandon(server->rings[i].ring);
    carom_shutdown(server->service, 0);
    pthread_join(server->thread, NULL);
    server_free(server);
}

int threads_start(struct server *server)
{
    napi_value name;
    napi_create_string_utf8(server->env, "carom", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(server->env, NULL, NULL, name, 0, 1, NULL, NULL, server,
                                        called, &server->function) != napi_ok)
        return -CAROM_ENOMEM;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&server->thread, NULL, run, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        napi_release_threadsafe_function(server->function, napi_tsfn_abort);
        return -CAROM_ENOMEM;
    }
    napi_add_env_cleanup_hook(server->env, environment_ends, server);
    return 0;
}
