/* Contexts of OpenSSL: load certificates and keys, choose among them by server name, and carry the
 * policy that all share. */
#include "tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tls/tls_names.h"
#include "tls/tls_ocsp.h"
#include "tls/tls_options.h"
#include "tls/tls_source.h"
#include "tls/tls_tickets.h"

/* Forward secrecy and AEAD only (RFC 9325, 4.2). */
#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"
/* No SHA-1, no SHA-224, no DSA. */
#define SIGNATURES                                                                                 \
    "ECDSA+SHA256:ed25519:rsa_pss_rsae_sha256:rsa_pss_pss_sha256:RSA+SHA256:"                      \
    "ECDSA+SHA384:ed448:rsa_pss_rsae_sha384:rsa_pss_pss_sha384:RSA+SHA384:"                        \
    "ECDSA+SHA512:rsa_pss_rsae_sha512:rsa_pss_pss_sha512:RSA+SHA512"
#define SCOPE_SIZE 32

/* What a context began with: others may join it. */
struct own {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
    struct carom_tls_ocsp *ocsp; /* or NULL */
};

/* What one loading made; it goes with contexts[0], to which it hangs. */
struct loaded {
    struct carom_tls_kept *kept;
    const carom_tls_options *options; /* in `kept` */
    const struct carom_log_sink *log;
    struct carom_tls_tickets *tickets;
    SSL_CTX **contexts; /* one for each certificate */
    struct own *own;    /* of each */
    size_t count;
    struct carom_tls_names names;
    unsigned char scope[SCOPE_SIZE]; /* of sessions: where the same clients are trusted */
};

/* ---------------------------------------------------------------- certificates and keys */

/* No key asks for its pass phrase at a terminal. */
static int no_password(char *to, /* NOLINT(readability-non-const-parameter): as OpenSSL has it */
                       int size, int writing, void *data)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

/* Whether the newest error only says that the file has no further part. */
static bool at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static void warn_of_dates(const struct carom_log_sink *log, const char *file,
                          const X509 *certificate)
{
    const char *what = NULL;
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        what = "is expired";
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        what = "is not valid yet";
    if (what != NULL)
        carom_log_line(log, CAROM_LOG_WARNING, "TLS: %s: the certificate %s",
                       file == NULL ? "(in memory)" : file, what);
}

static int use_certificate(SSL_CTX *context, const carom_tls_certificate *from,
                           const struct carom_log_sink *log)
{
    static const char what[] = "cannot read the certificate";
    const char *file = from->certificate_file;
    BIO *bio = carom_tls_open_source(log, file, from->certificate, what);
    if (bio == NULL)
        return -CAROM_ECERTIFICATE;
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
    bool good = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;
    if (certificate != NULL)
        warn_of_dates(log, file, certificate);
    X509_free(certificate);
    while (good && (certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        good = SSL_CTX_add0_chain_cert(context, certificate) == 1;
        if (!good)
            X509_free(certificate);
    }
    BIO_free(bio);
    if (!good || !at_end())
        return carom_tls_complain(log, file, what, -CAROM_ECERTIFICATE);
    ERR_clear_error();
    return 0;
}

static int use_key(SSL_CTX *context, const carom_tls_certificate *from,
                   const struct carom_log_sink *log)
{
    static const char what[] = "cannot use the private key";
    const char *file = from->key_file;
    carom_slice memory = from->key;
    if (file == NULL && memory.length == 0) { /* with the certificate */
        file = from->certificate_file;
        memory = from->certificate;
    }
    BIO *bio = carom_tls_open_source(log, file, memory, what);
    if (bio == NULL)
        return -CAROM_EKEY;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    bool good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return good ? 0 : carom_tls_complain(log, file, what, -CAROM_EKEY);
}

/* ---------------------------------------------------------------- names */

/* Certificates for one name are offered together where their keys are of different kinds, RSA and
 * ECDSA: the client's algorithms decide. Of two of one kind the first is served. */
static void join(void *data, size_t first, size_t other)
{
    struct loaded *loaded = data;
    const struct own *own = &loaded->own[other];
    if (SSL_CTX_use_cert_and_key(loaded->contexts[first], own->certificate, own->key, own->chain,
                                 0) != 1)
        ERR_clear_error(); /* it has one of this kind */
}

/* Names that were given, behind commas. */
static int add_given_names(struct loaded *loaded, size_t index, const char *given)
{
    while (*given != '\0') {
        size_t length = strcspn(given, ",");
        int error = carom_tls_names_add(&loaded->names, given, length, index);
        if (error == -CAROM_EINVAL)
            carom_log_line(loaded->log, CAROM_LOG_ERROR, "TLS: options: not a server name: %.*s",
                           (int)length, given);
        if (error < 0)
            return error;
        given += length + (given[length] == ',' ? 1 : 0);
    }
    return 0;
}

/* The names that stand in a certificate (RFC 9525: not its common name). What is no host's name is
 * left out. */
static int add_names(struct loaded *loaded, size_t index)
{
    const X509 *certificate = loaded->own[index].certificate;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int error = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && error != -CAROM_ENOMEM; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            error = carom_tls_names_add(&loaded->names,
                                        (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                        (size_t)ASN1_STRING_length(name->d.dNSName), index);
    }
    GENERAL_NAMES_free(names);
    return error == -CAROM_ENOMEM ? error : 0;
}

/* ---------------------------------------------------------------- OpenSSL asks */

static int loaded_index(void);

/* The argument is what was loaded, which a connection that has switched holds by its session's
 * first context. */
static int staple(SSL *ssl, void *argument)
{
    const struct loaded *loaded = argument;
    const X509 *chosen = SSL_get_certificate(ssl);
    const struct carom_tls_ocsp *ocsp = NULL;
    for (size_t i = 0; i < loaded->count && ocsp == NULL; i++)
        if (loaded->own[i].certificate == chosen)
            ocsp = loaded->own[i].ocsp;
    return ocsp == NULL ? SSL_TLSEXT_ERR_NOACK : carom_tls_ocsp_staple(ocsp, ssl);
}

/* The host's name in a ClientHello (RFC 6066, 3). Empty, with data NULL, when there is none or when
 * it is not well formed, which OpenSSL refuses later. */
static carom_slice name_in_hello(SSL *ssl)
{
    const unsigned char *data;
    size_t length;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &length) != 1 ||
        length < 5 || data[2] != TLSEXT_NAMETYPE_host_name ||
        ((size_t)data[3] << 8 | data[4]) != length - 5)
        return (carom_slice){NULL, 0};
    return (carom_slice){(const char *)data + 5, length - 5};
}

/* Before OpenSSL looks at tickets: a session is resumed only for the name that it was made for (RFC
 * 6066, 3: MUST NOT), and where the same clients are trusted. The argument is what was loaded. */
static int look_at_hello(SSL *ssl, int *alert, void *argument)
{
    const struct loaded *loaded = argument;
    unsigned char scope[EVP_MAX_MD_SIZE];
    struct {
        unsigned char scope[SCOPE_SIZE];
        char name[CAROM_TLS_NAME_SIZE];
    } whole;
    unsigned length;
    carom_slice name = name_in_hello(ssl);
    if (name.data == NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (!carom_tls_name_copy(whole.name, name.data, name.length)) {
        *alert = name.length == 0 ? SSL_AD_DECODE_ERROR : SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
    }
    memcpy(whole.scope, loaded->scope, SCOPE_SIZE);
    if (EVP_Digest(&whole, SCOPE_SIZE + name.length, scope, &length, EVP_sha256(), NULL) != 1 ||
        SSL_set_session_id_context(ssl, scope, SCOPE_SIZE) != 1) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int choose_certificate(SSL *ssl, int *alert, void *argument)
{
    const struct loaded *loaded = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), loaded_index());
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)argument;
    if (name == NULL || loaded == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    size_t index = carom_tls_names_find(&loaded->names, name);
    if (index == SIZE_MAX) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return loaded->options->refuse_unknown_names ? SSL_TLSEXT_ERR_ALERT_FATAL
                                                     : SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_set_SSL_CTX(ssl, loaded->contexts[index]) == NULL ? SSL_TLSEXT_ERR_ALERT_FATAL
                                                                 : SSL_TLSEXT_ERR_OK;
}

/* HTTP/2 over TLS 1.2 wants forward secrecy and authenticated encryption (RFC 9113, 9.2.2), which
 * other ciphers than ours may not have. */
static bool may_have_http2(SSL *ssl)
{
    const SSL_CIPHER *cipher = SSL_get_pending_cipher(ssl);
    if (SSL_version(ssl) != TLS1_2_VERSION || cipher == NULL)
        return true;
    int exchange = SSL_CIPHER_get_kx_nid(cipher);
    return SSL_CIPHER_is_aead(cipher) == 1 && (exchange == NID_kx_ecdhe || exchange == NID_kx_dhe);
}

/* The argument is the protocols that were kept, which a connection that has switched holds by its
 * session's first context. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *length,
                           const unsigned char *offered, unsigned offered_length, void *argument)
{
    static const unsigned char http2[] = "\2h2";
    const carom_slice *ours = argument;
    const unsigned char *at = (const unsigned char *)ours->data, *end = at + ours->length;
    for (; at < end; at += *at + 1) {
        unsigned char *name;
        if (*at == 2 && memcmp(at, http2, 3) == 0 && !may_have_http2(ssl))
            continue;
        if (SSL_select_next_proto(&name, length, at, *at + 1u, offered, offered_length) !=
            OPENSSL_NPN_NEGOTIATED)
            continue;
        *chosen = name;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol: RFC 7301, 3.2 */
}

/* ---------------------------------------------------------------- policy */

/* For clients that name no server; look_at_hello has the rest. */
static bool set_session_scope(SSL_CTX *context, struct loaded *loaded, X509_STORE *store)
{
    const carom_tls_options *options = loaded->options;
    unsigned char scope[EVP_MAX_MD_SIZE] = {(unsigned char)options->client};
    unsigned length = 1;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(digest, scope, 1) == 1;
    STACK_OF(X509) *trusted = store == NULL ? NULL : X509_STORE_get1_all_certs(store);
    for (int i = 0; good && i < sk_X509_num(trusted); i++) {
        unsigned char one[EVP_MAX_MD_SIZE];
        good = X509_digest(sk_X509_value(trusted, i), EVP_sha256(), one, &length) == 1 &&
               EVP_DigestUpdate(digest, one, length) == 1;
    }
    good = good && EVP_DigestFinal_ex(digest, scope, &length) == 1 &&
           SSL_CTX_set_session_id_context(context, scope, SCOPE_SIZE) == 1;
    memcpy(loaded->scope, scope, SCOPE_SIZE);
    sk_X509_pop_free(trusted, X509_free);
    EVP_MD_CTX_free(digest);
    return good;
}

static bool set_policy(SSL_CTX *context, const struct loaded *loaded)
{
    const carom_tls_options *options = loaded->options;
    int version = options->min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    bool tickets = options->ticket_lifetime != CAROM_OFF;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     (tickets ? 0 : SSL_OP_NO_TICKET));
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); /* or many KeyUpdates are one long call */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context, 0); /* a replay would be a request: RFC 8446, 8 */
    if (tickets) {
        SSL_CTX_set_timeout(context, (long)options->ticket_lifetime);
        carom_tls_tickets_attach(loaded->tickets, context);
    } else {
        SSL_CTX_set_num_tickets(context, 0);
    }
    SSL_CTX_set_alpn_select_cb(context, choose_protocol,
                               (void *)(uintptr_t)&loaded->kept->protocols);
    return SSL_CTX_set_min_proto_version(context, version) == 1 &&
           SSL_CTX_set_cipher_list(context,
                                   options->ciphers == NULL ? CIPHERS : options->ciphers) == 1 &&
           SSL_CTX_set_ciphersuites(context, options->suites == NULL ? SUITES : options->suites) ==
               1 &&
           SSL_CTX_set1_sigalgs_list(context, SIGNATURES) == 1 &&
           SSL_CTX_set1_groups_list(context, options->groups == NULL ? GROUPS : options->groups) ==
               1;
}

/* The certificates of those who may vouch for clients. 0 or an error. */
static int load_trust(const struct loaded *loaded, X509_STORE **made, STACK_OF(X509_NAME) * names)
{
    static const char what[] = "cannot read the certificates of client authorities";
    const carom_tls_options *options = loaded->options;
    const char *file = options->client_ca_file;
    BIO *bio = carom_tls_open_source(loaded->log, file, options->client_ca, what);
    X509_STORE *store = X509_STORE_new();
    X509 *certificate;
    int count = 0;
    bool good = bio != NULL && store != NULL;
    while (good && (certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
        good = X509_STORE_add_cert(store, certificate) == 1 && name != NULL &&
               sk_X509_NAME_push(names, name) > 0;
        if (!good)
            X509_NAME_free(name);
        X509_free(certificate);
        count++;
    }
    good = good && count > 0 && at_end();
    BIO_free(bio);
    if (!good) {
        X509_STORE_free(store);
        return bio == NULL && file != NULL
                   ? -CAROM_ECERTIFICATE
                   : carom_tls_complain(loaded->log, file, what, -CAROM_ECERTIFICATE);
    }
    ERR_clear_error();
    *made = store;
    return 0;
}

/* Whom all contexts trust. 0 or an error. */
static int set_trust(struct loaded *loaded)
{
    const carom_tls_options *options = loaded->options;
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    X509_STORE *store = NULL;
    int error = names == NULL ? -CAROM_ENOMEM : 0;
    if (error == 0 && options->client != CAROM_TLS_CLIENT_OFF)
        error = load_trust(loaded, &store, names);
    int mode = options->client == CAROM_TLS_CLIENT_OFF ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (options->client == CAROM_TLS_CLIENT_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    for (size_t i = 0; i < loaded->count && error == 0; i++) {
        SSL_CTX *context = loaded->contexts[i];
        STACK_OF(X509_NAME) *copy = SSL_dup_CA_list(names);
        SSL_CTX_set_verify(context, mode, NULL);
        if (copy == NULL || !set_session_scope(context, loaded, store))
            error = -CAROM_ENOMEM;
        SSL_CTX_set_client_CA_list(context, copy);
        if (store != NULL)
            SSL_CTX_set1_cert_store(context, store);
    }
    X509_STORE_free(store);
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return error;
}

/* ---------------------------------------------------------------- loading */

static void free_loaded(struct loaded *loaded)
{
    for (size_t i = 1; i < loaded->count; i++) /* the first one owns us */
        SSL_CTX_free(loaded->contexts[i]);
    for (size_t i = 0; i < loaded->count; i++)
        carom_tls_ocsp_free(loaded->own[i].ocsp);
    carom_tls_names_finish(&loaded->names);
    OPENSSL_free(loaded->contexts);
    OPENSSL_free(loaded->own);
    carom_tls_kept_drop(loaded->kept);
    OPENSSL_free(loaded);
}

static void context_ends(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                         void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    if (pointer != NULL)
        free_loaded(pointer);
}

static int ex_index = -1;

static void make_index(void)
{
    ex_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, context_ends);
}

/* The place of struct loaded in a context; negative: there was no memory for one. */
static int loaded_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
    return ex_index;
}

/* A first context, to which what is loaded hangs. */
static struct loaded *begin(size_t count)
{
    struct loaded *loaded = OPENSSL_zalloc(sizeof *loaded);
    SSL_CTX *first = SSL_CTX_new(TLS_server_method());
    if (loaded != NULL) {
        loaded->contexts = OPENSSL_zalloc(count * sizeof *loaded->contexts);
        loaded->own = OPENSSL_zalloc(count * sizeof *loaded->own);
    }
    if (loaded == NULL || first == NULL || loaded->contexts == NULL || loaded->own == NULL ||
        loaded_index() < 0 || SSL_CTX_set_ex_data(first, loaded_index(), loaded) != 1) {
        if (loaded != NULL)
            free_loaded(loaded);
        SSL_CTX_free(first);
        return NULL;
    }
    loaded->contexts[0] = first;
    loaded->count = 1;
    return loaded;
}

static int load_one(struct loaded *loaded, size_t index)
{
    const carom_tls_certificate *from = &loaded->options->certificates[index];
    if (index > 0) {
        loaded->contexts[index] = SSL_CTX_new(TLS_server_method());
        if (loaded->contexts[index] == NULL)
            return -CAROM_ENOMEM;
        loaded->count = index + 1;
    }
    SSL_CTX *context = loaded->contexts[index];
    if (!set_policy(context, loaded))
        return carom_tls_complain(loaded->log, "options", "ciphers, suites or groups",
                                  -CAROM_EINVAL);
    int error = use_certificate(context, from, loaded->log);
    if (error == 0)
        error = use_key(context, from, loaded->log);
    struct own *own = &loaded->own[index];
    own->certificate = SSL_CTX_get0_certificate(context);
    if (error == 0 && from->ocsp_file != NULL)
        error = carom_tls_ocsp_load(&own->ocsp, from->ocsp_file, own->certificate, loaded->log);
    if (error < 0)
        return error;
    own->key = SSL_CTX_get0_privatekey(context);
    SSL_CTX_get0_chain_certs(context, &own->chain);
    SSL_CTX_set_tlsext_status_cb(context, staple);
    SSL_CTX_set_tlsext_status_arg(context, loaded);
    return from->server_names == NULL ? add_names(loaded, index)
                                      : add_given_names(loaded, index, from->server_names);
}

int carom_tls_context_load(SSL_CTX **made, struct carom_tls_kept *kept,
                           const struct carom_log_sink *log, struct carom_tls_tickets *tickets)
{
    const carom_tls_options *options = &kept->options;
    struct loaded *loaded = begin(options->certificate_count);
    if (loaded == NULL)
        return -CAROM_ENOMEM;
    SSL_CTX *first = loaded->contexts[0];
    loaded->kept = carom_tls_kept_hold(kept);
    loaded->options = options;
    loaded->log = log;
    loaded->tickets = tickets;
    SSL_CTX_set_client_hello_cb(first, look_at_hello, loaded);
    SSL_CTX_set_tlsext_servername_callback(first, choose_certificate);
    int error = 0;
    for (size_t i = 0; i < options->certificate_count && error == 0; i++)
        error = load_one(loaded, i);
    if (error == 0)
        error = set_trust(loaded);
    if (error < 0) {
        SSL_CTX_free(first);
        return error;
    }
    carom_tls_names_settle(&loaded->names, join, loaded);
    *made = first;
    return 0;
}
