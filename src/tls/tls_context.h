/* The contexts of OpenSSL that one loading makes: one for each certificate, with the policy that is
 * common to all, and the table of names that chooses between them. */
#ifndef CAROM_TLS_CONTEXT_H
#define CAROM_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "base/log.h"
#include "carom.h"

struct carom_tls_kept;
struct carom_tls_tickets;

/* Load what the options name. *made is the context that sessions begin with; it owns the other
 * contexts and the table of names, holds `kept`, and is freed by SSL_CTX_free when the last session
 * that began with it has gone. 0 or an error as of carom_tls_create. */
int carom_tls_context_load(SSL_CTX **made, struct carom_tls_kept *kept,
                           const struct carom_log_sink *log, struct carom_tls_tickets *tickets);

#endif
