/* Queue of bytes. Invariants: no segment is empty; `length` is the sum of the segments; two
 * neighbours never continue each other in one page (they would have been joined).
 *
 * Giving borrowed bytes back runs code of their owner, which may append to this very queue: the
 * queue is made whole before each call. */
#include "base/queue.h"

#include <string.h>

#include "base/assert.h"
#include "carom.h"

/* Borrowed bytes that were split: the parts are counted, and the last one gives the bytes back. A
 * loan lies in an object of the segments' pool. */
struct loan {
    size_t parts;
    struct carom_pool *home;
    void (*give_back)(void *owner);
    void *owner;
};

_Static_assert(sizeof(struct loan) <= sizeof(struct carom_segment), "a loan lies in a segment");

static void loan_drop(void *owner)
{
    struct loan *loan = owner;
    carom_assert(loan->parts > 0);
    if (--loan->parts > 0)
        return;
    struct loan ended = *loan;
    carom_pool_give(ended.home, loan);
    ended.give_back(ended.owner);
}

void carom_queue_init(struct carom_queue *queue)
{
    *queue = (struct carom_queue){0};
}

/* Take the first segment out and let go of what it points to. */
static void drop_first(struct carom_queue *queue, struct carom_pool *segments)
{
    struct carom_segment *first = queue->first;
    struct carom_segment dropped = *first;
    queue->first = dropped.next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->length -= dropped.length;
    carom_pool_give(segments, first);
    if (dropped.page != NULL)
        carom_page_drop(dropped.page);
    else if (dropped.give_back != NULL)
        dropped.give_back(dropped.owner);
}

void carom_queue_drop_all(struct carom_queue *queue, struct carom_pool *segments)
{
    while (queue->first != NULL)
        drop_first(queue, segments);
    carom_assert(queue->length == 0);
}

static void link_last(struct carom_queue *queue, struct carom_segment *segment)
{
    if (queue->last != NULL)
        queue->last->next = segment;
    else
        queue->first = segment;
    queue->last = segment;
    queue->length += segment->length;
}

/* Whether bytes of a page come right behind the end of the queue, in the same page. */
static bool continues(const struct carom_queue *queue, const struct carom_page *page,
                      const uint8_t *data)
{
    const struct carom_segment *last = queue->last;
    return last != NULL && page != NULL && last->page == page && last->data + last->length == data;
}

int carom_queue_append_page(struct carom_queue *queue, struct carom_pool *segments,
                            struct carom_page *page, const uint8_t *data, size_t length)
{
    carom_check(data >= page->data && length <= page->size &&
                data + length <= page->data + page->size);
    if (length == 0)
        return 0;
    if (continues(queue, page, data)) {
        queue->last->length += length;
        queue->length += length;
        return 0;
    }
    struct carom_segment *segment = carom_pool_take(segments);
    if (segment == NULL)
        return -CAROM_ENOMEM;
    segment->next = NULL;
    segment->data = data;
    segment->length = length;
    segment->page = carom_page_hold(page);
    link_last(queue, segment);
    return 0;
}

int carom_queue_append_borrowed(struct carom_queue *queue, struct carom_pool *segments,
                                const void *data, size_t length, void (*give_back)(void *owner),
                                void *owner)
{
    if (length == 0) {
        if (give_back != NULL)
            give_back(owner);
        return 0;
    }
    carom_assert(data != NULL);
    struct carom_segment *segment = carom_pool_take(segments);
    if (segment == NULL)
        return -CAROM_ENOMEM;
    *segment = (struct carom_segment){
        .data = data, .length = length, .give_back = give_back, .owner = owner};
    link_last(queue, segment);
    return 0;
}

int carom_queue_append_file(struct carom_queue *queue, struct carom_pool *segments, int fd,
                            uint64_t offset, uint64_t length, void (*give_back)(void *owner),
                            void *owner)
{
    carom_assert(offset <= INT64_MAX && length <= INT64_MAX - offset);
    if (length == 0) {
        if (give_back != NULL)
            give_back(owner);
        return 0;
    }
    struct carom_segment *segment = carom_pool_take(segments);
    if (segment == NULL)
        return -CAROM_ENOMEM;
    *segment = (struct carom_segment){
        .length = length, .give_back = give_back, .owner = owner, .offset = offset, .fd = fd};
    link_last(queue, segment);
    return 0;
}

/* The least of a page's rest that is filled with a part of a longer copy: smaller crumbs would cost
 * more as a segment than they save as memory. */
#define LEAST_PART 1024

int carom_queue_append_copy(struct carom_queue *queue, struct carom_pool *segments,
                            struct carom_arena *arena, const void *data, size_t length)
{
    /* Gathered apart, so that a failure half-way leaves the queue alone; but what fits in one
     * piece, nearly everything, goes in directly and can join its predecessor without a segment. */
    struct carom_queue gathered = {0};
    const uint8_t *bytes = data;
    uint32_t part = arena->pages->size < LEAST_PART ? arena->pages->size : LEAST_PART;
    while (length > 0) {
        struct carom_page *page = carom_arena_room(arena, length < part ? (uint32_t)length : part);
        if (page == NULL)
            goto no_memory;
        uint32_t room = page->size - page->used;
        uint32_t piece = length < room ? (uint32_t)length : room;
        uint8_t *target = page->data + page->used;
        bool whole = gathered.first == NULL && piece == length;
        memcpy(target, bytes, piece);
        if (carom_queue_append_page(whole ? queue : &gathered, segments, page, target, piece) != 0)
            goto no_memory;
        page->used += piece;
        bytes += piece;
        length -= piece;
    }
    carom_queue_splice(queue, &gathered, segments);
    return 0;

no_memory:
    carom_queue_clear(&gathered, segments);
    return -CAROM_ENOMEM;
}

void carom_queue_join(struct carom_queue *to, struct carom_queue *from, struct carom_pool *segments)
{
    carom_assert(to != from);
    struct carom_segment *first = from->first;
    if (continues(to, first->page, first->data)) {
        to->last->length += first->length;
        to->length += first->length;
        drop_first(from, segments); /* its hold goes; the one of to->last stays */
        if (from->first == NULL)
            return;
    }
    if (to->last != NULL)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    to->length += from->length;
    *from = (struct carom_queue){0};
}

/* Make the borrowed bytes of a segment a loan of one part, unless they are one or nobody wants them
 * back. 0 or -CAROM_ENOMEM. */
static int lend(struct carom_segment *segment, struct carom_pool *segments)
{
    if (segment->give_back == NULL || segment->give_back == loan_drop)
        return 0;
    struct loan *loan = carom_pool_take(segments);
    if (loan == NULL)
        return -CAROM_ENOMEM;
    *loan = (struct loan){
        .parts = 1, .home = segments, .give_back = segment->give_back, .owner = segment->owner};
    segment->give_back = loan_drop;
    segment->owner = loan;
    return 0;
}

/* Leave out the first `length` bytes of a segment, not all of them. */
static void advance(struct carom_segment *segment, uint64_t length)
{
    if (segment->data != NULL)
        segment->data += length;
    else
        segment->offset += length;
    segment->length -= length;
}

/* Cut the first `length` bytes of a segment off into a new one, not linked; NULL when out of
 * memory. */
static struct carom_segment *cut_head(struct carom_segment *segment, uint64_t length,
                                      struct carom_pool *segments)
{
    carom_assert(length > 0 && length < segment->length);
    struct carom_segment *head = carom_pool_take(segments);
    if (head == NULL)
        return NULL;
    if (segment->page != NULL) {
        carom_page_hold(segment->page);
    } else if (lend(segment, segments) != 0) {
        carom_pool_give(segments, head);
        return NULL;
    } else if (segment->give_back != NULL) {
        ((struct loan *)segment->owner)->parts++;
    }
    *head = *segment;
    head->next = NULL;
    head->length = length;
    advance(segment, length);
    return head;
}

int carom_queue_move(struct carom_queue *to, struct carom_queue *from, uint64_t length,
                     struct carom_pool *segments)
{
    carom_assert(to != from && length <= from->length);
    if (length == from->length) {
        carom_queue_splice(to, from, segments);
        return 0;
    }
    uint64_t left = length; /* of it, lies in `next` */
    struct carom_segment *whole = NULL, *next = from->first;
    while (left >= next->length) {
        left -= next->length;
        whole = next;
        next = next->next;
    }
    struct carom_segment *head = NULL;
    if (left > 0) {
        head = cut_head(next, left, segments);
        if (head == NULL)
            return -CAROM_ENOMEM;
    }
    struct carom_queue moved = {0};
    if (whole != NULL) {
        moved = (struct carom_queue){from->first, whole, length - left};
        whole->next = NULL;
    }
    if (head != NULL)
        link_last(&moved, head);
    from->first = next;
    from->length -= length;
    carom_queue_splice(to, &moved, segments);
    return 0;
}

void carom_queue_consume(struct carom_queue *queue, struct carom_pool *segments, uint64_t length)
{
    carom_assert(length <= queue->length);
    /* Who is given bytes back may clear the queue: then there is no first, and none to leave out.
     */
    while (length > 0 && queue->first != NULL) {
        struct carom_segment *first = queue->first;
        if (length < first->length) {
            advance(first, length);
            queue->length -= length;
            return;
        }
        length -= first->length;
        drop_first(queue, segments);
    }
}

int carom_queue_vectors(const struct carom_queue *queue, struct iovec *vectors, int max)
{
    int count = 0;
    const struct carom_segment *segment = queue->first;
    for (; segment != NULL && segment->data != NULL && count < max;
         segment = segment->next, count++) {
        /* iovec has no const, though writing only reads. */
        vectors[count].iov_base = (void *)(uintptr_t)segment->data;
        vectors[count].iov_len = (size_t)segment->length;
    }
    return count;
}
