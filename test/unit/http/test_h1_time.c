/* HTTP/1.1 on a connection, time: who says nothing, who is slow with content, who does not take an
 * answer. */
#include "unit/http/simulation.h"

#define LENGTH_POST(n) "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: " n "\r\n\r\n"

static void a_silent_connection_is_a_timeout(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *silent = connect_peer(), *kept = connect_peer();
    say(kept, GET("/now"));
    turn();
    pass(15 * SECOND + 1);
    assert_true(carom_peer_saw_close(silent));
    assert_int_equal(stats_now().timeouts, 1);
    pass(76 * SECOND);
    assert_true(carom_peer_saw_close(kept)); /* which is none */
    assert_int_equal(finish().timeouts, 1);
}

/* The timer of a connection goes off for the nearer of two times; then for the other one. */
static void a_late_reader_is_seen_behind_slow_content(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 0);
    say(peer, GET("/now") LENGTH_POST("5") "ab");
    turn();
    pass(6 * SECOND);
    assert_int_equal(stats_now().timeouts, 1); /* the content: its 408 waits */
    assert_false(carom_peer_saw_close(peer));
    pass(25 * SECOND);
    assert_true(carom_peer_saw_reset(peer));
    finish();
}

static void slow_content_is_seen_of_each_request(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold")); /* so that the state of the connection outlives each of them */
    for (int i = 0; i < 2; i++) {
        say(peer, LENGTH_POST("5"));
        turn();
        pass(2 * SECOND);
        say(peer, "abcde");
        turn();
    }
    say(peer, LENGTH_POST("5") "a");
    turn();
    pass(5 * SECOND - 100);
    assert_int_equal(stats_now().timeouts, 0);
    pass(200);
    assert_int_equal(stats_now().timeouts, 1);
    answer_and_release(sim.held[0], "held");
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 3);
    assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
    finish();
}

/* 240 bytes a second, over five seconds; each window is counted by itself. */
static void content_has_a_rate(void **state)
{
    (void)state;
    static char content[1300];
    memset(content, 'x', sizeof content);
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, LENGTH_POST("100000"));
    turn();
    carom_slice bytes;
    assert_int_equal(carom_request_read(sim.held[0], &bytes), -CAROM_EAGAIN);
    for (int window = 0; window < 2; window++) {
        pass(SECOND);
        carom_peer_send(peer, content, sizeof content);
        turn();
        while (carom_request_read(sim.held[0], &bytes) > 0)
            turn();
        pass(4 * SECOND - 100); /* enough has come: a new window has begun */
        assert_int_equal(stats_now().timeouts, 0);
    }
    pass(SECOND + 200); /* in this one nothing comes */
    assert_int_equal(stats_now().timeouts, 1);
    assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
    finish();
}

/* Who collects waits all through it, from one window into the next. */
static void content_that_is_collected_has_a_rate(void **state)
{
    (void)state;
    static char content[250];
    memset(content, 'x', sizeof content);
    carom_options options = simulation_options();
    options.content_rate = 100;
    options.content_window = 2 * SECOND;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, LENGTH_POST("900"));
    turn();
    for (int window = 0; window < 2; window++) {
        pass(SECOND);
        carom_peer_send(peer, content, sizeof content);
        turn();
        pass(SECOND + 100);
        assert_int_equal(stats_now().timeouts, 0);
    }
    pass(2 * SECOND + 100); /* in this one nothing comes */
    assert_int_equal(stats_now().timeouts, 1);
    assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
    finish();
}

/* The time in which the handler does not read is its own; that in which the client was waited for
 * before counts on. */
static void the_rate_stands_still_while_nobody_reads(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, LENGTH_POST("10"));
    turn();
    carom_slice bytes;
    assert_int_equal(carom_request_read(sim.held[0], &bytes), -CAROM_EAGAIN);
    pass(3 * SECOND);
    say(peer, "abc");
    turn();
    pass(60 * SECOND);
    assert_int_equal(stats_now().timeouts, 0);
    assert_int_equal(carom_request_read(sim.held[0], &bytes), 1);
    assert_int_equal(bytes.length, 3);
    assert_int_equal(carom_request_read(sim.held[0], &bytes), -CAROM_EAGAIN);
    pass(SECOND);
    assert_int_equal(stats_now().timeouts, 0);
    pass(SECOND + 100);
    assert_int_equal(stats_now().timeouts, 1);
    finish();
}

/* Some clients send one; it does not begin a request, whose time is shorter. */
static void an_empty_line_behind_content_begins_nothing(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, LENGTH_POST("5") "abcde");
    turn();
    say(peer, "\r\n");
    turn();
    assert_int_equal(stats_now().records_in_flight, 0);
    pass(20 * SECOND);
    assert_null(strstr(got(peer), "408"));
    say(peer, GET("/now"));
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 2);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_connection_is_a_timeout),
        cmocka_unit_test(a_late_reader_is_seen_behind_slow_content),
        cmocka_unit_test(slow_content_is_seen_of_each_request),
        cmocka_unit_test(content_has_a_rate),
        cmocka_unit_test(content_that_is_collected_has_a_rate),
        cmocka_unit_test(the_rate_stands_still_while_nobody_reads),
        cmocka_unit_test(an_empty_line_behind_content_begins_nothing),
    };
    return cmocka_run_group_tests_name("http/h1_time", tests, NULL, NULL);
}
