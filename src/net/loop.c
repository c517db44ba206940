/* What all backends share: where bytes land, handing them over, the end of sockets. */
#include "net/loop.h"

#include <stddef.h>

/* Free bytes of the arena's page that a receive wants at least: most requests are smaller, and what
 * is left behind at the end of a page is little of its 32 KiB. */
#define ROOM 4096

struct carom_page *carom_socket_room(struct carom_loop *loop, const struct carom_socket *socket)
{
    struct carom_page *page = socket->landing;
    if (page != NULL && page->used < page->size)
        return page;
    uint32_t size = loop->arena->pages->size;
    return carom_arena_room(loop->arena, size < ROOM ? size : ROOM);
}

void carom_socket_received(struct carom_loop *loop, struct carom_socket *socket,
                           struct carom_page *page, uint32_t length)
{
    loop->bytes_received += length;
    /* Whether the bytes were kept does not show in the number of holds: they may have joined others
     * that hold the page already (carom_queue_append_page), and others may have let go meanwhile.
     * So `used` stays; the arena rewinds a page that only it holds. */
    carom_page_hold(page); /* it outlives a callback that lets go of it */
    socket->events->received(socket, page, page->data + page->used - length, length);
    carom_page_drop(page);
}

void carom_sockets_reclaim(struct carom_loop *loop)
{
    struct carom_node *node;
    while ((node = carom_list_take(&loop->closed)) != NULL) {
        struct carom_socket *socket = carom_container(node, struct carom_socket, node);
        socket->events->closed(socket);
    }
}
