/* The service: create, listen, run, shut down, destroy. */
#include "service/service.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "net/os.h"
#include "record/waker.h"
#include "service/options.h"

/* ---------------------------------------------------------------- create, destroy */

static struct carom_service *service_of(const struct carom_worker *worker)
{
    return carom_container(worker->shutdown, struct carom_service, shutdown);
}

static void local_address(const struct carom_connections *connections, uint16_t listener,
                          carom_address *address)
{
    const struct carom_worker *worker = (const struct carom_worker *)connections;
    *address = service_of(worker)->listeners.list[listener]->address;
}

static size_t service_size(uint32_t workers)
{
    return sizeof(struct carom_service) + workers * sizeof(struct carom_worker);
}

static void free_service(struct carom_service *service, uint32_t workers)
{
    carom_listeners_finish(&service->listeners);
    for (uint32_t i = 0; i < workers; i++)
        carom_worker_finish(&service->workers[i]);
    carom_memory_give(service->threads, service->options.workers * sizeof *service->threads);
    carom_memory_give(service, service_size(service->options.workers));
}

int carom_service_create_on(carom_service **made, const carom_options *given,
                            carom_loop_create *create_loop)
{
    carom_options options;
    int error = carom_options_resolve(&options, given);
    if (error < 0)
        return error;
    struct carom_service *service = carom_memory_take_zeroed(service_size(options.workers));
    if (service == NULL)
        return -CAROM_ENOMEM;
    service->options = options;
    service->options.backend = NULL; /* the caller's memory, and not needed any more */
    service->log = (struct carom_log_sink){options.log, options.log_data};
    service->listeners = (struct carom_listeners){
        .workers = service->workers, .options = &service->options, .log = &service->log};
    carom_certificates_init(&service->certificates, &service->listeners);
    atomic_init(&service->shutdown.deadline, CAROM_NO_DEADLINE);
    service->threads = carom_memory_take_zeroed(options.workers * sizeof *service->threads);
    uint32_t workers = 0;
    error = service->threads == NULL ? -CAROM_ENOMEM : 0;
    while (error == 0 && workers < options.workers) {
        struct carom_worker *worker = &service->workers[workers];
        error = carom_worker_init(worker, &service->options, &service->shutdown, &service->log,
                                  create_loop);
        if (error == 0) {
            worker->connections.local_address = local_address;
            worker->index = workers++;
            if (worker->index > 0)
                carom_websockets_join(&service->workers[0].websockets, &worker->websockets);
        }
    }
    if (error < 0) {
        free_service(service, workers);
        return error;
    }
    *made = service;
    return 0;
}

/* What the kernel does not allow today it may allow tomorrow: a service must not fail for it. */
int carom_service_create(carom_service **service, const carom_options *given)
{
    carom_options options;
    int error = service == NULL ? -CAROM_EINVAL : carom_options_resolve(&options, given);
    if (error < 0)
        return error;
    const struct carom_log_sink log = {options.log, options.log_data};
    const struct carom_backend *asked = carom_backend_find(options.backend);
    const struct carom_backend *usual = carom_backend_find(NULL);
    error = carom_service_create_on(service, given, asked->create);
    if (asked == usual)
        return error;
    int why = errno;
    if (error == 0)
        carom_log_line(&log, CAROM_LOG_INFO, "backend: %s", asked->title);
    if (error != -CAROM_EUNSUPPORTED)
        return error;
    carom_log_line(&log, CAROM_LOG_WARNING, "backend: %s, because %s is refused: %s", usual->title,
                   asked->title, strerror(why));
    return carom_service_create_on(service, given, usual->create);
}

const char *carom_service_backend(const carom_service *service)
{
    return service == NULL ? "" : service->workers[0].loop->ops->name;
}

int carom_service_adjust(carom_service *service, const carom_options *options)
{
    if (service == NULL || options == NULL || options->size != sizeof *options)
        return -CAROM_EINVAL;
    struct carom_worker *worker = &service->workers[0];
    int state = atomic_load(&service->state);
    if (service->options.workers != 1 || state == CAROM_SERVICE_DRAINED ||
        (state == CAROM_SERVICE_RUNNING && !worker->driven))
        return -CAROM_ESTATE;
#define ADJUST(option)                                                                             \
    if (options->option != 0)                                                                      \
    service->options.option = options->option
    ADJUST(max_connections);
    ADJUST(max_connection_requests);
    ADJUST(header_timeout);
    ADJUST(first_byte_timeout);
    ADJUST(keep_alive);
    ADJUST(keep_alive_grace);
    ADJUST(half_close);
#undef ADJUST
    carom_connections_adjusted(&worker->connections);
    if (state == CAROM_SERVICE_RUNNING)
        carom_doors_update(&worker->doors);
    return 0;
}

int carom_service_destroy(carom_service *service)
{
    if (service == NULL)
        return 0;
    int state = atomic_load(&service->state);
    if (state == CAROM_SERVICE_RUNNING)
        return -CAROM_ESTATE;
    free_service(service, service->options.workers);
    return 0;
}

/* ---------------------------------------------------------------- listeners */

static int listen_on(struct carom_service *service, const char *address,
                     const carom_tls_options *tls)
{
    if (service == NULL)
        return -CAROM_EINVAL;
    if (atomic_load(&service->state) != CAROM_SERVICE_IDLE)
        return -CAROM_ESTATE;
    return carom_listeners_add(&service->listeners, address, tls);
}

int carom_service_listen(carom_service *service, const char *address)
{
    return listen_on(service, address, NULL);
}

int carom_service_listen_tls(carom_service *service, const char *address,
                             const carom_tls_options *options)
{
    return options == NULL ? -CAROM_EINVAL : listen_on(service, address, options);
}

size_t carom_service_listener_count(const carom_service *service)
{
    return service == NULL ? 0 : service->listeners.count;
}

int carom_service_listener(const carom_service *service, size_t index, carom_address *address)
{
    if (service == NULL || address == NULL || index >= service->listeners.count)
        return -CAROM_EINVAL;
    *address = service->listeners.list[index]->address;
    return 0;
}

int carom_tls_reload(carom_service *service)
{
    return service == NULL ? -CAROM_EINVAL : carom_certificates_reload(&service->listeners);
}

int carom_tls_replace(carom_service *service, const carom_tls_options *options)
{
    return service == NULL ? -CAROM_EINVAL
                           : carom_certificates_replace(&service->listeners, options);
}

int carom_tls_set_ticket_keys(carom_service *service, carom_slice keys)
{
    if (service == NULL || (keys.data == NULL && keys.length > 0))
        return -CAROM_EINVAL;
    return carom_certificates_set_keys(&service->listeners, keys);
}

/* ---------------------------------------------------------------- run */

int carom_service_start(struct carom_service *service)
{
    int idle = CAROM_SERVICE_IDLE;
    if (!atomic_compare_exchange_strong(&service->state, &idle, CAROM_SERVICE_RUNNING))
        return -CAROM_ESTATE;
    if (service->listeners.count == 0)
        carom_log_line(&service->log, CAROM_LOG_WARNING,
                       "the service runs without a listener: nobody can connect");
    atomic_store(&service->working, service->options.workers);
    for (uint32_t i = 0; i < service->options.workers; i++)
        carom_doors_update(&service->workers[i].doors);
    carom_certificates_watch(&service->certificates);
    return 0;
}

/* A worker that cannot begin ends the service. */
static void begin(struct carom_service *service, struct carom_worker *worker)
{
    int none = 0, error = carom_worker_begin(worker);
    if (error == 0)
        return;
    atomic_compare_exchange_strong(&service->failed, &none, error);
    carom_shutdown(service, 0);
}

/* Turn until the worker has drained; worker 0, until all workers have. */
static void *run_worker(void *argument)
{
    struct carom_worker *worker = argument;
    struct carom_service *service = service_of(worker);
    begin(service, worker);
    while (carom_worker_turn(worker, true)) {
    }
    if (atomic_fetch_sub(&service->working, 1) == 1)
        carom_worker_rouse(&service->workers[0]);
    while (worker == service->workers && atomic_load(&service->working) > 0)
        carom_worker_turn(worker, true);
    carom_worker_end(worker);
    return NULL;
}

/* Threads of ours take no signals: those are the program's. */
static int start_threads(struct carom_service *service, uint32_t *started)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    uint32_t i = 1;
    for (; i < service->options.workers && error == 0; i++)
        error = pthread_create(&service->threads[i], NULL, run_worker, &service->workers[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *started = error == 0 ? i : i - 1;
    return error == 0 ? 0 : -CAROM_ENOMEM;
}

/* The last thing that happens: tell who waits for the drain. */
static void finish_run(struct carom_service *service)
{
    atomic_store(&service->state, CAROM_SERVICE_DRAINED);
    carom_waker *waker = service->drained;
    service->drained = NULL;
    if (waker != NULL)
        waker->wake(waker, 0);
}

/* Sending from a file may raise SIGPIPE: it stays blocked while this thread is a worker. */
static void block_sigpipe(struct carom_service *service, sigset_t *before)
{
    carom_os_block_sigpipe(before);
    for (uint32_t i = 0; i < service->options.workers; i++)
        service->workers[i].loop->sigpipe_blocked = true;
}

int carom_run(carom_service *service)
{
    uint32_t started = 0;
    sigset_t before;
    int error = service == NULL ? -CAROM_EINVAL : carom_service_start(service);
    if (error < 0)
        return error;
    block_sigpipe(service, &before);
    error = start_threads(service, &started);
    if (error < 0) {
        /* The workers that have no thread drain on this one. */
        carom_shutdown(service, 0);
        for (uint32_t i = started; i < service->options.workers; i++)
            run_worker(&service->workers[i]);
    }
    run_worker(&service->workers[0]);
    for (uint32_t i = 1; i < started; i++)
        pthread_join(service->threads[i], NULL);
    carom_os_unblock_sigpipe(&before);
    finish_run(service);
    return error < 0 ? error : atomic_load(&service->failed);
}

static int start_driven(struct carom_service *service)
{
    if (service == NULL)
        return -CAROM_EINVAL;
    int state = atomic_load(&service->state);
    if (service->options.workers != 1 || state == CAROM_SERVICE_DRAINED)
        return -CAROM_ESTATE;
    if (state == CAROM_SERVICE_RUNNING)
        return service->workers[0].driven ? 0 : -CAROM_ESTATE;
    struct carom_worker *worker = &service->workers[0];
    int fd = worker->loop->ops->descriptor(worker->loop);
    if (fd < 0)
        return fd;
    worker->driven = true;
    int error = carom_service_start(service);
    if (error == 0)
        worker->loop->ops->wake(worker->loop); /* the first turn sets the alarm */
    return error;
}

int carom_service_descriptor(carom_service *service)
{
    int error = start_driven(service);
    if (error < 0)
        return error;
    struct carom_worker *worker = &service->workers[0];
    return worker->loop->ops->descriptor(worker->loop);
}

int carom_service_turn(carom_service *service)
{
    int error = start_driven(service);
    if (error < 0)
        return error;
    struct carom_worker *worker = &service->workers[0];
    if (worker->connections.records.in_turn)
        return -CAROM_ESTATE;
    begin(service, worker); /* before the first turn */
    if (carom_worker_turn(worker, false))
        return 1;
    carom_worker_end(worker);
    finish_run(service);
    return atomic_load(&service->failed);
}

/* ---------------------------------------------------------------- shutdown */

void carom_shutdown(carom_service *service, uint32_t milliseconds)
{
    if (service == NULL)
        return;
    /* Inside before anybody can see it: a service that drains at once is not destroyed under us. */
    struct carom_inbox *inbox = &service->workers[0].connections.records.inbox;
    carom_inbox_enter(inbox);
    if (milliseconds != CAROM_OFF) {
        uint64_t deadline = carom_clock_milliseconds(CLOCK_MONOTONIC) + milliseconds;
        uint64_t before = atomic_load(&service->shutdown.deadline);
        while (deadline < before &&
               !atomic_compare_exchange_weak(&service->shutdown.deadline, &before, deadline)) {
        }
    }
    atomic_store_explicit(&service->shutdown.asked, true, memory_order_release);
    for (uint32_t i = 0; i < service->options.workers; i++)
        carom_worker_rouse(&service->workers[i]);
    carom_inbox_leave(inbox);
}

int carom_service_wait_drained(carom_service *service, carom_waker *waker)
{
    if (service == NULL || !carom_waker_is_set(waker))
        return -CAROM_EINVAL;
    if (service->drained != NULL || atomic_load(&service->state) == CAROM_SERVICE_DRAINED)
        return -CAROM_ESTATE;
    service->drained = waker;
    return 0;
}
