/* Tunnels over HTTP/2: CONNECT (RFC 9113, 8.5) and its extended form (RFC 8441). */
#include "unit/http/h2_client.h"

static struct client client;

static void speak(int32_t id, const char *bytes, bool last)
{
    to_say.bytes = bytes;
    to_say.last = last;
    nghttp2_session_resume_data(client.session, id);
    converse(&client);
}

static int32_t connect_to(const nghttp2_nv *pairs, size_t count)
{
    const nghttp2_data_provider provider = {.read_callback = say_next};
    to_say.bytes = "";
    to_say.last = false;
    int32_t id = nghttp2_submit_request(client.session, NULL, pairs, count, &provider, NULL);
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    return id;
}

static void begin_client(bool connect_protocol)
{
    carom_options options = simulation_options();
    options.h2_connect_protocol = connect_protocol;
    begin(&options);
    client_begin(&client, 0, false);
    converse(&client);
}

static void end(void)
{
    client_end(&client);
    finish();
}

static int32_t extended_connect(void)
{
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":protocol", "websocket"),
                                NV(":scheme", "http"), NV(":path", "/chat"), NV(":authority", "a")};
    return connect_to(pairs, 5);
}

static void assert_read(carom_record *record, const char *bytes)
{
    carom_slice slice;
    assert_int_equal(carom_request_read(record, &slice), 1);
    assert_int_equal(slice.length, strlen(bytes));
    assert_memory_equal(slice.data, bytes, slice.length);
}

static void both_ways(int32_t id)
{
    static const carom_response agreed = {.status = 200};
    carom_record *record = sim.held[0];
    carom_slice slice;
    assert_int_equal(carom_upgrade(record, &agreed), 0);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    assert_false(reply_of(&client, id)->ended);
    speak(id, "ping", false);
    assert_read(record, "ping");
    assert_int_equal(carom_request_read(record, &slice), -CAROM_EAGAIN);
    assert_int_equal(carom_write(record, &(carom_content){"pong", 4, NULL, NULL}), 0);
    converse(&client);
    assert_string_equal(reply_of(&client, id)->body, "pong");
    speak(id, "bye", true);
    assert_read(record, "bye");
    assert_int_equal(carom_request_read(record, &slice), 0); /* the end */
    assert_int_equal(carom_write(record, &(carom_content){"!", 1, NULL, NULL}), 0);
    assert_int_equal(carom_end(record, NULL, 0), 0);
    converse(&client);
    assert_string_equal(reply_of(&client, id)->body, "pong!");
    assert_true(reply_of(&client, id)->closed && reply_of(&client, id)->code == 0);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_COMPLETE);
    release(record);
}

static void connect_is_a_tunnel(void **state)
{
    (void)state;
    begin_client(false);
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":authority", "a:100")};
    int32_t id = connect_to(pairs, 2);
    assert_int_equal(sim.held_count, 1);
    assert_null(carom_request_protocol(sim.held[0]).data);
    both_ways(id);
    end();
}

static void extended_connect_names_its_protocol(void **state)
{
    (void)state;
    begin_client(true);
    assert_int_equal(nghttp2_session_get_remote_settings(client.session,
                                                         NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL),
                     1);
    int32_t id = extended_connect();
    assert_int_equal(sim.held_count, 1);
    carom_slice protocol = carom_request_protocol(sim.held[0]);
    assert_int_equal(protocol.length, 9);
    assert_memory_equal(protocol.data, "websocket", 9);
    assert_memory_equal(carom_request_method(sim.held[0]).data, "CONNECT", 7);
    assert_memory_equal(carom_request_target(sim.held[0]).data, "/chat", 5);
    both_ways(id);
    end();
}

static void it_is_refused_unless_asked_for(void **state)
{
    (void)state;
    begin_client(false);
    int32_t id = extended_connect();
    assert_int_equal(sim.held_count, 0);
    assert_int_equal(reply_of(&client, id)->code, NGHTTP2_PROTOCOL_ERROR);
    end();
}

static void another_answer_is_no_tunnel(void **state)
{
    (void)state;
    begin_client(true);
    int32_t id = extended_connect();
    const carom_response no = {.status = 403};
    assert_int_equal(carom_respond(sim.held[0], &no), 0);
    release(sim.held[0]);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 403);
    assert_true(reply_of(&client, id)->closed);
    end();
}

static void a_client_that_leaves_cancels_it(void **state)
{
    (void)state;
    begin_client(true);
    static const carom_response agreed = {.status = 200};
    int32_t id = extended_connect();
    assert_int_equal(carom_upgrade(sim.held[0], &agreed), 0);
    converse(&client);
    nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL);
    converse(&client);
    assert_int_equal(sim.cancelled, 1);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_CLIENT_RESET);
    release(sim.held[0]);
    end();
}

/* The target of CONNECT is its authority, which is kept as Host once more. */
static void an_authority_that_fits_into_a_page_once_is_refused(void **state)
{
    (void)state;
    enum { LENGTH = 17000 };
    static uint8_t authority[LENGTH];
    memset(authority, 'a', LENGTH);
    memcpy(authority + LENGTH - 4, ":443", 4);
    carom_options options = simulation_options();
    options.max_header_section = 30000; /* in a page of 32 KiB */
    options.max_target = 100;
    begin(&options);
    client_begin(&client, 0, false);
    converse(&client);
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"),
                                {(uint8_t *)":authority", authority, 10, LENGTH, 0}};
    assert_int_equal(reply_of(&client, connect_to(pairs, 2))->status, 431);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_is_a_tunnel),
        cmocka_unit_test(extended_connect_names_its_protocol),
        cmocka_unit_test(it_is_refused_unless_asked_for),
        cmocka_unit_test(another_answer_is_no_tunnel),
        cmocka_unit_test(a_client_that_leaves_cancels_it),
        cmocka_unit_test(an_authority_that_fits_into_a_page_once_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
