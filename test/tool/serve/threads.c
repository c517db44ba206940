/* Exchanges that leave their worker's thread: /thread (a fixed pool of threads answers them by way
 * of carom_post) and /hold (they wait for /release, on whichever worker that arrives). */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "tool/serve/serve.h"

#define THREADS_MAX 16

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct exchange *first, *last;
    bool stop;
    unsigned count;
    pthread_t threads[THREADS_MAX];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static void *thread_main(void *unused)
{
    (void)unused;
    (void)pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct exchange *exchange = pool.first;
        if (exchange == NULL) {
            if (pool.stop)
                break;
            (void)pthread_cond_wait(&pool.work, &pool.lock);
            continue;
        }
        pool.first = exchange->next;
        (void)pthread_mutex_unlock(&pool.lock);
        uint32_t wait = exchange->milliseconds;
        if (wait > 0) {
            struct timespec time = {wait / 1000, (long)(wait % 1000) * 1000000};
            (void)nanosleep(&time, NULL);
        }
        carom_post(exchange->record, &exchange->waker);
        (void)pthread_mutex_lock(&pool.lock);
    }
    (void)pthread_mutex_unlock(&pool.lock);
    return NULL;
}

int threads_start(unsigned count)
{
    for (pool.count = 0; pool.count < count && pool.count < THREADS_MAX; pool.count++) {
        if (pthread_create(&pool.threads[pool.count], NULL, thread_main, NULL) != 0) {
            (void)fprintf(stderr, "serve: no thread\n");
            return 1;
        }
    }
    return 0;
}

void threads_stop(void)
{
    (void)pthread_mutex_lock(&pool.lock);
    pool.stop = true;
    (void)pthread_cond_broadcast(&pool.work);
    (void)pthread_mutex_unlock(&pool.lock);
    for (unsigned i = 0; i < pool.count; i++)
        (void)pthread_join(pool.threads[i], NULL);
}

static void thread_wake(carom_waker *waker, int status)
{
    (void)status;
    static const char text[] = "thread\n";
    answer_static(EXCHANGE_OF(waker, waker), 200, text, sizeof(text) - 1);
}

/* /thread?ms=N: a thread works for N ms (0: at once) and comes back. */
void route_thread(struct exchange *exchange)
{
    exchange->milliseconds = (uint32_t)query_number(exchange->record, "ms", 0);
    exchange->waker.wake = thread_wake;
    exchange->next = NULL;
    (void)pthread_mutex_lock(&pool.lock);
    if (pool.first == NULL)
        pool.first = exchange;
    else
        pool.last->next = exchange;
    pool.last = exchange;
    (void)pthread_cond_signal(&pool.work);
    (void)pthread_mutex_unlock(&pool.lock);
}

/* The held ones, in no order; `linked` is theirs. */
static struct {
    pthread_mutex_t lock;
    struct exchange *first;
} held = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Take an exchange out; false when /release has it already. */
static bool held_remove(struct exchange *exchange)
{
    (void)pthread_mutex_lock(&held.lock);
    bool was = exchange->linked;
    if (was) {
        exchange->linked = false;
        if (exchange->next != NULL)
            exchange->next->last = exchange->last;
        if (exchange->last != NULL)
            exchange->last->next = exchange->next;
        else
            held.first = exchange->next;
    }
    (void)pthread_mutex_unlock(&held.lock);
    return was;
}

static void hold_released(carom_waker *waker, int status)
{
    (void)status;
    struct exchange *exchange = EXCHANGE_OF(waker, waker);
    if (exchange->begun) {
        note_result(carom_end(exchange->record, NULL, 0));
        carom_release(exchange->record);
        return;
    }
    static const char text[] = "held\n";
    answer_static(exchange, 200, text, sizeof(text) - 1);
}

static void hold_cancelled(carom_waker *waker, int status)
{
    (void)status;
    struct exchange *exchange = EXCHANGE_OF(waker, cancelled);
    /* A waker that was posted still has to fire: then hold_released lets go. */
    if (held_remove(exchange))
        carom_release(exchange->record);
}

/* /hold: answered by /release, or let go when the client leaves. /hold?begin=1 has sent its head.
 */
void route_hold(struct exchange *exchange)
{
    if (query_number(exchange->record, "begin", 0) != 0) {
        carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
        note_result(carom_respond_begin(exchange->record, &response));
        carom_content content = {"begun\n", 6, carom_static_content, NULL};
        note_result(carom_write(exchange->record, &content));
        exchange->begun = true;
    }
    exchange->waker.wake = hold_released;
    exchange->cancelled.wake = hold_cancelled;
    note_result(carom_wait(exchange->record, CAROM_CANCELLED, &exchange->cancelled));
    (void)pthread_mutex_lock(&held.lock);
    exchange->linked = true;
    exchange->last = NULL;
    exchange->next = held.first;
    if (held.first != NULL)
        held.first->last = exchange;
    held.first = exchange;
    (void)pthread_mutex_unlock(&held.lock);
}

/* /release: answers all that are held, and then with how many. */
void route_release(struct exchange *exchange)
{
    (void)pthread_mutex_lock(&held.lock);
    unsigned count = 0;
    while (held.first != NULL) {
        struct exchange *next = held.first;
        held.first = next->next;
        next->linked = false;
        carom_post(next->record, &next->waker);
        count++;
    }
    (void)pthread_mutex_unlock(&held.lock);
    char text[16];
    (void)snprintf(text, sizeof(text), "%u\n", count);
    answer_text(exchange, 200, text);
}
