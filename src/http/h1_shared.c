/* HTTP/1.1: makes and frees what those connections of a worker share that speak it. */
#include "base/memory.h"
#include "http/h1.h"

int carom_h1_share(struct carom_connections *connections)
{
    struct carom_pool *pool = carom_memory_take(sizeof *pool);
    if (pool == NULL)
        return -CAROM_ENOMEM;
    carom_pool_init(pool, sizeof(struct carom_h1), connections->options->pool_floor);
    carom_connections_add_pool(connections, pool, false);
    connections->shared[CAROM_SPEAKS_H1] = pool;
    return 0;
}

void carom_h1_unshare(struct carom_connections *connections)
{
    carom_pool_finish(carom_h1_pool(connections));
    carom_memory_give(carom_h1_pool(connections), sizeof(struct carom_pool));
}
