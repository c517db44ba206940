/* A hundred thousand idle connections: what each costs, and that they end. */
#include "unit/http/simulation.h"

#ifdef SANITIZED
#define ALL 5000u
#else
#define ALL 100000u
#endif

static void each_is_one_struct(void **state)
{
    (void)state;
    uint32_t crowd = getenv("CAROM_VALGRIND") != NULL ? 5000 : ALL; /* it is slow */
    carom_options options = simulation_options();
    options.max_connections = crowd;
    begin(&options);
    struct carom_worker *worker = &sim.service->workers[0];
    for (uint32_t i = 0; i < crowd; i++)
        carom_peer_send(connect_peer(), "GET /now HTTP/1.1\r\nHost: a\r\n\r\n", 30);
    turn();
    for (int i = 0; i < 4; i++)
        pass(CAROM_POOL_WINDOW + 1);
    const carom_stats stats = stats_now();
    assert_int_equal(stats.responses, crowd);
    assert_int_equal(worker->connections.pool.in_use, crowd);
    assert_in_range(sizeof(struct carom_connection), 100, 200);
    /* Nothing else is kept for them, and the pools are at their floors again. */
    const struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(worker, i)) != NULL; i++) {
        assert_in_range(pool->free_count, 0, pool->floor);
        if (pool != &worker->connections.pool && pool != &worker->connections.records.pages.pool)
            assert_int_equal(pool->in_use, 0);
    }
    assert_in_range(worker->connections.records.pages.pool.in_use, 0, 2); /* those of the arenas */
    pass(80000); /* keep_alive and its grace */
    assert_int_equal(worker->connections.pool.in_use, 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_one_struct)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
