/* A server of JavaScript: a service and its rings, and how the engine's turns and JavaScript's come
 * together. */
#ifndef CAROM_NODE_SERVER_H
#define CAROM_NODE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <carom.h>
#include <carom_ring.h>

#define NAPI_VERSION 8
#include <node_api.h>

struct route;
struct server;

struct server_ring {
    struct server *server;
    carom_ring *ring;
};

struct server {
    napi_env env;
    carom_service *service;
    uint32_t workers;
    struct server_ring *rings; /* one for each worker */
    struct route *routes;
    napi_ref drain;                    /* function(): take the events of all rings */
    napi_ref finished;                 /* function(): everything has ended */
    napi_ref memory;                   /* array: keeps the blocks of the rings alive */
    struct uv_side *uv;                /* inline: the handles in the loop of Node */
    napi_threadsafe_function function; /* threads: wakes JavaScript */
    pthread_t thread;
    napi_async_cleanup_hook_handle hook; /* inline */
    bool running;
    bool in_turn;
    bool over;
    uint64_t calls; /* into JavaScript */
};

/* ---- server.c: what both ways share ---- */

/* The ring of a server and an index, as JavaScript names them; NULL: there is none. */
struct server_ring *server_ring_of(napi_env env, napi_value value, napi_value index);
/* Call the drain function as a callback of the event loop: ticks and microtasks run after it. */
void server_call_drain(struct server *server);
/* The service has drained: tell JavaScript, and free everything but the struct. */
void server_finish(struct server *server);
/* Free everything but the struct, and let go of what JavaScript gave. */
void server_discard(struct server *server);
/* JavaScript is going away: nothing is called back any more. */
void server_free(struct server *server);

/* ---- inline.c: turns from Node's own loop ---- */

/* 0, or a negative error. */
int inline_start(struct server *server);
void inline_wake(void *server_ring);
void inline_reference(struct server *server, bool on);

/* ---- threads.c: turns on threads of the engine ---- */

int threads_start(struct server *server);
void threads_wake(void *server_ring);
void threads_reference(struct server *server, bool on);

/* ---- tls.c: TLS ---- */

/* carom_service_listen_tls and carom_tls_replace, with options of JavaScript's. */
int tls_listen(struct server *server, const char *address, napi_value object);
int tls_replace(struct server *server, napi_value object);
/* Takes the log of a service: what is said in a call is kept for tls_said on the same thread. */
void tls_note(void *data, carom_log_level level, const char *line);
/* said(): what the engine had to say of the last of these calls; undefined: nothing. */
napi_value tls_said(napi_env env, napi_callback_info info);
/* selfSigned(names): { cert, key }, or a negative error. */
napi_value tls_self_signed(napi_env env, napi_callback_info info);
/* What is known of the TLS of the request in a slot, or null. */
napi_value tls_describe(napi_env env, carom_ring *ring, uint32_t slot);

/* ---- settings.c: what a server may be told ---- */

/* Take the settings that the object has: numbers, -1 for "off"; the rest of `options` stays. */
void settings_read(napi_env env, napi_value object, carom_options *options);

/* ---- connections.c: connections ---- */

/* connection(server, ring): the news of one connection, [number, news, family, port, text, secure,
 * reason, received, sent], or undefined */
napi_value connections_take(napi_env env, napi_callback_info info);
/* forgetConnection(server, ring, number) */
napi_value connections_forget(napi_env env, napi_callback_info info);
/* closeConnection(server, ring, number, how): how: enum carom_ring_close */
napi_value connections_close(napi_env env, napi_callback_info info);
/* keepAlive(server, ring, number, seconds): 0: off */
napi_value connections_keep_alive(napi_env env, napi_callback_info info);
/* traffic(server, ring, number): [received, sent] */
napi_value connections_traffic(napi_env env, napi_callback_info info);

/* ---- sockets.c: WebSockets ---- */

/* addSockets(server, ring, memory, most, newsSize, messagesSize): 0 or a negative error. memory: an
 * ArrayBuffer, which the caller keeps until the server has finished */
napi_value sockets_add(napi_env env, napi_callback_info info);
/* addSocketSettings(server, ring, settings): their number, or a negative error */
napi_value sockets_settings(napi_env env, napi_callback_info info);
/* Add what is counted of sockets to what stats(server) returns. */
void sockets_stats(napi_env env, napi_value result, const carom_stats *stats);

/* ---- memory.c: the C library's memory ---- */

/* Have the process keep memory that buffers of JavaScript's were in, for the next ones. Once; any
 * thread. */
void memory_keep(void);

/* ---- routes.c: answers that never enter JavaScript ---- */

/* 0 or -CAROM_ENOMEM. */
int route_add(struct server *server, const char *path, size_t path_length, uint16_t status,
              const uint8_t *fields, size_t fields_length, const uint8_t *body, size_t body_length);
/* The handler: a route, or the ring. */
void route_handle(carom_record *record, void *data);
void routes_free(struct server *server);

#endif
