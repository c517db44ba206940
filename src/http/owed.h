/* Answers that clients have yet to take: how much a connection is owed, and all of a worker's
 * together. A connection is given no further request while it is owed more than it leaves for
 * others (options.max_unsent), or while the VM that answers has not heard of those before. */
#ifndef CAROM_HTTP_OWED_H
#define CAROM_HTTP_OWED_H

#include "http/connections.h"

/* Of one connection; in the state of its protocol. */
struct carom_owed {
    uint64_t bytes; /* of content; what lies in files costs nothing, and does not count */
    struct carom_node waiting; /* of connections->crowded */
    struct carom_core *core;
    bool turn; /* it has waited there, and may give one request on */
};

static inline void carom_owed_init(struct carom_owed *owed, struct carom_core *core)
{
    owed->bytes = 0;
    owed->core = core;
    owed->turn = false;
    carom_node_init(&owed->waiting);
}

/* Learn how large answers are lately, and so how many of them a client may have ahead. */
void carom_owed_learn_anew(struct carom_connections *connections, uint64_t bytes);
static inline void carom_owed_learn(struct carom_connections *connections, uint64_t bytes)
{
    if (carom_unlikely(connections->answers_of_eight / 8 != bytes))
        carom_owed_learn_anew(connections, bytes);
}

/* The content of a record has become more, or less. */
static inline void carom_owed_count(struct carom_connections *connections, struct carom_owed *owed,
                                    carom_record *record)
{
    if (carom_likely(record->owed == 0 && record->body.length == 0))
        return;
    uint64_t now = record->lies_in_file ? 0 : carom_record_unsent(record);
    if (now > connections->answers_of_eight / 8 && record->owed == 0)
        carom_owed_learn(connections, now); /* at once; when it has left it may be late */
    owed->bytes += now - record->owed;
    connections->owed += now - record->owed;
    record->owed = now;
}

/* The record leaves the connection. */
static inline void carom_owed_forget(struct carom_connections *connections, struct carom_owed *owed,
                                     carom_record *record)
{
    if (carom_likely(record->owed == 0))
        return;
    owed->bytes -= record->owed;
    connections->owed -= record->owed;
    record->owed = 0;
}

/* Whether a connection with these records in flight leaves as much for others as it is owed, the
 * largest answer not counted. */
bool carom_owed_leaves_room(const struct carom_connections *connections,
                            const struct carom_owed *owed, const struct carom_node *exchanges);

/* So much may be answered to requests that were given on before anybody sees how much it is; after
 * so many answers it can be known. */
#define CAROM_OWED_UNSEEN  ((uint64_t)4 * 1024 * 1024)
#define CAROM_OWED_ANSWERS 64

/* Whether whoever answers has not heard yet of many requests that were given to it; of few, where
 * answers are large. */
static inline bool carom_connections_crowded(const struct carom_connections *connections)
{
    struct carom_guest *guest = connections->records.guest;
    if (carom_likely(guest == NULL))
        return false;
    uint64_t least = connections->responses < CAROM_OWED_ANSWERS
                         ? connections->options->write_buffer
                         : 1; /* bytes of an answer */
    uint64_t bytes = connections->answers_of_eight / 8;
    uint64_t most = CAROM_OWED_UNSEEN / (bytes > least ? bytes : least);
    return guest->behind(guest, most < UINT32_MAX ? (uint32_t)most + 1 : UINT32_MAX);
}

/* Whether its further requests wait for that: then it is told when there is no crowd any more. */
static inline bool carom_owed_waits(struct carom_connections *connections, struct carom_owed *owed)
{
    if (carom_likely(!carom_connections_crowded(connections)))
        return false;
    if (carom_node_alone(&owed->waiting))
        carom_list_append(&connections->crowded, &owed->waiting);
    return true;
}

/* Those who answer have caught up: connections that waited for it go on, each with its turn, until
 * there is a crowd again. */
void carom_connections_uncrowd(struct carom_connections *connections);

#endif
