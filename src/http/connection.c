/* Connections: the lists of the turn, deadlines, flush, linger, close; and what they share. */
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

void carom_connection_hold(struct carom_connection *connection)
{
    connection->refs++;
}

void carom_connection_drop(struct carom_connection *connection)
{
    carom_assert(connection->refs > 0);
    if (--connection->refs > 0)
        return;
    carom_stream_dispose(&connection->stream);
    carom_pool_give(&carom_connections_of(connection)->pool, connection);
}

/* ---------------------------------------------------------------- the lists of the turn */

/* A connection is in one list at a time, and held by it. */
static void enlist(struct carom_connection **list, struct carom_connection *connection)
{
    if (connection->listed)
        return;
    connection->listed = true;
    carom_connection_hold(connection);
    connection->next = *list;
    *list = connection;
}

void carom_connection_touch(struct carom_connection *connection)
{
    struct carom_connections *connections = carom_connections_of(connection);
    enlist(&connections->dirty, connection);
    carom_records_work(&connections->records);
}

void carom_connection_resume(struct carom_connection *connection)
{
    struct carom_connections *connections = carom_connections_of(connection);
    connection->resumed = true; /* when it is listed as dirty, it moves over after the flush */
    enlist(&connections->resumed, connection);
    carom_records_work(&connections->records);
}

static void flush_last(struct carom_connections *connections)
{
    struct carom_connection *connection = connections->dirty;
    connections->dirty = connection->next;
    connection->listed = false;
    carom_connection_flush(connection);
    if (connection->resumed)
        enlist(&connections->resumed, connection);
    carom_connection_drop(connection);
}

void carom_connection_flush_last(struct carom_connection *connection)
{
    struct carom_connections *connections = carom_connections_of(connection);
    if (connections->dirty == connection)
        flush_last(connections);
}

void carom_connections_flush(struct carom_connections *connections)
{
    while (connections->dirty != NULL)
        flush_last(connections);
}

void carom_connections_resume(struct carom_connections *connections)
{
    struct carom_connection *list = connections->resumed;
    connections->resumed = NULL;
    while (list != NULL) {
        struct carom_connection *connection = list;
        list = connection->next;
        connection->listed = connection->resumed = false;
        carom_connection_protocol(connection)->resume(connection);
        carom_connection_touch(connection);
        carom_connection_drop(connection);
    }
}

/* ---------------------------------------------------------------- deadlines */

/* The timer is armed lazily: a deadline that moves away leaves it alone, and it looks again. */
static void arm(struct carom_connection *connection, uint64_t deadline)
{
    struct carom_timer *timer = &connection->timer;
    if (deadline != CAROM_NO_TIME && (!carom_timer_armed(timer) || deadline < timer->deadline))
        carom_timer_arm(&carom_connections_of(connection)->records.wheel, timer, deadline);
}

static uint64_t deadline_after(struct carom_connection *connection, uint32_t milliseconds)
{
    if (milliseconds == CAROM_OFF)
        return CAROM_NO_TIME;
    return carom_records_now(&carom_connections_of(connection)->records) + milliseconds + 1;
}

void carom_connection_read_within(struct carom_connection *connection, uint32_t milliseconds)
{
    connection->read_deadline = deadline_after(connection, milliseconds);
    arm(connection, connection->read_deadline);
}

void carom_connection_write_within(struct carom_connection *connection, uint32_t milliseconds)
{
    connection->write_deadline = deadline_after(connection, milliseconds);
    arm(connection, connection->write_deadline);
}

void carom_connection_wait_idle(struct carom_connection *connection)
{
    const carom_options *options = carom_connections_of(connection)->options;
    uint64_t idle = (uint64_t)options->keep_alive + options->keep_alive_grace;
    carom_connection_read_within(connection, idle < CAROM_OFF ? (uint32_t)idle : CAROM_OFF);
}

/* Nothing is in flight. Orderly, unless the last of what was said is still here: what is cut off
 * must be seen to be. */
static void close_now(struct carom_connection *connection)
{
    bool reset = connection->stream.out.length > 0;
    carom_connection_abort(connection, CAROM_REASON_CLIENT_CLOSED, reset);
}

static void timer_fires(struct carom_timer *timer)
{
    struct carom_connection *connection = carom_container(timer, struct carom_connection, timer);
    uint64_t now = carom_connections_of(connection)->records.now;
    if (connection->write_deadline <= now) {
        carom_connection_abort(connection, CAROM_REASON_WRITE_TIMEOUT, true);
        return;
    }
    if (connection->read_deadline <= now) {
        connection->read_deadline = CAROM_NO_TIME;
        if (connection->state == CAROM_CONNECTION_OPEN && connection->session != NULL) {
            carom_connection_protocol(connection)->read_timeout(connection);
        } else {
            if (connection->requests == 0 && connection->state == CAROM_CONNECTION_OPEN)
                carom_connections_of(connection)->records.timeouts++;
            close_now(connection);
        }
    }
    if (connection->state != CAROM_CONNECTION_CLOSED) {
        arm(connection, connection->read_deadline);
        arm(connection, connection->write_deadline);
    }
}

/* ---------------------------------------------------------------- events of the stream */

static void linger_for(struct carom_connection *connection, uint32_t timeout, carom_reason reason);

/* An alert says why, and the peer shall have the time to read it: what it still sends would make
 * our kernel answer a close with a reset. */
static void protocol_broken(struct carom_connection *connection)
{
    uint32_t timeout = carom_connections_of(connection)->options->linger_timeout;
    if (connection->state != CAROM_CONNECTION_OPEN)
        return;
    connection->last = true;
    if (connection->peer_done || timeout == CAROM_OFF)
        carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, false);
    else
        linger_for(connection, timeout, CAROM_REASON_CLIENT_RESET);
}

/* So many requests at once are answered at once, and not when all other connections were read:
 * their records would have left the cache by then. */
#define MANY 8

static void received(struct carom_stream *stream, struct carom_page *page, const uint8_t *data,
                     uint32_t length)
{
    struct carom_connection *connection = of_stream(stream);
    if (connection->state != CAROM_CONNECTION_OPEN)
        return;
    uint32_t requests = connection->requests;
    carom_connection_protocol(connection)->received(connection, page, data, length);
    if (connection->requests - requests >= MANY)
        carom_connection_flush_last(connection);
}

static void ended(struct carom_stream *stream, int error)
{
    struct carom_connection *connection = of_stream(stream);
    if (error == -CAROM_EPROTOCOL) {
        protocol_broken(connection);
        return;
    }
    if (error < 0) {
        if (stream->file_failed && connection->session != NULL)
            carom_connection_protocol(connection)->file_failed(connection);
        carom_connection_abort(connection, CAROM_REASON_CLIENT_RESET, true);
        return;
    }
    connection->peer_done = true;
    if (connection->state == CAROM_CONNECTION_OPEN && connection->session != NULL)
        carom_connection_protocol(connection)->ended(connection);
    else if (!carom_stream_stalled(stream))
        carom_connection_abort(connection, CAROM_REASON_CLIENT_CLOSED, false);
}

static void sent(struct carom_stream *stream)
{
    struct carom_connection *connection = of_stream(stream);
    connection->write_deadline = CAROM_NO_TIME; /* the flush sets it again when the stall goes on */
    carom_connection_touch(connection);
}

static void closed(struct carom_stream *stream)
{
    struct carom_connection *connection = of_stream(stream);
    struct carom_connections *connections = carom_connections_of(connection);
    carom_connection_drop(connection);
    connections->freed(connections);
}

/* The handshake is over. When it failed, the peer shall get to know why. */
static void secured(struct carom_stream *stream, int error)
{
    struct carom_connection *connection = of_stream(stream);
    if (connection->state != CAROM_CONNECTION_OPEN)
        return;
    if (error < 0) {
        connection->last = true;
        carom_connection_end(connection, true);
        return;
    }
    connection->read_deadline = CAROM_NO_TIME;
    carom_connection_read_within(connection,
                                 carom_connections_of(connection)->options->first_byte_timeout);
}

static const struct carom_stream_events connection_events = {
    received, ended, sent, closed, secured,
};

/* ---------------------------------------------------------------- life */

void carom_connection_init(struct carom_connection *connection, uint16_t listener)
{
    memset(connection, 0, sizeof *connection);
    connection->listener = listener;
    connection->refs = 1;
    connection->read_deadline = connection->write_deadline = CAROM_NO_TIME;
    carom_node_init(&connection->link);
    carom_timer_init(&connection->timer, timer_fires);
}

/* What is in flight will not be answered. */
static void cancel_exchanges(struct carom_connection *connection, carom_reason reason)
{
    if (connection->session != NULL)
        carom_connection_protocol(connection)->cancel(connection, reason);
    carom_connection_protocol(connection)->drop(connection);
}

void carom_connection_abort(struct carom_connection *connection, carom_reason reason, bool reset)
{
    if (connection->state == CAROM_CONNECTION_CLOSED)
        return;
    connection->state = CAROM_CONNECTION_CLOSED;
    carom_timer_disarm(&carom_connections_of(connection)->records.wheel, &connection->timer);
    carom_node_remove(&connection->link);
    carom_stream_close(&connection->stream, reset);
    cancel_exchanges(connection, reason);
}

/* FIN behind what is to be sent; what still comes is read and dropped until the peer's FIN. */
static void linger_for(struct carom_connection *connection, uint32_t timeout, carom_reason reason)
{
    connection->state = CAROM_CONNECTION_LINGERING;
    cancel_exchanges(connection, reason);
    carom_stream_finish(&connection->stream);
    carom_stream_receive(&connection->stream, true);
    carom_connection_read_within(connection, timeout);
}

void carom_connection_end(struct carom_connection *connection, bool linger)
{
    if (connection->state != CAROM_CONNECTION_OPEN)
        return;
    uint32_t timeout = carom_connections_of(connection)->options->linger_timeout;
    if (connection->peer_done || !linger || timeout == CAROM_OFF)
        close_now(connection);
    else
        linger_for(connection, timeout, CAROM_REASON_CLIENT_CLOSED);
}

void carom_connection_idle(struct carom_connection *connection)
{
    carom_connection_protocol(connection)->drop(connection);
    if (connection->peer_done || connection->last || carom_connections_of(connection)->draining) {
        carom_connection_end(connection, connection->last);
        return;
    }
    if (!carom_stream_receives(&connection->stream)) /* its pipeline was full */
        carom_stream_receive(&connection->stream, true);
    carom_connection_wait_idle(connection);
}

void carom_connection_flush(struct carom_connection *connection)
{
    if (connection->state == CAROM_CONNECTION_CLOSED)
        return;
    if (connection->session != NULL)
        carom_connection_protocol(connection)->flush(connection);
    if (connection->state == CAROM_CONNECTION_CLOSED)
        return;
    if (!carom_stream_stalled(&connection->stream))
        connection->write_deadline = CAROM_NO_TIME;
    else if (connection->write_deadline == CAROM_NO_TIME)
        carom_connection_write_within(connection,
                                      carom_connections_of(connection)->options->write_timeout);
}

void carom_connection_local(const struct carom_connection *connection, carom_address *address)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    bool open = connection->state != CAROM_CONNECTION_CLOSED;
    if (open && getsockname(connection->stream.socket.fd, (struct sockaddr *)&name, &length) == 0)
        carom_address_describe((const struct sockaddr *)&name, length, address);
    else
        carom_connections_of(connection)
            ->near_address(carom_connections_of(connection), connection->listener, address);
}

/* ---------------------------------------------------------------- content */

int carom_connection_keep_content(struct carom_connection *connection, carom_record *record,
                                  bool packed, struct carom_page *page, const uint8_t *data,
                                  uint32_t length)
{
    struct carom_connections *connections = carom_connections_of(connection);
    struct carom_pool *segments = &connections->records.segments;
    if (!packed || length >= connections->small.size / 2)
        return carom_queue_append_page(&record->content, segments, page, data, length);
    const struct carom_segment *last = record->content.last;
    bool room = last != NULL && last->page->home == &connections->small &&
                last->page->size - last->page->used >= length;
    page = room ? carom_page_hold(last->page) : carom_page_take(&connections->small);
    if (page == NULL)
        return -CAROM_ENOMEM;
    uint8_t *to = page->data + page->used;
    memcpy(to, data, length);
    page->used += length;
    int error = carom_queue_append_page(&record->content, segments, page, to, length);
    carom_page_drop(page);
    return error;
}

/* ---------------------------------------------------------------- shutdown */

void carom_connections_drain(struct carom_connections *connections)
{
    struct carom_node *node = connections->open.next;
    while (node != &connections->open) {
        struct carom_connection *connection = carom_container(node, struct carom_connection, link);
        node = node->next;
        if (connection->session == NULL && connection->state == CAROM_CONNECTION_OPEN)
            carom_connection_end(connection, false);
        else if (connection->session != NULL &&
                 carom_connection_protocol(connection)->drain != NULL)
            carom_connection_protocol(connection)->drain(connection);
    }
}

void carom_connections_cancel(struct carom_connections *connections)
{
    struct carom_node *node;
    while ((node = connections->open.next) != &connections->open)
        carom_connection_abort(carom_container(node, struct carom_connection, link),
                               CAROM_REASON_SHUTDOWN, true);
}

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

static void write_keep_alive_line(struct carom_connections *connections)
{
    if (connections->options->keep_alive == CAROM_OFF)
        return;
    int length = snprintf(connections->keep_alive_line, sizeof connections->keep_alive_line,
                          "Keep-Alive: timeout=%u\r\n", connections->options->keep_alive / 1000);
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

void carom_connections_init(struct carom_connections *connections, const carom_options *options,
                            uint32_t page_size)
{
    struct carom_records *records = &connections->records;
    connections->options = options;
    connections->seconds = INT64_MIN;
    carom_node_init(&connections->open);
    write_keep_alive_line(connections);
    carom_records_init(records, options, page_size, 0);
    carom_pages_init(&connections->small, SMALL_PAGE, options->pool_floor);
    carom_pool_init(&connections->pool, sizeof(struct carom_connection), options->pool_floor);
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

void carom_connections_finish(struct carom_connections *connections)
{
    carom_pages_finish(&connections->small);
    carom_pool_finish(&connections->pool);
    carom_streams_finish(&connections->streams);
    carom_records_finish(&connections->records);
}
