/* What flows over HTTP/2 and when: priorities (RFC 9218), windows that grow, 100 Continue, long
 * trailers, files. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "http/h2.h"
#include "unit/http/h2_client.h"

#define WINDOW 65535 /* of a connection, at first (RFC 9113, 6.9.2) */

static struct client client;

/* The client gives no credit for the connection by itself. */
static void begin_tight(void)
{
    carom_options options = simulation_options();
    begin(&options);
    client_begin(&client, 1 << 20, true);
}

static void end(void)
{
    while (sim.held_count > 0)
        release(sim.held[0]);
    converse(&client);
    client_end(&client);
    finish();
}

static int32_t request_of(const char *priority)
{
    const nghttp2_nv pairs[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":path", "/hold"),
                                NV(":authority", "a"), NV("priority", priority)};
    return request_with(&client, pairs, 5, false);
}

static char large[100000];

/* Answer all that are held in this order, in one turn. */
static void answer_all(void)
{
    const carom_response response = {.status = 200,
                                     .content = {large, sizeof large, carom_static_content, NULL}};
    for (int i = 0; i < sim.held_count; i++)
        assert_int_equal(carom_respond(sim.held[i], &response), 0);
    converse(&client);
}

static size_t came(int32_t id)
{
    return reply_of(&client, id)->body_length;
}

static uint32_t setting(nghttp2_settings_id id)
{
    return nghttp2_session_get_remote_settings(client.session, id);
}

static void the_limits_are_told_in_settings(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_header_section = 5000;
    options.max_target = 3000;
    options.h2_max_streams = 77;
    options.h2_stream_window = 70000;
    begin(&options);
    client_begin(&client, 0, false);
    converse(&client);
    assert_int_equal(setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE), 5000);
    assert_int_equal(setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 77);
    assert_int_equal(setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE), 70000);
    end();
}

/* Which has no content that could wait for it. */
static void a_connect_is_not_told_to_go_on(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin(&options);
    client_begin(&client, 0, false);
    const nghttp2_nv pairs[] = {NV(":method", "CONNECT"), NV(":authority", "a:1"),
                                NV("expect", "100-continue")};
    int32_t id =
        nghttp2_submit_headers(client.session, NGHTTP2_FLAG_NONE, -1, NULL, pairs, 3, NULL);
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    carom_waker waker = {.wake = on_cancelled};
    assert_int_equal(carom_wait(sim.held[0], CAROM_READABLE, &waker), 0);
    carom_unwait(sim.held[0], &waker);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->informed, 0);
    end();
}

static void give_credit(int32_t bytes)
{
    nghttp2_submit_window_update(client.session, 0, 0, bytes);
    converse(&client);
}

static void the_urgent_goes_first(void **state)
{
    (void)state;
    begin_tight();
    int32_t late = request_of("u=7"), plain = request_of("u=3"), urgent = request_of("u=0");
    converse(&client);
    answer_all();
    assert_int_equal(came(urgent), WINDOW);
    assert_int_equal(came(plain) + came(late), 0);
    give_credit(WINDOW);
    assert_int_equal(came(urgent), sizeof large);
    assert_int_equal(came(plain), 2 * WINDOW - (int)sizeof large);
    assert_int_equal(came(late), 0);
    end();
}

static void one_after_the_other_unless_incremental(void **state)
{
    (void)state;
    begin_tight();
    int32_t first = request_of("u=3"), second = request_of("u=3");
    converse(&client);
    answer_all();
    assert_int_equal(came(first), WINDOW);
    assert_int_equal(came(second), 0);
    end();
    begin_tight();
    first = request_of("u=3, i");
    second = request_of("u=3, i");
    converse(&client);
    answer_all();
    assert_in_range(came(first), WINDOW / 3, 2 * WINDOW / 3);
    assert_int_equal(came(first) + came(second), WINDOW);
    end();
}

static void a_priority_can_be_changed(void **state)
{
    (void)state;
    begin_tight();
    int32_t first = request_of("u=3"), second = request_of("u=3");
    converse(&client);
    static const uint8_t update[] = "u=0";
    assert_int_equal(
        nghttp2_submit_priority_update(client.session, 0, second, update, sizeof update - 1), 0);
    converse(&client);
    answer_all();
    assert_int_equal(came(first), 0);
    assert_int_equal(came(second), WINDOW);
    end();
}

/* Who reads at once is sent more and more, up to the limit. */
static void windows_grow_on_a_fast_link(void **state)
{
    (void)state;
    static char content[4000000];
    carom_options options = simulation_options();
    begin(&options);
    client_begin(&client, 0, false);
    int32_t id = post(&client, "/hold", content, sizeof content);
    converse(&client);
    assert_int_equal(sim.held_count, 1);
    int32_t least = INT32_MAX, most = 0;
    for (uint64_t read = 0; read < sizeof content;) {
        carom_slice bytes;
        while (carom_request_read(sim.held[0], &bytes) == 1)
            read += bytes.length;
        turn();
        converse(&client);
        int32_t window = nghttp2_session_get_stream_effective_local_window_size(
            carom_h2_of(carom_container(sim.service->workers[0].connections.open.next,
                                        struct carom_connection, core.link))
                ->session,
            id);
        if (window < 0)
            break; /* it is closed */
        least = window < least ? window : least;
        most = window > most ? window : most;
    }
    assert_in_range(least, 1, 2 * (int32_t)options.h2_stream_window + 2 * 65536);
    assert_int_equal(most, 1 << 20);
    assert_int_equal(client.content_sent, sizeof content);
    end();
}

static void continue_is_sent_when_content_is_wanted(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    client_begin(&client, 0, false);
    const nghttp2_nv pairs[] = {NV(":method", "POST"),     NV(":scheme", "http"),
                                NV(":path", "/now"),       NV(":authority", "a"),
                                NV("content-length", "3"), NV("expect", "100-continue")};
    int32_t id = nghttp2_submit_headers(client.session, 0, -1, NULL, pairs, 6, NULL);
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    assert_int_equal(reply_of(&client, id)->informed, 100);
    assert_int_equal(reply_of(&client, id)->status, 0);
    client.content = "abc";
    client.content_length = 3;
    const nghttp2_data_provider provider = {.read_callback = client_content};
    nghttp2_submit_data(client.session, NGHTTP2_FLAG_END_STREAM, id, &provider);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    assert_string_equal(reply_of(&client, id)->body, "3");
    end();
}

/* Who sends without waiting for it needs no word. */
static void continue_is_not_said_to_who_goes_on(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    begin(&options);
    client_begin(&client, 0, false);
    const nghttp2_nv pairs[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":path", "/now"),
                                NV(":authority", "a"), NV("expect", "100-continue")};
    int32_t id = nghttp2_submit_headers(client.session, 0, -1, NULL, pairs, 5, NULL);
    client.replies[client.count++] = (struct reply){.id = id};
    converse(&client);
    client.content = "abc";
    client.content_length = 3;
    const nghttp2_data_provider provider = {.read_callback = client_content};
    nghttp2_submit_data(client.session, 0, id, &provider); /* and there is more to come */
    converse(&client);
    assert_int_equal(drain_content(sim.held[0]), 3);
    converse(&client);
    assert_int_equal(reply_of(&client, id)->informed, 0);
    answer_and_release(sim.held[0], "x");
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    assert_non_null(strstr(reply_of(&client, id)->fields, "date: Sun, 06 Nov 1994 08:49:37 GMT\n"));
    end();
}

/* Its bytes are those of all its streams. */
static void no_stream_is_answered_raw(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    client_begin(&client, 0, false);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    assert_int_equal(carom_respond_raw(sim.held[0]), -CAROM_EUNSUPPORTED);
    answer_and_release(sim.held[0], "x");
    converse(&client);
    assert_int_equal(reply_of(&client, id)->status, 200);
    end();
}

static void a_file_is_content_like_any_other(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    client_begin(&client, 0, false);
    int file = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(file, large, 50000), 50000);
    int32_t whole = request(&client, "GET", "/hold"), part = request(&client, "GET", "/hold"),
            head = request(&client, "HEAD", "/hold");
    converse(&client);
    const carom_response response = {.status = 200};
    const carom_file files[] = {
        {.descriptor = file, .length = CAROM_LENGTH_UNKNOWN, .give_back = carom_static_content},
        {.descriptor = file, .offset = 100, .length = 7, .give_back = carom_static_content},
        {.descriptor = file, .length = CAROM_LENGTH_UNKNOWN, .give_back = carom_static_content},
    };
    for (int i = 0; i < 3; i++)
        assert_int_equal(carom_respond_file(sim.held[i], &response, &files[i]), 0);
    converse(&client);
    assert_int_equal(came(whole), 50000);
    assert_int_equal(came(part), 7);
    assert_int_equal(came(head), 0);
    assert_non_null(strstr(reply_of(&client, head)->fields, "content-length: 50000\n"));
    end();
    close(file);
}

/* A file that becomes shorter than was said ends its own stream; the others go on. */
static void a_file_that_fails_is_the_fault_of_one(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    client_begin(&client, 1000, true);
    int file = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(file, 50000), 0);
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    const carom_response response = {.status = 200};
    const carom_file from = {
        .descriptor = file, .length = CAROM_LENGTH_UNKNOWN, .give_back = carom_static_content};
    assert_int_equal(carom_respond_file(sim.held[0], &response, &from), 0);
    converse(&client);
    assert_int_equal(came(id), 1000);
    assert_int_equal(ftruncate(file, 500), 0);
    nghttp2_submit_window_update(client.session, 0, id, 40000);
    converse(&client);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_FILE_FAILED);
    assert_true(carom_peer_saw_close(client.peer)); /* in the middle of a frame */
    end();
    close(file);
}

/* One field of the whole limit, which needs more than one frame. */
static void a_head_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    static char value[65536];
    memset(value, '~', sizeof value); /* its code is the longest */
    begin_tight();
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    carom_field field = {CAROM_SLICE("x"), {value, sizeof value}};
    const carom_response response = {
        .status = 200, .fields = &field, .field_count = 1, .content = {"yes", 3, NULL, NULL}};
    assert_int_equal(carom_respond(sim.held[0], &response), -CAROM_ETOOBIG);
    field.value.length--;
    assert_int_equal(carom_respond(sim.held[0], &response), 0);
    converse(&client);
    assert_true(reply_of(&client, id)->ended);
    assert_string_equal(reply_of(&client, id)->body, "yes");
    end();
}

/* As many as there are, up to the bytes of options.max_response_head. */
static void trailers_have_the_limit_of_heads(void **state)
{
    (void)state;
    begin_tight();
    int32_t id = request(&client, "GET", "/hold");
    converse(&client);
    const carom_response response = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    static carom_field trailers[65536 / 6 + 1];
    for (size_t i = 0; i < COUNT(trailers); i++)
        trailers[i] = (carom_field){CAROM_SLICE("x-sum"), CAROM_SLICE("1")};
    assert_int_equal(carom_respond_begin(sim.held[0], &response), 0);
    assert_int_equal(carom_end(sim.held[0], trailers, COUNT(trailers)), -CAROM_ETOOBIG);
    assert_int_equal(carom_end(sim.held[0], trailers, COUNT(trailers) - 1), 0);
    converse(&client);
    assert_true(reply_of(&client, id)->ended);
    assert_int_equal(carom_record_outcome(sim.held[0]).reason, CAROM_REASON_COMPLETE);
    end();
}

static void gather(carom_record *record, void *data)
{
    struct held *held = carom_record_state(record);
    (void)data;
    held->record = record;
    held->waker.wake = on_content;
    sim.held[sim.held_count++] = record;
    assert_int_equal(carom_request_collect(record, sizeof large, &held->waker), 0);
}

/* Who collects has taken what has come: its sender gets credit for the rest. */
static void content_that_is_collected_may_exceed_the_window(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = gather;
    options.h2_stream_window = options.h2_connection_window = WINDOW;
    begin(&options);
    client_begin(&client, 0, false);
    int32_t id = post(&client, "/now", large, sizeof large);
    converse(&client);
    assert_string_equal(reply_of(&client, id)->body, "100000");
    end();
}

/* What lies before them on the connection is not theirs. */
static void bytes_of_others_do_not_fill_a_buffer(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_buffer = 1000;
    begin(&options);
    client_begin(&client, 0, false);
    request(&client, "GET", "/hold");
    request(&client, "GET", "/hold");
    converse(&client);
    carom_peer_set_window(client.peer, 0);
    const carom_response other = {.status = 200, .content = {large, 5000, NULL, NULL}};
    const carom_response streamed = {.status = 200, .content_length = CAROM_LENGTH_UNKNOWN};
    assert_int_equal(carom_respond(sim.held[0], &other), 0);
    assert_int_equal(carom_respond_begin(sim.held[1], &streamed), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(carom_write(sim.held[1], &(carom_content){"abc", 3, NULL, NULL}), 0);
        turn();
    }
    const carom_field trailer = {CAROM_SLICE("x-sum"), CAROM_SLICE("9")};
    assert_int_equal(carom_end(sim.held[1], &trailer, 1), 0);
    carom_peer_set_window(client.peer, SIZE_MAX);
    converse(&client);
    const struct reply *reply = &client.replies[1];
    assert_string_equal(reply->body, "abcabcabc");
    assert_non_null(strstr(reply->fields, "x-sum: 9\n"));
    assert_int_equal(reply->ended_by, NGHTTP2_HEADERS);
    end();
}

/* RFC 9113, 6.5.2: 32 bytes for each line, beyond its own. */
static void lines_cost_more_than_their_bytes(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_header_section = 20 * 34;
    for (int count = 20; count <= 21; count++) {
        begin(&options);
        client_begin(&client, 0, false);
        nghttp2_nv pairs[4 + 21] = {NV(":method", "GET"), NV(":scheme", "http"),
                                    NV(":path", "/now"), NV(":authority", "a")};
        for (int i = 0; i < count; i++)
            pairs[4 + i] = (nghttp2_nv)NV("a", "b");
        int32_t id = request_with(&client, pairs, 4 + (size_t)count, false);
        converse(&client);
        assert_int_equal(reply_of(&client, id)->status, count == 20 ? 200 : 431);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limits_are_told_in_settings),
        cmocka_unit_test(a_connect_is_not_told_to_go_on),
        cmocka_unit_test(a_head_may_be_as_long_as_the_limit),
        cmocka_unit_test(trailers_have_the_limit_of_heads),
        cmocka_unit_test(the_urgent_goes_first),
        cmocka_unit_test(one_after_the_other_unless_incremental),
        cmocka_unit_test(a_priority_can_be_changed),
        cmocka_unit_test(windows_grow_on_a_fast_link),
        cmocka_unit_test(continue_is_sent_when_content_is_wanted),
        cmocka_unit_test(continue_is_not_said_to_who_goes_on),
        cmocka_unit_test(no_stream_is_answered_raw),
        cmocka_unit_test(a_file_is_content_like_any_other),
        cmocka_unit_test(a_file_that_fails_is_the_fault_of_one),
        cmocka_unit_test(content_that_is_collected_may_exceed_the_window),
        cmocka_unit_test(bytes_of_others_do_not_fill_a_buffer),
        cmocka_unit_test(lines_cost_more_than_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
