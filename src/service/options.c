/* Defaults of the options, and what does not go together. */
#include "service/options.h"

#include <string.h>

#include "base/log.h"
#include "base/page.h"
#include "net/backends.h"

#define KIB 1024u

/* Sections must fit into a page, and a page must stay reasonable. */
#define MAX_SECTION (4u * 1024 * KIB)
#define MAX_FIELDS  10000u
#define MAX_WORKERS 1024u
/* A pool keeps many of them. */
#define MAX_RECORD_STATE (1024 * KIB)
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

static void set_defaults(carom_options *options)
{
#define DEFAULT(option, value)                                                                     \
    if (options->option == 0)                                                                      \
    options->option = (value)
    DEFAULT(workers, 1);
    DEFAULT(backlog, 4096);
    DEFAULT(pool_floor, 64);
    DEFAULT(max_target, 8 * KIB);
    DEFAULT(max_header_section, 16 * KIB);
    DEFAULT(max_fields, 100);
    DEFAULT(max_content, 1024 * 1024 * KIB);
    DEFAULT(max_connections, 16 * KIB);
    DEFAULT(max_in_flight, 16 * KIB);
    DEFAULT(max_connection_requests, CAROM_OFF);
    DEFAULT(max_pipeline, 32);
    DEFAULT(write_buffer, 64 * KIB);
    DEFAULT(drain_content, 256 * KIB);
    DEFAULT(header_timeout, 10000);
    DEFAULT(first_byte_timeout, 15000);
    DEFAULT(keep_alive, 75000);
    DEFAULT(keep_alive_grace, 1000);
    DEFAULT(content_rate, 240);
    DEFAULT(content_window, 5000);
    DEFAULT(write_timeout, 30000);
    DEFAULT(handler_timeout, CAROM_OFF);
    DEFAULT(linger_timeout, 2000);
    DEFAULT(held_warning, CAROM_OFF);
    DEFAULT(handshake_timeout, 10000);
    DEFAULT(max_handshakes, 16);
    DEFAULT(h2_max_streams, 128);
    DEFAULT(h2_stream_window, 64 * KIB);
    DEFAULT(h2_stream_window_max, 1024 * KIB);
    DEFAULT(h2_connection_window, 1024 * KIB);
    DEFAULT(h2_connection_window_max, 4 * 1024 * KIB);
    DEFAULT(h2_max_resets, 200);
    DEFAULT(h2_max_control_frames, 1000);
    DEFAULT(h2_ping_interval, 30000);
    DEFAULT(max_response_head, 64 * KIB);
    DEFAULT(max_unsent, 64 * 1024 * KIB);
#undef DEFAULT
    if (options->max_pipeline == CAROM_OFF)
        options->max_pipeline = MAX_PIPELINE;
    if (options->backend == NULL)
        options->backend = carom_backend_find(NULL)->name;
}

/* An option that may be this much and this little. */
struct bound {
    const char *name;
    uint64_t value, least, most;
};

/* Whoever made a mistake with one of fifty options shall not have to guess which. */
static bool are_within(const carom_options *options, const struct bound *bounds, size_t count)
{
    const struct carom_log_sink log = {options->log, options->log_data};
    for (size_t i = 0; i < count; i++) {
        const struct bound *bound = &bounds[i];
        if (bound->value >= bound->least && bound->value <= bound->most)
            continue;
        bool much = bound->value > bound->most;
        carom_log_line(&log, CAROM_LOG_ERROR, "options: %s is %llu, and may be %llu at %s",
                       bound->name, (unsigned long long)bound->value,
                       (unsigned long long)(much ? bound->most : bound->least),
                       much ? "most" : "least");
        return false;
    }
    return true;
}

static bool are_valid(const carom_options *options)
{
#define BOUND(option, least, most)                                                                 \
    {                                                                                              \
#option, options->option, least, most                                                      \
    }
    const struct bound bounds[] = {
        BOUND(workers, 1, MAX_WORKERS),
        BOUND(backlog, 1, INT32_MAX),
        BOUND(record_state, 0, MAX_RECORD_STATE),
        BOUND(max_target, 1, MAX_SECTION),
        BOUND(max_header_section, 1, MAX_SECTION),
        BOUND(max_fields, 1, MAX_FIELDS),
        BOUND(max_pipeline, 1, MAX_PIPELINE),
        BOUND(h2_max_streams, 1, MAX_STREAMS),
        BOUND(h2_stream_window_max, MIN_WINDOW, MAX_WINDOW),
        BOUND(h2_stream_window, MIN_WINDOW, options->h2_stream_window_max),
        BOUND(h2_connection_window_max, MIN_WINDOW, MAX_WINDOW),
        BOUND(h2_connection_window, MIN_WINDOW, options->h2_connection_window_max),
    };
#undef BOUND
    const struct carom_log_sink log = {options->log, options->log_data};
    if (options->handler == NULL)
        carom_log_line(&log, CAROM_LOG_ERROR, "options: there is no handler");
    return options->handler != NULL && are_within(options, bounds, sizeof bounds / sizeof *bounds);
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
    if (carom_backend_find(to->backend) == NULL) {
        const struct carom_log_sink log = {to->log, to->log_data};
        carom_log_line(&log, CAROM_LOG_ERROR,
                       "options: backend is \"%s\", and may be epoll or uring", to->backend);
        return -CAROM_EUNSUPPORTED;
    }
    return 0;
}

uint32_t carom_options_page_size(const carom_options *options)
{
    uint32_t needed = options->max_target + options->max_header_section + REQUEST_LINE_REST;
    return needed > CAROM_PAGE_SIZE ? needed : CAROM_PAGE_SIZE;
}
