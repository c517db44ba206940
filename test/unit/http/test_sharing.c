/* Nobody holds what another needs: FIN behind bytes that are not read, requests beyond a
 * connection's share, answers that their client does not take. */
#include "unit/http/simulation.h"

/* It reads nothing, so nothing behind the first piece is received. */
static void keep_unread(carom_record *record, void *data)
{
    struct held *held = carom_record_state(record);
    (void)data;
    held->cancelled.wake = on_cancelled;
    sim.held[sim.held_count++] = record;
    assert_int_equal(carom_wait(record, CAROM_CANCELLED, &held->cancelled), 0);
}

static void fin_behind_content_that_is_not_read_is_noticed(void **state)
{
    (void)state;
    for (int half_close = 0; half_close < 2; half_close++) {
        carom_options options = simulation_options();
        options.handler = keep_unread;
        options.half_close = half_close;
        begin(&options);
        struct carom_peer *peer = connect_peer();
        carom_peer_set_piece(peer, 1000);
        static char content[100000];
        say(peer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        carom_peer_send(peer, content, sizeof content);
        turn();
        assert_true(carom_peer_unread(peer) > 90000);
        carom_peer_shutdown(peer);
        turn();
        assert_int_equal(sim.cancelled, half_close ? 0 : 1);
        assert_int_equal(carom_peer_saw_close(peer), !half_close);
        release(sim.held[0]);
        turn();
        assert_int_equal(finish().ended[CAROM_REASON_CLIENT_CLOSED], half_close ? 0 : 1);
    }
}

/* Behind requests that are not taken yet; what is answered already still leaves. */
static void fin_behind_a_full_pipeline_is_noticed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = keep_unread;
    options.max_pipeline = 2;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/") GET("/") GET("/"));
    turn();
    assert_int_equal(sim.held_count, 2);
    answer_and_release(sim.held[0], "first");
    carom_peer_set_window(peer, 10);
    carom_peer_shutdown(peer);
    turn();
    assert_int_equal(sim.cancelled, 1);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_got(peer, "first");
    while (sim.held_count > 0)
        release(sim.held[0]);
    turn();
    assert_true(carom_peer_saw_close(peer));
    assert_false(carom_peer_saw_reset(peer)); /* which would have taken the answer from it */
    finish();
}

/* Nor does a close in front of content that nobody read take from a client what it was answered. */
static void an_answer_arrives_though_content_and_fin_were_not_read(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = keep_unread;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_piece(peer, 1000);
    carom_peer_set_window(peer, 10);
    static char content[100000];
    say(peer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    carom_peer_send(peer, content, sizeof content);
    turn();
    answer(sim.held[0], "not read");
    turn();
    carom_peer_shutdown(peer);
    turn();
    release(sim.held[0]);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_got(peer, "not read");
    assert_true(carom_peer_saw_close(peer));
    assert_false(carom_peer_saw_reset(peer));
    finish();
}

/* Answered whole: what came before FIN is taken in its turn. */
static void fin_behind_requests_that_can_wait_takes_nothing_from_them(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_pipeline = 2;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 10);
    say(peer, GET("/now") GET("/now") GET("/now") GET("/now"));
    turn();
    carom_peer_shutdown(peer);
    turn();
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 4);
}

static int lines;

static void count_line(void *data, carom_log_level level, const char *line)
{
    (void)data;
    assert_int_equal(level, CAROM_LOG_WARNING);
    assert_non_null(strstr(line, "answered 503"));
    lines++;
}

/* A pipeline goes on as its answers leave, and is not read while it would take what others need;
 * when they have taken all, who comes is told so, and so is the log, though not of each. */
static void a_connection_leaves_as_much_as_it_has(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 8;
    options.log = count_line;
    begin(&options);
    lines = 0;
    struct carom_peer *greedy = connect_peer();
    for (int i = 0; i < 8; i++)
        say(greedy, GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 4);
    struct carom_peer *others[4];
    for (int i = 0; i < 4; i++) {
        others[i] = connect_peer();
        say(others[i], GET("/hold"));
    }
    turn();
    assert_int_equal(sim.held_count, 8);
    for (int i = 0; i < 2; i++) {
        struct carom_peer *late = connect_peer();
        say(late, GET("/now"));
        turn();
        assert_got(late, "HTTP/1.1 503 Service Unavailable\r\n");
        assert_got(late, "Retry-After: 1\r\n");
    }
    assert_int_equal(lines, 1);
    while (sim.held_count > 0) {
        answer_and_release(sim.held[0], "in its turn");
        turn();
    }
    carom_stats stats = finish();
    assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 8 + 4);
    assert_int_equal(stats.requests_refused, 2);
}

/* Answers that are not taken are not made in numbers. */
static void a_pipeline_waits_for_its_client(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_buffer = 1000;
    begin(&options);
    static char big[1001];
    memset(big, 'b', sizeof big - 1);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 0);
    for (int i = 0; i < 12; i++)
        say(peer, GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 12);
    for (int i = 0; i < 12; i++)
        answer_and_release(sim.held[0], big);
    turn();
    /* Large as answers have been, four of them fill four write buffers. */
    for (int i = 0; i < 12; i++)
        say(peer, GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_in_range(sim.held_count, 1, 6);
    while (sim.held_count > 0) {
        answer_and_release(sim.held[0], big);
        turn();
    }
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 24);
}

/* After answers that are small again as many as before are taken ahead. */
static void small_answers_are_learnt_too(void **state)
{
    (void)state;
    static char big[8 * 1024 + 1];
    memset(big, 'b', sizeof big - 1);
    carom_options options = simulation_options();
    options.write_buffer = 1000;
    options.max_pipeline = 100;
    begin(&options);
    const struct carom_connections *connections = &sim.service->workers[0].connections;
    struct carom_peer *peer = connect_peer();
    for (int i = 0; i < 20; i++) {
        say(peer, GET("/hold"));
        turn();
        answer_and_release(sim.held[0], big);
        turn();
    }
    assert_in_range(connections->requests_ahead, 1, 2);
    for (int i = 0; i < 100; i++) {
        say(peer, GET("/hold"));
        turn();
        answer_and_release(sim.held[0], i % 2 ? "" : "small");
        turn();
    }
    assert_int_equal(connections->requests_ahead, 100);
    finish();
}

/* What a client has taken of a long answer is owed to it no more. */
static void what_was_taken_is_not_owed(void **state)
{
    (void)state;
    static char big[64 * 1024 + 1];
    memset(big, 'b', sizeof big - 1);
    carom_options options = simulation_options();
    begin(&options);
    const struct carom_connections *connections = &sim.service->workers[0].connections;
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 0);
    say(peer, GET("/hold"));
    turn();
    answer_and_release(sim.held[0], big);
    turn();
    assert_true(connections->owed >= sizeof big - 1);
    carom_peer_set_window(peer, 60 * 1024);
    turn();
    assert_in_range(connections->owed, 1, 5 * 1024);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_int_equal(connections->owed, 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fin_behind_content_that_is_not_read_is_noticed),
        cmocka_unit_test(fin_behind_a_full_pipeline_is_noticed),
        cmocka_unit_test(an_answer_arrives_though_content_and_fin_were_not_read),
        cmocka_unit_test(fin_behind_requests_that_can_wait_takes_nothing_from_them),
        cmocka_unit_test(a_connection_leaves_as_much_as_it_has),
        cmocka_unit_test(a_pipeline_waits_for_its_client),
        cmocka_unit_test(small_answers_are_learnt_too),
        cmocka_unit_test(what_was_taken_is_not_owed),
    };
    return cmocka_run_group_tests_name("http/sharing", tests, NULL, NULL);
}
