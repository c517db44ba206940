/* What a peer of HTTP/2 may do only so often, and of which of two counts each of it is. */
#include "unit/http/h2_raw.h"

#define WHOLE (NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS)
#define LIMIT 20

static const uint8_t zero[8], tiny[4] = {0, 0, 0, 63}, priority[5] = {0, 0, 0, 0, 16};

static const struct {
    uint8_t type, flags;
    uint32_t id;
    const void *payload;
    size_t length;
} control[] = {
    {NGHTTP2_SETTINGS, 0, 0, NULL, 0},
    {NGHTTP2_PING, 0, 0, zero, 8},
    {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, zero, 8},
    {NGHTTP2_PRIORITY, 0, 1, priority, 5},
    {NGHTTP2_PRIORITY, 0, 9, priority, 5}, /* a stream that is not there yet */
    {NGHTTP2_PRIORITY_UPDATE, 0, 0, "\0\0\0\1u=1", 7},
    {NGHTTP2_PRIORITY_UPDATE, 0, 0, "\0\0\0\1", 4}, /* the shortest */
    {NGHTTP2_WINDOW_UPDATE, 0, 0, tiny, 4},
    {NGHTTP2_WINDOW_UPDATE, 0, 1, tiny, 4},
    {NGHTTP2_DATA, 0, 1, NULL, 0},
    {NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\3\0\0\0", 4},
    {0x77, 0, 0, "nobody knows", 12},
};

static void begin_with(uint32_t frames_most, uint32_t resets_most)
{
    carom_options options = simulation_options();
    options.handler = idle_handler;
    options.h2_max_control_frames = frames_most;
    options.h2_max_resets = resets_most;
    begin_raw(&options); /* two frames of control */
}

static void assert_calm(size_t row, bool calm)
{
    uint32_t code = UINT32_MAX;
    int told = frames(NGHTTP2_GOAWAY, &code);
    if (told != calm || (calm && code != NGHTTP2_ENHANCE_YOUR_CALM))
        fail_msg("row %zu: %d, %u", row, told, code);
}

/* The limit is the last that is let be; the other limit has nothing to do with it. */
static void control_has_its_own_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof control / sizeof *control; i++)
        for (int limited = 0; limited < 2; limited++) {
            begin_with(limited ? LIMIT + 2 : CAROM_OFF, limited ? CAROM_OFF : 1);
            frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
            for (int k = 0; k < LIMIT; k++) {
                frame(control[i].type, control[i].flags, control[i].id, control[i].payload,
                      control[i].length);
                turn();
            }
            assert_calm(i, false);
            frame(control[i].type, control[i].flags, control[i].id, control[i].payload,
                  control[i].length);
            turn();
            assert_calm(i, limited);
            finish();
        }
}

/* Requests, content, credit and resets are none of it. */
static void what_is_of_use_is_no_control(void **state)
{
    (void)state;
    static const uint8_t much[4] = {0, 0, 1, 0}, cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    begin_with(2, CAROM_OFF);
    for (uint32_t i = 0; i < 4 * LIMIT; i += 2) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(POST));
        frame(NGHTTP2_DATA, 0, 2 * i + 1, "x", 1);
        frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 2 * i + 1, "\1x\0", 3);
        frame(NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, much, 4);
        frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 2 * i + 1, NULL, 0);
        frame(NGHTTP2_HEADERS, WHOLE, 2 * i + 3, SECTION(HOLD));
        frame(NGHTTP2_RST_STREAM, 0, 2 * i + 3, cancel, 4);
        turn();
        assert_calm(i, false);
        while (sim.held_count > 0)
            release(sim.held[0]);
    }
    finish();
}

static void resets_have_their_own_limit(void **state)
{
    (void)state;
    static const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    begin_with(CAROM_OFF, LIMIT);
    for (uint32_t i = 0; i <= LIMIT; i++) {
        assert_calm(i, false);
        frame(NGHTTP2_HEADERS, WHOLE, 2 * i + 1, SECTION(HOLD));
        frame(NGHTTP2_RST_STREAM, 0, 2 * i + 1, cancel, 4);
        turn();
    }
    assert_calm(LIMIT, true);
    finish();
}

/* Of ours those that a peer makes us send; not what the program cancels. */
static void our_resets_are_counted_where_the_peer_is_to_blame(void **state)
{
    (void)state;
    for (int blamed = 0; blamed < 2; blamed++) {
        begin_with(CAROM_OFF, LIMIT);
        for (uint32_t i = 0; i <= LIMIT; i++) {
            assert_calm(i, false);
            frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(POST LENGTH("1")));
            if (blamed)
                frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 2 * i + 1, "four", 4);
            turn();
            while (sim.held_count > 0) {
                carom_cancel(sim.held[0]);
                release(sim.held[0]);
            }
            turn();
        }
        assert_calm(LIMIT, blamed);
        finish();
    }
}

/* RST_STREAM behind an answer that came before its content's end blames nobody (RFC 9113, 8.1). */
static void answers_that_come_early_are_no_resets(void **state)
{
    (void)state;
    uint32_t code = UINT32_MAX;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    options.h2_max_resets = LIMIT;
    options.linger_timeout = CAROM_OFF;
    begin_raw(&options);
    for (uint32_t i = 0; i <= LIMIT; i++) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(POST));
        turn();
        answer_and_release(sim.held[0], "early");
        turn();
    }
    assert_int_equal(frames(NGHTTP2_RST_STREAM, &code), LIMIT + 1);
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    assert_calm(LIMIT, false);
    finish();
}

/* As many as a frame may have, and what nghttp2 has of them by itself. */
static void settings_have_a_number(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        uint32_t code;
        uint8_t settings[6 * 33];
        memset(settings, 0, sizeof settings);
        for (size_t i = 0; i < sizeof settings; i += 6)
            settings[i + 1] = (uint8_t)(0x99 + i / 6);
        begin_with(CAROM_OFF, CAROM_OFF);
        frame(NGHTTP2_SETTINGS, 0, 0, settings, 6 * (32 + over));
        turn();
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), over);
        finish();
    }
}

/* What names no stream is a mistake, the shortest frame as well. */
static void an_update_of_no_stream_is_a_mistake(void **state)
{
    (void)state;
    for (size_t length = 4; length < 8; length++) {
        uint32_t code = 0;
        begin_with(CAROM_OFF, CAROM_OFF);
        frame(NGHTTP2_PRIORITY_UPDATE, 0, 0, "\0\0\0\0u=1", length);
        turn();
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 1);
        assert_int_equal(code, NGHTTP2_PROTOCOL_ERROR);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_has_its_own_limit),
        cmocka_unit_test(what_is_of_use_is_no_control),
        cmocka_unit_test(resets_have_their_own_limit),
        cmocka_unit_test(our_resets_are_counted_where_the_peer_is_to_blame),
        cmocka_unit_test(answers_that_come_early_are_no_resets),
        cmocka_unit_test(settings_have_a_number),
        cmocka_unit_test(an_update_of_no_stream_is_a_mistake),
    };
    return cmocka_run_group_tests_name("http/h2_counts", tests, NULL, NULL);
}
