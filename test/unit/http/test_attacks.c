/* Attacks on a connection, by bytes: what follows an end is not taken for a request, floods meet
 * their limits, and a peer cannot make the engine keep more than is said in
 * docs/internals/testing/attacks.md. */
#include <stdio.h>

#include "unit/http/simulation.h"

#define CHUNKED_POST(target)                                                                       \
    "POST " target " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

#define KIB 1024u

static uint64_t requests(void)
{
    return stats_now().requests;
}

/* Answers at once, and reads nothing. */
static void deaf_handler(carom_record *record, void *data)
{
    (void)data;
    answer(record, "deaf");
    carom_release(record);
}

/* ---------------------------------------------------------------- bytes behind an end */

static void nothing_is_taken_behind_connection_close(void **state)
{
    (void)state;
    static const char *const last[] = {
        "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /hold HTTP/1.0\r\n\r\n",
        "POST /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        "POST /hold HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\nTransfer-Encoding: "
        "chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\n\r\n",
    };
    carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, last[i]);
        say(peer, GET("/now"));
        turn();
        say(peer, GET("/now")); /* nor what comes while it is answered */
        turn();
        assert_int_equal(requests(), 1);
        assert_int_equal(sim.held_count, 1);
        answer_and_release(sim.held[0], "the last");
        turn();
        assert_got(peer, "Connection: close\r\n");
        assert_got(peer, "the last");
        assert_true(carom_peer_saw_fin(peer));
        say(peer, GET("/now"));
        turn();
        assert_int_equal(requests(), 1);
        finish();
    }
}

/* RFC 9110, 7.8: without 101 the connection speaks HTTP/1.1, and what follows is HTTP/1.1. */
static void an_upgrade_that_is_refused_stays_http(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    say(peer, "\x81\x05hello"); /* a frame, sent too early */
    say(peer, GET("/now"));
    turn();
    assert_int_equal(requests(), 1); /* it waits: it may be no HTTP */
    answer_and_release(sim.held[0], "no");
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_got(peer, "HTTP/1.1 400 Bad Request\r\n");
    assert_true(carom_peer_saw_fin(peer));
    assert_int_equal(requests(), 1);
    finish();
}

/* On the last request of a connection, too, what follows an upgrade belongs to the tunnel. */
static void early_bytes_of_a_tunnel_are_not_lost(void **state)
{
    (void)state;
    static const char *const last[] = {"Connection: upgrade\r\n", "Connection: upgrade, close\r\n"};
    static const carom_field protocol = {CAROM_SLICE("Upgrade"), CAROM_SLICE("echo")};
    const carom_response switching = {.status = 101, .fields = &protocol, .field_count = 1};
    carom_options options = simulation_options();
    for (int i = 0; i < 2; i++) {
        options.max_connection_requests = i == 0 ? 1 : 2;
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n");
        say(peer, last[i]);
        say(peer, "\r\nearly");
        turn();
        assert_int_equal(carom_upgrade(sim.held[0], &switching), 0);
        turn();
        carom_slice bytes;
        assert_int_equal(carom_request_read(sim.held[0], &bytes), 1);
        assert_int_equal(bytes.length, 5);
        assert_memory_equal(bytes.data, "early", 5);
        assert_got(peer, "HTTP/1.1 101 Switching Protocols\r\n");
        assert_null(strstr(got(peer), "close"));
        finish();
    }
}

/* RFC 9931: bytes behind CONNECT are somebody else's. They are never requests of this connection,
 * also when there will be no tunnel. */
static void a_connect_that_is_refused_closes(void **state)
{
    (void)state;
    static const char connect[] = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
    carom_options options = simulation_options();
    for (int early = 0; early < 2; early++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, connect);
        if (early)
            say(peer, GET("/now"));
        turn();
        /* 2xx would mean a tunnel: carom_respond refuses it, and the handler's release makes 405 */
        assert_got(peer, "HTTP/1.1 405 Method Not Allowed\r\n");
        assert_got(peer, "Connection: close\r\n");
        assert_true(carom_peer_saw_fin(peer));
        say(peer, GET("/now"));
        turn();
        assert_int_equal(requests(), 1);
        finish();
    }
}

/* h2c is a protocol like any other that the handler does not take: no tunnel, no HTTP/2. */
static void h2c_is_not_tunnelled(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
              "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" GET("/now"));
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(got(peer), "101"));
    assert_got(peer, "HTTP/1.1 505 HTTP Version Not Supported\r\n");
    assert_true(carom_peer_saw_fin(peer));
    assert_int_equal(requests(), 1);
    finish();
}

/* A client that waits for 100 and gets its answer at once: what it sends next is content or a new
 * connection, and cannot be told apart. The connection ends. */
static void a_final_answer_before_100_ends_the_connection(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = deaf_handler;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n");
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_got(peer, "Connection: close\r\n");
    assert_null(strstr(got(peer), "100 Continue"));
    say(peer, GET("/now"));
    turn();
    assert_int_equal(requests(), 1);
    assert_true(carom_peer_saw_fin(peer));
    finish();
}

/* CL.0: a handler that answers without a look at the content makes no request of it. */
static void content_that_nobody_reads_is_no_request(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n",
    };
    static const char *const ends[] = {"", "\r\n0\r\n\r\n"};
    carom_options options = simulation_options();
    options.handler = deaf_handler;
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < 2; i++) {
            begin(&options);
            struct carom_peer *peer = connect_peer();
            say(peer, heads[i]);
            if (late) /* the answer is out before the content comes */
                turn();
            say(peer, GET("/hidden"));
            say(peer, ends[i]);
            turn();
            assert_int_equal(requests(), 1);
            say(peer, GET("/next"));
            turn();
            assert_int_equal(requests(), 2);
            finish();
        }
}

/* ---------------------------------------------------------------- floods */

/* Send `piece` again and again until the engine refuses it; it must within `most` bytes. */
static void flood(struct carom_peer *peer, const char *piece, size_t most)
{
    uint64_t held = carom_memory_held();
    size_t sent = 0;
    while (!carom_peer_saw_fin(peer) && sent < 2 * most) {
        say(peer, piece);
        turn();
        sent += strlen(piece);
        /* What it has sent lies in the simulation's memory, too. */
        assert_true(carom_memory_held() - held < 3 * most + 128 * KIB);
    }
    if (sent > most)
        fail_msg("%zu bytes of \"%s\" were taken", sent, piece);
}

static void floods_meet_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *piece, *answer;
        size_t most;
    } floods[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n", "X-Flood: 0123456789012345678901234567890123456789\r\n",
         "431", 6 * KIB},                                                /* lines: max_fields */
        {"GET / HTTP/1.1\r\nX: ", "0123456789abcdef", "431", 17 * KIB},  /* a value */
        {"GET / HTTP/1.1\r\n", "Xxxxxxxxxxxxxxxx", "431", 17 * KIB},     /* a name */
        {"GET /", "0123456789abcdef", "414", 9 * KIB},                   /* a target */
        {"", "METHOD", "501", 9 * KIB},                                  /* a method */
        {CHUNKED_POST("/now") "0\r\n", "X-T: 1\r\n", "431", 1 * KIB},    /* trailers */
        {CHUNKED_POST("/now") "0\r\nX: ", "01234567", "431", 17 * KIB},  /* a trailer */
        {CHUNKED_POST("/now") "1", ";x=0123456789abcdef", "400", KIB},   /* extensions */
        {CHUNKED_POST("/now") "1;x=\"", "0123456789abcdef", "400", KIB}, /* a quoted one */
        {CHUNKED_POST("/now"), "0", "400", KIB},                         /* zeros of a size */
    };
    carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, floods[i].begin);
        flood(peer, floods[i].piece, floods[i].most);
        assert_got(peer, floods[i].answer);
        finish();
    }
}

/* Empty lines before a request: two are taken, and no more. */
static void empty_lines_are_no_way_in(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    flood(peer, "\r\n\r\n", 16);
    assert_got(peer, "HTTP/1.1 400 Bad Request\r\n");
    finish();
}

/* A tenant of every page: one byte of content that is kept, among 32 KiB of others' that are not.
 * What is kept must cost about what is kept. */
static void kept_content_does_not_keep_whole_pages(void **state)
{
    (void)state;
    enum { PIECES = 500, FILLER = 32 * KIB };
    static char filler[FILLER];
    memset(filler, 'x', sizeof filler);
    carom_options options = simulation_options();
    options.drain_content = UINT32_MAX - 1;
    begin(&options);
    struct carom_peer *keeper = connect_peer();
    say(keeper, CHUNKED_POST("/hold"));
    turn();
    assert_int_equal(sim.held_count, 1);
    uint64_t most_pages = 0;
    for (int i = 0; i < PIECES; i++) {
        say(keeper, "1\r\na\r\n");
        turn();
        struct carom_peer *other = connect_peer();
        say(other, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 32768\r\n\r\n");
        carom_peer_send(other, filler, sizeof filler);
        turn();
        carom_peer_reset(other);
        turn();
        while (sim.held_count > 1)
            release(sim.held[1]);
        turn();
        const carom_stats stats = stats_now();
        most_pages = stats.pages_in_use > most_pages ? stats.pages_in_use : most_pages;
    }
    struct held *held = carom_record_state(sim.held[0]);
    assert_false(held->fired);
    assert_true(most_pages < 16);
    say(keeper, "0\r\n\r\n");
    turn();
    assert_true(held->fired);
    assert_int_equal(held->status, 0);
    assert_int_equal(carom_request_buffered(sim.held[0]), PIECES);
    carom_slice bytes;
    size_t read = 0;
    while (carom_request_read(sim.held[0], &bytes) > 0)
        for (size_t i = 0; i < bytes.length; i++, read++)
            assert_int_equal(bytes.data[i], 'a');
    assert_int_equal(read, PIECES);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(nothing_is_taken_behind_connection_close),
        cmocka_unit_test(an_upgrade_that_is_refused_stays_http),
        cmocka_unit_test(early_bytes_of_a_tunnel_are_not_lost),
        cmocka_unit_test(a_connect_that_is_refused_closes),
        cmocka_unit_test(h2c_is_not_tunnelled),
        cmocka_unit_test(a_final_answer_before_100_ends_the_connection),
        cmocka_unit_test(content_that_nobody_reads_is_no_request),
        cmocka_unit_test(floods_meet_their_limits),
        cmocka_unit_test(empty_lines_are_no_way_in),
        cmocka_unit_test(kept_content_does_not_keep_whole_pages),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
