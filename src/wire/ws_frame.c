/* Reads and writes the heads of WebSocket's frames, and takes masks off, sixteen bytes at a time
 * where the processor can, and never byte by byte what is longer than three. */
#include "wire/ws_frame.h"

#include <string.h>

#include "wire/simd.h"

#define FIN       0x80
#define RSV1      0x40
#define RSV2_RSV3 0x30
#define OPCODE    0x0f
#define MASKED    0x80

static bool first_byte_is_valid(uint8_t byte, bool deflate)
{
    uint8_t opcode = byte & OPCODE;
    if ((byte & RSV2_RSV3) != 0)
        return false;
    if (opcode >= CAROM_WS_CLOSE)
        return opcode <= CAROM_WS_PONG && (byte & FIN) != 0 && (byte & RSV1) == 0;
    if (opcode > CAROM_WS_BINARY)
        return false;
    return (byte & RSV1) == 0 || (deflate && opcode != CAROM_WS_CONTINUATION);
}

/* A length of two or eight bytes, most significant first; UINT64_MAX where fewer would have done,
 * or it has bit 63. */
static uint64_t long_length(const uint8_t *data, size_t bytes)
{
    uint64_t length = 0;
    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | data[i];
    if (bytes == 2)
        return length > CAROM_WS_CONTROL_BYTES ? length : UINT64_MAX;
    return length > UINT16_MAX && length <= INT64_MAX ? length : UINT64_MAX;
}

int carom_ws_head_read(struct carom_ws_head *head, const uint8_t *data, size_t length, bool deflate)
{
    if (length == 0)
        return 0;
    if (!first_byte_is_valid(data[0], deflate))
        return -CAROM_WS_CODE_PROTOCOL;
    if (length == 1)
        return 0;
    uint8_t opcode = data[0] & OPCODE;
    uint64_t payload = data[1] & (MASKED - 1);
    if ((data[1] & MASKED) == 0 || (opcode >= CAROM_WS_CLOSE && payload > CAROM_WS_CONTROL_BYTES))
        return -CAROM_WS_CODE_PROTOCOL;
    size_t extra = payload <= CAROM_WS_CONTROL_BYTES ? 0 : payload == 126 ? 2 : 8;
    if (length < 2 + extra)
        return 0;
    if (extra > 0) {
        payload = long_length(data + 2, extra);
        if (payload == UINT64_MAX)
            return -CAROM_WS_CODE_PROTOCOL;
    }
    uint8_t size = (uint8_t)(2 + extra + sizeof head->mask);
    if (length < size)
        return 0;
    *head = (struct carom_ws_head){.length = payload,
                                   .size = size,
                                   .opcode = opcode,
                                   .fin = (data[0] & FIN) != 0,
                                   .compressed = (data[0] & RSV1) != 0};
    memcpy(&head->mask, data + 2 + extra, sizeof head->mask);
    return size;
}

size_t carom_ws_head_write(uint8_t to[static CAROM_WS_HEAD_BYTES], uint8_t opcode, bool fin,
                           bool compressed, uint64_t length)
{
    to[0] = (uint8_t)((fin ? FIN : 0) | (compressed ? RSV1 : 0) | opcode);
    if (length <= CAROM_WS_CONTROL_BYTES) {
        to[1] = (uint8_t)length;
        return 2;
    }
    size_t bytes = length <= UINT16_MAX ? 2 : 8;
    to[1] = bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < bytes; i++)
        to[2 + i] = (uint8_t)(length >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

/* The mask as it lies over bytes that begin `offset` into the payload. */
static uint32_t turned(uint32_t mask, size_t offset)
{
    unsigned bits = 8 * (offset & 3);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return mask >> bits | mask << (32 - bits) % 32;
#else
    return mask << bits | mask >> (32 - bits) % 32;
#endif
}

/* Four to sixteen bytes, of which the middle ones may be done twice: all are read before any is
 * written. Returns all that was written, in one: with bit 7 of some byte unless that was ASCII. */
static uint64_t unmask_short(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask)
{
    if (length >= 8) {
        uint64_t first, last;
        uint64_t first_mask = mask * UINT64_C(0x100000001);
        uint64_t last_mask = turned(mask, length) * UINT64_C(0x100000001);
        memcpy(&first, from, 8);
        memcpy(&last, from + length - 8, 8);
        first ^= first_mask;
        last ^= last_mask;
        memcpy(to, &first, 8);
        memcpy(to + length - 8, &last, 8);
        return first | last;
    }
    uint32_t first, last;
    memcpy(&first, from, 4);
    memcpy(&last, from + length - 4, 4);
    first ^= mask;
    last ^= turned(mask, length);
    memcpy(to, &first, 4);
    memcpy(to + length - 4, &last, 4);
    return first | last;
}

static uint8_t unmask_bytes(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask)
{
    uint8_t bytes[4], seen = 0;
    memcpy(bytes, &mask, 4);
    for (size_t i = 0; i < length; i++) {
        to[i] = from[i] ^ bytes[i & 3];
        seen |= to[i];
    }
    return seen;
}

#define NOT_ASCII UINT64_C(0x8080808080808080)

#ifdef CAROM_SIMD
/* The last block overlaps the one before, so it is read before that is written. */
static bool unmask_blocks(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask)
{
    carom_simd masks = carom_simd_repeat(mask);
    size_t at_last = length - CAROM_SIMD_BYTES;
    carom_simd last =
        carom_simd_xor(carom_simd_load(from + at_last), carom_simd_repeat(turned(mask, length)));
    carom_simd seen = last;
    size_t i = 0;
    for (; i + 4 * CAROM_SIMD_BYTES <= length; i += 4 * CAROM_SIMD_BYTES) {
        carom_simd a = carom_simd_xor(carom_simd_load(from + i), masks);
        carom_simd b = carom_simd_xor(carom_simd_load(from + i + 16), masks);
        carom_simd c = carom_simd_xor(carom_simd_load(from + i + 32), masks);
        carom_simd d = carom_simd_xor(carom_simd_load(from + i + 48), masks);
        carom_simd_store(to + i, a);
        carom_simd_store(to + i + 16, b);
        carom_simd_store(to + i + 32, c);
        carom_simd_store(to + i + 48, d);
        seen = carom_simd_or(seen, carom_simd_or(carom_simd_or(a, b), carom_simd_or(c, d)));
    }
    for (; i < at_last; i += CAROM_SIMD_BYTES) {
        carom_simd bytes = carom_simd_xor(carom_simd_load(from + i), masks);
        carom_simd_store(to + i, bytes);
        seen = carom_simd_or(seen, bytes);
    }
    carom_simd_store(to + at_last, last);
    return carom_simd_is_ascii(seen);
}
#else
/* Eight bytes at a time. */
static bool unmask_blocks(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask)
{
    uint64_t masks = mask * UINT64_C(0x100000001), seen = 0;
    size_t i = 0;
    for (; length - i > 16; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, from + i, 8);
        bytes ^= masks;
        memcpy(to + i, &bytes, 8);
        seen |= bytes;
    }
    seen |= unmask_short(to + i, from + i, length - i, mask);
    return (seen & NOT_ASCII) == 0;
}
#endif

/* Returns whether it was ASCII. `mask` lies over the first byte. */
static bool unmask(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask)
{
    if (length >= 16)
        return unmask_blocks(to, from, length, mask);
    if (length >= 4)
        return (unmask_short(to, from, length, mask) & NOT_ASCII) == 0;
    return unmask_bytes(to, from, length, mask) < 0x80;
}

void carom_ws_unmask(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask, size_t offset)
{
    (void)unmask(to, from, length, turned(mask, offset));
}

/* What is unmasked before it is checked, so that it is still near. A multiple of four. */
#define AT_ONCE 4096

bool carom_ws_unmask_text(uint8_t *to, const uint8_t *from, size_t length, uint32_t mask,
                          size_t offset, struct carom_utf8 *text)
{
    mask = turned(mask, offset);
    for (size_t i = 0; i < length; i += AT_ONCE) {
        size_t size = length - i < AT_ONCE ? length - i : AT_ONCE;
        bool ascii = unmask(to + i, from + i, size, mask);
        if ((!ascii || !carom_utf8_whole(text)) && !carom_utf8_check(text, to + i, size))
            return false;
    }
    return true;
}

bool carom_ws_close_code_is_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
