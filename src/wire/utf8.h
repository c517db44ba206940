/* Checks UTF-8 (RFC 3629) that comes in pieces: shortest form, no surrogates, nothing over
 * U+10FFFF. */
#ifndef CAROM_WIRE_UTF8_H
#define CAROM_WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zeros: nothing has come, or whole characters. */
struct carom_utf8 {
    uint8_t left; /* bytes that the character lacks that has begun */
    uint8_t low;  /* what the next one of them must be at least, */
    uint8_t high; /* and at most */
};

/* Check the next piece. False as soon as no bytes to come could make it valid; the state is of no
 * use then. */
bool carom_utf8_check(struct carom_utf8 *state, const uint8_t *data, size_t length);

/* Whether what came ends with a whole character, as a text must. */
static inline bool carom_utf8_whole(const struct carom_utf8 *state)
{
    return state->left == 0;
}

#endif
