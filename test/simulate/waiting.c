/* Checks wakers: each fires once, while it waits, when its edge is there; and none whose edge is
 * there goes on waiting. */
#include "base/assert.h"
#include "base/list.h"
#include "record/record.h"
#include "simulate/world.h"

/* Besides the edges. */
enum { SLOT_TIMER = CAROM_EDGE_COUNT, SLOT_POSTED, SLOT_COUNT };

static const char *const names[SLOT_COUNT] = {
    [CAROM_READABLE] = "READABLE",   [CAROM_WRITABLE] = "WRITABLE", [CAROM_ENDED] = "ENDED",
    [CAROM_CANCELLED] = "CANCELLED", [CAROM_DRAINING] = "DRAINING", [SLOT_TIMER] = "the time",
    [SLOT_POSTED] = "the post",
};

static bool waits(const struct exchange *exchange, unsigned slot)
{
    return exchange->armed & 1u << slot;
}

static void arm(struct exchange *exchange, unsigned slot)
{
    carom_assert(!waits(exchange, slot));
    exchange->armed |= (uint8_t)(1u << slot);
}

static void disarm(struct exchange *exchange, unsigned slot)
{
    exchange->armed &= (uint8_t) ~(1u << slot);
}

/* ---------------------------------------------------------------- to wait */

static carom_waker *waker_of(struct exchange *exchange, unsigned slot)
{
    return slot == CAROM_READABLE   ? &exchange->readable
           : slot == CAROM_WRITABLE ? &exchange->writable
                                    : &exchange->timer;
}

static void wait_time(struct exchange *exchange, uint32_t milliseconds)
{
    arm(exchange, SLOT_TIMER);
    exchange->due = world->clock + milliseconds;
    if (carom_wait_time(exchange->record, milliseconds, &exchange->timer) != 0)
        world_fail("request %u cannot wait for the time", exchange->id);
}

void waiting_begin(struct exchange *exchange, carom_edge edge, bool collects)
{
    carom_waker *waker = waker_of(exchange, edge);
    exchange->pausing = PAUSE_EDGE;
    exchange->collects = collects;
    exchange->collected |= collects;
    arm(exchange, edge);
    int result = collects ? carom_request_collect(exchange->record, UINT64_MAX, waker)
                          : carom_wait(exchange->record, edge, waker);
    if (result != 0)
        world_fail("request %u cannot wait", exchange->id);
    if (collects)
        times_wants(exchange);
    if (random_chance(&world->random, 10)) /* whatever comes first */
        wait_time(exchange, random_size(&world->random, 2000));
}

void waiting_pause(struct exchange *exchange)
{
    if (random_chance(&world->random, 50)) {
        exchange->pausing = PAUSE_TIMER;
        wait_time(exchange, random_size(&world->random, 3000));
    } else {
        exchange->pausing = PAUSE_OUTSIDE;
        world->outside[world->outside_count++] = exchange;
        if (exchange->id % 3 == 0)
            watching_begin(exchange);
    }
}

bool waiting_for_end(struct exchange *exchange)
{
    if (!waits(exchange, CAROM_ENDED))
        return false;
    exchange->pausing = PAUSE_END;
    return true;
}

void waiting_post(struct exchange *exchange)
{
    arm(exchange, SLOT_POSTED);
    exchange->pausing = PAUSE_POSTED;
    carom_post(exchange->record, &exchange->posted);
}

/* ---------------------------------------------------------------- to be woken */

static void fires(struct exchange *exchange, unsigned slot)
{
    if (!waits(exchange, slot))
        world_fail("request %u: the waker of %s fires, and nobody waits", exchange->id,
                   names[slot]);
    disarm(exchange, slot);
}

/* What was waited for besides is waited for no longer. */
static void leave_others(struct exchange *exchange)
{
    static const unsigned slots[] = {CAROM_READABLE, CAROM_WRITABLE, SLOT_TIMER};
    for (unsigned i = 0; i < sizeof slots / sizeof *slots; i++)
        if (waits(exchange, slots[i])) {
            carom_unwait(exchange->record, waker_of(exchange, slots[i]));
            disarm(exchange, slots[i]);
            if (slots[i] == CAROM_READABLE &&
                carom_record_outcome(exchange->record).reason <= CAROM_REASON_COMPLETE)
                times_rests(exchange);
        }
}

void waiting_is_over(struct exchange *exchange, int status)
{
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    exchange->pausing = PAUSE_NONE;
    leave_others(exchange);
    if (status == -CAROM_ECANCELED && reason > CAROM_REASON_COMPLETE)
        handler_note_over(exchange);
    else if (status == -CAROM_ECANCELED && exchange->whole)
        exchange->wanting.since = 0; /* its content is dropped */
    else if (status != 0)
        world_fail("request %u waits, and is told %s", exchange->id, carom_error_name(status));
    handler_act(exchange); /* behind a whole answer its content is dropped, and reading says so */
}

static void on_readable(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, readable);
    fires(exchange, CAROM_READABLE);
    if (status == 0)
        times_rests(exchange);
    exchange->readable_now = status == 0;
    waiting_is_over(exchange, status);
}

static void on_writable(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, writable);
    fires(exchange, CAROM_WRITABLE);
    exchange->writable_now = status == 0;
    waiting_is_over(exchange, status);
}

static void on_timer(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, timer);
    fires(exchange, SLOT_TIMER);
    if (status == 0 && world_now() < exchange->due)
        world_fail("request %u: the timer fires early", exchange->id);
    waiting_is_over(exchange, status);
}

static void on_posted(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, posted);
    fires(exchange, SLOT_POSTED);
    waiting_is_over(exchange, status);
}

static void on_ended(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, ended);
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    fires(exchange, CAROM_ENDED);
    if (status != 0 || reason == CAROM_REASON_NONE)
        world_fail("request %u is told of an end that is none", exchange->id);
    if (reason > CAROM_REASON_COMPLETE)
        handler_note_over(exchange);
    else if (!exchange->whole)
        world_fail("request %u is complete and was not answered", exchange->id);
    else
        disarm(exchange, CAROM_CANCELLED); /* it does not fire any more */
    if (exchange->pausing != PAUSE_END)
        return;
    exchange->pausing = PAUSE_NONE;
    handler_act(exchange);
}

static void on_cancelled(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, cancelled);
    fires(exchange, CAROM_CANCELLED);
    if (status != 0)
        world_fail("request %u: a status of CANCELLED", exchange->id);
    handler_note_over(exchange);
    bool outside = exchange->pausing == PAUSE_OUTSIDE && !exchange->stubborn;
    if (outside || exchange->pausing == PAUSE_NEVER)
        handler_release(exchange);
}

static void on_draining(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, draining);
    bool over = carom_record_outcome(exchange->record).reason != CAROM_REASON_NONE;
    fires(exchange, CAROM_DRAINING);
    if (status == 0 ? !world->draining || !carom_record_draining(exchange->record) : !over)
        world_fail("request %u is told of a drain that is none", exchange->id);
}

void waiting_called(struct exchange *exchange)
{
    exchange->readable.wake = on_readable;
    exchange->writable.wake = on_writable;
    exchange->timer.wake = on_timer;
    exchange->posted.wake = on_posted;
    exchange->ended.wake = on_ended;
    exchange->cancelled.wake = on_cancelled;
    exchange->draining.wake = on_draining;
    arm(exchange, CAROM_DRAINING);
    arm(exchange, CAROM_CANCELLED);
    arm(exchange, CAROM_ENDED);
    if (carom_wait(exchange->record, CAROM_CANCELLED, &exchange->cancelled) != 0 ||
        carom_wait(exchange->record, CAROM_ENDED, &exchange->ended) != 0 ||
        carom_wait(exchange->record, CAROM_DRAINING, &exchange->draining) != 0)
        world_fail("request %u cannot wait", exchange->id);
}

void waiting_released(struct exchange *exchange)
{
    exchange->armed = 0; /* what fires from now on, fires for nobody */
}

/* ---------------------------------------------------------------- after a turn */

/* All that the client has sent of the request has been taken in, or it has seen all that was
 * written. */
static bool has_come(const struct exchange *exchange, unsigned slot)
{
    const struct client *client = exchange->client;
    if (slot == CAROM_READABLE)
        return client->taken >= exchange->to && exchange->to > exchange->head_end &&
               !exchange->upgraded && !client->mutated && client->line == NULL;
    return client->session != NULL && exchange->seen == exchange->written && exchange->seen > 0;
}

void waiting_look(const struct exchange *exchange)
{
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    bool over = reason > CAROM_REASON_COMPLETE, now[SLOT_COUNT] = {false};
    bool buffered = !exchange->collects && carom_request_buffered(exchange->record) > 0;
    now[CAROM_ENDED] = reason != CAROM_REASON_NONE;
    now[CAROM_CANCELLED] = over;
    now[CAROM_DRAINING] = reason != CAROM_REASON_NONE || world->draining;
    now[CAROM_READABLE] = over || buffered || has_come(exchange, CAROM_READABLE);
    now[CAROM_WRITABLE] = reason != CAROM_REASON_NONE ||
                          carom_record_unsent(exchange->record) == 0 ||
                          has_come(exchange, CAROM_WRITABLE);
    now[SLOT_TIMER] = over || world_now() > exchange->due + 1;
    for (unsigned slot = 0; slot < SLOT_POSTED; slot++)
        if (now[slot] && waits(exchange, slot))
            world_fail("request %u waits for %s, which is there", exchange->id, names[slot]);
}
