/* database: answers from PostgreSQL, asked by libpq without blocking, on the worker's own thread.
 *
 *     database [PORT [CONNINFO]]     CONNINFO as libpq takes it: "host=/run/postgresql dbname=x"
 *
 *     GET /NAME?SECONDS    {"name": "NAME"}, after the database has slept
 *
 * Each worker has a pool of connections. A request takes one that is free or waits in a queue; when
 * its client leaves, its answer is for nobody. What breaks is opened again after a second. */
#include <libpq-fe.h>

#include "serve.h"

#define CONNECTIONS 4 /* of a worker */
#define QUERY       "SELECT json_build_object('name', $1::text), pg_sleep($2::float)"

struct request {          /* in its record's state */
    carom_record *record; /* no handle: this, its waker and its place in the queue end with it */
    carom_waker gone;     /* the client has left */
    char name[64], seconds[16];
    struct request *next, **from; /* the queue; from is NULL when it has left that */
};

struct connection {
    struct pool *pool;
    PGconn *pg;
    carom_io socket;
    carom_waker retry;
    enum { OPENING, IDLE, BUSY } state;
    carom_ref asked; /* the record that it works for, which may be over before the result comes */
};

struct pool {
    carom_worker *worker;
    struct connection connections[CONNECTIONS];
    struct request *first, **last; /* the queue */
};

static const char *conninfo = "host=/run/postgresql dbname=postgres";

/* Answer the record that the connection works for, if it is there still, and nobody after it. */
static void finish(struct connection *connection, uint16_t status, const char *json)
{
    const carom_response response = {.status = status, .content = {json, strlen(json), NULL, NULL}};
    carom_record *record = carom_record_get(connection->asked);
    connection->asked = (carom_ref){NULL, 0};
    if (record == NULL)
        return;
    carom_respond(record, &response);
    carom_release(record);
}

static void dequeue(struct pool *pool, struct request *request)
{
    if (request->from == NULL)
        return;
    *request->from = request->next;
    *(request->next != NULL ? &request->next->from : &pool->last) = request->from;
    request->from = NULL;
}

static void watch(struct connection *c, unsigned events)
{
    carom_watch_worker(c->pool->worker, &c->socket, PQsocket(c->pg), events);
}

/* Close it, and try again later. Who waits for it has no answer. */
static void broken(struct connection *connection)
{
    carom_unwatch(&connection->socket);
    PQfinish(connection->pg);
    connection->state = OPENING;
    finish(connection, 503, "{\"error\": \"the database is not there\"}");
    carom_wait_time_worker(connection->pool->worker, 1000, &connection->retry);
}

/* Give requests that wait to connections that are free. */
static void serve(struct pool *pool)
{
    for (int i = 0; i < CONNECTIONS && pool->first != NULL; i++) {
        struct connection *connection = &pool->connections[i];
        struct request *request = pool->first;
        const char *values[] = {request->name, request->seconds};
        if (connection->state != IDLE)
            continue;
        dequeue(pool, request);
        connection->asked = carom_record_ref(request->record);
        connection->state = BUSY;
        watch(connection, READ | WRITE);
        if (PQsendQueryParams(connection->pg, QUERY, 2, NULL, values, NULL, NULL, 0) != 1)
            broken(connection);
    }
}

/* While it is opened libpq may change the socket. */
static void open_on(struct connection *connection)
{
    PostgresPollingStatusType status = PQconnectPoll(connection->pg);
    carom_unwatch(&connection->socket);
    if (status == PGRES_POLLING_OK && PQsetnonblocking(connection->pg, 1) == 0)
        connection->state = IDLE;
    if (status == PGRES_POLLING_FAILED)
        broken(connection);
    else
        watch(connection, status == PGRES_POLLING_WRITING ? WRITE : READ);
}

/* Take what has come: a result, then the end of results, after which it is free again. */
static void read_on(struct connection *connection)
{
    int unsent = PQflush(connection->pg);
    if (PQconsumeInput(connection->pg) == 0 || unsent < 0) {
        broken(connection);
        return;
    }
    watch(connection, unsent ? READ | WRITE : READ);
    while (connection->state == BUSY && !PQisBusy(connection->pg)) {
        PGresult *result = PQgetResult(connection->pg);
        int good = PQresultStatus(result) == PGRES_TUPLES_OK;
        if (result == NULL)
            connection->state = IDLE;
        else
            finish(connection, good ? 200 : 500, good ? PQgetvalue(result, 0, 0) : "{}");
        PQclear(result);
    }
}

static void on_ready(carom_io *io, int events)
{
    struct connection *connection = OF(io, struct connection, socket);
    if (events < 0) { /* the worker stops */
        PQfinish(connection->pg);
        return;
    }
    (connection->state == OPENING ? open_on : read_on)(connection);
    serve(connection->pool);
}

static void open_connection(carom_waker *waker, int status)
{
    struct connection *connection = OF(waker, struct connection, retry);
    if (status < 0) /* the worker stops */
        return;
    connection->pg = PQconnectStart(conninfo);
    if (PQstatus(connection->pg) == CONNECTION_BAD)
        broken(connection);
    else
        watch(connection, WRITE);
}

static int on_start(carom_worker *worker, void *pools)
{
    struct pool *pool = (struct pool *)pools + carom_worker_index(worker);
    carom_worker_set_data(worker, pool);
    *pool = (struct pool){.worker = worker, .last = &pool->first};
    for (int i = 0; i < CONNECTIONS; i++) {
        pool->connections[i] = (struct connection){.pool = pool, .socket.ready = on_ready};
        pool->connections[i].retry.wake = open_connection;
        open_connection(&pool->connections[i].retry, 0);
    }
    return 0;
}

static void on_gone(carom_waker *waker, int status)
{
    struct request *request = OF(waker, struct request, gone);
    (void)status;
    dequeue(carom_worker_data(carom_record_worker(request->record)), request);
    carom_release(request->record);
}

static void handle(carom_record *record, void *data)
{
    struct request *request = carom_record_state(record);
    struct pool *pool = carom_worker_data(carom_record_worker(record));
    carom_slice target = carom_request_target(record);
    char path[100] = "";
    (void)data;
    memcpy(path, target.data, target.length < 99 ? target.length : 99);
    *request = (struct request){.record = record, .gone.wake = on_gone, .seconds = "0"};
    sscanf(path, "/%63[^?]?%15[0-9.]", request->name, request->seconds);
    carom_wait(record, CAROM_CANCELLED, &request->gone);
    request->from = pool->last;
    *pool->last = request;
    pool->last = &request->next;
    serve(pool);
}

int main(int argc, char **argv)
{
    static struct pool pools[2];
    carom_options options = CAROM_OPTIONS_INIT;
    conninfo = argc > 2 ? argv[2] : conninfo;
    options.handler = handle;
    options.record_state = sizeof(struct request);
    options.workers = 2;
    options.on_start = on_start;
    options.worker_data = pools;
    return serve_until_signal("database", &options, argv[1]);
}
