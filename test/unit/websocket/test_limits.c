/* Both sides of every limit of a socket: what its options are when they say nothing, what they may
 * be, what the calls take, and what is counted. */
#include "unit/websocket/sockets.h"

static char long_text[1100000];

static void begin_with(void (*change)(carom_websocket_options *options))
{
    const carom_options options = sockets_options();
    memset(long_text, 'x', sizeof long_text);
    if (change != NULL)
        change(&program.options);
    begin(&options);
}

static int send_bytes(carom_websocket *socket, size_t length)
{
    const carom_content content = {.data = long_text, .length = length};
    return carom_websocket_send(socket, CAROM_WEBSOCKET_BINARY, &content);
}

/* ---------------------------------------------------------------- options */

/* What accept says of options, to one that waits. */
static int accept_with(const carom_websocket_options *options)
{
    struct carom_peer *peer = connect_peer();
    say(peer, HANDSHAKE("/hold", ""));
    turn();
    carom_record *record = sim.held[--sim.held_count];
    carom_websocket *socket;
    int error = carom_websocket_accept(record, options, NULL, 0, NULL, &socket);
    if (error < 0)
        carom_release(record);
    turn();
    noted();
    return error;
}

static void options_are_checked(void **state)
{
    (void)state;
    static char words[2 * 201 + 1];
    for (int i = 0; i < 201; i++)
        memcpy(words + (ptrdiff_t)2 * i, "a,", 3);
    char *most = strdup(words + 2);
    assert_non_null(most);
    const struct {
        uint8_t window, memory, level;
        const char *protocols, *origins;
        int error;
    } table[] = {
        {0, 0, 0, NULL, NULL, 0},
        {8, 0, 0, NULL, NULL, -CAROM_EINVAL},
        {9, 0, 0, NULL, NULL, 0},
        {15, 9, 9, NULL, NULL, 0},
        {16, 0, 0, NULL, NULL, -CAROM_EINVAL},
        {0, 10, 0, NULL, NULL, -CAROM_EINVAL},
        {0, 0, 10, NULL, NULL, -CAROM_EINVAL},
        {0, 0, 0, most, NULL, 0},
        {0, 0, 0, words, NULL, -CAROM_EINVAL},
        {0, 0, 0, NULL, "*", 0},
        {0, 0, 0, NULL, most, 0},
        {0, 0, 0, NULL, words, -CAROM_EINVAL},
    };
    begin_with(NULL);
    for (size_t i = 0; i < COUNT(table); i++) {
        carom_websocket_options options = program.options;
        options.deflate_window = table[i].window;
        options.deflate_memory = table[i].memory;
        options.deflate_level = table[i].level;
        options.protocols = table[i].protocols;
        options.origins = table[i].origins;
        assert_int_equal(accept_with(&options), table[i].error);
    }
    finish_sockets();
    free(most);
}

/* The struct that all sockets with these options share. */
static const struct carom_ws_settings *settings_of(int i)
{
    return program.sockets[i]->settings;
}

static void what_options_do_not_say(void **state)
{
    (void)state;
    begin_with(NULL);
    program.options.ping_interval = 0;
    open_client();
    const carom_websocket_options *filled = &settings_of(0)->options;
    assert_int_equal(filled->max_message, 1048576);
    assert_int_equal(filled->max_fragments, 1024);
    assert_int_equal(filled->write_limit, 1048576);
    assert_int_equal(filled->write_buffer, 65536);
    assert_int_equal(filled->ping_interval, 25000);
    assert_int_equal(filled->pong_timeout, 20000);
    assert_int_equal(filled->close_timeout, 5000);
    assert_int_equal(filled->deflate_threshold, 64);
    assert_int_equal(filled->deflate_window, 12);
    assert_int_equal(filled->deflate_memory, 5);
    assert_int_equal(filled->deflate_level, 1);
    finish_sockets();
}

/* Eight are looked at, the last ones first, and who has others has a struct for each. */
static void the_last_eight_settings_are_shared(void **state)
{
    (void)state;
    begin_with(NULL);
    for (uint32_t i = 0; i < 9; i++) {
        program.options.max_fragments = 10 + i;
        open_client();
    }
    static const struct {
        uint32_t fragments;
        int with; /* the socket whose settings these are, or -1: nobody's */
    } table[] = {{18, 8}, {11, 1}, {10, -1}};
    for (size_t i = 0; i < COUNT(table); i++) {
        program.options.max_fragments = table[i].fragments;
        open_client();
        int mine = program.count - 1, with = -1;
        for (int k = 0; k < mine; k++)
            if (settings_of(k) == settings_of(mine))
                with = k;
        assert_int_equal(with, table[i].with);
    }
    finish_sockets();
}

/* Handlers of a program that knows fewer of them. */
static void shorter_handlers_are_shared_too(void **state)
{
    (void)state;
    static const carom_websocket_handlers shorter = {
        .size = offsetof(carom_websocket_handlers, drain),
        .open = socket_opened,
        .message = socket_message,
        .drain = socket_drained, /* behind the end */
    };
    begin_with(NULL);
    program.options.handlers = &shorter;
    for (int i = 0; i < 2; i++) {
        open_client();
        assert_null(settings_of(i)->handlers.drain);
        assert_null(settings_of(i)->handlers.close);
    }
    assert_ptr_equal(settings_of(0), settings_of(1));
    finish();
    assert_int_equal(carom_memory_held(), program.held);
}

static void lists_are_separated_by_commas_and_blanks(void **state)
{
    (void)state;
    static const char *const lists[] = {"one,two",    "one two",     "one\ttwo",
                                        "one , two,", "\tone,\ttwo", ",,one,,two,,"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        begin_with(NULL);
        program.options.protocols = lists[i];
        struct socket_client client = open_with(HANDSHAKE("/", "Sec-WebSocket-Protocol: two\r\n"));
        assert_got(client.peer, "Sec-WebSocket-Protocol: two\r\n");
        assert_int_equal(settings_of(0)->protocol_count, 2);
        finish_sockets();
    }
}

/* ---------------------------------------------------------------- what calls take */

static void a_close_has_123_bytes_of_text_at_most(void **state)
{
    (void)state;
    static const struct {
        uint16_t code;
        const char *text;
        size_t length;
        int error;
    } table[] = {
        {1000, "", 0, 0},
        {1000, long_text, 123, 0},
        {1000, long_text, 124, -CAROM_EINVAL},
        {1000, "\xff", 1, -CAROM_EINVAL},
        {1000, "\xc3", 1, -CAROM_EINVAL},
        {1000, "\xc3\xa9", 2, 0},
        {0, "", 0, 0},
        {0, "x", 1, -CAROM_EINVAL},
        {999, "", 0, -CAROM_EINVAL},
        {1015, "", 0, -CAROM_EINVAL},
        {4999, "", 0, 0},
        {5000, "", 0, -CAROM_EINVAL},
    };
    begin_with(NULL);
    for (size_t i = 0; i < COUNT(table); i++) {
        struct socket_client client = open_client();
        carom_websocket *socket = program.sockets[program.count - 1];
        const carom_slice reason = {table[i].text, table[i].length};
        assert_int_equal(carom_websocket_close(socket, table[i].code, reason), table[i].error);
        turn();
        char expected[160] = "";
        if (table[i].error == 0 && table[i].code == 0)
            snprintf(expected, sizeof expected, "close:");
        else if (table[i].error == 0)
            snprintf(expected, sizeof expected, "close:%u%.*s", table[i].code, (int)table[i].length,
                     table[i].text);
        assert_string_equal(frames(&client), expected);
    }
    finish_sockets();
}

static void a_ping_has_125_bytes_at_most(void **state)
{
    (void)state;
    begin_with(NULL);
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    assert_int_equal(carom_websocket_ping(socket, long_text, 125), 0);
    assert_int_equal(carom_websocket_ping(socket, long_text, 126), -CAROM_ETOOBIG);
    assert_int_equal(carom_websocket_pong(socket, long_text, 125), 0);
    assert_int_equal(carom_websocket_pong(socket, long_text, 126), -CAROM_ETOOBIG);
    turn();
    assert_string_equal(frames(&client), "ping:#125 pong:#125");
    finish_sockets();
}

static void small_limit(carom_websocket_options *options)
{
    options->write_limit = 1000;
    options->write_buffer = 600;
}

/* A message of two bytes' head behind a message of `first` bytes that waits. */
static void what_waits_stays_within_the_limit(void **state)
{
    (void)state;
    static const struct {
        size_t first, second;
        int error;
    } table[] = {
        {100, 898, -CAROM_EAGAIN}, /* with the head of the first, 1000 */
        {100, 899, -CAROM_ETOOBIG},
        {252, 1000, -CAROM_ETOOBIG}, /* a pong and a ping would be as much, */
        {250, 1000, -CAROM_ETOOBIG}, /* and what fits by itself waits for its turn; */
        {250, 1001, -CAROM_EAGAIN},  /* what never would goes behind so little, */
        {251, 1001, -CAROM_ETOOBIG}, /* and not behind more */
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        begin_with(small_limit);
        struct socket_client client = open_client();
        carom_peer_set_window(client.peer, 0);
        carom_websocket *socket = program.sockets[0];
        assert_int_equal(send_bytes(socket, table[i].first), 0);
        size_t head = table[i].first < 126 ? 2 : 4;
        assert_int_equal(carom_websocket_buffered(socket), table[i].first + head);
        assert_int_equal(send_bytes(socket, table[i].second), table[i].error);
        finish_sockets();
    }
}

static int send_piece_of(carom_websocket *socket, size_t length, bool last)
{
    const carom_content content = {.data = long_text, .length = length};
    return carom_websocket_send_piece(socket, CAROM_WEBSOCKET_BINARY, &content, last);
}

/* Pieces are not another way around it. */
static void pieces_that_wait_stay_within_the_limit(void **state)
{
    (void)state;
    begin_with(small_limit);
    struct socket_client client = open_client();
    carom_peer_set_window(client.peer, 0);
    carom_websocket *socket = program.sockets[0];
    assert_int_equal(send_piece_of(socket, 300, false), 0);
    assert_int_equal(send_piece_of(socket, 900, false), -CAROM_ETOOBIG);
    assert_int_equal(send_piece_of(socket, 1001, true), -CAROM_ETOOBIG);
    assert_int_equal(carom_websocket_buffered(socket), 304);
    carom_peer_set_window(client.peer, SIZE_MAX);
    turn();
    assert_int_equal(send_piece_of(socket, 590, true), 0);
    turn();
    assert_string_equal(frames(&client), "b,#300 c:#590");
    noted();
    carom_websocket_close(socket, 1000, (carom_slice){NULL, 0});
    assert_int_equal(send_piece_of(socket, 1, true), -CAROM_ECANCELED);
    finish_sockets();
}

/* ---------------------------------------------------------------- what is counted */

static void bytes_are_those_of_messages(void **state)
{
    (void)state;
    begin_with(NULL);
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    static const char *const texts[] = {"one", "three", ""};
    for (size_t i = 0; i < COUNT(texts); i++) {
        const carom_content content = {.data = texts[i], .length = strlen(texts[i])};
        for (int last = 0; last < 2; last++)
            assert_int_equal(
                carom_websocket_send_piece(socket, CAROM_WEBSOCKET_TEXT, &content, last), 0);
        send_words(socket, texts[i]);
        send_text(&client, texts[i]);
    }
    turn();
    assert_string_equal(frames(&client), "t,one c:one t:one t,three c:three t:three t, c: t:");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websocket_messages_sent, 6);
    assert_int_equal(stats.websocket_bytes_sent, 24);
    assert_int_equal(stats.websocket_messages_received, 3);
    assert_int_equal(stats.websocket_bytes_received, 8);
}

static void pieces_that_come_are_counted(void **state)
{
    (void)state;
    begin_with(NULL);
    program.options.handlers = &piece_handlers;
    struct socket_client client = open_client();
    send_frame_of(&client, TEXT, "one", 3);
    send_frame_of(&client, 0, "three", 5);
    send_frame_of(&client, FIN, "", 0);
    assert_string_equal(noted(), "t,one t,three t.");
    carom_stats stats = finish_sockets();
    assert_int_equal(stats.websocket_messages_received, 1);
    assert_int_equal(stats.websocket_bytes_received, 8);
}

/* Each code up to 1014 by itself, and all others together. */
static void codes_are_counted(void **state)
{
    (void)state;
    static const struct {
        unsigned code, counted;
    } table[] = {{1000, 0}, {1001, 1}, {1014, 14}, {3000, 15}, {4999, 15}};
    begin_with(NULL);
    for (size_t i = 0; i < COUNT(table); i++) {
        struct socket_client client = open_client();
        const uint64_t before = stats_now().websockets_closed[table[i].counted];
        send_close_code(&client, table[i].code, i & 1 ? "because" : "");
        assert_int_equal(stats_now().websockets_closed[table[i].counted] - before, 1);
        char expected[40];
        snprintf(expected, sizeof expected, "close:%u+%s", table[i].code, i & 1 ? "because" : "");
        assert_string_equal(noted(), expected);
    }
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(what_options_do_not_say),
        cmocka_unit_test(the_last_eight_settings_are_shared),
        cmocka_unit_test(shorter_handlers_are_shared_too),
        cmocka_unit_test(lists_are_separated_by_commas_and_blanks),
        cmocka_unit_test(a_close_has_123_bytes_of_text_at_most),
        cmocka_unit_test(a_ping_has_125_bytes_at_most),
        cmocka_unit_test(what_waits_stays_within_the_limit),
        cmocka_unit_test(pieces_that_wait_stay_within_the_limit),
        cmocka_unit_test(bytes_are_those_of_messages),
        cmocka_unit_test(pieces_that_come_are_counted),
        cmocka_unit_test(codes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
