/* What answers of HTTP/1.1 say of their connection, and that it is so. */
#include "unit/http/simulation.h"

/* A request, how its client goes on, and what its answer says. */
static const struct {
    const char *request;
    bool half_close, fin, drain;
    const char *says; /* NULL: nothing of it */
    bool ends;
} cases[] = {
    {GET("/hold"), false, false, false, NULL, false},
    {GET("/hold"), true, false, false, NULL, false},
    {GET("/hold"), true, true, false, "close", true},
    {GET("/hold"), false, false, true, "close", true},
    {"GET /hold HTTP/1.0\r\n\r\n", false, false, false, "close", true},
    {"GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, false, false, "keep-alive",
     false},
    {"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false, false, false, "close",
     true},
    {"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", false, false, false, NULL,
     false},
};

static void an_answer_says_whether_its_connection_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int streamed = 0; streamed < 2; streamed++) {
            carom_options options = simulation_options();
            options.half_close = cases[i].half_close;
            options.keep_alive = CAROM_OFF; /* which would say its time */
            begin(&options);
            struct carom_peer *peer = connect_peer();
            say(peer, cases[i].request);
            turn();
            if (cases[i].fin)
                carom_peer_shutdown(peer);
            if (cases[i].drain)
                carom_shutdown(sim.service, 100 * SECOND);
            turn();
            carom_record *record = sim.held[0];
            if (streamed) {
                assert_int_equal(carom_respond_begin(record, &(carom_response){.status = 200}), 0);
                assert_int_equal(carom_end(record, NULL, 0), 0);
                release(record);
            } else {
                answer_and_release(record, "x");
            }
            turn();
            assert_got(peer, "HTTP/1.1 200 OK\r\n");
            char line[64];
            if (cases[i].says != NULL) {
                snprintf(line, sizeof line, "\r\nConnection: %s\r\n", cases[i].says);
                /* Without its length the end of HTTP/1.0 is that of the connection. */
                bool old = strstr(cases[i].request, "HTTP/1.0") != NULL;
                assert_got(peer, streamed && old ? "\r\nConnection: close\r\n" : line);
            } else if (strstr(got(peer), "Connection") != NULL) {
                fail_msg("case %zu says: %s", i, got(peer));
            }
            if (!streamed)
                assert_true((carom_peer_saw_fin(peer) || carom_peer_saw_close(peer)) ==
                            cases[i].ends);
            finish();
        }
}

/* Of several that are in flight only the last one is told so, and is answered. */
static void the_last_of_a_pipeline_says_it(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.half_close = true;
    for (int fin = 0; fin < 2; fin++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, GET("/hold") GET("/hold") GET("/hold"));
        turn();
        assert_int_equal(sim.held_count, 3);
        if (fin)
            carom_peer_shutdown(peer);
        else
            carom_shutdown(sim.service, 100 * SECOND);
        turn();
        for (int i = 0; i < 3; i++) {
            assert_int_equal(count(got(peer), "Connection: close"), 0);
            answer_and_release(sim.held[0], "x");
            turn();
            assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), i + 1);
        }
        assert_int_equal(count(got(peer), "Connection: close"), 1);
        assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer));
        finish();
    }
}

static void host_is_asked_for_unless_it_is_optional(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (int optional = 0; optional < 2; optional++) {
        options.host_optional = optional;
        begin(&options);
        struct carom_peer *peer = connect_peer();
        for (int i = 0; i < 2; i++) {
            say(peer, "GET /now HTTP/1.1\r\nA: b\r\n\r\n");
            turn();
        }
        assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), optional ? 2 : 0);
        assert_int_equal(count(got(peer), "HTTP/1.1 400 Bad Request\r\n"), !optional);
        finish();
    }
}

/* What a handler writes itself ends with the connection, whatever its client wanted. */
static void a_raw_answer_is_the_last(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    say(peer, GET("/now"));
    const carom_content content = {"HTTP/1.1 200 Mine\r\nContent-Length: 0\r\n\r\n", 40, NULL,
                                   NULL};
    assert_int_equal(carom_respond_raw(sim.held[0]), 0);
    assert_int_equal(carom_write(sim.held[0], &content), 0);
    assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
    release(sim.held[0]);
    turn();
    assert_string_equal(got(peer), "HTTP/1.1 200 Mine\r\nContent-Length: 0\r\n\r\n");
    assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_says_whether_its_connection_stays),
        cmocka_unit_test(the_last_of_a_pipeline_says_it),
        cmocka_unit_test(host_is_asked_for_unless_it_is_optional),
        cmocka_unit_test(a_raw_answer_is_the_last),
    };
    return cmocka_run_group_tests_name("http/h1_lines", tests, NULL, NULL);
}
