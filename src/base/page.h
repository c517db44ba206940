/* Pages: blocks of bytes shared by a count, for one thread. Bytes are received into them and heads
 * written into them; who points into a page holds it. */
#ifndef CAROM_BASE_PAGE_H
#define CAROM_BASE_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/pool.h"

/* The bytes of a page: a target of 8 KiB and a header section of 16 KiB fit in whole. */
#define CAROM_PAGE_SIZE (32 * 1024)

struct carom_page {
    struct carom_pages *home;
    uint32_t holds;
    uint32_t used; /* bytes handed out from the start: the rest is free for its current writer */
    uint32_t size; /* of data */
    uint32_t reserved;
    uint8_t data[];
};

/* All pages of a worker. */
struct carom_pages {
    struct carom_pool pool;
    uint32_t size; /* of a page's data */
};

void carom_pages_init(struct carom_pages *pages, uint32_t size, uint32_t floor);
void carom_pages_finish(struct carom_pages *pages);

/* A page with one hold and nothing used; NULL when out of memory. */
struct carom_page *carom_page_take(struct carom_pages *pages);
void carom_page_recycle(struct carom_page *page);

static inline struct carom_page *carom_page_hold(struct carom_page *page)
{
    carom_assert(page->holds > 0);
    page->holds++;
    return page;
}

static inline void carom_page_drop(struct carom_page *page)
{
    carom_assert(page->holds > 0);
    if (--page->holds == 0)
        carom_page_recycle(page);
}

/* An arena packs small pieces of many owners into the worker's current page, so that a waiting
 * record costs the bytes it needs and not a page. */
struct carom_arena {
    struct carom_pages *pages;
    struct carom_page *page; /* held once by the arena; NULL at first */
};

void carom_arena_init(struct carom_arena *arena, struct carom_pages *pages);
void carom_arena_finish(struct carom_arena *arena);
/* The current page, with at least `room` (at most the page size) bytes free behind `used`; rewound
 * when nobody else holds it. The caller adds to `used` what it fills, and holds the page for what
 * points there. NULL when out of memory. */
struct carom_page *carom_arena_room(struct carom_arena *arena, uint32_t room);
/* The same for any room, held for the caller, who drops it: what is more than a page is one of its
 * own, from the allocator. */
struct carom_page *carom_arena_hold(struct carom_arena *arena, size_t room);

#endif
