/* The TLS of a listener: keeps its options and what was last loaded from them, and replaces both
 * while connections go on. */
#include "tls/tls.h"

#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "tls/tls_context.h"
#include "tls/tls_options.h"
#include "tls/tls_tickets.h"

struct carom_tls {
    struct carom_log_sink log;
    bool http2;
    uint32_t watch;
    struct carom_tls_tickets tickets;
    pthread_mutex_t loading; /* one loads at a time; of the next two */
    struct carom_tls_kept *kept;
    uint64_t seen;        /* a mark of the files as they were when they were loaded */
    pthread_mutex_t lock; /* of the context, for moments */
    SSL_CTX *context;
};

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
static uint64_t mark_of_files(const carom_tls_options *options)
{
    uint64_t mark = mark_of(14695981039346656037u, options->client_ca_file);
    for (size_t i = 0; i < options->certificate_count; i++) {
        const carom_tls_certificate *certificate = &options->certificates[i];
        mark = mark_of(mark, certificate->certificate_file);
        mark = mark_of(mark, certificate->key_file);
        mark = mark_of(mark, certificate->ocsp_file);
    }
    return mark;
}

bool carom_tls_changed(struct carom_tls *tls)
{
    pthread_mutex_lock(&tls->loading);
    bool changed = mark_of_files(&tls->kept->options) != tls->seen;
    pthread_mutex_unlock(&tls->loading);
    return changed;
}

uint32_t carom_tls_watch_time(const struct carom_tls *tls)
{
    return tls->watch == 0 ? CAROM_OFF : tls->watch;
}

/* Load what `kept` names, and let new sessions begin with it. The caller holds `loading`. */
static int load(struct carom_tls *tls, struct carom_tls_kept *kept)
{
    SSL_CTX *fresh = NULL;
    uint64_t mark = mark_of_files(&kept->options); /* before: a change meanwhile is seen later */
    int error = carom_tls_context_load(&fresh, kept, &tls->log, &tls->tickets);
    ERR_clear_error();
    if (error == 0 || kept == tls->kept)
        tls->seen = mark; /* what cannot be loaded is not tried again until it changes */
    if (error < 0)
        return error;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = fresh;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* sessions hold it while they need it */
    return 0;
}

int carom_tls_load(struct carom_tls *tls)
{
    pthread_mutex_lock(&tls->loading);
    int error = load(tls, tls->kept);
    pthread_mutex_unlock(&tls->loading);
    return error;
}

int carom_tls_replace_options(struct carom_tls *tls, const carom_tls_options *options)
{
    struct carom_tls_kept *kept = NULL;
    int error = carom_tls_keep(&kept, options, tls->http2, &tls->log);
    if (error < 0)
        return error;
    carom_slice keys = carom_tls_given_keys(options);
    pthread_mutex_lock(&tls->loading);
    error = keys.length > 0 && !carom_tls_tickets_valid(keys) ? -CAROM_EINVAL : load(tls, kept);
    if (error == 0) {
        carom_tls_kept_drop(tls->kept);
        tls->kept = carom_tls_kept_hold(kept);
        if (keys.length > 0)
            carom_tls_tickets_replace(&tls->tickets, keys);
        if (kept->options.ticket_lifetime != CAROM_OFF)
            carom_tls_tickets_set_lifetime(&tls->tickets, kept->options.ticket_lifetime);
    }
    pthread_mutex_unlock(&tls->loading);
    carom_tls_kept_drop(kept);
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
    struct carom_tls_kept *kept = NULL;
    int error = carom_tls_keep(&kept, options, http2, log);
    if (error < 0)
        return error;
    struct carom_tls *tls = carom_memory_take_zeroed(sizeof *tls);
    if (tls == NULL) {
        carom_tls_kept_drop(kept);
        return -CAROM_ENOMEM;
    }
    tls->log = *log;
    tls->http2 = http2;
    tls->kept = kept;
    tls->watch = kept->options.watch;
    pthread_mutex_init(&tls->loading, NULL);
    pthread_mutex_init(&tls->lock, NULL);
    error = carom_tls_tickets_init(&tls->tickets, carom_tls_given_keys(options),
                                   kept->options.ticket_lifetime);
    if (error == 0)
        error = carom_tls_load(tls);
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
    carom_tls_kept_drop(tls->kept);
    carom_tls_tickets_finish(&tls->tickets);
    pthread_mutex_destroy(&tls->loading);
    pthread_mutex_destroy(&tls->lock);
    carom_memory_give(tls, sizeof *tls);
}
