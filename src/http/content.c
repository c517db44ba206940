/* Content of a request: kept in the page in which it came, or packed with what came before. */
#include "http/content.h"

#include <string.h>

int carom_content_keep(struct carom_connections *connections, carom_record *record, bool packed,
                       struct carom_page *page, const uint8_t *data, uint32_t length)
{
    struct carom_pool *segments = &connections->records.segments;
    if (!packed || length >= connections->small.size / 2)
        return carom_queue_append_page(&record->content, segments, page, data, length);
    const struct carom_segment *last = record->content.last;
    bool room = last != NULL && last->page->home == &connections->small &&
                last->page->size - last->page->used >= length;
    page = room ? carom_page_hold(last->page) : carom_page_take(&connections->small);
    if (page == NULL)
        return -CAROM_ENOMEM;
    uint8_t *to = page->data + page->used;
    memcpy(to, data, length);
    page->used += length;
    int error = carom_queue_append_page(&record->content, segments, page, to, length);
    carom_page_drop(page);
    return error;
}
