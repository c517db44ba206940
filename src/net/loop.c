/* What all backends share. */
#include "net/loop.h"

void carom_socket_received(struct carom_loop *loop, struct carom_socket *socket,
                           struct carom_page *page, uint32_t length)
{
    loop->bytes_received += length;
    /* What lands behind kept bytes is kept by that. A hold of our own, so that the page outlives a
     * callback that lets go of it. */
    bool landed = page == socket->landing;
    uint32_t holds = carom_page_hold(page)->holds;
    socket->events->received(socket, page, page->data + page->used - length, length);
    if (!landed && page->holds == holds)
        page->used -= length; /* nobody kept the bytes */
    carom_page_drop(page);
}
