/* The sizes of TLS records: small at the beginning of a burst, then as large as they may be. */
#include "unit/http/tls_client.h"

#include "tls/tls_session.h"

#define LENGTH   100000
#define OVERHEAD 17 /* RFC 8446, 5.2: the type within, and the tag of AEAD */

static char content[LENGTH];

/* Ask, and look at the records that come: how many have at most 1,300 bytes before the first large
 * one; and the largest. */
static void ask(struct client *client, size_t *small, size_t *largest)
{
    size_t from, length, received = 0;
    carom_peer_received(client->peer, &from);
    client_say(client, "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n");
    const carom_response response = {.status = 200, .content = {content, LENGTH, NULL, NULL}};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    for (int i = 0; i < 10; i++)
        turn();
    const uint8_t *bytes = (const uint8_t *)carom_peer_received(client->peer, &length);
    *small = *largest = 0;
    for (size_t at = from; at < length; at += 5 + received) {
        received = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
        assert_int_equal(bytes[at], 23); /* application data */
        if (received <= 1300 + OVERHEAD && *largest <= 1300 + OVERHEAD)
            ++*small;
        if (received > *largest)
            *largest = received;
    }
    exchange(client);
    client->got_length = 0;
    char sink[16384];
    while (SSL_read(client->ssl, sink, sizeof sink) > 0) {
    }
    ERR_clear_error();
}

static void a_burst_begins_with_small_records(void **state)
{
    (void)state;
    struct client client;
    size_t small, largest;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    exchange(&client);
    ask(&client, &small, &largest);
    assert_int_equal(small, 40 * 1024 / 1300 + 1);
    assert_int_equal(largest, CAROM_TLS_RECORD + OVERHEAD);
    ask(&client, &small, &largest); /* the same burst */
    assert_int_equal(small, 0);
    pass(1100);
    ask(&client, &small, &largest); /* another */
    assert_int_equal(small, 40 * 1024 / 1300 + 1);
    ask(&client, &small, &largest); /* and the same */
    assert_int_equal(small, 0);
    client_finish(&client);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(a_burst_begins_with_small_records)};
    return cmocka_run_group_tests_name("tls/tls_records", all, prepare, unprepare);
}
