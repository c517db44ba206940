/* A tunnel: the bytes behind an upgrade (RFC 9110, 7.8) or an extended CONNECT (RFC 8441), both
 * ways, for an owner on a floor above.
 *
 * It begins on the record that asked for it. Over HTTP/1.1 it takes the connection over when all
 * requests before that one are answered: the record is recycled, and the connection speaks the
 * tunnel's bytes as its protocol. Over HTTP/2 it stays with its record. Its owner sees no
 * difference: a queue of bytes that leave before the turn ends, bytes that have come, and an end.
 *
 * The owner embeds it. No call of this page calls an event. */
#ifndef CAROM_HTTP_TUNNEL_H
#define CAROM_HTTP_TUNNEL_H

#include "http/connections.h"
#include "http/stream_protocol.h"

struct carom_connection;
struct carom_tunnel;
struct carom_tunnel_record;
struct carom_tunnel_carrier;

struct carom_tunnel_events {
    /* Bytes have come; the owner may write where they lie. How many it has taken: when those are
     * not all, it has stopped receiving, and the others come again when it goes on. */
    uint32_t (*received)(struct carom_tunnel *tunnel, uint8_t *data, uint32_t length);
    /* No more bytes will come. */
    void (*peer_done)(struct carom_tunnel *tunnel);
    /* Some of what waited has left. */
    void (*sent)(struct carom_tunnel *tunnel);
    /* It is over, and not by its owner. The last event. */
    void (*over)(struct carom_tunnel *tunnel, carom_reason reason);
};

struct carom_tunnel {
    const struct carom_tunnel_events *events;
    union {
        struct carom_tunnel_record *record;
        struct carom_connection *connection; /* which is held */
    };
    /* Bytes that the owner has not taken yet, of a connection: in a page that is held. */
    struct carom_page *page;
    uint32_t at;             /* where they begin in it */
    uint32_t length : 27;    /* how many there are */
    bool has_connection : 1; /* which carries its bytes, and no record */
    bool receives : 1;       /* the owner wants bytes */
    bool is_over : 1;        /* there is no further event, and nothing is sent */
    bool peer_done : 1;      /* FIN has come, perhaps behind bytes that wait */
    bool told_done : 1;      /* and the owner knows */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct carom_tunnel) <= 32, "an idle socket has one");

/* What carries it, a connection of HTTP/1.1 (tunnel.c) or a record (tunnel_record.c): as the calls
 * below. */
struct carom_tunnel_carrier {
    struct carom_queue *(*out)(struct carom_tunnel *tunnel);
    void (*added)(struct carom_tunnel *tunnel, uint64_t bytes);
    uint64_t (*send_now)(struct carom_tunnel *tunnel, const struct carom_queue *queue);
    uint64_t (*unsent)(const struct carom_tunnel *tunnel);
    void (*receive)(struct carom_tunnel *tunnel); /* as tunnel->receives says */
    void (*end)(struct carom_tunnel *tunnel);
    void (*abort)(struct carom_tunnel *tunnel, carom_reason reason);
    /* Nothing of the tunnel is looked at any more. */
    void (*finish)(struct carom_tunnel *tunnel);
    struct carom_core *(*core)(const struct carom_tunnel *tunnel);
};

extern const struct carom_tunnel_carrier carom_tunnel_record_carrier;

extern const struct carom_stream_protocol carom_tunnel_protocol;

/* Make whattunnels on the records of a worker share, a pool; 0 or -CAROM_ENOMEM. And free it. */
int carom_tunnel_share(struct carom_connections *connections);
void carom_tunnel_unshare(struct carom_connections *connections);

/* Answer a request that asks for it with `response` (101, or 2xx over HTTP/2), and take the record
 * over, as if the handler had released it; receiving is on. 0, or as carom_upgrade, and then the
 * record is the handler's as before. */
int carom_tunnel_begin(struct carom_tunnel *tunnel, const struct carom_tunnel_events *events,
                       carom_record *record, const carom_response *response);

/* What is to be sent is appended here. */
struct carom_queue *carom_tunnel_out(struct carom_tunnel *tunnel);
/* `bytes` were appended: they leave before the turn ends, or when the peer takes them. */
void carom_tunnel_added(struct carom_tunnel *tunnel, uint64_t bytes);
/* Send bytes of `queue`, which is the caller's, from where they lie: as many as the peer takes at
 * once, and none where others wait, and with TLS or HTTP/2. How many: the rest is to be appended.
 */
uint64_t carom_tunnel_send_now(struct carom_tunnel *tunnel, const struct carom_queue *queue);
/* Bytes that were appended and have not left. */
uint64_t carom_tunnel_unsent(const struct carom_tunnel *tunnel);
/* Receive no more for now, or go on: then bytes come in a later turn. */
void carom_tunnel_receive(struct carom_tunnel *tunnel, bool on);

/* Whether what comes next is long, so that one receive should find room for more of it. Of a
 * connection alone: a record's bytes come as HTTP/2 has them. */
void carom_tunnel_widen(struct carom_tunnel *tunnel, bool on);

/* Nothing more is sent or received: what was appended leaves, then FIN (END_STREAM). No event
 * follows. */
void carom_tunnel_end(struct carom_tunnel *tunnel);
/* At once: the peer sees a reset. No event follows. */
void carom_tunnel_abort(struct carom_tunnel *tunnel, carom_reason reason);
/* It is over, and its owner goes: the last call. Not inside an event. */
void carom_tunnel_finish(struct carom_tunnel *tunnel);

/* The core of its connection, until it is finished. */
struct carom_core *carom_tunnel_core(const struct carom_tunnel *tunnel);

/* For HTTP/2: some of what its record had to send has left. */
void carom_tunnel_sent(struct carom_tunnel *tunnel);
/* For HTTP/1.1, whose state the connection has dropped: the tunnel of `record` takes it over.
 * `length` bytes of `page`, which becomes the tunnel's hold, have come already. */
void carom_tunnel_take_connection(carom_record *record, struct carom_connection *connection,
                                  struct carom_page *page, const uint8_t *data, uint32_t length);

#endif
