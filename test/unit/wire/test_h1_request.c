/* Tests of reading request heads and trailer sections: offsets, what is not read again, limits at
 * their edges, memory, and random bytes in random cuts. The grammar is in test/wire. */
#include "unit/wire/support.h"

#include "base/memory.h"
#include "wire/h1_framing.h"
#include "wire/h1_request.h"

#define MAX_FIELDS 100

static const struct carom_h1_limits limits = {8192, 16384};

static struct carom_pool tables;
static struct carom_request_head head;
static struct carom_h1_reader reader;

/* A head as a record has it, but dirty where the reader must not rely on it. */
static void fresh(uint32_t max_fields)
{
    memset(&head, 0xa5, sizeof head);
    carom_fields_init(&head.fields, &tables, max_fields);
    carom_h1_reader_init(&reader);
}

static int begin(void **state)
{
    (void)state;
    carom_pool_init(&tables, MAX_FIELDS * sizeof(struct carom_field_span), 0);
    fresh(MAX_FIELDS);
    return 0;
}

/* Everything must be back: carom_pool_finish asserts it. */
static int end(void **state)
{
    (void)state;
    carom_memory_fail_after(UINT64_MAX);
    carom_fields_clear(&head.fields);
    carom_pool_finish(&tables);
    return carom_memory_held() == 0 ? 0 : -1;
}

/* Read the first `length` bytes from memory that ends behind them. */
static int read_part(const struct carom_h1_limits *within, const void *bytes, size_t length)
{
    uint8_t *copy = exact(bytes, length);
    int result = carom_h1_read_head(&reader, within, copy, (uint32_t)length, &head);
    free(copy);
    return result;
}

static int read_text(const char *text)
{
    carom_fields_clear(&head.fields);
    fresh(MAX_FIELDS);
    return read_part(&limits, text, strlen(text));
}

static void assert_span(const char *bytes, struct carom_span span, const char *text)
{
    assert_int_equal(span.length, strlen(text));
    assert_memory_equal(bytes + span.offset, text, span.length);
}

static void spans_count_from_the_first_byte(void **state)
{
    (void)state;
    static const char text[] = "\r\nPOST /a?b HTTP/1.1\r\nHost: h\r\nX:\t y z \t\r\nEmpty: \r\n"
                               "Content-Length: 3\r\n\r\nabcGET";
    int taken = read_text(text);
    assert_int_equal(taken, strlen(text) - 6);
    assert_span(text, head.method, "POST");
    assert_span(text, head.target, "/a?b");
    assert_int_equal(head.fields.count, 4);
    assert_span(text, head.fields.spans[1].name, "X");
    assert_span(text, head.fields.spans[1].value, "y z");
    assert_span(text, head.fields.spans[2].name, "Empty");
    assert_span(text, head.fields.spans[2].value, "");
    assert_int_equal(head.version, 11);
    assert_int_equal(head.framing, CAROM_FRAMING_LENGTH);
    assert_int_equal(head.content_length, 3);
    assert_true(head.keep_alive);
    assert_false(head.is_head || head.is_connect || head.expects_continue || head.wants_upgrade);
}

static void nothing_is_left_of_what_the_head_was_before(void **state)
{
    (void)state;
    assert_true(read_text("GET / HTTP/1.1\r\nHost: h\r\n\r\n") > 0);
    assert_int_equal(head.framing, CAROM_FRAMING_NONE);
    assert_int_equal(head.content_length, 0);
    assert_false(head.is_head || head.is_connect || head.expects_continue || head.wants_upgrade);
    assert_true(read_text("HEAD / HTTP/1.0\r\n\r\n") > 0);
    assert_true(head.is_head);
    assert_false(head.keep_alive);
}

/* Whether the target is one of https: of each request anew. */
static void the_scheme_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        bool https;
    } cases[] = {
        {"/", false},         {"http://h/", false}, {"https://h/", true},
        {"HTTPS://h/", true}, {"/https://", false}, {"http://s/", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        int length =
            snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].target);
        assert_int_equal(read_text(text), length);
        assert_true(head.asks_https == cases[i].https);
    }
}

/* Lines that are complete may be overwritten before the rest comes: they are not read again. */
static void what_was_read_is_not_read_again(void **state)
{
    (void)state;
    static const char text[] = "GET /long/target HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n";
    size_t length = strlen(text);
    for (size_t cut = 1; cut < length; cut++) {
        fresh(MAX_FIELDS);
        uint8_t *copy = exact(text, length);
        assert_int_equal(carom_h1_read_head(&reader, &limits, copy, (uint32_t)cut, &head), 0);
        assert_int_equal(reader.scanned, cut);
        memset(copy, '\n', reader.line);
        assert_int_equal(carom_h1_read_head(&reader, &limits, copy, (uint32_t)length, &head),
                         length);
        assert_int_equal(head.fields.count, 3);
        assert_span(text, head.target, "/long/target");
        assert_span(text, head.fields.spans[2].value, "d");
        free(copy);
        carom_fields_clear(&head.fields);
    }
}

static void host_may_be_optional(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
    fresh(MAX_FIELDS);
    assert_int_equal(read_part(&limits, text, strlen(text)), -400);
    carom_fields_clear(&head.fields);
    fresh(MAX_FIELDS);
    reader.framing.host_optional = true;
    assert_int_equal(read_part(&limits, text, strlen(text)), strlen(text));
}

/* ---------------------------------------------------------------- limits */

/* The same result whole and byte by byte. */
static int both_ways(const struct carom_h1_limits *within, const char *text, size_t length)
{
    carom_fields_clear(&head.fields);
    fresh(MAX_FIELDS);
    int whole = read_part(within, text, length);
    carom_fields_clear(&head.fields);
    fresh(MAX_FIELDS);
    int result = 0;
    for (size_t i = 1; i <= length && result == 0; i++)
        result = read_part(within, text, i);
    if (whole != result)
        fail_msg("%d whole, %d in bytes: %.*s", whole, result, (int)length, text);
    return whole;
}

/* `form` with `count` times "x" for its "~". */
static int with_filling(const struct carom_h1_limits *within, const char *form, size_t count)
{
    char text[512];
    size_t before = strcspn(form, "~");
    size_t after = strlen(form + before + 1);
    assert_true(before + count + after <= sizeof text);
    memcpy(text, form, before);
    memset(text + before, 'x', count);
    memcpy(text + before + count, form + before + 1, after);
    return both_ways(within, text, before + count + after);
}

static void targets_have_a_limit(void **state)
{
    (void)state;
    static const struct carom_h1_limits small = {16, 100};
    static const char form[] = "GET /~ HTTP/1.1\r\nHost:\r\n\r\n";
    assert_true(with_filling(&small, form, 15) > 0);
    for (size_t count = 16; count < 100; count++)
        assert_int_equal(with_filling(&small, form, count), -414);
    /* Lines that never end. */
    assert_int_equal(with_filling(&small, "GET /~", 100), -414);
    assert_int_equal(with_filling(&small, "~", 100), -501);
    /* Of a method there are 32 bytes at most. */
    assert_int_equal(
        with_filling(&small, "~ /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 32), -414);
    assert_int_equal(
        with_filling(&small, "~ /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 33), -501);
    assert_int_equal(with_filling(&small, "@~", 100), -400);
    assert_int_equal(with_filling(&small, "GET@~", 100), -400);
    assert_int_equal(with_filling(&small, "GET /~", 40), 0);
}

/* Whatever is wrong with a line, and wherever it ends: cuts change nothing. */
static void cuts_change_no_refusal(void **state)
{
    (void)state;
    static const struct carom_h1_limits small = {16, 40};
    static const char *const forms[] = {
        "~\r\n",
        "~\n",
        "GET ~\r\n",
        "GET /~\n",
        "GET /~ HTTP/9.9\r\n",
        "GET /~ HTTP/1.1\n",
        "GET /\x01~ HTTP/1.1\r\n",
        "~ / HTTP/1.1\r\n",
        "G\x01~ / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: ~\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: ~\n\r\n",
        "GET / HTTP/1.1\r\nHost: ~\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: ~\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n~\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: ~\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: ~\r\nB: c\r\n\r\nrest",
    };
    for (size_t i = 0; i < COUNT(forms); i++)
        for (size_t count = 0; count < 90; count++)
            with_filling(&small, forms[i], count);
}

static void header_sections_have_a_limit(void **state)
{
    (void)state;
    static const struct carom_h1_limits small = {16, 40};
    /* "Host: a" CRLF is 9, "A: " and CRLF 5: 26 are left. */
    static const char form[] = "GET / HTTP/1.1\r\nHost: a\r\nA: ~\r\n\r\n";
    assert_true(with_filling(&small, form, 26) > 0);
    for (size_t count = 27; count < 60; count++)
        assert_int_equal(with_filling(&small, form, count), -431);
    /* A line that does not end, and one too many. */
    assert_int_equal(with_filling(&small, "GET / HTTP/1.1\r\nHost: a\r\nA: ~", 60), -431);
    assert_int_equal(with_filling(&small, "GET / HTTP/1.1\r\nHost: a\r\nA: ~\r\nB:\r\n\r\n", 26),
                     -431);
}

static void fields_are_counted(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n";
    fresh(3);
    assert_int_equal(read_part(&limits, text, strlen(text)), strlen(text));
    fresh(2);
    assert_int_equal(read_part(&limits, text, strlen(text)), -431);
    fresh(2); /* before the section is complete */
    assert_int_equal(read_part(&limits, text, strlen(text) - 2), -431);
    fresh(MAX_FIELDS);
}

static void a_table_that_cannot_be_had_is_500(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n"
                               "B:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI:\r\nJ:\r\nK:\r\nL:\r\n"
                               "Last: one\r\n\r\n";
    carom_memory_fail_after(0);
    assert_int_equal(read_text(text), -500);
    carom_memory_fail_after(UINT64_MAX);
    assert_int_equal(read_text(text), strlen(text));
    assert_int_equal(head.fields.count, CAROM_FIELDS_INLINE + 1);
}

/* ---------------------------------------------------------------- trailers */

static int read_trailers(const struct carom_h1_limits *within, const char *text, uint32_t length)
{
    uint8_t *copy = exact(text, length);
    int result = carom_h1_read_trailers(&reader, within, copy, length, &head.fields);
    free(copy);
    return result;
}

static void trailers_are_read_like_fields(void **state)
{
    (void)state;
    static const char text[] = "X-Sum: 1\r\nY: \r\n\r\nGET";
    uint32_t length = (uint32_t)strlen(text) - 3;
    for (uint32_t cut = 0; cut < length; cut++) {
        fresh(MAX_FIELDS);
        assert_int_equal(read_trailers(&limits, text, cut), 0);
        assert_int_equal(read_trailers(&limits, text, length + 3), length);
        assert_int_equal(head.fields.count, 2);
        assert_span(text, head.fields.spans[0].value, "1");
    }
    fresh(MAX_FIELDS);
    assert_int_equal(read_trailers(&limits, "\r\n", 2), 2);
    assert_int_equal(head.fields.count, 0);
}

static void trailers_have_limits(void **state)
{
    (void)state;
    static const struct carom_h1_limits small = {1, 10};
    assert_int_equal(read_trailers(&small, "A: 34567\r\n\r\n", 12), 12);
    fresh(MAX_FIELDS);
    assert_int_equal(read_trailers(&small, "A: 345678\r\n\r\n", 13), -431);
    fresh(MAX_FIELDS);
    assert_int_equal(read_trailers(&small, "A: 345678901", 12), -431);
    fresh(1);
    assert_int_equal(read_trailers(&limits, "A:\r\nB:\r\n\r\n", 10), -431);
    fresh(0);
    assert_int_equal(read_trailers(&limits, "\r\n", 2), 2);
    fresh(MAX_FIELDS);
}

static void framing_fields_are_known(void **state)
{
    (void)state;
    static const char *const framing[] = {"Host",       "TRAILER",        "upgrade",
                                          "Connection", "Content-Length", "Transfer-Encoding"};
    static const char *const others[] = {"",        "Hosts",        "Hos",
                                         "Expires", "Content-Type", "Content-Lengtj"};
    for (size_t i = 0; i < COUNT(framing); i++)
        assert_true(carom_h1_is_framing((const uint8_t *)framing[i], (uint32_t)strlen(framing[i])));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(carom_h1_is_framing((const uint8_t *)others[i], (uint32_t)strlen(others[i])));
}

/* ---------------------------------------------------------------- random bytes */

static const char *const seeds[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nPOST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
    "OPTIONS * HTTP/1.0\r\nContent-Length: 12\r\nConnection: keep-alive, upgrade\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nExpect: 100-continue\r\nUpgrade: b\r\n\r\n",
    "GET http://a:1/b?c HTTP/1.1\r\nHost: a\r\nX: 0123456789012345678901234567890123456789\r\n\r\n",
};

/* Broken requests give the same result whole, and cut at two random places. */
static void random_bytes_in_random_cuts(void **state)
{
    (void)state;
    static const struct carom_h1_limits small = {24, 120};
    static const char pieces[] = "\r\n :,\t/.*#\x7f\x80[]aZ09@;\0";
    uint64_t seed = random_seed("random_bytes_in_random_cuts");
    for (unsigned i = 0; i < rounds(100000); i++) {
        const char *from = seeds[random_below(&seed, COUNT(seeds))];
        size_t length = strlen(from);
        char text[256];
        memcpy(text, from, length);
        for (uint64_t k = random_below(&seed, 4); k > 0; k--)
            text[random_below(&seed, length)] = pieces[random_below(&seed, sizeof pieces)];
        fresh(MAX_FIELDS);
        int whole = read_part(&small, text, length);
        struct carom_request_head first = head;
        size_t a = random_below(&seed, length), b = a + random_below(&seed, length - a);
        fresh(MAX_FIELDS);
        int result = read_part(&small, text, a);
        if (result == 0)
            result = read_part(&small, text, b);
        if (result == 0)
            result = read_part(&small, text, length);
        assert_int_equal(whole, result);
        if (whole > 0) {
            assert_int_equal(first.framing, head.framing);
            assert_int_equal(first.content_length, head.content_length);
            assert_int_equal(first.keep_alive, head.keep_alive);
            assert_int_equal(first.fields.count, head.fields.count);
            assert_memory_equal(first.fields.here, head.fields.here,
                                head.fields.count * sizeof head.fields.here[0]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_count_from_the_first_byte, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_left_of_what_the_head_was_before, begin, end),
        cmocka_unit_test_setup_teardown(the_scheme_is_told, begin, end),
        cmocka_unit_test_setup_teardown(what_was_read_is_not_read_again, begin, end),
        cmocka_unit_test_setup_teardown(host_may_be_optional, begin, end),
        cmocka_unit_test_setup_teardown(targets_have_a_limit, begin, end),
        cmocka_unit_test_setup_teardown(cuts_change_no_refusal, begin, end),
        cmocka_unit_test_setup_teardown(header_sections_have_a_limit, begin, end),
        cmocka_unit_test_setup_teardown(fields_are_counted, begin, end),
        cmocka_unit_test_setup_teardown(a_table_that_cannot_be_had_is_500, begin, end),
        cmocka_unit_test_setup_teardown(trailers_are_read_like_fields, begin, end),
        cmocka_unit_test_setup_teardown(trailers_have_limits, begin, end),
        cmocka_unit_test_setup_teardown(framing_fields_are_known, begin, end),
        cmocka_unit_test_setup_teardown(random_bytes_in_random_cuts, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
