/* The files and memory that certificates and keys are loaded from, and the lines of log when one of
 * them is of no use. */
#ifndef CAROM_TLS_SOURCE_H
#define CAROM_TLS_SOURCE_H

#include <openssl/bio.h>

#include "base/log.h"
#include "carom.h"

/* Log the newest error in OpenSSL's queue and empty the queue; returns `error`, or -CAROM_ENOMEM if
 * OpenSSL was out of memory. */
int carom_tls_complain(const struct carom_log_sink *log, const char *file, const char *what,
                       int error);
/* Open a file, or the bytes of a slice where `file` is NULL; NULL, with a line of log, when that
 * fails. */
BIO *carom_tls_open_source(const struct carom_log_sink *log, const char *file, carom_slice memory,
                           const char *what);

#endif
