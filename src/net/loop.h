/* The loop: what the engine asks of a kernel, in the shape of completions. The owner starts an
 * operation on a socket; its results come back as calls of the loop's events, from `deliver` only
 * (or, for a send that ends at once and for what is received at the owner's wish, as the return
 * value). Receiving is a stream of pages. Backends: epoll, io_uring, simulated.
 *
 * A turn of the owner:  wait -> deliver -> ... send ... -> reclaim.
 * One thread, except `wake`. */
#ifndef CAROM_NET_LOOP_H
#define CAROM_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/page.h"
#include "base/queue.h"

struct carom_loop;
struct carom_socket;
struct carom_acceptor;

struct carom_socket_events {
    /* Bytes have come. They lie in `page`, which is held for the call only: hold it to keep them.
     */
    void (*received)(struct carom_socket *socket, struct carom_page *page, const uint8_t *data,
                     uint32_t length);
    /* Nothing more will come: 0, once, after the peer's FIN and all bytes before it; a negative
     * error, once, when the connection is broken (also after FIN), and with it sending and a
     * pending send. */
    void (*peer_done)(struct carom_socket *socket, int error);
    /* While receiving is off: the peer has sent FIN behind bytes that are not received. Told once
     * in each pause; `peer_done` follows when they are received. */
    void (*fin_queued)(struct carom_socket *socket);
    /* The result of a send that was pending: bytes taken (> 0), or a negative error (`peer_done`
     * tells more). */
    void (*sent)(struct carom_socket *socket, int64_t result);
    /* The last event, from `reclaim`: nothing is outstanding, the socket may be freed. */
    void (*closed)(struct carom_socket *socket);
};

/* One connected descriptor; embedded by its owner, who reads but does not write the fields, except
 * `landing` and `wide`. */
struct carom_socket {
    _Alignas(8) int fd; /* backends put a tag into the lowest three bits of its address */
    bool receiving : 1; /* wanted by the owner */
    bool peer_done : 1; /* nothing more will come */
    bool closing : 1;   /* close was called: no event but `closed` follows */
    bool fin_seen : 1;  /* private to the backend: FIN was seen to come */
    bool told_fin : 1;  /* in this pause */
    bool wide : 1;      /* of the owner: much comes at once, see carom_loop.wide */
    uint8_t interest;   /* private to the backend */
    const struct carom_queue *sending; /* the pending send, or NULL */
    struct carom_page
        *landing; /* a page with one owner whose free rest takes the next bytes, so that they
                     follow what is there; NULL, or full: a page of the loop's choice */
    struct carom_node node; /* private to the backend: list of closed sockets and the like */
};

/* One listening descriptor; embedded by its owner. */
struct carom_acceptor {
    _Alignas(8) int fd; /* for a tag, as that of a socket */
    bool accepting;
    uint8_t interest; /* private to the backend */
    uint8_t filled;   /* private to carom_acceptor_batch */
    /* A connection has come; the callee owns fd (non-blocking, close-on-exec). */
    void (*accepted)(struct carom_acceptor *acceptor, int fd, const struct sockaddr *peer,
                     socklen_t length);
    /* Accepting failed for want of something (-CAROM_EMFILE, -CAROM_ENOMEM) and is stopped: start
     * it again when there is hope. */
    void (*failed)(struct carom_acceptor *acceptor, int error);
};

/* One descriptor of which the owner hears when it is ready, and which it reads and writes itself;
 * embedded by its owner, who sets `ready` and `fd` before it is watched. */
struct carom_descriptor {
    /* It is ready for `events` (CAROM_WATCH_READABLE, _WRITABLE), which are among those wanted;
     * told in each delivery for as long as that holds. It must not watch or unwatch. */
    void (*ready)(struct carom_descriptor *descriptor, unsigned events);
    int fd;
    uint8_t events; /* private to the backend: what it is watched for */
};

#define CAROM_SEND_PENDING INT64_MIN

struct carom_loop_ops {
    const char *name;
    void (*destroy)(struct carom_loop *loop);

    /* Accept connections until stopped, at most a batch a turn. `shared`: several loops listen on
     * this one descriptor. 0 or negative error. */
    int (*accept_start)(struct carom_loop *loop, struct carom_acceptor *acceptor, bool shared);
    void (*accept_stop)(struct carom_loop *loop, struct carom_acceptor *acceptor);

    /* Take over socket->fd; receiving is on. 0 or negative error (fd is
     * still the caller's). */
    int (*open)(struct carom_loop *loop, struct carom_socket *socket);
    /* Let bytes come, or not (what is on its way in this very delivery stops too). Pausing makes no
     * system call by itself; a reset is noticed all the same, and FIN (`fin_queued`). io_uring may
     * have taken bytes before the pause reaches it, at most what its buffers hold: they are kept
     * and come first. */
    void (*receive)(struct carom_loop *loop, struct carom_socket *socket, bool on);
    /* Receive bytes that wait, as far as is known, into `room` bytes at `to`, and touch those no
     * more: how many came, by one call. 0: none; FIN or an error is told in a delivery, as ever.
     * NULL: the backend has received them before anybody can ask. */
    size_t (*receive_now)(struct carom_loop *loop, struct carom_socket *socket, uint8_t *to,
                          size_t room);
    /* Send what is in `queue`, which stays still but for appending until the result. Bytes taken
     * (> 0), a negative error, or CAROM_SEND_PENDING: then `sent` brings the result. The queue is
     * not changed: consuming is the owner's. -CAROM_EFILE: a file in it is at fault, and the
     * connection is given up all the same. */
    int64_t (*send)(struct carom_loop *loop, struct carom_socket *socket,
                    const struct carom_queue *queue);
    /* Send what is in `queue` now, as far as that goes without waiting, and touch it no more: bytes
     * taken, a negative error, or CAROM_SEND_PENDING when none are. No send is pending, nor begun
     * by it. */
    int64_t (*send_now)(struct carom_loop *loop, struct carom_socket *socket,
                        const struct carom_queue *queue);
    /* Send FIN; no send is pending. */
    void (*shutdown)(struct carom_loop *loop, struct carom_socket *socket);
    /* Close, with a reset or in order; a pending send is dropped. `closed` follows in a reclaim,
     * never in this call. Idempotent. */
    void (*close)(struct carom_loop *loop, struct carom_socket *socket, bool reset);

    /* Watch a descriptor, or change what it is watched for. 0 or negative error: ENOENT (no
     * descriptor), EUNSUPPORTED (of a kind that is ready always: a regular file), ESTATE (somebody
     * else watches it), EMFILE, ENOMEM; then nothing has changed. */
    int (*watch)(struct carom_loop *loop, struct carom_descriptor *descriptor, unsigned events);
    /* Watch it no more: its owner may free it. Nothing to do when it is not watched, or was closed
     * meanwhile. */
    void (*unwatch)(struct carom_loop *loop, struct carom_descriptor *descriptor);

    /* Wait for the kernel until `deadline` (ms as `now` counts; 0: do not wait, UINT64_MAX: for
     * ever) or a wake. */
    void (*wait)(struct carom_loop *loop, uint64_t deadline);
    /* Deliver what the last wait found: accepts, receives, sends. */
    void (*deliver)(struct carom_loop *loop);
    /* Call `closed` of sockets that are closed and have nothing outstanding. */
    void (*reclaim)(struct carom_loop *loop);
    /* Make the wait return, or the next one: any thread, async-signal-safe. */
    void (*wake)(struct carom_loop *loop);
    /* A descriptor for a foreign loop: readable when wait(0) and deliver have work, or `deadline`
     * of the last call of alarm has come. Negative error when there is none. */
    int (*descriptor)(struct carom_loop *loop);
    /* With a descriptor handed out, at the end of each turn: let it be readable at `deadline`
     * (UINT64_MAX: never). */
    void (*alarm)(struct carom_loop *loop, uint64_t deadline);
    /* Read the clock afresh, as wait does. */
    void (*read_clock)(struct carom_loop *loop);
    /* Milliseconds of a clock that never goes back, as last read; > 0. */
    uint64_t (*now)(struct carom_loop *loop);
    /* Seconds since 1970 for the Date field, as last read. */
    int64_t (*seconds)(struct carom_loop *loop);
};

/* What every backend begins with. */
struct carom_loop {
    const struct carom_loop_ops *ops;
    const struct carom_socket_events *events; /* of all its sockets; set by the owner */
    struct carom_arena *arena;                /* where received bytes go */
    /* The same for sockets that are `wide`: pages in which one receive finds room for more. Set by
     * the owner, or NULL. io_uring, which receives into buffers of its own, does not look at it. */
    struct carom_arena *wide;
    struct carom_node closed; /* closed sockets that wait for reclaim */
    uint64_t bytes_received, bytes_sent;
    bool sigpipe_blocked;             /* in the thread that runs it */
    const struct carom_socket *rests; /* private to file.c */
};

/* Make the epoll backend. -CAROM_EMFILE, -CAROM_ENOMEM. */
int carom_loop_epoll_create(struct carom_loop **loop, struct carom_arena *arena);
/* Make the io_uring backend. -CAROM_EMFILE, -CAROM_ENOMEM; -CAROM_EUNSUPPORTED, with errno, when
 * the kernel has no io_uring for us. It belongs to the thread of its first wait. */
int carom_loop_uring_create(struct carom_loop **loop, struct carom_arena *arena);

#endif
