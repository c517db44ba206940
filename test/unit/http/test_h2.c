/* HTTP/2 on the simulated network, with nghttp2's client as the peer: exchanges, windows,
 * cancellation, drain. */
#include <stdio.h>

#include "unit/http/h2_client.h"

static struct client client;

static void begin_with(const carom_options *options, uint32_t window, bool no_auto_window)
{
    begin(options);
    client_begin(&client, window, no_auto_window);
}

static void begin_plain(void)
{
    carom_options options = simulation_options();
    begin_with(&options, 0, false);
}

static carom_stats end(void)
{
    client_end(&client);
    return finish();
}

static void requests_in_pieces_of_every_size(void **state)
{
    (void)state;
    for (size_t piece = 300; piece > 0; piece--) {
        begin_plain();
        carom_peer_set_piece(client.peer, piece);
        int32_t get = request(&client, "GET", "/now");
        int32_t posted = post(&client, "/now", "abcde", 5);
        const nghttp2_nv trailer = NV("x-sum", "7");
        client.trailers = &trailer;
        int32_t head = request(&client, "HEAD", "/now");
        converse(&client);
        assert_int_equal(reply_of(&client, get)->status, 200);
        assert_string_equal(reply_of(&client, get)->body, "0");
        assert_string_equal(reply_of(&client, posted)->body, "5");
        assert_non_null(strstr(reply_of(&client, get)->fields, "content-length: 1\n"));
        assert_non_null(strstr(reply_of(&client, get)->fields, "date: "));
        assert_int_equal(reply_of(&client, head)->status, 200);
        assert_int_equal(reply_of(&client, head)->body_length, 0);
        for (int i = 0; i < client.count; i++)
            assert_true(client.replies[i].ended && client.replies[i].code == 0);
        assert_int_equal(end().ended[CAROM_REASON_COMPLETE], 3);
    }
}

/* A stream that would take what others need is refused, and so is one when all is taken. */
static void a_connection_leaves_as_much_as_it_has(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 8;
    begin_with(&options, 0, false);
    int32_t ids[6];
    for (int i = 0; i < 6; i++)
        ids[i] = request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(sim.held_count, 4);
    for (int i = 4; i < 6; i++)
        assert_int_equal(reply_of(&client, ids[i])->status, 503);
    struct carom_peer *other = connect_peer();
    say(other, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    assert_got(other, "HTTP/1.1 200 OK\r\n");
    while (sim.held_count > 0)
        answer_and_release(sim.held[0], "at last");
    converse(&client);
    for (int i = 0; i < 4; i++)
        assert_int_equal(reply_of(&client, ids[i])->status, 200);
    assert_int_equal(end().requests_refused, 2);
}

static void the_preface_decides(void **state)
{
    static const char preface[] = NGHTTP2_CLIENT_MAGIC;
    (void)state;
    carom_options options = simulation_options();
    for (size_t same = 1; same < sizeof preface - 1; same++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        carom_peer_send(peer, preface, same);
        turn();
        assert_string_equal(got(peer), "");
        say(peer, same == 1 ? "OST /now HTTP/1.1\r\nHost: a\r\n\r\n" : "X / HTTP/1.1\r\n\r\n");
        turn();
        assert_got(peer, same == 1 ? "HTTP/1.1 200 OK" : "HTTP/1.1 ");
        finish();
    }
    options.no_http2 = true;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_send(peer, preface, sizeof preface - 1);
    turn();
    assert_got(peer, "HTTP/1.1 505 ");
    finish();
}

static void half_a_preface_is_a_late_head(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    struct carom_peer *leaves = connect_peer();
    say(peer, "PRI");
    say(leaves, "PRI");
    turn();
    carom_peer_shutdown(leaves);
    turn();
    assert_true(carom_peer_saw_close(leaves));
    pass(10001);
    assert_got(peer, "HTTP/1.1 408 ");
    finish();
}

static void many_at_once_in_any_order(void **state)
{
    (void)state;
    begin_plain();
    int32_t first = request(&client, "GET", "/hold");
    int32_t second = request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(sim.held_count, 2);
    assert_int_equal(carom_request_version(sim.held[0]), 20);
    assert_memory_equal(carom_request_field(sim.held[0], "host").data, "a", 1);
    answer_and_release(sim.held[1], "second");
    converse(&client);
    assert_string_equal(reply_of(&client, second)->body, "second");
    assert_int_equal(reply_of(&client, first)->status, 0);
    answer_and_release(sim.held[0], "first");
    converse(&client);
    assert_string_equal(reply_of(&client, first)->body, "first");
    end();
}

static void cookies_are_joined(void **state)
{
    (void)state;
    begin_plain();
    const nghttp2_nv pairs[] = {
        NV(":method", "GET"), NV(":scheme", "http"),  NV(":path", "/hold"), NV(":authority", "a"),
        NV("cookie", "a=1"),  NV("x-between", "yes"), NV("cookie", "b=2"),  NV("cookie", "c=3"),
        NV("x-after", "too"), NV("host", "A"),        NV("cookie", ""),     NV("cookie", "d=4")};
    request_with(&client, pairs, 12, false);
    converse(&client);
    assert_int_equal(sim.held_count, 1);
    assert_int_equal(carom_request_field_count(sim.held[0]), 4);
    carom_slice cookie = carom_request_field(sim.held[0], "cookie");
    assert_int_equal(cookie.length, strlen("a=1; b=2; c=3; ; d=4"));
    assert_memory_equal(cookie.data, "a=1; b=2; c=3; ; d=4", cookie.length);
    assert_memory_equal(carom_request_field(sim.held[0], "x-between").data, "yes", 3);
    assert_memory_equal(carom_request_field(sim.held[0], "x-after").data, "too", 3);
    end();
}

/* Gateways that end TLS send what they were asked for. */
static void https_in_the_clear_is_a_gateways(void **state)
{
    (void)state;
    begin_plain();
    const nghttp2_nv pairs[] = {NV(":method", "GET"), NV(":scheme", "https"), NV(":path", "/now"),
                                NV(":authority", "a")};
    int32_t id = request_with(&client, pairs, 4, false);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    end();
}

static void what_h1_refuses_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *authority, *name, *value;
        int status; /* 0: RST_STREAM */
    } cases[] = {
        {"/now", "a", "x", "y", 200},
        {"/#", "a", "x", "y", 400},
        {"/\x7f", "a", "x", "y", 0},
        {"now", "a", "x", "y", 0},
        {"/now", "a b", "x", "y", 0},
        {"/now", "user@a", "x", "y", 400},
        {"/now", "a:99999", "x", "y", 400},
        {"/now", "a", "host", "b", 400},
        {"/now", "a", "x", "a\nb", 0},
        {"/now", "a", "connection", "close", 0},
        {"/now", "a", "transfer-encoding", "chunked", 0},
        {"/now", "a", "content-length", "1", 0},
        {"/now", "a", "expect", "else", 417},
        {"/now", "a", ":odd", "y", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_plain();
        const nghttp2_nv pairs[] = {
            NV(":method", "GET"), NV(":scheme", "http"), NV(":path", cases[i].path),
            NV(":authority", cases[i].authority), NV(cases[i].name, cases[i].value)};
        int32_t id = request_with(&client, pairs, 5, false);
        converse(&client);
        const struct reply *reply = reply_of(&client, id);
        int calls = cases[i].status == 200 ? 1 : 0;
        if (reply->status != cases[i].status || (reply->status == 0) != (reply->code != 0))
            fail_msg("case %zu: status %d, code %u", i, reply->status, reply->code);
        carom_stats stats = end();
        assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], calls);
    }
}

/* As one field of HTTP/1.1 they count: by their bytes, with what joins them. */
static void crumbs_of_cookies_are_one_field(void **state)
{
    (void)state;
    enum { CRUMBS = 2000 }; /* with 32 bytes for each they would be over the limit four times */
    static nghttp2_nv pairs[4 + CRUMBS];
    const nghttp2_nv head[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":path", "/hold"),
                               NV(":authority", "a")};
    memcpy(pairs, head, sizeof head);
    for (int i = 0; i < CRUMBS; i++)
        pairs[4 + i] = (nghttp2_nv)NV("cookie", "ab=cd");
    carom_options options = simulation_options();
    options.max_header_section = 38 + 5 + 7 * (CRUMBS - 1); /* the first one is a whole line */
    options.max_fields = 2;                                 /* with Host */
    for (uint32_t less = 0; less < 2; less++, options.max_header_section--) {
        begin(&options);
        client_begin(&client, 0, false);
        int32_t id = request_with(&client, pairs, COUNT(pairs), false);
        converse(&client);
        assert_int_equal(sim.held_count, 1 - less);
        if (less == 0)
            assert_int_equal(carom_request_field(sim.held[0], "cookie").length, 7 * CRUMBS - 2);
        else
            assert_int_equal(reply_of(&client, id)->status, 431);
        end();
    }
}

static void limits_of_a_section(void **state)
{
    (void)state;
    static char large[20000];
    memset(large, 'x', sizeof large - 1);
    begin_plain();
    nghttp2_nv pairs[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":path", "/now"),
                          NV(":authority", "a"), NV("x", large)};
    int32_t section = request_with(&client, pairs, 5, false);
    large[0] = '/';
    pairs[2] = (nghttp2_nv)NV(":path", large);
    int32_t target = request_with(&client, pairs, 4, false);
    static nghttp2_nv many[4 + 101];
    pairs[2] = (nghttp2_nv)NV(":path", "/now");
    memcpy(many, pairs, 4 * sizeof *pairs);
    for (int i = 4; i < 105; i++)
        many[i] = (nghttp2_nv)NV("x", "a=b");
    int32_t count = request_with(&client, many, 105, false);
    converse(&client);
    assert_int_equal(reply_of(&client, section)->status, 431);
    assert_int_equal(reply_of(&client, target)->status, 414);
    assert_int_equal(reply_of(&client, count)->status, 431);
    end();
}

/* ---------------------------------------------------------------- windows */

static void streamed(carom_record *record, size_t pieces, bool ended)
{
    static char piece[4096];
    memset(piece, 'p', sizeof piece);
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    const carom_content content = {piece, sizeof piece, NULL, NULL};
    assert_int_equal(carom_respond_begin(record, &response), 0);
    for (size_t i = 0; i < pieces; i++)
        assert_int_equal(carom_write(record, &content), 0);
    const carom_field trailer = {CAROM_SLICE("X-Sum"), CAROM_SLICE("42")};
    if (ended)
        assert_int_equal(carom_end(record, &trailer, 1), 0);
}

static void a_shut_window_holds_its_stream_only(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_with(&options, 1000, true);
    int32_t large = request(&client, "GET", "/hold");
    converse(&client);
    streamed(sim.held[0], 4, true);
    int32_t small = request(&client, "GET", "/now");
    converse(&client);
    assert_int_equal(reply_of(&client, large)->body_length, 1000);
    assert_string_equal(reply_of(&client, small)->body, "0");
    assert_int_equal(carom_record_outcome(sim.held[0]).content_sent, 1000);
    nghttp2_submit_window_update(client.session, 0, large, 100000);
    converse(&client);
    assert_int_equal(reply_of(&client, large)->body_length, 4 * 4096);
    assert_true(reply_of(&client, large)->ended);
    assert_non_null(strstr(reply_of(&client, large)->fields, "x-sum: 42\n"));
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_COMPLETE);
    end();
}

static void a_window_left_at_zero_is_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_with(&options, 1000, true);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    streamed(sim.held[0], 4, true);
    converse(&client);
    for (int i = 0; i < 40; i++) {
        pass(1000);
        nghttp2_submit_ping(client.session, 0, NULL);
        converse(&client);
    }
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_WRITE_TIMEOUT);
    assert_true(reply_of(&client, id)->closed);
    assert_int_equal(reply_of(&client, id)->code, NGHTTP2_INTERNAL_ERROR);
    end();
}

static void unread_content_holds_its_sender(void **state)
{
    (void)state;
    static char content[300000];
    memset(content, 'c', sizeof content);
    carom_options options = simulation_options();
    begin_with(&options, 0, false);
    post(&client, "/hold", content, sizeof content);
    converse(&client);
    /* It is collected up to 1000 bytes; then nobody reads. */
    assert_int_equal(sim.held_count, 1);
    assert_in_range(client.content_sent, 60000, 70000);
    uint64_t read = 0;
    for (int i = 0; i < 1000 && read < sizeof content; i++) {
        carom_slice bytes;
        int result = carom_request_read(sim.held[0], &bytes);
        read += bytes.length;
        if (result == -CAROM_EAGAIN)
            converse(&client);
    }
    assert_int_equal(read, sizeof content);
    end();
}

static void slow_content_gets_408(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_with(&options, 0, false);
    const nghttp2_nv pairs[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", "/now"),
                                NV(":authority", "a"), NV("content-length", "900")};
    client.content = "abc";
    client.content_length = 900;
    client.content_sent = 900; /* nothing comes */
    int32_t id = nghttp2_submit_headers(client.session, 0, -1, NULL, pairs, 5, NULL);
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    for (int i = 0; i < 8; i++) {
        pass(1000);
        converse(&client);
    }
    assert_int_equal(reply_of(&client, id)->status, 408);
    end();
}

/* ---------------------------------------------------------------- ends */

static void rst_stream_cancels_one(void **state)
{
    (void)state;
    begin_plain();
    int32_t first = request(&client, "GET", "/hold");
    request(&client, "GET", "/hold");
    converse(&client);
    carom_record *record = sim.held[0];
    nghttp2_submit_rst_stream(client.session, 0, first, NGHTTP2_CANCEL);
    converse(&client);
    assert_int_equal(sim.cancelled, 1);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_CLIENT_RESET);
    assert_int_equal(answer(record, "late"), -CAROM_ECANCELED);
    answer_and_release(sim.held[1], "second");
    converse(&client);
    assert_string_equal(client.replies[1].body, "second");
    end();
}

static void cancelling_resets_one(void **state)
{
    (void)state;
    begin_plain();
    int32_t first = request(&client, "GET", "/hold");
    int32_t second = request(&client, "GET", "/hold");
    int32_t third = request(&client, "GET", "/hold");
    converse(&client);
    carom_cancel(sim.held[0]);
    release(sim.held[2]); /* unanswered */
    streamed(sim.held[1], 1, false);
    release(sim.held[1]); /* while streaming */
    converse(&client);
    assert_int_equal(reply_of(&client, first)->code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(reply_of(&client, second)->code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(reply_of(&client, third)->status, 500);
    end();
}

static void leaving_at_every_byte(void **state)
{
    (void)state;
    static char bytes[4096];
    size_t length = 0;
    begin_plain();
    request(&client, "GET", "/hold");
    post(&client, "/hold", "abcde", 5);
    const uint8_t *data;
    ssize_t piece;
    while ((piece = nghttp2_session_mem_send(client.session, &data)) > 0) {
        memcpy(bytes + length, data, (size_t)piece);
        length += (size_t)piece;
    }
    end();
    carom_options options = simulation_options();
    for (int reset = 0; reset < 2; reset++)
        for (size_t cut = 0; cut <= length; cut++) {
            begin(&options);
            struct carom_peer *peer = connect_peer();
            carom_peer_send(peer, bytes, cut);
            turn();
            int handed = sim.held_count;
            if (reset)
                carom_peer_reset(peer);
            else
                carom_peer_shutdown(peer);
            turn();
            assert_int_equal(sim.cancelled, handed);
            assert_true(carom_peer_saw_close(peer) || reset);
            assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 0);
        }
}

static void a_drain_says_goaway_twice(void **state)
{
    (void)state;
    begin_plain();
    int32_t first = request(&client, "GET", "/hold");
    converse(&client);
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    converse(&client);
    assert_int_equal(client.goaways, 2);
    assert_int_equal(client.goaway_last, first);
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    answer_and_release(sim.held[0], "last");
    converse(&client);
    assert_string_equal(reply_of(&client, first)->body, "last");
    assert_true(carom_peer_saw_fin(client.peer) || carom_peer_saw_close(client.peer));
    end();
}

static void idle_connections_end(void **state)
{
    (void)state;
    begin_plain();
    request(&client, "GET", "/now");
    converse(&client);
    pass(70000);
    converse(&client);
    assert_false(client.goaway);
    pass(10000);
    converse(&client);
    assert_true(client.goaway);
    assert_true(carom_peer_saw_fin(client.peer) || carom_peer_saw_close(client.peer));
    end();
}

static void silence_is_pinged(void **state)
{
    (void)state;
    begin_plain();
    request(&client, "GET", "/hold");
    converse(&client);
    for (int i = 0; i < 100; i++)
        pass(1000); /* the client answers no PING */
    assert_int_equal(sim.cancelled, 1);
    assert_true(carom_peer_saw_reset(client.peer));
    end();
}

/* Objects that the pools took from the allocator; the simulated network asks it too. */
static uint64_t allocated(void)
{
    const struct carom_worker *worker = &sim.service->workers[0];
    const struct carom_pool *pool;
    uint64_t sum = 0;
    for (uint32_t i = 0; (pool = carom_worker_pool(worker, i)) != NULL; i++)
        sum += pool->allocated;
    return sum;
}

static void no_allocation_for_a_stream(void **state)
{
    (void)state;
    begin_plain();
    uint64_t before = 0;
    for (int i = 0; i < 400; i++) {
        client.count = 0;
        request(&client, "GET", "/now");
        const nghttp2_nv trailer = NV("x-sum", "7");
        client.trailers = &trailer;
        post(&client, "/now", "abcde", 5);
        request(&client, "GET", "/hold");
        converse(&client);
        streamed(sim.held[0], 2, true);
        release(sim.held[0]);
        converse(&client);
        assert_true(client.replies[0].ended && client.replies[1].ended && client.replies[2].ended);
        if (i == 100)
            before = allocated();
    }
    assert_true(before > 0);
    assert_int_equal(allocated(), before);
    end();
}

/* All that a stream may meet: content that waits for its reader, resets from both sides, priorities
 * that change, a window that is shut, an answer before its content. */
static void no_allocation_for_what_goes_wrong(void **state)
{
    (void)state;
    static char content[100000];
    static const uint8_t update[] = "u=0, i";
    carom_options options = simulation_options();
    options.h2_max_resets = options.h2_max_control_frames = CAROM_OFF;
    begin_with(&options, 1000, false);
    uint64_t before = 0;
    for (int i = 0; i < 400; i++) {
        client.count = 0;
        client.trailers = NULL;
        post(&client, "/hold", content, sizeof content);
        converse(&client);
        for (uint64_t read = 0; read < sizeof content;) {
            carom_slice bytes;
            if (carom_request_read(sim.held[0], &bytes) == -CAROM_EAGAIN)
                converse(&client);
            read += bytes.length;
        }
        answer_and_release(sim.held[0], "read");
        int32_t reset = request(&client, "GET", "/hold");
        int32_t urgent = request(&client, "GET", "/hold");
        request(&client, "GET", "/hold");
        converse(&client);
        nghttp2_submit_rst_stream(client.session, 0, reset, NGHTTP2_CANCEL);
        nghttp2_submit_priority_update(client.session, 0, urgent, update, sizeof update - 1);
        streamed(sim.held[1], 2, true); /* more than the window */
        carom_cancel(sim.held[2]);
        converse(&client);
        while (sim.held_count > 0)
            release(sim.held[0]);
        post(&client, "/hold", content, sizeof content);
        turn();
        converse(&client);
        answer_and_release(sim.held[0], "early");
        converse(&client);
        if (i == 100)
            before = allocated();
    }
    assert_true(before > 0);
    assert_int_equal(allocated(), before);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_pieces_of_every_size),
        cmocka_unit_test(a_connection_leaves_as_much_as_it_has),
        cmocka_unit_test(the_preface_decides),
        cmocka_unit_test(half_a_preface_is_a_late_head),
        cmocka_unit_test(many_at_once_in_any_order),
        cmocka_unit_test(cookies_are_joined),
        cmocka_unit_test(crumbs_of_cookies_are_one_field),
        cmocka_unit_test(https_in_the_clear_is_a_gateways),
        cmocka_unit_test(what_h1_refuses_is_refused),
        cmocka_unit_test(limits_of_a_section),
        cmocka_unit_test(a_shut_window_holds_its_stream_only),
        cmocka_unit_test(a_window_left_at_zero_is_timed),
        cmocka_unit_test(unread_content_holds_its_sender),
        cmocka_unit_test(slow_content_gets_408),
        cmocka_unit_test(rst_stream_cancels_one),
        cmocka_unit_test(cancelling_resets_one),
        cmocka_unit_test(leaving_at_every_byte),
        cmocka_unit_test(a_drain_says_goaway_twice),
        cmocka_unit_test(idle_connections_end),
        cmocka_unit_test(silence_is_pinged),
        cmocka_unit_test(no_allocation_for_a_stream),
        cmocka_unit_test(no_allocation_for_what_goes_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
