/* Streams over sockets; what TLS adds is in stream_tls.c. */
#include "net/stream.h"

#include "carom.h"
#include "net/stream_tls.h"

static struct carom_stream *of_socket(struct carom_socket *socket)
{
    return carom_container(socket, struct carom_stream, socket);
}

static void socket_received(struct carom_socket *socket, struct carom_page *page,
                            const uint8_t *data, uint32_t length)
{
    struct carom_stream *stream = of_socket(socket);
    if (carom_likely(stream->tls == NULL))
        stream->streams->events->received(stream, page, data, length);
    else
        carom_stream_tls_received(stream, page, data, length);
}

static void socket_ended(struct carom_socket *socket, int error)
{
    struct carom_stream *stream = of_socket(socket);
    if (error < 0)
        stream->broken = true;
    if (error == 0 && stream->tls != NULL)
        carom_stream_tls_peer_done(stream);
    else
        stream->streams->events->peer_done(stream, error);
}

static void socket_left(struct carom_socket *socket)
{
    struct carom_stream *stream = of_socket(socket);
    if (!carom_stream_receives(stream)) /* it is not TLS that holds it back */
        stream->streams->events->fin_queued(stream);
}

static void broke(struct carom_stream *stream, int64_t error)
{
    stream->broken = true;
    stream->file_failed = error == -CAROM_EFILE;
}

static void finish_when_empty(struct carom_stream *stream)
{
    if (!stream->fin_due || stream->out.length > 0 || !carom_stream_can_send(stream))
        return;
    stream->fin_sent = true;
    struct carom_loop *loop = stream->streams->loop;
    loop->ops->shutdown(loop, &stream->socket);
}

/* Send until the queue is empty or the kernel takes no more. A failure is only noted: the
 * loop reports it as the end of the socket. */
static void send_plain(struct carom_stream *stream)
{
    struct carom_loop *loop = stream->streams->loop;
    while (stream->out.length > 0 && carom_stream_can_send(stream)) {
        int64_t result = loop->ops->send(loop, &stream->socket, &stream->out);
        if (result == CAROM_SEND_PENDING)
            break;
        if (result < 0) {
            broke(stream, result);
            break;
        }
        carom_stream_taken(stream, (uint64_t)result);
    }
    finish_when_empty(stream);
}

static void send_out(struct carom_stream *stream)
{
    if (carom_likely(stream->tls == NULL))
        send_plain(stream);
    else
        carom_stream_tls_send(stream);
}

static void socket_sent(struct carom_socket *socket, int64_t result)
{
    struct carom_stream *stream = of_socket(socket);
    if (result < 0) {
        broke(stream, result);
        return;
    }
    if (stream->tls == NULL)
        carom_stream_taken(stream, (uint64_t)result);
    else
        carom_stream_tls_sent(stream, (uint64_t)result);
    send_out(stream);
    if (!socket->closing) /* by an owner of bytes that were given back */
        stream->streams->events->sent(stream);
}

static void socket_closed(struct carom_socket *socket)
{
    struct carom_stream *stream = of_socket(socket);
    stream->streams->events->closed(stream);
}

static const struct carom_socket_events socket_events = {
    socket_received, socket_ended, socket_left, socket_sent, socket_closed,
};

void carom_streams_init(struct carom_streams *streams, struct carom_pool *segments,
                        struct carom_pages *pages, struct carom_arena *outgoing,
                        const struct carom_stream_events *events)
{
    *streams = (struct carom_streams){
        .segments = segments,
        .events = events,
        .outgoing = outgoing,
        .handshakes = UINT32_MAX,
        .most_handshakes = UINT32_MAX,
    };
    carom_arena_init(&streams->plain, pages);
    carom_pool_init(&streams->sessions, sizeof(struct carom_stream_tls), 0);
    carom_node_init(&streams->waiting);
}

void carom_streams_finish(struct carom_streams *streams)
{
    carom_arena_finish(&streams->plain);
    carom_pool_finish(&streams->sessions);
}

void carom_streams_attach(struct carom_streams *streams, struct carom_loop *loop)
{
    streams->loop = loop;
    loop->events = &socket_events;
}

int carom_stream_open(struct carom_stream *stream, struct carom_streams *streams, int fd)
{
    *stream = (struct carom_stream){
        .socket = {.fd = fd},
        .streams = streams,
    };
    carom_queue_init(&stream->out);
    return streams->loop->ops->open(streams->loop, &stream->socket);
}

void carom_stream_receive(struct carom_stream *stream, bool on)
{
    struct carom_loop *loop = stream->streams->loop;
    loop->ops->receive(loop, &stream->socket, on);
    if (stream->tls != NULL)
        carom_stream_tls_receive(stream, on);
}

size_t carom_stream_receive_now(struct carom_stream *stream, uint8_t *to, size_t room)
{
    struct carom_loop *loop = stream->streams->loop;
    if (stream->tls != NULL || loop->ops->receive_now == NULL)
        return 0;
    return loop->ops->receive_now(loop, &stream->socket, to, room);
}

uint64_t carom_stream_send_now(struct carom_stream *stream, const struct carom_queue *queue)
{
    if (stream->tls != NULL || stream->out.length > 0 || !carom_stream_can_send(stream))
        return 0;
    struct carom_loop *loop = stream->streams->loop;
    int64_t taken = loop->ops->send_now(loop, &stream->socket, queue);
    if (taken <= 0) /* a failure is met again by what the caller puts into `out` */
        return 0;
    stream->sent_total = (stream->sent_total + (uint64_t)taken) & CAROM_SENT_MASK;
    return (uint64_t)taken;
}

void carom_stream_flush(struct carom_stream *stream)
{
    send_out(stream);
}

void carom_stream_shutdown(struct carom_stream *stream)
{
    stream->fin_due = true;
    if (stream->tls == NULL)
        finish_when_empty(stream);
    else
        carom_stream_tls_send(stream);
}

void carom_stream_close(struct carom_stream *stream, bool reset)
{
    struct carom_loop *loop = stream->streams->loop;
    if (stream->tls != NULL)
        carom_stream_tls_close(stream, reset);
    loop->ops->close(loop, &stream->socket, reset);
    carom_queue_clear(&stream->out, stream->streams->segments);
}
