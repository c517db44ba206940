/* Options of TLS as they are kept: checked, defaults filled in, with all that they point to. What
 * was loaded from them holds them, so that they can be exchanged while connections go on. Any
 * thread. */
#ifndef CAROM_TLS_OPTIONS_H
#define CAROM_TLS_OPTIONS_H

#include <stdatomic.h>

#include "base/log.h"
#include "carom.h"

struct carom_tls_kept {
    atomic_uint holders;
    carom_tls_options options; /* what it points to lies behind this struct */
    carom_slice protocols;     /* in wire format; there, too */
    size_t size;               /* of all */
};

/* Copy the options, with one holder; when they name no protocols, "h2" is offered if `http2`. 0,
 * -CAROM_EINVAL, and the log says why, or -CAROM_ENOMEM. Ticket keys are not copied: they are kept
 * in struct carom_tls_tickets, where they can be changed. */
int carom_tls_keep(struct carom_tls_kept **made, const carom_tls_options *options, bool http2,
                   const struct carom_log_sink *log);
/* The ticket keys in a caller's options, which carom_tls_keep leaves out; empty when the caller's
 * struct is too old to have any. */
carom_slice carom_tls_given_keys(const carom_tls_options *options);
/* One holder more; returns `kept`. */
struct carom_tls_kept *carom_tls_kept_hold(struct carom_tls_kept *kept);
/* One less; the last one frees it. NULL is allowed. */
void carom_tls_kept_drop(struct carom_tls_kept *kept);

#endif
