/* A strict reader of HTTP/1.1 responses as the engine writes them: whatever is not lawful (RFC
 * 9112) is a finding. Only bytes that have not come yet are forgiven. */
#ifndef CAROM_TEST_FUZZ_REPLY_H
#define CAROM_TEST_FUZZ_REPLY_H

#include "fuzz/support.h"

#include <ctype.h>
#include <strings.h>

#include "carom.h"

/* What of a request decides how its response is framed. */
struct asked {
    bool head, connect, old; /* old: HTTP/1.0 */
};

static inline struct asked asked_by(const carom_record *record)
{
    carom_slice method = carom_request_method(record);
    return (struct asked){
        .head = method.length == 4 && memcmp(method.data, "HEAD", 4) == 0,
        .connect = method.length == 7 && memcmp(method.data, "CONNECT", 7) == 0,
        .old = carom_request_version(record) == 10,
    };
}

enum reply_body { REPLY_NONE, REPLY_LENGTH, REPLY_CHUNKED, REPLY_UNTIL_CLOSE, REPLY_TUNNEL };

struct reply {
    unsigned status;
    bool close, has_length, chunked;
    uint64_t length;     /* has_length */
    uint64_t keep_alive; /* seconds that the connection is promised; 0: nothing is said */
    size_t head;         /* bytes of the head */
    size_t fields;       /* lines of it */
};

/* The bytes that are left of what the engine sent. */
struct bytes_left {
    const char *at, *end;
};

/* The next line without its CRLF, or false when it is not complete. */
static inline bool reply_line(struct bytes_left *left, const char **line, size_t *length)
{
    const char *feed = memchr(left->at, '\n', (size_t)(left->end - left->at));
    if (feed == NULL)
        return false;
    carom_assert(feed > left->at && feed[-1] == '\r');
    *line = left->at;
    *length = (size_t)(feed - 1 - left->at);
    for (size_t i = 0; i < *length; i++)
        carom_assert((uint8_t)left->at[i] >= 0x20 ? left->at[i] != 0x7f : left->at[i] == '\t');
    left->at = feed + 1;
    return true;
}

static inline bool same_text(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static inline void reply_field(struct reply *reply, const char *line, size_t length)
{
    size_t name = 0;
    while (name < length && line[name] != ':')
        name++;
    carom_assert(name > 0 && name + 1 < length && line[name + 1] == ' ');
    for (size_t i = 0; i < name; i++)
        carom_assert(isgraph((unsigned char)line[i]) &&
                     strchr("\"(),/:;<=>?@[\\]{}", line[i]) == NULL);
    const char *value = line + name + 2;
    size_t size = length - name - 2;
    reply->fields++;
    if (same_text(line, name, "content-length")) {
        carom_assert(!reply->has_length && !reply->chunked && size > 0 && size <= 20);
        reply->has_length = true;
        for (size_t i = 0; i < size; i++) {
            carom_assert(isdigit((unsigned char)value[i]));
            reply->length = reply->length * 10 + (uint64_t)(value[i] - '0');
        }
    } else if (same_text(line, name, "transfer-encoding")) {
        carom_assert(!reply->chunked && !reply->has_length && same_text(value, size, "chunked"));
        reply->chunked = true;
    } else if (same_text(line, name, "connection") && same_text(value, size, "close")) {
        reply->close = true;
    } else if (same_text(line, name, "keep-alive") && size > 8) {
        carom_assert(memcmp(value, "timeout=", 8) == 0);
        reply->keep_alive = strtoull(value + 8, NULL, 10);
    }
}

/* Read a head; false when it has not come whole. */
static inline bool reply_head(struct bytes_left *left, struct reply *reply)
{
    const char *start = left->at, *line;
    size_t length;
    *reply = (struct reply){0};
    if (!reply_line(left, &line, &length))
        return false;
    carom_assert(length >= 13 && memcmp(line, "HTTP/1.1 ", 9) == 0 && line[12] == ' ');
    for (int i = 9; i < 12; i++) {
        carom_assert(isdigit((unsigned char)line[i]));
        reply->status = reply->status * 10 + (unsigned)(line[i] - '0');
    }
    carom_assert(reply->status >= 100 && reply->status <= 999);
    while (reply_line(left, &line, &length)) {
        if (length == 0) {
            reply->head = (size_t)(left->at - start);
            return true;
        }
        reply_field(reply, line, length);
    }
    return false;
}

/* How the content is framed (RFC 9112, 6.3). */
static inline enum reply_body reply_body(const struct reply *reply, const struct asked *asked)
{
    if (reply->status == 101 || (asked->connect && reply->status / 100 == 2)) {
        carom_assert(!reply->has_length && !reply->chunked);
        return REPLY_TUNNEL;
    }
    if (reply->status / 100 == 1 || reply->status == 204) {
        carom_assert(!reply->has_length && !reply->chunked);
        return REPLY_NONE;
    }
    carom_assert(!asked->old || !reply->chunked);
    if (asked->head || reply->status == 304)
        return REPLY_NONE;
    if (reply->chunked)
        return REPLY_CHUNKED;
    if (reply->has_length)
        return REPLY_LENGTH;
    carom_assert(reply->close);
    return REPLY_UNTIL_CLOSE;
}

/* The lines and the empty line behind the last chunk; false when they have not come whole. */
static inline bool reply_trailers(struct bytes_left *left)
{
    const char *line;
    size_t length;
    while (reply_line(left, &line, &length)) {
        struct reply none = {0};
        if (length == 0)
            return true;
        reply_field(&none, line, length);
        carom_assert(!none.has_length && !none.chunked && !none.close);
    }
    return false;
}

/* Up to `length` bytes of content, which is all of one letter (0: any bytes); how many there are.
 */
static inline uint64_t reply_content(struct bytes_left *left, char letter, uint64_t length)
{
    uint64_t here = (uint64_t)(left->end - left->at);
    if (here > length)
        here = length;
    for (uint64_t i = 0; letter != 0 && i < here; i++)
        carom_assert(left->at[i] == letter);
    left->at += here;
    return here;
}

/* Chunks, as the engine writes them, and trailers; false when they have not come whole. *total: the
 * content in them. */
static inline bool reply_chunks(struct bytes_left *left, char letter, uint64_t *total)
{
    const char *line;
    size_t length;
    *total = 0;
    while (reply_line(left, &line, &length)) {
        char *rest;
        uint64_t size = strtoull(line, &rest, 16);
        carom_assert(length > 0 && rest == line + length && isxdigit((unsigned char)*line));
        if (size == 0)
            return reply_trailers(left);
        *total += size;
        if (reply_content(left, letter, size) < size || left->end - left->at < 2)
            return false;
        carom_assert(memcmp(left->at, "\r\n", 2) == 0);
        left->at += 2;
    }
    return false;
}

/* A request that no handler saw is refused, and that is the last response; false when it has not
 * come whole. */
static inline bool reply_refusal(struct bytes_left *left)
{
    struct reply reply;
    if (!reply_head(left, &reply))
        return false;
    carom_assert(reply.status >= 400 && reply.close && reply.has_length);
    uint64_t here = reply_content(left, 0, reply.length);
    carom_assert(left->at == left->end);
    return here == reply.length || here == 0; /* 0: HEAD, perhaps */
}

#endif
