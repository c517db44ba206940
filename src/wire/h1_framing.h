/* What the framing and connection fields of an HTTP/1.1 request mean (RFC 9112, 3.2, 6, 9). */
#ifndef CAROM_WIRE_H1_FRAMING_H
#define CAROM_WIRE_H1_FRAMING_H

#include <stdint.h>

#include "record/fields.h"

/* What was met among the field lines of a head so far; private to h1_framing.c, but for the last
 * two members. All zero at first. */
struct carom_h1_framing {
    uint8_t seen;         /* which framing fields */
    uint8_t connection;   /* connection options */
    uint8_t codings;      /* transfer codings */
    bool any_expectation; /* the handler sees to those that are not 100-continue */
    bool host_optional;   /* HTTP/1.1 without Host is taken */
};

/* Note a field line, if it is one of the framing or connection fields. 0 or minus the status of a
 * refusal. */
int carom_h1_framing_note(struct carom_h1_framing *framing, const uint8_t *data,
                          const struct carom_field_span *field, struct carom_request_head *head);
/* The head is complete: decide its framing. 0 or minus the status of a refusal. */
int carom_h1_framing_decide(const struct carom_h1_framing *framing,
                            struct carom_request_head *head);

/* Whether a field decides framing or routing, which a trailer section must not (RFC 9110, 6.5.1).
 */
bool carom_h1_is_framing(const uint8_t *name, uint32_t length);
/* Whether the bytes are uri-host [ ":" port ], or none; with `port_needed` there must be a port,
 * other than 0. */
bool carom_h1_authority(const uint8_t *data, uint32_t length, bool port_needed);

#endif
