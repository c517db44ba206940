/* One TLS connection, server side: OpenSSL between two queues of pages, never on a descriptor. What
 * is received lies in `in` and is read from there; what OpenSSL writes is put straight into the
 * worker's outgoing pages and gathers in `out`. No call here blocks or leaves an error in OpenSSL's
 * queue. */
#ifndef CAROM_TLS_SESSION_H
#define CAROM_TLS_SESSION_H

#include "base/queue.h"
#include "carom.h"

/* The most plain bytes in a record (RFC 8446, 5.1). */
#define CAROM_TLS_RECORD (16 * 1024)

struct carom_tls;
struct ssl_st;

enum carom_tls_state {
    CAROM_TLS_SHAKING, /* the handshake is not done */
    CAROM_TLS_OPEN,
    CAROM_TLS_FAILED, /* nothing is read any more; an alert may be in `out` */
};

struct carom_tls_session {
    struct ssl_st *ssl;
    struct carom_tls *tls; /* whose certificates it has */
    struct carom_queue in, out;
    struct carom_pool *segments;
    struct carom_arena *outgoing;
    uint8_t *peer; /* the peer's certificate (DER), once it was asked for */
    int peer_length;
    uint8_t state;    /* enum carom_tls_state */
    bool begun;       /* the first bytes were looked at */
    bool notify_sent; /* close_notify is in `out`, or sent */
    bool notify_seen; /* close_notify has come */
};

/* 0 or -CAROM_ENOMEM. */
int carom_tls_session_init(struct carom_tls_session *session, struct carom_tls *tls,
                           struct carom_pool *segments, struct carom_arena *outgoing);
void carom_tls_session_finish(struct carom_tls_session *session);

/* Go on with the handshake. 1: done; 0: more bytes are wanted; -CAROM_EPROTOCOL or -CAROM_ENOMEM:
 * it has failed, and an alert is in `out`. */
int carom_tls_handshake(struct carom_tls_session *session);
/* Whether there is something to be read. */
bool carom_tls_has_input(const struct carom_tls_session *session);
/* Decrypt: bytes read (> 0); 0: more bytes are wanted, or the peer is done, or a message of TLS's
 * own (KeyUpdate) was read and there may be more behind it; a negative error. */
int64_t carom_tls_read(struct carom_tls_session *session, uint8_t *to, size_t room);
/* Encrypt into one record, of at most CAROM_TLS_RECORD bytes. 0 or a negative error. */
int carom_tls_write(struct carom_tls_session *session, const uint8_t *data, size_t length);
/* Put the alert close_notify, behind which nothing follows, into `out`; at most once, and only in
 * an open session. */
void carom_tls_close_notify(struct carom_tls_session *session);

/* The protocol that was agreed on (RFC 7301); empty when there is none. It lives as long as the
 * session. */
carom_slice carom_tls_alpn(const struct carom_tls_session *session);
/* Whether an open session resumes an earlier one (RFC 8446, 2.2). */
bool carom_tls_resumed(const struct carom_tls_session *session);
/* Fill `info` with what is known of the session. Its texts live as long as the session. */
void carom_tls_describe(const struct carom_tls_session *session, carom_tls_info *info);
/* The peer's certificate (DER), kept with the session; empty when there is none, or no memory. */
carom_slice carom_tls_peer_certificate(struct carom_tls_session *session);

#endif
