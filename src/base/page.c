/* Pages and the arena. A page that nobody holds lies in its pool. The arena holds its current page,
 * so that it is not given to somebody else while there is room for small pieces. */
#include "base/page.h"

#include "base/memory.h"

static size_t bytes_of(size_t size)
{
    return offsetof(struct carom_page, data) + size;
}

void carom_pages_init(struct carom_pages *pages, uint32_t size, uint32_t floor)
{
    carom_assert(size > 0);
    pages->size = size;
    carom_pool_init(&pages->pool, bytes_of(size), floor);
}

void carom_pages_finish(struct carom_pages *pages)
{
    carom_pool_finish(&pages->pool);
}

static struct carom_page *begin(struct carom_page *page, struct carom_pages *pages, size_t size)
{
    if (page == NULL)
        return NULL;
    page->home = pages;
    page->holds = 1;
    page->used = 0;
    page->size = (uint32_t)size;
    page->reserved = 0;
    return page;
}

struct carom_page *carom_page_take(struct carom_pages *pages)
{
    return begin(carom_pool_take(&pages->pool), pages, pages->size);
}

void carom_page_recycle(struct carom_page *page)
{
    carom_assert(page->holds == 0 && page->used <= page->size);
    if (carom_likely(page->size == page->home->size))
        carom_pool_give(&page->home->pool, page);
    else
        carom_memory_give(page, bytes_of(page->size));
}

void carom_arena_init(struct carom_arena *arena, struct carom_pages *pages)
{
    *arena = (struct carom_arena){.pages = pages};
}

void carom_arena_finish(struct carom_arena *arena)
{
    if (arena->page != NULL)
        carom_page_drop(arena->page);
    arena->page = NULL;
}

struct carom_page *carom_arena_room(struct carom_arena *arena, uint32_t room)
{
    carom_assert(room <= arena->pages->size);
    struct carom_page *page = arena->page;
    if (page != NULL) {
        /* Rewound as early as can be, not when full: the same few cache lines are used again. */
        if (page->holds == 1)
            page->used = 0;
        if (page->size - page->used >= room)
            return page;
    }
    /* Taken before the old one is dropped, so that a failure leaves the arena as it was. */
    struct carom_page *fresh = carom_page_take(arena->pages);
    if (fresh == NULL)
        return NULL;
    if (page != NULL)
        carom_page_drop(page);
    arena->page = fresh;
    return fresh;
}

struct carom_page *carom_arena_hold(struct carom_arena *arena, size_t room)
{
    struct carom_pages *pages = arena->pages;
    if (carom_unlikely(room > pages->size))
        return room > UINT32_MAX - sizeof(struct carom_page)
                   ? NULL
                   : begin(carom_memory_take(bytes_of(room)), pages, room);
    struct carom_page *page = carom_arena_room(arena, (uint32_t)room);
    return page == NULL ? NULL : carom_page_hold(page);
}
