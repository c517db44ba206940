/* Statistics: published by each worker, summed for whoever asks. */
#include "service/stats.h"

#include <string.h>

#include "base/memory.h"
#include "service/service.h"
#include "service/worker.h"

_Static_assert(sizeof(carom_stats) % sizeof(uint64_t) == 0, "statistics are words");

static void collect(const struct carom_worker *worker, carom_stats *stats)
{
    const struct carom_records *records = &worker->records;
    const struct carom_pool *pages = &records->pages.pool;
    *stats = (carom_stats){
        .connections_accepted = worker->accepted,
        .connections_refused = worker->refused,
        .connections_open = worker->connections_pool.in_use,
        .requests = worker->requests,
        .responses = worker->responses,
        .bytes_received = worker->loop->bytes_received,
        .bytes_sent = worker->loop->bytes_sent,
        .records_in_flight = records->pool.in_use,
        .records_peak = records->pool.peak,
        .records_pooled = records->pool.free_count,
        .records_recycled = records->pool.allocated + records->pool.recycled - records->pool.in_use,
        .records_allocated = records->pool.allocated,
        .pages_in_use = pages->in_use + worker->small.pool.in_use,
        .pages_pooled = pages->free_count + worker->small.pool.free_count,
        .timeouts = records->timeouts,
        .cancellations = records->cancellations,
        .h2_calmed = worker->calmed,
    };
    memcpy(stats->ended, records->ended, sizeof stats->ended);
}

void carom_stats_publish(struct carom_worker *worker)
{
    carom_stats stats;
    collect(worker, &stats);
    const uint64_t *words = (const uint64_t *)(const void *)&stats;
    for (int i = 0; i < CAROM_STATS_WORDS; i++)
        atomic_store_explicit(&worker->shared.words[i], words[i], memory_order_relaxed);
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
