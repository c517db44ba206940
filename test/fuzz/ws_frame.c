/* Fuzzes WebSocket's frames: a stream of them read in pieces must give what a second reader gives,
 * which has all bytes at once and is written after RFC 6455, 5.2, field by field; masks are taken
 * off byte by byte there, and UTF-8 is judged by code points. What can be read is written again as
 * a server's.
 *
 * Input: whether deflate was agreed on (1 byte), cuts (1), frames. */
#include "fuzz/support.h"

#include "wire/ws_frame.h"

#define MAX_BYTES 4096

/* ---------------------------------------------------------------- the second reader */

struct frame {
    unsigned opcode;
    bool fin, compressed;
    uint64_t length;
    uint8_t mask[4];
    size_t size; /* of the head */
};

/* 1: a head; 0: its bytes are not all there; -1: it is refused. */
static int read_by_grammar(struct frame *frame, const uint8_t *data, size_t length, bool deflate)
{
    if (length < 1)
        return 0;
    *frame = (struct frame){.fin = data[0] >= 128, .opcode = data[0] % 16};
    unsigned rsv = data[0] / 16 % 8;
    bool control = frame->opcode >= 8, starts = frame->opcode == 1 || frame->opcode == 2;
    frame->compressed = rsv == 4;
    if (rsv != 0 && !(rsv == 4 && deflate && starts))
        return -1;
    if (!starts && frame->opcode != 0 && (frame->opcode < 8 || frame->opcode > 10))
        return -1;
    if (control && !frame->fin)
        return -1;
    if (length < 2)
        return 0;
    frame->length = data[1] % 128;
    if (data[1] < 128 || (control && frame->length > 125))
        return -1;
    size_t more = frame->length == 126 ? 2 : frame->length == 127 ? 8 : 0;
    frame->size = 2 + more + 4;
    if (length < 2 + more)
        return 0;
    if (more > 0) {
        uint64_t least = more == 2 ? 126 : 65536;
        frame->length = 0;
        for (size_t i = 0; i < more; i++)
            frame->length = frame->length * 256 + data[2 + i];
        if (frame->length < least || frame->length >> 63 != 0)
            return -1;
    }
    if (length < frame->size)
        return 0;
    memcpy(frame->mask, data + 2 + more, 4);
    return 1;
}

/* The bytes of the whole character that comes next; 0: none that is right. */
static size_t character(const uint8_t *data, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = data[0] < 0x80 ? 1 : 2;
    if (size == 1)
        return 1;
    while (size < 5 && (data[0] << size & 0x80) != 0)
        size++;
    if (data[0] < 0xc0 || size > 4 || size > length)
        return 0;
    uint32_t code = data[0] % (1U << (7 - size));
    for (size_t i = 1; i < size; i++) {
        if (data[i] / 64 != 2)
            return 0;
        code = code * 64 + data[i] % 64;
    }
    return code < least[size] || code > 0x10ffff || code / 0x800 == 0xd800 / 0x800 ? 0 : size;
}

static bool is_utf8(const uint8_t *data, size_t length)
{
    size_t at = 0, size = 1;
    while (at < length && (size = character(data + at, length - at)) > 0)
        at += size;
    return at == length;
}

/* ---------------------------------------------------------------- comparing */

static void compare_head(const uint8_t *data, size_t length, bool deflate, int expected,
                         const struct frame *frame)
{
    struct carom_ws_head head;
    for (size_t there = 0; there <= length && there <= 14; there++) {
        uint8_t *copy = exact(data, there);
        struct frame part;
        int result = carom_ws_head_read(&head, copy, there, deflate);
        int by_grammar = read_by_grammar(&part, data, there, deflate);
        carom_assert(result == (by_grammar < 0 ? -1002 : by_grammar == 0 ? 0 : (int)part.size));
        free(copy);
    }
    if (expected <= 0)
        return;
    carom_assert(head.opcode == frame->opcode && head.fin == frame->fin);
    carom_assert(head.compressed == frame->compressed && head.length == frame->length);
    carom_assert(head.size == frame->size && memcmp(&head.mask, frame->mask, 4) == 0);
}

/* What is written of it and given a mask is the same head again. */
static void write_again(const struct frame *frame, bool deflate)
{
    uint8_t bytes[CAROM_WS_HEAD_BYTES + 4];
    size_t size = carom_ws_head_write(bytes, (uint8_t)frame->opcode, frame->fin, frame->compressed,
                                      frame->length);
    struct frame again;
    bytes[1] |= 0x80;
    memcpy(bytes + size, frame->mask, 4);
    carom_assert(read_by_grammar(&again, bytes, size + 4, deflate) == 1);
    carom_assert(again.length == frame->length && again.size == frame->size);
    carom_assert(memcmp(again.mask, frame->mask, 4) == 0);
}

/* Take the mask off in pieces, as bytes and as a text. */
static void compare_payload(const uint8_t *data, size_t length, const struct frame *frame,
                            struct cuts *cuts)
{
    static uint8_t expected[MAX_BYTES];
    struct carom_utf8 text = {0};
    bool valid = true;
    uint32_t mask;
    memcpy(&mask, frame->mask, 4);
    for (size_t i = 0; i < length; i++)
        expected[i] = data[i] ^ frame->mask[i % 4];
    for (size_t at = 0, piece; at < length; at += piece) {
        piece = next_piece(cuts);
        if (piece > length - at)
            piece = length - at;
        uint8_t *copy = exact(data + at, piece), *to = room_for(piece);
        carom_ws_unmask(to, copy, piece, mask, at);
        carom_assert(memcmp(to, expected + at, piece) == 0);
        valid = valid && carom_ws_unmask_text(copy, copy, piece, mask, at, &text);
        carom_assert(!valid || memcmp(copy, expected + at, piece) == 0);
        free(copy);
        free(to);
    }
    carom_assert((valid && carom_utf8_whole(&text)) == is_utf8(expected, length));
    struct carom_utf8 once = {0};
    carom_assert((carom_utf8_check(&once, expected, length) && carom_utf8_whole(&once)) ==
                 is_utf8(expected, length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    bool deflate = take_byte(&input) % 2 == 1;
    struct cuts cuts = cuts_of(take_byte(&input), input.length);
    if (input.length > MAX_BYTES)
        return 0;
    for (;;) {
        struct frame frame;
        int result = read_by_grammar(&frame, input.data, input.length, deflate);
        compare_head(input.data, input.length, deflate, result, &frame);
        if (result <= 0)
            return 0;
        write_again(&frame, deflate);
        input.data += frame.size;
        input.length -= frame.size;
        size_t here = frame.length < input.length ? (size_t)frame.length : input.length;
        compare_payload(input.data, here, &frame, &cuts);
        input.data += here;
        input.length -= here;
    }
}
