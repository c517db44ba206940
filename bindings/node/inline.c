/* `io: 'inline'`: the engine is polled from Node's own loop. libuv is found at run time, because
 * Bun and Deno load this very binary and do not have it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#include "server.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <uv.h>

/* The calls of libuv that are needed here, as Node exports them. */
struct uv_calls {
    int (*poll_init)(uv_loop_t *loop, uv_poll_t *handle, int fd);
    int (*poll_start)(uv_poll_t *handle, int events, uv_poll_cb callback);
    int (*prepare_init)(uv_loop_t *loop, uv_prepare_t *handle);
    int (*prepare_start)(uv_prepare_t *handle, uv_prepare_cb callback);
    void (*close)(uv_handle_t *handle, uv_close_cb callback);
    void (*ref)(uv_handle_t *handle);
    void (*unref)(uv_handle_t *handle);
};

struct uv_side {
    uv_poll_t poll;
    uv_prepare_t prepare;
    int open; /* handles that are not closed yet */
};

static struct uv_calls uv;

static bool find_uv(void)
{
    const struct {
        const char *name;
        void *call;
    } wanted[] = {
        {"uv_poll_init", &uv.poll_init},
        {"uv_poll_start", &uv.poll_start},
        {"uv_prepare_init", &uv.prepare_init},
        {"uv_prepare_start", &uv.prepare_start},
        {"uv_close", &uv.close},
        {"uv_ref", &uv.ref},
        {"uv_unref", &uv.unref},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(RTLD_DEFAULT, wanted[i].name);
        if (found == NULL)
            return false;
        *(void **)wanted[i].call = found;
    }
    return true;
}

static void handle_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;
    if (--server->uv->open > 0)
        return;
    free(server->uv);
    server->uv = NULL;
    if (server->hook != NULL)
        napi_remove_async_cleanup_hook(server->hook);
    server->hook = NULL;
    server_finish(server);
}

static void close_handles(struct server *server)
{
    uv.close((uv_handle_t *)&server->uv->poll, handle_closed);
    uv.close((uv_handle_t *)&server->uv->prepare, handle_closed);
}

static void turn(struct server *server)
{
    if (server->over || server->in_turn)
        return;
    server->in_turn = true;
    int more = carom_service_turn(server->service);
    server->in_turn = false;
    if (more <= 0 && !server->over) {
        server->over = true;
        close_handles(server);
    }
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    turn(handle->data);
}

/* Answers that came later, from promises and timers, leave before the loop sleeps. */
static void before_sleep(uv_prepare_t *handle)
{
    struct server *server = handle->data;
    if (carom_ring_has_commands(server->rings[0].ring))
        turn(server);
}

void inline_wake(void *server_ring)
{
    struct server_ring *ring = server_ring;
    server_call_drain(ring->server);
}

void inline_reference(struct server *server, bool on)
{
    if (server->uv != NULL)
        (on ? uv.ref : uv.unref)((uv_handle_t *)&server->uv->poll);
}

/* The environment ends while the server runs. In a turn (process.exit in a handler) the stack below
 * us is ours and the process ends: everything is left as it is. */
static void environment_ends(napi_async_cleanup_hook_handle hook, void *data)
{
    struct server *server = data;
    (void)hook;
    if (server->in_turn || server->over)
        return;
    server->over = true;
    carom_ring_abandon(server->rings[0].ring);
    carom_shutdown(server->service, 0);
    while (carom_service_turn(server->service) > 0) {
    }
    close_handles(server);
}

int inline_start(struct server *server)
{
    uv_loop_t *loop;
    if (!find_uv() || napi_get_uv_event_loop(server->env, &loop) != napi_ok)
        return -CAROM_EUNSUPPORTED;
    int fd = carom_service_descriptor(server->service);
    if (fd < 0)
        return fd;
    struct uv_side *side = calloc(1, sizeof *side);
    if (side == NULL)
        return -CAROM_ENOMEM;
    if (uv.poll_init(loop, &side->poll, fd) < 0) {
        free(side);
        return -CAROM_ESYSTEM;
    }
    uv.prepare_init(loop, &side->prepare);
    side->poll.data = side->prepare.data = server;
    side->open = 2;
    server->uv = side;
    uv.poll_start(&side->poll, UV_READABLE, on_readable);
    uv.prepare_start(&side->prepare, before_sleep);
    uv.unref((uv_handle_t *)&side->prepare);
    napi_add_async_cleanup_hook(server->env, environment_ends, server, &server->hook);
    return 0;
}
