/* Makes request heads of HTTP/2 header and trailer sections (RFC 9113, 8). Field lines come one by
 * one, as HPACK gives them; nghttp2 has checked them by its own rules, and here they are checked by
 * the rules that HTTP/1.1 has. At the end the section lies packed in one piece, as a head of
 * HTTP/1.1 would. */
#ifndef CAROM_WIRE_H2_SECTION_H
#define CAROM_WIRE_H2_SECTION_H

#include "base/page.h"
#include "record/fields.h"

/* What a field line costs beyond its bytes (RFC 9113, 6.5.2). */
#define CAROM_H2_LINE_COST 32

struct carom_h2_limits {
    uint32_t max_target, max_header_section;
};

struct carom_h2_section {
    struct carom_pages *small, *large; /* where it gathers: a small page, a large one if need be */
    struct carom_page *page;
    struct carom_fields *fields; /* of the record; its first one is Host in a head */
    struct carom_h2_limits limits;
    struct carom_span method, target, authority, scheme, protocol, host;
    uint32_t size;              /* as RFC 9113, 6.5.2 counts it, kept or not; :path is not in it */
    uint32_t cookies;           /* how many crumbs of Cookie (RFC 9113, 8.2.3) have come */
    uint32_t cookie_field;      /* which field is the first crumb, to which the others are joined */
    uint32_t crumb, last_crumb; /* where the next ones begin in the page, and the last: a chain */
    uint16_t status; /* why it cannot be served: 400, 414, 417, 431, 500 (memory); or 0 */
    bool trailers, length_seen, expects_continue;
    uint64_t content_length;
};

/* `fields` stays the record's; `large` pages hold any section within the limits. */
void carom_h2_section_begin(struct carom_h2_section *section, struct carom_fields *fields,
                            struct carom_pages *small, struct carom_pages *large,
                            const struct carom_h2_limits *limits, bool trailers);
/* Add a field line, pseudo or not, copied. What is wrong with it is noted in `status`; what comes
 * afterwards is counted and not kept. */
void carom_h2_section_add(struct carom_h2_section *section, carom_slice name, carom_slice value);
/* The header section is complete: fill the head, whose bytes come into `arena`. `end_stream`: no
 * content follows. When `status` is set, then or before, the head has a method and a target all the
 * same.
 */
void carom_h2_section_head(struct carom_h2_section *section, struct carom_arena *arena,
                           struct carom_request_head *head, bool end_stream);
/* The trailer section is complete: its bytes come into `arena`. */
void carom_h2_section_trailers(struct carom_h2_section *section, struct carom_arena *arena);
/* Give the page back; also in the middle. */
void carom_h2_section_finish(struct carom_h2_section *section);

#endif
