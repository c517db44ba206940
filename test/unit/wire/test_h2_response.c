/* Tests of response heads of HTTP/2 as pairs: what the engine says itself, and what is of a
 * connection of HTTP/1.1. */
#include "unit/wire/support.h"

#include "wire/h2_response.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void check(const struct carom_response_plan *plan, const carom_field *fields, size_t count,
                  const char *const expected[][2], size_t expected_count)
{
    struct carom_h2_extra extra = {.date = CAROM_SLICE(DATE)};
    nghttp2_nv pairs[32];
    memset(extra.status, 0xa5, sizeof extra.status);
    memset(extra.length, 0xa5, sizeof extra.length);
    assert_true(count + CAROM_H2_EXTRA_PAIRS <= COUNT(pairs));
    assert_int_equal(carom_h2_head_pairs(pairs, plan, fields, count, &extra), expected_count);
    for (size_t i = 0; i < expected_count; i++) {
        assert_int_equal(pairs[i].namelen, strlen(expected[i][0]));
        assert_memory_equal(pairs[i].name, expected[i][0], pairs[i].namelen);
        assert_int_equal(pairs[i].valuelen, strlen(expected[i][1]));
        assert_memory_equal(pairs[i].value, expected[i][1], pairs[i].valuelen);
        assert_int_equal(pairs[i].flags, NGHTTP2_NV_FLAG_NONE);
    }
}

#define CHECK(plan, fields, count, expected) check(plan, fields, count, expected, COUNT(expected))

static void the_engine_says_three_things(void **state)
{
    (void)state;
    struct carom_response_plan plan = {.status = 200, .length_field = true, .content_length = 12};
    const carom_field fields[] = {field("Content-Type", "text/plain"), field("X-Empty", "")};
    static const char *const whole[][2] = {{":status", "200"},
                                           {"Content-Type", "text/plain"},
                                           {"X-Empty", ""},
                                           {"date", DATE},
                                           {"content-length", "12"}};
    CHECK(&plan, fields, 2, whole);
    plan.content_length = UINT64_MAX;
    plan.status = 999;
    static const char *const most[][2] = {
        {":status", "999"}, {"date", DATE}, {"content-length", "18446744073709551615"}};
    CHECK(&plan, NULL, 0, most);
    plan = (struct carom_response_plan){.status = 204};
    static const char *const least[][2] = {{":status", "204"}, {"date", DATE}};
    CHECK(&plan, NULL, 0, least);
}

/* Date of the handler stands in the place of ours; Content-Length is written from the plan. */
static void what_the_handler_says_is_not_said_twice(void **state)
{
    (void)state;
    const struct carom_response_plan plan = {
        .status = 200, .own_date = true, .length_field = true, .content_length = 5};
    const carom_field fields[] = {field("Date", "today"), field("Content-Length", "5"),
                                  field("CONTENT-LENGTH", "5"), field("Content-Lengti", "6")};
    static const char *const expected[][2] = {
        {":status", "200"}, {"Date", "today"}, {"Content-Lengti", "6"}, {"content-length", "5"}};
    CHECK(&plan, fields, 4, expected);
}

static void informational_heads_are_bare(void **state)
{
    (void)state;
    const struct carom_response_plan plan = {.status = 199, .length_field = true};
    const carom_field link = field("Link", "</a.css>");
    static const char *const expected[][2] = {{":status", "199"}, {"Link", "</a.css>"}};
    CHECK(&plan, &link, 1, expected);
}

/* RFC 9113, 8.2.2; and what is as long, and means something else. */
static void what_is_of_a_connection_is_left_out(void **state)
{
    (void)state;
    const struct carom_response_plan plan = {.status = 200, .own_date = true};
    const carom_field fields[] = {
        field("Connection", "close"), field("KEEP-ALIVE", "timeout=5"),
        field("Upgrade", "x"),        field("Proxy-Connection", "close"),
        field("Connectioo", "1"),     field("Keep-Alivf", "2"),
        field("Upgradf", "3"),        field("Proxy-Connectioo", "4"),
    };
    static const char *const expected[][2] = {{":status", "200"},
                                              {"Connectioo", "1"},
                                              {"Keep-Alivf", "2"},
                                              {"Upgradf", "3"},
                                              {"Proxy-Connectioo", "4"}};
    CHECK(&plan, fields, 8, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_says_three_things),
        cmocka_unit_test(what_the_handler_says_is_not_said_twice),
        cmocka_unit_test(informational_heads_are_bare),
        cmocka_unit_test(what_is_of_a_connection_is_left_out),
    };
    return cmocka_run_group_tests_name("wire/h2_response", tests, NULL, NULL);
}
