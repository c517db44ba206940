/* Blocks of slots. A block belongs to the VM, until the VM gives it to the engine, and again when
 * the engine gives it back; `state` hands it over between the two threads. The engine gives a block
 * back only when no slot of it is in the queue of events. */
#include "ring/block.h"

#include "base/memory.h"
#include "ring/loan.h"

#define SLOTS     CAROM_RING_BLOCK_SLOTS
#define ALL_SLOTS ((1u << SLOTS) - 1)

/* The word of a block that says whose it is. */
static _Atomic uint32_t *flag_of(struct carom_ring *ring, uint32_t number)
{
    size_t first = CAROM_RING_CONTROL_WORDS + 2 * (size_t)(ring->mask + 1) + CAROM_RING_LOANS;
    return carom_ring_atomic(ring->control + first, number);
}

/* The blocks that stay: with as many slots as pools have objects. */
static uint32_t floor_blocks(const struct carom_ring *ring)
{
    return (ring->records->pool.floor + SLOTS - 1) / SLOTS;
}

/* A block beyond those that stay has become free as a whole, or is no longer so. */
static void count_spare(struct carom_ring *ring, uint32_t number, int change)
{
    if (number >= floor_blocks(ring))
        ring->spare_blocks += (uint32_t)change;
}

/* ---------------------------------------------------------------- which have room */

static uint32_t roomy_words(const struct carom_ring *ring)
{
    return (ring->block_most + 63) / 64;
}

static void note_room(struct carom_ring *ring, uint32_t number, bool room)
{
    uint64_t bit = (uint64_t)1 << number % 64;
    if (room)
        ring->roomy[number / 64] |= bit;
    else
        ring->roomy[number / 64] &= ~bit;
}

struct carom_slot *carom_slot_take(struct carom_ring *ring)
{
    uint32_t words = roomy_words(ring);
    for (uint32_t i = 0; i < words; i++) {
        if (ring->roomy[i] == 0)
            continue;
        uint32_t number = i * 64 + (uint32_t)__builtin_ctzll(ring->roomy[i]);
        struct carom_block *block = &ring->blocks[number];
        struct carom_slot *slot = &block->slots[__builtin_ctz(block->free)];
        if (block->free == ALL_SLOTS)
            count_spare(ring, number, -1);
        block->free &= block->free - 1;
        block->used = true;
        ring->held++;
        if (block->free == 0)
            note_room(ring, number, false);
        return slot;
    }
    return NULL;
}

static void give_slot(struct carom_slot *slot)
{
    struct carom_ring *ring = slot->ring;
    uint32_t number = slot->index / SLOTS;
    struct carom_block *block = &ring->blocks[number];
    block->free |= 1u << slot->index % SLOTS;
    if (block->free == ALL_SLOTS)
        count_spare(ring, number, 1);
    ring->held--;
    note_room(ring, number, true);
}

void carom_slot_give(struct carom_slot *slot)
{
    carom_node_remove(&slot->link);
    carom_slot_return_room(slot);
    slot->record = NULL;
    slot->state = CAROM_SLOT_FREE;
    give_slot(slot);
}

void carom_slot_release(struct carom_slot *slot)
{
    carom_record *record = slot->record;
    carom_slot_give(slot);
    carom_release(record);
}

struct carom_slot *carom_slot_at(const struct carom_ring *ring, uint32_t index)
{
    if (index / SLOTS >= ring->block_most)
        return NULL;
    const struct carom_block *block = &ring->blocks[index / SLOTS];
    if (atomic_load_explicit(&block->state, memory_order_acquire) != CAROM_BLOCK_TAKEN)
        return NULL;
    return &block->slots[index % SLOTS];
}

/* ---------------------------------------------------------------- coming */

int carom_ring_add_block(carom_ring *ring, uint32_t number, void *memory)
{
    if (ring == NULL || memory == NULL || (uintptr_t)memory % 8 != 0)
        return -CAROM_EINVAL;
    if (number >= ring->block_most)
        return -CAROM_ETOOBIG;
    struct carom_block *block = &ring->blocks[number];
    if (atomic_load(&block->state) != CAROM_BLOCK_NONE)
        return -CAROM_ESTATE;
    block->slots = carom_memory_take_zeroed(SLOTS * sizeof *block->slots);
    if (block->slots == NULL)
        return -CAROM_ENOMEM;
    block->memory = memory;
    atomic_store(flag_of(ring, number), 1);
    atomic_store(&block->state, CAROM_BLOCK_GIVEN);
    atomic_fetch_add(&ring->blocks_given, 1);
    return 0;
}

static void tell_count(struct carom_ring *ring)
{
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_SLOTS), ring->slot_count);
}

static void take_block(struct carom_ring *ring, uint32_t number,
                       void (*prepare)(struct carom_slot *slot))
{
    struct carom_block *block = &ring->blocks[number];
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct carom_slot *slot = &block->slots[i];
        slot->ring = ring;
        slot->words = (uint32_t *)(void *)(block->memory + (size_t)i * CAROM_RING_SLOT_SIZE);
        slot->index = number * SLOTS + i;
        slot->generation = block->generation; /* the VM may remember those of before */
        carom_node_init(&slot->link);
        prepare(slot);
    }
    block->free = ALL_SLOTS;
    count_spare(ring, number, 1);
    block->used = true; /* it was wanted */
    atomic_store(&block->state, CAROM_BLOCK_TAKEN);
    ring->slot_count += SLOTS;
    note_room(ring, number, true);
}

bool carom_blocks_take(struct carom_ring *ring, void (*prepare)(struct carom_slot *slot))
{
    uint32_t given = atomic_load(&ring->blocks_given);
    if (carom_likely(ring->blocks_seen == given))
        return false;
    ring->blocks_seen = given;
    for (uint32_t i = 0; i < ring->block_most; i++)
        if (atomic_load(&ring->blocks[i].state) == CAROM_BLOCK_GIVEN)
            take_block(ring, i, prepare);
    tell_count(ring);
    return true;
}

/* ---------------------------------------------------------------- going back */

/* The VM looks for a slot's number in the queue as long as there are news of it. */
static bool is_idle(const struct carom_block *block)
{
    if (block->free != ALL_SLOTS || block->used)
        return false;
    for (uint32_t i = 0; i < SLOTS; i++)
        if (atomic_load(carom_ring_atomic(block->slots[i].words, CAROM_SLOT_NEWS)) != 0)
            return false;
    return true;
}

static void give_back(struct carom_ring *ring, uint32_t number)
{
    struct carom_block *block = &ring->blocks[number];
    for (uint32_t i = 0; i < SLOTS; i++)
        if (block->slots[i].generation - block->generation <= UINT32_MAX / 2)
            block->generation = block->slots[i].generation;
    carom_memory_give(block->slots, SLOTS * sizeof *block->slots);
    block->slots = NULL;
    ring->slot_count -= SLOTS;
    count_spare(ring, number, -1);
    note_room(ring, number, false);
    atomic_store(&block->state, CAROM_BLOCK_NONE);
    atomic_store(flag_of(ring, number), 0);
    atomic_fetch_add(carom_ring_atomic(ring->control, CAROM_RING_BLOCKS_BACK), 1);
    ring->news = true;
}

void carom_blocks_tick(struct carom_ring *ring)
{
    for (uint32_t i = 0; i < ring->block_most; i++) {
        struct carom_block *block = &ring->blocks[i];
        if (atomic_load_explicit(&block->state, memory_order_relaxed) != CAROM_BLOCK_TAKEN)
            continue;
        if (i >= floor_blocks(ring) && ring->waiting == NULL && is_idle(block))
            give_back(ring, i);
        block->used = false;
    }
    tell_count(ring);
}

bool carom_blocks_above_floor(const struct carom_ring *ring)
{
    return ring->spare_blocks > 0;
}

/* ---------------------------------------------------------------- life */

int carom_blocks_init(struct carom_ring *ring)
{
    ring->blocks = carom_memory_take_zeroed(ring->block_most * sizeof *ring->blocks);
    ring->roomy = carom_memory_take_zeroed(roomy_words(ring) * sizeof *ring->roomy);
    return ring->blocks == NULL || ring->roomy == NULL ? -CAROM_ENOMEM : 0;
}

void carom_blocks_finish(struct carom_ring *ring)
{
    if (ring->blocks != NULL) {
        for (uint32_t i = 0; i < ring->block_most; i++)
            if (ring->blocks[i].slots != NULL)
                carom_memory_give(ring->blocks[i].slots, SLOTS * sizeof *ring->blocks[i].slots);
        carom_memory_give(ring->blocks, ring->block_most * sizeof *ring->blocks);
    }
    if (ring->roomy != NULL)
        carom_memory_give(ring->roomy, roomy_words(ring) * sizeof *ring->roomy);
}
