/* A VM with sockets, which is the test itself: it writes entries of the one log and reads those of
 * the other. */
#ifndef CAROM_TEST_UNIT_RING_SOCKETS_H
#define CAROM_TEST_UNIT_RING_SOCKETS_H

#include "unit/ring/vm.h"

#include "wire/ws_frame.h"

#ifndef LOG
#define LOG CAROM_SOCKETS_LEAST_LOG
#endif
#define MOST 4u

#define HANDSHAKE                                                                                  \
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* What the VM keeps of its logs. */
static struct {
    uint32_t *words;
    uint8_t *news, *messages;
    uint32_t news_head, messages_tail;
    int settings;
} sockets;

static void sockets_begin(carom_websocket_options *options)
{
    const carom_ring_socket_options room = {sizeof room, MOST, LOG, LOG};
    size_t size = (carom_ring_sockets_size(&room) + 63) / 64 * 64;
    sockets.words = aligned_alloc(64, size);
    assert_non_null(sockets.words);
    memset(sockets.words, 0, size);
    assert_int_equal(carom_ring_add_sockets(vm.ring, &room, sockets.words, size), 0);
    sockets.news = (uint8_t *)sockets.words + sockets.words[CAROM_SOCKETS_NEWS_BYTE];
    sockets.messages = (uint8_t *)sockets.words + sockets.words[CAROM_SOCKETS_MESSAGES_BYTE];
    sockets.news_head = sockets.messages_tail = 0;
    sockets.settings = carom_ring_add_socket_settings(vm.ring, options, true, true);
    assert_true(sockets.settings >= 0);
}

static void begin_all(void)
{
    carom_options options = simulation_options();
    carom_websocket_options websocket = CAROM_WEBSOCKET_OPTIONS_INIT;
    vm_begin_with(&options, 1);
    sockets_begin(&websocket);
}

static void finish_all(void)
{
    vm_finish();
    free(sockets.words);
}

static inline struct carom_guest *vm_guest(void)
{
    return sim.service->workers[0].connections.records.guest;
}

static uint32_t bad(void)
{
    return sockets.words[CAROM_SOCKETS_BAD];
}

/* ---------------------------------------------------------------- asking */

static void put_head(uint32_t size, uint32_t kind, uint32_t number, uint32_t value)
{
    const uint32_t head[] = {size, kind, number, value};
    memcpy(sockets.messages + (sockets.messages_tail & (LOG - 1)), head, sizeof head);
}

static void publish_tail(void)
{
    sockets.words[CAROM_SOCKETS_MESSAGES_TAIL] = sockets.messages_tail;
}

/* An entry, behind padding where it would cross the end. */
static void put(uint32_t kind, uint32_t number, uint32_t value, const void *data, uint32_t length)
{
    uint32_t size = CAROM_ENTRY_HEAD + length;
    uint32_t room = (size + 15) & ~15u, to_end = LOG - (sockets.messages_tail & (LOG - 1));
    if (room > to_end) {
        put_head(to_end, CAROM_ENTRY_PADDING, 0, 0);
        sockets.messages_tail += to_end;
    }
    put_head(size, kind, number, value);
    if (length > 0)
        memcpy(sockets.messages + (sockets.messages_tail & (LOG - 1)) + CAROM_ENTRY_HEAD, data,
               length);
    sockets.messages_tail += room;
    publish_tail();
}

static void ask_of(uint32_t number, uint32_t kind, uint32_t value, const void *data,
                   uint32_t length)
{
    put(kind, number, value, data, length);
    turn();
}

static void ask_accept(uint32_t slot, uint32_t generation, uint32_t settings, uint32_t number)
{
    struct {
        uint32_t words[3];
        uint16_t lengths[2];
        char field[4];
    } accept = {{slot, generation, settings}, {1, 3}, {'x', 'y', 'e', 's'}};
    ask_of(number, CAROM_ASK_ACCEPT, 0, &accept, sizeof accept);
}

static void accept_slot(uint32_t slot, uint32_t number)
{
    ask_accept(slot, slot_words(slot)[CAROM_SLOT_GENERATION], (uint32_t)sockets.settings, number);
}

/* ---------------------------------------------------------------- hearing */

struct heard {
    uint32_t size, kind, number, value;
    const uint8_t *bytes;
};

/* The next news; false: there are none. */
static bool peek(struct heard *heard)
{
    for (;;) {
        if (sockets.news_head == sockets.words[CAROM_SOCKETS_NEWS_TAIL])
            return false;
        const uint8_t *at = sockets.news + (sockets.news_head & (LOG - 1));
        uint32_t head[4];
        memcpy(head, at, sizeof head);
        assert_true((sockets.news_head & (LOG - 1)) + head[CAROM_ENTRY_SIZE] <= LOG);
        sockets.news_head += (head[CAROM_ENTRY_SIZE] + 15) & ~15u;
        if (head[CAROM_ENTRY_KIND] == CAROM_ENTRY_PADDING)
            continue;
        *heard = (struct heard){head[0] - CAROM_ENTRY_HEAD, head[1], head[2], head[3], at + 16};
        return true;
    }
}

/* What was taken is the engine's again. */
static void give_room(void)
{
    sockets.words[CAROM_SOCKETS_NEWS_HEAD] = sockets.news_head;
}

static struct heard hear(void)
{
    struct heard heard;
    assert_true(peek(&heard));
    give_room();
    return heard;
}

static void assert_heard(uint32_t kind, uint32_t number, uint32_t value, const char *bytes)
{
    struct heard heard = hear();
    assert_int_equal(heard.kind, kind);
    assert_int_equal(heard.number, number);
    assert_int_equal(heard.value, value);
    assert_int_equal(heard.size, strlen(bytes));
    assert_memory_equal(heard.bytes, bytes, heard.size);
}

/* Read a message that comes in pieces, and make room for each: its length. */
static inline uint32_t hear_pieces(uint32_t number, uint8_t *to)
{
    struct heard heard = hear();
    assert_int_equal(heard.kind, CAROM_TOLD_BINARY);
    uint32_t length = heard.value, have = 0;
    for (;;) {
        assert_int_equal(heard.number, number);
        memcpy(to + have, heard.bytes, heard.size);
        have += heard.size;
        if (have == length)
            return length;
        give_room();
        turn();
        heard = hear();
        assert_int_equal(heard.kind, CAROM_TOLD_MORE);
    }
}

static void assert_silent(void)
{
    struct heard heard;
    assert_false(peek(&heard));
}

/* ---------------------------------------------------------------- a client */

/* A frame, masked with zeros. */
static void frame(struct carom_peer *peer, uint8_t opcode, const void *data, size_t length)
{
    uint8_t bytes[16384 + 14];
    size_t size = carom_ws_head_write(bytes, opcode, true, false, length);
    bytes[1] |= 0x80;
    memset(bytes + size, 0, 4);
    memcpy(bytes + size + 4, data, length);
    carom_peer_send(peer, bytes, size + 4 + length);
}

static inline struct carom_peer *open_socket(uint32_t number)
{
    struct carom_peer *peer;
    accept_slot(ask(&peer, HANDSHAKE), number);
    assert_got(peer, "HTTP/1.1 101 ");
    assert_got(peer, "x: yes\r\n");
    assert_heard(CAROM_TOLD_OPENED, number, 0, "");
    carom_peer_forget(peer);
    return peer;
}

static void assert_received(struct carom_peer *peer, const void *bytes, size_t length)
{
    size_t have;
    const char *received = carom_peer_received(peer, &have);
    assert_int_equal(have, length);
    assert_memory_equal(received, bytes, length);
    carom_peer_forget(peer);
}

#endif
