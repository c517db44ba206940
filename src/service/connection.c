/* Connections: accept, deadlines, flush, linger, close. */
#include "service/connection.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "service/h1.h"
#include "service/h2.h"
#include "service/listener.h"
#include "service/opening.h"
#include "service/service.h"

/* Connections beyond the limit that may stand at once to be told so with 503. */
#define REFUSALS 64

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\n"
                              "Content-Length: 0\r\n"
                              "Retry-After: 1\r\n"
                              "Connection: close\r\n"
                              "\r\n";

const struct carom_protocol *const carom_protocols[] = {
    [CAROM_SPEAKS_NOTHING_YET] = &carom_opening_protocol,
    [CAROM_SPEAKS_H1] = &carom_h1_protocol,
    [CAROM_SPEAKS_H2] = &carom_h2_protocol,
};

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
    carom_pool_give(&carom_connection_worker(connection)->connections_pool, connection);
}

/* ---------------------------------------------------------------- deadlines */

/* The timer is armed lazily: a deadline that moves away leaves it alone, and it looks again. */
static void arm(struct carom_connection *connection, uint64_t deadline)
{
    struct carom_timer *timer = &connection->timer;
    if (deadline != CAROM_NO_TIME && (!carom_timer_armed(timer) || deadline < timer->deadline))
        carom_timer_arm(&carom_connection_worker(connection)->records.wheel, timer, deadline);
}

static uint64_t deadline_after(struct carom_connection *connection, uint32_t milliseconds)
{
    if (milliseconds == CAROM_OFF)
        return CAROM_NO_TIME;
    return carom_records_now(&carom_connection_worker(connection)->records) + milliseconds + 1;
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
    uint64_t now = carom_connection_worker(connection)->records.now;
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
                carom_connection_worker(connection)->records.timeouts++;
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
    uint32_t timeout = carom_connection_worker(connection)->options->linger_timeout;
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
        carom_worker_flush(carom_connection_worker(connection), connection);
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
    carom_worker_touch(carom_connection_worker(connection), connection);
}

static void closed(struct carom_stream *stream)
{
    struct carom_connection *connection = of_stream(stream);
    struct carom_worker *worker = carom_connection_worker(connection);
    carom_connection_drop(connection);
    carom_doors_update(worker);
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
                                 carom_connection_worker(connection)->options->first_byte_timeout);
}

const struct carom_stream_events carom_connection_events = {
    received, ended, sent, closed, secured,
};

/* ---------------------------------------------------------------- life */

static void keep_peer(struct carom_peer_name *name, const struct sockaddr *peer)
{
    name->family = CAROM_UNIX;
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        memcpy(name->bytes, &in.sin_addr, sizeof in.sin_addr);
        name->port = in.sin_port;
        name->family = CAROM_IPV4;
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        memcpy(name->bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
        name->port = in6.sin6_port;
        name->family = CAROM_IPV6;
    }
}

static void refuse_connection(struct carom_connection *connection)
{
    struct carom_worker *worker = carom_connection_worker(connection);
    worker->refused++;
    uint32_t most = worker->options->max_connections + REFUSALS;
    if (worker->connections_pool.in_use > most || connection->stream.tls != NULL) {
        carom_connection_abort(connection, CAROM_REASON_OVER_LIMIT, false);
        return;
    }
    connection->last = true;
    if (carom_queue_append_borrowed(&connection->stream.out, &worker->records.segments, refusal,
                                    sizeof refusal - 1, NULL, NULL) == 0)
        carom_stream_flush(&connection->stream);
    carom_connection_end(connection, true);
}

void carom_connection_accept(struct carom_door *door, int fd, const struct sockaddr *peer,
                             bool refuse)
{
    struct carom_worker *worker = door->worker;
    struct carom_connection *connection = carom_pool_take(&worker->connections_pool);
    if (connection == NULL) {
        close(fd);
        return;
    }
    memset(connection, 0, sizeof *connection);
    connection->listener = door->listener->index;
    connection->refs = 1;
    connection->read_deadline = connection->write_deadline = CAROM_NO_TIME;
    carom_node_init(&connection->link);
    carom_timer_init(&connection->timer, timer_fires);
    keep_peer(&connection->peer, peer);
    if (carom_stream_open(&connection->stream, &worker->streams, fd) < 0) {
        close(fd);
        carom_connection_drop(connection);
        return;
    }
    worker->accepted++;
    carom_list_append(&worker->connections, &connection->link);
    struct carom_tls *tls = door->listener->tls;
    if (tls != NULL && carom_stream_secure(&connection->stream, tls) < 0)
        carom_connection_abort(connection, CAROM_REASON_NO_MEMORY, true);
    else if (refuse)
        refuse_connection(connection);
    else
        carom_connection_read_within(connection, tls != NULL ? worker->options->handshake_timeout
                                                             : worker->options->first_byte_timeout);
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
    carom_timer_disarm(&carom_connection_worker(connection)->records.wheel, &connection->timer);
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
    uint32_t timeout = carom_connection_worker(connection)->options->linger_timeout;
    if (connection->peer_done || !linger || timeout == CAROM_OFF)
        close_now(connection);
    else
        linger_for(connection, timeout, CAROM_REASON_CLIENT_CLOSED);
}

void carom_connection_idle(struct carom_connection *connection)
{
    const carom_options *options = carom_connection_worker(connection)->options;
    carom_connection_protocol(connection)->drop(connection);
    if (connection->peer_done || connection->last ||
        carom_connection_worker(connection)->draining) {
        carom_connection_end(connection, connection->last);
        return;
    }
    if (!carom_stream_receives(&connection->stream)) /* its pipeline was full */
        carom_stream_receive(&connection->stream, true);
    uint64_t idle = (uint64_t)options->keep_alive + options->keep_alive_grace;
    carom_connection_read_within(connection, idle < CAROM_OFF ? (uint32_t)idle : CAROM_OFF);
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
                                      carom_connection_worker(connection)->options->write_timeout);
}

void carom_connection_local(const struct carom_connection *connection, carom_address *address)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    bool open = connection->state != CAROM_CONNECTION_CLOSED;
    if (open && getsockname(connection->stream.socket.fd, (struct sockaddr *)&name, &length) == 0)
        carom_address_describe((const struct sockaddr *)&name, length, address);
    else
        *address =
            carom_connection_worker(connection)->service->listeners[connection->listener]->address;
}

/* ---------------------------------------------------------------- content */

int carom_connection_keep_content(struct carom_connection *connection, carom_record *record,
                                  bool packed, struct carom_page *page, const uint8_t *data,
                                  uint32_t length)
{
    struct carom_worker *worker = carom_connection_worker(connection);
    struct carom_pool *segments = &worker->records.segments;
    if (!packed || length >= worker->small.size / 2)
        return carom_queue_append_page(&record->content, segments, page, data, length);
    const struct carom_segment *last = record->content.last;
    bool room = last != NULL && last->page->home == &worker->small &&
                last->page->size - last->page->used >= length;
    page = room ? carom_page_hold(last->page) : carom_page_take(&worker->small);
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

void carom_connections_drain(struct carom_worker *worker)
{
    struct carom_node *node = worker->connections.next;
    while (node != &worker->connections) {
        struct carom_connection *connection = carom_container(node, struct carom_connection, link);
        node = node->next;
        if (connection->session == NULL && connection->state == CAROM_CONNECTION_OPEN)
            carom_connection_end(connection, false);
        else if (connection->session != NULL &&
                 carom_connection_protocol(connection)->drain != NULL)
            carom_connection_protocol(connection)->drain(connection);
    }
}

void carom_connections_cancel(struct carom_worker *worker)
{
    struct carom_node *node;
    while ((node = worker->connections.next) != &worker->connections)
        carom_connection_abort(carom_container(node, struct carom_connection, link),
                               CAROM_REASON_SHUTDOWN, true);
}
