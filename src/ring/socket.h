/* Sockets of a ring (carom_ring.h, "layout: sockets"). What the engine knows of each lies in its
 * own memory; sockets.c makes them, socket_news.c tells the VM of them, socket_messages.c does what
 * the VM asks.
 *
 * Nobody waits for another: a message from the VM is taken at once, and what finds no room among
 * the news is kept here, where its socket is not read until the VM has it. */
#ifndef CAROM_RING_SOCKET_H
#define CAROM_RING_SOCKET_H

#include "base/bins.h"
#include "ring/slot.h"

/* What options say of sockets that were accepted with them. */
struct carom_ring_settings {
    carom_websocket_options options;
    bool pings, pongs; /* the VM is told of these */
};

/* A log of bytes: one side writes, the other reads. */
struct carom_log {
    uint8_t *bytes; /* the VM's */
    uint32_t mask;
    uint32_t at; /* how far we are: the VM cannot change it */
};

/* A piece of news that has not been told whole. */
struct carom_telling {
    uint8_t *bytes; /* a copy of them, `length` bytes, or NULL */
    uint32_t length, told;
    uint8_t kind; /* enum carom_ring_socket_news; 0: there is none */
};

struct carom_ring_socket {
    struct carom_node waiting; /* for room among the news */
    struct carom_node unsent;  /* bytes of its messages have not left */
    struct carom_ring *ring;
    carom_websocket *socket; /* NULL: it is over */
    const struct carom_ring_settings *settings;
    uint32_t number;
    uint32_t taken, left;         /* bytes of messages that came from the VM, and that have left */
    uint32_t room_at;             /* bytes of them that may wait when the VM is told */
    struct carom_telling telling; /* the socket is not read meanwhile */
    struct carom_telling closing; /* the reason, */
    uint16_t code;                /* and the code, which FAILED has, too */
    bool clean : 1;
    bool owes_opened : 1; /* these are to be told */
    bool owes_failed : 1;
    bool owes_drained : 1;
    bool owes_closed : 1;
    bool paused : 1;        /* by the VM */
    bool wants_drained : 1; /* when half of the write buffer is free; */
    bool wants_room : 1;    /* when no more than `room_at` waits */
};

struct carom_ring_sockets {
    struct carom_ring *ring;
    uint32_t *words;
    struct carom_log news, messages;
    uint32_t most;
    uint32_t seen_head;                   /* of the VM, when there was no room */
    struct carom_ring_socket **by_number; /* 1 to most */
    struct carom_pool pool;
    struct carom_bins bins; /* bytes of what is kept */
    struct carom_node waiting, unsent;
    atomic_uint settings_count;
    struct carom_ring_settings *settings[CAROM_SOCKETS_MOST_SETTINGS];
};

/* ---- sockets.c ---- */

/* The socket of a number, or NULL. */
struct carom_ring_socket *carom_ring_socket_of(const struct carom_ring_sockets *sockets,
                                               uint32_t number);
/* A new one with a number that is free; NULL: there is no memory. */
struct carom_ring_socket *carom_ring_socket_make(struct carom_ring_sockets *sockets,
                                                 uint32_t number);
/* The VM has heard the last of it. */
void carom_ring_socket_free(struct carom_ring_socket *socket);
/* Give back what was kept to be told. */
void carom_ring_socket_forget(struct carom_ring_socket *socket, struct carom_telling *telling);
/* Look how much of its messages has left, and tell the VM. */
void carom_ring_socket_count(struct carom_ring_socket *socket);

/* In each round of a turn: take messages, go on with news. True when something was done. */
bool carom_ring_sockets_work(struct carom_ring_sockets *sockets);
/* Whether there is work for the call above. */
bool carom_ring_sockets_have_work(const struct carom_ring_sockets *sockets);
/* What has left since, as the turn ended, is told now: nothing may come for long. */
void carom_ring_sockets_before_sleep(struct carom_ring_sockets *sockets);
/* Whether ticks of the pools have work, and a tick. */
bool carom_ring_sockets_hold_memory(const struct carom_ring_sockets *sockets);
void carom_ring_sockets_tick(struct carom_ring_sockets *sockets);
/* The VM is going. */
void carom_ring_sockets_abandon(struct carom_ring_sockets *sockets);
void carom_ring_sockets_destroy(struct carom_ring_sockets *sockets);

/* ---- socket_news.c ---- */

extern const carom_websocket_handlers carom_ring_socket_handlers;

/* Tell something that is only a number; kept, when there is no room. */
void carom_ring_socket_tell_drained(struct carom_ring_socket *socket);
/* A number that is free again, since ACCEPT has failed. */
void carom_ring_sockets_tell_refused(struct carom_ring_socket *socket, int error);
/* The same, where there was no memory for a socket. Without room the number is lost to the VM. */
void carom_ring_sockets_tell_no_memory(struct carom_ring_sockets *sockets, uint32_t number);
/* A message that could not be sent; where there is no room, the socket is aborted. */
void carom_ring_socket_tell_dropped(struct carom_ring_socket *socket, uint32_t length);
/* Those that wait for room; true when some was told. */
bool carom_ring_sockets_tell_waiting(struct carom_ring_sockets *sockets);

/* ---- socket_messages.c ---- */

/* Do what the VM asks; true when it has asked for something. */
bool carom_ring_sockets_take(struct carom_ring_sockets *sockets);

static inline uint32_t carom_entry_room(uint32_t size)
{
    return (size + CAROM_ENTRY_ALIGN - 1) & ~(uint32_t)(CAROM_ENTRY_ALIGN - 1);
}

#endif
