/* Workers with threads of their own: their beginning and end, posts from other threads, and
 * descriptors watched, on the backend that CAROM_BACKEND names. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "unit/net/support.h"

#include "service/service.h"

#define WORKERS 3
#define POSTS   200

/* A worker's own, and what happened on it. */
struct own {
    carom_worker *worker;
    carom_io io;
    int fds[2];
    int bytes, ends;
    carom_waker posts[2][POSTS]; /* of each of two posters */
    int next[2];                 /* that is to fire */
    int cancelled;
};

static carom_service *service;
static struct own owns[WORKERS];
static _Thread_local struct own *here; /* whose thread this is */
static atomic_int started, stopped, done;
static int fail_at = -1;

static void shut_down_when_done(void)
{
    if (atomic_fetch_add(&done, 1) + 1 == WORKERS)
        carom_shutdown(service, CAROM_OFF);
}

/* A worker is done when all posts have fired and all bytes have come. */
static void look_whether_done(const struct own *own)
{
    if (own->next[0] == POSTS && own->next[1] == POSTS && own->bytes == POSTS)
        shut_down_when_done();
}

static void on_ready(carom_io *io, int events)
{
    struct own *own = carom_container(io, struct own, io);
    char byte;
    assert_ptr_equal(own, here);
    if (events < 0) {
        own->ends++;
        close(own->fds[0]);
        return;
    }
    assert_int_equal(events, CAROM_WATCH_READABLE);
    while (read(own->fds[0], &byte, 1) == 1)
        own->bytes++;
    look_whether_done(own);
}

static void on_post(carom_waker *waker, int status)
{
    struct own *own = here;
    assert_int_equal(status, 0);
    int poster = waker >= own->posts[1];
    assert_ptr_equal(waker, &own->posts[poster][own->next[poster]]);
    own->next[poster]++;
    look_whether_done(own);
}

static int on_start(carom_worker *worker, void *data)
{
    uint32_t index = carom_worker_index(worker);
    assert_true(index < WORKERS);
    struct own *own = &owns[index];
    assert_ptr_equal(data, owns);
    assert_ptr_equal(worker, carom_service_worker(service, index));
    if ((int)index == fail_at)
        return -CAROM_EACCES;
    own->worker = worker;
    here = own;
    carom_worker_set_data(worker, own);
    own->io.ready = on_ready;
    assert_int_equal(carom_watch_worker(worker, &own->io, own->fds[0], CAROM_WATCH_READABLE), 0);
    atomic_fetch_add(&started, 1);
    return 0;
}

static void on_stop(carom_worker *worker, void *data)
{
    (void)data;
    const struct own *own = carom_worker_data(worker);
    assert_ptr_equal(own, here);
    assert_int_equal(own->ends, 1);
    atomic_fetch_add(&stopped, 1);
}

static void never_called(carom_record *record, void *data)
{
    (void)data;
    carom_release(record);
}

static void create(void)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = never_called;
    options.workers = WORKERS;
    options.backend = backend_is_uring() ? "uring" : "epoll";
    options.on_start = on_start;
    options.on_stop = on_stop;
    options.worker_data = owns;
    memset(owns, 0, sizeof owns);
    atomic_store(&started, 0);
    atomic_store(&stopped, 0);
    atomic_store(&done, 0);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pipe2(owns[i].fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(carom_service_create(&service, &options), 0);
}

static void *run(void *data)
{
    *(int *)data = carom_run(service);
    return NULL;
}

struct poster {
    pthread_t thread;
    int number;
};

/* To all workers in turn; the first of them posts while they may not have begun. */
static void *post(void *data)
{
    int number = ((struct poster *)data)->number;
    for (int i = 0; i < POSTS; i++)
        for (uint32_t worker = 0; worker < WORKERS; worker++) {
            carom_waker *waker = &owns[worker].posts[number][i];
            waker->wake = on_post;
            assert_int_equal(carom_post_worker(carom_service_worker(service, worker), waker), 0);
            if (number == 0)
                assert_int_equal(write(owns[worker].fds[1], "x", 1), 1);
        }
    return NULL;
}

static void posts_and_bytes_come_to_their_workers_in_order(void **state)
{
    (void)state;
    struct poster posters[2] = {{.number = 0}, {.number = 1}};
    pthread_t runner;
    int result = 1;
    fail_at = -1;
    create();
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post, &posters[i]), 0);
    assert_int_equal(pthread_create(&runner, NULL, run, &result), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    assert_int_equal(pthread_join(runner, NULL), 0);
    assert_int_equal(result, 0);
    assert_int_equal(atomic_load(&started), WORKERS);
    assert_int_equal(atomic_load(&stopped), WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        carom_waker late = {.wake = on_post};
        assert_int_equal(carom_post_worker(owns[i].worker, &late), -CAROM_ESTATE);
        close(owns[i].fds[1]);
    }
    assert_int_equal(carom_service_destroy(service), 0);
}

static atomic_int fired;

static void count_fired(carom_waker *waker, int status)
{
    (void)waker;
    assert_int_equal(status, 0);
    atomic_fetch_add(&fired, 1);
}

/* One post at a time, each to a worker that has nothing else to wake it. */
static void a_post_wakes_a_worker_that_sleeps(void **state)
{
    (void)state;
    pthread_t runner;
    int result = 1;
    fail_at = -1;
    create();
    assert_int_equal(pthread_create(&runner, NULL, run, &result), 0);
    for (int i = 0; i < 10 * WORKERS; i++) {
        carom_waker waker = {.wake = count_fired};
        carom_worker *worker = carom_service_worker(service, (uint32_t)i % WORKERS);
        assert_int_equal(carom_post_worker(worker, &waker), 0);
        while (atomic_load(&fired) <= i)
            usleep(100);
    }
    carom_shutdown(service, CAROM_OFF);
    assert_int_equal(pthread_join(runner, NULL), 0);
    assert_int_equal(result, 0);
    for (int i = 0; i < WORKERS; i++)
        close(owns[i].fds[1]);
    assert_int_equal(carom_service_destroy(service), 0);
}

static void one_that_cannot_begin_ends_them_all(void **state)
{
    (void)state;
    for (fail_at = 0; fail_at < WORKERS; fail_at++) {
        create();
        assert_int_equal(carom_run(service), -CAROM_EACCES);
        assert_int_equal(atomic_load(&started), WORKERS - 1);
        assert_int_equal(atomic_load(&stopped), WORKERS - 1);
        assert_int_equal(carom_service_destroy(service), 0);
        for (int i = 0; i < WORKERS; i++)
            close(owns[i].fds[1]);
        close(owns[fail_at].fds[0]);
    }
}

static void one_that_never_runs_fires_nothing(void **state)
{
    (void)state;
    carom_waker waker = {.wake = on_post};
    create();
    assert_int_equal(carom_post_worker(carom_service_worker(service, 1), &waker), 0);
    assert_int_equal(carom_service_destroy(service), 0);
    assert_int_equal(atomic_load(&started) + atomic_load(&stopped), 0);
    for (int i = 0; i < WORKERS; i++) {
        close(owns[i].fds[0]);
        close(owns[i].fds[1]);
    }
}

int main(void)
{
    skip_where_refused();
    const struct CMUnitTest all[] = {
        cmocka_unit_test(posts_and_bytes_come_to_their_workers_in_order),
        cmocka_unit_test(a_post_wakes_a_worker_that_sleeps),
        cmocka_unit_test(one_that_cannot_begin_ends_them_all),
        cmocka_unit_test(one_that_never_runs_fires_nothing),
    };
    return cmocka_run_group_tests_name("service/workers", all, NULL, NULL);
}
