/* Sending what lies in a file. */
#ifndef CAROM_NET_FILE_H
#define CAROM_NET_FILE_H

#include "net/loop.h"

/* The front of a queue that is not empty lies in a file. */
static inline bool carom_file_is_next(const struct carom_queue *queue)
{
    return queue->first->data == NULL;
}

/* For backends: send bytes of the file at the front of the queue by calls now: from file to socket
 * in the kernel, or read and sent where it cannot. Results as carom_socket_send_now, and
 * -CAROM_EFILE: the file is at fault. After a piece it says pending even if the socket would take
 * more, so that other connections get their turn. */
int64_t carom_file_send_now(struct carom_loop *loop, struct carom_socket *socket,
                            const struct carom_queue *queue);

/* Read the first bytes of a file's segment: how many (> 0), or -CAROM_EFILE when there are none or
 * they cannot be read. */
int64_t carom_file_read(const struct carom_segment *segment, void *to, size_t length);

#endif
