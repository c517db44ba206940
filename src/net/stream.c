/* Streams over plain sockets. */
#include "net/stream.h"

#include "carom.h"

static struct carom_stream *of_socket(struct carom_socket *socket)
{
    return carom_container(socket, struct carom_stream, socket);
}

static void socket_received(struct carom_socket *socket, struct carom_page *page,
                            const uint8_t *data, uint32_t length)
{
    struct carom_stream *stream = of_socket(socket);
    stream->events->received(stream, page, data, length);
}

static void socket_ended(struct carom_socket *socket, int error)
{
    struct carom_stream *stream = of_socket(socket);
    if (error < 0)
        stream->broken = true;
    stream->events->ended(stream, error);
}

static void broke(struct carom_stream *stream, int64_t error)
{
    stream->broken = true;
    stream->file_failed = error == -CAROM_EFILE;
}

/* What the kernel took is done with. Giving it back may run code of its owner. */
static void taken(struct carom_stream *stream, uint64_t bytes)
{
    stream->sent_total += bytes;
    carom_queue_consume(&stream->out, stream->segments, bytes);
}

static bool can_send(const struct carom_stream *stream)
{
    const struct carom_socket *socket = &stream->socket;
    return !stream->broken && !stream->finished && !socket->closing && socket->sending == NULL;
}

static void finish_when_empty(struct carom_stream *stream)
{
    if (!stream->finishing || stream->out.length > 0 || !can_send(stream))
        return;
    stream->finished = true;
    stream->loop->ops->shutdown(stream->loop, &stream->socket);
}

/* Send until the queue is empty or the kernel takes no more. A failure is only noted: the
 * loop reports it as the end of the socket. */
static void send_out(struct carom_stream *stream)
{
    while (stream->out.length > 0 && can_send(stream)) {
        int64_t result = stream->loop->ops->send(stream->loop, &stream->socket, &stream->out);
        if (result == CAROM_SEND_PENDING)
            break;
        if (result < 0) {
            broke(stream, result);
            break;
        }
        taken(stream, (uint64_t)result);
    }
    finish_when_empty(stream);
}

static void socket_sent(struct carom_socket *socket, int64_t result)
{
    struct carom_stream *stream = of_socket(socket);
    if (result < 0) {
        broke(stream, result);
        return;
    }
    taken(stream, (uint64_t)result);
    send_out(stream);
    if (!socket->closing) /* by an owner of bytes that were given back */
        stream->events->sent(stream);
}

static void socket_closed(struct carom_socket *socket)
{
    struct carom_stream *stream = of_socket(socket);
    stream->events->closed(stream);
}

static const struct carom_socket_events socket_events = {
    socket_received,
    socket_ended,
    socket_sent,
    socket_closed,
};

int carom_stream_open(struct carom_stream *stream, struct carom_loop *loop,
                      struct carom_pool *segments, int fd, const struct carom_stream_events *events)
{
    *stream = (struct carom_stream){
        .socket = {.events = &socket_events, .fd = fd},
        .events = events,
        .loop = loop,
        .segments = segments,
    };
    carom_queue_init(&stream->out);
    return loop->ops->open(loop, &stream->socket);
}

void carom_stream_receive(struct carom_stream *stream, bool on)
{
    stream->loop->ops->receive(stream->loop, &stream->socket, on);
}

void carom_stream_flush(struct carom_stream *stream)
{
    send_out(stream);
}

void carom_stream_finish(struct carom_stream *stream)
{
    stream->finishing = true;
    finish_when_empty(stream);
}

void carom_stream_close(struct carom_stream *stream, bool reset)
{
    stream->loop->ops->close(stream->loop, &stream->socket, reset);
    carom_queue_clear(&stream->out, stream->segments);
}
