/* Checks UTF-8 a block at a time where the processor can: a byte is right or wrong by itself and
 * the three before it, so a block needs itself and three that begin up to three bytes earlier.
 * Bytes where a piece begins in the midst of a character, and short pieces, are looked at one by
 * one. */
#include "wire/utf8.h"

#include <string.h>

#include "wire/simd.h"

static bool begin(struct carom_utf8 *state, uint8_t byte)
{
    if (byte < 0x80)
        return true;
    /* A continuation, what is longer than need be, or too great. */
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    state->left = (uint8_t)(1 + (byte >= 0xe0) + (byte >= 0xf0));
    state->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    state->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool step(struct carom_utf8 *state, uint8_t byte)
{
    if (state->left == 0)
        return begin(state, byte);
    if (byte < state->low || byte > state->high)
        return false;
    *state = (struct carom_utf8){.left = (uint8_t)(state->left - 1), .low = 0x80, .high = 0xbf};
    return true;
}

#ifdef CAROM_SIMD
/* How many blocks of ASCII there are at the beginning, in bytes. */
static size_t ascii_blocks(const uint8_t *data, size_t length)
{
    size_t i = 0;
    for (; i + 2 * CAROM_SIMD_BYTES <= length; i += 2 * CAROM_SIMD_BYTES)
        if (!carom_simd_is_ascii(carom_simd_or(carom_simd_load(data + i),
                                               carom_simd_load(data + i + CAROM_SIMD_BYTES))))
            break;
    while (i + CAROM_SIMD_BYTES <= length && carom_simd_is_ascii(carom_simd_load(data + i)))
        i += CAROM_SIMD_BYTES;
    return i;
}

/* Marks what is wrong in `bytes`; `one`, `two`, `three` are the same memory, begun so many bytes
 * earlier. */
static carom_simd errors(carom_simd bytes, carom_simd one, carom_simd two, carom_simd three)
{
    carom_simd due =
        carom_simd_or(carom_simd_or(carom_simd_at_least(one, 0xc0), carom_simd_at_least(two, 0xe0)),
                      carom_simd_at_least(three, 0xf0));
    carom_simd continuation = carom_simd_at_most(carom_simd_minus(bytes, 0x80), 0x3f);
    carom_simd longer =
        carom_simd_or(carom_simd_and(carom_simd_equal(one, 0xe0), carom_simd_at_most(bytes, 0x9f)),
                      carom_simd_and(carom_simd_equal(one, 0xf0), carom_simd_at_most(bytes, 0x8f)));
    carom_simd surrogate =
        carom_simd_and(carom_simd_equal(one, 0xed), carom_simd_at_least(bytes, 0xa0));
    carom_simd too_great =
        carom_simd_and(carom_simd_equal(one, 0xf4), carom_simd_at_least(bytes, 0x90));
    carom_simd never = carom_simd_or(carom_simd_at_most(carom_simd_minus(bytes, 0xc0), 1),
                                     carom_simd_at_least(bytes, 0xf5));
    return carom_simd_or(
        carom_simd_or(carom_simd_xor(due, continuation), carom_simd_or(longer, surrogate)),
        carom_simd_or(too_great, never));
}

/* The first block: nothing before it counts. */
static carom_simd first_errors(const uint8_t *data)
{
    carom_simd bytes = carom_simd_load(data);
    return errors(bytes, carom_simd_behind(bytes, 1), carom_simd_behind(bytes, 2),
                  carom_simd_behind(bytes, 3));
}

static carom_simd errors_at(const uint8_t *data)
{
    return errors(carom_simd_load(data), carom_simd_load(data - 1), carom_simd_load(data - 2),
                  carom_simd_load(data - 3));
}

/* Shorter ones would have a last block that begins less than three bytes behind the first. */
#define SHORTEST 19

/* `data` begins with a character. The last block overlaps the one before it rather than be short.
 */
static bool check_blocks(struct carom_utf8 *state, const uint8_t *data, size_t length)
{
    size_t i = ascii_blocks(data, length), last = length - CAROM_SIMD_BYTES;
    if (i == 0) {
        if (carom_simd_any(first_errors(data)))
            return false;
        i = CAROM_SIMD_BYTES;
    }
    while (i < length) {
        if (i > last)
            i = last;
        if (carom_simd_any(errors_at(data + i)))
            return false;
        i += CAROM_SIMD_BYTES;
        if (data[i - 1] < 0x80)
            i += ascii_blocks(data + i, length - i);
    }
    /* A character that begins so near the end may not be whole. */
    for (size_t k = 1; k <= 3; k++)
        if (data[length - k] >= 0xc0)
            return carom_utf8_check(state, data + length - k, k);
    return true;
}
#endif

bool carom_utf8_check(struct carom_utf8 *state, const uint8_t *data, size_t length)
{
    size_t i = 0;
    while (i < length && state->left > 0)
        if (!step(state, data[i++]))
            return false;
#ifdef CAROM_SIMD
    if (length - i >= SHORTEST)
        return check_blocks(state, data + i, length - i);
#endif
    while (i < length) {
        uint64_t bytes;
        if (length - i >= 8 && state->left == 0) {
            memcpy(&bytes, data + i, 8);
            if ((bytes & UINT64_C(0x8080808080808080)) == 0) {
                i += 8;
                continue;
            }
        }
        if (!step(state, data[i++]))
            return false;
    }
    return true;
}
