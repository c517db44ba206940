/* cache: Redis by hiredis, on the worker's own thread.
 *
 *     cache [PORT [SOCKET]]     SOCKET is that of Redis: /run/redis/redis-server.sock
 *
 *     GET /KEY      its value, or 404
 *     PUT /KEY      sets it to the content, for a minute
 *     POST /KEY     adds one to it, and answers the number
 *
 * Each worker has one connection, on which all commands are pipelined: hiredis says what it waits
 * for, and carom_watch_worker says when it is there. A record is kept until its answer has come;
 * when its client has left by then, it is for nobody. Without Redis the answer is 503, and a worker
 * tries again every second. No carom_ref is needed: hiredis calls on_reply once for each command,
 * when its connection is freed, too, and nothing else releases the record that waits there.
 */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "serve.h"

#define LARGEST 65536

struct request { /* in its record's state */
    carom_record *record;
    carom_waker content;
};

struct cache { /* a worker's */
    carom_worker *worker;
    redisAsyncContext *redis; /* NULL: not connected */
    carom_io socket;
    unsigned events; /* that hiredis waits for */
    carom_waker retry;
};

static const char *path = "/run/redis/redis-server.sock";

/* What hiredis asks of a loop: these five. */
static void want(struct cache *cache, unsigned events)
{
    cache->events = events;
    if (events == 0 || cache->redis == NULL)
        carom_unwatch(&cache->socket);
    else
        carom_watch_worker(cache->worker, &cache->socket, cache->redis->c.fd, events);
}

static void add_read(void *data)
{
    struct cache *cache = data;
    want(cache, cache->events | READ);
}

static void delete_read(void *data)
{
    struct cache *cache = data;
    want(cache, cache->events & ~(unsigned)READ);
}

static void add_write(void *data)
{
    struct cache *cache = data;
    want(cache, cache->events | WRITE);
}

static void delete_write(void *data)
{
    struct cache *cache = data;
    want(cache, cache->events & ~(unsigned)WRITE);
}

/* The connection is about to be closed and freed. */
static void clean_up(void *data)
{
    struct cache *cache = data;
    cache->redis = NULL;
    want(cache, 0);
    carom_wait_time_worker(cache->worker, 1000, &cache->retry); /* refused when the worker stops */
}

static void on_ready(carom_io *io, int events)
{
    struct cache *cache = OF(io, struct cache, socket);
    if (events < 0) /* the worker stops */
        redisAsyncFree(cache->redis);
    if (events > 0 && (events & READ))
        redisAsyncHandleRead(cache->redis);
    if (events > 0 && (events & WRITE) && cache->redis != NULL)
        redisAsyncHandleWrite(cache->redis);
}

static void connect_redis(carom_waker *waker, int status)
{
    struct cache *cache = OF(waker, struct cache, retry);
    if (status < 0) /* the worker stops */
        return;
    redisAsyncContext *redis = redisAsyncConnectUnix(path);
    if (redis == NULL || redis->err != 0) {
        redisAsyncFree(redis);
        carom_wait_time_worker(cache->worker, 1000, &cache->retry);
        return;
    }
    cache->redis = redis;
    redis->ev.data = cache;
    redis->ev.addRead = add_read;
    redis->ev.delRead = delete_read;
    redis->ev.addWrite = add_write;
    redis->ev.delWrite = delete_write;
    redis->ev.cleanup = clean_up;
}

static void finish(carom_record *record, uint16_t status, const char *text, size_t length)
{
    const carom_response response = {.status = status, .content = {.data = text, .length = length}};
    carom_respond(record, &response);
    carom_release(record);
}

static void on_reply(redisAsyncContext *redis, void *data, void *record)
{
    const redisReply *reply = data; /* NULL: the connection broke */
    char number[32];
    (void)redis;
    if (reply == NULL)
        finish(record, 503, "", 0);
    else if (reply->type == REDIS_REPLY_INTEGER)
        finish(record, 200, number,
               (size_t)snprintf(number, sizeof number, "%lld\n", reply->integer));
    else if (reply->type == REDIS_REPLY_NIL)
        finish(record, 404, "", 0);
    else
        finish(record, reply->type == REDIS_REPLY_ERROR ? 500 : 200, reply->str,
               (size_t)reply->len);
}

/* It is one of three; 0 is hiredis' word for "it is on its way". */
static void command(carom_record *record, const char *verb, carom_slice content)
{
    const struct cache *cache = carom_worker_data(carom_record_worker(record));
    carom_slice key = carom_request_target(record);
    const char *words[] = {verb, key.data, content.data, "EX", "60"};
    const size_t lengths[] = {strlen(verb), key.length, content.length, 2, 2};
    int count = strcmp(verb, "SET") == 0 ? 5 : 2;
    if (cache->redis == NULL ||
        redisAsyncCommandArgv(cache->redis, on_reply, record, count, words, lengths) != 0)
        finish(record, 503, "", 0);
}

static void on_content(carom_waker *waker, int status)
{
    carom_record *record = OF(waker, struct request, content)->record;
    static _Thread_local char value[LARGEST];
    carom_slice piece, whole = {value, 0};
    if (status < 0) {
        finish(record, 413, "", 0); /* or its client has left */
        return;
    }
    while (carom_request_read(record, &piece) > 0) {
        memcpy(value + whole.length, piece.data, piece.length);
        whole.length += piece.length;
    }
    command(record, "SET", whole);
}

static void handle(carom_record *record, void *data)
{
    struct request *request = carom_record_state(record);
    carom_slice method = carom_request_method(record), none = {"", 0};
    (void)data;
    if (method.length == 3 && memcmp(method.data, "PUT", 3) == 0) {
        *request = (struct request){record, {.wake = on_content}};
        carom_request_collect(record, LARGEST, &request->content);
    } else {
        command(record, method.length == 4 ? "INCR" : "GET", none);
    }
}

static int on_start(carom_worker *worker, void *caches)
{
    struct cache *cache = (struct cache *)caches + carom_worker_index(worker);
    carom_worker_set_data(worker, cache);
    *cache =
        (struct cache){.worker = worker, .socket.ready = on_ready, .retry.wake = connect_redis};
    connect_redis(&cache->retry, 0);
    return 0;
}

int main(int argc, char **argv)
{
    static struct cache caches[2];
    carom_options options = CAROM_OPTIONS_INIT;
    path = argc > 2 ? argv[2] : path;
    options.handler = handle;
    options.record_state = sizeof(struct request);
    options.workers = 2;
    options.on_start = on_start;
    options.worker_data = caches;
    return serve_until_signal("cache", &options, argv[1]);
}
