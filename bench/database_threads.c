/* database_threads: what examples/c/database.c does, by the other way: the worker hands a request
 * over to a thread, which asks PostgreSQL and blocks, and posts the answer back.
 *
 *     database_threads PORT CONNINFO
 *
 * It has as many workers and connections as that one, a thread for each connection, and the same
 * query. */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>

#include "../examples/c/serve.h"

#define WORKERS 2
#define THREADS (4 * WORKERS) /* CONNECTIONS of examples/c/database.c, for each worker */
#define QUERY   "SELECT json_build_object('name', $1::text), pg_sleep($2::float)"

struct job { /* in its record's state: the record is kept until `done` has fired */
    carom_record *record;
    carom_waker done;
    char name[64], seconds[16], json[128];
    uint16_t status;
    struct job *next;
};

static const char *conninfo;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;

static struct job *wait_for_job(void)
{
    pthread_mutex_lock(&lock);
    while (first == NULL)
        pthread_cond_wait(&work, &lock);
    struct job *job = first;
    first = job->next;
    if (first == NULL)
        last = &first;
    pthread_mutex_unlock(&lock);
    return job;
}

static void *ask(void *unused)
{
    PGconn *pg = PQconnectdb(conninfo);
    (void)unused;
    if (PQstatus(pg) != CONNECTION_OK)
        abort();
    for (;;) {
        struct job *job = wait_for_job();
        const char *values[] = {job->name, job->seconds};
        PGresult *result = PQexecParams(pg, QUERY, 2, NULL, values, NULL, NULL, 0);
        job->status = PQresultStatus(result) == PGRES_TUPLES_OK ? 200 : 500;
        snprintf(job->json, sizeof job->json, "%s",
                 job->status == 200 ? PQgetvalue(result, 0, 0) : "{}");
        PQclear(result);
        carom_post(job->record, &job->done);
    }
    return NULL;
}

static void on_done(carom_waker *waker, int status)
{
    struct job *job = OF(waker, struct job, done);
    const carom_response response = {.status = job->status,
                                     .content = {.data = job->json, .length = strlen(job->json)}};
    (void)status;
    carom_respond(job->record, &response);
    carom_release(job->record);
}

static void handle(carom_record *record, void *data)
{
    struct job *job = carom_record_state(record);
    carom_slice target = carom_request_target(record);
    char path[100] = "";
    (void)data;
    memcpy(path, target.data, target.length < 99 ? target.length : 99);
    *job = (struct job){.record = record, .done.wake = on_done, .seconds = "0"};
    sscanf(path, "/%63[^?]?%15[0-9.]", job->name, job->seconds);
    pthread_mutex_lock(&lock);
    *last = job;
    last = &job->next;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    pthread_t thread;
    if (argc < 3)
        return 2;
    conninfo = argv[2];
    for (int i = 0; i < THREADS; i++) /* they end with the process */
        if (pthread_create(&thread, NULL, ask, NULL) != 0)
            return 1;
    options.handler = handle;
    options.record_state = sizeof(struct job);
    options.workers = WORKERS;
    return serve_until_signal("database_threads", &options, argv[1]);
}
