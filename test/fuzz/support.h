/* What the fuzz targets share: reading an input piece by piece, and copies with nothing behind
 * them, so that the sanitizer sees one byte too many being read. A finding is a failed
 * carom_assert. */
#ifndef CAROM_TEST_FUZZ_SUPPORT_H
#define CAROM_TEST_FUZZ_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* The target: what libFuzzer, or replay.c, calls with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. */
struct input {
    const uint8_t *data;
    size_t length;
};

/* The next byte; 0 at the end, so that a short input is a simple one. */
static inline uint8_t take_byte(struct input *input)
{
    if (input->length == 0)
        return 0;
    input->length--;
    return *input->data++;
}

static inline uint32_t take_number(struct input *input, unsigned bytes)
{
    uint32_t number = 0;
    while (bytes-- > 0)
        number = number << 8 | take_byte(input);
    return number;
}

/* Exactly `length` bytes of memory of their own; the caller frees them. */
static inline void *room_for(size_t length)
{
    void *room = malloc(length > 0 ? length : 1);
    carom_assert(room != NULL);
    return room;
}

static inline void *exact(const void *bytes, size_t length)
{
    void *copy = room_for(length);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

/* The places at which an input is cut: a sequence that one byte of it decides. */
struct cuts {
    uint32_t state;
    uint32_t longest; /* pieces of 1 to so many bytes */
};

static inline struct cuts cuts_of(uint8_t seed, size_t length)
{
    static const uint32_t longest[] = {1, 4, 32, 256};
    uint32_t least = (uint32_t)length / 64; /* no more than about a hundred pieces */
    return (struct cuts){seed, longest[seed % 4] + least};
}

static inline uint32_t next_piece(struct cuts *cuts)
{
    cuts->state = cuts->state * 1664525 + 1013904223;
    return 1 + (cuts->state >> 16) % cuts->longest;
}

#endif
