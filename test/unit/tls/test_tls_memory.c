/* Tests of TLS on the simulated network: what it takes of memory, and that any of it may be
 * missing.
 */
#include "unit/http/tls_client.h"

#include <openssl/crypto.h>

static const char now[] = "GET /now HTTP/1.1\r\nHost: t\r\n\r\n";

static uint64_t openssl_allocations, openssl_allowed = UINT64_MAX;

static void *counted_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    openssl_allocations++;
    if (openssl_allowed != UINT64_MAX && openssl_allowed-- == 0) {
        openssl_allowed = UINT64_MAX;
        return NULL;
    }
    return malloc(size);
}

static void *counted_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    openssl_allocations++;
    if (openssl_allowed != UINT64_MAX && openssl_allowed-- == 0) {
        openssl_allowed = UINT64_MAX;
        return NULL;
    }
    return realloc(memory, size);
}

static void counted_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* Of ours none, once pools are warm; those of OpenSSL are few, and stated in docs/c/tls.md. */
static void a_request_takes_no_memory_of_ours(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.pool_floor = 64;
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    for (int i = 0; i < 5; i++)
        client_say(&client, now);
    client_read(&client);
    uint64_t ours = carom_memory_taken(), theirs = 0;
    for (int i = 0; i < 100; i++) {
        size_t written;
        SSL_write_ex(client.ssl, now, strlen(now), &written);
        char *data;
        size_t length = (size_t)BIO_get_mem_data(client.out, &data);
        carom_peer_send(client.peer, data, length);
        BIO_reset(client.out);
        uint64_t before = openssl_allocations;
        turn();
        theirs += openssl_allocations - before;
    }
    print_message("OpenSSL: %.2f allocations a request\n", (double)theirs / 100);
    /* The simulated peer keeps what it gets: its memory grows, by powers of two. */
    assert_in_range(carom_memory_taken() - ours, 0, 8);
    assert_in_range(theirs, 0, 600);
    finish();
    client_finish(&client);
}

/* The whole life of a connection, with whatever memory there is; all must come back. */
static void live(void)
{
    struct client client;
    client_init(&client);
    for (int i = 0; i < 4; i++) {
        if (SSL_do_handshake(client.ssl) == 1) {
            size_t written;
            SSL_write_ex(client.ssl, now, strlen(now), &written);
        }
        ERR_clear_error();
        exchange(&client);
    }
    client_read(&client);
    SSL_shutdown(client.ssl);
    ERR_clear_error();
    exchange(&client);
    carom_peer_shutdown(client.peer);
    turn();
    client_finish(&client);
}

static void any_allocation_of_ours_may_fail(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    const struct part part = part_of_cases();
    for (uint64_t k = part.first;; k += part.step) {
        assert_true(k < 1000);
        create(&options);
        uint64_t failed = carom_memory_failed();
        carom_memory_fail_once_after(k);
        int error = carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls);
        if (error == 0) {
            assert_int_equal(carom_service_start(sim.service), 0);
            struct carom_peer *peer = carom_simulated_connect(sim.loop);
            carom_memory_fail_after(UINT64_MAX);
            if (peer != NULL)
                carom_peer_reset(peer);
            carom_memory_fail_once_after(k);
            live();
            carom_memory_fail_after(UINT64_MAX);
            finish();
        } else {
            assert_int_equal(error, -CAROM_ENOMEM);
            carom_memory_fail_after(UINT64_MAX);
            assert_int_equal(carom_service_destroy(sim.service), 0);
        }
        if (carom_memory_failed() == failed)
            break;
    }
}

/* OpenSSL may find none, in the client as well: nothing is lost and nothing is left. */
static void any_allocation_of_openssl_may_fail(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    live(); /* what is made once in a process is there */
    const struct part part = part_of_cases();
    for (uint64_t k = part.first;; k += part.step) {
        assert_true(k < 20000);
        struct client client;
        client_init(&client);
        openssl_allowed = k;
        for (int i = 0; i < 3; i++) {
            uint64_t allowed = openssl_allowed;
            openssl_allowed = UINT64_MAX; /* the client has enough */
            if (SSL_do_handshake(client.ssl) == 1) {
                size_t written;
                SSL_write_ex(client.ssl, now, strlen(now), &written);
            }
            ERR_clear_error();
            char *data;
            size_t length = (size_t)BIO_get_mem_data(client.out, &data);
            if (length > 0)
                carom_peer_send(client.peer, data, length);
            BIO_reset(client.out);
            openssl_allowed = allowed;
            turn();
            allowed = openssl_allowed;
            openssl_allowed = UINT64_MAX;
            exchange(&client);
            openssl_allowed = allowed;
        }
        bool over = openssl_allowed != UINT64_MAX;
        openssl_allowed = UINT64_MAX;
        carom_peer_reset(client.peer);
        turn();
        assert_int_equal(ERR_peek_error(), 0);
        client_finish(&client);
        if (over)
            break;
    }
    live();
    finish();
}

static void loading_may_fail(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.client = CAROM_TLS_CLIENT_WANTED;
    tls.client_ca = certificate.certificate;
    create(&options);
    const struct part part = part_of_cases();
    for (uint64_t k = part.first;; k += part.step) {
        assert_true(k < 100000);
        openssl_allowed = k;
        int error = carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls);
        bool over = openssl_allowed != UINT64_MAX;
        openssl_allowed = UINT64_MAX;
        assert_int_equal(ERR_peek_error(), 0);
        if (over) {
            assert_int_equal(error, 0);
            break;
        }
    }
    assert_int_equal(carom_service_destroy(sim.service), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_takes_no_memory_of_ours),
        cmocka_unit_test(any_allocation_of_ours_may_fail),
        cmocka_unit_test(any_allocation_of_openssl_may_fail),
        cmocka_unit_test(loading_may_fail),
    };
    /* Before OpenSSL's first allocation. */
    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, prepare, unprepare);
}
