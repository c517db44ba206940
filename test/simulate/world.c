/* One run: draws the options and the events, moves the clock, and looks after each turn. */
#include "simulate/world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "http/connection.h"
#include "http/h1.h"
#include "service/service.h"

struct world *world;
struct totals totals;

#define PATTERN (1 << 19)

const char *pattern_of(uint32_t id, bool response)
{
    static char *pattern;
    if (pattern == NULL) {
        struct random random = {1};
        pattern = malloc(PATTERN);
        if (pattern == NULL)
            abort();
        for (size_t i = 0; i < PATTERN; i++)
            pattern[i] = (char)random_next(&random);
    }
    return pattern + (id * 977 + (response ? 491 : 0)) % (PATTERN - CONTENT_MOST);
}

int pattern_file(bool readable)
{
    static int fds[2]; /* none that can be read */
    if (fds[true] == 0) {
        char path[64];
        fds[true] = memfd_create("patterns", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fds[true]);
        fds[false] = open(path, O_WRONLY | O_CLOEXEC);
        if (fds[false] < 0 || write(fds[true], pattern_of(0, false), PATTERN) != PATTERN)
            abort();
    }
    return fds[readable];
}

static struct carom_worker *worker_of(void)
{
    return &world->service->workers[0];
}

/* ---------------------------------------------------------------- options */

static void draw_options(carom_options *options)
{
    struct random *random = &world->random;
    *options = (carom_options)CAROM_OPTIONS_INIT;
    options->handler = handler_called;
    options->pool_floor = random_between(random, 1, 8);
    options->max_target = random_chance(random, 50) ? 300 : 8192;
    options->max_header_section = random_chance(random, 50) ? 4096 : 16384;
    options->max_fields = random_between(random, 12, 40);
    options->max_content = random_chance(random, 20) ? 3000 : 1000000;
    options->max_connections = random_chance(random, 20) ? random_between(random, 1, 5) : 1000;
    options->refuse_connections = random_chance(random, 50);
    options->max_in_flight = random_chance(random, 10) ? random_between(random, 2, 8) : 1000;
    options->max_connection_requests =
        random_chance(random, 10) ? random_between(random, 1, 6) : CAROM_OFF;
    options->max_pipeline = random_chance(random, 50) ? random_between(random, 1, 4) : 32;
    options->write_buffer = random_chance(random, 50) ? random_between(random, 100, 5000) : 65536;
    options->drain_content = random_chance(random, 50) ? random_between(random, 1, 2000) : 262144;
    options->header_timeout = random_between(random, 500, 10000);
    options->first_byte_timeout = random_between(random, 500, 15000);
    options->keep_alive = random_between(random, 500, 20000);
    options->keep_alive_grace = random_between(random, 1, 1000);
    options->content_rate = 240;
    options->content_window = random_between(random, 500, 5000);
    options->write_timeout = random_between(random, 500, 10000);
    options->handler_timeout =
        random_chance(random, 30) ? random_between(random, 100, 5000) : CAROM_OFF;
    options->linger_timeout = random_between(random, 100, 2000);
    options->half_close = random_chance(random, 50);
}

/* What only clients of HTTP/2 and TLS meet. */
static void draw_more_options(carom_options *options)
{
    struct random *random = &world->random;
    options->handshake_timeout = random_between(random, 500, 10000);
    options->max_handshakes = random_between(random, 1, 4);
    options->h2_max_streams = random_between(random, 1, 20);
    options->h2_stream_window = random_between(random, 1024, 100000);
    options->h2_stream_window_max = random_between(random, 100000, 1000000);
    options->h2_connection_window = random_between(random, 65535, 200000);
    options->h2_ping_interval = random_between(random, 1000, 60000);
}

static uint32_t random_of(void *source, uint32_t below)
{
    return random_below(source, below);
}

static void draw_whims(void)
{
    struct random *random = &world->random;
    struct carom_simulated_whims whims = {.random = random_of, .source = random};
    whims.partial = random_chance(random, 60) ? (uint16_t)random_below(random, 700) : 0;
    whims.no_buffers = random_chance(random, 10) ? 3 : 0;
    whims.no_descriptor = random_chance(random, 15) ? 300 : 0;
    whims.shuffled = random_chance(random, 60) ? 500 : 0;
    carom_simulated_set_whims(world->loop, &whims);
}

/* ---------------------------------------------------------------- looking */

/* After a FIN only what was answered whole, or is refused, still lives. In a tunnel FIN is content.
 */
static void look_at_finished(const struct carom_h1 *h1)
{
    if (h1 == NULL || h1->phase == CAROM_H1_TUNNEL)
        return;
    const struct carom_node *node = h1->exchanges.next;
    for (; node != &h1->exchanges; node = node->next) {
        const carom_record *record = carom_container(node, carom_record, link);
        if (record->response < CAROM_RESPONSE_WHOLE && record->refused == 0)
            world_fail("a request goes on after the client's FIN");
    }
}

/* A deadline that has passed was seen to, and one is set where one must be. */
static void look_at_connections(void)
{
    const struct carom_node *open = &worker_of()->connections.open;
    uint64_t now = world_now();
    for (const struct carom_node *node = open->next; node != open; node = node->next) {
        const struct carom_connection *connection =
            carom_container(node, struct carom_connection, core.link);
        if (connection->core.read_deadline <= now || connection->core.write_deadline <= now)
            world_fail("a deadline of a connection has passed");
        bool speaks_h1 = connection->core.speaks == CAROM_SPEAKS_H1;
        const struct carom_h1 *h1 = speaks_h1 ? carom_h1_of(connection) : NULL;
        if (h1 != NULL && h1->in_flight > world->options.max_pipeline)
            world_fail("a pipeline of %u requests", h1->in_flight);
        if (connection->core.peer_done && !world->options.half_close)
            look_at_finished(h1);
        bool pending = connection->core.read_deadline != CAROM_NO_TIME ||
                       connection->core.write_deadline != CAROM_NO_TIME;
        if (pending && !carom_timer_armed(&connection->core.timer))
            world_fail("a deadline without a timer");
        bool only_tls = connection->stream.tls != NULL && connection->stream.out.length == 0;
        if (carom_stream_stalled(&connection->stream) && !only_tls &&
            connection->core.state == CAROM_CONNECTION_OPEN &&
            connection->core.write_deadline == CAROM_NO_TIME)
            world_fail("a stalled connection without a deadline");
    }
}

/* It has work for another turn. */
static bool engine_is_busy(void)
{
    return carom_worker_busy(worker_of()) || (world->on_ring && vm_busy());
}

static void look(void)
{
    struct carom_worker *worker = worker_of();
    world->turns++;
    if (worker->connections.records.refused > 0)
        world->overload_seen = 1;
    if (world->on_ring)
        vm_look();
    for (int i = 0; i < world->client_count; i++)
        client_look(&world->clients[i]);
    if (engine_is_busy())
        return;
    for (uint32_t i = 0; i < world->exchange_count; i++)
        handler_look(&world->exchanges[i]);
    for (int i = 0; i < world->client_count; i++)
        if (!world->clients[i].concluded)
            times_look_at_client(&world->clients[i]);
    look_at_connections();
    windows_look();
}

/* ---------------------------------------------------------------- events */

static void advance(uint64_t milliseconds)
{
    uint64_t next = carom_wheel_next(&worker_of()->connections.records.wheel);
    world->clock += milliseconds;
    if (world->clock > next && world->clock - next > world->latest)
        world->latest = world->clock - next;
    carom_simulated_advance(world->loop, milliseconds);
}

/* Nothing else happens: let time pass, up to the next time-out or near it. */
static bool skip_time(void)
{
    uint64_t next = carom_wheel_next(&worker_of()->connections.records.wheel);
    if (next == UINT64_MAX)
        return false;
    uint64_t left = next > world->clock ? next - world->clock : 0;
    uint32_t kind = random_below(&world->random, 4);
    advance(kind == 0 && left > 1 ? left - 1
            : kind == 1           ? left + random_below(&world->random, 500)
                                  : left);
    LOG("%llu ms pass", (unsigned long long)left);
    return true;
}

static void shut_down(uint32_t deadline)
{
    LOG("shutdown within %u ms", deadline);
    uint64_t end = deadline == CAROM_OFF ? UINT64_MAX : world->clock + deadline;
    if (!world->draining || end < world->drain_deadline)
        world->drain_deadline = end;
    world->draining = true;
    carom_shutdown(world->service, deadline);
}

static void toggle_memory(void)
{
    world->memory_failing = !world->memory_failing;
    LOG("memory %s", world->memory_failing ? "fails" : "is there again");
    world->memory_failed = true;
    carom_memory_fail_after(world->memory_failing ? random_below(&world->random, 20) : UINT64_MAX);
}

/* What nobody else would end. */
static bool poke(void)
{
    for (uint32_t i = 0; i < world->exchange_count; i++)
        if (world->exchanges[i].pausing == PAUSE_NEVER) {
            handler_give_up(&world->exchanges[i]);
            return true;
        }
    for (int i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        bool odd = client->manner != POLITE || client->closing || client->refused || client->mute ||
                   !carom_peer_accepted(client->peer) || client->count == client->answered;
        bool upgraded = client->count > 0 && client->exchanges[client->count - 1]->upgraded;
        if (!client->concluded && !client->reset && (odd || upgraded)) {
            client_give_up(client);
            return true;
        }
    }
    return false;
}

static bool all_concluded(void)
{
    for (int i = 0; i < world->client_count; i++)
        if (!world->clients[i].concluded && carom_peer_accepted(world->clients[i].peer))
            return false;
    return true;
}

static bool some_client_acts(void)
{
    if (world->client_count == 0)
        return false;
    int first = (int)random_below(&world->random, (uint32_t)world->client_count);
    for (int i = 0; i < world->client_count; i++)
        if (client_act(&world->clients[(first + i) % world->client_count]))
            return true;
    return false;
}

/* Everything is quiet. */
static void quiet(void)
{
    if (world->memory_failing) {
        toggle_memory();
        return;
    }
    if (!world->ending && world->client_count < world->clients_most) {
        client_connect();
        return;
    }
    innocent_look();
    /* A connection of HTTP/2 looks at its streams in every second: time never stands still. */
    if (world->mixed && random_chance(&world->random, 5) && poke())
        return;
    if (skip_time() || (world->on_ring && vm_act(true)) || poke())
        return;
    for (int i = 0; i < world->client_count; i++) {
        const struct client *client = &world->clients[i];
        if (!client->concluded)
            LOG("client %d waits: manner %u, %zu of %zu sent, %zu taken, %d of %d answered%s%s", i,
                client->manner, client->sent, client->out_used, client->taken, client->answered,
                client->count, client->reset ? ", reset" : "", client->finished ? ", FIN" : "");
    }
    if (!all_concluded() && !world->draining)
        world_fail("nobody does anything any more");
    shut_down(random_chance(&world->random, 50) ? 0 : random_below(&world->random, 2000));
}

static void step(void)
{
    struct random *random = &world->random;
    if (++world->steps > world->steps_most)
        world_fail("it does not end");
    if (world->on_ring && !world->secure)
        innocent_acts();
    if (world->on_ring && random_chance(random, 40) && vm_act(false))
        return;
    uint32_t kind = random_below(random, 1000);
    if (kind < 100 && world->client_count < world->clients_most)
        client_connect();
    else if (kind < 250 && world->outside_count > 0)
        handler_go_on(world->outside[random_below(random, (uint32_t)world->outside_count)]);
    else if (kind < 260)
        advance(random_size(random, 200));
    else if (kind == 999 && world->may_drain && random_chance(random, 30))
        shut_down(random_chance(random, 30) ? CAROM_OFF : random_size(random, 5000));
    else if (kind == 998 && (world->memory_failing || (world->seed % 8 == 0 && world->may_drain)))
        toggle_memory();
    else if (!some_client_acts()) {
        if (world->on_ring && vm_act(false))
            return;
        if (world->outside_count > 0)
            handler_go_on(world->outside[random_below(random, (uint32_t)world->outside_count)]);
        else if (!carom_simulated_busy(world->loop) && !engine_is_busy())
            quiet();
    }
}

/* ---------------------------------------------------------------- the run */

/* While carom_run waits: the turn before has ended. */
static void meanwhile(void *data)
{
    (void)data;
    look();
    step();
}

static void drive(void)
{
    int alive = 1;
    if (!world->driven) {
        carom_simulated_set_idle(world->loop, meanwhile, NULL);
        if (carom_run(world->service) != 0)
            world_fail("carom_run fails");
        return;
    }
    if (carom_service_descriptor(world->service) < 0)
        world_fail("no descriptor");
    while (alive == 1) {
        step();
        if (carom_simulated_readable(world->loop) && random_chance(&world->random, 70)) {
            alive = carom_service_turn(world->service);
            look();
        }
    }
}

/* All is over: nothing may be left. */
static void look_at_the_end(void)
{
    struct carom_worker *worker = worker_of();
    struct carom_records *records = &worker->connections.records;
    carom_stats stats = CAROM_STATS_INIT;
    carom_service_stats(world->service, &stats);
    uint64_t ended = 0;
    for (int reason = 0; reason < CAROM_REASON_COUNT; reason++) {
        ended += stats.ended[reason];
        totals.ended[reason] += stats.ended[reason];
    }
    if (stats.records_in_flight != 0 || stats.connections_open != 0)
        world_fail("drained with %llu records and %llu connections",
                   (unsigned long long)stats.records_in_flight,
                   (unsigned long long)stats.connections_open);
    if (ended != stats.records_recycled || stats.ended[CAROM_REASON_NONE] != 0)
        world_fail("%llu records were recycled and %llu ended",
                   (unsigned long long)stats.records_recycled, (unsigned long long)ended);
    const struct carom_pool *pool;
    for (uint32_t i = 0; (pool = carom_worker_pool(worker, i)) != NULL; i++)
        if (pool != &records->pages.pool && pool->in_use != 0)
            world_fail("%u objects of pool %u are left", pool->in_use, i);
    uint32_t arenas = (worker->incoming.page != NULL) + (records->outgoing.page != NULL) +
                      (worker->connections.streams.plain.page != NULL);
    if (records->pages.pool.in_use != arenas)
        world_fail("%u pages are held, not %u", records->pages.pool.in_use, arenas);
    int timers = carom_timer_armed(&worker->trim) + carom_timer_armed(&worker->drain_end);
    if ((int)records->wheel.armed > timers)
        world_fail("a timer is left");
    watching_look_at_the_end();
    if (world->lent != world->given_back)
        world_fail("%u pieces were lent and %u given back", world->lent, world->given_back);
    for (uint32_t i = 0; i < world->exchange_count; i++) {
        const struct exchange *exchange = &world->exchanges[i];
        bool unknown = world->on_ring && exchange->slot < 0; /* it was over before it had a slot */
        if (exchange->handed && !exchange->released && !unknown)
            world_fail("request %u is still held", exchange->id);
    }
}

void world_run(uint64_t seed)
{
    static struct world it;
    static struct exchange exchanges[EXCHANGES];
    world = &it;
    for (int i = 0; i < CLIENTS; i++) {
        free(it.clients[i].out);
        line_close(&it.clients[i]);
        client_h2_close(&it.clients[i]);
    }
    it = (struct world){.seed = seed, .random = {seed}, .clock = 1000, .steps_most = 300000};
    it.exchanges = exchanges;
    it.mixed = seed % 8 == 4 || seed % 8 == 5 || seed % 8 == 7;
    it.secure = seed % 8 >= 6;
    it.tls_random.state = seed;
    if (it.secure)
        line_prepare();
    uint64_t held = carom_memory_held();
    draw_options(&it.options);
    if (it.mixed || it.secure)
        draw_more_options(&it.options);
    it.on_ring = it.seed / 8 % 6 == 3;
    if (it.on_ring) {
        it.options.handler = handler_called;
        it.options.record_state = sizeof(void *);
    }
    it.driven = random_chance(&it.random, 50);
    it.may_drain = random_chance(&it.random, 25);
    it.clients_most = (int)random_between(&it.random, 1, CLIENTS);
    if (carom_service_create_on(&it.service, &it.options, carom_loop_simulated_create) != 0 ||
        (it.secure ? line_listen() : carom_service_listen(it.service, "127.0.0.1:0")) != 0)
        world_fail("no service");
    innocent_begin();
    if (it.on_ring)
        vm_begin();
    it.loop = it.service->workers[0].loop;
    draw_whims();
    drive();
    carom_memory_fail_after(UINT64_MAX);
    if (it.on_ring) {
        vm_look();
        vm_end();
    }
    look_at_the_end();
    if (carom_service_destroy(it.service) != 0 || carom_memory_held() != held)
        world_fail("memory is left");
    totals.runs++;
    totals.exchanges += it.exchange_count;
    totals.answers += it.answered;
    totals.turns += it.turns;
}
