/* Fuzzes the sockets of a ring: a VM that accepts, sends, publishes, lends and closes by entries
 * that are nearly right, and that writes words and bytes anywhere into the two logs, while clients
 * send frames, right and wrong ones, read slowly and leave. Nothing is accessed that must not be,
 * and loans come back. When the VM has come to its senses, a new socket echoes as if nothing had
 * been.
 *
 * Input: mode (1 byte), then orders, each a byte with its arguments (see obey). */
#include "fuzz/loans.h"

#include "ring/socket.h"
#include "wire/ws_frame.h"

#define CAPACITY   CAROM_RING_BLOCK_SLOTS
#define MOST_PEERS 6
#define NUMBERS    4u
#define LOG        CAROM_SOCKETS_LEAST_LOG
#define HANDSHAKE(more)                                                                            \
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" more "\r\n"

static struct vm {
    carom_ring *ring;
    uint32_t *control, *words; /* of the ring, and of the sockets */
    uint8_t *block;
    size_t size; /* of `words` */
    uint32_t command_tail, tail;
    bool abandoned;
} vm;

static struct peer {
    struct carom_peer *end;
    bool finished;
} peers[MOST_PEERS + 1]; /* and the one that comes last */
static size_t peer_count;

static uint32_t *slot_words(uint32_t index)
{
    return (uint32_t *)(void *)(vm.block + (size_t)index * CAROM_RING_SLOT_SIZE);
}

/* ---------------------------------------------------------------- loans */

static void lend(uint8_t which, size_t length)
{
    uint32_t loan = which % MOST_LOANS;
    uint8_t *bytes = room_for(length);
    memset(bytes, 'l', length);
    lent(loan, bytes, carom_ring_lend(vm.ring, loan, bytes, length));
}

/* ---------------------------------------------------------------- the VM */

static uint8_t *messages(void)
{
    return (uint8_t *)vm.words + vm.size - LOG;
}

/* An entry whose parts fit together, behind padding where it would cross the end. */
static void put(uint32_t kind, uint32_t number, uint32_t value, const void *data, uint32_t length)
{
    uint32_t head[4] = {CAROM_ENTRY_HEAD + length, kind, number, value};
    uint32_t room = carom_entry_room(head[0]), to_end = LOG - (vm.tail & (LOG - 1));
    if (room > to_end) {
        const uint32_t padding[4] = {to_end, CAROM_ENTRY_PADDING, 0, 0};
        memcpy(messages() + (vm.tail & (LOG - 1)), padding, sizeof padding);
        vm.tail += to_end;
    }
    memcpy(messages() + (vm.tail & (LOG - 1)), head, sizeof head);
    if (length > 0)
        memcpy(messages() + (vm.tail & (LOG - 1)) + CAROM_ENTRY_HEAD, data, length);
    vm.tail += room;
    vm.words[CAROM_SOCKETS_MESSAGES_TAIL] = vm.tail;
}

static void accept_slot(uint32_t index, uint32_t number, uint32_t settings)
{
    const uint32_t accept[3] = {index, slot_words(index)[CAROM_SLOT_GENERATION], settings};
    put(CAROM_ASK_ACCEPT, number, 0, accept, sizeof accept);
}

/* Any entry: of letters, or of what the input says. */
static void put_some(uint8_t kind, struct input *input)
{
    uint8_t bytes[300];
    uint32_t number = take_byte(input) % (NUMBERS + 3), flags = take_byte(input);
    uint32_t value = take_number(input, flags & 128 ? 2 : 1), length = take_byte(input);
    memset(bytes, 'm', sizeof bytes);
    if (flags & 64)
        for (uint32_t i = 0; i < 8; i++)
            bytes[i] = take_byte(input);
    if (kind % 16 >= CAROM_ASK_PUBLISH_TEXT) {
        const uint32_t topic = 1;
        memcpy(bytes, &topic, sizeof topic);
    }
    put((kind % 16) | (flags & 31u) << 16, number, value, bytes, length);
}

static void wake(void *data)
{
    (void)data;
    vm.control[CAROM_RING_VM_ASLEEP] = 1;
}

/* Know what the engine knows, end all sockets, and let go of all requests. */
static void come_to_senses(void)
{
    struct carom_ring_sockets *sockets = atomic_load(&vm.ring->sockets);
    vm.tail = sockets->messages.at;
    vm.command_tail = vm.ring->command_head;
    for (int round = 0; vm.ring->held > 0 || vm.ring->waiting != NULL || sockets->pool.in_use > 0;
         round++) {
        carom_assert(round < 1000);
        vm.words[CAROM_SOCKETS_NEWS_HEAD] = sockets->news.at;
        for (uint32_t number = 1; number <= NUMBERS; number++)
            put(CAROM_ASK_ABORT, number, 0, NULL, 0);
        for (uint32_t i = 0; i < CAPACITY; i++) {
            uint32_t *words = slot_words(i);
            const struct carom_slot *slot = carom_slot_at(vm.ring, i);
            words[CAROM_SLOT_GENERATION] = words[CAROM_SLOT_ECHO] = slot->generation;
            words[CAROM_SLOT_FLAGS] = CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE;
            vm.control[CAROM_RING_CONTROL_WORDS + CAPACITY + (vm.command_tail++ & (CAPACITY - 1))] =
                i;
        }
        vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
        carom_ring_wake(vm.ring);
        network_turn();
        free_loans(vm.ring);
    }
    vm.words[CAROM_SOCKETS_NEWS_HEAD] = sockets->news.at;
}

/* ---------------------------------------------------------------- clients */

static void connect_peer(void)
{
    peers[peer_count++] = (struct peer){.end = carom_simulated_connect(network.loop)};
}

static void say(struct peer *peer, uint8_t which)
{
    static char large[6000] = "\x82\xfe\x17\x68    ";
    static const struct {
        const char *bytes;
        size_t length;
    } texts[] = {
#define SAY(text) {text, sizeof(text) - 1}
        SAY(HANDSHAKE("")),
        SAY(HANDSHAKE("Sec-WebSocket-Extensions: permessage-deflate\r\n")),
        SAY(HANDSHAKE("Origin: http://b\r\n")),
        SAY("\x81\x85    HELLO"),
        SAY("\x01\x82    ON"),
        SAY("\x80\x82    CE"),
        SAY("\x89\x81    X"),
        SAY("\x8a\x80    "),
        SAY("\x88\x82    \x23\xc8"),
        SAY("\xc1\x87    \xea\x68\xed\xe9\xe9\x27\x20"),
        SAY("\x81\x81    \xdf"),
        SAY("\x83"),
        SAY("\x81\x85    HEL"),
        SAY("\x82\xff\0\0\0\0\0\x20\0\0    "),
        {large, sizeof large},
        SAY("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
#undef SAY
    };
    if (!peer->finished)
        carom_peer_send(peer->end, texts[which % 16].bytes, texts[which % 16].length);
}

/* ---------------------------------------------------------------- the input */

static void obey_client(uint8_t order, struct peer *peer, struct input *input)
{
    uint32_t place;
    switch (order) {
    case 's':
        say(peer, take_byte(input));
        break;
    case 'n':
        if (peer_count < MOST_PEERS)
            connect_peer();
        break;
    case 'f':
        peer->finished = true;
        carom_peer_shutdown(peer->end);
        break;
    case 'r':
        peer->finished = true;
        carom_peer_reset(peer->end);
        break;
    default:
        place = take_byte(input);
        carom_peer_set_window(peer->end, place == 255 ? SIZE_MAX : place * 16);
        break;
    }
}

/* One order. */
static void obey(struct input *input)
{
    uint8_t order = take_byte(input), which = take_byte(input);
    uint32_t place;
    switch (order) {
    case 's':
    case 'n':
    case 'f':
    case 'r':
    case 'w':
        obey_client(order, &peers[which % peer_count], input);
        break;
    case 'c':
        network_pass(which * 100u);
        break;
    case 'a':
        accept_slot(which % CAPACITY, take_byte(input) % (NUMBERS + 2), take_byte(input) % 3);
        break;
    case 'e':
        put_some(which, input);
        break;
    case 'W': /* a word of the sockets', up to the last one that counts */
        place = take_byte(input) % (CAROM_SOCKETS_LEFT_WORD + NUMBERS);
        vm.words[place] = take_number(input, which & 128 ? 4 : 1);
        break;
    case 'B': /* a byte of the logs */
        place = take_number(input, 2) % (2 * LOG);
        ((uint8_t *)vm.words)[vm.size - 2 * LOG + place] = which;
        break;
    case 't': /* more was written than was */
        vm.tail += which & 128 ? which : which % 8 * 16u;
        vm.words[CAROM_SOCKETS_MESSAGES_TAIL] = vm.tail;
        break;
    case 'h': /* all news were read */
        vm.words[CAROM_SOCKETS_NEWS_HEAD] = vm.words[CAROM_SOCKETS_NEWS_TAIL];
        break;
    case 'L':
        lend(which, take_byte(input) * 30u);
        break;
    case 'x':
        vm.abandoned = true;
        carom_ring_abandon(vm.ring);
        break;
    default:
        carom_ring_wake(vm.ring);
        network_turn();
        break;
    }
}

static void add_sockets(uint8_t mode)
{
    const carom_ring_socket_options room = {sizeof room, NUMBERS, LOG, LOG};
    carom_websocket_options options = CAROM_WEBSOCKET_OPTIONS_INIT;
    vm.size = carom_ring_sockets_size(&room);
    if (vm.words == NULL)
        vm.words = room_for(vm.size);
    memset(vm.words, 0, vm.size);
    int error = carom_ring_add_sockets(vm.ring, &room, vm.words, vm.size);
    carom_assert(error == 0);
    options.write_buffer = mode & 1 ? 100 : 0;
    options.write_limit = mode & 2 ? 500 : 0;
    options.close_at_limit = mode & 4;
    error = carom_ring_add_socket_settings(vm.ring, &options, true, true);
    carom_assert(error == 0);
    options.deflate = mode & 8 ? CAROM_WEBSOCKET_DEFLATE_OWN : CAROM_WEBSOCKET_DEFLATE_SHARED;
    options.deflate_threshold = 1;
    error = carom_ring_add_socket_settings(vm.ring, &options, false, true);
    carom_assert(error == 1);
}

/* All memory is used again by the next input: it is exact, so that the sanitizer sees what lies
 * behind it being touched. */
static void begin(uint8_t mode)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = carom_ring_handle;
    options.record_state = sizeof(void *);
    options.pool_floor = 1;
    size_t control = carom_ring_control_size(CAPACITY);
    size_t block = (size_t)CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE;
    if (vm.control == NULL) {
        vm.control = room_for(control);
        vm.block = room_for(block);
    }
    memset(vm.control, 0, control);
    memset(vm.block, 0, block);
    vm.command_tail = vm.tail = 0;
    vm.abandoned = false;
    peer_count = 0;
    const carom_ring_options ring_options = {
        .size = sizeof(carom_ring_options), .capacity = CAPACITY, .wake = wake};
    int error = network_create(&options);
    carom_assert(error == 0);
    error = carom_ring_create(&vm.ring, &ring_options, vm.control, control);
    carom_assert(error == 0);
    error = carom_ring_attach(vm.ring, network.service, 0);
    carom_assert(error == 0);
    network_start(NULL);
    error = carom_ring_add_block(vm.ring, 0, vm.block);
    carom_assert(error == 0);
    add_sockets(mode);
    connect_peer();
}

/* A new client is accepted, and what it says comes back. */
static void serve_once(void)
{
    static const char frame[] = "\x81\2on";
    connect_peer();
    struct peer *peer = &peers[peer_count - 1];
    network_turn();
    say(peer, 0);
    network_turn();
    for (uint32_t i = 0; i < CAPACITY; i++)
        if (carom_slot_at(vm.ring, i)->state == CAROM_SLOT_HELD)
            accept_slot(i, 1, 0);
    carom_ring_wake(vm.ring);
    network_turn();
    put(CAROM_ASK_TEXT, 1, 0, "on", 2);
    carom_ring_wake(vm.ring);
    network_turn();
    size_t length;
    const char *got = carom_peer_received(peer->end, &length);
    carom_assert(length > 16 && memcmp(got, "HTTP/1.1 101 ", 13) == 0 &&
                 memcmp(got + length - 4, frame, 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    begin(take_byte(&input));
    while (input.length > 0) {
        obey(&input);
        free_loans(vm.ring);
    }
    network_turn();
    if (!vm.abandoned) {
        come_to_senses();
        serve_once();
    }
    carom_ring_abandon(vm.ring);
    network_turn();
    network_shut_down();
    network_finish();
    check_loans(vm.ring);
    carom_ring_destroy(vm.ring);
    network_check_memory();
    return 0;
}
