/* What a client of a WebSocket says and hears: messages in frames of any size, compressed or not,
 * with pings between them; and whether what it hears is what the server has said. */
#include <stdlib.h>
#include <string.h>

#include "simulate/sockets.h"

enum { FIN = 0x80, RSV1 = 0x40, MORE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    if (bytes->used + length > bytes->size) {
        bytes->size = 2 * (bytes->used + length);
        bytes->data = realloc(bytes->data, bytes->size);
        if (bytes->data == NULL)
            abort();
    }
    if (length > 0)
        memcpy(bytes->data + bytes->used, data, length);
    bytes->used += length;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

void talk_free(struct talk *talk)
{
    bytes_free(&talk->out);
    bytes_free(&talk->frame);
    bytes_free(&talk->message);
    if (talk->deflates) {
        deflateEnd(&talk->deflater);
        inflateEnd(&talk->inflater);
    }
    talk->deflates = false;
}

void talk_begin(struct talk *talk)
{
    struct random *random = &world->random;
    talk->manner =
        random_chance(random, 50) ? TALK_CLOSES : (uint8_t)random_below(random, TALK_MANNERS);
    talk->says = random_size(random, 30);
    talk->leaving = 1 + random_size(random, random_chance(random, 50) ? 1000 : 50000);
    talk->compression = (uint8_t)random_below(random, 4);
    talk->pieces = random_chance(random, 20);
    LOG("talk %u begins: manner %u, %u messages, compression %u", talk->number, talk->manner,
        talk->says, talk->compression);
}

/* ---------------------------------------------------------------- compression */

const char *talk_offer(const struct talk *talk)
{
    static const char *const offers[] = {
        "",
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    };
    return offers[talk->compression];
}

void talk_agreed(struct talk *talk, const char *extensions)
{
    if (extensions == NULL)
        return;
    const char *bits = strstr(extensions, "client_max_window_bits=");
    if (strncmp(extensions, "permessage-deflate", 18) != 0 || talk->compression == 0 ||
        (bits != NULL && talk->compression != 2))
        world_fail("talk %u: %s was agreed to, and not offered", talk->number, extensions);
    talk->remembers_in = strstr(extensions, "server_no_context_takeover") == NULL;
    talk->remembers_out =
        strstr(extensions, "client_no_context_takeover") == NULL && talk->compression != 3;
    int window = bits == NULL ? 15 : (int)strtol(bits + 23, NULL, 10);
    if (deflateInit2(&talk->deflater, (int)random_below(&world->random, 10), Z_DEFLATED, -window, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK ||
        inflateInit2(&talk->inflater, -15) != Z_OK)
        abort();
    talk->deflates = true;
    LOG("talk %u compresses: %s", talk->number, extensions);
}

static void deflate_message(struct talk *talk, carom_slice message, struct bytes *to)
{
    static uint8_t room[LONGEST + 4096];
    z_stream *stream = &talk->deflater;
    stream->next_in = (z_const Bytef *)(uintptr_t)message.data;
    stream->avail_in = (uInt)message.length;
    stream->next_out = room;
    stream->avail_out = sizeof room;
    int result = deflate(stream, Z_SYNC_FLUSH); /* Z_BUF_ERROR: nothing, behind something */
    if ((result != Z_OK && result != Z_BUF_ERROR) || stream->avail_out == 0)
        abort();
    size_t length = sizeof room - stream->avail_out;
    bytes_add(to, room, length > 4 ? length - 4 : 0);
    if (length <= 4)
        bytes_add(to, "", 1); /* RFC 7692, 7.2.3.6: nothing, compressed, is a zero */
    if (!talk->remembers_out)
        deflateReset(stream);
}

static void inflate_message(struct talk *talk)
{
    struct bytes whole = {0};
    static uint8_t room[4096];
    z_stream *stream = &talk->inflater;
    bytes_add(&talk->message, "\0\0\xff\xff", 4);
    stream->next_in = talk->message.data;
    stream->avail_in = (uInt)talk->message.used;
    do {
        stream->next_out = room;
        stream->avail_out = sizeof room;
        int result = inflate(stream, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR)
            world_fail("talk %u: what it hears cannot be inflated", talk->number);
        bytes_add(&whole, room, sizeof room - stream->avail_out);
    } while (stream->avail_out == 0);
    if (!talk->remembers_in)
        inflateReset(stream);
    bytes_free(&talk->message);
    talk->message = whole;
}

/* ---------------------------------------------------------------- saying */

static void add_frame(struct talk *talk, unsigned first, const void *payload, size_t length)
{
    uint8_t head[14] = {(uint8_t)first}, mask[4];
    size_t size = 2, extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
    uint32_t drawn = (uint32_t)random_next(&world->random);
    memcpy(mask, &drawn, 4);
    head[1] = (uint8_t)(0x80 | (extra == 0 ? length : extra == 2 ? 126 : 127));
    for (size_t i = 0; i < extra; i++)
        head[size++] = (uint8_t)((uint64_t)length >> 8 * (extra - 1 - i));
    memcpy(head + size, mask, 4);
    bytes_add(&talk->out, head, size + 4);
    size_t at = talk->out.used;
    bytes_add(&talk->out, payload, length);
    for (size_t i = 0; i < length; i++)
        talk->out.data[at + i] ^= mask[i & 3];
}

static void add_close(struct talk *talk, unsigned code)
{
    uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (talk->closed)
        return;
    LOG("talk %u says Close %u", talk->number, code);
    add_frame(talk, FIN | CLOSE, bytes, code == NO_CODE ? 0 : 2);
    talk->closed = true;
    talk->close_code = (uint16_t)code;
}

/* In pieces of any size, empty ones too, with pings between them. */
static void add_message(struct talk *talk)
{
    struct random *random = &world->random;
    struct bytes whole = {0};
    uint8_t kind;
    carom_slice message = sockets_message(talk, OF_CLIENT, talk->said++, &kind);
    bool deflated = talk->deflates && random_chance(random, 80);
    if (deflated)
        deflate_message(talk, message, &whole);
    else
        bytes_add(&whole, message.data, message.length);
    const void *content = whole.data == NULL ? "" : (const void *)whole.data;
    size_t at = 0;
    uint32_t left = random_chance(random, 60) ? 0 : random_below(random, 6);
    unsigned first = kind | (deflated ? (unsigned)RSV1 : 0u);
    for (;; left--) {
        size_t piece = whole.used - at;
        if (left > 0)
            piece = random_size(random, (uint32_t)piece);
        add_frame(talk, first | (left == 0 ? (unsigned)FIN : 0u), (const uint8_t *)content + at,
                  piece);
        at += piece;
        first = MORE;
        if (left == 0)
            break;
        if (random_chance(random, 10))
            add_frame(talk, FIN | PING, "ping", 4);
    }
    bytes_free(&whole);
}

/* Something that must not be said, and with what it is to be answered. */
static void add_nonsense(struct talk *talk)
{
    static const struct {
        uint8_t bytes[16];
        size_t length;
        uint16_t code;
    } nonsense[] = {
        {{0x81, 0x01, 'a'}, 3, 1002},                                  /* no mask */
        {{0x83, 0x80, 0, 0, 0, 0}, 6, 1002},                           /* no opcode */
        {{0xa1, 0x80, 0, 0, 0, 0}, 6, 1002},                           /* RSV2 */
        {{0x09, 0x80, 0, 0, 0, 0}, 6, 1002},                           /* a ping in pieces */
        {{0x80, 0x80, 0, 0, 0, 0}, 6, 1002},                           /* goes on with nothing */
        {{0x81, 0xfe, 0, 5, 0, 0, 0, 0}, 8, 1002},                     /* a length too long */
        {{0x81, 0x81, 0, 0, 0, 0, 0xff}, 7, 1007},                     /* no UTF-8 */
        {{0x81, 0x82, 0, 0, 0, 0, 0xc3, 'a'}, 8, 1007},                /* the same */
        {{0x82, 0xff, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0}, 14, 1009}, /* 655,360 bytes */
        {{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed}, 8, 1002},               /* Close 1005 */
        {{0x88, 0x81, 0, 0, 0, 0, 0x03}, 7, 1002},                     /* half a code */
    };
    uint32_t which = random_below(&world->random, sizeof nonsense / sizeof *nonsense);
    bytes_add(&talk->out, nonsense[which].bytes, nonsense[which].length);
    talk->breaks = nonsense[which].code;
    talk->closed = true;
    LOG("talk %u says nonsense %u", talk->number, which);
}

bool talk_act(struct talk *talk)
{
    static const uint16_t codes[] = {1000, 1001, 1003, 3000, 4999, NO_CODE};
    if (!talk->answered || talk->over || talk->closed || talk->left ||
        talk->out.used - talk->passed > 100000)
        return false;
    if (talk->said < talk->says) {
        add_message(talk);
        return true;
    }
    if (talk->manner == TALK_BREAKS)
        add_nonsense(talk);
    else if (talk->manner == TALK_CLOSES)
        add_close(talk, codes[random_below(&world->random, sizeof codes / sizeof *codes)]);
    else
        return false;
    return true;
}

size_t talk_may_pass(const struct talk *talk)
{
    bool stops =
        talk->manner == TALK_LEAVES || talk->manner == TALK_ENDS || talk->manner == TALK_SILENT;
    size_t most = talk->out.used;
    if (stops && most > talk->leaving)
        most = (size_t)talk->leaving;
    return most > talk->passed ? most - talk->passed : 0;
}

/* ---------------------------------------------------------------- hearing */

/* What must come next; where memory has failed, it or something behind it. */
static void compare(struct talk *talk)
{
    carom_slice got = {(const char *)talk->message.data, talk->message.used};
    for (;; talk->heard++) {
        if (talk->heard >= talk->order_count)
            world_fail("talk %u hears what nobody has said", talk->number);
        uint32_t index = talk->order[talk->heard];
        uint8_t kind;
        carom_slice said = sockets_message(talk, index & PUBLISHED ? OF_ALL : OF_SERVER,
                                           index & ~PUBLISHED, &kind);
        if (kind == talk->kind && said.length == got.length &&
            (got.length == 0 || memcmp(said.data, got.data, got.length) == 0))
            break;
        if (!world->memory_failed)
            world_fail("talk %u: message %u is another than was sent: %zu bytes of kind %u, not "
                       "%zu of kind %u",
                       talk->number, talk->heard, got.length, talk->kind, said.length, kind);
    }
    talk->heard++;
}

static void hear_data(struct talk *talk, unsigned first, const uint8_t *payload, size_t length)
{
    unsigned opcode = first & 15;
    if ((opcode == MORE) != (talk->kind != 0))
        world_fail("talk %u: a frame that goes on with nothing, or breaks in", talk->number);
    if (opcode != MORE) {
        talk->kind = (uint8_t)opcode;
        talk->deflated = (first & RSV1) != 0;
        talk->message.used = 0;
    }
    if ((first & RSV1) && (opcode == MORE || !talk->deflates))
        world_fail("talk %u: a frame that must not be compressed", talk->number);
    bytes_add(&talk->message, payload, length);
    if (!(first & FIN))
        return;
    if (talk->deflated)
        inflate_message(talk);
    compare(talk);
    talk->kind = 0;
}

static void hear_close(struct talk *talk, const uint8_t *payload, size_t length)
{
    unsigned code = length >= 2 ? (unsigned)payload[0] << 8 | payload[1] : NO_CODE;
    LOG("talk %u hears Close %u", talk->number, code);
    if (length == 1 || length > 125)
        world_fail("talk %u: a Close of %zu bytes", talk->number, length);
    if (talk->heard != talk->order_count && !world->memory_failed)
        world_fail("talk %u: Close, and %u of %u messages have come", talk->number, talk->heard,
                   talk->order_count);
    bool sent_all = talk->passed == talk->out.used;
    if (talk->breaks != 0 && sent_all && code != talk->breaks && !talk->server_closes &&
        !world->draining && !world->memory_failed)
        world_fail("talk %u: nonsense is answered %u, not %u", talk->number, code, talk->breaks);
    if (talk->breaks == 0 && !talk->server_closes &&
        (code == 1002 || code == 1007 || code == 1008 || code == 1009))
        world_fail("talk %u: it is said to have broken the protocol: %u", talk->number, code);
    talk->heard_close = true;
    if (!talk->left)
        add_close(talk, code == NO_CODE ? 1000 : code);
}

static void hear_frame(struct talk *talk, const uint8_t *frame, size_t head, size_t length)
{
    unsigned opcode = frame[0] & 15;
    if (talk->heard_close)
        world_fail("talk %u: a frame behind Close", talk->number);
    if ((frame[0] & 0x30) != 0 || (frame[1] & 0x80) != 0)
        world_fail("talk %u: a frame with a mask or with reserved bits", talk->number);
    if (opcode >= CLOSE && (!(frame[0] & FIN) || (frame[0] & RSV1) || length > 125))
        world_fail("talk %u: a control frame that is none", talk->number);
    if (opcode <= BINARY)
        hear_data(talk, frame[0], frame + head, length);
    else if (opcode == CLOSE)
        hear_close(talk, frame + head, length);
    else if (opcode == PING && !talk->closed && !talk->left)
        add_frame(talk, FIN | PONG, frame + head, length);
    else if (opcode > PONG)
        world_fail("talk %u: opcode %u", talk->number, opcode);
}

/* How long the frame is, its head in `*head`; 0: its head is not whole. */
static size_t frame_length(const struct talk *talk, const uint8_t *data, size_t length,
                           size_t *head)
{
    if (length < 2)
        return 0;
    size_t extra = data[1] < 126 ? 0 : data[1] == 126 ? 2 : 8, size = data[1];
    *head = 2 + extra;
    if (length < *head)
        return 0;
    if (extra > 0)
        size = 0;
    for (size_t i = 0; i < extra; i++)
        size = size << 8 | data[2 + i];
    if ((extra == 2 && size < 126) || (extra == 8 && size < 65536))
        world_fail("talk %u: a length that is written too long", talk->number);
    return *head + size;
}

void talk_hears(struct talk *talk, const uint8_t *data, size_t length)
{
    bytes_add(&talk->frame, data, length);
    size_t at = 0, head = 0;
    for (;;) {
        size_t left = talk->frame.used - at;
        size_t size = frame_length(talk, talk->frame.data + at, left, &head);
        if (size == 0 || size > left)
            break;
        hear_frame(talk, talk->frame.data + at, head, size - head);
        at += size;
    }
    memmove(talk->frame.data, talk->frame.data + at, talk->frame.used - at);
    talk->frame.used -= at;
}

void talk_is_over(struct talk *talk, bool reset)
{
    if (talk->over)
        return;
    talk->over = true;
    LOG("talk %u is over%s", talk->number, reset ? ", by a reset" : "");
    bool odd = talk->left || talk->aborted || world->memory_failed || world->draining ||
               talk->manner == TALK_SILENT || talk->road->window > 0 || !talk->answered ||
               carom_peer_failed(talk->road->peer);
    if (!odd && !talk->heard_close)
        world_fail("talk %u: it is over without Close", talk->number);
}
