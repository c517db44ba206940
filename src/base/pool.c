/* Pool: taking objects from the allocator, and giving back to it those that nobody used for a
 * window. */
#include "base/pool.h"

#include "base/memory.h"
#include "carom.h"

void carom_pool_init(struct carom_pool *pool, size_t object_size, uint32_t floor)
{
    carom_assert(object_size >= sizeof(void *));
    *pool = (struct carom_pool){.object_size = object_size, .kept = sizeof(void *), .floor = floor};
}

/* An object from the allocator that its owner knows of; NULL when out of memory. */
static void *make(struct carom_pool *pool)
{
    void *object = carom_memory_take(pool->object_size);
    if (object == NULL || pool->made == NULL || pool->made(pool, object) == 0)
        return object;
    carom_memory_give(object, pool->object_size);
    return NULL;
}

static void unmake(struct carom_pool *pool, void *object)
{
    if (pool->unmade != NULL)
        pool->unmade(pool, object);
    carom_memory_give(object, pool->object_size);
}

int carom_pool_fill(struct carom_pool *pool)
{
    while (pool->free_count < pool->floor) {
        void *object = make(pool);
        if (object == NULL)
            return -CAROM_ENOMEM;
        *(void **)object = pool->free;
        pool->free = object;
        pool->free_count++;
        carom_pool_poison(pool, object);
    }
    pool->low_water = pool->free_count;
    return 0;
}

/* Hand `count` free objects back to the allocator. */
static void release(struct carom_pool *pool, uint32_t count)
{
    carom_assert(count <= pool->free_count);
    pool->free_count -= count;
    for (; count > 0; count--) {
        void *object = pool->free;
        carom_pool_unpoison(pool, object);
        pool->free = *(void **)object;
        unmake(pool, object);
    }
}

void carom_pool_finish(struct carom_pool *pool)
{
    carom_assert(pool->in_use == 0);
    release(pool, pool->free_count);
    carom_assert(pool->free == NULL);
}

void *carom_pool_take_slow(struct carom_pool *pool)
{
    carom_assert(pool->free_count == 0 &&
                 pool->low_water == 0); /* so the next tick trims nothing */
    void *object = make(pool);
    if (object == NULL)
        return NULL;
    pool->allocated++;
    if (++pool->in_use > pool->peak)
        pool->peak = pool->in_use;
    return object;
}

size_t carom_pool_tick(struct carom_pool *pool)
{
    uint32_t above = pool->free_count > pool->floor ? pool->free_count - pool->floor : 0;
    uint32_t count = pool->low_water < above ? pool->low_water : above;
    release(pool, count);
    pool->low_water = pool->free_count;
    return count * pool->object_size;
}

bool carom_pool_above_floor(const struct carom_pool *pool)
{
    return pool->free_count > pool->floor;
}
