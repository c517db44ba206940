/* Options: the table of all that have a value, by which they are given their defaults, checked, set
 * by name and listed. test/system/test_options.py compares all other places with it. */
#include "service/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/page.h"
#include "http/protocols.h"
#include "net/backends.h"

#define KIB 1024u
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define S   1000u

/* Sections must fit into a page, and a page must stay reasonable. */
#define MAX_SECTION (4 * MIB)
#define MAX_FIELDS  10000u
#define MAX_WORKERS 1024u
/* A pool keeps many of them. */
#define MAX_STATE MIB
/* A connection counts its requests in flight in 16 bits. */
#define MAX_PIPELINE UINT16_MAX
/* RFC 9113, 6.9.1. */
#define MAX_WINDOW INT32_MAX
/* Below this nghttp2 would give credit for nearly nothing. */
#define MIN_WINDOW 1024u
/* A connection counts its streams in 16 bits. */
#define MAX_STREAMS 16384u
/* A method, the version, blanks and empty lines before the request line. */
#define REQUEST_LINE_REST 256u

/* ---------------------------------------------------------------- the table */

struct option {
    carom_option told;
    size_t offset, width; /* in carom_options */
};

#define ROW(option, type, unit, usual, least, most)                                                \
    {                                                                                              \
        {#option, type, unit, usual, least, most}, offsetof(carom_options, option),                \
            sizeof(((carom_options *)NULL)->option)                                                \
    }
#define SIZE(option, usual, least, most)                                                           \
    ROW(option, CAROM_OPTION_NUMBER, "bytes", usual, least, most)
#define TIME(option, usual)              ROW(option, CAROM_OPTION_NUMBER, "ms", usual, 1, UINT32_MAX)
#define NUMBER(option, usual)            ROW(option, CAROM_OPTION_NUMBER, "", usual, 1, UINT32_MAX)
#define UPTO(option, usual, least, most) ROW(option, CAROM_OPTION_NUMBER, "", usual, least, most)
#define FLAG(option)                     ROW(option, CAROM_OPTION_FLAG, "", 0, 0, 1)

/* In the order of carom_options. */
static const struct option table[] = {
    {{"backend", CAROM_OPTION_TEXT, "", 0, 0, 0}, offsetof(carom_options, backend), 0},
    UPTO(workers, 1, 1, MAX_WORKERS),
    UPTO(backlog, 4096, 1, INT32_MAX),
    SIZE(record_state, 0, 0, MAX_STATE),
    SIZE(connection_state, 0, 0, MAX_STATE),
    NUMBER(pool_floor, 64),
    SIZE(max_target, 8 * KIB, 1, MAX_SECTION),
    SIZE(max_header_section, 16 * KIB, 1, MAX_SECTION),
    UPTO(max_fields, 100, 1, MAX_FIELDS),
    SIZE(max_content, GIB, 1, UINT64_MAX),
    NUMBER(max_connections, 16384),
    FLAG(refuse_connections),
    NUMBER(max_in_flight, 16384),
    NUMBER(max_connection_requests, CAROM_OFF),
    UPTO(max_pipeline, 32, 1, MAX_PIPELINE),
    SIZE(write_buffer, 64 * KIB, 1, UINT32_MAX),
    SIZE(drain_content, 256 * KIB, 1, UINT32_MAX),
    SIZE(max_response_head, 64 * KIB, 1, UINT32_MAX),
    SIZE(max_unsent, 64 * MIB, 1, UINT64_MAX),
    TIME(header_timeout, 10 * S),
    TIME(first_byte_timeout, 15 * S),
    TIME(keep_alive, 75 * S),
    TIME(keep_alive_grace, 1 * S),
    SIZE(content_rate, 240, 1, UINT32_MAX),
    TIME(content_window, 5 * S),
    TIME(write_timeout, 30 * S),
    TIME(handler_timeout, CAROM_OFF),
    TIME(linger_timeout, 2 * S),
    TIME(held_warning, CAROM_OFF),
    FLAG(half_close),
    FLAG(host_optional),
    FLAG(reuse_port),
    TIME(handshake_timeout, 10 * S),
    NUMBER(max_handshakes, 16),
    FLAG(no_http2),
    FLAG(h2_connect_protocol),
    UPTO(h2_max_streams, 128, 1, MAX_STREAMS),
    SIZE(h2_stream_window, 64 * KIB, MIN_WINDOW, MAX_WINDOW),
    SIZE(h2_stream_window_max, MIB, MIN_WINDOW, MAX_WINDOW),
    SIZE(h2_connection_window, MIB, MIN_WINDOW, MAX_WINDOW),
    SIZE(h2_connection_window_max, 4 * MIB, MIN_WINDOW, MAX_WINDOW),
    NUMBER(h2_max_resets, 200),
    NUMBER(h2_max_control_frames, 1000),
    TIME(h2_ping_interval, 30 * S),
};

#define ROWS (sizeof table / sizeof *table)

const carom_option *carom_option_at(size_t index)
{
    return index < ROWS ? &table[index].told : NULL;
}

size_t carom_options_size(void)
{
    return sizeof(carom_options);
}

static uint64_t get(const carom_options *options, const struct option *option)
{
    const char *at = (const char *)options + option->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (option->told.type == CAROM_OPTION_FLAG)
        return *(const bool *)at;
    if (option->width == sizeof wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static void put(carom_options *options, const struct option *option, uint64_t value)
{
    char *at = (char *)options + option->offset;
    uint32_t narrow = (uint32_t)value;
    if (option->told.type == CAROM_OPTION_FLAG)
        *(bool *)at = value != 0;
    else if (option->width == sizeof value)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

/* ---------------------------------------------------------------- checked */

/* Whoever made a mistake with one of fifty options shall not have to guess which. */
static bool is_within(const carom_options *options, const char *name, uint64_t value,
                      uint64_t least, uint64_t most)
{
    const struct carom_log_sink log = {options->log, options->log_data};
    if (value >= least && value <= most)
        return true;
    bool much = value > most;
    carom_log_line(&log, CAROM_LOG_ERROR, "options: %s is %llu, and may be %llu at %s", name,
                   (unsigned long long)value, (unsigned long long)(much ? most : least),
                   much ? "most" : "least");
    return false;
}

static bool are_valid(const carom_options *options)
{
    const struct carom_log_sink log = {options->log, options->log_data};
    if (options->handler == NULL) {
        carom_log_line(&log, CAROM_LOG_ERROR, "options: there is no handler");
        return false;
    }
    for (const struct option *option = table; option < table + ROWS; option++)
        if (option->told.type == CAROM_OPTION_NUMBER &&
            !is_within(options, option->told.name, get(options, option), option->told.least,
                       option->told.most))
            return false;
    return is_within(options, "h2_stream_window", options->h2_stream_window, MIN_WINDOW,
                     options->h2_stream_window_max) &&
           is_within(options, "h2_connection_window", options->h2_connection_window, MIN_WINDOW,
                     options->h2_connection_window_max);
}

static int check_backend(const carom_options *options)
{
    const struct carom_log_sink log = {options->log, options->log_data};
    if (carom_backend_find(options->backend) != NULL)
        return 0;
    carom_log_line(&log, CAROM_LOG_ERROR, "options: backend is \"%s\", and may be epoll or uring",
                   options->backend);
    return -CAROM_EUNSUPPORTED;
}

/* In a build without HTTP/2 what is set for it would change nothing, which is said. */
static int check_h2(carom_options *options)
{
    const struct carom_log_sink log = {options->log, options->log_data};
    if (carom_protocols_have_h2())
        return 0;
    options->no_http2 = true;
    for (const struct option *option = table; option < table + ROWS; option++)
        if (strncmp(option->told.name, "h2_", 3) == 0 &&
            get(options, option) != option->told.usual) {
            carom_log_line(&log, CAROM_LOG_ERROR,
                           "options: %s is set, and this build has no HTTP/2", option->told.name);
            return -CAROM_EUNSUPPORTED;
        }
    return 0;
}

/* Without a limit there may be as many as a connection can count. */
static uint64_t resolve_off(const struct option *option, uint64_t value)
{
    bool pipeline = option->offset == offsetof(carom_options, max_pipeline);
    return pipeline && value == CAROM_OFF ? MAX_PIPELINE : value;
}

static void set_defaults(carom_options *options)
{
    for (const struct option *option = table; option < table + ROWS; option++)
        if (option->told.type == CAROM_OPTION_NUMBER) {
            uint64_t value = get(options, option);
            put(options, option, value == 0 ? option->told.usual : resolve_off(option, value));
        }
    if (options->backend == NULL)
        options->backend = carom_backend_find(NULL)->name;
}

int carom_options_resolve(carom_options *to, const carom_options *given)
{
    /* A program built with an older, shorter struct has defaults for what it does not know. */
    if (given == NULL || given->size == 0 || given->size > sizeof *to ||
        given->size % _Alignof(carom_options) != 0)
        return -CAROM_EINVAL;
    *to = (carom_options){0};
    memcpy(to, given, given->size);
    to->size = sizeof *to;
    set_defaults(to);
    if (!are_valid(to))
        return -CAROM_EINVAL;
    int error = check_backend(to);
    return error < 0 ? error : check_h2(to);
}

uint32_t carom_options_page_size(const carom_options *options)
{
    uint32_t needed = options->max_target + options->max_header_section + REQUEST_LINE_REST;
    return needed > CAROM_PAGE_SIZE ? needed : CAROM_PAGE_SIZE;
}

/* ---------------------------------------------------------------- set by name */

static const struct option *find(const char *name)
{
    for (const struct option *option = table; option < table + ROWS; option++)
        if (strcmp(option->told.name, name) == 0)
            return option;
    return NULL;
}

/* How many of the option's unit one of `suffix` is; 0: it is none. */
static uint64_t factor_of(const carom_option *option, const char *suffix)
{
    static const struct {
        const char *unit, *suffix;
        uint64_t factor;
    } suffixes[] = {
        {"bytes", "KiB", KIB}, {"bytes", "MiB", MIB}, {"bytes", "GiB", GIB},
        {"ms", "ms", 1},       {"ms", "s", S},        {"ms", "min", 60 * S},
    };
    if (*suffix == '\0')
        return 1;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcmp(suffixes[i].unit, option->unit) == 0 && strcmp(suffixes[i].suffix, suffix) == 0)
            return suffixes[i].factor;
    return 0;
}

static bool read_number(const struct option *option, const char *text, uint64_t *number)
{
    char *end = NULL;
    if (strcmp(text, "off") == 0) {
        *number = option->width == sizeof(uint64_t) ? UINT64_MAX : CAROM_OFF;
        return true;
    }
    if (*text < '0' || *text > '9') /* strtoull takes blanks and signs */
        return false;
    errno = 0;
    unsigned long long read = strtoull(text, &end, 10);
    end += *end == ' ';
    uint64_t factor = factor_of(&option->told, end);
    *number = read * factor;
    return errno == 0 && factor != 0 && read <= UINT64_MAX / factor;
}

static bool read_flag(const char *text, bool *flag)
{
    static const char *const words[2][3] = {{"false", "off", "0"}, {"true", "on", "1"}};
    for (int word = 0; word < 6; word++)
        if (strcmp(words[word / 3][word % 3], text) == 0) {
            *flag = word >= 3;
            return true;
        }
    return false;
}

static int set_number(carom_options *options, const struct option *option, const char *value)
{
    const struct carom_log_sink log = {options->log, options->log_data};
    const carom_option *told = &option->told;
    uint64_t number = 0;
    if (!read_number(option, value, &number)) {
        carom_log_line(&log, CAROM_LOG_ERROR, "options: %s is \"%s\", which is no number%s%s",
                       told->name, value, *told->unit != '\0' ? " of " : "", told->unit);
        return -CAROM_EINVAL;
    }
    number = resolve_off(option, number);
    /* 0 is the default. */
    if (number != 0 && !is_within(options, told->name, number, told->least, told->most))
        return -CAROM_EINVAL;
    put(options, option, number);
    return 0;
}

int carom_options_set(carom_options *options, const char *name, const char *value)
{
    if (options == NULL || options->size != sizeof *options || name == NULL || value == NULL)
        return -CAROM_EINVAL;
    const struct carom_log_sink log = {options->log, options->log_data};
    const struct option *option = find(name);
    if (option == NULL) {
        carom_log_line(&log, CAROM_LOG_ERROR,
                       "options: there is no %s; docs/c/options.md and carom_option_at say which "
                       "there are",
                       name);
        return -CAROM_ENOENT;
    }
    if (option->told.type == CAROM_OPTION_NUMBER)
        return set_number(options, option, value);
    if (option->told.type == CAROM_OPTION_FLAG) {
        bool flag = false;
        if (!read_flag(value, &flag)) {
            carom_log_line(&log, CAROM_LOG_ERROR, "options: %s is \"%s\", and may be true or false",
                           name, value);
            return -CAROM_EINVAL;
        }
        put(options, option, flag);
        return 0;
    }
    carom_options asked = *options;
    asked.backend = value;
    if (check_backend(&asked) < 0)
        return -CAROM_EINVAL;
    options->backend = carom_backend_find(value)->name; /* the caller's text may go */
    return 0;
}
