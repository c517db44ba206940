/* The certificates of a service: loading them again, when the program asks or their files have
 * changed. */
#ifndef CAROM_SERVICE_CERTIFICATES_H
#define CAROM_SERVICE_CERTIFICATES_H

#include "service/listener.h"

/* Looks now and then, in the turns of worker 0, whether files of certificates have changed. */
struct carom_certificates {
    struct carom_listeners *listeners;
    struct carom_timer watch;
};

void carom_certificates_init(struct carom_certificates *certificates,
                             struct carom_listeners *listeners);
/* The service starts: watch those listeners that want it. */
void carom_certificates_watch(struct carom_certificates *certificates);

/* The work of carom_tls_reload, carom_tls_replace and carom_tls_set_ticket_keys. */
int carom_certificates_reload(const struct carom_listeners *listeners);
int carom_certificates_replace(const struct carom_listeners *listeners,
                               const carom_tls_options *options);
int carom_certificates_set_keys(const struct carom_listeners *listeners, carom_slice keys);

#endif
