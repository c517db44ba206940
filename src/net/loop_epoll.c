/* The epoll backend: level-triggered, one registration for the life of a socket. A socket in the
 * steady state costs one receive and one send per request, and nothing else.
 *
 * A new socket is read in the turn in which it came, since the peer has mostly said something by
 * then, and registered at the end of that turn: one that is closed by then never is. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/errors.h"
#include "base/memory.h"
#include "carom.h"
#include "net/backend.h"
#include "net/descriptors.h"
#include "net/loop.h"
#include "net/os.h"

/* Events that one wait takes; the rest are there in the next turn. */
#define EVENTS 256
/* socket->interest: what epoll is asked for, and how the connection stands. */
enum {
    INTEREST_IN = 1,
    INTEREST_OUT = 2,
    INTEREST_EDGE = 4, /* a hang-up that stays would be reported for ever: report changes only */
    FINISHED = 8,      /* FIN is sent */
    GONE = 16,         /* the connection is broken, and its owner has been told */
    FRESH = 32,        /* not registered yet */
    INTEREST_FIN = 64, /* FIN, behind bytes that are not received now */
    MORE = 128,        /* the last receive has filled its room: more may wait */
};

enum tag { TAG_SOCKET, TAG_ACCEPTOR, TAG_WAKE, TAG_ALARM, TAG_WATCHED, TAG_NOTHING, TAG_MASK = 7 };

_Static_assert(_Alignof(struct carom_socket) > TAG_MASK, "there is room for a tag");
_Static_assert(_Alignof(struct carom_acceptor) > TAG_MASK, "the same");

struct epoll_loop {
    struct carom_loop loop; /* first member */
    int epoll, event, timer;
    int ready; /* events in the array */
    uint64_t now, alarm;
    int64_t seconds;
    struct carom_node failed; /* sockets with a failed send, whose owners are not told yet */
    struct carom_node fresh;  /* those that came in this turn */
    struct carom_descriptors watched;
    struct epoll_event events[EVENTS];
};

static struct epoll_loop *epoll_of(struct carom_loop *loop)
{
    return (struct epoll_loop *)loop;
}

/* Pointers are aligned: the low bits of an event's data say what it points to. */
static uint64_t tagged(const void *pointer, enum tag tag)
{
    return (uint64_t)(uintptr_t)pointer | tag;
}

static int control(struct carom_loop *loop, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    if (epoll_ctl(epoll_of(loop)->epoll, operation, fd, &event) < 0)
        return carom_error_from_errno(errno);
    return 0;
}

/* ---------------------------------------------------------------- accepting */

static int accept_start(struct carom_loop *loop, struct carom_acceptor *acceptor, bool shared)
{
    uint32_t events = EPOLLIN | (shared ? (uint32_t)EPOLLEXCLUSIVE : 0u);
    int error = control(loop, EPOLL_CTL_ADD, acceptor->fd, events, tagged(acceptor, TAG_ACCEPTOR));
    if (error == 0)
        acceptor->accepting = true;
    return error;
}

static void accept_stop(struct carom_loop *loop, struct carom_acceptor *acceptor)
{
    struct epoll_loop *self = epoll_of(loop);
    if (!acceptor->accepting)
        return;
    acceptor->accepting = false;
    control(loop, EPOLL_CTL_DEL, acceptor->fd, 0, 0);
    /* Its owner may free it now: no event that was found may come to it. */
    for (int i = 0; i < self->ready; i++) {
        if (self->events[i].data.u64 == tagged(acceptor, TAG_ACCEPTOR))
            self->events[i].data.u64 = tagged(NULL, TAG_NOTHING);
    }
}

/* ---------------------------------------------------------------- sockets */

static int register_interest(struct carom_loop *loop, struct carom_socket *socket, int operation)
{
    uint8_t interest = socket->interest;
    uint32_t events = (interest & INTEREST_IN ? (uint32_t)EPOLLIN : 0u) |
                      (interest & INTEREST_OUT ? (uint32_t)EPOLLOUT : 0u) |
                      (interest & INTEREST_FIN ? (uint32_t)EPOLLRDHUP : 0u) |
                      (interest & INTEREST_EDGE ? (uint32_t)EPOLLET : 0u);
    return control(loop, operation, socket->fd, events, tagged(socket, TAG_SOCKET));
}

static void unregister(struct carom_loop *loop, struct carom_socket *socket)
{
    control(loop, EPOLL_CTL_DEL, socket->fd, 0, 0);
}

/* Tell epoll when what it is asked for changes. */
static void set_interest(struct carom_loop *loop, struct carom_socket *socket, unsigned add,
                         unsigned remove)
{
    uint8_t interest = (uint8_t)((socket->interest & ~remove) | add);
    if (socket->interest == interest)
        return;
    socket->interest = interest;
    if (!(interest & FRESH))
        register_interest(loop, socket, EPOLL_CTL_MOD);
}

static int open_socket(struct carom_loop *loop, struct carom_socket *socket)
{
    socket->interest = INTEREST_IN | FRESH;
    socket->receiving = true;
    socket->peer_done = socket->closing = socket->told_fin = false;
    socket->sending = NULL;
    carom_node_init(&socket->node);
    carom_list_append(&epoll_of(loop)->fresh, &socket->node);
    return 0;
}

/* Pausing is lazy: only when bytes come that nobody wants is the kernel told. */
static void receive(struct carom_loop *loop, struct carom_socket *socket, bool on)
{
    if (socket->peer_done || socket->closing)
        return;
    socket->receiving = on;
    if (!on)
        return;
    socket->told_fin = false;
    set_interest(loop, socket, INTEREST_IN, INTEREST_EDGE | INTEREST_FIN);
}

/* The connection is broken, whether FIN came before or not: its owner learns why, once. */
static void broken(struct carom_loop *loop, struct carom_socket *socket, int error)
{
    if (socket->closing || (socket->interest & GONE))
        return;
    bool registered = !(socket->interest & FRESH);
    socket->interest = GONE;
    socket->sending = NULL;
    socket->receiving = false;
    socket->peer_done = true;
    loop->events->peer_done(socket, error);
    if (registered && !socket->closing) /* a level-triggered hang-up would be reported for ever */
        unregister(loop, socket);
}

static int pending_error(const struct carom_socket *socket)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error != 0 ? carom_error_from_errno(error) : -CAROM_ECANCELED;
}

static void finished_by_peer(struct carom_loop *loop, struct carom_socket *socket)
{
    socket->peer_done = true;
    socket->receiving = false;
    loop->events->peer_done(socket, 0);
    if (!socket->closing)
        set_interest(loop, socket, 0, INTEREST_IN);
}

static void note_more(struct carom_socket *socket, bool more)
{
    socket->interest = (uint8_t)((socket->interest & ~MORE) | (more ? MORE : 0));
}

/* One receive a turn, so that nobody is kept waiting by a neighbour who sends a lot. */
static void receive_ready(struct carom_loop *loop, struct carom_socket *socket)
{
    struct carom_page *page = carom_socket_room(loop, socket);
    if (page == NULL) {
        broken(loop, socket, -CAROM_ENOMEM);
        return;
    }
    uint32_t room = page->size - page->used;
    ssize_t length = recv(socket->fd, page->data + page->used, room, MSG_DONTWAIT);
    if (length > 0) {
        page->used += (uint32_t)length;
        note_more(socket, (size_t)length == room);
        carom_socket_received(loop, socket, page, page->data + page->used - length,
                              (uint32_t)length);
    } else if (length == 0) {
        finished_by_peer(loop, socket);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        broken(loop, socket, carom_error_from_errno(errno));
    }
}

/* The connection is broken: its owner learns it in the next delivery. */
static void tell_later(struct carom_loop *loop, struct carom_socket *socket)
{
    carom_node_remove(&socket->node); /* it may be fresh */
    carom_list_append(&epoll_of(loop)->failed, &socket->node);
    loop->ops->wake(loop);
}

static size_t receive_now(struct carom_loop *loop, struct carom_socket *socket, uint8_t *to,
                          size_t room)
{
    if (!(socket->interest & MORE) || socket->closing || socket->peer_done)
        return 0;
    ssize_t length = recv(socket->fd, to, room, MSG_DONTWAIT);
    note_more(socket, length > 0 && (size_t)length == room);
    if (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        tell_later(loop, socket);
    if (length <= 0) /* epoll tells of FIN again */
        return 0;
    loop->bytes_received += (uint64_t)length;
    return (size_t)length;
}

static int64_t send_queue(struct carom_loop *loop, struct carom_socket *socket,
                          const struct carom_queue *queue)
{
    carom_assert(socket->sending == NULL && !socket->closing);
    int64_t result = carom_socket_send_now(loop, socket, queue);
    if (result == CAROM_SEND_PENDING) {
        socket->sending = queue;
        set_interest(loop, socket, INTEREST_OUT, 0);
    } else if (result < 0 && !(socket->interest & GONE)) {
        tell_later(loop, socket); /* the kernel does not repeat the error */
    }
    return result;
}

static void send_ready(struct carom_loop *loop, struct carom_socket *socket)
{
    if (socket->sending != NULL) {
        int64_t result = carom_socket_send_now(loop, socket, socket->sending);
        if (result == CAROM_SEND_PENDING)
            return;
        socket->sending = NULL;
        loop->events->sent(socket, result);
        if (result < 0)
            broken(loop, socket, (int)result);
    }
    if (socket->sending == NULL && !socket->closing && !(socket->interest & GONE))
        set_interest(loop, socket, 0, INTEREST_OUT);
}

/* No error, but both directions are shut. When that is not our doing nothing can be sent any more
 * (a Unix socket whose peer has closed); what it sent before is still received, if it is wanted. */
static void hung_up(struct carom_loop *loop, struct carom_socket *socket)
{
    if (socket->peer_done && !(socket->interest & FINISHED))
        broken(loop, socket, -CAROM_ECANCELED);
    else if (!socket->receiving)
        set_interest(loop, socket, INTEREST_EDGE, INTEREST_IN);
}

static void socket_ready(struct carom_loop *loop, struct carom_socket *socket, uint32_t events)
{
    if (socket->closing || (socket->interest & GONE))
        return;
    if (events & EPOLLERR) {
        broken(loop, socket, pending_error(socket));
        return;
    }
    if (events & EPOLLIN) {
        if (socket->receiving)
            receive_ready(loop, socket);
        else
            set_interest(loop, socket, socket->told_fin ? 0 : INTEREST_FIN, INTEREST_IN);
    }
    if ((events & EPOLLRDHUP) && !socket->receiving && !socket->closing) {
        set_interest(loop, socket, 0, INTEREST_FIN);
        carom_socket_fin_queued(loop, socket);
    }
    if ((events & EPOLLOUT) && !socket->closing && !(socket->interest & GONE))
        send_ready(loop, socket);
    if ((events & EPOLLHUP) && !socket->closing && !(socket->interest & GONE))
        hung_up(loop, socket);
}

static void shutdown_socket(struct carom_loop *loop, struct carom_socket *socket)
{
    (void)loop;
    carom_assert(socket->sending == NULL && !socket->closing);
    if (socket->interest & GONE)
        return;
    socket->interest |= FINISHED;
    shutdown(socket->fd, SHUT_WR);
}

static void close_socket(struct carom_loop *loop, struct carom_socket *socket, bool reset)
{
    if (socket->closing)
        return;
    socket->closing = true;
    socket->receiving = false;
    socket->sending = NULL;
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    /* close() alone leaves it in epoll when a child of the program has inherited the descriptor. */
    if (!(socket->interest & (GONE | FRESH)))
        unregister(loop, socket);
    close(socket->fd);
    socket->fd = -1;
    carom_node_remove(&socket->node);
    carom_list_append(&loop->closed, &socket->node);
}

/* Those that came in this turn and are still there. */
static void register_fresh(struct carom_loop *loop)
{
    struct carom_node *node;
    while ((node = carom_list_take(&epoll_of(loop)->fresh)) != NULL) {
        struct carom_socket *socket = carom_container(node, struct carom_socket, node);
        if (socket->interest & GONE)
            continue;
        if (register_interest(loop, socket, EPOLL_CTL_ADD) == 0)
            socket->interest &= (uint8_t)~FRESH;
        else
            tell_later(loop, socket);
    }
}

static void reclaim(struct carom_loop *loop)
{
    register_fresh(loop);
    if (!carom_node_alone(&loop->closed))
        epoll_of(loop)->ready = 0; /* what was found and not delivered may name what is freed now */
    carom_sockets_reclaim(loop);
}

/* ---------------------------------------------------------------- descriptors of the program */

static int watch(struct carom_loop *loop, struct carom_descriptor *descriptor, unsigned events)
{
    struct carom_descriptors *watched = &epoll_of(loop)->watched;
    bool first = watched->fd < 0;
    int error = carom_descriptors_watch(watched, descriptor, events);
    if (!first || watched->fd < 0)
        return error;
    int refused = control(loop, EPOLL_CTL_ADD, watched->fd, EPOLLIN, tagged(NULL, TAG_WATCHED));
    if (refused < 0)
        carom_descriptors_finish(watched);
    return refused < 0 ? refused : error;
}

static void unwatch(struct carom_loop *loop, struct carom_descriptor *descriptor)
{
    carom_descriptors_unwatch(&epoll_of(loop)->watched, descriptor);
}

/* ---------------------------------------------------------------- the turn */

static void read_clock(struct carom_loop *loop)
{
    epoll_of(loop)->now = carom_clock_milliseconds(CLOCK_MONOTONIC);
    epoll_of(loop)->seconds = carom_os_seconds();
}

static void wait(struct carom_loop *loop, uint64_t deadline)
{
    struct epoll_loop *self = epoll_of(loop);
    register_fresh(loop); /* those that did not come in a delivery */
    int count =
        epoll_wait(self->epoll, self->events, EVENTS, carom_clock_sleep(self->now, deadline));
    self->ready = count > 0 ? count : 0;
    read_clock(loop);
}

static void tell_failed(struct carom_loop *loop)
{
    struct carom_node failed, *node;
    carom_node_init(&failed);
    carom_list_splice(&failed, &epoll_of(loop)->failed);
    while ((node = carom_list_take(&failed)) != NULL) {
        struct carom_socket *socket = carom_container(node, struct carom_socket, node);
        broken(loop, socket, pending_error(socket));
    }
}

static void read_fresh(struct carom_loop *loop)
{
    struct carom_node read, *node;
    carom_node_init(&read);
    while ((node = carom_list_take(&epoll_of(loop)->fresh)) != NULL) {
        struct carom_socket *socket = carom_container(node, struct carom_socket, node);
        carom_list_append(&read, node);
        if (socket->receiving)
            receive_ready(loop, socket);
    }
    carom_list_splice(&epoll_of(loop)->fresh, &read);
}

static void deliver(struct carom_loop *loop)
{
    struct epoll_loop *self = epoll_of(loop);
    tell_failed(loop);
    for (int i = 0; i < self->ready; i++) {
        uint64_t data = self->events[i].data.u64, value;
        void *pointer = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
        switch (data & TAG_MASK) {
        case TAG_SOCKET:
            socket_ready(loop, pointer, self->events[i].events);
            break;
        case TAG_ACCEPTOR:
            carom_acceptor_batch(loop, pointer);
            break;
        case TAG_WAKE:
            (void)!read(self->event, &value, sizeof value);
            break;
        case TAG_ALARM:
            (void)!read(self->timer, &value, sizeof value);
            self->alarm = UINT64_MAX;
            break;
        case TAG_WATCHED:
            carom_descriptors_deliver(&self->watched);
            break;
        default:
            break;
        }
    }
    self->ready = 0;
    read_fresh(loop);
}

static void wake(struct carom_loop *loop)
{
    static const uint64_t one = 1;
    int error = errno;
    (void)!write(epoll_of(loop)->event, &one, sizeof one);
    errno = error;
}

static int descriptor(struct carom_loop *loop)
{
    struct epoll_loop *self = epoll_of(loop);
    if (self->timer >= 0)
        return self->epoll;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        return carom_error_from_errno(errno);
    int error = control(loop, EPOLL_CTL_ADD, fd, EPOLLIN, tagged(NULL, TAG_ALARM));
    if (error < 0) {
        close(fd);
        return error;
    }
    self->timer = fd;
    return self->epoll;
}

static void alarm_at(struct carom_loop *loop, uint64_t deadline)
{
    struct epoll_loop *self = epoll_of(loop);
    if (self->timer < 0 || self->alarm == deadline)
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

static uint64_t now(struct carom_loop *loop)
{
    return epoll_of(loop)->now;
}

static int64_t seconds(struct carom_loop *loop)
{
    return epoll_of(loop)->seconds;
}

static void destroy(struct carom_loop *loop)
{
    struct epoll_loop *self = epoll_of(loop);
    carom_assert(carom_node_alone(&loop->closed));
    carom_descriptors_finish(&self->watched);
    if (self->timer >= 0)
        close(self->timer);
    if (self->event >= 0)
        close(self->event);
    if (self->epoll >= 0)
        close(self->epoll);
    carom_memory_give(self, sizeof *self);
}

static const struct carom_loop_ops epoll_ops = {
    .name = "epoll",
    .destroy = destroy,
    .accept_start = accept_start,
    .accept_stop = accept_stop,
    .open = open_socket,
    .receive = receive,
    .receive_now = receive_now,
    .send = send_queue,
    .send_now = carom_socket_send_now,
    .shutdown = shutdown_socket,
    .close = close_socket,
    .watch = watch,
    .unwatch = unwatch,
    .wait = wait,
    .deliver = deliver,
    .reclaim = reclaim,
    .wake = wake,
    .descriptor = descriptor,
    .alarm = alarm_at,
    .read_clock = read_clock,
    .now = now,
    .seconds = seconds,
};

int carom_loop_epoll_create(struct carom_loop **loop, struct carom_arena *arena)
{
    struct epoll_loop *self = carom_memory_take_zeroed(sizeof *self);
    if (self == NULL)
        return -CAROM_ENOMEM;
    self->loop.ops = &epoll_ops;
    self->loop.arena = arena;
    carom_node_init(&self->loop.closed);
    carom_node_init(&self->failed);
    carom_node_init(&self->fresh);
    carom_descriptors_init(&self->watched);
    self->timer = -1;
    self->alarm = UINT64_MAX;
    self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    int error = 0;
    if (self->event < 0 || self->epoll < 0)
        error = carom_error_from_errno(errno);
    else
        error = control(&self->loop, EPOLL_CTL_ADD, self->event, EPOLLIN, tagged(NULL, TAG_WAKE));
    if (error < 0) {
        destroy(&self->loop);
        return error;
    }
    read_clock(&self->loop);
    *loop = &self->loop;
    return 0;
}
