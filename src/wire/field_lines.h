/* Reads many field lines at once, as long as they are of the plain form that nearly all have: most
 * of the time for reading a request is spent here. */
#ifndef CAROM_WIRE_FIELD_LINES_H
#define CAROM_WIRE_FIELD_LINES_H

#include "record/fields.h"

/* Read common field lines from data + at: a name of up to 16 letters, digits and "-"; a colon; one
 * blank or none; a value with no more blanks at its ends and no tab; CRLF before `end`. Adds them
 * to `fields`. Returns where the first line begins that is none of those, that is not there whole
 * before `end`, or for which the table has no room. */
uint32_t carom_field_lines_read(struct carom_fields *fields, const uint8_t *data, uint32_t at,
                                uint32_t end);

#endif
