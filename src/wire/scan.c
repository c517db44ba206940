/* Counts how many bytes at the beginning of some are allowed, a block at a time where the processor
 * has instructions for that. */
#include "wire/scan.h"

#include <string.h>

#include "wire/simd.h"

#define ROW(a) a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a
const uint8_t carom_token_characters[256] = {
    /* clang-format off */
    ROW(0), ROW(0),
    /*   ! " # $ % & ' ( ) * + , - . / */
    0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0,
    /* 0 1 2 3 4 5 6 7 8 9 : ; < = > ? */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
    /* @ A-O */
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    /* P-Z [ \ ] ^ _ */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
    ROW(1),
    /* p-z { | } ~ DEL */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
    ROW(0), ROW(0), ROW(0), ROW(0), ROW(0), ROW(0), ROW(0), ROW(0),
    /* clang-format on */
};

#ifdef CAROM_SIMD
static carom_simd not_in_target(carom_simd bytes)
{
    carom_simd visible = carom_simd_at_most(carom_simd_minus(bytes, '!'), 0x7e - '!');
    return carom_simd_or(carom_simd_equal(visible, 0), carom_simd_equal(bytes, '#'));
}

/* Where the block after the one at `i` begins; the last one overlaps it rather than be short. */
static uint32_t next_block(uint32_t i, uint32_t length)
{
    i += CAROM_SIMD_BYTES;
    return i < length && i + CAROM_SIMD_BYTES > length ? length - CAROM_SIMD_BYTES : i;
}

static bool is_short(uint32_t length)
{
    return length >= 8 && length < CAROM_SIMD_BYTES;
}
#endif

uint32_t carom_token_length(const uint8_t *data, uint32_t length)
{
    uint32_t i = 0;
#ifdef CAROM_SIMD
    while (i + CAROM_SIMD_BYTES <= length) {
        uint32_t place =
            carom_simd_first_not(carom_simd_common_token(carom_simd_load(data + i)), 0);
        i += place;
        if (place < CAROM_SIMD_BYTES)
            break;
    }
    if (is_short(length) &&
        carom_simd_first_not(carom_simd_common_token(carom_simd_load_short(data, length)), 0) ==
            CAROM_SIMD_BYTES)
        return length;
#endif
    while (i < length && carom_token_characters[data[i]])
        i++;
    return i;
}

uint32_t carom_value_length(const uint8_t *data, uint32_t length)
{
    uint32_t i = 0;
#ifdef CAROM_SIMD
    for (; i + CAROM_SIMD_BYTES <= length; i = next_block(i, length)) {
        uint32_t place = carom_simd_first(carom_simd_not_in_value(carom_simd_load(data + i)), 0);
        if (place < CAROM_SIMD_BYTES)
            return i + place;
    }
    if (is_short(length) &&
        carom_simd_first(carom_simd_not_in_value(carom_simd_load_short(data, length)), 0) ==
            CAROM_SIMD_BYTES)
        return length;
#endif
    while (i < length && (data[i] >= 0x20 || data[i] == '\t') && data[i] != 0x7f)
        i++;
    return i;
}

uint32_t carom_target_length(const uint8_t *data, uint32_t length)
{
    uint32_t i = 0;
#ifdef CAROM_SIMD
    for (; i + CAROM_SIMD_BYTES <= length; i = next_block(i, length)) {
        uint32_t place = carom_simd_first(not_in_target(carom_simd_load(data + i)), 0);
        if (place < CAROM_SIMD_BYTES)
            return i + place;
    }
#endif
    while (i < length && data[i] > 0x20 && data[i] < 0x7f && data[i] != '#')
        i++;
    return i;
}

static bool plain_host(uint8_t byte)
{
    uint8_t letter = (byte | 0x20) - 'a', digit = byte - '0';
    return letter < 26 || digit < 10 || byte == '-' || byte == '.';
}

uint32_t carom_plain_host_length(const uint8_t *data, uint32_t length)
{
    uint32_t i = 0;
#ifdef CAROM_SIMD
    if (length >= 8) {
        bool whole = length >= CAROM_SIMD_BYTES;
        carom_simd bytes = whole ? carom_simd_load(data) : carom_simd_load_short(data, length);
        carom_simd plain =
            carom_simd_or(carom_simd_common_token(bytes), carom_simd_equal(bytes, '.'));
        i = carom_simd_first_not(plain, 0);
        if (i > 8 && !whole) /* the second half lies elsewhere */
            i = i == CAROM_SIMD_BYTES ? length : i - CAROM_SIMD_BYTES + length;
        if (i < CAROM_SIMD_BYTES)
            return i;
    }
#endif
    while (i < length && plain_host(data[i]))
        i++;
    return i;
}

/* Eight bytes, four, or one: a letter differs from its other case in 0x20, and "-" and digits have
 * it anyway. What else would become one of them is a control character. */
bool carom_equals_lower(const uint8_t *data, const char *lower, size_t length)
{
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        uint64_t ours, theirs;
        memcpy(&ours, data + i, 8);
        memcpy(&theirs, lower + i, 8);
        if ((ours | 0x2020202020202020) != theirs)
            return false;
    }
    if (length - i >= 4) {
        uint32_t ours, theirs;
        memcpy(&ours, data + i, 4);
        memcpy(&theirs, lower + i, 4);
        if ((ours | 0x20202020) != theirs)
            return false;
        i += 4;
    }
    for (; i < length; i++)
        if ((data[i] | 0x20) != (uint8_t)lower[i])
            return false;
    return true;
}
