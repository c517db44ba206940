/* A worker: one thread with its loop, its connections and its pools. Workers share nothing on the
 * request path. */
#ifndef CAROM_SERVICE_WORKER_H
#define CAROM_SERVICE_WORKER_H

#include <stdatomic.h>

#include "http/connection.h"
#include "net/backends.h"
#include "service/door.h"
#include "service/held.h"
#include "websocket/websockets.h"

#define CAROM_NO_DEADLINE UINT64_MAX

/* A shutdown, for all workers: written by any thread, looked at in each turn. */
struct carom_shutdown {
    atomic_bool asked;
    _Atomic uint64_t deadline; /* ms of CLOCK_MONOTONIC, after which all is cancelled */
};

enum { CAROM_STATS_WORDS = sizeof(carom_stats) / sizeof(uint64_t) };
_Static_assert(sizeof(carom_stats) % sizeof(uint64_t) == 0 &&
                   offsetof(carom_stats, connections_accepted) == sizeof(uint64_t),
               "statistics are words, and the first of them, its size, is not counted");
_Static_assert((int)CAROM_REASON_COUNT <= (int)CAROM_REASONS_MOST, "each reason has its place");

struct carom_worker {
    struct carom_connections connections; /* first member: the worker is found from it */
    const struct carom_shutdown *shutdown;
    struct carom_loop *loop;
    struct carom_arena incoming; /* what the loop receives into */
    struct carom_doors doors;

    struct carom_timer trim;      /* armed while a pool is above its floor */
    struct carom_held held;       /* what it tells of records */
    struct carom_timer drain_end; /* the deadline of a shutdown */
    uint64_t drain_deadline;      /* what drain_end stands at, in the shutdown's clock */
    size_t trimmed;               /* bytes since memory was last returned to the system */

    uint32_t index;            /* of the service's workers */
    void *data;                /* the program's */
    struct carom_node watches; /* descriptors of the program's */
    struct carom_websockets websockets;

    bool asked;      /* on_start was called */
    bool begun;      /* and went well */
    bool stopped;    /* nothing may be watched or waited for any more */
    bool cancelling; /* the deadline of the shutdown has passed */
    bool drained;
    bool driven; /* by a foreign loop */

    const struct carom_log_sink *log;
    uint64_t refused_told, refused_since; /* how many of records.refused were logged; from what time
                                             on more may be logged */
    /* Its counters as others may read them: a carom_stats of its own, word by word, counted in
     * plain words and published once a turn. */
    _Atomic uint64_t published[CAROM_STATS_WORDS];
};

/* Make a worker with its loop; 0 or a negative error. What it is given must outlive it. */
int carom_worker_init(struct carom_worker *worker, const carom_options *options,
                      const struct carom_shutdown *shutdown, const struct carom_log_sink *log,
                      carom_loop_create *create_loop);
/* Nothing may be open. */
void carom_worker_finish(struct carom_worker *worker);

/* On its thread, before its first turn: call options.on_start. 0 or its error; 0 when it was called
 * before. */
int carom_worker_begin(struct carom_worker *worker);
/* On its thread, after its last turn: what still waits fires, then options.on_stop is called. */
void carom_worker_end(struct carom_worker *worker);

/* One turn; waits for work when `block`. False when the worker has drained, in this turn or
 * before. */
bool carom_worker_turn(struct carom_worker *worker, bool block);
/* Publish its counters; on its thread. */
void carom_worker_publish(struct carom_worker *worker);
/* Whether the caller is in a turn of this worker. */
bool carom_worker_is_here(const struct carom_worker *worker);
/* Wake the worker: any thread, async-signal-safe. */
void carom_worker_rouse(struct carom_worker *worker);
/* Abort with the name of the call, unless it was made on the worker's thread. */
static inline void carom_worker_assert_here(const struct carom_worker *worker, const char *call)
{
    if (carom_unlikely(!pthread_equal(worker->connections.records.thread, pthread_self())))
        carom_misused(call, "this is not the worker's thread");
}
/* Whether its next turn has work that no event of the loop will bring. */
static inline bool carom_worker_busy(const struct carom_worker *worker)
{
    return carom_connections_busy(&worker->connections);
}
/* The pools of a worker, one by one, those of all protocols included; NULL behind the last. */
static inline struct carom_pool *carom_worker_pool(const struct carom_worker *worker,
                                                   uint32_t index)
{
    const struct carom_connections *connections = &worker->connections;
    return index < connections->pool_count ? connections->pools[index] : NULL;
}

#endif
