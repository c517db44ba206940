/* Cores of connections: their references, their lists in a turn, their deadlines, and the drain. */
#include "http/core.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

static struct carom_core *of_link(struct carom_node *node)
{
    return carom_container(node, struct carom_core, link);
}

static void tell_state_ends(const struct carom_core *core)
{
    const carom_options *options = core->connections->options;
    if (options->on_connection_end != NULL)
        options->on_connection_end(carom_core_state(core), options->worker_data);
}

void carom_core_let_go(struct carom_core *core)
{
    if (carom_unlikely(core->has_state))
        tell_state_ends(core);
    struct carom_connections *connections = core->connections;
    carom_core_carrier(core)->dispose(core);
    connections->count--;
    connections->freed(connections);
}

/* ---------------------------------------------------------------- the lists of the turn */

/* It is in one list at a time, and held by those of the turn, where it is last: who was answered
 * first is sent to first. While one of those is not empty the worker does not sleep, so that it is
 * told of the first time alone. */
static void enlist(struct carom_node *list, struct carom_core *core)
{
    if (core->listed)
        return;
    core->listed = true;
    carom_core_hold(core);
    carom_list_move_last(list, &core->link);
    carom_records_work(&core->connections->records);
}

static void delist(struct carom_core *core)
{
    core->listed = false;
    if (core->state == CAROM_CONNECTION_CLOSED)
        carom_node_remove(&core->link);
    else
        carom_list_move(&core->connections->open, &core->link);
}

void carom_core_touch(struct carom_core *core)
{
    enlist(&core->connections->dirty, core);
}

void carom_core_resume(struct carom_core *core)
{
    core->resumed = true; /* when it is listed as dirty, it moves over after the flush */
    enlist(&core->connections->resumed, core);
}

static void flush(struct carom_core *core)
{
    delist(core);
    if (core->state != CAROM_CONNECTION_CLOSED)
        carom_core_carrier(core)->flush(core);
    if (core->resumed)
        enlist(&core->connections->resumed, core);
    carom_core_drop(core);
}

void carom_core_flush(struct carom_core *core)
{
    if (core->listed &&
        !core->resumed) /* if it is resumed, it may not be in the list of the dirty */
        flush(core);
}

void carom_connections_flush(struct carom_connections *connections)
{
    while (!carom_node_alone(&connections->dirty))
        flush(of_link(connections->dirty.next));
}

void carom_connections_resume(struct carom_connections *connections)
{
    struct carom_node now; /* those that wait again do so until the next turn */
    carom_node_init(&now);
    carom_list_splice(&now, &connections->resumed);
    while (!carom_node_alone(&now)) {
        struct carom_core *core = of_link(now.next);
        delist(core);
        core->resumed = false;
        carom_core_carrier(core)->resume(core);
        carom_core_touch(core);
        carom_core_drop(core);
    }
}

/* ---------------------------------------------------------------- deadlines */

/* The timer is armed lazily: a deadline that moves away leaves it alone, and it looks again. */
static void arm(struct carom_core *core, uint64_t deadline)
{
    struct carom_timer *timer = &core->timer;
    if (deadline != CAROM_NO_TIME && (!carom_timer_armed(timer) || deadline < timer->deadline))
        carom_timer_arm(&core->connections->records.wheel, timer, deadline);
}

static uint64_t deadline_after(const struct carom_core *core, uint32_t milliseconds)
{
    if (milliseconds == CAROM_OFF)
        return CAROM_NO_TIME;
    return carom_records_now(&core->connections->records) + milliseconds + 1;
}

void carom_core_read_within(struct carom_core *core, uint32_t milliseconds)
{
    core->read_deadline = deadline_after(core, milliseconds);
    arm(core, core->read_deadline);
}

void carom_core_write_within(struct carom_core *core, uint32_t milliseconds)
{
    core->write_deadline = deadline_after(core, milliseconds);
    arm(core, core->write_deadline);
}

void carom_core_wait_idle(struct carom_core *core)
{
    const carom_options *options = core->connections->options;
    uint64_t idle = (uint64_t)options->keep_alive + options->keep_alive_grace;
    carom_core_read_within(core, idle < CAROM_OFF ? (uint32_t)idle : CAROM_OFF);
}

static void timer_fires(struct carom_timer *timer)
{
    struct carom_core *core = carom_container(timer, struct carom_core, timer);
    uint64_t now = core->connections->records.now;
    if (core->write_deadline <= now) {
        carom_core_carrier(core)->abort(core, CAROM_REASON_WRITE_TIMEOUT, true);
        return;
    }
    if (core->read_deadline <= now) {
        core->read_deadline = CAROM_NO_TIME;
        carom_core_carrier(core)->read_timeout(core);
    }
    if (core->state != CAROM_CONNECTION_CLOSED) {
        arm(core, core->read_deadline);
        arm(core, core->write_deadline);
    }
}

/* ---------------------------------------------------------------- life */

void carom_core_init(struct carom_core *core, struct carom_connections *connections,
                     uint16_t listener)
{
    memset(core, 0, sizeof *core);
    core->connections = connections;
    connections->count++;
    if (connections->observed)
        *carom_core_observed(core) = (struct carom_observed){0};
    core->listener = listener;
    core->refs = 1;
    core->read_deadline = core->write_deadline = CAROM_NO_TIME;
    carom_node_init(&core->link);
    carom_timer_init(&core->timer, timer_fires);
}

void carom_core_close(struct carom_core *core)
{
    core->state = CAROM_CONNECTION_CLOSED;
    carom_timer_disarm(&core->connections->records.wheel, &core->timer);
    if (!core->listed)
        carom_node_remove(&core->link);
}

/* ---------------------------------------------------------------- what lies behind it */

#define ALIGNMENT _Alignof(max_align_t)

size_t carom_core_behind(const carom_options *options, bool observed)
{
    size_t state = options->connection_state;
    return (observed ? sizeof(struct carom_observed) : 0) + (state > 0 ? state + ALIGNMENT : 0);
}

void *carom_core_state(const struct carom_core *core)
{
    size_t observed = core->connections->observed ? sizeof(struct carom_observed) : 0;
    uintptr_t behind = (uintptr_t)(core + 1) + observed;
    return (void *)((behind + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

/* ---------------------------------------------------------------- the observer */

uint32_t carom_core_number(const struct carom_core *core)
{
    return core->connections->observer == NULL ? 0 : carom_core_observed(core)->number;
}

uint64_t carom_core_sent(const struct carom_core *core)
{
    return carom_core_carrier(core)->sent(core);
}

const struct carom_endpoint *carom_core_local(struct carom_core *core)
{
    struct carom_endpoint *local = &carom_core_observed(core)->local;
    carom_address address;
    if (carom_likely(local->family != CAROM_FAMILY_NONE))
        return local;
    carom_core_carrier(core)->local(core, &address);
    local->family = (uint16_t)address.family;
    local->port = htons(address.port);
    if (address.family != CAROM_UNIX)
        inet_pton(address.family == CAROM_IPV4 ? AF_INET : AF_INET6, address.text, local->bytes);
    return local;
}

void carom_endpoint_describe(const struct carom_endpoint *endpoint, carom_address *address)
{
    *address = (carom_address){.family = (carom_family)endpoint->family};
    address->port = ntohs(endpoint->port);
    if (endpoint->family != CAROM_UNIX)
        inet_ntop(endpoint->family == CAROM_IPV4 ? AF_INET : AF_INET6, endpoint->bytes,
                  address->text, sizeof address->text);
}

struct carom_tls_session *carom_core_tls(const struct carom_core *core)
{
    return carom_core_carrier(core)->tls(core);
}

bool carom_core_is_idle(const struct carom_core *core)
{
    return core->state == CAROM_CONNECTION_OPEN && core->refs == 1u + core->listed;
}

void carom_core_destroy(struct carom_core *core, carom_reason reason, bool reset)
{
    carom_core_hold(core);
    if (core->state == CAROM_CONNECTION_OPEN)
        carom_core_carrier(core)->flush(core);
    carom_core_carrier(core)->abort(core, reason, reset);
    carom_core_drop(core);
}

bool carom_core_tell_opened(struct carom_core *core, bool secure)
{
    struct carom_observer *observer = core->connections->observer;
    if (carom_likely(observer == NULL))
        return true;
    struct carom_observed *observed = carom_core_observed(core);
    observed->secure = secure;
    observed->number = observer->opened(observer, core);
    return observed->number != 0;
}

void carom_core_tell_closed(struct carom_core *core, carom_reason reason)
{
    struct carom_observer *observer = core->connections->observer;
    if (carom_unlikely(observer != NULL) && carom_core_observed(core)->number != 0)
        observer->closed(observer, core, reason);
}

/* ---------------------------------------------------------------- drain */

/* What is called may list others as dirty, in front of them all; it takes none off a list but the
 * one that it is called for, and that only from those that are open. */
static void drain(struct carom_node *list)
{
    struct carom_node *node = list->next;
    while (node != list) {
        struct carom_core *core = of_link(node);
        node = node->next;
        carom_core_carrier(core)->drain(core);
    }
}

void carom_connections_drain(struct carom_connections *connections)
{
    drain(&connections->dirty);
    drain(&connections->resumed);
    drain(&connections->open);
}

static void cancel(struct carom_node *list)
{
    struct carom_node *node = list->next;
    while (node != list) {
        struct carom_core *core = of_link(node);
        node = node->next;
        if (core->state != CAROM_CONNECTION_CLOSED)
            carom_core_carrier(core)->abort(core, CAROM_REASON_SHUTDOWN, true);
    }
}

void carom_connections_cancel(struct carom_connections *connections)
{
    cancel(&connections->dirty);
    cancel(&connections->resumed);
    cancel(&connections->open);
}
