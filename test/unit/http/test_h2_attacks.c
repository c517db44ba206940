/* Attacks on HTTP/2 by raw frames: each meets its limit, is told so, and leaves nothing behind. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/http/h2_raw.h"

static size_t flood; /* the one being tried */

static void assert_goaway(uint32_t code)
{
    uint32_t said = UINT32_MAX;
    if (frames(NGHTTP2_GOAWAY, &said) == 0 || said != code)
        fail_msg("flood %zu: GOAWAY says %u, not %u", flood, said, code);
}

/* The connection is over, nothing is held for it, and the pools had not to grow far. */
static carom_stats end_of_attack(void)
{
    const struct carom_worker *worker = &sim.service->workers[0];
    for (int i = 0; i < 4; i++)
        pass(1000);
    assert_true(carom_peer_saw_fin(peer) || carom_peer_saw_close(peer));
    while (sim.held_count > 0)
        release(sim.held[0]);
    turn();
    assert_int_equal(worker->connections.records.pool.in_use, 0);
    assert_in_range(worker->connections.records.pool.peak, 0, 600);
    assert_in_range(worker->connections.records.pages.pool.peak, 0, 16);
    return finish();
}

/* ---------------------------------------------------------------- floods of frames */

static void send_rapid_reset(uint32_t i)
{
    const uint8_t code[4] = {0, 0, 0, NGHTTP2_CANCEL};
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
          SECTION(HOLD));
    frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, code, 4);
}

/* MadeYouReset (CVE-2025-8671): the server is made to reset. */
static void send_window_overflow(uint32_t i)
{
    const uint8_t much[4] = {0x7f, 0xff, 0xff, 0xff};
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
          SECTION(HOLD));
    frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, much, 4);
}

static const uint8_t zero[4];

static void send_more_than_its_length(uint32_t i)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1,
          SECTION(HOLD "\x0f\x0d\x01"
                       "1"));
    frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 2 * i + 1, "four", 4);
}

static void send_less_than_its_length(uint32_t i)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1,
          SECTION(HOLD "\x0f\x0d\x01"
                       "9"));
    frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 2 * i + 1, "four", 4);
}

static void send_trailers_without_an_end(uint32_t i)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(HOLD));
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION("\x00\x01x\x01y"));
}

static void send_invalid_section(uint32_t i)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
          SECTION(HOLD "\x00\x01X\x01y"));
}

static void send_invalid_trailers(uint32_t i)
{
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(HOLD));
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
          SECTION("\x00\x01X\x01y"));
}

static void send_settings(uint32_t i)
{
    (void)i;
    frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

static void send_table_size(uint32_t i)
{
    const uint8_t entry[6] = {0, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0, 0, (uint8_t)((i & 1) << 4),
                              0};
    frame(NGHTTP2_SETTINGS, 0, 0, entry, sizeof entry);
}

static void send_ping(uint32_t i)
{
    (void)i;
    frame(NGHTTP2_PING, 0, 0, "12345678", 8);
}

static void send_answers_to_no_ping(uint32_t i)
{
    (void)i;
    frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8);
}

static void send_priority(uint32_t i)
{
    const uint8_t priority[5] = {0, 0, 0, 0, 1};
    frame(NGHTTP2_PRIORITY, 0, 2 * i + 1, priority, 5);
}

static void send_empty_data(uint32_t i)
{
    if (i == 0)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(HOLD));
    frame(NGHTTP2_DATA, 0, 1, NULL, 0);
}

static void send_padding(uint32_t i)
{
    if (i == 0)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(HOLD));
    frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1,
          SECTION("\x03"
                  "pad"));
}

static void send_tiny_credit(uint32_t i)
{
    const uint8_t one[4] = {0, 0, 0, 1};
    (void)i;
    frame(NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4);
}

static void send_priority_update(uint32_t i)
{
    (void)i;
    frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, SECTION("\x00\x00\x00\x01u=1"));
}

static void send_unknown(uint32_t i)
{
    frame((uint8_t)(100 + i % 100), 0, 0, "?", 1);
}

/* What may have been under way when we reset the stream. */
static void send_data_for_what_was_reset(uint32_t i)
{
    if (i == 0)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION("\x84"));
    else
        frame(NGHTTP2_DATA, 0, 1, "x", 1);
}

static void send_section_for_what_was_reset(uint32_t i)
{
    (void)i;
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, SECTION("\x84"));
}

static void floods_are_told_to_be_calm(void **state)
{
    (void)state;
    static void (*const floods[])(uint32_t) = {
        send_rapid_reset,
        send_window_overflow,
        send_more_than_its_length,
        send_less_than_its_length,
        send_trailers_without_an_end,
        send_invalid_section,
        send_invalid_trailers,
        send_settings,
        send_table_size,
        send_ping,
        send_answers_to_no_ping,
        send_priority,
        send_empty_data,
        send_padding,
        send_tiny_credit,
        send_priority_update,
        send_unknown,
        send_data_for_what_was_reset,
        send_section_for_what_was_reset,
    };
    carom_options options = simulation_options();
    for (flood = 0; flood < sizeof floods / sizeof *floods; flood++) {
        begin_raw(&options);
        for (uint32_t i = 0; i < 3000; i++) {
            floods[flood](i);
            turn();
            while (sim.held_count > 10)
                release(sim.held[0]);
        }
        assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
        carom_stats stats = end_of_attack();
        assert_int_equal(stats.h2_calmed, 1);
        assert_in_range(stats.requests, 0, 202);
    }
}

/* What makes the server reset in some engines (CVE-2025-8671, too) and ends the connection here, at
 * the first time. */
static void what_is_no_mistake_ends_the_connection(void **state)
{
    (void)state;
    static const uint8_t itself[5] = {0, 0, 0, 1, 16};
    static const struct {
        uint8_t type, flags;
        const void *payload;
        size_t length;
        uint32_t code;
    } cases[] = {
        {NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, "x", 1, NGHTTP2_STREAM_CLOSED},
        {NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, SECTION(HOLD), NGHTTP2_STREAM_CLOSED},
        {NGHTTP2_PRIORITY, 0, zero, 4, NGHTTP2_FRAME_SIZE_ERROR},
        {NGHTTP2_PRIORITY, 0, itself, 5, NGHTTP2_PROTOCOL_ERROR},
        {NGHTTP2_RST_STREAM, 0, zero, 3, NGHTTP2_FRAME_SIZE_ERROR},
        {NGHTTP2_WINDOW_UPDATE, 0, zero, 3, NGHTTP2_FRAME_SIZE_ERROR},
        {NGHTTP2_WINDOW_UPDATE, 0, zero, 4, NGHTTP2_PROTOCOL_ERROR},
    };
    carom_options options = simulation_options();
    for (flood = 0; flood < sizeof cases / sizeof *cases; flood++) {
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
              SECTION(HOLD));
        frame(cases[flood].type, cases[flood].flags, 1, cases[flood].payload, cases[flood].length);
        turn();
        assert_goaway(cases[flood].code);
        assert_int_equal(sim.cancelled, sim.held_count);
        end_of_attack();
    }
}

/* nghttp2's own limit, of answers that wait, has the same end. */
static void pings_at_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.h2_max_control_frames = CAROM_OFF;
    begin_raw(&options);
    for (uint32_t i = 0; i < 2000; i++)
        send_ping(i);
    turn();
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    end_of_attack();
}

/* Nothing is done for streams that come behind GOAWAY, and not without end. */
static void requests_behind_goaway(void **state)
{
    (void)state;
    uint32_t code;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, SECTION(HOLD));
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8);
    for (uint32_t i = 1; i < 3000; i++) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
              SECTION(HOLD));
        turn();
    }
    assert_int_equal(sim.held_count, 1);
    assert_in_range(frames(NGHTTP2_RST_STREAM, &code), 0, 2);
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    end_of_attack();
}

/* The limit itself is allowed, and one more is not. */
static void the_limit_is_the_last_that_is_let_be(void **state)
{
    (void)state;
    static void (*const floods[])(uint32_t) = {send_rapid_reset, send_ping};
    carom_options options = simulation_options();
    options.h2_max_resets = 10;
    options.h2_max_control_frames = 12; /* with the two SETTINGS of the beginning */
    uint32_t code;
    for (flood = 0; flood < 2; flood++) {
        begin_raw(&options);
        for (uint32_t i = 0; i < 10; i++)
            floods[flood](i);
        turn();
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
        floods[flood](10);
        turn();
        assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
        end_of_attack();
    }
}

/* As many in a time in which they are no flood. */
static void what_comes_slowly_is_no_flood(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    for (uint32_t i = 0; i < 1000; i++) {
        send_rapid_reset(i);
        pass(100);
        while (sim.held_count > 0)
            release(sim.held[0]);
    }
    uint32_t code;
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
    assert_int_equal(finish().h2_calmed, 0);
}

/* ---------------------------------------------------------------- sections */

/* CONTINUATION without an end (CVE-2024-27316 and its like): told to be calm, as any flood is; what
 * is in flight ends for that reason. Eight of them are let be. */
static void continuation_flood(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    for (flood = 0; flood < 4; flood++) {
        const size_t length = 5 * (flood % 2);
        begin_raw(&options);
        carom_peer_set_piece(peer, flood == 3 ? 1 : SIZE_MAX);
        for (uint32_t id = 1; id < 5; id += 2) {
            frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, id, SECTION(HOLD));
            for (int i = 0; i < 7; i++)
                frame(NGHTTP2_CONTINUATION, 0, id, NULL, 0);
            frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, id, NULL, 0);
        }
        turn();
        assert_int_equal(sim.held_count, 2);
        frame(NGHTTP2_HEADERS, 0, 5, SECTION(HOLD));
        for (int i = 0; i < 8; i++)
            frame(NGHTTP2_CONTINUATION, 0, 5, "\x00\x01x\x01y", length);
        if (flood == 2) { /* in another delivery */
            turn();
            assert_int_equal(sim.cancelled, 0);
        }
        for (int i = 0; i < (flood == 0 ? 1 : 100); i++)
            frame(NGHTTP2_CONTINUATION, 0, 5, "\x00\x01x\x01y", length);
        turn();
        assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(sim.cancelled, 2);
        carom_stats stats = end_of_attack();
        assert_int_equal(stats.h2_calmed, 1);
        assert_int_equal(stats.ended[CAROM_REASON_OVER_LIMIT], 3);
    }
}

static void half_a_section_is_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, 0, 1, SECTION(HOLD));
    turn();
    for (int i = 0; i < 12; i++)
        pass(1000);
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    end_of_attack();
}

/* One large line in the dynamic table, then thousands of references of one byte. */
static void hpack_bomb(void **state)
{
    (void)state;
    static char bomb[16000];
    size_t length = sizeof HOLD - 1;
    memcpy(bomb, HOLD, length);
    /* A literal with incremental indexing: "x", and 3000 bytes (127 + 2873 in 7-bit groups). */
    static const char literal[] = "\x40\x01x\x7f\xb9\x16";
    memcpy(bomb + length, literal, sizeof literal - 1);
    length += sizeof literal - 1;
    memset(bomb + length, 'v', 3000);
    length += 3000;
    memset(bomb + length, 0xbe, sizeof bomb - length); /* index 62 */
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, bomb,
          sizeof bomb);
    turn();
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(sim.held_count, 0);
    end_of_attack();
}

/* Nobody reads these trailers, but they are decoded. */
static void hpack_bomb_in_trailers(void **state)
{
    (void)state;
    static char bomb[16000] = "\x40\x01x\x7f\xb9\x16";
    memset(bomb + 6, 'v', 3000);
    memset(bomb + 3006, 0xbe, sizeof bomb - 3006); /* index 62 */
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(HOLD));
    turn();
    answer_and_release(sim.held[0], "early");
    turn();
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, bomb,
          sizeof bomb);
    turn();
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    end_of_attack();
}

static void half_of_trailers_is_timed(void **state)
{
    (void)state;
    uint32_t code;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(HOLD));
    turn();
    answer_and_release(sim.held[0], "early");
    turn();
    frame(NGHTTP2_HEADERS, 0, 1, SECTION("\x00\x01x\x01y"));
    for (int i = 0; i < 10; i++)
        pass(1000);
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
    pass(1000);
    pass(1000);
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    end_of_attack();
}

static void a_name_without_length(void **state)
{
    (void)state;
    uint32_t code = 0;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
          SECTION(HOLD "\x00\x00\x01y"));
    turn();
    assert_int_equal(sim.held_count, 0);
    assert_int_equal(frames(NGHTTP2_RST_STREAM, &code), 1);
    assert_int_equal(code, NGHTTP2_PROTOCOL_ERROR);
    finish();
}

/* ---------------------------------------------------------------- streams */

static void streams_over_the_limit(void **state)
{
    (void)state;
    uint32_t code = 0;
    carom_options options = simulation_options();
    options.h2_max_streams = 10;
    begin_raw(&options);
    for (uint32_t i = 0; i < 20; i++)
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
              SECTION(HOLD));
    turn();
    assert_int_equal(sim.held_count, 10);
    /* The client has acknowledged the limit: it knows better. */
    assert_goaway(NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(frames(NGHTTP2_RST_STREAM, &code), 0);
    end_of_attack();
}

/* Rapid reset (CVE-2023-44487) where its rate is not limited: a handler whose client has left goes
 * on until it releases, and of these there are four times the streams at most. */
static void handlers_of_reset_streams_are_counted(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.h2_max_resets = CAROM_OFF;
    options.h2_max_streams = 10;
    begin_raw(&options);
    uint32_t i = 0;
    const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    for (; i < 10; i++) { /* one that has gone before its handler was called costs none */
        send_rapid_reset(i);
        turn();
    }
    assert_int_equal(sim.held_count, 0);
    for (; i < 70; i++) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
              SECTION(HOLD));
        turn();
        frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, cancel, 4);
        turn();
    }
    assert_in_range(sim.held_count, 39, 40);
    assert_int_equal(sim.cancelled, sim.held_count);
    uint32_t word;
    assert_in_range(frames(NGHTTP2_HEADERS, &word), 20, 21); /* 503 */
    while (sim.held_count > 0)
        release(sim.held[0]);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
          SECTION(HOLD)); /* as before */
    turn();
    assert_int_equal(sim.held_count, 1);
    assert_int_equal(frames(NGHTTP2_GOAWAY, &word), 0);
    carom_stats stats = finish();
    assert_in_range(stats.ended[CAROM_REASON_OVER_LIMIT], 20, 21);
    assert_int_equal(stats.requests_refused, stats.ended[CAROM_REASON_OVER_LIMIT]);
}

/* max_in_flight is for all connections of a worker, and one may have no more than what it leaves
 * to the others: 503, and no further. */
static void records_in_flight_are_counted(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_in_flight = 5;
    begin_raw(&options);
    for (uint32_t i = 0; i < 7; i++) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 2 * i + 1,
              SECTION(HOLD));
        turn();
    }
    uint32_t word;
    assert_int_equal(sim.held_count, 3); /* the third found two of its own, and three left */
    assert_int_equal(frames(NGHTTP2_HEADERS, &word), 4);
    assert_int_equal(finish().ended[CAROM_REASON_OVER_LIMIT], 4);
}

static void what_no_stream_may_do(void **state)
{
    (void)state;
    static uint8_t settings[6 * 40];
    for (size_t i = 0; i < sizeof settings; i += 6)
        settings[i + 1] = 0x99;
    static const struct {
        uint32_t id;
        uint8_t type;
        const void *payload;
        size_t length;
    } cases[] = {
        {2, NGHTTP2_HEADERS, SECTION(HOLD)}, /* a stream of the server's */
        {0, NGHTTP2_HEADERS, SECTION(HOLD)},
        {7, NGHTTP2_DATA, "x", 1}, /* not begun */
        {7, NGHTTP2_RST_STREAM, zero, 4},
        {0, NGHTTP2_WINDOW_UPDATE, zero, 4},
        {1, NGHTTP2_CONTINUATION, SECTION(HOLD)}, /* of nothing */
        {0, NGHTTP2_SETTINGS, settings, sizeof settings},
        {0, NGHTTP2_PING, "1234567", 7},
    };
    carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_raw(&options);
        frame(cases[i].type, cases[i].type == NGHTTP2_HEADERS ? NGHTTP2_FLAG_END_HEADERS : 0,
              cases[i].id, cases[i].payload, cases[i].length);
        turn();
        pass(3000);
        if (!carom_peer_saw_fin(peer) && !carom_peer_saw_close(peer))
            fail_msg("case %zu goes on", i);
        assert_int_equal(sim.held_count, 0);
        finish();
    }
}

static void stream_ids_go_up(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 5, SECTION(HOLD));
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 3, SECTION(HOLD));
    turn();
    assert_int_equal(sim.held_count, 1);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_are_told_to_be_calm),
        cmocka_unit_test(what_is_no_mistake_ends_the_connection),
        cmocka_unit_test(pings_at_once),
        cmocka_unit_test(requests_behind_goaway),
        cmocka_unit_test(the_limit_is_the_last_that_is_let_be),
        cmocka_unit_test(what_comes_slowly_is_no_flood),
        cmocka_unit_test(continuation_flood),
        cmocka_unit_test(half_a_section_is_timed),
        cmocka_unit_test(hpack_bomb),
        cmocka_unit_test(hpack_bomb_in_trailers),
        cmocka_unit_test(half_of_trailers_is_timed),
        cmocka_unit_test(a_name_without_length),
        cmocka_unit_test(streams_over_the_limit),
        cmocka_unit_test(handlers_of_reset_streams_are_counted),
        cmocka_unit_test(records_in_flight_are_counted),
        cmocka_unit_test(what_no_stream_may_do),
        cmocka_unit_test(stream_ids_go_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
