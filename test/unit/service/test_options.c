/* Options: sizes of older and newer structs, values at their ends. */
#include "unit/http/simulation.h"

#include "http/protocols.h"
#include "service/options.h"

static void structs_of_other_sizes(void **state)
{
    (void)state;
    carom_options given = simulation_options(), options;
    for (size_t size = 0; size <= sizeof given + 8; size++) {
        given.size = size;
        int error = carom_options_resolve(&options, &given);
        bool sensible = size > offsetof(carom_options, handler) && size <= sizeof given &&
                        size % _Alignof(carom_options) == 0;
        assert_int_equal(error, sensible ? 0 : -CAROM_EINVAL);
        if (error == 0)
            assert_int_equal(options.size, sizeof options);
    }
}

static int resolve_with(void (*change)(carom_options *options))
{
    carom_options given = simulation_options(), options;
    change(&given);
    return carom_options_resolve(&options, &given);
}

static void no_handler(carom_options *options)
{
    options->handler = NULL;
}
static void another_backend(carom_options *options)
{
    options->backend = "kqueue";
}
static void many_workers(carom_options *options)
{
    options->workers = 1025;
}
static void a_tiny_window(carom_options *options)
{
    options->h2_stream_window = 1023;
}
static void the_least_window(carom_options *options)
{
    options->h2_stream_window = options->h2_stream_window_max = 1024;
}
static void a_window_beyond_its_limit(carom_options *options)
{
    options->h2_connection_window = 100000;
    options->h2_connection_window_max = 99999;
}
static void a_window_of_32_bits(carom_options *options)
{
    options->h2_connection_window_max = (uint32_t)INT32_MAX + 1;
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    assert_int_equal(resolve_with(no_handler), -CAROM_EINVAL);
    assert_int_equal(resolve_with(another_backend), -CAROM_EUNSUPPORTED);
    assert_int_equal(resolve_with(many_workers), -CAROM_EINVAL);
    assert_int_equal(resolve_with(a_tiny_window), -CAROM_EINVAL);
    assert_int_equal(resolve_with(the_least_window),
                     carom_protocols_have_h2() ? 0 : -CAROM_EUNSUPPORTED);
    assert_int_equal(resolve_with(a_window_beyond_its_limit), -CAROM_EINVAL);
    assert_int_equal(resolve_with(a_window_of_32_bits), -CAROM_EINVAL);
}

/* As carom.h says, and the pages that hold the longest head. */
static void what_is_not_given_has_a_default(void **state)
{
    (void)state;
    carom_options given = CAROM_OPTIONS_INIT, options;
    given.handler = simulation_handler;
    assert_int_equal(carom_options_resolve(&options, &given), 0);
    assert_int_equal(options.workers, 1);
    assert_int_equal(options.max_pipeline, 32);
    assert_int_equal(options.write_buffer, 64 * 1024);
    assert_int_equal(options.keep_alive, 75000);
    assert_int_equal(options.write_timeout, 30000);
    assert_int_equal(options.handler_timeout, CAROM_OFF);
    assert_string_equal(options.backend, "epoll");
    assert_int_equal(carom_options_page_size(&options), 32 * 1024);
    options.max_target = 40000;
    options.max_header_section = 50000;
    assert_true(carom_options_page_size(&options) >= 40000 + 50000);
}

/* As many as a connection can count. */
static void a_pipeline_without_a_limit_has_one(void **state)
{
    (void)state;
    carom_options given = simulation_options(), options;
    given.max_pipeline = CAROM_OFF;
    assert_int_equal(carom_options_resolve(&options, &given), 0);
    assert_int_equal(options.max_pipeline, UINT16_MAX);
    assert_int_equal(carom_options_set(&options, "max_pipeline", "off"), 0);
    assert_int_equal(options.max_pipeline, UINT16_MAX);
}

static void the_longest_keep_alive_is_not_short(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.keep_alive = CAROM_OFF - 1;
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    pass(3600 * 1000);
    assert_got(peer, "Keep-Alive: timeout=4294967\r\n");
    assert_false(carom_peer_saw_close(peer));
    finish();
}

/* ---------------------------------------------------------------- set by name */

static char said[512];
static void note(void *data, carom_log_level level, const char *line)
{
    assert_ptr_equal(data, said);
    assert_int_equal(level, CAROM_LOG_ERROR);
    snprintf(said, sizeof said, "%s", line);
}

static void options_are_set_by_their_names(void **state)
{
    (void)state;
    carom_options options = CAROM_OPTIONS_INIT;
    char backend[] = "uring";
    assert_int_equal(carom_options_set(&options, "workers", "4"), 0);
    assert_int_equal(options.workers, 4);
    assert_int_equal(carom_options_set(&options, "keep_alive", "30 s"), 0);
    assert_int_equal(options.keep_alive, 30000);
    assert_int_equal(carom_options_set(&options, "keep_alive", "2min"), 0);
    assert_int_equal(options.keep_alive, 120000);
    assert_int_equal(carom_options_set(&options, "max_content", "8 GiB"), 0);
    assert_true(options.max_content == UINT64_C(8) << 30);
    assert_int_equal(carom_options_set(&options, "max_content", "off"), 0);
    assert_true(options.max_content == UINT64_MAX);
    assert_int_equal(carom_options_set(&options, "handler_timeout", "off"), 0);
    assert_int_equal(options.handler_timeout, CAROM_OFF);
    assert_int_equal(carom_options_set(&options, "keep_alive", "0"), 0);
    assert_int_equal(options.keep_alive, 0);
    static const char *const words[] = {"true", "false", "on", "off", "1", "0"};
    for (size_t i = 0; i < COUNT(words); i++) {
        assert_int_equal(carom_options_set(&options, "half_close", words[i]), 0);
        assert_int_equal(options.half_close, i % 2 == 0);
    }
    /* The most that 64 bits hold of each unit. */
    assert_int_equal(carom_options_set(&options, "max_content", "17179869183 GiB"), 0);
    assert_true(options.max_content == UINT64_C(17179869183) << 30);
    assert_int_equal(carom_options_set(&options, "max_content", "18446744073709551614"), 0);
    assert_true(options.max_content == UINT64_MAX - 1);
    assert_int_equal(carom_options_set(&options, "backend", backend), 0);
    memset(backend, 'x', sizeof backend - 1);
    assert_string_equal(options.backend, "uring");
}

/* A flag is a byte beside others. */
static void a_flag_changes_nothing_beside_it(void **state)
{
    (void)state;
    const carom_option *option;
    for (size_t i = 0; (option = carom_option_at(i)) != NULL; i++) {
        if (option->type != CAROM_OPTION_FLAG)
            continue;
        carom_options all, one_off;
        memset(&all, 1, sizeof all);
        all.size = sizeof all;
        all.log = NULL;
        one_off = all;
        assert_int_equal(carom_options_set(&one_off, option->name, "off"), 0);
        size_t changed = 0;
        for (size_t at = 0; at < sizeof all; at++)
            changed += ((const char *)&all)[at] != ((const char *)&one_off)[at];
        assert_int_equal(changed, 1);
        assert_int_equal(carom_options_set(&one_off, option->name, "on"), 0);
        assert_memory_equal(&one_off, &all, sizeof all);
    }
}

static void what_cannot_be_set_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *line;
    } cases[] = {
        {"keep_alife", "1",
         "options: there is no keep_alife; "
         "docs/c/options.md and carom_option_at say which there are"},
        {"keep_alive", "soon", "options: keep_alive is \"soon\", which is no number of ms"},
        {"keep_alive", "1 KiB", "options: keep_alive is \"1 KiB\", which is no number of ms"},
        {"keep_alive", "-1", "options: keep_alive is \"-1\", which is no number of ms"},
        {"keep_alive", "ms", "options: keep_alive is \"ms\", which is no number of ms"},
        {"keep_alive", ":1", "options: keep_alive is \":1\", which is no number of ms"},
        {"keep_alive", "/1", "options: keep_alive is \"/1\", which is no number of ms"},
        {"keep_alive", "1  s", "options: keep_alive is \"1  s\", which is no number of ms"},
        {"keep_alive", "", "options: keep_alive is \"\", which is no number of ms"},
        {"keep_alive", "9999999 min",
         "options: keep_alive is 599999940000, and may be 4294967295 at most"},
        {"max_content", "17179869184 GiB",
         "options: max_content is \"17179869184 GiB\", which is no number of bytes"},
        {"max_content", "18446744073709551616",
         "options: max_content is \"18446744073709551616\", which is no number of bytes"},
        {"workers", "1 s", "options: workers is \"1 s\", which is no number"},
        {"max_pipeline", "65536", "options: max_pipeline is 65536, and may be 65535 at most"},
        {"max_target", "off", "options: max_target is 4294967295, and may be 4194304 at most"},
        {"half_close", "yes", "options: half_close is \"yes\", and may be true or false"},
        {"backend", "kqueue", "options: backend is \"kqueue\", and may be epoll or uring"},
    };
    carom_options options = CAROM_OPTIONS_INIT, before;
    options.log = note;
    options.log_data = said;
    before = options;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int error = carom_options_set(&options, cases[i].name, cases[i].value);
        assert_int_equal(error, i == 0 ? -CAROM_ENOENT : -CAROM_EINVAL);
        assert_string_equal(said, cases[i].line);
        assert_memory_equal(&options, &before, sizeof options);
    }
    assert_int_equal(carom_options_set(NULL, "workers", "1"), -CAROM_EINVAL);
    assert_int_equal(carom_options_set(&options, NULL, "1"), -CAROM_EINVAL);
    assert_int_equal(carom_options_set(&options, "workers", NULL), -CAROM_EINVAL);
    options.size = 0;
    assert_int_equal(carom_options_set(&options, "workers", "1"), -CAROM_EINVAL);
}

/* Set to its default, to its ends and beyond them, each has the value that the struct would have,
 * and what may be set is not refused later. */
static void each_option_is_listed(void **state)
{
    (void)state;
    const carom_option *option;
    carom_options usual, resolved, given = CAROM_OPTIONS_INIT;
    size_t count = 0;
    char text[32];
    given.handler = simulation_handler;
    assert_int_equal(carom_options_resolve(&usual, &given), 0);
    for (; (option = carom_option_at(count)) != NULL; count++) {
        if (option->type != CAROM_OPTION_NUMBER)
            continue;
        carom_options options = given;
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->usual);
        assert_int_equal(carom_options_set(&options, option->name, text), 0);
        assert_int_equal(carom_options_resolve(&resolved, &options), 0);
        assert_memory_equal(&resolved, &usual, sizeof usual);
        if (option->most == UINT64_MAX)
            continue;
        snprintf(text, sizeof text, "%llu", (unsigned long long)option->most + 1);
        assert_int_equal(carom_options_set(&options, option->name, text), -CAROM_EINVAL);
    }
    assert_null(carom_option_at(count + 1));
    assert_string_equal(carom_option_at(count - 1)->name, "h2_ping_interval");
    assert_int_equal(carom_options_size(), sizeof(carom_options));
}

static void keep_line(void *data, carom_log_level level, const char *line)
{
    (void)level;
    snprintf(data, 128, "%s", line);
}

/* What is set for a protocol that the build has not (CAROM_HTTP2=OFF) is refused by its name. */
static void without_http2_what_is_set_for_it_is_refused(void **state)
{
    (void)state;
    char line[128] = "";
    carom_options options, given = CAROM_OPTIONS_INIT;
    given.handler = simulation_handler;
    given.log = keep_line;
    given.log_data = line;
    given.h2_max_streams = 17;
    if (carom_protocols_have_h2()) {
        assert_int_equal(carom_options_resolve(&options, &given), 0);
        assert_false(options.no_http2);
        assert_string_equal(line, "");
    } else {
        assert_int_equal(carom_options_resolve(&options, &given), -CAROM_EUNSUPPORTED);
        assert_string_equal(line, "options: h2_max_streams is set, and this build has no HTTP/2");
        given.h2_max_streams = 0;
        assert_int_equal(carom_options_resolve(&options, &given), 0);
        assert_true(options.no_http2);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(structs_of_other_sizes),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(what_is_not_given_has_a_default),
        cmocka_unit_test(a_pipeline_without_a_limit_has_one),
        cmocka_unit_test(the_longest_keep_alive_is_not_short),
        cmocka_unit_test(options_are_set_by_their_names),
        cmocka_unit_test(a_flag_changes_nothing_beside_it),
        cmocka_unit_test(what_cannot_be_set_is_named),
        cmocka_unit_test(each_option_is_listed),
        cmocka_unit_test(without_http2_what_is_set_for_it_is_refused),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
