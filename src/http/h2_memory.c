/* nghttp2's functions for memory, which take it from bins. */
#include "http/h2_memory.h"

static void *mem_take(size_t size, void *bins)
{
    return carom_bins_take(bins, size);
}

static void mem_give(void *memory, void *bins)
{
    carom_bins_give(bins, memory);
}

static void *mem_take_zeroed(size_t count, size_t size, void *bins)
{
    return carom_bins_take_zeroed(bins, count, size);
}

static void *mem_resize(void *memory, size_t size, void *bins)
{
    return carom_bins_resize(bins, memory, size);
}

nghttp2_mem carom_h2_memory(struct carom_bins *bins)
{
    return (nghttp2_mem){bins, mem_take, mem_give, mem_take_zeroed, mem_resize};
}
