/* Fuzzes the ring: a VM that writes what the input says into the memory that it shares with the
 * engine: messages that are nearly right, words and bytes anywhere, commands, timers, loans of
 * bytes and of files, more slots, while peers send requests, read slowly and leave. Nothing is
 * accessed that must not be; loans come back; peers get lawful responses. When the VM has come to
 * its senses and released what it holds, a new request is answered as if nothing had been.
 *
 * Input: mode (1 byte), then orders, each a byte with its arguments (see obey). */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/loans.h"
#include "fuzz/reply.h"

#define CAPACITY    32
#define MOST_PEERS  6
#define MOST_ASKED  64 /* requests of a peer */
#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(lines) "POST / HTTP/1.1\r\nHost: a\r\n" lines "\r\n\r\n"

static struct vm {
    carom_ring *ring;
    uint32_t *control;
    uint8_t *blocks[CAPACITY / CAROM_RING_BLOCK_SLOTS];
    uint32_t *slots[CAPACITY];
    uint32_t given; /* slots of them */
    uint32_t command_tail;
    bool answers; /* whatever has news is answered at once, when it is woken */
    bool abandoned;
} vm;

static struct peer {
    struct carom_peer *end;
    bool finished;
    struct asked asked[MOST_ASKED]; /* by the requests that the ring was given */
    size_t count;
} peers[MOST_PEERS + 1]; /* and the one that comes last */
static size_t peer_count;

/* ---------------------------------------------------------------- the VM's memory */

#define BLOCK_SIZE ((size_t)CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE)

/* All memory is used again by the next input: it is exact, so that the sanitizer sees what lies
 * behind it being touched. */
static void take_memory(void)
{
    vm.control = room_for(carom_ring_control_size(CAPACITY));
    for (int i = 0; i < CAPACITY; i++) {
        uint8_t **block = &vm.blocks[i / CAROM_RING_BLOCK_SLOTS];
        if (*block == NULL)
            *block = room_for(BLOCK_SIZE);
        vm.slots[i] = (uint32_t *)(void *)(*block + i % CAROM_RING_BLOCK_SLOTS *
                                                        (size_t)CAROM_RING_SLOT_SIZE);
    }
}

static void put_command(uint32_t index)
{
    vm.control[CAROM_RING_CONTROL_WORDS + CAPACITY + (vm.command_tail++ & (CAPACITY - 1))] = index;
    vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
}

static void command(uint32_t index, uint32_t flags)
{
    uint32_t *words = vm.slots[index];
    words[CAROM_SLOT_ECHO] = words[CAROM_SLOT_GENERATION];
    words[CAROM_SLOT_FLAGS] = flags;
    put_command(index);
}

static uint32_t put_field(uint8_t *to, const char *name, const char *value)
{
    const uint16_t lengths[2] = {(uint16_t)strlen(name), (uint16_t)strlen(value)};
    memcpy(to, lengths, sizeof lengths);
    memcpy(to + 4, name, lengths[0]);
    memcpy(to + 4 + lengths[0], value, lengths[1]);
    return 4u + lengths[0] + lengths[1];
}

/* Fields by the bits of `which`. */
static uint32_t put_fields(uint8_t *to, uint8_t which)
{
    static const char *const names[] = {"X-VM", "Upgrade", "Connection", "Content-Length"};
    static const char *const values[] = {"mad", "x", "close", "5"};
    uint32_t length = 0;
    for (int i = 0; i < 4; i++)
        if (which & 1 << i)
            length += put_field(to + length, names[i], values[i]);
    return length;
}

/* A message whose parts fit together. */
static void write_message(uint32_t index, struct input *input)
{
    uint32_t *words = vm.slots[index];
    uint8_t *out = (uint8_t *)words + CAROM_SLOT_OUT;
    uint8_t which = take_byte(input);
    uint32_t fields = put_fields(out, which & 15);
    uint32_t length = take_byte(input) * 23u; /* they fit, just */
    memset(out + fields, 'v', length);
    words[CAROM_SLOT_STATUS] = take_number(input, 2);
    words[CAROM_SLOT_FIELDS_LENGTH] = fields;
    words[CAROM_SLOT_DATA_LENGTH] = length;
    words[CAROM_SLOT_DATA_LOAN] = which & 16 ? take_byte(input) % MOST_LOANS : 0;
    words[CAROM_SLOT_OUT_TRAILERS] = which & 32 ? put_fields(out + fields + length, 1) : 0;
    words[CAROM_SLOT_WHOLE_LOW] = which & 64 ? take_byte(input) : UINT32_MAX;
    words[CAROM_SLOT_WHOLE_HIGH] = which & 64 ? 0 : UINT32_MAX;
    words[CAROM_SLOT_ROOM_LOAN] = words[CAROM_SLOT_DATA_LOAN];
    words[CAROM_SLOT_NOTIFY] = which >> 7;
}

/* Of any number, also one that the ring has not, or has already. */
static void add_block(uint8_t which)
{
    uint32_t number = which % (CAPACITY / CAROM_RING_BLOCK_SLOTS + 1);
    bool is_one = number < CAPACITY / CAROM_RING_BLOCK_SLOTS;
    if (is_one && atomic_load(&vm.ring->blocks[number].state) == CAROM_BLOCK_NONE)
        memset(vm.blocks[number], 0, BLOCK_SIZE);
    int error = carom_ring_add_block(vm.ring, number, vm.blocks[is_one ? number : 0]);
    carom_assert(is_one ? error == 0 || error == -CAROM_ESTATE : error == -CAROM_ETOOBIG);
    if (error == 0)
        vm.given = CAPACITY; /* some of them, the others have no news */
}

/* ---------------------------------------------------------------- loans */

/* Bytes, or room for content. */
static void lend(uint8_t which, size_t length)
{
    uint32_t loan = which % MOST_LOANS;
    carom_assert(carom_ring_lend(vm.ring, CAROM_RING_LOANS + which, "", 0) == -CAROM_EINVAL);
    uint8_t *bytes = room_for(length);
    memset(bytes, 'l', length);
    int error = which & 128 ? carom_ring_lend_room(vm.ring, loan, bytes, length)
                            : carom_ring_lend(vm.ring, loan, bytes, length);
    lent(loan, bytes, error);
}

/* A part of a file of 4,096 bytes, or more than there is. */
static void lend_file(uint8_t which, uint8_t part)
{
    static int file = -1;
    uint32_t loan = which % MOST_LOANS;
    if (file < 0) {
        file = memfd_create("fuzz", MFD_CLOEXEC);
        carom_assert(file >= 0 && ftruncate(file, 4096) == 0);
    }
    uint64_t length = part & 1 ? CAROM_LENGTH_UNKNOWN : part * 32u;
    int error =
        carom_ring_lend_file(vm.ring, loan, part == 255 ? 0x7fffffff : file, part * 4u, length);
    lent(loan, room_for(1), error);
}

/* ---------------------------------------------------------------- the VM, sane */

static void answer(uint32_t index)
{
    uint32_t *words = vm.slots[index];
    memset(&words[CAROM_SLOT_STATUS], 0, 8 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 200;
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
}

static void wake(void *data)
{
    (void)data;
    for (uint32_t i = 0; vm.answers && i < vm.given; i++)
        if (vm.slots[i][CAROM_SLOT_NEWS] != 0) {
            vm.slots[i][CAROM_SLOT_NEWS] = 0;
            answer(i);
        }
    vm.control[CAROM_RING_VM_ASLEEP] = 1;
}

static bool holds_anything(void)
{
    return vm.ring->held > 0 || vm.ring->waiting != NULL;
}

/* Count as the engine does, and let go of everything. */
static void come_to_senses(void)
{
    vm.command_tail = vm.ring->command_head;
    for (int round = 0; holds_anything(); round++) {
        carom_assert(round < MOST_PEERS * MOST_ASKED);
        memset(&vm.control[CAROM_RING_PAGES_HELD], 0, CAROM_RING_PAGES * sizeof(uint32_t));
        for (uint32_t i = 0; i < CAPACITY; i++) {
            const struct carom_slot *slot = carom_slot_at(vm.ring, i);
            if (slot == NULL)
                continue;
            vm.slots[i][CAROM_SLOT_GENERATION] = slot->generation;
            command(i, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
        }
        network_turn();
        free_loans(vm.ring);
    }
}

/* ---------------------------------------------------------------- peers */

static void connect_peer(void)
{
    peers[peer_count++] = (struct peer){.end = carom_simulated_connect(network.loop)};
}

static void handle(carom_record *record, void *data)
{
    carom_address address;
    carom_record_peer(record, &address);
    struct peer *peer = &peers[address.port - 1];
    if (peer->count < MOST_ASKED)
        peer->asked[peer->count] = asked_by(record);
    peer->count++;
    carom_ring_handle(record, data);
}

static void say(struct peer *peer, uint8_t which)
{
    static char long_head[3000] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    static const char *const texts[] = {
        GET("/"),
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        POST("Content-Length: 9\r\n\r\nabc"), /* and 2 bytes: its empty line is content, too */
        "ghijk",
        POST("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7"),
        POST("Transfer-Encoding: chunked\r\n\r\n3\r\nabc"),
        "0\r\n\r\n",
        POST("Content-Length: 7\r\nExpect: 100-continue"),
        GET("/") GET("/"),
        "\r\n",
        "bad\r\n\r\n",
        long_head,
        POST("Content-Length: 2999"),
    };
    if (peer->finished)
        return;
    memset(long_head + 28, 'x', sizeof long_head - 29);
    memcpy(long_head + sizeof long_head - 5, "\r\n\r\n", 4);
    const char *text = texts[which % (sizeof texts / sizeof *texts)];
    carom_peer_send(peer->end, text, strlen(text));
}

static void check_peer(const struct peer *peer)
{
    size_t length;
    struct bytes_left left = {carom_peer_received(peer->end, &length), NULL};
    left.end = left.at + length;
    bool whole = peer->count <= MOST_ASKED, closes = false;
    for (size_t i = 0; i < peer->count && whole && left.at < left.end;) {
        struct reply reply;
        uint64_t total;
        carom_assert(!closes);
        if (!reply_head(&left, &reply))
            return;
        enum reply_body body = reply_body(&reply, &peer->asked[i]);
        if (reply.status / 100 == 1 && body != REPLY_TUNNEL)
            continue;
        if (body == REPLY_LENGTH)
            whole = reply_content(&left, 0, reply.length) == reply.length;
        else if (body == REPLY_CHUNKED)
            whole = reply_chunks(&left, 0, &total);
        else if (body == REPLY_TUNNEL || body == REPLY_UNTIL_CLOSE)
            return;
        closes = reply.close;
        i++;
    }
    carom_assert(!closes || !whole || left.at == left.end);
    if (whole && left.at < left.end)
        reply_refusal(&left);
}

/* ---------------------------------------------------------------- the input */

/* One order.
 * tidy: long because it is the table of the orders */
static void obey(struct input *input)
{
    uint8_t order = take_byte(input), which = take_byte(input);
    struct peer *peer = &peers[which % peer_count];
    uint32_t index = which % CAPACITY;
    uint32_t *words = vm.slots[index];
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
        carom_peer_reset(peer->end);
        break;
    case 'w':
        place = take_byte(input);
        carom_peer_set_window(peer->end, place == 255 ? SIZE_MAX : place * 16);
        break;
    case 'c':
        network_pass(which * 100u);
        break;
    case 'm':
        write_message(index, input);
        break;
    case 'M':
        write_message(index, input);
        command(index, take_number(input, 2));
        break;
    case 'C':
        command(index, take_number(input, 2));
        break;
    case 'I':
        put_command(take_number(input, 4));
        break;
    case 'W': /* a word of a slot, up to the last one of the VM's */
        place = take_byte(input) % 48;
        words[place] = take_number(input, which & 128 ? 4 : which & 64 ? 2 : 1);
        break;
    case 'B': /* a byte of what it sends */
        place = take_number(input, 2) % (CAROM_RING_SLOT_SIZE - CAROM_SLOT_OUT);
        ((uint8_t *)words)[CAROM_SLOT_OUT + place] = take_byte(input);
        break;
    case 'K': /* a word of the control block, or of its queues */
        place = take_byte(input) % (CAROM_RING_CONTROL_WORDS + 2 * CAPACITY);
        vm.control[place] = take_number(input, which & 128 ? 4 : 1);
        break;
    case 'T': /* for the VM's own idea of it, too */
        vm.command_tail = vm.control[CAROM_RING_COMMAND_TAIL];
        break;
    case 'L':
        lend(which, take_byte(input) * 100u);
        break;
    case 'F':
        lend_file(which, take_byte(input));
        break;
    case 'A':
        add_block(which);
        break;
    case 'v':
        vm.answers = which & 1;
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

static void begin(uint8_t mode)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = handle;
    options.record_state = sizeof(void *);
    options.pool_floor = 1;
    options.half_close = mode & 1;
    options.write_buffer = mode & 2 ? 100 : 0;
    options.handler_timeout = mode & 4 ? 500 : 0;
    if (vm.control == NULL)
        take_memory();
    vm.given = vm.command_tail = 0;
    memset(vm.control, 0, carom_ring_control_size(CAPACITY));
    vm.abandoned = false;
    vm.answers = mode & 8;
    peer_count = 0;

    const carom_ring_options ring_options = {
        .size = sizeof(carom_ring_options), .capacity = CAPACITY, .wake = wake};
    int error = network_create(&options);
    carom_assert(error == 0);
    error =
        carom_ring_create(&vm.ring, &ring_options, vm.control, carom_ring_control_size(CAPACITY));
    carom_assert(error == 0);
    error = carom_ring_attach(vm.ring, network.service, 0);
    carom_assert(error == 0);
    network_start(NULL);
    add_block(0);
    if (mode & 16)
        add_block(1); /* more slots than pages */
    connect_peer();
}

/* A request by a new peer is answered. */
static void serve_once(void)
{
    vm.answers = true;
    vm.control[CAROM_RING_VM_ASLEEP] = 1;
    connect_peer();
    struct peer *peer = &peers[peer_count - 1];
    network_turn();
    say(peer, 0);
    network_turn();
    size_t length;
    const char *got = carom_peer_received(peer->end, &length);
    carom_assert(length > 15 && memcmp(got, "HTTP/1.1 200 OK", 15) == 0);
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
    for (size_t i = 0; i < peer_count; i++)
        check_peer(&peers[i]);
    network_finish();
    check_loans(vm.ring);
    carom_ring_destroy(vm.ring);
    network_check_memory();
    return 0;
}
