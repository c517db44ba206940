/* Peers that are slow on purpose, by the test's own clock: each is let go in the time that the
 * options say, whatever it trickles meanwhile, and what is kept for it has a bound. Late heads,
 * slow content and stalled readers in general: test_connection.c. */
#include <stdio.h>

#include "unit/http/simulation.h"

#define CHUNKED_POST(target)                                                                       \
    "POST " target " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LENGTH_POST(target) "POST " target " HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"

#define KIB     1024u
#define FOREVER (24u * 3600)

/* Send `piece` every second until the engine ends the connection; returns after how many. */
static unsigned trickle(struct carom_peer *peer, const char *piece)
{
    unsigned seconds = 0;
    for (; !carom_peer_saw_fin(peer) && !carom_peer_saw_close(peer); seconds++) {
        assert_true(seconds < FOREVER);
        say(peer, piece);
        turn();
        pass(SECOND);
    }
    return seconds;
}

static void empty_lines_gain_no_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *fresh = connect_peer();
    assert_in_range(trickle(fresh, "\r\n"), 15, 16); /* first_byte_timeout */
    assert_string_equal(got(fresh), "");
    /* After a request: keep_alive and its grace. */
    struct carom_peer *kept = connect_peer();
    say(kept, GET("/now"));
    turn();
    assert_in_range(trickle(kept, "\r\n"), 76, 77);
    finish();
}

/* In a head, a byte or a line at a time: the time runs from its first byte. */
static void heads_in_pieces_gain_no_time(void **state)
{
    (void)state;
    static const char *const begins[] = {"GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: "};
    static const char *const pieces[] = {"a", "b\r\nX: "};
    carom_options options = simulation_options();
    for (int i = 0; i < 2; i++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, begins[i]);
        turn();
        assert_in_range(trickle(peer, pieces[i]), 10, 11); /* header_timeout */
        assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
        finish();
    }
}

/* The window of slow content ends with the content: the next head has all its time. */
static void time_of_content_is_not_that_of_the_next_head(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    turn();
    pass(SECOND);
    say(peer, "hiGET /now HTTP/1.1\r\n");
    turn();
    pass(9 * SECOND);
    say(peer, "Host: a\r\n\r\n");
    turn();
    answer_and_release(sim.held[0], "held");
    turn();
    assert_got(peer, "held");
    assert_null(strstr(got(peer), "408"));
    assert_false(carom_peer_saw_fin(peer));
    finish();
}

/* Only content counts as content: not chunk lines, extensions or trailers. */
static void framing_in_pieces_is_no_content(void **state)
{
    (void)state;
    static const char *const begins[] = {
        CHUNKED_POST("/now"),
        CHUNKED_POST("/now") "5;a=",
        CHUNKED_POST("/now") "5;a=\"",
        CHUNKED_POST("/now") "0\r\n",
        CHUNKED_POST("/now") "0\r\nX: ",
        CHUNKED_POST("/now"),
        LENGTH_POST("/now"),
    };
    static const char *const pieces[] = {"0", "b", "b", "X: y\r\n", "z", "1\r\na\r\n", "a"};
    carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, begins[i]);
        turn();
        assert_in_range(trickle(peer, pieces[i]), 5, 6); /* content_window */
        assert_got(peer, "HTTP/1.1 408 Request Timeout\r\n");
        assert_int_equal(sim.cancelled, 1);
        assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
    }
}

/* ---------------------------------------------------------------- content that does not come */

static void deaf_handler(carom_record *record, void *data)
{
    (void)data;
    answer_and_release(record, "deaf");
}

static void announced_content_that_does_not_come_is_not_waited_for(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    uint64_t before = 0;
    for (int deaf = 0; deaf < 2; deaf++) {
        options.handler = deaf ? deaf_handler : simulation_handler;
        begin(&options);
        struct carom_peer *peer = connect_peer();
        turn();
        before = carom_memory_held();
        say(peer, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        turn();
        /* nothing is set aside for what was announced */
        assert_true(carom_memory_held() - before < 128 * KIB);
        assert_in_range(trickle(peer, ""), 5, 6);
        assert_got(peer, deaf ? "deaf" : "HTTP/1.1 408 Request Timeout\r\n");
        pass(2 * SECOND + 100);
        assert_true(carom_peer_saw_close(peer));
        finish();
    }
}

/* After its refusal the peer is read on for a while, so that it sees the answer: for a while only.
 */
static void a_refused_peer_that_goes_on_is_cut(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "NONSENSE\r\n");
    turn();
    assert_true(carom_peer_saw_fin(peer));
    uint64_t held = carom_memory_held();
    unsigned tenths = 0;
    for (; !carom_peer_saw_close(peer); tenths++) {
        assert_true(tenths < 100);
        say(peer, "and more");
        turn();
        pass(100);
    }
    assert_in_range(tenths, 20, 21); /* linger_timeout */
    assert_true(carom_memory_held() - held < 8 * KIB);
    finish();
}

/* ---------------------------------------------------------------- slow readers */

#define PIECE (16 * KIB)
static char piece[PIECE];

static void stream_on(carom_waker *waker, int status)
{
    struct held *held = carom_container(waker, struct held, waker);
    const carom_content content = {piece, sizeof piece, NULL, NULL};
    int result = status;
    while (result == 0)
        result = carom_write(held->record, &content);
    if (result == -CAROM_EAGAIN)
        carom_wait(held->record, CAROM_WRITABLE, waker);
    else
        release(held->record);
}

/* Writes for ever, as fast as it may. */
static void endless_handler(carom_record *record, void *data)
{
    (void)data;
    struct held *held = carom_record_state(record);
    held->record = record;
    held->waker.wake = stream_on;
    sim.held[sim.held_count++] = record;
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    assert_int_equal(carom_respond_begin(record, &response), 0);
    stream_on(&held->waker, 0);
}

/* 100 requests whose answers have no end, of a peer that takes a byte now and then: two may
 * keep write_buffer and a piece, and the others wait. A peer that takes something is let be: only
 * who takes nothing is reset. */
static void what_waits_for_slow_readers_has_a_bound(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = endless_handler;
    begin(&options);
    uint64_t before = carom_memory_held();
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 0);
    for (int i = 0; i < 100; i++)
        say(peer, GET("/"));
    turn();
    assert_int_equal(sim.held_count, 1);
    const uint64_t bound = 2 * (64 * KIB + PIECE) + 512 * KIB; /* write_buffer, a piece; the rest */
    for (int hour = 0; hour < 10; hour++) {
        for (int i = 0; i < 180; i++) {
            pass(20 * SECOND);
            carom_peer_set_window(peer, 1);
            turn();
        }
        assert_true(carom_memory_held() - before < bound);
        assert_false(carom_peer_saw_close(peer));
    }
    pass(31 * SECOND);
    assert_true(carom_peer_saw_reset(peer));
    assert_in_range(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 1, 2);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(empty_lines_gain_no_time),
        cmocka_unit_test(heads_in_pieces_gain_no_time),
        cmocka_unit_test(time_of_content_is_not_that_of_the_next_head),
        cmocka_unit_test(framing_in_pieces_is_no_content),
        cmocka_unit_test(announced_content_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(a_refused_peer_that_goes_on_is_cut),
        cmocka_unit_test(what_waits_for_slow_readers_has_a_bound),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
