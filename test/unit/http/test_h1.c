/* HTTP/1.1 on a connection: limits, the bytes of streamed answers, their order, what is received
 * when nobody reads. */
#include "unit/http/simulation.h"

#define CHUNKED_POST   "POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LENGTH_POST(n) "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: " n "\r\n\r\n"

/* Answers at once, but for "/hold", and reads nothing. */
static void deaf_handler(carom_record *record, void *data)
{
    (void)data;
    sim.held[sim.held_count++] = record;
    if (carom_request_target(record).length != strlen("/hold"))
        answer_and_release(record, "deaf");
}

/* ---------------------------------------------------------------- limits */

static void content_has_a_limit_in_both_codings(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status;
    } table[] = {
        {LENGTH_POST("5") "abcde", "200"},
        {LENGTH_POST("6"), "413"},
        {CHUNKED_POST "5\r\nabcde\r\n0\r\n\r\n", "200"},
        {CHUNKED_POST "3\r\nabc\r\n3\r\nd", "200"},
        {CHUNKED_POST "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", "413"},
    };
    carom_options options = simulation_options();
    options.max_content = 5;
    for (size_t i = 0; i < COUNT(table); i++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, table[i].request);
        turn();
        if (i != 3) /* which has not ended */
            assert_memory_equal(got(peer) + strlen("HTTP/1.1 "), table[i].status, 3);
        else
            assert_string_equal(got(peer), "");
        finish();
    }
}

static void a_head_over_its_limits_is_told_so(void **state)
{
    (void)state;
    static char head[40000];
    carom_options options = simulation_options();
    for (int section = 0; section < 2; section++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        snprintf(head, sizeof head, "GET /%0*d HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n",
                 section ? 1 : 9000, 1, section ? 17000 : 1, 1);
        say(peer, head);
        turn();
        assert_got(peer, section ? "HTTP/1.1 431 " : "HTTP/1.1 414 ");
        assert_int_equal(finish().ended[CAROM_REASON_OVER_LIMIT], 1);
    }
}

static void a_connection_serves_so_many_requests(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_connection_requests = 2;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/now") GET("/now") GET("/now"));
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 2);
    assert_int_equal(count(got(peer), "Connection: close\r\n"), 1);
    assert_true(carom_peer_saw_fin(peer));
    assert_int_equal(finish().requests, 2);
}

static void so_many_requests_are_in_flight(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 2;
    begin(&options);
    struct carom_peer *peers[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = connect_peer();
        say(peers[i], GET("/hold"));
        turn();
    }
    assert_int_equal(sim.held_count, 2);
    assert_int_equal(stats_now().records_recycled, 1);
    assert_got(peers[2], "HTTP/1.1 503 Service Unavailable\r\n");
    assert_int_equal(finish().ended[CAROM_REASON_OVER_LIMIT], 1);
}

/* For nothing only so much content of a request is received; of each request by itself. */
static void content_that_nobody_reads_is_dropped_up_to_a_limit(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = deaf_handler;
    options.drain_content = 10;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold")); /* so that the state of the connection outlives each of them */
    for (int i = 1; i <= 3; i++) {
        say(peer, CHUNKED_POST);
        turn();
        say(peer, "4\r\nabcd\r\n");
        turn();
        say(peer, "6\r\nefghij\r\n0\r\n\r\n");
        turn();
        assert_int_equal(stats_now().requests, 1 + i);
    }
    answer_and_release(sim.held[0], "held");
    turn();
    assert_int_equal(count(got(peer), "deaf"), 3);
    assert_false(carom_peer_saw_fin(peer));
    say(peer, CHUNKED_POST);
    turn();
    say(peer, "b\r\nabcdefghijk\r\n0\r\n\r\n" GET("/now"));
    turn();
    assert_int_equal(count(got(peer), "deaf"), 4);
    assert_true(carom_peer_saw_fin(peer));
    finish();
}

static void content_that_nobody_reads_is_not_kept(void **state)
{
    (void)state;
    static char piece[8192];
    memset(piece, 'x', sizeof piece);
    carom_options options = simulation_options();
    options.handler = deaf_handler;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, LENGTH_POST("200000"));
    turn();
    uint64_t before = stats_now().pages_in_use;
    for (int i = 0; i < 20; i++) {
        carom_peer_send(peer, piece, sizeof piece);
        turn();
    }
    assert_in_range(stats_now().pages_in_use, 0, before + 1);
    finish();
}

/* Who is refused takes memory till it has read why; there are not any number of them. */
static void refused_connections_have_a_bound(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_connections = 1;
    options.refuse_connections = true;
    begin(&options);
    for (int i = 0; i < 100; i++)
        carom_peer_set_window(connect_peer(), 0);
    turn();
    carom_stats stats = stats_now();
    assert_int_equal(stats.connections_accepted, 100);
    assert_int_equal(stats.connections_refused, 99);
    assert_int_equal(stats.connections_open, 1 + 64);
    finish();
}

static void the_beginning_of_a_head_takes_a_small_page(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *other = connect_peer(), *peer = connect_peer();
    say(other, GET("/now")); /* what receives and sends has its pages */
    turn();
    uint64_t pages = stats_now().pages_in_use, memory = carom_memory_held();
    say(peer, "GET /now HTTP/1.1\r\nHo");
    turn();
    assert_int_equal(stats_now().pages_in_use, pages + 1);
    assert_true(carom_memory_held() < memory + 8192);
    finish();
}

static uint64_t sent_before; /* the request "/then" */

/* "/now" is answered at once, "/hold" is kept. */
static void answer_some(carom_record *record, void *data)
{
    carom_slice target = carom_request_target(record);
    (void)data;
    assert_true(sim.held_count < HELD_MAX);
    sim.held[sim.held_count++] = record;
    if (target.length == 5 && memcmp(target.data, "/then", 5) == 0)
        sent_before = sim.loop->bytes_sent;
    else if (target.length == 5)
        return;
    answer_and_release(record, "fine");
}

/* Requests that come together and are all answered at once leave before another connection is read;
 * when one of them is not, the others leave with the turn, in one piece with what is answered in
 * it.
 */
static void a_delivery_leaves_at_once_when_it_is_answered(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        carom_options options = simulation_options();
        options.handler = answer_some;
        begin(&options);
        struct carom_peer *first = connect_peer(), *second = connect_peer();
        turn();
        say(first, whole ? GET("/now") GET("/now") : GET("/now") GET("/hold"));
        say(second, GET("/then"));
        turn();
        assert_int_equal(count(got(first), "fine"), 1 + whole);
        assert_int_equal(sent_before > 0, whole);
        finish();
    }
}

/* ---------------------------------------------------------------- bytes and their order */

static void a_streamed_answer_is_chunks(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_record *record = sim.held[0];
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    const carom_field trailer = {CAROM_SLICE("X-Sum"), CAROM_SLICE("7")};
    assert_int_equal(carom_respond_begin(record, &response), 0);
    assert_int_equal(carom_write(record, &(carom_content){"abc", 3, NULL, NULL}), 0);
    turn();
    assert_got(peer, "\r\n\r\n3\r\nabc\r\n");
    assert_int_equal(carom_write(record, &(carom_content){"de", 2, NULL, NULL}), 0);
    assert_int_equal(carom_write(record, &(carom_content){"fg", 2, NULL, NULL}), 0);
    assert_int_equal(stats_now().responses, 0);
    assert_int_equal(carom_end(record, &trailer, 1), 0);
    turn();
    assert_string_equal(strstr(got(peer), "\r\n\r\n"),
                        "\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n");
    assert_int_equal(stats_now().responses, 1);
    release(record);
    finish();
}

/* What the connection has sent before is none of it. */
static void each_answer_has_its_whole_write_buffer(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_buffer = 10;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    for (int i = 0; i < 2; i++) {
        say(peer, GET("/hold"));
        turn();
        carom_record *record = sim.held[0];
        assert_int_equal(carom_respond_begin(record, &response), 0);
        assert_int_equal(carom_write(record, &(carom_content){"abcdefghi", 9, NULL, NULL}), 0);
        assert_int_equal(carom_record_outcome(record).content_sent, 0);
        assert_int_equal(carom_write(record, &(carom_content){"j", 1, NULL, NULL}), 0);
        assert_int_equal(carom_write(record, &(carom_content){"k", 1, NULL, NULL}), -CAROM_EAGAIN);
        turn();
        assert_int_equal(carom_record_outcome(record).content_sent, 10);
        assert_int_equal(carom_end(record, NULL, 0), 0);
        release(record);
        turn();
    }
    finish();
}

/* Not for each byte that has left. */
static void who_waits_to_write_hears_at_half(void **state)
{
    (void)state;
    static char content[1000];
    carom_options options = simulation_options();
    options.handler = idle_handler;
    options.write_buffer = sizeof content;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_record *record = sim.held[0];
    struct held *held = carom_record_state(record);
    const carom_response response = {.status = 200, .content_length = 5000};
    assert_int_equal(carom_respond_begin(record, &response), 0);
    turn();
    carom_peer_set_window(peer, 0);
    assert_int_equal(carom_write(record, &(carom_content){content, sizeof content, NULL, NULL}), 0);
    held->record = record;
    held->waker.wake = on_content;
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &held->waker), 0);
    for (int window = 0; window < 5; window++) {
        assert_false(held->fired);
        carom_peer_set_window(peer, window < 4 ? 100 : 99);
        turn();
    }
    assert_false(held->fired);
    carom_peer_set_window(peer, 1);
    turn();
    assert_true(held->fired);
    finish();
}

/* RFC 9112, 9.6: whatever was answered behind it. */
static void nothing_is_sent_behind_a_close(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") GET("/hold"));
    turn();
    const carom_field close = {CAROM_SLICE("Connection"), CAROM_SLICE("close")};
    const carom_response last = {
        .status = 200, .fields = &close, .field_count = 1, .content = {"first", 5, NULL, NULL}};
    assert_int_equal(answer(sim.held[1], "second"), 0);
    assert_int_equal(carom_respond(sim.held[0], &last), 0);
    turn();
    assert_got(peer, "Connection: close\r\n");
    assert_got(peer, "\r\n\r\nfirst");
    assert_null(strstr(got(peer), "second"));
    assert_true(carom_peer_saw_fin(peer));
    finish();
}

/* The answer that says so may have to wait, and the connection is open till then. */
static void nothing_is_read_behind_a_refusal_that_waits(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold") "GET / HTTP/1.1\r\n\r\n");
    turn();
    say(peer, GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 1);
    answer_and_release(sim.held[0], "first");
    turn();
    assert_int_equal(count(got(peer), "HTTP/1.1 200 OK\r\n"), 1);
    assert_int_equal(count(got(peer), "HTTP/1.1 400 Bad Request\r\n"), 1);
    assert_int_equal(finish().requests, 1);
}

/* Who has sent content has not waited for our word. */
static void continue_is_not_said_to_who_goes_on(void **state)
{
    (void)state;
    static const char head[] =
        "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    carom_options options = simulation_options();
    for (size_t sent = 0; sent <= 4; sent++) {
        begin(&options);
        struct carom_peer *peer = connect_peer();
        char request[256];
        snprintf(request, sizeof request, "%s%.*s", head, (int)sent, "abcd");
        say(peer, request);
        turn();
        assert_string_equal(got(peer), sent == 0 ? "HTTP/1.1 100 Continue\r\n\r\n" : "");
        finish();
    }
}

static void fin_ends_requests_unless_half_close_is_set(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (int half = 0; half < 2; half++) {
        options.half_close = half;
        begin(&options);
        struct carom_peer *peer = connect_peer();
        say(peer, GET("/hold"));
        turn();
        carom_peer_shutdown(peer);
        turn();
        assert_int_equal(sim.cancelled, !half);
        assert_int_equal(answer(sim.held[0], "late"), half ? 0 : -CAROM_ECANCELED);
        turn();
        assert_int_equal(count(got(peer), "late"), half);
        assert_true(carom_peer_saw_close(peer));
        finish();
    }
}

static void the_date_goes_on(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/now"));
    turn();
    assert_got(peer, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    pass(2 * SECOND);
    say(peer, GET("/now"));
    turn();
    assert_got(peer, "Date: Sun, 06 Nov 1994 08:49:39 GMT\r\n");
    finish();
}

/* ---------------------------------------------------------------- a drain */

/* Its head was out when the drain began, and did not say so. */
static void a_drain_closes_behind_an_answer_that_had_begun(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    assert_int_equal(carom_respond_begin(sim.held[0], &response), 0);
    turn();
    assert_null(strstr(got(peer), "Connection: close"));
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    pass(3600 * SECOND); /* it has no deadline */
    assert_false(carom_peer_saw_close(peer));
    assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
    turn();
    assert_true(carom_peer_saw_close(peer));
    assert_false(sim.service->workers[0].drained); /* the handler has the record still */
    release(sim.held[0]);
    turn();
    assert_true(sim.service->workers[0].drained);
    finish();
}

/* The nearest deadline of several holds. */
static void a_deadline_of_a_drain_is_not_put_off(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/hold"));
    turn();
    carom_shutdown(sim.service, 60 * SECOND);
    carom_shutdown(sim.service, 3600 * SECOND);
    turn();
    pass(50 * SECOND);
    assert_false(carom_peer_saw_close(peer));
    pass(11 * SECOND);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(finish().ended[CAROM_REASON_SHUTDOWN], 1);
}

/* ---------------------------------------------------------------- what is received */

static void content_is_received_as_it_is_read(void **state)
{
    (void)state;
    static char content[50000];
    memset(content, 'x', sizeof content);
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_piece(peer, 1000);
    say(peer, LENGTH_POST("50000"));
    carom_peer_send(peer, content, sizeof content);
    turn();
    assert_in_range(stats_now().bytes_received, 1, 3000);
    size_t length = 0;
    carom_slice bytes;
    for (int result; (result = carom_request_read(sim.held[0], &bytes)) != 0; turn())
        length += result > 0 ? bytes.length : 0;
    assert_int_equal(length, sizeof content);
    finish();
}

static void requests_are_received_as_they_are_answered(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_pipeline = 2;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_piece(peer, strlen(GET("/hold")));
    for (int i = 0; i < 10; i++)
        say(peer, GET("/hold"));
    turn();
    assert_int_equal(sim.held_count, 2);
    assert_int_equal(stats_now().bytes_received, 2 * strlen(GET("/hold")));
    for (int i = 0; i < 10; i++) {
        answer_and_release(sim.held[0], "held");
        turn();
    }
    assert_int_equal(count(got(peer), "held"), 10);
    finish();
}

/* Content that was not read is read and dropped when its answer is out, or its client's FIN would
 * not be seen. */
static void a_refused_client_is_read_to_its_end(void **state)
{
    (void)state;
    static char content[5000];
    memset(content, 'x', sizeof content);
    carom_options options = simulation_options();
    options.handler = idle_handler;
    options.handler_timeout = 500;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_piece(peer, 1000);
    say(peer, LENGTH_POST("1000000"));
    carom_peer_send(peer, content, sizeof content);
    turn();
    pass(500);
    assert_string_equal(got(peer), ""); /* the whole of its time */
    pass(1);
    assert_got(peer, "HTTP/1.1 503 Service Unavailable\r\n");
    release(sim.held[0]);
    turn();
    assert_true(carom_peer_saw_fin(peer));
    assert_false(carom_peer_saw_close(peer));
    carom_peer_shutdown(peer);
    turn();
    assert_true(carom_peer_saw_close(peer));
    assert_false(carom_peer_saw_reset(peer));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_has_a_limit_in_both_codings),
        cmocka_unit_test(a_head_over_its_limits_is_told_so),
        cmocka_unit_test(a_connection_serves_so_many_requests),
        cmocka_unit_test(so_many_requests_are_in_flight),
        cmocka_unit_test(content_that_nobody_reads_is_dropped_up_to_a_limit),
        cmocka_unit_test(content_that_nobody_reads_is_not_kept),
        cmocka_unit_test(refused_connections_have_a_bound),
        cmocka_unit_test(the_beginning_of_a_head_takes_a_small_page),
        cmocka_unit_test(a_delivery_leaves_at_once_when_it_is_answered),
        cmocka_unit_test(a_streamed_answer_is_chunks),
        cmocka_unit_test(each_answer_has_its_whole_write_buffer),
        cmocka_unit_test(who_waits_to_write_hears_at_half),
        cmocka_unit_test(nothing_is_sent_behind_a_close),
        cmocka_unit_test(nothing_is_read_behind_a_refusal_that_waits),
        cmocka_unit_test(continue_is_not_said_to_who_goes_on),
        cmocka_unit_test(fin_ends_requests_unless_half_close_is_set),
        cmocka_unit_test(the_date_goes_on),
        cmocka_unit_test(a_drain_closes_behind_an_answer_that_had_begun),
        cmocka_unit_test(a_deadline_of_a_drain_is_not_put_off),
        cmocka_unit_test(content_is_received_as_it_is_read),
        cmocka_unit_test(requests_are_received_as_they_are_answered),
        cmocka_unit_test(a_refused_client_is_read_to_its_end),
    };
    return cmocka_run_group_tests_name("http/h1", tests, NULL, NULL);
}
