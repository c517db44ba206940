/* Response splitting: through every function that takes field lines, each byte at each place of a
 * name and a value. What no field line may hold is refused and nothing of it is sent; what is sent
 * has the lines that were given, and no more. */
#include <stdio.h>

#include "unit/http/simulation.h"

#define PLAIN   "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
#define UPGRADE "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
#define CONNECT "CONNECT a:100 HTTP/1.1\r\nHost: a:100\r\n\r\n" /* five characters, as /hold */

static int by_respond(carom_record *record, const carom_field *fields, size_t count)
{
    const carom_response response = {.status = 200, .fields = fields, .field_count = count};
    return carom_respond(record, &response);
}

static int by_respond_begin(carom_record *record, const carom_field *fields, size_t count)
{
    const carom_response response = {.status = 200,
                                     .fields = fields,
                                     .field_count = count,
                                     .content_length = CAROM_LENGTH_UNKNOWN};
    return carom_respond_begin(record, &response);
}

static int by_inform(carom_record *record, const carom_field *fields, size_t count)
{
    const carom_response response = {.status = 103, .fields = fields, .field_count = count};
    return carom_inform(record, &response);
}

/* 101 must name a protocol. */
static int by_upgrade(carom_record *record, const carom_field *fields, size_t count)
{
    carom_field all[64] = {{CAROM_SLICE("Upgrade"), CAROM_SLICE("x")}};
    memcpy(all + 1, fields, count * sizeof *fields);
    const carom_response response = {.status = 101, .fields = all, .field_count = count + 1};
    return carom_upgrade(record, &response);
}

static int by_tunnel(carom_record *record, const carom_field *fields, size_t count)
{
    const carom_response response = {.status = 200, .fields = fields, .field_count = count};
    return carom_upgrade(record, &response);
}

/* The response must have begun: its head is there before. */
static int by_end(carom_record *record, const carom_field *fields, size_t count)
{
    return carom_end(record, fields, count);
}

static const struct door {
    const char *name, *request;
    int (*use)(carom_record *record, const carom_field *fields, size_t count);
    bool begun;
} doors[] = {
    {"carom_respond", PLAIN, by_respond, false},
    {"carom_respond_begin", PLAIN, by_respond_begin, false},
    {"carom_inform", PLAIN, by_inform, false},
    {"carom_upgrade", UPGRADE, by_upgrade, false},
    {"carom_upgrade of CONNECT", CONNECT, by_tunnel, false},
    {"carom_end", PLAIN, by_end, true},
};
#define DOORS (sizeof doors / sizeof *doors)

static struct carom_peer *ask(const struct door *door)
{
    struct carom_peer *peer = connect_peer();
    say(peer, door->request);
    turn();
    assert_int_equal(sim.held_count, 1);
    if (door->begun) {
        const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
        assert_int_equal(carom_respond_begin(sim.held[0], &response), 0);
        turn();
    }
    return peer;
}

static void leave(struct carom_peer *peer)
{
    carom_peer_reset(peer);
    turn();
    while (sim.held_count > 0)
        release(sim.held[0]);
    turn();
}

static bool in_name(int byte)
{
    return byte > 0x20 && byte < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL;
}

static bool in_value(int byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

/* One byte at the beginning, in the middle and at the end of what has 3, 20 or 40 bytes: the checks
 * look at several bytes at a time. */
static void every_byte_by_every_door(void **state)
{
    (void)state;
    static const size_t lengths[] = {3, 20, 40};
    const carom_options options = simulation_options();
    begin(&options);
    for (size_t d = 0; d < DOORS; d++) {
        struct carom_peer *peer = ask(&doors[d]);
        size_t before = strlen(got(peer));
        int refusals = 0;
        for (int byte = 0; byte < 256; byte++)
            for (int place = 0; place < 9; place++) {
                char text[40];
                size_t length = lengths[place / 3];
                memset(text, 'a', sizeof text);
                text[place % 3 * (length - 1) / 2] = (char)byte;
                const carom_field name = {{text, length}, CAROM_SLICE("b")};
                const carom_field value = {CAROM_SLICE("X-A"), {text, length}};
                if (!in_name(byte)) {
                    int error = doors[d].use(sim.held[0], &name, 1);
                    if (error != -CAROM_EFIELD)
                        fail_msg("%s: %02x in a name: %d", doors[d].name, (unsigned)byte, error);
                    refusals++;
                }
                if (!in_value(byte)) {
                    int error = doors[d].use(sim.held[0], &value, 1);
                    if (error != -CAROM_EFIELD)
                        fail_msg("%s: %02x in a value: %d", doors[d].name, (unsigned)byte, error);
                    refusals++;
                }
            }
        turn();
        assert_int_equal(refusals, 9 * (256 - 77 + 32));
        assert_int_equal(strlen(got(peer)), before);
        leave(peer);
    }
    finish();
}

/* All that may be sent, at once: it makes one line, and the empty line ends the section. */
static void what_is_sent_has_the_lines_that_were_given(void **state)
{
    (void)state;
    char name[128] = "", value[256] = "";
    size_t name_length = 0, value_length = 0;
    for (int byte = 0; byte < 256; byte++) {
        if (in_name(byte))
            name[name_length++] = (char)byte;
        if (in_value(byte))
            value[value_length++] = (char)byte;
    }
    assert_int_equal(name_length, 77);
    char line[512];
    snprintf(line, sizeof line, "\r\n%.*s: %.*s\r\n", (int)name_length, name, (int)value_length,
             value);
    const carom_field field = {{name, name_length}, {value, value_length}};
    const carom_options options = simulation_options();
    begin(&options);
    for (size_t d = 0; d < DOORS; d++) {
        struct carom_peer *peer = ask(&doors[d]);
        size_t before = strlen(got(peer));
        assert_int_equal(doors[d].use(sim.held[0], &field, 1), 0);
        turn();
        const char *sent = got(peer) + before;
        const char *at = strstr(sent, line);
        if (at == NULL || strstr(at + strlen(line), line + 2) != NULL)
            fail_msg("%s: %s", doors[d].name, sent);
        const char *end = strstr(sent, "\r\n\r\n");
        assert_true(end != NULL && end > at && end[4] == '\0');
        leave(peer);
    }
    finish();
}

/* A bad one among good ones, and many of them: nothing is sent of any. */
static void one_bad_line_refuses_all(void **state)
{
    (void)state;
    carom_field fields[50];
    for (size_t i = 0; i < 49; i++)
        fields[i] = (carom_field){CAROM_SLICE("X-Fine"), CAROM_SLICE("yes")};
    fields[49] = (carom_field){CAROM_SLICE("X-Bad"), CAROM_SLICE("a\r\n\r\nHTTP/1.1 200 OK\r\n")};
    const carom_options options = simulation_options();
    begin(&options);
    for (size_t d = 0; d < DOORS; d++) {
        struct carom_peer *peer = ask(&doors[d]);
        size_t before = strlen(got(peer));
        assert_int_equal(doors[d].use(sim.held[0], fields, 50), -CAROM_EFIELD);
        turn();
        assert_int_equal(strlen(got(peer)), before);
        leave(peer);
    }
    finish();
}

/* Framing is the engine's: who may say it twice may split. A Content-Length is taken where it says
 * what is sent, and written once. */
static void framing_by_every_door(void **state)
{
    (void)state;
    static const carom_field bad[] = {
        {CAROM_SLICE("Transfer-Encoding"), CAROM_SLICE("identity")},
        {CAROM_SLICE("transfer-ENCODING"), CAROM_SLICE("")},
        {CAROM_SLICE("Content-Length"), CAROM_SLICE("+1")},
        {CAROM_SLICE("Content-Length"), CAROM_SLICE("1, 1")},
        {CAROM_SLICE("Content-Length"), CAROM_SLICE("0x1")},
        {CAROM_SLICE("Content-Length"), CAROM_SLICE("")},
        {CAROM_SLICE("Content-Length"), CAROM_SLICE("18446744073709551617")},
        {CAROM_SLICE("Connection"), CAROM_SLICE("keep-alive, x")},
        {CAROM_SLICE("Keep-Alive"), CAROM_SLICE("timeout=999")},
    };
    const carom_field twice[] = {{CAROM_SLICE("Content-Length"), CAROM_SLICE("0")},
                                 {CAROM_SLICE("content-length"), CAROM_SLICE("0")}};
    const carom_options options = simulation_options();
    begin(&options);
    for (size_t d = 0; d < DOORS; d++) {
        struct carom_peer *peer = ask(&doors[d]);
        size_t before = strlen(got(peer));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            if (doors[d].use(sim.held[0], &bad[i], 1) != -CAROM_EFIELD)
                fail_msg("%s: %s: %s", doors[d].name, bad[i].name.data, bad[i].value.data);
        }
        assert_int_equal(doors[d].use(sim.held[0], twice, 2), -CAROM_EFIELD);
        turn();
        assert_int_equal(strlen(got(peer)), before);
        leave(peer);
    }
    finish();
}

/* The one number of a status line. */
static void statuses_are_three_digits(void **state)
{
    (void)state;
    static const uint16_t bad[] = {0, 1, 99, 100, 101, 103, 199, 1000, 20000, 65535};
    const carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = ask(&doors[0]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const carom_response response = {.status = bad[i], .content_length = CAROM_LENGTH_UNKNOWN};
        assert_int_equal(carom_respond(sim.held[0], &response), -CAROM_EINVAL);
        assert_int_equal(carom_respond_begin(sim.held[0], &response), -CAROM_EINVAL);
        if (bad[i] < 102 || bad[i] > 199)
            assert_int_equal(carom_inform(sim.held[0], &response), -CAROM_EINVAL);
    }
    turn();
    assert_string_equal(got(peer), "");
    answer_and_release(sim.held[0], "fine");
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    finish();
}

/* Statuses that have no meaning yet are sent (RFC 9110, 15), with a phrase of the handler's, which
 * splits nothing either. */
static void phrases_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"a\r\nX: y", "a\n", "\r", "a\x7f", "\x01"};
    const carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = ask(&doors[0]);
    carom_response response = {.status = 999, .content_length = CAROM_LENGTH_UNKNOWN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        response.phrase = (carom_slice){bad[i], strlen(bad[i])};
        assert_int_equal(carom_respond(sim.held[0], &response), -CAROM_EFIELD);
    }
    response.phrase = (carom_slice)CAROM_SLICE("On Its Own \xfc");
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    turn();
    assert_got(peer, "HTTP/1.1 999 On Its Own \xfc\r\n");
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(every_byte_by_every_door),
        cmocka_unit_test(what_is_sent_has_the_lines_that_were_given),
        cmocka_unit_test(one_bad_line_refuses_all),
        cmocka_unit_test(framing_by_every_door),
        cmocka_unit_test(statuses_are_three_digits),
        cmocka_unit_test(phrases_are_checked),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
