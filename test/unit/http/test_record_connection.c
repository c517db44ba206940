/* What a handler can learn of its record's connection, and time-outs that it sets for one record.
 */
#include "unit/http/h2_client.h"

static int ended;
static uint64_t last_ended;

static void on_end(void *state, void *data)
{
    assert_ptr_equal(data, &ended);
    last_ended = *(const uint64_t *)state;
    ended++;
}

static carom_options state_options(void)
{
    carom_options options = simulation_options();
    options.connection_state = 24;
    options.on_connection_end = on_end;
    options.worker_data = &ended;
    ended = 0;
    return options;
}

static struct carom_peer *ask(struct carom_peer *peer, const char *target)
{
    char head[200];
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    if (peer == NULL)
        peer = connect_peer();
    say(peer, head);
    turn();
    return peer;
}

static void records_of_a_connection_share_its_state(void **state)
{
    (void)state;
    carom_options options = state_options();
    begin(&options);
    struct carom_peer *peer = ask(NULL, "/hold");
    uint64_t *words = carom_connection_state(sim.held[0]);
    assert_int_equal((uintptr_t)words % _Alignof(max_align_t), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(words[i], 0);
    words[0] = 7;
    words[2] = 9;
    ask(peer, "/hold");
    assert_ptr_equal(carom_connection_state(sim.held[1]), words);
    assert_int_equal(words[0], 7);
    ask(NULL, "/hold");
    uint64_t *others = carom_connection_state(sim.held[2]);
    assert_ptr_not_equal(others, words);
    assert_int_equal(others[0] + others[2], 0);
    /* It lasts for as long as somebody has a record. */
    carom_record *last = sim.held[1];
    carom_peer_reset(peer);
    turn();
    release(sim.held[0]);
    turn();
    assert_int_equal(ended, 0);
    assert_int_equal(((uint64_t *)carom_connection_state(last))[2], 9);
    release(last);
    turn();
    assert_int_equal(ended, 1);
    assert_int_equal(last_ended, 7);
    /* Memory that was another's is zeroed again. */
    ask(NULL, "/hold");
    words = carom_connection_state(sim.held[1]);
    assert_int_equal(words[0] + words[1] + words[2], 0);
    finish();
    assert_int_equal(ended, 3);
}

static void state_that_nobody_asked_for_is_not_told_of(void **state)
{
    (void)state;
    carom_options options = state_options();
    begin(&options);
    ask(NULL, "/now");
    finish();
    assert_int_equal(ended, 0);
    options.connection_state = 0;
    begin(&options);
    ask(NULL, "/hold");
    assert_null(carom_connection_state(sim.held[0]));
    finish();
    assert_int_equal(ended, 0);
}

static void its_descriptor_is_there_until_it_closes(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = ask(NULL, "/hold");
    assert_int_equal(carom_connection_descriptor(sim.held[0]), CAROM_SIMULATED_FIRST_FD);
    carom_peer_reset(peer);
    turn();
    assert_int_equal(carom_connection_descriptor(sim.held[0]), -CAROM_ENOENT);
    finish();
}

static void streams_share_the_state_of_their_connection(void **state)
{
    (void)state;
    carom_options options = state_options();
    begin(&options);
    struct client client;
    client_begin(&client, 0, false);
    request(&client, "GET", "/hold");
    request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(sim.held_count, 2);
    assert_non_null(carom_connection_state(sim.held[0]));
    assert_ptr_equal(carom_connection_state(sim.held[0]), carom_connection_state(sim.held[1]));
    assert_int_equal(carom_connection_descriptor(sim.held[0]), CAROM_SIMULATED_FIRST_FD);
    client_end(&client);
    finish();
    assert_int_equal(ended, 1);
}

/* ---------------------------------------------------------------- time-outs */

static void a_handler_may_have_more_or_less_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler_timeout = 1000;
    begin(&options);
    struct carom_peer *usual = ask(NULL, "/hold"), *less = ask(NULL, "/hold"),
                      *more = ask(NULL, "/hold"), *endless = ask(NULL, "/hold");
    assert_int_equal(carom_set_handler_timeout(sim.held[1], 10), 0);
    assert_int_equal(carom_set_handler_timeout(sim.held[2], 5000), 0);
    assert_int_equal(carom_set_handler_timeout(sim.held[3], CAROM_OFF), 0);
    pass(10);
    assert_string_equal(got(less), "");
    pass(1);
    assert_got(less, "503");
    assert_int_equal(carom_set_handler_timeout(sim.held[1], 10), -CAROM_ECANCELED);
    pass(990);
    assert_got(usual, "503");
    pass(3999);
    assert_string_equal(got(more), "");
    pass(1);
    assert_got(more, "503");
    pass(1000000);
    assert_string_equal(got(endless), "");
    answer(sim.held[3], "late");
    assert_int_equal(carom_set_handler_timeout(sim.held[3], 10), -CAROM_ESTATE);
    turn();
    assert_got(endless, "late");
    finish();
}

/* A byte a second. */
static void trickle(struct carom_peer *peer, int seconds)
{
    for (int i = 0; i < seconds && !carom_peer_saw_fin(peer); i++) {
        say(peer, "x");
        turn();
        pass(1000);
    }
}

static const char upload[] = "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";

static void content_may_come_as_slowly_as_is_said(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *usual = connect_peer();
    say(usual, upload);
    turn();
    trickle(usual, 7);
    assert_got(usual, "408");
    const uint32_t rates[] = {CAROM_OFF, 1, 2};
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct carom_peer *peer = connect_peer();
        say(peer, upload);
        turn();
        carom_set_content_rate(sim.held[sim.held_count - 1], rates[i]);
        trickle(peer, 20);
        if (rates[i] == 2)
            assert_got(peer, "408");
        else
            assert_string_equal(got(peer), "");
    }
    finish();
}

/* Nor is there a certificate, and what stood where it is told is gone. */
static void a_connection_in_the_clear_has_no_tls(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *peer = connect_peer();
    say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    carom_tls_info info, none;
    memset(&info, 0xa5, sizeof info);
    memset(&none, 0, sizeof none);
    carom_slice der = {"left", 4};
    assert_int_equal(carom_record_tls(sim.held[0], &info), -CAROM_ENOENT);
    assert_memory_equal(&info, &none, sizeof none);
    assert_int_equal(carom_record_tls_certificate(sim.held[0], &der), -CAROM_ENOENT);
    assert_null(der.data);
    assert_int_equal(der.length, 0);
    assert_int_equal(carom_record_tls(sim.held[0], NULL), -CAROM_EINVAL);
    assert_int_equal(carom_record_tls_certificate(sim.held[0], NULL), -CAROM_EINVAL);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(records_of_a_connection_share_its_state),
        cmocka_unit_test(state_that_nobody_asked_for_is_not_told_of),
        cmocka_unit_test(its_descriptor_is_there_until_it_closes),
        cmocka_unit_test(streams_share_the_state_of_their_connection),
        cmocka_unit_test(a_handler_may_have_more_or_less_time),
        cmocka_unit_test(content_may_come_as_slowly_as_is_said),
        cmocka_unit_test(a_connection_in_the_clear_has_no_tls),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
