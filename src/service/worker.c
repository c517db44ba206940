/* Workers: the phases of a turn. */
#include "service/worker.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "record/waker.h"
#include "service/connection.h"
#include "service/h1.h"
#include "service/h2.h"
#include "service/listener.h"
#include "service/options.h"
#include "service/service.h"
#include "service/tls.h"

/* Rounds of wakers and writing in one turn, before the kernel is asked again. */
#define ROUNDS 4
/* Freed memory is returned to the system when this much has gathered. */
#define RETURN_BYTES ((size_t)1024 * 1024)
/* The beginning of a head; most are whole in one receive and never lie here. */
#define SMALL_PAGE 2048

static _Thread_local struct carom_worker *here;

bool carom_worker_is_here(const struct carom_worker *worker)
{
    return here == worker;
}

/* ---------------------------------------------------------------- the lists of the turn */

/* A connection is in one list at a time, and held by it. */
static void enlist(struct carom_connection **list, struct carom_connection *connection)
{
    if (connection->listed)
        return;
    connection->listed = true;
    carom_connection_hold(connection);
    connection->next = *list;
    *list = connection;
}

void carom_worker_touch(struct carom_worker *worker, struct carom_connection *connection)
{
    enlist(&worker->dirty, connection);
    carom_records_work(&worker->records);
}

void carom_worker_resume(struct carom_worker *worker, struct carom_connection *connection)
{
    connection->resumed = true; /* when it is listed as dirty, it moves over after the flush */
    enlist(&worker->resumed, connection);
    carom_records_work(&worker->records);
}

static void flush_last(struct carom_worker *worker)
{
    struct carom_connection *connection = worker->dirty;
    worker->dirty = connection->next;
    connection->listed = false;
    carom_connection_flush(connection);
    if (connection->resumed)
        enlist(&worker->resumed, connection);
    carom_connection_drop(connection);
}

void carom_worker_flush(struct carom_worker *worker, struct carom_connection *connection)
{
    if (worker->dirty == connection)
        flush_last(worker);
}

static void flush_dirty(struct carom_worker *worker)
{
    while (worker->dirty != NULL)
        flush_last(worker);
}

static void resume_input(struct carom_worker *worker)
{
    struct carom_connection *list = worker->resumed;
    worker->resumed = NULL;
    while (list != NULL) {
        struct carom_connection *connection = list;
        list = connection->next;
        connection->listed = connection->resumed = false;
        carom_connection_protocol(connection)->resume(connection);
        carom_worker_touch(worker, connection);
        carom_connection_drop(connection);
    }
}

/* ---------------------------------------------------------------- pools */

/* The pools of a worker, one by one; NULL at the end. Those of HTTP/2, whose floor is 0, are behind
 * the others, and not there while it was not spoken. */
static struct carom_pool *pool_at(struct carom_worker *worker, uint32_t index)
{
#define POOL(member) offsetof(struct carom_worker, member)
    static const uint16_t offsets[] = {
        POOL(records.pool), POOL(records.segments), POOL(records.tables), POOL(records.pages.pool),
        POOL(small.pool),   POOL(connections_pool), POOL(h1_pool),        POOL(streams.sessions),
        POOL(h2_pool),      POOL(h2_stream_pool),
    };
#undef POOL
    const uint32_t count = sizeof offsets / sizeof *offsets;
    if (index >= count - 2 && !worker->h2_spoken)
        return NULL;
    if (index < count)
        return (struct carom_pool *)(void *)((char *)worker + offsets[index]);
    return index < count + CAROM_BIN_COUNT ? &worker->bins.pools[index - count] : NULL;
}

static int fill_pools(struct carom_worker *worker)
{
    struct carom_pool *pool;
    int error = 0;
    for (uint32_t i = 0; error == 0 && (pool = pool_at(worker, i)) != NULL; i++)
        error = carom_pool_fill(pool);
    return error;
}

static bool pools_above_floor(struct carom_worker *worker)
{
    struct carom_pool *pool;
    for (uint32_t i = 0; (pool = pool_at(worker, i)) != NULL; i++)
        if (carom_pool_above_floor(pool))
            return true;
    return false;
}

static void trim(struct carom_timer *timer)
{
    struct carom_worker *worker = carom_container(timer, struct carom_worker, trim);
    struct carom_pool *pool;
    size_t released = 0;
    for (uint32_t i = 0; (pool = pool_at(worker, i)) != NULL; i++)
        released += carom_pool_tick(pool);
    if (worker->h2_pool.in_use == 0 && !pools_above_floor(worker))
        worker->h2_spoken = false;
    worker->trimmed += released;
    if (worker->trimmed >= RETURN_BYTES) {
        worker->trimmed = 0;
        carom_memory_return_to_system();
    }
}

/* ---------------------------------------------------------------- shutdown */

static void deadline_passed(struct carom_timer *timer)
{
    struct carom_worker *worker = carom_container(timer, struct carom_worker, drain_end);
    worker->cancelling = true;
    carom_connections_cancel(worker);
}

/* A shutdown was asked for, perhaps once more. */
static void look_at_shutdown(struct carom_worker *worker)
{
    struct carom_service *service = worker->service;
    if (!atomic_load_explicit(&service->shut_down, memory_order_acquire))
        return;
    uint64_t deadline = atomic_load_explicit(&service->deadline, memory_order_acquire);
    if (worker->draining && deadline == worker->drain_deadline)
        return;
    worker->drain_deadline = deadline;
    if (deadline != CAROM_NO_DEADLINE && !worker->cancelling) {
        uint64_t now = carom_service_clock();
        uint64_t left = deadline > now ? deadline - now : 0;
        carom_timer_arm(&worker->records.wheel, &worker->drain_end, worker->records.now + left);
    }
    if (!worker->draining) {
        worker->draining = true;
        carom_doors_close(worker);
        carom_connections_drain(worker);
    }
}

static bool has_drained(struct carom_worker *worker)
{
    return worker->draining && worker->connections_pool.in_use == 0 &&
           worker->records.pool.in_use == 0 && carom_node_alone(&worker->records.ready);
}

/* ---------------------------------------------------------------- the turn */

static void read_clock(struct carom_records *records)
{
    struct carom_worker *worker = carom_container(records, struct carom_worker, records);
    worker->loop->ops->read_clock(worker->loop);
    records->now = worker->loop->ops->now(worker->loop);
}

static void update_date(struct carom_worker *worker)
{
    int64_t seconds = worker->loop->ops->seconds(worker->loop);
    if (carom_likely(seconds == worker->seconds))
        return;
    worker->seconds = seconds;
    carom_date_line_write(worker->date_line, seconds);
}

static bool has_work(const struct carom_worker *worker)
{
    return worker->dirty != NULL || worker->resumed != NULL ||
           !carom_node_alone(&worker->records.ready) || carom_streams_wait(&worker->streams);
}

/* Ask the kernel; sleep when there is nothing to do and nobody has posted meanwhile. */
static void wait(struct carom_worker *worker, bool block)
{
    struct carom_records *records = &worker->records;
    struct carom_loop *loop = worker->loop;
    uint64_t deadline = 0;
    struct carom_guest *guest = records->guest;
    if (block && !has_work(worker) && (guest == NULL || guest->may_sleep(guest)) &&
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
    struct carom_records *records = &worker->records;
    update_date(worker);
    carom_wakers_take_posted(records);
    look_at_shutdown(worker);
    resume_input(worker);
    carom_streams_turn(&worker->streams);
    worker->loop->ops->deliver(worker->loop);
    carom_wheel_advance(&records->wheel, records->now);
    bool goes_on = true;
    for (int round = 0; round < ROUNDS && goes_on; round++) {
        carom_wakers_pass(records);
        /* After the wakers, which may have news for it, and before what it answers leaves. */
        bool busy = records->guest != NULL && records->guest->work(records->guest);
        flush_dirty(worker);
        goes_on = has_work(worker) || busy;
        if (worker->resumed != NULL || carom_streams_wait(&worker->streams))
            break;
    }
    worker->loop->ops->reclaim(worker->loop);
    if (!carom_timer_armed(&worker->trim) && pools_above_floor(worker))
        carom_timer_arm(&records->wheel, &worker->trim, records->now + CAROM_POOL_WINDOW);
}

/* Between the turns of a foreign loop the worker sleeps; its descriptor says when it must not. */
static void leave_to_foreign_loop(struct carom_worker *worker)
{
    struct carom_loop *loop = worker->loop;
    struct carom_guest *guest = worker->records.guest;
    if (has_work(worker) || (guest != NULL && !guest->may_sleep(guest)) ||
        !carom_inbox_sleep(&worker->records.inbox))
        loop->ops->wake(loop);
    loop->ops->alarm(loop, carom_wheel_next(&worker->records.wheel));
}

bool carom_worker_turn(struct carom_worker *worker, bool block)
{
    struct carom_worker *outer = here;
    here = worker;
    worker->records.in_turn = true;
    worker->records.thread = pthread_self();
    wait(worker, block);
    work(worker);
    carom_stats_publish(worker);
    if (!worker->drained && has_drained(worker)) {
        worker->drained = true;
        carom_service_worker_drained(worker->service);
    }
    worker->records.in_turn = false;
    if (worker->driven)
        leave_to_foreign_loop(worker);
    here = outer;
    return !worker->drained;
}

void carom_worker_rouse(struct carom_worker *worker)
{
    carom_inbox_enter(&worker->records.inbox);
    if (carom_inbox_rouse(&worker->records.inbox))
        worker->loop->ops->wake(worker->loop);
    carom_inbox_leave(&worker->records.inbox);
}

/* ---------------------------------------------------------------- life */

static void rouse(struct carom_records *records)
{
    struct carom_worker *worker = carom_container(records, struct carom_worker, records);
    worker->loop->ops->wake(worker->loop);
}

static void write_keep_alive_line(struct carom_worker *worker)
{
    if (worker->options->keep_alive == CAROM_OFF)
        return;
    int length = snprintf(worker->keep_alive_line, sizeof worker->keep_alive_line,
                          "Keep-Alive: timeout=%u\r\n", worker->options->keep_alive / 1000);
    worker->keep_alive_length = (uint32_t)length;
}

int carom_worker_init(struct carom_worker *worker, struct carom_service *service,
                      carom_loop_create *create_loop)
{
    const carom_options *options = &service->options;
    worker->service = service;
    worker->options = options;
    worker->seconds = INT64_MIN;
    worker->drain_deadline = CAROM_NO_DEADLINE;
    carom_node_init(&worker->doors);
    carom_node_init(&worker->connections);
    carom_timer_init(&worker->trim, trim);
    carom_timer_init(&worker->accept_again, carom_doors_retry);
    carom_timer_init(&worker->drain_end, deadline_passed);
    carom_timer_init(&worker->watch, carom_tls_watch);
    write_keep_alive_line(worker);

    struct carom_records *records = &worker->records;
    carom_records_init(records, options, carom_options_page_size(options), 0);
    records->rouse = rouse;
    records->read_clock = read_clock;
    carom_arena_init(&worker->incoming, &records->pages);
    carom_pages_init(&worker->small, SMALL_PAGE, options->pool_floor);
    carom_pool_init(&worker->connections_pool, sizeof(struct carom_connection),
                    options->pool_floor);
    carom_pool_init(&worker->h1_pool, sizeof(struct carom_h1), options->pool_floor);
    carom_streams_init(&worker->streams, &records->segments, &records->pages, &records->outgoing,
                       &carom_connection_events);
    worker->streams.most_handshakes = options->max_handshakes;
    carom_pool_init(&worker->h2_pool, sizeof(struct carom_h2), 0);
    carom_pool_init(&worker->h2_stream_pool, sizeof(struct carom_h2_stream), 0);
    carom_bins_init(&worker->bins);

    int error = carom_h2_worker_init(worker);
    if (error == 0)
        error = create_loop(&worker->loop, &worker->incoming);
    if (error == 0)
        carom_streams_attach(&worker->streams, worker->loop);
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
    carom_inbox_finish(&worker->records.inbox); /* who is inside may wake the loop */
    if (worker->loop != NULL) {
        worker->loop->ops->reclaim(worker->loop);
        worker->loop->ops->destroy(worker->loop);
        worker->loop = NULL;
    }
    carom_arena_finish(&worker->incoming);
    carom_pages_finish(&worker->small);
    carom_pool_finish(&worker->connections_pool);
    carom_pool_finish(&worker->h1_pool);
    carom_streams_finish(&worker->streams);
    carom_pool_finish(&worker->h2_pool);
    carom_pool_finish(&worker->h2_stream_pool);
    carom_bins_finish(&worker->bins);
    carom_h2_worker_finish(worker);
    carom_records_finish(&worker->records);
}
