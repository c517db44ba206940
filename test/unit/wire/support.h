/* What the unit tests of src/wire share: bytes on the heap with nothing behind them, so that a
 * sanitizer sees one byte too many being read, and short ways to write values. */
#ifndef CAROM_TEST_UNIT_WIRE_SUPPORT_H
#define CAROM_TEST_UNIT_WIRE_SUPPORT_H

#include <string.h>

#include "unit/base/support.h"

#include "carom.h"

/* Room for exactly `length` bytes (one for none); the caller frees it. */
static inline uint8_t *room_for(size_t length)
{
    uint8_t *room = malloc(length > 0 ? length : 1);
    assert_non_null(room);
    return room;
}

/* A copy of exactly `length` bytes; the caller frees it. */
static inline uint8_t *exact(const void *bytes, size_t length)
{
    uint8_t *copy = room_for(length);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

static inline carom_slice slice(const char *text)
{
    return (carom_slice){text, strlen(text)};
}

static inline carom_field field(const char *name, const char *value)
{
    return (carom_field){slice(name), slice(value)};
}

#endif
