/* Checks the options of TLS and copies them with all that they point to. */
#include "tls/tls_options.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <string.h>

#include "base/memory.h"

#define MOST_CERTIFICATES 100000u
#define MOST_PROTOCOLS    64u
#define TICKET_LIFETIME   7200u
/* A week: RFC 8446, 4.6.1. */
#define MOST_LIFETIME 604800u

/* Copies one thing behind the other; with `at` NULL it only counts. */
struct copier {
    char *at;
    size_t size;
};

static char *copy_bytes(struct copier *copier, const void *bytes, size_t length)
{
    char *to = copier->at;
    copier->size += length;
    if (to == NULL)
        return NULL;
    if (length > 0)
        memcpy(to, bytes, length);
    copier->at += length;
    return to;
}

static const char *copy_text(struct copier *copier, const char *text)
{
    return text == NULL ? NULL : copy_bytes(copier, text, strlen(text) + 1);
}

static carom_slice copy_slice(struct copier *copier, carom_slice slice)
{
    if (slice.data == NULL || slice.length == 0)
        return (carom_slice){NULL, 0};
    return (carom_slice){copy_bytes(copier, slice.data, slice.length), slice.length};
}

/* Protocols as they are on the wire: each behind its length. */
static carom_slice copy_protocols(struct copier *copier, const carom_tls_options *options)
{
    carom_slice wire = {copier->at, 0};
    size_t before = copier->size;
    for (size_t i = 0; i < options->protocol_count; i++) {
        uint8_t length = (uint8_t)strlen(options->protocols[i]);
        copy_bytes(copier, &length, 1);
        copy_bytes(copier, options->protocols[i], length);
    }
    wire.length = copier->size - before;
    return wire;
}

static void copy_all(struct carom_tls_kept *kept, const carom_tls_options *options,
                     struct copier *copier)
{
    /* First, because of its alignment. */
    carom_tls_certificate *certificates = (void *)copy_bytes(
        copier, options->certificates, options->certificate_count * sizeof *options->certificates);
    for (size_t i = 0; i < options->certificate_count; i++) {
        const carom_tls_certificate *from = &options->certificates[i];
        const carom_tls_certificate copied = {
            .certificate_file = copy_text(copier, from->certificate_file),
            .key_file = copy_text(copier, from->key_file),
            .certificate = copy_slice(copier, from->certificate),
            .key = copy_slice(copier, from->key),
            .ocsp_file = copy_text(copier, from->ocsp_file),
            .server_names = copy_text(copier, from->server_names),
        };
        if (certificates != NULL)
            certificates[i] = copied;
    }
    kept->options = *options;
    kept->options.certificates = certificates;
    kept->options.protocols = NULL;
    kept->options.ticket_keys = (carom_slice){NULL, 0}; /* they are where they can be changed */
    kept->options.ciphers = copy_text(copier, options->ciphers);
    kept->options.suites = copy_text(copier, options->suites);
    kept->options.groups = copy_text(copier, options->groups);
    kept->options.client_ca_file = copy_text(copier, options->client_ca_file);
    kept->options.client_ca = copy_slice(copier, options->client_ca);
    kept->protocols = copy_protocols(copier, options);
}

static const char *fault_of_certificates(const carom_tls_options *options)
{
    if (options->certificates == NULL || options->certificate_count == 0)
        return "there is no certificate";
    if (options->certificate_count > MOST_CERTIFICATES)
        return "there are too many certificates";
    for (size_t i = 0; i < options->certificate_count; i++)
        for (int word = 0; word < 4; word++)
            if (options->certificates[i].reserved[word] != 0)
                return "a carom_tls_certificate was not cleared before it was filled in";
    return NULL;
}

static bool valid_protocols(const carom_tls_options *options)
{
    if (options->protocol_count > MOST_PROTOCOLS || options->protocols == NULL)
        return false;
    for (size_t i = 0; i < options->protocol_count; i++) {
        size_t length = options->protocols[i] == NULL ? 0 : strlen(options->protocols[i]);
        if (length == 0 || length > UINT8_MAX)
            return false;
    }
    return true;
}

/* What is wrong with options whose defaults are filled in; NULL: nothing. */
static const char *fault_of(const carom_tls_options *options)
{
    bool trust = options->client_ca_file != NULL || options->client_ca.length > 0;
    if (!valid_protocols(options))
        return "protocols are not 1 to 64 names of 1 to 255 bytes";
    if (options->min_version != 12 && options->min_version != 13)
        return "min_version may be 12 or 13";
    if (options->ticket_keys.data == NULL && options->ticket_keys.length > 0)
        return "ticket_keys have a length and no bytes";
    if ((unsigned)options->client > CAROM_TLS_CLIENT_REQUIRED)
        return "client is none of CAROM_TLS_CLIENT_...";
    if (options->client != CAROM_TLS_CLIENT_OFF && !trust)
        return "client asks for certificates, and neither client_ca_file nor client_ca says whom "
               "to trust";
    if (options->ticket_lifetime > MOST_LIFETIME && options->ticket_lifetime != CAROM_OFF)
        return "ticket_lifetime may be 604800 at most";
    return fault_of_certificates(options);
}

static int refuse(const struct carom_log_sink *log, const char *fault)
{
    carom_log_line(log, CAROM_LOG_ERROR, "TLS: options: %s", fault);
    return -CAROM_EINVAL;
}

/* Defaults filled in. 0 or -CAROM_EINVAL. */
static int resolve(carom_tls_options *to, const carom_tls_options *given, bool http2,
                   const struct carom_log_sink *log)
{
    static const char *const protocols[] = {"h2", "http/1.1", "http/1.0"};
    if (given == NULL)
        return refuse(log, "there are none");
    if (given->size == 0 || given->size > sizeof *to ||
        given->size % _Alignof(carom_tls_options) != 0)
        return refuse(log, "their size is not set: begin with CAROM_TLS_OPTIONS_INIT");
    *to = (carom_tls_options){0};
    memcpy(to, given, given->size);
    to->size = sizeof *to;
    if (to->protocol_count == 0) {
        to->protocols = http2 ? protocols : protocols + 1;
        to->protocol_count = sizeof protocols / sizeof protocols[0] - (http2 ? 0 : 1);
    }
    if (to->min_version == 0)
        to->min_version = 12;
    if (to->ticket_lifetime == 0)
        to->ticket_lifetime = TICKET_LIFETIME;
    const char *fault = fault_of(to);
    return fault == NULL ? 0 : refuse(log, fault);
}

carom_slice carom_tls_given_keys(const carom_tls_options *options)
{
    const carom_slice none = {NULL, 0};
    bool known = options->size >= offsetof(carom_tls_options, ticket_lifetime);
    return known ? options->ticket_keys : none;
}

int carom_tls_keep(struct carom_tls_kept **made, const carom_tls_options *options, bool http2,
                   const struct carom_log_sink *log)
{
    carom_tls_options resolved;
    int error = resolve(&resolved, options, http2, log);
    if (error < 0)
        return error;
    struct carom_tls_kept counted;
    struct copier counter = {NULL, 0};
    copy_all(&counted, &resolved, &counter);
    struct carom_tls_kept *kept = carom_memory_take(sizeof *kept + counter.size);
    if (kept == NULL)
        return -CAROM_ENOMEM;
    struct copier copier = {(char *)(kept + 1), 0};
    atomic_init(&kept->holders, 1);
    kept->size = sizeof *kept + counter.size;
    copy_all(kept, &resolved, &copier);
    *made = kept;
    return 0;
}

struct carom_tls_kept *carom_tls_kept_hold(struct carom_tls_kept *kept)
{
    atomic_fetch_add(&kept->holders, 1);
    return kept;
}

void carom_tls_kept_drop(struct carom_tls_kept *kept)
{
    if (kept == NULL || atomic_fetch_sub(&kept->holders, 1) > 1)
        return;
    size_t size = kept->size;
    OPENSSL_cleanse(kept, size); /* keys may be there */
    carom_memory_give(kept, size);
}
