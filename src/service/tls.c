/* Certificates of a service: loading them again, by call and by watching their files. */
#include "service/tls.h"

#include "service/listener.h"
#include "service/service.h"

/* ---------------------------------------------------------------- reloading */

int carom_tls_reload(carom_service *service)
{
    int result = 0;
    for (size_t i = 0; i < service->listener_count; i++) {
        struct carom_tls *tls = service->listeners[i]->tls;
        int error = tls == NULL ? 0 : carom_tls_load(tls);
        if (result == 0)
            result = error;
    }
    carom_log_line(&service->log, result == 0 ? CAROM_LOG_INFO : CAROM_LOG_ERROR,
                   result == 0 ? "TLS: loaded again" : "TLS: not loaded again");
    return result;
}

int carom_tls_replace(carom_service *service, const carom_tls_options *options)
{
    int error = options == NULL ? -CAROM_EINVAL : -CAROM_ENOENT;
    for (size_t i = 0; i < service->listener_count && options != NULL; i++) {
        struct carom_tls *tls = service->listeners[i]->tls;
        if (tls == NULL)
            continue;
        error = carom_tls_exchange(tls, options);
        if (error < 0)
            break;
    }
    carom_log_line(&service->log, error == 0 ? CAROM_LOG_INFO : CAROM_LOG_ERROR,
                   error == 0 ? "TLS: replaced" : "TLS: not replaced");
    return error;
}

int carom_tls_set_ticket_keys(carom_service *service, carom_slice keys)
{
    int error = 0;
    for (size_t i = 0; i < service->listener_count && error == 0; i++) {
        struct carom_tls *tls = service->listeners[i]->tls;
        error = tls == NULL ? 0 : carom_tls_replace_keys(tls, keys);
    }
    return error;
}

/* ---------------------------------------------------------------- watching */

/* The shortest time of all listeners that are watched; CAROM_OFF: none is. */
static uint32_t watch_time(const struct carom_service *service)
{
    uint32_t least = CAROM_OFF;
    for (size_t i = 0; i < service->listener_count; i++) {
        const struct carom_tls *tls = service->listeners[i]->tls;
        uint32_t time = tls == NULL ? CAROM_OFF : carom_tls_watch_time(tls);
        if (time < least)
            least = time;
    }
    return least;
}

void carom_tls_watch_start(struct carom_service *service)
{
    struct carom_worker *worker = &service->workers[0];
    uint32_t time = watch_time(service);
    if (time != CAROM_OFF)
        carom_timer_arm(&worker->connections.records.wheel, &worker->watch,
                        worker->connections.records.now + time);
}

void carom_tls_watch(struct carom_timer *timer)
{
    struct carom_worker *worker = carom_container(timer, struct carom_worker, watch);
    struct carom_service *service = worker->service;
    if (worker->connections.draining)
        return;
    for (size_t i = 0; i < service->listener_count; i++) {
        struct carom_tls *tls = service->listeners[i]->tls;
        if (tls != NULL && carom_tls_watch_time(tls) != CAROM_OFF && carom_tls_changed(tls) &&
            carom_tls_load(tls) == 0)
            carom_log_line(&service->log, CAROM_LOG_INFO, "TLS: loaded again, a file has changed");
    }
    carom_tls_watch_start(service);
}
