/* Descriptors of the program, joined to records and to a worker; a worker's times, posts and end.
 * On the simulated network, in one thread. */
#include "unit/http/simulation.h"

#define MOST 100

static carom_worker *worker(void)
{
    return carom_service_worker(sim.service, 0);
}

/* What happened, in order. */
static struct event {
    const void *who; /* a carom_io or a carom_waker */
    int what;        /* events, or a status */
} events[MOST];
static int event_count;

static void note(const void *who, int what)
{
    assert_true(event_count < MOST);
    events[event_count++] = (struct event){who, what};
}

#define assert_events(...)                                                                         \
    do {                                                                                           \
        const struct event expected[] = {__VA_ARGS__};                                             \
        assert_int_equal(event_count, COUNT(expected));                                            \
        for (size_t at = 0; at < COUNT(expected); at++) {                                          \
            assert_ptr_equal(events[at].who, expected[at].who);                                    \
            assert_int_equal(events[at].what, expected[at].what);                                  \
        }                                                                                          \
        event_count = 0;                                                                           \
    } while (0)

static void make_ready(unsigned index, unsigned what)
{
    carom_simulated_set_ready(sim.loop, index, what);
}

/* Nothing is ready any more, so that the turn ends. */
static void on_ready(carom_io *io, int what)
{
    note(io, what);
    for (unsigned i = 0; i < CAROM_SIMULATED_WATCHED; i++)
        make_ready(i, 0);
}

static void on_wake(carom_waker *waker, int status)
{
    note(waker, status);
}

#define IO                                                                                         \
    {                                                                                              \
        .ready = on_ready                                                                          \
    }
#define FD CAROM_SIMULATED_WATCHED_FD

static void begin_empty(void)
{
    carom_options options = simulation_options();
    event_count = 0;
    begin(&options);
    turn();
}

/* A record that is held, of a client that waits. */
static carom_record *hold(struct carom_peer **peer)
{
    *peer = connect_peer();
    say(*peer, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    assert_true(sim.held_count > 0);
    return sim.held[sim.held_count - 1];
}

/* ---------------------------------------------------------------- watching */

static void it_fires_until_it_is_unwatched(void **state)
{
    (void)state;
    carom_io io = IO;
    begin_empty();
    assert_int_equal(carom_watch_worker(worker(), &io, FD, CAROM_WATCH_READABLE), 0);
    for (int i = 0; i < 3; i++) {
        make_ready(0, CAROM_WATCH_READABLE | CAROM_WATCH_WRITABLE);
        turn();
    }
    assert_events({&io, CAROM_WATCH_READABLE}, {&io, CAROM_WATCH_READABLE},
                  {&io, CAROM_WATCH_READABLE});
    assert_int_equal(carom_watch_worker(worker(), &io, FD, CAROM_WATCH_WRITABLE), 0);
    assert_int_equal(carom_simulated_watched(sim.loop, 0), CAROM_WATCH_WRITABLE);
    carom_unwatch(&io);
    assert_int_equal(carom_simulated_watched(sim.loop, 0), 0);
    carom_unwatch(&io);
    make_ready(0, CAROM_WATCH_WRITABLE);
    turn();
    assert_int_equal(event_count, 0);
    finish();
}

static carom_io again;

/* Unwatches what is ready in the same pass, and watches it anew. */
static void watch_anew(carom_io *io, int what)
{
    on_ready(io, what);
    carom_unwatch(&again);
    make_ready(1, CAROM_WATCH_WRITABLE);
    assert_int_equal(
        carom_watch_worker(worker(), &again, FD + 1, CAROM_WATCH_READABLE | CAROM_WATCH_WRITABLE),
        0);
}

static void what_was_ready_before_is_forgotten(void **state)
{
    (void)state;
    carom_io io = {.ready = watch_anew};
    again = (carom_io)IO;
    begin_empty();
    assert_int_equal(carom_watch_worker(worker(), &io, FD, CAROM_WATCH_READABLE | CAROM_WATCH_ONCE),
                     0);
    assert_int_equal(carom_watch_worker(worker(), &again, FD + 1, CAROM_WATCH_READABLE), 0);
    make_ready(0, CAROM_WATCH_READABLE);
    make_ready(1, CAROM_WATCH_READABLE);
    turn();
    assert_events({&io, CAROM_WATCH_READABLE}, {&again, CAROM_WATCH_WRITABLE});
    carom_unwatch(&again);
    finish();
}

static void once_is_once(void **state)
{
    (void)state;
    carom_io io = IO;
    begin_empty();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            carom_watch_worker(worker(), &io, FD, CAROM_WATCH_READABLE | CAROM_WATCH_ONCE), 0);
        make_ready(0, CAROM_WATCH_READABLE);
        turn();
        assert_events({&io, CAROM_WATCH_READABLE});
        assert_int_equal(carom_simulated_watched(sim.loop, 0), 0);
        make_ready(0, CAROM_WATCH_READABLE);
        turn();
        assert_int_equal(event_count, 0);
        make_ready(0, 0);
    }
    finish();
}

static carom_io *other_io;

static void unwatch_other(carom_io *io, int what)
{
    on_ready(io, what);
    carom_unwatch(other_io);
    memset(other_io, 0xa5, sizeof *other_io); /* it may be freed */
}

static void change_other(carom_io *io, int what)
{
    on_ready(io, what);
    assert_int_equal(carom_watch_worker(worker(), other_io, FD + 1, CAROM_WATCH_WRITABLE), 0);
}

static void what_is_ready_may_be_unwatched_or_changed_before_it_fires(void **state)
{
    (void)state;
    carom_io first = {.ready = unwatch_other}, second = IO;
    begin_empty();
    other_io = &second;
    assert_int_equal(carom_watch_worker(worker(), &first, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_watch_worker(worker(), &second, FD + 1, CAROM_WATCH_READABLE), 0);
    make_ready(0, CAROM_WATCH_READABLE);
    make_ready(1, CAROM_WATCH_READABLE);
    turn();
    assert_events({&first, CAROM_WATCH_READABLE});
    first.ready = change_other;
    second = (carom_io)IO;
    assert_int_equal(carom_watch_worker(worker(), &second, FD + 1, CAROM_WATCH_READABLE), 0);
    make_ready(0, CAROM_WATCH_READABLE);
    make_ready(1, CAROM_WATCH_READABLE);
    turn();
    assert_events({&first, CAROM_WATCH_READABLE});
    carom_unwatch(&first);
    carom_unwatch(&second);
    finish();
}

static void what_cannot_be_watched_is_refused(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_io io = IO, no_function = {0}, other = IO;
    begin_empty();
    carom_record *record = hold(&peer), *next = hold(&peer);
    const unsigned bad[] = {0, CAROM_WATCH_ONCE, 8 | CAROM_WATCH_READABLE};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(carom_watch_worker(worker(), &io, FD, bad[i]), -CAROM_EINVAL);
    assert_int_equal(carom_watch(record, NULL, FD, CAROM_WATCH_READABLE), -CAROM_EINVAL);
    assert_int_equal(carom_watch(record, &no_function, FD, CAROM_WATCH_READABLE), -CAROM_EINVAL);
    assert_int_equal(carom_watch_worker(worker(), NULL, FD, CAROM_WATCH_READABLE), -CAROM_EINVAL);
    assert_int_equal(carom_watch(record, &io, -1, CAROM_WATCH_READABLE), -CAROM_ENOENT);
    assert_int_equal(carom_watch(record, &io, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_watch(record, &io, FD + 1, CAROM_WATCH_READABLE), -CAROM_ESTATE);
    assert_int_equal(carom_watch(next, &io, FD, CAROM_WATCH_READABLE), -CAROM_ESTATE);
    assert_int_equal(carom_watch_worker(worker(), &io, FD, CAROM_WATCH_READABLE), -CAROM_ESTATE);
    assert_int_equal(carom_watch(record, &other, FD, CAROM_WATCH_READABLE), -CAROM_ESTATE);
    make_ready(0, CAROM_WATCH_READABLE);
    turn();
    assert_events({&io, CAROM_WATCH_READABLE});
    finish();
}

/* What lay in its memory before is neither followed nor jumped to. */
static void what_was_not_cleared_is_not_watched(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_io io, other;
    begin_empty();
    carom_record *record = hold(&peer);
    memset(&io, 0xaa, sizeof io);
    io.ready = on_ready;
    other = io;
    carom_unwatch(&io);
    assert_int_equal(carom_watch_worker(worker(), &io, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_watch(record, &other, FD + 1, CAROM_WATCH_READABLE), 0);
    make_ready(0, CAROM_WATCH_READABLE);
    make_ready(1, CAROM_WATCH_READABLE);
    turn();
    assert_events({&io, CAROM_WATCH_READABLE}, {&other, CAROM_WATCH_READABLE});
    carom_unwatch(&io);
    carom_unwatch(&other);
    finish();
}

/* ---------------------------------------------------------------- joined to a record */

static void it_is_cancelled_with_its_exchange(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_io io = IO, two = IO;
    begin_empty();
    carom_record *record = hold(&peer);
    assert_int_equal(carom_watch(record, &io, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_watch(record, &two, FD + 1, CAROM_WATCH_READABLE), 0);
    make_ready(0, CAROM_WATCH_READABLE);
    turn();
    assert_events({&io, CAROM_WATCH_READABLE});
    carom_peer_reset(peer);
    turn();
    assert_events({&two, -CAROM_ECANCELED}, {&io, -CAROM_ECANCELED});
    assert_int_equal(carom_simulated_watched(sim.loop, 0), 0);
    /* It is over already. */
    assert_int_equal(carom_watch(record, &io, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(event_count, 0);
    turn();
    assert_events({&io, -CAROM_ECANCELED});
    finish();
}

/* Its end is about to be told, and so it is not watched anew. */
static void watch_when_over(carom_waker *waker, int status)
{
    note(waker, status);
    assert_int_equal(carom_watch(sim.held[0], other_io, FD, CAROM_WATCH_WRITABLE), 0);
    assert_int_equal(carom_simulated_watched(sim.loop, 0), CAROM_WATCH_READABLE);
}

static void what_is_over_is_not_watched_again(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_waker ended = {.wake = watch_when_over};
    carom_io io = IO;
    other_io = &io;
    begin_empty();
    carom_record *record = hold(&peer);
    assert_int_equal(carom_watch(record, &io, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_wait(record, CAROM_ENDED, &ended), 0);
    carom_peer_reset(peer);
    turn();
    assert_events({&ended, 0}, {&io, -CAROM_ECANCELED});
    finish();
}

static void release_record(carom_io *io, int what)
{
    note(io, what);
    release(sim.held[0]);
}

static void it_ends_with_the_release_of_its_record(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_io one = {.ready = release_record}, two = IO;
    begin_empty();
    carom_record *record = hold(&peer);
    assert_int_equal(carom_watch(record, &one, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_watch(record, &two, FD + 1, CAROM_WATCH_READABLE), 0);
    make_ready(0, CAROM_WATCH_READABLE);
    make_ready(1, CAROM_WATCH_READABLE); /* and so it is about to fire */
    answer(record, "done");
    turn();
    assert_events({&one, CAROM_WATCH_READABLE});
    assert_int_equal(carom_simulated_watched(sim.loop, 0), 0);
    assert_int_equal(carom_simulated_watched(sim.loop, 1), 0);
    assert_got(peer, "done");
    /* Cancelled, and released before it could be told. */
    record = hold(&peer);
    assert_int_equal(carom_watch(record, &two, FD + 1, CAROM_WATCH_WRITABLE), 0);
    carom_cancel(record);
    release(record);
    turn();
    assert_int_equal(event_count, 0);
    assert_int_equal(carom_watch_worker(worker(), &two, FD + 1, CAROM_WATCH_READABLE), 0);
    carom_unwatch(&two);
    finish();
}

static void it_goes_on_while_the_answer_is_sent(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_io io = IO;
    begin_empty();
    carom_record *record = hold(&peer);
    assert_int_equal(carom_watch(record, &io, FD, CAROM_WATCH_READABLE), 0);
    answer(record, "done");
    turn();
    make_ready(0, CAROM_WATCH_READABLE);
    turn();
    assert_events({&io, CAROM_WATCH_READABLE});
    carom_unwatch(&io);
    release(record);
    finish();
}

/* ---------------------------------------------------------------- times and posts */

static void times_come_in_order_and_never_early(void **state)
{
    (void)state;
    carom_waker late = {.wake = on_wake}, early = {.wake = on_wake}, never = {.wake = on_wake};
    begin_empty();
    assert_int_equal(carom_wait_time_worker(worker(), 2000, &late), 0);
    assert_int_equal(carom_wait_time_worker(worker(), 10, &early), 0);
    assert_int_equal(carom_wait_time_worker(worker(), 10, &never), 0);
    assert_int_equal(carom_wait_time_worker(worker(), 1, &never), -CAROM_ESTATE);
    carom_unwait_worker(worker(), &never);
    carom_unwait_worker(worker(), &never);
    pass(10);
    assert_int_equal(event_count, 0);
    pass(1);
    assert_events({&early, 0});
    assert_int_equal(carom_wait_time_worker(worker(), 0, &early), 0); /* again */
    pass(1);
    assert_events({&early, 0});
    pass(1988);
    assert_int_equal(event_count, 0);
    pass(1);
    assert_events({&late, 0});
    finish();
}

static void posts_fire_in_their_order(void **state)
{
    (void)state;
    struct carom_peer *peer;
    carom_waker wakers[20];
    begin_empty();
    carom_record *record = hold(&peer);
    assert_ptr_equal(carom_record_worker(record), worker());
    assert_int_equal(carom_worker_index(worker()), 0);
    assert_null(carom_service_worker(sim.service, 1));
    for (size_t i = 0; i < COUNT(wakers); i++) {
        wakers[i] = (carom_waker){.wake = on_wake};
        if (i % 3 == 0)
            carom_post(record, &wakers[i]);
        else
            assert_int_equal(carom_post_worker(worker(), &wakers[i]), 0);
    }
    assert_int_equal(event_count, 0);
    turn();
    assert_int_equal(event_count, COUNT(wakers));
    for (size_t i = 0; i < COUNT(wakers); i++)
        assert_ptr_equal(events[i].who, &wakers[i]);
    event_count = 0;
    finish();
}

/* ---------------------------------------------------------------- beginning and end */

static carom_io a_watch = IO, ready_watch = IO;
static carom_waker a_timer = {.wake = on_wake}, a_post = {.wake = on_wake};
static int start_result;

static int on_start(carom_worker *begun, void *data)
{
    note(data, 1);
    assert_ptr_equal(begun, worker());
    assert_int_equal(carom_service_turn(sim.service), -CAROM_ESTATE);
    carom_worker_set_data(begun, &a_watch);
    assert_int_equal(carom_watch_worker(begun, &a_watch, FD, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_watch_worker(begun, &ready_watch, FD + 1, CAROM_WATCH_READABLE), 0);
    assert_int_equal(carom_wait_time_worker(begun, 100, &a_timer), 0);
    return start_result;
}

static void on_stop(carom_worker *ended, void *data)
{
    carom_io late = IO;
    note(data, 2);
    assert_ptr_equal(carom_worker_data(ended), &a_watch);
    assert_int_equal(carom_watch_worker(ended, &late, FD, CAROM_WATCH_READABLE), -CAROM_ESTATE);
    assert_int_equal(carom_wait_time_worker(ended, 0, &a_timer), -CAROM_ESTATE);
    assert_int_equal(carom_post_worker(ended, &a_post), -CAROM_ESTATE);
    carom_unwait_worker(ended, &a_timer);
    carom_unwatch(&a_watch);
}

static int run_driven(void)
{
    int result;
    for (int turns = 0; (result = carom_service_turn(sim.service)) > 0; turns++) {
        assert_true(turns < 20);
        carom_simulated_advance(sim.loop, 1);
    }
    assert_int_equal(carom_post_worker(worker(), &a_post), -CAROM_ESTATE);
    assert_int_equal(carom_service_destroy(sim.service), 0);
    return result;
}

static void create_driven(int result)
{
    carom_options options = simulation_options();
    options.on_start = on_start;
    options.on_stop = on_stop;
    options.worker_data = &start_result;
    start_result = result;
    event_count = 0;
    create(&options);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    assert_true(carom_service_descriptor(sim.service) >= 0);
}

static void a_worker_that_stops_tells_all_who_wait(void **state)
{
    (void)state;
    create_driven(0);
    assert_int_equal(event_count, 0);
    assert_int_equal(carom_service_turn(sim.service), 1);
    assert_events({&start_result, 1});
    carom_simulated_advance(sim.loop, 101);
    make_ready(1, CAROM_WATCH_READABLE);
    assert_int_equal(carom_service_turn(sim.service), 1);
    assert_events({&ready_watch, CAROM_WATCH_READABLE}, {&a_timer, 0});
    assert_int_equal(carom_wait_time_worker(worker(), 60000, &a_timer), 0);
    carom_shutdown(sim.service, CAROM_OFF);
    assert_int_equal(run_driven(), 0);
    assert_events({&a_watch, -CAROM_ECANCELED}, {&ready_watch, -CAROM_ECANCELED},
                  {&a_timer, -CAROM_ECANCELED}, {&start_result, 2});
}

static void drained_and_posted(carom_waker *waker, int status)
{
    note(waker, status);
    assert_int_equal(carom_post_worker(worker(), &a_post), 0);
}

/* Nobody may post any more when it is looked at: what came before that is told. */
static void what_is_posted_as_the_worker_stops_is_told(void **state)
{
    (void)state;
    create_driven(0);
    assert_int_equal(carom_service_turn(sim.service), 1);
    carom_unwatch(&a_watch);
    carom_unwatch(&ready_watch);
    carom_unwait_worker(worker(), &a_timer);
    event_count = 0;
    carom_waker last = {.wake = drained_and_posted};
    assert_int_equal(carom_post_worker(worker(), &last), 0);
    carom_shutdown(sim.service, CAROM_OFF);
    assert_int_equal(run_driven(), 0);
    assert_events({&last, 0}, {&a_post, -CAROM_ECANCELED}, {&start_result, 2});
}

static void a_worker_that_cannot_begin_ends_the_service(void **state)
{
    (void)state;
    create_driven(-CAROM_EACCES);
    assert_int_equal(run_driven(), -CAROM_EACCES);
    assert_events({&start_result, 1}, {&a_watch, -CAROM_ECANCELED},
                  {&ready_watch, -CAROM_ECANCELED}, {&a_timer, -CAROM_ECANCELED});
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(it_fires_until_it_is_unwatched),
        cmocka_unit_test(what_was_ready_before_is_forgotten),
        cmocka_unit_test(once_is_once),
        cmocka_unit_test(what_is_ready_may_be_unwatched_or_changed_before_it_fires),
        cmocka_unit_test(what_cannot_be_watched_is_refused),
        cmocka_unit_test(what_was_not_cleared_is_not_watched),
        cmocka_unit_test(it_is_cancelled_with_its_exchange),
        cmocka_unit_test(what_is_over_is_not_watched_again),
        cmocka_unit_test(it_ends_with_the_release_of_its_record),
        cmocka_unit_test(it_goes_on_while_the_answer_is_sent),
        cmocka_unit_test(times_come_in_order_and_never_early),
        cmocka_unit_test(posts_fire_in_their_order),
        cmocka_unit_test(a_worker_that_stops_tells_all_who_wait),
        cmocka_unit_test(what_is_posted_as_the_worker_stops_is_told),
        cmocka_unit_test(a_worker_that_cannot_begin_ends_the_service),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
