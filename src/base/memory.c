/* All memory comes from here: from the program's allocator, if it has set one, else from
 * posix_memalign and malloc. What is taken is counted. The counters are statistics and order
 * nothing, so they are relaxed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* posix_memalign, malloc_trim */
#endif
#include "base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "carom.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Objects of some lines start on a line of their own: what two threads or two hot loops use does
 * not share lines by accident. Smaller ones, of which there may be many, would lose up to half of
 * their memory by it, and the threads have parts of the heap for themselves. */
#define CACHE_LINE   64
#define ALIGNED_FROM ((size_t)4 * CACHE_LINE)

static atomic_uint_fast64_t held, taken;
static atomic_uint_fast64_t allowed = UINT64_MAX; /* allocations before one fails; MAX: no end */
static atomic_uint_fast64_t failed;               /* of those that were not allowed */
static atomic_bool fails_once;

/* Use up one of the allowed allocations; false when there is none left. */
static bool allow(void)
{
    uint_fast64_t left = atomic_load_explicit(&allowed, memory_order_relaxed);
    while (carom_unlikely(left != UINT64_MAX)) {
        if (left == 0) {
            atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
            if (atomic_load_explicit(&fails_once, memory_order_relaxed))
                carom_memory_fail_after(UINT64_MAX);
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(&allowed, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return true;
    }
    return true;
}

static void *allocate(void *data, size_t size, size_t alignment)
{
    void *memory = NULL;
    (void)data;
    if (alignment <= _Alignof(max_align_t))
        return malloc(size);
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void release(void *data, void *memory, size_t size)
{
    (void)data;
    (void)size;
    free(memory);
}

static carom_allocator allocator = {allocate, release, NULL};

int carom_set_allocator(const carom_allocator *given)
{
    if (given == NULL || given->allocate == NULL || given->release == NULL)
        return -CAROM_EINVAL;
    if (carom_memory_taken() > 0)
        return -CAROM_ESTATE;
    allocator = *given;
    return 0;
}

void *carom_memory_take(size_t size)
{
    if (!allow())
        return NULL;
    void *memory = allocator.allocate(allocator.data, size > 0 ? size : 1,
                                      size < ALIGNED_FROM ? _Alignof(max_align_t) : CACHE_LINE);
    if (memory == NULL)
        return NULL;
    atomic_fetch_add_explicit(&held, size, memory_order_relaxed);
    atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
    return memory;
}

void *carom_memory_take_zeroed(size_t size)
{
    void *memory = carom_memory_take(size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void carom_memory_give(void *memory, size_t size)
{
    if (memory == NULL)
        return;
    uint_fast64_t before = atomic_fetch_sub_explicit(&held, size, memory_order_relaxed);
    carom_assert(before >= size);
    allocator.release(allocator.data, memory, size > 0 ? size : 1);
}

void carom_memory_return_to_system(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

uint64_t carom_memory_held(void)
{
    return atomic_load_explicit(&held, memory_order_relaxed);
}

uint64_t carom_memory_taken(void)
{
    return atomic_load_explicit(&taken, memory_order_relaxed);
}

void carom_memory_fail_after(uint64_t count)
{
    atomic_store_explicit(&fails_once, false, memory_order_relaxed);
    atomic_store_explicit(&allowed, count, memory_order_relaxed);
}

void carom_memory_fail_once_after(uint64_t count)
{
    atomic_store_explicit(&fails_once, true, memory_order_relaxed);
    atomic_store_explicit(&allowed, count, memory_order_relaxed);
}

uint64_t carom_memory_failed(void)
{
    return atomic_load_explicit(&failed, memory_order_relaxed);
}
