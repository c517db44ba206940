/* A connection: a stream, its records, its deadlines, its end. What is independent of the protocol
 * version is here; the rest is behind protocol.h. An idle connection is this struct and nothing
 * else, so its size counts: at most 200 bytes. */
#ifndef CAROM_SERVICE_CONNECTION_H
#define CAROM_SERVICE_CONNECTION_H

#include "net/stream.h"
#include "service/protocol.h"
#include "service/worker.h"

enum carom_connection_state {
    CAROM_CONNECTION_OPEN,
    CAROM_CONNECTION_LINGERING, /* all is sent, FIN too; what still comes is dropped */
    CAROM_CONNECTION_CLOSED,
};

#define CAROM_NO_TIME UINT64_MAX

struct carom_connection {
    struct carom_stream stream;    /* first member: found from it */
    void *session;                 /* the protocol's state, while it needs one; else NULL */
    struct carom_node link;        /* of worker->connections */
    struct carom_connection *next; /* of the worker's list of dirty or of resumed ones */
    struct carom_timer timer;      /* never later than the nearer of the two deadlines */
    uint64_t read_deadline, write_deadline;
    struct carom_peer_name peer;
    uint32_t refs;      /* the stream, each record, each list it is in */
    uint32_t requests;  /* so far */
    uint16_t listener;  /* through which it came; of the service's listeners */
    uint8_t state : 2;  /* enum carom_connection_state */
    uint8_t speaks : 2; /* enum carom_speaks */
    bool listed : 1;    /* in one of those lists */
    bool resumed : 1;   /* its input waits for the next turn */
    bool peer_done : 1; /* the peer has sent FIN */
    bool last : 1;      /* no further request is taken */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct carom_connection) <= 200,
               "an idle connection costs at most 200 bytes");

static inline struct carom_worker *
carom_connection_worker(const struct carom_connection *connection)
{
    return carom_container(connection->stream.streams, struct carom_worker, streams);
}

static inline const struct carom_protocol *
carom_connection_protocol(const struct carom_connection *connection)
{
    return carom_protocols[connection->speaks];
}

/* Of the streams of connections. */
extern const struct carom_stream_events carom_connection_events;

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

/* Put content of a request, `data` in `page`, where its reader finds it. What may wait for long
 * (`packed`) is copied behind the piece before it when it is small, or else a few bytes would each
 * keep the whole page in which they came. 0 or -CAROM_ENOMEM. */
int carom_connection_keep_content(struct carom_connection *connection, carom_record *record,
                                  bool packed, struct carom_page *page, const uint8_t *data,
                                  uint32_t length);

/* The address of its near end. */
void carom_connection_local(const struct carom_connection *connection, carom_address *address);

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
