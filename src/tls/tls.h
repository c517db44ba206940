/* What the TLS connections of a listener have in common: certificates by server name, versions,
 * ciphers, protocols, ticket keys, whom to trust. Loaded from files or memory, and loaded again
 * while connections go on: each keeps what it began with. Any thread. */
#ifndef CAROM_TLS_TLS_H
#define CAROM_TLS_TLS_H

#include "base/log.h"
#include "carom.h"

struct carom_tls;
struct ssl_st;

/* Copy the options and load what they name; when they name no protocols, "h2" is offered if
 * `http2`. 0, -CAROM_EINVAL, -CAROM_ENOMEM, or -CAROM_ECERTIFICATE and -CAROM_EKEY with a line of
 * log that says which file and why. */
int carom_tls_create(struct carom_tls **made, const carom_tls_options *options,
                     const struct carom_log_sink *log, bool http2);
/* No session may be left. */
void carom_tls_destroy(struct carom_tls *tls);
/* Load all again. On an error everything stays as it was. */
int carom_tls_load(struct carom_tls *tls);
/* Replace the options by these, which are checked as by carom_tls_create. Ticket keys are replaced
 * only when some are given, `watch` never. On an error everything stays as it was. */
int carom_tls_replace_options(struct carom_tls *tls, const carom_tls_options *options);
/* Whether the files have changed since they were last loaded (or cannot be looked at). */
bool carom_tls_changed(struct carom_tls *tls);
/* carom_tls_options.watch, or CAROM_OFF. */
uint32_t carom_tls_watch_time(const struct carom_tls *tls);
/* Replace the ticket keys by these; 0 or -CAROM_EINVAL. */
int carom_tls_replace_keys(struct carom_tls *tls, carom_slice keys);

/* A new session of OpenSSL with the certificates that were last loaded, for carom_tls_session_init;
 * NULL when out of memory. */
struct ssl_st *carom_tls_new(struct carom_tls *tls);

#endif
