/* Attaches a ring to a worker, whose guest it becomes. */
#include "ring/observer.h"
#include "service/options.h"
#include "service/service.h"

/* A head and its field table lie in a page of the ring at most. */
static bool heads_fit_ring(const carom_options *options)
{
    return carom_options_page_size(options) + (uint64_t)options->max_fields * 8 <=
           CAROM_RING_PAGE_SIZE;
}

int carom_ring_attach(carom_ring *ring, carom_service *service, uint32_t worker)
{
    if (ring == NULL || service == NULL)
        return -CAROM_EINVAL;
    const carom_options *options = &service->options;
    if (worker >= options->workers || options->record_state < sizeof(struct carom_ring_state) ||
        !heads_fit_ring(options))
        return -CAROM_EINVAL;
    struct carom_connections *connections = &service->workers[worker].connections;
    struct carom_records *records = &connections->records;
    if (atomic_load(&service->state) != CAROM_SERVICE_IDLE || records->guest != NULL)
        return -CAROM_ESTATE;
    int error = carom_connections_observe(connections, carom_ring_observer_of(ring));
    if (error < 0)
        return error;
    ring->records = records;
    ring->worker = &service->workers[worker];
    records->guest = &ring->guest;
    return 0;
}
