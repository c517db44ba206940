/* Reads the fields of WebSocket's handshake and agrees on what they offer. All lists are read by
 * one reader: elements between commas, empty ones passed over (RFC 9110, 5.6.1.2), at least one
 * there. */
#include "wire/ws_handshake.h"

#include <string.h>

#include "base/sha1.h"
#include "wire/scan.h"

/* ---------------------------------------------------------------- key and accept */

static bool is_base64(uint8_t byte)
{
    uint8_t letter = (byte | 0x20) - 'a', digit = byte - '0';
    return letter < 26 || digit < 10 || byte == '+' || byte == '/';
}

bool carom_ws_key_is_valid(carom_slice key)
{
    if (key.length != CAROM_WS_KEY_BYTES || memcmp(key.data + CAROM_WS_KEY_BYTES - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < CAROM_WS_KEY_BYTES - 2; i++)
        if (!is_base64((uint8_t)key.data[i]))
            return false;
    return true;
}

static void base64_write(char *to, const uint8_t *data, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3, to += 4) {
        size_t there = length - i < 3 ? length - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < there ? data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            to[k] = k <= there ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
}

void carom_ws_accept(char to[static CAROM_WS_ACCEPT_BYTES], const char *key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[CAROM_WS_KEY_BYTES + sizeof guid - 1];
    uint8_t digest[CAROM_SHA1_BYTES];
    memcpy(text, key, CAROM_WS_KEY_BYTES);
    memcpy(text + CAROM_WS_KEY_BYTES, guid, sizeof guid - 1);
    carom_sha1(digest, text, sizeof text);
    base64_write(to, digest, sizeof digest);
}

/* ---------------------------------------------------------------- lists */

struct reader {
    const uint8_t *at, *end;
};

static struct reader reader_of(carom_slice value)
{
    const uint8_t *data = (const uint8_t *)value.data;
    return (struct reader){data, data + value.length};
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && carom_is_blank(*reader->at))
        reader->at++;
}

/* Whether `byte` is next, behind blanks; it is taken then, and blanks behind it. */
static bool take(struct reader *reader, uint8_t byte)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != byte)
        return false;
    reader->at++;
    skip_blanks(reader);
    return true;
}

/* The token that is next, empty when none is. */
static carom_slice take_token(struct reader *reader)
{
    uint32_t length = carom_token_length(reader->at, (uint32_t)(reader->end - reader->at));
    carom_slice token = {(const char *)reader->at, length};
    reader->at += length;
    return token;
}

/* Whether there is another element, with the reader at it. */
static bool next_element(struct reader *reader)
{
    skip_blanks(reader);
    while (take(reader, ','))
        continue;
    return reader->at < reader->end;
}

/* Whether the element ends here, as it must. */
static bool element_ends(struct reader *reader)
{
    skip_blanks(reader);
    return reader->at == reader->end || *reader->at == ',';
}

static bool equals(carom_slice a, carom_slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static bool is(carom_slice slice, const char *text)
{
    return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

/* ---------------------------------------------------------------- extensions */

#define MOST_BITS 15

struct parameter {
    carom_slice name;
    uint8_t bits; /* the value, where that is a number from 8 to 15 as it must be written; else 0 */
    bool has_value;
};

/* What an offer of permessage-deflate asks for. */
struct offer {
    bool valid; /* all parameters are known, there once, and have values they may have */
    bool server_no_takeover, client_no_takeover;
    uint8_t server_bits, client_bits; /* 0: not named */
};

static uint8_t bits_of(const char *digits, size_t length)
{
    if (length == 1 && (digits[0] == '8' || digits[0] == '9'))
        return (uint8_t)(digits[0] - '0');
    if (length == 2 && digits[0] == '1' && digits[1] >= '0' && digits[1] <= '5')
        return (uint8_t)(10 + digits[1] - '0');
    return 0;
}

/* A token, or a quoted string of what might stand in one (RFC 6455, 9.1). False: neither. */
static bool take_value(struct reader *reader, uint8_t *bits)
{
    char digits[2];
    size_t length = 0;
    bool quoted = reader->at < reader->end && *reader->at == '"';
    if (!quoted) {
        carom_slice token = take_token(reader);
        *bits = bits_of(token.data, token.length);
        return token.length > 0;
    }
    for (reader->at++; reader->at < reader->end && *reader->at != '"'; reader->at++) {
        if (*reader->at == '\\' && ++reader->at == reader->end)
            return false;
        if (!carom_token_characters[*reader->at])
            return false;
        if (length < sizeof digits)
            digits[length] = (char)*reader->at;
        length++;
    }
    if (reader->at == reader->end || length == 0)
        return false;
    reader->at++;
    *bits = bits_of(digits, length);
    return true;
}

static bool take_parameter(struct reader *reader, struct parameter *parameter)
{
    *parameter = (struct parameter){.name = take_token(reader)};
    if (parameter->name.length == 0)
        return false;
    parameter->has_value = take(reader, '=');
    return !parameter->has_value || take_value(reader, &parameter->bits);
}

/* Whether the parameter may stand in the offer, which then has it. */
static bool note_parameter(struct offer *offer, const struct parameter *parameter)
{
    bool *flag = is(parameter->name, "server_no_context_takeover")   ? &offer->server_no_takeover
                 : is(parameter->name, "client_no_context_takeover") ? &offer->client_no_takeover
                                                                     : NULL;
    if (flag != NULL) {
        bool first = !*flag;
        *flag = true;
        return first && !parameter->has_value;
    }
    bool server = is(parameter->name, "server_max_window_bits");
    uint8_t *bits = server ? &offer->server_bits : &offer->client_bits;
    if ((!server && !is(parameter->name, "client_max_window_bits")) || *bits != 0)
        return false;
    if (parameter->has_value)
        *bits = parameter->bits;
    else if (!server) /* the client takes any bound */
        *bits = MOST_BITS;
    return *bits != 0;
}

/* False: this is no extension. */
static bool take_offer(struct reader *reader, struct offer *offer)
{
    carom_slice name = take_token(reader);
    if (name.length == 0)
        return false;
    *offer = (struct offer){.valid = is(name, "permessage-deflate")};
    while (take(reader, ';')) {
        struct parameter parameter;
        if (!take_parameter(reader, &parameter))
            return false;
        offer->valid = offer->valid && note_parameter(offer, &parameter);
    }
    return element_ends(reader);
}

static uint8_t lesser(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static void accept_offer(struct carom_ws_deflate_agreed *agreed,
                         const struct carom_ws_deflate_wanted *wanted, const struct offer *offer)
{
    uint8_t server_bits = offer->server_bits > 0 ? offer->server_bits : MOST_BITS;
    uint8_t client_bits = offer->client_bits > 0 ? offer->client_bits : MOST_BITS;
    bool bounded = offer->client_bits > 0 || wanted->bits == MOST_BITS;
    bool server_takeover = wanted->takeover && !offer->server_no_takeover && server_bits > 8;
    bool client_takeover = wanted->takeover && !offer->client_no_takeover && bounded;
    *agreed = (struct carom_ws_deflate_agreed){
        .used = true,
        .server_no_takeover = !server_takeover,
        .client_no_takeover = !client_takeover,
        .server_bits = server_takeover ? lesser(server_bits, wanted->bits) : server_bits,
        .client_bits = client_takeover ? lesser(client_bits, wanted->bits) : MOST_BITS};
}

static size_t append(char *to, size_t length, const char *text, uint8_t bits)
{
    size_t size = strlen(text);
    memcpy(to + length, text, size);
    length += size;
    if (bits >= 10)
        to[length++] = '1';
    if (bits > 0)
        to[length++] = (char)('0' + bits % 10);
    return length;
}

/* A bound that the client has asked for is told, though it is none (RFC 7692, 7.1.2.1); one that it
 * has not offered to keep is not (7.1.2.2), nor do we have any then. */
static size_t answer_write(char *to, const struct carom_ws_deflate_agreed *agreed,
                           const struct offer *offer)
{
    size_t length = append(to, 0, "permessage-deflate", 0);
    if (agreed->server_no_takeover)
        length = append(to, length, "; server_no_context_takeover", 0);
    if (agreed->client_no_takeover)
        length = append(to, length, "; client_no_context_takeover", 0);
    if (agreed->server_bits < MOST_BITS || offer->server_bits > 0)
        length = append(to, length, "; server_max_window_bits=", agreed->server_bits);
    if (agreed->client_bits < MOST_BITS)
        length = append(to, length, "; client_max_window_bits=", agreed->client_bits);
    return length;
}

int carom_ws_deflate_agree(struct carom_ws_deflate_agreed *agreed,
                           const struct carom_ws_deflate_wanted *wanted, const carom_slice *values,
                           size_t count, char to[static CAROM_WS_EXTENSIONS_BYTES])
{
    size_t length = 0, offers = 0;
    struct carom_ws_deflate_agreed none = {.used = false};
    *agreed = none;
    for (size_t i = 0; i < count; i++) {
        struct reader reader = reader_of(values[i]);
        for (; next_element(&reader); offers++) {
            struct offer offer;
            if (!take_offer(&reader, &offer)) {
                *agreed = none;
                return -CAROM_EFIELD;
            }
            if (!offer.valid || agreed->used)
                continue;
            accept_offer(agreed, wanted, &offer);
            length = answer_write(to, agreed, &offer);
        }
    }
    return count > 0 && offers == 0 ? -CAROM_EFIELD : (int)length;
}

/* ---------------------------------------------------------------- subprotocols */

static size_t place_in(const carom_slice *list, size_t count, carom_slice name)
{
    size_t i = 0;
    while (i < count && !equals(list[i], name))
        i++;
    return i;
}

int carom_ws_protocol_choose(const carom_slice *values, size_t count, const carom_slice *ours,
                             size_t our_count)
{
    carom_slice names[CAROM_WS_PROTOCOLS];
    size_t offered = 0, chosen = our_count;
    for (size_t i = 0; i < count; i++) {
        struct reader reader = reader_of(values[i]);
        while (next_element(&reader)) {
            carom_slice name = take_token(&reader);
            if (name.length == 0 || !element_ends(&reader) || offered == CAROM_WS_PROTOCOLS ||
                place_in(names, offered, name) < offered)
                return -CAROM_EFIELD;
            names[offered++] = name;
            if (chosen == our_count)
                chosen = place_in(ours, our_count, name);
        }
    }
    if (count > 0 && offered == 0)
        return -CAROM_EFIELD;
    return chosen < our_count ? (int)chosen : CAROM_WS_NO_PROTOCOL;
}

/* ---------------------------------------------------------------- origin */

static bool same_without_case(carom_slice a, carom_slice b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++) {
        uint8_t x = (uint8_t)a.data[i], y = (uint8_t)b.data[i];
        uint8_t letter = (x | 0x20) - 'a';
        if (x != y && ((x ^ y) != 0x20 || letter >= 26))
            return false;
    }
    return true;
}

struct authority {
    carom_slice host;
    uint32_t port; /* the scheme's where none is named; UINT32_MAX for what is no port */
};

/* "host", "host:port", "[::1]:port". */
static struct authority authority_of(const char *data, size_t length, uint32_t default_port)
{
    struct authority authority = {{data, length}, default_port};
    size_t colon = length;
    while (colon > 0 && data[colon - 1] >= '0' && data[colon - 1] <= '9')
        colon--;
    if (colon == 0 || data[colon - 1] != ':')
        return authority;
    authority.host.length = colon - 1;
    if (colon == length)
        return authority;
    authority.port = 0;
    for (size_t i = colon; i < length; i++) {
        authority.port = authority.port * 10 + (uint32_t)(data[i] - '0');
        if (authority.port > UINT16_MAX)
            return (struct authority){authority.host, UINT32_MAX};
    }
    return authority;
}

static bool is_same_origin(carom_slice origin, bool secure, carom_slice host)
{
    static const carom_slice https = CAROM_SLICE("https://"), http = CAROM_SLICE("http://");
    bool by_https = origin.length > https.length &&
                    same_without_case((carom_slice){origin.data, https.length}, https);
    bool by_http = origin.length > http.length &&
                   same_without_case((carom_slice){origin.data, http.length}, http);
    if (!by_https && (!by_http || secure))
        return false;
    size_t scheme = by_https ? https.length : http.length;
    uint32_t port = by_https ? 443 : 80;
    struct authority theirs = authority_of(origin.data + scheme, origin.length - scheme, port);
    struct authority ours = authority_of(host.data, host.length, port);
    return theirs.port == ours.port && theirs.port != UINT32_MAX && ours.host.length > 0 &&
           same_without_case(theirs.host, ours.host);
}

bool carom_ws_origin_is_allowed(carom_slice origin, bool secure, carom_slice host,
                                const carom_slice *allowed, size_t count)
{
    if (origin.data == NULL)
        return true;
    bool same = count == 0;
    for (size_t i = 0; i < count; i++) {
        if (is(allowed[i], "*") || same_without_case(allowed[i], origin))
            return true;
        same |= is(allowed[i], "same");
    }
    return same && is_same_origin(origin, secure, host);
}
