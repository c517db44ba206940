/* Statistics: the sum of what the workers have published. */
#include <string.h>

#include "base/memory.h"
#include "service/service.h"

void carom_service_stats(const carom_service *service, carom_stats *stats)
{
    uint64_t sums[CAROM_STATS_WORDS] = {0};
    if (service == NULL || stats == NULL)
        return;
    for (uint32_t w = 0; w < service->options.workers; w++) {
        const struct carom_worker *worker = &service->workers[w];
        if (carom_worker_is_here(worker))
            carom_worker_publish((struct carom_worker *)(uintptr_t)worker);
        for (int i = 0; i < CAROM_STATS_WORDS; i++)
            sums[i] += atomic_load_explicit(&worker->published[i], memory_order_relaxed);
    }
    memcpy(stats, sums, sizeof *stats);
    stats->memory = carom_memory_held();
    stats->allocations = carom_memory_taken();
}
