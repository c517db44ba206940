/* The part of a stream that is TLS: what stream.c asks of stream_tls.c. */
#ifndef CAROM_NET_STREAM_TLS_H
#define CAROM_NET_STREAM_TLS_H

#include "net/stream.h"
#include "tls/tls_session.h"

/* What a stream has when it speaks TLS: the session, and where the stream stands with it. */
struct carom_stream_tls {
    struct carom_tls_session session;
    struct carom_stream *stream;
    uint64_t encrypted;         /* the first bytes of stream->out that are in session.out already */
    uint64_t sent_at, burst;    /* when something was last encrypted (ms); bytes since a pause */
    struct carom_page *landing; /* as in carom_socket, for decrypted bytes */
    struct carom_node waiting;  /* of carom_streams.waiting: it goes on in the next turn */
    int failure;                /* to be told in the next turn; or 0 */
    bool wanted; /* the owner receives; not what the socket says: there may be bytes before FIN */
    bool held_back; /* the socket does not receive, because the session waits for its turn */
    bool fin;       /* the peer's FIN has come */
    bool told;      /* the owner knows of the end */
};

/* Encrypted bytes have come. */
void carom_stream_tls_received(struct carom_stream *stream, struct carom_page *page,
                               const uint8_t *data, uint32_t length);
/* The peer's FIN. */
void carom_stream_tls_ended(struct carom_stream *stream);
/* Encrypt and send until `out` is empty, the kernel takes no more, or it is another's turn. */
void carom_stream_tls_send(struct carom_stream *stream);
/* The kernel took bytes of a pending send. */
void carom_stream_tls_sent(struct carom_stream *stream, uint64_t bytes);
/* The owner has said whether it receives: what was kept may go on. */
void carom_stream_tls_receive(struct carom_stream *stream, bool on);
/* In order: say so to the peer, if that can be done at once. */
void carom_stream_tls_close(struct carom_stream *stream, bool reset);

/* Bytes of `out` are done with. Giving them back may run code of their owner. */
static inline void carom_stream_taken(struct carom_stream *stream, uint64_t bytes)
{
    stream->sent_total = (stream->sent_total + bytes) & CAROM_SENT_MASK;
    carom_queue_consume(&stream->out, stream->streams->segments, bytes);
}

static inline bool carom_stream_can_send(const struct carom_stream *stream)
{
    const struct carom_socket *socket = &stream->socket;
    return !stream->broken && !stream->finished && !socket->closing && socket->sending == NULL;
}

#endif
