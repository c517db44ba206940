/* The part of a stream that is TLS. Most of it is what stream.c asks of stream_tls.c: the calls of
 * stream.h, for a stream whose `tls` is not NULL. */
#ifndef CAROM_NET_STREAM_TLS_H
#define CAROM_NET_STREAM_TLS_H

#include "net/streams.h"
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
    bool told_fin;  /* and, in this pause, of FIN behind what it does not take */
};

/* Encrypted bytes have come. */
void carom_stream_tls_received(struct carom_stream *stream, struct carom_page *page,
                               const uint8_t *data, uint32_t length);
/* The peer's FIN. */
void carom_stream_tls_peer_done(struct carom_stream *stream);
/* Encrypt and send until `out` is empty, the kernel takes no more, or it is another's turn. */
void carom_stream_tls_send(struct carom_stream *stream);
/* The kernel took bytes of a pending send. */
void carom_stream_tls_sent(struct carom_stream *stream, uint64_t bytes);
/* The owner has said whether it receives: what was kept may go on. */
void carom_stream_tls_receive(struct carom_stream *stream, bool on);
/* The stream is about to be closed. Without `reset`, tell the peer by close_notify, if that can be
 * sent at once. */
void carom_stream_tls_close(struct carom_stream *stream, bool reset);

bool carom_stream_tls_receives(const struct carom_stream *stream);
bool carom_stream_tls_stalled(const struct carom_stream *stream);
void carom_stream_tls_land(struct carom_stream *stream, struct carom_page *page);
void carom_stream_tls_dispose(struct carom_stream *stream);

/* Right after carom_stream_open: the stream speaks TLS, as a server. 0 or -CAROM_ENOMEM (close the
 * stream). */
int carom_stream_secure(struct carom_stream *stream, struct carom_tls *certificates);
/* The session of a stream that speaks TLS, or NULL; it lives until carom_stream_dispose. */
struct carom_tls_session *carom_stream_tls_session(const struct carom_stream *stream);
/* Let the streams go on that waited for this turn (carom_streams.waiting). */
void carom_streams_go_on(struct carom_streams *streams);

#endif
