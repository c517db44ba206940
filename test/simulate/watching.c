/* Descriptors of handlers, as a backend's socket would be one: each is watched for its record or
 * for the worker, and becomes ready when the seed says so. Checked: it fires in the turn in which
 * it is ready, and in each until it is not; for what it is watched for, and once where that was
 * asked; it is told of the end of its exchange, and nothing more behind that or behind the release.
 */
#include "base/list.h"
#include "record/record.h"
#include "service/service.h"
#include "simulate/world.h"

static const unsigned both = CAROM_WATCH_READABLE | CAROM_WATCH_WRITABLE;

static void on_ready(carom_io *io, int events);

static int watch(struct exchange *exchange)
{
    int descriptor = CAROM_SIMULATED_WATCHED_FD + (int)exchange->watch.index;
    unsigned events = exchange->watch.events | (exchange->watch.once ? CAROM_WATCH_ONCE : 0);
    return exchange->watch.of_record
               ? carom_watch(exchange->record, &exchange->io, descriptor, events)
               : carom_watch_worker(carom_record_worker(exchange->record), &exchange->io,
                                    descriptor, events);
}

bool watching_begin(struct exchange *exchange)
{
    unsigned index = 0;
    while (index < CAROM_SIMULATED_WATCHED && world->watched[index])
        index++;
    if (index == CAROM_SIMULATED_WATCHED)
        return false;
    world->watched[index] = true;
    exchange->io = (carom_io){.ready = on_ready};
    exchange->watch = (struct watch){
        .on = true,
        .index = index,
        .events = 1 + random_below(&world->random, 3),
        .once = random_chance(&world->random, 30),
        .of_record = random_chance(&world->random, 70),
    };
    LOG("handler of %u watches descriptor %u", exchange->id, index);
    if (watch(exchange) != 0)
        world_fail("request %u cannot watch", exchange->id);
    return true;
}

static void set_ready(struct exchange *exchange, unsigned events)
{
    exchange->watch.ready = events;
    carom_simulated_set_ready(world->loop, exchange->watch.index, events);
}

void watching_make_ready(struct exchange *exchange)
{
    LOG("descriptor %u is ready", exchange->watch.index);
    set_ready(exchange, exchange->watch.events | (1 + random_below(&world->random, 3)));
}

/* The engine has let go of it. */
static void ends(struct exchange *exchange)
{
    set_ready(exchange, 0);
    exchange->watch.on = false;
    world->watched[exchange->watch.index] = false;
}

void watching_released(struct exchange *exchange)
{
    if (!exchange->watch.on)
        return;
    if (!exchange->watch.of_record || random_chance(&world->random, 50))
        carom_unwatch(&exchange->io);
    ends(exchange);
}

static void is_cancelled(struct exchange *exchange)
{
    if (!exchange->watch.of_record ||
        carom_record_outcome(exchange->record).reason <= CAROM_REASON_COMPLETE)
        world_fail("request %u: its watch is cancelled, and it goes on", exchange->id);
    bool was_ready = exchange->watch.ready != 0;
    ends(exchange);
    if (was_ready)
        waiting_is_over(exchange, -CAROM_ECANCELED);
    else
        handler_note_over(exchange);
}

static void on_ready(carom_io *io, int events)
{
    struct exchange *exchange = carom_container(io, struct exchange, io);
    struct watch *state = &exchange->watch;
    if (!state->on)
        world_fail("request %u: what is not watched is ready", exchange->id);
    state->fired = true;
    if (events == -CAROM_ECANCELED) {
        is_cancelled(exchange);
        return;
    }
    if (events != (int)(state->ready & state->events))
        world_fail("request %u: ready for %d, not %u of %u", exchange->id, events, state->ready,
                   state->events);
    if (!state->once && random_chance(&world->random, 40)) { /* once more, and for other events */
        state->events = random_chance(&world->random, 50) ? both : state->ready;
        state->once = random_chance(&world->random, 30);
        if (watch(exchange) != 0)
            world_fail("request %u cannot change what it watches for", exchange->id);
        return;
    }
    if (!state->once)
        carom_unwatch(&exchange->io);
    ends(exchange);
    waiting_is_over(exchange, 0);
}

void watching_look(struct exchange *exchange)
{
    struct watch *state = &exchange->watch;
    if (!state->on)
        return;
    if (state->of_record && carom_record_outcome(exchange->record).reason > CAROM_REASON_COMPLETE)
        world_fail("request %u: it is over, and its watch is not told", exchange->id);
    if ((state->ready & state->events) != 0 && !state->fired)
        world_fail("request %u: descriptor %u is ready, and nobody is told", exchange->id,
                   state->index);
    state->fired = false;
}

void watching_look_at_the_end(void)
{
    for (unsigned i = 0; i < CAROM_SIMULATED_WATCHED; i++)
        if (carom_simulated_watched(world->loop, i) != 0 || world->watched[i])
            world_fail("descriptor %u is still watched", i);
}
