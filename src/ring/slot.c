/* Slots: the pages they take, what they tell the VM, and letting go of one. */
#include "ring/slot.h"

/* ---------------------------------------------------------------- pages */

uint8_t *carom_ring_page(struct carom_ring *ring, uint32_t page)
{
    return ring->pages + (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

uint32_t carom_ring_take_page(struct carom_ring *ring)
{
    if (ring->free_pages == 0)
        return 0;
    uint32_t page = (uint32_t)__builtin_ctz(ring->free_pages);
    ring->free_pages &= ring->free_pages - 1;
    return page + 1;
}

void carom_ring_give_page(struct carom_ring *ring, uint32_t *page)
{
    if (*page == 0)
        return;
    ring->free_pages |= 1u << (*page - 1);
    *page = 0;
}

/* ---------------------------------------------------------------- news */

/* A slot is in the queue as long as its news are not 0, so the queue cannot overflow. */
static void put_event(struct carom_slot *slot)
{
    struct carom_ring *ring = slot->ring;
    uint32_t *events = ring->control + CAROM_RING_CONTROL_WORDS;
    atomic_store_explicit(carom_ring_atomic(events, ring->event_tail++ & ring->mask), slot->index,
                          memory_order_relaxed);
    atomic_store(carom_ring_atomic(ring->control, CAROM_RING_EVENT_TAIL), ring->event_tail);
}

void carom_slot_tell(struct carom_slot *slot, uint32_t news)
{
    slot->ring->news = true;
    if (atomic_fetch_or(carom_ring_atomic(slot->words, CAROM_SLOT_NEWS), news) == 0)
        put_event(slot);
}

void carom_slot_tell_request(struct carom_slot *slot)
{
    slot->ring->news = true;
    slot->state = CAROM_SLOT_HELD;
    if (atomic_exchange(carom_ring_atomic(slot->words, CAROM_SLOT_NEWS), CAROM_NEWS_REQUEST) == 0)
        put_event(slot);
}

void carom_slot_release(struct carom_slot *slot)
{
    struct carom_ring *ring = slot->ring;
    carom_record *record = slot->record;
    carom_ring_give_page(ring, &slot->head_page);
    carom_ring_give_page(ring, &slot->piece_page);
    carom_node_remove(&slot->link);
    slot->record = NULL;
    slot->state = CAROM_SLOT_FREE;
    /* The last one used is the next: it is in the cache. */
    carom_list_prepend(&ring->free, &slot->link);
    carom_release(record);
}
