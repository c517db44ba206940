/* An io_uring of the kernel: set up, filled, entered and reaped by its own system calls and shared
 * memory, without a library. It knows nothing of sockets.
 *
 * The ring is made disabled and belongs to the thread that enables it. Submissions gather until the
 * next enter, and are taken in the order in which they were written. Completions are posted in
 * calls of carom_uring_enter with `reap` only (DEFER_TASKRUN): between two of them the kernel reads
 * nothing that an operation points to. */
#ifndef CAROM_NET_URING_H
#define CAROM_NET_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carom_uring {
    int fd;             /* -1: none */
    uint32_t *sq_head;  /* the kernel's: what it has taken */
    uint32_t *sq_tail;  /* ours: what it may take */
    uint32_t *sq_flags; /* the kernel's */
    uint32_t *cq_head;  /* ours: what we have seen */
    uint32_t *cq_tail;  /* the kernel's: what there is */
    uint32_t *cq_flags; /* ours */
    uint32_t sq_entries, cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    void *rings;
    size_t rings_size, sqes_size;
};

/* Buffers that the kernel may choose from when it receives. */
struct carom_uring_buffers {
    struct io_uring_buf_ring *ring; /* NULL: none */
    uint16_t entries, tail;
};

/* Make a disabled ring; the numbers of entries are powers of two. 0 or a negative errno. */
int carom_uring_create(struct carom_uring *ring, uint32_t submissions, uint32_t completions);
void carom_uring_destroy(struct carom_uring *ring);
/* From now on the ring is the calling thread's. 0 or a negative errno. */
int carom_uring_enable(struct carom_uring *ring);
/* io_uring_register(2). 0 or a negative errno. */
int carom_uring_register(struct carom_uring *ring, unsigned what, const void *argument,
                         unsigned count);

/* The next submission, all zero. When there is no room the kernel is given what there is. */
struct io_uring_sqe *carom_uring_sqe(struct carom_uring *ring);
/* Make a submission that the kernel has not seen yet one that does nothing, with a user_data of 0:
 * what it points to may go. False when there is none. */
bool carom_uring_withdraw(struct carom_uring *ring, uint64_t user_data);
/* Submissions that the kernel has not seen yet. */
uint32_t carom_uring_unsubmitted(const struct carom_uring *ring);

/* Let the kernel take the submissions: what they point to for the call's sake may go afterwards,
 * what they send or fill may not. */
void carom_uring_submit(struct carom_uring *ring);
/* The same, and let it post completions; without any there, sleep until one comes, or for
 * `milliseconds` (0: not at all; < 0: for ever). Makes no system call when there is nothing to do.
 * May return early. */
void carom_uring_enter(struct carom_uring *ring, int64_t milliseconds);

/* Whether the eventfd that is registered is told of completions, from now on. */
void carom_uring_tell(struct carom_uring *ring, bool on);

/* Whether the kernel has completions that it posts in the next enter. */
bool carom_uring_pending(const struct carom_uring *ring);
/* How many completions are there. */
uint32_t carom_uring_ready(const struct carom_uring *ring);
/* The completion of that index, from 0; it stays where it is until carom_uring_seen drops it. */
static inline const struct io_uring_cqe *carom_uring_cqe(const struct carom_uring *ring,
                                                         uint32_t index)
{
    return &ring->cqes[(*ring->cq_head + index) & ring->cq_mask];
}
/* Drop the first `count` completions. */
void carom_uring_seen(struct carom_uring *ring, uint32_t count);

/* Give the ring a group of `entries` buffers (a power of two), empty at first. 0 or a negative
 * errno. */
int carom_uring_buffers_create(struct carom_uring_buffers *buffers, struct carom_uring *ring,
                               uint16_t group, uint16_t entries);
/* After the ring: the kernel may be using them until then. */
void carom_uring_buffers_destroy(struct carom_uring_buffers *buffers);
/* Add a buffer; at most `entries` are in the group at once. */
void carom_uring_buffers_add(struct carom_uring_buffers *buffers, void *data, uint32_t length,
                             uint16_t id);

#endif
