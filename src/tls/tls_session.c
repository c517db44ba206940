/* A TLS session over queues of pages: a BIO of our own, by which OpenSSL reads and writes them, and
 * the calls by which a stream uses the session. */
#include "tls/tls_session.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

#include "tls/tls.h"

/* ---------------------------------------------------------------- the BIO */

static int bio_read(BIO *bio, char *to, size_t room, size_t *length)
{
    struct carom_tls_session *session = BIO_get_data(bio);
    size_t have = 0;
    BIO_clear_retry_flags(bio);
    while (have < room && session->in.length > 0) {
        const struct carom_segment *first = session->in.first;
        size_t piece = first->length < room - have ? (size_t)first->length : room - have;
        memcpy(to + have, first->data, piece);
        have += piece;
        carom_queue_consume(&session->in, session->segments, piece);
    }
    *length = have;
    if (have > 0)
        return 1;
    BIO_set_retry_read(bio);
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t length, size_t *written)
{
    struct carom_tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *written = 0;
    if (carom_queue_append_copy(&session->out, session->segments, session->outgoing, data, length) <
        0)
        return 0;
    *written = length;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    int type = BIO_get_new_index();
    method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "carom pages");
    if (method == NULL || BIO_meth_set_read_ex(method, bio_read) != 1 ||
        BIO_meth_set_write_ex(method, bio_write) != 1 ||
        BIO_meth_set_ctrl(method, bio_control) != 1) {
        BIO_meth_free(method);
        method = NULL;
    }
}

/* One for the process, never freed. NULL when there was no memory for it. */
static const BIO_METHOD *bio_method(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    return method;
}

/* ---------------------------------------------------------------- life */

int carom_tls_session_init(struct carom_tls_session *session, struct carom_tls *tls,
                           struct carom_pool *segments, struct carom_arena *outgoing)
{
    *session = (struct carom_tls_session){.tls = tls, .segments = segments, .outgoing = outgoing};
    carom_queue_init(&session->in);
    carom_queue_init(&session->out);
    const BIO_METHOD *pages = bio_method();
    BIO *bio = pages == NULL ? NULL : BIO_new(pages);
    session->ssl = carom_tls_new(tls);
    if (bio == NULL || session->ssl == NULL) {
        BIO_free(bio);
        SSL_free(session->ssl);
        ERR_clear_error();
        return -CAROM_ENOMEM;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_accept_state(session->ssl);
    return 0;
}

void carom_tls_session_finish(struct carom_tls_session *session)
{
    SSL_free(session->ssl);
    OPENSSL_free(session->peer);
    carom_queue_clear(&session->in, session->segments);
    carom_queue_clear(&session->out, session->segments);
}

/* ---------------------------------------------------------------- handshake, bytes, end */

/* Why a call failed: 0 when more bytes are all it wants. What OpenSSL says of it is dropped: it is
 * the peer's doing, and the peer has got an alert. */
static int failure(struct carom_tls_session *session, int result)
{
    int error = SSL_get_error(session->ssl, result);
    bool memory = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        session->notify_seen = true;
        return 0;
    case SSL_ERROR_SYSCALL: /* our BIO's only failure is to find no page */
        return -CAROM_ENOMEM;
    default:
        return memory ? -CAROM_ENOMEM : -CAROM_EPROTOCOL;
    }
}

int carom_tls_handshake(struct carom_tls_session *session)
{
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    if (result == 1)
        return 1;
    int error = failure(session, result);
    return session->notify_seen ? -CAROM_EPROTOCOL : error;
}

bool carom_tls_has_input(const struct carom_tls_session *session)
{
    return session->in.length > 0 || SSL_pending(session->ssl) > 0;
}

int64_t carom_tls_read(struct carom_tls_session *session, uint8_t *to, size_t room)
{
    size_t length = 0;
    ERR_clear_error();
    int result = SSL_read_ex(session->ssl, to, room, &length);
    return result == 1 ? (int64_t)length : failure(session, result);
}

int carom_tls_write(struct carom_tls_session *session, const uint8_t *data, size_t length)
{
    size_t written = 0;
    ERR_clear_error();
    int result = SSL_write_ex(session->ssl, data, length, &written);
    if (result == 1 && written == length)
        return 0;
    int error = failure(session, result);
    return error < 0 ? error : -CAROM_EPROTOCOL; /* nothing else can stop a write here */
}

void carom_tls_close_notify(struct carom_tls_session *session)
{
    if (session->state != CAROM_TLS_OPEN || session->notify_sent)
        return;
    session->notify_sent = true;
    ERR_clear_error();
    SSL_shutdown(
        session->ssl); /* 0: the peer has not done so; an error: there is no way to say it */
    ERR_clear_error();
}

/* ---------------------------------------------------------------- what it is */

static carom_slice text_slice(const char *text)
{
    return (carom_slice){text, text == NULL ? 0 : strlen(text)};
}

carom_slice carom_tls_alpn(const struct carom_tls_session *session)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(session->ssl, &name, &length);
    return (carom_slice){(const char *)name, length};
}

bool carom_tls_resumed(const struct carom_tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

void carom_tls_describe(const struct carom_tls_session *session, carom_tls_info *info)
{
    SSL *ssl = session->ssl;
    *info = (carom_tls_info){
        .version = text_slice(SSL_get_version(ssl)),
        .cipher = text_slice(SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl))),
        .protocol = carom_tls_alpn(session),
        .server_name = text_slice(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)),
        .resumed = carom_tls_resumed(session),
        .client_certificate = SSL_get0_peer_certificate(ssl) != NULL,
    };
}

carom_slice carom_tls_peer_certificate(struct carom_tls_session *session)
{
    X509 *certificate = SSL_get0_peer_certificate(session->ssl);
    if (session->peer == NULL && certificate != NULL) {
        session->peer_length = i2d_X509(certificate, &session->peer);
        if (session->peer_length < 0)
            session->peer_length = 0;
        ERR_clear_error();
    }
    return (carom_slice){(const char *)session->peer, (size_t)session->peer_length};
}
