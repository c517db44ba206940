/* Workers: how they are made, and what they do in each turn. */
#include "service/worker.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/memory.h"
#include "http/owed.h"
#include "http/protocols.h"
#include "record/waker.h"
#include "service/options.h"

/* Rounds of wakers and writing in one turn, before the kernel is asked again. */
#define ROUNDS 4
/* Freed memory is returned to the system when this much has gathered. */
#define RETURN_BYTES ((size_t)1024 * 1024)

static _Thread_local struct carom_worker *here;

bool carom_worker_is_here(const struct carom_worker *worker)
{
    return here == worker;
}

/* ---------------------------------------------------------------- pools */

static int fill_pools(const struct carom_worker *worker)
{
    struct carom_pool *pool;
    int error = 0;
    for (uint32_t i = 0; error == 0 && (pool = carom_worker_pool(worker, i)) != NULL; i++)
        error = carom_pool_fill(pool);
    return error;
}

static bool pools_above_floor(const struct carom_connections *connections)
{
    uint32_t count =
        connections->look_at_all_pools ? connections->pool_count : connections->pools_always;
    for (uint32_t i = 0; i < count; i++)
        if (carom_pool_above_floor(connections->pools[i]))
            return true;
    const struct carom_guest *guest = connections->records.guest;
    return carom_websockets_hold_memory(connections->websockets) ||
           (guest != NULL && guest->above_floor(guest));
}

/* Whether a pool that is seldom used holds anything. */
static bool seldom_used(const struct carom_connections *connections)
{
    for (uint32_t i = connections->pools_always; i < connections->pool_count; i++)
        if (connections->pools[i]->in_use > 0 || connections->pools[i]->free_count > 0)
            return true;
    return false;
}

static void trim(struct carom_timer *timer)
{
    struct carom_worker *worker = carom_container(timer, struct carom_worker, trim);
    struct carom_connections *connections = &worker->connections;
    struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(worker, i)) != NULL; i++)
        worker->trimmed += carom_pool_tick(pool);
    carom_websockets_tick(&worker->websockets);
    if (connections->records.guest != NULL)
        connections->records.guest->tick(connections->records.guest);
    connections->look_at_all_pools = connections->look_at_all_pools && seldom_used(connections);
    if (worker->trimmed >= RETURN_BYTES) {
        worker->trimmed = 0;
        carom_memory_return_to_system();
    }
}

/* ---------------------------------------------------------------- shutdown */

static void deadline_passed(struct carom_timer *timer)
{
    struct carom_worker *worker = carom_container(timer, struct carom_worker, drain_end);
    if (worker->cancelling) {
        carom_held_tell_shutdown(&worker->held);
        return;
    }
    worker->cancelling = true;
    carom_connections_cancel(&worker->connections);
    /* Handlers are told in this turn; those who have not let go by the next one hold us up. */
    carom_timer_arm(&worker->connections.records.wheel, timer, worker->connections.records.now + 1);
}

/* A shutdown was asked for, perhaps once more. */
static void look_at_shutdown(struct carom_worker *worker)
{
    const struct carom_shutdown *shutdown = worker->shutdown;
    if (!atomic_load_explicit(&shutdown->asked, memory_order_acquire))
        return;
    uint64_t deadline = atomic_load_explicit(&shutdown->deadline, memory_order_acquire);
    if (worker->connections.records.draining && deadline == worker->drain_deadline)
        return;
    worker->drain_deadline = deadline;
    uint64_t left = CAROM_OFF;
    if (deadline != CAROM_NO_DEADLINE && !worker->cancelling) {
        uint64_t now = carom_clock_milliseconds(CLOCK_MONOTONIC);
        left = deadline > now ? deadline - now : 0;
        carom_timer_arm(&worker->connections.records.wheel, &worker->drain_end,
                        worker->connections.records.now + left);
    }
    if (!worker->connections.records.draining) {
        carom_records_drain(&worker->connections.records);
        carom_doors_close(&worker->doors);
        carom_connections_drain(&worker->connections);
        carom_websockets_drain(&worker->websockets, left < CAROM_OFF ? (uint32_t)left : CAROM_OFF);
    }
}

static bool has_drained(struct carom_worker *worker)
{
    return worker->connections.records.draining && worker->connections.count == 0 &&
           worker->connections.records.pool.in_use == 0 &&
           carom_websockets_are_quiet(&worker->websockets) &&
           carom_node_alone(&worker->connections.records.ready);
}

/* ---------------------------------------------------------------- the turn */

/* The log hears of requests that were refused, not of each: that would be one more thing to fill.
 */
#define REFUSED_WINDOW 10000

static void tell_refused(struct carom_worker *worker)
{
    const struct carom_records *records = &worker->connections.records;
    if (carom_likely(records->refused == worker->refused_told) ||
        records->now < worker->refused_since)
        return;
    carom_log_line(worker->log, CAROM_LOG_WARNING,
                   "%llu requests were answered 503, since all that may be in flight are",
                   (unsigned long long)(records->refused - worker->refused_told));
    worker->refused_told = records->refused;
    worker->refused_since = records->now + REFUSED_WINDOW;
}

static void read_clock(struct carom_records *records)
{
    struct carom_worker *worker =
        carom_container(records, struct carom_worker, connections.records);
    worker->loop->ops->read_clock(worker->loop);
    records->now = worker->loop->ops->now(worker->loop);
}

/* Ask the kernel; sleep when there is nothing to do and nobody has posted meanwhile. */
static void wait(struct carom_worker *worker, bool block)
{
    struct carom_records *records = &worker->connections.records;
    struct carom_loop *loop = worker->loop;
    uint64_t deadline = 0;
    struct carom_guest *guest = records->guest;
    if (block && !carom_worker_busy(worker) && (guest == NULL || guest->may_sleep(guest)) &&
        carom_inbox_sleep(&records->inbox))
        deadline = carom_wheel_next(&records->wheel);
    loop->ops->wait(loop, deadline);
    carom_inbox_awake(&records->inbox);
    if (guest != NULL)
        guest->awake(guest);
    records->now = loop->ops->now(loop);
}

static void work(struct carom_worker *worker)
{
    struct carom_connections *connections = &worker->connections;
    struct carom_records *records = &connections->records;
    carom_connections_update_date(connections);
    carom_wakers_take_posted(records);
    look_at_shutdown(worker);
    carom_connections_resume(connections);
    carom_streams_turn(&connections->streams);
    worker->loop->ops->deliver(worker->loop);
    carom_wheel_advance(&records->wheel, records->now);
    bool goes_on = true;
    for (int round = 0; round < ROUNDS && goes_on; round++) {
        carom_wakers_pass(records);
        /* After the wakers, which may have news for it, and before what it answers leaves. */
        bool busy = records->guest != NULL && records->guest->work(records->guest);
        carom_connections_uncrowd(connections);
        carom_connections_flush(connections);
        goes_on = carom_worker_busy(worker) || busy;
        if (!carom_node_alone(&connections->resumed) || carom_streams_wait(&connections->streams))
            break;
    }
    worker->loop->ops->reclaim(worker->loop);
    tell_refused(worker);
    carom_held_turn(&worker->held);
    if (!carom_timer_armed(&worker->trim) && pools_above_floor(connections))
        carom_timer_arm(&records->wheel, &worker->trim, records->now + CAROM_POOL_WINDOW);
}

/* Between the turns of a foreign loop the worker sleeps; its descriptor says when it must not. */
static void leave_to_foreign_loop(struct carom_worker *worker)
{
    struct carom_loop *loop = worker->loop;
    struct carom_guest *guest = worker->connections.records.guest;
    if (carom_worker_busy(worker) || (guest != NULL && !guest->may_sleep(guest)) ||
        !carom_inbox_sleep(&worker->connections.records.inbox))
        loop->ops->wake(loop);
    loop->ops->alarm(loop, carom_wheel_next(&worker->connections.records.wheel));
}

bool carom_worker_turn(struct carom_worker *worker, bool block)
{
    struct carom_worker *outer = here;
    here = worker;
    worker->connections.records.in_turn = true;
    worker->connections.records.thread = pthread_self();
    wait(worker, block);
    work(worker);
    carom_worker_publish(worker);
    worker->drained = worker->drained || has_drained(worker);
    worker->connections.records.in_turn = false;
    if (worker->driven)
        leave_to_foreign_loop(worker);
    here = outer;
    return !worker->drained;
}

void carom_worker_rouse(struct carom_worker *worker)
{
    carom_inbox_enter(&worker->connections.records.inbox);
    if (carom_inbox_rouse(&worker->connections.records.inbox))
        worker->loop->ops->wake(worker->loop);
    carom_inbox_leave(&worker->connections.records.inbox);
}

/* ---------------------------------------------------------------- counters */

/* Plain stores of words that others may read meanwhile. */
#define PUBLISH(field, value)                                                                      \
    atomic_store_explicit(&words[offsetof(carom_stats, field) / sizeof(uint64_t)], value,          \
                          memory_order_relaxed)

static void publish_sockets(_Atomic uint64_t *words, const struct carom_websockets *sockets)
{
    PUBLISH(websockets_open, sockets->sockets.in_use);
    PUBLISH(websockets_accepted, sockets->accepted);
    PUBLISH(websockets_refused, sockets->refused);
    PUBLISH(websocket_messages_received, sockets->messages_received);
    PUBLISH(websocket_messages_sent, sockets->messages_sent);
    PUBLISH(websocket_bytes_received, sockets->bytes_received);
    PUBLISH(websocket_bytes_sent, sockets->bytes_sent);
    PUBLISH(websocket_bytes_saved, sockets->bytes_saved);
    for (int i = 0; i < CAROM_WS_CODES_COUNTED; i++)
        PUBLISH(websockets_closed[i], sockets->closed[i]);
}

/* Each turn ends with this. */
void carom_worker_publish(struct carom_worker *worker)
{
    _Atomic uint64_t *words = worker->published;
    const struct carom_connections *connections = &worker->connections;
    const struct carom_records *records = &connections->records;
    const struct carom_pool *pool = &records->pool, *pages = &records->pages.pool;
    PUBLISH(connections_accepted, connections->accepted);
    PUBLISH(connections_refused, connections->refused);
    PUBLISH(connections_open, connections->count);
    PUBLISH(requests, connections->requests);
    PUBLISH(responses, connections->responses);
    PUBLISH(bytes_received, worker->loop->bytes_received);
    PUBLISH(bytes_sent, worker->loop->bytes_sent);
    PUBLISH(records_in_flight, pool->in_use);
    PUBLISH(records_peak, pool->peak);
    PUBLISH(records_pooled, pool->free_count);
    PUBLISH(records_recycled, pool->allocated + pool->recycled - pool->in_use);
    PUBLISH(records_allocated, pool->allocated);
    PUBLISH(pages_in_use, pages->in_use + connections->small.pool.in_use);
    PUBLISH(pages_pooled, pages->free_count + connections->small.pool.free_count);
    PUBLISH(timeouts, records->timeouts);
    PUBLISH(cancellations, records->cancellations);
    PUBLISH(tls_handshakes, connections->streams.handshakes_done);
    PUBLISH(tls_resumed, connections->streams.handshakes_resumed);
    PUBLISH(tls_failed, connections->streams.handshakes_failed);
    PUBLISH(h2_connections, connections->h2_connections);
    PUBLISH(h2_calmed, connections->h2_calmed);
    PUBLISH(requests_refused, records->refused);
    for (int i = 0; i < CAROM_REASON_COUNT; i++)
        PUBLISH(ended[i], records->ended[i]);
    if (worker->websockets.accepted + worker->websockets.refused > 0)
        publish_sockets(words, &worker->websockets);
}

/* ---------------------------------------------------------------- life */

static void rouse(struct carom_records *records)
{
    struct carom_worker *worker =
        carom_container(records, struct carom_worker, connections.records);
    worker->loop->ops->wake(worker->loop);
}

static void freed(struct carom_connections *connections)
{
    carom_doors_update(&((struct carom_worker *)connections)->doors);
    carom_records_work(&connections->records); /* a drain may be over, too */
}

static void attach_loop(struct carom_worker *worker)
{
    worker->loop->wide = &worker->websockets.long_room;
    carom_streams_attach(&worker->connections.streams, worker->loop);
    worker->doors.loop = worker->loop;
}

int carom_worker_init(struct carom_worker *worker, const carom_options *options,
                      const struct carom_shutdown *shutdown, const struct carom_log_sink *log,
                      carom_loop_create *create_loop)
{
    struct carom_connections *connections = &worker->connections;
    struct carom_records *records = &connections->records;
    worker->shutdown = shutdown;
    worker->log = log;
    worker->drain_deadline = CAROM_NO_DEADLINE;
    carom_node_init(&worker->watches);
    carom_timer_init(&worker->trim, trim);
    carom_held_init(&worker->held, records, log, options->held_warning);
    carom_timer_init(&worker->drain_end, deadline_passed);
    carom_doors_init(&worker->doors, connections, log);

    carom_connections_init(connections, options, carom_options_page_size(options));
    connections->freed = freed;
    records->rouse = rouse;
    records->read_clock = read_clock;
    carom_arena_init(&worker->incoming, &records->pages);

    int error = carom_protocols_init(connections);
    carom_websockets_init(&worker->websockets, connections); /* whose pools come behind others */
    if (error == 0)
        error = create_loop(&worker->loop, &worker->incoming);
    if (error == 0)
        attach_loop(worker);
    if (error == 0) /* beyond the pages that the loop has taken */
        error = fill_pools(worker);
    if (error < 0) {
        carom_worker_finish(worker);
        return error;
    }
    records->now = worker->loop->ops->now(worker->loop);
    carom_wheel_init(&records->wheel, records->now);
    return 0;
}

void carom_worker_finish(struct carom_worker *worker)
{
    carom_inbox_finish(&worker->connections.records.inbox); /* who is inside may wake the loop */
    if (worker->loop != NULL) {
        worker->loop->ops->reclaim(worker->loop);
        worker->loop->ops->destroy(worker->loop);
        worker->loop = NULL;
    }
    carom_arena_finish(&worker->incoming);
    carom_protocols_finish(&worker->connections);
    carom_websockets_finish(&worker->websockets);
    carom_connections_finish(&worker->connections);
}
