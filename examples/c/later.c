/* later: answer when the answer is there, not before the handler returns.
 *
 *     later [PORT]
 *
 *     GET /timer/MILLISECONDS   answered by a timer of the engine
 *     GET /work/MILLISECONDS    answered by a pool of two threads that block, as a database would
 *
 * What the engine waits with, a timer, lives in the record's own state (options.record_state) and
 * ends with it. A thread's job does not: a client may leave, and its record be released, while the
 * thread is at work. So a job has memory of its own and keeps a carom_ref, which says when it is
 * done whether the record is still there. When a client leaves, a line on standard output says so.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "serve.h"

#define THREADS 2

struct job { /* of the threads */
    carom_ref record;
    carom_worker *worker;
    carom_waker done; /* told of on the worker */
    unsigned long milliseconds;
    atomic_bool unwanted; /* set by the worker, read by the thread */
    struct job *next;
};

struct wait {              /* in its record's state */
    carom_record *record;  /* no handle: this and its wakers end with the record */
    carom_waker due, gone; /* the time has come; the client has left */
    unsigned long milliseconds;
    struct job *job; /* NULL: a timer waits, no thread */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_or_end = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static bool ending;
static pthread_t threads[THREADS];

static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (first == NULL && !ending)
            pthread_cond_wait(&work_or_end, &lock);
        if (first == NULL)
            break;
        struct job *job = first;
        first = job->next;
        if (first == NULL)
            last = &first;
        pthread_mutex_unlock(&lock);
        if (!atomic_load(&job->unwanted)) {
            struct timespec pause = {.tv_sec = (time_t)(job->milliseconds / 1000),
                                     .tv_nsec = (long)(job->milliseconds % 1000) * 1000000};
            nanosleep(&pause, NULL); /* here a program asks its database */
        }
        if (carom_post_worker(job->worker, &job->done) < 0)
            free(job); /* the worker has stopped; else the job is the worker's now */
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void give_to_threads(struct job *job)
{
    pthread_mutex_lock(&lock);
    *last = job;
    last = &job->next;
    pthread_cond_signal(&work_or_end);
    pthread_mutex_unlock(&lock);
}

static void finish(carom_record *record, uint16_t status, const char *text)
{
    static const carom_field type = {CAROM_SLICE("content-type"), CAROM_SLICE("text/plain")};
    const carom_response response = {.status = status,
                                     .fields = &type,
                                     .field_count = 1,
                                     .content = {.data = text, .length = strlen(text)}};
    carom_respond(record, &response); /* refused when the client has left */
    carom_release(record);
}

static void answer(carom_record *record, unsigned long milliseconds, const char *by)
{
    char text[64];
    snprintf(text, sizeof text, "%lu ms by %s\n", milliseconds, by);
    finish(record, 200, text);
}

static void on_due(carom_waker *waker, int status)
{
    struct wait *wait = OF(waker, struct wait, due);
    (void)status; /* carom_respond says the same */
    answer(wait->record, wait->milliseconds, "a timer");
}

/* A thread is done. Its record may have been released long ago, and be another client's. */
static void on_done(carom_waker *waker, int status)
{
    struct job *job = OF(waker, struct job, done);
    carom_record *record = carom_record_get(job->record);
    (void)status;
    if (record != NULL)
        answer(record, job->milliseconds, "a thread");
    else
        printf("later: an answer of %lu ms was for nobody\n", job->milliseconds);
    free(job);
}

static void on_gone(carom_waker *waker, int status)
{
    struct wait *wait = OF(waker, struct wait, gone);
    (void)status;
    printf("later: a client left before its answer of %lu ms (%s)\n", wait->milliseconds,
           carom_reason_name(carom_record_outcome(wait->record).reason));
    if (wait->job != NULL)
        atomic_store(&wait->job->unwanted, true);
    carom_release(wait->record); /* with its timer */
}

static void ask_thread(carom_record *record, struct wait *wait)
{
    struct job *job = wait->job = calloc(1, sizeof *job);
    if (job == NULL) {
        finish(record, 503, "No memory for the job.\n");
        return;
    }
    job->record = carom_record_ref(record);
    job->worker = carom_record_worker(record);
    job->done.wake = on_done;
    job->milliseconds = wait->milliseconds;
    carom_wait(record, CAROM_CANCELLED, &wait->gone);
    give_to_threads(job);
}

static void handle(carom_record *record, void *data)
{
    struct wait *wait = carom_record_state(record); /* sizeof(struct wait) zeroed bytes */
    carom_slice target = carom_request_target(record);
    char path[64];
    int length = 0;
    (void)data;
    snprintf(path, sizeof path, "%.*s", (int)(target.length < 63 ? target.length : 63),
             target.data);
    *wait = (struct wait){.record = record, .due.wake = on_due, .gone.wake = on_gone};
    if (sscanf(path, "/timer/%5lu%n", &wait->milliseconds, &length) == 1 && path[length] == '\0') {
        carom_wait(record, CAROM_CANCELLED, &wait->gone);
        carom_wait_time(record, (uint32_t)wait->milliseconds, &wait->due);
    } else if (sscanf(path, "/work/%5lu%n", &wait->milliseconds, &length) == 1 &&
               path[length] == '\0') {
        ask_thread(record, wait);
    } else {
        finish(record, 404, "Ask for /timer/500 or /work/500 (milliseconds).\n");
    }
}

/* The threads begin before the worker's first request and end after its last. */
static int on_start(carom_worker *worker, void *data)
{
    (void)worker, (void)data;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            abort();
    return 0;
}

static void on_stop(carom_worker *worker, void *data)
{
    (void)worker, (void)data;
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&work_or_end);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = handle;
    options.record_state = sizeof(struct wait);
    options.on_start = on_start;
    options.on_stop = on_stop;
    shutdown_deadline = 10000;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    return serve_until_signal("later", &options, argc > 1 ? argv[1] : NULL);
}
