/* Connections on streams: what they do at each event of their stream, how they send, linger and
 * close; and what the connections of a worker share. */
#include "http/connection.h"

#include <stdio.h>
#include <string.h>

#include "net/address.h"

/* The beginning of a head; most are whole in one receive and never lie here. */
#define SMALL_PAGE 2048

static struct carom_connection *of_stream(struct carom_stream *stream)
{
    return carom_container(stream, struct carom_connection, stream);
}

/* Nothing is in flight. Orderly, unless the last of what was said is still here: what is cut off
 * must be seen to be. */
static void close_idle(struct carom_connection *connection, carom_reason reason)
{
    carom_connection_abort(connection, reason, connection->stream.out.length > 0);
}

/* ---------------------------------------------------------------- events of the stream */

static void begin_to_linger(struct carom_connection *connection, carom_reason reason);

/* An alert says why, and the peer shall have the time to read it: what it still sends would make
 * our kernel answer a close with a reset. */
static void protocol_broken(struct carom_connection *connection)
{
    uint32_t timeout = carom_connections_of(connection)->options->linger_timeout;
    if (connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    connection->core.last = true;
    if (connection->core.peer_done || timeout == CAROM_OFF) {
        carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, false);
        return;
    }
    begin_to_linger(connection, CAROM_REASON_CLIENT_RESET);
    carom_connection_read_within(connection, timeout);
}

/* So many requests at once are answered at once, and not when all other connections were read:
 * their records would have left the cache by then. */
#define MANY 8

static void received(struct carom_stream *stream, struct carom_page *page, const uint8_t *data,
                     uint32_t length)
{
    struct carom_connection *connection = of_stream(stream);
    if (connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    uint32_t requests = connection->core.requests;
    if (carom_unlikely(carom_connections_of(connection)->observer != NULL))
        carom_core_observed(&connection->core)->received += length;
    carom_connection_protocol(connection)->received(connection, page, data, length);
    if (connection->core.requests - requests >= MANY)
        carom_core_flush(&connection->core);
}

static void peer_done(struct carom_stream *stream, int error)
{
    struct carom_connection *connection = of_stream(stream);
    if (error == -CAROM_EPROTOCOL) {
        protocol_broken(connection);
        return;
    }
    if (error < 0) {
        if (stream->file_failed && connection->core.protocol_state != NULL)
            carom_connection_protocol(connection)->file_failed(connection);
        carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, true);
        return;
    }
    connection->core.peer_done = true;
    connection->core.unread = false;
    if (connection->core.state == CAROM_CONNECTION_OPEN && connection->core.protocol_state != NULL)
        carom_connection_protocol(connection)->peer_done(connection);
    else if (!carom_stream_stalled(stream))
        carom_connection_abort(connection, CAROM_REASON_CLIENT_CLOSED, false);
}

static void fin_queued(struct carom_stream *stream)
{
    struct carom_connection *connection = of_stream(stream);
    if (connection->core.state == CAROM_CONNECTION_OPEN &&
        connection->core.protocol_state != NULL &&
        carom_connection_protocol(connection)->fin_queued != NULL)
        carom_connection_protocol(connection)->fin_queued(connection);
}

static void sent(struct carom_stream *stream)
{
    struct carom_connection *connection = of_stream(stream);
    /* The flush sets it again when the stall goes on. */
    connection->core.write_deadline = CAROM_NO_TIME;
    carom_connection_touch(connection);
}

static void closed(struct carom_stream *stream)
{
    carom_connection_drop(of_stream(stream));
}

/* The handshake is over. When it failed, the peer shall get to know why. */
static void secured(struct carom_stream *stream, int error)
{
    struct carom_connection *connection = of_stream(stream);
    if (connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    if (error < 0) {
        connection->core.last = true;
        carom_connection_end(connection, true);
        return;
    }
    if (!carom_core_tell_opened(&connection->core, true)) {
        carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
        return;
    }
    connection->core.read_deadline = CAROM_NO_TIME;
    carom_connection_read_within(connection,
                                 carom_connections_of(connection)->options->first_byte_timeout);
}

static const struct carom_stream_events connection_events = {
    received, peer_done, fin_queued, sent, closed, secured,
};

/* ---------------------------------------------------------------- life */

/* What is in flight will not be answered. */
static void cancel_exchanges(struct carom_connection *connection, carom_reason reason)
{
    if (connection->core.protocol_state != NULL)
        carom_connection_protocol(connection)->cancel(connection, reason);
    carom_connection_protocol(connection)->drop(connection);
}

void carom_connection_abort(struct carom_connection *connection, carom_reason reason, bool reset)
{
    if (connection->core.state == CAROM_CONNECTION_CLOSED)
        return;
    carom_core_close(&connection->core);
    /* First, or who is given bytes back by the close would send on. */
    cancel_exchanges(connection, reason);
    carom_stream_close(&connection->stream, reset);
    carom_core_tell_closed(&connection->core, reason);
}

/* FIN behind what is to be sent; what still comes is read and dropped until the peer's FIN. */
static void begin_to_linger(struct carom_connection *connection, carom_reason reason)
{
    connection->core.state = CAROM_CONNECTION_LINGERING;
    cancel_exchanges(connection, reason);
    carom_stream_shutdown(&connection->stream);
    carom_stream_receive(&connection->stream, true);
}

void carom_connection_end(struct carom_connection *connection, bool linger)
{
    if (connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    uint32_t timeout = carom_connections_of(connection)->options->linger_timeout;
    bool unread = connection->core.unread;
    bool done = !unread && (connection->core.peer_done || !linger);
    if (done || timeout == CAROM_OFF) {
        close_idle(connection, CAROM_REASON_CLIENT_CLOSED);
        return;
    }
    begin_to_linger(connection, CAROM_REASON_CLIENT_CLOSED);
    carom_connection_read_within(connection, timeout);
}

void carom_connection_end_behind(struct carom_connection *connection)
{
    if (connection->core.state != CAROM_CONNECTION_OPEN ||
        !carom_stream_stalled(&connection->stream)) {
        carom_connection_end(connection, true);
        return;
    }
    begin_to_linger(connection, CAROM_REASON_CLIENT_CLOSED);
    connection->core.read_deadline = CAROM_NO_TIME; /* until all has left: linger_on */
    carom_connection_touch(connection);
}

void carom_connection_idle(struct carom_connection *connection)
{
    carom_connection_protocol(connection)->drop(connection);
    if (connection->core.peer_done || connection->core.last ||
        carom_connections_of(connection)->records.draining) {
        carom_connection_end(connection, connection->core.last);
        return;
    }
    if (!carom_stream_receives(&connection->stream)) /* its pipeline was full */
        carom_stream_receive(&connection->stream, true);
    carom_core_wait_idle(&connection->core);
}

/* ---------------------------------------------------------------- what the core asks */

static struct carom_connection *of_core(struct carom_core *core)
{
    return carom_container(core, struct carom_connection, core);
}

/* All has left: the peer's FIN may have come meanwhile. */
static void linger_on(struct carom_connection *connection)
{
    struct carom_core *core = &connection->core;
    uint32_t timeout = carom_connections_of(connection)->options->linger_timeout;
    if ((core->peer_done && !core->unread) || timeout == CAROM_OFF)
        carom_connection_abort(connection, CAROM_REASON_CLIENT_CLOSED, false);
    else if (core->read_deadline == CAROM_NO_TIME)
        carom_connection_read_within(connection, timeout);
}

static void core_flush(struct carom_core *core)
{
    struct carom_connection *connection = of_core(core);
    if (connection->core.protocol_state != NULL)
        carom_connection_protocol(connection)->flush(connection);
    if (connection->core.state == CAROM_CONNECTION_CLOSED)
        return;
    if (carom_stream_stalled(&connection->stream)) {
        uint32_t timeout = carom_connections_of(connection)->options->write_timeout;
        if (core->write_deadline == CAROM_NO_TIME)
            carom_core_write_within(core, timeout);
        return;
    }
    core->write_deadline = CAROM_NO_TIME;
    if (core->state == CAROM_CONNECTION_LINGERING)
        linger_on(connection);
}

static void core_resume(struct carom_core *core)
{
    carom_connection_protocol(of_core(core))->resume(of_core(core));
}

static void core_read_timeout(struct carom_core *core)
{
    struct carom_connection *connection = of_core(core);
    bool open = core->state == CAROM_CONNECTION_OPEN;
    bool silent = open && core->protocol_state == NULL && core->requests == 0;
    if (open && core->protocol_state != NULL) {
        carom_connection_protocol(connection)->read_timeout(connection);
    } else if (silent && carom_core_number(core) != 0 && connection->stream.tls == NULL) {
        core->speaks = CAROM_SPEAKS_H1; /* for all that is known */
        carom_connection_protocol(connection)->silent(connection);
    } else {
        core->connections->records.timeouts += silent;
        close_idle(connection, open ? CAROM_REASON_HEADER_TIMEOUT : CAROM_REASON_CLIENT_CLOSED);
    }
}

static void core_drain(struct carom_core *core)
{
    struct carom_connection *connection = of_core(core);
    if (core->protocol_state == NULL)
        carom_connection_end(connection, false);
    else if (carom_connection_protocol(connection)->drain != NULL)
        carom_connection_protocol(connection)->drain(connection);
}

static void core_abort(struct carom_core *core, carom_reason reason, bool reset)
{
    carom_connection_abort(of_core(core), reason, reset);
}

static int core_descriptor(const struct carom_core *core)
{
    return carom_container(core, struct carom_connection, core)->stream.socket.fd;
}

static uint64_t core_sent(const struct carom_core *core)
{
    const struct carom_connection *connection =
        carom_container(core, struct carom_connection, core);
    return connection->stream.sent_total;
}

static void core_local(const struct carom_core *core, carom_address *address)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    bool open = core->state != CAROM_CONNECTION_CLOSED;
    if (open && getsockname(core_descriptor(core), (struct sockaddr *)&name, &length) == 0)
        carom_address_describe((const struct sockaddr *)&name, length, address);
    else
        core->connections->local_address(core->connections, core->listener, address);
}

static struct carom_tls_session *core_tls(const struct carom_core *core)
{
    const struct carom_connection *connection =
        carom_container(core, struct carom_connection, core);
    return carom_stream_tls_session(&connection->stream);
}

static void core_dispose(struct carom_core *core)
{
    struct carom_connections *connections = core->connections;
    carom_stream_dispose(&of_core(core)->stream);
    carom_pool_give(&connections->pool, of_core(core));
}

const struct carom_carrier carom_stream_carrier = {
    .flush = core_flush,
    .resume = core_resume,
    .read_timeout = core_read_timeout,
    .drain = core_drain,
    .abort = core_abort,
    .descriptor = core_descriptor,
    .sent = core_sent,
    .local = core_local,
    .tls = core_tls,
    .dispose = core_dispose,
};

/* ---------------------------------------------------------------- what they share */

void carom_connections_update_date(struct carom_connections *connections)
{
    struct carom_loop *loop = connections->streams.loop;
    int64_t seconds = loop->ops->seconds(loop);
    if (carom_likely(seconds == connections->seconds))
        return;
    connections->seconds = seconds;
    carom_date_line_write(connections->date_line, seconds);
}

void carom_connections_adjusted(struct carom_connections *connections)
{
    connections->keep_alive_length = 0;
    if (connections->options->keep_alive == CAROM_OFF)
        return;
    uint32_t most = connections->options->max_connection_requests;
    char requests[sizeof ", max=4294967295"] = "";
    if (most != CAROM_OFF)
        snprintf(requests, sizeof requests, ", max=%u", most);
    int length =
        snprintf(connections->keep_alive_line, sizeof connections->keep_alive_line,
                 "Keep-Alive: timeout=%u%s\r\n", connections->options->keep_alive / 1000, requests);
    connections->keep_alive_length = (uint32_t)length;
}

void carom_connections_add_pool(struct carom_connections *connections, struct carom_pool *pool,
                                bool seldom)
{
    carom_assert(connections->pool_count < CAROM_POOLS_MOST);
    carom_assert(seldom || connections->pools_always == connections->pool_count);
    connections->pools[connections->pool_count++] = pool;
    if (!seldom)
        connections->pools_always++;
}

static size_t object_size(const carom_options *options, bool observed)
{
    return sizeof(struct carom_connection) + carom_core_behind(options, observed);
}

void carom_connections_init(struct carom_connections *connections, const carom_options *options,
                            uint32_t page_size)
{
    struct carom_records *records = &connections->records;
    connections->options = options;
    connections->seconds = INT64_MIN;
    connections->requests_ahead = options->max_pipeline;
    carom_node_init(&connections->dirty);
    carom_node_init(&connections->resumed);
    carom_node_init(&connections->open);
    carom_node_init(&connections->crowded);
    carom_connections_adjusted(connections);
    carom_records_init(records, options, page_size, 0);
    carom_pages_init(&connections->small, SMALL_PAGE, options->pool_floor);
    carom_pool_init(&connections->pool, object_size(options, false), options->pool_floor);
    carom_streams_init(&connections->streams, &records->segments, &records->pages,
                       &records->outgoing, &connection_events);
    connections->streams.most_handshakes = options->max_handshakes;
    struct carom_pool *const pools[] = {
        &records->pool,
        &records->segments,
        &records->tables,
        &records->pages.pool,
        &connections->small.pool,
        &connections->pool,
        &connections->streams.sessions,
    };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        carom_connections_add_pool(connections, pools[i], false);
}

int carom_connections_observe(struct carom_connections *connections,
                              struct carom_observer *observer)
{
    struct carom_pool *pool = &connections->pool;
    uint32_t floor = pool->floor;
    carom_pool_finish(pool);
    carom_pool_init(pool, object_size(connections->options, true), floor);
    connections->observer = observer;
    connections->observed = true;
    return carom_pool_fill(pool);
}

void carom_connections_finish(struct carom_connections *connections)
{
    carom_pages_finish(&connections->small);
    carom_pool_finish(&connections->pool);
    carom_streams_finish(&connections->streams);
    carom_records_finish(&connections->records);
}
