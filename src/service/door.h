/* Doors: the sockets of listeners in one worker, accepting within the limits. */
#ifndef CAROM_SERVICE_DOOR_H
#define CAROM_SERVICE_DOOR_H

#include "base/log.h"
#include "http/connection.h"

/* What the doors of a worker share. */
struct carom_doors {
    struct carom_connections *connections; /* which accepted connections join */
    struct carom_loop *loop;
    const struct carom_log_sink *log;
    struct carom_node open;   /* all doors that are not closed */
    struct carom_timer again; /* accept again, after descriptors ran out */
};

struct carom_door {
    struct carom_acceptor acceptor;
    struct carom_doors *doors;
    struct carom_node link; /* of doors->open */
    struct carom_tls *tls;  /* of its listener; NULL: plain */
    char *socket_file;      /* removed when this door is closed; or NULL */
    uint16_t listener;      /* number of its listener */
    bool shared;            /* the descriptor is the listener's, for all workers */
};

/* The loop may be set later, before the first update. */
void carom_doors_init(struct carom_doors *doors, struct carom_connections *connections,
                      const struct carom_log_sink *log);
/* Start or stop accepting, as limits, descriptors and a drain allow. */
void carom_doors_update(struct carom_doors *doors);
/* A drain: refuse new connections from now on. */
void carom_doors_close(struct carom_doors *doors);

/* A door without a socket, not open yet. */
void carom_door_init(struct carom_door *door, struct carom_doors *doors, uint16_t listener,
                     struct carom_tls *tls);
/* Close its descriptor, unless that is shared, and remove the socket's file. Idempotent. */
void carom_door_close(struct carom_door *door);

#endif
