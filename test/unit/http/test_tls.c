/* Tests of TLS on the simulated network: handshakes cut at every byte, time, turns, backpressure,
 * and ends. */
#include "unit/http/tls_client.h"

#include <openssl/x509v3.h>

static const char now[] = "GET /now HTTP/1.1\r\nHost: t\r\n\r\n";
static const char hold[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";

static struct carom_worker *worker(void)
{
    return &sim.service->workers[0];
}

/* ---------------------------------------------------------------- handshakes */

static void a_request_is_answered(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    client_say(&client, now);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    carom_shutdown(sim.service, CAROM_OFF);
    exchange(&client);
    carom_stats stats = finish();
    assert_int_equal(stats.tls_handshakes, 1);
    assert_int_equal(stats.tls_resumed + stats.tls_failed + stats.h2_connections, 0);
    assert_int_equal(client_read(&client), SSL_ERROR_ZERO_RETURN); /* close_notify */
    client_finish(&client);
}

/* All that the client sends, cut in two at every byte. */
static void bytes_may_be_cut_anywhere(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    size_t all = 2;
    for (size_t cut = 1; cut < all; cut++) {
        struct client client;
        size_t sent = 0;
        client_init(&client);
        for (int step = 0; step < 4; step++) {
            if (SSL_do_handshake(client.ssl) == 1 && step == 2) {
                size_t written;
                SSL_write_ex(client.ssl, now, strlen(now), &written);
            }
            ERR_clear_error();
            char *data;
            size_t length = (size_t)BIO_get_mem_data(client.out, &data);
            if (cut > sent && cut < sent + length) {
                carom_peer_send(client.peer, data, cut - sent);
                turn();
                carom_peer_send(client.peer, data + (cut - sent), length - (cut - sent));
                BIO_reset(client.out);
            }
            sent += length;
            exchange(&client);
        }
        assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
        all = sent;
        carom_peer_shutdown(client.peer);
        turn();
        client_finish(&client);
    }
    assert_true(worker()->connections.streams.handshakes_done > 300);
    assert_int_equal(worker()->connections.streams.handshakes_failed, 0);
    finish();
}

static void single_bytes_do(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    carom_peer_set_piece(client.peer, 1);
    shake_hands(&client);
    client_say(&client, now);
    client_say(&client, hold);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(sim.held_count, 1);
    answer_and_release(sim.held[0], "held");
    exchange(&client);
    assert_client_got(&client, "held");
    finish();
    client_finish(&client);
}

/* The protocol and all else is known when the first request is. */
static void a_record_knows_its_connection(void **state)
{
    (void)state;
    static const unsigned char offered[] = "\5other\10http/1.1";
    static const char *const protocols[] = {"other"};
    struct client client;
    carom_tls_info info;
    carom_slice der;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.protocols = protocols;
    tls.protocol_count = 1;
    begin_tls(&options, &tls);
    client_init(&client);
    SSL_set_alpn_protos(client.ssl, offered, sizeof offered - 1);
    SSL_set_tlsext_host_name(client.ssl, "localhost");
    shake_hands(&client);
    client_say(&client, hold);
    assert_int_equal(carom_record_tls(sim.held[0], &info), 0);
    assert_memory_equal(info.protocol.data, "other", info.protocol.length);
    assert_memory_equal(info.version.data, "TLSv1.3", info.version.length);
    assert_memory_equal(info.server_name.data, "localhost", info.server_name.length);
    assert_false(info.resumed || info.client_certificate);
    assert_int_equal(carom_record_tls_certificate(sim.held[0], &der), -CAROM_ENOENT);
    /* As long as the record is held, whatever becomes of the connection. */
    carom_peer_reset(client.peer);
    turn();
    assert_int_equal(carom_record_tls(sim.held[0], &info), 0);
    assert_memory_equal(info.protocol.data, "other", info.protocol.length);
    finish();
    client_finish(&client);
}

/* ---------------------------------------------------------------- other options */

/* The certificate that a new client is shown who asks for `name`. */
static X509 *shown(const char *name)
{
    struct client client;
    client_init(&client);
    assert_int_equal(SSL_set_tlsext_host_name(client.ssl, name), 1);
    shake_hands(&client);
    X509 *certificate_shown = SSL_get1_peer_certificate(client.ssl);
    assert_non_null(certificate_shown);
    client_say(&client, now);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    carom_peer_shutdown(client.peer);
    turn();
    client_finish(&client);
    return certificate_shown;
}

/* RFC 6066, 3: ASCII, and not empty. */
static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"a\xc4\x85.org", "a b", "a\x7f"};
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct client client;
        client_init(&client);
        assert_int_equal(SSL_set_tlsext_host_name(client.ssl, names[i]), 1);
        assert_false(shake(&client));
        assert_int_equal(SSL_do_handshake(client.ssl), -1);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
        client_finish(&client);
    }
    finish();
}

static bool is_for(const char *asked, const char *name)
{
    X509 *certificate_shown = shown(asked);
    bool found = X509_check_host(certificate_shown, name, 0, 0, NULL) == 1;
    X509_free(certificate_shown);
    return found;
}

static void names_may_be_given(void **state)
{
    (void)state;
    carom_tls_certificate both[2] = {certificate};
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    assert_int_equal(carom_tls_self_signed(&both[1], "other"), 0);
    both[1].server_names = "Given.test,*.wild.test";
    tls.certificates = both;
    tls.certificate_count = 2;
    begin_tls(&options, &tls);
    assert_true(is_for("given.test", "other"));
    assert_true(is_for("a.WILD.test", "other"));
    assert_true(is_for("localhost", "localhost"));
    assert_true(is_for("other", "localhost")); /* its own name does not count any more */
    finish();
    both[1].server_names = "a b";
    create(&options);
    assert_int_equal(carom_service_listen_tls(sim.service, "127.0.0.1:0", &tls), -CAROM_EINVAL);
    assert_int_equal(carom_service_destroy(sim.service), 0);
    both[1].server_names = NULL;
    carom_tls_certificate_free(&both[1]);
}

/* Also while hands are shaken: who has begun goes on with what was. */
static void options_are_replaced(void **state)
{
    (void)state;
    struct client before;
    carom_tls_certificate fresh;
    static const char *const only[] = {"http/1.1"};
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    tls.protocols = only;
    tls.protocol_count = 1;
    begin_tls(&options, &tls);
    assert_int_equal(carom_tls_self_signed(&fresh, "fresh"), 0);
    client_init(&before);
    assert_int_equal(SSL_set_alpn_protos(before.ssl, (const uint8_t *)"\x08http/1.1", 9), 0);
    carom_tls_options other = CAROM_TLS_OPTIONS_INIT;
    other.certificates = &fresh;
    other.certificate_count = 1;
    assert_int_equal(carom_tls_replace(sim.service, &other), 0);
    carom_tls_certificate_free(&fresh);
    shake_hands(&before);
    client_say(&before, now);
    assert_client_got(&before, "HTTP/1.1 200 OK\r\n");
    X509 *kept = SSL_get1_peer_certificate(before.ssl);
    assert_int_equal(X509_check_host(kept, "localhost", 0, 0, NULL), 1);
    X509_free(kept);
    assert_true(is_for("localhost", "fresh"));

    assert_int_equal(carom_tls_reload(sim.service), 0);
    assert_true(is_for("localhost", "fresh"));
    other.certificates = &(carom_tls_certificate){.certificate_file = "/nowhere"};
    assert_int_equal(carom_tls_replace(sim.service, &other), -CAROM_ECERTIFICATE);
    assert_int_equal(carom_tls_replace(sim.service, NULL), -CAROM_EINVAL);
    other = tls;
    other.ticket_keys = (carom_slice){"short", 5};
    assert_int_equal(carom_tls_replace(sim.service, &other), -CAROM_EINVAL);
    assert_true(is_for("localhost", "fresh"));
    carom_peer_shutdown(before.peer);
    turn();
    client_finish(&before);
    finish();
}

static void a_handshake_has_its_time(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.handshake_timeout = 50;
    options.first_byte_timeout = 70;
    begin_tls(&options, &tls);
    client_init(&client);
    SSL_do_handshake(client.ssl);
    exchange(&client); /* the server has answered: a handshake that is half-way */
    pass(50);
    assert_false(carom_peer_saw_close(client.peer));
    pass(2);
    assert_true(carom_peer_saw_close(client.peer));
    client_finish(&client);

    client_init(&client); /* done, it has the time for a first byte */
    shake_hands(&client);
    pass(69);
    assert_false(carom_peer_saw_close(client.peer));
    pass(3);
    assert_true(carom_peer_saw_close(client.peer));
    assert_int_equal(finish().timeouts, 2);
    client_finish(&client);
}

/* Steps of handshakes beyond those of a turn wait for the next; nobody is forgotten. */
static void handshakes_of_a_turn_have_a_number(void **state)
{
    (void)state;
    struct client clients[8];
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.max_handshakes = 3;
    begin_tls(&options, &tls);
    for (int i = 0; i < 8; i++)
        client_init(&clients[i]);
    for (int i = 0; i < 8; i++) {
        SSL_do_handshake(clients[i].ssl);
        char *data;
        size_t length = (size_t)BIO_get_mem_data(clients[i].out, &data);
        carom_peer_send(clients[i].peer, data, length);
        BIO_reset(clients[i].out);
    }
    for (int turns = 1; turns <= 3; turns++) {
        size_t answered = 0, length;
        carom_worker_turn(worker(), false);
        for (int i = 0; i < 8; i++) {
            carom_peer_received(clients[i].peer, &length);
            answered += length > 0;
        }
        assert_int_equal(answered, turns < 3 ? turns * 3 : 8);
    }
    for (int i = 0; i < 8; i++) {
        exchange(&clients[i]);
        shake_hands(&clients[i]);
        client_say(&clients[i], now);
        assert_client_got(&clients[i], "200 OK");
        client_finish(&clients[i]);
    }
    finish();
}

static void who_breaks_the_protocol_gets_an_alert(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    struct carom_peer *peer = connect_peer();
    carom_peer_send(peer, "\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9); /* a ServerHello */
    turn();
    size_t length;
    const char *bytes = carom_peer_received(peer, &length);
    assert_int_equal(length, 7);
    assert_memory_equal(bytes, "\x15\x03", 2); /* an alert */
    assert_true(carom_peer_saw_fin(peer));
    assert_false(carom_peer_saw_reset(peer));
    carom_peer_send(peer, "more", 4); /* is read and dropped, so that the alert arrives */
    turn();
    assert_false(carom_peer_saw_reset(peer));
    carom_peer_shutdown(peer);
    turn();
    assert_true(carom_peer_saw_close(peer));
    assert_int_equal(worker()->connections.streams.handshakes_failed, 1);
    assert_int_equal(ERR_peek_error(), 0);
    finish();
}

static void plain_http_is_told_so(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    static const char *const said[] = {now, "get / HTTP/1.1\r\n", "\r\nGET / HTTP/1.1\r\n",
                                       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    begin_tls(&options, &tls);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        struct carom_peer *peer = connect_peer();
        carom_peer_set_piece(peer, 1);
        say(peer, said[i]);
        turn();
        assert_got(peer, "HTTP/1.1 400 Bad Request\r\n");
        assert_got(peer, "https://");
        assert_true(carom_peer_saw_fin(peer));
        assert_false(carom_peer_saw_reset(peer));
    }
    finish();
}

/* ---------------------------------------------------------------- bytes */

#define LARGE (8 * 1024 * 1024)
static char large[LARGE];
static int given_back;

static void give_back(void *owner)
{
    (void)owner;
    given_back++;
}

static void begin_large(struct client *client)
{
    static const carom_response response = {.status = 200,
                                            .content = {large, LARGE, give_back, NULL}};
    client_init(client);
    shake_hands(client);
    carom_peer_set_window(client->peer, 1000);
    client_say(client, hold);
    given_back = 0;
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
}

/* What the peer does not take is not encrypted; what it takes arrives, and only then is it sent. */
static void a_large_response_is_encrypted_as_it_is_taken(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    begin_large(&client);
    exchange(&client);
    assert_in_range(worker()->connections.records.pages.pool.in_use, 1, 6); /* of 32 KiB */
    assert_int_equal(given_back, 0);
    size_t total = 0;
    while (total < LARGE) {
        size_t length = 0;
        carom_peer_set_window(client.peer, 300000);
        exchange(&client);
        while (SSL_read_ex(client.ssl, client.got, sizeof client.got, &length) == 1)
            total += length;
        ERR_clear_error();
        assert_in_range(worker()->connections.records.pages.pool.in_use, 1, 6);
    }
    turn();
    assert_int_equal(given_back, 1);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
    client_finish(&client);
}

/* One turn encrypts so much and no more; the others are served between. */
static void a_turn_is_not_held_up(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    begin_large(&client);
    carom_peer_set_window(client.peer, SIZE_MAX);
    uint64_t most = 0;
    for (int turns = 0; given_back == 0; turns++) {
        assert_true(turns < 100);
        uint64_t before = sim.loop->bytes_sent;
        carom_worker_turn(worker(), false);
        if (sim.loop->bytes_sent - before > most)
            most = sim.loop->bytes_sent - before;
    }
    assert_in_range(most, 100 * 1024, 1200 * 1024);
    finish();
    client_finish(&client);
}

static void a_peer_that_does_not_read_is_reset(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.write_timeout = 50;
    begin_tls(&options, &tls);
    begin_large(&client);
    exchange(&client);
    pass(52);
    assert_true(carom_peer_saw_reset(client.peer));
    assert_int_equal(given_back, 1);
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 1);
    client_finish(&client);
}

/* A pipeline that is full stops decryption; what was received goes on later, and FIN comes last. */
static void what_is_not_wanted_waits(void **state)
{
    (void)state;
    struct client client;
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.max_pipeline = 2;
    options.half_close = true;
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    for (int i = 0; i < 20; i++) /* each in a record of its own */
        SSL_write_ex(client.ssl, hold, strlen(hold), &written);
    SSL_shutdown(client.ssl);
    exchange(&client);
    carom_peer_shutdown(client.peer);
    turn();
    for (int i = 0; i < 20; i++) {
        assert_in_range(sim.held_count, 1, 2);
        answer_and_release(sim.held[0], "one");
        turn();
    }
    assert_int_equal(sim.held_count, 0);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 20);
    client_finish(&client);
}

/* KeyUpdate makes us answer: a peer that does not read the answers costs only so much. */
static void answers_that_nobody_reads_have_an_end(void **state)
{
    (void)state;
    struct client client;
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.write_timeout = CAROM_OFF;
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    carom_peer_set_window(client.peer, 0);
    uint64_t before = carom_memory_held();
    for (int i = 0; i < 20000 && !carom_peer_saw_close(client.peer); i++) {
        SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_write_ex(client.ssl, "\r\n", 2, &written); /* lawful before a request */
        char *data;
        size_t length = (size_t)BIO_get_mem_data(client.out, &data);
        carom_peer_send(client.peer, data, length);
        BIO_reset(client.out);
        turn();
        assert_in_range(carom_memory_held() - before, 0, 4 * 1024 * 1024);
    }
    assert_true(carom_peer_saw_close(client.peer));
    finish();
    client_finish(&client);
}

/* ---------------------------------------------------------------- ends */

static void begin_tunnel(struct client *client)
{
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response response = {.status = 101, .fields = &field, .field_count = 1};
    client_init(client);
    shake_hands(client);
    client_say(client, "GET /hold HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\n"
                       "Upgrade: x\r\n\r\n");
    assert_int_equal(carom_upgrade(sim.held[0], &response), 0);
    exchange(client);
}

static void only_close_notify_is_the_end(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    carom_slice bytes;
    begin_tls(&options, &tls);
    begin_tunnel(&client);
    client_say(&client, "bytes");
    SSL_shutdown(client.ssl);
    exchange(&client);
    assert_int_equal(carom_request_read(sim.held[0], &bytes), 1);
    assert_int_equal(carom_request_read(sim.held[0], &bytes), -CAROM_EAGAIN);
    turn();
    assert_int_equal(carom_request_read(sim.held[0], &bytes), 0);
    release(sim.held[0]);
    turn();
    client_finish(&client);

    begin_tunnel(&client); /* cut off */
    client_say(&client, "bytes");
    carom_peer_shutdown(client.peer);
    turn();
    assert_int_equal(carom_request_read(sim.held[0], &bytes), 1);
    assert_int_equal(carom_request_read(sim.held[0], &bytes), -CAROM_EAGAIN);
    turn();
    assert_int_equal(carom_request_read(sim.held[0], &bytes), -CAROM_ECANCELED);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_CLIENT_RESET);
    finish();
    client_finish(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
        cmocka_unit_test(bytes_may_be_cut_anywhere),
        cmocka_unit_test(single_bytes_do),
        cmocka_unit_test(a_record_knows_its_connection),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(names_may_be_given),
        cmocka_unit_test(options_are_replaced),
        cmocka_unit_test(a_handshake_has_its_time),
        cmocka_unit_test(handshakes_of_a_turn_have_a_number),
        cmocka_unit_test(who_breaks_the_protocol_gets_an_alert),
        cmocka_unit_test(plain_http_is_told_so),
        cmocka_unit_test(a_large_response_is_encrypted_as_it_is_taken),
        cmocka_unit_test(a_turn_is_not_held_up),
        cmocka_unit_test(a_peer_that_does_not_read_is_reset),
        cmocka_unit_test(what_is_not_wanted_waits),
        cmocka_unit_test(answers_that_nobody_reads_have_an_end),
        cmocka_unit_test(only_close_notify_is_the_end),
    };
    return cmocka_run_group_tests(tests, prepare, unprepare);
}
