/* The calls of a response: in which order they may come, what they take over, and what they give
 * back when they refuse. */
#include "unit/http/simulation.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int given_back;

static void count_back(void *owner)
{
    (void)owner;
    given_back++;
}

/* More than is copied, so that it is lent. */
static char bytes[8192];

static carom_content lent(size_t length)
{
    return (carom_content){bytes, length, count_back, NULL};
}

/* A held request of a new client. */
static carom_record *ask(struct carom_peer **peer, const char *request)
{
    given_back = 0;
    *peer = connect_peer();
    say(*peer, request);
    turn();
    assert_int_equal(sim.held_count, 1);
    return sim.held[0];
}

static carom_record *begin_and_ask(carom_options *options, struct carom_peer **peer,
                                   const char *request)
{
    memset(bytes, 'b', sizeof bytes);
    begin(options);
    return ask(peer, request);
}

static int begin_stream(carom_record *record, uint64_t length)
{
    return carom_respond_begin(record, &(carom_response){.status = 200, .content_length = length});
}

static int write_lent(carom_record *record, size_t length)
{
    const carom_content content = lent(length);
    return carom_write(record, &content);
}

static void what_is_refused_is_given_back_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
    for (size_t length = 10; length <= sizeof bytes; length += sizeof bytes - 10) {
        given_back = 0;
        assert_int_equal(
            carom_respond(record, &(carom_response){.status = 99, .content = lent(length)}),
            -CAROM_EINVAL);
        assert_int_equal(given_back, 1);
        assert_int_equal(write_lent(record, length), -CAROM_ESTATE); /* it has not begun */
        assert_int_equal(given_back, 2);
    }
    given_back = 0;
    assert_int_equal(
        carom_respond(record, &(carom_response){.status = 200, .content = lent(sizeof bytes)}), 0);
    turn();
    assert_int_equal(given_back, 1);
    assert_int_equal(
        carom_respond(record, &(carom_response){.status = 200, .content = lent(sizeof bytes)}),
        -CAROM_ESTATE);
    assert_int_equal(given_back, 2);
    finish();
}

/* Short content is copied with its head, long content is lent. */
static void what_is_sent_is_given_back_once(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    memset(bytes, 'b', sizeof bytes);
    begin(&options);
    for (size_t length = 10; length <= sizeof bytes; length += sizeof bytes - 10) {
        carom_record *record = ask(&peer, GET("/hold"));
        const carom_response response = {.status = 200, .content = lent(length)};
        assert_int_equal(carom_respond(record, &response), 0);
        turn();
        assert_int_equal(given_back, 1);
        release(record);
    }
    finish();
}

static void content_is_as_long_as_was_said(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
    assert_int_equal(begin_stream(record, 5), 0);
    assert_int_equal(begin_stream(record, 5), -CAROM_ESTATE);
    assert_int_equal(write_lent(record, 6), -CAROM_ELENGTH);
    assert_int_equal(carom_end(record, NULL, 0), -CAROM_ELENGTH);
    assert_int_equal(write_lent(record, 4), 0);
    assert_int_equal(write_lent(record, 2), -CAROM_ELENGTH);
    assert_int_equal(carom_end(record, NULL, 0), -CAROM_ELENGTH);
    assert_int_equal(write_lent(record, 1), 0);
    assert_int_equal(write_lent(record, 1), -CAROM_ELENGTH);
    assert_int_equal(carom_end(record, NULL, 0), 0);
    assert_int_equal(carom_end(record, NULL, 0), -CAROM_ESTATE);
    assert_int_equal(given_back, 5);
    turn();
    assert_got(peer, "Content-Length: 5\r\n");
    assert_got(peer, "\r\n\r\nbbbbb");
    finish();
}

/* A piece more than the buffer is taken, and no further one. */
static void a_full_buffer_takes_nothing(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.write_buffer = 1000;
    struct carom_peer *peer;
    carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
    carom_peer_set_window(peer, 0);
    assert_int_equal(begin_stream(record, CAROM_LENGTH_UNKNOWN), 0);
    turn();
    assert_int_equal(write_lent(record, 10), 0);
    assert_int_equal(write_lent(record, 5000), 0);
    assert_int_equal(write_lent(record, 10), -CAROM_EAGAIN);
    turn();
    assert_int_equal(given_back, 2); /* one was copied, one is refused */
    assert_int_equal(write_lent(record, 10), -CAROM_EAGAIN);
    struct held *held = carom_record_state(record);
    held->fired = false;
    assert_int_equal(carom_wait(record, CAROM_WRITABLE, &held->waker), 0);
    turn();
    assert_false(held->fired);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    assert_true(held->fired);
    assert_int_equal(write_lent(record, 10), 0);
    assert_int_equal(carom_end(record, NULL, 0), 0);
    turn();
    assert_int_equal(given_back, 5);
    finish();
}

/* A file of 100 bytes. */
static int a_file(void)
{
    int fd = memfd_create("content", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, 100), 100);
    return fd;
}

static void a_part_of_a_file_lies_in_it(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset, length;
        int result;
    } table[] = {
        {0, 101, -CAROM_ELENGTH},
        {1, 100, -CAROM_ELENGTH},
        {100, 1, -CAROM_ELENGTH},
        {101, CAROM_LENGTH_UNKNOWN, -CAROM_ELENGTH},
        {UINT64_MAX - 5, 10, -CAROM_ELENGTH},
        {0, 100, 0},
        {40, CAROM_LENGTH_UNKNOWN, 0},
        {99, 1, 0},
        {100, 0, 0},
    };
    carom_options options = simulation_options();
    for (size_t i = 0; i < COUNT(table); i++) {
        struct carom_peer *peer;
        carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
        const carom_response response = {.status = 200};
        const carom_file file = {
            .descriptor = a_file(), .offset = table[i].offset, .length = table[i].length};
        assert_int_equal(carom_respond_file(record, &response, &file), table[i].result);
        turn();
        assert_int_equal(fcntl(file.descriptor, F_GETFD), -1); /* it was closed, in any case */
        finish();
    }
}

/* The answer to HEAD has no content, and its file is not kept open for that. */
static void a_file_that_is_not_sent_is_closed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    carom_record *record = begin_and_ask(&options, &peer, "HEAD /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    const carom_response response = {.status = 200};
    const carom_file file = {.descriptor = a_file(), .length = CAROM_LENGTH_UNKNOWN};
    assert_int_equal(carom_respond_file(record, &response, &file), 0);
    turn();
    assert_int_equal(fcntl(file.descriptor, F_GETFD), -1);
    assert_got(peer, "Content-Length: 100\r\n");
    finish();
}

/* options.max_response_head counts names, values and the phrase, whether it is one field or many;
 * what is longer than a page goes with it. */
static void a_head_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    static char value[100000];
    static carom_field fields[1000];
    memset(value, 'v', sizeof value);
    carom_options options = simulation_options();
    options.max_response_head = 90000;
    struct carom_peer *peer;
    for (size_t count = 1; count <= COUNT(fields); count *= 1000) {
        carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
        for (size_t i = 0; i < count; i++)
            fields[i] = (carom_field){CAROM_SLICE("x"), {value, 90000 / count - 1}};
        carom_response response = {
            .status = 200, .fields = fields, .field_count = count, .content = lent(10)};
        response.phrase = (carom_slice)CAROM_SLICE("O");
        assert_int_equal(carom_respond(record, &response), -CAROM_ETOOBIG);
        assert_int_equal(given_back, 1);
        assert_int_equal(carom_inform(record, &(carom_response){.status = 103,
                                                                .fields = fields,
                                                                .field_count = count,
                                                                .phrase = response.phrase}),
                         -CAROM_ETOOBIG);
        response.phrase.length = 0;
        assert_int_equal(carom_respond(record, &response), 0);
        turn();
        size_t length;
        const char *sent = carom_peer_received(peer, &length);
        assert_in_range(length, 90000 + 4 * count, 90000 + 4 * count + 256);
        assert_memory_equal(sent + length - 10, "bbbbbbbbbb", 10);
        finish();
    }
}

static void an_old_client_is_not_informed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    const carom_response hints = {.status = 103};
    carom_record *record = begin_and_ask(&options, &peer, "GET /hold HTTP/1.0\r\n\r\n");
    assert_int_equal(carom_inform(record, &hints), 0);
    turn();
    assert_string_equal(got(peer), "");
    answer_and_release(record, "old");
    turn();
    record = ask(&peer, GET("/hold"));
    assert_int_equal(carom_inform(record, &hints), 0);
    turn();
    assert_string_equal(got(peer), "HTTP/1.1 103 Early Hints\r\n\r\n");
    answer(record, "new");
    assert_int_equal(carom_inform(record, &hints), -CAROM_ESTATE);
    finish();
}

/* Its handler need not know of it (RFC 9110, 9.3.6). */
static void a_tunnel_that_nobody_makes_is_405(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    /* Five characters, as /hold has. */
    carom_record *record =
        begin_and_ask(&options, &peer, "CONNECT a:100 HTTP/1.1\r\nHost: a:100\r\n\r\n");
    assert_int_equal(carom_respond(record, &(carom_response){.status = 200}), -CAROM_EINVAL);
    sim.held_count = 0;
    carom_release(record);
    turn();
    assert_got(peer, "HTTP/1.1 405 Method Not Allowed\r\n");
    assert_got(peer, "\r\nAllow: \r\n");
    assert_got(peer, "\r\nConnection: close\r\n");
    assert_int_equal(finish().ended[CAROM_REASON_ABANDONED], 1);
}

static void only_who_asks_is_upgraded(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response switching = {.status = 101, .fields = &field, .field_count = 1};
    carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
    assert_int_equal(carom_upgrade(record, &switching), -CAROM_ESTATE);
    answer_and_release(record, "no");
    turn();
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    record =
        ask(&peer, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_int_equal(carom_upgrade(record, &switching), 0);
    turn();
    assert_got(peer, "HTTP/1.1 101 ");
    finish();
}

/* Behind a half of it nobody knows where the other protocol begins. */
static void only_a_whole_request_is_upgraded(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler = idle_handler;
    struct carom_peer *peer;
    const carom_field field = {CAROM_SLICE("Upgrade"), CAROM_SLICE("x")};
    const carom_response switching = {.status = 101, .fields = &field, .field_count = 1};
    carom_record *record = begin_and_ask(&options, &peer,
                                         "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                         "Upgrade: x\r\nContent-Length: 5\r\n\r\nhell");
    assert_int_equal(carom_upgrade(record, &switching), -CAROM_ESTATE);
    assert_int_equal(drain_content(record), 4);
    say(peer, "o");
    turn();
    assert_int_equal(drain_content(record), 1);
    assert_int_equal(carom_upgrade(record, &switching), 0);
    turn();
    assert_got(peer, "HTTP/1.1 101 ");
    finish();
}

/* No length said: it ends when it ends. */
static void a_length_of_nothing_is_none(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, CAROM_LENGTH_UNKNOWN};
    carom_options options = simulation_options();
    struct carom_peer *peer;
    begin(&options);
    for (size_t i = 0; i < 2; i++) {
        carom_record *record = ask(&peer, GET("/hold"));
        assert_int_equal(begin_stream(record, lengths[i]), 0);
        assert_int_equal(write_lent(record, 3), 0);
        assert_int_equal(carom_end(record, NULL, 0), 0);
        release(record);
        turn();
        assert_got(peer, "Transfer-Encoding: chunked\r\n");
    }
    finish();
}

/* The handler was in time, and is not timed afterwards. */
static void a_head_of_any_kind_ends_the_handlers_time(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.handler_timeout = 500;
    for (int kind = 0; kind < 4; kind++) {
        struct carom_peer *peer;
        begin(&options);
        carom_record *record = ask(&peer, GET("/hold"));
        pass(400);
        if (kind == 0)
            assert_int_equal(carom_respond_raw(record), 0);
        else if (kind == 1)
            assert_int_equal(begin_stream(record, 5), 0);
        else if (kind == 2)
            assert_int_equal(carom_inform(record, &(carom_response){.status = 103}), 0);
        pass(1000);
        assert_int_equal(carom_record_outcome(record).reason,
                         kind < 2 ? CAROM_REASON_NONE : CAROM_REASON_HANDLER_TIMEOUT);
        finish();
    }
}

/* Trailers as long as the limit of a head, and a byte more. */
static void trailers_may_be_as_long_as_the_limit(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_response_head = 1000;
    struct carom_peer *peer;
    carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
    assert_int_equal(begin_stream(record, 0), 0);
    carom_field trailers[2] = {{CAROM_SLICE("a"), {bytes, 499}}, {CAROM_SLICE("b"), {bytes, 500}}};
    assert_int_equal(carom_end(record, trailers, 2), -CAROM_ETOOBIG);
    trailers[1].value.length--;
    assert_int_equal(carom_end(record, trailers, 2), 0);
    turn();
    assert_got(peer, "\r\n0\r\na: bbb");
    finish();
}

/* Which of several errors is told: that of the state before that of what is given. */
static void the_state_is_looked_at_first(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    struct carom_peer *peer;
    carom_record *record = begin_and_ask(&options, &peer, GET("/hold"));
    assert_int_equal(carom_respond(record, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_write(record, NULL), -CAROM_EINVAL);
    assert_int_equal(begin_stream(record, 5), 0);
    assert_int_equal(carom_respond(record, NULL), -CAROM_ESTATE);
    carom_cancel(record);
    assert_int_equal(carom_respond(record, NULL), -CAROM_ECANCELED);
    assert_int_equal(carom_write(record, NULL), -CAROM_ECANCELED);
    assert_int_equal(write_lent(record, 5), -CAROM_ECANCELED);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused_is_given_back_once),
        cmocka_unit_test(what_is_sent_is_given_back_once),
        cmocka_unit_test(content_is_as_long_as_was_said),
        cmocka_unit_test(a_full_buffer_takes_nothing),
        cmocka_unit_test(a_part_of_a_file_lies_in_it),
        cmocka_unit_test(a_file_that_is_not_sent_is_closed),
        cmocka_unit_test(a_head_may_be_as_long_as_the_limit),
        cmocka_unit_test(an_old_client_is_not_informed),
        cmocka_unit_test(a_tunnel_that_nobody_makes_is_405),
        cmocka_unit_test(only_who_asks_is_upgraded),
        cmocka_unit_test(only_a_whole_request_is_upgraded),
        cmocka_unit_test(a_length_of_nothing_is_none),
        cmocka_unit_test(a_head_of_any_kind_ends_the_handlers_time),
        cmocka_unit_test(trailers_may_be_as_long_as_the_limit),
        cmocka_unit_test(the_state_is_looked_at_first),
    };
    return cmocka_run_group_tests_name("http/respond", tests, NULL, NULL);
}
