/* The service: options, listeners, workers, and the state they share. */
#ifndef CAROM_SERVICE_SERVICE_H
#define CAROM_SERVICE_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "service/certificates.h"

enum carom_service_state { CAROM_SERVICE_IDLE, CAROM_SERVICE_RUNNING, CAROM_SERVICE_DRAINED };

struct carom_service {
    carom_options options;
    struct carom_log_sink log;
    atomic_int state; /* enum carom_service_state */
    struct carom_shutdown shutdown;
    atomic_int failed;    /* the first error of an on_start, or 0 */
    atomic_uint working;  /* workers that have not drained */
    carom_waker *drained; /* fires when all have drained; a waker of worker 0 */

    struct carom_listeners listeners;
    struct carom_certificates certificates;
    pthread_t *threads;
    struct carom_worker workers[]; /* options.workers */
};

/* carom_service_create on a backend of the caller's choice: tests choose the simulated one. */
int carom_service_create_on(struct carom_service **made, const carom_options *given,
                            carom_loop_create *create_loop);
/* From idle to running, once: accepting begins. 0 or -CAROM_ESTATE. */
int carom_service_start(struct carom_service *service);

#endif
