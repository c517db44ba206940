/* Sockets over a ring: the two logs, what is told of a socket and asked of it, and that nonsense of
 * a VM hurts nobody. */
#include "unit/ring/sockets.h"

#include "ring/socket.h"

static void messages_go_both_ways(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    frame(peer, CAROM_WS_TEXT, "hello", 5);
    frame(peer, CAROM_WS_BINARY, "\1\2", 2);
    frame(peer, CAROM_WS_PONG, "so", 2);
    turn();
    assert_heard(CAROM_TOLD_TEXT, 1, 5, "hello");
    assert_heard(CAROM_TOLD_BINARY, 1, 2, "\1\2");
    assert_heard(CAROM_TOLD_PONG, 1, 2, "so");
    put(CAROM_ASK_TEXT, 1, 0, "ja", 2);
    put(CAROM_ASK_BINARY, 1, 0, "nein", 4);
    ask_of(1, CAROM_ASK_PING, 0, "da?", 3);
    assert_received(peer, "\x81\2ja\x82\4nein\x89\3da?", 15);
    assert_int_equal(sockets.words[CAROM_SOCKETS_LEFT_WORD], 6);
    ask_of(1, CAROM_ASK_CLOSE, 1000, "bye", 3);
    assert_received(peer,
                    "\x88\5\3\xe8"
                    "bye",
                    7);
    frame(peer, CAROM_WS_CLOSE,
          "\3\xe8"
          "bye",
          5);
    turn();
    assert_heard(CAROM_TOLD_CLOSED | CAROM_ENTRY_CLEAN << 16, 1, 1000, "bye");
    assert_silent();
    assert_int_equal(bad(), 0);
    finish_all();
}

static void what_is_lent_comes_back(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(2);
    static const char lent[] = "these bytes are lent";
    uint32_t before = vm.control[CAROM_RING_RETURN_TAIL];
    assert_int_equal(carom_ring_lend(vm.ring, 7, lent, 20), 0);
    ask_of(2, CAROM_ASK_TEXT | CAROM_ENTRY_LENT << 16, 7, NULL, 0);
    assert_received(peer, "\x81\x14these bytes are lent", 22);
    assert_int_equal(vm.control[CAROM_RING_RETURN_TAIL] - before, 1);
    assert_int_equal(carom_ring_lend(vm.ring, 7, lent, 20), 0);
    ask_of(3, CAROM_ASK_TEXT | CAROM_ENTRY_LENT << 16, 7, NULL, 0); /* a socket that is not there */
    assert_int_equal(vm.control[CAROM_RING_RETURN_TAIL] - before, 2);
    assert_int_equal(bad(), 0);
    finish_all();
}

static void topics_reach_all_others(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *first = open_socket(1), *second = open_socket(2);
    ask_of(1, CAROM_ASK_SUBSCRIBE, 0, "t", 1);
    ask_of(2, CAROM_ASK_SUBSCRIBE, 0, "t", 1);
    ask_of(1, CAROM_ASK_PUBLISH_TEXT, 0, WORD("\1") "tone", 8);
    assert_received(first, "", 0);
    assert_received(second, "\x81\3one", 5);
    ask_of(0, CAROM_ASK_PUBLISH_BINARY, 0, WORD("\1") "ttwo", 8);
    assert_received(first, "\x82\3two", 5);
    assert_received(second, "\x82\3two", 5);
    ask_of(2, CAROM_ASK_UNSUBSCRIBE, 0, "t", 1);
    ask_of(0, CAROM_ASK_PUBLISH_TEXT, 0, WORD("\1") "tend", 8);
    assert_received(first, "\x81\3end", 5);
    assert_received(second, "", 0);
    ask_of(3, CAROM_ASK_PUBLISH_TEXT, 0, WORD("\1") "tlate", 9); /* of who has ended */
    assert_received(first, "\x81\4late", 6);
    assert_int_equal(bad(), 0);
    finish_all();
}

/* A request that is refused was answered, and its number is free again. */
static void a_refused_request_is_told(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer;
    uint32_t slot = ask(&peer, GET("/"));
    accept_slot(slot, 1);
    assert_heard(CAROM_TOLD_REFUSED, 1, CAROM_ESTATE, "");
    assert_got(peer, "HTTP/1.1 500 ");
    slot = ask(&peer, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 12\r\n\r\n");
    accept_slot(slot, 1);
    assert_heard(CAROM_TOLD_REFUSED, 1, CAROM_EPROTOCOL, "");
    assert_got(peer, "HTTP/1.1 426 ");
    open_socket(1);
    assert_int_equal(bad(), 0);
    assert_int_equal(stats_now().records_in_flight, 0);
    finish_all();
}

/* Without memory for a socket the request is answered, its slot is free, and so is the number. */
static void no_memory_for_a_socket_is_told(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer;
    uint32_t slot = ask(&peer, HANDSHAKE);
    carom_memory_fail_once_after(0);
    accept_slot(slot, 1);
    carom_memory_fail_once_after(UINT64_MAX);
    assert_heard(CAROM_TOLD_REFUSED, 1, CAROM_ENOMEM, "");
    assert_got(peer, "HTTP/1.1 500 ");
    assert_int_equal(bad(), 0);
    assert_int_equal(stats_now().records_in_flight, 0);
    open_socket(1);
    finish_all();
}

/* What makes no sense is counted, and the next entry is taken. */
static void bad_entries_are_ignored(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1), *waiting;
    uint32_t slot = ask(&waiting, HANDSHAKE);
    uint32_t generation = slot_words(slot)[CAROM_SLOT_GENERATION];
    uint32_t settings = (uint32_t)sockets.settings;
    uint32_t expected = 0;
    ask_accept(slot, generation + 1, settings, 2);
    assert_int_equal(bad(), ++expected);
    ask_accept(slot + 1, 0, settings, 2);
    assert_int_equal(bad(), ++expected);
    ask_accept(UINT32_MAX, 0, settings, 2);
    assert_int_equal(bad(), ++expected);
    ask_accept(slot, generation, settings + 1, 2);
    assert_int_equal(bad(), ++expected);
    ask_accept(slot, generation, settings, 1); /* the number of another */
    assert_int_equal(bad(), ++expected);
    ask_accept(slot, generation, settings, 0);
    assert_int_equal(bad(), ++expected);
    ask_accept(slot, generation, settings, MOST + 1);
    assert_int_equal(bad(), ++expected);
    ask_of(2, CAROM_ASK_ACCEPT, 0, "short", 5);
    assert_int_equal(bad(), ++expected);
    ask_of(1, CAROM_ASK_TEXT | CAROM_ENTRY_LENT << 16, 3, NULL, 0); /* that was never lent */
    assert_int_equal(bad(), ++expected);
    ask_of(1, CAROM_ASK_TEXT | CAROM_ENTRY_LENT << 16, UINT32_MAX, NULL, 0);
    assert_int_equal(bad(), ++expected);
    ask_of(1, CAROM_ASK_CLOSE, 1005, NULL, 0);
    assert_int_equal(bad(), ++expected);
    ask_of(1, CAROM_ASK_CLOSE, 65536 + 1000, NULL, 0);
    assert_int_equal(bad(), ++expected);
    ask_of(0, CAROM_ASK_PUBLISH_TEXT, 0, WORD("\xff") "t", 5); /* a topic longer than the entry */
    assert_int_equal(bad(), ++expected);
    ask_of(0, CAROM_ASK_PUBLISH_TEXT, 0, "\1", 1);
    assert_int_equal(bad(), ++expected);
    ask_of(1, 999, 0, NULL, 0);
    assert_int_equal(bad(), ++expected);
    char long_topic[300];
    memset(long_topic, 't', sizeof long_topic);
    ask_of(1, CAROM_ASK_SUBSCRIBE, 0, long_topic, sizeof long_topic);
    assert_int_equal(bad(), ++expected);
    ask_of(1, CAROM_ASK_TEXT, 0, "on", 2);
    assert_received(peer, "\x81\2on", 4);
    accept_slot(slot, 2);
    assert_got(waiting, "HTTP/1.1 101 ");
    assert_heard(CAROM_TOLD_OPENED, 2, 0, "");
    assert_int_equal(bad(), expected);
    finish_all();
}

/* Where sizes and positions are nonsense, what is written up to there is given up. */
static void bad_sizes_are_given_up(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    static const uint32_t sizes[] = {0, 15, LOG, LOG + 1, UINT32_MAX, UINT32_MAX - 14, 64};
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put_head(sizes[i], CAROM_ASK_TEXT, 1, 0);
        sockets.messages_tail += 16;
        publish_tail();
        turn();
        assert_int_equal(bad(), i + 1);
        assert_int_equal(sockets.words[CAROM_SOCKETS_MESSAGES_HEAD], sockets.messages_tail);
    }
    ask_of(1, CAROM_ASK_TEXT, 0, "on", 2);
    assert_received(peer, "\x81\2on", 4);
    static const uint32_t steps[] = {1, 7, 24, LOG + 16, UINT32_MAX / 2};
    for (uint32_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint32_t before = bad();
        sockets.messages_tail += steps[i];
        publish_tail();
        turn();
        assert_int_equal(bad(), before + 1);
    }
    finish_all();
}

/* A VM that says it has read what was never written has no room, and nobody else is hurt. */
static void a_bad_head_of_news_is_no_room(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    sockets.words[CAROM_SOCKETS_NEWS_HEAD] += 4096;
    frame(peer, CAROM_WS_TEXT, "hello", 5);
    turn();
    assert_silent();
    assert_true(vm_guest()->may_sleep(vm_guest()));
    give_room();
    assert_false(vm_guest()->may_sleep(vm_guest()));
    turn();
    assert_heard(CAROM_TOLD_TEXT, 1, 5, "hello");
    finish_all();
}

/* The log wraps at any place, and every message comes as it was sent. */
static void both_logs_wrap(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    char bytes[700];
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 26);
    for (uint32_t length = 1; length < sizeof bytes; length += 13) {
        frame(peer, CAROM_WS_BINARY, bytes, length);
        turn();
        struct heard heard = hear();
        assert_int_equal(heard.size, length);
        assert_memory_equal(heard.bytes, bytes, length);
        ask_of(1, CAROM_ASK_BINARY, 0, bytes, length);
        uint8_t expected[sizeof bytes + 14];
        size_t head = carom_ws_head_write(expected, CAROM_WS_BINARY, true, false, length);
        memcpy(expected + head, bytes, length);
        assert_received(peer, expected, head + length);
    }
    assert_true(sockets.news_head > 3 * LOG && sockets.messages_tail > 3 * LOG);
    assert_int_equal(bad(), 0);
    finish_all();
}

/* What does not fit waits, its socket is not read, and all comes in the end, in order; so does the
 * close of another that finds no room. */
static void a_full_log_pauses(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1), *other = open_socket(2);
    static uint8_t bytes[10000], got_bytes[10000];
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    frame(peer, CAROM_WS_BINARY, bytes, sizeof bytes);
    frame(peer, CAROM_WS_BINARY, bytes, 5);
    turn();
    frame(other, CAROM_WS_CLOSE, "\3\xe8", 2);
    turn();
    assert_true(vm_guest()->may_sleep(vm_guest())); /* there is no room: nothing spins */
    assert_int_equal(hear_pieces(1, got_bytes), sizeof bytes);
    assert_memory_equal(got_bytes, bytes, sizeof bytes);
    turn();
    struct heard heard = hear();
    assert_int_equal(heard.kind & 0xffff, CAROM_TOLD_CLOSED);
    assert_int_equal(heard.number, 2);
    turn();
    assert_int_equal(hear_pieces(1, got_bytes), 5);
    assert_silent();
    finish_all();
}

static uint64_t bins_allocated(void)
{
    const struct carom_ring_sockets *engine = atomic_load(&vm.ring->sockets);
    uint64_t allocated = 0;
    for (int i = 0; i < CAROM_BIN_COUNT; i++)
        allocated += engine->bins.pools[i].allocated;
    return allocated;
}

/* The memory of what waits is used again by the next that does: from the system it would cost more
 * than the copying. When nobody uses it, it goes. */
static void what_waits_lies_in_memory_that_is_used_again(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    static uint8_t bytes[10000], got_bytes[10000];
    uint64_t first = 0;
    for (int times = 0; times < 4; times++) {
        frame(peer, CAROM_WS_BINARY, bytes, sizeof bytes);
        turn();
        assert_int_equal(hear_pieces(1, got_bytes), sizeof bytes);
        turn();
        first = times == 0 ? bins_allocated() : first;
    }
    assert_true(first > 0);
    assert_int_equal(bins_allocated(), first);
    const struct carom_ring_sockets *engine = atomic_load(&vm.ring->sockets);
    assert_true(carom_ring_sockets_hold_memory(engine));
    for (int i = 0; i < 3; i++)
        pass(CAROM_POOL_WINDOW);
    assert_false(carom_ring_sockets_hold_memory(engine));
    finish_all();
}

/* Bytes count as left when the client has them; who asks is told when half has. */
static void what_has_left_is_counted(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_websocket_options websocket = CAROM_WEBSOCKET_OPTIONS_INIT;
    websocket.write_buffer = 1000;
    websocket.write_limit = 2000;
    vm_begin_with(&options, 1);
    sockets_begin(&websocket);
    struct carom_peer *peer = open_socket(3);
    static const char bytes[1500];
    carom_peer_set_window(peer, 0);
    ask_of(3, CAROM_ASK_BINARY | CAROM_ENTRY_DRAIN << 16, 0, bytes, sizeof bytes);
    assert_int_equal(sockets.words[CAROM_SOCKETS_LEFT_WORD + 2], 0);
    assert_silent();
    ask_of(3, CAROM_ASK_BINARY, 0, bytes, 1000); /* over the limit: it is said */
    assert_heard(CAROM_TOLD_DROPPED, 3, 1000, "");
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_heard(CAROM_TOLD_DRAINED, 3, 0, "");
    turn();
    assert_int_equal(sockets.words[CAROM_SOCKETS_LEFT_WORD + 2], 2500);
    assert_silent();
    finish_all();
}

/* The VM says how little is to wait when it is told, which may be nothing. */
static void room_is_told_when_it_is_asked_for(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(2);
    ask_of(2, CAROM_ASK_DRAIN, 0, NULL, 0);
    assert_heard(CAROM_TOLD_DRAINED, 2, 0, ""); /* nothing waits */
    static const char bytes[1500];
    carom_peer_set_window(peer, 0);
    ask_of(2, CAROM_ASK_BINARY, 0, bytes, sizeof bytes);
    ask_of(2, CAROM_ASK_DRAIN, 1499, NULL, 0);
    assert_silent();
    ask_of(2, CAROM_ASK_DRAIN, 1500, NULL, 0);
    assert_heard(CAROM_TOLD_DRAINED, 2, 0, "");
    ask_of(2, CAROM_ASK_DRAIN, 0, NULL, 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    turn();
    assert_heard(CAROM_TOLD_DRAINED, 2, 0, "");
    assert_silent();
    assert_int_equal(bad(), 0);
    finish_all();
}

/* What leaves as a turn ends, behind the guest's work, is counted before the worker sleeps. */
static void what_leaves_last_is_counted_before_the_worker_sleeps(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(2);
    put(CAROM_ASK_TEXT, 2, 0, "hello", 5);
    assert_true(carom_ring_sockets_take(vm.ring->sockets));
    carom_connections_flush(&sim.service->workers[0].connections);
    assert_received(peer, "\x81\5hello", 7);
    assert_int_equal(sockets.words[CAROM_SOCKETS_LEFT_WORD + 1], 0);
    assert_true(vm_guest()->may_sleep(vm_guest()));
    vm_guest()->awake(vm_guest());
    assert_int_equal(sockets.words[CAROM_SOCKETS_LEFT_WORD + 1], 5);
    finish_all();
}

/* A number is used again when CLOSED was heard; what was asked for before is nobody's. */
static void messages_for_who_has_gone_are_ignored(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1), *next;
    uint32_t slot = ask(&next, HANDSHAKE);
    carom_peer_reset(peer);
    turn();
    assert_heard(CAROM_TOLD_CLOSED, 1, 1006, "");
    put(CAROM_ASK_TEXT, 1, 0, "lost", 4);
    put(CAROM_ASK_CLOSE, 1, 1000, NULL, 0);
    accept_slot(slot, 1);
    assert_heard(CAROM_TOLD_OPENED, 1, 0, "");
    carom_peer_forget(next);
    ask_of(1, CAROM_ASK_TEXT, 0, "mine", 4);
    assert_received(next, "\x81\4mine", 6);
    assert_int_equal(bad(), 0);
    finish_all();
}

/* The VM answers what came before, and closes. */
static void who_is_wrong_is_answered_first(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1);
    frame(peer, CAROM_WS_TEXT, "hello", 5);
    frame(peer, 3, "", 0);
    frame(peer, CAROM_WS_TEXT, "late", 4);
    turn();
    assert_heard(CAROM_TOLD_TEXT, 1, 5, "hello");
    assert_heard(CAROM_TOLD_FAILED, 1, 1002, "");
    ask_of(1, CAROM_ASK_RESUME, 0, NULL, 0);
    assert_silent();
    put(CAROM_ASK_TEXT | CAROM_ENTRY_PLAIN << 16, 1, 0, "ja", 2);
    ask_of(1, CAROM_ASK_CLOSE, 1002, NULL, 0);
    assert_received(peer, "\x81\2ja\x88\2\3\xea", 8);
    assert_heard(CAROM_TOLD_CLOSED, 1, 1002, "");
    assert_silent();
    assert_int_equal(bad(), 0);
    finish_all();
}

/* Where there is no room for that, it is told in its place; who resets meanwhile has closed. */
static void who_is_wrong_is_told_when_there_is_room(void **state)
{
    (void)state;
    static const uint8_t bytes[2 * LOG];
    static uint8_t got_bytes[2 * LOG];
    for (int resets = 0; resets < 2; resets++) {
        begin_all();
        struct carom_peer *full = open_socket(1), *peer = open_socket(2);
        frame(full, CAROM_WS_BINARY, bytes, sizeof bytes);
        turn();
        frame(peer, 3, "", 0);
        turn();
        if (resets) {
            carom_peer_reset(peer);
            turn();
        }
        assert_int_equal(hear_pieces(1, got_bytes), sizeof bytes);
        turn();
        if (resets)
            assert_heard(CAROM_TOLD_CLOSED, 2, 1006, "");
        else
            assert_heard(CAROM_TOLD_FAILED, 2, 1002, "");
        assert_silent();
        finish_all();
    }
}

static void the_vm_is_woken_for_room(void **state)
{
    (void)state;
    begin_all();
    open_socket(1);
    int before = vm.wakes;
    ask_of(1, CAROM_ASK_TEXT, 0, "a", 1);
    assert_int_equal(vm.wakes, before);
    sockets.words[CAROM_SOCKETS_ROOM_WANTED] = 1;
    ask_of(1, CAROM_ASK_TEXT, 0, "b", 1);
    assert_int_equal(vm.wakes, before + 1);
    assert_int_equal(sockets.words[CAROM_SOCKETS_ROOM_WANTED], 0);
    finish_all();
}

/* Nothing is written into memory of a VM that has gone, and the clients are. */
static void a_vm_that_goes_takes_its_sockets_along(void **state)
{
    (void)state;
    begin_all();
    struct carom_peer *peer = open_socket(1), *full = open_socket(2);
    static const uint8_t bytes[10000];
    frame(full, CAROM_WS_BINARY, bytes, sizeof bytes);
    turn();
    carom_ring_abandon(vm.ring);
    memset(sockets.words, 0, CAROM_SOCKETS_LEFT_WORD * sizeof(uint32_t));
    turn();
    assert_true(carom_peer_saw_reset(peer));
    assert_true(carom_peer_saw_reset(full));
    assert_int_equal(sockets.words[CAROM_SOCKETS_NEWS_TAIL], 0);
    finish_all();
}

static void memory_and_settings_are_checked(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, 1);
    carom_websocket_options websocket = CAROM_WEBSOCKET_OPTIONS_INIT;
    assert_int_equal(carom_ring_add_socket_settings(vm.ring, &websocket, false, false),
                     -CAROM_ESTATE);
    static uint64_t memory[2 * LOG / 8 + 64];
    carom_ring_socket_options room = {sizeof room, MOST, LOG, LOG};
    size_t size = carom_ring_sockets_size(&room);
    assert_true(size <= sizeof memory);
    assert_int_equal(carom_ring_add_sockets(vm.ring, &room, memory, size - 1), -CAROM_EINVAL);
    assert_int_equal(carom_ring_add_sockets(vm.ring, &room, (uint8_t *)memory + 4, size),
                     -CAROM_EINVAL);
    room.sockets = CAROM_SOCKETS_MOST_NUMBER + 1;
    assert_int_equal(carom_ring_sockets_size(&room), 0);
    room.sockets = MOST;
    room.news_size = LOG + 16;
    assert_int_equal(carom_ring_sockets_size(&room), 0);
    room.news_size = LOG;
    assert_int_equal(carom_ring_add_sockets(vm.ring, &room, memory, size), 0);
    assert_int_equal(carom_ring_add_sockets(vm.ring, &room, memory, size), -CAROM_ESTATE);
    websocket.protocols = "a, b";
    websocket.origins = "*";
    for (int i = 0; i < CAROM_SOCKETS_MOST_SETTINGS; i++)
        assert_int_equal(carom_ring_add_socket_settings(vm.ring, &websocket, false, false), i);
    assert_int_equal(carom_ring_add_socket_settings(vm.ring, &websocket, false, false),
                     -CAROM_ETOOBIG);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_both_ways),
        cmocka_unit_test(what_is_lent_comes_back),
        cmocka_unit_test(topics_reach_all_others),
        cmocka_unit_test(a_refused_request_is_told),
        cmocka_unit_test(no_memory_for_a_socket_is_told),
        cmocka_unit_test(bad_entries_are_ignored),
        cmocka_unit_test(bad_sizes_are_given_up),
        cmocka_unit_test(a_bad_head_of_news_is_no_room),
        cmocka_unit_test(both_logs_wrap),
        cmocka_unit_test(a_full_log_pauses),
        cmocka_unit_test(what_waits_lies_in_memory_that_is_used_again),
        cmocka_unit_test(what_has_left_is_counted),
        cmocka_unit_test(room_is_told_when_it_is_asked_for),
        cmocka_unit_test(what_leaves_last_is_counted_before_the_worker_sleeps),
        cmocka_unit_test(messages_for_who_has_gone_are_ignored),
        cmocka_unit_test(who_is_wrong_is_answered_first),
        cmocka_unit_test(who_is_wrong_is_told_when_there_is_room),
        cmocka_unit_test(the_vm_is_woken_for_room),
        cmocka_unit_test(a_vm_that_goes_takes_its_sockets_along),
        cmocka_unit_test(memory_and_settings_are_checked),
    };
    return cmocka_run_group_tests_name("ring/sockets", tests, NULL, NULL);
}
