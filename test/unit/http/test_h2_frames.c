/* Frames of HTTP/2 as they are looked at before nghttp2 reads them: their lengths and streams, what
 * streams were, and what counts as control. */
#include <stdio.h>

#include "unit/http/h2_raw.h"

#define WHOLE (NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS)

/* A request that is answered at once. */
static void serve(uint32_t id)
{
    frame(NGHTTP2_HEADERS, WHOLE, id, SECTION(HOLD));
    turn();
    assert_int_equal(sim.held_count, 1);
    answer_and_release(sim.held[0], "");
    turn();
}

/* Content for a stream that is over. */
static void assert_data_gets(uint32_t id, int goaways, uint32_t expected)
{
    uint32_t code = UINT32_MAX;
    frame(NGHTTP2_DATA, 0, id, "x", 1);
    turn();
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), goaways);
    if (goaways > 0)
        assert_int_equal(code, expected);
}

/* It is known of the last 64 streams, whatever their numbers. */
static void what_was_closed_stays_closed(void **state)
{
    (void)state;
    static const struct {
        uint32_t first, last, step, told;
        int goaways;
    } cases[] = {
        {1, 1, 2, 1, 1},
        {1, 3, 2, 1, 1}, /* behind another */
        {1, 7, 2, 3, 1},
        {1, 1 + 2 * 63, 2, 1, 1},
        {1, 1 + 2 * 64, 2, 1, 0}, /* forgotten, and so forgiven */
        {1, 1 + 2 * 70, 2, 3, 0},
        {1, 1 + 2 * 200, 2 * 200, 1 + 2 * 200, 1}, /* a leap */
        {0x01000001, 0x01000001, 2, 0x01000001, 1},
        {0x00010001, 0x00010003, 2, 0x00010001, 1},
        {0x7f000001, 0x7f000003, 2, 0x7f000001, 1},
        {0x80000001, 0x80000003, 2, 1, 1}, /* the highest bit is no part of it */
    };
    const carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_raw(&options);
        for (uint32_t id = cases[i].first; id <= cases[i].last; id += cases[i].step)
            serve(id);
        assert_data_gets(cases[i].told, cases[i].goaways, NGHTTP2_STREAM_CLOSED);
        finish();
    }
}

/* PRIORITY of no stream, which ends the connection where it is read as a frame. */
#define WRONG "\0\0\0\2\0\0\0\0\0"

static void no_frame_is_seen_in_content(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {
        0x12d, 0x212d, 0x3f09}; /* multiples of nine, too, without their first byte */
    carom_options options = simulation_options();
    static char content[0x4000];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = WRONG[i % 9];
    options.handler = idle_handler;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint32_t code;
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
        frame(NGHTTP2_DATA, 0, 1, content, lengths[i]);
        frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "", 0);
        turn();
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
        assert_int_equal(sim.held_count, 1);
        assert_int_equal(drain_content(sim.held[0]), lengths[i]);
        finish();
    }
}

/* Credit that is worth a frame is none of what a peer may do only so often. */
static void credit_is_no_control(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.h2_max_control_frames = 10;
    for (int small = 0; small < 2; small++) {
        uint32_t code;
        const uint8_t credit_of[4] = {0, 0, 0, small ? 63 : 64};
        begin_raw(&options);
        for (int i = 0; i < 20; i++)
            frame(NGHTTP2_WINDOW_UPDATE, 0, 0, credit_of, 4);
        turn();
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), small);
        finish();
    }
}

static void set_window(uint32_t window)
{
    const uint8_t entry[6] = {0,
                              NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                              (uint8_t)(window >> 24),
                              (uint8_t)(window >> 16),
                              (uint8_t)(window >> 8),
                              (uint8_t)window};
    frame(NGHTTP2_SETTINGS, 0, 0, entry, sizeof entry);
}

/* A window that SETTINGS would make wider than there are numbers for (RFC 9113, 6.9.2): of
 * whichever stream. */
static void no_window_is_wider_than_its_number(void **state)
{
    (void)state;
    const uint8_t much[4] = {0, 0x10, 0, 0};
    const carom_options options = simulation_options();
    for (int wide = 0; wide < 3; wide++)
        for (int over = 0; over < 2; over++) {
            uint32_t code = 0;
            begin_raw(&options);
            for (int i = 0; i < 3; i++) {
                frame(NGHTTP2_HEADERS, WHOLE, (uint32_t)(2 * i + 1), SECTION(HOLD));
                if (i == wide)
                    frame(NGHTTP2_WINDOW_UPDATE, 0, (uint32_t)(2 * i + 1), much, 4);
            }
            set_window(0x7fffffff - 0x100000 + (uint32_t)over);
            turn();
            assert_int_equal(frames(NGHTTP2_GOAWAY, &code), over);
            assert_int_equal(code, over ? NGHTTP2_FLOW_CONTROL_ERROR : 0);
            finish();
        }
}

/* A section over its limit is refused; one that is eight times as long ends the connection. A line
 * costs 32 bytes more than it has: HOLD has 170. */
static void a_section_has_eight_times_its_limit(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_header_section = 1000;
    for (int over = 0; over < 2; over++) {
        uint32_t code = 0;
        char section[2048] = HOLD, *to = section + sizeof HOLD - 1;
        for (int i = 0; i < 229; i++, to += 5) /* 34 each */
            memcpy(to, "\0\1x\1y", 5);
        const int length = 18 + over; /* with 170 + 229 * 34 + 33 and 19 it is 8 * 1001 */
        *to++ = 0;
        to += sprintf(to, "%cx%c%.*s", 1, length, length, "nineteen characters");
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, WHOLE, 1, section, (size_t)(to - section));
        turn();
        assert_int_equal(frames(NGHTTP2_GOAWAY, &code), over);
        assert_int_equal(code, over ? NGHTTP2_ENHANCE_YOUR_CALM : 0);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_closed_stays_closed),
        cmocka_unit_test(no_frame_is_seen_in_content),
        cmocka_unit_test(credit_is_no_control),
        cmocka_unit_test(no_window_is_wider_than_its_number),
        cmocka_unit_test(a_section_has_eight_times_its_limit),
    };
    return cmocka_run_group_tests_name("http/h2_frames", tests, NULL, NULL);
}
