/* What handlers do: each follows its exchange's program, step by step, waits in between, and learns
 * in some way or other when the exchange is over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carom_ring.h"
#include "simulate/world.h"

static carom_slice text_slice(const char *text)
{
    return (carom_slice){text, strlen(text)};
}

/* Some whole answers come from a file, and some of those files cannot be read. */
static bool comes_from_file(const struct exchange *exchange)
{
    return exchange->lent && exchange->id % 2 == 0;
}

static bool cannot_be_read(const struct exchange *exchange)
{
    return comes_from_file(exchange) && exchange->id % 64 == 2;
}

/* ---------------------------------------------------------------- the end */

/* The handler learns that the exchange is over. */
void handler_note_over(struct exchange *exchange)
{
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    if (!exchange->over)
        LOG("handler of %u learns: %s", exchange->id, carom_reason_name(reason));
    exchange->over = true;
    exchange->reason = reason;
    if (!times_lawful(exchange, reason))
        world_fail("request %u ended: %s", exchange->id, carom_reason_name(reason));
}

static void leave_outside(struct exchange *exchange)
{
    for (int i = 0; i < world->outside_count; i++)
        if (world->outside[i] == exchange) {
            world->outside[i] = world->outside[--world->outside_count];
            return;
        }
}

static uint32_t id_of(carom_slice target)
{
    char text[32];
    size_t length = target.length < sizeof text - 1 ? target.length : sizeof text - 1;
    if (length > 0)
        memcpy(text, target.data, length);
    text[length] = '\0';
    return (uint32_t)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
}

/* What it was given is as it was: the head, and the piece of content. */
static void check_hands(const struct exchange *exchange)
{
    const carom_record *record = exchange->record;
    content_check(exchange);
    if (!exchange->client->mutated && (id_of(carom_request_field(record, "x-id")) != exchange->id ||
                                       id_of(carom_request_target(record)) != exchange->id))
        world_fail("request %u: its head is another now", exchange->id);
}

void handler_release(struct exchange *exchange)
{
    LOG("handler of %u releases", exchange->id);
    if (exchange->pausing == PAUSE_OUTSIDE)
        leave_outside(exchange);
    exchange->pausing = PAUSE_NONE;
    exchange->reason = carom_record_outcome(exchange->record).reason;
    check_hands(exchange);
    waiting_released(exchange);
    watching_released(exchange);
    if (!exchange->over && exchange->begun && !exchange->whole)
        exchange->cut = true;
    carom_record *record = exchange->record;
    exchange->record = NULL;
    exchange->released = true;
    exchange->client->stirred = true;
    carom_release(record);
}

/* A call's result. False when the handler must not go on as planned. */
bool handler_went_well(struct exchange *exchange, int result)
{
    if (result == -CAROM_ECANCELED) {
        handler_note_over(exchange);
        return false;
    }
    if (result == -CAROM_ENOMEM && world->memory_failed) {
        exchange->cut = true;
        return false;
    }
    if (result < 0)
        world_fail("request %u: a call says %s", exchange->id, carom_error_name(result));
    return true;
}

void handler_go_on(struct exchange *exchange)
{
    leave_outside(exchange);
    if (exchange->watch.on) {
        exchange->pausing = PAUSE_WATCHED;
        watching_make_ready(exchange);
        return;
    }
    if (world->driven && random_chance(&world->random, 50)) {
        LOG("handler of %u goes on between turns", exchange->id);
        exchange->pausing = PAUSE_NONE;
        handler_act(exchange);
        return;
    }
    LOG("another thread posts to %u", exchange->id);
    waiting_post(exchange);
}

void handler_give_up(struct exchange *exchange)
{
    exchange->pausing = PAUSE_OUTSIDE;
    exchange->at++;
    if (!world->on_ring)
        world->outside[world->outside_count++] = exchange;
}

/* ---------------------------------------------------------------- steps */

static int respond_file(struct exchange *exchange, const carom_response *response)
{
    const carom_file file = {
        .descriptor = pattern_file(!cannot_be_read(exchange)),
        .offset = (uint64_t)(pattern_of(exchange->id, true) - pattern_of(0, false)),
        .length = exchange->length,
        .give_back = content_given_back,
    };
    world->lent++;
    int result = carom_respond_file(exchange->record, response, &file);
    exchange->unreadable |= result == 0 && cannot_be_read(exchange);
    exchange->cut |= exchange->unreadable;
    return result;
}

static int give_head(struct exchange *exchange, enum step step)
{
    char id[16], fill[512];
    snprintf(id, sizeof id, "%u", exchange->id);
    uint32_t fill_length = exchange->fill % sizeof fill;
    memset(fill, 'x', sizeof fill);
    const carom_field fields[] = {
        {CAROM_SLICE("X-Id"), text_slice(id)},
        {CAROM_SLICE("X-Fill"), {fill, fill_length}},
        {text_slice(exchange->says_close ? "Connection" : "X-Last"), CAROM_SLICE("close")},
        {CAROM_SLICE("Upgrade"), CAROM_SLICE("carom")},
    };
    carom_response response = {.status = exchange->status, .fields = fields, .field_count = 3};
    switch (step) {
    case STEP_INFORM:
        response.status = 103;
        response.field_count = 2;
        exchange->informed = true;
        return carom_inform(exchange->record, &response);
    case STEP_RESPOND:
        if (comes_from_file(exchange))
            return respond_file(exchange, &response);
        response.content = content_lend(exchange, exchange->length);
        return carom_respond(exchange->record, &response);
    case STEP_UPGRADE:
        exchange->status = exchange->is_connect ? 200 : 101;
        response.status = exchange->status;
        response.field_count = exchange->is_connect ? 2 : 4;
        exchange->says_close = false;
        return carom_upgrade(exchange->record, &response);
    default:
        response.content_length = exchange->known ? exchange->length : CAROM_LENGTH_UNKNOWN;
        return carom_respond_begin(exchange->record, &response);
    }
}

/* Calls in the wrong order or with the wrong values change nothing. */
static bool make_mistakes(struct exchange *exchange)
{
    const carom_field bad = {CAROM_SLICE("X-Bad"), CAROM_SLICE("a\r\nb")};
    const carom_response response = {.status = 403, .fields = &bad, .field_count = 1};
    const carom_response no_status = {.status = 99};
    carom_content content = content_lend(exchange, 1);
    const int results[] = {
        carom_write(exchange->record, &content), carom_end(exchange->record, NULL, 0),
        carom_respond(exchange->record, &response), carom_respond(exchange->record, &no_status)};
    static const int expected[] = {-CAROM_ESTATE, -CAROM_ESTATE, -CAROM_EFIELD, -CAROM_EINVAL};
    for (int i = 0; i < 4; i++) {
        if (results[i] == -CAROM_ECANCELED)
            return handler_went_well(exchange, results[i]);
        if (results[i] != expected[i])
            world_fail("request %u: mistake %d is answered %d", exchange->id, i, results[i]);
    }
    return true;
}

/* True when all is written; otherwise the handler waits, or is over. */
static bool write_content(struct exchange *exchange)
{
    while (exchange->written < exchange->length) {
        uint32_t length = exchange->length - exchange->written;
        carom_content content =
            content_lend(exchange, length < exchange->piece ? length : exchange->piece);
        int result = carom_write(exchange->record, &content);
        bool promised = exchange->writable_now;
        exchange->writable_now = false;
        if (result == -CAROM_EAGAIN) {
            if (promised)
                world_fail("request %u: WRITABLE, and there is no room", exchange->id);
            waiting_begin(exchange, CAROM_WRITABLE, false);
            return false;
        }
        if (!handler_went_well(exchange, result)) {
            handler_act(exchange);
            return false;
        }
        exchange->written += (uint32_t)content.length;
        times_written(exchange, exchange->written);
        if (random_chance(&world->random, 10)) {
            waiting_pause(exchange);
            return false;
        }
    }
    return true;
}

static bool begin_answer(struct exchange *exchange, enum step step)
{
    if (!handler_went_well(exchange, give_head(exchange, step)))
        return false;
    exchange->begun = true;
    exchange->whole = step == STEP_RESPOND;
    exchange->upgraded = step == STEP_UPGRADE;
    times_written(exchange, exchange->whole ? exchange->length : 0);
    LOG("handler of %u answers %u", exchange->id, exchange->status);
    if (!exchange->twice)
        return true;
    int result = give_head(exchange, STEP_RESPOND);
    if (result != -CAROM_ESTATE && result != -CAROM_ECANCELED)
        world_fail("request %u is answered twice: %d", exchange->id, result);
    return true;
}

static bool end_answer(struct exchange *exchange)
{
    const carom_field trailer = {CAROM_SLICE("X-End"), CAROM_SLICE("yes")};
    if (!handler_went_well(exchange, carom_end(exchange->record, &trailer, exchange->trailers_out)))
        return false;
    exchange->whole = true;
    return true;
}

/* One step; true when it is done and the next may follow. */
static bool take_step(struct exchange *exchange, enum step step)
{
    switch (step) {
    case STEP_READ:
        return content_read(exchange);
    case STEP_COLLECT: /* wait, then read: the step becomes that */
        exchange->program[exchange->at] = STEP_READ;
        waiting_begin(exchange, CAROM_READABLE, true);
        return false;
    case STEP_ROOM: /* wait, and go on behind it */
        exchange->at++;
        waiting_begin(exchange, CAROM_WRITABLE, false);
        return false;
    case STEP_FINISH:
        return !exchange->whole || !waiting_for_end(exchange);
    case STEP_WRITE:
        return write_content(exchange);
    case STEP_CANCEL:
        LOG("handler of %u cancels", exchange->id);
        exchange->cut = true;
        carom_cancel(exchange->record);
        return true;
    default:
        return true;
    }
}

static bool answer_step(struct exchange *exchange, enum step step)
{
    switch (step) {
    case STEP_INFORM:
        return handler_went_well(exchange, give_head(exchange, step));
    case STEP_MISTAKE:
        return make_mistakes(exchange);
    case STEP_END:
        return end_answer(exchange);
    default:
        return begin_answer(exchange, step);
    }
}

static bool is_answer_step(enum step step)
{
    return step == STEP_INFORM || step == STEP_MISTAKE || step == STEP_END ||
           step == STEP_RESPOND || step == STEP_BEGIN || step == STEP_UPGRADE;
}

/* Follow the program until it has to wait, or to its end. */
void handler_act(struct exchange *exchange)
{
    while (exchange->record != NULL) {
        enum step step = (enum step)exchange->program[exchange->at];
        bool answers = is_answer_step(step);
        bool leaves = step == STEP_RELEASE ||
                      (exchange->over && (!exchange->stubborn || (!answers && step != STEP_PAUSE)));
        if (leaves || (answers && !answer_step(exchange, step))) {
            handler_release(exchange);
        } else if (step == STEP_PAUSE) {
            exchange->at++;
            waiting_pause(exchange);
            return;
        } else if (step == STEP_NEVER) {
            exchange->pausing = PAUSE_NEVER;
            return;
        } else if (answers || take_step(exchange, step)) {
            exchange->at++;
        } else {
            return;
        }
    }
}

/* ---------------------------------------------------------------- called, looked at */

/* What a changed byte made of a request: nobody's. */
static bool is_strange(const carom_record *record, uint32_t id)
{
    for (int i = 0; i < world->client_count; i++)
        if (world->clients[i].mutated)
            return id >= world->exchange_count || world->exchanges[id].handed ||
                   id_of(carom_request_field(record, "x-id")) != id;
    return false;
}

void handler_called(carom_record *record, void *data)
{
    const carom_slice target = carom_request_target(record);
    if (world->on_ring && target.length == sizeof INNOCENT_TARGET - 1 &&
        memcmp(target.data, INNOCENT_TARGET, target.length) == 0) {
        carom_ring_handle(record, data);
        return;
    }
    uint32_t id = id_of(carom_request_target(record));
    if (is_strange(record, id)) {
        carom_release(record);
        return;
    }
    if (id >= world->exchange_count)
        world_fail("a request that nobody sent: %u", id);
    struct exchange *exchange = &world->exchanges[id];
    bool mutated = exchange->client->mutated, h2 = exchange->client->session != NULL;
    if (exchange->handed || (exchange->refused && !mutated))
        world_fail("request %u must not be handed over", id);
    carom_slice field = carom_request_field(record, "x-id");
    if (id_of(field) != id || (carom_request_version(record) == 10) != exchange->old)
        world_fail("request %u: its head is wrong", id);
    for (int i = 0; i < exchange->index && !h2; i++) {
        const struct exchange *before = exchange->client->exchanges[i];
        if (before->refused || before->closes || (before->old && !before->keeps))
            world_fail("request %u is served after the last one", id);
    }
    LOG("handler of %u is called", id);
    exchange->handed = true;
    exchange->handed_at = world_now();
    if (world->on_ring) {
        carom_ring_handle(record, data);
        return;
    }
    exchange->record = record;
    waiting_called(exchange);
    handler_act(exchange);
}

void handler_look(struct exchange *exchange)
{
    if (exchange->record == NULL)
        return;
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    if (reason > CAROM_REASON_COMPLETE && !exchange->over)
        world_fail("request %u: nobody says that it is over (%s)", exchange->id,
                   carom_reason_name(reason));
    waiting_look(exchange);
    watching_look(exchange);
    times_look(exchange);
    content_check(exchange);
}
