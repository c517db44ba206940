/* Listeners: an address each, with a door in every worker. */
#ifndef CAROM_SERVICE_LISTENER_H
#define CAROM_SERVICE_LISTENER_H

#include "service/worker.h"

struct carom_listener {
    carom_address address;     /* as the kernel tells it: with the real port when 0 was asked for */
    struct carom_tls *tls;     /* or NULL: plain */
    int shared_fd;             /* the one descriptor of all workers; or -1: each has its own */
    size_t size;               /* of this allocation */
    struct carom_door doors[]; /* one in each worker */
};

/* All listeners of a service. */
struct carom_listeners {
    struct carom_listener **list;
    size_t count;
    struct carom_worker *workers; /* options->workers */
    const carom_options *options;
    const struct carom_log_sink *log;
};

/* Listen on an address (carom_service_listen), in all workers, with TLS unless `tls` is NULL; 0 or
 * a negative error. */
int carom_listeners_add(struct carom_listeners *listeners, const char *address,
                        const carom_tls_options *tls);
/* Close and free all listeners. The workers have stopped, and are not freed yet. */
void carom_listeners_finish(struct carom_listeners *listeners);

#endif
