/* The ring: slots given to requests, news to the VM, commands from it. */
#include <string.h>

#include "base/memory.h"
#include "ring/message.h"
#include "ring/request.h"
#include "ring/slot.h"

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
    carom_node_remove(&slot->link);
    slot->record = record;
    slot->state = CAROM_SLOT_PENDING;
    slot->watched = slot->reading = false;
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

static struct carom_slot *free_slot(struct carom_ring *ring)
{
    if (carom_node_alone(&ring->free))
        return NULL;
    return carom_container(ring->free.next, struct carom_slot, link);
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

void carom_ring_handle(carom_record *record, void *data)
{
    (void)data;
    struct carom_ring *ring = (struct carom_ring *)record->records->guest;
    struct carom_slot *slot = ring->waiting == NULL ? free_slot(ring) : NULL;
    if (carom_unlikely(atomic_load_explicit(&ring->abandoned, memory_order_relaxed)))
        carom_release(record);
    else if (slot != NULL)
        give_slot(slot, record);
    else
        let_wait(ring, record);
}

/* Those that wait: for slots, and for pages. */
static bool serve_waiting(struct carom_ring *ring)
{
    bool done = false;
    struct carom_slot *slot;
    while (ring->waiting != NULL && (slot = free_slot(ring)) != NULL) {
        carom_record *record = take_waiting(ring);
        if (carom_record_over(record))
            carom_release(record);
        else
            give_slot(slot, record);
        done = true;
    }
    while (ring->free_pages != 0 && !carom_node_alone(&ring->starved)) {
        struct carom_node *node = carom_list_take(&ring->starved);
        slot = carom_container(node, struct carom_slot, link);
        if (slot->reading)
            carom_slot_read(slot);
        else if (carom_slot_write_request(slot))
            carom_slot_tell_request(slot);
        done = true;
    }
    return done;
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
        if (index < ring->slot_count)
            carom_slot_take_message(ring->slots[index]);
        else
            ring->control[CAROM_RING_BAD_COMMANDS]++;
    }
    return true;
}

bool carom_ring_has_commands(const carom_ring *ring)
{
    return atomic_load(carom_ring_atomic(ring->control, CAROM_RING_COMMAND_TAIL)) !=
           ring->command_head;
}

/* ---------------------------------------------------------------- blocks */

static void slot_readable(carom_waker *waker, int status)
{
    (void)status;
    carom_slot_read(carom_container(waker, struct carom_slot, readable));
}

static void slot_writable(carom_waker *waker, int status)
{
    (void)status;
    carom_slot_take_message(carom_container(waker, struct carom_slot, writable));
}

int carom_ring_add_slots(carom_ring *ring, void *memory, size_t size)
{
    uint32_t block_count = atomic_load(&ring->block_count);
    size_t count = size / CAROM_RING_SLOT_SIZE;
    if (size == 0 || size % CAROM_RING_SLOT_SIZE != 0 || (uintptr_t)memory % 8 != 0)
        return -CAROM_EINVAL;
    if (block_count == CAROM_RING_BLOCKS || count > ring->options.capacity - ring->slots_given)
        return -CAROM_ETOOBIG;
    struct carom_block *block = &ring->blocks[block_count];
    block->slots = carom_memory_take_zeroed(count * sizeof *block->slots);
    if (block->slots == NULL)
        return -CAROM_ENOMEM;
    memset(memory, 0, size);
    block->memory = memory;
    block->count = (uint32_t)count;
    ring->slots_given += block->count;
    ring->control[CAROM_RING_SLOTS] = ring->slots_given;
    atomic_store(&ring->block_count, block_count + 1);
    return 0;
}

/* A slot by its number, for the VM's thread, which wrote the blocks. */
static const struct carom_slot *given_slot(const struct carom_ring *ring, uint32_t index)
{
    uint32_t count = atomic_load(&ring->block_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct carom_block *block = &ring->blocks[i];
        if (index < block->count)
            return &block->slots[index];
        index -= block->count;
    }
    return NULL;
}

/* The record of a slot that the VM holds is the same until it lets go, and so is its connection's
 * memory; what is told of its TLS does not change after the handshake (no renegotiation), so that
 * it can be read while the worker encrypts. */
int carom_ring_tls(carom_ring *ring, uint32_t index, carom_tls_info *info, carom_slice *der)
{
    const struct carom_slot *slot = given_slot(ring, index);
    *info = (carom_tls_info){0};
    if (der != NULL)
        *der = (carom_slice){NULL, 0};
    if (slot == NULL || slot->record == NULL)
        return -CAROM_EINVAL;
    int error = carom_record_tls(slot->record, info);
    if (error == 0 && der != NULL)
        carom_record_tls_certificate(slot->record, der);
    return error;
}

/* The slots of blocks that came since. */
static bool take_blocks(struct carom_ring *ring)
{
    uint32_t count = atomic_load(&ring->block_count);
    if (carom_likely(ring->blocks_seen == count))
        return false;
    for (; ring->blocks_seen < count; ring->blocks_seen++) {
        struct carom_block *block = &ring->blocks[ring->blocks_seen];
        for (uint32_t i = 0; i < block->count; i++) {
            struct carom_slot *slot = &block->slots[i];
            slot->ring = ring;
            slot->words = (uint32_t *)(void *)(block->memory + (size_t)i * CAROM_RING_SLOT_SIZE);
            slot->index = ring->slot_count;
            slot->ended.wake = tell_ended;
            slot->readable.wake = slot_readable;
            slot->writable.wake = slot_writable;
            ring->slots[ring->slot_count++] = slot;
            carom_node_init(&slot->link);
            carom_list_append(&ring->free, &slot->link);
        }
    }
    return true;
}

/* ---------------------------------------------------------------- the worker's turn */

static void release_all(struct carom_ring *ring)
{
    for (uint32_t i = 0; i < ring->slot_count; i++)
        if (ring->slots[i]->state != CAROM_SLOT_FREE)
            carom_slot_release(ring->slots[i]);
    while (ring->waiting != NULL)
        carom_release(take_waiting(ring));
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

static bool work(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    if (carom_unlikely(atomic_load_explicit(&ring->abandoned, memory_order_acquire))) {
        release_all(ring);
        return false;
    }
    bool done = take_blocks(ring);
    done |= take_commands(ring);
    done |= serve_waiting(ring);
    if (ring->news || vm_yields(ring)) {
        tell_vm(ring);
        done = true;
        /* It may have run, and answered. */
        take_blocks(ring);
        take_commands(ring);
        serve_waiting(ring);
    }
    return done;
}

static bool may_sleep(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_ENGINE_ASLEEP), 1);
    return !ring->news && !vm_yields(ring) && !carom_ring_has_commands(ring) &&
           atomic_load(&ring->block_count) == ring->blocks_seen && !atomic_load(&ring->abandoned);
}

static void awake(struct carom_guest *guest)
{
    struct carom_ring *ring = (struct carom_ring *)guest;
    atomic_store_explicit(carom_ring_atomic(ring->control, CAROM_RING_ENGINE_ASLEEP), 0,
                          memory_order_relaxed);
}

void carom_ring_wake(carom_ring *ring)
{
    carom_inbox_enter(&ring->records->inbox);
    if (carom_inbox_rouse(&ring->records->inbox))
        ring->records->rouse(ring->records);
    carom_inbox_leave(&ring->records->inbox);
}

void carom_ring_abandon(carom_ring *ring)
{
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

/* ---------------------------------------------------------------- loans */

int carom_ring_lend(carom_ring *ring, uint32_t loan, const void *data, size_t length)
{
    if (loan >= CAROM_RING_LOANS)
        return -CAROM_EINVAL;
    struct carom_loan *lent = &ring->loans[loan];
    if (atomic_load(&lent->state) != CAROM_LOAN_FREE)
        return -CAROM_ESTATE;
    lent->ring = ring;
    lent->data = data;
    lent->length = length;
    atomic_store(&lent->state, CAROM_LOAN_GIVEN);
    return 0;
}

/* ---------------------------------------------------------------- life */

static size_t pages_offset(uint32_t capacity)
{
    size_t words = CAROM_RING_CONTROL_WORDS + 2 * (size_t)capacity + CAROM_RING_LOANS;
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
    ring->control[CAROM_RING_PAGES_BYTE] = (uint32_t)pages_offset(capacity);
    ring->control[CAROM_RING_VM_ASLEEP] = 1;
}

int carom_ring_create(carom_ring **made, const carom_ring_options *options, void *control,
                      size_t size)
{
    uint32_t capacity = options->capacity;
    if (capacity == 0 || (capacity & (capacity - 1)) != 0 || capacity > 1u << 20 ||
        size < carom_ring_control_size(capacity) || (uintptr_t)control % 8 != 0)
        return -CAROM_EINVAL;
    struct carom_ring *ring = carom_memory_take_zeroed(sizeof *ring);
    if (ring == NULL)
        return -CAROM_ENOMEM;
    ring->options = *options;
    ring->guest = (struct carom_guest){work, may_sleep, awake};
    ring->mask = capacity - 1;
    ring->control = control;
    ring->pages = (uint8_t *)control + pages_offset(capacity);
    ring->free_pages = (1u << CAROM_RING_PAGES) - 1;
    ring->waiting_last = &ring->waiting;
    carom_node_init(&ring->free);
    carom_node_init(&ring->starved);
    ring->slots = carom_memory_take_zeroed(capacity * sizeof(struct carom_slot *));
    ring->loans = carom_memory_take_zeroed(CAROM_RING_LOANS * sizeof *ring->loans);
    if (ring->slots == NULL || ring->loans == NULL) {
        carom_ring_destroy(ring);
        return -CAROM_ENOMEM;
    }
    memset(control, 0, pages_offset(capacity));
    write_control(ring);
    *made = ring;
    return 0;
}

void carom_ring_destroy(carom_ring *ring)
{
    if (ring == NULL)
        return;
    for (uint32_t i = 0; i < atomic_load(&ring->block_count); i++)
        carom_memory_give(ring->blocks[i].slots, ring->blocks[i].count * sizeof(struct carom_slot));
    if (ring->slots != NULL)
        carom_memory_give(ring->slots, (size_t)(ring->mask + 1) * sizeof(struct carom_slot *));
    if (ring->loans != NULL)
        carom_memory_give(ring->loans, CAROM_RING_LOANS * sizeof *ring->loans);
    carom_memory_give(ring, sizeof *ring);
}
