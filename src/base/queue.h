/* A queue of bytes: slices of pages, of borrowed memory and of files, in order. Content of records
 * and the outgoing bytes of a stream are such queues. One thread. Segments come from a pool. */
#ifndef CAROM_BASE_QUEUE_H
#define CAROM_BASE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/page.h"
#include "base/pool.h"

struct carom_segment {
    struct carom_segment *next;
    const uint8_t *data; /* NULL: the bytes lie in a file */
    uint64_t length;
    struct carom_page
        *page; /* held; or NULL for borrowed bytes and files: only they use the rest */
    void (*give_back)(void *owner);
    void *owner;
    uint64_t offset; /* files only: where the bytes begin */
    int fd;
    bool no_sendfile; /* files only: the kernel does not move these bytes, they are read */
};

struct carom_queue {
    struct carom_segment *first, *last;
    uint64_t length; /* bytes */
};

void carom_queue_init(struct carom_queue *queue);
void carom_queue_drop_all(struct carom_queue *queue, struct carom_pool *segments);
/* Drop everything: pages are dropped, borrowed bytes given back. give_back may append to the queue
 * that it is called from. */
static inline void carom_queue_clear(struct carom_queue *queue, struct carom_pool *segments)
{
    if (queue->first != NULL)
        carom_queue_drop_all(queue, segments);
}

/* Append bytes of a page, holding it once more unless they join the last segment without a gap.
 * Returns 0 or -CAROM_ENOMEM (nothing changed). */
int carom_queue_append_page(struct carom_queue *queue, struct carom_pool *segments,
                            struct carom_page *page, const uint8_t *data, size_t length);
/* Append borrowed bytes, given back once when all of them are consumed or dropped (a give_back of
 * NULL: nobody wants to know), and at once when there are none; on error they are not given back. 0
 * or -CAROM_ENOMEM. */
int carom_queue_append_borrowed(struct carom_queue *queue, struct carom_pool *segments,
                                const void *data, size_t length, void (*give_back)(void *owner),
                                void *owner);
/* Append bytes of a file, `fd` and what it says valid until they are given back; otherwise like
 * borrowed bytes. offset + length is at most INT64_MAX. */
int carom_queue_append_file(struct carom_queue *queue, struct carom_pool *segments, int fd,
                            uint64_t offset, uint64_t length, void (*give_back)(void *owner),
                            void *owner);
/* Append a copy, into the arena's pages. 0, or -CAROM_ENOMEM (nothing changed). */
int carom_queue_append_copy(struct carom_queue *queue, struct carom_pool *segments,
                            struct carom_arena *arena, const void *data, size_t length);
void carom_queue_join(struct carom_queue *to, struct carom_queue *from,
                      struct carom_pool *segments);
/* Move all of `from` behind `to`; neighbouring segments of one page are joined. */
static inline void carom_queue_splice(struct carom_queue *to, struct carom_queue *from,
                                      struct carom_pool *segments)
{
    if (from->first != NULL)
        carom_queue_join(to, from, segments);
}
/* Move the first `length` bytes of `from` (it has as many) behind `to`; 0 or -CAROM_ENOMEM (a
 * segment must be split and there is no memory; nothing changed). */
int carom_queue_move(struct carom_queue *to, struct carom_queue *from, uint64_t length,
                     struct carom_pool *segments);
/* Drop the first `length` bytes; the queue has as many. give_back may clear it. */
void carom_queue_consume(struct carom_queue *queue, struct carom_pool *segments, uint64_t length);
/* Describe up to `max` first segments, as far as they lie in memory; returns how many. The queue is
 * not changed. */
int carom_queue_vectors(const struct carom_queue *queue, struct iovec *vectors, int max);
/* Whether a vector of carom_queue_vectors is that of the last segment. */
static inline bool carom_queue_ends_with(const struct carom_queue *queue,
                                         const struct iovec *vector)
{
    return queue->last->data == vector->iov_base;
}

#endif
