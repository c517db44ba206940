/* Fuzzes HTTP/2 on a connection of the simulated network: frames that no client would send, in any
 * order, whole and with wrong lengths, and what handlers do meanwhile. Afterwards all memory and
 * records are back.
 *
 * Input: settings (1 byte), then operations. An operation is a kind (1 byte) and what it needs:
 *   0 to 9   a frame of that type: flags, stream, length (1 byte each), and so many bytes
 *   a        a request: stream and variant (1 byte each), with END_STREAM in even variants
 *   r        raw bytes: a length (1 byte), and the bytes
 *   h        a held record does something: which and what (1 byte each)
 *   t, c     a turn; the clock: 1 byte, times itself, ms
 *   w        how much the client takes: 1 byte, times 1,024 */
#include "fuzz/network.h"

#define PIECES    1 /* byte by byte */
#define BARE      2 /* without SETTINGS of the client's */
#define TIGHT     4 /* small limits */
#define MOST_HELD 32

static carom_record *held[MOST_HELD];
static unsigned held_count, handled;
static char large[100000];

static void respond(carom_record *record, const char *data, size_t length)
{
    const carom_response response = {.status = 200,
                                     .content = {data, length, carom_static_content, NULL}};
    carom_respond(record, &response);
}

static void answer(carom_record *record, void *data)
{
    (void)data;
    switch (handled++ % 4) {
    case 0:
        respond(record, "hello", 5);
        break;
    case 1:
        respond(record, large, sizeof large);
        break;
    case 2:
        if (held_count < MOST_HELD) {
            held[held_count++] = record;
            return;
        }
        break;
    default:
        break; /* released without an answer */
    }
    carom_release(record);
}

static void act(carom_record *record, uint8_t what)
{
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    const carom_content piece = {large, 1000, carom_static_content, NULL};
    const carom_field trailer = {CAROM_SLICE("x-end"), CAROM_SLICE("1")};
    carom_slice bytes;
    switch (what % 6) {
    case 0:
        carom_respond_begin(record, &response);
        break;
    case 1:
        carom_write(record, &piece);
        break;
    case 2:
        carom_end(record, &trailer, 1);
        break;
    case 3:
        carom_request_read(record, &bytes);
        break;
    case 4:
        carom_cancel(record);
        break;
    default:
        respond(record, large, 1000);
        break;
    }
}

static void send_frame(struct carom_peer *peer, uint8_t type, uint8_t flags, uint8_t stream,
                       const uint8_t *payload, uint8_t length)
{
    uint8_t head[9] = {0, 0, length, type, flags, 0, 0, 0, stream};
    carom_peer_send(peer, head, sizeof head);
    carom_peer_send(peer, payload, length);
}

/* GET or POST / for a host, by the static table of RFC 7541. */
static void send_request(struct carom_peer *peer, uint8_t stream, uint8_t variant)
{
    const uint8_t section[] = {variant & 2 ? 0x83 : 0x82, 0x84, 0x86, 0x41, 1, 'a'};
    uint8_t flags = variant & 1 ? 4 : 5; /* END_HEADERS; END_STREAM */
    send_frame(peer, 1, flags, stream, section, sizeof section);
}

/* The next bytes, `length` of them or as many as are left. */
static const uint8_t *take_bytes(struct input *input, uint8_t *length)
{
    const uint8_t *bytes = input->data;
    if (input->length < *length)
        *length = (uint8_t)input->length;
    input->data += *length;
    input->length -= *length;
    return bytes;
}

static void operate(struct carom_peer *peer, struct input *input)
{
    uint8_t kind = take_byte(input), first = take_byte(input), second, length;
    const uint8_t *bytes;
    switch (kind) {
    case 'a':
        send_request(peer, first, take_byte(input));
        break;
    case 'r':
        bytes = take_bytes(input, &first);
        carom_peer_send(peer, bytes, first);
        break;
    case 'h':
        second = take_byte(input);
        if (held_count > 0)
            act(held[first % held_count], second);
        break;
    case 't':
        network_turn();
        break;
    case 'c':
        network_pass((uint64_t)first * first);
        break;
    case 'w':
        carom_peer_set_window(peer, (size_t)first * 1024);
        break;
    default:
        second = take_byte(input);
        length = take_byte(input);
        bytes = take_bytes(input, &length);
        send_frame(peer, kind % 10, first, second, bytes, length);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (size < 1)
        return 0;
    struct input input = {data + 1, size - 1};
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = answer;
    options.pool_floor = 1;
    if (data[0] & TIGHT) {
        options.h2_max_streams = 2;
        options.h2_max_resets = 3;
        options.h2_max_control_frames = 5;
        options.max_header_section = 300;
        options.max_fields = 8;
    }
    held_count = handled = 0;
    int error = network_create(&options);
    carom_assert(error == 0);
    network_start(NULL);
    struct carom_peer *peer = carom_simulated_connect(network.loop);
    if (data[0] & PIECES)
        carom_peer_set_piece(peer, 1);
    carom_peer_send(peer, preface, sizeof preface - 1);
    if (!(data[0] & BARE))
        send_frame(peer, 4, 0, 0, NULL, 0);
    while (input.length > 0)
        operate(peer, &input);
    network_turn();
    network_shut_down();
    while (held_count > 0)
        carom_release(held[--held_count]);
    network_finish();
    network_check_memory();
    return 0;
}
