/* What a stream is, and what the streams of a worker share. It stands below stream.c, which asks
 * stream_tls.c when a stream is secured. */
#ifndef CAROM_NET_STREAMS_H
#define CAROM_NET_STREAMS_H

#include "base/queue.h"
#include "net/loop.h"

struct carom_stream;
struct carom_stream_tls;
struct carom_tls;
struct carom_tls_session;

struct carom_stream_events {
    /* As in carom_socket_events. */
    void (*received)(struct carom_stream *stream, struct carom_page *page, const uint8_t *data,
                     uint32_t length);
    /* 0: the peer has finished sending; negative: the stream is broken, both ways. Each once at
     * most, in this order. -CAROM_EPROTOCOL, of TLS alone: nothing more is received, and of what
     * was to be sent only an alert is; finish the stream, so that the peer gets it; a 0 may still
     * follow. */
    void (*peer_done)(struct carom_stream *stream, int error);
    /* As in carom_socket_events. */
    void (*fin_queued)(struct carom_stream *stream);
    /* The kernel took bytes that had to wait: sent_total has grown. */
    void (*sent)(struct carom_stream *stream);
    /* Last of all but carom_stream_dispose: the stream may be freed. */
    void (*closed)(struct carom_stream *stream);
    /* Of a stream with TLS, once, before the first `received`. 0: the handshake is done, and
     * carom_tls_alpn is known. Negative: it has failed, nothing will be received; finish the
     * stream, so that the peer gets the reason. */
    void (*secured)(struct carom_stream *stream, int error);
};

/* What the streams of a worker share. */
struct carom_streams {
    struct carom_loop *loop;
    struct carom_pool *segments;
    const struct carom_stream_events *events;
    struct carom_arena *outgoing; /* what is encrypted gathers here */
    struct carom_arena plain;     /* what is decrypted, here */
    struct carom_pool sessions;   /* of struct carom_stream_tls */
    struct carom_node waiting;    /* of those; they go on in the next turn */
    uint32_t handshakes;          /* steps of handshakes that this turn may still take */
    uint32_t most_handshakes;     /* in one turn */
    uint64_t handshakes_done, handshakes_resumed, handshakes_failed;
};

#define CAROM_SENT_MASK (((uint64_t)1 << 56) - 1)

struct carom_stream {
    struct carom_socket socket;
    struct carom_streams *streams;
    struct carom_stream_tls *tls; /* NULL: plain */
    struct carom_queue out;
    uint64_t sent_total : 56;
    bool fin_due : 1;     /* FIN follows what is in `out` */
    bool fin_sent : 1;    /* FIN is sent */
    bool broken : 1;      /* a send failed: nothing can be sent */
    bool file_failed : 1; /* because a file in `out` could not be read as far as was said */
    bool truncated : 1;   /* FIN came, but TLS did not say that this is the end */
};

/* Whether the next turn has work that no event will bring. */
static inline bool carom_streams_wait(const struct carom_streams *streams)
{
    return !carom_node_alone(&streams->waiting);
}

/* Bytes of `out` are done with. Giving them back may run code of their owner. */
static inline void carom_stream_taken(struct carom_stream *stream, uint64_t bytes)
{
    stream->sent_total = (stream->sent_total + bytes) & CAROM_SENT_MASK;
    carom_queue_consume(&stream->out, stream->streams->segments, bytes);
}

static inline bool carom_stream_can_send(const struct carom_stream *stream)
{
    const struct carom_socket *socket = &stream->socket;
    return !stream->broken && !stream->fin_sent && !socket->closing && socket->sending == NULL;
}

#endif
