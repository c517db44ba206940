/* The life of a service: which call may come when; and its end while other threads are still inside
 * carom_post or carom_shutdown. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "unit/http/simulation.h"

/* The loop's operations, with those replaced that a test looks at. */
static struct carom_loop_ops ops;
static const struct carom_loop_ops *real_ops;

static struct carom_inbox *inbox(void)
{
    return &sim.service->workers[0].connections.records.inbox;
}

static void replace_ops(struct carom_loop *loop)
{
    real_ops = loop->ops;
    ops = *real_ops;
    loop->ops = &ops;
}

static unsigned inside_at_the_end;

static void destroy_and_note(struct carom_loop *loop)
{
    inside_at_the_end = atomic_load(&inbox()->inside);
    real_ops->destroy(loop);
}

static void *wake_and_leave(void *data)
{
    (void)data;
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    sim.service->workers[0].connections.records.rouse(&sim.service->workers[0].connections.records);
    carom_inbox_leave(inbox());
    return NULL;
}

/* A poster that has put its message in has yet to wake the loop. */
static void the_loop_outlives_who_is_inside(void **state)
{
    (void)state;
    pthread_t thread;
    carom_options options = simulation_options();
    create(&options);
    replace_ops(sim.loop);
    ops.destroy = destroy_and_note;
    carom_inbox_enter(inbox());
    assert_int_equal(pthread_create(&thread, NULL, wake_and_leave, NULL), 0);
    assert_int_equal(carom_service_destroy(sim.service), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(inside_at_the_end, 0);
}

static unsigned inside_at_the_wake;

static void wake_and_note(struct carom_loop *loop)
{
    inside_at_the_wake = atomic_load(&inbox()->inside);
    real_ops->wake(loop);
}

/* The first worker is destroyed first, so it is the one that waits for the call. */
static void a_shutdown_is_inside_until_it_returns(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.workers = 2;
    create(&options);
    replace_ops(sim.service->workers[1].loop);
    ops.wake = wake_and_note;
    assert_true(carom_inbox_sleep(&sim.service->workers[1].connections.records.inbox));
    carom_shutdown(sim.service, 0);
    assert_int_equal(inside_at_the_wake, 1);
    assert_int_equal(atomic_load(&inbox()->inside), 0);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

/* ---------------------------------------------------------------- which call may come when */

static int turn_in_turn, told;

static void turn_again(carom_record *record, void *data)
{
    (void)data;
    turn_in_turn = carom_service_turn(sim.service);
    answer(record, "once");
    carom_release(record);
}

static void count_told(carom_waker *waker, int status)
{
    (void)waker;
    assert_int_equal(status, 0);
    told++;
}

static void assert_does_not_begin(void)
{
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), -CAROM_ESTATE);
    assert_int_equal(carom_run(sim.service), -CAROM_ESTATE);
}

static void a_service_runs_once(void **state)
{
    (void)state;
    carom_waker first = {.wake = count_told}, second = {.wake = count_told};
    carom_options options = simulation_options();
    options.handler = turn_again;
    create(&options);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    assert_true(carom_service_descriptor(sim.service) >= 0);
    assert_does_not_begin(); /* it is driven now */
    assert_int_equal(carom_service_destroy(sim.service), -CAROM_ESTATE);
    assert_int_equal(carom_service_turn(sim.service), 1);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (carom_simulated_busy(sim.loop))
        assert_int_equal(carom_service_turn(sim.service), 1);
    assert_got(peer, "once");
    assert_int_equal(turn_in_turn, -CAROM_ESTATE);
    assert_int_equal(carom_service_wait_drained(sim.service, &first), 0);
    assert_int_equal(carom_service_wait_drained(sim.service, &second), -CAROM_ESTATE);
    carom_shutdown(sim.service, 0);
    for (int turns = 0; carom_service_turn(sim.service) > 0; turns++) {
        assert_true(turns < 10);
        carom_simulated_advance(sim.loop, 1);
    }
    assert_int_equal(told, 1);
    assert_int_equal(carom_service_turn(sim.service), -CAROM_ESTATE);
    assert_int_equal(carom_service_wait_drained(sim.service, &second), -CAROM_ESTATE);
    assert_does_not_begin();
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

/* What a connection is told when it asks. */
static void ask_for(struct carom_peer *peer, const char *line)
{
    say(peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (carom_simulated_busy(sim.loop))
        assert_int_equal(carom_service_turn(sim.service), 1);
    assert_got(peer, line);
}

static void limits_change_while_it_runs(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_options change = CAROM_OPTIONS_INIT, old = {.size = sizeof old - 8};
    options.handler = turn_again;
    options.max_connections = 1;
    create(&options);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    assert_int_equal(carom_service_adjust(sim.service, &change), 0);
    assert_int_equal(carom_service_adjust(sim.service, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_service_adjust(sim.service, &old), -CAROM_EINVAL);
    assert_true(carom_service_descriptor(sim.service) >= 0);
    struct carom_peer *first = connect_peer();
    ask_for(first, "Keep-Alive: timeout=75\r\n");
    change.keep_alive = 620 * 1000;
    change.max_connections = 2;
    change.max_connection_requests = 1;
    assert_int_equal(carom_service_adjust(sim.service, &change), 0);
    struct carom_peer *second = connect_peer(); /* there is room for it now */
    ask_for(second, "Connection: close\r\n");
    change.max_connection_requests = CAROM_OFF;
    change.max_connections = 3;
    change.first_byte_timeout = 100;
    assert_int_equal(carom_service_adjust(sim.service, &change), 0);
    ask_for(first, "Keep-Alive: timeout=620\r\n");
    const struct carom_peer *silent = connect_peer();
    carom_service_turn(sim.service);
    carom_simulated_advance(sim.loop, 101);
    carom_service_turn(sim.service);
    assert_true(carom_peer_saw_close(silent));
    change.keep_alive = CAROM_OFF;
    assert_int_equal(carom_service_adjust(sim.service, &change), 0);
    ask_for(connect_peer(), "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(got(first), "timeout=4294967"));
    carom_shutdown(sim.service, 0);
    while (carom_service_turn(sim.service) > 0)
        carom_simulated_advance(sim.loop, 1);
    assert_int_equal(carom_service_adjust(sim.service, &change), -CAROM_ESTATE);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

static void several_workers_are_not_driven(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.workers = 2;
    create(&options);
    assert_int_equal(carom_service_descriptor(sim.service), -CAROM_ESTATE);
    assert_int_equal(carom_service_turn(sim.service), -CAROM_ESTATE);
    assert_int_equal(carom_service_adjust(sim.service, &options), -CAROM_ESTATE);
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

/* Whatever has become of their connections. */
static void a_worker_has_drained_when_its_records_are_back(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    carom_shutdown(sim.service, 0);
    turn();
    pass(1);
    assert_true(carom_peer_saw_close(peer));
    assert_false(sim.service->workers[0].drained);
    release(sim.held[0]);
    turn();
    assert_true(sim.service->workers[0].drained);
    finish();
}

/* The worker may look at it late. */
static void a_deadline_that_has_passed_cancels(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    atomic_store(&sim.service->shutdown.deadline, 1);
    turn();
    pass(1);
    assert_int_equal(sim.cancelled, 1);
    finish();
}

static int refusals_told;

static void count_refusals(void *data, carom_log_level level, const char *line)
{
    (void)data;
    refusals_told += level == CAROM_LOG_WARNING && strstr(line, "were answered 503") != NULL;
}

static void refusals_are_told_now_and_then(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 1;
    options.log = count_refusals;
    begin(&options);
    refusals_told = 0;
    say(connect_peer(), "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    for (int seconds = 1; seconds <= 20; seconds++) {
        say(connect_peer(), "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
        turn();
        assert_int_equal(refusals_told, seconds <= 10 ? 1 : 2);
        pass(1000);
    }
    finish();
}

static void *run_service(void *service)
{
    assert_int_equal(carom_run(service), 0);
    return NULL;
}

static void never_called(carom_record *record, void *data)
{
    (void)data;
    carom_release(record);
}

#define WORKERS 3

static carom_service *service_of_three(void)
{
    carom_options options = CAROM_OPTIONS_INIT;
    carom_service *service;
    options.handler = never_called;
    options.workers = WORKERS;
    assert_int_equal(carom_service_create(&service, &options), 0);
    return service;
}

static void statistics_are_of_all_workers(void **state)
{
    (void)state;
    carom_stats stats = CAROM_STATS_INIT;
    carom_service *service = service_of_three();
    for (uint32_t i = 0; i < WORKERS; i++)
        atomic_store(&service->workers[i].published[offsetof(carom_stats, requests) / 8], 1u << i);
    carom_service_stats(service, &stats);
    assert_int_equal(stats.requests, 7);
    assert_int_equal(carom_service_destroy(service), 0);
}

static uint64_t requests_in_turn;

static void ask_for_statistics(carom_record *record, void *data)
{
    (void)data;
    requests_in_turn = stats_now().requests;
    answer(record, "asked");
    carom_release(record);
}

/* Who asks in a worker's own turn gets what has happened in it. */
static void a_workers_own_statistics_are_of_now(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = ask_for_statistics;
    begin(&options);
    say(connect_peer(), GET("/"));
    turn();
    assert_int_equal(requests_in_turn, 1);
    finish();
}

static void workers_listen_on_one_port(void **state)
{
    (void)state;
    carom_service *service = service_of_three();
    assert_int_equal(carom_service_listen(service, "127.0.0.1:0"), 0);
    const struct carom_door *doors = service->listeners.list[0]->doors;
    struct sockaddr_in first, name;
    for (uint32_t i = 0; i < WORKERS; i++) {
        socklen_t length = sizeof name;
        assert_int_equal(getsockname(doors[i].acceptor.fd, (struct sockaddr *)&name, &length), 0);
        if (i == 0)
            first = name;
        assert_int_equal(name.sin_port, first.sin_port);
    }
    assert_int_equal(carom_service_destroy(service), 0);
}

/* A number is free as soon as it is closed, and the program may have it by then. */
static void a_shared_descriptor_is_closed_once(void **state)
{
    (void)state;
    carom_service *service = service_of_three();
    char name[64];
    snprintf(name, sizeof name, "unix:@carom-shared-%d", (int)getpid());
    assert_int_equal(carom_service_listen(service, name), 0);
    int shared = service->listeners.list[0]->shared_fd;
    assert_true(shared >= 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        carom_doors_close(&service->workers[i].doors);
        assert_true(fcntl(shared, F_GETFD) >= 0);
    }
    assert_int_equal(carom_service_destroy(service), 0);
    assert_true(fcntl(shared, F_GETFD) < 0);
}

static int pipes; /* SIGPIPE, as the program has had it */

static void count_pipe(int signal)
{
    (void)signal;
    pipes++;
}

/* As a file that is sent to who has left. */
static int raise_pipe(carom_worker *worker, void *service)
{
    (void)worker;
    raise(SIGPIPE);
    carom_shutdown(*(carom_service **)service, 0);
    return 0;
}

/* What sending has raised is not the program's; what it had blocked itself, and has waited, is. */
static void sigpipe_stays_within_the_run(void **state)
{
    (void)state;
    sigset_t pipe, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    void (*before)(int) = signal(SIGPIPE, count_pipe);
    for (int blocked = 0; blocked < 2; blocked++) {
        carom_options options = CAROM_OPTIONS_INIT;
        carom_service *service;
        options.handler = never_called;
        options.on_start = raise_pipe;
        options.worker_data = &service;
        pipes = 0;
        assert_int_equal(carom_service_create(&service, &options), 0);
        if (blocked)
            assert_int_equal(pthread_sigmask(SIG_BLOCK, &pipe, NULL), 0);
        assert_int_equal(carom_run(service), 0);
        assert_int_equal(sigpending(&pending), 0);
        assert_int_equal(sigismember(&pending, SIGPIPE), blocked);
        assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &pipe, NULL), 0);
        assert_int_equal(pipes, blocked);
        assert_int_equal(carom_service_destroy(service), 0);
    }
    signal(SIGPIPE, before);
}

static atomic_int takes_signals[3]; /* of each worker: 1 if it would take SIGUSR1, 2 if not */

static int note_signals(carom_worker *worker, void *data)
{
    (void)data;
    sigset_t blocked;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    takes_signals[carom_worker_index(worker)] = sigismember(&blocked, SIGUSR1) ? 2 : 1;
    return 0;
}

/* They are the program's, as is the thread that calls carom_run: worker 0. */
static void threads_of_ours_take_no_signals(void **state)
{
    (void)state;
    carom_options options = CAROM_OPTIONS_INIT;
    carom_service *service;
    pthread_t runner;
    options.handler = never_called;
    options.on_start = note_signals;
    options.workers = 3;
    assert_int_equal(carom_service_create(&service, &options), 0);
    assert_int_equal(pthread_create(&runner, NULL, run_service, service), 0);
    for (uint32_t i = 0; i < options.workers; i++) /* until each has begun */
        while (atomic_load(&takes_signals[i]) == 0)
            sched_yield();
    carom_shutdown(service, 0);
    assert_int_equal(pthread_join(runner, NULL), 0);
    assert_int_equal(carom_service_destroy(service), 0);
    assert_int_equal(takes_signals[0], 1);
    assert_int_equal(takes_signals[1], 2);
    assert_int_equal(takes_signals[2], 2);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(the_loop_outlives_who_is_inside),
        cmocka_unit_test(a_shutdown_is_inside_until_it_returns),
        cmocka_unit_test(a_service_runs_once),
        cmocka_unit_test(limits_change_while_it_runs),
        cmocka_unit_test(several_workers_are_not_driven),
        cmocka_unit_test(a_worker_has_drained_when_its_records_are_back),
        cmocka_unit_test(a_deadline_that_has_passed_cancels),
        cmocka_unit_test(refusals_are_told_now_and_then),
        cmocka_unit_test(statistics_are_of_all_workers),
        cmocka_unit_test(a_workers_own_statistics_are_of_now),
        cmocka_unit_test(workers_listen_on_one_port),
        cmocka_unit_test(a_shared_descriptor_is_closed_once),
        cmocka_unit_test(sigpipe_stays_within_the_run),
        cmocka_unit_test(threads_of_ours_take_no_signals),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
