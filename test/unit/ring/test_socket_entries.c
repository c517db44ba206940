/* The edges of the two logs of sockets: the least and the longest of every entry, the last bytes
 * before the end of a log, and what waits for room while its socket is paused, resumed or lost. */
#define LOG 16384u

#include "unit/ring/sockets.h"

#include "websocket/deflate.h"

static uint8_t bytes[3 * LOG], heard_bytes[3 * LOG];

static void begin_with(carom_websocket_options *options)
{
    carom_options http = simulation_options();
    vm_begin_with(&http, 1);
    sockets_begin(options);
}

static uint32_t news_tail(void)
{
    return sockets.words[CAROM_SOCKETS_NEWS_TAIL];
}

/* The log of messages is empty, and the next entry begins at `at`. */
static void go_to(uint32_t at)
{
    uint32_t to = (at - sockets.messages_tail) & (LOG - 1);
    if (to > 0) {
        put_head(to, CAROM_ENTRY_PADDING, 0, 0);
        sockets.messages_tail += to;
        publish_tail();
        turn();
    }
}

/* ---------------------------------------------------------------- sizes of entries */

static void a_topic_has_255_bytes_at_most(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    char topic[256], entry[4 + 256 + 3];
    for (uint32_t length = 254; length <= 256; length++) {
        uint32_t before = bad(), wrong = length > 255;
        memset(topic, 'a' + (int)(length & 15), sizeof topic);
        ask_of(1, CAROM_ASK_SUBSCRIBE, 0, topic, length);
        assert_int_equal(bad() - before, wrong);
        memcpy(entry, &length, 4);
        memset(entry + 4, 'z', length); /* nobody's */
        memcpy(entry + 4 + length, "yes", 3);
        ask_of(0, CAROM_ASK_PUBLISH_TEXT, 0, entry, 4 + length + 3);
        assert_received(peer, "", 0);
        memcpy(entry + 4, topic, length);
        ask_of(0, CAROM_ASK_PUBLISH_TEXT, 0, entry, 4 + length + 3);
        assert_int_equal(bad() - before, 3 * wrong);
        assert_received(peer, wrong ? "" : "\x81\3yes", wrong ? 0 : 5);
    }
    finish_all();
}

/* What was not lent is not sent, and not published. */
static void a_loan_that_is_not_there_is_not_published(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    ask_of(1, CAROM_ASK_SUBSCRIBE, 0, "t", 1);
    static const uint32_t loans[] = {0, CAROM_RING_LOANS - 1, CAROM_RING_LOANS, UINT32_MAX};
    for (uint32_t i = 0; i < COUNT(loans); i++) {
        ask_of(0, CAROM_ASK_PUBLISH_TEXT | CAROM_ENTRY_LENT << 16, loans[i], WORD("\1") "t", 5);
        assert_int_equal(bad(), i + 1);
    }
    assert_received(peer, "", 0);
    assert_int_equal(carom_ring_lend(vm.ring, CAROM_RING_LOANS - 1, "lent", 4), 0);
    ask_of(0, CAROM_ASK_PUBLISH_TEXT | CAROM_ENTRY_LENT << 16, CAROM_RING_LOANS - 1, WORD("\1") "t",
           5);
    assert_received(peer, "\x81\4lent", 6);
    assert_int_equal(bad(), COUNT(loans));
    finish_all();
}

/* The last number, and the longest ACCEPT; what is longer, and what ends before its third word,
 * which the one before has written, is none. */
static void an_accept_has_three_words_and_8192_bytes_at_most(void **state)
{
    (void)state;
    begin_all();
    open_socket(MOST);
    struct carom_peer *peer;
    uint32_t slot = ask(&peer, HANDSHAKE);
    const uint32_t words[3] = {slot, slot_words(slot)[CAROM_SLOT_GENERATION],
                               (uint32_t)sockets.settings};
    ask_of(MOST, CAROM_ASK_ACCEPT, 0, words, 12); /* taken already */
    assert_int_equal(bad(), 1);
    for (uint32_t length = 0; length < 12; length++)
        ask_of(2, CAROM_ASK_ACCEPT, 0, words, length);
    assert_int_equal(bad(), 13);
    memset(bytes, 'v', CAROM_SOCKETS_MOST_ACCEPT + 1);
    memcpy(bytes, words, sizeof words);
    const uint16_t lengths[2] = {1, CAROM_SOCKETS_MOST_ACCEPT - 12 - 4 - 1};
    memcpy(bytes + 12, lengths, sizeof lengths);
    ask_of(2, CAROM_ASK_ACCEPT, 0, bytes, CAROM_SOCKETS_MOST_ACCEPT + 1);
    assert_int_equal(bad(), 14);
    assert_silent();
    ask_of(2, CAROM_ASK_ACCEPT, 0, bytes, CAROM_SOCKETS_MOST_ACCEPT);
    assert_int_equal(bad(), 14);
    assert_heard(CAROM_TOLD_OPENED, 2, 0, "");
    assert_got(peer, "\r\nv: vvvv");
    finish_all();
}

/* What the slot waited for is not told of a socket. */
static void a_slot_that_became_a_socket_is_told_nothing(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer;
    uint32_t slot = ask(&peer, HANDSHAKE);
    slot_words(slot)[CAROM_SLOT_TIME] = 100;
    command(slot, CAROM_FLAG_TIMER | CAROM_FLAG_WATCH);
    accept_slot(slot, 1);
    assert_heard(CAROM_TOLD_OPENED, 1, 0, "");
    pass(200);
    assert_int_equal(news_of(slot), 0);
    carom_peer_reset(peer);
    turn();
    assert_heard(CAROM_TOLD_CLOSED, 1, 1006, "");
    assert_int_equal(news_of(slot), 0);
    finish_all();
}

/* ---------------------------------------------------------------- the log of messages */

static void an_entry_may_fill_the_log_and_not_cross_its_end(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    go_to(0);
    memset(bytes, 'x', LOG);
    ask_of(1, CAROM_ASK_TEXT, 0, bytes, LOG - 1 - CAROM_ENTRY_HEAD);
    assert_int_equal(bad(), 0);
    assert_int_equal(sockets.words[CAROM_SOCKETS_LEFT_WORD], LOG - 1 - CAROM_ENTRY_HEAD);
    carom_peer_forget(peer);
    go_to(LOG - 32);
    put_head(64, CAROM_ASK_TEXT, 1, 0); /* 32 bytes of it lie behind the end */
    sockets.messages_tail += 64;
    publish_tail();
    turn();
    assert_int_equal(bad(), 1);
    assert_received(peer, "", 0);
    go_to(LOG - 32);
    ask_of(1, CAROM_ASK_TEXT, 0, "to the very end.", 16);
    assert_received(peer, "\x81\x10to the very end.", 18);
    /* A tail that is no multiple says nothing of what lies before it. */
    put(CAROM_ASK_TEXT, 1, 0, "what?", 5);
    sockets.messages_tail += 1;
    publish_tail();
    turn();
    assert_int_equal(bad(), 2);
    assert_received(peer, "", 0);
    finish_all();
}

/* Each is told one thing, or nothing. */
static void pause_resume_and_drain_do_one_thing_each(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    ask_of(1, CAROM_ASK_PAUSE, 0, NULL, 0);
    frame(peer, CAROM_WS_TEXT, "later", 5);
    turn();
    assert_silent();
    ask_of(1, CAROM_ASK_RESUME, 0, NULL, 0);
    assert_heard(CAROM_TOLD_TEXT, 1, 5, "later");
    assert_silent();
    ask_of(1, CAROM_ASK_DRAIN, 0, NULL, 0);
    assert_heard(CAROM_TOLD_DRAINED, 1, 0, "");
    assert_silent();
    assert_int_equal(bad(), 0);
    finish_all();
}

static void plain_messages_of_a_compressed_socket(void **state)
{
    (void)state;
    if (!carom_ws_deflate_is_there())
        skip();
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    options.deflate = CAROM_WEBSOCKET_DEFLATE_OWN;
    begin_with(&options);
    struct carom_peer *peer;
    uint32_t slot = ask(&peer, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    accept_slot(slot, 1);
    assert_got(peer, "Sec-WebSocket-Extensions: permessage-deflate");
    assert_heard(CAROM_TOLD_OPENED | CAROM_ENTRY_COMPRESSED << 16, 1, 0, "");
    memset(bytes, 'a', 100);
    const struct {
        uint32_t kind;
        uint8_t first;
    } table[] = {{CAROM_ASK_TEXT, 0xc1},
                 {CAROM_ASK_BINARY, 0xc2},
                 {CAROM_ASK_TEXT | CAROM_ENTRY_PLAIN << 16, 0x81},
                 {CAROM_ASK_BINARY | CAROM_ENTRY_PLAIN << 16, 0x82}};
    for (size_t i = 0; i < COUNT(table); i++) {
        carom_peer_forget(peer);
        ask_of(1, table[i].kind, 0, bytes, 100);
        size_t length;
        const char *received = carom_peer_received(peer, &length);
        assert_int_equal((uint8_t)received[0], table[i].first);
        assert_true(table[i].first & 0x40 ? length < 50 : length == 102);
    }
    assert_int_equal(bad(), 0);
    finish_all();
}

/* ---------------------------------------------------------------- the log of news */

/* A VM that has read so much that the engine finds `room` bytes. */
static void leave_room(uint32_t room)
{
    sockets.words[CAROM_SOCKETS_NEWS_HEAD] = news_tail() + room - LOG;
}

static void news_are_as_long_as_their_room(void **state)
{
    (void)state;
    static const struct {
        uint32_t room, length;
        int64_t told; /* bytes of the first entry, or -1 */
    } table[] = {
        {1040, 5000, 1024}, {1024, 5000, -1},
        {2048, 5000, 2032}, {1040, 1024, 1024},
        {1040, 1025, 1024}, {32, 16, 16},
        {32, 17, -1},       {16, 0, 0},
        {0, 0, -1},         {LOG, LOG, LOG / 2 - 16},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        begin_all();
        struct carom_peer *peer = open_socket(1);
        uint32_t first = (news_tail() + 15) & ~15u;
        leave_room(table[i].room);
        for (uint32_t k = 0; k < table[i].length; k++)
            bytes[k] = (uint8_t)(k * 7 + k / 251);
        size_t half = table[i].length / 2; /* in two frames, which have room */
        uint8_t head[14];
        size_t size = carom_ws_head_write(head, CAROM_WS_BINARY, false, false, half);
        head[1] |= 0x80;
        memset(head + size, 0, 4);
        carom_peer_send(peer, head, size + 4);
        carom_peer_send(peer, bytes, half);
        frame(peer, CAROM_WS_CONTINUATION, bytes + half, table[i].length - half);
        turn();
        struct heard heard;
        if (table[i].told < 0) {
            assert_int_equal(news_tail(), first);
        } else {
            assert_true(peek(&heard));
            assert_int_equal(heard.kind, CAROM_TOLD_BINARY);
            assert_int_equal(heard.value, table[i].length);
            assert_int_equal(heard.size, table[i].told);
            assert_memory_equal(heard.bytes, bytes, heard.size);
            sockets.news_head = first; /* it is heard again below */
        }
        give_room();
        turn();
        assert_int_equal(hear_pieces(1, heard_bytes), table[i].length);
        assert_memory_equal(heard_bytes, bytes, table[i].length);
        give_room();
        turn();
        assert_silent();
        finish_all();
    }
}

/* What ends where the log ends has no padding before it. */
static void news_may_end_with_the_log(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    memset(bytes, 'n', LOG);
    while (LOG - (news_tail() & (LOG - 1)) > 4096) {
        frame(peer, CAROM_WS_TEXT, bytes, 4000);
        turn();
        assert_int_equal(hear().size, 4000);
    }
    uint32_t left = LOG - (news_tail() & (LOG - 1)), end = news_tail() + left;
    frame(peer, CAROM_WS_TEXT, bytes, left - CAROM_ENTRY_HEAD);
    turn();
    assert_int_equal(news_tail(), end);
    assert_int_equal(hear().size, left - CAROM_ENTRY_HEAD);
    assert_silent();
    finish_all();
}

static void pings_and_pongs_are_told_to_those_who_want_them(void **state)
{
    (void)state;
    begin_all();
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    options.size = sizeof options.size; /* a shorter struct has the usual */
    for (uint32_t i = 0; i < 4; i++) {
        struct carom_peer *peer;
        uint32_t slot = ask(&peer, HANDSHAKE);
        int settings = carom_ring_add_socket_settings(vm.ring, &options, i & 1, i & 2);
        assert_true(settings > 0);
        ask_accept(slot, slot_words(slot)[CAROM_SLOT_GENERATION], (uint32_t)settings, i + 1);
        assert_heard(CAROM_TOLD_OPENED, i + 1, 0, "");
        frame(peer, CAROM_WS_PING, "a", 1);
        frame(peer, CAROM_WS_PONG, "o", 1);
        turn();
        if (i & 1)
            assert_heard(CAROM_TOLD_PING, i + 1, 1, "a");
        if (i & 2)
            assert_heard(CAROM_TOLD_PONG, i + 1, 1, "o");
        assert_silent();
    }
    finish_all();
}

/* ---------------------------------------------------------------- waiting for room */

/* More than the log holds, of a socket with this number. */
static struct carom_peer *fill_news(uint32_t number)
{
    struct carom_peer *peer = open_socket(number);
    const size_t part = LOG / 2;
    uint8_t head[14];
    for (int i = 0; i < 5; i++) {
        size_t size = carom_ws_head_write(head, i == 0 ? CAROM_WS_BINARY : CAROM_WS_CONTINUATION,
                                          i == 4, false, part);
        head[1] |= 0x80;
        memset(head + size, 0, 4);
        carom_peer_send(peer, head, size + 4);
        carom_peer_send(peer, bytes, part);
    }
    turn();
    return peer;
}

static void hear_the_long_one(uint32_t number)
{
    assert_int_equal(hear_pieces(number, heard_bytes), 5 * LOG / 2);
    turn();
}

static void a_long_message_keeps_its_pause(void **state)
{
    (void)state;
    static const struct {
        uint32_t first, second; /* what the VM asks meanwhile; 0: nothing */
        bool reads;             /* the socket is read when the VM has heard */
    } table[] = {{0, 0, true},
                 {CAROM_ASK_PAUSE, 0, false},
                 {CAROM_ASK_RESUME, 0, true},
                 {CAROM_ASK_PAUSE, CAROM_ASK_RESUME, true},
                 {CAROM_ASK_RESUME, CAROM_ASK_PAUSE, false}};
    for (size_t i = 0; i < COUNT(table); i++) {
        begin_all();
        struct carom_peer *peer = fill_news(1);
        if (table[i].first != 0)
            ask_of(1, table[i].first, 0, NULL, 0);
        if (table[i].second != 0)
            ask_of(1, table[i].second, 0, NULL, 0);
        frame(peer, CAROM_WS_TEXT, "next", 4);
        turn();
        uint32_t before = news_tail();
        turn();
        assert_int_equal(news_tail(), before);
        hear_the_long_one(1);
        if (!table[i].reads) {
            assert_silent();
            ask_of(1, CAROM_ASK_RESUME, 0, NULL, 0);
        }
        assert_heard(CAROM_TOLD_TEXT, 1, 4, "next");
        assert_silent();
        assert_int_equal(bad(), 0);
        finish_all();
    }
}

/* A socket that opens and goes while there is no room has only closed; one that is refused, too;
 * and their numbers are free. */
static void who_goes_while_there_is_no_room(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        begin_all();
        fill_news(1);
        leave_room(0);
        struct carom_peer *peer;
        accept_slot(ask(&peer, refused ? GET("/") : HANDSHAKE), 2);
        if (!refused)
            carom_peer_reset(peer);
        turn();
        hear_the_long_one(1);
        uint32_t before = news_tail();
        assert_heard(CAROM_TOLD_CLOSED, 2, 1006, "");
        assert_silent();
        turn();
        assert_int_equal(news_tail(), before);
        open_socket(2);
        assert_int_equal(bad(), 0);
        finish_all();
    }
}

/* A message that is too much for its socket, where that cannot be told, ends it. */
static void what_is_dropped_without_room_ends_its_socket(void **state)
{
    (void)state;
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    options.write_limit = 2000;
    begin_with(&options);
    struct carom_peer *peer = open_socket(2);
    carom_peer_set_window(peer, 0);
    ask_of(2, CAROM_ASK_BINARY, 0, bytes, 1500);
    fill_news(1);
    ask_of(2, CAROM_ASK_BINARY, 0, bytes, 1000);
    hear_the_long_one(1);
    assert_heard(CAROM_TOLD_CLOSED, 2, 1006, "");
    assert_silent();
    finish_all();
}

/* Half of the usual buffer may wait when a socket has drained. */
static void the_usual_buffer_drains_at_half(void **state)
{
    (void)state;
    static const struct {
        uint32_t parts;
        bool drained;
    } table[] = {{2, true}, {3, false}};
    for (size_t i = 0; i < COUNT(table); i++) {
        begin_all();
        struct carom_peer *peer = open_socket(1);
        carom_peer_set_window(peer, 0);
        for (uint32_t k = 0; k < table[i].parts; k++)
            ask_of(1, CAROM_ASK_BINARY, 0, bytes, 16000);
        ask_of(1, CAROM_ASK_BINARY | CAROM_ENTRY_DRAIN << 16, 0, "x", 1);
        if (table[i].drained)
            assert_heard(CAROM_TOLD_DRAINED, 1, 0, "");
        assert_silent();
        finish_all();
    }
}

/* ---------------------------------------------------------------- memory */

static void sizes_are_powers_between_limits(void **state)
{
    (void)state;
    static const struct {
        uint32_t sockets, news, messages;
        bool valid;
    } table[] = {
        {1, 4096, 4096, true},
        {0, 4096, 4096, false},
        {1, 2048, 4096, false},
        {1, 4096, 2048, false},
        {1, 4095, 4096, false},
        {1, 1u << 30, 4096, true},
        {1, 4096, 1u << 30, true},
        {1, 1u << 31, 4096, false},
        {1, 4096, 1u << 31, false},
        {1, 3u << 20, 4096, false},
        {CAROM_SOCKETS_MOST_NUMBER, 4096, 8192, true},
        {CAROM_SOCKETS_MOST_NUMBER + 1, 4096, 4096, false},
        {17, 4096, 4096, true},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        carom_ring_socket_options room = {sizeof room, table[i].sockets, table[i].news,
                                          table[i].messages};
        size_t words = ((size_t)CAROM_SOCKETS_LEFT_WORD + table[i].sockets) * 4;
        size_t needed = (words + 63) / 64 * 64 + table[i].news + table[i].messages;
        assert_int_equal(carom_ring_sockets_size(&room), table[i].valid ? needed : 0);
        room.size--;
        assert_int_equal(carom_ring_sockets_size(&room), 0);
    }
    assert_int_equal(carom_ring_sockets_size(NULL), 0);
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    carom_ring_socket_options room = {sizeof room, 0, 4096, 4096};
    assert_int_equal(carom_ring_add_sockets(vm.ring, &room, bytes, sizeof bytes), -CAROM_EINVAL);
    assert_int_equal(carom_ring_add_sockets(vm.ring, NULL, bytes, sizeof bytes), -CAROM_EINVAL);
    vm_finish();
}

static void the_layout_is_told(void **state)
{
    (void)state;
    begin_all();
    assert_int_equal(sockets.words[CAROM_SOCKETS_MOST], MOST);
    assert_int_equal(sockets.words[CAROM_SOCKETS_NEWS_SIZE], LOG);
    assert_int_equal(sockets.words[CAROM_SOCKETS_MESSAGES_SIZE], LOG);
    assert_int_equal(sockets.words[CAROM_SOCKETS_MESSAGES_BYTE],
                     sockets.words[CAROM_SOCKETS_NEWS_BYTE] + LOG);
    assert_int_equal(carom_ring_add_socket_settings(vm.ring, NULL, true, true), -CAROM_EINVAL);
    finish_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_has_255_bytes_at_most),
        cmocka_unit_test(a_loan_that_is_not_there_is_not_published),
        cmocka_unit_test(an_accept_has_three_words_and_8192_bytes_at_most),
        cmocka_unit_test(a_slot_that_became_a_socket_is_told_nothing),
        cmocka_unit_test(an_entry_may_fill_the_log_and_not_cross_its_end),
        cmocka_unit_test(pause_resume_and_drain_do_one_thing_each),
        cmocka_unit_test(plain_messages_of_a_compressed_socket),
        cmocka_unit_test(news_are_as_long_as_their_room),
        cmocka_unit_test(news_may_end_with_the_log),
        cmocka_unit_test(pings_and_pongs_are_told_to_those_who_want_them),
        cmocka_unit_test(a_long_message_keeps_its_pause),
        cmocka_unit_test(who_goes_while_there_is_no_room),
        cmocka_unit_test(what_is_dropped_without_room_ends_its_socket),
        cmocka_unit_test(the_usual_buffer_drains_at_half),
        cmocka_unit_test(sizes_are_powers_between_limits),
        cmocka_unit_test(the_layout_is_told),
    };
    return cmocka_run_group_tests_name("ring/socket_entries", tests, NULL, NULL);
}
