/* Connections on the simulated network: splits, order, cancellation at every byte, time-outs by the
 * test's own clock, allocation that fails at every place. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/http/simulation.h"

#define POST(target) "POST " target " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
#define CHUNKED                                                                                    \
    "POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"                          \
    "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n"
#define MIXED GET("/now") POST("/now") CHUNKED GET("/now")

/* How often `part` occurs. */
static void requests_in_pieces_of_every_size(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    char whole[16384] = "";
    for (size_t piece = strlen(MIXED); piece > 0; piece--) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        carom_peer_set_piece(peer, piece);
        say(peer, MIXED);
        turn();
        /* The date is that of the simulation: all answers are the same, byte for byte. */
        if (whole[0] == '\0')
            snprintf(whole, sizeof whole, "%s", got(peer));
        assert_string_equal(got(peer), whole);
        assert_int_equal(count(whole, "HTTP/1.1 200 OK\r\n"), 4);
        assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 4);
    }
}

static void answers_leave_in_the_order_of_the_requests(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") GET("/hold") GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 3);
    answer_and_release(sim.held[2], "third");
    turn();
    assert_string_equal(got(peer), "");
    answer_and_release(sim.held[0], "first");
    turn();
    assert_got(peer, "first");
    assert_null(strstr(got(peer), "third"));
    answer_and_release(sim.held[0], "second");
    turn();
    assert_true(strstr(got(peer), "first") < strstr(got(peer), "second"));
    assert_true(strstr(got(peer), "second") < strstr(got(peer), "third"));
    finish();
}

/* All is sent in one turn: nothing comes from the kernel later that would make it look again. */
static void a_reset_for_the_cancelled_follows_the_earlier_answers(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") GET("/hold"));
    turn();
    carom_cancel(sim.held[1]);
    turn();
    assert_false(carom_peer_saw_close(peer));
    answer_and_release(sim.held[0], "first");
    turn();
    assert_got(peer, "first");
    assert_true(carom_peer_saw_reset(peer));
    finish();
}

static void leaving_at_every_byte(void **state)
{
    (void)state;
    static const char text[] = POST("/hold") CHUNKED GET("/hold");
    carom_options options = simulation_options();
    for (int reset = 0; reset < 2; reset++)
        for (size_t cut = 0; cut < sizeof text; cut++) {
            begin(&options);
            struct carom_peer *peer = connect_peer();
            carom_peer_send(peer, text, cut);
            turn();
            int handed = sim.held_count;
            if (reset)
                carom_peer_reset(peer);
            else
                carom_peer_shutdown(peer);
            turn();
            assert_int_equal(sim.cancelled, handed);
            for (int i = 0; i < sim.held_count; i++)
                assert_int_equal(answer(sim.held[i], "late"), -CAROM_ECANCELED);
            carom_stats stats = finish();
            assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 0);
        }
}

static void a_record_outlives_its_connection(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_peer_reset(peer);
    turn();
    carom_record *record = sim.held[0];
    carom_slice bytes;
    carom_address address;
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_CLIENT_RESET);
    assert_int_equal(carom_request_read(record, &bytes), -CAROM_ECANCELED);
    assert_int_equal(carom_request_method(record).length, 3);
    carom_record_peer(record, &address);
    carom_record_local(record, &address);
    assert_int_equal(address.family, CAROM_IPV4);
    carom_cancel(record);
    finish();
}

static void what_has_ended_tells_the_address_of_its_own_listener(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    create(&options);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    start();
    struct carom_listener **listeners = sim.service->listeners.list;
    sim.loop->ops->accept_stop(sim.loop,
                               &listeners[0]->doors[0].acceptor); /* so the other one has it */
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_peer_reset(peer);
    turn();
    carom_address address;
    carom_record_local(sim.held[0], &address);
    assert_int_equal(address.port, listeners[1]->address.port);
    assert_int_not_equal(address.port, listeners[0]->address.port);
    carom_cancel(sim.held[0]);
    finish();
}

static void a_late_head_gets_408(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET / HTT");
    turn();
    pass(9000);
    say(peer, "P/1.1\r\n"); /* more of it does not move the deadline */
    turn();
    pass(900);
    assert_string_equal(got(peer), "");
    pass(200);
    assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
    assert_got(peer, "Connection: close\r\n");
    assert_int_equal(finish().ended[CAROM_REASON_HEADER_TIMEOUT], 1);
}

static void a_slow_body_gets_408(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.content_rate = 2;
    options.content_window = 1000;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    turn();
    for (int second = 0; second < 5; second++) { /* just fast enough */
        say(peer, "ab");
        turn();
        pass(1001);
        assert_string_equal(got(peer), "");
    }
    pass(2002);
    assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
    assert_int_equal(sim.cancelled, 1);
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

static void a_slow_handler_is_never_idle(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    pass(3600 * 1000);
    answer_and_release(sim.held[0], "at last");
    turn();
    assert_got(peer, "at last");
    assert_false(carom_peer_saw_close(peer));
    finish();
}

static void a_handler_with_a_deadline_gets_503(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler_timeout = 500;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    pass(499);
    assert_string_equal(got(peer), "");
    pass(2);
    assert_got(peer, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_got(peer, "Retry-After: 1\r\n");
    assert_int_equal(sim.cancelled, 1);
    assert_int_equal(answer(sim.held[0], "late"), -CAROM_ECANCELED);
    release(sim.held[0]);
    say(peer, GET("/now"));
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(finish().ended[CAROM_REASON_HANDLER_TIMEOUT], 1);
}

static void idle_connections_are_closed_in_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *silent = connect_peer(), *kept = connect_peer();
    say(kept, GET("/now"));
    turn();
    assert_got(kept, "Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n");
    pass(14900);
    assert_false(carom_peer_saw_close(silent));
    pass(200);
    assert_true(carom_peer_saw_close(silent));
    pass(60500); /* the 75 seconds it was told, and most of the grace */
    assert_false(carom_peer_saw_close(kept));
    pass(500);
    assert_true(carom_peer_saw_close(kept));
    finish();
}

static void a_reader_that_stalls_is_reset(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 10);
    say(peer, GET("/now"));
    turn();
    pass(20000);
    carom_peer_set_window(peer, 5); /* progress moves the deadline */
    turn();
    pass(29900);
    assert_false(carom_peer_saw_close(peer));
    pass(200);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 1);
}

static void a_refusal_that_is_cut_off_ends_with_a_reset(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_connections = 1;
    options.refuse_connections = true;
    for (int linger = 0; linger < 2; linger++) {
        options.linger_timeout = linger ? 0 : CAROM_OFF;
        begin(&options);
        struct carom_peer *first = connect_peer(), *second = connect_peer();
        carom_peer_set_window(second, 10);
        turn();
        pass(2100);
        assert_string_equal(got(second), "HTTP/1.1 5");
        assert_true(carom_peer_saw_reset(second));
        assert_false(carom_peer_saw_close(first));
        finish();
    }
}

/* It has sent FIN while its 503 was held up: with the last byte of that the connection is over. */
static void a_refusal_that_is_taken_late_waits_no_longer(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_connections = 1;
    options.refuse_connections = true;
    begin(&options);
    struct carom_peer *first = connect_peer(), *second = connect_peer();
    carom_peer_set_window(second, 10);
    turn();
    carom_peer_shutdown(second);
    turn();
    assert_int_equal(stats_now().connections_open, 2);
    carom_peer_set_window(second, SIZE_MAX);
    turn();
    assert_got(second, "Connection: close\r\n\r\n");
    assert_true(carom_peer_saw_close(second));
    assert_int_equal(stats_now().connections_open, 1);
    assert_false(carom_peer_saw_close(first));
    finish();
}

static void cancel_it(carom_waker *waker, int status)
{
    (void)status;
    carom_cancel(carom_container(waker, struct held, waker)->record);
}

/* The last bytes leave and the handler cancels in the same turn, before the response is done with.
 */
static void a_cancel_may_come_when_all_is_sent(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 10);
    say(peer, GET("/hold") GET("/hold"));
    turn();
    answer(sim.held[0], "first");
    answer(sim.held[1], "second");
    turn();
    struct held *held = carom_record_state(sim.held[0]);
    held->waker.wake = cancel_it;
    assert_int_equal(carom_wait_time(sim.held[0], 5, &held->waker), 0);
    carom_peer_set_window(peer, SIZE_MAX);
    pass(10);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(finish().ended[CAROM_REASON_CANCELED], 1);
}

static void nothing_follows_a_refused_request(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/now") "GET / HTTP/1.1\r\n\r\n" GET("/now"));
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 1);
    assert_int_equal(count(got(peer), "HTTP/1.1 400 Bad Request\r\n"), 1);
    say(peer, GET("/now"));
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1"), 2);
    assert_true(carom_peer_saw_fin(peer));
    assert_false(carom_peer_saw_close(peer)); /* it lingers, so that the answer arrives */
    pass(2100);
    assert_true(carom_peer_saw_close(peer));
    finish();
}

#define UPGRADE(target, lines)                                                                     \
    "POST " target " HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n" lines "\r\n"

/* Only the answer to the request itself says whether what follows it is HTTP. */
static void an_earlier_answer_decides_no_upgrade(void **state)
{
    (void)state;
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response switching = {.status = 101, .fields = &field, .field_count = 1};
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") UPGRADE("/hold", "") GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 2);
    answer_and_release(sim.held[0], "first");
    turn();
    assert_int_equal(sim.held_count, 1);
    assert_int_equal(carom_upgrade(sim.held[0], &switching), 0);
    turn();
    assert_got(peer, "HTTP/1.1 101 ");
    carom_slice bytes;
    assert_int_equal(carom_request_read(sim.held[0], &bytes), 1);
    assert_int_equal(bytes.length, strlen(GET("/hold")));
    finish();
}

static void an_upgrade_answered_early_holds_nothing_up(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, UPGRADE("/hold", "Content-Length: 5\r\n") "ab");
    turn();
    assert_int_equal(answer(sim.held[0], "early"), 0);
    turn();
    say(peer, "cde" GET("/now"));
    turn();
    assert_got(peer, "early");
    assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 2);
    finish();
}

static void at_most_max_pipeline_are_taken(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_pipeline = 3;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    for (int i = 0; i < 8; i++)
        say(peer, GET("/hold"));
    for (int left = 8; left > 0; left -= 3) {
        turn();
        assert_int_equal(sim.held_count, left < 3 ? left : 3);
        while (sim.held_count > 0)
            answer_and_release(sim.held[0], "held");
    }
    turn();
    assert_int_equal(count(got(peer), "held"), 8);
    finish();
}

/* A delivery that ends where the pipeline is full leaves no rest that would have it read on. */
static void a_pipeline_that_was_just_full_is_read_on(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_pipeline = 3;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 3; i++)
            say(peer, GET("/now"));
        turn();
        assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 3 * round);
    }
    finish();
}

static void a_drain_answers_what_is_in_flight(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *idle = connect_peer(), *busy = connect_peer(), *late = connect_peer();
    say(busy, GET("/hold") GET("/hold"));
    say(late, GET("/hold"));
    turn();
    carom_shutdown(sim.service, 5000);
    turn();
    assert_true(carom_peer_saw_close(idle));
    answer_and_release(sim.held[0], "first");
    answer_and_release(sim.held[0], "second");
    turn();
    assert_got(busy, "first");
    assert_got(busy, "second");
    assert_int_equal(count(got(busy), "Connection: close"), 1);
    assert_true(carom_peer_saw_close(busy));
    assert_false(carom_peer_saw_close(late));
    carom_shutdown(sim.service, 0);
    turn();
    pass(1);
    assert_true(carom_peer_saw_reset(late));
    assert_int_equal(finish().ended[CAROM_REASON_SHUTDOWN], 1);
}

/* Whatever allocation fails, nothing is lost and nothing asserts. */
static void every_allocation_fails_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    bool failed = true;
    for (uint64_t k = 0; failed; k++) {
        begin(&options);
        struct carom_peer *peers[3];
        for (int i = 0; i < 3; i++) {
            peers[i] = connect_peer();
            say(peers[i], i == 2 ? "GET / HTTP/1.1\r\nHo" : MIXED GET("/hold"));
        }
        uint64_t before = carom_memory_taken();
        carom_memory_fail_after(k);
        turn();
        while (sim.held_count > 0)
            answer_and_release(sim.held[0], "held");
        turn();
        carom_memory_fail_after(UINT64_MAX);
        failed = carom_memory_taken() - before >= k; /* past the end: none failed */
        finish();
    }
}

static void *answer_elsewhere(void *record)
{
    if (freopen("/dev/null", "w", stderr) == NULL) /* the assertion says something, rightly */
        _exit(1);
    answer(record, "from nowhere");
    return NULL;
}

/* A mistake of the program, not of a peer: it is stopped at once, in release builds too. */
static void calls_from_another_thread_are_refused(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, answer_elsewhere, sim.held[0]);
        pthread_join(thread, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    answer_and_release(sim.held[0], "held");
    turn();
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(requests_in_pieces_of_every_size),
        cmocka_unit_test(answers_leave_in_the_order_of_the_requests),
        cmocka_unit_test(a_reset_for_the_cancelled_follows_the_earlier_answers),
        cmocka_unit_test(leaving_at_every_byte),
        cmocka_unit_test(a_record_outlives_its_connection),
        cmocka_unit_test(what_has_ended_tells_the_address_of_its_own_listener),
        cmocka_unit_test(a_late_head_gets_408),
        cmocka_unit_test(a_slow_body_gets_408),
        cmocka_unit_test(a_slow_handler_is_never_idle),
        cmocka_unit_test(a_handler_with_a_deadline_gets_503),
        cmocka_unit_test(idle_connections_are_closed_in_time),
        cmocka_unit_test(a_reader_that_stalls_is_reset),
        cmocka_unit_test(a_refusal_that_is_cut_off_ends_with_a_reset),
        cmocka_unit_test(a_refusal_that_is_taken_late_waits_no_longer),
        cmocka_unit_test(a_cancel_may_come_when_all_is_sent),
        cmocka_unit_test(nothing_follows_a_refused_request),
        cmocka_unit_test(an_earlier_answer_decides_no_upgrade),
        cmocka_unit_test(an_upgrade_answered_early_holds_nothing_up),
        cmocka_unit_test(at_most_max_pipeline_are_taken),
        cmocka_unit_test(a_pipeline_that_was_just_full_is_read_on),
        cmocka_unit_test(a_drain_answers_what_is_in_flight),
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(calls_from_another_thread_are_refused),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
