/* What all backends have in common: giving received bytes a page, handing them to the owner of the
 * socket, accepting, ending sockets, reading the clock. */
#include "net/backend.h"

#include <errno.h>
#include <stddef.h>

#include "base/errors.h"
#include "net/file.h"
#include "net/os.h"

/* Free bytes of the arena's page that a receive wants at least: most requests are smaller, and what
 * is left behind at the end of a page is little of its 32 KiB. */
#define ROOM 4096
/* Segments that one send takes. */
#define VECTORS 64
/* Connections that one turn accepts from one listener, at most; a power of 2. */
#define ACCEPTS 64
/* Turns in a row that must have found all they asked for, before twice as many are asked for. */
#define TRIALS 8

struct carom_page *carom_socket_room(struct carom_loop *loop, const struct carom_socket *socket)
{
    struct carom_page *page = socket->landing;
    if (page != NULL && page->used < page->size)
        return page;
    if (carom_unlikely(socket->wide) && loop->wide != NULL) {
        page = carom_arena_room(loop->wide, loop->wide->pages->size);
        if (page != NULL)
            return page;
    }
    uint32_t size = loop->arena->pages->size;
    return carom_arena_room(loop->arena, size < ROOM ? size : ROOM);
}

void carom_socket_received(struct carom_loop *loop, struct carom_socket *socket,
                           struct carom_page *page, const uint8_t *data, uint32_t length)
{
    loop->bytes_received += length;
    /* Whether the bytes were kept does not show in the number of holds: they may have joined others
     * that hold the page already (carom_queue_append_page), and others may have let go meanwhile.
     * So `used` stays; the arena rewinds a page that only it holds. */
    carom_page_hold(page); /* it outlives a callback that lets go of it */
    loop->events->received(socket, page, data, length);
    carom_page_drop(page);
}

void carom_socket_fin_queued(struct carom_loop *loop, struct carom_socket *socket)
{
    if (socket->receiving || socket->peer_done || socket->closing || socket->told_fin)
        return;
    socket->told_fin = true;
    loop->events->fin_queued(socket);
}

int64_t carom_socket_send_now(struct carom_loop *loop, struct carom_socket *socket,
                              const struct carom_queue *queue)
{
    if (carom_unlikely(carom_file_is_next(queue)))
        return carom_file_send_now(loop, socket, queue);
    struct iovec vectors[VECTORS];
    int count = carom_queue_vectors(queue, vectors, VECTORS);
    /* A file that follows shares the packet. */
    bool more = !carom_queue_ends_with(queue, &vectors[count - 1]);
    ssize_t length = carom_os_send(socket->fd, vectors, count, more);
    if (length >= 0) {
        loop->bytes_sent += (uint64_t)length;
        return length;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return CAROM_SEND_PENDING;
    return carom_error_from_errno(errno);
}

void carom_sockets_reclaim(struct carom_loop *loop)
{
    struct carom_node *node;
    while ((node = carom_list_take(&loop->closed)) != NULL) {
        struct carom_socket *socket = carom_container(node, struct carom_socket, node);
        loop->events->closed(socket);
    }
}

/* Asking for a connection that is not there is dear: the kernel makes its descriptor first. So a
 * batch is of one, and grows while connections wait. */
void carom_acceptor_batch(struct carom_loop *loop, struct carom_acceptor *acceptor)
{
    unsigned left = 1u << acceptor->filled / TRIALS;
    if (left < ACCEPTS)
        acceptor->filled++;
    for (unsigned tries = 0; left > 0 && tries < ACCEPTS && acceptor->accepting; tries++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int fd = carom_os_accept(acceptor->fd, (struct sockaddr *)&peer, &length);
        if (fd >= 0) {
            left--;
            acceptor->accepted(acceptor, fd, (struct sockaddr *)&peer, length);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            acceptor->filled = 0;
            return;
        } else if (!carom_os_accept_again(errno)) {
            int error = carom_error_from_errno(errno);
            loop->ops->accept_stop(loop, acceptor);
            acceptor->failed(acceptor, error);
            return;
        }
    }
}
