/* A connection on a stream of bytes: the stream, and the core that all connections have. What is
 * independent of the protocol version is here; the rest is behind stream_protocol.h. An idle
 * connection is this struct and nothing else, so its size counts: at most 200 bytes. */
#ifndef CAROM_HTTP_CONNECTION_H
#define CAROM_HTTP_CONNECTION_H

#include "http/core.h"
#include "http/stream_protocol.h"
#include "net/stream.h"

struct carom_connection {
    struct carom_stream stream; /* first member: found from it */
    struct carom_core core;     /* last member: what is observed lies behind it */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct carom_connection) <= 200,
               "an idle connection costs at most 200 bytes");

static inline struct carom_connections *
carom_connections_of(const struct carom_connection *connection)
{
    return connection->core.connections;
}

/* What a connection speaks is spoken on streams of bytes. */
static inline const struct carom_stream_protocol *
carom_connection_protocol(const struct carom_connection *connection)
{
    return (const struct carom_stream_protocol *)carom_protocols[connection->core.speaks];
}

/* The carrier of protocols that are spoken on a stream of bytes. */
extern const struct carom_carrier carom_stream_carrier;

/* Make what the connections of a worker share, but for protocols, loop and owner; nothing is
 * allocated yet. `page_size` bytes make a page. */
void carom_connections_init(struct carom_connections *connections, const carom_options *options,
                            uint32_t page_size);
/* The options have changed. */
void carom_connections_adjusted(struct carom_connections *connections);
/* There is a ring: from now on each connection keeps its local address (carom_core_local). If
 * `observer` is not NULL it hears of connections, and the handler is called for what is no request,
 * too (carom_admission_offer). There are none yet. 0 or -CAROM_ENOMEM. */
int carom_connections_observe(struct carom_connections *connections,
                              struct carom_observer *observer);
/* Nothing may be open. */
void carom_connections_finish(struct carom_connections *connections);
/* Add to `pools`; one that is `seldom` used comes behind all that are not. */
void carom_connections_add_pool(struct carom_connections *connections, struct carom_pool *pool,
                                bool seldom);
/* Set the Date line by the clock of the loop, once a turn. */
void carom_connections_update_date(struct carom_connections *connections);

/* The calls of core.h, by the connection. */
static inline void carom_connection_hold(struct carom_connection *connection)
{
    carom_core_hold(&connection->core);
}
static inline void carom_connection_drop(struct carom_connection *connection)
{
    carom_core_drop(&connection->core);
}
static inline void carom_connection_touch(struct carom_connection *connection)
{
    carom_core_touch(&connection->core);
}
static inline void carom_connection_resume(struct carom_connection *connection)
{
    carom_core_resume(&connection->core);
}
static inline void carom_connection_read_within(struct carom_connection *connection,
                                                uint32_t milliseconds)
{
    carom_core_read_within(&connection->core, milliseconds);
}

/* No answer follows any more: FIN, then read on for a while (`linger`: the peer may still be
 * sending, and a close would make its kernel throw our answer away) or close. It reads on, too,
 * where the peer's FIN lies behind bytes that nobody has received. What is still in flight is
 * cancelled. */
void carom_connection_end(struct carom_connection *connection, bool linger);
/* The same, with `linger`, when all that is to be sent has left: a peer that takes its time is
 * timed as one that is sent an answer. */
void carom_connection_end_behind(struct carom_connection *connection);
/* Close at once; what is in flight is cancelled with `reason`. */
void carom_connection_abort(struct carom_connection *connection, carom_reason reason, bool reset);

/* Nothing is in flight and nothing is read: wait for the next request, or end. */
void carom_connection_idle(struct carom_connection *connection);

#endif
