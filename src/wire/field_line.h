/* Field lines as nearly all are, found in one look. In a header, because it is what reading a
 * request mostly is. */
#ifndef CAROM_WIRE_FIELD_LINE_H
#define CAROM_WIRE_FIELD_LINE_H

#include <stdbool.h>

#include "record/fields.h"
#include "wire/block.h"

static inline bool carom_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

#ifdef CAROM_BLOCKS
/* Where the block for `at` begins: there, or where the last one does. */
static inline uint32_t carom_block_of(uint32_t at, uint32_t length)
{
    return at + CAROM_BLOCK <= length ? at : length - CAROM_BLOCK;
}

/* Find the field line at `at` of data[0..length): a name of up to 15 letters, digits and "-"; a
 * colon; one blank or none; a value with no more blanks at its ends; CRLF. Returns where the next
 * line begins, or 0: the line is not there whole, or must be read with care. */
static inline uint32_t carom_field_line_find(const uint8_t *data, uint32_t at, uint32_t length,
                                             struct carom_field_span *field)
{
    if (carom_unlikely(length < CAROM_BLOCK || at >= length))
        return 0;
    uint32_t block = carom_block_of(at, length);
    carom_block bytes = carom_block_load(data + block);
    uint32_t colon = block + carom_block_first_not(carom_block_common_token(bytes), at - block);
    if (colon == at || colon + 1 >= length || data[colon] != ':')
        return 0;
    uint32_t from = colon + 1 + (data[colon + 1] == ' ');
    uint32_t to = from, place;
    do {
        if (to >= length)
            return 0;
        block = carom_block_of(to, length);
        bytes = carom_block_load(data + block);
        place = carom_block_first(carom_block_not_in_value(bytes), to - block);
        to = block + place;
    } while (place == CAROM_BLOCK);
    if (to + 1 >= length || data[to] != '\r' || data[to + 1] != '\n')
        return 0;
    if (to > from && (carom_is_blank(data[from]) || carom_is_blank(data[to - 1])))
        return 0;
    field->name = (struct carom_span){at, colon - at};
    field->value = (struct carom_span){from, to - from};
    return to + 2;
}
#else
static inline uint32_t carom_field_line_find(const uint8_t *data, uint32_t at, uint32_t length,
                                             struct carom_field_span *field)
{
    (void)data, (void)at, (void)length, (void)field;
    return 0;
}
#endif

#endif
