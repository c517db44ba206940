/* The redirect from the plain port to that of TLS. */
#include <stdio.h>
#include <string.h>

#include "carom.h"

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

/* Path and query of a target in whatever form (RFC 9112, 3.2); "/" where there is none. */
static carom_slice path_of(carom_slice target)
{
    static const carom_slice root = CAROM_SLICE("/");
    const char *end = target.data + target.length;
    const char *at = target.data;
    if (target.length > 0 && *at == '/')
        return target;
    while (at + 3 <= end && memcmp(at, "://", 3) != 0)
        at++;
    at = at + 3 <= end ? memchr(at + 3, '/', (size_t)(end - at - 3)) : NULL;
    return at == NULL ? root : (carom_slice){at, (size_t)(end - at)};
}

int carom_redirect_to_https(carom_record *record, uint16_t port)
{
    char location[LOCATION_SIZE], suffix[8] = "";
    carom_slice host = carom_request_field(record, "host");
    carom_slice path = path_of(carom_request_target(record));
    if (host.data != NULL)
        host = without_port(host);
    if (host.data == NULL || host.length == 0) /* HTTP/1.0 may have none */
        return carom_respond(record, &(carom_response){.status = 400});
    if (port != 443)
        snprintf(suffix, sizeof suffix, ":%u", (unsigned)port);
    if (path.length + host.length + sizeof "https://:65535" > sizeof location)
        return carom_respond(record, &(carom_response){.status = 414});
    int length = snprintf(location, sizeof location, "https://%.*s%s%.*s", (int)host.length,
                          host.data, suffix, (int)path.length, path.data);
    const carom_field field = {CAROM_SLICE("Location"), {location, (size_t)length}};
    const carom_response response = {.status = 308, .fields = &field, .field_count = 1};
    return carom_respond(record, &response);
}
