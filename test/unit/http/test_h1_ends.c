/* What ends a connection of HTTP/1.1 behind an answer, and what is not read any more then. */
#include "unit/http/simulation.h"

#define CHUNKED "POST /hold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static carom_options idle_options(void)
{
    carom_options options = simulation_options();
    options.handler = idle_handler;
    return options;
}

/* What is refused while its head and its content come along in one is shown to no handler. */
static void who_is_refused_at_once_has_no_handler(void **state)
{
    (void)state;
    static const struct {
        const char *content, *answer;
        carom_reason reason;
    } cases[] = {
        {"b\r\nabcdefghijk\r\n", "HTTP/1.1 413 ", CAROM_REASON_OVER_LIMIT},
        {"x\r\n", "HTTP/1.1 400 ", CAROM_REASON_BAD_REQUEST},
        {"1\r\na\r\nx\r\n", "HTTP/1.1 400 ", CAROM_REASON_BAD_REQUEST},
        {"0\r\nA : b\r\n\r\n", "HTTP/1.1 400 ", CAROM_REASON_BAD_REQUEST},
    };
    carom_options options = idle_options();
    options.max_content = 10;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int apart = 0; apart < 2; apart++) {
            char text[200];
            begin(&options);
            struct carom_peer *peer = connect_peer();
            if (apart) {
                say(peer, CHUNKED);
                turn();
                assert_int_equal(drain_content(sim.held[0]), 0); /* so that it is received */
            }
            snprintf(text, sizeof text, "%s%s", apart ? "" : CHUNKED, cases[i].content);
            say(peer, text);
            say(peer, GET("/now"));
            turn();
            assert_int_equal(sim.held_count, apart);
            assert_got(peer, cases[i].answer);
            assert_got(peer, "Connection: close\r\n");
            assert_int_equal(count(got(peer), "HTTP/1.1 "), 1);
            assert_null(strstr(got(peer), "Allow")); /* of 405 */
            assert_null(strstr(got(peer), "Retry-After"));
            assert_true(carom_peer_saw_fin(peer));
            while (sim.held_count > 0)
                release(sim.held[0]);
            turn();
            assert_int_equal(stats_now().ended[cases[i].reason], 1);
            finish();
        }
}

/* Up to drain_content, in however many pieces it comes. */
static void what_nobody_reads_is_counted_together(void **state)
{
    (void)state;
    carom_options options = idle_options();
    options.drain_content = 30;
    for (int over = 0; over < 2; over++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, CHUNKED);
        turn();
        assert_int_equal(carom_respond_begin(sim.held[0], &(carom_response){.status = 200}), 0);
        assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
        release(sim.held[0]);
        turn();
        for (int i = 0; i < 3; i++) {
            say(peer, "a\r\nabcdefghij\r\n");
            turn();
            assert_false(carom_peer_saw_fin(peer));
        }
        say(peer, over ? "1\r\na\r\n" : "0\r\n\r\n" GET("/hold"));
        turn();
        assert_true(carom_peer_saw_fin(peer) == over);
        assert_int_equal(sim.held_count, !over);
        finish();
    }
}

/* The answer to a CONNECT that makes no tunnel: what follows was meant for its other end. */
static void nothing_is_read_behind_a_refused_connect(void **state)
{
    (void)state;
    const carom_options options = idle_options();
    for (int behind = 0; behind < 2; behind++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
        if (!behind)
            say(peer, GET("/hold"));
        turn();
        assert_int_equal(sim.held_count, 1);
        assert_int_equal(carom_respond(sim.held[0], &(carom_response){.status = 403}), 0);
        release(sim.held[0]);
        turn();
        say(peer, GET("/hold"));
        turn();
        assert_got(peer, "HTTP/1.1 403 ");
        assert_got(peer, "Connection: close\r\n");
        assert_int_equal(sim.held_count, 0);
        assert_true(carom_peer_saw_fin(peer));
        assert_int_equal(finish().requests, 1);
    }
}

/* A handler has said Connection: close, and its client takes no bytes yet: what is asked meanwhile
 * would not be answered. */
static void nothing_is_read_behind_a_close_that_waits(void **state)
{
    (void)state;
    static const carom_field close_it = {CAROM_SLICE("Connection"), CAROM_SLICE("close")};
    const carom_response response = {.status = 200, .fields = &close_it, .field_count = 1};
    const carom_options options = idle_options();
    for (int raw = 0; raw < 2; raw++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        carom_peer_set_window(peer, 0);
        say(peer, GET("/hold"));
        turn();
        carom_record *record = sim.held[0];
        if (raw) {
            const carom_content content = {"raw", 3, NULL, NULL};
            assert_int_equal(carom_respond_raw(record), 0);
            assert_int_equal(carom_write(record, &content), 0);
            assert_int_equal(carom_end(record, NULL, 0), 0);
        } else {
            assert_int_equal(carom_respond(record, &response), 0);
        }
        release(record);
        turn();
        say(peer, GET("/hold"));
        turn();
        assert_int_equal(sim.held_count, 0);
        carom_peer_set_window(peer, SIZE_MAX);
        turn();
        assert_true(carom_peer_saw_fin(peer));
        assert_int_equal(finish().requests, 1);
    }
}

/* A whole answer is content's end, where more of that is to come than is dropped. */
static void an_answer_before_much_content_closes(void **state)
{
    (void)state;
    carom_options options = idle_options();
    options.drain_content = 100;
    for (int length = 100; length <= 101; length++) {
        char text[200];
        begin(&options);
        struct carom_peer *peer = connect_peer();
        snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                 length);
        say(peer, text);
        turn();
        answer_and_release(sim.held[0], "x");
        turn();
        assert_int_equal(count(got(peer), "Connection: close\r\n"), length > 100);
        finish();
    }
}

/* 503, and not a byte more. */
static void who_is_too_many_is_told_so(void **state)
{
    (void)state;
    static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                  "Retry-After: 1\r\nConnection: close\r\n\r\n";
    carom_options options = idle_options();
    options.max_connections = 1;
    options.refuse_connections = true;
    begin(&options);
    connect_peer();
    struct carom_peer *late = connect_peer();
    say(late, GET("/hold"));
    turn();
    size_t length;
    const char *bytes = carom_peer_received(late, &length);
    assert_int_equal(length, strlen(refusal));
    assert_memory_equal(bytes, refusal, length);
    assert_true(carom_peer_saw_fin(late));
    assert_int_equal(sim.held_count, 0);
    assert_int_equal(stats_now().connections_refused, 1);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_refused_at_once_has_no_handler),
        cmocka_unit_test(what_nobody_reads_is_counted_together),
        cmocka_unit_test(nothing_is_read_behind_a_refused_connect),
        cmocka_unit_test(nothing_is_read_behind_a_close_that_waits),
        cmocka_unit_test(an_answer_before_much_content_closes),
        cmocka_unit_test(who_is_too_many_is_told_so),
    };
    return cmocka_run_group_tests_name("http/h1_ends", tests, NULL, NULL);
}
