/* Sockets and time: who falls silent, and who begins late. */
#include "unit/websocket/sockets.h"

/* What it said before its last pong does not count for the time behind that. */
static void who_falls_silent_behind_a_pong_is_pinged(void **state)
{
    (void)state;
    const carom_options options = sockets_options();
    program.options.ping_interval = 10 * SECOND;
    program.options.pong_timeout = 5 * SECOND;
    begin(&options);
    struct socket_client client = open_client();
    pass(10 * SECOND + 10);
    assert_string_equal(frames(&client), "ping:");
    send_frame_of(&client, FIN | PONG, "", 0);
    pass(5 * SECOND + 10); /* the time for it is over */
    pass(2 * SECOND);
    send_words(program.sockets[0], "y");
    pass(4 * SECOND);
    assert_string_equal(frames(&client), "t:y ping:");
    finish_sockets();
}

/* Who becomes a socket while the server shuts down hears of it, too. */
static void a_socket_that_begins_in_a_shutdown_is_told_to_go(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = {.peer = connect_peer()};
    say(client.peer, HANDSHAKE("/hold", ""));
    turn();
    carom_shutdown(sim.service, 8000);
    turn();
    carom_websocket *socket;
    assert_int_equal(carom_websocket_accept(sim.held[0], &program.options, NULL, 0, NULL, &socket),
                     0);
    sim.held_count = 0;
    turn();
    skip_head(&client);
    pass(100);
    assert_string_equal(frames(&client), "close:1001");
    send_close_code(&client, 1001, "");
    assert_string_equal(noted(), "open close:1001+");
    finish_sockets();
}

/* Who was told by the program is told no more, and has the time that it had. */
static void a_shutdown_does_not_hurry_who_is_closing(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    assert_int_equal(carom_websocket_close(program.sockets[0], 1000, (carom_slice){NULL, 0}), 0);
    turn();
    carom_shutdown(sim.service, 8000);
    turn();
    pass(2000);
    assert_string_equal(frames(&client), "close:1000");
    send_close_code(&client, 1000, "");
    assert_string_equal(noted(), "close:1000+");
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_falls_silent_behind_a_pong_is_pinged),
        cmocka_unit_test(a_socket_that_begins_in_a_shutdown_is_told_to_go),
        cmocka_unit_test(a_shutdown_does_not_hurry_who_is_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
