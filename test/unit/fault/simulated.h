/* The scenarios on the simulated network: clients that send their lines, in one thread, by a clock
 * that the test moves. */
#ifndef CAROM_TEST_UNIT_FAULT_SIMULATED_H
#define CAROM_TEST_UNIT_FAULT_SIMULATED_H

#include "http/h2.h"
#include "unit/fault/scenarios.h"
#include "unit/http/simulation.h"

/* What a slow client takes at a time. */
#define SLOW_WINDOW 3000

static void ring_simulated(unsigned bell, bool on)
{
    carom_simulated_set_ready(sim.loop, bell, on ? CAROM_WATCH_READABLE : 0);
}

static void converse_begin(void)
{
    carom_options options = fault_options();
    reset_tasks();
    for (int i = 0; i < BELLS; i++)
        bells.descriptors[i] = CAROM_SIMULATED_WATCHED_FD + i;
    bells.ring = ring_simulated;
    begin(&options);
}

static bool quiet(void)
{
    const struct carom_worker *worker = &sim.service->workers[0];
    return !carom_simulated_busy(sim.loop) && !carom_worker_busy(worker);
}

/* Give back what the pools keep, so that nearly all that is taken in the next turn is allocated.
 * Not so nghttp2's: version 1.52 frees a stream's item twice when the first DATA frame of a
 * response finds no memory for the queue of its stream (nghttp2_submit_data in
 * nghttp2_session_mem_send).
 */
static void empty_pools(void)
{
    struct carom_worker *worker = &sim.service->workers[0];
    const struct carom_bins *bins = &carom_h2_shared_of(&worker->connections)->bins;
    struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(worker, i)) != NULL; i++) {
        if (pool >= bins->pools && pool < bins->pools + CAROM_BIN_COUNT)
            continue;
        pool->floor = 0;
        carom_pool_tick(pool);
        carom_pool_tick(pool);
    }
}

static void one_turn(void)
{
    event();
    empty_pools();
    carom_worker_turn(&sim.service->workers[0], false);
    post_tasks();
}

static void settle(void)
{
    do
        one_turn();
    while (!quiet());
}

/* Let all come that a slow client is waiting for. */
static void take_slowly(struct carom_peer *peer, const bool *stalled)
{
    size_t before, now;
    carom_peer_received(peer, &now);
    do {
        before = now;
        if (*stalled)
            return;
        carom_peer_set_window(peer, SLOW_WINDOW);
        settle();
        carom_peer_received(peer, &now);
    } while (now > before);
}

/* How a client stands; what a fault test does to it meanwhile stands here, too. */
struct client {
    struct carom_peer *peer; /* NULL: no memory to connect */
    bool silent;             /* it says no more: it has left, or stalls */
    bool stalled;
};

static void converse(struct client *client, const struct scenario *scenario)
{
    if (scenario->piece > 0)
        carom_peer_set_piece(client->peer, scenario->piece);
    if (scenario->slow)
        carom_peer_set_window(client->peer, SLOW_WINDOW);
    for (int i = 0; i < SAYS_MAX && scenario->says[i] != NULL && !client->silent; i++) {
        carom_peer_send(client->peer, scenario->says[i], says_length(scenario, i));
        settle();
        if (scenario->slow)
            take_slowly(client->peer, &client->stalled);
    }
    if (scenario->leaves && !client->silent)
        carom_peer_shutdown(client->peer);
    if (scenario->drains)
        carom_shutdown(sim.service, CAROM_OFF);
    settle();
}

static struct verdict judge_client(const struct client *client, const struct scenario *scenario)
{
    size_t length;
    const char *bytes = carom_peer_received(client->peer, &length);
    return judge(scenario, bytes, length);
}

/* A client that comes afterwards is served as if nothing had been. Returns its answers. */
static int serve_another(void)
{
    struct client client = {.peer = connect_peer()};
    converse(&client, &scenarios[0]);
    int whole = judge_client(&client, &scenarios[0]).whole;
    assert_int_equal(whole, answers_of(&scenarios[0]));
    return whole;
}

/* All comes back: records, connections, contents that were lent, memory. */
static carom_stats converse_end(uint64_t held_before)
{
    answer_held();
    settle();
    carom_stats stats = finish();
    assert_null(tasks.first);
    assert_int_equal(tasks.lent, tasks.returned);
    assert_int_equal(carom_memory_held(), held_before);
    return stats;
}

#endif
