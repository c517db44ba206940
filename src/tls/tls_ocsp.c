/* Responses of OCSP: read from a file, matched with their certificate, and stapled as long as they
 * are valid. */
#include "tls/tls_ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <time.h>

#include "carom.h"
#include "tls/tls_source.h"

#define MOST (64 * 1024)

static const char unreadable[] = "cannot read the OCSP response";

struct carom_tls_ocsp {
    time_t until; /* 0: it does not say */
    long length;
    uint8_t data[];
};

/* What the response says of this certificate, by its serial number; NULL: nothing. */
static OCSP_SINGLERESP *said_of(OCSP_BASICRESP *basic, const X509 *certificate)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;
        /* The function does not change it, and its type does not say so. */
        OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single);
        if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) == 1 &&
            ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0)
            return single;
    }
    return NULL;
}

static time_t time_of(const ASN1_TIME *when)
{
    struct tm parts;
    return when != NULL && ASN1_TIME_to_tm(when, &parts) == 1 ? timegm(&parts) : 0;
}

/* Read what lies behind `ocsp`: how long it is good. 0 or an error. */
static int understand(struct carom_tls_ocsp *ocsp, const X509 *certificate, const char *file,
                      const struct carom_log_sink *log)
{
    const uint8_t *at = ocsp->data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, ocsp->length);
    OCSP_BASICRESP *basic = NULL;
    OCSP_SINGLERESP *single = NULL;
    ASN1_GENERALIZEDTIME *next = NULL;
    if (response != NULL && at == ocsp->data + ocsp->length &&
        OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    OCSP_RESPONSE_free(response);
    if (basic == NULL)
        return carom_tls_complain(log, file, unreadable, -CAROM_ECERTIFICATE);
    single = said_of(basic, certificate);
    if (single != NULL) {
        OCSP_single_get0_status(single, NULL, NULL, NULL, &next);
        ocsp->until = time_of(next);
    } else {
        carom_log_line(log, CAROM_LOG_ERROR,
                       "TLS: %s: the OCSP response is for another certificate", file);
    }
    OCSP_BASICRESP_free(basic);
    return single == NULL ? -CAROM_ECERTIFICATE : 0;
}

static bool is_over(const struct carom_tls_ocsp *ocsp)
{
    return ocsp->until != 0 && ocsp->until < time(NULL);
}

int carom_tls_ocsp_load(struct carom_tls_ocsp **made, const char *file, const X509 *certificate,
                        const struct carom_log_sink *log)
{
    BIO *bio = carom_tls_open_source(log, file, (carom_slice){NULL, 0}, unreadable);
    if (bio == NULL)
        return -CAROM_ECERTIFICATE;
    size_t length = 0;
    struct carom_tls_ocsp *ocsp = OPENSSL_malloc(sizeof *ocsp + MOST);
    bool read = ocsp != NULL && BIO_read_ex(bio, ocsp->data, MOST, &length) == 1;
    BIO_free(bio);
    if (read) {
        ocsp->until = 0;
        ocsp->length = (long)length;
    }
    int error = read ? understand(ocsp, certificate, file, log)
                     : carom_tls_complain(log, file, unreadable, -CAROM_ECERTIFICATE);
    ERR_clear_error();
    if (error < 0) {
        OPENSSL_free(ocsp);
        return error;
    }
    if (is_over(ocsp))
        carom_log_line(log, CAROM_LOG_WARNING, "TLS: %s: the OCSP response is out of date", file);
    *made = ocsp;
    return 0;
}

void carom_tls_ocsp_free(struct carom_tls_ocsp *ocsp)
{
    OPENSSL_free(ocsp);
}

int carom_tls_ocsp_staple(const struct carom_tls_ocsp *ocsp, SSL *ssl)
{
    if (is_over(ocsp))
        return SSL_TLSEXT_ERR_NOACK;
    uint8_t *copy = OPENSSL_memdup(ocsp->data, (size_t)ocsp->length);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, ocsp->length);
    return SSL_TLSEXT_ERR_OK;
}
