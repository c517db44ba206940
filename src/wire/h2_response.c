/* Makes name-value pairs of HTTP/2 response heads. nghttp2 copies them and puts their names into
 * lower case. */
#include "wire/h2_response.h"

#include <string.h>

#include "wire/scan.h"

/* What nghttp2's `stderr` becomes where it is linked into a shared object (CMakeLists.txt): it is
 * printed to by a function for its developers that nobody calls. */
extern void *carom_nghttp2_stderr;
void *carom_nghttp2_stderr;

nghttp2_nv carom_h2_pair(carom_slice name, carom_slice value)
{
    /* nghttp2 does not write there. */
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data,
                        name.length, value.length, NGHTTP2_NV_FLAG_NONE};
}

static bool name_is(carom_slice name, const char *lower)
{
    size_t length = strlen(lower);
    return name.length == length && carom_equals_lower((const uint8_t *)name.data, lower, length);
}

static bool left_out(carom_slice name)
{
    switch (name.length) {
    case 7:
        return name_is(name, "upgrade");
    case 10:
        return name_is(name, "connection") || name_is(name, "keep-alive");
    case 14:
        return name_is(name, "content-length"); /* written from the plan */
    case 16:
        return name_is(name, "proxy-connection");
    default:
        return false;
    }
}

size_t carom_h2_head_pairs(nghttp2_nv *pairs, const struct carom_response_plan *plan,
                           const carom_field *fields, size_t count, struct carom_h2_extra *extra)
{
    static const carom_slice status = CAROM_SLICE(":status");
    static const carom_slice date = CAROM_SLICE("date");
    static const carom_slice length = CAROM_SLICE("content-length");
    size_t used = 0;
    carom_decimal_write(extra->status, plan->status);
    pairs[used++] = carom_h2_pair(status, (carom_slice){(const char *)extra->status, 3});
    for (size_t i = 0; i < count; i++)
        if (!left_out(fields[i].name))
            pairs[used++] = carom_h2_pair(fields[i].name, fields[i].value);
    if (plan->status < 200)
        return used;
    if (!plan->own_date)
        pairs[used++] = carom_h2_pair(date, extra->date);
    if (plan->length_field) {
        uint32_t digits = carom_decimal_write(extra->length, plan->content_length);
        pairs[used++] = carom_h2_pair(length, (carom_slice){(const char *)extra->length, digits});
    }
    return used;
}
