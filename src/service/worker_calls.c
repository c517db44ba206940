/* The public calls on workers: their beginning and end, their data and records, posts and times. */
#include "record/waker.h"
#include "service/service.h"
#include "service/watch.h"

/* ---------------------------------------------------------------- beginning and end */

/* What the program does on the worker's thread outside its turns is as if in one. */
static void enter(struct carom_worker *worker)
{
    worker->connections.records.thread = pthread_self();
    worker->connections.records.in_turn = true;
}

static void leave(struct carom_worker *worker)
{
    worker->connections.records.in_turn = false;
}

int carom_worker_begin(struct carom_worker *worker)
{
    const carom_options *options = worker->connections.options;
    if (worker->asked)
        return 0;
    worker->asked = true;
    enter(worker);
    int error = options->on_start == NULL ? 0 : options->on_start(worker, options->worker_data);
    worker->begun = error >= 0;
    leave(worker);
    return error < 0 ? error : 0;
}

void carom_worker_end(struct carom_worker *worker)
{
    const carom_options *options = worker->connections.options;
    enter(worker);
    worker->stopped = true;
    carom_watches_cancel(worker);
    carom_wakers_cancel(&worker->connections.records);
    while (carom_wakers_pass(&worker->connections.records)) {
    }
    if (worker->begun && options->on_stop != NULL)
        options->on_stop(worker, options->worker_data);
    leave(worker);
}

/* ---------------------------------------------------------------- which, and its data */

uint32_t carom_worker_index(const carom_worker *worker)
{
    return worker == NULL ? 0 : worker->index;
}

carom_worker *carom_service_worker(carom_service *service, uint32_t index)
{
    return service != NULL && index < service->options.workers ? &service->workers[index] : NULL;
}

carom_worker *carom_record_worker(const carom_record *record)
{
    if (record == NULL)
        return NULL;
    return carom_container(record->records, struct carom_worker, connections.records);
}

void carom_worker_set_data(carom_worker *worker, void *data)
{
    if (worker == NULL)
        return;
    carom_worker_assert_here(worker, __func__);
    worker->data = data;
}

void *carom_worker_data(const carom_worker *worker)
{
    if (worker == NULL)
        return NULL;
    carom_worker_assert_here(worker, __func__);
    return worker->data;
}

size_t carom_service_records(const carom_service *service, uint32_t index, carom_see_record *see,
                             void *data)
{
    if (service == NULL || index >= service->options.workers)
        return 0;
    const struct carom_worker *worker = &service->workers[index];
    carom_worker_assert_here(worker, __func__);
    struct carom_life_cursor cursor = {0};
    carom_record *record;
    size_t count = 0;
    while ((record = carom_lives_next(&worker->connections.records.lives, &cursor)) != NULL) {
        const carom_record_info info = carom_held_info(record);
        count++;
        if (see != NULL)
            see(data, &info);
    }
    return count;
}

/* ---------------------------------------------------------------- posts and times */

int carom_post_worker(carom_worker *worker, carom_waker *waker)
{
    return worker == NULL ? -CAROM_EINVAL : carom_waker_post(&worker->connections.records, waker);
}

int carom_wait_time_worker(carom_worker *worker, uint32_t milliseconds, carom_waker *waker)
{
    if (worker == NULL || !carom_waker_is_set(waker))
        return -CAROM_EINVAL;
    carom_worker_assert_here(worker, __func__);
    if (worker->stopped)
        return -CAROM_ESTATE;
    return carom_waker_wait_time(&worker->connections.records, milliseconds, waker);
}

void carom_unwait_worker(carom_worker *worker, carom_waker *waker)
{
    if (worker == NULL || waker == NULL)
        return;
    carom_worker_assert_here(worker, __func__);
    carom_waker_withdraw(&worker->connections.records, waker);
}
