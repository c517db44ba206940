/* What backends of the loop have in common. */
#ifndef CAROM_NET_BACKEND_H
#define CAROM_NET_BACKEND_H

#include "net/loop.h"

/* Where the next bytes of a socket go, behind what is used: its landing page while
 * that has room, or the arena's page with room for most requests, or the wide one. NULL when out of
 * memory. */
struct carom_page *carom_socket_room(struct carom_loop *loop, const struct carom_socket *socket);

/* Hand received bytes to the socket's owner; they lie in what is used of `page`. The
 * arena takes the space back when nobody else holds the page. */
void carom_socket_received(struct carom_loop *loop, struct carom_socket *socket,
                           struct carom_page *page, const uint8_t *data, uint32_t length);

/* FIN has come, perhaps behind bytes. Tells the owner when receiving is off. */
void carom_socket_fin_queued(struct carom_loop *loop, struct carom_socket *socket);

/* Accept connections that wait, at most a batch. When descriptors or memory run out it stops the
 * acceptor and tells its owner (`failed`). */
void carom_acceptor_batch(struct carom_loop *loop, struct carom_acceptor *acceptor);

/* Send by a call now. Bytes taken, a negative error, or CAROM_SEND_PENDING when it
 * would block. */
int64_t carom_socket_send_now(struct carom_loop *loop, struct carom_socket *socket,
                              const struct carom_queue *queue);

/* Call `closed` of all closed sockets, and of those that these calls close. */
void carom_sockets_reclaim(struct carom_loop *loop);

#endif
