/* Content of HTTP/1.1: whether what follows an answer is content or a request, how much of it is
 * dropped for a connection's sake, and the time of its windows, by the test's own clock. */
#include <stdio.h>

#include "unit/http/simulation.h"

#define EXPECTING                                                                                  \
    "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

static char bytes[300 * 1024];

/* ---------------------------------------------------------------- 100 Continue */

static void answer_whole(carom_record *record)
{
    assert_int_equal(answer(record, "whole"), 0);
}

static void answer_in_pieces(carom_record *record)
{
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    const carom_content content = {"piece", 5, NULL, NULL};
    assert_int_equal(carom_respond_begin(record, &response), 0);
    turn();
    assert_int_equal(carom_write(record, &content), 0);
    turn();
    assert_int_equal(carom_end(record, NULL, 0), 0);
}

static void answer_without_content(carom_record *record)
{
    const carom_response response = {.status = 204};
    assert_int_equal(carom_respond_begin(record, &response), 0);
    assert_int_equal(carom_end(record, NULL, 0), 0);
}

/* A client that was not told to go on may send its content or its next request: the connection ends
 * with the answer, in whichever way that is given (RFC 9110, 10.1.1). */
static void who_was_not_told_to_go_on_sends_no_other_request(void **state)
{
    (void)state;
    static void (*const ways[])(carom_record *) = {answer_whole, answer_in_pieces,
                                                   answer_without_content};
    carom_options options = simulation_options();
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        struct carom_peer *peer = begin_idle(&options);
        say(peer, EXPECTING);
        turn();
        ways[way](sim.held[0]);
        release(sim.held[0]);
        turn();
        assert_got(peer, "Connection: close\r\n");
        assert_null(strstr(got(peer), "100 Continue"));
        assert_true(carom_peer_saw_fin(peer));
        say(peer, GET("/now"));
        turn();
        assert_int_equal(sim.held_count, 0);
        assert_int_equal(count(got(peer), "HTTP/1.1 "), 1);
        assert_int_equal(finish().requests, 1);
    }
}

/* Who was told, or has not waited for it, goes on. */
static void who_was_told_to_go_on_stays(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (int asks = 0; asks < 2; asks++) {
        struct carom_peer *peer = begin_idle(&options);
        say(peer, asks ? EXPECTING : EXPECTING "hello");
        turn();
        if (asks) {
            assert_int_equal(drain_content(sim.held[0]), 0);
            assert_int_equal(drain_content(sim.held[0]), 0); /* is told once */
            assert_string_equal(got(peer), "HTTP/1.1 100 Continue\r\n\r\n");
            say(peer, "hello");
            turn();
        }
        answer_in_pieces(sim.held[0]);
        release(sim.held[0]);
        turn();
        assert_int_equal(count(got(peer), "100 Continue"), asks);
        assert_null(strstr(got(peer), "close"));
        say(peer, GET("/now"));
        turn();
        assert_int_equal(sim.held_count, 1);
        finish();
    }
}

/* An informational answer is not the one that was waited for. */
static void information_is_no_answer(void **state)
{
    (void)state;
    const carom_response hints = {.status = 103};
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_idle(&options);
    say(peer, EXPECTING);
    turn();
    assert_int_equal(carom_inform(sim.held[0], &hints), 0);
    assert_int_equal(drain_content(sim.held[0]), 0);
    assert_int_equal(count(got(peer), "HTTP/1.1 103 "), 1);
    assert_int_equal(count(got(peer), "HTTP/1.1 100 "), 1);
    answer_whole(sim.held[0]);
    assert_int_equal(drain_content(sim.held[0]), 0);
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1 100 "), 1);
    finish();
}

/* ---------------------------------------------------------------- the time of content */

static struct carom_peer *begin_slow(carom_options *options)
{
    struct carom_peer *peer = begin_idle(options);
    say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    turn();
    assert_int_equal(drain_content(sim.held[0]), 0); /* it is waited for */
    return peer;
}

/* How many seconds of silence until the client is told 408. */
static unsigned patience(const struct carom_peer *peer)
{
    unsigned tenths = 0;
    for (; strstr(got(peer), "408") == NULL; tenths++) {
        assert_true(tenths < 1000);
        pass(100);
    }
    return tenths;
}

/* While the handler does not ask for content no time runs, however long that lasts. */
static void a_pause_of_the_handler_has_no_end(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_slow(&options);
    for (int pause = 0; pause < 3; pause++) {
        pass(SECOND);
        say(peer, "a"); /* which ends the waiting */
        turn();
        for (int hour = 0; hour < 3; hour++)
            pass(3600 * SECOND);
        assert_string_equal(got(peer), "");
        drain_content(sim.held[0]);
    }
    assert_in_range(patience(peer), 20, 21); /* what is left of 5 s */
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

/* Enough has come in a window that a pause cuts short: the next one is whole, and begins at 0. */
static void a_window_with_enough_in_it_is_over(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_slow(&options);
    pass(3 * SECOND);
    carom_peer_send(peer, bytes, 1200); /* content_rate times content_window */
    turn();
    pass(60 * SECOND);
    assert_int_equal(drain_content(sim.held[0]), 1200);
    assert_in_range(patience(peer), 50, 51);
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

/* Each window is measured for itself; exactly the rate is fast enough. */
static void a_fast_beginning_buys_no_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (size_t missing = 0; missing < 2; missing++) {
        options.content_rate = 100;
        options.content_window = 2 * SECOND;
        struct carom_peer *peer = begin_slow(&options);
        carom_peer_send(peer, bytes, 10000);
        turn();
        drain_content(sim.held[0]);
        int windows = 0;
        for (; windows < 20 && strstr(got(peer), "408") == NULL; windows++) {
            pass(1500);
            carom_peer_send(peer, bytes, 200 - missing);
            turn();
            drain_content(sim.held[0]);
        }
        assert_int_equal(windows, missing ? 2 : 20);
        finish();
    }
}

static void a_rate_that_is_off_is_none(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        carom_options options = simulation_options();
        *(which ? &options.content_rate : &options.content_window) = CAROM_OFF;
        struct carom_peer *peer = begin_slow(&options);
        for (int hour = 0; hour < 3; hour++)
            pass(3600 * SECOND);
        assert_string_equal(got(peer), "");
        assert_int_equal(sim.held_count, 1);
        finish();
    }
}

/* Nor has the wait behind a request's end, when its content has come. */
static void content_that_has_come_is_not_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_idle(&options);
    say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    turn();
    drain_content(sim.held[0]);
    say(peer, "hello");
    turn();
    for (int hour = 0; hour < 3; hour++)
        pass(3600 * SECOND);
    assert_string_equal(got(peer), "");
    answer_whole(sim.held[0]);
    turn();
    assert_got(peer, "whole");
    finish();
}

/* ---------------------------------------------------------------- limits */

/* Content that is exactly as long as may be, and a byte more; said before, and not. */
static void max_content_is_the_last_that_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool refused;
    } cases[] = {
        {"Content-Length: 4\r\n\r\nfour", false},
        {"Content-Length: 5\r\n\r\nfives", true},
        {"Transfer-Encoding: chunked\r\n\r\n2\r\nfo\r\n2\r\nur\r\n0\r\n\r\n", false},
        {"Transfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n3\r\nves\r\n0\r\n\r\n", true},
        {"Transfer-Encoding: chunked\r\n\r\n5\r\nfives\r\n0\r\n\r\n", true},
    };
    carom_options options = simulation_options();
    options.max_content = 4;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, "POST /now HTTP/1.1\r\nHost: a\r\n");
        say(peer, cases[i].text);
        say(peer, GET("/now"));
        turn();
        if (count(got(peer), "HTTP/1.1 413 ") != cases[i].refused ||
            count(got(peer), "HTTP/1.1 200 ") != (cases[i].refused ? 0 : 2))
            fail_msg("case %zu: %s", i, got(peer));
        carom_stats stats = finish();
        assert_int_equal(stats.ended[CAROM_REASON_OVER_LIMIT], cases[i].refused);
    }
}

static void send_length(struct carom_peer *peer, size_t length, size_t now)
{
    char head[128];
    snprintf(head, sizeof head, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
             length);
    say(peer, head);
    carom_peer_send(peer, bytes, now);
    turn();
}

/* Content that nobody reads is dropped to keep the connection, up to drain_content of it, for each
 * request anew; what is known to be more is not waited for. */
static void as_much_as_drain_content_is_dropped(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.drain_content = 1000;
    for (size_t more = 0; more < 2; more++)
        for (int early = 0; early < 2; early++) {
            struct carom_peer *peer = begin_idle(&options);
            for (int i = 1; i <= 3; i++) {
                send_length(peer, 1000 + more, early ? 0 : 10);
                if (sim.held_count == 0)
                    break;
                if (!early)
                    assert_int_equal(drain_content(sim.held[0]),
                                     10); /* of these nothing is dropped */
                answer_in_pieces(sim.held[0]);
                release(sim.held[0]);
                turn();
                carom_peer_send(peer, bytes, 1000 + more - (early ? 0 : 10));
                turn();
                assert_int_equal(count(got(peer), "0\r\n\r\n"), i);
            }
            bool over = more && early;
            assert_int_equal(carom_peer_saw_fin(peer), over);
            say(peer, GET("/now"));
            turn();
            assert_int_equal(sim.held_count, !over);
            finish();
        }
}

/* The head of a whole answer says so at once. */
static void what_is_too_much_to_drop_is_said(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.drain_content = 1000;
    for (size_t more = 0; more < 2; more++) {
        struct carom_peer *peer = begin_idle(&options);
        send_length(peer, 1000 + more, 0);
        answer_whole(sim.held[0]);
        release(sim.held[0]);
        turn();
        assert_int_equal(count(got(peer), "Connection: close"), more);
        carom_peer_send(peer, bytes, 1000 + more);
        say(peer, GET("/now"));
        turn();
        assert_int_equal(sim.held_count, !more);
        finish();
    }
}

/* A handler reads on behind its answer, and the connection stays. */
static void content_is_read_behind_its_answer(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.drain_content = 10;
    for (int closes = 0; closes < 2; closes++) {
        const carom_field close = {CAROM_SLICE("Connection"), CAROM_SLICE("close")};
        const carom_response response = {.status = 200,
                                         .fields = &close,
                                         .field_count = (size_t)closes,
                                         .content_length = CAROM_LENGTH_UNKNOWN};
        struct carom_peer *peer = begin_idle(&options);
        send_length(peer, 5000, 0);
        assert_int_equal(carom_respond_begin(sim.held[0], &response), 0);
        assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
        turn();
        assert_got(peer, "0\r\n\r\n");
        uint64_t read = drain_content(sim.held[0]);
        for (int i = 0; i < 5; i++) {
            carom_peer_send(peer, bytes, 1000);
            turn();
            read += drain_content(sim.held[0]);
        }
        assert_int_equal(read, 5000);
        release(sim.held[0]);
        turn();
        assert_int_equal(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer), closes);
        say(peer, GET("/now"));
        turn();
        assert_int_equal(sim.held_count, !closes);
        assert_int_equal(finish().responses, 1);
    }
}

/* Nothing is received while nobody asks for it. */
static void content_waits_with_its_sender(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_idle(&options);
    send_length(peer, 200000, 0);
    uint64_t read = 0;
    for (int i = 0; i < 4; i++) {
        carom_peer_send(peer, bytes, 50000);
        turn();
        turn();
        /* one delivery may be here */
        assert_in_range(carom_record_outcome(sim.held[0]).content_received - read, 0, 65536);
        pass(SECOND);
    }
    while (read < 200000)
        read += drain_content(sim.held[0]);
    answer_whole(sim.held[0]);
    turn();
    assert_got(peer, "whole");
    finish();
}

/* ---------------------------------------------------------------- what is kept */

static int collected;

static void count_collected(carom_waker *waker, int status)
{
    (void)waker;
    assert_int_equal(status, 0);
    collected++;
}

/* Pieces of content that is collected are packed into small pages, each as far as it has room. */
static void collected_content_stays_as_it_came(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peers[2] = {begin_idle(&options), connect_peer()};
    collected = 0;
    for (int i = 0; i < 2; i++) {
        send_length(peers[i], 9000, 0);
        struct held *held = carom_record_state(sim.held[i]);
        held->waker.wake = count_collected;
        assert_int_equal(carom_request_collect(sim.held[i], 9000, &held->waker), 0);
    }
    for (int piece = 0; piece < 10; piece++)
        for (int i = 0; i < 2; i++) {
            memset(bytes, (i ? 'A' : 'a') + piece, 900);
            carom_peer_send(peers[i], bytes, 900);
            turn();
        }
    assert_int_equal(collected, 2);
    for (int i = 0; i < 2; i++) {
        carom_slice slice;
        size_t at = 0;
        assert_int_equal(carom_request_buffered(sim.held[i]), 9000);
        while (carom_request_read(sim.held[i], &slice) == 1)
            for (size_t j = 0; j < slice.length; j++, at++)
                assert_int_equal(slice.data[j], (i ? 'A' : 'a') + at / 900);
        assert_int_equal(at, 9000);
    }
    finish();
}

/* As much as a page holds, received from a peer and read. */
static void fill_pages(struct carom_peer *peer, size_t piece)
{
    for (size_t sent = 0; sent < 100000; sent += piece) {
        carom_peer_send(peer, bytes, piece);
        turn();
        drain_content(sim.held[0]);
    }
}

/* An answer ahead of content that is waited for: the rest is still read, however much it is. */
static void who_is_answered_while_content_is_waited_for_stays(void **state)
{
    (void)state;
    for (int collects = 0; collects < 2; collects++) {
        carom_options options = simulation_options();
        options.drain_content = 1000;
        struct carom_peer *peer = begin_idle(&options);
        collected = 0;
        send_length(peer, 9000, 0);
        struct held *held = carom_record_state(sim.held[0]);
        held->waker.wake = count_collected;
        if (collects)
            assert_int_equal(carom_request_collect(sim.held[0], 9000, &held->waker), 0);
        else
            assert_int_equal(carom_wait(sim.held[0], CAROM_READABLE, &held->waker), 0);
        answer_whole(sim.held[0]);
        turn();
        assert_got(peer, "whole");
        assert_null(strstr(got(peer), "Connection: close"));
        carom_peer_send(peer, bytes, 9000);
        turn();
        assert_int_equal(collected, 1);
        assert_int_equal(drain_content(sim.held[0]), 9000);
        release(sim.held[0]);
        turn();
        say(peer, GET("/now"));
        turn();
        assert_int_equal(sim.held_count, 1);
        finish();
    }
}

/* Trailers lie in the page that they came in, which is used again when nobody holds it. */
static void trailers_stay_as_they_came(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *other = begin_idle(&options), *peer = connect_peer();
    memset(bytes, 'x', sizeof bytes);
    send_length(other, sizeof bytes, 0);
    say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    turn();
    carom_record *record = sim.held[1];
    assert_int_equal(drain_content(record), 0);
    fill_pages(other, 1000); /* the head has another page */
    say(peer, "0\r\nX-Sum: kept\r\n\r\n");
    turn();
    fill_pages(other, 4000);
    assert_int_equal(carom_request_trailer_count(record), 1);
    carom_field trailer = carom_request_trailer_at(record, 0);
    assert_memory_equal(trailer.value.data, "kept", 4);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(who_was_not_told_to_go_on_sends_no_other_request),
        cmocka_unit_test(who_was_told_to_go_on_stays),
        cmocka_unit_test(information_is_no_answer),
        cmocka_unit_test(a_pause_of_the_handler_has_no_end),
        cmocka_unit_test(a_window_with_enough_in_it_is_over),
        cmocka_unit_test(a_fast_beginning_buys_no_time),
        cmocka_unit_test(a_rate_that_is_off_is_none),
        cmocka_unit_test(content_that_has_come_is_not_timed),
        cmocka_unit_test(max_content_is_the_last_that_is_taken),
        cmocka_unit_test(as_much_as_drain_content_is_dropped),
        cmocka_unit_test(what_is_too_much_to_drop_is_said),
        cmocka_unit_test(content_is_read_behind_its_answer),
        cmocka_unit_test(content_waits_with_its_sender),
        cmocka_unit_test(collected_content_stays_as_it_came),
        cmocka_unit_test(who_is_answered_while_content_is_waited_for_stays),
        cmocka_unit_test(trailers_stay_as_they_came),
    };
    return cmocka_run_group_tests_name("http/h1_content", all, NULL, NULL);
}
