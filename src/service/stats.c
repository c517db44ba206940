/* Statistics: the sum of what the workers have published. */
#include <string.h>

#include "base/memory.h"
#include "service/service.h"

int carom_service_stats(const carom_service *service, carom_stats *stats)
{
    uint64_t sums[CAROM_STATS_WORDS] = {0};
    if (service == NULL || stats == NULL || stats->size < sizeof stats->size)
        return -CAROM_EINVAL;
    for (uint32_t w = 0; w < service->options.workers; w++) {
        const struct carom_worker *worker = &service->workers[w];
        if (carom_worker_is_here(worker))
            carom_worker_publish((struct carom_worker *)(uintptr_t)worker);
        for (int i = 0; i < CAROM_STATS_WORDS; i++)
            sums[i] += atomic_load_explicit(&worker->published[i], memory_order_relaxed);
    }
    carom_stats read;
    memcpy(&read, sums, sizeof read);
    read.size = stats->size;
    read.memory = carom_memory_held();
    read.allocations = carom_memory_taken();
    /* A program may have been compiled with fewer counters, or with more. */
    size_t size = (size_t)stats->size;
    memset(stats, 0, size);
    memcpy(stats, &read, size < sizeof read ? size : sizeof read);
    return 0;
}
