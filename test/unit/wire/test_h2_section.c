/* Tests of header and trailer sections of HTTP/2 by themselves: what a head becomes of which lines,
 * and what is refused beside what nghttp2 refuses before. */
#include "unit/wire/support.h"

#include "base/memory.h"
#include "wire/h2_section.h"

static struct carom_pool tables;
static struct carom_pages small, large;
static struct carom_arena arena;
static struct carom_request_head head;
static struct carom_h2_section section;
static struct carom_h2_limits limits;

static int begin_test(void **state)
{
    (void)state;
    carom_pool_init(&tables, 100 * sizeof(struct carom_field_span), 0);
    carom_pages_init(&small, 256, 0);
    carom_pages_init(&large, 1024, 0);
    carom_arena_init(&arena, &large);
    limits = (struct carom_h2_limits){100, 2000};
    return 0;
}

/* Everything must be back: carom_pool_finish asserts it. */
static int end_test(void **state)
{
    (void)state;
    carom_arena_finish(&arena);
    carom_pages_finish(&small);
    carom_pages_finish(&large);
    carom_pool_finish(&tables);
    return carom_memory_held() == 0 ? 0 : -1;
}

static void add(const char *name, const char *value)
{
    carom_h2_section_add(&section, slice(name), slice(value));
}

/* A head of a method and a path, to which a test adds. */
static void begin_head(const char *method, const char *path)
{
    memset(&head, 0, sizeof head);
    head.method = head.target = (struct carom_span){7, 7}; /* of the request before */
    carom_fields_init(&head.fields, &tables, 100);
    carom_h2_section_begin(&section, &head.fields, &small, &large, &limits, false);
    if (method != NULL)
        add(":method", method);
    if (path != NULL)
        add(":path", path);
    add(":scheme", "http");
}

static unsigned end_head(bool end_stream)
{
    carom_h2_section_head(&section, &arena, &head, end_stream);
    assert_null(section.page);
    return section.status;
}

static void assert_slice(carom_slice got, const char *text)
{
    if (got.length != strlen(text) || memcmp(got.data, text, got.length) != 0)
        fail_msg("\"%.*s\" is not \"%s\"", (int)got.length, got.data, text);
}

static void assert_field(size_t index, const char *name, const char *value)
{
    const carom_field at = carom_fields_at(&head.fields, index);
    assert_slice(at.name, name);
    assert_slice(at.value, value);
}

static void lines_become_a_head(void **state)
{
    (void)state;
    begin_head("POST", "/a?b");
    add(":authority", "h:1");
    add("x-one", "1");
    add("x-empty", "");
    assert_int_equal(end_head(false), 0);
    assert_slice(carom_fields_slice(&head.fields, head.method), "POST");
    assert_slice(carom_fields_slice(&head.fields, head.target), "/a?b");
    assert_int_equal(head.fields.count, 3);
    assert_field(0, "host", "h:1");
    assert_field(1, "x-one", "1");
    assert_field(2, "x-empty", "");
    assert_int_equal(head.version, 20);
    assert_int_equal(head.framing, CAROM_FRAMING_CHUNKED);
    assert_true(head.keep_alive);
    assert_false(head.is_head || head.is_connect || head.expects_continue);
    carom_fields_clear(&head.fields);
}

/* The bytes of a line that come before and behind a crumb are those of no other line. */
static void crumbs_are_joined_where_the_first_was(void **state)
{
    (void)state;
    begin_head("GET", "/");
    add("cookie", "a=1");
    add("x-between", "yes");
    add("cookie", "b=2");
    add(":authority", "h");
    add("cookie", "");
    add("cookie", "c=3");
    add("x-after", "too");
    assert_int_equal(end_head(true), 0);
    assert_int_equal(head.fields.count, 4);
    assert_field(0, "host", "h");
    assert_field(1, "cookie", "a=1; b=2; ; c=3");
    assert_field(2, "x-between", "yes");
    assert_field(3, "x-after", "too");
    carom_fields_clear(&head.fields);
}

static void content_is_framed_by_its_lines(void **state)
{
    (void)state;
    static const struct {
        const char *method, *length, *expect;
        bool end_stream, continues;
        enum carom_framing framing;
        uint64_t bytes;
    } cases[] = {
        {"GET", NULL, NULL, true, false, CAROM_FRAMING_NONE, 0},
        {"HEAD", NULL, NULL, true, false, CAROM_FRAMING_NONE, 0},
        {"POST", NULL, NULL, false, false, CAROM_FRAMING_CHUNKED, 0},
        {"POST", "0", NULL, true, false, CAROM_FRAMING_LENGTH, 0},
        {"POST", "7", NULL, false, false, CAROM_FRAMING_LENGTH, 7},
        {"POST", "1234567890", NULL, false, false, CAROM_FRAMING_LENGTH, 1234567890},
        {"POST", "9223372036854775799", NULL, false, false, CAROM_FRAMING_LENGTH, INT64_MAX - 8},
        {"POST", "7", "100-continue", false, true, CAROM_FRAMING_LENGTH, 7},
        {"POST", NULL, "100-Continue", false, true, CAROM_FRAMING_CHUNKED, 0},
        {"POST", "0", "100-continue", true, false, CAROM_FRAMING_LENGTH, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_head(cases[i].method, "/");
        add(":authority", "h");
        if (cases[i].length != NULL)
            add("content-length", cases[i].length);
        if (cases[i].expect != NULL)
            add("expect", cases[i].expect);
        assert_int_equal(end_head(cases[i].end_stream), 0);
        assert_int_equal(head.framing, cases[i].framing);
        assert_true(head.framing != CAROM_FRAMING_LENGTH || head.content_length == cases[i].bytes);
        assert_true(head.expects_continue == cases[i].continues);
        assert_true(head.is_head == (cases[i].method[0] == 'H'));
        carom_fields_clear(&head.fields);
    }
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *name, *value;
        unsigned status;
    } cases[] = {
        {"GET", "/", ":authority", "h", 0},
        {"OPTIONS", "*", ":authority", "h", 0},
        {"OPTIONT", "*", ":authority", "h", 400},
        {"OPTIONS", "**", ":authority", "h", 400},
        {"GET", "*", ":authority", "h", 400},
        {"GET", "h", ":authority", "h", 400},
        {"GET", "", ":authority", "h", 400},
        {"GET", NULL, ":authority", "h", 400},
        {"GET", "/ ", ":authority", "h", 400},
        {"GET", "/#", ":authority", "h", 400},
        {NULL, "/", ":authority", "h", 400},
        {"", "/", ":authority", "h", 400},
        {"G T", "/", ":authority", "h", 400},
        {"ABCDEFGHIJABCDEFGHIJABCDEFGHIJ12", "/", ":authority", "h", 0},
        {"ABCDEFGHIJABCDEFGHIJABCDEFGHIJ123", "/", ":authority", "h", 501},
        {"GET", "/", ":authority", "", 400},
        {"GET", "/", ":authority", "h:99999", 400},
        {"GET", "/", ":authority", "u@h", 400},
        {"GET", "/", ":path2", "h", 400},
        {"GET", "/", "x", "no host", 400},
        {"GET", "/", "host", "h", 0},
        {"GET", "/", "host", "h h", 400},
        {"CONNECT", NULL, ":authority", "h:1", 0},
        {"CONNECT", NULL, ":authority", "h", 400},
        {"CONNECT", NULL, "host", "h:1", 0},
        {"CONNECU", NULL, ":authority", "h:1", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_head(cases[i].method, cases[i].path);
        add(cases[i].name, cases[i].value);
        if (end_head(true) != cases[i].status)
            fail_msg("case %zu: %u", i, section.status);
        assert_int_equal(head.fields.count, section.status == 0);
        if (section.status == 0)
            assert_field(0, "host", cases[i].value[1] == '\0' ? "h" : "h:1");
        else
            assert_int_equal(head.method.length + head.target.length, 0);
        carom_fields_clear(&head.fields);
    }
}

static void lines_are_judged_one_by_one(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        unsigned status;
    } cases[] = {
        {"x", "y", 0},
        {"", "y", 400},
        {"x y", "z", 400},
        {"x", "a\nb", 400},
        {"x", "\x7f", 400},
        {":other", "y", 400},
        {"host", "a", 400}, /* there is another authority */
        {"host", "H", 0},
        {"host", "hh", 400},
        {"content-length", "", 400},
        {"content-length", "1x", 400},
        {"content-length", "/1", 400},
        {"content-length", "1:", 400},
        {"content-length", "-1", 400},
        {"content-length", "9223372036854775800", 400},
        {"content-length", "9999999999999999999", 400},
        {"content-length", "99999999999999999999", 400},
        {"expect", "100-continuf", 417},
        {"expect", "100-continued", 417},
        {"expect", "", 417},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_head("POST", "/");
        add(":authority", "h");
        add(cases[i].name, cases[i].value);
        if (end_head(false) != cases[i].status)
            fail_msg("case %zu: %u", i, section.status);
        carom_fields_clear(&head.fields);
    }
    begin_head("POST", "/");
    add(":authority", "h");
    add("content-length", "1");
    add("content-length", "1");
    assert_int_equal(end_head(false), 400);
    carom_fields_clear(&head.fields);
    begin_head("POST", "/");
    add("host", "h");
    add("host", "h");
    assert_int_equal(end_head(false), 400);
    carom_fields_clear(&head.fields);
}

/* Letters only are the same in both cases. */
static void hosts_are_compared_without_case(void **state)
{
    (void)state;
    static const struct {
        const char *authority, *host;
        bool same;
    } cases[] = {
        {"abc", "ABC", true},     {"a.z", "A.Z", true},      {"a", "b", false},
        {"a", "aa", false},       {"a0", "a\x10", false},    {"a[", "a{", false},
        {"1", "1", true},         {"1", "!", false},         {"a-b", "a\rb", false},
        {"az:80", "AZ:80", true}, {"az:80", "AZ:81", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_head("GET", "/");
        add(":authority", cases[i].authority);
        add("host", cases[i].host);
        if (end_head(true) != (cases[i].same ? 0 : 400))
            fail_msg("case %zu: %u", i, section.status);
        carom_fields_clear(&head.fields);
    }
}

static void the_target_of_a_tunnel_is_its_authority(void **state)
{
    (void)state;
    begin_head("CONNECT", NULL);
    add(":authority", "h:443");
    assert_int_equal(end_head(false), 0);
    assert_true(head.is_connect);
    assert_slice(carom_fields_slice(&head.fields, head.target), "h:443");
    assert_int_equal(head.framing, CAROM_FRAMING_NONE);
    carom_fields_clear(&head.fields);
    begin_head("CONNECT", "/chat");
    add(":protocol", "websocket");
    add(":authority", "h");
    assert_int_equal(end_head(false), 0);
    assert_slice(carom_fields_slice(&head.fields, head.target), "/chat");
    assert_slice(carom_fields_slice(&head.fields, head.protocol), "websocket");
    carom_fields_clear(&head.fields);
}

static void limits_are_the_last_that_is_taken(void **state)
{
    (void)state;
    char text[101 + 1];
    memset(text, 'x', sizeof text);
    text[0] = '/';
    for (size_t over = 0; over < 2; over++) {
        text[100] = over ? 'x' : '\0';
        text[101] = '\0';
        begin_head("GET", text);
        add(":authority", "h");
        assert_int_equal(end_head(true), over ? 414 : 0);
        carom_fields_clear(&head.fields);
        /* A line costs 32 more than its bytes; crumbs behind the first two. */
        limits.max_header_section = (32 + 3) + (32 + 6 + 1) + (2 + 3) - (uint32_t)over;
        begin_head("GET", "/");
        add(":authority", "h");
        add("x", "yz");
        add("cookie", "a");
        add("cookie", "bcd");
        assert_int_equal(end_head(true), over ? 431 : 0);
        carom_fields_clear(&head.fields);
        limits.max_header_section = 2000;
    }
}

/* A section moves from a small page to a large one with all that has come, and a larger one is
 * refused: by what it has, not by how it came. */
static void a_section_moves_to_a_larger_page(void **state)
{
    (void)state;
    char value[1026];
    memset(value, 'v', sizeof value);
    for (size_t length = 200; length <= 1024; length++) {
        value[length] = '\0';
        begin_head("GET", "/path");
        add(":authority", "h");
        add("cookie", "a=1");
        add("x", value);
        add("cookie", "b=2");
        unsigned status = end_head(true);
        value[length] = 'v';
        if (status == 0) {
            assert_slice(carom_fields_slice(&head.fields, head.target), "/path");
            assert_field(0, "host", "h");
            assert_field(1, "cookie", "a=1; b=2");
            assert_int_equal(carom_fields_at(&head.fields, 2).value.length, length);
            assert_true(length < 1000);
        } else {
            assert_int_equal(status, 431);
            assert_true(length > 900);
        }
        carom_fields_clear(&head.fields);
    }
}

static void trailers_are_lines_only(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        unsigned status;
    } cases[] = {
        {"x", "y", 0},
        {"cookie", "a", 0},
        {"expect", "else", 0},
        {"x", "a\nb", 400},
        {":path", "/", 400},
        {"host", "h", 400},
        {"content-length", "1", 400},
        {"connection", "close", 400},
        {"hosu", "h", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct carom_fields fields;
        carom_fields_init(&fields, &tables, 100);
        carom_h2_section_begin(&section, &fields, &small, &large, &limits, true);
        add("first", "1");
        add(cases[i].name, cases[i].value);
        carom_h2_section_trailers(&section, &arena);
        assert_null(section.page);
        if (section.status != cases[i].status)
            fail_msg("case %zu: %u", i, section.status);
        assert_int_equal(fields.count, section.status == 0 ? 2 : 0);
        if (section.status == 0) {
            assert_slice(carom_fields_at(&fields, 0).name, "first");
            assert_slice(carom_fields_at(&fields, 0).value, "1");
            assert_slice(carom_fields_at(&fields, 1).name, cases[i].name);
            assert_slice(carom_fields_at(&fields, 1).value, cases[i].value);
        }
        carom_fields_clear(&fields);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_become_a_head, begin_test, end_test),
        cmocka_unit_test_setup_teardown(crumbs_are_joined_where_the_first_was, begin_test,
                                        end_test),
        cmocka_unit_test_setup_teardown(content_is_framed_by_its_lines, begin_test, end_test),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused, begin_test, end_test),
        cmocka_unit_test_setup_teardown(lines_are_judged_one_by_one, begin_test, end_test),
        cmocka_unit_test_setup_teardown(hosts_are_compared_without_case, begin_test, end_test),
        cmocka_unit_test_setup_teardown(the_target_of_a_tunnel_is_its_authority, begin_test,
                                        end_test),
        cmocka_unit_test_setup_teardown(limits_are_the_last_that_is_taken, begin_test, end_test),
        cmocka_unit_test_setup_teardown(a_section_moves_to_a_larger_page, begin_test, end_test),
        cmocka_unit_test_setup_teardown(trailers_are_lines_only, begin_test, end_test),
    };
    return cmocka_run_group_tests_name("wire/h2_section", tests, NULL, NULL);
}
