/* What the simulated backend (loop_simulated.c) and the far ends of its connections
 * (simulated_peer.c) share. */
#ifndef CAROM_NET_SIMULATED_H
#define CAROM_NET_SIMULATED_H

#include <stdatomic.h>

#include "net/loop.h"

/* The number of the first peer's descriptor: far from those of the kernel, so that a system call on
 * it fails. Below it is that for a foreign loop. */
#define CAROM_SIMULATED_FIRST_FD (1 << 24)
/* Descriptors of the program that can be watched: numbers behind those of all peers. */
#define CAROM_SIMULATED_WATCHED_FD (CAROM_SIMULATED_FIRST_FD * 2)
#define CAROM_SIMULATED_WATCHED    64
/* Acceptors at a time. */
#define CAROM_SIMULATED_ACCEPTORS 8

/* What the simulated kernel does by chance. All zero, as at first: nothing. */
struct carom_simulated_whims {
    uint32_t (*random)(void *source, uint32_t below);
    void *source;
    /* How likely, of 1,000: */
    uint16_t partial;       /* less is received or sent than could be (a send: perhaps nothing) */
    uint16_t no_buffers;    /* a receive or a send fails with ENOBUFS, and the connection with it */
    uint16_t no_descriptor; /* an accept fails with EMFILE */
    uint16_t shuffled;      /* what is ready is delivered in any order */
};

/* Bytes that are added at the end, and how far they are taken. */
struct carom_simulated_bytes {
    char *data;
    size_t size, used, taken;
};

/* The far end of one connection. */
struct carom_peer {
    struct carom_socket *socket;                 /* the engine's side, while it is open */
    struct carom_simulated_bytes sent, received; /* as the peer sees it */
    size_t piece, window;
    int fd;
    bool fin_sent, reset; /* by this peer; reset for want of memory, too */
    bool failed;          /* for want of buffers or memory */
    bool saw_fin, saw_reset, saw_close;
};

/* A descriptor of the program: who watches it, and what it is ready for. */
struct carom_simulated_watched {
    struct carom_descriptor *descriptor;
    unsigned ready;
};

/* The network. */
struct carom_simulated {
    struct carom_loop loop;    /* first member */
    struct carom_peer **peers; /* in the order of connecting */
    size_t peer_count, peer_size;
    struct carom_peer **found; /* by the last wait: something is to be delivered */
    size_t found_count;
    size_t accepted_count; /* the first ones are accepted, the rest wait */
    struct carom_acceptor *acceptors[CAROM_SIMULATED_ACCEPTORS];
    struct carom_simulated_watched watched[CAROM_SIMULATED_WATCHED];
    uint64_t clock, now; /* ms: the time it is, and as last read */
    uint64_t alarm;
    struct carom_simulated_whims whims;
    void (*idle)(void *data);
    void *idle_data;
    bool found_connections;
    atomic_bool awake;
};

/* False when out of memory. */
bool carom_simulated_append(struct carom_simulated_bytes *bytes, const void *data, size_t length);

#endif
