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
        cmocka_unit_test(a_pipeline_without_a_limit_has_one),
        cmocka_unit_test(the_longest_keep_alive_is_not_short),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
