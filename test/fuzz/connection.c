/* Fuzzes connections on the simulated network: the whole engine but for the kernel. The input
 * decides the options, the bytes of up to four peers and how they are cut up, FIN, RST, windows,
 * the clock, failing allocation, and by the request target what the handler does (see do_letter).
 * Afterwards all records are recycled and all memory is back, borrowed content was given back once,
 * and each peer has got lawful responses, in the order of its requests, with the content that was
 * written.
 *
 * Input: options (2 bytes), then bytes that the peer sends; 0xff, an order and an argument do
 * something else (see obey). */
#include "fuzz/network.h"
#include "fuzz/reply.h"

#include "record/waker.h"

#define ESCAPE     0xff
#define MOST_PEERS 4
#define MOST_TALES 256
#define MOST_BYTES (16 * MOST_TALES) /* the shortest request has 16 */
#define LARGE      3000
#define KNOWN      20 /* the length of content that is announced */

/* What became of a request that the handler was given. */
struct tale {
    size_t peer;
    struct asked asked;
    char letter;     /* the content of its response is this, again and again */
    unsigned status; /* that the handler has answered with; 0: none */
    bool ended;      /* the handler has given all */
    uint64_t written;
};

/* What the handler keeps with a record. */
struct held {
    carom_waker waker, cancelled;
    carom_record *record;
    struct tale *tale;
    size_t at; /* in the target, which is what it does, letter by letter */
};

static struct peer {
    struct carom_peer *end;
    bool finished;
} peers[MOST_PEERS];
static size_t peer_count, current;

static struct tale tales[MOST_TALES];
static size_t tale_count;
static struct held *on_hold[MOST_TALES];
static size_t on_hold_count;
static unsigned lent;      /* content that has not been given back */
static uint64_t got_whole; /* responses that the peers have got to their end */

/* ---------------------------------------------------------------- content */

static void give_back(void *owner)
{
    carom_assert(lent > 0);
    lent--;
    free(owner);
}

/* Borrowed bytes, so that the sanitizer sees who looks at them too late. */
static carom_content lend(const struct tale *tale, size_t length)
{
    char *bytes = room_for(length);
    memset(bytes, tale->letter, length);
    lent++;
    return (carom_content){bytes, length, give_back, bytes};
}

static void look(carom_slice slice)
{
    for (size_t i = 0; i < slice.length; i++)
        (void)*(const volatile char *)&slice.data[i];
}

/* Every byte that the record shows can be read. */
static void look_at_request(struct held *held)
{
    carom_record *record = held->record;
    carom_address address;
    look(carom_request_method(record));
    look(carom_request_target(record));
    for (size_t i = 0; i < carom_request_field_count(record); i++) {
        look(carom_request_field_at(record, i).name);
        look(carom_request_field_at(record, i).value);
    }
    for (size_t i = 0; i < carom_request_trailer_count(record); i++) {
        look(carom_request_trailer_at(record, i).name);
        look(carom_request_trailer_at(record, i).value);
    }
    look(carom_request_field(record, "host"));
    carom_record_peer(record, &address);
    carom_record_local(record, &address);
    carom_assert(carom_request_content_length(record) >= -1);
    carom_outcome outcome = carom_record_outcome(record);
    carom_assert(outcome.content_received >= carom_request_buffered(record));
}

/* ---------------------------------------------------------------- responses */

static void respond(struct held *held, unsigned status, size_t length, bool close)
{
    static const carom_field connection = {CAROM_SLICE("Connection"), CAROM_SLICE("close")};
    struct tale *tale = held->tale;
    const carom_response response = {
        .status = (uint16_t)status,
        .fields = &connection,
        .field_count = close,
        .content = lend(tale, length),
    };
    if (carom_respond(held->record, &response) < 0)
        return;
    carom_assert(tale->status == 0);
    tale->status = status;
    tale->written = length;
    tale->ended = true;
}

/* It is larger than a head may be. */
static void respond_too_big(struct held *held)
{
    static char value[70000];
    const carom_field field = {CAROM_SLICE("X"), {value, sizeof value}};
    memset(value, 'x', sizeof value);
    const carom_response response = {.status = 200, .fields = &field, .field_count = 1};
    int error = carom_respond(held->record, &response);
    carom_assert(error == -CAROM_ETOOBIG || error == -CAROM_ECANCELED || error == -CAROM_ESTATE);
}

static void begin(struct held *held, uint64_t length)
{
    const carom_response response = {.status = 200, .content_length = length};
    if (carom_respond_begin(held->record, &response) < 0)
        return;
    carom_assert(held->tale->status == 0);
    held->tale->status = 200;
}

static void inform(struct held *held)
{
    static const carom_field link = {CAROM_SLICE("Link"), CAROM_SLICE("</x>")};
    const carom_response response = {.status = 103, .fields = &link, .field_count = 1};
    int error = carom_inform(held->record, &response);
    carom_assert(error < 0 || held->tale->status == 0);
}

static void upgrade(struct held *held)
{
    static const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    bool connect = held->tale->asked.connect;
    const carom_response response = {
        .status = connect ? 200 : 101, .fields = &field, .field_count = !connect};
    if (carom_upgrade(held->record, &response) < 0)
        return;
    carom_assert(held->tale->status == 0);
    held->tale->status = response.status;
}

static void write_content(struct held *held, size_t length, bool copied)
{
    char bytes[LARGE];
    carom_content content = {bytes, length, NULL, NULL};
    if (copied)
        memset(bytes, held->tale->letter, length);
    else
        content = lend(held->tale, length);
    int error = carom_write(held->record, &content);
    carom_assert(error <= 0 && (error < 0 || (held->tale->status != 0 && !held->tale->ended)));
    if (error == 0)
        held->tale->written += length;
}

static void end(struct held *held, size_t trailers)
{
    static const carom_field sum = {CAROM_SLICE("X-Sum"), CAROM_SLICE("7")};
    if (carom_end(held->record, &sum, trailers) < 0)
        return;
    carom_assert(held->tale->status != 0 && !held->tale->ended);
    held->tale->ended = true;
}

/* ---------------------------------------------------------------- the handler */

static bool waits(int error)
{
    carom_assert(error == 0 || error == -CAROM_ESTATE);
    return error == 0;
}

static bool hold_on(struct held *held)
{
    carom_assert(on_hold_count < MOST_TALES);
    on_hold[on_hold_count++] = held;
    return true;
}

/* One letter of the target; true when it is to be waited for.
 * tidy: long because it is the table of the letters */
static bool do_letter(struct held *held, char letter)
{
    carom_slice bytes;
    switch (letter) {
    case 'r':
        if (carom_request_read(held->record, &bytes) == 1)
            look(bytes);
        break;
    case 'R':
        return waits(carom_wait(held->record, CAROM_READABLE, &held->waker));
    case 'c':
        return waits(carom_request_collect(held->record, 3, &held->waker));
    case 'C':
        return waits(carom_request_collect(held->record, 1000, &held->waker));
    case 'W':
        return waits(carom_wait(held->record, CAROM_WRITABLE, &held->waker));
    case 'E':
        return waits(carom_wait(held->record, CAROM_ENDED, &held->waker));
    case 'z':
        return waits(carom_wait_time(held->record, 50, &held->waker));
    case 'p':
        carom_post(held->record, &held->waker);
        return true;
    case 'h':
        return hold_on(held);
    case 'k':
        if (waits(carom_wait(held->record, CAROM_READABLE, &held->waker)))
            carom_unwait(held->record, &held->waker);
        break;
    case 'y':
        look_at_request(held);
        break;
    case 'x':
        carom_cancel(held->record);
        break;
    case 'i':
        inform(held);
        break;
    case 'u':
        upgrade(held);
        break;
    case 'b':
        begin(held, CAROM_LENGTH_UNKNOWN);
        break;
    case 'l':
        begin(held, KNOWN);
        break;
    case 's':
        write_content(held, 5, true);
        break;
    case 'w':
        write_content(held, LARGE, false);
        break;
    case 'e':
        end(held, 0);
        break;
    case 't':
        end(held, 1);
        break;
    case 'a':
        respond(held, 200, 5, false);
        break;
    case 'A':
        respond(held, 200, LARGE, false);
        break;
    case 'q':
        respond(held, 200, 5, true);
        break;
    case 'B':
        respond_too_big(held);
        break;
    case 'n':
        respond(held, 204, 0, false);
        break;
    case 'm':
        respond(held, 304, 0, false);
        break;
    default:
        break;
    }
    return false;
}

/* Do what the target says, up to where it waits or is at its end. */
static void go_on(struct held *held)
{
    for (;;) {
        carom_slice target = carom_request_target(held->record);
        if (held->at == target.length) {
            carom_release(held->record);
            return;
        }
        if (do_letter(held, target.data[held->at++]))
            return;
    }
}

static void woken(carom_waker *waker, int status)
{
    carom_assert(status <= 0);
    go_on(carom_container(waker, struct held, waker));
}

static void cancelled(carom_waker *waker, int status)
{
    struct held *held = carom_container(waker, struct held, cancelled);
    carom_assert(status == 0);
    carom_assert(carom_record_outcome(held->record).reason > CAROM_REASON_COMPLETE);
}

static void handle(carom_record *record, void *data)
{
    (void)data;
    carom_address address;
    struct held *held = carom_record_state(record);
    carom_record_peer(record, &address);
    carom_assert(tale_count < MOST_TALES && address.port >= 1 && address.port <= peer_count);
    held->tale = &tales[tale_count];
    *held->tale = (struct tale){
        .peer = address.port - 1u,
        .letter = (char)('a' + tale_count % 26),
        .asked = asked_by(record),
    };
    tale_count++;
    held->record = record;
    held->waker.wake = woken;
    held->cancelled.wake = cancelled;
    carom_wait(record, CAROM_CANCELLED, &held->cancelled);
    go_on(held);
}

static void go_on_with(size_t index)
{
    struct held *held = on_hold[index];
    on_hold[index] = on_hold[--on_hold_count];
    go_on(held);
}

static void let_all_go_on(void)
{
    while (on_hold_count > 0) {
        go_on_with(0);
        network_turn();
    }
}

/* ---------------------------------------------------------------- what a peer has got */

/* The final response to a tale; false when it has not come whole. */
static bool check_response(struct bytes_left *left, const struct tale *tale, struct reply *reply)
{
    do {
        if (!reply_head(left, reply))
            return false;
    } while (reply->status / 100 == 1 && reply->status != 101);
    carom_assert(tale->status != 0 ? reply->status == tale->status : reply->status >= 400);
    char letter = tale->status != 0 ? tale->letter : '\0'; /* or the engine has answered */
    uint64_t total;
    switch (reply_body(reply, &tale->asked)) {
    case REPLY_LENGTH:
        if (reply_content(left, letter, reply->length) < reply->length)
            return false;
        carom_assert(!tale->ended || tale->written == reply->length);
        return true;
    case REPLY_CHUNKED:
        if (!reply_chunks(left, letter, &total))
            return false;
        carom_assert(tale->ended && total == tale->written);
        return true;
    case REPLY_TUNNEL:
        reply->close = true;
        reply_content(left, letter, UINT64_MAX);
        return true;
    case REPLY_UNTIL_CLOSE:
        return reply_content(left, letter, UINT64_MAX) == tale->written && tale->ended;
    default:
        return true;
    }
}

static void check_peer(size_t index)
{
    const struct peer *peer = &peers[index];
    size_t length;
    struct bytes_left left = {carom_peer_received(peer->end, &length), NULL};
    left.end = left.at + length;
    bool whole = true, closes = false;
    for (size_t i = 0; i < tale_count && whole && left.at < left.end; i++) {
        struct reply reply;
        if (tales[i].peer != index)
            continue;
        carom_assert(!closes);
        whole = check_response(&left, &tales[i], &reply);
        got_whole += whole;
        closes = reply.close;
    }
    if (whole && left.at < left.end) {
        carom_assert(!closes);
        whole = reply_refusal(&left);
    }
    /* A response that is cut off must be seen to be: by a reset. */
    bool orderly = carom_peer_saw_fin(peer->end) && !carom_peer_saw_reset(peer->end);
    carom_assert(whole || !orderly || peer->finished);
}

/* ---------------------------------------------------------------- the input */

static void connect_peer(void)
{
    struct carom_peer *end = peer_count < MOST_PEERS ? carom_simulated_connect(network.loop) : NULL;
    if (end == NULL)
        return;
    current = peer_count;
    peers[peer_count++] = (struct peer){.end = end};
}

static void send_bytes(const uint8_t *bytes, size_t length)
{
    if (!peers[current].finished)
        carom_peer_send(peers[current].end, bytes, length);
}

static void obey(uint8_t order, uint8_t argument)
{
    static const uint32_t times[] = {1, 51, 500, 2001, 5001, 10001, 31000, 80000};
    struct peer *peer = &peers[current];
    switch (order) {
    case 't':
        network_turn();
        break;
    case 'c':
        network_pass(times[argument % 8]);
        break;
    case 'f':
        peer->finished = true;
        carom_peer_shutdown(peer->end);
        break;
    case 'r':
        carom_peer_reset(peer->end);
        break;
    case 'n':
        connect_peer();
        break;
    case 'p':
        current = argument % peer_count;
        break;
    case 'w':
        carom_peer_set_window(peer->end, argument == 255 ? SIZE_MAX : argument * 8u);
        break;
    case 'l':
        carom_peer_set_piece(peer->end, argument == 255 ? SIZE_MAX : argument + 1u);
        break;
    case 'g':
        if (on_hold_count > 0)
            go_on_with(argument % on_hold_count);
        break;
    case 'x':
        if (on_hold_count > 0)
            carom_cancel(on_hold[argument % on_hold_count]->record);
        break;
    case 'm':
        carom_memory_fail_after(argument == 255 ? UINT64_MAX : argument);
        break;
    case 'd':
        carom_shutdown(network.service, CAROM_OFF);
        break;
    default:
        send_bytes(&order, 1);
    }
}

static carom_options options_of(uint32_t bits)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = handle;
    options.no_http2 = true; /* fuzz/h2 has it */
    options.record_state = sizeof(struct held);
    options.pool_floor = 1;
    options.half_close = bits & 1;
    options.refuse_connections = bits & 2;
    options.max_connections = bits & 4 ? 2 : 0;
    options.max_pipeline = bits & 8 ? 2 : 0;
    options.max_in_flight = bits & 16 ? 3 : 0;
    options.max_connection_requests = bits & 32 ? 2 : 0;
    options.write_buffer = bits & 64 ? 100 : 0;
    options.drain_content = bits & 128 ? 10 : 0;
    options.max_content = bits & 256 ? 20 : 0;
    options.handler_timeout = bits & 512 ? 500 : 0;
    options.max_target = bits & 1024 ? 16 : 0;
    options.max_header_section = bits & 2048 ? 64 : 0;
    options.max_fields = bits & 4096 ? 3 : 0;
    options.keep_alive = bits & 8192 ? 1000 : 0;
    options.linger_timeout = bits & 16384 ? CAROM_OFF : 0;
    options.content_rate = bits & 32768 ? CAROM_OFF : 0;
    return options;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    carom_options options = options_of(take_number(&input, 2));
    if (size > MOST_BYTES)
        return 0;
    peer_count = current = tale_count = on_hold_count = lent = 0;
    got_whole = 0;
    int error = network_create(&options);
    carom_assert(error == 0);
    network_start(NULL);
    connect_peer();
    while (input.length > 0) {
        const uint8_t *escape = memchr(input.data, ESCAPE, input.length);
        size_t length = escape != NULL ? (size_t)(escape - input.data) : input.length;
        send_bytes(input.data, length);
        input.data += length;
        input.length -= length;
        if (escape != NULL) {
            take_byte(&input);
            uint8_t order = take_byte(&input);
            obey(order, take_byte(&input));
        }
    }
    network_turn();
    let_all_go_on();
    network_shut_down();
    for (int passes = 0; network.worker->connections.records.pool.in_use > 0; passes++) {
        carom_assert(passes < MOST_TURNS);
        let_all_go_on();
        network_pass(51); /* those that wait for the time only */
    }
    for (size_t i = 0; i < peer_count; i++)
        check_peer(i);
    carom_assert(network_finish().ended[CAROM_REASON_COMPLETE] <= got_whole);
    carom_assert(lent == 0);
    network_check_memory();
    return 0;
}
