/* What the TLS connections of a listener have in common: certificates by server name, versions,
 * ciphers, protocols, ticket keys, whom to trust. Loaded from files or memory, and loaded again
 * while connections go on: each keeps what it began with. Any thread. */
#ifndef CAROM_TLS_TLS_H
#define CAROM_TLS_TLS_H

#include "base/log.h"
#include "carom.h"

struct carom_tls;
struct ssl_st;

/* Copy the options and load what they name; without other wishes "h2" is offered if `http2`. 0,
 * -CAROM_EINVAL, -CAROM_ENOMEM, or -CAROM_ECERTIFICATE and -CAROM_EKEY with a line of log that says
 * which file and why. */
int carom_tls_create(struct carom_tls **made, const carom_tls_options *options,
                     const struct carom_log_sink *log, bool http2);
/* No session may be left. */
void carom_tls_destroy(struct carom_tls *tls);
/* Load all again. On an error everything stays as it was. */
int carom_tls_load(struct carom_tls *tls);
/* Let these options, checked as carom_tls_create does, take the place of those before; ticket keys
 * only where some are given, `watch` and `ticket_lifetime` not at all. On an error all stays. */
int carom_tls_replace_options(struct carom_tls *tls, const carom_tls_options *options);
/* The files have changed since they were last loaded (or cannot be looked at). */
bool carom_tls_changed(struct carom_tls *tls);
/* carom_tls_options.watch, or CAROM_OFF. */
uint32_t carom_tls_watch_time(const struct carom_tls *tls);
/* Put these in the place of the ticket keys; 0 or -CAROM_EINVAL. */
int carom_tls_replace_keys(struct carom_tls *tls, carom_slice keys);

/* For sessions: a new one with the certificates of now; NULL when out of memory. */
struct ssl_st *carom_tls_new(struct carom_tls *tls);

#endif
