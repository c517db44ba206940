/* Opens the files and memory that certificates and keys are loaded from, and logs why one of them
 * is of no use. */
#include "tls/tls_source.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

int carom_tls_complain(const struct carom_log_sink *log, const char *file, const char *what,
                       int error)
{
    unsigned long code = ERR_peek_last_error();
    const char *why = ERR_reason_error_string(code);
    if (code != 0 && ERR_GET_LIB(code) == ERR_LIB_SYS)
        why = strerror((int)ERR_GET_REASON(code));
    if (code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        error = -CAROM_ENOMEM;
    carom_log_line(log, CAROM_LOG_ERROR, "TLS: %s: %s: %s", file == NULL ? "(in memory)" : file,
                   what, why == NULL ? "not as it should be" : why);
    ERR_clear_error();
    return error;
}

BIO *carom_tls_open_source(const struct carom_log_sink *log, const char *file, carom_slice memory,
                           const char *what)
{
    ERR_clear_error();
    if (file == NULL)
        return BIO_new_mem_buf(memory.data, (int)memory.length);
    BIO *bio = BIO_new_file(file, "r");
    if (bio == NULL) {
        ERR_clear_error();
        carom_log_line(log, CAROM_LOG_ERROR, "TLS: %s: %s: %s", file, what, strerror(errno));
    }
    return bio;
}
