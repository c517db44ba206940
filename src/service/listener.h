/* Listeners: an address, its sockets in the workers, and accepting within the limits. */
#ifndef CAROM_SERVICE_LISTENER_H
#define CAROM_SERVICE_LISTENER_H

#include "net/address.h"
#include "service/worker.h"
#include "tls/tls.h"

struct carom_listener;

/* A listener's socket in one worker. */
struct carom_door {
    struct carom_acceptor acceptor;
    struct carom_worker *worker;
    struct carom_listener *listener;
    struct carom_node link; /* of the worker's doors */
    bool shared;            /* the descriptor is the listener's, for all workers */
};

struct carom_listener {
    carom_address address;     /* as it really is */
    struct carom_tls *tls;     /* or NULL: plain */
    char *socket_file;         /* removed when the first worker stops accepting; or NULL */
    uint16_t index;            /* of the service's listeners */
    int shared_fd;             /* the one descriptor of all workers; or -1: each has its own */
    size_t size;               /* of this allocation */
    struct carom_door doors[]; /* one in each worker */
};

/* Listen on what was parsed, in all workers, with TLS unless `tls` is NULL; 0 or a negative error.
 */
int carom_listener_create(struct carom_listener **made, struct carom_service *service,
                          const struct carom_listen_spec *given, const carom_tls_options *tls);
/* The workers have stopped. */
void carom_listener_destroy(struct carom_listener *listener, struct carom_service *service);

/* Start or stop accepting in a worker, as limits, descriptors and a drain allow. */
void carom_doors_update(struct carom_worker *worker);
/* A drain: refuse new connections from now on. */
void carom_doors_close(struct carom_worker *worker);
/* Try again after descriptors have run out. */
void carom_doors_retry(struct carom_timer *timer);

#endif
