/* HTTP/1.1 on a connection: requests from its bytes (h1_read.c), responses to its bytes
 * (h1_write.c), when bytes may come (h1_receive.c), time (h1_time.c). The struct exists only while
 * something is read or in flight. */
#ifndef CAROM_HTTP_H1_H
#define CAROM_HTTP_H1_H

#include "http/connection.h"
#include "http/owed.h"
#include "record/record.h"
#include "wire/chunked.h"
#include "wire/h1_request.h"

enum carom_h1_phase {
    CAROM_H1_HEAD,     /* between requests, or in a head */
    CAROM_H1_LENGTH,   /* content of known length */
    CAROM_H1_CHUNKED,  /* chunked content */
    CAROM_H1_TRAILERS, /* the trailer section */
    CAROM_H1_HELD,     /* a request to upgrade is being answered: what follows may be no HTTP */
    CAROM_H1_TUNNEL,   /* raw bytes */
};

/* Waiting for content, measured against options.content_rate. */
struct carom_h1_rate {
    uint64_t since; /* when waiting began; 0: nobody waits */
    uint64_t bytes; /* in this window */
    uint32_t left;  /* ms of waiting left in this window; 0: a new one begins */
};

struct carom_h1 {
    struct carom_node exchanges; /* records in flight, in the order of their requests */
    uint32_t in_flight;          /* how many */
    carom_record *reading;       /* whose request is being read; NULL between requests */
    carom_record *fresh;         /* the same, when its handler has not been called yet */
    /* Input that is not taken yet: in a delivery it lies in the loop's page, afterwards in `held`.
     */
    struct carom_page *page;
    const uint8_t *data;
    uint32_t length;
    uint8_t phase;           /* enum carom_h1_phase */
    bool processing;         /* reading goes on further up the stack */
    struct carom_page *held; /* the page, when it is held */
    uint64_t left;           /* of content of known length */
    uint64_t dropped;        /* content dropped, since nobody reads it */
    struct carom_chunked chunked;
    struct carom_h1_reader reader;
    struct carom_h1_rate rate;
    struct carom_owed owed;
};

extern const struct carom_stream_protocol carom_h1_protocol;
extern const struct carom_exchange_ops carom_h1_exchange_ops;

/* Make what connections share, a pool of struct carom_h1; 0 or -CAROM_ENOMEM. And free it. */
int carom_h1_share(struct carom_connections *connections);
void carom_h1_unshare(struct carom_connections *connections);

static inline struct carom_pool *carom_h1_pool(const struct carom_connections *connections)
{
    return connections->shared[CAROM_SPEAKS_H1];
}

static inline struct carom_h1 *carom_h1_of(const struct carom_connection *connection)
{
    return connection->core.protocol_state;
}

/* Whether what follows the request is HTTP only when its answer says so. Nothing is read behind an
 * unanswered one, so there is one at most, and it is the last. */
static inline bool carom_h1_may_become_tunnel(const carom_record *record)
{
    return record->head.wants_upgrade || record->head.is_connect;
}

/* Whether a further request is taken behind those in flight: while their answers, large as answers
 * have been lately, are not too much for a client that may take none; while the client takes what
 * is answered; while whoever answers has heard of those before; and while others find room beside
 * those that this connection has. The first one always is, or is refused. */
static inline bool carom_h1_takes_another(const struct carom_connection *connection)
{
    struct carom_connections *connections = carom_connections_of(connection);
    const carom_options *options = connections->options;
    struct carom_h1 *h1 = carom_h1_of(connection);
    uint32_t in_flight = h1->in_flight;
    if (in_flight == 0)
        return true;
    return in_flight < connections->requests_ahead &&
           connection->stream.out.length < options->write_buffer &&
           (h1->owed.bytes == 0 ||
            (h1->owed.bytes < options->write_buffer &&
             carom_owed_leaves_room(connections, &h1->owed, &h1->exchanges))) &&
           carom_share_is_left(in_flight, connections->records.pool.in_use,
                               options->max_in_flight) &&
           !carom_owed_waits(connections, &h1->owed);
}

/* Nobody will read the content of this record: it is dropped as it comes. */
static inline bool carom_h1_nobody_reads(const struct carom_connection *connection,
                                         const carom_record *record)
{
    return record != carom_h1_of(connection)->fresh && !(record->holds & CAROM_HOLD_HANDLER);
}

/* Whether a head, or trailers, have come in part. */
static inline bool carom_h1_in_section(const struct carom_h1 *h1)
{
    return (h1->phase == CAROM_H1_HEAD && h1->reading != NULL) || h1->phase == CAROM_H1_TRAILERS;
}

/* Content of the record has come. */
static inline void carom_h1_count_content(struct carom_h1 *h1, carom_record *record, size_t length)
{
    h1->rate.bytes += length;
    record->content_received += length;
    record->continue_due = false; /* it has not waited for that */
}

/* The request that is read has come whole. */
void carom_h1_request_whole(struct carom_connection *connection);
/* Switch receiving on or off and set the read deadline, as the state of the connection asks. */
void carom_h1_update_receiving(struct carom_connection *connection);
/* Content that waits in the kernel goes into memory of its reader's: how many bytes. */
size_t carom_h1_receive(carom_record *record, uint8_t *to, size_t room);
/* The response decides what the bytes behind this request are: a tunnel, or nothing that is read as
 * HTTP. */
void carom_h1_set_phase(struct carom_connection *connection, enum carom_h1_phase phase);

/* Somebody waits for content: the window of content_rate runs. */
void carom_h1_rate_start(struct carom_connection *connection);
/* Nobody waits: the window stands still, or is over when enough has come. */
void carom_h1_rate_stop(struct carom_connection *connection);
/* Whether less has come in the window than content_rate asks for. */
bool carom_h1_too_slow(struct carom_connection *connection);
/* FIN has come: those who were told of what is no request may answer, but not for ever. */
void carom_h1_limit_refusals(struct carom_connection *connection);
/* And have not. */
void carom_h1_cancel_refusals(struct carom_connection *connection);

/* Move what is ready into the stream, in order, and complete the responses that are out. */
void carom_h1_flush(struct carom_connection *connection);
/* Whether nothing that was taken in is still being answered. */
bool carom_h1_all_answered(const struct carom_connection *connection);

/* The file of the response that is being sent has failed: cancel it, and no other. */
void carom_h1_file_failed(struct carom_connection *connection);

/* Take a record out of the connection and let go of it. */
void carom_h1_detach(struct carom_connection *connection, carom_record *record);
/* Cancel all records and let go of them. */
void carom_h1_cancel(struct carom_connection *connection, carom_reason reason);
/* Free the struct and what it holds. */
void carom_h1_drop(struct carom_connection *connection);

#endif
