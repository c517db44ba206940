/* Rules that all versions of HTTP share (RFC 9110): statuses, numbers, dates, how a response is
 * framed, which fields a handler may set. */
#ifndef CAROM_WIRE_SEMANTICS_H
#define CAROM_WIRE_SEMANTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "carom.h"
#include "record/fields.h"

/* The reason phrase of a status; "" for one without. */
const char *carom_status_phrase(unsigned status);

/* The decimal digits of a number; returns how many (at most 20). */
uint32_t carom_decimal_write(uint8_t *to, uint64_t number);

/* Write "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" (37 bytes, no zero). */
#define CAROM_DATE_LINE 37
void carom_date_line_write(uint8_t *to, int64_t seconds);

enum carom_body {
    CAROM_BODY_NONE,
    CAROM_BODY_LENGTH,
    CAROM_BODY_CHUNKED,
    CAROM_BODY_UNTIL_CLOSE,
    CAROM_BODY_TUNNEL
};

/* A response head that was checked, and how its content is framed. */
struct carom_response_plan {
    uint16_t status;
    uint8_t body;            /* enum carom_body: what follows the head on the wire */
    bool own_date;           /* the handler set Date */
    bool close;              /* the handler set Connection: close */
    bool whole;              /* the content comes with the head (set by the caller) */
    bool upgrade_field;      /* the handler set Upgrade: Connection: upgrade goes with it */
    bool length_field;       /* Content-Length is to be added */
    bool chunked_field;      /* Transfer-Encoding: chunked is, also where HEAD drops the content */
    uint64_t head_bytes;     /* of names, values and the reason phrase */
    uint64_t content_length; /* BODY_LENGTH, or the value of the field that is added */
    uint64_t expected;       /* content the handler must write, dropped or not; UINT64_MAX: any */
};

enum carom_response_kind { CAROM_HEAD_FINAL, CAROM_HEAD_INFORM, CAROM_HEAD_UPGRADE };

/* Check a response of the handler against the request and plan its framing. `length`: the
 * content's, or CAROM_LENGTH_UNKNOWN. Content-Length by the handler is allowed when it agrees with
 * `length`, or gives it when that is unknown; for HEAD and 304, which have no content, also when
 * `length` is 0. Transfer-Encoding, Keep-Alive, Upgrade in an informational response, and
 * Connection (but `close`, `keep-alive`) are -CAROM_EFIELD, as are CR, LF, NUL and other control
 * characters in values (not HTAB) and names that are no tokens. Unknown length: chunked for
 * HTTP/1.1 and, in frames of its own, for HTTP/2; until close for 1.0. HEAD, 1xx, 204, 304: no
 * body; 1xx, 204: no Content-Length (RFC 9110, 8.6). 2xx to CONNECT is an upgrade's alone: its
 * content would be taken for the tunnel's (RFC 9110, 9.3.6). 0, -CAROM_EINVAL (status, or bytes
 * that are not there), -CAROM_EFIELD, -CAROM_ELENGTH. */
int carom_response_plan(struct carom_response_plan *plan, enum carom_response_kind kind,
                        const struct carom_request_head *request, const carom_response *response,
                        uint64_t length);
/* Check trailers: names, values, and no framing, routing or Content-* fields. 0, -CAROM_EFIELD, or
 * -CAROM_EINVAL (bytes that are not there). */
int carom_trailers_check(const carom_field *trailers, size_t count);
/* The bytes of the names and values. */
uint64_t carom_fields_bytes(const carom_field *fields, size_t count);

#endif
