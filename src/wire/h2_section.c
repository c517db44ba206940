/* HTTP/2 header and trailer sections: gathers their field lines, checks them, and packs them into
 * one piece. */
#include "wire/h2_section.h"

#include <string.h>

#include "wire/h1_framing.h"
#include "wire/scan.h"
#include "wire/semantics.h"

/* As in HTTP/1.1. */
#define MAX_METHOD 32

void carom_h2_section_begin(struct carom_h2_section *section, struct carom_fields *fields,
                            struct carom_pages *small, struct carom_pages *large,
                            const struct carom_h2_limits *limits, bool trailers)
{
    *section = (struct carom_h2_section){
        .small = small,
        .large = large,
        .fields = fields,
        .limits = *limits,
        .trailers = trailers,
    };
    const struct carom_span none = {0, 0};
    if (!trailers && carom_fields_add(fields, none, none) < 0) /* Host */
        section->status = 500;
}

void carom_h2_section_finish(struct carom_h2_section *section)
{
    if (section->page != NULL)
        carom_page_drop(section->page);
    section->page = NULL;
}

static void refuse(struct carom_h2_section *section, uint16_t status)
{
    if (section->status == 0)
        section->status = status;
}

static const uint8_t *bytes_of(const struct carom_h2_section *section, struct carom_span span)
{
    return section->page->data + span.offset;
}

static bool slice_is(carom_slice slice, const char *text, size_t length)
{
    return slice.length == length && memcmp(slice.data, text, length) == 0;
}

#define IS(slice, literal) slice_is(slice, literal, sizeof(literal) - 1)

/* ---------------------------------------------------------------- gathering */

/* See that `room` bytes are free in the page. */
static bool make_room(struct carom_h2_section *section, size_t room)
{
    struct carom_page *page = section->page;
    if (page != NULL && page->size - page->used >= room)
        return true;
    size_t used = page != NULL ? page->used : 0;
    bool small = page == NULL && room <= section->small->size;
    struct carom_pages *pages = small ? section->small : section->large;
    if (used + room > pages->size) {
        refuse(section, 431);
        return false;
    }
    struct carom_page *larger = carom_page_take(pages);
    if (larger == NULL) {
        refuse(section, 500);
        return false;
    }
    if (page != NULL) {
        memcpy(larger->data, page->data, used);
        carom_page_drop(page);
    }
    larger->used = (uint32_t)used;
    section->page = larger;
    return true;
}

static struct carom_span keep(struct carom_h2_section *section, carom_slice bytes)
{
    struct carom_page *page = section->page;
    struct carom_span span = {page->used, (uint32_t)bytes.length};
    if (bytes.length > 0)
        memcpy(page->data + page->used, bytes.data, bytes.length);
    page->used += (uint32_t)bytes.length;
    return span;
}

/* A pseudo-header field. nghttp2 refuses those that come twice, late or unknown. */
static void add_pseudo(struct carom_h2_section *section, carom_slice name, carom_slice value)
{
    struct carom_span *span = NULL;
    if (IS(name, ":method"))
        span = &section->method;
    else if (IS(name, ":path"))
        span = &section->target;
    else if (IS(name, ":authority"))
        span = &section->authority;
    else if (IS(name, ":scheme"))
        span = &section->scheme;
    else if (IS(name, ":protocol"))
        span = &section->protocol;
    if (span == NULL || section->trailers)
        refuse(section, 400);
    else if (span == &section->target && value.length > section->limits.max_target)
        refuse(section, 414);
    else if (make_room(section, value.length))
        *span = keep(section, value);
}

static void note_length(struct carom_h2_section *section, carom_slice value)
{
    uint64_t number = 0;
    bool bad = section->length_seen || value.length == 0;
    for (size_t i = 0; i < value.length && !bad; i++) {
        bad = value.data[i] < '0' || value.data[i] > '9' || number > (INT64_MAX - 9) / 10;
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    section->length_seen = true;
    section->content_length = number;
    if (bad)
        refuse(section, 400);
}

static void note_expect(struct carom_h2_section *section, carom_slice value)
{
    section->expects_continue =
        value.length == 12 && carom_equals_lower((const uint8_t *)value.data, "100-continue", 12);
    if (!section->expects_continue)
        refuse(section, 417);
}

/* A crumb behind the first: its place in the chain, then its bytes. */
struct crumb {
    uint32_t next, length;
};

static void add_crumb(struct carom_h2_section *section, carom_slice value)
{
    const struct crumb crumb = {0, (uint32_t)value.length};
    if (!make_room(section, sizeof crumb + value.length))
        return;
    uint32_t at = keep(section, (carom_slice){(const char *)&crumb, sizeof crumb}).offset;
    keep(section, value);
    if (section->crumb == 0)
        section->crumb = at;
    else
        memcpy(section->page->data + section->last_crumb, &at, sizeof at);
    section->last_crumb = at;
}

/* What the field means for the exchange. True when it is not to be shown as it is. */
static bool note_field(struct carom_h2_section *section, carom_slice name, carom_slice value)
{
    if (IS(name, "host")) {
        if (section->host.length > 0)
            refuse(section, 400);
        else if (make_room(section, value.length))
            section->host = keep(section, value);
        return true;
    }
    if (IS(name, "content-length"))
        note_length(section, value);
    else if (IS(name, "expect"))
        note_expect(section, value);
    else if (IS(name, "cookie") && section->cookies++ == 0)
        section->cookie_field = section->fields->count;
    else if (IS(name, "cookie")) {
        add_crumb(section, value);
        return true;
    }
    return false;
}

static void add_field(struct carom_h2_section *section, carom_slice name, carom_slice value)
{
    const uint8_t *bytes = (const uint8_t *)name.data;
    uint32_t length = (uint32_t)name.length;
    if (length == 0 || carom_token_length(bytes, length) != length ||
        carom_value_length((const uint8_t *)value.data, (uint32_t)value.length) != value.length ||
        (section->trailers && carom_h1_is_framing(bytes, length))) {
        refuse(section, 400);
        return;
    }
    if ((!section->trailers && note_field(section, name, value)) ||
        !make_room(section, name.length + value.length))
        return;
    struct carom_span name_span = keep(section, name);
    struct carom_span value_span = keep(section, value);
    int error = carom_fields_add(section->fields, name_span, value_span);
    if (error < 0)
        refuse(section, error == -CAROM_ETOOBIG ? 431 : 500);
}

void carom_h2_section_add(struct carom_h2_section *section, carom_slice name, carom_slice value)
{
    bool pseudo = name.length > 0 && name.data[0] == ':';
    if (!pseudo) {
        size_t cost = name.length + value.length + CAROM_H2_LINE_COST;
        if (section->cookies > 0 && IS(name, "cookie"))
            cost = value.length + 2; /* it is joined to the others */
        section->size =
            cost < UINT32_MAX - section->size ? section->size + (uint32_t)cost : UINT32_MAX;
        if (section->size > section->limits.max_header_section)
            refuse(section, 431);
    }
    if (section->status != 0)
        return;
    if (pseudo)
        add_pseudo(section, name, value);
    else
        add_field(section, name, value);
}

/* ---------------------------------------------------------------- packing */

struct packer {
    const struct carom_h2_section *section;
    uint8_t *base;
    uint32_t used;
};

static struct carom_span pack_bytes(struct packer *packer, const void *bytes, uint32_t length)
{
    struct carom_span span = {packer->used, length};
    if (length > 0)
        memcpy(packer->base + packer->used, bytes, length);
    packer->used += length;
    return span;
}

static struct carom_span pack(struct packer *packer, struct carom_span span)
{
    return pack_bytes(packer, span.length > 0 ? bytes_of(packer->section, span) : NULL,
                      span.length);
}

/* All crumbs as one value, as HTTP/1.1 has them (RFC 9113, 8.2.3). */
static struct carom_span pack_cookies(struct packer *packer, struct carom_span first)
{
    const struct carom_h2_section *section = packer->section;
    struct carom_span joined = pack(packer, first);
    carom_assert(section->page != NULL); /* a name lies there, and the crumbs */
    struct crumb crumb;
    for (uint32_t at = section->crumb; at != 0; at = crumb.next) {
        memcpy(&crumb, section->page->data + at, sizeof crumb);
        pack_bytes(packer, "; ", 2);
        pack(packer, (struct carom_span){at + sizeof crumb, crumb.length});
    }
    joined.length = packer->used - joined.offset;
    return joined;
}

static void pack_fields(struct packer *packer, uint32_t from)
{
    const struct carom_h2_section *section = packer->section;
    struct carom_fields *fields = section->fields;
    for (uint32_t i = from; i < fields->count; i++) {
        struct carom_field_span *span = &fields->spans[i];
        bool cookies = section->cookies > 1 && i == section->cookie_field;
        span->name = pack(packer, span->name);
        span->value = cookies ? pack_cookies(packer, span->value) : pack(packer, span->value);
    }
}

/* Room for all of it, with Host in front. */
static bool begin_packing(struct carom_h2_section *section, struct carom_arena *arena,
                          struct packer *packer)
{
    uint32_t room = (section->page != NULL ? section->page->used : 0) + section->cookies * 2 +
                    section->authority.length + 16;
    if (room > arena->pages->size) {
        refuse(section, 431);
        return false;
    }
    struct carom_page *page = carom_arena_room(arena, room);
    if (page == NULL) {
        refuse(section, 500);
        return false;
    }
    section->fields->page = carom_page_hold(page);
    section->fields->base = page->data + page->used;
    *packer = (struct packer){section, page->data + page->used, 0};
    return true;
}

static void end_packing(struct carom_h2_section *section, const struct packer *packer)
{
    section->fields->page->used += packer->used;
    carom_h2_section_finish(section);
}

/* ---------------------------------------------------------------- heads */

static bool same_host(const struct carom_h2_section *section)
{
    const uint8_t *host = bytes_of(section, section->host);
    const uint8_t *authority = bytes_of(section, section->authority);
    if (section->host.length != section->authority.length)
        return false;
    for (uint32_t i = 0; i < section->host.length; i++) {
        uint8_t a = host[i];
        uint8_t b = authority[i];
        bool letters = (a | 0x20) >= 'a' && (a | 0x20) <= 'z' && (a | 0x20) == (b | 0x20);
        if (a != b && !letters)
            return false;
    }
    return true;
}

/* RFC 9113, 8.3.1, and the rules for targets and hosts of RFC 9112, 3.2. */
static void check_target(struct carom_h2_section *section, const struct carom_request_head *head)
{
    struct carom_span host = section->authority.length > 0 ? section->authority : section->host;
    bool tunnel = head->is_connect && section->protocol.length == 0;
    if (host.length == 0 || !carom_h1_authority(bytes_of(section, host), host.length, tunnel) ||
        (section->host.length > 0 && section->authority.length > 0 && !same_host(section))) {
        refuse(section, 400);
        return;
    }
    if (tunnel)
        return;
    const uint8_t *target = bytes_of(section, section->target);
    uint32_t length = section->target.length;
    bool options = section->method.length == 7 &&
                   memcmp(bytes_of(section, section->method), "OPTIONS", 7) == 0;
    if (length == 0 || carom_target_length(target, length) != length ||
        (target[0] != '/' && !(options && length == 1 && target[0] == '*')))
        refuse(section, 400);
}

static void check_method(struct carom_h2_section *section, struct carom_request_head *head)
{
    uint32_t length = section->method.length;
    const uint8_t *method = length > 0 ? bytes_of(section, section->method) : NULL;
    if (length == 0 || carom_token_length(method, length) != length) {
        refuse(section, 400);
        return;
    }
    if (length > MAX_METHOD)
        refuse(section, 501);
    head->is_head = length == 4 && memcmp(method, "HEAD", 4) == 0;
    head->is_connect = length == 7 && memcmp(method, "CONNECT", 7) == 0;
}

static void decide_framing(const struct carom_h2_section *section, struct carom_request_head *head,
                           bool end_stream)
{
    head->version = 20;
    head->keep_alive = true;
    head->framing = CAROM_FRAMING_CHUNKED;
    if (section->length_seen && !head->is_connect) {
        head->framing = CAROM_FRAMING_LENGTH;
        head->content_length = section->content_length;
    } else if (end_stream || head->is_connect) {
        head->framing = CAROM_FRAMING_NONE;
    }
    head->expects_continue = section->expects_continue && !end_stream;
}

/* A head of which nothing is shown but that it was. */
static void empty_head(struct carom_h2_section *section, struct carom_request_head *head)
{
    static const char nothing[] = "";
    section->fields->count = 0;
    section->fields->base = (const uint8_t *)nothing;
    head->method = head->target = (struct carom_span){0, 0};
    carom_h2_section_finish(section);
}

void carom_h2_section_head(struct carom_h2_section *section, struct carom_arena *arena,
                           struct carom_request_head *head, bool end_stream)
{
    struct packer packer;
    check_method(section, head);
    if (section->status == 0)
        check_target(section, head);
    decide_framing(section, head, end_stream);
    if (section->status != 0 || !begin_packing(section, arena, &packer)) {
        empty_head(section, head);
        return;
    }
    bool tunnel = head->is_connect && section->protocol.length == 0;
    struct carom_span host = section->authority.length > 0 ? section->authority : section->host;
    head->method = pack(&packer, section->method);
    head->target = pack(&packer, tunnel ? section->authority : section->target);
    head->protocol = pack(&packer, section->protocol);
    struct carom_field_span *first = &section->fields->spans[0];
    first->name = pack_bytes(&packer, "host", 4);
    first->value = pack(&packer, host);
    pack_fields(&packer, 1);
    end_packing(section, &packer);
}

void carom_h2_section_trailers(struct carom_h2_section *section, struct carom_arena *arena)
{
    struct packer packer;
    if (section->status != 0 || section->fields->count == 0 ||
        !begin_packing(section, arena, &packer)) {
        section->fields->count = 0;
        carom_h2_section_finish(section);
        return;
    }
    pack_fields(&packer, 0);
    end_packing(section, &packer);
}
