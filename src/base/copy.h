/* Copies a few bytes, faster than memcpy does: names, values, lines, small contents. */
#ifndef CAROM_BASE_COPY_H
#define CAROM_BASE_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* As memcpy; `from` may be NULL when nothing is copied. From 8 to 32 bytes are copied by loads that
 * overlap, which is quicker than a call. */
static inline void carom_copy(void *to, const void *from, size_t length)
{
    const uint8_t *source = from;
    uint8_t *target = to;
    if (length - 8 <= 8) {
        uint64_t first, last;
        memcpy(&first, source, 8);
        // cppcheck-suppress pointerOutOfBoundsCond ; one caller's bytes, another's length
        memcpy(&last, source + (length - 8), 8);
        memcpy(target, &first, 8);
        memcpy(target + (length - 8), &last, 8);
    } else if (length - 16 <= 16) {
        uint8_t first[16], last[16];
        memcpy(first, source, 16);
        // cppcheck-suppress pointerOutOfBoundsCond ; one caller's bytes, another's length
        memcpy(last, source + (length - 16), 16);
        memcpy(target, first, 16);
        memcpy(target + (length - 16), last, 16);
    } else if (length > 0) {
        memcpy(target, source, length);
    }
}

#endif
