/* What handlers do: each follows its exchange's program, step by step, waits in between, and learns
 * in some way or other when the exchange is over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "simulate/world.h"

static void act(struct exchange *exchange);

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

/* Whether the exchange may have ended for this reason. */
static bool lawful(const struct exchange *exchange, carom_reason reason)
{
    const carom_options *options = &world->options;
    const struct client *client = exchange->client;
    uint64_t now = world_now();
    bool broken = client->reset || carom_peer_failed(client->peer) || world->memory_failed;
    bool h2 = client->session != NULL, unreadable = cannot_be_read(exchange);
    bool calmed = client->calmed || (h2 && client_h2_too_slow(client));
    if (client->mutated)
        return true;
    for (int i = 0; i < client->count && h2; i++)
        broken |= unreadable |= client->exchanges[i]->unreadable;
    for (int i = 0; i < exchange->index && !h2; i++)
        broken |= exchange_ends_connection(client->exchanges[i]);
    switch (reason) {
    case CAROM_REASON_CLIENT_CLOSED:
        return broken || client->finished || calmed;
    case CAROM_REASON_CLIENT_RESET: /* or is taken for dead, because it answers no PING */
        return broken || exchange->resets ||
               (h2 && now >= client->heard_at + options->h2_ping_interval);
    case CAROM_REASON_BAD_REQUEST:
    case CAROM_REASON_OVER_LIMIT:
        return exchange->refused_late || calmed;
    case CAROM_REASON_BODY_TIMEOUT:
        return now > exchange->handed_at + options->content_window && client->taken < exchange->to;
    case CAROM_REASON_WRITE_TIMEOUT:
        if (h2 && client_h2_is_slow(client) && now > exchange->handed_at + options->write_timeout)
            return true;
        return client->window > 0 && now > client->progress_at + options->write_timeout;
    case CAROM_REASON_HANDLER_TIMEOUT:
        return options->handler_timeout != CAROM_OFF && !exchange->begun &&
               now > exchange->handed_at + options->handler_timeout;
    case CAROM_REASON_ABANDONED:
    case CAROM_REASON_CANCELED:
        return exchange->cut;
    case CAROM_REASON_SHUTDOWN:
        return world->draining && now >= world->drain_deadline;
    case CAROM_REASON_NO_MEMORY:
        return world->memory_failed;
    case CAROM_REASON_FILE_FAILED:
        return unreadable;
    default:
        return false;
    }
}

/* The handler learns that the exchange is over. */
static void note_over(struct exchange *exchange)
{
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    if (!exchange->over)
        LOG("handler of %u learns: %s", exchange->id, carom_reason_name(reason));
    exchange->over = true;
    exchange->reason = reason;
    if (!lawful(exchange, reason))
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

static void release(struct exchange *exchange)
{
    LOG("handler of %u releases", exchange->id);
    if (exchange->pausing == PAUSE_OUTSIDE)
        leave_outside(exchange);
    exchange->pausing = PAUSE_NONE;
    exchange->reason = carom_record_outcome(exchange->record).reason;
    if (!exchange->over && exchange->begun && !exchange->whole)
        exchange->cut = true;
    carom_record *record = exchange->record;
    exchange->record = NULL;
    exchange->released = true;
    exchange->client->stirred = true;
    carom_release(record);
}

/* A call's result. False when the handler must not go on as planned. */
static bool went_well(struct exchange *exchange, int result)
{
    if (result == -CAROM_ECANCELED) {
        note_over(exchange);
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

/* ---------------------------------------------------------------- waiting */

static void wait_edge(struct exchange *exchange, carom_edge edge, carom_waker *waker)
{
    exchange->pausing = PAUSE_EDGE;
    if (carom_wait(exchange->record, edge, waker) != 0)
        world_fail("request %u cannot wait", exchange->id);
}

static void pause_for(struct exchange *exchange)
{
    if (random_chance(&world->random, 50)) {
        uint32_t milliseconds = random_size(&world->random, 3000);
        exchange->pausing = PAUSE_TIMER;
        exchange->due = world->clock + milliseconds;
        if (carom_wait_time(exchange->record, milliseconds, &exchange->timer) != 0)
            world_fail("request %u cannot wait for the time", exchange->id);
    } else {
        exchange->pausing = PAUSE_OUTSIDE;
        world->outside[world->outside_count++] = exchange;
    }
}

static void on_edge(struct exchange *exchange, int status)
{
    exchange->pausing = PAUSE_NONE;
    if (status == -CAROM_ECANCELED && exchange->begun && exchange->whole &&
        carom_record_outcome(exchange->record).reason <= CAROM_REASON_COMPLETE)
        status = 0; /* the content was dropped behind a complete answer: reading says so */
    if (status == -CAROM_ECANCELED &&
        carom_record_outcome(exchange->record).reason > CAROM_REASON_COMPLETE)
        note_over(exchange);
    act(exchange);
}

static void on_readable(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, readable);
    if (status == -CAROM_ETOOBIG)
        world_fail("request %u is too big without a limit", exchange->id);
    on_edge(exchange, status);
}

static void on_writable(carom_waker *waker, int status)
{
    on_edge(carom_container(waker, struct exchange, writable), status);
}

static void on_timer(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, timer);
    if (status == 0 && world_now() < exchange->due)
        world_fail("request %u: the timer fires early", exchange->id);
    on_edge(exchange, status);
}

static void on_posted(carom_waker *waker, int status)
{
    (void)status;
    on_edge(carom_container(waker, struct exchange, posted), 0);
}

static void on_ended(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, ended);
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    if (status != 0 || reason == CAROM_REASON_NONE)
        world_fail("request %u is told of an end that is none", exchange->id);
    if (reason == CAROM_REASON_COMPLETE && !exchange->whole)
        world_fail("request %u is complete and was not answered", exchange->id);
}

static void on_cancelled(carom_waker *waker, int status)
{
    struct exchange *exchange = carom_container(waker, struct exchange, cancelled);
    if (status != 0)
        world_fail("request %u: a status of CANCELLED", exchange->id);
    note_over(exchange);
    bool waits = exchange->pausing == PAUSE_OUTSIDE && !exchange->stubborn;
    if (waits || exchange->pausing == PAUSE_NEVER)
        release(exchange);
}

void handler_go_on(struct exchange *exchange)
{
    leave_outside(exchange);
    if (world->driven && random_chance(&world->random, 50)) {
        LOG("handler of %u goes on between turns", exchange->id);
        exchange->pausing = PAUSE_NONE;
        act(exchange);
        return;
    }
    LOG("another thread posts to %u", exchange->id);
    exchange->pausing = PAUSE_POSTED;
    carom_post(exchange->record, &exchange->posted);
}

void handler_give_up(struct exchange *exchange)
{
    exchange->pausing = PAUSE_OUTSIDE;
    world->outside[world->outside_count++] = exchange;
    exchange->at++;
}

/* ---------------------------------------------------------------- steps */

/* Read what there is. True at the end of the content; otherwise the handler waits, or is over. */
static bool read_content(struct exchange *exchange)
{
    const char *pattern = pattern_of(exchange->id, false);
    for (;;) {
        carom_slice bytes;
        int result = carom_request_read(exchange->record, &bytes);
        if (result == 0)
            break;
        if (result == -CAROM_EAGAIN) {
            wait_edge(exchange, CAROM_READABLE, &exchange->readable);
            return false;
        }
        if (result == -CAROM_ECANCELED && exchange->whole &&
            carom_record_outcome(exchange->record).reason <= CAROM_REASON_COMPLETE)
            return true; /* the rest was dropped after the answer */
        if (!went_well(exchange, result)) {
            act(exchange);
            return false;
        }
        if (exchange->client->mutated)
            continue;
        if (exchange->read + bytes.length > CONTENT_MOST ||
            memcmp(bytes.data, pattern + exchange->read, bytes.length) != 0)
            world_fail("request %u: its content is wrong at %u", exchange->id, exchange->read);
        exchange->read += (uint32_t)bytes.length;
    }
    size_t content = exchange->content;
    exchange->read_whole = true;
    if (exchange->client->mutated)
        return true;
    if (exchange->upgraded && exchange->client->session == NULL) /* what was sent before FIN */
        content = exchange->client->sent - exchange->head_end;
    if (exchange->read != content)
        world_fail("request %u: %u bytes of %zu", exchange->id, exchange->read, content);
    if (carom_request_trailer_count(exchange->record) != exchange->trailers)
        world_fail("request %u: its trailers are wrong", exchange->id);
    return true;
}

static void give_back(void *owner)
{
    (void)owner;
    world->given_back++;
}

static carom_content piece_of(const struct exchange *exchange, uint32_t length)
{
    carom_content content = {pattern_of(exchange->id, true) + exchange->written, length, NULL,
                             NULL};
    if (exchange->lent) {
        content.give_back = give_back;
        world->lent++;
    }
    return content;
}

static int respond_file(struct exchange *exchange, const carom_response *response)
{
    const carom_file file = {
        .descriptor = pattern_file(!cannot_be_read(exchange)),
        .offset = (uint64_t)(pattern_of(exchange->id, true) - pattern_of(0, false)),
        .length = exchange->length,
        .give_back = give_back,
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
        response.content = piece_of(exchange, exchange->length);
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
    carom_content content = piece_of(exchange, 1);
    const int results[] = {
        carom_write(exchange->record, &content), carom_end(exchange->record, NULL, 0),
        carom_respond(exchange->record, &response), carom_respond(exchange->record, &no_status)};
    static const int expected[] = {-CAROM_ESTATE, -CAROM_ESTATE, -CAROM_EFIELD, -CAROM_EINVAL};
    for (int i = 0; i < 4; i++) {
        if (results[i] == -CAROM_ECANCELED)
            return went_well(exchange, results[i]);
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
            piece_of(exchange, length < exchange->piece ? length : exchange->piece);
        int result = carom_write(exchange->record, &content);
        if (result == -CAROM_EAGAIN) {
            wait_edge(exchange, CAROM_WRITABLE, &exchange->writable);
            return false;
        }
        if (!went_well(exchange, result)) {
            act(exchange);
            return false;
        }
        exchange->written += (uint32_t)content.length;
        if (random_chance(&world->random, 10)) {
            pause_for(exchange);
            return false;
        }
    }
    return true;
}

static bool begin_answer(struct exchange *exchange, enum step step)
{
    if (!went_well(exchange, give_head(exchange, step)))
        return false;
    exchange->begun = true;
    exchange->whole = step == STEP_RESPOND;
    exchange->upgraded = step == STEP_UPGRADE;
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
    if (!went_well(exchange, carom_end(exchange->record, &trailer, exchange->trailers_out)))
        return false;
    exchange->whole = true;
    return true;
}

/* One step; true when it is done and the next may follow. */
static bool take_step(struct exchange *exchange, enum step step)
{
    switch (step) {
    case STEP_READ:
        return read_content(exchange);
    case STEP_COLLECT: /* wait, then read: the step becomes that */
        exchange->program[exchange->at] = STEP_READ;
        exchange->pausing = PAUSE_EDGE;
        if (carom_request_collect(exchange->record, UINT64_MAX, &exchange->readable) != 0)
            world_fail("request %u cannot collect", exchange->id);
        return false;
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
        return went_well(exchange, give_head(exchange, step));
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
static void act(struct exchange *exchange)
{
    while (exchange->record != NULL) {
        enum step step = (enum step)exchange->program[exchange->at];
        bool answers = is_answer_step(step);
        bool leaves = step == STEP_RELEASE ||
                      (exchange->over && (!exchange->stubborn || (!answers && step != STEP_PAUSE)));
        if (leaves || (answers && !answer_step(exchange, step))) {
            release(exchange);
        } else if (step == STEP_PAUSE) {
            exchange->at++;
            pause_for(exchange);
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

static uint32_t id_of(carom_slice target)
{
    char text[32];
    size_t length = target.length < sizeof text - 1 ? target.length : sizeof text - 1;
    if (length > 0)
        memcpy(text, target.data, length);
    text[length] = '\0';
    return (uint32_t)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
}

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
    (void)data;
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
    exchange->record = record;
    exchange->handed = true;
    exchange->handed_at = world_now();
    exchange->readable.wake = on_readable;
    exchange->writable.wake = on_writable;
    exchange->timer.wake = on_timer;
    exchange->posted.wake = on_posted;
    exchange->ended.wake = on_ended;
    exchange->cancelled.wake = on_cancelled;
    if (carom_wait(record, CAROM_CANCELLED, &exchange->cancelled) != 0 ||
        carom_wait(record, CAROM_ENDED, &exchange->ended) != 0)
        world_fail("request %u cannot wait", id);
    act(exchange);
}

void handler_look(struct exchange *exchange)
{
    if (exchange->record == NULL)
        return;
    uint64_t now = world_now();
    carom_reason reason = carom_record_outcome(exchange->record).reason;
    if (reason > CAROM_REASON_COMPLETE && !exchange->over)
        world_fail("request %u: nobody says that it is over (%s)", exchange->id,
                   carom_reason_name(reason));
    if (exchange->pausing == PAUSE_TIMER && now > exchange->due + 1)
        world_fail("request %u: its timer is late", exchange->id);
    if (world->options.handler_timeout != CAROM_OFF && !exchange->begun && !exchange->over &&
        now > exchange->handed_at + world->options.handler_timeout + 1)
        world_fail("request %u: its handler may take too long", exchange->id);
}
