/* Tests of ticket keys: how those of our own change in time. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "unit/base/support.h"

#include "base/log.h"
#include "tls/tls.h"
#include "tls/tls_context.h"
#include "tls/tls_options.h"
#include "tls/tls_tickets.h"

#define LIFETIME 86400u
#define SERVED   (LIFETIME / 2 + 1)
/* So long before its end a key is said to serve still: longer than a busy machine stands. */
#define BEFORE_ITS_END 3600u

static struct carom_tls_tickets tickets;
static SSL_CTX *server_context, *client_context;

/* A context of a server that may trust clients whom this certificate vouches for. */
static SSL_CTX *load(const carom_tls_certificate *trusted)
{
    static const struct carom_log_sink silent;
    carom_tls_certificate certificate;
    carom_tls_options options = CAROM_TLS_OPTIONS_INIT;
    struct carom_tls_kept *kept;
    SSL_CTX *context;
    assert_int_equal(carom_tls_self_signed(&certificate, "localhost"), 0);
    options.certificates = &certificate;
    options.certificate_count = 1;
    options.ticket_lifetime = 2 * LIFETIME; /* what OpenSSL keeps: longer than what is tested */
    if (trusted != NULL) {
        options.client = CAROM_TLS_CLIENT_WANTED;
        options.client_ca = trusted->certificate;
    }
    assert_int_equal(carom_tls_keep(&kept, &options, false, &(struct carom_log_sink){0}), 0);
    assert_int_equal(carom_tls_context_load(&context, kept, &silent, &tickets), 0);
    carom_tls_kept_drop(kept);
    carom_tls_certificate_free(&certificate);
    return context;
}

static int begin(void **state)
{
    (void)state;
    const carom_slice none = {NULL, 0};
    assert_int_equal(carom_tls_tickets_init(&tickets, none, LIFETIME), 0);
    server_context = load(NULL);
    client_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(client_context, TLS1_2_VERSION);
    return 0;
}

static int end(void **state)
{
    (void)state;
    SSL_CTX_free(server_context);
    SSL_CTX_free(client_context);
    carom_tls_tickets_finish(&tickets);
    return 0;
}

/* Shake hands, with a session to go on from or NULL; `resumed` says whether it was. The new one. */
static SSL_SESSION *shake_hands(SSL_SESSION *from, bool *resumed)
{
    SSL *server = SSL_new(server_context), *client = SSL_new(client_context);
    BIO *one, *other;
    assert_int_equal(BIO_new_bio_pair(&one, 0, &other, 0), 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    if (from != NULL)
        SSL_set_session(client, from);
    for (int i = 0; i < 4; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    *resumed = SSL_session_reused(client) == 1;
    SSL_SESSION *session = SSL_get1_session(client);
    SSL_shutdown(client);
    SSL_free(server);
    SSL_free(client);
    ERR_clear_error();
    return session;
}

static bool resumes(SSL_SESSION *session)
{
    bool resumed;
    SSL_SESSION_free(shake_hands(session, &resumed));
    return resumed;
}

static void pass(unsigned seconds)
{
    tickets.born -= (time_t)seconds;
}

static void keys_change_and_open_for_a_lifetime(void **state)
{
    (void)state;
    bool resumed;
    uint8_t first[CAROM_TLS_TICKET_KEY];
    SSL_SESSION *session = shake_hands(NULL, &resumed);
    memcpy(first, tickets.keys[0], sizeof first);
    pass(SERVED - BEFORE_ITS_END);
    assert_true(resumes(session));
    assert_int_equal(tickets.count, 1);
    for (int change = 1; change <= 2; change++) {
        pass(SERVED);
        assert_true(resumes(session));
        assert_int_equal(tickets.count, change + 1);
        assert_memory_equal(tickets.keys[change], first, sizeof first);
    }
    pass(SERVED);
    assert_false(resumes(session));
    assert_int_equal(tickets.count, 3);
    SSL_SESSION_free(session);
}

/* A ticket that is opened by a former key is exchanged for one of the present. */
static void a_resumption_renews_the_ticket(void **state)
{
    (void)state;
    bool resumed;
    SSL_SESSION *session = shake_hands(NULL, &resumed);
    for (int i = 0; i < 10; i++) {
        pass(SERVED);
        SSL_SESSION *next = shake_hands(session, &resumed);
        assert_true(resumed);
        SSL_SESSION_free(session);
        session = next;
    }
    SSL_SESSION_free(session);
}

static void nothing_is_left_after_a_long_silence(void **state)
{
    (void)state;
    bool resumed;
    static const uint8_t nothing[CAROM_TLS_TICKET_KEY];
    SSL_SESSION *session = shake_hands(NULL, &resumed);
    pass(SERVED + LIFETIME + 1);
    assert_false(resumes(session));
    assert_int_equal(tickets.count, 1);
    assert_memory_equal(tickets.keys[1], nothing, sizeof nothing);
    SSL_SESSION_free(session);
}

/* The last ticket may have been made when the key had served its time. */
static void a_silence_that_is_shorter_leaves_the_former_key(void **state)
{
    (void)state;
    bool resumed;
    SSL_SESSION *session = shake_hands(NULL, &resumed);
    pass(SERVED + LIFETIME - BEFORE_ITS_END);
    assert_true(resumes(session));
    assert_int_equal(tickets.count, 2);
    SSL_SESSION_free(session);
}

/* The tickets of a session's server. */
static struct carom_tls_tickets *tickets_of(struct carom_tls *tls)
{
    SSL *ssl = carom_tls_new(tls);
    SSL_CTX_free(server_context);
    server_context = SSL_get_SSL_CTX(ssl);
    SSL_CTX_up_ref(server_context);
    SSL_free(ssl);
    return SSL_CTX_get_app_data(server_context);
}

static void the_lifetime_is_replaced_with_the_options(void **state)
{
    (void)state;
    static const struct carom_log_sink silent;
    carom_tls_certificate certificate;
    carom_tls_options options = CAROM_TLS_OPTIONS_INIT;
    struct carom_tls *tls;
    bool resumed;
    assert_int_equal(carom_tls_self_signed(&certificate, "localhost"), 0);
    options.certificates = &certificate;
    options.certificate_count = 1;
    options.ticket_lifetime = CAROM_OFF;
    assert_int_equal(carom_tls_create(&tls, &options, &silent, false), 0);
    options.ticket_lifetime = LIFETIME;
    assert_int_equal(carom_tls_replace_options(tls, &options), 0);
    struct carom_tls_tickets *theirs = tickets_of(tls);
    theirs->born -= SERVED;
    SSL_SESSION_free(shake_hands(NULL, &resumed));
    assert_int_equal(theirs->count, 2);
    options.ticket_lifetime = CAROM_OFF;
    assert_int_equal(carom_tls_replace_options(tls, &options), 0);
    assert_int_equal(theirs->lifetime, LIFETIME); /* of the tickets that are out */
    SSL_CTX_free(server_context);
    server_context = NULL;
    carom_tls_destroy(tls);
    carom_tls_certificate_free(&certificate);
}

static void given_keys_stay(void **state)
{
    (void)state;
    bool resumed;
    static const char keys[2 * CAROM_TLS_TICKET_KEY] = {1};
    const carom_slice given = {keys, sizeof keys};
    assert_int_equal(carom_tls_tickets_replace(&tickets, given), 0);
    SSL_SESSION *session = shake_hands(NULL, &resumed);
    pass(100 * LIFETIME);
    assert_true(resumes(session));
    assert_memory_equal(tickets.keys, keys, sizeof keys);
    SSL_SESSION_free(session);
}

static void keys_are_whole(void **state)
{
    (void)state;
    static const char keys[(CAROM_TLS_MOST_KEYS + 1) * CAROM_TLS_TICKET_KEY];
    for (size_t length = 0; length <= sizeof keys; length += CAROM_TLS_TICKET_KEY / 2)
        assert_int_equal(carom_tls_tickets_valid((carom_slice){keys, length}),
                         length > 0 && length < sizeof keys && length % CAROM_TLS_TICKET_KEY == 0);
}

/* Tickets of listeners may have the same keys; a session goes on only where the same authorities
 * are trusted. */
static void a_session_stays_with_whom_is_trusted(void **state)
{
    (void)state;
    bool resumed;
    carom_tls_certificate trusted[2];
    SSL_CTX *contexts[3] = {server_context};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(carom_tls_self_signed(&trusted[i], "authority"), 0);
        contexts[1 + i] = load(&trusted[i]);
    }
    for (int i = 0; i < 3; i++) {
        server_context = contexts[i];
        SSL_SESSION *session = shake_hands(NULL, &resumed);
        for (int j = 0; j < 3; j++) {
            server_context = contexts[j];
            assert_int_equal(resumes(session), i == j);
        }
        SSL_SESSION_free(session);
    }
    server_context = contexts[0];
    for (int i = 0; i < 2; i++) {
        SSL_CTX_free(contexts[1 + i]);
        carom_tls_certificate_free(&trusted[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_change_and_open_for_a_lifetime, begin, end),
        cmocka_unit_test_setup_teardown(a_resumption_renews_the_ticket, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_left_after_a_long_silence, begin, end),
        cmocka_unit_test_setup_teardown(a_silence_that_is_shorter_leaves_the_former_key, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_lifetime_is_replaced_with_the_options, begin, end),
        cmocka_unit_test_setup_teardown(given_keys_stay, begin, end),
        cmocka_unit_test(keys_are_whole),
        cmocka_unit_test_setup_teardown(a_session_stays_with_whom_is_trusted, begin, end),
    };
    return cmocka_run_group_tests_name("tls/tls_tickets", tests, NULL, NULL);
}
