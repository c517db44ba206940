/* Tests of TLS on the simulated network: handshakes that wait for their turn, and sessions that end
 * by an alert. */
#include <sys/mman.h>
#include <unistd.h>

#include "unit/http/tls_client.h"

#include "http/connection.h"

static const char now[] = "GET /now HTTP/1.1\r\nHost: t\r\n\r\n";
static const char hold[] = "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n";

static struct carom_worker *worker(void)
{
    return &sim.service->workers[0];
}

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

static void close_file(void *owner)
{
    close(*(int *)owner);
}

/* The head is encrypted together with the beginning of the file, of which there is no more. */
static void what_lies_before_a_file_that_fails_is_sent(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    client_say(&client, hold);
    int descriptor = memfd_create("test", MFD_CLOEXEC);
    assert_true(descriptor >= 0 && ftruncate(descriptor, 1000) == 0);
    const carom_response response = {.status = 200};
    const carom_file file = {descriptor, 0, 1000, close_file, &descriptor, {0}};
    assert_int_equal(carom_respond_file(sim.held[0], &response, &file), 0);
    assert_int_equal(ftruncate(descriptor, 10), 0);
    release(sim.held[0]);
    exchange(&client);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    assert_true(carom_peer_saw_reset(client.peer));
    assert_int_equal(finish().ended[CAROM_REASON_FILE_FAILED], 1);
    client_finish(&client);
}

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
    carom_peer_shutdown(client.peer);
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
            carom_peer_shutdown(client.peer);
        exchange(&client);
        assert_true(carom_peer_saw_close(client.peer));
        assert_false(carom_peer_saw_reset(client.peer));
        assert_int_equal(client_read(&client), SSL_ERROR_SSL);
        finish();
        client_finish(&client);
    }
}

/* A record of a type that nobody knows may begin with a letter; one byte may be too few to say. */
static void what_is_not_plain_http_is_not_taken_for_it(void **state)
{
    (void)state;
    size_t length;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    struct carom_peer *peer = connect_peer();
    carom_peer_send(peer, "c\x03\x03\x00\x05hello", 10);
    turn();
    assert_memory_equal(carom_peer_received(peer, &length), "\x15\x03", 2); /* an alert */
    peer = connect_peer();
    say(peer, "\n");
    turn();
    assert_false(carom_peer_saw_fin(peer));
    carom_peer_shutdown(peer);
    turn();
    assert_true(carom_peer_saw_close(peer));
    carom_peer_received(peer, &length);
    assert_int_equal(length, 0);
    finish();
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
    options.write_buffer = 4 * LARGE; /* who has not taken more than that is read from */
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

/* ---------------------------------------------------------------- turns */

/* Each costs as much as a good part of a handshake: many of them are many turns, and others have
 * theirs between. */
static void a_turn_takes_one_key_update(void **state)
{
    (void)state;
    struct client client, other;
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    client_init(&other);
    shake_hands(&other);
    exchange(&client);
    size_t before = received(&client), others = received(&other);
    for (int i = 0; i < 100; i++) {
        SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(client.ssl);
    }
    SSL_write_ex(client.ssl, now, strlen(now), &written);
    SSL_write_ex(other.ssl, now, strlen(now), &written);
    send_only(&client);
    send_only(&other);
    carom_worker_turn(worker(), false);
    carom_worker_turn(worker(), false);
    assert_in_range(received(&client) - before, 1, 100); /* an answer has 27 bytes */
    assert_true(received(&other) > others);
    exchange(&client);
    assert_client_got(&client, "HTTP/1.1 200 OK\r\n");
    finish();
    client_finish(&client);
    client_finish(&other);
}

#define MANY 40

/* All are half-way, with the rest of their handshake to come. */
static void begin_many(struct client clients[MANY])
{
    for (int i = 0; i < MANY; i++)
        client_init(&clients[i]);
    for (int i = 0; i < MANY; i++) {
        SSL_do_handshake(clients[i].ssl);
        ERR_clear_error();
        exchange(&clients[i]);
        assert_int_equal(SSL_do_handshake(clients[i].ssl), 1);
    }
}

/* A client whose handshake waits for its turn is not received from without end. */
static void who_waits_sends_no_more_than_has_room(void **state)
{
    (void)state;
    struct client clients[MANY];
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.max_handshakes = 1;
    options.max_content = 100000000;
    begin_tls(&options, &tls);
    begin_many(clients);
    struct client *last = &clients[MANY - 1];
    static const char head[] = "POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: 4194304\r\n\r\n";
    SSL_write_ex(last->ssl, head, sizeof head - 1, &written);
    for (int i = 0; i < 4; i++)
        SSL_write_ex(last->ssl, large, LARGE, &written);
    for (int i = 0; i < MANY; i++)
        send_only(&clients[i]);
    for (int turns = 0; turns < MANY - 2; turns++) {
        carom_worker_turn(worker(), false);
        assert_in_range(worker()->connections.records.pages.pool.in_use, 1, 8); /* of 32 KiB */
    }
    assert_true(carom_peer_unread(last->peer) > 3 * LARGE);
    turn();
    assert_int_equal(sim.held_count, 1); /* its turn has come */
    finish();
    for (int i = 0; i < MANY; i++)
        client_finish(&clients[i]);
}

static void gather(carom_record *record, void *data)
{
    struct held *held = carom_record_state(record);
    (void)data;
    held->record = record;
    held->waker.wake = on_content;
    sim.held[sim.held_count++] = record;
    assert_int_equal(carom_request_collect(record, LARGE, &held->waker), 0);
}

/* When its turn has come it is received from again, though nobody has paused it. */
static void who_has_waited_is_heard_to_the_end(void **state)
{
    (void)state;
    struct client clients[MANY];
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.max_handshakes = 1;
    options.handler = gather;
    begin_tls(&options, &tls);
    begin_many(clients);
    struct client *last = &clients[MANY - 1];
    static const char head[] = "POST /now HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n";
    SSL_write_ex(last->ssl, head, sizeof head - 1, &written);
    SSL_write_ex(last->ssl, large, 200000, &written);
    for (int i = 0; i < MANY; i++)
        send_only(&clients[i]);
    turn();
    exchange(last);
    assert_client_got(last, "\r\n\r\n200000");
    finish();
    for (int i = 0; i < MANY; i++)
        client_finish(&clients[i]);
}

/* Nor is what it has sent before FIN lost. */
static void requests_before_fin_are_answered_after_the_wait(void **state)
{
    (void)state;
    struct client clients[MANY];
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.max_handshakes = 1;
    options.max_pipeline = 2;
    options.half_close = true;
    begin_tls(&options, &tls);
    begin_many(clients);
    for (int i = 0; i < MANY; i++) {
        for (int request = 0; request < 5; request++)
            SSL_write_ex(clients[i].ssl, now, strlen(now), &written);
        send_only(&clients[i]);
        carom_peer_shutdown(clients[i].peer);
    }
    turn();
    for (int i = 0; i < MANY; i++) {
        exchange(&clients[i]);
        client_read(&clients[i]);
        int answers = 0;
        for (const char *at = clients[i].got; (at = strstr(at, "200 OK")) != NULL; at++)
            answers++;
        assert_int_equal(answers, 5);
        assert_true(carom_peer_saw_close(clients[i].peer));
        client_finish(&clients[i]);
    }
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 5 * MANY);
}

static int ends;
static const struct carom_stream_events *real_events;

static void count_end(struct carom_stream *stream, int error)
{
    assert_int_equal(error, 0);
    ends++;
    real_events->peer_done(stream, error);
}

/* close_notify and the FIN behind it are one end, also for who goes on answering. */
static void the_end_is_told_once(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.half_close = true;
    begin_tls(&options, &tls);
    real_events = worker()->connections.streams.events;
    struct carom_stream_events counted = *real_events;
    counted.peer_done = count_end;
    worker()->connections.streams.events = &counted;
    ends = 0;
    client_init(&client);
    shake_hands(&client);
    client_say(&client, hold);
    SSL_shutdown(client.ssl);
    exchange(&client);
    assert_int_equal(ends, 1);
    carom_peer_shutdown(client.peer);
    turn();
    assert_int_equal(ends, 1);
    answer_and_release(sim.held[0], "late");
    exchange(&client);
    assert_client_got(&client, "late");
    assert_int_equal(ends, 1);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
    client_finish(&client);
}

static int fins;

static void count_fin(struct carom_stream *stream)
{
    assert_false(carom_stream_receives(stream));
    fins++;
}

/* FIN came while the handshake waited, and lies behind content that is not read: each pause is told
 * of it. */
static void each_pause_is_told_of_the_end(void **state)
{
    (void)state;
    struct client clients[MANY];
    size_t written;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.max_handshakes = 1;
    options.handler = idle_handler;
    begin_tls(&options, &tls);
    struct carom_stream_events counted = *worker()->connections.streams.events;
    counted.fin_queued = count_fin;
    worker()->connections.streams.events = &counted;
    fins = 0;
    begin_many(clients);
    static const char head[] = "POST /hold HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n";
    struct client *last = &clients[MANY - 1];
    SSL_write_ex(last->ssl, head, sizeof head - 1, &written);
    SSL_write_ex(last->ssl, "abc", 3, &written);
    for (int i = 0; i < MANY; i++)
        send_only(&clients[i]);
    carom_peer_shutdown(last->peer);
    turn();
    assert_int_equal(sim.held_count, 1);
    assert_int_equal(fins, 1);
    struct carom_stream *stream = &((struct carom_connection *)sim.held[0]->exchange)->stream;
    carom_stream_receive(stream, true);
    carom_stream_receive(stream, false);
    turn();
    assert_int_equal(fins, 2);
    finish();
    for (int i = 0; i < MANY; i++)
        client_finish(&clients[i]);
}

/* A connection that is closed in the midst of an answer must not look as if that were whole. */
static void what_is_cut_off_is_not_said_to_be_all(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    options.handler = idle_handler;
    begin_tls(&options, &tls);
    client_init(&client);
    shake_hands(&client);
    client_say(&client, hold);
    struct carom_connection *connection = sim.held[0]->exchange;
    const carom_response response = {.status = 200, .content = {large, LARGE, NULL, NULL}};
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    release(sim.held[0]);
    carom_worker_turn(worker(), false);
    assert_true(connection->stream.out.length > 0);
    carom_connection_abort(connection, CAROM_REASON_CANCELED, false);
    exchange(&client);
    assert_true(carom_peer_saw_fin(client.peer));
    size_t length = 1;
    while (SSL_read_ex(client.ssl, client.got, sizeof client.got, &length) == 1) {
    }
    assert_int_equal(SSL_get_shutdown(client.ssl) & SSL_RECEIVED_SHUTDOWN, 0);
    finish();
    client_finish(&client);
}

/* close_notify in a handshake: nobody waits for the rest of it. */
static void who_ends_in_the_handshake_is_let_go(void **state)
{
    (void)state;
    struct client client;
    carom_options options = simulation_options();
    carom_tls_options tls = tls_options();
    begin_tls(&options, &tls);
    client_init(&client);
    SSL_set_max_proto_version(client.ssl, TLS1_2_VERSION); /* in 1.3 it would be encrypted */
    assert_false(shake(&client));
    carom_peer_send(client.peer, "\x15\x03\x03\x00\x02\x01\x00", 7);
    turn();
    assert_true(carom_peer_saw_fin(client.peer));
    assert_int_equal(finish().tls_failed, 1);
    client_finish(&client);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(what_lies_before_a_file_that_fails_is_sent),
        cmocka_unit_test(a_forged_record_is_answered_by_an_alert),
        cmocka_unit_test(an_alert_may_be_the_last_at_once),
        cmocka_unit_test(what_is_not_plain_http_is_not_taken_for_it),
        cmocka_unit_test(an_alert_cuts_responses_off),
        cmocka_unit_test(a_turn_takes_one_key_update),
        cmocka_unit_test(who_waits_sends_no_more_than_has_room),
        cmocka_unit_test(who_has_waited_is_heard_to_the_end),
        cmocka_unit_test(requests_before_fin_are_answered_after_the_wait),
        cmocka_unit_test(the_end_is_told_once),
        cmocka_unit_test(each_pause_is_told_of_the_end),
        cmocka_unit_test(what_is_cut_off_is_not_said_to_be_all),
        cmocka_unit_test(who_ends_in_the_handshake_is_let_go),
    };
    return cmocka_run_group_tests_name("http/tls_turns", all, prepare, unprepare);
}
