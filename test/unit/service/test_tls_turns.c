/* Tests of TLS on the simulated network: what ends by an alert. */
#include "unit/service/tls_client.h"

static const char now[] = "GET /now HTTP/1.1\r\nHost: t\r\n\r\n";
static const char hold[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";

/* What the client has to say goes on its way; no turn. */
static void send_only(struct client *client)
{
    char *data;
    size_t length = (size_t)BIO_get_mem_data(client->out, &data);
    carom_peer_send(client->peer, data, length);
    BIO_reset(client->out);
}

static size_t received(const struct client *client)
{
    size_t length;
    carom_peer_received(client->peer, &length);
    return length;
}

/* ---------------------------------------------------------------- alerts */

/* A record that is not what the client sent. */
static void send_forged(struct client *client)
{
    size_t written;
    SSL_write_ex(client->ssl, now, strlen(now), &written);
    char *data;
    size_t length = (size_t)BIO_get_mem_data(client->out, &data);
    data[length - 1] ^= 1;
    send_only(client);
}

/* The alert is followed by FIN, not by a reset, which could overtake it: what the peer still sends
 * is read and dropped. */
static void a_forged_record_is_answered_by_an_alert(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    send_forged(&client);
    exchange(&client);
    assert_true(carom_peer_saw_fin(client.peer));
    carom_peer_send(client.peer, "more", 4);
    turn();
    assert_false(carom_peer_saw_reset(client.peer));
    assert_int_equal(client_read(&client), SSL_ERROR_SSL); /* bad_record_mac */
    carom_peer_finish(client.peer);
    turn();
    assert_true(carom_peer_saw_close(client.peer));
    assert_false(carom_peer_saw_reset(client.peer));
    assert_int_equal(finish().requests, 0);
    client_finish(&client);
}

/* The peer's FIN is here already, or there is no time to linger. */
static void an_alert_may_be_the_last_at_once(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct client client;
        carom_options options = simulation_options();
        carom_tls_options tls = tls_options();
        if (way == 0)
            options.linger_timeout = CAROM_OFF;
        begin_tls(&options, &tls);
        client_init(&client);
        shake_hands(&client);
        send_forged(&client);
        if (way == 1)
            carom_peer_finish(client.peer);
        exchange(&client);
        assert_true(carom_peer_saw_close(client.peer));
        assert_false(carom_peer_saw_reset(client.peer));
        assert_int_equal(client_read(&client), SSL_ERROR_SSL);
        finish();
        client_finish(&client);
    }
}

#define LARGE (1024 * 1024)
static char large[LARGE];
static int given_back;

static void give_back(void *owner)
{
    (void)owner;
    given_back++;
}

/* Of a response that is on its way nothing follows the alert; its record is cancelled. */
static void an_alert_cuts_responses_off(void **state)
{
    (void)state;
    static const carom_response response = {.status = 200,
                                            .content = {large, LARGE, give_back, NULL}};
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.linger_timeout = 100;
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    carom_peer_set_window(client.peer, 1000);
    client_say(&client, hold);
    given_back = 0;
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    exchange(&client);
    send_forged(&client);
    exchange(&client);
    assert_int_equal(sim.cancelled, 1);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_CLIENT_RESET);
    release(sim.held[0]);
    carom_peer_set_window(client.peer, SIZE_MAX);
    turn();
    assert_true(carom_peer_saw_fin(client.peer));
    assert_in_range(received(&client), 1000, 200 * 1024); /* what was encrypted by then */
    pass(102);
    assert_int_equal(given_back, 1);
    assert_int_equal(finish().ended[CAROM_REASON_CLIENT_RESET], 1);
    client_finish(&client);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_forged_record_is_answered_by_an_alert),
        cmocka_unit_test(an_alert_may_be_the_last_at_once),
        cmocka_unit_test(an_alert_cuts_responses_off),
    };
    return cmocka_run_group_tests_name("service/tls_turns", all, prepare, unprepare);
}
