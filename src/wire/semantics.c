/* Statuses, dates, and the check of a response that decides how it is framed. */
#include "wire/semantics.h"

#include <string.h>
#include <time.h>

#include "wire/scan.h"

static bool slice_is(carom_slice slice, const char *lower)
{
    size_t length = strlen(lower);
    return slice.length == length && carom_equals_lower((const uint8_t *)slice.data, lower, length);
}

/* ---------------------------------------------------------------- statuses, numbers, dates */

#define FIRST_STATUS 100
static const char *const phrases[] = {
    [100 - FIRST_STATUS] = "Continue",
    [101 - FIRST_STATUS] = "Switching Protocols",
    [102 - FIRST_STATUS] = "Processing",
    [103 - FIRST_STATUS] = "Early Hints",
    [200 - FIRST_STATUS] = "OK",
    [201 - FIRST_STATUS] = "Created",
    [202 - FIRST_STATUS] = "Accepted",
    [203 - FIRST_STATUS] = "Non-Authoritative Information",
    [204 - FIRST_STATUS] = "No Content",
    [205 - FIRST_STATUS] = "Reset Content",
    [206 - FIRST_STATUS] = "Partial Content",
    [207 - FIRST_STATUS] = "Multi-Status",
    [208 - FIRST_STATUS] = "Already Reported",
    [226 - FIRST_STATUS] = "IM Used",
    [300 - FIRST_STATUS] = "Multiple Choices",
    [301 - FIRST_STATUS] = "Moved Permanently",
    [302 - FIRST_STATUS] = "Found",
    [303 - FIRST_STATUS] = "See Other",
    [304 - FIRST_STATUS] = "Not Modified",
    [305 - FIRST_STATUS] = "Use Proxy",
    [307 - FIRST_STATUS] = "Temporary Redirect",
    [308 - FIRST_STATUS] = "Permanent Redirect",
    [400 - FIRST_STATUS] = "Bad Request",
    [401 - FIRST_STATUS] = "Unauthorized",
    [402 - FIRST_STATUS] = "Payment Required",
    [403 - FIRST_STATUS] = "Forbidden",
    [404 - FIRST_STATUS] = "Not Found",
    [405 - FIRST_STATUS] = "Method Not Allowed",
    [406 - FIRST_STATUS] = "Not Acceptable",
    [407 - FIRST_STATUS] = "Proxy Authentication Required",
    [408 - FIRST_STATUS] = "Request Timeout",
    [409 - FIRST_STATUS] = "Conflict",
    [410 - FIRST_STATUS] = "Gone",
    [411 - FIRST_STATUS] = "Length Required",
    [412 - FIRST_STATUS] = "Precondition Failed",
    [413 - FIRST_STATUS] = "Content Too Large",
    [414 - FIRST_STATUS] = "URI Too Long",
    [415 - FIRST_STATUS] = "Unsupported Media Type",
    [416 - FIRST_STATUS] = "Range Not Satisfiable",
    [417 - FIRST_STATUS] = "Expectation Failed",
    [421 - FIRST_STATUS] = "Misdirected Request",
    [422 - FIRST_STATUS] = "Unprocessable Content",
    [423 - FIRST_STATUS] = "Locked",
    [424 - FIRST_STATUS] = "Failed Dependency",
    [425 - FIRST_STATUS] = "Too Early",
    [426 - FIRST_STATUS] = "Upgrade Required",
    [428 - FIRST_STATUS] = "Precondition Required",
    [429 - FIRST_STATUS] = "Too Many Requests",
    [431 - FIRST_STATUS] = "Request Header Fields Too Large",
    [451 - FIRST_STATUS] = "Unavailable For Legal Reasons",
    [500 - FIRST_STATUS] = "Internal Server Error",
    [501 - FIRST_STATUS] = "Not Implemented",
    [502 - FIRST_STATUS] = "Bad Gateway",
    [503 - FIRST_STATUS] = "Service Unavailable",
    [504 - FIRST_STATUS] = "Gateway Timeout",
    [505 - FIRST_STATUS] = "HTTP Version Not Supported",
    [506 - FIRST_STATUS] = "Variant Also Negotiates",
    [507 - FIRST_STATUS] = "Insufficient Storage",
    [508 - FIRST_STATUS] = "Loop Detected",
    [511 - FIRST_STATUS] = "Network Authentication Required",
};

/* tidy: long because it is a table */
const char *carom_status_phrase(unsigned status)
{
    unsigned place = status - FIRST_STATUS;
    if (place >= sizeof phrases / sizeof *phrases || phrases[place] == NULL)
        return "";
    return phrases[place];
}

uint32_t carom_decimal_write(uint8_t *to, uint64_t number)
{
    uint32_t count = 1;
    for (uint64_t bound = 10; number >= bound && count < 20; bound *= 10)
        count++;
    for (uint32_t i = count; i > 0; i--) {
        to[i - 1] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    return count;
}

static void two_digits(uint8_t *to, int number)
{
    to[0] = (uint8_t)('0' + number / 10 % 10);
    to[1] = (uint8_t)('0' + number % 10);
}

void carom_date_line_write(uint8_t *to, int64_t seconds)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char form[] = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    time_t time = (time_t)seconds;
    struct tm tm;
    gmtime_r(&time, &tm);
    memcpy(to, form, CAROM_DATE_LINE);
    memcpy(to + 6, days + 3 * tm.tm_wday, 3);
    two_digits(to + 11, tm.tm_mday);
    memcpy(to + 14, months + 3 * tm.tm_mon, 3);
    two_digits(to + 18, (tm.tm_year + 1900) / 100);
    two_digits(to + 20, tm.tm_year + 1900);
    two_digits(to + 23, tm.tm_hour);
    two_digits(to + 26, tm.tm_min);
    two_digits(to + 29, tm.tm_sec);
}

/* ---------------------------------------------------------------- responses */

/* What the handler's fields say about framing. */
struct noted {
    bool date, close, upgrade, length;
    uint64_t content_length;
};

static int note_length(struct noted *noted, carom_slice value)
{
    if (noted->length || value.length == 0 || value.length > 18)
        return -CAROM_EFIELD;
    uint64_t number = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -CAROM_EFIELD;
        number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    noted->length = true;
    noted->content_length = number;
    return 0;
}

static int note_connection(struct noted *noted, carom_slice value)
{
    if (slice_is(value, "close"))
        noted->close = true;
    else if (!slice_is(value, "keep-alive"))
        return -CAROM_EFIELD;
    return 0;
}

static int note_field(struct noted *noted, const carom_field *field, enum carom_response_kind kind)
{
    switch (field->name.length) {
    case 4:
        if (slice_is(field->name, "date"))
            noted->date = true;
        return 0;
    case 7:
        if (!slice_is(field->name, "upgrade"))
            return 0;
        noted->upgrade = true;
        /* Also with 426, which says what would be spoken (RFC 9110, 15.5.22). */
        return kind == CAROM_HEAD_INFORM ? -CAROM_EFIELD : 0;
    case 10:
        if (slice_is(field->name, "keep-alive"))
            return -CAROM_EFIELD;
        return slice_is(field->name, "connection") ? note_connection(noted, field->value) : 0;
    case 14:
        return slice_is(field->name, "content-length") ? note_length(noted, field->value) : 0;
    case 17:
        return slice_is(field->name, "transfer-encoding") ? -CAROM_EFIELD : 0;
    default:
        return 0;
    }
}

/* Whether the bytes that it names are there. */
static bool is_there(carom_slice slice)
{
    return slice.data != NULL || slice.length == 0;
}

/* Nothing a handler sets can split a response. 0, -CAROM_EFIELD, -CAROM_EINVAL (no bytes). */
static int check_field(const carom_field *field)
{
    if (!is_there(field->name) || !is_there(field->value))
        return -CAROM_EINVAL;
    const uint8_t *name = (const uint8_t *)field->name.data;
    const uint8_t *value = (const uint8_t *)field->value.data;
    size_t name_length = field->name.length, value_length = field->value.length;
    bool sent = name_length > 0 && name_length < UINT16_MAX && value_length < UINT32_MAX &&
                carom_token_length(name, (uint32_t)name_length) == name_length &&
                carom_value_length(value, (uint32_t)value_length) == value_length;
    return sent ? 0 : -CAROM_EFIELD;
}

static bool phrase_may_be_sent(carom_slice phrase)
{
    return phrase.length == 0 || (phrase.length < UINT16_MAX &&
                                  carom_value_length((const uint8_t *)phrase.data,
                                                     (uint32_t)phrase.length) == phrase.length);
}

static bool status_allowed(enum carom_response_kind kind, const struct carom_request_head *request,
                           unsigned status)
{
    switch (kind) {
    case CAROM_HEAD_INFORM:
        return status > 101 && status <= 199;
    case CAROM_HEAD_UPGRADE:
        return request->is_connect ? status >= 200 && status <= 299 : status == 101;
    default:
        return status >= (request->is_connect ? 300 : 200) && status <= 999;
    }
}

/* The framing of a final response (RFC 9112, 6.3; RFC 9110, 8.6). */
static int plan_content(struct carom_response_plan *plan, const struct noted *noted,
                        const struct carom_request_head *request, uint64_t length)
{
    bool free_length = request->is_head || plan->status == 304;
    if (noted->length && length != CAROM_LENGTH_UNKNOWN && noted->content_length != length &&
        !(free_length && length == 0))
        return -CAROM_ELENGTH;
    plan->expected = length;
    if (noted->length && length == CAROM_LENGTH_UNKNOWN) {
        length = noted->content_length;
        plan->expected = free_length ? UINT64_MAX : length;
    }
    if (noted->length && free_length)
        length = noted->content_length;
    plan->content_length = length;
    if (plan->status == 204) {
        plan->body = CAROM_BODY_NONE;
        return 0;
    }
    bool known = length != CAROM_LENGTH_UNKNOWN;
    /* A 304 without a length given says nothing about the content it stands for. */
    plan->length_field = known && (plan->status != 304 || noted->length);
    plan->chunked_field = !known && request->version != 10 && plan->status != 304;
    if (free_length)
        plan->body = CAROM_BODY_NONE;
    else if (known)
        plan->body = CAROM_BODY_LENGTH;
    else
        plan->body = request->version == 10 ? CAROM_BODY_UNTIL_CLOSE : CAROM_BODY_CHUNKED;
    return 0;
}

int carom_response_plan(struct carom_response_plan *plan, enum carom_response_kind kind,
                        const struct carom_request_head *request, const carom_response *response,
                        uint64_t length)
{
    struct noted noted = {0};
    uint64_t bytes = response->phrase.length;
    if (!status_allowed(kind, request, response->status) || !is_there(response->phrase) ||
        (response->fields == NULL && response->field_count > 0))
        return -CAROM_EINVAL;
    if (!phrase_may_be_sent(response->phrase))
        return -CAROM_EFIELD;
    for (size_t i = 0; i < response->field_count; i++) {
        int error = check_field(&response->fields[i]);
        if (error == 0)
            error = note_field(&noted, &response->fields[i], kind);
        if (error < 0)
            return error;
        bytes += response->fields[i].name.length + response->fields[i].value.length;
    }
    *plan = (struct carom_response_plan){.status = response->status,
                                         .own_date = noted.date,
                                         .close = noted.close,
                                         .upgrade_field = noted.upgrade,
                                         .head_bytes = bytes,
                                         .expected = UINT64_MAX};
    if (kind == CAROM_HEAD_FINAL)
        return plan_content(plan, &noted, request, length);
    if (noted.length)
        return -CAROM_EFIELD;
    if (kind == CAROM_HEAD_UPGRADE) {
        if (!noted.upgrade && !request->is_connect)
            return -CAROM_EFIELD;
        plan->body = CAROM_BODY_TUNNEL;
    }
    return 0;
}

/* Fields that must come before the content, or not at all (RFC 9110, 6.5.1). */
static bool trailer_allowed(carom_slice name)
{
    static const char *const refused[] = {"transfer-encoding",
                                          "host",
                                          "connection",
                                          "keep-alive",
                                          "upgrade",
                                          "trailer",
                                          "te",
                                          "set-cookie",
                                          "authorization",
                                          "content-length",
                                          "content-type",
                                          "content-encoding",
                                          "content-range",
                                          "content-language",
                                          "content-location",
                                          "content-disposition"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (slice_is(name, refused[i]))
            return false;
    return true;
}

uint64_t carom_fields_bytes(const carom_field *fields, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += fields[i].name.length + fields[i].value.length;
    return bytes;
}

int carom_trailers_check(const carom_field *trailers, size_t count)
{
    int error = trailers == NULL && count > 0 ? -CAROM_EINVAL : 0;
    for (size_t i = 0; error == 0 && i < count; i++) {
        error = check_field(&trailers[i]);
        if (error == 0 && !trailer_allowed(trailers[i].name))
            error = -CAROM_EFIELD;
    }
    return error;
}
