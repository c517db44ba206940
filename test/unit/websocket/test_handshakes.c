/* What a handshake asks for and what it is answered with: who asks for a socket at all, fields of
 * the program beside those of the engine, compression as the options have it. */
#include "unit/websocket/sockets.h"

static struct socket_client client;

/* A request that waits for the program, with `more` fields. */
static carom_record *ask(const char *request)
{
    client = (struct socket_client){.peer = connect_peer()};
    say(client.peer, request);
    turn();
    assert_int_equal(sim.held_count, 1);
    return sim.held[--sim.held_count];
}

#define HOLD(more) HANDSHAKE("/hold", more)

static int accept_it(carom_record *record, const carom_field *fields, size_t count)
{
    carom_websocket *socket = (carom_websocket *)(uintptr_t)record;
    int error = carom_websocket_accept(record, &program.options, fields, count, NULL, &socket);
    if (error < 0)
        assert_null(socket);
    turn();
    return error;
}

static const char *head(void)
{
    static char text[16384];
    size_t length;
    const char *bytes = carom_peer_received(client.peer, &length);
    snprintf(text, sizeof text, "%.*s", (int)length, bytes);
    return text;
}

#define assert_has(text)   assert_non_null(strstr(head(), text))
#define assert_lacks(text) assert_null(strstr(head(), text))

/* ---------------------------------------------------------------- who asks */

static void only_a_websocket_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *protocol;
        bool asked;
    } cases[] = {
        {"websocket", true},   {"WebSocket", true}, {"websockex", false}, {"websocke", false},
        {"websockets", false}, {"h2c", false},      {"webSOCKET", true},
    };
    begin_sockets();
    for (size_t i = 0; i < COUNT(cases); i++) {
        char request[300];
        snprintf(request, sizeof request,
                 "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                 cases[i].protocol);
        carom_record *record = ask(request);
        if (carom_websocket_is_asked(record) != cases[i].asked)
            fail_msg("%s", cases[i].protocol);
        assert_int_equal(accept_it(record, NULL, 0), cases[i].asked ? 0 : -CAROM_ESTATE);
        if (!cases[i].asked)
            carom_release(record);
        turn();
    }
    finish_sockets();
}

static void a_handshake_is_whole(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"GEX /hold HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 "},
        {"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 131\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 14\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         "HTTP/1.1 426 "},
        {HOLD("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "HTTP/1.1 400 "},
        {HOLD("Sec-WebSocket-Version: 13\r\n"), "HTTP/1.1 426 "},
        {HOLD("Origin: http://a\r\nOrigin: http://a\r\n"), "HTTP/1.1 403 "},
        {HOLD("Origin: http://a\r\n"), "HTTP/1.1 101 "},
    };
    begin_sockets();
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool good = i == COUNT(cases) - 1;
        carom_record *record = ask(cases[i].request);
        assert_int_equal(accept_it(record, NULL, 0), good ? 0 : -CAROM_EPROTOCOL);
        if (!good)
            carom_release(record);
        assert_has(cases[i].status);
    }
    assert_int_equal(finish_sockets().websockets_refused, COUNT(cases) - 1);
}

/* ---------------------------------------------------------------- fields */

static void what_the_handshake_says_is_ours(void **state)
{
    (void)state;
    static const carom_field ours[] = {
        {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")},
        {CAROM_SLICE("connection"), CAROM_SLICE("x")},
        {CAROM_SLICE("SEC-WEBSOCKET-ACCEPT"), CAROM_SLICE("x")},
        {CAROM_SLICE("Sec-WebSocket-Extensions"), CAROM_SLICE("x")},
    };
    begin_sockets();
    for (size_t i = 0; i < COUNT(ours); i++) {
        carom_record *record = ask(HOLD(""));
        assert_int_equal(accept_it(record, &ours[i], 1), -CAROM_EFIELD);
        assert_int_equal(accept_it(record, NULL, 1), -CAROM_EINVAL);
        assert_int_equal(accept_it(record, NULL, 0), 0); /* nothing was said by then */
        assert_has("HTTP/1.1 101 ");
    }
    finish_sockets();
}

static void fields_of_the_program_are_sent(void **state)
{
    (void)state;
    /* Among them those that begin as one of ours, or are the beginning of one. */
    static const carom_field given[] = {
        {CAROM_SLICE("s"), CAROM_SLICE("1")},
        {CAROM_SLICE("sec-websocket"), CAROM_SLICE("2")},
        {CAROM_SLICE("Upgrade-Insecure-Requests"), CAROM_SLICE("3")},
    };
    begin_sockets();
    assert_int_equal(accept_it(ask(HOLD("")), given, COUNT(given)), 0);
    assert_has("\r\ns: 1\r\n");
    assert_has("\r\nsec-websocket: 2\r\n");
    assert_has("\r\nUpgrade-Insecure-Requests: 3\r\n");
    static carom_field many[200];
    static char names[COUNT(many)][8];
    for (size_t i = 0; i < COUNT(many); i++) {
        snprintf(names[i], sizeof names[i], "f%zu", i);
        many[i] = (carom_field){{names[i], strlen(names[i])}, CAROM_SLICE("y")};
    }
    assert_int_equal(accept_it(ask(HOLD("")), many, COUNT(many)), 0);
    for (size_t i = 0; i < COUNT(many); i++) {
        char line[20];
        snprintf(line, sizeof line, "\r\nf%zu: y\r\n", i);
        assert_has(line);
    }
    finish_sockets();
}

/* The program has looked at more than names, and says which. */
static void the_programs_choice_of_a_protocol_stands(void **state)
{
    (void)state;
    static const carom_field choice = {CAROM_SLICE("Sec-WebSocket-Protocol"), CAROM_SLICE("soap")};
    begin_sockets();
    program.options.protocols = "chat, soap";
    assert_int_equal(accept_it(ask(HOLD("Sec-WebSocket-Protocol: chat, soap\r\n")), NULL, 0), 0);
    assert_has("Sec-WebSocket-Protocol: chat\r\n");
    assert_int_equal(accept_it(ask(HOLD("Sec-WebSocket-Protocol: chat, soap\r\n")), &choice, 1), 0);
    assert_has("Sec-WebSocket-Protocol: soap\r\n");
    assert_lacks("chat");
    finish_sockets();
}

/* ---------------------------------------------------------------- compression */

static void compression_is_as_the_options_have_it(void **state)
{
    (void)state;
#define OFFER "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    begin_sockets();
    program.options.deflate = CAROM_WEBSOCKET_DEFLATE_OFF;
    assert_int_equal(accept_it(ask(HOLD(OFFER)), NULL, 0), 0);
    assert_lacks("Extensions");
    send_frame_of(&client, FIN | 0x40 | TEXT, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7); /* "Hello" */
    assert_string_equal(noted(), "open close:1002-"); /* nobody has agreed to that */
    if (carom_ws_deflate_is_there()) {
        program.options.deflate = CAROM_WEBSOCKET_DEFLATE_SHARED;
        assert_int_equal(accept_it(ask(HOLD(OFFER)), NULL, 0), 0);
        assert_has("permessage-deflate");
        assert_has("server_no_context_takeover");
        program.options.deflate = CAROM_WEBSOCKET_DEFLATE_OWN;
        assert_int_equal(accept_it(ask(HOLD(OFFER)), NULL, 0), 0);
        assert_has("permessage-deflate");
        assert_lacks("server_no_context_takeover");
    }
    finish_sockets();
}

/* ---------------------------------------------------------------- too late */

static void who_has_left_is_not_accepted(void **state)
{
    (void)state;
    begin_sockets();
    carom_record *record = ask(HOLD(""));
    carom_peer_reset(client.peer);
    turn();
    assert_int_equal(accept_it(record, NULL, 0), -CAROM_ECANCELED);
    carom_release(record);
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_websocket_is_asked_for),
        cmocka_unit_test(a_handshake_is_whole),
        cmocka_unit_test(what_the_handshake_says_is_ours),
        cmocka_unit_test(fields_of_the_program_are_sent),
        cmocka_unit_test(the_programs_choice_of_a_protocol_stands),
        cmocka_unit_test(compression_is_as_the_options_have_it),
        cmocka_unit_test(who_has_left_is_not_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
