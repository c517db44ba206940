/* The sockets of the io_uring backend: what loop_uring.c asks of uring_sockets.c. */
#ifndef CAROM_NET_URING_SOCKETS_H
#define CAROM_NET_URING_SOCKETS_H

#include "net/uring_operations.h"

/* The operations of sockets: as in carom_loop_ops. */
int carom_uring_socket_open(struct carom_loop *loop, struct carom_socket *socket);
void carom_uring_socket_receive(struct carom_loop *loop, struct carom_socket *socket, bool on);
int64_t carom_uring_socket_send(struct carom_loop *loop, struct carom_socket *socket,
                                const struct carom_queue *queue);
void carom_uring_socket_shutdown(struct carom_loop *loop, struct carom_socket *socket);
void carom_uring_socket_close(struct carom_loop *loop, struct carom_socket *socket, bool reset);
/* An operation of a socket has a result. */
void carom_uring_socket_completed(struct carom_loop *loop, struct carom_socket *socket,
                                  enum carom_uring_tag tag, int result, uint32_t flags);

/* -CAROM_ENOMEM; carom_uring_sockets_finish is called all the same. */
int carom_uring_sockets_init(struct carom_uring_loop *self);
/* Give the kernel pages for all buffers that have none, as far as there is memory. */
void carom_uring_refill(struct carom_uring_loop *self);
/* After the ring: drop the pages, and free what was for sockets. */
void carom_uring_sockets_finish(struct carom_uring_loop *self);

#endif
