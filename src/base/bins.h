/* Memory of any size out of pools, one for each class of sizes: for libraries that ask for memory
 * by malloc and give it back without its size. What is larger than the largest class comes from the
 * allocator directly. One thread. */
#ifndef CAROM_BASE_BINS_H
#define CAROM_BASE_BINS_H

#include "base/pool.h"

#define CAROM_BIN_COUNT 17

struct carom_bins {
    struct carom_pool pools[CAROM_BIN_COUNT];
};

/* Each pool's floor is 0: what nobody uses goes back by the ticks of the pools. */
void carom_bins_init(struct carom_bins *bins);
/* All must be back. */
void carom_bins_finish(struct carom_bins *bins);

/* As malloc, calloc, realloc and free; aligned to 16 bytes; NULL when out of memory. */
void *carom_bins_take(struct carom_bins *bins, size_t size);
void *carom_bins_take_zeroed(struct carom_bins *bins, size_t count, size_t size);
void *carom_bins_resize(struct carom_bins *bins, void *memory, size_t size);
void carom_bins_give(struct carom_bins *bins, void *memory);

#endif
