/* Options: sizes of older and newer structs, values at their ends. */
#include "unit/http/simulation.h"

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
    assert_int_equal(resolve_with(the_least_window), 0);
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

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(structs_of_other_sizes),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(what_is_not_given_has_a_default),
        cmocka_unit_test(a_pipeline_without_a_limit_has_one),
        cmocka_unit_test(the_longest_keep_alive_is_not_short),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
