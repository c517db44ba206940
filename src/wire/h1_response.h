/* Writes HTTP/1.1 response heads and trailer sections as bytes (RFC 9112, 4 and 5). */
#ifndef CAROM_WIRE_H1_RESPONSE_H
#define CAROM_WIRE_H1_RESPONSE_H

#include "wire/semantics.h"

/* What the connection adds to the handler's fields. */
enum carom_h1_connection { CAROM_H1_KEEP, CAROM_H1_KEEP_10, CAROM_H1_CLOSE, CAROM_H1_UPGRADE };

struct carom_h1_extra {
    enum carom_h1_connection connection; /* KEEP: keep_alive_line, if there is one, with Connection:
                                            keep-alive; KEEP_10: that in any case; CLOSE:
                                            Connection: close; UPGRADE: Connection: upgrade */
    const void *date_line;               /* CAROM_DATE_LINE bytes, ready, with CRLF */
    carom_slice keep_alive_line;         /* "Keep-Alive: timeout=75\r\n", or empty */
    carom_slice phrase;                  /* empty: that of the status */
};

/* An upper bound of the bytes that a head with so many fields needs, whose names, values and phrase
 * take `bytes`. */
size_t carom_h1_head_room(size_t count, uint64_t bytes);
/* Write a head that carom_response_plan accepted; returns its length. The connection lines stand
 * where the handler's Connection does, else at the end. An informational head gets neither Date nor
 * connection lines. */
size_t carom_h1_head_write(uint8_t *to, const struct carom_response_plan *plan,
                           const carom_field *fields, size_t count,
                           const struct carom_h1_extra *extra);
/* The field lines and the empty line; returns the length, at most carom_h1_head_room. */
size_t carom_h1_trailers_write(uint8_t *to, const carom_field *trailers, size_t count);

#endif
