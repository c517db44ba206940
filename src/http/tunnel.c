/* Tunnels: how they begin, and the connection of HTTP/1.1 as what carries one; the record as
 * carrier is in tunnel_record.c. */
#include "http/tunnel.h"

#include "http/connection.h"

/* What tunnel->length can say; a page is smaller. */
#define MOST_KEPT ((UINT32_C(1) << 27) - 1)

static const struct carom_tunnel_carrier connection_carrier;

static const struct carom_tunnel_carrier *carrier_of(const struct carom_tunnel *tunnel)
{
    return tunnel->has_connection ? &connection_carrier : &carom_tunnel_record_carrier;
}

/* Three calls of each message to each who gets it: where a connection carries it, they are none. */

struct carom_queue *carom_tunnel_out(struct carom_tunnel *tunnel)
{
    if (carom_likely(tunnel->has_connection))
        return &tunnel->connection->stream.out;
    return carom_tunnel_record_carrier.out(tunnel);
}

void carom_tunnel_added(struct carom_tunnel *tunnel, uint64_t bytes)
{
    if (carom_likely(tunnel->has_connection))
        carom_connection_touch(tunnel->connection);
    else
        carom_tunnel_record_carrier.added(tunnel, bytes);
}

uint64_t carom_tunnel_send_now(struct carom_tunnel *tunnel, const struct carom_queue *queue)
{
    return tunnel->is_over ? 0 : carrier_of(tunnel)->send_now(tunnel, queue);
}

uint64_t carom_tunnel_unsent(const struct carom_tunnel *tunnel)
{
    if (tunnel->is_over)
        return 0;
    if (carom_likely(tunnel->has_connection))
        return tunnel->connection->stream.out.length;
    return carom_tunnel_record_carrier.unsent(tunnel);
}

void carom_tunnel_receive(struct carom_tunnel *tunnel, bool on)
{
    if (tunnel->is_over || tunnel->receives == on)
        return;
    tunnel->receives = on;
    carrier_of(tunnel)->receive(tunnel);
}

void carom_tunnel_widen(struct carom_tunnel *tunnel, bool on)
{
    if (tunnel->has_connection && !tunnel->is_over)
        tunnel->connection->stream.socket.wide = on;
}

void carom_tunnel_end(struct carom_tunnel *tunnel)
{
    if (tunnel->is_over)
        return;
    tunnel->is_over = true;
    carrier_of(tunnel)->end(tunnel);
}

void carom_tunnel_abort(struct carom_tunnel *tunnel, carom_reason reason)
{
    if (tunnel->is_over)
        return;
    tunnel->is_over = true;
    carrier_of(tunnel)->abort(tunnel, reason);
}

void carom_tunnel_finish(struct carom_tunnel *tunnel)
{
    carom_assert(tunnel->is_over);
    carrier_of(tunnel)->finish(tunnel);
}

struct carom_core *carom_tunnel_core(const struct carom_tunnel *tunnel)
{
    return carrier_of(tunnel)->core(tunnel);
}

/* ---------------------------------------------------------------- the connection as carrier */

static struct carom_tunnel *tunnel_of(const struct carom_connection *connection)
{
    return connection->core.protocol_state;
}

static void drop_rest(struct carom_tunnel *tunnel)
{
    if (tunnel->page != NULL)
        carom_page_drop(tunnel->page);
    tunnel->page = NULL;
    tunnel->length = 0;
}

/* Bytes of tunnel->page wait for the owner. */
static void keep(struct carom_tunnel *tunnel, const uint8_t *data, uint32_t length)
{
    tunnel->at = length > 0 ? (uint32_t)(data - tunnel->page->data) : 0;
    tunnel->length = length & MOST_KEPT;
    carom_assert(length <= MOST_KEPT);
}

/* The connection goes on without it. */
static void leave(struct carom_tunnel *tunnel)
{
    drop_rest(tunnel);
    tunnel->connection->core.protocol_state = NULL;
}

static uint64_t connection_send_now(struct carom_tunnel *tunnel, const struct carom_queue *queue)
{
    return carom_stream_send_now(&tunnel->connection->stream, queue);
}

/* What has come and waits is given first. */
static void connection_receive(struct carom_tunnel *tunnel)
{
    struct carom_connection *connection = tunnel->connection;
    bool waits = tunnel->length > 0 || (tunnel->peer_done && !tunnel->told_done);
    if (tunnel->receives && waits)
        carom_connection_resume(connection);
    else if (tunnel->receives != carom_stream_receives(&connection->stream))
        carom_stream_receive(&connection->stream, tunnel->receives);
}

static void connection_end(struct carom_tunnel *tunnel)
{
    struct carom_connection *connection = tunnel->connection;
    leave(tunnel);
    carom_stream_flush(&connection->stream);
    carom_connection_end_behind(connection);
}

static void connection_abort(struct carom_tunnel *tunnel, carom_reason reason)
{
    leave(tunnel);
    carom_connection_abort(tunnel->connection, reason, true);
}

static void connection_finish(struct carom_tunnel *tunnel)
{
    drop_rest(tunnel);
    carom_connection_drop(tunnel->connection);
}

static struct carom_core *connection_core(const struct carom_tunnel *tunnel)
{
    return &tunnel->connection->core;
}

/* The calls that are none are not here. */
static const struct carom_tunnel_carrier connection_carrier = {
    .send_now = connection_send_now,
    .receive = connection_receive,
    .end = connection_end,
    .abort = connection_abort,
    .finish = connection_finish,
    .core = connection_core,
};

void carom_tunnel_take_connection(carom_record *record, struct carom_connection *connection,
                                  struct carom_page *page, const uint8_t *data, uint32_t length)
{
    struct carom_tunnel *tunnel = record->tunnel;
    bool receives = tunnel->receives;
    carom_tunnel_record_carrier.finish(tunnel); /* the record's part is over */
    tunnel->has_connection = true;
    tunnel->connection = connection;
    carom_connection_hold(connection);
    tunnel->page = page;
    keep(tunnel, data, length);
    tunnel->peer_done = connection->core.peer_done;
    tunnel->receives = receives;
    connection->core.speaks = CAROM_SPEAKS_TUNNEL;
    connection->core.protocol_state = tunnel;
    connection->core.read_deadline = CAROM_NO_TIME;
    connection_receive(tunnel);
}

/* ---------------------------------------------------------------- the protocol */

/* Bytes for the owner: what it does not take waits, and nothing is received behind it. */
static void give(struct carom_connection *connection, struct carom_page *page, uint8_t *data,
                 uint32_t length)
{
    struct carom_tunnel *tunnel = tunnel_of(connection);
    uint32_t taken = tunnel->events->received(tunnel, data, length);
    if (tunnel_of(connection) != tunnel || taken == length)
        return;
    carom_assert(!tunnel->receives);
    tunnel->page = carom_page_hold(page);
    keep(tunnel, data + taken, length - taken);
}

static void tell_done(struct carom_connection *connection)
{
    struct carom_tunnel *tunnel = tunnel_of(connection);
    if (tunnel == NULL || !tunnel->peer_done || tunnel->told_done || tunnel->length > 0)
        return;
    tunnel->told_done = true;
    tunnel->events->peer_done(tunnel);
}

static void tunnel_received(struct carom_connection *connection, struct carom_page *page,
                            const uint8_t *data, uint32_t length)
{
    carom_assert(tunnel_of(connection)->length == 0);
    give(connection, page, (uint8_t *)(uintptr_t)data, length);
}

static void tunnel_resume(struct carom_connection *connection)
{
    struct carom_tunnel *tunnel = tunnel_of(connection);
    if (tunnel == NULL || !tunnel->receives || connection->core.state != CAROM_CONNECTION_OPEN)
        return;
    if (tunnel->length > 0) {
        struct carom_page *page = tunnel->page;
        uint32_t length = tunnel->length;
        tunnel->page = NULL;
        tunnel->length = 0;
        give(connection, page, page->data + tunnel->at, length);
        carom_page_drop(page);
    }
    tell_done(connection);
    tunnel = tunnel_of(connection);
    if (tunnel != NULL && tunnel->length == 0)
        connection_receive(tunnel);
}

static void tunnel_peer_done(struct carom_connection *connection)
{
    tunnel_of(connection)->peer_done = true;
    tell_done(connection);
}

static void tunnel_flush(struct carom_connection *connection)
{
    struct carom_tunnel *tunnel = tunnel_of(connection);
    carom_stream_flush(&connection->stream);
    if (!tunnel->is_over) /* by an owner of bytes that were given back */
        tunnel->events->sent(tunnel);
}

/* There is none, and no deadline of reading. */
static void tunnel_nothing(struct carom_connection *connection)
{
    (void)connection;
}

static void tunnel_cancel(struct carom_connection *connection, carom_reason reason)
{
    struct carom_tunnel *tunnel = tunnel_of(connection);
    leave(tunnel);
    tunnel->is_over = true;
    tunnel->events->over(tunnel, reason);
}

static void tunnel_drop(struct carom_connection *connection)
{
    carom_assert(connection->core.protocol_state == NULL);
}

const struct carom_stream_protocol carom_tunnel_protocol = {
    .protocol.carrier = &carom_stream_carrier,
    .protocol.share = carom_tunnel_share,
    .protocol.unshare = carom_tunnel_unshare,
    .received = tunnel_received,
    .peer_done = tunnel_peer_done,
    .fin_queued = NULL, /* what came before it is for the owner, who sees FIN when it reads on */
    .resume = tunnel_resume,
    .read_timeout = tunnel_nothing,
    .flush = tunnel_flush,
    .file_failed = tunnel_nothing,
    .drain = NULL, /* its owner knows of a drain */
    .cancel = tunnel_cancel,
    .drop = tunnel_drop,
};
