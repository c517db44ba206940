/* The simulated backend: peers, their bytes in both directions, a clock that a test moves. All is
 * decided by the order of calls: a wait notes what is ready, in the order in which peers connected,
 * and a delivery does that and nothing else, as with epoll. */
#include "net/loop_simulated.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include "base/errors.h"
#include "base/memory.h"
#include "carom.h"

/* The number of the first peer's descriptor: far from those of the kernel, so that a system call on
 * it fails. */
#define FIRST_FD (1 << 24)
/* Acceptors at a time. */
#define ACCEPTORS 8
/* Connections that one turn accepts, and segments that one send takes, as with epoll. */
#define ACCEPTS 64
#define VECTORS 64
/* The clock's start, and that time in seconds since 1970: Sun, 06 Nov 1994 08:49:37 GMT. */
#define START_MILLISECONDS 1000
#define START_SECONDS      784111777

/* Bytes that are added at the end, and how far they are taken. */
struct bytes {
    char *data;
    size_t size, used, taken;
};

/* socket->interest: the owner has been told that the connection is broken. */
enum { GONE = 1 };

struct carom_peer {
    struct carom_socket *socket; /* the engine's side, while it is open */
    struct bytes sent, received; /* as the peer sees it */
    size_t piece, window;
    int fd;
    bool finished, reset; /* by this peer; reset for want of memory, too */
    bool saw_fin, saw_reset, saw_close;
    bool found; /* the last wait found something to deliver */
};

struct carom_simulated {
    struct carom_loop loop;    /* first member */
    struct carom_peer **peers; /* in the order of connecting */
    size_t peer_count, peer_size;
    size_t accepted_count; /* the first ones are accepted, the rest wait */
    struct carom_acceptor *acceptors[ACCEPTORS];
    uint64_t clock, now; /* ms: the time it is, and as last read */
    bool found_connections;
    atomic_bool awake;
};

static struct carom_simulated *simulated_of(struct carom_loop *loop)
{
    return (struct carom_simulated *)loop;
}

/* ---------------------------------------------------------------- bytes */

/* False when out of memory. */
static bool append(struct bytes *bytes, const void *data, size_t length)
{
    if (length == 0)
        return true;
    if (length > bytes->size - bytes->used) {
        size_t size = 2 * (bytes->used + length);
        char *grown = carom_memory_take(size);
        if (grown == NULL)
            return false;
        if (bytes->used > 0)
            memcpy(grown, bytes->data, bytes->used);
        carom_memory_give(bytes->data, bytes->size);
        bytes->data = grown;
        bytes->size = size;
    }
    memcpy(bytes->data + bytes->used, data, length);
    bytes->used += length;
    return true;
}

static size_t unread(const struct carom_peer *peer)
{
    return peer->sent.used - peer->sent.taken;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---------------------------------------------------------------- accepting */

static int accept_start(struct carom_loop *loop, struct carom_acceptor *acceptor, bool shared)
{
    (void)shared;
    struct carom_simulated *self = simulated_of(loop);
    for (int i = 0; i < ACCEPTORS; i++) {
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
    for (int i = 0; i < ACCEPTORS; i++) {
        if (self->acceptors[i] == acceptor)
            self->acceptors[i] = NULL;
    }
}

static struct carom_acceptor *accepting(const struct carom_simulated *self)
{
    for (int i = 0; i < ACCEPTORS; i++) {
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
    in.sin_port = htons((uint16_t)(peer->fd - FIRST_FD + 1));
    return in;
}

static void accept_batch(struct carom_simulated *self)
{
    for (int i = 0; i < ACCEPTS && connections_ready(self); i++) {
        struct carom_acceptor *acceptor = accepting(self);
        struct carom_peer *peer = self->peers[self->accepted_count++];
        struct sockaddr_in name = name_of(peer);
        acceptor->accepted(acceptor, peer->fd, (struct sockaddr *)&name, sizeof name);
    }
}

/* ---------------------------------------------------------------- sockets */

static struct carom_peer *peer_of(struct carom_loop *loop, const struct carom_socket *socket)
{
    struct carom_peer *peer = simulated_of(loop)->peers[socket->fd - FIRST_FD];
    carom_assert(peer->socket == socket);
    return peer;
}

static int open_socket(struct carom_loop *loop, struct carom_socket *socket)
{
    struct carom_simulated *self = simulated_of(loop);
    if (socket->fd < FIRST_FD || (size_t)(socket->fd - FIRST_FD) >= self->accepted_count)
        return -CAROM_ENOENT;
    struct carom_peer *peer = self->peers[socket->fd - FIRST_FD];
    carom_assert(peer->socket == NULL && !peer->saw_close);
    socket->interest = 0;
    socket->receiving = true;
    socket->ended = socket->closing = false;
    socket->sending = NULL;
    carom_node_init(&socket->node);
    peer->socket = socket;
    return 0;
}

static void receive(struct carom_loop *loop, struct carom_socket *socket, bool on)
{
    (void)loop;
    if (!socket->ended && !socket->closing)
        socket->receiving = on;
}

/* Bytes taken, 0 when the window is shut, or a negative error. */
static int64_t take(struct carom_loop *loop, struct carom_peer *peer,
                    const struct carom_queue *queue)
{
    if (peer->reset)
        return carom_error_from_errno(ECONNRESET);
    carom_assert(!peer->saw_fin);
    struct iovec vectors[VECTORS];
    int count = carom_queue_vectors(queue, vectors, VECTORS);
    int64_t taken = 0;
    for (int i = 0; i < count && peer->window > 0; i++) {
        size_t length = least(vectors[i].iov_len, peer->window);
        if (!append(&peer->received, vectors[i].iov_base, length)) {
            peer->reset = true;
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
        return result; /* the owner hears of a failure once more: the peer is `reset` */
    socket->sending = queue;
    return CAROM_SEND_PENDING;
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
        peer->saw_reset = reset || unread(peer) > 0;
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

/* The owner has yet to hear of a reset. */
static bool reset_ready(const struct carom_peer *peer)
{
    return peer->reset && !(peer->socket->interest & GONE);
}

static bool receive_ready(const struct carom_peer *peer)
{
    return peer->socket->receiving && (unread(peer) > 0 || peer->finished);
}

static bool send_ready(const struct carom_peer *peer)
{
    return peer->socket->sending != NULL && peer->window > 0;
}

static bool ready(const struct carom_peer *peer)
{
    return peer->socket != NULL && (reset_ready(peer) || receive_ready(peer) || send_ready(peer));
}

static void broken(struct carom_socket *socket, int error)
{
    socket->interest = GONE;
    socket->ended = true;
    socket->receiving = false;
    socket->sending = NULL;
    socket->events->ended(socket, error);
}

static void deliver_bytes(struct carom_loop *loop, struct carom_peer *peer)
{
    struct carom_socket *socket = peer->socket;
    size_t length = least(unread(peer), peer->piece);
    if (length == 0) {
        socket->ended = true;
        socket->receiving = false;
        socket->events->ended(socket, 0);
        return;
    }
    struct carom_page *page = carom_socket_room(loop, socket);
    if (page == NULL) {
        peer->reset = true;
        broken(socket, -CAROM_ENOMEM);
        return;
    }
    length = least(length, page->size - page->used);
    memcpy(page->data + page->used, peer->sent.data + peer->sent.taken, length);
    peer->sent.taken += length;
    page->used += (uint32_t)length;
    carom_socket_received(loop, socket, page, (uint32_t)length);
}

static void deliver_send(struct carom_loop *loop, struct carom_peer *peer)
{
    struct carom_socket *socket = peer->socket;
    int64_t result = take(loop, peer, socket->sending);
    socket->sending = NULL;
    socket->events->sent(socket, result);
    if (result < 0 && !socket->closing)
        broken(socket, (int)result);
}

/* Each callback may close the socket: then it is the peer's no longer. */
static void deliver_peer(struct carom_loop *loop, struct carom_peer *peer)
{
    if (peer->socket != NULL && reset_ready(peer)) {
        broken(peer->socket, carom_error_from_errno(ECONNRESET));
        return;
    }
    if (peer->socket != NULL && receive_ready(peer))
        deliver_bytes(loop, peer);
    if (peer->socket != NULL && send_ready(peer))
        deliver_send(loop, peer);
}

/* ---------------------------------------------------------------- the turn */

static void read_clock(struct carom_loop *loop)
{
    simulated_of(loop)->now = simulated_of(loop)->clock;
}

/* Never sleeps: nothing can happen meanwhile in the only thread. */
static void wait(struct carom_loop *loop, uint64_t deadline)
{
    (void)deadline;
    struct carom_simulated *self = simulated_of(loop);
    atomic_store(&self->awake, false);
    for (size_t i = 0; i < self->peer_count; i++)
        self->peers[i]->found = ready(self->peers[i]);
    self->found_connections = connections_ready(self);
    read_clock(loop);
}

static void deliver(struct carom_loop *loop)
{
    struct carom_simulated *self = simulated_of(loop);
    for (size_t i = 0; i < self->peer_count; i++) {
        struct carom_peer *peer = self->peers[i];
        if (peer->found)
            deliver_peer(loop, peer);
        peer->found = false;
    }
    if (self->found_connections)
        accept_batch(self);
    self->found_connections = false;
}

static void wake(struct carom_loop *loop)
{
    atomic_store(&simulated_of(loop)->awake, true);
}

static int descriptor(struct carom_loop *loop)
{
    (void)loop;
    return -CAROM_EUNSUPPORTED;
}

static void alarm_at(struct carom_loop *loop, uint64_t deadline)
{
    (void)loop;
    (void)deadline;
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
    carom_memory_give(self->peers, self->peer_size * sizeof(struct carom_peer *));
    carom_memory_give(self, sizeof *self);
}

static const struct carom_loop_ops simulated_ops = {
    .name = "simulated",
    .destroy = destroy,
    .accept_start = accept_start,
    .accept_stop = accept_stop,
    .open = open_socket,
    .receive = receive,
    .send = send_queue,
    .shutdown = shutdown_socket,
    .close = close_socket,
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
    atomic_init(&self->awake, false);
    *loop = &self->loop;
    return 0;
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
    return atomic_load(&self->awake) || connections_ready(self);
}

/* ---------------------------------------------------------------- the far end */

/* Room for one more peer in the table. False when out of memory. */
static bool grow(struct carom_simulated *self)
{
    if (self->peer_count < self->peer_size)
        return true;
    size_t size = 2 * self->peer_size + 16;
    struct carom_peer **peers = carom_memory_take(size * sizeof *peers);
    if (peers == NULL)
        return false;
    if (self->peer_count > 0)
        memcpy(peers, self->peers, self->peer_count * sizeof *peers);
    carom_memory_give(self->peers, self->peer_size * sizeof *peers);
    self->peers = peers;
    self->peer_size = size;
    return true;
}

struct carom_peer *carom_simulated_connect(struct carom_loop *loop)
{
    struct carom_simulated *self = simulated_of(loop);
    struct carom_peer *peer = grow(self) ? carom_memory_take_zeroed(sizeof *peer) : NULL;
    if (peer == NULL)
        return NULL;
    peer->piece = peer->window = SIZE_MAX;
    peer->fd = FIRST_FD + (int)self->peer_count;
    self->peers[self->peer_count++] = peer;
    return peer;
}

void carom_peer_send(struct carom_peer *peer, const void *data, size_t length)
{
    carom_assert(!peer->finished);
    if (length == 0 || peer->reset)
        return;
    if (peer->saw_close)
        peer->saw_reset = true;
    else if (!append(&peer->sent, data, length))
        peer->reset = true;
}

void carom_peer_set_piece(struct carom_peer *peer, size_t piece)
{
    carom_assert(piece > 0);
    peer->piece = piece;
}

void carom_peer_set_window(struct carom_peer *peer, size_t window)
{
    peer->window = window;
}

void carom_peer_finish(struct carom_peer *peer)
{
    peer->finished = true;
}

void carom_peer_reset(struct carom_peer *peer)
{
    peer->reset = true;
}

const char *carom_peer_received(const struct carom_peer *peer, size_t *length)
{
    *length = peer->received.used;
    return peer->received.data != NULL ? peer->received.data : "";
}

bool carom_peer_saw_fin(const struct carom_peer *peer)
{
    return peer->saw_fin;
}

bool carom_peer_saw_reset(const struct carom_peer *peer)
{
    return peer->saw_reset;
}

bool carom_peer_saw_close(const struct carom_peer *peer)
{
    return peer->saw_close;
}

size_t carom_peer_unread(const struct carom_peer *peer)
{
    return unread(peer);
}
