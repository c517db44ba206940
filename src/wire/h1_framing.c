/* Framing of HTTP/1.1 requests: Host, Content-Length, Transfer-Encoding, Connection, Expect,
 * Upgrade. */
#include "wire/h1_framing.h"

#include "wire/scan.h"

/* framing->seen */
enum { SEEN_HOST = 1, SEEN_LENGTH = 2, SEEN_CODING = 4, SEEN_UPGRADE = 8, SEEN_EXPECT = 16 };
/* framing->connection */
enum { OPTION_CLOSE = 1, OPTION_KEEP = 2, OPTION_UPGRADE = 4 };
/* framing->codings */
enum { CODING_CHUNKED = 1, CODING_UNKNOWN = 2, CODING_BAD = 4 };

/* ---------------------------------------------------------------- Host */

/* Unreserved, pct-encoded and sub-delims (RFC 3986, 3.2.2), by byte. */
static const bool host_characters[256] = {
    ['-'] = true, ['.'] = true, ['_'] = true,  ['~'] = true, ['%'] = true, ['!'] = true,
    ['$'] = true, ['&'] = true, ['\''] = true, ['('] = true, [')'] = true, ['*'] = true,
    ['+'] = true, [','] = true, [';'] = true,  ['='] = true, ['0'] = true, ['1'] = true,
    ['2'] = true, ['3'] = true, ['4'] = true,  ['5'] = true, ['6'] = true, ['7'] = true,
    ['8'] = true, ['9'] = true, ['A'] = true,  ['B'] = true, ['C'] = true, ['D'] = true,
    ['E'] = true, ['F'] = true, ['G'] = true,  ['H'] = true, ['I'] = true, ['J'] = true,
    ['K'] = true, ['L'] = true, ['M'] = true,  ['N'] = true, ['O'] = true, ['P'] = true,
    ['Q'] = true, ['R'] = true, ['S'] = true,  ['T'] = true, ['U'] = true, ['V'] = true,
    ['W'] = true, ['X'] = true, ['Y'] = true,  ['Z'] = true, ['a'] = true, ['b'] = true,
    ['c'] = true, ['d'] = true, ['e'] = true,  ['f'] = true, ['g'] = true, ['h'] = true,
    ['i'] = true, ['j'] = true, ['k'] = true,  ['l'] = true, ['m'] = true, ['n'] = true,
    ['o'] = true, ['p'] = true, ['q'] = true,  ['r'] = true, ['s'] = true, ['t'] = true,
    ['u'] = true, ['v'] = true, ['w'] = true,  ['x'] = true, ['y'] = true, ['z'] = true,
};

static uint32_t host_length(const uint8_t *data, uint32_t length)
{
    uint32_t i = 0;
    if (length > 0 && data[0] == '[') {
        for (i = 1; i < length && data[i] != ']'; i++)
            if (!host_characters[data[i]] && data[i] != ':')
                return 0;
        return i > 1 && i < length ? i + 1 : 0;
    }
    i = carom_plain_host_length(data, length);
    while (i < length && host_characters[data[i]])
        i++;
    return i;
}

bool carom_h1_authority(const uint8_t *data, uint32_t length, bool port_needed)
{
    uint32_t host = host_length(data, length);
    if (host == length)
        return !port_needed;
    if (host == 0 || data[host] != ':' || length - host > 6)
        return false;
    uint32_t port = 0;
    for (uint32_t i = host + 1; i < length; i++) {
        uint32_t digit = data[i] - (uint32_t)'0';
        if (digit > 9)
            return false;
        port = port * 10 + digit;
    }
    return port <= UINT16_MAX && (port > 0 || !port_needed);
}

static int note_host(struct carom_h1_framing *framing, const uint8_t *value, uint32_t length)
{
    if (framing->seen & SEEN_HOST)
        return -400;
    framing->seen |= SEEN_HOST;
    return carom_h1_authority(value, length, false) ? 0 : -400;
}

/* ---------------------------------------------------------------- content */

static int note_length(struct carom_h1_framing *framing, const uint8_t *value, uint32_t length,
                       struct carom_request_head *head)
{
    if ((framing->seen & SEEN_LENGTH) || length == 0)
        return -400;
    framing->seen |= SEEN_LENGTH;
    uint64_t number = 0;
    for (uint32_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -400;
        if (number > (INT64_MAX - 9) / 10)
            return -400;
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    head->content_length = number;
    return 0;
}

/* The next member of a comma-separated list, without blanks around it; false at the end. */
static bool next_member(const uint8_t **at, const uint8_t *end, carom_slice *member)
{
    while (*at < end) {
        const uint8_t *from = *at;
        const uint8_t *to = from;
        while (to < end && *to != ',')
            to++;
        *at = to < end ? to + 1 : end;
        while (from < to && carom_is_blank(*from))
            from++;
        while (to > from && carom_is_blank(to[-1]))
            to--;
        if (to > from) {
            *member = (carom_slice){(const char *)from, (size_t)(to - from)};
            return true;
        }
    }
    return false;
}

static bool member_is(carom_slice member, const char *lower, size_t length)
{
    return member.length == length &&
           carom_equals_lower((const uint8_t *)member.data, lower, length);
}

/* A token, perhaps with parameters, which no coding that we know has (RFC 9112, 7). */
static bool is_coding(carom_slice member)
{
    uint32_t token = carom_token_length((const uint8_t *)member.data, (uint32_t)member.length);
    return token == member.length || (token > 0 && (member.data[token] == ';' ||
                                                    carom_is_blank((uint8_t)member.data[token])));
}

static int note_codings(struct carom_h1_framing *framing, const uint8_t *value, uint32_t length)
{
    carom_slice member;
    const uint8_t *at = value;
    framing->seen |= SEEN_CODING;
    while (next_member(&at, value + length, &member)) {
        if ((framing->codings & CODING_CHUNKED) || !is_coding(member))
            framing->codings |= CODING_BAD; /* something after chunked, or chunked twice */
        framing->codings |= member_is(member, "chunked", 7) ? CODING_CHUNKED : CODING_UNKNOWN;
    }
    return 0;
}

/* ---------------------------------------------------------------- connection */

static int note_connection(struct carom_h1_framing *framing, const uint8_t *value, uint32_t length)
{
    carom_slice member;
    const uint8_t *at = value;
    while (next_member(&at, value + length, &member)) {
        if (member_is(member, "close", 5))
            framing->connection |= OPTION_CLOSE;
        else if (member_is(member, "keep-alive", 10))
            framing->connection |= OPTION_KEEP;
        else if (member_is(member, "upgrade", 7))
            framing->connection |= OPTION_UPGRADE;
    }
    return 0;
}

/* An expectation that nobody knows cannot be met (RFC 9110, 10.1.1). */
static int note_expect(struct carom_h1_framing *framing, const uint8_t *value, uint32_t length)
{
    carom_slice member;
    const uint8_t *at = value;
    while (next_member(&at, value + length, &member)) {
        if (member_is(member, "100-continue", 12))
            framing->seen |= SEEN_EXPECT;
        else if (!framing->any_expectation)
            return -417;
    }
    return 0;
}

/* One of those, or another with its length and first letter. */
static int note_framing(struct carom_h1_framing *framing, const uint8_t *data,
                        const struct carom_field_span *field, struct carom_request_head *head)
{
    const uint8_t *name = data + field->name.offset;
    const uint8_t *value = data + field->value.offset;
    uint32_t length = field->value.length;
    switch (field->name.length) {
    case 4:
        if (carom_equals_lower(name, "host", 4))
            return note_host(framing, value, length);
        break;
    case 6:
        if (carom_equals_lower(name, "expect", 6))
            return note_expect(framing, value, length);
        break;
    case 7:
        if (length > 0 && carom_equals_lower(name, "upgrade", 7))
            framing->seen |= SEEN_UPGRADE;
        break;
    case 10:
        if (carom_equals_lower(name, "connection", 10))
            return note_connection(framing, value, length);
        break;
    case 14:
        if (carom_equals_lower(name, "content-length", 14))
            return note_length(framing, value, length, head);
        break;
    case 17:
        if (carom_equals_lower(name, "transfer-encoding", 17))
            return note_codings(framing, value, length);
        break;
    default:
        break;
    }
    return 0;
}

int carom_h1_framing_note(struct carom_h1_framing *framing, const uint8_t *data,
                          const struct carom_field_span *field, struct carom_request_head *head)
{
    /* host, expect, upgrade, connection, content-length, transfer-encoding */
    static const char first[] = "\0\0\0\0h\0eu\0\0c\0\0\0c\0\0t";
    uint32_t length = field->name.length;
    if (carom_likely(length >= sizeof first || (data[field->name.offset] | 0x20) != first[length]))
        return 0;
    return note_framing(framing, data, field, head);
}

/* RFC 9112, 6.3, without any of its lenient readings: what is ambiguous is refused. */
static int decide_content(const struct carom_h1_framing *framing, struct carom_request_head *head)
{
    head->framing = CAROM_FRAMING_NONE;
    if (framing->seen & SEEN_CODING) {
        if (head->version == 10 || (framing->seen & SEEN_LENGTH) ||
            !(framing->codings & CODING_CHUNKED) || (framing->codings & CODING_BAD))
            return -400;
        if (framing->codings & CODING_UNKNOWN)
            return -501;
        head->framing = CAROM_FRAMING_CHUNKED;
    } else if (framing->seen & SEEN_LENGTH) {
        head->framing = CAROM_FRAMING_LENGTH;
    }
    /* Content of CONNECT has no meaning (RFC 9110, 9.3.6): nobody could say where it ends. */
    bool content = head->framing == CAROM_FRAMING_CHUNKED ||
                   (head->framing == CAROM_FRAMING_LENGTH && head->content_length > 0);
    return head->is_connect && content ? -400 : 0;
}

int carom_h1_framing_decide(const struct carom_h1_framing *framing, struct carom_request_head *head)
{
    if (!(framing->seen & SEEN_HOST) && head->version != 10 && !framing->host_optional)
        return -400;
    int error = decide_content(framing, head);
    if (error < 0)
        return error;
    if (framing->connection & OPTION_CLOSE)
        head->keep_alive = false;
    else
        head->keep_alive = head->version != 10 || (framing->connection & OPTION_KEEP) != 0;
    bool content = head->framing == CAROM_FRAMING_CHUNKED || head->content_length > 0;
    head->expects_continue = (framing->seen & SEEN_EXPECT) && head->version != 10 && content;
    head->wants_upgrade = (framing->seen & SEEN_UPGRADE) &&
                          (framing->connection & OPTION_UPGRADE) && head->version != 10;
    return 0;
}

bool carom_h1_is_framing(const uint8_t *name, uint32_t length)
{
    switch (length) {
    case 4:
        return carom_equals_lower(name, "host", 4);
    case 7:
        return carom_equals_lower(name, "trailer", 7) || carom_equals_lower(name, "upgrade", 7);
    case 10:
        return carom_equals_lower(name, "connection", 10);
    case 14:
        return carom_equals_lower(name, "content-length", 14);
    case 17:
        return carom_equals_lower(name, "transfer-encoding", 17);
    default:
        return false;
    }
}
