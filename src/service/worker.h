/* A worker: one thread with its loop, its records, its connections and its pools. Workers share
 * nothing on the request path. */
#ifndef CAROM_SERVICE_WORKER_H
#define CAROM_SERVICE_WORKER_H

#include <nghttp2/nghttp2.h>

#include "base/bins.h"
#include "net/stream.h"
#include "record/record.h"
#include "service/stats.h"
#include "wire/semantics.h"

struct carom_connection;
struct carom_listener;

/* A listener's socket in one worker. */
struct carom_door {
    struct carom_acceptor acceptor;
    struct carom_worker *worker;
    struct carom_listener *listener;
    struct carom_node link; /* of the worker's doors */
    bool shared;            /* the descriptor is the listener's, for all workers */
};

struct carom_worker {
    struct carom_records records; /* first member: found from it */
    struct carom_service *service;
    const carom_options *options;
    struct carom_loop *loop;
    struct carom_arena incoming; /* what the loop receives into */
    struct carom_streams streams;
    struct carom_pages small; /* pages for the beginnings of heads */
    struct carom_pool connections_pool;
    struct carom_pool h1_pool;
    struct carom_pool h2_pool;
    struct carom_pool h2_stream_pool;
    struct carom_bins bins; /* nghttp2's memory */
    nghttp2_session_callbacks *h2_callbacks;
    nghttp2_option *h2_option;
    bool h2_spoken; /* its pools may hold something */

    struct carom_node doors;
    struct carom_node connections;    /* all that are open */
    struct carom_connection *dirty;   /* something to send; or NULL */
    struct carom_connection *resumed; /* input that waited and can go on */

    struct carom_timer trim;         /* armed while a pool is above its floor */
    struct carom_timer accept_again; /* after descriptors ran out */
    struct carom_timer drain_end;    /* the deadline of a shutdown */
    struct carom_timer watch;        /* of certificate files; in worker 0 */
    uint64_t drain_deadline;         /* what drain_end stands at, in the service's clock */
    size_t trimmed;                  /* bytes since memory was last returned to the system */

    int64_t seconds; /* what date_line says */
    uint8_t date_line[CAROM_DATE_LINE];
    char keep_alive_line[48];
    uint32_t keep_alive_length;

    bool accepting;  /* as far as limits go */
    bool draining;   /* a shutdown was asked for */
    bool cancelling; /* its deadline has passed */
    bool drained;
    bool driven; /* by a foreign loop */

    uint64_t accepted, refused, requests, responses;
    uint64_t h2_connections, h2_calmed; /* that have begun; that were told to be calm */
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

/* Put a connection on the list of those that are flushed before the turn ends. */
void carom_worker_touch(struct carom_worker *worker, struct carom_connection *connection);
/* Flush it now, if it was the last to be put on that list: nearly always, right after its input. */
void carom_worker_flush(struct carom_worker *worker, struct carom_connection *connection);
/* As carom_worker_touch, and let its waiting input go on in the next turn. */
void carom_worker_resume(struct carom_worker *worker, struct carom_connection *connection);

#endif
