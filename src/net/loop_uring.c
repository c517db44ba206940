/* The io_uring backend: the loop. The operations that a turn starts are given to the kernel when
 * the next turn waits, by the same system call.
 *
 * A foreign loop polls an epoll descriptor over three others: wakes, the alarm, and news of the
 * ring, which the kernel tells only between two turns. They are edge-triggered, so that none of
 * them needs to be read. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/errors.h"
#include "base/memory.h"
#include "carom.h"
#include "net/backend.h"
#include "net/os.h"
#include "net/uring_operations.h"
#include "net/uring_sockets.h"

#define SUBMISSIONS 1024
#define COMPLETIONS 4096

/* An acceptor's poll, which may outlive it. */
struct accept_poll {
    struct carom_node link;
    struct carom_acceptor *acceptor; /* NULL: stopped */
    bool shared, polled;
};

/* ---------------------------------------------------------------- accepting */

/* A poll and accept4, not a multishot accept: that goes on after accept_stop until it is cancelled,
 * and what it had taken could not be put back into the listener's queue. */
static void start_poll(struct carom_loop *loop, struct accept_poll *poll)
{
    uint32_t events = POLLIN | (poll->shared ? (uint32_t)EPOLLEXCLUSIVE : 0u);
    carom_uring_poll(loop, poll->acceptor->fd, events,
                     carom_uring_tagged(poll, CAROM_URING_ACCEPTOR));
    poll->polled = true;
}

static void free_poll(struct accept_poll *poll)
{
    carom_node_remove(&poll->link);
    carom_memory_give(poll, sizeof *poll);
}

static int accept_start(struct carom_loop *loop, struct carom_acceptor *acceptor, bool shared)
{
    struct accept_poll *poll = carom_memory_take(sizeof *poll);
    if (poll == NULL)
        return -CAROM_ENOMEM;
    *poll = (struct accept_poll){.acceptor = acceptor, .shared = shared};
    carom_list_append(&carom_uring_of(loop)->accept_polls, &poll->link);
    acceptor->accepting = true;
    start_poll(loop, poll);
    return 0;
}

/* The poll holds the listening socket, which must be gone when its owner has closed it. */
static void end_poll(struct carom_loop *loop, struct accept_poll *poll)
{
    poll->acceptor = NULL;
    if (!poll->polled)
        return; /* it is being delivered, and freed there */
    if (carom_uring_cancel(loop, carom_uring_tagged(poll, CAROM_URING_ACCEPTOR)))
        carom_uring_enter(&carom_uring_of(loop)->ring, 0);
    else
        free_poll(poll);
}

static void accept_stop(struct carom_loop *loop, struct carom_acceptor *acceptor)
{
    struct carom_node *polls = &carom_uring_of(loop)->accept_polls;
    acceptor->accepting = false;
    for (struct carom_node *node = polls->next; node != polls; node = node->next) {
        struct accept_poll *poll = carom_container(node, struct accept_poll, link);
        if (poll->acceptor == acceptor) {
            end_poll(loop, poll);
            return;
        }
    }
}

static void acceptor_ready(struct carom_loop *loop, struct accept_poll *poll)
{
    poll->polled = false;
    if (poll->acceptor != NULL)
        carom_acceptor_batch(loop, poll->acceptor);
    if (poll->acceptor != NULL)
        start_poll(loop, poll);
    else
        free_poll(poll);
}

/* ---------------------------------------------------------------- descriptors of the program */

/* A poll ends with the first event and looks at how things stand when it is submitted: begun again
 * after each delivery it is level-triggered. */
static void poll_watched(struct carom_loop *loop)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    if (self->watched.fd < 0 || self->watched_polled)
        return;
    self->watched_polled = true;
    carom_uring_poll(loop, self->watched.fd, POLLIN, carom_uring_tagged(NULL, CAROM_URING_WATCHED));
}

static int watch_descriptor(struct carom_loop *loop, struct carom_descriptor *descriptor,
                            unsigned events)
{
    int error = carom_descriptors_watch(&carom_uring_of(loop)->watched, descriptor, events);
    poll_watched(loop);
    return error;
}

static void unwatch_descriptor(struct carom_loop *loop, struct carom_descriptor *descriptor)
{
    carom_descriptors_unwatch(&carom_uring_of(loop)->watched, descriptor);
}

static void watched_ready(struct carom_loop *loop)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    self->watched_polled = false;
    carom_descriptors_deliver(&self->watched);
    poll_watched(loop);
}

/* ---------------------------------------------------------------- the turn */

static void read_clock(struct carom_loop *loop)
{
    carom_uring_of(loop)->now = carom_clock_milliseconds(CLOCK_MONOTONIC);
    carom_uring_of(loop)->seconds = carom_os_seconds();
}

/* Each write to the eventfd completes it once; the counter is never read. */
static void watch_wakes(struct carom_loop *loop)
{
    uint64_t user_data = carom_uring_tagged(NULL, CAROM_URING_WAKE);
    carom_uring_poll(loop, carom_uring_of(loop)->event, POLLIN, user_data)->len =
        IORING_POLL_ADD_MULTI;
}

/* The first wait is of the thread that runs the loop. */
static void enable(struct carom_loop *loop)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    if (carom_uring_enable(&self->ring) < 0)
        return; /* and again next time: until then each enter fails, and takes its time */
    self->enabled = true;
    watch_wakes(loop);
}

/* What the foreign loop was told is taken notice of. A wake from now on is news of the ring, too.
 */
static void hush(struct carom_uring_loop *self)
{
    struct epoll_event events[3];
    int count = epoll_wait(self->poll, events, 3, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.fd == self->timer)
            self->alarm = UINT64_MAX;
}

static void wait(struct carom_loop *loop, uint64_t deadline)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    if (!self->enabled)
        enable(loop);
    if (self->poll >= 0)
        carom_uring_tell(&self->ring, false);
    carom_uring_enter(&self->ring, carom_clock_sleep(self->now, deadline));
    if (self->poll >= 0)
        hush(self);
    self->found = carom_uring_ready(&self->ring);
    read_clock(loop);
}

static void completed(struct carom_loop *loop, const struct io_uring_cqe *cqe)
{
    enum carom_uring_tag tag = (enum carom_uring_tag)(cqe->user_data & CAROM_URING_TAGS);
    void *pointer = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)CAROM_URING_TAGS);
    switch (tag) {
    case CAROM_URING_NOTHING:
        break;
    case CAROM_URING_ACCEPTOR:
        acceptor_ready(loop, pointer);
        break;
    case CAROM_URING_WAKE:
        if (!(cqe->flags & IORING_CQE_F_MORE))
            watch_wakes(loop);
        break;
    case CAROM_URING_WATCHED:
        watched_ready(loop);
        break;
    default:
        carom_uring_socket_completed(loop, pointer, tag, cqe->res, cqe->flags);
    }
}

static void deliver(struct carom_loop *loop)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    uint32_t found = self->found;
    self->found = 0;
    for (uint32_t i = 0; i < found; i++)
        completed(loop, carom_uring_cqe(&self->ring, i));
    carom_uring_seen(&self->ring, found);
    if (self->missing > 0)
        carom_uring_refill(self);
    if (self->now - self->trimmed >= CAROM_POOL_WINDOW) {
        carom_pool_tick(&self->kept);
        self->trimmed = self->now;
    }
}

static void wake(struct carom_loop *loop)
{
    static const uint64_t one = 1;
    int error = errno;
    (void)!write(carom_uring_of(loop)->event, &one, sizeof one);
    errno = error;
}

/* ---------------------------------------------------------------- a foreign loop */

static int watch(const struct carom_uring_loop *self, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | (uint32_t)EPOLLET, .data.fd = fd};
    return epoll_ctl(self->poll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void close_descriptors(struct carom_uring_loop *self)
{
    int *const fds[] = {&self->poll, &self->timer, &self->news};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static int descriptor(struct carom_loop *loop)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    if (self->poll >= 0)
        return self->poll;
    self->poll = epoll_create1(EPOLL_CLOEXEC);
    self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    self->news = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = self->poll < 0 || self->timer < 0 || self->news < 0 ? -errno : 0;
    if (error == 0)
        error = carom_uring_register(&self->ring, IORING_REGISTER_EVENTFD, &self->news, 1);
    if (error == 0)
        error = watch(self, self->event);
    if (error == 0)
        error = watch(self, self->timer);
    if (error == 0)
        error = watch(self, self->news);
    if (error == 0)
        return self->poll;
    carom_uring_register(&self->ring, IORING_UNREGISTER_EVENTFD, NULL, 0);
    close_descriptors(self);
    return carom_error_from_errno(-error);
}

static void set_timer(struct carom_uring_loop *self, uint64_t deadline)
{
    if (self->alarm == deadline)
        return;
    self->alarm = deadline;
    struct itimerspec when = {0};
    if (deadline != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(deadline / 1000);
        when.it_value.tv_nsec = (long)(deadline % 1000) * 1000000;
        if (deadline == 0)
            when.it_value.tv_nsec = 1; /* all zero would mean never */
    }
    timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* The turn is over: what it started is submitted now, and what comes after is told. */
static void alarm_at(struct carom_loop *loop, uint64_t deadline)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    if (self->poll < 0)
        return;
    if (self->enabled)
        carom_uring_submit(&self->ring);
    carom_uring_tell(&self->ring, true);
    if (carom_uring_ready(&self->ring) > 0 || carom_uring_pending(&self->ring) ||
        carom_uring_unsubmitted(&self->ring) > 0)
        wake(loop); /* it came before it would have been told */
    set_timer(self, deadline);
}

/* ---------------------------------------------------------------- life */

static uint64_t now(struct carom_loop *loop)
{
    return carom_uring_of(loop)->now;
}

static int64_t seconds(struct carom_loop *loop)
{
    return carom_uring_of(loop)->seconds;
}

static void destroy(struct carom_loop *loop)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    carom_assert(carom_node_alone(&loop->closed));
    carom_uring_destroy(&self->ring);
    carom_uring_buffers_destroy(&self->buffers);
    carom_uring_sockets_finish(self);
    while (!carom_node_alone(&self->accept_polls))
        free_poll(carom_container(self->accept_polls.next, struct accept_poll, link));
    carom_descriptors_finish(&self->watched);
    close_descriptors(self);
    if (self->event >= 0)
        close(self->event);
    carom_memory_give(self, sizeof *self);
}

static const struct carom_loop_ops uring_ops = {
    .name = "uring",
    .destroy = destroy,
    .accept_start = accept_start,
    .accept_stop = accept_stop,
    .open = carom_uring_socket_open,
    .receive = carom_uring_socket_receive,
    .send = carom_uring_socket_send,
    .send_now = carom_socket_send_now,
    .shutdown = carom_uring_socket_shutdown,
    .close = carom_uring_socket_close,
    .watch = watch_descriptor,
    .unwatch = unwatch_descriptor,
    .wait = wait,
    .deliver = deliver,
    .reclaim = carom_sockets_reclaim,
    .wake = wake,
    .descriptor = descriptor,
    .alarm = alarm_at,
    .read_clock = read_clock,
    .now = now,
    .seconds = seconds,
};

/* Everything but want of descriptors means that there is no io_uring for us: the kernel is too old,
 * a sysctl or seccomp forbids it, locked memory is short. errno says which. */
static int create_ring(struct carom_uring_loop *self)
{
    int error = carom_uring_create(&self->ring, SUBMISSIONS, COMPLETIONS);
    if (error == 0)
        error = carom_uring_buffers_create(&self->buffers, &self->ring, 0, CAROM_URING_BUFFERS);
    if (error == 0)
        return 0;
    errno = -error;
    return error == -EMFILE || error == -ENFILE ? -CAROM_EMFILE : -CAROM_EUNSUPPORTED;
}

int carom_loop_uring_create(struct carom_loop **loop, struct carom_arena *arena)
{
    struct carom_uring_loop *self = carom_memory_take_zeroed(sizeof *self);
    if (self == NULL)
        return -CAROM_ENOMEM;
    self->loop.ops = &uring_ops;
    self->loop.arena = arena;
    carom_node_init(&self->loop.closed);
    carom_node_init(&self->accept_polls);
    carom_descriptors_init(&self->watched);
    self->ring.fd = self->poll = self->timer = self->news = -1;
    self->alarm = UINT64_MAX;
    self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = self->event < 0 ? carom_error_from_errno(errno) : 0;
    if (carom_uring_sockets_init(self) < 0)
        error = -CAROM_ENOMEM;
    if (error == 0)
        error = create_ring(self);
    if (error == 0) {
        carom_uring_refill(self);
        error = self->missing > 0 ? -CAROM_ENOMEM : 0;
    }
    if (error < 0) {
        int why = errno;
        destroy(&self->loop);
        errno = why;
        return error;
    }
    read_clock(&self->loop);
    *loop = &self->loop;
    return 0;
}
