/* Tests of the rules that all versions share: numbers, dates, response plans. */
#include "unit/wire/support.h"

#include <inttypes.h>

#include "wire/semantics.h"

/* ---------------------------------------------------------------- statuses, numbers, dates */

static void statuses_have_phrases(void **state)
{
    (void)state;
    assert_string_equal(carom_status_phrase(100), "Continue");
    assert_string_equal(carom_status_phrase(200), "OK");
    assert_string_equal(carom_status_phrase(404), "Not Found");
    assert_string_equal(carom_status_phrase(431), "Request Header Fields Too Large");
    assert_string_equal(carom_status_phrase(505), "HTTP Version Not Supported");
    assert_string_equal(carom_status_phrase(511), "Network Authentication Required");
    assert_string_equal(carom_status_phrase(299), "");
    assert_string_equal(carom_status_phrase(512), "");
    assert_string_equal(carom_status_phrase(99), "");
    for (unsigned status = 0; status < 1000; status++)
        assert_in_range(strlen(carom_status_phrase(status)), 0, 31);
}

static void check_decimal(uint64_t number)
{
    uint8_t digits[20];
    char expected[24];
    uint32_t length = carom_decimal_write(digits, number);
    assert_int_equal(length, snprintf(expected, sizeof expected, "%" PRIu64, number));
    assert_memory_equal(digits, expected, length);
}

static void numbers_are_written(void **state)
{
    (void)state;
    uint64_t seed = random_seed("numbers_are_written");
    check_decimal(UINT64_MAX);
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
        check_decimal(power - 1);
        check_decimal(power);
        check_decimal(power + 1);
    }
    for (unsigned i = 0; i < rounds(10000); i++)
        check_decimal(random_next(&seed) >> random_below(&seed, 64));
}

static void check_date(int64_t seconds, const char *expected)
{
    uint8_t *line = room_for(CAROM_DATE_LINE);
    carom_date_line_write(line, seconds);
    assert_int_equal(strlen(expected), CAROM_DATE_LINE);
    if (memcmp(line, expected, CAROM_DATE_LINE) != 0)
        fail_msg("%.*s not %s", CAROM_DATE_LINE, (char *)line, expected);
    free(line);
}

static void dates_are_written(void **state)
{
    (void)state;
    check_date(784111777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"); /* of RFC 9110, 5.6.7 */
    check_date(0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    check_date(951827696, "Date: Tue, 29 Feb 2000 12:34:56 GMT\r\n");
    check_date(1735689599, "Date: Tue, 31 Dec 2024 23:59:59 GMT\r\n");
    check_date(4107542400, "Date: Mon, 01 Mar 2100 00:00:00 GMT\r\n");
}

/* ---------------------------------------------------------------- plans */

#define ANY     UINT64_MAX
#define UNKNOWN CAROM_LENGTH_UNKNOWN
#define FINAL   CAROM_HEAD_FINAL
#define INFORM  CAROM_HEAD_INFORM
#define UPGRADE CAROM_HEAD_UPGRADE

enum request { GET, GET_10, HEAD, HEAD_10, CONNECT };

static struct carom_request_head request_of(enum request request)
{
    return (struct carom_request_head){
        .version = request == GET_10 || request == HEAD_10 ? 10 : 11,
        .is_head = request == HEAD || request == HEAD_10,
        .is_connect = request == CONNECT,
    };
}

static int plan_with(struct carom_response_plan *plan, enum carom_response_kind kind,
                     enum request request, unsigned status, uint64_t length, carom_field added)
{
    const struct carom_request_head head = request_of(request);
    carom_response response = {.status = (uint16_t)status};
    if (added.name.data != NULL) {
        response.fields = &added;
        response.field_count = 1;
    }
    memset(plan, 0xa5, sizeof *plan);
    return carom_response_plan(plan, kind, &head, &response, length);
}

struct planned {
    enum request request;
    unsigned status;
    uint64_t length;
    const char *set; /* Content-Length by the handler, or NULL */
    enum carom_body body;
    bool length_field, chunked_field;
    uint64_t content_length, expected; /* content_length counts only with length_field */
};

static void content_is_framed(void **state)
{
    (void)state;
    static const struct planned cases[] = {
        {GET, 200, 5, NULL, CAROM_BODY_LENGTH, true, false, 5, 5},
        {GET, 200, 0, NULL, CAROM_BODY_LENGTH, true, false, 0, 0},
        {GET, 200, 5, "5", CAROM_BODY_LENGTH, true, false, 5, 5},
        {GET, 200, UNKNOWN, "7", CAROM_BODY_LENGTH, true, false, 7, 7},
        {GET, 200, UNKNOWN, NULL, CAROM_BODY_CHUNKED, false, true, 0, ANY},
        {GET, 404, UNKNOWN, NULL, CAROM_BODY_CHUNKED, false, true, 0, ANY},
        {GET_10, 200, UNKNOWN, NULL, CAROM_BODY_UNTIL_CLOSE, false, false, 0, ANY},
        {GET_10, 200, 3, NULL, CAROM_BODY_LENGTH, true, false, 3, 3},
        {HEAD, 200, 5, NULL, CAROM_BODY_NONE, true, false, 5, 5},
        {HEAD, 200, 0, "9", CAROM_BODY_NONE, true, false, 9, 0},
        {HEAD, 200, UNKNOWN, "9", CAROM_BODY_NONE, true, false, 9, ANY},
        {HEAD, 200, UNKNOWN, NULL, CAROM_BODY_NONE, false, true, 0, ANY},
        {HEAD_10, 200, UNKNOWN, NULL, CAROM_BODY_NONE, false, false, 0, ANY},
        {GET, 304, 0, NULL, CAROM_BODY_NONE, false, false, 0, 0},
        {GET, 304, 5, NULL, CAROM_BODY_NONE, false, false, 0, 5},
        {GET, 304, 0, "9", CAROM_BODY_NONE, true, false, 9, 0},
        {GET, 304, UNKNOWN, NULL, CAROM_BODY_NONE, false, false, 0, ANY},
        {GET, 204, 0, NULL, CAROM_BODY_NONE, false, false, 0, 0},
        {GET, 204, 0, "0", CAROM_BODY_NONE, false, false, 0, 0},
        {GET, 204, UNKNOWN, NULL, CAROM_BODY_NONE, false, false, 0, ANY},
        {CONNECT, 404, 4, NULL, CAROM_BODY_LENGTH, true, false, 4, 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct planned *c = &cases[i];
        struct carom_response_plan plan;
        carom_field added = {{NULL, 0}, {NULL, 0}};
        if (c->set != NULL)
            added = field("Content-Length", c->set);
        print_message("case %zu\n", i);
        assert_int_equal(plan_with(&plan, FINAL, c->request, c->status, c->length, added), 0);
        assert_int_equal(plan.status, c->status);
        assert_int_equal(plan.body, c->body);
        assert_int_equal(plan.length_field, c->length_field);
        assert_int_equal(plan.chunked_field, c->chunked_field);
        if (c->length_field)
            assert_int_equal(plan.content_length, c->content_length);
        assert_int_equal(plan.expected, c->expected);
        assert_false(plan.own_date || plan.close || plan.upgrade_field);
    }
}

static void a_name_is_shorter_than_65535_bytes(void **state)
{
    (void)state;
    static char name[UINT16_MAX];
    struct carom_response_plan plan;
    carom_field field = {{name, sizeof name}, CAROM_SLICE("x")};
    memset(name, 'n', sizeof name);
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, field), -CAROM_EFIELD);
    field.name.length--;
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, field), 0);
}

static void lengths_must_agree(void **state)
{
    (void)state;
    struct carom_response_plan plan;
    carom_field nine = field("content-length", "9");
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 5, nine), -CAROM_ELENGTH);
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, nine), -CAROM_ELENGTH);
    assert_int_equal(plan_with(&plan, FINAL, HEAD, 200, 5, nine), -CAROM_ELENGTH);
    static const uint64_t lengths[] = {
        0, 9, 10, 19, 90, 123456789, 100000000000000000, 999999999999999999};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)lengths[i]);
        const carom_field said = field("content-length", text);
        assert_int_equal(plan_with(&plan, FINAL, GET, 200, lengths[i], said), 0);
        assert_int_equal(plan_with(&plan, FINAL, GET, 200, lengths[i] + 1, said), -CAROM_ELENGTH);
    }
    static const char *const bad[] = {"",   "-1",  "+1",  "1x",
                                      " 1", "1,1", "0x1", "1234567890123456789"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(
            plan_with(&plan, FINAL, GET, 200, UNKNOWN, field("Content-Length", bad[i])),
            -CAROM_EFIELD);
    const carom_field twice[] = {nine, nine};
    const struct carom_request_head head = request_of(GET);
    const carom_response response = {.status = 200, .fields = twice, .field_count = 2};
    assert_int_equal(carom_response_plan(&plan, FINAL, &head, &response, 9), -CAROM_EFIELD);
}

static void statuses_are_checked(void **state)
{
    (void)state;
    static const struct {
        enum carom_response_kind kind;
        enum request request;
        unsigned status;
        bool allowed;
    } cases[] = {
        {FINAL, GET, 0, false},         {FINAL, GET, 199, false},
        {FINAL, GET, 200, true},        {FINAL, GET, 999, true},
        {FINAL, GET, 1000, false},      {FINAL, CONNECT, 200, false},
        {FINAL, CONNECT, 299, false},   {FINAL, CONNECT, 300, true},
        {INFORM, GET, 100, false},      {INFORM, GET, 101, false},
        {INFORM, GET, 102, true},       {INFORM, GET, 103, true},
        {INFORM, GET, 199, true},       {INFORM, GET, 200, false},
        {UPGRADE, GET, 101, true},      {UPGRADE, GET, 200, false},
        {UPGRADE, GET, 100, false},     {UPGRADE, CONNECT, 101, false},
        {UPGRADE, CONNECT, 200, true},  {UPGRADE, CONNECT, 299, true},
        {UPGRADE, CONNECT, 300, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct carom_response_plan plan;
        bool upgrade = cases[i].kind == UPGRADE;
        print_message("case %zu\n", i);
        assert_int_equal(plan_with(&plan, cases[i].kind, cases[i].request, cases[i].status, 0,
                                   upgrade ? field("Upgrade", "x") : field("X", "y")),
                         cases[i].allowed ? 0 : -CAROM_EINVAL);
    }
}

static void fields_of_the_engine_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum carom_response_kind kind;
        const char *name, *value;
        bool allowed;
    } cases[] = {
        {FINAL, "Transfer-Encoding", "chunked", false},
        {FINAL, "transfer-encoding", "", false},
        {FINAL, "Keep-Alive", "timeout=1", false},
        {FINAL, "Connection", "close", true},
        {FINAL, "connection", "Keep-Alive", true},
        {FINAL, "Connection", "upgrade", false},
        {FINAL, "Connection", "close, x", false},
        {FINAL, "Connection", "", false},
        {FINAL, "Upgrade", "websocket", true},
        {INFORM, "Upgrade", "websocket", false},
        {INFORM, "Content-Length", "0", false},
        {UPGRADE, "Content-Length", "0", false},
        {INFORM, "Link", "</a.css>", true},
        {FINAL, "", "x", false},
        {FINAL, "X Y", "x", false},
        {FINAL, "X:", "x", false},
        {FINAL, "X\r\nY", "x", false},
        {FINAL, "X", "a\rb", false},
        {FINAL, "X", "a\nb", false},
        {FINAL, "X", "a\r\nY: b", false},
        {FINAL, "X", "a\x7f", false},
        {FINAL, "X", "a\x1f", false},
        {FINAL, "X", "a\tb \xc3\xa4", true},
        {FINAL, "X", "", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct carom_response_plan plan;
        unsigned status = cases[i].kind == FINAL ? 200 : cases[i].kind == INFORM ? 103 : 101;
        print_message("case %zu\n", i);
        assert_int_equal(
            plan_with(&plan, cases[i].kind, GET, status, 0, field(cases[i].name, cases[i].value)),
            cases[i].allowed ? 0 : -CAROM_EFIELD);
    }
    struct carom_response_plan plan;
    carom_field zero = {slice("X"), {"a\0b", 3}};
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, zero), -CAROM_EFIELD);
}

static void what_the_handler_sets_is_noted(void **state)
{
    (void)state;
    struct carom_response_plan plan;
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, field("date", "today")), 0);
    assert_true(plan.own_date && !plan.close && !plan.upgrade_field);
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, field("Connection", "Close")), 0);
    assert_true(plan.close && !plan.own_date);
    assert_int_equal(plan_with(&plan, FINAL, GET, 200, 0, field("Connection", "keep-alive")), 0);
    assert_false(plan.close);
    assert_int_equal(plan_with(&plan, FINAL, GET, 426, 0, field("Upgrade", "h2c")), 0);
    assert_true(plan.upgrade_field);
}

static void upgrades_become_tunnels(void **state)
{
    (void)state;
    struct carom_response_plan plan;
    assert_int_equal(plan_with(&plan, UPGRADE, GET, 101, 0, field("Upgrade", "websocket")), 0);
    assert_int_equal(plan.body, CAROM_BODY_TUNNEL);
    assert_false(plan.length_field || plan.chunked_field);
    assert_int_equal(plan.expected, ANY);
    /* 101 must name the protocol (RFC 9110, 15.2.2); CONNECT has none to name. */
    assert_int_equal(plan_with(&plan, UPGRADE, GET, 101, 0, field("X", "y")), -CAROM_EFIELD);
    assert_int_equal(plan_with(&plan, UPGRADE, CONNECT, 200, 0, field("X", "y")), 0);
    assert_int_equal(plan.body, CAROM_BODY_TUNNEL);
    assert_int_equal(plan_with(&plan, INFORM, GET, 103, 0, field("X", "y")), 0);
    assert_int_equal(plan.body, CAROM_BODY_NONE);
    assert_false(plan.length_field || plan.chunked_field);
}

static void trailers_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool allowed;
    } cases[] = {
        {"X-Checksum", "1", true},
        {"Server-Timing", "a", true},
        {"Contents", "1", true},
        {"Content-MD5", "x", true},
        {"Content-Digest", "x", true}, /* RFC 9530, 2 */
        {"Content-Length", "1", false},
        {"content-type", "x", false},
        {"Content-Encoding", "x", false},
        {"Content-Range", "x", false},
        {"Content-Language", "x", false},
        {"Content-Location", "x", false},
        {"Content-Disposition", "x", false},
        {"Trailer", "x", false},
        {"Transfer-Encoding", "x", false},
        {"Host", "x", false},
        {"Connection", "x", false},
        {"Keep-Alive", "x", false},
        {"Upgrade", "x", false},
        {"TE", "x", false},
        {"SET-COOKIE", "x", false},
        {"Authorization", "x", false},
        {"X", "a\r\nb", false},
        {"X y", "a", false},
        {"", "a", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const carom_field both[] = {field("Fine", "1"), field(cases[i].name, cases[i].value)};
        if ((carom_trailers_check(both, 2) == 0) != cases[i].allowed)
            fail_msg("%s", cases[i].name);
    }
    const carom_field bad = field("Host", "x");
    assert_int_equal(carom_trailers_check(&bad, 1), -CAROM_EFIELD);
    assert_int_equal(carom_trailers_check(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_phrases),
        cmocka_unit_test(numbers_are_written),
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(content_is_framed),
        cmocka_unit_test(a_name_is_shorter_than_65535_bytes),
        cmocka_unit_test(lengths_must_agree),
        cmocka_unit_test(statuses_are_checked),
        cmocka_unit_test(fields_of_the_engine_are_refused),
        cmocka_unit_test(what_the_handler_sets_is_noted),
        cmocka_unit_test(upgrades_become_tunnels),
        cmocka_unit_test(trailers_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
