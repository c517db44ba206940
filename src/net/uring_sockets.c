/* The io_uring backend: sockets. Receiving is one multishot operation for the life of a socket,
 * into pages that the kernel chooses from.
 *
 * Each operation has one bit in `interest` from its submission to its last completion. An operation
 * names its socket by address: so `closed` waits until all bits are gone, and a close cancels what
 * is on its way. The kernel touches what a send points to in the loop's own calls only, and there
 * it takes the cancellation first: after a close the queue may go at once.
 *
 * When bytes come that are not wanted now, the receive is cancelled; what it had taken is kept in
 * the socket's `node` and comes first when receiving goes on. While nothing is received, a poll
 * notices a broken connection. A socket that has work left without any news of the kernel submits
 * an operation that does nothing, whose completion brings it back in the next delivery. */
#include "net/uring_sockets.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/errors.h"
#include "carom.h"
#include "net/backend.h"
#include "net/file.h"

/* What is shorter is copied into a page with others: a page for a few bytes is too dear. */
#define SMALL 4096

/* socket->interest */
enum {
    RECEIVE = 1, /* operations on their way */
    SEND = 2,
    POLL = 4,
    AGAIN = 8,
    HUNG_UP = 16,  /* both directions are shut */
    FINISHED = 32, /* FIN is sent */
    FAILED = 64,   /* a send failed, and its owner is not told yet */
    GONE = 128,    /* the connection is broken, and its owner has been told */
    OPERATIONS = RECEIVE | SEND | POLL | AGAIN,
};

/* Bytes of a paused socket. */
struct kept {
    struct carom_node link; /* of socket->node */
    struct carom_page *page;
    const uint8_t *data;
    uint32_t length;
};

/* ---------------------------------------------------------------- operations */

static void start_receive(struct carom_loop *loop, struct carom_socket *socket)
{
    struct io_uring_sqe *sqe = carom_uring_operation(
        loop, IORING_OP_RECV, socket->fd, carom_uring_tagged(socket, CAROM_URING_RECEIVE));
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    socket->interest |= RECEIVE;
}

/* The kernel adds POLLERR, POLLHUP and POLLRDHUP. That stays after a FIN, so changes are reported,
 * not states. */
static void start_poll(struct carom_loop *loop, struct carom_socket *socket)
{
    uint64_t user_data = carom_uring_tagged(socket, CAROM_URING_POLL);
    carom_uring_poll(loop, socket->fd, 0, user_data)->len = IORING_POLL_ADD_MULTI;
    socket->interest |= POLL;
}

/* Come back to this socket in the next delivery. */
static void come_again(struct carom_loop *loop, struct carom_socket *socket)
{
    if (!(socket->interest & AGAIN))
        carom_uring_operation(loop, IORING_OP_NOP, -1,
                              carom_uring_tagged(socket, CAROM_URING_AGAIN));
    socket->interest |= AGAIN;
}

static void cancel_all(struct carom_loop *loop, struct carom_socket *socket)
{
    static const uint8_t tags[] = {[CAROM_URING_RECEIVE] = RECEIVE,
                                   [CAROM_URING_SEND] = SEND,
                                   [CAROM_URING_POLL] = POLL,
                                   [CAROM_URING_AGAIN] = AGAIN};
    for (unsigned tag = CAROM_URING_RECEIVE; tag <= CAROM_URING_AGAIN; tag++)
        if ((socket->interest & tags[tag]) &&
            !carom_uring_cancel(loop, carom_uring_tagged(socket, (enum carom_uring_tag)tag)))
            socket->interest &= (uint8_t)~tags[tag];
}

/* ---------------------------------------------------------------- the state of a socket */

/* Whether bytes may be handed over now. */
static bool wants(const struct carom_socket *socket)
{
    return socket->receiving && !socket->peer_done && !socket->closing;
}

/* Start what must be on its way in the state that the socket is in now. */
static void settle(struct carom_loop *loop, struct carom_socket *socket)
{
    if (socket->closing) {
        if (!(socket->interest & OPERATIONS) && carom_node_alone(&socket->node))
            carom_list_append(&loop->closed, &socket->node);
    } else if (socket->interest & GONE) {
        return;
    } else if (wants(socket)) {
        if (!carom_node_alone(&socket->node))
            come_again(loop, socket);
        else if (!(socket->interest & RECEIVE))
            start_receive(loop, socket);
    } else if (!(socket->interest & (RECEIVE | POLL | HUNG_UP))) {
        start_poll(loop, socket);
    }
}

int carom_uring_socket_open(struct carom_loop *loop, struct carom_socket *socket)
{
    socket->interest = 0;
    socket->receiving = true;
    socket->peer_done = socket->closing = socket->fin_seen = socket->told_fin = false;
    socket->sending = NULL;
    carom_node_init(&socket->node);
    settle(loop, socket);
    return 0;
}

/* Pausing is lazy: only when bytes come that nobody wants is the receive cancelled. */
void carom_uring_socket_receive(struct carom_loop *loop, struct carom_socket *socket, bool on)
{
    if (socket->peer_done || socket->closing)
        return;
    socket->receiving = on;
    if (!on)
        return;
    socket->told_fin = false;
    settle(loop, socket);
}

static void free_kept(struct carom_loop *loop, struct kept *kept)
{
    carom_page_drop(kept->page);
    carom_pool_give(&carom_uring_of(loop)->kept, kept);
}

static void drop_kept(struct carom_loop *loop, struct carom_socket *socket)
{
    struct carom_node *node;
    while ((node = carom_list_take(&socket->node)) != NULL)
        free_kept(loop, carom_container(node, struct kept, link));
}

/* The connection is broken, whether FIN came before or not: its owner learns why, once. */
static void broken(struct carom_loop *loop, struct carom_socket *socket, int error)
{
    if (socket->closing || (socket->interest & GONE))
        return;
    drop_kept(loop, socket);
    cancel_all(loop, socket);
    socket->interest |= GONE;
    socket->sending = NULL;
    socket->receiving = false;
    socket->peer_done = true;
    loop->events->peer_done(socket, error);
}

static int pending_error(const struct carom_socket *socket)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error != 0 ? carom_error_from_errno(error) : -CAROM_ECANCELED;
}

/* Both directions are shut. When that is not our doing nothing can be sent any more (a Unix socket
 * whose peer has closed); what it sent before is still received, if it is wanted. */
static void look_at_hang_up(struct carom_loop *loop, struct carom_socket *socket)
{
    if (socket->peer_done && (socket->interest & HUNG_UP) && !(socket->interest & FINISHED))
        broken(loop, socket, -CAROM_ECANCELED);
}

void carom_uring_socket_shutdown(struct carom_loop *loop, struct carom_socket *socket)
{
    (void)loop;
    carom_assert(socket->sending == NULL && !socket->closing);
    if (socket->interest & GONE)
        return;
    socket->interest |= FINISHED;
    shutdown(socket->fd, SHUT_WR);
}

void carom_uring_socket_close(struct carom_loop *loop, struct carom_socket *socket, bool reset)
{
    if (socket->closing)
        return;
    drop_kept(loop, socket);
    cancel_all(loop, socket);
    socket->closing = true;
    socket->receiving = false;
    socket->sending = NULL;
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(socket->fd); /* the peer sees it when the operations are gone */
    socket->fd = -1;
    settle(loop, socket);
}

/* ---------------------------------------------------------------- receiving */

/* Keep bytes until they are wanted. False when out of memory. */
static bool keep(struct carom_loop *loop, struct carom_socket *socket, struct carom_page *page,
                 const uint8_t *data, uint32_t length)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    struct kept *kept = carom_pool_take(&self->kept);
    if (kept == NULL)
        return false;
    if (length <= SMALL) {
        page = carom_arena_room(loop->arena, length);
        if (page == NULL) {
            carom_pool_give(&self->kept, kept);
            return false;
        }
        data = memcpy(page->data + page->used, data, length);
        page->used += length;
    }
    kept->page = carom_page_hold(page);
    kept->data = data;
    kept->length = length;
    bool first = carom_node_alone(&socket->node);
    carom_list_append(&socket->node, &kept->link);
    if (first && (socket->interest & RECEIVE))
        carom_uring_cancel(loop, carom_uring_tagged(socket, CAROM_URING_RECEIVE));
    return true;
}

/* Copy bytes behind those in a page, and hand them over from there. */
static void hand_over_copy(struct carom_loop *loop, struct carom_socket *socket,
                           struct carom_page *page, const uint8_t *data, uint32_t length)
{
    uint8_t *copy = memcpy(page->data + page->used, data, length);
    page->used += length;
    carom_socket_received(loop, socket, page, copy, length);
}

/* Hand bytes over, as many as are wanted. They follow those of the landing page. Returns how many,
 * or a negative error. */
static int64_t hand_over(struct carom_loop *loop, struct carom_socket *socket,
                         struct carom_page *page, const uint8_t *data, uint32_t length,
                         bool in_place)
{
    uint32_t done = 0;
    while (done < length && wants(socket)) {
        uint32_t part = length - done;
        struct carom_page *landing = socket->landing;
        if (landing != NULL && landing->used < landing->size) {
            uint32_t room = landing->size - landing->used;
            part = part < room ? part : room;
            hand_over_copy(loop, socket, landing, data + done, part);
        } else if (in_place || part > SMALL) {
            carom_socket_received(loop, socket, page, data + done, part);
        } else {
            struct carom_page *shared = carom_arena_room(loop->arena, part);
            if (shared == NULL)
                return -CAROM_ENOMEM;
            hand_over_copy(loop, socket, shared, data + done, part);
        }
        done += part;
    }
    return done;
}

/* Bytes have come, into a page of ours. */
static void take_bytes(struct carom_loop *loop, struct carom_socket *socket,
                       struct carom_page *page, uint32_t length)
{
    int64_t done = 0;
    page->used = length;
    if (carom_node_alone(&socket->node))
        done = hand_over(loop, socket, page, page->data, length, false);
    if (done < 0)
        broken(loop, socket, (int)done);
    else if (done < length && !socket->closing && !socket->peer_done &&
             !keep(loop, socket, page, page->data + done, length - (uint32_t)done))
        broken(loop, socket, -CAROM_ENOMEM);
}

static void hand_over_kept(struct carom_loop *loop, struct carom_socket *socket)
{
    while (!carom_node_alone(&socket->node) && wants(socket)) {
        struct kept *kept = carom_container(socket->node.next, struct kept, link);
        carom_node_remove(&kept->link);
        int64_t done = hand_over(loop, socket, kept->page, kept->data, kept->length, true);
        if (done < kept->length && !socket->closing && !socket->peer_done) {
            kept->data += done;
            kept->length -= (uint32_t)done;
            carom_list_prepend(&socket->node, &kept->link);
        } else {
            free_kept(loop, kept);
        }
    }
}

/* Give the kernel a page for a buffer: the one that was there, unless somebody keeps it. */
static void refill(struct carom_uring_loop *self, uint16_t id)
{
    struct carom_page *page = self->pages[id];
    if (page == NULL || page->holds > 1) {
        struct carom_page *fresh = carom_page_take(self->loop.arena->pages);
        if (page != NULL)
            carom_page_drop(page);
        else
            self->missing--;
        page = self->pages[id] = fresh;
        if (page == NULL) {
            self->missing++;
            return;
        }
    }
    carom_uring_buffers_add(&self->buffers, page->data, page->size, id);
}

void carom_uring_refill(struct carom_uring_loop *self)
{
    for (uint16_t id = 0; id < CAROM_URING_BUFFERS && self->missing > 0; id++)
        if (self->pages[id] == NULL)
            refill(self, id);
}

static void finished_by_peer(struct carom_loop *loop, struct carom_socket *socket)
{
    socket->peer_done = true;
    socket->receiving = false;
    loop->events->peer_done(socket, 0);
    if (!socket->closing)
        look_at_hang_up(loop, socket);
}

/* FIN was seen; bytes before it may wait for the owner. */
static void look_at_fin(struct carom_loop *loop, struct carom_socket *socket)
{
    if (socket->fin_seen)
        carom_socket_fin_queued(loop, socket);
}

/* A FIN that is not wanted yet is seen again by the next receive. */
static void receive_done(struct carom_loop *loop, struct carom_socket *socket, int result,
                         uint32_t flags)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    if (!(flags & IORING_CQE_F_MORE))
        socket->interest &= (uint8_t)~RECEIVE;
    bool open = !socket->closing && !socket->peer_done;
    if (open && result > 0 && (flags & IORING_CQE_F_BUFFER))
        take_bytes(loop, socket, self->pages[id], (uint32_t)result);
    else if (open && result == 0 && wants(socket) && carom_node_alone(&socket->node))
        finished_by_peer(loop, socket);
    else if (open && result == 0)
        socket->fin_seen = true;
    else if (open && result == -ENOBUFS && self->missing == CAROM_URING_BUFFERS)
        broken(loop, socket, -CAROM_ENOMEM);
    else if (open && result < 0 && result != -ENOBUFS && result != -ECANCELED &&
             result != -EAGAIN && result != -EINTR)
        broken(loop, socket, carom_error_from_errno(-result));
    if (flags & IORING_CQE_F_BUFFER)
        refill(self, id);
    look_at_fin(loop, socket);
    settle(loop, socket);
}

static void poll_done(struct carom_loop *loop, struct carom_socket *socket, int result,
                      uint32_t flags)
{
    if (!(flags & IORING_CQE_F_MORE))
        socket->interest &= (uint8_t)~POLL;
    if (!socket->closing && !(socket->interest & GONE) && result > 0) {
        if (result & POLLHUP)
            socket->interest |= HUNG_UP;
        if (result & (POLLHUP | EPOLLRDHUP))
            socket->fin_seen = true;
        if (result & POLLERR)
            broken(loop, socket, pending_error(socket));
        else
            look_at_hang_up(loop, socket);
        look_at_fin(loop, socket);
    }
    settle(loop, socket);
}

static void again(struct carom_loop *loop, struct carom_socket *socket)
{
    socket->interest &= (uint8_t)~AGAIN;
    if (!socket->closing && (socket->interest & FAILED))
        broken(loop, socket, pending_error(socket));
    hand_over_kept(loop, socket);
    settle(loop, socket);
}

/* ---------------------------------------------------------------- sending */

/* What is in memory leaves by an operation; of a file, one waits for room, and it is sent by a call
 * (splice would need a pipe for each). */
static void start_send(struct carom_loop *loop, struct carom_socket *socket)
{
    struct carom_uring_loop *self = carom_uring_of(loop);
    socket->interest |= SEND;
    if (carom_file_is_next(socket->sending)) {
        carom_uring_poll(loop, socket->fd, POLLOUT, carom_uring_tagged(socket, CAROM_URING_SEND));
        return;
    }
    if (self->message_count == CAROM_URING_MESSAGES)
        carom_uring_submit(&self->ring);
    if (carom_uring_unsubmitted(&self->ring) == 0)
        self->message_count = 0;
    struct carom_uring_message *message = &self->messages[self->message_count];
    int count = carom_queue_vectors(socket->sending, message->vectors, CAROM_URING_VECTORS);
    struct io_uring_sqe *sqe = carom_uring_operation(loop, IORING_OP_SEND, socket->fd,
                                                     carom_uring_tagged(socket, CAROM_URING_SEND));
    bool last = carom_queue_ends_with(socket->sending, &message->vectors[count - 1]);
    sqe->msg_flags = last ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_MORE;
    sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
    if (count == 1) {
        size_t length = message->vectors[0].iov_len;
        sqe->addr = (uintptr_t)message->vectors[0].iov_base;
        sqe->len = length > INT32_MAX ? INT32_MAX : (uint32_t)length;
        return;
    }
    message->header = (struct msghdr){.msg_iov = message->vectors, .msg_iovlen = (size_t)count};
    sqe->opcode = IORING_OP_SENDMSG;
    sqe->addr = (uintptr_t)&message->header;
    sqe->len = 1;
    self->message_count++;
}

/* Most sends end at once, and what they held is used again while it is in the cache. So they are
 * calls, and operations only while the peer is slow; measured, operations for all are not cheaper.
 */
int64_t carom_uring_socket_send(struct carom_loop *loop, struct carom_socket *socket,
                                const struct carom_queue *queue)
{
    carom_assert(socket->sending == NULL && !socket->closing);
    if (socket->interest & GONE)
        return -CAROM_ECANCELED;
    int64_t result = carom_socket_send_now(loop, socket, queue);
    if (result == CAROM_SEND_PENDING) {
        socket->sending = queue;
        start_send(loop, socket);
    } else if (result < 0) {
        /* The kernel does not repeat the error: tell the owner in the next delivery. */
        socket->interest |= FAILED;
        come_again(loop, socket);
    }
    return result;
}

static void send_done(struct carom_loop *loop, struct carom_socket *socket, int result)
{
    socket->interest &= (uint8_t)~SEND;
    if (socket->sending == NULL) {
        settle(loop, socket);
        return;
    }
    int64_t sent = result;
    if (result == -EAGAIN || result == -EINTR)
        sent = CAROM_SEND_PENDING;
    else if (result < 0)
        sent = carom_error_from_errno(-result);
    else if (carom_file_is_next(socket->sending))
        sent = carom_file_send_now(loop, socket, socket->sending);
    else
        loop->bytes_sent += (uint64_t)result;
    if (sent == CAROM_SEND_PENDING) {
        start_send(loop, socket);
    } else {
        socket->sending = NULL;
        loop->events->sent(socket, sent);
        if (sent < 0)
            broken(loop, socket, (int)sent);
    }
    settle(loop, socket);
}

/* ---------------------------------------------------------------- completions */

void carom_uring_socket_completed(struct carom_loop *loop, struct carom_socket *socket,
                                  enum carom_uring_tag tag, int result, uint32_t flags)
{
    if (tag == CAROM_URING_RECEIVE)
        receive_done(loop, socket, result, flags);
    else if (tag == CAROM_URING_SEND)
        send_done(loop, socket, result);
    else if (tag == CAROM_URING_POLL)
        poll_done(loop, socket, result, flags);
    else
        again(loop, socket);
}

int carom_uring_sockets_init(struct carom_uring_loop *self)
{
    self->missing = CAROM_URING_BUFFERS;
    carom_pool_init(&self->kept, sizeof(struct kept), CAROM_URING_BUFFERS);
    return carom_pool_fill(&self->kept);
}

void carom_uring_sockets_finish(struct carom_uring_loop *self)
{
    for (uint16_t id = 0; id < CAROM_URING_BUFFERS; id++)
        if (self->pages[id] != NULL)
            carom_page_drop(self->pages[id]);
    carom_pool_finish(&self->kept);
}
