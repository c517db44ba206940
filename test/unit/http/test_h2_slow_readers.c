/* Peers of HTTP/2 that do not read, or say nothing, by the test's own clock: a stream that stands
 * is let go in time, one that waits for its turn is not, and what is kept has a bound. */
#include "base/memory.h"
#include "unit/http/h2_trickle.h"

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

static void begin_endless(carom_options *options, uint32_t streams)
{
    options->handler = endless_handler;
    begin_raw(options);
    for (uint32_t i = 0; i < streams; i++)
        frame(NGHTTP2_HEADERS, WHOLE, 2 * i + 1, SECTION(HOLD));
    turn();
    assert_int_equal(sim.held_count, streams);
}

static void give(uint32_t id, uint32_t amount)
{
    const uint8_t word[4] = {0, (uint8_t)(amount >> 16), (uint8_t)(amount >> 8), (uint8_t)amount};
    frame(NGHTTP2_WINDOW_UPDATE, 0, id, word, 4);
}

/* Whoever takes something is let be, the smallest part of it before the time is over; who takes
 * nothing any more is reset, and that stream only. */
static void a_stream_that_stands_is_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_endless(&options, 2);
    give(0, 1 << 20);
    turn();
    for (int second = 1; second <= 300; second++) {
        if (second % 29 == 0)
            give(1, 1);
        give(3, 1000);
        wait_for(1);
        if (came(NGHTTP2_RST_STREAM) > 0)
            fail_msg("reset after %d s", second);
    }
    give(1, 1);
    turn();
    int second = 0;
    for (; came(NGHTTP2_RST_STREAM) == 0; second++) {
        assert_true(second < 100);
        give(3, 1000);
        wait_for(1);
    }
    assert_in_range(second, 30, 34); /* and three ticks */
    uint32_t code;
    assert_int_equal(frames(NGHTTP2_RST_STREAM, &code), 1);
    assert_int_equal(code, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(sim.held_count, 1);
    give(3, 1000);
    turn();
    assert_int_equal(came(NGHTTP2_RST_STREAM), 1);
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 1);
}

/* Two downloads of a connection, one after the other: the second has to wait for as long as the
 * first takes, which is nobody's fault. When the client takes nothing of either, both are timed. */
static void who_waits_for_its_turn_is_not_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_endless(&options, 2);
    give(1, 1 << 20);
    give(3, 1 << 20);
    for (int second = 0; second < 100; second++) {
        give(0, 1000);
        wait_for(1);
    }
    assert_int_equal(carom_record_outcome(sim.held[1]).content_sent, 0);
    assert_int_equal(carom_record_outcome(sim.held[0]).content_sent, 65535 + 100 * 1000);
    assert_int_equal(came(NGHTTP2_RST_STREAM), 0);
    int second = 0;
    for (; came(NGHTTP2_RST_STREAM) == 0; second++) {
        assert_true(second < 100);
        say_frame(&ping);
        wait_for(1);
    }
    assert_in_range(second, 30, 34);
    assert_int_equal(came(NGHTTP2_RST_STREAM), 2);
    finish();
}

/* A window that is shut by what the network has yet to take is nobody's fault: credit cannot come
 * before it, to that stream and to others behind it. */
static void what_is_taken_slowly_is_not_shut(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = endless_handler;
    begin_raw(&options);
    carom_peer_set_window(peer, 1000);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    frame(NGHTTP2_HEADERS, WHOLE, 3, SECTION(HOLD));
    turn();
    for (int second = 0; second < 60; second++) {
        carom_peer_set_window(peer, 1000);
        say_frame(&ping);
        wait_for(1);
        assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_NONE);
        assert_int_equal(carom_record_outcome(sim.held[1]).reason, CAROM_REASON_NONE);
    }
    int second = 0;
    for (; sim.held_count > 0;
         second++) { /* both, once it has all that their windows let through */
        assert_true(second < 100);
        carom_peer_set_window(peer, 100000);
        say_frame(&ping);
        wait_for(1);
    }
    assert_in_range(second, 30, 34);
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 2);
}

/* A handler that has nothing to say is not the peer's fault. */
static void a_handler_that_says_nothing_is_not_timed(void **state)
{
    (void)state;
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    const carom_content content = {piece, sizeof piece, NULL, NULL};
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    assert_int_equal(carom_respond_begin(sim.held[0], &response), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(carom_write(sim.held[0], &content), 0);
        turn();
        for (int second = 0; second < 100; second++) {
            pass(SECOND);
            say_frame(&ping);
            turn();
        }
    }
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_NONE);
    assert_int_equal(carom_record_outcome(sim.held[0]).content_sent, 3 * PIECE);
    finish();
}

static void a_write_timeout_that_is_off_is_none(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_timeout = CAROM_OFF;
    begin_endless(&options, 1);
    for (int second = 0; second < 1000; second++) {
        say_frame(&ping);
        pass(SECOND);
    }
    assert_int_equal(came(NGHTTP2_RST_STREAM), 0);
    assert_int_equal(sim.held_count, 1);
    finish();
}

/* 32 answers without an end to a peer that opens its windows by a byte now and then: each may keep
 * write_buffer and a piece. */
static void what_waits_for_slow_readers_has_a_bound(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    uint64_t before = carom_memory_held();
    begin_endless(&options, 32);
    const uint64_t bound = 32 * (64 * KIB + PIECE) + 512 * KIB; /* the rest */
    for (int hour = 0; hour < 10; hour++) {
        for (int i = 0; i < 180; i++) {
            give(0, 1);
            pass(20 * SECOND);
            say_frame(&ping);
            turn();
        }
        size_t taken;
        carom_peer_received(peer, &taken); /* the network's own copy */
        assert_true(carom_memory_held() - before < bound + 4 * taken);
        assert_false(carom_peer_saw_close(peer));
        if (hour == 0)
            assert_true(sim.held_count > 0);
        give(0, 1000);
    }
    finish();
}

static void ask_and_answer(uint32_t i)
{
    static char content[2001];
    memset(content, 'a', sizeof content - 1);
    frame(NGHTTP2_HEADERS, WHOLE, 2 * i + 1, SECTION(HOLD));
    turn();
    if (sim.held_count > 0)
        answer_and_release(sim.held[0], content);
    turn();
}

/* Answers that wait for their client are at most as many bytes as it leaves for others', and one
 * more; then its requests wait, nobody else's, and go on as it takes what it is owed. One that is
 * reset meanwhile is not given on any more. */
static void who_is_owed_much_waits_and_nobody_else(void **state)
{
    (void)state;
    static const uint8_t shut[6] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0};
    static const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    carom_options options = simulation_options();
    options.max_unsent = 10000;
    begin_raw(&options);
    frame(NGHTTP2_SETTINGS, 0, 0, shut, sizeof shut);
    for (uint32_t i = 0; i < 6; i++)
        ask_and_answer(i);
    const carom_stats stats = stats_now();
    assert_int_equal(stats.records_in_flight, 6);
    assert_int_equal(sim.service->workers[0].connections.owed, 3 * 2000);
    struct carom_peer *others[4];
    for (int i = 0; i < 4; i++) {
        others[i] = connect_peer();
        say(others[i], "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
        turn();
        assert_int_equal(sim.held_count, 1);
        answer_and_release(sim.held[0], "now");
        turn();
        assert_got(others[i], "now");
    }
    frame(NGHTTP2_RST_STREAM, 0, 2 * 4 + 1, cancel, sizeof cancel);
    turn();
    assert_int_equal(sim.held_count, 0);
    give(1, 2000);
    give(3, 2000);
    turn();
    assert_int_equal(sim.held_count, 2);
    while (sim.held_count > 0)
        answer_and_release(sim.held[0], "");
    turn();
    give(5, 2000);
    turn();
    assert_int_equal(sim.service->workers[0].connections.owed, 0);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 5 + 4);
}

/* Who takes no bytes at all from the network. */
static void a_peer_that_takes_nothing_is_reset(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = endless_handler;
    begin_raw(&options);
    carom_peer_set_window(peer, 0);
    for (uint32_t i = 0; i < 32; i++)
        frame(NGHTTP2_HEADERS, WHOLE, 2 * i + 1, SECTION(HOLD));
    give(0, 1 << 20);
    turn();
    assert_int_equal(sim.held_count, 32);
    /* What gathers for the kernel is 128 KiB, not all that the windows would let through. */
    assert_in_range(carom_container(sim.service->workers[0].connections.open.next,
                                    struct carom_connection, core.link)
                        ->stream.out.length,
                    64 * KIB, 160 * KIB);
    for (int i = 0; i < 3; i++) {
        pass(25 * SECOND);
        carom_peer_set_window(peer, 5);
        say_frame(&ping); /* it is not silent */
        turn();
        assert_false(carom_peer_saw_close(peer));
    }
    pass(29 * SECOND);
    assert_false(carom_peer_saw_close(peer));
    pass(2 * SECOND);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 32);
}

/* A window can be opened again only by who has got what shut it: while the network takes its time,
 * no stream is blamed for that, and the peer has that of the connection. */
static void what_is_on_its_way_shuts_no_window(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = endless_handler;
    begin_raw(&options);
    carom_peer_set_window(peer, 0);
    for (uint32_t id = 1; id <= 3;
         id += 2) { /* the first has all of the window, the second waits */
        frame(NGHTTP2_HEADERS, WHOLE, id, SECTION(HOLD));
        turn();
    }
    for (int i = 0; i < 5; i++) {
        pass(25 * SECOND);
        carom_peer_set_window(peer, 5);
        say_frame(&ping); /* it is not silent */
        turn();
    }
    assert_false(carom_peer_saw_close(peer));
    assert_int_equal(stats_now().ended[CAROM_REASON_WRITE_TIMEOUT], 0);
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 0);
}

/* What has left is owed no more, at the latest when the next of its answer leaves. */
static void what_has_left_is_not_owed(void **state)
{
    (void)state;
    static char large[100000];
    carom_options options = simulation_options();
    const struct carom_connections *connections;
    begin_raw(&options);
    connections = &sim.service->workers[0].connections;
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    const carom_response response = {.status = 200,
                                     .content = {large, sizeof large, carom_static_content, NULL}};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    turn();
    give(0, 10000);
    give(1, 10000);
    turn();
    assert_in_range(connections->owed, sizeof large - 75535, sizeof large - 65535 + 9);
    give(0, 100000);
    give(1, 100000);
    turn();
    assert_int_equal(connections->owed, 0);
    finish();
}

/* ---------------------------------------------------------------- silence */

/* PING is asked once, and the answer is waited for as long again. */
static void silence_is_asked_and_answered(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    for (int round = 0; round < 3; round++) {
        int before = came(NGHTTP2_PING);
        assert_in_range(trickle(&silence, NGHTTP2_PING), 30, 32);
        wait_for(28);
        assert_int_equal(came(NGHTTP2_PING), before + 1);
        assert_false(carom_peer_saw_close(peer));
        frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8);
        turn();
    }
    /* Anything else that is heard is as good. */
    for (int second = 0; second < 100; second++) {
        if (second % 20 == 0)
            give(0, 1000);
        pass(SECOND);
    }
    assert_int_equal(came(NGHTTP2_PING), 3);
    assert_int_equal(sim.held_count, 1);
    turn();
    unsigned seconds = trickle(&silence, NGHTTP2_PING);
    assert_in_range(seconds, 10, 32);
    assert_in_range(trickle(&silence, NGHTTP2_GOAWAY), 30, 32);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(finish().ended[CAROM_REASON_CLIENT_RESET], 1);
}

/* Who does not answer PING but says other things is there. */
static void who_is_heard_of_is_there(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    assert_in_range(trickle(&silence, NGHTTP2_PING), 30, 32);
    for (int i = 0; i < 20; i++) {
        give(0, 1000);
        turn();
        wait_for(20);
        assert_false(carom_peer_saw_close(peer));
    }
    assert_int_equal(came(NGHTTP2_PING), 1);
    assert_int_equal(sim.held_count, 1);
    finish();
}

/* Nobody is asked while nothing is owed to him, or where it is off. */
static void who_is_owed_nothing_is_not_asked(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    answer_and_release(sim.held[0], "held");
    turn();
    assert_in_range(trickle(&silence, NGHTTP2_GOAWAY), 76, 77);
    assert_int_equal(came(NGHTTP2_PING), 0);
    finish();
    options.h2_ping_interval = CAROM_OFF;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    for (int second = 0; second < 1000; second++)
        pass(SECOND);
    assert_int_equal(came(NGHTTP2_PING), 0);
    assert_int_equal(sim.held_count, 1);
    finish();
}

/* A drain asks by PING whether its notice was seen; who does not answer is told the second part
 * after a second, and what is in flight is answered all the same. */
static void a_drain_does_not_wait_for_an_answer(void **state)
{
    (void)state;
    uint32_t code = UINT32_MAX;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    assert_int_equal(came(NGHTTP2_PING), 1);
    assert_int_equal(came(NGHTTP2_GOAWAY), 1);
    pass(900);
    assert_int_equal(came(NGHTTP2_GOAWAY), 1);
    pass(200);
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 2);
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    answer_and_release(sim.held[0], "held");
    turn();
    assert_int_equal(came(NGHTTP2_DATA), 1);
    assert_true(carom_peer_saw_fin(peer));
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_stream_that_stands_is_timed),
        cmocka_unit_test(who_waits_for_its_turn_is_not_timed),
        cmocka_unit_test(what_is_taken_slowly_is_not_shut),
        cmocka_unit_test(a_handler_that_says_nothing_is_not_timed),
        cmocka_unit_test(a_write_timeout_that_is_off_is_none),
        cmocka_unit_test(what_waits_for_slow_readers_has_a_bound),
        cmocka_unit_test(who_is_owed_much_waits_and_nobody_else),
        cmocka_unit_test(a_peer_that_takes_nothing_is_reset),
        cmocka_unit_test(what_is_on_its_way_shuts_no_window),
        cmocka_unit_test(what_has_left_is_not_owed),
        cmocka_unit_test(silence_is_asked_and_answered),
        cmocka_unit_test(who_is_heard_of_is_there),
        cmocka_unit_test(who_is_owed_nothing_is_not_asked),
        cmocka_unit_test(a_drain_does_not_wait_for_an_answer),
    };
    return cmocka_run_group_tests_name("http/h2_slow_readers", all, NULL, NULL);
}
