/* TLS of a service: loading again, by call and by watching the files. */
#ifndef CAROM_SERVICE_TLS_H
#define CAROM_SERVICE_TLS_H

#include "service/worker.h"

/* The watch timer of worker 0 fires. */
void carom_tls_watch(struct carom_timer *timer);
/* The service starts: watch those listeners that want it. */
void carom_tls_watch_start(struct carom_service *service);

#endif
