/* Tests of the log sink. */
#include "unit/base/support.h"

#include <string.h>

#include "base/log.h"

static char seen[1024];
static carom_log_level seen_level;
static int lines;

static void collect(void *data, carom_log_level level, const char *line)
{
    assert_ptr_equal(data, &lines);
    assert_true(strlen(line) < sizeof seen);
    memcpy(seen, line, strlen(line) + 1);
    seen_level = level;
    lines++;
}

static const struct carom_log_sink sink = {collect, &lines};

static void formats_one_line(void **state)
{
    (void)state;
    lines = 0;
    carom_log_line(&sink, CAROM_LOG_WARNING, "%s %d", "worker", 7);
    assert_int_equal(lines, 1);
    assert_int_equal(seen_level, CAROM_LOG_WARNING);
    assert_string_equal(seen, "worker 7");
}

static void cuts_at_512_bytes(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    carom_log_line(&sink, CAROM_LOG_INFO, "%s", text);
    assert_int_equal(strlen(seen), 512);
    text[512] = 0;
    carom_log_line(&sink, CAROM_LOG_INFO, "%s", text);
    assert_string_equal(seen, text);
}

static void a_line_stays_a_line(void **state)
{
    (void)state;
    carom_log_line(&sink, CAROM_LOG_INFO, "%s", "a\r\nb\x1b[2Jc\x7f\xc3\xa4");
    assert_string_equal(seen, "a??b?[2Jc?\xc3\xa4");
}

static void silent_without_a_function(void **state)
{
    (void)state;
    lines = 0;
    carom_log_line(&(struct carom_log_sink){0}, CAROM_LOG_ERROR, "%d", 1);
    assert_int_equal(lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_one_line),
        cmocka_unit_test(cuts_at_512_bytes),
        cmocka_unit_test(a_line_stays_a_line),
        cmocka_unit_test(silent_without_a_function),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
