/* Tunnels of HTTP/1.1: their head, what came before they began, their time and their end. */
#include "unit/http/simulation.h"

static char bytes[1000];

/* A tunnel lasts, and has no limit. */
static void a_tunnel_is_neither_timed_nor_counted(void **state)
{
    (void)state;
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response switching = {.status = 101, .fields = &field, .field_count = 1};
    carom_options options = simulation_options();
    options.max_content = 1000;
    options.drain_content = 1000;
    struct carom_peer *peer = begin_idle(&options);
    say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    turn();
    assert_int_equal(carom_upgrade(sim.held[0], &switching), 0);
    turn();
    assert_null(strstr(got(peer), "Keep-Alive"));
    for (int hour = 0; hour < 3; hour++) {
        assert_int_equal(drain_content(sim.held[0]), hour == 0 ? 0 : 700);
        pass(3600 * SECOND);
        carom_peer_send(peer, bytes, 700);
        turn();
    }
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_NONE);
    /* FIN of the peer is the end of its content, and no more. */
    carom_peer_shutdown(peer);
    turn();
    assert_int_equal(drain_content(sim.held[0]), 700);
    const carom_content content = {"late", 4, NULL, NULL};
    assert_int_equal(carom_write(sim.held[0], &content), 0);
    assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
    turn();
    assert_got(peer, "late");
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
}

/* What the client said before it was told waits, also when something else is to be sent first. */
static void what_came_before_a_tunnel_is_read_in_it(void **state)
{
    (void)state;
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response switching = {.status = 101, .fields = &field, .field_count = 1};
    const carom_response hints = {.status = 103};
    carom_options options = simulation_options();
    for (int informs = 0; informs < 2; informs++) {
        struct carom_peer *peer = begin_idle(&options);
        say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
                  "early");
        turn();
        if (informs)
            assert_int_equal(carom_inform(sim.held[0], &hints), 0);
        assert_int_equal(carom_upgrade(sim.held[0], &switching), 0);
        turn();
        assert_int_equal(drain_content(sim.held[0]), 5);
        release(sim.held[0]);
        finish();
    }
}

/* The end of what we say in a tunnel reaches the peer while it still speaks. */
static void a_tunnel_is_ended_on_one_side(void **state)
{
    (void)state;
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response switching = {.status = 101, .fields = &field, .field_count = 1};
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_idle(&options);
    say(peer, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    turn();
    assert_int_equal(carom_upgrade(sim.held[0], &switching), 0);
    assert_int_equal(drain_content(sim.held[0]), 0);
    assert_int_equal(carom_end(sim.held[0], NULL, 0), 0);
    turn();
    assert_true(carom_peer_saw_fin(peer));
    assert_false(carom_peer_saw_close(peer));
    say(peer, "more");
    turn();
    assert_int_equal(drain_content(sim.held[0]), 4);
    release(sim.held[0]);
    turn();
    carom_peer_shutdown(peer);
    turn();
    assert_true(carom_peer_saw_close(peer));
    finish();
}

/* Nor does its head speak of other requests, which do not come. */
static void the_head_of_a_tunnel_says_nothing_of_keeping(void **state)
{
    (void)state;
    const carom_response fine = {.status = 200};
    carom_options options = simulation_options();
    struct carom_peer *peer = begin_idle(&options);
    say(peer, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    turn();
    assert_int_equal(carom_upgrade(sim.held[0], &fine), 0);
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_null(strcasestr(got(peer), "keep-alive"));
    release(sim.held[0]);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_tunnel_is_neither_timed_nor_counted),
        cmocka_unit_test(what_came_before_a_tunnel_is_read_in_it),
        cmocka_unit_test(a_tunnel_is_ended_on_one_side),
        cmocka_unit_test(the_head_of_a_tunnel_says_nothing_of_keeping),
    };
    return cmocka_run_group_tests_name("http/h1_tunnel", all, NULL, NULL);
}
