/* The record as what carries a tunnel: every stream of HTTP/2 is one, and each upgrade of HTTP/1.1
 * until the connection itself is free. A waker tells of bytes that come, so that the owner is never
 * called inside nghttp2. */
#include "base/memory.h"
#include "http/connection.h"
#include "http/respond.h"
#include "http/tunnel.h"
#include "record/waker.h"

struct carom_tunnel_record {
    struct carom_tunnel *tunnel;
    carom_record *record;
    carom_waker
        readable; /* of HTTP/1.1 it waits for the end alone, and so while nothing is wanted */
};

static struct carom_pool *pool_of(const carom_record *record)
{
    return record->ops->core(record)->connections->shared[CAROM_SPEAKS_TUNNEL];
}

/* Over HTTP/1.1 the bytes that follow wait for the connection. */
static bool reads(const struct carom_tunnel_record *carried)
{
    return carried->record->head.version == 20;
}

static void over(struct carom_tunnel_record *carried)
{
    struct carom_tunnel *tunnel = carried->tunnel;
    tunnel->is_over = true;
    tunnel->events->over(tunnel, (carom_reason)carried->record->reason);
}

/* ---------------------------------------------------------------- what comes */

/* For bytes, if the owner wants them; for the end in any case. */
static void wait_for_more(struct carom_tunnel_record *carried)
{
    bool receives = reads(carried) && carried->tunnel->receives;
    carom_record_unwait(carried->record, &carried->readable);
    int error = carom_record_wait(carried->record, receives ? CAROM_READABLE : CAROM_CANCELLED,
                                  &carried->readable);
    carom_assert(error == 0);
}

/* Give the owner what is there; false when it is over, or has stopped. */
static bool give_bytes(struct carom_tunnel_record *carried)
{
    struct carom_tunnel *tunnel = carried->tunnel;
    carom_record *record = carried->record;
    while (tunnel->receives && record->content.first != NULL) {
        const struct carom_segment *first = record->content.first;
        record->handed = (size_t)first->length; /* it stays, whatever the owner does */
        uint32_t taken = tunnel->events->received(tunnel, (uint8_t *)(uintptr_t)first->data,
                                                  (uint32_t)first->length);
        record->handed = 0;
        if (tunnel->is_over)
            return false;
        carom_queue_consume(&record->content, &record->records->segments, taken);
    }
    return tunnel->receives;
}

static void bytes_came(carom_waker *waker, int status)
{
    struct carom_tunnel_record *carried =
        carom_container(waker, struct carom_tunnel_record, readable);
    struct carom_tunnel *tunnel = carried->tunnel;
    carom_record *record = carried->record;
    if (tunnel->is_over)
        return;
    if (carom_record_over(record)) {
        over(carried);
        return;
    }
    if (!give_bytes(carried))
        return;
    if (record->request == CAROM_REQUEST_CONTENT) {
        wait_for_more(carried);
    } else if (status < 0) { /* the rest was dropped, and no reason written yet */
        over(carried);
    } else if (!tunnel->told_done) {
        tunnel->peer_done = tunnel->told_done = true;
        tunnel->events->peer_done(tunnel);
        if (!tunnel->is_over && carom_record_wait(record, CAROM_CANCELLED, &carried->readable) < 0)
            carom_assert(false);
    }
}

/* ---------------------------------------------------------------- what leaves */

void carom_tunnel_sent(struct carom_tunnel *tunnel)
{
    if (!tunnel->is_over)
        tunnel->events->sent(tunnel);
}

static struct carom_queue *record_out(struct carom_tunnel *tunnel)
{
    return &tunnel->record->record->body;
}

/* When the record is over, and its owner has still to be told, there is no stream any more. */
static void record_added(struct carom_tunnel *tunnel, uint64_t bytes)
{
    carom_record *record = tunnel->record->record;
    if (record->response == CAROM_RESPONSE_CANCELLED) {
        carom_queue_clear(&record->body, &record->records->segments);
        return;
    }
    record->content_written += bytes;
    record->ops->changed(record);
}

/* They wait for the peer's window, and for their turn among the streams of the connection. */
static uint64_t record_send_now(struct carom_tunnel *tunnel, const struct carom_queue *queue)
{
    (void)tunnel;
    (void)queue;
    return 0;
}

static uint64_t record_unsent(const struct carom_tunnel *tunnel)
{
    return carom_record_unsent(tunnel->record->record);
}

static void record_receive(struct carom_tunnel *tunnel)
{
    struct carom_tunnel_record *carried = tunnel->record;
    carom_record *record = carried->record;
    if (!reads(carried) || carom_record_over(record) || tunnel->told_done)
        return;
    wait_for_more(carried);
}

/* ---------------------------------------------------------------- its end */

static void record_end(struct carom_tunnel *tunnel)
{
    carom_record *record = tunnel->record->record;
    if (!carom_record_over(record))
        (void)carom_response_end(record, NULL, 0);
}

static void record_abort(struct carom_tunnel *tunnel, carom_reason reason)
{
    carom_record *record = tunnel->record->record;
    carom_record_cancel(record, reason);
    if (record->holds & CAROM_HOLD_EXCHANGE)
        record->ops->changed(record);
}

static void record_finish(struct carom_tunnel *tunnel)
{
    struct carom_tunnel_record *carried = tunnel->record;
    carom_record *record = carried->record;
    struct carom_pool *pool = pool_of(record);
    record->tunnel = NULL;
    carom_record_let_go(record); /* which disarms the wakers */
    carom_pool_give(pool, carried);
}

static struct carom_core *record_core(const struct carom_tunnel *tunnel)
{
    const carom_record *record = tunnel->record->record;
    return record->ops->core(record);
}

const struct carom_tunnel_carrier carom_tunnel_record_carrier = {
    .out = record_out,
    .added = record_added,
    .send_now = record_send_now,
    .unsent = record_unsent,
    .receive = record_receive,
    .end = record_end,
    .abort = record_abort,
    .finish = record_finish,
    .core = record_core,
};

/* ---------------------------------------------------------------- its beginning */

int carom_tunnel_begin(struct carom_tunnel *tunnel, const struct carom_tunnel_events *events,
                       carom_record *record, const carom_response *response)
{
    struct carom_tunnel_record *carried = carom_pool_take(pool_of(record));
    if (carried == NULL)
        return -CAROM_ENOMEM;
    record->tunnel = tunnel;
    int error = carom_upgrade(record, response);
    if (error < 0) {
        record->tunnel = NULL;
        carom_pool_give(pool_of(record), carried);
        return error;
    }
    record->ops->core(record)->connections->look_at_all_pools = true;
    *carried = (struct carom_tunnel_record){
        .tunnel = tunnel,
        .record = record,
        .readable = {.wake = bytes_came},
    };
    *tunnel = (struct carom_tunnel){
        .events = events,
        .record = carried,
        .receives = true,
    };
    carom_record_take_over(record);
    wait_for_more(carried);
    return 0;
}

int carom_tunnel_share(struct carom_connections *connections)
{
    struct carom_pool *pool = carom_memory_take_zeroed(sizeof *pool);
    if (pool == NULL)
        return -CAROM_ENOMEM;
    carom_pool_init(pool, sizeof(struct carom_tunnel_record), 0);
    connections->shared[CAROM_SPEAKS_TUNNEL] = pool;
    carom_connections_add_pool(connections, pool, true);
    return 0;
}

void carom_tunnel_unshare(struct carom_connections *connections)
{
    struct carom_pool *pool = connections->shared[CAROM_SPEAKS_TUNNEL];
    carom_pool_finish(pool);
    carom_memory_give(pool, sizeof *pool);
}
