/* Where TLS is loaded from: files and memory, and what is said when that fails. */
#ifndef CAROM_TLS_SOURCE_H
#define CAROM_TLS_SOURCE_H

#include <openssl/bio.h>

#include "base/log.h"
#include "carom.h"

/* A line of log with the newest error of OpenSSL's queue, which is then empty; returns `error`, or
 * -CAROM_ENOMEM if that was it. */
int carom_tls_complain(const struct carom_log_sink *log, const char *file, const char *what,
                       int error);
/* A file's content, or a slice's where `file` is NULL; NULL, with a line of log, when there is
 * none.
 */
BIO *carom_tls_open_source(const struct carom_log_sink *log, const char *file, carom_slice memory,
                           const char *what);

#endif
