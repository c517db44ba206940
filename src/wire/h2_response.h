/* HTTP/2 response heads and trailer sections as name-value pairs for nghttp2 (RFC 9113, 8.3.2). */
#ifndef CAROM_WIRE_H2_RESPONSE_H
#define CAROM_WIRE_H2_RESPONSE_H

#include <nghttp2/nghttp2.h>

#include "wire/semantics.h"

/* Pairs that a head needs beside the handler's fields: :status, date, content-length. */
#define CAROM_H2_EXTRA_PAIRS 3

/* What the pairs of a head point at beside the handler's fields. */
struct carom_h2_extra {
    carom_slice date; /* its value */
    uint8_t status[3];
    uint8_t length[20];
};

/* Fill `pairs` from a head that carom_response_plan accepted; returns how many. They point into
 * `extra` and the fields. Fields that belong to a connection of HTTP/1.1 are left out (RFC 9113,
 * 8.2.2). */
size_t carom_h2_head_pairs(nghttp2_nv *pairs, const struct carom_response_plan *plan,
                           const carom_field *fields, size_t count, struct carom_h2_extra *extra);
nghttp2_nv carom_h2_pair(carom_slice name, carom_slice value);

#endif
