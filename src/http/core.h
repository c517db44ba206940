/* The core of a connection: who refers to it, its deadlines, and its place in the turn, whatever
 * carries its bytes. It has no stream. connection.h puts one beside a stream of bytes; a protocol
 * that brings its own transport puts one beside that. */
#ifndef CAROM_HTTP_CORE_H
#define CAROM_HTTP_CORE_H

#include "http/connections.h"

enum carom_connection_state {
    CAROM_CONNECTION_OPEN,
    CAROM_CONNECTION_LINGERING, /* all is sent, FIN too; what still comes is dropped */
    CAROM_CONNECTION_CLOSED,
};

#define CAROM_NO_TIME UINT64_MAX

/* The address of one end of a connection; of a Unix one nothing is kept. */
struct carom_endpoint {
    uint8_t bytes[16]; /* the address in network byte order */
    uint16_t port;     /* in network byte order */
    uint16_t family;   /* carom_family */
};

void carom_endpoint_describe(const struct carom_endpoint *endpoint, carom_address *address);

/* What is known of a connection for a ring. It lies behind the core, if the connections are
 * observed (carom_connections_observe). */
struct carom_observed {
    struct carom_endpoint local; /* the local address; of no family before it is asked for */
    uint32_t number;             /* of the observer's; 0: it has not heard of it */
    bool secure;                 /* over TLS */
    uint64_t received;           /* bytes, as the protocol sees them */
};

/* The last member of what has it. */
struct carom_core {
    struct carom_connections *connections; /* of its worker */
    void *protocol_state;     /* of the protocol that is spoken, while it needs any; else NULL */
    struct carom_node link;   /* of connections->open, dirty or resumed */
    struct carom_timer timer; /* never later than the nearer of the two deadlines */
    uint64_t read_deadline, write_deadline;
    struct carom_endpoint peer;
    uint32_t refs;      /* its carrier, each record, and the list, if it is dirty or resumed */
    uint32_t requests;  /* so far */
    uint16_t listener;  /* through which it came; of the service's listeners */
    uint8_t state : 2;  /* enum carom_connection_state */
    uint8_t speaks : 2; /* enum carom_speaks */
    bool listed : 1;    /* as dirty or resumed, and held by that */
    bool resumed : 1;   /* its input waits for the next turn */
    bool peer_done : 1; /* the peer has sent FIN */
    bool unread : 1;    /* and that lies behind bytes that nobody has received yet */
    bool last : 1;      /* no further request is taken */
    bool has_state : 1; /* the program has asked for its memory with this connection */
};

/* What a core asks of what carries its bytes: the stream of a connection, say. It is told by the
 * protocol (struct carom_protocol), for a protocol knows what it is carried by. */
struct carom_carrier {
    /* Send what is ready; complete what was sent. It is not closed. */
    void (*flush)(struct carom_core *core);
    /* Go on with input that waited. */
    void (*resume)(struct carom_core *core);
    /* The read deadline has passed. */
    void (*read_timeout)(struct carom_core *core);
    /* A drain begins: end, if nothing is in flight. */
    void (*drain)(struct carom_core *core);
    /* Close at once; what is in flight is cancelled with `reason`. */
    void (*abort)(struct carom_core *core, carom_reason reason, bool reset);
    /* The socket, or -1: it has closed, or there is none. */
    int (*descriptor)(const struct carom_core *core);
    /* Bytes that were sent so far. */
    uint64_t (*sent)(const struct carom_core *core);
    /* The address of its near end. It may be closed. */
    void (*local)(const struct carom_core *core, carom_address *address);
    /* Its session of TLS; NULL: there is none. It may be closed; on any thread. */
    struct carom_tls_session *(*tls)(const struct carom_core *core);
    /* Nobody refers to the core any more: free it. */
    void (*dispose)(struct carom_core *core);
};

static inline const struct carom_carrier *carom_core_carrier(const struct carom_core *core)
{
    return carom_protocols[core->speaks]->carrier;
}

/* A core that is open, held once, and in no list yet. */
void carom_core_init(struct carom_core *core, struct carom_connections *connections,
                     uint16_t listener);
/* Its records, those that only a handler holds among them. It is open. */
static inline uint32_t carom_core_records(const struct carom_core *core)
{
    return core->refs - 1 - core->listed;
}
static inline void carom_core_hold(struct carom_core *core)
{
    core->refs++;
}
/* Nobody refers to it: it goes, and others may come. */
void carom_core_let_go(struct carom_core *core);
static inline void carom_core_drop(struct carom_core *core)
{
    carom_assert(core->refs > 0);
    if (carom_unlikely(--core->refs == 0))
        carom_core_let_go(core);
}
/* It is closed: no deadline any more, and no list but one that holds it. */
void carom_core_close(struct carom_core *core);

/* Put it on the list of those that are flushed before the turn ends. */
void carom_core_touch(struct carom_core *core);
/* Flush it now and not again before the turn ends, if it is on that list and does not wait for its
 * input. */
void carom_core_flush(struct carom_core *core);
/* As carom_core_touch, and let its waiting input go on in the next turn. */
void carom_core_resume(struct carom_core *core);

/* Set a deadline `milliseconds` from now (CAROM_OFF: none). */
void carom_core_read_within(struct carom_core *core, uint32_t milliseconds);
void carom_core_write_within(struct carom_core *core, uint32_t milliseconds);
/* Set the read deadline to when an idle connection, which waits for its next request, is closed. */
void carom_core_wait_idle(struct carom_core *core);

/* Only if they are observed. */
static inline struct carom_observed *carom_core_observed(const struct carom_core *core)
{
    return (struct carom_observed *)(uintptr_t)(core + 1);
}
/* The program's memory with a connection, options.connection_state bytes: behind what is observed.
 */
void *carom_core_state(const struct carom_core *core);
/* What lies behind a core at most. */
size_t carom_core_behind(const carom_options *options, bool observed);
/* The number by which its observer knows it; 0: it does not. */
uint32_t carom_core_number(const struct carom_core *core);
uint64_t carom_core_sent(const struct carom_core *core);
/* The local address, for a ring, which is told it with every request: the carrier is asked once.
 * Only if they are observed. */
const struct carom_endpoint *carom_core_local(struct carom_core *core);
/* As carrier->tls. */
struct carom_tls_session *carom_core_tls(const struct carom_core *core);
/* Whether nobody has a record of it, and no request of it is being read. It is open. */
bool carom_core_is_idle(const struct carom_core *core);
/* Send what is ready, then close the connection and cancel what is in flight (carrier->flush, then
 * carrier->abort). It may be closed already. */
void carom_core_destroy(struct carom_core *core, carom_reason reason, bool reset);
/* It is open: tell the observer, if there is one. False: it does not want it. */
bool carom_core_tell_opened(struct carom_core *core, bool secure);
void carom_core_tell_closed(struct carom_core *core, carom_reason reason);

/* Parts of a turn: let input go on that waited; flush all that have something to send. */
void carom_connections_resume(struct carom_connections *connections);
void carom_connections_flush(struct carom_connections *connections);
/* A drain begins: end those that are idle. */
void carom_connections_drain(struct carom_connections *connections);
/* Its deadline has passed: cancel all. */
void carom_connections_cancel(struct carom_connections *connections);

#endif
