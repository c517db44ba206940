/* Tests of a worker's pools under a load that swings, by the simulated clock: what a whole window
 * has not used is given back, and nothing that the next wave needs. */
#include "unit/http/h2_raw.h"

#define CONNECTIONS 256

static struct {
    carom_record *records[CONNECTIONS];
    int count;
    struct carom_peer *peers[CONNECTIONS];
} swing;

static void hold(carom_record *record, void *data)
{
    (void)data;
    assert_true(swing.count < CONNECTIONS);
    swing.records[swing.count++] = record;
}

/* So many connections ask at once, and 20 ms later all are answered. */
static void wave(int asking)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    for (int i = 0; i < asking; i++)
        carom_peer_send(swing.peers[i], request, sizeof request - 1);
    turn();
    assert_int_equal(swing.count, asking);
    pass(20);
    while (swing.count > 0) {
        carom_record *record = swing.records[--swing.count];
        assert_int_equal(answer(record, "x"), 0);
        carom_release(record);
    }
    turn();
}

/* Every second wave has all connections in flight, the others some of them. */
static void waves(int count, uint64_t *random)
{
    for (int i = 0; i < count; i++)
        wave(i % 2 == 0 ? CONNECTIONS : (int)random_below(random, CONNECTIONS));
}

/* Objects that the pools have asked the allocator for, since the start. */
static uint64_t allocated(void)
{
    uint64_t sum = 0;
    struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(&sim.service->workers[0], i)) != NULL; i++)
        sum += pool->allocated;
    return sum;
}

static uint64_t pooled(void)
{
    uint64_t sum = 0;
    struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(&sim.service->workers[0], i)) != NULL; i++)
        sum += pool->free_count;
    return sum;
}

static void begin_swing(uint32_t floor)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = hold;
    options.pool_floor = floor;
    begin(&options);
    for (int i = 0; i < CONNECTIONS; i++)
        swing.peers[i] = carom_simulated_connect(sim.loop);
    turn();
}

static void a_load_that_swings_takes_nothing_new(void **state)
{
    (void)state;
    uint64_t random = random_seed("pools");
    begin_swing(1);
    waves(300, &random); /* three windows */
    uint64_t before = allocated();
    waves(1000, &random);
    assert_int_equal(allocated(), before);
    finish();
}

static void what_a_window_has_not_used_is_given_back(void **state)
{
    (void)state;
    begin_swing(1);
    wave(CONNECTIONS);
    uint64_t most = pooled();
    for (int i = 0; i < 300; i++)
        wave(1);
    assert_true(pooled() + 2 * (CONNECTIONS - 2) <= most); /* records, and states of HTTP/1.1 */
    finish();
}

/* No timer runs when there is nothing to give back: an idle worker sleeps for ever. */
static void the_tick_rests_when_all_is_given_back(void **state)
{
    (void)state;
    begin_swing(1);
    const struct carom_worker *worker = &sim.service->workers[0];
    wave(CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++)
        carom_peer_shutdown(swing.peers[i]);
    turn();
    assert_true(carom_timer_armed(&worker->trim));
    for (int windows = 0; windows < 4; windows++)
        pass(CAROM_POOL_WINDOW);
    assert_false(carom_timer_armed(&worker->trim));
    finish();
}

/* Those of HTTP/2, which most workers never need, are looked at as long as they hold anything. */
static void pools_that_are_seldom_used_are_given_back(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.pool_floor = 64; /* the others never have more */
    begin_raw(&options);
    const struct carom_connections *connections = &sim.service->workers[0].connections;
    carom_peer_shutdown(peer);
    turn();
    uint64_t held = 0;
    for (uint32_t i = connections->pools_always; i < connections->pool_count; i++)
        held += connections->pools[i]->free_count;
    assert_true(held > 0);
    for (int windows = 0; windows < 4; windows++)
        pass(CAROM_POOL_WINDOW);
    for (uint32_t i = connections->pools_always; i < connections->pool_count; i++)
        assert_int_equal(connections->pools[i]->free_count, 0);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_load_that_swings_takes_nothing_new),
        cmocka_unit_test(what_a_window_has_not_used_is_given_back),
        cmocka_unit_test(the_tick_rests_when_all_is_given_back),
        cmocka_unit_test(pools_that_are_seldom_used_are_given_back),
    };
    return cmocka_run_group_tests_name("service/pools", all, NULL, NULL);
}
