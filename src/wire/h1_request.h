/* Reads HTTP/1.1 request heads and trailer sections (RFC 9112), strictly and as bytes come: call
 * again with more bytes at the same start; what was read is not read again. No bytes are copied. */
#ifndef CAROM_WIRE_H1_REQUEST_H
#define CAROM_WIRE_H1_REQUEST_H

#include <stdint.h>

#include "record/fields.h"
#include "wire/h1_framing.h"

struct carom_h1_limits {
    /* Bytes: the target; all field lines with their CRLF, but for the empty line. */
    uint32_t max_target, max_header_section;
};

/* Where reading stands, as offsets from the first byte. */
struct carom_h1_reader {
    uint32_t line;    /* start of the line that is not complete */
    uint32_t scanned; /* no LF before this */
    uint32_t section; /* start of the first field line */
    uint8_t state;    /* private */
    struct carom_h1_framing framing;
};

void carom_h1_reader_init(struct carom_h1_reader *reader);

/* Read a request head from data[0..length). head->fields.base need not be set: offsets count from
 * data. Empty lines before the request line are skipped (at most 2 CRLFs: RFC 9112, 2.2) and count.
 *   > 0   the head is complete and took so many bytes; *head is filled, framing decided
 *   0     more bytes are wanted
 *   < 0   refused: minus the status to answer (400, 414, 417, 431, 501, 505), or -500 out of
 * memory; the connection must not be read further. 417: Expect asks for more than 100-continue. The
 * result does not depend on how the bytes were cut up. */
int carom_h1_read_head(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                       const uint8_t *data, uint32_t length, struct carom_request_head *head);

/* Read a trailer section (field lines and the empty line) likewise. Framing fields in it are
 * refused with 400 (RFC 9110, 6.5.1). The reader is initialised afresh for it. */
int carom_h1_read_trailers(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                           const uint8_t *data, uint32_t length, struct carom_fields *trailers);

#endif
