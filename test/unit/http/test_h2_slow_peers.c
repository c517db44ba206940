/* Peers of HTTP/2 that are slow on purpose, by the test's own clock: each is let go in the time
 * that the options say, whatever it trickles meanwhile, and what is kept for it has a bound.
 * The same of HTTP/1.1: test_slow_peers.c. */
#include "base/memory.h"
#include "unit/http/h2_trickle.h"

static const uint8_t little[4] = {0, 0, 0, 100};
static char bytes[16384];

/* What says nothing of a stream keeps no connection: PING as little as silence. */
static void pings_gain_no_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    uint32_t code = UINT32_MAX;
    for (int talks = 0; talks < 2; talks++) {
        const struct trickled *piece = talks ? &ping : &silence;
        begin_raw(&options);
        assert_in_range(trickle(piece, NGHTTP2_GOAWAY), 15, 16); /* first_byte_timeout */
        frames(NGHTTP2_GOAWAY, &code);
        assert_int_equal(code, NGHTTP2_NO_ERROR);
        assert_int_equal(finish().timeouts, 1);
        /* After a request: keep_alive and its grace; and so again after the next one. */
        begin_raw(&options);
        for (uint32_t id = 1; id < 5; id += 2) {
            frame(NGHTTP2_HEADERS, WHOLE, id, SECTION(HOLD));
            turn();
            answer_and_release(sim.held[0], "held");
            turn();
            if (id == 1)
                pass(70 * SECOND);
        }
        assert_in_range(trickle(piece, NGHTTP2_GOAWAY), 76, 77);
        frames(NGHTTP2_GOAWAY, &code);
        assert_int_equal(code, NGHTTP2_NO_ERROR);
        assert_int_equal(finish().timeouts, 0);
    }
}

/* The time runs from the first frame of a section. */
static void sections_in_pieces_gain_no_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (int busy = 0; busy < 2; busy++) /* with another stream in flight, and alone */
        for (int pieces = 0; pieces <= 8; pieces += 4) {
            begin_raw(&options);
            uint32_t id = busy ? 3 : 1;
            if (busy)
                frame(NGHTTP2_HEADERS, WHOLE, 1, SECTION(HOLD));
            frame(NGHTTP2_HEADERS, 0, id, SECTION(HOLD));
            turn();
            for (int i = 0; i < pieces; i++) {
                wait_for(1);
                frame(NGHTTP2_CONTINUATION, 0, id, SECTION("\x00\x01x\x01y"));
                turn();
            }
            assert_in_range(pieces + trickle(&silence, NGHTTP2_GOAWAY), 10, 12); /* and a tick */
            uint32_t code;
            frames(NGHTTP2_GOAWAY, &code);
            assert_int_equal(code, NGHTTP2_ENHANCE_YOUR_CALM);
            assert_int_equal(sim.held_count, busy);
            carom_stats stats = finish();
            assert_int_equal(stats.timeouts, 1);
            assert_int_equal(stats.h2_calmed, 1);
        }
}

/* A section that is whole has no time any more; the next one has its own. */
static void a_section_has_its_own_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    for (uint32_t id = 1; id < 9; id += 2) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, id, SECTION(HOLD));
        turn();
        pass(9 * SECOND);
        frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, id, NULL, 0);
        turn();
    }
    assert_int_equal(sim.held_count, 4);
    pass(20 * SECOND);
    assert_int_equal(came(NGHTTP2_GOAWAY), 0);
    finish();
}

/* ---------------------------------------------------------------- content */

/* A drain lets what is in flight come to its end, in the time that it has always had: 408 comes,
 * and the connection, which waits for nothing else, ends. */
static void content_is_timed_behind_goaway(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678",
          8); /* of the first GOAWAY: now the second */
    turn();
    assert_int_equal(came(NGHTTP2_GOAWAY), 2);
    assert_in_range(trickle(&silence, NGHTTP2_HEADERS), 5, 7);
    pass(5 * SECOND); /* for what was under way */
    assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer));
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

/* Only content counts as content: not empty frames, padding, or a byte at a time. */
static void framing_in_pieces_is_no_content(void **state)
{
    (void)state;
    static const struct trickled pieces[] = {
        {NOTHING, 0, 0, NULL, 0},
        {NGHTTP2_DATA, 0, 1, NULL, 0},
        {NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, SECTION("\x03pad")},
        {NGHTTP2_DATA, 0, 1, "a", 1},
        {NGHTTP2_WINDOW_UPDATE, 0, 1, little, 4},
    };
    carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
        turn();                                                      /* it is collected */
        assert_in_range(trickle(&pieces[i], NGHTTP2_HEADERS), 5, 7); /* content_window, a tick */
        assert_int_equal(sim.cancelled, 1);
        assert_int_equal(came(NGHTTP2_GOAWAY), 0);
        assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
    }
}

static void read_all(void)
{
    carom_slice slice;
    while (carom_request_read(sim.held[0], &slice) == 1)
        continue;
    turn();
}

/* Each window is measured for itself: a fast beginning buys no time. */
static void a_fast_beginning_buys_no_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    turn();
    read_all();
    for (int second = 0; second < 8; second++) {
        frame(NGHTTP2_DATA, 0, 1, bytes, 4000);
        turn();
        read_all();
        pass(SECOND);
    }
    assert_int_equal(came(NGHTTP2_HEADERS), 0);
    assert_in_range(trickle(&silence, NGHTTP2_HEADERS), 5, 12); /* what is left of one, and one */
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

/* Exactly the rate is fast enough, a byte less in each window is not. */
static void the_rate_is_that_of_a_window(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.content_rate = 100;
    options.content_window = 2 * SECOND;
    for (size_t missing = 0; missing < 2; missing++) {
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
        turn();
        read_all();
        int seconds = 0;
        for (; seconds < 60 && came(NGHTTP2_HEADERS) == 0; seconds++) {
            frame(NGHTTP2_DATA, 0, 1, bytes, 101 - missing * 2);
            turn();
            read_all();
            pass(SECOND + 1); /* a tick ends a millisecond later */
        }
        assert_in_range(seconds, missing ? 2 : 60, missing ? 5 : 60);
        finish();
    }
}

/* While the handler does not ask for content it is not waited for, and afterwards it has its whole
 * time. */
static void a_handler_that_pauses_does_not_blame_its_client(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    frame(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes); /* more than is collected */
    turn();
    read_all();
    for (int pause = 0; pause < 3; pause++) {
        wait_for(3);
        frame(NGHTTP2_DATA, 0, 1, bytes, 5); /* which ends the waiting */
        turn();
        for (int i = 0; i < 3; i++) {
            wait_for(20);
            say_frame(&ping);
            turn();
        }
        read_all();
    }
    wait_for(4);
    assert_int_equal(came(NGHTTP2_HEADERS), 0);
    wait_for(3);
    assert_int_equal(came(NGHTTP2_HEADERS), 1);
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

static void read_and_wait(carom_waker *waker, int status)
{
    if (status < 0)
        return;
    read_all();
    assert_int_equal(carom_wait(sim.held[0], CAROM_READABLE, waker), 0);
}

/* A byte in the turn of each look at the rate: its reader waits, though he is just being woken. */
static void dribble_gains_no_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    frame(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes); /* more than is collected */
    turn();
    struct held *held = carom_record_state(sim.held[0]);
    held->waker.wake = read_and_wait;
    read_and_wait(&held->waker, 0);
    int seconds = 0;
    for (; seconds < 60 && came(NGHTTP2_HEADERS) == 0; seconds++) {
        frame(NGHTTP2_DATA, 0, 1, "x", 1);
        pass(SECOND + 1);
    }
    assert_in_range(seconds, 5, 15);
    assert_int_equal(finish().ended[CAROM_REASON_BODY_TIMEOUT], 1);
}

/* Content of a stream that its handler does not read fills the connection's window: that another
 * stream's does not come is not the client's fault, until it may come. */
static void a_handler_that_pauses_does_not_blame_another_stream(void **state)
{
    (void)state;
    static const char much[16384];
    carom_options options = simulation_options();
    options.h2_connection_window = options.h2_connection_window_max = 64 * KIB;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    for (int i = 0; i < 4; i++)
        frame(NGHTTP2_DATA, 0, 1, much, i < 3 ? sizeof much : sizeof much - 1);
    turn();
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, SECTION(POST));
    for (int second = 0; second < 60; second++) {
        say_frame(&ping);
        wait_for(1);
    }
    assert_int_equal(came(NGHTTP2_HEADERS), 0);
    assert_int_equal(sim.held_count, 2);
    carom_slice slice;
    while (carom_request_read(sim.held[0], &slice) == 1)
        continue;
    assert_int_equal(carom_respond(sim.held[0], &(carom_response){.status = 204}), 0);
    turn();
    assert_int_equal(came(NGHTTP2_HEADERS), 1);
    assert_in_range(trickle(&silence, NGHTTP2_HEADERS), 5, 12);
    assert_int_equal(carom_record_outcome(sim.held[1]).reason, CAROM_REASON_BODY_TIMEOUT);
    finish();
}

static void a_rate_that_is_off_is_none(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        carom_options options = simulation_options();
        *(which ? &options.content_rate : &options.content_window) = CAROM_OFF;
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
        turn();
        for (int minute = 0; minute < 20; minute++) {
            pass(30 * SECOND);
            frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8);
            turn();
        }
        assert_int_equal(came(NGHTTP2_HEADERS), 0);
        assert_int_equal(sim.held_count, 1);
        finish();
    }
}

/* A tunnel lasts, however little comes through it. */
static void a_tunnel_is_not_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
          SECTION("\x02\x07"
                  "CONNECT\x01\x05"
                  "ab:12"));
    turn();
    assert_int_equal(carom_upgrade(sim.held[0], &(carom_response){.status = 200}), 0);
    for (int minute = 0; minute < 20; minute++) {
        read_all();
        wait_for(20);
        frame(NGHTTP2_DATA, 0, 1, "a", 1);
        turn();
    }
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_NONE);
    assert_int_equal(carom_record_outcome(sim.held[0]).content_received, 20);
    finish();
}

static void slow_content_holds_up_no_other_stream(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    frame(NGHTTP2_HEADERS, WHOLE, 3, SECTION(HOLD));
    turn();
    carom_record *quick = sim.held[1];
    wait_for(8);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_BODY_TIMEOUT);
    assert_int_equal(carom_record_outcome(quick).reason, CAROM_REASON_NONE);
    answer_and_release(quick, "quick");
    turn();
    assert_int_equal(came(NGHTTP2_DATA), 2); /* of the 408, too */
    finish();
}

/* Nothing is set aside for what was announced. */
static void announced_content_takes_no_memory(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    uint64_t before = carom_memory_held();
    for (uint32_t i = 0; i < 50; i++)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(POST LENGTH("9")));
    turn();
    assert_int_equal(sim.held_count, 50);
    assert_true(carom_memory_held() - before < 256 * KIB);
    assert_in_range(trickle(&silence, NGHTTP2_HEADERS), 5, 7);
    assert_int_equal(came(NGHTTP2_HEADERS), 50);
    finish();
}

/* ---------------------------------------------------------------- ends */

/* After GOAWAY the peer is read on for a while, so that it sees why: for a while only. */
static void a_refused_peer_that_goes_on_is_cut(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_PING, 0, 0, "1234567", 7);
    turn();
    assert_true(carom_peer_saw_fin(peer));
    uint64_t held = carom_memory_held();
    unsigned tenths = 0;
    for (; !carom_peer_saw_close(peer); tenths++) {
        assert_true(tenths < 100);
        say_frame(&ping);
        turn();
        pass(100);
    }
    assert_in_range(tenths, 20, 21); /* linger_timeout */
    assert_true(carom_memory_held() - held < 8 * KIB);
    finish();
}

/* What comes so often that in between not one of the count has faded, but over a while many have.
 */
static void what_comes_steadily_fades_too(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    for (uint32_t i = 0; i < 1500; i++) {
        frame(NGHTTP2_PING, 0, 0, "12345678", 8); /* 1,000 in 10 s may come at once */
        pass(9);
    }
    uint32_t code;
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
    assert_int_equal(finish().h2_calmed, 0);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(pings_gain_no_time),
        cmocka_unit_test(sections_in_pieces_gain_no_time),
        cmocka_unit_test(a_section_has_its_own_time),
        cmocka_unit_test(content_is_timed_behind_goaway),
        cmocka_unit_test(framing_in_pieces_is_no_content),
        cmocka_unit_test(a_fast_beginning_buys_no_time),
        cmocka_unit_test(the_rate_is_that_of_a_window),
        cmocka_unit_test(a_handler_that_pauses_does_not_blame_its_client),
        cmocka_unit_test(dribble_gains_no_time),
        cmocka_unit_test(a_handler_that_pauses_does_not_blame_another_stream),
        cmocka_unit_test(a_rate_that_is_off_is_none),
        cmocka_unit_test(a_tunnel_is_not_timed),
        cmocka_unit_test(slow_content_holds_up_no_other_stream),
        cmocka_unit_test(announced_content_takes_no_memory),
        cmocka_unit_test(a_refused_peer_that_goes_on_is_cut),
        cmocka_unit_test(what_comes_steadily_fades_too),
    };
    return cmocka_run_group_tests_name("http/h2_slow_peers", all, NULL, NULL);
}
