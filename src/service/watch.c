/* Descriptors of the program. When the loop says that one is ready, it makes a waker ready, and
 * that calls the program in its turn. */
#include "service/watch.h"

#include "record/waker.h"
#include "service/worker.h"

#define WANTED ((unsigned)CAROM_WATCH_READABLE | (unsigned)CAROM_WATCH_WRITABLE)

/* What carom_io.reserved holds. */
struct watching {
    carom_waker waker;
    struct carom_joined joined; /* to its record, if it has one */
    struct carom_node node;     /* in its worker's list */
    struct carom_descriptor descriptor;
    struct carom_worker *worker; /* NULL: it is not watched */
    uint8_t ready;               /* the events that have come */
    bool once;
    bool over; /* its record or its worker ends */
};

_Static_assert(sizeof(struct watching) <= sizeof(((carom_io *)0)->reserved),
               "what is watched fits into the public struct");

static struct watching *watching_of(carom_io *io)
{
    return (struct watching *)(void *)io->reserved;
}

static carom_io *io_of(struct watching *watching)
{
    return carom_container(watching, carom_io, reserved);
}

static void fire(carom_waker *waker, int status);

/* False of memory that nobody has cleared, too. */
static bool is_watched(const struct watching *watching)
{
    return watching->waker.wake == fire && watching->worker != NULL;
}

static struct carom_records *records_of(const struct watching *watching)
{
    return &watching->worker->connections.records;
}

static void leave(struct watching *watching)
{
    struct carom_loop *loop = watching->worker->loop;
    loop->ops->unwatch(loop, &watching->descriptor);
    carom_waker_withdraw(records_of(watching), &watching->waker);
    carom_joined_leave(&watching->joined);
    carom_node_remove(&watching->node);
    watching->worker = NULL;
}

/* ---------------------------------------------------------------- what becomes of it */

static void descriptor_is_ready(struct carom_descriptor *descriptor, unsigned events)
{
    struct watching *watching = carom_container(descriptor, struct watching, descriptor);
    watching->ready |= (uint8_t)events;
    carom_waker_ready_once(records_of(watching), &watching->waker);
}

/* What it was ready for may be wanted no more. */
static void fire(carom_waker *waker, int status)
{
    struct watching *watching = carom_container(waker, struct watching, waker);
    int events = watching->ready & watching->descriptor.events;
    watching->ready = 0;
    if (watching->over)
        events = -CAROM_ECANCELED;
    if (events == 0)
        return;
    if (watching->over || watching->once)
        leave(watching);
    (void)status;
    io_of(watching)->ready(io_of(watching), events);
}

/* It fires in the next pass, which is before the loop is asked again, and is unwatched there. */
static void end(struct watching *watching)
{
    watching->over = true;
    carom_waker_ready_once(records_of(watching), &watching->waker);
}

static void record_is_over(struct carom_joined *joined)
{
    end(carom_container(joined, struct watching, joined));
}

static void record_is_released(struct carom_joined *joined)
{
    leave(carom_container(joined, struct watching, joined));
}

void carom_watches_cancel(struct carom_worker *worker)
{
    struct carom_node *node = worker->watches.next;
    for (; node != &worker->watches; node = node->next)
        end(carom_container(node, struct watching, node));
}

/* ---------------------------------------------------------------- public */

static bool valid(const carom_io *io, unsigned events)
{
    return io != NULL && io->ready != NULL && (events & WANTED) != 0 &&
           (events & ~(WANTED | (unsigned)CAROM_WATCH_ONCE)) == 0;
}

static int watch(struct carom_worker *worker, carom_io *io, int fd, unsigned events)
{
    struct watching *watching = watching_of(io);
    struct carom_loop *loop = worker->loop;
    bool fresh = !is_watched(watching);
    if (!fresh && (watching->worker != worker || watching->descriptor.fd != fd))
        return -CAROM_ESTATE;
    if (!fresh && watching->over)
        return 0; /* and so it fires */
    if (fresh)
        watching->descriptor = (struct carom_descriptor){descriptor_is_ready, fd, 0};
    int error = loop->ops->watch(loop, &watching->descriptor, events & WANTED);
    if (error < 0)
        return error;
    watching->once = (events & CAROM_WATCH_ONCE) != 0;
    carom_records_work(&worker->connections.records);
    if (!fresh)
        return 0;
    watching->waker = (carom_waker){.wake = fire};
    watching->joined =
        (struct carom_joined){.over = record_is_over, .released = record_is_released};
    watching->worker = worker;
    watching->ready = 0;
    watching->over = false;
    carom_list_append(&worker->watches, &watching->node);
    return 0;
}

int carom_watch_worker(carom_worker *worker, carom_io *io, int descriptor, unsigned events)
{
    if (worker == NULL || !valid(io, events))
        return -CAROM_EINVAL;
    carom_worker_assert_here(worker, __func__);
    const struct watching *watching = watching_of(io);
    if (worker->stopped || (is_watched(watching) && watching->joined.from != NULL))
        return -CAROM_ESTATE;
    return watch(worker, io, descriptor, events);
}

/* Whether a record is what it is joined to. */
static bool is_joined(const carom_record *record, const struct watching *watching)
{
    const struct carom_joined *joined = record->joined;
    while (joined != NULL && joined != &watching->joined)
        joined = joined->next;
    return joined != NULL;
}

int carom_watch(carom_record *record, carom_io *io, int descriptor, unsigned events)
{
    int error = carom_record_check(record, __func__);
    if (error < 0)
        return error;
    if (!valid(io, events))
        return -CAROM_EINVAL;
    struct watching *watching = watching_of(io);
    bool fresh = !is_watched(watching);
    if (!fresh && !is_joined(record, watching))
        return -CAROM_ESTATE;
    error = watch(carom_record_worker(record), io, descriptor, events);
    if (error < 0 || !fresh)
        return error;
    carom_record_join(record, &watching->joined);
    if (carom_record_over(record))
        end(watching);
    return 0;
}

void carom_unwatch(carom_io *io)
{
    if (io == NULL)
        return;
    struct watching *watching = watching_of(io);
    if (!is_watched(watching))
        return;
    carom_worker_assert_here(watching->worker, __func__);
    leave(watching);
}
