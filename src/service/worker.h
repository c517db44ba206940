/* A worker: one thread with its loop, its connections and its pools. Workers share nothing on the
 * request path. */
#ifndef CAROM_SERVICE_WORKER_H
#define CAROM_SERVICE_WORKER_H

#include "http/connection.h"
#include "service/stats.h"

struct carom_worker {
    struct carom_connections connections; /* first member: found from it */
    struct carom_service *service;
    struct carom_loop *loop;
    struct carom_arena incoming; /* what the loop receives into */
    struct carom_node doors;

    struct carom_timer trim;         /* armed while a pool is above its floor */
    struct carom_timer accept_again; /* after descriptors ran out */
    struct carom_timer drain_end;    /* the deadline of a shutdown */
    struct carom_timer watch;        /* of certificate files; in worker 0 */
    uint64_t drain_deadline;         /* what drain_end stands at, in the service's clock */
    size_t trimmed;                  /* bytes since memory was last returned to the system */

    bool cancelling; /* the deadline of the shutdown has passed */
    bool drained;
    bool driven; /* by a foreign loop */

    struct carom_stats_shared shared;
};

/* Makes a loop that receives into `arena`; 0 or a negative error. */
typedef int carom_loop_create(struct carom_loop **loop, struct carom_arena *arena);

/* Make a worker with its loop; 0 or a negative error. */
int carom_worker_init(struct carom_worker *worker, struct carom_service *service,
                      carom_loop_create *create_loop);
/* Nothing may be open. */
void carom_worker_finish(struct carom_worker *worker);

/* One turn; waits for work when `block`. False when the worker has drained. */
bool carom_worker_turn(struct carom_worker *worker, bool block);
/* Whether the caller is in a turn of this worker. */
bool carom_worker_is_here(const struct carom_worker *worker);
/* Wake the worker: any thread, async-signal-safe. */
void carom_worker_rouse(struct carom_worker *worker);
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
