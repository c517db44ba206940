/* The simulated backend: peers, their bytes in both directions, a clock that a test moves. What
 * happens depends only on the order of calls, and on random numbers of the test where it asks for a
 * kernel with whims. A wait notes which sockets are ready, in the order in which peers connected,
 * and a delivery handles those and nothing else, as with epoll. */
#include "net/loop_simulated.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/errors.h"
#include "base/mark.h"
#include "base/memory.h"
#include "carom.h"
#include "net/backend.h"
#include "net/file.h"

/* Connections that one turn accepts, and segments that one send takes, as with epoll. */
#define ACCEPTS 64
#define VECTORS 64
/* The clock's start, and that time in seconds since 1970: Sun, 06 Nov 1994 08:49:37 GMT. */
#define START_MILLISECONDS 1000
#define START_SECONDS      784111777

/* socket->interest: the owner has been told that the connection is broken. */
enum { GONE = 1 };

static struct carom_simulated *simulated_of(struct carom_loop *loop)
{
    return (struct carom_simulated *)loop;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Whether something happens that does so `chance` times of 1,000. */
static bool by_chance(struct carom_simulated *self, uint16_t chance)
{
    return chance > 0 && self->whims.random(self->whims.source, 1000) < chance;
}

/* At most `most`, at least `least`: all but for a whim. */
static size_t part_of(struct carom_simulated *self, size_t most, size_t least)
{
    if (most <= least || !by_chance(self, self->whims.partial))
        return most;
    uint32_t choices = most - least < 1000000 ? (uint32_t)(most - least) : 1000000;
    return least + self->whims.random(self->whims.source, choices);
}

/* ---------------------------------------------------------------- accepting */

static int accept_start(struct carom_loop *loop, struct carom_acceptor *acceptor, bool shared)
{
    (void)shared;
    struct carom_simulated *self = simulated_of(loop);
    for (int i = 0; i < CAROM_SIMULATED_ACCEPTORS; i++) {
        if (self->acceptors[i] == NULL) {
            self->acceptors[i] = acceptor;
            acceptor->accepting = true;
            return 0;
        }
    }
    return -CAROM_ENOMEM;
}

static void accept_stop(struct carom_loop *loop, struct carom_acceptor *acceptor)
{
    struct carom_simulated *self = simulated_of(loop);
    if (!acceptor->accepting)
        return;
    acceptor->accepting = false;
    for (int i = 0; i < CAROM_SIMULATED_ACCEPTORS; i++) {
        if (self->acceptors[i] == acceptor)
            self->acceptors[i] = NULL;
    }
}

static struct carom_acceptor *accepting(const struct carom_simulated *self)
{
    for (int i = 0; i < CAROM_SIMULATED_ACCEPTORS; i++) {
        if (self->acceptors[i] != NULL)
            return self->acceptors[i];
    }
    return NULL;
}

static bool connections_ready(const struct carom_simulated *self)
{
    return accepting(self) != NULL && self->accepted_count < self->peer_count;
}

/* 127.0.0.1 and a port of its own for each peer (of the first 64 Ki). */
static struct sockaddr_in name_of(const struct carom_peer *peer)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons((uint16_t)(peer->fd - CAROM_SIMULATED_FIRST_FD + 1));
    return in;
}

static void accept_batch(struct carom_simulated *self)
{
    for (int i = 0; i < ACCEPTS && connections_ready(self); i++) {
        struct carom_acceptor *acceptor = accepting(self);
        if (by_chance(self, self->whims.no_descriptor)) {
            accept_stop(&self->loop, acceptor);
            acceptor->failed(acceptor, -CAROM_EMFILE);
            continue;
        }
        struct carom_peer *peer = self->peers[self->accepted_count++];
        struct sockaddr_in name = name_of(peer);
        acceptor->accepted(acceptor, peer->fd, (struct sockaddr *)&name, sizeof name);
        if (peer->socket == NULL)
            peer->saw_close = true; /* by its descriptor, perhaps */
    }
}

/* ---------------------------------------------------------------- sockets */

static struct carom_peer *peer_of(struct carom_loop *loop, const struct carom_socket *socket)
{
    struct carom_peer *peer = simulated_of(loop)->peers[socket->fd - CAROM_SIMULATED_FIRST_FD];
    carom_assert(peer->socket == socket);
    return peer;
}

static int open_socket(struct carom_loop *loop, struct carom_socket *socket)
{
    struct carom_simulated *self = simulated_of(loop);
    if (socket->fd < CAROM_SIMULATED_FIRST_FD ||
        (size_t)(socket->fd - CAROM_SIMULATED_FIRST_FD) >= self->accepted_count)
        return -CAROM_ENOENT;
    struct carom_peer *peer = self->peers[socket->fd - CAROM_SIMULATED_FIRST_FD];
    carom_assert(peer->socket == NULL && !peer->saw_close);
    socket->interest = 0;
    socket->receiving = true;
    socket->peer_done = socket->closing = socket->told_fin = false;
    socket->sending = NULL;
    carom_node_init(&socket->node);
    peer->socket = socket;
    return 0;
}

static void receive(struct carom_loop *loop, struct carom_socket *socket, bool on)
{
    (void)loop;
    if (socket->peer_done || socket->closing)
        return;
    socket->receiving = on;
    if (on)
        socket->told_fin = false;
}

static bool is_broken(const struct carom_peer *peer)
{
    return peer->reset || peer->failed;
}

static int why_broken(const struct carom_peer *peer)
{
    return carom_error_from_errno(peer->reset ? ECONNRESET : ENOBUFS);
}

static size_t receive_now(struct carom_loop *loop, struct carom_socket *socket, uint8_t *to,
                          size_t room)
{
    struct carom_simulated *self = simulated_of(loop);
    struct carom_peer *peer = peer_of(loop, socket);
    carom_assert(!socket->closing);
    if (by_chance(self, self->whims.no_buffers))
        peer->failed = true;
    if (socket->peer_done || is_broken(peer)) /* its owner hears of that in a delivery */
        return 0;
    size_t length = part_of(self, least(least(carom_peer_unread(peer), peer->piece), room), 0);
    memcpy(to, peer->sent.data + peer->sent.taken, length);
    peer->sent.taken += length;
    loop->bytes_received += length;
    return length;
}

/* The same for bytes of a file: a page of them at most. */
static int64_t take_of_file(struct carom_simulated *self, struct carom_peer *peer,
                            const struct carom_segment *segment, size_t room)
{
    if (room == 0)
        return 0;
    struct carom_page *page = carom_page_take(self->loop.arena->pages);
    int64_t taken = -CAROM_ENOMEM;
    if (page != NULL) {
        taken = carom_file_read(segment, page->data, least(page->size, room));
        if (taken > 0 && !carom_simulated_append(&peer->received, page->data, (size_t)taken))
            taken = -CAROM_ENOMEM;
        carom_page_drop(page);
    }
    if (taken < 0) {
        peer->failed = true;
        return taken;
    }
    if (peer->window != SIZE_MAX)
        peer->window -= (size_t)taken;
    self->loop.bytes_sent += (uint64_t)taken;
    return taken;
}

/* Bytes taken, 0 when it takes none for now, or a negative error. */
static int64_t take(struct carom_loop *loop, struct carom_peer *peer,
                    const struct carom_queue *queue)
{
    struct carom_simulated *self = simulated_of(loop);
    if (by_chance(self, self->whims.no_buffers))
        peer->failed = true;
    if (is_broken(peer))
        return why_broken(peer);
    carom_assert(!peer->saw_fin);
    int64_t taken = 0;
    size_t room = part_of(self, least((size_t)queue->length, peer->window), 0);
    if (carom_file_is_next(queue))
        return take_of_file(self, peer, queue->first, room);
    struct iovec vectors[VECTORS];
    int count = carom_queue_vectors(queue, vectors, VECTORS);
    for (int i = 0; i < count && room > 0; i++) {
        size_t length = least(vectors[i].iov_len, room);
        room -= length;
        if (!carom_simulated_append(&peer->received, vectors[i].iov_base, length)) {
            peer->failed = true;
            return taken > 0 ? taken : -CAROM_ENOMEM;
        }
        taken += (int64_t)length;
        if (peer->window != SIZE_MAX)
            peer->window -= length;
    }
    loop->bytes_sent += (uint64_t)taken;
    return taken;
}

static int64_t send_queue(struct carom_loop *loop, struct carom_socket *socket,
                          const struct carom_queue *queue)
{
    carom_assert(socket->sending == NULL && !socket->closing && queue->length > 0);
    int64_t result = take(loop, peer_of(loop, socket), queue);
    if (result != 0)
        return result; /* the owner hears of a failure once more, in a delivery */
    socket->sending = queue;
    return CAROM_SEND_PENDING;
}

static int64_t send_now(struct carom_loop *loop, struct carom_socket *socket,
                        const struct carom_queue *queue)
{
    carom_assert(socket->sending == NULL && !socket->closing && queue->length > 0);
    int64_t result = take(loop, peer_of(loop, socket), queue);
    return result != 0 ? result : CAROM_SEND_PENDING;
}

static void shutdown_socket(struct carom_loop *loop, struct carom_socket *socket)
{
    carom_assert(socket->sending == NULL && !socket->closing);
    struct carom_peer *peer = peer_of(loop, socket);
    if (!peer->reset)
        peer->saw_fin = true;
}

static void close_socket(struct carom_loop *loop, struct carom_socket *socket, bool reset)
{
    if (socket->closing)
        return;
    struct carom_peer *peer = peer_of(loop, socket);
    if (!peer->reset) {
        peer->saw_reset = reset || carom_peer_unread(peer) > 0;
        peer->saw_fin = peer->saw_fin || !peer->saw_reset;
    }
    peer->saw_close = true;
    peer->socket = NULL;
    socket->closing = true;
    socket->receiving = false;
    socket->sending = NULL;
    socket->fd = -1;
    carom_list_append(&loop->closed, &socket->node);
}

/* ---------------------------------------------------------------- what is ready */

/* The owner has yet to hear of a reset or a failure. */
static bool reset_ready(const struct carom_peer *peer)
{
    return is_broken(peer) && !(peer->socket->interest & GONE);
}

static bool receive_ready(const struct carom_peer *peer)
{
    return peer->socket->receiving && (carom_peer_unread(peer) > 0 || peer->fin_sent);
}

static bool left_ready(const struct carom_peer *peer)
{
    const struct carom_socket *socket = peer->socket;
    return peer->fin_sent && !socket->receiving && !socket->peer_done && !socket->told_fin;
}

static bool send_ready(const struct carom_peer *peer)
{
    return peer->socket->sending != NULL && peer->window > 0;
}

static bool ready(const struct carom_peer *peer)
{
    return peer->socket != NULL &&
           (reset_ready(peer) || receive_ready(peer) || left_ready(peer) || send_ready(peer));
}

static void broken(struct carom_loop *loop, struct carom_socket *socket, int error)
{
    socket->interest = GONE;
    socket->peer_done = true;
    socket->receiving = false;
    socket->sending = NULL;
    loop->events->peer_done(socket, error);
}

static void deliver_bytes(struct carom_loop *loop, struct carom_peer *peer)
{
    struct carom_socket *socket = peer->socket;
    size_t length = least(carom_peer_unread(peer), peer->piece);
    if (length == 0) {
        socket->peer_done = true;
        socket->receiving = false;
        loop->events->peer_done(socket, 0);
        return;
    }
    struct carom_simulated *self = simulated_of(loop);
    struct carom_page *page = carom_socket_room(loop, socket);
    if (page == NULL || by_chance(self, self->whims.no_buffers)) {
        peer->failed = true;
        broken(loop, socket, -CAROM_ENOMEM);
        return;
    }
    length = part_of(self, least(length, page->size - page->used), 1);
    memcpy(page->data + page->used, peer->sent.data + peer->sent.taken, length);
    peer->sent.taken += length;
    page->used += (uint32_t)length;
    carom_socket_received(loop, socket, page, page->data + page->used - length, (uint32_t)length);
}

static void deliver_send(struct carom_loop *loop, struct carom_peer *peer)
{
    struct carom_socket *socket = peer->socket;
    int64_t result = take(loop, peer, socket->sending);
    if (result == 0)
        return;
    socket->sending = NULL;
    loop->events->sent(socket, result);
    if (result < 0 && !socket->closing)
        broken(loop, socket, (int)result);
}

/* Each callback may close the socket: then it is the peer's no longer. */
static void deliver_peer(struct carom_loop *loop, struct carom_peer *peer)
{
    if (peer->socket != NULL && reset_ready(peer)) {
        broken(loop, peer->socket, why_broken(peer));
        return;
    }
    if (peer->socket != NULL && receive_ready(peer))
        deliver_bytes(loop, peer);
    else if (peer->socket != NULL && left_ready(peer))
        carom_socket_fin_queued(loop, peer->socket);
    if (peer->socket != NULL && send_ready(peer))
        deliver_send(loop, peer);
}

/* ---------------------------------------------------------------- descriptors of the program */

static int watch(struct carom_loop *loop, struct carom_descriptor *descriptor, unsigned events)
{
    unsigned index = (unsigned)(descriptor->fd - CAROM_SIMULATED_WATCHED_FD);
    if (descriptor->fd < CAROM_SIMULATED_WATCHED_FD || index >= CAROM_SIMULATED_WATCHED)
        return -CAROM_ENOENT;
    struct carom_simulated_watched *watched = &simulated_of(loop)->watched[index];
    if (watched->descriptor != NULL && watched->descriptor != descriptor)
        return -CAROM_ESTATE;
    watched->descriptor = descriptor;
    descriptor->events = (uint8_t)events;
    return 0;
}

static void unwatch(struct carom_loop *loop, struct carom_descriptor *descriptor)
{
    for (size_t i = 0; i < CAROM_SIMULATED_WATCHED; i++)
        if (simulated_of(loop)->watched[i].descriptor == descriptor)
            simulated_of(loop)->watched[i].descriptor = NULL;
    descriptor->events = 0;
}

static unsigned watched_ready(const struct carom_simulated_watched *watched)
{
    return watched->descriptor == NULL ? 0 : watched->ready & watched->descriptor->events;
}

static bool any_watched_ready(const struct carom_simulated *self)
{
    for (size_t i = 0; i < CAROM_SIMULATED_WATCHED; i++)
        if (watched_ready(&self->watched[i]) != 0)
            return true;
    return false;
}

static void deliver_watched(const struct carom_simulated *self)
{
    for (size_t i = 0; i < CAROM_SIMULATED_WATCHED; i++) {
        struct carom_descriptor *descriptor = self->watched[i].descriptor;
        unsigned events = watched_ready(&self->watched[i]);
        if (events != 0)
            descriptor->ready(descriptor, events);
    }
}

/* ---------------------------------------------------------------- the turn */

static void read_clock(struct carom_loop *loop)
{
    simulated_of(loop)->now = simulated_of(loop)->clock;
}

static void shuffle_found(struct carom_simulated *self)
{
    for (size_t i = self->found_count; i > 1; i--) {
        size_t other = self->whims.random(self->whims.source, (uint32_t)i);
        struct carom_peer *peer = self->found[i - 1];
        self->found[i - 1] = self->found[other];
        self->found[other] = peer;
    }
}

/* Sleeps only when something can happen meanwhile in the only thread. */
static void wait(struct carom_loop *loop, uint64_t deadline)
{
    struct carom_simulated *self = simulated_of(loop);
    if (self->idle != NULL)
        do
            self->idle(self->idle_data);
        while (self->clock < deadline && !carom_simulated_busy(loop));
    atomic_store(&self->awake, false);
    self->found_count = 0;
    for (size_t i = 0; i < self->peer_count; i++)
        if (ready(self->peers[i]))
            self->found[self->found_count++] = self->peers[i];
    if (by_chance(self, self->whims.shuffled))
        shuffle_found(self);
    self->found_connections = connections_ready(self);
    read_clock(loop);
}

static void deliver(struct carom_loop *loop)
{
    struct carom_simulated *self = simulated_of(loop);
    for (size_t i = 0; i < self->found_count; i++) {
        CAROM_MARK_IF(self->found[i]->socket == NULL, "an event of a socket that was closed since");
        deliver_peer(loop, self->found[i]);
    }
    self->found_count = 0;
    if (self->found_connections)
        accept_batch(self);
    self->found_connections = false;
    deliver_watched(self);
}

static void wake(struct carom_loop *loop)
{
    atomic_store(&simulated_of(loop)->awake, true);
}

static int descriptor(struct carom_loop *loop)
{
    (void)loop;
    return CAROM_SIMULATED_FIRST_FD - 1;
}

static void alarm_at(struct carom_loop *loop, uint64_t deadline)
{
    simulated_of(loop)->alarm = deadline;
}

static uint64_t now(struct carom_loop *loop)
{
    return simulated_of(loop)->now;
}

static int64_t seconds(struct carom_loop *loop)
{
    return START_SECONDS + (int64_t)((simulated_of(loop)->now - START_MILLISECONDS) / 1000);
}

static void destroy(struct carom_loop *loop)
{
    struct carom_simulated *self = simulated_of(loop);
    carom_assert(carom_node_alone(&loop->closed));
    for (size_t i = 0; i < self->peer_count; i++) {
        struct carom_peer *peer = self->peers[i];
        carom_assert(peer->socket == NULL);
        carom_memory_give(peer->sent.data, peer->sent.size);
        carom_memory_give(peer->received.data, peer->received.size);
        carom_memory_give(peer, sizeof *peer);
    }
    carom_memory_give(self->peers, 2 * self->peer_size * sizeof(struct carom_peer *));
    carom_memory_give(self, sizeof *self);
}

static const struct carom_loop_ops simulated_ops = {
    .name = "simulated",
    .destroy = destroy,
    .accept_start = accept_start,
    .accept_stop = accept_stop,
    .open = open_socket,
    .receive = receive,
    .receive_now = receive_now,
    .send = send_queue,
    .send_now = send_now,
    .shutdown = shutdown_socket,
    .close = close_socket,
    .watch = watch,
    .unwatch = unwatch,
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

int carom_loop_simulated_create(struct carom_loop **loop, struct carom_arena *arena)
{
    struct carom_simulated *self = carom_memory_take_zeroed(sizeof *self);
    if (self == NULL)
        return -CAROM_ENOMEM;
    self->loop.ops = &simulated_ops;
    self->loop.arena = arena;
    carom_node_init(&self->loop.closed);
    self->clock = self->now = START_MILLISECONDS;
    self->alarm = UINT64_MAX;
    atomic_init(&self->awake, false);
    *loop = &self->loop;
    return 0;
}

void carom_simulated_set_ready(struct carom_loop *loop, unsigned index, unsigned events)
{
    carom_assert(index < CAROM_SIMULATED_WATCHED);
    simulated_of(loop)->watched[index].ready = events;
}

unsigned carom_simulated_watched(struct carom_loop *loop, unsigned index)
{
    const struct carom_descriptor *descriptor = simulated_of(loop)->watched[index].descriptor;
    return descriptor == NULL ? 0 : descriptor->events;
}

void carom_simulated_advance(struct carom_loop *loop, uint64_t milliseconds)
{
    simulated_of(loop)->clock += milliseconds;
}

bool carom_simulated_busy(struct carom_loop *loop)
{
    struct carom_simulated *self = simulated_of(loop);
    for (size_t i = 0; i < self->peer_count; i++) {
        if (ready(self->peers[i]))
            return true;
    }
    return atomic_load(&self->awake) || connections_ready(self) || any_watched_ready(self);
}

bool carom_simulated_readable(struct carom_loop *loop)
{
    const struct carom_simulated *self = simulated_of(loop);
    return self->clock >= self->alarm || carom_simulated_busy(loop);
}

void carom_simulated_set_whims(struct carom_loop *loop, const struct carom_simulated_whims *whims)
{
    simulated_of(loop)->whims = *whims;
}

void carom_simulated_set_idle(struct carom_loop *loop, void (*idle)(void *data), void *data)
{
    simulated_of(loop)->idle = idle;
    simulated_of(loop)->idle_data = data;
}
