/* Takes and gives back the pages of a ring, and puts the news of a slot into the queue of events.
 */
#include "ring/slot.h"

/* ---------------------------------------------------------------- pages */

uint8_t *carom_ring_page(struct carom_ring *ring, uint32_t page)
{
    return ring->pages + (size_t)(page - 1) * CAROM_RING_PAGE_SIZE;
}

/* 0: the engine's. The VM makes it so as soon as it has copied what lies there. */
static _Atomic uint32_t *held_word(const struct carom_ring *ring, uint32_t page)
{
    return carom_ring_atomic(ring->control, CAROM_RING_PAGES_HELD + page - 1);
}

static uint32_t free_page(const struct carom_ring *ring)
{
    for (uint32_t page = 1; page <= CAROM_RING_PAGES; page++)
        if (atomic_load(held_word(ring, page)) == 0)
            return page;
    return 0;
}

bool carom_ring_has_page(const struct carom_ring *ring)
{
    return free_page(ring) != 0;
}

uint32_t carom_ring_take_page(struct carom_ring *ring)
{
    uint32_t page = free_page(ring);
    if (page != 0)
        atomic_store_explicit(held_word(ring, page), 1, memory_order_relaxed);
    return page;
}

void carom_ring_give_page(struct carom_ring *ring, uint32_t page)
{
    if (page != 0)
        atomic_store_explicit(held_word(ring, page), 0, memory_order_relaxed);
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
    uint32_t unheard =
        atomic_exchange(carom_ring_atomic(slot->words, CAROM_SLOT_NEWS), CAROM_NEWS_REQUEST);
    if (unheard == 0)
        put_event(slot);
    if (unheard & (CAROM_NEWS_CONTENT | CAROM_NEWS_CONTENT_END))
        carom_ring_give_page(slot->ring, slot->piece_page);
    slot->piece_page = 0;
}
