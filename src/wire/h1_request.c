/* HTTP/1.1 request heads and trailer sections: lines, request line, field lines, limits. What the
 * framing fields mean is in h1_framing.c. */
#include "wire/h1_request.h"

#include <string.h>

#include "wire/field_line.h"
#include "wire/h1_framing.h"
#include "wire/scan.h"

enum state { STATE_START, STATE_FIELDS };

/* Longer methods are answered with 501 (RFC 9112, 3). */
#define MAX_METHOD 32
/* Blanks, version and CR beside method and target: 2 + 8 + 1. */
#define LINE_REST 11
/* Empty lines before the request line that are forgiven (RFC 9112, 2.2). */
#define MAX_EMPTY 4

void carom_h1_reader_init(struct carom_h1_reader *reader)
{
    *reader = (struct carom_h1_reader){0};
}

/* ---------------------------------------------------------------- lines */

/* Whether bytes up to `end` are too many for a line that does not end before. */
static bool over_limit(const struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                       uint32_t end)
{
    if (reader->state == STATE_FIELDS) /* 1: the CR of the empty line, which must come yet */
        return end - reader->section > limits->max_header_section + 1;
    return end - reader->line > limits->max_target + MAX_METHOD + LINE_REST;
}

/* The refusal of a line that is. */
static int refuse_over(const struct carom_h1_reader *reader, const uint8_t *data, uint32_t end)
{
    if (reader->state == STATE_FIELDS)
        return -431;
    uint32_t method = carom_token_length(data + reader->line, end - reader->line);
    if (method > MAX_METHOD)
        return -501;
    return method > 0 && data[reader->line + method] == ' ' ? -414 : -400;
}

/* Step over the line that begins at reader->line; *line is its length without CRLF. 1; 0 when it is
 * not complete; or minus the status of a refusal. Limits come first, so that the answer is the same
 * however the bytes were cut up. */
static int next_line(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                     const uint8_t *data, uint32_t length, uint32_t *line)
{
    const uint8_t *feed = NULL;
    if (reader->scanned < length)
        feed = memchr(data + reader->scanned, '\n', length - reader->scanned);
    uint32_t end = feed != NULL ? (uint32_t)(feed - data) : length;
    if (carom_unlikely(over_limit(reader, limits, end)))
        return refuse_over(reader, data, end);
    reader->scanned = end;
    if (feed == NULL)
        return 0;
    uint32_t start = reader->line;
    if (end == start || data[end - 1] != '\r')
        return -400; /* a bare LF */
    reader->line = reader->scanned = end + 1;
    *line = end - 1 - start;
    return 1;
}

/* ---------------------------------------------------------------- request line */

static int read_version(const uint8_t *data, struct carom_request_head *head)
{
    if (memcmp(data, "HTTP/1.1", 8) == 0) {
        head->version = 11;
        return 0;
    }
    bool form = memcmp(data, "HTTP/", 5) == 0 && data[5] >= '0' && data[5] <= '9' &&
                data[6] == '.' && data[7] >= '0' && data[7] <= '9';
    if (!form)
        return -400;
    if (data[5] != '1')
        return -505;
    head->version = data[7] == '0' ? 10 : 11;
    return 0;
}

/* scheme "://" authority and what follows it (RFC 9112, 3.2.2). An empty host and userinfo are
 * refused (RFC 9110, 4.2.1 and 4.2.4). */
static bool absolute_form(const uint8_t *data, uint32_t length)
{
    uint32_t i = 0;
    while (i < length && data[i] != ':') {
        uint8_t letter = data[i] | 0x20;
        bool alpha = letter >= 'a' && letter <= 'z';
        bool other = (data[i] >= '0' && data[i] <= '9') || data[i] == '+' || data[i] == '-' ||
                     data[i] == '.';
        if (!alpha && !(i > 0 && other))
            return false;
        i++;
    }
    if (i == 0 || length - i <= 3 || memcmp(data + i, "://", 3) != 0)
        return false;
    const uint8_t *authority = data + i + 3;
    uint32_t rest = length - i - 3;
    uint32_t size = 0;
    while (size < rest && authority[size] != '/' && authority[size] != '?')
        size++;
    return size > 0 && carom_h1_authority(authority, size, false);
}

static bool target_form(const uint8_t *data, uint32_t length, const struct carom_request_head *head,
                        bool options)
{
    if (head->is_connect)
        return carom_h1_authority(data, length, true);
    if (data[0] == '/')
        return true;
    if (data[0] == '*')
        return length == 1 && options;
    return absolute_form(data, length);
}

static int read_request_line(const struct carom_h1_limits *limits, const uint8_t *data,
                             uint32_t start, uint32_t length, struct carom_request_head *head)
{
    const uint8_t *line = data + start;
    uint32_t method = carom_token_length(line, length);
    if (method == 0 || method == length || line[method] != ' ')
        return -400;
    if (method > MAX_METHOD)
        return -501;
    if (length < method + LINE_REST) /* the shortest: " * HTTP/1.1" */
        return -400;
    uint32_t version = length - 8;
    if (line[version - 1] != ' ')
        return -400;
    const uint8_t *target = line + method + 1;
    uint32_t target_length = version - 1 - (method + 1);
    if (target_length > limits->max_target)
        return -414;
    int error = read_version(line + version, head);
    if (error < 0)
        return error;
    head->method = (struct carom_span){start, method};
    head->target = (struct carom_span){start + method + 1, target_length};
    head->is_head = method == 4 && memcmp(line, "HEAD", 4) == 0;
    head->is_connect = method == 7 && memcmp(line, "CONNECT", 7) == 0;
    head->content_length = 0;
    bool options = method == 7 && memcmp(line, "OPTIONS", 7) == 0;
    if (carom_target_length(target, target_length) != target_length ||
        !target_form(target, target_length, head, options))
        return -400;
    return 0;
}

/* ---------------------------------------------------------------- field lines */

/* 0 or minus a status. */
static int read_field_line(const uint8_t *data, uint32_t start, uint32_t length,
                           struct carom_field_span *field)
{
    const uint8_t *line = data + start;
    uint32_t name = carom_token_length(line, length);
    if (name == 0 || name == length || line[name] != ':')
        return -400; /* obs-fold and a blank before the colon, too */
    uint32_t from = name + 1;
    uint32_t to = length;
    while (from < to && (line[from] == ' ' || line[from] == '\t'))
        from++;
    while (to > from && (line[to - 1] == ' ' || line[to - 1] == '\t'))
        to--;
    /* The name has no control characters either: the line is one scan, mostly of whole blocks. */
    if (carom_value_length(line, to) != to)
        return -400;
    field->name = (struct carom_span){start, name};
    field->value = (struct carom_span){start + from, to - from};
    return 0;
}

#define SECTION_END 2

/* The next field line, whatever it is: 1, with *field; 0 when it is not complete; SECTION_END; or
 * minus a status. */
static int next_careful_field(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                              const uint8_t *data, uint32_t length, struct carom_field_span *field)
{
    uint32_t start = reader->line, line;
    int result = next_line(reader, limits, data, length, &line);
    if (result <= 0)
        return result;
    if (line == 0)
        return SECTION_END;
    int error = read_field_line(data, start, line, field);
    return error < 0 ? error : 1;
}

/* The same, and add it to `fields`. */
static inline int next_field(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                             const uint8_t *data, uint32_t length, struct carom_fields *fields,
                             struct carom_field_span *field)
{
    uint32_t start = reader->line;
    bool empty = start + 1 < length && data[start] == '\r' && data[start + 1] == '\n';
    uint32_t end = empty ? start + 2 : carom_field_line_find(data, start, length, field);
    if (carom_likely(end > 0 && !over_limit(reader, limits, end - 1))) {
        reader->line = reader->scanned = end;
        if (empty)
            return SECTION_END;
    } else {
        int result = next_careful_field(reader, limits, data, length, field);
        if (result != 1)
            return result;
    }
    int error = carom_fields_add(fields, field->name, field->value);
    if (error == -CAROM_ETOOBIG)
        return -431;
    return error < 0 ? -500 : 1;
}

/* ---------------------------------------------------------------- sections */

/* 1 when the request line is read; 0 when it is not complete; or minus a status. */
static int read_start(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                      const uint8_t *data, uint32_t length, struct carom_request_head *head)
{
    uint32_t start, line;
    do {
        start = reader->line;
        int result = next_line(reader, limits, data, length, &line);
        if (result <= 0)
            return result;
        if (line == 0 && reader->line > MAX_EMPTY)
            return -400;
    } while (line == 0);
    int error = read_request_line(limits, data, start, line, head);
    if (error < 0)
        return error;
    reader->state = STATE_FIELDS;
    reader->section = reader->line;
    return 1;
}

int carom_h1_read_head(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                       const uint8_t *data, uint32_t length, struct carom_request_head *head)
{
    if (reader->state == STATE_START) {
        int result = read_start(reader, limits, data, length, head);
        if (result <= 0)
            return result;
    }
    struct carom_field_span field;
    int result;
    while ((result = next_field(reader, limits, data, length, &head->fields, &field)) == 1) {
        if (!carom_h1_may_frame(data + field.name.offset, field.name.length))
            continue;
        int error = carom_h1_framing_note(reader, data, &field, head);
        if (error < 0)
            return error;
    }
    if (result != SECTION_END)
        return result;
    int error = carom_h1_framing_decide(reader, head);
    return error < 0 ? error : (int)reader->line;
}

int carom_h1_read_trailers(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                           const uint8_t *data, uint32_t length, struct carom_fields *trailers)
{
    reader->state = STATE_FIELDS;
    struct carom_field_span field;
    int result;
    while ((result = next_field(reader, limits, data, length, trailers, &field)) == 1)
        if (carom_h1_is_framing(data + field.name.offset, field.name.length))
            return -400;
    return result == SECTION_END ? (int)reader->line : result;
}
