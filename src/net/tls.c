/* TLS of a listener: its options, kept; what was loaded last; changing one for the other. */
#include "net/tls.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "net/tls_context.h"
#include "net/tls_tickets.h"

#define MOST_CERTIFICATES 100000u
#define MOST_PROTOCOLS    64u
#define TICKET_LIFETIME   7200u
/* A week: RFC 8446, 4.6.1. */
#define MOST_LIFETIME 604800u

struct carom_tls {
    struct carom_log_sink log;
    carom_tls_options options; /* what it points to lies in `kept` */
    carom_slice protocols;     /* in wire format; there, too */
    char *kept;
    size_t kept_size;
    struct carom_tls_tickets tickets;
    pthread_mutex_t lock; /* of what follows */
    SSL_CTX *context;
    uint64_t seen; /* a mark of the files as they were when they were loaded */
};

/* ---------------------------------------------------------------- the options, kept */

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

static void copy_all(struct carom_tls *tls, const carom_tls_options *options, struct copier *copier)
{
    /* First, because of its alignment. */
    carom_tls_certificate *certificates = (void *)copy_bytes(
        copier, options->certificates, options->certificate_count * sizeof *options->certificates);
    for (size_t i = 0; i < options->certificate_count; i++) {
        const carom_tls_certificate *from = &options->certificates[i];
        const carom_tls_certificate kept = {
            .certificate_file = copy_text(copier, from->certificate_file),
            .key_file = copy_text(copier, from->key_file),
            .certificate = copy_slice(copier, from->certificate),
            .key = copy_slice(copier, from->key),
            .ocsp_file = copy_text(copier, from->ocsp_file),
        };
        if (certificates != NULL)
            certificates[i] = kept;
    }
    tls->options = *options;
    tls->options.certificates = certificates;
    tls->options.protocols = NULL;
    tls->options.ticket_keys = (carom_slice){NULL, 0}; /* they are where they can be changed */
    tls->options.ciphers = copy_text(copier, options->ciphers);
    tls->options.suites = copy_text(copier, options->suites);
    tls->options.groups = copy_text(copier, options->groups);
    tls->options.client_ca_file = copy_text(copier, options->client_ca_file);
    tls->options.client_ca = copy_slice(copier, options->client_ca);
    tls->protocols = copy_protocols(copier, options);
}

static bool valid_protocols(const carom_tls_options *options)
{
    if (options->protocol_count > MOST_PROTOCOLS)
        return false;
    for (size_t i = 0; i < options->protocol_count; i++) {
        size_t length = options->protocols[i] == NULL ? 0 : strlen(options->protocols[i]);
        if (length == 0 || length > UINT8_MAX)
            return false;
    }
    return true;
}

/* Defaults filled in. 0 or -CAROM_EINVAL. */
static int resolve(carom_tls_options *to, const carom_tls_options *given, bool http2)
{
    static const char *const protocols[] = {"h2", "http/1.1", "http/1.0"};
    if (given == NULL || given->size == 0 || given->size > sizeof *to ||
        given->size % _Alignof(carom_tls_options) != 0)
        return -CAROM_EINVAL;
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
    bool trust = to->client_ca_file != NULL || to->client_ca.length > 0;
    if (to->certificates == NULL || to->certificate_count == 0 ||
        to->certificate_count > MOST_CERTIFICATES || !valid_protocols(to) ||
        (to->min_version != 12 && to->min_version != 13) ||
        (unsigned)to->client > CAROM_TLS_CLIENT_REQUIRED ||
        (to->client != CAROM_TLS_CLIENT_OFF && !trust) ||
        (to->ticket_lifetime > MOST_LIFETIME && to->ticket_lifetime != CAROM_OFF))
        return -CAROM_EINVAL;
    return 0;
}

/* ---------------------------------------------------------------- the files */

static uint64_t mix(uint64_t mark, uint64_t number)
{
    mark ^= number;
    mark *= 1099511628211u; /* FNV-1a, by words */
    return mark ^ mark >> 29;
}

static uint64_t mark_of(uint64_t mark, const char *file)
{
    struct stat seen;
    if (file == NULL)
        return mark;
    if (stat(file, &seen) < 0)
        return mix(mark, 1);
    mark = mix(mark, (uint64_t)seen.st_mtim.tv_sec);
    mark = mix(mark, (uint64_t)seen.st_mtim.tv_nsec);
    return mix(mix(mark, (uint64_t)seen.st_size), (uint64_t)seen.st_ino);
}

/* A number that is another when a file is another. */
static uint64_t mark_of_files(const struct carom_tls *tls)
{
    uint64_t mark = mark_of(14695981039346656037u, tls->options.client_ca_file);
    for (size_t i = 0; i < tls->options.certificate_count; i++) {
        const carom_tls_certificate *certificate = &tls->options.certificates[i];
        mark = mark_of(mark, certificate->certificate_file);
        mark = mark_of(mark, certificate->key_file);
        mark = mark_of(mark, certificate->ocsp_file);
    }
    return mark;
}

bool carom_tls_changed(struct carom_tls *tls)
{
    uint64_t mark = mark_of_files(tls);
    pthread_mutex_lock(&tls->lock);
    bool changed = mark != tls->seen;
    pthread_mutex_unlock(&tls->lock);
    return changed;
}

uint32_t carom_tls_watch_time(const struct carom_tls *tls)
{
    return tls->options.watch == 0 ? CAROM_OFF : tls->options.watch;
}

int carom_tls_load(struct carom_tls *tls)
{
    SSL_CTX *fresh = NULL;
    uint64_t mark = mark_of_files(tls); /* before: a change meanwhile is seen later */
    int error =
        carom_tls_context_load(&fresh, &tls->options, &tls->log, tls->protocols, &tls->tickets);
    ERR_clear_error();
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = error == 0 ? tls->context : NULL;
    if (error == 0)
        tls->context = fresh;
    tls->seen = mark; /* what cannot be loaded is not tried again until it changes */
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* sessions hold it while they need it */
    return error;
}

struct ssl_st *carom_tls_new(struct carom_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    return ssl;
}

int carom_tls_replace_keys(struct carom_tls *tls, carom_slice keys)
{
    return carom_tls_tickets_replace(&tls->tickets, keys);
}

/* ---------------------------------------------------------------- life */

int carom_tls_create(struct carom_tls **made, const carom_tls_options *options,
                     const struct carom_log_sink *log, bool http2)
{
    carom_tls_options resolved;
    int error = resolve(&resolved, options, http2);
    if (error < 0)
        return error;
    struct carom_tls *tls = carom_memory_take_zeroed(sizeof *tls);
    if (tls == NULL)
        return -CAROM_ENOMEM;
    struct copier counter = {NULL, 0};
    copy_all(tls, &resolved, &counter);
    tls->kept_size = counter.size;
    tls->kept = carom_memory_take(counter.size);
    tls->log = *log;
    pthread_mutex_init(&tls->lock, NULL);
    error = carom_tls_tickets_init(&tls->tickets, resolved.ticket_keys, resolved.ticket_lifetime);
    if (tls->kept == NULL)
        error = -CAROM_ENOMEM;
    if (error == 0) {
        struct copier copier = {tls->kept, 0};
        copy_all(tls, &resolved, &copier);
        error = carom_tls_load(tls);
    }
    if (error < 0) {
        carom_tls_destroy(tls);
        return error;
    }
    *made = tls;
    return 0;
}

void carom_tls_destroy(struct carom_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    carom_tls_tickets_finish(&tls->tickets);
    pthread_mutex_destroy(&tls->lock);
    if (tls->kept != NULL)
        OPENSSL_cleanse(tls->kept, tls->kept_size); /* keys may be there */
    carom_memory_give(tls->kept, tls->kept_size);
    carom_memory_give(tls, sizeof *tls);
}
