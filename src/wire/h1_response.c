/* Writes HTTP/1.1 response heads and trailer sections as bytes. */
#include "wire/h1_response.h"

#include <string.h>

#include "base/copy.h"
#include "wire/scan.h"

/* What a head needs beside the handler's fields, at most:
 *   "HTTP/1.1 511 Network Authentication Required" CRLF  46
 *   Date                                                 37
 *   Content-Length with 20 digits                        38
 *   Connection: upgrade, Connection: keep-alive          21 + 24
 *   Keep-Alive: timeout=4294967, max=4294967295          45
 *   CRLF                                                  2, in all 213 */
#define HEAD_ROOM 256

static uint8_t *put(uint8_t *to, const void *bytes, size_t length)
{
    carom_copy(to, bytes, length);
    return to + length;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static uint8_t *put_field(uint8_t *to, const carom_field *field)
{
    to = put(to, field->name.data, field->name.length);
    to = PUT(to, ": ");
    to = put(to, field->value.data, field->value.length);
    return PUT(to, "\r\n");
}

size_t carom_h1_head_room(size_t count, uint64_t bytes)
{
    return HEAD_ROOM + (size_t)bytes + 4 * count; /* ": " and CRLF */
}

static uint8_t *put_status_line(uint8_t *to, unsigned status, carom_slice phrase)
{
    if (status == 200 && phrase.length == 0)
        return PUT(to, "HTTP/1.1 200 OK\r\n");
    const char *usual = carom_status_phrase(status);
    if (phrase.length == 0)
        phrase = (carom_slice){usual, strlen(usual)};
    to = PUT(to, "HTTP/1.1 ");
    to += carom_decimal_write(to, status);
    *to++ = ' '; /* also without a phrase (RFC 9112, 4) */
    to = put(to, phrase.data, phrase.length);
    return PUT(to, "\r\n");
}

static uint8_t *put_framing(uint8_t *to, const struct carom_response_plan *plan)
{
    if (plan->length_field) {
        to = PUT(to, "Content-Length: ");
        to += carom_decimal_write(to, plan->content_length);
        return PUT(to, "\r\n");
    }
    if (plan->chunked_field)
        return PUT(to, "Transfer-Encoding: chunked\r\n");
    return to;
}

static inline uint8_t *put_connection(uint8_t *to, const struct carom_response_plan *plan,
                                      const struct carom_h1_extra *extra)
{
    /* Upgrade is hop-by-hop, also where it only says what could be spoken (RFC 9110, 7.8). */
    if (plan->upgrade_field && extra->connection != CAROM_H1_UPGRADE)
        to = PUT(to, "Connection: upgrade\r\n");
    switch (extra->connection) {
    case CAROM_H1_CLOSE:
        return PUT(to, "Connection: close\r\n");
    case CAROM_H1_UPGRADE:
        return PUT(to, "Connection: upgrade\r\n");
    default:
        break;
    }
    /* Keep-Alive is a field of this hop, so Connection names it (RFC 9110, 7.6.1). */
    if (extra->connection == CAROM_H1_KEEP_10 || extra->keep_alive_line.length > 0)
        to = PUT(to, "Connection: keep-alive\r\n");
    return put(to, extra->keep_alive_line.data, extra->keep_alive_line.length);
}

static bool is_named(const carom_field *field, const char *lower, size_t length)
{
    return field->name.length == length &&
           carom_equals_lower((const uint8_t *)field->name.data, lower, length);
}

size_t carom_h1_head_write(uint8_t *to, const struct carom_response_plan *plan,
                           const carom_field *fields, size_t count,
                           const struct carom_h1_extra *extra)
{
    uint8_t *start = to;
    bool final = plan->status >= 200 || plan->body == CAROM_BODY_TUNNEL;
    bool connection = !final; /* is written, or not to be */
    to = put_status_line(to, plan->status, extra->phrase);
    for (size_t i = 0; i < count; i++) {
        if (is_named(&fields[i], "content-length", 14))
            continue; /* written from the plan */
        if (!is_named(&fields[i], "connection", 10)) {
            to = put_field(to, &fields[i]);
        } else if (!connection) { /* the engine's words in the handler's place */
            to = put_connection(to, plan, extra);
            connection = true;
        }
    }
    if (final) {
        if (!plan->own_date)
            to = put(to, extra->date_line, CAROM_DATE_LINE);
        to = put_framing(to, plan);
        if (!connection)
            to = put_connection(to, plan, extra);
    }
    to = PUT(to, "\r\n");
    return (size_t)(to - start);
}

size_t carom_h1_trailers_write(uint8_t *to, const carom_field *trailers, size_t count)
{
    uint8_t *start = to;
    for (size_t i = 0; i < count; i++)
        to = put_field(to, &trailers[i]);
    to = PUT(to, "\r\n");
    return (size_t)(to - start);
}
