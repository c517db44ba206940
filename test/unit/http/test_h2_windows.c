/* Windows of HTTP/2: the credit of a connection comes back however a stream leaves; a stream's
 * window grows where its link is fast, and only there. */
#include "http/h2.h"
#include "unit/http/h2_raw.h"

#define FRAME 16384u
#define END   NGHTTP2_FLAG_END_STREAM

static char bytes[FRAME];
static const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
static uint64_t sent; /* content, on all streams */

static void send_content(uint32_t id, uint8_t flags)
{
    frame(NGHTTP2_DATA, flags, id, bytes, sizeof bytes);
    sent += sizeof bytes;
}

/* A request of 16 KiB so far; the handler looks at none of it. */
static void send_half(uint32_t id)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, SECTION(POST));
    send_content(id, 0);
    turn();
}

static void the_client_resets(uint32_t id)
{
    send_half(id);
    frame(NGHTTP2_RST_STREAM, 0, id, cancel, 4);
    turn();
}

static void the_client_resets_what_was_read_in_part(uint32_t id)
{
    send_half(id);
    carom_slice slice;
    assert_int_equal(carom_request_read(sim.held[0], &slice), 1);
    send_content(id, 0);
    turn();
    frame(NGHTTP2_RST_STREAM, 0, id, cancel, 4);
    turn();
}

static void the_client_resets_what_is_collected(uint32_t id)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, SECTION(POST));
    frame(NGHTTP2_DATA, 0, id, bytes, 900);
    sent += 900;
    turn();
    frame(NGHTTP2_RST_STREAM, 0, id, cancel, 4);
    turn();
}

static void the_handler_cancels(uint32_t id)
{
    send_half(id);
    carom_cancel(sim.held[0]);
    turn();
    send_content(id, 0); /* it was under way */
    turn();
}

static void the_handler_answers(uint32_t id)
{
    send_half(id);
    answer_and_release(sim.held[0], "early");
    turn();
    send_content(id, END);
    turn();
}

static void the_handler_answers_at_the_end(uint32_t id)
{
    send_half(id);
    send_content(id, END);
    turn();
    answer_and_release(sim.held[0], "unread");
    turn();
}

static void the_handler_answers_and_reads_on(uint32_t id)
{
    send_half(id);
    answer(sim.held[0], "early");
    turn();
    send_content(id, 0);
    turn();
    carom_slice slice;
    while (carom_request_read(sim.held[0], &slice) == 1)
        continue;
    release(sim.held[0]);
    turn();
}

static void the_handler_lets_go(uint32_t id)
{
    send_half(id);
    release(sim.held[0]);
    turn();
    send_content(id, END);
    turn();
}

/* RST_STREAM waits behind output that the client does not take, and content goes on coming for a
 * stream that has left. */
static void what_comes_for_a_stream_that_has_left(uint32_t id)
{
    carom_peer_set_window(peer, 0);
    frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    send_half(id);
    carom_cancel(sim.held[0]);
    turn();
    send_content(id, 0);
    turn();
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
}

/* A hundred streams leave in each way: the client may send as much as before. */
static void credit_returns_however_a_stream_leaves(void **state)
{
    (void)state;
    static void (*const ways[])(uint32_t) = {
        the_client_resets,
        the_client_resets_what_was_read_in_part,
        the_client_resets_what_is_collected,
        the_handler_cancels,
        the_handler_answers,
        the_handler_answers_at_the_end,
        the_handler_answers_and_reads_on,
        the_handler_lets_go,
        what_comes_for_a_stream_that_has_left,
    };
    carom_options options = simulation_options();
    options.h2_max_resets = options.h2_max_control_frames = CAROM_OFF;
    options.h2_connection_window = options.h2_connection_window_max = 256 * 1024;
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        begin_raw(&options);
        sent = 0;
        for (uint32_t i = 0; i < 100; i++) {
            ways[way](2 * i + 1);
            while (sim.held_count > 0)
                release(sim.held[0]);
            turn();
            uint64_t may = 65535 + credit(0);
            /* nghttp2 gathers up to half a window before it says so */
            if (may < sent + 128 * 1024 || may > sent + 256 * 1024)
                fail_msg("way %zu, stream %u: %llu of %llu", way, i, (unsigned long long)sent,
                         (unsigned long long)may);
        }
        uint32_t code;
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
        pass(3000); /* content behind an answer was waited for */
        assert_int_equal(sim.service->workers[0].connections.records.pool.in_use, 0);
        finish();
    }
}

/* What nobody has read is no credit, for the connection neither. */
static void unread_content_is_no_credit(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.h2_connection_window = options.h2_connection_window_max = 256 * 1024;
    begin_raw(&options);
    uint64_t before = credit(0);
    for (uint32_t i = 0; i < 15; i++)
        send_half(2 * i + 1);
    assert_int_equal(credit(0), before);
    assert_int_equal(sim.held_count, 15);
    while (sim.held_count > 0)
        release(sim.held[0]);
    turn();
    assert_true(credit(0) > before);
    finish();
}

/* ---------------------------------------------------------------- growth */

static nghttp2_session *session(void)
{
    return carom_h2_of(carom_container(sim.service->workers[0].connections.open.next,
                                       struct carom_connection, core.link))
        ->session;
}

static int32_t window(void)
{
    return nghttp2_session_get_stream_effective_local_window_size(session(), 1);
}

static int32_t whole_window(void)
{
    return nghttp2_session_get_effective_local_window_size(session());
}

static void read_all(void)
{
    carom_slice slice;
    while (carom_request_read(sim.held[0], &slice) == 1)
        continue;
    turn();
}

/* Half a window, `milliseconds`, and the other half. */
static void use_up(uint64_t milliseconds)
{
    const int32_t half = window() / 2;
    for (int i = 0; i < 2; i++) {
        for (int32_t left = half; left > 0; left -= (int32_t)FRAME) {
            frame(NGHTTP2_DATA, 0, 1, bytes, FRAME);
            turn();
        }
        read_all();
        if (i == 0)
            pass(milliseconds);
    }
}

static void begin_upload(const carom_options *options)
{
    begin_raw(options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    turn();
    read_all();
}

static void a_window_grows_only_where_it_is_used_up_fast(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_upload(&options);
    assert_int_equal(window(), 64 * 1024);
    for (int i = 0; i < 5; i++)
        use_up(500);
    assert_int_equal(window(), 64 * 1024);
    assert_int_equal(whole_window(), 1024 * 1024);
    pass(3600); /* what was before does not count */
    use_up(499);
    assert_int_equal(window(), 128 * 1024);
    use_up(500);
    assert_int_equal(window(), 128 * 1024);
    finish();
}

/* Each half of a window is used up fast, but not the whole. */
static void a_window_is_doubled_when_all_of_it_was_used_up(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_upload(&options);
    for (int i = 0; i < 3; i++) {
        frame(NGHTTP2_DATA, 0, 1, bytes, FRAME);
        turn();
        read_all();
    }
    assert_int_equal(window(), 64 * 1024);
    frame(NGHTTP2_DATA, 0, 1, bytes, FRAME);
    turn();
    read_all();
    assert_int_equal(window(), 128 * 1024);
    for (int i = 0; i < 7; i++) {
        frame(NGHTTP2_DATA, 0, 1, bytes, FRAME);
        turn();
        read_all();
    }
    assert_int_equal(window(), 128 * 1024);
    finish();
}

static void windows_grow_up_to_their_limits(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.h2_stream_window_max = 200 * 1024;
    options.h2_connection_window = 256 * 1024;
    options.h2_connection_window_max = 600 * 1024;
    begin_upload(&options);
    assert_int_equal(whole_window(), 256 * 1024);
    for (int i = 0; i < 20; i++)
        use_up(0);
    assert_int_equal(window(), 200 * 1024);
    assert_int_equal(whole_window(), 600 * 1024);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_returns_however_a_stream_leaves),
        cmocka_unit_test(unread_content_is_no_credit),
        cmocka_unit_test(a_window_grows_only_where_it_is_used_up_fast),
        cmocka_unit_test(a_window_is_doubled_when_all_of_it_was_used_up),
        cmocka_unit_test(windows_grow_up_to_their_limits),
    };
    return cmocka_run_group_tests_name("http/h2_windows", tests, NULL, NULL);
}
