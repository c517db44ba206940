/* HTTP/2, time: ends streams and connections whose peer sends or reads too slowly, and asks by PING
 * whether a silent peer is still there. */
#include "http/content.h"
#include "http/h2.h"

/* Streams are looked at so often, or more often when a time-out is shorter. */
#define TICK 1000

static struct carom_connections *connections_of(const struct carom_h2 *h2)
{
    return carom_connections_of(h2->connection);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t tick_of(const carom_options *options)
{
    uint32_t tick = least(TICK, options->header_timeout);
    tick = least(tick, options->content_window);
    tick = least(tick, options->write_timeout);
    tick = least(tick, options->linger_timeout);
    return tick > 0 ? tick : 1;
}

void carom_h2_keep_time(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    const carom_options *options = connections_of(h2)->options;
    bool busy = h2->in_flight > 0 || h2->section_since != 0 || h2->drain != CAROM_H2_OPEN;
    if (busy && (!h2->ticking || connection->core.read_deadline == CAROM_NO_TIME)) {
        h2->ticking = true;
        carom_connection_read_within(connection, tick_of(options));
    } else if (!busy && (h2->ticking || h2->idle_after != connection->core.requests)) {
        h2->ticking = false;
        h2->idle_after = connection->core.requests;
        carom_core_wait_idle(&connection->core);
    }
}

/* Whether the peer may send less than it must: what other handlers have not read lies in the
 * connection's window. (What is read is given back when it is half of that.) */
static bool holds_back(const carom_options *options, const struct carom_h2 *h2, uint32_t rate)
{
    int32_t left = nghttp2_session_get_local_window_size(h2->session);
    int32_t half = nghttp2_session_get_effective_local_window_size(h2->session) / 2;
    uint64_t least = (uint64_t)rate * options->content_window / 1000;
    return left < half && (left <= 0 || (uint64_t)left < least);
}

/* Whether content comes slower than it is waited for, over a whole window. */
static bool content_too_slow(const carom_options *options, struct carom_h2_stream *stream,
                             uint64_t now)
{
    const carom_record *record = stream->record;
    uint64_t received = record->content_received, since = stream->waits_since;
    uint32_t rate = carom_content_rate(record, options);
    /* Who is about to be told of what came in this turn has waited until now. */
    bool wants = record->wanted || record->collecting || record->wakers[CAROM_READABLE] != NULL;
    bool waits = record->request == CAROM_REQUEST_CONTENT && wants && !record->head.is_connect &&
                 !holds_back(options, carom_h2_of(stream->connection), rate);
    if (!waits || rate == CAROM_OFF || options->content_window == CAROM_OFF) {
        stream->waits_since = 0;
        return false;
    }
    if (since != 0 && now - since < options->content_window)
        return false;
    uint64_t bytes = received - stream->rate_bytes;
    stream->waits_since = now;
    stream->rate_bytes = received;
    return since != 0 && bytes < (uint64_t)rate * (now - since) / 1000;
}

/* Whether the connection's window lets nothing through, of whichever stream. What the network has
 * not taken yet can bring no credit. */
static bool connection_shut(struct carom_h2 *h2)
{
    bool moves = h2->framed != h2->framed_then || !carom_node_alone(&h2->sending);
    h2->framed_then = h2->framed;
    return !moves && nghttp2_session_get_remote_window_size(h2->session) <= 0;
}

/* Whether the peer's window has let nothing of the content through for too long. A stream whose
 * window is open only waits for its turn: others may be more urgent, or have come before it. */
static bool window_shut(const carom_options *options, struct carom_h2_stream *stream, bool whole,
                        uint64_t now)
{
    const carom_record *record = stream->record;
    nghttp2_session *session = carom_h2_of(stream->connection)->session;
    bool shut = whole || nghttp2_session_get_stream_remote_window_size(session, stream->id) <= 0;
    bool moves = record->body.length == 0 || !shut ||
                 record->content_framed != stream->sent_bytes ||
                 !carom_node_alone(&stream->sending); /* the connection is timed meanwhile */
    stream->sent_bytes = record->content_framed;
    if (moves || stream->shut_since == 0)
        stream->shut_since = moves ? 0 : now;
    return options->write_timeout != CAROM_OFF && stream->shut_since != 0 &&
           now - stream->shut_since > options->write_timeout;
}

static void look_at_streams(struct carom_h2 *h2, uint64_t now)
{
    const carom_options *options = connections_of(h2)->options;
    bool whole = connection_shut(h2);
    struct carom_node *node = h2->exchanges.next;
    for (; node != &h2->exchanges; node = node->next) {
        struct carom_h2_stream *stream =
            carom_h2_stream_of(carom_container(node, carom_record, link));
        if (content_too_slow(options, stream, now)) {
            carom_h2_stream_refuse(stream, 408, CAROM_REASON_BODY_TIMEOUT);
        } else if (window_shut(options, stream, whole, now)) {
            carom_record_cancel(stream->record, CAROM_REASON_WRITE_TIMEOUT);
            carom_h2_stream_touch(stream);
        } else if (stream->lingers_since != 0) {
            carom_h2_stream_touch(stream);
        }
    }
}

/* A peer that says nothing for long, while it is owed answers, may be gone. False when it is. */
static bool keep_pinging(struct carom_h2 *h2, uint64_t now)
{
    uint32_t interval = connections_of(h2)->options->h2_ping_interval;
    if (interval == CAROM_OFF || h2->in_flight == 0)
        return true;
    if (h2->pinged != 0 && h2->heard <= h2->pinged)
        return now - h2->pinged < interval;
    if (now - h2->heard >= interval) {
        h2->pinged = now;
        nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
        carom_connection_touch(h2->connection);
    }
    return true;
}

void carom_h2_read_timeout(struct carom_connection *connection)
{
    struct carom_h2 *h2 = carom_h2_of(connection);
    struct carom_connections *connections = connections_of(h2);
    uint64_t now = connections->records.now;
    carom_connection_touch(connection); /* the flush sets the next time */
    if (h2->section_since != 0 && now - h2->section_since > connections->options->header_timeout) {
        connections->records.timeouts++;
        carom_h2_calm(h2); /* behind half a section no other stream can be read */
        return;
    }
    if (h2->drain != CAROM_H2_OPEN)
        carom_h2_drain_on(h2);
    /* When it was a tick, what it ticked for has ended in this turn: it is idle from now on. */
    bool idle = !h2->ticking || h2->drain != CAROM_H2_OPEN;
    if (h2->in_flight == 0 && h2->section_since == 0) {
        if (!idle)
            return;
        if (connection->core.requests == 0)
            connections->records.timeouts++;
        nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR);
        return;
    }
    look_at_streams(h2, now);
    if (!keep_pinging(h2, now))
        carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, true);
}
