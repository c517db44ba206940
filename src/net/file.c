/* Sends files over sockets. Where the kernel moves the bytes (sendfile), nothing is kept here.
 * Where it does not, for whatever reason, bytes are read from the file and sent by two calls, so
 * that an error is known to be that of the file or that of the socket. Bytes that the socket does
 * not take are read again later. */
#include "net/file.h"

#include <errno.h>
#include <unistd.h>

#include "base/errors.h"
#include "carom.h"
#include "net/os.h"

/* Bytes that a connection sends before others have their turn. */
#define AT_ONCE (1024 * 1024)

int64_t carom_file_read(const struct carom_segment *segment, void *to, size_t length)
{
    if (length > segment->length)
        length = (size_t)segment->length;
    ssize_t got;
    do
        got = pread(segment->fd, to, length, (off_t)segment->offset);
    while (got < 0 && errno == EINTR);
    return got > 0 ? got : -CAROM_EFILE;
}

static int64_t read_and_send(struct carom_loop *loop, int to, const struct carom_segment *segment)
{
    struct carom_page *page = carom_page_take(loop->arena->pages);
    if (page == NULL)
        return -CAROM_ENOMEM;
    int64_t result = carom_file_read(segment, page->data, page->size);
    if (result > 0) {
        bool more = (uint64_t)result < segment->length || segment->next != NULL;
        struct iovec piece = {.iov_base = page->data, .iov_len = (size_t)result};
        result = carom_os_send(to, &piece, 1, more);
        if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            result = CAROM_SEND_PENDING;
        else if (result < 0)
            result = carom_error_from_errno(errno);
    }
    carom_page_drop(page);
    return result;
}

int64_t carom_file_send_now(struct carom_loop *loop, struct carom_socket *socket,
                            const struct carom_queue *queue)
{
    struct carom_segment *segment = queue->first;
    bool rests = loop->rests == socket; /* it has just sent a piece */
    loop->rests = NULL;
    if (rests)
        return CAROM_SEND_PENDING;
    int64_t sent = -1;
    if (!segment->no_sendfile) {
        sent = carom_os_send_file(socket->fd, segment->fd, (off_t)segment->offset,
                                  segment->length < AT_ONCE ? (size_t)segment->length : AT_ONCE,
                                  loop->sigpipe_blocked);
        if (sent == 0)
            return -CAROM_EFILE; /* it has become shorter */
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return CAROM_SEND_PENDING;
    }
    if (sent < 0) {
        segment->no_sendfile = true;
        sent = read_and_send(loop, socket->fd, segment);
    }
    if (sent > 0) {
        loop->bytes_sent += (uint64_t)sent;
        if ((uint64_t)sent < segment->length)
            loop->rests = socket;
    }
    return sent;
}
