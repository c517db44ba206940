/* Redirects a request from the plain port to the same URI with https. */
#include <stdio.h>
#include <string.h>

#include "record/record.h"

/* Of a URI that we make; a longer target is not redirected as a whole (max_target is 8 KiB). */
#define LOCATION_SIZE (10 * 1024)

/* The host of a Host field, without its port; it has been checked when the request was read. */
static carom_slice without_port(carom_slice host)
{
    const char *from = host.data;
    if (host.length > 0 && from[0] == '[') { /* an IPv6 address has colons of its own */
        const char *end = memchr(from, ']', host.length);
        return (carom_slice){from, end == NULL ? 0 : (size_t)(end + 1 - from)};
    }
    const char *colon = memchr(from, ':', host.length);
    return (carom_slice){from, colon == NULL ? host.length : (size_t)(colon - from)};
}

/* Of a target in absolute form the authority, which counts more than the Host field (RFC 9112,
 * 3.2.2), and what follows it; of any other nothing. */
static carom_slice authority_of(carom_slice target, carom_slice *rest)
{
    const char *end = target.data + target.length, *from = target.data;
    *rest = (carom_slice){NULL, 0};
    while (from + 3 <= end && *target.data != '/' && memcmp(from, "://", 3) != 0)
        from++;
    if (from + 3 > end || *target.data == '/')
        return (carom_slice){NULL, 0};
    const char *at = from += 3;
    while (at < end && *at != '/' && *at != '?')
        at++;
    *rest = (carom_slice){at, (size_t)(end - at)};
    return (carom_slice){from, (size_t)(at - from)};
}

int carom_redirect_to_https(carom_record *record, uint16_t port)
{
    char location[LOCATION_SIZE], suffix[8] = "";
    int error = carom_record_check(record, __func__);
    if (error < 0)
        return error;
    carom_slice path = carom_request_target(record), rest;
    carom_slice host = authority_of(path, &rest);
    if (host.data != NULL)
        path = rest;
    else
        host = carom_request_field(record, "host");
    if (host.data != NULL)
        host = without_port(host);
    if (host.data == NULL || host.length == 0) /* HTTP/1.0 may have none */
        return carom_respond(record, &(carom_response){.status = 400});
    if (path.length > 0 && *path.data != '/' && *path.data != '?') /* OPTIONS, CONNECT */
        path.length = 0;
    const char *slash = path.length > 0 && *path.data == '/' ? "" : "/";
    if (port != 443)
        snprintf(suffix, sizeof suffix, ":%u", (unsigned)port);
    if (path.length + host.length + sizeof "https://:65535/" > sizeof location)
        return carom_respond(record, &(carom_response){.status = 414});
    int length = snprintf(location, sizeof location, "https://%.*s%s%s%.*s", (int)host.length,
                          host.data, suffix, slash, (int)path.length, path.data);
    const carom_field field = {CAROM_SLICE("Location"), {location, (size_t)length}};
    const carom_response response = {.status = 308, .fields = &field, .field_count = 1};
    return carom_respond(record, &response);
}
