/* Tests of early data (RFC 8446, 4.2.10) on the simulated network: a client that sends some
 * although no ticket of ours allows it. */
#include "unit/http/tls_client.h"

static const char now[] = "GET /now HTTP/1.1\r\nHost: t\r\n\r\n";
static const char hold[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";

/* A session that the client believes may have early data. */
static SSL_SESSION *session_with(uint32_t most)
{
    struct client client;
    client_init(&client);
    shake_hands(&client);
    client_say(&client, now);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    SSL_SESSION *session = SSL_get1_session(client.ssl);
    assert_int_equal(SSL_SESSION_is_resumable(session), 1);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    assert_int_equal(SSL_SESSION_set_max_early_data(session, most), 1);
    SSL_shutdown(client.ssl); /* or the session is none to go on from */
    exchange(&client);
    carom_peer_shutdown(client.peer);
    turn();
    client_finish(&client);
    return session;
}

static void send_early(struct client *client, SSL_SESSION *session, const char *bytes,
                       size_t length)
{
    size_t written;
    client_init(client);
    assert_int_equal(SSL_set_session(client->ssl, session), 1);
    assert_int_equal(SSL_write_early_data(client->ssl, bytes, length, &written), 1);
    assert_int_equal(written, length);
    exchange(client);
}

static void early_data_is_passed_over(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    SSL_SESSION *session = session_with(10000);
    send_early(&client, session, hold, strlen(hold));
    shake_hands(&client);
    assert_int_equal(SSL_get_early_data_status(client.ssl), SSL_EARLY_DATA_REJECTED);
    assert_int_equal(SSL_session_reused(client.ssl), 1);
    client_say(&client, now);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(finish().requests, 2); /* none of them early */
    SSL_SESSION_free(session);
    client_finish(&client);
}

/* As much as a record holds; more ends the handshake. */
static void early_data_has_a_limit(void **state)
{
    (void)state;
    static const char bytes[40000];
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    SSL_SESSION *session = session_with(sizeof bytes);
    send_early(&client, session, bytes, sizeof bytes);
    assert_true(carom_peer_saw_fin(client.peer));
    assert_false(carom_peer_saw_reset(client.peer));
    carom_stats stats = finish();
    assert_int_equal(stats.requests, 1);
    assert_int_equal(stats.tls_failed, 1);
    SSL_SESSION_free(session);
    client_finish(&client);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(early_data_is_passed_over),
        cmocka_unit_test(early_data_has_a_limit),
    };
    return cmocka_run_group_tests_name("tls/tls_early", all, prepare, unprepare);
}
