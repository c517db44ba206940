/* Content that comes after its answer was sent: it is checked like any other, and waited for a
 * limited time only. */
#include "http/h2.h"
#include "unit/http/h2_raw.h"

#define EXPECT                                                                                     \
    "\x0f\x14\x0c"                                                                                 \
    "100-continue"
#define END NGHTTP2_FLAG_END_STREAM

static const uint8_t cancel[4] = {0, 0, 0, NGHTTP2_CANCEL}, zero[4],
                     most[4] = {0x7f, 255, 255, 255};

/* A request to be continued, and its answer. */
static void begin_answered(const carom_options *options, const char *section, size_t length)
{
    begin_raw(options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, section, length);
    turn();
    assert_int_equal(sim.held_count, 1);
    answer_and_release(sim.held[0], "early");
    turn();
    uint32_t said;
    assert_int_equal(frames(NGHTTP2_DATA, &said), 1);
}

static uint32_t records(void)
{
    return sim.service->workers[0].connections.records.pool.in_use;
}

/* RST_STREAM, or GOAWAY; UINT32_MAX: none. */
static uint32_t verdict(void)
{
    uint32_t code = UINT32_MAX;
    if (frames(NGHTTP2_RST_STREAM, &code) == 0)
        frames(NGHTTP2_GOAWAY, &code);
    return code;
}

struct late {
    uint8_t type, flags;
    const void *payload;
    size_t length;
};

static void what_comes_behind_an_answer_is_judged(void **state)
{
    (void)state;
    static const struct {
        const char *section;
        size_t length;
        uint32_t code;
        struct late frames[2];
    } cases[] = {
        {SECTION(POST), NGHTTP2_PROTOCOL_ERROR, {{NGHTTP2_WINDOW_UPDATE, 0, zero, 4}}},
        {SECTION(POST), NGHTTP2_FLOW_CONTROL_ERROR, {{NGHTTP2_WINDOW_UPDATE, 0, most, 4}}},
        {SECTION(POST LENGTH("1")), NGHTTP2_PROTOCOL_ERROR, {{NGHTTP2_DATA, END, "four", 4}}},
        {SECTION(POST LENGTH("9")), NGHTTP2_PROTOCOL_ERROR, {{NGHTTP2_DATA, END, "four", 4}}},
        {SECTION(POST LENGTH("1")),
         NGHTTP2_PROTOCOL_ERROR,
         {{NGHTTP2_DATA, 0, "four", 4}, {NGHTTP2_DATA, END, "four", 4}}},
        {SECTION(POST LENGTH("9")),
         NGHTTP2_PROTOCOL_ERROR,
         {{NGHTTP2_DATA, 0, "four", 4},
          {NGHTTP2_HEADERS, END | NGHTTP2_FLAG_END_HEADERS, SECTION("\x00\x01x\x01y")}}},
        {SECTION(POST),
         NGHTTP2_PROTOCOL_ERROR,
         {{NGHTTP2_DATA, 0, "four", 4},
          {NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, SECTION("\x00\x01x\x01y")}}},
        {SECTION(POST),
         NGHTTP2_PROTOCOL_ERROR,
         {{NGHTTP2_DATA, 0, "four", 4},
          {NGHTTP2_HEADERS, END | NGHTTP2_FLAG_END_HEADERS, SECTION("\x83")}}},
        {SECTION(POST),
         NGHTTP2_PROTOCOL_ERROR,
         {{NGHTTP2_DATA, END | NGHTTP2_FLAG_PADDED, "\x06test", 5}}},
        {SECTION(POST),
         NGHTTP2_STREAM_CLOSED,
         {{NGHTTP2_RST_STREAM, 0, cancel, 4}, {NGHTTP2_DATA, END, "four", 4}}},
        {SECTION(POST),
         NGHTTP2_STREAM_CLOSED,
         {{NGHTTP2_RST_STREAM, 0, cancel, 4},
          {NGHTTP2_HEADERS, END | NGHTTP2_FLAG_END_HEADERS, SECTION(POST)}}},
    };
    const carom_options options = simulation_options();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_answered(&options, cases[i].section, cases[i].length);
        assert_int_equal(verdict(), UINT32_MAX);
        for (int j = 0; j < 2 && cases[i].frames[j].payload != NULL; j++) {
            const struct late *late = &cases[i].frames[j];
            frame(late->type, late->flags, 1, late->payload, late->length);
            turn();
        }
        if (verdict() != cases[i].code)
            fail_msg("case %zu: %u", i, verdict());
        assert_int_equal(records(), 0);
        assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
    }
}

static void what_is_right_is_taken(void **state)
{
    (void)state;
    static const char trailers[] = "\x00\x01x\x01y";
    const carom_options options = simulation_options();
    for (int with = 0; with < 2; with++) {
        begin_answered(&options, SECTION(POST LENGTH("8")));
        frame(NGHTTP2_DATA, 0, 1, "four", 4);
        turn();
        assert_int_equal(records(), 1);
        frame(NGHTTP2_DATA, with ? 0 : END, 1, "four", 4);
        if (with)
            frame(NGHTTP2_HEADERS, END | NGHTTP2_FLAG_END_HEADERS, 1, trailers,
                  sizeof trailers - 1);
        turn();
        assert_int_equal(verdict(), UINT32_MAX);
        assert_int_equal(records(), 0);
        finish();
    }
}

static void it_is_waited_for_only_so_long(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_answered(&options, SECTION(POST));
    for (int i = 0; i < 19; i++) {
        pass(100);
        frame(NGHTTP2_DATA, 0, 1, "x", 1); /* gains no time */
        turn();
        assert_int_equal(verdict(), UINT32_MAX);
    }
    pass(1100);
    assert_int_equal(verdict(), NGHTTP2_NO_ERROR);
    assert_int_equal(records(), 0);
    frame(NGHTTP2_DATA, 0, 1, "x", 1); /* it was under way */
    turn();
    uint32_t code;
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
    finish();
}

/* Nor does more come than needs no new credit. */
static void it_is_waited_for_only_so_far(void **state)
{
    (void)state;
    static char bytes[16384];
    uint32_t credit = 0;
    const carom_options options = simulation_options();
    begin_answered(&options, SECTION(POST));
    frame(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
    turn();
    assert_int_equal(verdict(), UINT32_MAX);
    frame(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
    turn();
    assert_int_equal(verdict(), NGHTTP2_NO_ERROR);
    assert_int_equal(records(), 0);
    /* Of what nobody reads nothing is held: all of it is credit of the connection again. */
    for (uint32_t id = 3; id < 200; id += 2) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, SECTION(POST));
        turn();
        answer_and_release(sim.held[0], "early");
        turn();
        frame(NGHTTP2_DATA, 0, id, bytes, sizeof bytes);
        frame(NGHTTP2_DATA, 0, id, bytes, sizeof bytes);
        turn();
    }
    assert_true(frames(NGHTTP2_WINDOW_UPDATE, &credit) > 4);
    assert_int_equal(frames(NGHTTP2_GOAWAY, &credit), 0);
    assert_int_equal(records(), 0);
    finish();
}

/* So it is behind a refusal, to which a large content may belong. */
static void a_refused_upload_is_not_endless(void **state)
{
    (void)state;
    static char bytes[16384];
    carom_options options = simulation_options();
    options.max_content = 5;
    for (int late = 0; late < 2; late++) {
        begin_raw(&options);
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST LENGTH("9")));
        turn();
        assert_int_equal(sim.held_count, 0);
        assert_int_equal(verdict(), UINT32_MAX);
        assert_int_equal(records(), 1);
        if (late)
            pass(3000);
        frame(NGHTTP2_DATA, 0, 1, "123456789", 9);
        if (!late)
            frame(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
        turn();
        assert_int_equal(verdict(), late ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR);
        assert_int_equal(records(), 0);
        finish();
    }
}

static void who_waits_for_our_word_is_told_at_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin_answered(&options, SECTION(POST LENGTH("8") EXPECT)); /* it was told to go on */
    assert_int_equal(verdict(), UINT32_MAX);
    assert_int_equal(records(), 1);
    finish();
    options.max_content = 5;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST LENGTH("8") EXPECT));
    turn();
    assert_int_equal(verdict(), NGHTTP2_NO_ERROR); /* behind 413 */
    assert_int_equal(records(), 0);
    finish();
    options.linger_timeout = CAROM_OFF;
    begin_answered(&options, SECTION(POST));
    assert_int_equal(verdict(), NGHTTP2_NO_ERROR);
    assert_int_equal(records(), 0);
    finish();
}

/* Who has not waited for it sends the rest, too, and is waited for as others are. */
static void who_did_not_wait_for_our_word_is_waited_for(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST LENGTH("8") EXPECT));
    frame(NGHTTP2_DATA, 0, 1, "four", 4);
    turn();
    answer_and_release(sim.held[0], "early");
    turn();
    assert_int_equal(verdict(), UINT32_MAX);
    assert_int_equal(records(), 1);
    frame(NGHTTP2_DATA, END, 1, "more", 4);
    turn();
    assert_int_equal(verdict(), UINT32_MAX);
    assert_int_equal(records(), 0);
    finish();
}

/* A handler that reads on is no lingering: what it reads has the time that content has. */
static void who_reads_on_is_given_the_rest(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    options.linger_timeout = 100;
    options.content_rate = 1;
    begin_raw(&options);
    frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, SECTION(POST));
    frame(NGHTTP2_DATA, 0, 1, "four", 4);
    turn();
    carom_record *record = sim.held[0];
    answer(record, "early");
    turn();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(drain_content(record), 4);
        pass(200);
        assert_int_equal(verdict(), UINT32_MAX);
        frame(NGHTTP2_DATA, i == 4 ? END : 0, 1, "more", 4);
        turn();
    }
    assert_int_equal(drain_content(record), 4);
    assert_int_equal(verdict(), UINT32_MAX);
    release(record);
    turn();
    assert_int_equal(records(), 0);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
}

/* Streams are looked at once in a second, unless a time is shorter. */
static void a_short_time_is_kept(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.linger_timeout = 100;
    begin_answered(&options, SECTION(POST));
    pass(90);
    assert_int_equal(records(), 1);
    pass(120);
    assert_int_equal(records(), 0);
    assert_int_equal(verdict(), NGHTTP2_NO_ERROR);
    finish();
}

/* A client that gives its content up has its answer: this is no rapid reset. */
static void who_gives_up_is_not_blamed(void **state)
{
    (void)state;
    uint32_t code;
    const carom_options options = simulation_options();
    begin_raw(&options);
    for (uint32_t id = 1; id < 1000; id += 2) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, SECTION(POST));
        turn();
        answer_and_release(sim.held[0], "early");
        turn();
        frame(NGHTTP2_RST_STREAM, 0, id, zero, 4);
        turn();
        assert_int_equal(records(), 0);
    }
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 500);
}

/* Many of them hold what their records hold, and that not for long. */
static void many_that_never_end(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    begin_raw(&options);
    for (uint32_t i = 0; i < 128; i++) {
        frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, SECTION(POST));
        turn();
        answer_and_release(sim.held[0], "early");
        turn();
    }
    const struct carom_worker *worker = &sim.service->workers[0];
    assert_int_equal(records(), 128);
    assert_in_range(worker->connections.records.pages.pool.in_use, 0, 4);
    pass(3000);
    uint32_t code = UINT32_MAX;
    assert_int_equal(frames(NGHTTP2_RST_STREAM, &code), 128);
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    assert_int_equal(records(), 0);
    assert_int_equal(carom_h2_shared_of(&worker->connections)->streams.in_use, 0);
    assert_int_equal(frames(NGHTTP2_GOAWAY, &code), 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_behind_an_answer_is_judged),
        cmocka_unit_test(what_is_right_is_taken),
        cmocka_unit_test(it_is_waited_for_only_so_long),
        cmocka_unit_test(it_is_waited_for_only_so_far),
        cmocka_unit_test(a_refused_upload_is_not_endless),
        cmocka_unit_test(who_waits_for_our_word_is_told_at_once),
        cmocka_unit_test(who_did_not_wait_for_our_word_is_waited_for),
        cmocka_unit_test(who_reads_on_is_given_the_rest),
        cmocka_unit_test(a_short_time_is_kept),
        cmocka_unit_test(who_gives_up_is_not_blamed),
        cmocka_unit_test(many_that_never_end),
    };
    return cmocka_run_group_tests_name("http/h2_linger", tests, NULL, NULL);
}
