/* A TLS client of the simulated network: OpenSSL between memory and a simulated peer. */
#ifndef CAROM_TEST_UNIT_HTTP_TLS_CLIENT_H
#define CAROM_TEST_UNIT_HTTP_TLS_CLIENT_H

#include "unit/http/simulation.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct client {
    struct carom_peer *peer;
    SSL *ssl;
    BIO *in, *out;
    size_t taken; /* of what the peer has received */
    char got[16384];
    size_t got_length;
};

static SSL_CTX *client_context;
static carom_tls_certificate certificate;

/* Once: keys take long to make. */
static inline int prepare(void **state)
{
    (void)state;
    client_context = SSL_CTX_new(TLS_client_method());
    return client_context == NULL ||
                   carom_tls_self_signed(&certificate, "localhost,127.0.0.1,::1") < 0
               ? -1
               : 0;
}

static inline int unprepare(void **state)
{
    (void)state;
    SSL_CTX_free(client_context);
    carom_tls_certificate_free(&certificate);
    return 0;
}

static inline carom_tls_options tls_options(void)
{
    carom_tls_options options = CAROM_TLS_OPTIONS_INIT;
    options.certificates = &certificate;
    options.certificate_count = 1;
    return options;
}

static inline void begin_tls(const carom_options *options, const carom_tls_options *tls)
{
    create(options);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", tls), 0);
    assert_int_equal(carom_service_start(sim.service), 0);
}

static inline void client_init(struct client *client)
{
    memset(client, 0, sizeof *client);
    client->peer = connect_peer();
    client->ssl = SSL_new(client_context);
    client->in = BIO_new(BIO_s_mem());
    client->out = BIO_new(BIO_s_mem());
    assert_non_null(client->ssl);
    BIO_set_mem_eof_return(client->in, -1);
    SSL_set_bio(client->ssl, client->in, client->out);
    SSL_set_connect_state(client->ssl);
    turn();
}

static inline void client_finish(struct client *client)
{
    SSL_free(client->ssl);
    ERR_clear_error();
}

/* What the client has to send goes to the engine, and what that answers to the client. */
static inline void exchange(struct client *client)
{
    char *data;
    long length = BIO_get_mem_data(client->out, &data);
    if (length > 0) {
        carom_peer_send(client->peer, data, (size_t)length);
        BIO_reset(client->out);
    }
    turn();
    size_t received;
    const char *bytes = carom_peer_received(client->peer, &received);
    if (received > client->taken)
        BIO_write(client->in, bytes + client->taken, (int)(received - client->taken));
    client->taken = received;
}

/* One step of the handshake; true when it is done, as far as the client knows. */
static inline bool shake(struct client *client)
{
    bool done = SSL_do_handshake(client->ssl) == 1;
    ERR_clear_error();
    exchange(client);
    return done;
}

static inline void shake_hands(struct client *client)
{
    for (int i = 0; i < 10; i++)
        if (shake(client))
            return;
    fail_msg("no handshake in ten steps");
}

/* Read what has come; returns SSL_get_error of the last read. */
static inline int client_read(struct client *client)
{
    for (;;) {
        size_t length = 0;
        assert_true(client->got_length < sizeof client->got - 1);
        int result = SSL_read_ex(client->ssl, client->got + client->got_length,
                                 sizeof client->got - 1 - client->got_length, &length);
        if (result != 1) {
            int error = SSL_get_error(client->ssl, result);
            ERR_clear_error();
            return error;
        }
        client->got_length += length;
        client->got[client->got_length] = '\0';
    }
}

static inline void client_say(struct client *client, const char *text)
{
    size_t written;
    assert_int_equal(SSL_write_ex(client->ssl, text, strlen(text), &written), 1);
    exchange(client);
}

static inline void assert_client_got(struct client *client, const char *part)
{
    client_read(client);
    if (strstr(client->got, part) == NULL)
        fail_msg("no \"%s\" in \"%s\"", part, client->got);
}

#endif
