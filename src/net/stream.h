/* A stream: one connection's bytes, both ways, as the protocols see it. Outgoing bytes gather in
 * `out` during a turn and leave by one system call in carom_stream_flush.
 *
 * A stream may be secured by TLS. Then what is received is decrypted into pages, and what is in
 * `out` stays there until the kernel has taken all of what it was encrypted to: the owner sees
 * plain bytes in every count, and only asks carom_stream_tls_session when it wants to know. */
#ifndef CAROM_NET_STREAM_H
#define CAROM_NET_STREAM_H

#include "net/stream_tls.h"
#include "net/streams.h"

/* `pages` are those of the worker. Nothing is allocated yet. */
void carom_streams_init(struct carom_streams *streams, struct carom_pool *segments,
                        struct carom_pages *pages, struct carom_arena *outgoing,
                        const struct carom_stream_events *events);
/* The loop of their sockets. Before the first stream. */
void carom_streams_attach(struct carom_streams *streams, struct carom_loop *loop);
void carom_streams_finish(struct carom_streams *streams);
/* A new turn begins, before the loop delivers: streams that wait for one, as those with TLS do
 * after their share of the last turn, go on. */
static inline void carom_streams_turn(struct carom_streams *streams)
{
    streams->handshakes = streams->most_handshakes;
    if (!carom_node_alone(&streams->waiting))
        carom_streams_go_on(streams);
}
/* Take over a connected descriptor; receiving is on. 0 or negative error (fd still the caller's).
 */
int carom_stream_open(struct carom_stream *stream, struct carom_streams *streams, int fd);
void carom_stream_receive(struct carom_stream *stream, bool on);
/* Whether it is on. */
static inline bool carom_stream_receives(const struct carom_stream *stream)
{
    return carom_likely(stream->tls == NULL) ? stream->socket.receiving
                                             : carom_stream_tls_receives(stream);
}
/* Receive bytes that wait into memory of the caller's, as carom_loop_ops.receive_now: how many. 0:
 * none, or of a stream with TLS. No event is called from here. */
size_t carom_stream_receive_now(struct carom_stream *stream, uint8_t *to, size_t room);
/* Send what is in `out`, until it is empty or the kernel takes no more for now; sent_total says how
 * far that went. `sent` follows from a later delivery when bytes had to wait, `peer_done` with an
 * error when sending fails. No event is called from here. */
void carom_stream_flush(struct carom_stream *stream);
/* Send bytes of `queue`, which is the caller's and is not changed, from where they lie: as many as
 * the kernel takes at once, and none of a stream with TLS or behind others that wait. How many:
 * what is left is for `out`. No event is called from here. */
uint64_t carom_stream_send_now(struct carom_stream *stream, const struct carom_queue *queue);
/* Bytes wait for the kernel. */
static inline bool carom_stream_stalled(const struct carom_stream *stream)
{
    return stream->socket.sending != NULL ||
           (stream->tls != NULL && carom_stream_tls_stalled(stream));
}
/* The next bytes are to follow what is in `page`, as carom_socket.landing says. */
static inline void carom_stream_land(struct carom_stream *stream, struct carom_page *page)
{
    if (carom_likely(stream->tls == NULL))
        stream->socket.landing = page;
    else
        carom_stream_tls_land(stream, page);
}
/* FIN after what is in `out`. */
void carom_stream_shutdown(struct carom_stream *stream);
/* Close now; `out` is dropped. `closed` follows from reclaim. */
void carom_stream_close(struct carom_stream *stream, bool reset);
/* After `closed`, when nobody will ask for its TLS any more. */
static inline void carom_stream_dispose(struct carom_stream *stream)
{
    if (stream->tls != NULL)
        carom_stream_tls_dispose(stream);
}

#endif
