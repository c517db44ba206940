/* A ring of io_uring: its setup, its queues, its buffers. The kernel reads and writes the queues at
 * the same time as we do: a tail is published after the entries before it (release), and those are
 * read after the tail (acquire). */
#include "net/uring.h"

#include <errno.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

/* What the engine builds on; all of it is there since Linux 6.1, which took SETUP. */
#define SETUP                                                                                      \
    (IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |                     \
     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define FEATURES                                                                                   \
    (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |                    \
     IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

static uint32_t acquire(const uint32_t *shared)
{
    return __atomic_load_n(shared, __ATOMIC_ACQUIRE);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes there */
static void release(uint32_t *shared, uint32_t value)
{
    __atomic_store_n(shared, value, __ATOMIC_RELEASE);
}

/* ---------------------------------------------------------------- life */

static void *map(const struct carom_uring *ring, size_t size, off_t what)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTFORK); /* a child that runs on must not find it */
    return memory;
}

static int map_all(struct carom_uring *ring, const struct io_uring_params *made)
{
    size_t submissions = made->sq_off.array + made->sq_entries * sizeof(uint32_t);
    size_t completions = made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_size = submissions > completions ? submissions : completions;
    ring->sqes_size = made->sq_entries * sizeof(struct io_uring_sqe);
    ring->rings = map(ring, ring->rings_size, IORING_OFF_SQ_RING);
    ring->sqes = map(ring, ring->sqes_size, IORING_OFF_SQES);
    if (ring->rings == NULL || ring->sqes == NULL)
        return -ENOMEM;
    char *base = ring->rings;
    ring->sq_head = (uint32_t *)(void *)(base + made->sq_off.head);
    ring->sq_tail = (uint32_t *)(void *)(base + made->sq_off.tail);
    ring->sq_flags = (uint32_t *)(void *)(base + made->sq_off.flags);
    ring->cq_head = (uint32_t *)(void *)(base + made->cq_off.head);
    ring->cq_tail = (uint32_t *)(void *)(base + made->cq_off.tail);
    ring->cq_flags = (uint32_t *)(void *)(base + made->cq_off.flags);
    ring->cqes = (struct io_uring_cqe *)(void *)(base + made->cq_off.cqes);
    ring->sq_entries = made->sq_entries;
    ring->cq_mask = made->cq_entries - 1;
    /* The kernel takes submissions by way of a table of indices: here always the same one. */
    uint32_t *indices = (uint32_t *)(void *)(base + made->sq_off.array);
    for (uint32_t i = 0; i < made->sq_entries; i++)
        indices[i] = i;
    return 0;
}

/* A filter may let us make a ring that we may not use: the kernel itself would say that this one is
 * disabled. */
static int may_enter(const struct carom_uring *ring)
{
    return syscall(SYS_io_uring_enter, ring->fd, 0, 0, 0, NULL, 0) < 0 && errno != EBADFD ? -errno
                                                                                          : 0;
}

int carom_uring_create(struct carom_uring *ring, uint32_t submissions, uint32_t completions)
{
    struct io_uring_params params = {.flags = SETUP, .cq_entries = completions};
    *ring = (struct carom_uring){.fd = -1};
    ring->fd = (int)syscall(SYS_io_uring_setup, submissions, &params);
    if (ring->fd < 0)
        return -errno;
    int error = (params.features & FEATURES) == FEATURES ? map_all(ring, &params) : -EOPNOTSUPP;
    if (error == 0)
        error = may_enter(ring);
    if (error < 0)
        carom_uring_destroy(ring);
    return error;
}

void carom_uring_destroy(struct carom_uring *ring)
{
    if (ring->sqes != NULL)
        munmap(ring->sqes, ring->sqes_size);
    if (ring->rings != NULL)
        munmap(ring->rings, ring->rings_size);
    if (ring->fd >= 0)
        close(ring->fd);
    *ring = (struct carom_uring){.fd = -1};
}

int carom_uring_register(struct carom_uring *ring, unsigned what, const void *argument,
                         unsigned count)
{
    return syscall(SYS_io_uring_register, ring->fd, what, argument, count) < 0 ? -errno : 0;
}

int carom_uring_enable(struct carom_uring *ring)
{
    return carom_uring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* ---------------------------------------------------------------- submitting */

uint32_t carom_uring_unsubmitted(const struct carom_uring *ring)
{
    return *ring->sq_tail - acquire(ring->sq_head);
}

static struct io_uring_sqe *sqe_at(struct carom_uring *ring, uint32_t position)
{
    return &ring->sqes[position & (ring->sq_entries - 1)];
}

/* The kernel looks in its own calls only, so a submission is published before it is filled in. */
struct io_uring_sqe *carom_uring_sqe(struct carom_uring *ring)
{
    if (carom_uring_unsubmitted(ring) == ring->sq_entries)
        carom_uring_submit(ring);
    struct io_uring_sqe *sqe = sqe_at(ring, *ring->sq_tail);
    memset(sqe, 0, sizeof *sqe);
    release(ring->sq_tail, *ring->sq_tail + 1);
    return sqe;
}

bool carom_uring_withdraw(struct carom_uring *ring, uint64_t user_data)
{
    for (uint32_t at = acquire(ring->sq_head); at != *ring->sq_tail; at++) {
        struct io_uring_sqe *sqe = sqe_at(ring, at);
        if (sqe->user_data == user_data) {
            memset(sqe, 0, sizeof *sqe);
            sqe->opcode = IORING_OP_NOP;
            return true;
        }
    }
    return false;
}

static void enter(struct carom_uring *ring, unsigned least, unsigned flags,
                  const struct io_uring_getevents_arg *argument)
{
    long result = syscall(SYS_io_uring_enter, ring->fd, carom_uring_unsubmitted(ring), least, flags,
                          argument, argument != NULL ? sizeof *argument : 0);
    if (carom_likely(result >= 0 || errno == ETIME || errno == EINTR))
        return;
    /* A failure takes nothing, and whoever called comes again: not at once, should it last. */
    const struct timespec while_refused = {.tv_nsec = 1000000};
    nanosleep(&while_refused, NULL);
}

void carom_uring_submit(struct carom_uring *ring)
{
    while (carom_uring_unsubmitted(ring) > 0) /* nothing can be done without */
        enter(ring, 0, 0, NULL);
}

void carom_uring_enter(struct carom_uring *ring, int64_t milliseconds)
{
    struct __kernel_timespec length = {.tv_sec = milliseconds / 1000,
                                       .tv_nsec = milliseconds % 1000 * 1000000};
    struct io_uring_getevents_arg argument = {.ts = milliseconds > 0 ? (uintptr_t)&length : 0};
    if (milliseconds != 0 && carom_uring_ready(ring) == 0)
        enter(ring, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument);
    else if (carom_uring_unsubmitted(ring) > 0 || carom_uring_pending(ring))
        enter(ring, 0, IORING_ENTER_GETEVENTS, NULL);
}

/* ---------------------------------------------------------------- completions */

void carom_uring_tell(struct carom_uring *ring, bool on)
{
    __atomic_store_n(ring->cq_flags, on ? 0 : IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
}

bool carom_uring_pending(const struct carom_uring *ring)
{
    return (acquire(ring->sq_flags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

uint32_t carom_uring_ready(const struct carom_uring *ring)
{
    return acquire(ring->cq_tail) - *ring->cq_head;
}

void carom_uring_seen(struct carom_uring *ring, uint32_t count)
{
    release(ring->cq_head, *ring->cq_head + count);
}

/* ---------------------------------------------------------------- buffers */

int carom_uring_buffers_create(struct carom_uring_buffers *buffers, struct carom_uring *ring,
                               uint16_t group, uint16_t entries)
{
    size_t size = entries * sizeof(struct io_uring_buf);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *buffers = (struct carom_uring_buffers){0};
    if (memory == MAP_FAILED)
        return -ENOMEM;
    madvise(memory, size, MADV_DONTFORK);
    buffers->ring = memory;
    buffers->entries = entries;
    const struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)memory, .ring_entries = entries, .bgid = group};
    int error = carom_uring_register(ring, IORING_REGISTER_PBUF_RING, &registration, 1);
    if (error < 0)
        carom_uring_buffers_destroy(buffers);
    return error;
}

void carom_uring_buffers_destroy(struct carom_uring_buffers *buffers)
{
    if (buffers->ring != NULL)
        munmap(buffers->ring, buffers->entries * sizeof(struct io_uring_buf));
    buffers->ring = NULL;
}

void carom_uring_buffers_add(struct carom_uring_buffers *buffers, void *data, uint32_t length,
                             uint16_t id)
{
    struct io_uring_buf *buffer = &buffers->ring->bufs[buffers->tail & (buffers->entries - 1)];
    buffer->addr = (uintptr_t)data; /* not `resv`: in the first one that is the tail */
    buffer->len = length;
    buffer->bid = id;
    __atomic_store_n(&buffers->ring->tail, ++buffers->tail, __ATOMIC_RELEASE);
}
