/* A response of OCSP (RFC 6960) that is stapled to a certificate (RFC 6066, 8), from a file. */
#ifndef CAROM_TLS_OCSP_H
#define CAROM_TLS_OCSP_H

#include <openssl/ssl.h>

#include "base/log.h"

struct carom_tls_ocsp;

/* Load a response, which must be about this certificate. 0; -CAROM_ECERTIFICATE, with a line of
 * log, or -CAROM_ENOMEM. A response that is out of date is loaded, with a warning. */
int carom_tls_ocsp_load(struct carom_tls_ocsp **made, const char *file, const X509 *certificate,
                        const struct carom_log_sink *log);
/* NULL is allowed. */
void carom_tls_ocsp_free(struct carom_tls_ocsp *ocsp);
/* Staple the response for the peer, unless it is out of date: a client may take such a one for a
 * revocation, and accepts that there is none. Returns what a callback of
 * SSL_CTX_set_tlsext_status_cb returns. */
int carom_tls_ocsp_staple(const struct carom_tls_ocsp *ocsp, SSL *ssl);

#endif
