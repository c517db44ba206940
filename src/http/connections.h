/* What the connections of a worker share. */
#ifndef CAROM_HTTP_CONNECTIONS_H
#define CAROM_HTTP_CONNECTIONS_H

#include "http/protocol.h"
#include "net/stream.h"
#include "record/record.h"
#include "wire/semantics.h"

/* Pools of a worker at most, those of all its protocols included. */
#define CAROM_POOLS_MOST 64

struct carom_core;
struct carom_websockets;

/* An observer is told of each connection that opens and closes: a ring for its VM, or a log. */
struct carom_observer {
    /* It is open, and its handshake of TLS is done, if it has one. The number by which it is known
     * from now on; 0: there is none, and it must go. */
    uint32_t (*opened)(struct carom_observer *observer, struct carom_core *core);
    /* It has closed, and nothing of it is in flight. Nothing of it is looked at behind this. */
    void (*closed)(struct carom_observer *observer, struct carom_core *core, carom_reason reason);
};

struct carom_connections {
    struct carom_records records; /* first member: found from it */
    struct carom_streams streams;
    const carom_options *options;
    struct carom_pages small; /* pages for the beginnings of heads */
    struct carom_pool pool;   /* connections of streams */

    void *shared[CAROM_SPEAKS_COUNT]; /* by enum carom_speaks: what those that speak it share */

    struct carom_node dirty;   /* cores that have something to send, */
    struct carom_node resumed; /* or input that waited and can go on, */
    struct carom_node open;    /* and all others that are not closed */

    int64_t seconds; /* what date_line says */
    uint8_t date_line[CAROM_DATE_LINE];
    char keep_alive_line[48];
    uint32_t keep_alive_length;

    /* All pools, to be filled and trimmed; behind `pools_always` those of protocols that are not
     * spoken by every client, which are looked at only while something may lie in them. */
    struct carom_pool *pools[CAROM_POOLS_MOST];
    uint32_t pool_count, pools_always;
    bool look_at_all_pools;

    struct carom_websockets *websockets; /* of the worker; known above this floor */
    struct carom_observer *observer;     /* or NULL */
    bool observed;                       /* carom_connections_observe */
    uint32_t count; /* of cores: those that are open, and those closed ones of which
                       a handler still has a record */
    uint64_t accepted, refused, requests, responses;
    /* Content of eight answers, as they have been lately, and of HTTP/1.1 how many such answers a
     * client may have ahead, at most max_pipeline. */
    uint64_t answers_of_eight;
    uint32_t requests_ahead;
    uint64_t owed;             /* bytes of content that clients have yet to take: owed.h */
    struct carom_node crowded; /* struct carom_owed: connections whose requests wait until those who
                                  answer have heard of those before */
    uint64_t h2_connections, h2_calmed; /* that have begun; that were told to be calm */

    /* What is asked of the owner. A connection has gone: accepting may go on. */
    void (*freed)(struct carom_connections *connections);
    /* The address of a listener, by its number. */
    void (*local_address)(const struct carom_connections *connections, uint16_t listener,
                          carom_address *address);
};

/* Whether there is work that no event of the loop will bring. */
static inline bool carom_connections_busy(const struct carom_connections *connections)
{
    return !carom_node_alone(&connections->dirty) || !carom_node_alone(&connections->resumed) ||
           !carom_node_alone(&connections->records.ready) ||
           carom_streams_wait(&connections->streams);
}
/* Whether there are as many as there may be. */
static inline bool carom_connections_full(const struct carom_connections *connections)
{
    return connections->count >= connections->options->max_connections;
}

#endif
