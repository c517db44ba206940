/* The ring: gives slots to requests, tells the VM its news, and takes its commands. */
#include <string.h>

#include "base/memory.h"
#include "http/core.h"
#include "http/record_tls.h"
#include "ring/block.h"
#include "ring/loan.h"
#include "ring/message.h"
#include "ring/observer.h"
#include "ring/request.h"
#include "ring/slot.h"
#include "ring/socket.h"

#define BLOCK_SIZE ((size_t)CAROM_RING_BLOCK_SLOTS * CAROM_RING_SLOT_SIZE)

/* ---------------------------------------------------------------- slots and records */

static void tell_ended(carom_waker *waker, int status)
{
    struct carom_slot *slot = carom_container(waker, struct carom_slot, ended);
    (void)status;
    if (slot->state == CAROM_SLOT_PENDING) {
        carom_slot_release(slot);
        return;
    }
    carom_outcome outcome = carom_record_outcome(slot->record);
    if (outcome.reason == CAROM_REASON_COMPLETE && !slot->watched)
        return;
    slot->words[CAROM_SLOT_REASON] = outcome.reason;
    slot->words[CAROM_SLOT_SENT_LOW] = (uint32_t)outcome.content_sent;
    slot->words[CAROM_SLOT_SENT_HIGH] = (uint32_t)(outcome.content_sent >> 32);
    carom_slot_tell(slot, CAROM_NEWS_ENDED);
}

static void give_slot(struct carom_slot *slot, carom_record *record)
{
    slot->record = record;
    slot->state = CAROM_SLOT_PENDING;
    slot->watched = slot->reading = false;
    slot->room = NULL;
    slot->generation++;
    slot->words[CAROM_SLOT_GENERATION] = slot->generation;
    atomic_store_explicit(carom_ring_atomic(slot->words, CAROM_SLOT_FLAGS), 0,
                          memory_order_relaxed);
    atomic_store_explicit(carom_ring_atomic(slot->words, CAROM_SLOT_NOTIFY), 0,
                          memory_order_relaxed);
    carom_wait(record, CAROM_ENDED, &slot->ended);
    if (carom_slot_write_request(slot))
        carom_slot_tell_request(slot);
    else
        carom_list_append(&slot->ring->starved, &slot->link);
}

static void let_wait(struct carom_ring *ring, carom_record *record)
{
    struct carom_ring_state *state = carom_record_state(record);
    state->next = NULL;
    *ring->waiting_last = record;
    ring->waiting_last = &state->next;
    ring->waiting_count++;
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_SLOTS_WANTED), ring->waiting_count);
    ring->news = true;
}

static carom_record *take_waiting(struct carom_ring *ring)
{
    carom_record *record = ring->waiting;
    struct carom_ring_state *state = carom_record_state(record);
    ring->waiting = state->next;
    if (ring->waiting == NULL)
        ring->waiting_last = &ring->waiting;
    ring->waiting_count--;
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_SLOTS_WANTED), ring->waiting_count);
    return record;
}

/* Others have what it would need: 503. */
static void refuse(carom_record *record)
{
    record->records->refused++;
    carom_record_refuse(record, CAROM_REASON_OVER_LIMIT, 503);
    record->ops->changed(record);
    carom_release(record);
}

void carom_ring_handle(carom_record *record, void *data)
{
    (void)data;
    if (carom_record_check(record, __func__) < 0)
        return;
    struct carom_ring *ring = (struct carom_ring *)record->records->guest;
    if (carom_unlikely(ring == NULL || /* none was attached to this worker: 500 */
                       atomic_load_explicit(&ring->abandoned, memory_order_relaxed))) {
        carom_release(record);
        return;
    }
    uint32_t used = ring->held + ring->waiting_count;
    uint32_t most = ring->block_most * CAROM_RING_BLOCK_SLOTS;
    if (carom_unlikely(used >= most / 2) && /* or it leaves more than there are connections' */
        !carom_share_is_left(carom_core_records(record->ops->core(record)) - 1, used, most)) {
        refuse(record);
        return;
    }
    struct carom_slot *slot = ring->waiting == NULL ? carom_slot_take(ring) : NULL;
    if (slot != NULL)
        give_slot(slot, record);
    else
        let_wait(ring, record);
}

/* Those that wait: for slots, and for pages. */
static bool serve_those_who_wait(struct carom_ring *ring)
{
    bool done = false;
    struct carom_slot *slot;
    while (ring->waiting != NULL) {
        bool over = carom_record_over(ring->waiting);
        slot = over ? NULL : carom_slot_take(ring);
        if (!over && slot == NULL)
            break;
        carom_record *record = take_waiting(ring);
        if (over)
            carom_release(record);
        else
            give_slot(slot, record);
        done = true;
    }
    while (!carom_node_alone(&ring->starved) && carom_ring_has_page(ring)) {
        struct carom_node *node = carom_list_take(&ring->starved);
        slot = carom_container(node, struct carom_slot, link);
        if (slot->reading)
            carom_slot_read(slot);
        else if (carom_record_over(slot->record)) /* its content is no more there */
            carom_slot_release(slot);
        else if (carom_slot_write_request(slot))
            carom_slot_tell_request(slot);
        done = true;
    }
    return done;
}

/* The same; mostly there is nobody. */
static inline bool serve_waiting(struct carom_ring *ring)
{
    bool somebody = ring->waiting != NULL || !carom_node_alone(&ring->starved);
    return carom_unlikely(somebody) && serve_those_who_wait(ring);
}

/* ---------------------------------------------------------------- commands */

static bool take_commands(struct carom_ring *ring)
{
    uint32_t tail = atomic_load(carom_ring_atomic(ring->control, CAROM_RING_COMMAND_TAIL));
    uint32_t count = tail - ring->command_head;
    if (count == 0)
        return false;
    uint32_t *commands = ring->control + CAROM_RING_CONTROL_WORDS + ring->mask + 1;
    if (count > ring->mask + 1) { /* no honest VM has so many */
        ring->control[CAROM_RING_BAD_COMMANDS]++;
        ring->command_head = tail - (ring->mask + 1);
        count = ring->mask + 1;
    }
    while (count-- > 0) {
        uint32_t index = atomic_load_explicit(
            carom_ring_atomic(commands, ring->command_head++ & ring->mask), memory_order_relaxed);
        struct carom_slot *slot = carom_slot_at(ring, index);
        if (slot != NULL)
            carom_slot_take_message(slot);
        else
            ring->control[CAROM_RING_BAD_COMMANDS]++;
    }
    return true;
}

/* Connections that the VM wants closed, behind what it has answered on them. */
static bool close_asked(struct carom_ring *ring)
{
    return ring->observer != NULL && carom_ring_observer_work(ring->observer);
}

/* ---------------------------------------------------------------- slots */

static void slot_readable(carom_waker *waker, int status)
{
    (void)status;
    carom_slot_read(carom_container(waker, struct carom_slot, readable));
}

static void slot_timer(carom_waker *waker, int status)
{
    if (status == 0) /* ENDED is told otherwise */
        carom_slot_tell(carom_container(waker, struct carom_slot, timer), CAROM_NEWS_TIME);
}

static void slot_writable(carom_waker *waker, int status)
{
    (void)status;
    carom_slot_take_message(carom_container(waker, struct carom_slot, writable));
}

/* A slot of a block that has come. */
static void prepare(struct carom_slot *slot)
{
    slot->ended.wake = tell_ended;
    slot->readable.wake = slot_readable;
    slot->writable.wake = slot_writable;
    slot->timer.wake = slot_timer;
}

/* The record of a slot that the VM holds is the same until it lets go, and so is its connection's
 * memory; what is told of its TLS does not change after the handshake (no renegotiation), so that
 * it can be read while the worker encrypts. */
int carom_ring_tls(carom_ring *ring, uint32_t index, carom_tls_info *info, carom_slice *der)
{
    if (ring == NULL || info == NULL)
        return -CAROM_EINVAL;
    const struct carom_slot *slot = carom_slot_at(ring, index);
    *info = (carom_tls_info){0};
    if (der != NULL)
        *der = (carom_slice){NULL, 0};
    if (slot == NULL || slot->record == NULL)
        return -CAROM_EINVAL;
    return carom_tls_of_record(slot->record, info, der);
}

/* ---------------------------------------------------------------- the worker's turn */

static void release_all(struct carom_ring *ring)
{
    uint32_t most = ring->block_most * CAROM_RING_BLOCK_SLOTS;
    for (uint32_t i = 0; i < most && ring->held > 0; i++) {
        struct carom_slot *slot = carom_slot_at(ring, i);
        if (slot != NULL && slot->state != CAROM_SLOT_FREE)
            carom_slot_release(slot);
    }
    while (ring->waiting != NULL)
        carom_release(take_waiting(ring));
    if (ring->sockets != NULL)
        carom_ring_sockets_abandon(ring->sockets);
    ring->released = true;
}

/* It has returned early, so that what it has answered can leave. */
static bool vm_yields(const struct carom_ring *ring)
{
    return atomic_load(carom_ring_atomic(ring->control, CAROM_RING_VM_ASLEEP)) == 2;
}

static void tell_vm(struct carom_ring *ring)
{
    ring->news = false;
    /* When it is awake it looks once more before it sleeps. */
    if (atomic_exchange(carom_ring_atomic(ring->control, CAROM_RING_VM_ASLEEP), 0) != 0)
        ring->options.wake(ring->options.data);
}

/* The VM has the log. */
static void tell_refused(struct carom_ring *ring)
{
    if (carom_likely(ring->refused_told == ring->records->refused))
        return;
    ring->refused_told = ring->records->refused;
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_REFUSED),
                 (uint32_t)ring->refused_told);
    ring->news = true;
}

/* As many as a VM takes well in one batch. */
#define UNHEARD_MOST 256

/* Requests that wait for a slot, and news that the VM has not heard, or has not dealt with. */
static uint32_t unheard(const struct carom_ring *ring)
{
    uint32_t heard = atomic_load(carom_ring_atomic(ring->control, CAROM_RING_EVENT_HEAD));
    return ring->waiting_count + (ring->event_tail - heard);
}

static bool behind(struct carom_guest *guest, uint32_t most)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    most = most < ring->options.unheard ? most : ring->options.unheard;
    bool crowded = unheard(ring) >= most;
    if (crowded)
        ring->crowded = most;
    return crowded;
}

/* Somebody waits for what the VM has heard, and it sleeps without having said so: it does when it
 * is woken. */
static bool keeps_silent(const struct carom_ring *ring)
{
    return ring->crowded > 0 &&
           atomic_load(carom_ring_atomic(ring->control, CAROM_RING_VM_ASLEEP)) == 1 &&
           atomic_load(carom_ring_atomic(ring->control, CAROM_RING_EVENT_HEAD)) != ring->event_tail;
}

/* It was behind, and is no longer. */
static bool has_caught_up(const struct carom_ring *ring)
{
    return ring->crowded > 0 && unheard(ring) < ring->crowded;
}

/* The VM has given back a page that a slot waits for. */
static bool feeds_starved(const struct carom_ring *ring)
{
    return !carom_node_alone(&ring->starved) && carom_ring_has_page(ring);
}

bool carom_ring_has_commands(const carom_ring *ring)
{
    if (ring == NULL)
        return false;
    return atomic_load(carom_ring_atomic(ring->control, CAROM_RING_COMMAND_TAIL)) !=
               ring->command_head ||
           atomic_load(&ring->blocks_given) != ring->blocks_seen || feeds_starved(ring) ||
           has_caught_up(ring) ||
           (ring->observer != NULL && carom_ring_observer_has_work(ring->observer)) ||
           (ring->sockets != NULL && carom_ring_sockets_have_work(ring->sockets));
}

static bool work(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    if (carom_unlikely(atomic_load_explicit(&ring->abandoned, memory_order_acquire))) {
        release_all(ring);
        return false;
    }
    bool done = carom_blocks_take(ring, prepare);
    if (has_caught_up(ring))
        ring->crowded = 0;
    if (carom_unlikely(keeps_silent(ring)))
        ring->news = true;
    done |= take_commands(ring);
    done |= close_asked(ring);
    if (carom_unlikely(ring->sockets != NULL))
        done |= carom_ring_sockets_work(ring->sockets);
    done |= serve_waiting(ring);
    tell_refused(ring);
    if (ring->news || vm_yields(ring)) {
        tell_vm(ring);
        done = true;
        /* It may have run, and answered. */
        carom_blocks_take(ring, prepare);
        take_commands(ring);
        close_asked(ring);
        if (ring->sockets != NULL)
            carom_ring_sockets_work(ring->sockets);
        serve_waiting(ring);
    }
    return done;
}

static bool may_sleep(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    if (carom_unlikely(ring->sockets != NULL))
        carom_ring_sockets_before_sleep(ring->sockets);
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_ENGINE_ASLEEP), 1);
    if (carom_unlikely(atomic_load(&ring->abandoned)))
        return ring->released; /* nothing is told, and nothing taken, any more */
    return !ring->news && !vm_yields(ring) && !carom_ring_has_commands(ring) && !keeps_silent(ring);
}

static void awake(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    atomic_store_explicit(carom_ring_atomic(ring->control, CAROM_RING_ENGINE_ASLEEP), 0,
                          memory_order_relaxed);
}

static bool above_floor(const struct carom_guest *guest)
{
    const struct carom_ring *ring = (const struct carom_ring *)guest;
    return (carom_blocks_above_floor(ring) || carom_loans_above_floor(ring) ||
            carom_field_list_above_floor(&ring->fields) ||
            (ring->observer != NULL && carom_ring_observer_above_floor(ring->observer)) ||
            (ring->sockets != NULL && carom_ring_sockets_hold_memory(ring->sockets))) &&
           !atomic_load_explicit(&ring->abandoned, memory_order_relaxed);
}

static void tick(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    if (!atomic_load_explicit(&ring->abandoned, memory_order_relaxed))
        carom_blocks_tick(ring);
    carom_loans_tick(ring);
    carom_field_list_tick(&ring->fields);
    if (ring->observer != NULL)
        carom_ring_observer_tick(ring->observer);
    if (ring->sockets != NULL)
        carom_ring_sockets_tick(ring->sockets);
}

void carom_ring_wake(carom_ring *ring)
{
    if (ring == NULL || ring->records == NULL) /* attached to no worker: none sleeps */
        return;
    carom_inbox_enter(&ring->records->inbox);
    if (carom_inbox_rouse(&ring->records->inbox))
        ring->records->rouse(ring->records);
    carom_inbox_leave(&ring->records->inbox);
}

void carom_ring_abandon(carom_ring *ring)
{
    if (ring == NULL)
        return;
    if (ring->records == NULL) {
        atomic_store(&ring->abandoned, true);
        return;
    }
    /* Inside before the worker can see it: what drains at once is not destroyed under us. */
    carom_inbox_enter(&ring->records->inbox);
    atomic_store(&ring->abandoned, true);
    carom_ring_wake(ring);
    carom_inbox_leave(&ring->records->inbox);
}

/* ---------------------------------------------------------------- life */

static size_t pages_offset(uint32_t capacity)
{
    size_t words = CAROM_RING_CONTROL_WORDS + 2 * (size_t)capacity + CAROM_RING_LOANS +
                   capacity / CAROM_RING_BLOCK_SLOTS;
    return words * sizeof(uint32_t);
}

size_t carom_ring_control_size(uint32_t capacity)
{
    return pages_offset(capacity) + (size_t)CAROM_RING_PAGES * CAROM_RING_PAGE_SIZE;
}

static void write_control(struct carom_ring *ring)
{
    uint32_t capacity = ring->options.capacity;
    ring->control[CAROM_RING_CAPACITY] = capacity;
    ring->control[CAROM_RING_EVENTS_WORD] = CAROM_RING_CONTROL_WORDS;
    ring->control[CAROM_RING_COMMANDS_WORD] = CAROM_RING_CONTROL_WORDS + capacity;
    ring->control[CAROM_RING_RETURNS_WORD] = CAROM_RING_CONTROL_WORDS + 2 * capacity;
    ring->control[CAROM_RING_BLOCKS_WORD] =
        CAROM_RING_CONTROL_WORDS + 2 * capacity + CAROM_RING_LOANS;
    ring->control[CAROM_RING_PAGES_BYTE] = (uint32_t)pages_offset(capacity);
    ring->control[CAROM_RING_PROTOCOL] = CAROM_RING_VERSION;
    ring->control[CAROM_RING_VM_ASLEEP] = 1;
}

static int read_options(carom_ring_options *to, const carom_ring_options *given)
{
    /* A binding built with an older, shorter struct has defaults for what it does not know. */
    if (given == NULL || given->size == 0 || given->size > sizeof *to ||
        given->size % _Alignof(carom_ring_options) != 0)
        return -CAROM_EINVAL;
    *to = (carom_ring_options){0};
    memcpy(to, given, given->size);
    to->size = sizeof *to;
    if (to->unheard == 0)
        to->unheard = UNHEARD_MOST;
    if (to->wake == NULL || to->capacity < CAROM_RING_BLOCK_SLOTS || to->capacity > 1u << 20 ||
        (to->capacity & (to->capacity - 1)) != 0 || (to->memory > 0 && to->memory < BLOCK_SIZE))
        return -CAROM_EINVAL;
    return 0;
}

int carom_ring_create(carom_ring **made, const carom_ring_options *given, void *control,
                      size_t size)
{
    carom_ring_options options;
    if (made == NULL || control == NULL || read_options(&options, given) < 0)
        return -CAROM_EINVAL;
    uint32_t capacity = options.capacity;
    if (size < carom_ring_control_size(capacity) || (uintptr_t)control % 8 != 0)
        return -CAROM_EINVAL;
    struct carom_ring *ring = carom_memory_take_zeroed(sizeof *ring);
    if (ring == NULL)
        return -CAROM_ENOMEM;
    ring->options = options;
    ring->guest = (struct carom_guest){work, may_sleep, behind, awake, above_floor, tick};
    ring->mask = capacity - 1;
    ring->control = control;
    ring->pages = (uint8_t *)control + pages_offset(capacity);
    ring->waiting_last = &ring->waiting;
    carom_loans_init(ring);
    carom_node_init(&ring->starved);
    ring->block_most = capacity / CAROM_RING_BLOCK_SLOTS;
    if (options.memory > 0 && options.memory / BLOCK_SIZE < ring->block_most)
        ring->block_most = (uint32_t)(options.memory / BLOCK_SIZE);
    int error = carom_blocks_init(ring);
    if (error == 0 && options.watch)
        error = carom_ring_observer_create(ring);
    if (error < 0) {
        carom_ring_destroy(ring);
        return error;
    }
    write_control(ring);
    *made = ring;
    return 0;
}

void carom_ring_destroy(carom_ring *ring)
{
    if (ring == NULL)
        return;
    carom_blocks_finish(ring);
    carom_field_list_finish(&ring->fields);
    carom_ring_observer_destroy(ring);
    carom_ring_sockets_destroy(ring->sockets);
    carom_loans_finish(ring);
    carom_memory_give(ring, sizeof *ring);
}
