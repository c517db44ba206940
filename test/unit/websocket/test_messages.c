/* Messages both ways on a socket, in frames as they come, and what is refused. */
#include "unit/websocket/sockets.h"

static int echo(carom_websocket *socket, carom_websocket_kind kind, const void *data, size_t length)
{
    const carom_content content = {.data = data, .length = length};
    return carom_websocket_send(socket, kind, &content);
}

static void a_handshake_is_answered(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = open_client();
    assert_got(client.peer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    assert_got(client.peer, "Upgrade: websocket\r\n");
    assert_got(client.peer, "Connection: upgrade\r\n");
    assert_int_equal(stats_now().records_in_flight, 0); /* it has gone back */
    assert_int_equal(stats_now().websockets_open, 1);
    finish_sockets();
}

static void messages_go_both_ways(void **state)
{
    (void)state;
    begin_sockets();
    program.on_message = echo;
    struct socket_client client = open_client();
    send_text(&client, "one");
    send_frame_of(&client, FIN | BINARY, "two", 3);
    send_text(&client, "");
    assert_string_equal(noted(), "t:one b:two t:");
    assert_string_equal(frames(&client), "t:one b:two t:");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websocket_messages_received, 3);
    assert_int_equal(stats.websocket_messages_sent, 3);
    assert_int_equal(stats.websocket_bytes_received, 6);
    assert_int_equal(stats.websocket_bytes_sent, 6);
}

/* Whatever the pieces in which it comes. */
static void a_message_may_come_in_any_pieces(void **state)
{
    (void)state;
    static char large[70000];
    memset(large, 'x', sizeof large);
    for (size_t piece = 1; piece <= 20; piece++) {
        begin_sockets();
        struct socket_client client = open_client();
        carom_peer_set_piece(client.peer, piece);
        send_text(&client, "hello");
        send_frame_of(&client, TEXT, "a", 1);
        send_frame_of(&client, FIN | PING, "between", 7);
        send_frame_of(&client, 0, "", 0);
        send_frame_of(&client, FIN, "b", 1);
        assert_string_equal(noted(), "t:hello ping:between t:ab");
        assert_string_equal(frames(&client), "pong:between");
        if (piece == 20) {
            send_frame_of(&client, FIN | BINARY, large, 300);
            send_frame_of(&client, FIN | BINARY, large, sizeof large);
            assert_string_equal(noted(), "b#300 b#70000");
        }
        finish_sockets();
    }
}

static void large_messages_are_echoed(void **state)
{
    (void)state;
    static char large[200000];
    memset(large, 'x', sizeof large);
    begin_sockets();
    program.on_message = echo;
    struct socket_client client = open_client();
    static const size_t lengths[] = {125, 126, 256, 257, 65535, 65536, sizeof large};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "b:#%zu", lengths[i]);
        send_frame_of(&client, FIN | BINARY, large, lengths[i]);
        assert_string_equal(frames(&client), expected);
    }
    finish_sockets();
}

/* As much of it as the client takes goes from where it lies, and the rest from a copy: at each
 * place where it may be cut, and behind what waits already. */
static void a_long_message_is_the_callers_again_at_once(void **state)
{
    (void)state;
    static char large[40000], kept[sizeof large];
    static const size_t windows[] = {0, 1, 3, 4, 5, 20000, 40003, 40004, SIZE_MAX};
    for (size_t i = 0; i < sizeof large; i++)
        kept[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        begin_sockets();
        struct socket_client client = open_client();
        const carom_content content = {.data = large, .length = sizeof large};
        carom_peer_set_window(client.peer, windows[i]);
        for (int times = 0; times < 2; times++) {
            memcpy(large, kept, sizeof large);
            assert_true(carom_websocket_send(program.sockets[0], CAROM_WEBSOCKET_BINARY,
                                             &content) != -CAROM_ETOOBIG);
            memset(large, '?', sizeof large);
        }
        assert_int_equal(carom_websocket_buffered(program.sockets[0]),
                         2 * 40004 - (windows[i] < 40004    ? windows[i]
                                      : windows[i] == 40004 ? 40004
                                                            : 2 * 40004));
        carom_peer_set_window(client.peer, SIZE_MAX);
        turn();
        size_t length;
        const char *bytes = carom_peer_received(client.peer, &length);
        assert_int_equal(length - client.taken, 2 * 40004);
        for (int times = 0; times < 2; times++)
            assert_memory_equal(bytes + client.taken + (size_t)times * 40004 + 4, kept,
                                sizeof kept);
        finish_sockets();
    }
}

/* The first is received by pages, and gathers; those that follow come whole. The room for them goes
 * when none has come for a while, and who sends short ones has none. */
static void long_messages_come_whole_behind_the_first(void **state)
{
    (void)state;
    static char large[65536];
    memset(large, 'x', sizeof large);
    begin_sockets();
    struct socket_client client = open_client();
    struct carom_websockets *shared = &sim.service->workers[0].websockets;
    for (int i = 0; i < 4; i++)
        send_frame_of(&client, FIN | BINARY, large, sizeof large);
    assert_string_equal(noted(), "b#65536 b#65536 b#65536 b#65536");
    assert_int_equal(shared->partials.allocated + shared->partials.recycled, 1);
    assert_int_equal(shared->long_pages.pool.in_use, 1);
    assert_true(program.sockets[0]->tunnel.connection->stream.socket.wide);
    send_frame_of(&client, FIN | BINARY, "short", 5);
    assert_false(program.sockets[0]->tunnel.connection->stream.socket.wide);
    for (int i = 0; i < 4; i++)
        pass(CAROM_POOL_WINDOW);
    assert_int_equal(shared->long_pages.pool.in_use + shared->long_pages.pool.free_count, 0);
    finish_sockets();
}

/* Bytes that came with the request, and before the program has accepted. */
static void bytes_behind_the_handshake_are_messages(void **state)
{
    (void)state;
    begin_sockets();
    char bytes[400];
    size_t length = strlen(HANDSHAKE("/hold", ""));
    memcpy(bytes, HANDSHAKE("/hold", ""), length);
    length += make_frame((uint8_t *)bytes + length, FIN | TEXT, "early", 5, 7);
    struct socket_client client = {.peer = connect_peer()};
    carom_peer_send(client.peer, bytes, length);
    turn();
    assert_int_equal(sim.held_count, 1);
    carom_websocket *socket;
    assert_int_equal(carom_websocket_accept(sim.held[0], &program.options, NULL, 0, NULL, &socket),
                     0);
    sim.held_count = 0;
    assert_int_equal(send_words(socket, "first"), 0);
    turn();
    assert_string_equal(noted(), "open t:early");
    skip_head(&client);
    assert_string_equal(frames(&client), "t:first");
    finish_sockets();
}

/* The connection is the socket's when all before it is answered. */
static void a_handshake_waits_behind_requests(void **state)
{
    (void)state;
    begin_sockets();
    struct socket_client client = {.peer = connect_peer()};
    say(client.peer, GET("/hold") HANDSHAKE("/", ""));
    turn();
    assert_string_equal(noted(), "open");
    assert_int_equal(send_words(program.sockets[0], "hi"), 0);
    turn();
    assert_string_equal(got(client.peer), "");
    answer_and_release(sim.held[0], "first");
    turn();
    assert_got(client.peer, "first");
    client.taken = (size_t)(strstr(got(client.peer), "first") + 5 - got(client.peer));
    assert_non_null(strstr(got(client.peer) + client.taken, "101 Switching"));
    client.taken =
        (size_t)(strstr(got(client.peer) + client.taken, "\r\n\r\n") + 4 - got(client.peer));
    assert_string_equal(frames(&client), "t:hi");
    send_text(&client, "later");
    assert_string_equal(noted(), "t:later");
    finish_sockets();
}

/* Each is a frame, what the client is answered, and what the program is told. */
static void what_breaks_the_protocol_is_answered(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *close;
    } cases[] = {
#define CASE(bytes, close) {bytes, sizeof(bytes) - 1, close}
        CASE("\x81\x03", "close:1002"),                         /* no mask */
        CASE("\xc1", "close:1002"),                             /* RSV1 without compression */
        CASE("\x83", "close:1002"),                             /* a reserved opcode */
        CASE("\x09", "close:1002"),                             /* a ping in fragments */
        CASE("\x89\xfe", "close:1002"),                         /* a ping of more than 125 bytes */
        CASE("\x80\x80\0\0\0\0", "close:1002"),                 /* continues nothing */
        CASE("\x01\x80\0\0\0\0\x01\x80\0\0\0\0", "close:1002"), /* a message within a message */
        CASE("\x81\xfe\0\x05", "close:1002"),                   /* a length that is not minimal */
        CASE("\x82\xff\0\0\0\0\0\x20\0\0\0\0\0\0", "close:1009"),
        CASE("\x81\x81\0\0\0\0\xff", "close:1007"),         /* no UTF-8 */
        CASE("\x81\x85\0\0\0\0\xc0", "close:1007"),         /* seen before the frame is whole */
        CASE("\x81\x81\0\0\0\0\xc3", "close:1007"),         /* ends within a character */
        CASE("\x88\x81\0\0\0\0\x03", "close:1002"),         /* half a code */
        CASE("\x88\x82\0\0\0\0\x03\xed", "close:1002"),     /* 1005 */
        CASE("\x88\x83\0\0\0\0\x03\xe8\xff", "close:1007"), /* a reason that is no UTF-8 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_sockets();
        struct socket_client client = open_client();
        carom_peer_send(client.peer, cases[i].bytes, cases[i].length);
        turn();
        char expected[32];
        snprintf(expected, sizeof expected, "%s-", cases[i].close);
        assert_string_equal(noted(), expected);
        assert_string_equal(frames(&client), cases[i].close);
        assert_true(carom_peer_saw_fin(client.peer));
        carom_stats stats = finish_sockets();
        unsigned code = (unsigned)atoi(cases[i].close + 6);
        assert_int_equal(stats.websockets_closed[code - 1000], 1);
    }
}

static void limits_are_kept(void **state)
{
    (void)state;
    begin_sockets();
    program.options.max_message = 10;
    program.options.max_fragments = 3;
    struct socket_client client = open_client();
    send_text(&client, "0123456789");
    assert_string_equal(noted(), "t:0123456789");
    send_frame_of(&client, TEXT, "012345", 6);
    send_frame_of(&client, FIN, "6789x", 5);
    assert_string_equal(noted(), "close:1009-");
    assert_string_equal(frames(&client), "close:1009");
    struct socket_client other = open_client();
    send_frame_of(&other, TEXT, "", 0);
    send_frame_of(&other, 0, "", 0);
    send_frame_of(&other, 0, "", 0);
    assert_string_equal(noted(), "");
    send_frame_of(&other, 0, "", 0);
    assert_string_equal(noted(), "close:1008-");
    struct socket_client third = open_client();
    send_text(&third, "0123456789x"); /* in one piece, too */
    assert_string_equal(noted(), "close:1009-");
    finish_sockets();
}

static void pieces_are_given_as_they_come(void **state)
{
    (void)state;
    begin_sockets();
    program.options.handlers = &piece_handlers;
    program.options.max_message = 4;
    struct socket_client client = open_client();
    send_frame_of(&client, TEXT, "abcdef", 6);
    send_frame_of(&client, FIN, "gh", 2);
    send_text(&client, "all");
    assert_string_equal(noted(), "t,abcdef t.gh t.all");
    send_frame_of(&client, TEXT, "\xc3", 1); /* a character in two frames */
    send_frame_of(&client, FIN, "\xa4", 1);
    assert_string_equal(noted(), "t,\xc3 t.\xa4");
    send_frame_of(&client, TEXT, "x", 1);
    send_frame_of(&client, FIN, "", 0);
    assert_string_equal(noted(), "t,x t.");
    finish_sockets();
}

static void what_is_no_handshake_is_answered(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status, *field;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 426 ", "Sec-WebSocket-Version: 13\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 ", ""},
        {"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 ", ""},
        {HANDSHAKE("/", "Origin: http://evil.example\r\n"), "HTTP/1.1 403 ", ""},
        {HANDSHAKE("/", "Sec-WebSocket-Extensions: =\r\n"), "HTTP/1.1 400 ", ""},
    };
    begin_sockets();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct carom_peer *peer = connect_peer();
        say(peer, cases[i].request);
        turn();
        assert_got(peer, cases[i].status);
        assert_got(peer, cases[i].field);
        assert_int_equal(program.accepted, -CAROM_EPROTOCOL);
        say(peer, GET("/hold")); /* the connection goes on */
        turn();
        assert_int_equal(sim.held_count, 1);
        answer_and_release(sim.held[0], "on");
        turn();
        assert_got(peer, "on");
    }
    assert_int_equal(finish_sockets().websockets_refused, 5);
}

static void a_subprotocol_and_fields_are_agreed(void **state)
{
    (void)state;
    begin_sockets();
    program.options.protocols = "soap, chat";
    program.options.origins = "https://b.example";
    static const carom_field cookie[] = {{CAROM_SLICE("Set-Cookie"), CAROM_SLICE("a=1")}};
    static const carom_field wrong[] = {{CAROM_SLICE("Upgrade"), CAROM_SLICE("x")}};
    struct socket_client client = {.peer = connect_peer()};
    say(client.peer, HANDSHAKE("/hold", "Sec-WebSocket-Protocol: other, chat, soap\r\n"
                                        "Origin: https://b.example\r\n"));
    turn();
    carom_websocket *socket;
    assert_int_equal(carom_websocket_accept(sim.held[0], &program.options, wrong, 1, NULL, &socket),
                     -CAROM_EFIELD);
    assert_int_equal(
        carom_websocket_accept(sim.held[0], &program.options, cookie, 1, &client, &socket), 0);
    sim.held_count = 0;
    turn();
    assert_got(client.peer, "Sec-WebSocket-Protocol: chat\r\n");
    assert_got(client.peer, "Set-Cookie: a=1\r\n");
    assert_int_equal(carom_websocket_protocol(socket).length, 4);
    assert_memory_equal(carom_websocket_protocol(socket).data, "chat", 4);
    assert_ptr_equal(carom_websocket_data(socket), &client);
    finish_sockets();
}

/* Nor is another named beside it. */
static void the_program_may_choose_a_subprotocol_itself(void **state)
{
    (void)state;
    begin_sockets();
    program.options.protocols = "soap, chat";
    static const carom_field own[] = {{CAROM_SLICE("Sec-WebSocket-Protocol"), CAROM_SLICE("wamp")}};
    struct socket_client client = {.peer = connect_peer()};
    say(client.peer, HANDSHAKE("/hold", "Sec-WebSocket-Protocol: chat, wamp\r\n"));
    turn();
    carom_websocket *socket;
    assert_int_equal(carom_websocket_accept(sim.held[0], &program.options, own, 1, NULL, &socket),
                     0);
    sim.held_count = 0;
    turn();
    assert_got(client.peer, "Sec-WebSocket-Protocol: wamp\r\n");
    assert_null(strstr(got(client.peer), "chat"));
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_is_answered),
        cmocka_unit_test(messages_go_both_ways),
        cmocka_unit_test(a_message_may_come_in_any_pieces),
        cmocka_unit_test(large_messages_are_echoed),
        cmocka_unit_test(a_long_message_is_the_callers_again_at_once),
        cmocka_unit_test(long_messages_come_whole_behind_the_first),
        cmocka_unit_test(bytes_behind_the_handshake_are_messages),
        cmocka_unit_test(a_handshake_waits_behind_requests),
        cmocka_unit_test(what_breaks_the_protocol_is_answered),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(pieces_are_given_as_they_come),
        cmocka_unit_test(what_is_no_handshake_is_answered),
        cmocka_unit_test(a_subprotocol_and_fields_are_agreed),
        cmocka_unit_test(the_program_may_choose_a_subprotocol_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
