/* A connection: a stream, its records, its deadlines, its end. What is independent of the protocol
 * version is here; the rest is behind protocol.h. What the connections of a worker share is one
 * struct, which its owner embeds. An idle connection is this struct and nothing
 * else, so its size counts: at most 200 bytes. */
#ifndef CAROM_HTTP_CONNECTION_H
#define CAROM_HTTP_CONNECTION_H

#include "base/bins.h"
#include "http/protocol.h"
#include "net/stream.h"
#include "record/record.h"
#include "wire/semantics.h"

struct carom_connection;

/* Pools of a worker at most, those of all its protocols included. */
#define CAROM_POOLS_MOST 32

/* What the connections of a worker share. */
struct carom_connections {
    struct carom_records records; /* first member: found from it */
    struct carom_streams streams;
    const carom_options *options;
    struct carom_pages small; /* pages for the beginnings of heads */
    struct carom_pool pool;   /* connections */

    const struct carom_protocol *const *protocols; /* by enum carom_speaks */
    void *shared[CAROM_SPEAKS_COUNT];              /* what the connections of each share */

    struct carom_node open;           /* all that are open */
    struct carom_connection *dirty;   /* something to send; or NULL */
    struct carom_connection *resumed; /* input that waited and can go on */
    bool draining;                    /* no further request is taken */

    int64_t seconds; /* what date_line says */
    uint8_t date_line[CAROM_DATE_LINE];
    char keep_alive_line[48];
    uint32_t keep_alive_length;

    /* All pools, to be filled and trimmed; behind `pools_always` those of protocols that are not
     * spoken by every client, which are looked at only while something may lie in them. */
    struct carom_pool *pools[CAROM_POOLS_MOST];
    uint32_t pool_count, pools_always;
    bool look_at_all_pools;

    uint64_t accepted, refused, requests, responses;
    uint64_t h2_connections, h2_calmed; /* that have begun; that were told to be calm */

    /* What is asked of the owner. A connection has gone: accepting may go on. */
    void (*freed)(struct carom_connections *connections);
    /* The address of a listener, by its number. */
    void (*near_address)(const struct carom_connections *connections, uint16_t listener,
                         carom_address *address);
};

enum carom_connection_state {
    CAROM_CONNECTION_OPEN,
    CAROM_CONNECTION_LINGERING, /* all is sent, FIN too; what still comes is dropped */
    CAROM_CONNECTION_CLOSED,
};

#define CAROM_NO_TIME UINT64_MAX

struct carom_connection {
    struct carom_stream stream;    /* first member: found from it */
    void *session;                 /* the protocol's state, while it needs one; else NULL */
    struct carom_node link;        /* of connections->connections */
    struct carom_connection *next; /* of the list of dirty or of resumed ones */
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

static inline struct carom_connections *
carom_connections_of(const struct carom_connection *connection)
{
    return carom_container(connection->stream.streams, struct carom_connections, streams);
}

static inline const struct carom_protocol *
carom_connection_protocol(const struct carom_connection *connection)
{
    return carom_connections_of(connection)->protocols[connection->speaks];
}

/* Make what the connections of a worker share, but for protocols, loop and owner; nothing is
 * allocated yet. `page_size` bytes make a page. */
void carom_connections_init(struct carom_connections *connections, const carom_options *options,
                            uint32_t page_size);
/* Nothing may be open. */
void carom_connections_finish(struct carom_connections *connections);
/* Add to `pools`; one that is `seldom` used comes behind all that are not. */
void carom_connections_add_pool(struct carom_connections *connections, struct carom_pool *pool,
                                bool seldom);

/* Parts of a turn: set the Date line by the clock of the loop; let input go on that waited; flush
 * all that have something to send. */
void carom_connections_update_date(struct carom_connections *connections);
void carom_connections_resume(struct carom_connections *connections);
void carom_connections_flush(struct carom_connections *connections);
/* Whether there is work that no event of the loop will bring. */
static inline bool carom_connections_busy(const struct carom_connections *connections)
{
    return connections->dirty != NULL || connections->resumed != NULL ||
           !carom_node_alone(&connections->records.ready) ||
           carom_streams_wait(&connections->streams);
}
/* Whether there are as many as there may be. */
static inline bool carom_connections_full(const struct carom_connections *connections)
{
    return connections->pool.in_use >= connections->options->max_connections;
}

/* A drain begins: end those that are idle. */
void carom_connections_drain(struct carom_connections *connections);
/* Its deadline has passed: cancel all. */
void carom_connections_cancel(struct carom_connections *connections);

/* A connection without a stream, held once; accept.c makes the rest. */
void carom_connection_init(struct carom_connection *connection, uint16_t listener);
void carom_connection_hold(struct carom_connection *connection);
void carom_connection_drop(struct carom_connection *connection);

/* Put it on the list of those that are flushed before the turn ends. */
void carom_connection_touch(struct carom_connection *connection);
/* Flush it now, if it was the last to be put on that list: nearly always, right after its input. */
void carom_connection_flush_last(struct carom_connection *connection);
/* As carom_connection_touch, and let its waiting input go on in the next turn. */
void carom_connection_resume(struct carom_connection *connection);

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

/* Set a deadline `milliseconds` from now (CAROM_OFF: none). */
void carom_connection_read_within(struct carom_connection *connection, uint32_t milliseconds);
void carom_connection_write_within(struct carom_connection *connection, uint32_t milliseconds);
/* The same for as long as an idle connection may wait for its next request. */
void carom_connection_wait_idle(struct carom_connection *connection);

#endif
