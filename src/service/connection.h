/* A connection: a stream, its records in order, its deadlines, its end. What is independent of the
 * protocol version is here; HTTP/1.1 is in h1.h. An idle connection is this struct and nothing
 * else, so its size counts: at most 256 bytes. */
#ifndef CAROM_SERVICE_CONNECTION_H
#define CAROM_SERVICE_CONNECTION_H

#include "net/stream.h"
#include "service/worker.h"

enum carom_connection_state {
    CAROM_CONNECTION_OPEN,
    CAROM_CONNECTION_LINGERING, /* all is sent, FIN too; what still comes is dropped */
    CAROM_CONNECTION_CLOSED,
};

#define CAROM_NO_TIME UINT64_MAX

struct carom_connection {
    struct carom_stream stream;    /* first member: found from it */
    const struct carom_door *door; /* through which it came: its worker and listener */
    struct carom_h1 *h1;           /* while bytes are read or records are in flight; else NULL */
    struct carom_node link;        /* of worker->connections */
    struct carom_node exchanges;   /* records, in the order of their requests */
    struct carom_connection *next; /* of the worker's list of dirty or of resumed ones */
    struct carom_timer timer;      /* never later than the nearer of the two deadlines */
    uint64_t read_deadline, write_deadline;
    struct carom_peer_name peer;
    uint32_t refs;      /* the stream, each record, each list it is in */
    uint32_t requests;  /* so far */
    uint16_t in_flight; /* records in `exchanges` */
    uint8_t state;      /* enum carom_connection_state */
    bool listed;        /* in one of those lists */
    bool resumed;       /* its input waits for the next turn */
    bool peer_done;     /* the peer has sent FIN */
    bool last;          /* no further request is taken */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct carom_connection) <= 256,
               "an idle connection costs at most 256 bytes");

static inline struct carom_worker *
carom_connection_worker(const struct carom_connection *connection)
{
    return connection->door->worker;
}

/* Take over an accepted descriptor; closes it when that fails. `refuse`: answer 503. */
void carom_connection_accept(struct carom_door *door, int fd, const struct sockaddr *peer,
                             bool refuse);

/* Send what is ready; complete what was sent. */
void carom_connection_flush(struct carom_connection *connection);
/* No answer follows any more: FIN, then read on for a while (`linger`: the peer may still be
 * sending, and a close would make its kernel throw our answer away) or close. What is still in
 * flight is cancelled. */
void carom_connection_end(struct carom_connection *connection, bool linger);
/* Close at once; what is in flight is cancelled with `reason`. */
void carom_connection_abort(struct carom_connection *connection, carom_reason reason, bool reset);

/* Nothing is in flight and nothing is read: wait for the next request, or end. */
void carom_connection_idle(struct carom_connection *connection);
/* A drain begins: end those that are idle. */
void carom_connections_drain(struct carom_worker *worker);
/* Its deadline has passed: cancel all. */
void carom_connections_cancel(struct carom_worker *worker);

/* Set a deadline `milliseconds` from now (CAROM_OFF: none). */
void carom_connection_read_within(struct carom_connection *connection, uint32_t milliseconds);
void carom_connection_write_within(struct carom_connection *connection, uint32_t milliseconds);

void carom_connection_hold(struct carom_connection *connection);
void carom_connection_drop(struct carom_connection *connection);

#endif
