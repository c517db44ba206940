/* Field tables and request heads: spans into the page in which a section was received, by offset,
 * so that the bytes can lie anywhere. */
#ifndef CAROM_RECORD_FIELDS_H
#define CAROM_RECORD_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/page.h"
#include "carom.h"

struct carom_span {
    uint32_t offset, length;
};

struct carom_field_span {
    struct carom_span name, value;
};

/* As many as most requests have; more move to a table from the worker's pool. */
#define CAROM_FIELDS_INLINE 12

struct carom_fields {
    const uint8_t *base;            /* what offsets count from */
    struct carom_page *page;        /* held, or NULL: nothing read yet */
    struct carom_field_span *spans; /* here, or a table of `tables` */
    uint32_t count, capacity;
    struct carom_pool *tables; /* objects of `limit` spans */
    uint32_t limit;            /* options.max_fields */
    struct carom_field_span here[CAROM_FIELDS_INLINE];
};

void carom_fields_init(struct carom_fields *fields, struct carom_pool *tables, uint32_t limit);
/* Give the table and the page back: it is as it was after init. */
void carom_fields_clear(struct carom_fields *fields);
/* 0; -CAROM_ETOOBIG past the limit; -CAROM_ENOMEM. */
int carom_fields_grow(struct carom_fields *fields);

static inline int carom_fields_add(struct carom_fields *fields, struct carom_span name,
                                   struct carom_span value)
{
    if (carom_unlikely(fields->count == fields->capacity)) {
        int error = carom_fields_grow(fields);
        if (error < 0)
            return error;
    }
    fields->spans[fields->count++] = (struct carom_field_span){name, value};
    return 0;
}

static inline carom_slice carom_fields_slice(const struct carom_fields *fields,
                                             struct carom_span span)
{
    return (carom_slice){(const char *)fields->base + span.offset, span.length};
}

carom_field carom_fields_at(const struct carom_fields *fields, size_t index);
/* The next field called `name` (any case) from *cursor on; data NULL at the end. */
carom_slice carom_fields_next(const struct carom_fields *fields, const char *name, size_t *cursor);

/* How the content of a request is framed (RFC 9112, 6.3). Of HTTP/2, CHUNKED means that its length
 * was not said. */
enum carom_framing { CAROM_FRAMING_NONE, CAROM_FRAMING_LENGTH, CAROM_FRAMING_CHUNKED };

/* A request head as the wire read it, with what the framing rules made of it. */
struct carom_request_head {
    struct carom_span method, target;
    struct carom_fields fields; /* base: the first byte of the request line */
    uint64_t content_length;    /* FRAMING_LENGTH */
    struct carom_span protocol; /* of an extended CONNECT (RFC 8441), or empty */
    uint8_t version;            /* 10, 11, 20 */
    uint8_t framing;            /* enum carom_framing */
    bool is_head, is_connect;
    bool asks_https;       /* the target is an https URI (RFC 9112, 3.2.2) */
    bool keep_alive;       /* the client's side allows another request */
    bool expects_continue; /* Expect: 100-continue on HTTP/1.1 with content */
    bool wants_upgrade;    /* Upgrade and Connection: upgrade on HTTP/1.1 */
};

#endif
