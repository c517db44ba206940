/* Defaults of the options, and what does not go together. */
#include "service/options.h"

#include <string.h>

#include "base/page.h"
#include "net/backends.h"

#define KIB 1024u

/* Sections must fit into a page, and a page must stay reasonable. */
#define MAX_SECTION (4u * 1024 * KIB)
#define MAX_FIELDS  10000u
#define MAX_WORKERS 1024u
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
    if (options->max_pipeline > MAX_PIPELINE)
        options->max_pipeline = MAX_PIPELINE;
    if (options->backend == NULL)
        options->backend = carom_backend_find(NULL)->name;
}

static bool windows_agree(uint32_t window, uint32_t most)
{
    return window >= MIN_WINDOW && window <= most && most <= MAX_WINDOW;
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
    if (to->handler == NULL || to->workers > MAX_WORKERS || to->backlog > INT32_MAX ||
        to->max_target > MAX_SECTION || to->max_header_section > MAX_SECTION ||
        to->max_fields > MAX_FIELDS || to->h2_max_streams > MAX_STREAMS ||
        !windows_agree(to->h2_stream_window, to->h2_stream_window_max) ||
        !windows_agree(to->h2_connection_window, to->h2_connection_window_max))
        return -CAROM_EINVAL;
    if (carom_backend_find(to->backend) == NULL)
        return -CAROM_EUNSUPPORTED;
    return 0;
}

uint32_t carom_options_page_size(const carom_options *options)
{
    uint32_t needed = options->max_target + options->max_header_section + REQUEST_LINE_REST;
    return needed > CAROM_PAGE_SIZE ? needed : CAROM_PAGE_SIZE;
}
