/* The line between a client and the engine: bytes as they are, or TLS between memory and the peer.
 * What OpenSSL draws comes from the seed, too, so that a run with TLS can be repeated. */
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method, which needs no provider */
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/world.h"

#define RECORDS 4096 /* that were sent and not taken */

/* What a record ends: bytes on the wire, and bytes of the client's. */
struct record_end {
    size_t wire, plain;
};

struct tls_line {
    SSL *ssl;
    BIO *in, *out;
    size_t fed;  /* of what has come, given to OpenSSL */
    size_t wire; /* bytes sent on the wire */
    size_t plain;
    struct record_end ends[RECORDS];
    unsigned first, last; /* of ends, taken and sent */
    char *got;            /* decrypted */
    size_t got_length, got_size;
};

/* ---------------------------------------------------------------- what all share */

/* For localhost, until 2126. One that is made anew has a new signature, which is a few bytes
 * shorter or longer, and so the run is another one. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBlTCCATugAwIBAgIUJE0343B3+xSb3N7zXDgLdLoZbYAwCgYIKoZIzj0EAwIw\n"
                          "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA2MzYwM1oYDzIxMjYxMDMx\n"
                          "MDYzNjAzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
                          "PQMBBwNCAAS0Lpdj3OLVvydpUFrM6V8unR9ZBI2JZk+3keKYCKstBE7pgNEXlBGk\n"
                          "nagtExCnxx4oJCToSwicvGApF9Yp3QR9o2kwZzAdBgNVHQ4EFgQUI0dHn/+uc9lq\n"
                          "ruBVgd9DpeQXtqkwHwYDVR0jBBgwFoAUI0dHn/+uc9lqruBVgd9DpeQXtqkwDwYD\n"
                          "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID\n"
                          "SAAwRQIgGuZRqIK3H6uH+3YQOtK2DX43pCPdzyhHOer918mvjqkCIQCQ9AbRpzW/\n"
                          "MjelsIlw0IsayWUKN4gKG5/g5bjNkAORAQ==\n"
                          "-----END CERTIFICATE-----\n"
                          "-----BEGIN PRIVATE KEY-----\n"
                          "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY5mghbzwjY9P7epX\n"
                          "NcH8HjHZlsD+l/7cpCOt70SHkRuhRANCAAS0Lpdj3OLVvydpUFrM6V8unR9ZBI2J\n"
                          "Zk+3keKYCKstBE7pgNEXlBGknagtExCnxx4oJCToSwicvGApF9Yp3QR9\n"
                          "-----END PRIVATE KEY-----\n";
static SSL_CTX *context;

static int draw_bytes(unsigned char *to, int length)
{
    static struct random early = {1}; /* before there is a world */
    struct random *random = world == NULL ? &early : &world->tls_random;
    for (int i = 0; i < length; i++)
        to[i] = (unsigned char)random_next(random);
    return 1;
}

static int drawn(void)
{
    return 1;
}

void line_prepare(void)
{
    static const RAND_METHOD method = {
        .bytes = draw_bytes, .pseudorand = draw_bytes, .status = drawn};
    if (context != NULL)
        return;
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || RAND_set_rand_method(&method) != 1)
        abort();
}

int line_listen(void)
{
    carom_tls_options options = CAROM_TLS_OPTIONS_INIT;
    carom_tls_certificate certificate = {.certificate = {pem, sizeof pem - 1}};
    options.certificates = &certificate;
    options.certificate_count = 1;
    return carom_service_listen_tls(world->service, "127.0.0.1:0", &options);
}

/* ---------------------------------------------------------------- life */

/* What OpenSSL has written goes out, with a byte of it changed when that was asked for. */
static void flush(struct client *client, bool harmed)
{
    struct tls_line *line = client->line;
    char *data;
    size_t length = (size_t)BIO_get_mem_data(line->out, &data);
    if (length == 0 || client->reset || client->finished)
        return;
    if (harmed)
        data[random_below(&world->random, (uint32_t)length)] ^=
            (char)(1 << random_below(&world->random, 8));
    carom_peer_send(client->peer, data, length);
    line->wire += length;
    BIO_reset(line->out);
}

void line_open(struct client *client)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    if (!world->secure)
        return;
    struct tls_line *line = calloc(1, sizeof *line);
    SSL *ssl = SSL_new(context);
    if (line == NULL || ssl == NULL)
        abort();
    client->line = line;
    line->ssl = ssl;
    line->in = BIO_new(BIO_s_mem());
    line->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(line->in, -1);
    SSL_set_bio(ssl, line->in, line->out);
    SSL_set_connect_state(ssl);
    if (random_chance(&world->random, 30))
        SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    if (client->session != NULL && random_chance(&world->random, 90)) /* else by its preface */
        SSL_set_alpn_protos(ssl, both, sizeof both - 1);
    if (random_chance(&world->random, 30))
        carom_peer_set_piece(client->peer, random_between(&world->random, 1, 2000));
    SSL_do_handshake(ssl);
    flush(client, false);
    ERR_clear_error();
}

void line_close(struct client *client)
{
    if (client->line == NULL)
        return;
    SSL_free(client->line->ssl);
    free(client->line->got);
    free(client->line);
    client->line = NULL;
}

bool line_is_open(const struct client *client)
{
    return client->line == NULL || SSL_is_init_finished(client->line->ssl);
}

/* ---------------------------------------------------------------- both ways */

static void take(struct client *client)
{
    struct tls_line *line = client->line;
    size_t length;
    do {
        if (line->got_size - line->got_length < 20000) {
            line->got_size = 2 * line->got_size + 40000;
            line->got = realloc(line->got, line->got_size);
            if (line->got == NULL)
                abort();
        }
        length = 0;
        SSL_read_ex(line->ssl, line->got + line->got_length, line->got_size - line->got_length,
                    &length);
        line->got_length += length;
    } while (length > 0);
}

void line_turn(struct client *client)
{
    struct tls_line *line = client->line;
    size_t received;
    if (line == NULL || client->mute)
        return;
    const char *bytes = carom_peer_received(client->peer, &received);
    if (received > line->fed)
        BIO_write(line->in, bytes + line->fed, (int)(received - line->fed));
    line->fed = received;
    if (!line_is_open(client))
        SSL_do_handshake(line->ssl);
    if (line_is_open(client))
        take(client);
    flush(client, false);
    ERR_clear_error();
}

void line_send(struct client *client, const void *data, size_t length, bool harmed)
{
    struct tls_line *line = client->line;
    size_t written;
    if (line == NULL) {
        carom_peer_send(client->peer, data, length);
        return;
    }
    if (SSL_write_ex(line->ssl, data, length, &written) == 1)
        line->plain += length;
    flush(client, harmed);
    line->ends[line->last++ % RECORDS] = (struct record_end){line->wire, line->plain};
    ERR_clear_error();
}

void line_finish(struct client *client)
{
    struct tls_line *line = client->line;
    if (line != NULL && line_is_open(client)) {
        SSL_shutdown(line->ssl);
        flush(client, false);
        ERR_clear_error();
    }
    carom_peer_shutdown(client->peer);
}

size_t line_taken(struct client *client)
{
    struct tls_line *line = client->line;
    size_t unread = carom_peer_unread(client->peer);
    if (line == NULL)
        return client->sent - unread;
    size_t wire = line->wire - unread, plain = client->taken;
    while (line->first != line->last && line->ends[line->first % RECORDS].wire <= wire)
        plain = line->ends[line->first++ % RECORDS].plain;
    return plain;
}

const char *line_received(const struct client *client, size_t *length)
{
    if (client->line == NULL)
        return carom_peer_received(client->peer, length);
    *length = client->line->got_length;
    return client->line->got == NULL ? "" : client->line->got;
}
