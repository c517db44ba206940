/* How sockets end: closed by one side or the other, cut off, late, or by a shutdown; and what a
 * program may call meanwhile. */
#include "unit/websocket/sockets.h"

static const carom_slice bye = CAROM_SLICE("bye");
static const carom_slice nothing = {NULL, 0};

static void the_client_closes(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    send_close_code(&client, 3001, "so long");
    assert_string_equal(noted(), "close:3001+so long");
    assert_string_equal(frames(&client), "close:3001so long");
    assert_true(carom_peer_saw_fin(client.peer));
    struct socket_client other = open_client();
    send_frame_of(&other, FIN | CLOSE, "", 0);
    assert_string_equal(noted(), "close:1005+");
    assert_string_equal(frames(&other), "close:");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websockets_closed[15], 1);
    assert_int_equal(stats.websockets_closed[5], 1);
}

static void the_program_closes(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    assert_int_equal(send_words(socket, "last"), 0);
    assert_int_equal(carom_websocket_close(socket, 1000, bye), 0);
    assert_int_equal(carom_websocket_close(socket, 1000, bye), -CAROM_ECANCELED);
    assert_int_equal(send_words(socket, "late"), -CAROM_ECANCELED);
    assert_int_equal(carom_websocket_get_state(socket), CAROM_WEBSOCKET_CLOSING);
    turn();
    assert_string_equal(frames(&client), "t:last close:1000bye");
    send_text(&client, "crossed");
    assert_string_equal(noted(), "");
    send_close_code(&client, 1000, "bye");
    assert_string_equal(noted(), "close:1000+bye");
    assert_true(carom_peer_saw_fin(client.peer));
    finish_sockets();
}

static void a_close_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    begin_sockets();
    open_client();
    carom_websocket_pause(program.sockets[0]); /* which would not see the answer */
    carom_websocket_close(program.sockets[0], 0, nothing);
    turn();
    pass(4900);
    assert_string_equal(noted(), "");
    pass(200);
    assert_string_equal(noted(), "close:1006-");
    finish_sockets();
}

/* What was sent before the Close takes longer than that, and all of it arrives. */
static void a_close_waits_behind_what_was_sent(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    static char bytes[6001];
    memset(bytes, 'x', 6000);
    carom_peer_set_window(client.peer, 0);
    assert_int_equal(send_words(program.sockets[0], bytes), 0);
    carom_websocket_close(program.sockets[0], 1000, nothing);
    turn();
    for (int i = 0; i < 5; i++) {
        carom_peer_set_window(client.peer, 1000);
        turn();
        pass(4900);
        pass(200); /* it is looked at, and has moved */
        assert_string_equal(frames(&client), "");
    }
    pass(3000);
    carom_peer_set_window(client.peer, SIZE_MAX);
    turn();
    assert_string_equal(frames(&client), "t:#6000 close:1000");
    pass(4900);
    assert_string_equal(noted(), "");
    pass(200);
    assert_string_equal(noted(), "close:1006-");
    client = open_client();
    carom_peer_set_window(client.peer, 0);
    assert_int_equal(send_words(program.sockets[0], bytes), 0);
    carom_websocket_close(program.sockets[0], 1000, nothing);
    turn();
    pass(5100);
    pass(5100); /* who takes nothing is not waited for */
    assert_string_equal(noted(), "close:1006-");
    finish_sockets();
}

/* The client closes while much is on its way to it, and takes that slowly: all of it arrives, also
 * to one that has sent FIN. Who takes nothing is not waited for. */
static void what_was_sent_arrives_behind_the_clients_close(void **state)
{
    (void)state;
    static char bytes[6001];
    memset(bytes, 'x', 6000);
    for (int fin = 0; fin < 2; fin++) {
        begin_sockets();
        struct socket_client client = open_client();
        carom_peer_set_window(client.peer, 0);
        assert_int_equal(send_words(program.sockets[0], bytes), 0);
        send_close_code(&client, 1000, "");
        if (fin)
            carom_peer_shutdown(client.peer);
        turn();
        assert_string_equal(noted(), "close:1000+");
        for (int i = 0; i < 5; i++) {
            carom_peer_set_window(client.peer, 1000);
            turn();
            pass(20 * SECOND);
            assert_string_equal(frames(&client), "");
        }
        carom_peer_set_window(client.peer, SIZE_MAX);
        turn();
        assert_string_equal(frames(&client), "t:#6000 close:1000");
        assert_true(carom_peer_saw_fin(client.peer));
        pass(1900);
        assert_int_equal(stats_now().connections_open, !fin);
        pass(200);
        assert_int_equal(stats_now().connections_open, 0);
        client = open_client();
        carom_peer_set_window(client.peer, 0);
        assert_int_equal(send_words(program.sockets[0], bytes), 0);
        send_close_code(&client, 1000, "");
        pass(29 * SECOND);
        assert_int_equal(stats_now().connections_open, 1);
        pass(2 * SECOND);
        assert_int_equal(stats_now().connections_open, 0);
        finish_sockets();
    }
}

static void both_close_at_once(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    uint8_t frame[20];
    size_t size = make_frame(frame, FIN | CLOSE, "\x03\xe8", 2, 5);
    carom_websocket_close(program.sockets[0], 4000, nothing);
    carom_peer_send(client.peer, (const char *)frame, size);
    turn();
    assert_string_equal(frames(&client), "close:4000");
    assert_string_equal(noted(), "close:1000+");
    finish_sockets();
}

static void who_leaves_is_noticed(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    carom_peer_shutdown(client.peer);
    turn();
    assert_string_equal(noted(), "close:1006-");
    client = open_client();
    carom_peer_reset(client.peer);
    turn();
    assert_string_equal(noted(), "close:1006-");
    client = open_client();
    carom_websocket_abort(program.sockets[0]);
    assert_int_equal(send_words(program.sockets[0], "x"), -CAROM_ECANCELED);
    assert_string_equal(noted(), ""); /* not inside the call */
    turn();
    assert_string_equal(noted(), "close:1006-");
    assert_true(carom_peer_saw_close(client.peer));
    finish_sockets();
}

static int end_within(carom_websocket *socket, carom_websocket_kind kind, const void *data,
                      size_t length)
{
    (void)kind;
    (void)length;
    switch (*(const char *)data) {
    case 'a':
        carom_websocket_abort(socket);
        break;
    case 'c':
        return carom_websocket_close(socket, 1000, nothing);
    case 'p':
        carom_websocket_pause(socket);
        break;
    default:
        break;
    }
    return 0;
}

/* Nothing comes of what was received behind it. */
static void a_socket_may_end_or_pause_in_its_message(void **state)
{
    (void)state;
    static const char *const ends[] = {"a", "c", "p"};
    for (int i = 0; i < 3; i++)
        for (int piece = 0; piece < 2; piece++) {
            begin_sockets();
            program.on_message = end_within;
            struct socket_client client = open_client();
            if (piece)
                carom_peer_set_piece(client.peer, 3);
            uint8_t frame[40];
            size_t size = make_frame(frame, FIN | TEXT, ends[i], 1, 5);
            size += make_frame(frame + size, FIN | TEXT, "x", 1, 9);
            carom_peer_send(client.peer, (const char *)frame, size);
            turn();
            const char *told = noted();
            if (i == 2) {
                assert_string_equal(told, "t:p");
                carom_websocket_resume(program.sockets[0]);
                assert_string_equal(noted(), ""); /* not inside the call */
                turn();
                assert_string_equal(noted(), "t:x");
                carom_websocket_pause(program.sockets[0]);
                carom_peer_shutdown(client.peer);
                turn();
                assert_string_equal(noted(), "");
                carom_websocket_resume(program.sockets[0]);
                turn();
                assert_string_equal(noted(), "close:1006-");
            } else {
                assert_string_equal(told, i == 0 ? "t:a close:1006-" : "t:c");
            }
            finish_sockets();
            noted();
        }
}

static void pings_find_out_who_is_gone(void **state)
{
    (void)state;
    const carom_options options = sockets_options();
    program.options.ping_interval = 0; /* the default */
    begin(&options);
    struct socket_client client = open_client();
    pass(24900);
    assert_string_equal(frames(&client), "");
    pass(200);
    assert_string_equal(frames(&client), "ping:");
    send_frame_of(&client, FIN | PONG, "", 0);
    assert_string_equal(noted(), "pong:");
    pass(20 * SECOND + 10);
    pass(4 * SECOND);
    assert_string_equal(frames(&client), "");
    pass(1 * SECOND + 100);
    assert_string_equal(frames(&client), "ping:");
    assert_string_equal(noted(), "");
    pass(19 * SECOND);
    assert_string_equal(noted(), "");
    pass(1 * SECOND + 100);
    assert_string_equal(noted(), "close:1006-");
    assert_true(carom_peer_saw_close(client.peer));
    finish_sockets();
}

static void who_talks_both_ways_is_not_pinged(void **state)
{
    (void)state;
    const carom_options options = sockets_options();
    program.options.ping_interval = 10 * SECOND;
    begin(&options);
    struct socket_client client = open_client();
    for (int i = 0; i < 5; i++) {
        pass(6 * SECOND);
        send_text(&client, "x");
        send_words(program.sockets[0], "y");
        turn();
    }
    assert_string_equal(frames(&client), "t:y t:y t:y t:y t:y");
    finish_sockets();
}

/* One side is not enough: what lies between sees the other one, and we do not see the client. */
static void who_is_silent_on_one_side_is_pinged(void **state)
{
    (void)state;
    for (int speaks = 0; speaks < 2; speaks++) {
        const carom_options options = sockets_options();
        program.options.ping_interval = 10 * SECOND;
        begin(&options);
        struct socket_client client = open_client();
        for (int i = 0; i < 2; i++) {
            pass(6 * SECOND);
            if (speaks)
                send_text(&client, "x");
            else
                send_words(program.sockets[0], "y");
            turn();
        }
        assert_non_null(strstr(frames(&client), "ping:"));
        finish_sockets();
    }
}

/* Whose pong is not read is not taken for gone; nor is its Close missed when we close. */
static void who_is_not_read_is_not_missed(void **state)
{
    (void)state;
    const carom_options options = sockets_options();
    program.options.ping_interval = 10 * SECOND;
    program.options.pong_timeout = 5 * SECOND;
    begin(&options);
    struct socket_client client = open_client();
    carom_websocket_pause(program.sockets[0]);
    for (int i = 0; i < 60; i++)
        pass(SECOND);
    assert_string_equal(noted(), "");
    assert_string_equal(frames(&client), "ping: ping: ping: ping: ping:");
    assert_int_equal(carom_websocket_close(program.sockets[0], 1000, bye), 0);
    turn();
    send_close_code(&client, 1000, "bye");
    assert_string_equal(noted(), "close:1000+bye");
    finish_sockets();
}

static void a_shutdown_says_goodbye(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client clients[4];
    for (int i = 0; i < 4; i++)
        clients[i] = open_client();
    carom_shutdown(sim.service, 8000);
    turn();
    int told = 0, steps = 0;
    for (int step = 0; step < 45 && told < 4; step++) {
        pass(100);
        int before = told;
        for (int i = 0; i < 4; i++)
            if (strcmp(frames(&clients[i]), "close:1001") == 0) {
                told++;
                send_close_code(&clients[i], 1001, "");
            }
        steps += told > before;
    }
    assert_int_equal(told, 4);
    assert_int_equal(steps, 4); /* one after the other */
    assert_string_equal(noted(), "close:1001+ close:1001+ close:1001+ close:1001+");
    finish_sockets();
}

static void a_shutdown_does_not_wait_for_ever(void **state)
{
    (void)state;
    begin_sockets();
    open_client();
    carom_shutdown(sim.service, 1000);
    turn();
    pass(2000);
    assert_string_equal(noted(), "close:1006-");
    finish_sockets();
}

static void a_reference_ends_with_its_socket(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    carom_websocket_ref ref = carom_websocket_get_ref(socket);
    assert_ptr_equal(carom_websocket_get(ref), socket);
    assert_null(carom_websocket_get((carom_websocket_ref){NULL, 0}));
    carom_peer_shutdown(client.peer);
    turn();
    assert_null(carom_websocket_get(ref));
    assert_string_equal(noted(), "close:1006-");
    open_client();
    open_client();
    assert_null(carom_websocket_get(ref)); /* whose memory it is now */
    finish_sockets();
}

/* Sends until it is told to wait, and goes on when it is told. */
static void backpressure_is_told(void **state)
{
    (void)state;
    static char large[40000];
    begin_sockets();
    memset(large, 'x', sizeof large);
    struct socket_client client = open_client();
    carom_peer_set_window(client.peer, 0);
    const carom_content content = {.data = large, .length = sizeof large};
    carom_websocket *socket = program.sockets[0];
    assert_int_equal(carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &content), 0);
    turn();
    assert_int_equal(carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &content), -CAROM_EAGAIN);
    int queued = 2, result;
    while ((result = carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &content)) ==
           -CAROM_EAGAIN)
        queued++;
    assert_int_equal(result, -CAROM_ETOOBIG);
    assert_int_equal(queued, 26); /* of 40,004 bytes in 1 MiB */
    assert_int_equal(carom_websocket_buffered(socket), 26 * 40004);
    turn();
    assert_string_equal(noted(), "");
    carom_peer_set_window(client.peer, 25 * 40004);
    turn();
    assert_string_equal(noted(), "");
    carom_peer_set_window(client.peer, 40004);
    turn();
    assert_string_equal(noted(), "drain");
    finish_sockets();
}

/* What is longer than the limit can be sent when nothing waits but the answer to a ping. */
static void what_is_longer_than_the_limit_goes_behind_a_pong(void **state)
{
    (void)state;
    begin_sockets();
    program.options.write_limit = 10;
    struct socket_client client = open_client();
    carom_peer_set_window(client.peer, 0);
    send_frame_of(&client, FIN | PING, "there?", 6);
    char text[301];
    memset(text, 'x', 300);
    text[300] = '\0';
    assert_int_equal(send_words(program.sockets[0], "7 bytes"), -CAROM_ETOOBIG);
    assert_int_equal(send_words(program.sockets[0], text), 0);
    assert_int_equal(send_words(program.sockets[0], text), -CAROM_ETOOBIG);
    finish_sockets();
}

static void who_is_over_the_limit_may_be_cut_off(void **state)
{
    (void)state;
    begin_sockets();
    program.options.write_limit = 100;
    program.options.close_at_limit = true;
    struct socket_client client = open_client();
    carom_peer_set_window(client.peer, 0);
    static const char text[] = "0123456789012345678901234567890123456789012345678901234567890";
    assert_int_equal(send_words(program.sockets[0], text), 0);
    turn();
    assert_int_equal(send_words(program.sockets[0], text), -CAROM_ETOOBIG);
    turn();
    assert_string_equal(noted(), "close:1006-");
    finish_sockets();
}

/* Who pings and reads nothing costs no memory. */
static void pings_without_end_are_not_all_answered(void **state)
{
    (void)state;
    begin_sockets();
    program.options.write_buffer = 1000;
    struct socket_client client = open_client();
    carom_peer_set_window(client.peer, 0);
    for (int i = 0; i < 200; i++)
        send_frame_of(&client, FIN | PING, "0123456789", 10);
    assert_true(carom_websocket_buffered(program.sockets[0]) < 1012);
    finish_sockets();
}

static void pieces_make_one_message(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    const carom_content a = {.data = "a", .length = 1}, b = {.data = "b", .length = 1};
    carom_websocket *socket = program.sockets[0];
    assert_int_equal(carom_websocket_send_piece(socket, CAROM_WEBSOCKET_TEXT, &a, false), 0);
    assert_int_equal(send_words(socket, "between"), -CAROM_ESTATE);
    assert_int_equal(carom_websocket_send_piece(socket, CAROM_WEBSOCKET_BINARY, &b, true),
                     -CAROM_ESTATE);
    assert_int_equal(carom_websocket_ping(socket, "p", 1), 0);
    assert_int_equal(carom_websocket_send_piece(socket, CAROM_WEBSOCKET_TEXT, &b, true), 0);
    assert_int_equal(send_words(socket, "next"), 0);
    turn();
    assert_string_equal(frames(&client), "t,a ping:p c:b t:next");
    finish_sockets();
}

/* ---------------------------------------------------------------- a client that is wrong */

static void socket_failed(carom_websocket *socket, uint16_t code)
{
    (void)socket;
    note("error:%u", code);
}

static void socket_failed_and_closed(carom_websocket *socket, uint16_t code)
{
    note("error:%u", code);
    assert_int_equal(send_words(socket, "why"), 0);
    assert_int_equal(carom_websocket_close(socket, 4000, nothing), 0);
}

/* A client that sends a message, what is wrong, and what is no frame at all, in one. */
static struct socket_client open_wrong(void (*error)(carom_websocket *socket, uint16_t code))
{
    static carom_websocket_handlers with_error;
    with_error = handlers;
    with_error.error = error;
    program.options.handlers = &with_error;
    struct socket_client client = open_client();
    uint8_t bytes[60];
    size_t size = make_frame(bytes, FIN | TEXT, "hi", 2, 5);
    size += make_frame(bytes + size, FIN | 3, "", 0, 5);
    size += make_frame(bytes + size, FIN | TEXT, "late", 4, 5);
    carom_peer_send(client.peer, (const char *)bytes, size);
    turn();
    return client;
}

/* What came before is answered, though the program takes its time. */
static void who_is_wrong_is_answered_first(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_wrong(socket_failed);
    carom_websocket *socket = program.sockets[0];
    assert_string_equal(noted(), "t:hi error:1002");
    assert_string_equal(frames(&client), "");
    carom_websocket_resume(socket);
    send_text(&client, "later");
    assert_string_equal(noted(), ""); /* nothing more is read */
    assert_int_equal(send_words(socket, "answer"), 0);
    assert_int_equal(carom_websocket_close(socket, 1002, bye), 0);
    assert_int_equal(carom_websocket_close(socket, 1002, bye), -CAROM_ECANCELED);
    turn();
    assert_string_equal(frames(&client), "t:answer close:1002bye");
    assert_true(carom_peer_saw_fin(client.peer));
    assert_string_equal(noted(), "close:1002-");
    client = open_wrong(socket_failed_and_closed);
    assert_string_equal(frames(&client), "t:why close:4000");
    assert_string_equal(noted(), "t:hi error:1002 close:1002-");
    finish_sockets();
}

/* Nor does it wait for a program that does nothing, or that stops. */
static void who_is_wrong_is_ended_in_time(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_wrong(socket_failed);
    pass(4900);
    assert_string_equal(frames(&client), "");
    pass(200);
    assert_string_equal(frames(&client), "close:1002");
    assert_string_equal(noted(), "t:hi error:1002 close:1002-");
    client = open_wrong(socket_failed);
    carom_peer_reset(client.peer);
    turn();
    assert_string_equal(noted(), "t:hi error:1002 close:1006-");
    client = open_wrong(socket_failed);
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    pass(100);
    assert_string_equal(frames(&client), "close:1002");
    assert_string_equal(noted(), "t:hi error:1002 close:1002-");
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_closes),
        cmocka_unit_test(the_program_closes),
        cmocka_unit_test(a_close_is_not_waited_for_for_ever),
        cmocka_unit_test(a_close_waits_behind_what_was_sent),
        cmocka_unit_test(what_was_sent_arrives_behind_the_clients_close),
        cmocka_unit_test(both_close_at_once),
        cmocka_unit_test(who_leaves_is_noticed),
        cmocka_unit_test(a_socket_may_end_or_pause_in_its_message),
        cmocka_unit_test(pings_find_out_who_is_gone),
        cmocka_unit_test(who_talks_both_ways_is_not_pinged),
        cmocka_unit_test(who_is_silent_on_one_side_is_pinged),
        cmocka_unit_test(who_is_not_read_is_not_missed),
        cmocka_unit_test(a_shutdown_says_goodbye),
        cmocka_unit_test(a_shutdown_does_not_wait_for_ever),
        cmocka_unit_test(a_reference_ends_with_its_socket),
        cmocka_unit_test(backpressure_is_told),
        cmocka_unit_test(what_is_longer_than_the_limit_goes_behind_a_pong),
        cmocka_unit_test(who_is_over_the_limit_may_be_cut_off),
        cmocka_unit_test(pings_without_end_are_not_all_answered),
        cmocka_unit_test(pieces_make_one_message),
        cmocka_unit_test(who_is_wrong_is_answered_first),
        cmocka_unit_test(who_is_wrong_is_ended_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
