/* Pool of objects of one size, for one thread. Bounded by load: a tick every CAROM_POOL_WINDOW
 * milliseconds releases the fewest that were free since the last tick, never going below the floor.
 * So it never frees what the window used, is never in the request path, and after a burst is at its
 * floor within two windows. (Comparing at each recycle, the textbook rule, empties the pool at the
 * end of every batch.)
 *
 * Under AddressSanitizer a free object is poisoned, but for the word that links it, which a leak
 * checker must be able to follow, and for what its owner keeps readable (`kept`). Objects are not
 * zeroed by the pool, and what an object holds beyond its first word survives from give to take.
 *
 * An owner that must know of its objects while they lie in the pool, too, is told when one comes
 * from the allocator and when it goes back there (`made`, `unmade`). */
#ifndef CAROM_BASE_POOL_H
#define CAROM_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/poison.h"

#define CAROM_POOL_WINDOW 2000

struct carom_pool {
    void *free; /* first free object; its first word points to the next */
    size_t object_size;
    size_t kept; /* bytes at the start of an object that stay readable while it is free */
    /* 0, or -CAROM_ENOMEM: there is no such object. Both may be NULL. */
    int (*made)(struct carom_pool *pool, void *object);
    void (*unmade)(struct carom_pool *pool, void *object);
    uint32_t floor;
    uint32_t free_count;
    uint32_t low_water; /* the fewest free since the last tick */
    uint32_t in_use;
    uint32_t peak;                /* most in use ever */
    uint64_t allocated, recycled; /* takes that went to the allocator; takes that did not */
};

/* `object_size` is at least that of a pointer. Nothing is allocated yet. */
void carom_pool_init(struct carom_pool *pool, size_t object_size, uint32_t floor);
/* Allocate up to the floor, so that a load below it never meets the allocator. 0 or -CAROM_ENOMEM
 * (what there is stays). */
int carom_pool_fill(struct carom_pool *pool);
/* All objects must be back (asserted). */
void carom_pool_finish(struct carom_pool *pool);

/* Trim by the window's low-water mark; returns the bytes released. */
size_t carom_pool_tick(struct carom_pool *pool);
/* Whether ticks have work left: more lie free than the floor. */
bool carom_pool_above_floor(const struct carom_pool *pool);

/* An object from the allocator, when none is free; NULL when out of memory. */
void *carom_pool_take_slow(struct carom_pool *pool);

/* Private: mark the inside of a free object as not to be touched, and undo it. */
static inline void carom_pool_poison(const struct carom_pool *pool, void *object)
{
    carom_poison((char *)object + pool->kept, pool->object_size - pool->kept);
}

static inline void carom_pool_unpoison(const struct carom_pool *pool, void *object)
{
    carom_unpoison((char *)object + pool->kept, pool->object_size - pool->kept);
}

/* Take an object; NULL when out of memory. */
static inline void *carom_pool_take(struct carom_pool *pool)
{
    void *object = pool->free;
    if (carom_unlikely(object == NULL))
        return carom_pool_take_slow(pool);
    carom_pool_unpoison(pool, object);
    pool->free = *(void **)object;
    if (--pool->free_count < pool->low_water)
        pool->low_water = pool->free_count;
    if (++pool->in_use > pool->peak)
        pool->peak = pool->in_use;
    pool->recycled++;
    return object;
}

/* Give an object of this pool back. */
static inline void carom_pool_give(struct carom_pool *pool, void *object)
{
    carom_assert(pool->in_use > 0);
    carom_assert(object != pool->free); /* the commonest double give, caught for nothing */
#ifdef CAROM_POISONS
    carom_assert(pool->object_size < pool->kept + sizeof(void *) ||
                 !__asan_address_is_poisoned((char *)object + pool->kept));
#endif
    *(void **)object = pool->free;
    pool->free = object;
    pool->free_count++;
    pool->in_use--;
    carom_pool_poison(pool, object);
}

#endif
