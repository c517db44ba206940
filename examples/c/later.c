/* later: answer when the answer is there, not before the handler returns.
 *
 *     later [PORT]
 *
 *     GET /timer/MILLISECONDS   answered by a timer of the engine
 *     GET /work/MILLISECONDS    answered by a pool of two threads that block, as a database would
 *
 * A record stays the handler's until carom_release. What the wait needs lives in the record's own
 * state (options.record_state), so nothing is allocated and nothing can be forgotten. A client that
 * leaves is noticed by the `gone` waker and said so on standard output.
 */
#define _POSIX_C_SOURCE 200809L
#include <carom.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS 2

/* One answer that is waited for. A waker's function finds it as `waker` minus its place in here. */
struct job {
    carom_record *record;
    carom_waker ready; /* the timer, or carom_post from a thread: the answer is there */
    carom_waker gone;  /* the client has left */
    unsigned long milliseconds;
    atomic_bool unwanted; /* set by the worker, read by the thread */
    bool at_work;         /* a thread has this job, and with it a pointer to the record */
    struct job *next;
};

#define JOB_OF(waker, member)                                                                      \
    ((struct job *)(void *)(((char *)(waker)) - offsetof(struct job, member)))

static carom_service *service;

/* ------------------------------------------------------------------ the pool of threads */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_or_end = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static bool ending;

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
        carom_post(job->record, &job->ready); /* back to the worker; `job` is not ours any more */

        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void give_to_threads(struct job *job)
{
    job->at_work = true;
    pthread_mutex_lock(&lock);
    *last = job;
    last = &job->next;
    pthread_cond_signal(&work_or_end);
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ on the worker */

static int respond_text(carom_record *record, int status, const char *text)
{
    static const carom_field fields[] = {{CAROM_SLICE("content-type"), CAROM_SLICE("text/plain")}};
    carom_response response = {
        .status = (uint16_t)status,
        .fields = fields,
        .field_count = 1,
        .content = {.data = text, .length = strlen(text)}, /* no give_back: copied */
    };

    return carom_respond(record, &response);
}

/* The timer has fired or the thread has posted: answer. If the client left while a thread was at
 * work, the answer is refused, which is all that there is to handle. */
static void on_ready(carom_waker *waker, int status)
{
    struct job *job = JOB_OF(waker, ready);
    char text[64];

    (void)status; /* carom_respond says the same */
    snprintf(text, sizeof text, "%lu ms by %s\n", job->milliseconds,
             job->at_work ? "a thread" : "a timer");
    if (respond_text(job->record, 200, text) == -CAROM_ECANCELED)
        printf("later: an answer of %lu ms was for nobody\n", job->milliseconds);
    carom_release(job->record);
}

/* The client has left. A timer can be dropped at once: releasing disarms it. A thread cannot be
 * called back, so the record is kept until its post arrives in on_ready. */
static void on_gone(carom_waker *waker, int status)
{
    struct job *job = JOB_OF(waker, gone);

    (void)status;
    printf("later: a client left before its answer of %lu ms (%s)\n", job->milliseconds,
           carom_reason_name(carom_record_outcome(job->record).reason));
    atomic_store(&job->unwanted, true);
    if (!job->at_work)
        carom_release(job->record);
}

static void handle(carom_record *record, void *data)
{
    struct job *job = carom_record_state(record); /* sizeof(struct job) zeroed bytes */
    carom_slice target = carom_request_target(record);
    char path[64];
    int length = 0;

    (void)data;
    snprintf(path, sizeof path, "%.*s", (int)(target.length < 63 ? target.length : 63),
             target.data);
    job->record = record;
    job->ready.wake = on_ready;
    job->gone.wake = on_gone;
    if (sscanf(path, "/timer/%5lu%n", &job->milliseconds, &length) == 1 && path[length] == '\0') {
        carom_wait(record, CAROM_CANCELLED, &job->gone);
        carom_wait_time(record, (uint32_t)job->milliseconds, &job->ready);
    } else if (sscanf(path, "/work/%5lu%n", &job->milliseconds, &length) == 1 &&
               path[length] == '\0') {
        carom_wait(record, CAROM_CANCELLED, &job->gone);
        give_to_threads(job);
    } else {
        respond_text(record, 404, "Ask for /timer/500 or /work/500 (milliseconds).\n");
        carom_release(record);
    }
}

static void on_signal(int number)
{
    static volatile sig_atomic_t asked;

    (void)number;
    carom_shutdown(service, asked ? 0 : 10000);
    asked = 1;
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t threads[THREADS];
    carom_address address;
    char listen_on[64];
    int error;

    options.handler = handle;
    options.record_state = sizeof(struct job);
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error != 0) {
        fprintf(stderr, "later: cannot listen on %s: %s\n", listen_on, carom_error_text(error));
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    printf("later: try curl http://localhost:%d/timer/500 and /work/500\n", address.port);

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            abort();
    error = carom_run(service); /* returns when every record is released: no thread has a job */

    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_broadcast(&work_or_end);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    carom_service_destroy(service);
    return error != 0;
}
