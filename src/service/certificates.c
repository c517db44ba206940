/* The certificates of a service: loads them again, when the program asks or their files have
 * changed. */
#include "service/certificates.h"

#include "tls/tls.h"

/* ---------------------------------------------------------------- reloading */

int carom_certificates_reload(const struct carom_listeners *listeners)
{
    int result = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        struct carom_tls *tls = listeners->list[i]->tls;
        int error = tls == NULL ? 0 : carom_tls_load(tls);
        if (result == 0)
            result = error;
    }
    carom_log_line(listeners->log, result == 0 ? CAROM_LOG_INFO : CAROM_LOG_ERROR,
                   result == 0 ? "TLS: loaded again" : "TLS: not loaded again");
    return result;
}

int carom_certificates_replace(const struct carom_listeners *listeners,
                               const carom_tls_options *options)
{
    int error = options == NULL ? -CAROM_EINVAL : -CAROM_ENOENT;
    for (size_t i = 0; i < listeners->count && options != NULL; i++) {
        struct carom_tls *tls = listeners->list[i]->tls;
        if (tls == NULL)
            continue;
        error = carom_tls_replace_options(tls, options);
        if (error < 0)
            break;
    }
    carom_log_line(listeners->log, error == 0 ? CAROM_LOG_INFO : CAROM_LOG_ERROR,
                   error == 0 ? "TLS: replaced" : "TLS: not replaced");
    return error;
}

int carom_certificates_set_keys(const struct carom_listeners *listeners, carom_slice keys)
{
    int error = 0;
    for (size_t i = 0; i < listeners->count && error == 0; i++) {
        struct carom_tls *tls = listeners->list[i]->tls;
        error = tls == NULL ? 0 : carom_tls_replace_keys(tls, keys);
    }
    return error;
}

/* ---------------------------------------------------------------- watching */

/* The shortest time of all listeners that are watched; CAROM_OFF: none is. */
static uint32_t watch_time(const struct carom_listeners *listeners)
{
    uint32_t least = CAROM_OFF;
    for (size_t i = 0; i < listeners->count; i++) {
        const struct carom_tls *tls = listeners->list[i]->tls;
        uint32_t time = tls == NULL ? CAROM_OFF : carom_tls_watch_time(tls);
        if (time < least)
            least = time;
    }
    return least;
}

void carom_certificates_watch(struct carom_certificates *certificates)
{
    struct carom_records *records = &certificates->listeners->workers[0].connections.records;
    uint32_t time = watch_time(certificates->listeners);
    if (time != CAROM_OFF)
        carom_timer_arm(&records->wheel, &certificates->watch, records->now + time);
}

static void look(struct carom_timer *timer)
{
    struct carom_certificates *certificates =
        carom_container(timer, struct carom_certificates, watch);
    const struct carom_listeners *listeners = certificates->listeners;
    if (listeners->workers[0].connections.records.draining)
        return;
    for (size_t i = 0; i < listeners->count; i++) {
        struct carom_tls *tls = listeners->list[i]->tls;
        if (tls != NULL && carom_tls_watch_time(tls) != CAROM_OFF && carom_tls_changed(tls) &&
            carom_tls_load(tls) == 0)
            carom_log_line(listeners->log, CAROM_LOG_INFO, "TLS: loaded again, a file has changed");
    }
    carom_certificates_watch(certificates);
}

void carom_certificates_init(struct carom_certificates *certificates,
                             struct carom_listeners *listeners)
{
    certificates->listeners = listeners;
    carom_timer_init(&certificates->watch, look);
}
