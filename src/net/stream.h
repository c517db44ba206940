/* A stream: one connection's bytes, both ways, as the protocols see it. Outgoing bytes gather in
 * `out` during a turn and leave by one system call in carom_stream_flush.
 *
 * A stream may be secured by TLS. Then what is received is decrypted into pages, and what is in
 * `out` stays there until the kernel has taken all of what it was encrypted to: the owner sees
 * plain bytes in every count, and only asks carom_stream_session when it wants to know. */
#ifndef CAROM_NET_STREAM_H
#define CAROM_NET_STREAM_H

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
    void (*ended)(struct carom_stream *stream, int error);
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
    bool finishing : 1;   /* FIN follows what is in `out` */
    bool finished : 1;    /* FIN is sent */
    bool broken : 1;      /* a send failed: nothing can be sent */
    bool file_failed : 1; /* because a file in `out` could not be read as far as was said */
    bool truncated : 1;   /* FIN came, but TLS did not say that this is the end */
};

/* `pages` are those of the worker. Nothing is allocated yet. */
void carom_streams_init(struct carom_streams *streams, struct carom_pool *segments,
                        struct carom_pages *pages, struct carom_arena *outgoing,
                        const struct carom_stream_events *events);
/* The loop of their sockets. Before the first stream. */
void carom_streams_attach(struct carom_streams *streams, struct carom_loop *loop);
void carom_streams_finish(struct carom_streams *streams);
/* A new turn, before the loop delivers: let those go on that wait. */
void carom_streams_go_on(struct carom_streams *streams);
static inline void carom_streams_turn(struct carom_streams *streams)
{
    streams->handshakes = streams->most_handshakes;
    if (!carom_node_alone(&streams->waiting))
        carom_streams_go_on(streams);
}
/* Whether the next turn has work that no event will bring. */
static inline bool carom_streams_wait(const struct carom_streams *streams)
{
    return !carom_node_alone(&streams->waiting);
}

/* Take over a connected descriptor; receiving is on. 0 or negative error (fd still the caller's).
 */
int carom_stream_open(struct carom_stream *stream, struct carom_streams *streams, int fd);
/* Right after open: it speaks TLS, as a server. 0 or -CAROM_ENOMEM (close the stream). */
int carom_stream_secure(struct carom_stream *stream, struct carom_tls *certificates);
/* The session of a stream that speaks TLS, or NULL; it lives until carom_stream_dispose. */
struct carom_tls_session *carom_stream_session(const struct carom_stream *stream);
void carom_stream_receive(struct carom_stream *stream, bool on);
bool carom_stream_tls_receives(const struct carom_stream *stream);
/* Whether it is on. */
static inline bool carom_stream_receives(const struct carom_stream *stream)
{
    return carom_likely(stream->tls == NULL) ? stream->socket.receiving
                                             : carom_stream_tls_receives(stream);
}
/* Send what is in `out`, until it is empty or the kernel takes no more for now; sent_total says how
 * far that went. `sent` follows from a later delivery when bytes had to wait, `ended` with an error
 * when sending fails. No event is called from here. */
void carom_stream_flush(struct carom_stream *stream);
bool carom_stream_tls_stalled(const struct carom_stream *stream);
/* Bytes wait for the kernel. */
static inline bool carom_stream_stalled(const struct carom_stream *stream)
{
    return stream->socket.sending != NULL ||
           (stream->tls != NULL && carom_stream_tls_stalled(stream));
}
void carom_stream_tls_land(struct carom_stream *stream, struct carom_page *page);
/* The next bytes are to follow what is in `page`, as carom_socket.landing says. */
static inline void carom_stream_land(struct carom_stream *stream, struct carom_page *page)
{
    if (carom_likely(stream->tls == NULL))
        stream->socket.landing = page;
    else
        carom_stream_tls_land(stream, page);
}
/* FIN after what is in `out`. */
void carom_stream_finish(struct carom_stream *stream);
/* Close now; `out` is dropped. `closed` follows from reclaim. */
void carom_stream_close(struct carom_stream *stream, bool reset);
/* After `closed`, when nobody will ask for its TLS any more. */
void carom_stream_tls_dispose(struct carom_stream *stream);
static inline void carom_stream_dispose(struct carom_stream *stream)
{
    if (stream->tls != NULL)
        carom_stream_tls_dispose(stream);
}

#endif
