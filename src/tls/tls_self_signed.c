/* Makes a self-signed certificate for development. */
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "carom.h"

#define DAYS 30
/* Names, with what OpenSSL wants before each. */
#define NAMES_SIZE 2048

/* "localhost,::1" to "DNS:localhost,IP:::1". False when that is not what it is. */
static bool write_names(char to[NAMES_SIZE], const char *names)
{
    size_t used = 0;
    while (*names != '\0') {
        size_t length = strcspn(names, ",");
        bool address =
            strcspn(names, ":") < length || strspn(names, "0123456789.") >= length; /* IPv6, IPv4 */
        for (size_t i = 0; i < length; i++)
            if (names[i] <= ' ' || names[i] >= 0x7f || names[i] == ';' || names[i] == '@')
                return false;
        if (length == 0 || used + length + 6 > NAMES_SIZE)
            return false;
        used += (size_t)snprintf(to + used, NAMES_SIZE - used, "%s%s:%.*s", used > 0 ? "," : "",
                                 address ? "IP" : "DNS", (int)length, names);
        names += length;
        if (*names == ',' && *++names == '\0')
            return false;
    }
    return used > 0;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* A positive number of 127 random bits; browsers remember a certificate by it. */
static bool set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool good = number != NULL && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *names)
{
    static const unsigned char subject[] = "Carom development";
    X509_NAME *name = X509_get_subject_name(certificate);
    return set_serial(certificate) && X509_set_version(certificate, X509_VERSION_3) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * DAYS) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, subject, -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_subject_alt_name, names) &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* What a BIO in memory holds, in memory of ours. */
static bool take_over(carom_slice *to, BIO *bio)
{
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    char *copy = length <= 0 ? NULL : carom_memory_take((size_t)length);
    if (copy == NULL)
        return false;
    memcpy(copy, data, (size_t)length);
    *to = (carom_slice){copy, (size_t)length};
    return true;
}

int carom_tls_self_signed(carom_tls_certificate *made, const char *names)
{
    char text[NAMES_SIZE];
    if (made == NULL)
        return -CAROM_EINVAL;
    *made = (carom_tls_certificate){0};
    if (names == NULL || !write_names(text, names))
        return -CAROM_EINVAL;
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *first = BIO_new(BIO_s_mem()), *second = BIO_new(BIO_s_mem());
    int error =
        key == NULL || certificate == NULL || first == NULL || second == NULL ? -CAROM_ENOMEM : 0;
    if (error == 0 && !fill(certificate, key, text))
        error = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? -CAROM_ENOMEM
                                                                         : -CAROM_EINVAL;
    if (error == 0 && (PEM_write_bio_X509(first, certificate) != 1 ||
                       PEM_write_bio_PKCS8PrivateKey(second, key, NULL, NULL, 0, NULL, NULL) != 1 ||
                       !take_over(&made->certificate, first) || !take_over(&made->key, second)))
        error = -CAROM_ENOMEM;
    if (error < 0)
        carom_tls_certificate_free(made);
    BIO_free(first);
    BIO_free(second);
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return error;
}

void carom_tls_certificate_free(carom_tls_certificate *made)
{
    if (made == NULL)
        return;
    OPENSSL_cleanse((void *)(uintptr_t)made->key.data, made->key.length);
    carom_memory_give((void *)(uintptr_t)made->certificate.data, made->certificate.length);
    carom_memory_give((void *)(uintptr_t)made->key.data, made->key.length);
    *made = (carom_tls_certificate){0};
}
