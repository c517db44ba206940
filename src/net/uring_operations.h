/* Operations of io_uring: what the loop (loop_uring.c) and its sockets (uring_sockets.c) share, and
 * how either submits one. */
#ifndef CAROM_NET_URING_OPERATIONS_H
#define CAROM_NET_URING_OPERATIONS_H

#include <sys/socket.h>

#include "base/pool.h"
#include "net/descriptors.h"
#include "net/uring.h"

/* Pages that the kernel may receive into before it must wait for us. */
#define CAROM_URING_BUFFERS 128
/* Sends of several segments in one submission, and the segments that one takes. */
#define CAROM_URING_MESSAGES 32
#define CAROM_URING_VECTORS  64

/* What user_data points to, in its low bits. */
enum carom_uring_tag {
    CAROM_URING_NOTHING,
    CAROM_URING_RECEIVE, /* of a socket */
    CAROM_URING_SEND,
    CAROM_URING_POLL,
    CAROM_URING_AGAIN,
    CAROM_URING_ACCEPTOR, /* an acceptor */
    CAROM_URING_WAKE,
    CAROM_URING_WATCHED,  /* the set of watched descriptors */
    CAROM_URING_TAGS = 7, /* a mask */
};

/* What a send of several segments points to until it is submitted. */
struct carom_uring_message {
    struct msghdr header;
    struct iovec vectors[CAROM_URING_VECTORS];
};

struct carom_uring_loop {
    struct carom_loop loop; /* first member */
    struct carom_uring ring;
    struct carom_uring_buffers buffers;
    struct carom_page *pages[CAROM_URING_BUFFERS]; /* by buffer; NULL: no memory for one */
    uint32_t missing;                              /* buffers without a page */
    struct carom_pool kept;                        /* bytes of paused sockets */
    struct carom_node accept_polls;
    struct carom_descriptors watched;
    bool watched_polled;   /* a poll of that set is under way */
    uint32_t found;        /* completions for the next delivery */
    bool enabled;          /* by the thread that runs it */
    int event;             /* wakes */
    int poll, timer, news; /* for a foreign loop, or -1: all that it watches, alarm, completions */
    uint64_t now, alarm, trimmed; /* the last tick of `kept` */
    int64_t seconds;
    uint32_t message_count; /* in use, since the last submission */
    struct carom_uring_message messages[CAROM_URING_MESSAGES];
};

static inline struct carom_uring_loop *carom_uring_of(struct carom_loop *loop)
{
    return (struct carom_uring_loop *)loop;
}

/* Pointers are aligned: their low bits are free. */
static inline uint64_t carom_uring_tagged(const void *pointer, enum carom_uring_tag tag)
{
    return (uint64_t)(uintptr_t)pointer | tag;
}

/* A new operation. */
struct io_uring_sqe *carom_uring_operation(struct carom_loop *loop, uint8_t code, int fd,
                                           uint64_t user_data);
/* A new poll; it ends with the first of these events. */
struct io_uring_sqe *carom_uring_poll(struct carom_loop *loop, int fd, uint32_t events,
                                      uint64_t user_data);
/* Cancel an operation. Its completion follows, unless the kernel has never seen it: false. */
bool carom_uring_cancel(struct carom_loop *loop, uint64_t user_data);

#endif
