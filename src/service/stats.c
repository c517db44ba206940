/* Statistics: published by each worker, summed for whoever asks. */
#include "service/stats.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "service/service.h"
#include "service/worker.h"

_Static_assert(sizeof(carom_stats) % sizeof(uint64_t) == 0, "statistics are words");

/* Plain stores of words that others may read meanwhile. Each turn ends with this. */
void carom_stats_publish(struct carom_worker *worker)
{
#define PUBLISH(field, value)                                                                      \
    atomic_store_explicit(&words[offsetof(carom_stats, field) / sizeof(uint64_t)], value,          \
                          memory_order_relaxed)
    _Atomic uint64_t *words = worker->shared.words;
    const struct carom_connections *connections = &worker->connections;
    const struct carom_records *records = &connections->records;
    const struct carom_pool *pool = &records->pool, *pages = &records->pages.pool;
    PUBLISH(connections_accepted, connections->accepted);
    PUBLISH(connections_refused, connections->refused);
    PUBLISH(connections_open, connections->pool.in_use);
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
    for (int i = 0; i < CAROM_REASON_COUNT; i++)
        PUBLISH(ended[i], records->ended[i]);
#undef PUBLISH
}

void carom_service_stats(const carom_service *service, carom_stats *stats)
{
    uint64_t sums[CAROM_STATS_WORDS] = {0};
    for (uint32_t w = 0; w < service->options.workers; w++) {
        const struct carom_worker *worker = &service->workers[w];
        if (carom_worker_is_here(worker))
            carom_stats_publish((struct carom_worker *)(uintptr_t)worker);
        for (int i = 0; i < CAROM_STATS_WORDS; i++)
            sums[i] += atomic_load_explicit(&worker->shared.words[i], memory_order_relaxed);
    }
    memcpy(stats, sums, sizeof *stats);
    stats->memory = carom_memory_held();
    stats->allocations = carom_memory_taken();
}
