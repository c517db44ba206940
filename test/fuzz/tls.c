/* Fuzzes the TLS of a connection on the simulated network: handshakes and records that no client
 * would send. A real client shakes hands, says something, and its bytes are changed on the way as
 * the input says; or the input is all there is. Afterwards all memory and records are back, and
 * OpenSSL's queue of errors is empty.
 *
 * Input: what is done (1 byte), then triples of position (2 bytes) and value (1 byte) that change
 * the client's bytes, or the bytes themselves. */
#include "fuzz/network.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RAW    1 /* the input is all that is sent */
#define PIECES 2 /* byte by byte */
#define TLS12  4
#define CUT    8 /* FIN behind what is sent */

static carom_tls_certificate certificate;
static SSL_CTX *context;

static void answer(carom_record *record, void *data)
{
    static const carom_response response = {.status = 200, .content = {"hello", 5, NULL, NULL}};
    (void)data;
    carom_respond(record, &response);
    carom_release(record);
}

static void prepare(void)
{
    if (context != NULL)
        return;
    context = SSL_CTX_new(TLS_client_method());
    carom_assert(context != NULL);
    int error = carom_tls_self_signed(&certificate, "localhost");
    carom_assert(error == 0);
}

/* Send what the client has to say, changed; then give it what the engine has said. */
static void exchange(SSL *ssl, struct carom_peer *peer, const uint8_t *changes, size_t count,
                     size_t *sent, size_t *taken)
{
    char *data;
    size_t length = (size_t)BIO_get_mem_data(SSL_get_wbio(ssl), &data), received;
    for (size_t i = 0; i + 3 <= count; i += 3) {
        size_t at = (size_t)changes[i] << 8 | changes[i + 1];
        if (at >= *sent && at < *sent + length)
            data[at - *sent] = (char)changes[i + 2];
    }
    if (length > 0)
        carom_peer_send(peer, data, length);
    *sent += length;
    BIO_reset(SSL_get_wbio(ssl));
    network_turn();
    const char *bytes = carom_peer_received(peer, &received);
    if (received > *taken)
        BIO_write(SSL_get_rbio(ssl), bytes + *taken, (int)(received - *taken));
    *taken = received;
}

static void shake(uint8_t kind, struct carom_peer *peer, const uint8_t *changes, size_t count)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem());
    size_t sent = 0, taken = 0, written;
    char got[4096];
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    if (kind & TLS12)
        SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    for (int step = 0; step < 5; step++) {
        if (SSL_do_handshake(ssl) == 1) {
            SSL_write_ex(ssl, request, sizeof request - 1, &written);
            SSL_read(ssl, got, sizeof got);
            if (step == 4)
                SSL_shutdown(ssl);
        }
        ERR_clear_error();
        exchange(ssl, peer, changes, count, &sent, &taken);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    prepare();
    carom_options options = CAROM_OPTIONS_INIT;
    carom_tls_options tls = CAROM_TLS_OPTIONS_INIT;
    options.handler = answer;
    options.pool_floor = 1;
    tls.certificates = &certificate;
    tls.certificate_count = 1;
    int error = network_create(&options);
    carom_assert(error == 0);
    network_start(&tls);
    struct carom_peer *peer = carom_simulated_connect(network.loop);
    if (data[0] & PIECES)
        carom_peer_set_piece(peer, 1);
    network_turn();
    if (data[0] & RAW) {
        carom_peer_send(peer, data + 1, size - 1);
        network_turn();
    } else {
        shake(data[0], peer, data + 1, size - 1);
    }
    if (data[0] & CUT)
        carom_peer_shutdown(peer);
    network_turn();
    carom_assert(ERR_peek_error() == 0);
    network_shut_down();
    network_finish();
    network_check_memory();
    return 0;
}
