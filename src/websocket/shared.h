/* What the sockets of a worker share: pools, the list of those of which the program is to be told,
 * topics, settings, and counts. websockets.c makes it. */
#ifndef CAROM_WEBSOCKET_SHARED_H
#define CAROM_WEBSOCKET_SHARED_H

#include "base/bins.h"
#include "http/connections.h"
#include "record/life.h"
#include "websocket/topics.h"

/* Closes are counted by their codes, those from 1000 to 1014, and the rest together. */
enum { CAROM_WS_CODES_COUNTED = 16 };

/* A message of 64 KiB fits in whole, and the next one. */
#define CAROM_WS_LONG_PAGE (128 * 1024 + 1024)

struct carom_ws_settings;

struct carom_websockets {
    struct carom_connections *connections; /* of the worker */
    struct carom_pool sockets;
    struct carom_pool partials;
    struct carom_pool compressing;      /* of sockets whose messages may be compressed */
    struct carom_lives lives;           /* of sockets, as those of records */
    struct carom_bins bins;             /* bytes of messages that are not whole */
    struct carom_node open;             /* sockets of which there is nothing to tell, */
    struct carom_node due;              /* and those of which there is */
    carom_waker tell;                   /* ready while there are */
    struct carom_ws_settings *settings; /* that sockets have */
    bool draining;
    bool deflates; /* something was compressed or inflated, so ticks have work */
    /* What long messages are received into, whole where that can be: a page, for as long as some
     * come, whosesoever. */
    struct carom_pages long_pages;
    struct carom_arena long_room;
    bool long_came; /* since the last tick */
    struct carom_topics topics;
    /* Frames of what is published, and nothing between them: those of a turn are one segment in the
     * queue of each subscriber. */
    struct carom_arena published;
    struct carom_websockets *next;         /* another worker's of the service, in a ring */
    struct carom_pool publications, posts; /* messages on their way to other workers, */
    uint32_t posts_out;                    /* and how many are not back */
    uint64_t accepted, refused;
    uint64_t messages_received, messages_sent, bytes_received, bytes_sent, bytes_saved;
    uint64_t closed[CAROM_WS_CODES_COUNTED];
};

static inline struct carom_records *carom_websockets_records(struct carom_websockets *websockets)
{
    return &websockets->connections->records;
}

#endif
