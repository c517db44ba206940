/* Attacks on HTTP/2 by raw frames: each meets its limit, is told so, and leaves nothing behind. */
#include <stdio.h>
#include <stdlib.h>

#include <nghttp2/nghttp2.h>

#include "unit/service/simulation.h"

/* GET, http, a path, and the authority "a", in HPACK without its dynamic table. */
#define HOLD                                                                                       \
    "\x82\x86\x04\x05/hold\x01\x01"                                                                \
    "a"
#define SECTION(text) (text), sizeof(text) - 1

static struct carom_peer *peer;

static void frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t length)
{
    const uint8_t head[9] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,    type,       flags,
        (uint8_t)(id >> 24),     (uint8_t)(id >> 16),    (uint8_t)(id >> 8), (uint8_t)id};
    carom_peer_send(peer, (const char *)head, sizeof head);
    if (length > 0)
        carom_peer_send(peer, payload, length);
}

static void begin_attack(const carom_options *options)
{
    begin(options);
    peer = connect_peer();
    say(peer, NGHTTP2_CLIENT_MAGIC);
    frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    turn();
}

/* How many frames of a type have come; *last is the last word of the last one: for GOAWAY and
 * RST_STREAM the error. */
static int frames(uint8_t type, uint32_t *last)
{
    size_t length;
    const uint8_t *at = (const uint8_t *)carom_peer_received(peer, &length);
    const uint8_t *end = at + length;
    int count = 0;
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (at[3] == type && size >= 4) {
            const uint8_t *word = at + 9 + (type == NGHTTP2_GOAWAY ? 4 : size - 4);
            *last = (uint32_t)word[0] << 24 | (uint32_t)word[1] << 16 | (uint32_t)word[2] << 8 |
                    word[3];
            count++;
        }
        at += 9 + size;
    }
    return count;
}

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
    assert_int_equal(worker->records.pool.in_use, 0);
    assert_in_range(worker->records.pool.peak, 0, 600);
    assert_in_range(worker->records.pages.pool.peak, 0, 16);
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
        send_settings,
        send_table_size,
        send_ping,
        send_priority,
        send_empty_data,
        send_tiny_credit,
        send_priority_update,
        send_unknown,
        send_data_for_what_was_reset,
        send_section_for_what_was_reset,
    };
    carom_options options = simulation_options();
    for (flood = 0; flood < sizeof floods / sizeof *floods; flood++) {
        begin_attack(&options);
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

/* As many in a time in which they are no flood. */
static void what_comes_slowly_is_no_flood(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_attack(&options);
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

static void continuation_flood(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_attack(&options);
    frame(NGHTTP2_HEADERS, 0, 1, SECTION(HOLD));
    for (int i = 0; i < 100; i++)
        frame(NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
    turn();
    end_of_attack();
}

static void half_a_section_is_timed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_attack(&options);
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
    begin_attack(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, bomb,
          sizeof bomb);
    turn();
    assert_goaway(NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(sim.held_count, 0);
    end_of_attack();
}

static void a_name_without_length(void **state)
{
    (void)state;
    uint32_t code = 0;
    carom_options options = simulation_options();
    begin_attack(&options);
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
    begin_attack(&options);
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

static void what_no_stream_may_do(void **state)
{
    (void)state;
    static uint8_t settings[6 * 40];
    static const uint8_t zero[4];
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
        begin_attack(&options);
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
    begin_attack(&options);
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
        cmocka_unit_test(what_comes_slowly_is_no_flood),
        cmocka_unit_test(continuation_flood),
        cmocka_unit_test(half_a_section_is_timed),
        cmocka_unit_test(hpack_bomb),
        cmocka_unit_test(a_name_without_length),
        cmocka_unit_test(streams_over_the_limit),
        cmocka_unit_test(what_no_stream_may_do),
        cmocka_unit_test(stream_ids_go_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
