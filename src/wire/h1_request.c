/* HTTP/1.1 request heads and trailer sections: lines, request line, field lines, limits. What the
 * framing fields mean is in h1_framing.c. */
#include "wire/h1_request.h"

#include <string.h>

#include "wire/field_lines.h"
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

/* "http" or "https", "://", authority and what follows it (RFC 9112, 3.2.2). We speak for no other
 * scheme. An empty host and userinfo are refused (RFC 9110, 4.2.1 and 4.2.4). */
static bool absolute_form(const uint8_t *data, uint32_t length, struct carom_request_head *head)
{
    if (length < 4 || !carom_equals_lower(data, "http", 4))
        return false;
    uint32_t scheme = 4;
    if (length > scheme && (data[scheme] | 0x20) == 's')
        scheme++;
    head->asks_https = scheme == 5;
    if (length - scheme <= 3 || memcmp(data + scheme, "://", 3) != 0)
        return false;
    const uint8_t *authority = data + scheme + 3;
    uint32_t rest = length - scheme - 3;
    uint32_t size = 0;
    while (size < rest && authority[size] != '/' && authority[size] != '?')
        size++;
    return size > 0 && carom_h1_authority(authority, size, false);
}

static bool target_form(const uint8_t *data, uint32_t length, struct carom_request_head *head,
                        bool options)
{
    if (head->is_connect)
        return carom_h1_authority(data, length, true);
    if (data[0] == '/')
        return true;
    if (data[0] == '*')
        return length == 1 && options;
    return absolute_form(data, length, head);
}

static void take_line(struct carom_request_head *head, const uint8_t *data, uint32_t start,
                      uint32_t method, uint32_t target)
{
    const uint8_t *line = data + start;
    head->method = (struct carom_span){start, method};
    head->target = (struct carom_span){start + method + 1, target};
    head->is_head = method == 4 && memcmp(line, "HEAD", 4) == 0;
    head->is_connect = method == 7 && memcmp(line, "CONNECT", 7) == 0;
    head->asks_https = false;
    head->content_length = 0;
}

/* The line as nearly all are: origin-form, HTTP/1.1, and there whole. Its length with CRLF; or 0:
 * to be read with care. */
static uint32_t read_common_line(const struct carom_h1_limits *limits, const uint8_t *data,
                                 uint32_t length, struct carom_request_head *head)
{
    static const char rest[] = " HTTP/1.1\r\n";
    const uint32_t rest_length = sizeof rest - 1;
    uint32_t method = carom_token_length(data, length < MAX_METHOD ? length : MAX_METHOD);
    if (method == 0 || method + 2 + rest_length > length || data[method] != ' ' ||
        data[method + 1] != '/')
        return 0;
    const uint8_t *target = data + method + 1;
    uint32_t most = length - (method + 1) - rest_length;
    uint32_t target_length =
        carom_target_length(target, most < limits->max_target ? most : limits->max_target);
    if (memcmp(target + target_length, rest, rest_length) != 0)
        return 0;
    take_line(head, data, 0, method, target_length);
    head->version = 11;
    return head->is_connect ? 0 : method + 1 + target_length + rest_length;
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
    take_line(head, data, start, method, target_length);
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

/* The next field line, whatever it is, into `fields`: 1; 0 when it is not complete; or minus a
 * status. */
static int next_field(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                      const uint8_t *data, uint32_t length, struct carom_fields *fields)
{
    uint32_t start = reader->line, line;
    int result = next_line(reader, limits, data, length, &line);
    if (result <= 0)
        return result;
    struct carom_field_span field;
    int error = read_field_line(data, start, line, &field);
    if (error < 0)
        return error;
    error = carom_fields_add(fields, field.name, field.value);
    if (error == -CAROM_ETOOBIG)
        return -431;
    return error < 0 ? -500 : 1;
}

/* ---------------------------------------------------------------- sections */

/* A request line of any form, perhaps behind empty lines: 1; 0 when it is not complete; or minus a
 * status. */
static int read_careful_start(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
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
    return error < 0 ? error : 1;
}

/* What a section makes of a field line. 0 or minus a status. */
typedef int note_field(struct carom_h1_framing *framing, const uint8_t *data,
                       const struct carom_field_span *field, struct carom_request_head *head);

/* The field lines that are left, and the empty line: 1; 0 when they are not complete; or minus a
 * status. All that was read is noted before a line is looked at with care, so that the answer is
 * the same however the bytes were cut up. */
static inline int read_section(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                               const uint8_t *data, uint32_t length, struct carom_fields *fields,
                               note_field *note, struct carom_request_head *head)
{
    uint32_t most = reader->section + limits->max_header_section + 2; /* 2: the empty line */
    uint32_t end = length < most ? length : most;
    uint32_t noted = fields->count;
    int result = 1;
    while (result == 1) {
        uint32_t line = carom_field_lines_read(fields, data, reader->line, end);
        if (line > reader->line)
            reader->line = reader->scanned = line;
        for (; noted < fields->count; noted++) {
            int error = note(&reader->framing, data, &fields->spans[noted], head);
            if (error < 0)
                return error;
        }
        if (line + 1 < end && data[line] == '\r' && data[line + 1] == '\n') {
            reader->line = line + 2;
            return 1;
        }
        result = next_field(reader, limits, data, length, fields);
    }
    return result;
}

/* The request line: the same results. */
static int read_start(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                      const uint8_t *data, uint32_t length, struct carom_request_head *head)
{
    uint32_t common = reader->scanned == 0 ? read_common_line(limits, data, length, head) : 0;
    if (carom_likely(common > 0)) {
        reader->line = reader->scanned = common;
    } else {
        int result = read_careful_start(reader, limits, data, length, head);
        if (result <= 0)
            return result;
    }
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
    int result =
        read_section(reader, limits, data, length, &head->fields, carom_h1_framing_note, head);
    if (result <= 0)
        return result;
    int error = carom_h1_framing_decide(&reader->framing, head);
    return error < 0 ? error : (int)reader->line;
}

/* A trailer must not frame. */
static int note_trailer(struct carom_h1_framing *framing, const uint8_t *data,
                        const struct carom_field_span *field, struct carom_request_head *head)
{
    (void)framing, (void)head;
    return carom_h1_is_framing(data + field->name.offset, field->name.length) ? -400 : 0;
}

int carom_h1_read_trailers(struct carom_h1_reader *reader, const struct carom_h1_limits *limits,
                           const uint8_t *data, uint32_t length, struct carom_fields *trailers)
{
    reader->state = STATE_FIELDS;
    int result = read_section(reader, limits, data, length, trailers, note_trailer, NULL);
    return result == 1 ? (int)reader->line : result;
}
