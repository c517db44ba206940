/* Arguments that are not there or cannot be, and calls in the wrong order, on records and services.
 * Each is told by an error, and nothing of it reaches a client. */
#include <fcntl.h>

#include "unit/service/misuse.h"

/* ---------------------------------------------------------------- arguments, order */

static int no_response(carom_record *record)
{
    return carom_respond(record, NULL);
}
static int no_fields(carom_record *record)
{
    return carom_respond(record, &(carom_response){.status = 200, .field_count = 1});
}
static int no_name(carom_record *record)
{
    const carom_field bad = {{NULL, 4}, CAROM_SLICE("b")};
    return carom_respond(record,
                         &(carom_response){.status = 200, .fields = &bad, .field_count = 1});
}
static int no_value(carom_record *record)
{
    const carom_field bad = {CAROM_SLICE("a"), {NULL, 1}};
    return carom_respond(record,
                         &(carom_response){.status = 200, .fields = &bad, .field_count = 1});
}
static int no_phrase(carom_record *record)
{
    return carom_respond(record, &(carom_response){.status = 200, .phrase = {NULL, 2}});
}
static int given_back;
static void count_back(void *owner)
{
    (void)owner;
    given_back++;
}
static int no_data(carom_record *record)
{
    given_back = 0;
    const carom_response bad = {.status = 200, .content = {NULL, 1, count_back, NULL}};
    int error = carom_respond(record, &bad);
    assert_int_equal(given_back, 1);
    return error;
}
static int no_status(carom_record *record)
{
    return carom_respond(record, &(carom_response){.status = 0});
}
static int a_split_field(carom_record *record)
{
    const carom_field bad = {CAROM_SLICE("a"), CAROM_SLICE("b\r\nc: d")};
    return carom_respond(record,
                         &(carom_response){.status = 200, .fields = &bad, .field_count = 1});
}
static int framing_of_ones_own(carom_record *record)
{
    const carom_field bad = {CAROM_SLICE("transfer-encoding"), CAROM_SLICE("chunked")};
    return carom_respond(record,
                         &(carom_response){.status = 200, .fields = &bad, .field_count = 1});
}
static int another_length(carom_record *record)
{
    const carom_field bad = {CAROM_SLICE("content-length"), CAROM_SLICE("5")};
    carom_response response = ok;
    response.fields = &bad;
    response.field_count = 1;
    return carom_respond(record, &response);
}
static int no_zeros(carom_record *record)
{
    return carom_respond(record, &(carom_response){.status = 200, .reserved = {0, 1}});
}
static int no_zeros_of_a_file(carom_record *record)
{
    const carom_file file = {.descriptor = open("/dev/null", O_RDONLY), .reserved = {1}};
    int error = carom_respond_file(record, &ok, &file);
    assert_int_equal(fcntl(file.descriptor, F_GETFD), -1);
    return error;
}
static int no_file(carom_record *record)
{
    return carom_respond_file(record, &ok, NULL);
}
static int no_response_for_a_file(carom_record *record)
{
    const carom_file file = {.descriptor = open("/dev/null", O_RDONLY)};
    int error = carom_respond_file(record, NULL, &file);
    assert_int_equal(fcntl(file.descriptor, F_GETFD), -1);
    return error;
}
static int no_descriptor(carom_record *record)
{
    return carom_respond_file(record, &ok, &(carom_file){.descriptor = -1});
}
static int no_regular_file(carom_record *record)
{
    const carom_file file = {.descriptor = open("/dev/null", O_RDONLY)};
    return carom_respond_file(record, &ok, &file);
}
static int no_response_to_begin(carom_record *record)
{
    return carom_respond_begin(record, NULL);
}
static int no_response_to_inform(carom_record *record)
{
    return carom_inform(record, NULL);
}
static int a_final_status_informs(carom_record *record)
{
    return carom_inform(record, &ok);
}
static int no_response_to_upgrade(carom_record *record)
{
    return carom_upgrade(record, NULL);
}
static int nobody_asked_for_it(carom_record *record)
{
    return upgrade(record);
}
/* Content with a head that has none: it is given back, and not lost without a word. */
static const carom_response with_content = {.status = 200,
                                            .content = {"text", 4, count_back, NULL}};
static int content_of_a_begun_response(carom_record *record)
{
    given_back = 0;
    int error = carom_respond_begin(record, &with_content);
    assert_int_equal(given_back, 1);
    return error;
}
static int content_that_informs(carom_record *record)
{
    carom_response hints = with_content;
    hints.status = 103;
    given_back = 0;
    int error = carom_inform(record, &hints);
    assert_int_equal(given_back, 1);
    return error;
}
static int content_of_an_upgrade(carom_record *record)
{
    given_back = 0;
    int error = carom_upgrade(record, &with_content);
    assert_int_equal(given_back, 1);
    return error;
}
static int another_length_than_the_contents(carom_record *record)
{
    carom_response response = ok;
    response.content_length = ok.content.length + 1;
    return carom_respond(record, &response);
}
static int content_before_the_head(carom_record *record)
{
    return write_content(record);
}
static int an_end_before_the_head(carom_record *record)
{
    return end_response(record);
}
static int no_content(carom_record *record)
{
    return carom_write(record, NULL);
}
static int no_bytes_of_content(carom_record *record)
{
    return carom_write(record, &(carom_content){.length = 1});
}
static int no_trailers(carom_record *record)
{
    carom_respond_begin(record, &(carom_response){.status = 200});
    return carom_end(record, NULL, 1);
}
static int answered_twice(carom_record *record)
{
    assert_int_equal(carom_respond(record, &ok), 0);
    return carom_respond(record, &ok);
}
static int written_behind_the_end(carom_record *record)
{
    assert_int_equal(carom_respond(record, &ok), 0);
    return write_content(record);
}
static int more_than_was_said(carom_record *record)
{
    carom_respond_begin(record, &(carom_response){.status = 200, .content_length = 3});
    return write_content(record);
}
static int less_than_was_said(carom_record *record)
{
    carom_respond_begin(record, &(carom_response){.status = 200, .content_length = 5});
    write_content(record);
    return end_response(record);
}
static int nowhere_to_put_content(carom_record *record)
{
    return carom_request_read(record, NULL);
}
static int no_waker(carom_record *record)
{
    return carom_wait(record, CAROM_WRITABLE, NULL);
}
static int a_waker_without_a_function(carom_record *record)
{
    return carom_wait(record, CAROM_WRITABLE, &no_function);
}
static int no_such_edge(carom_record *record)
{
    return carom_wait(record, CAROM_EDGE_COUNT, &waker);
}
static int a_time_without_a_function(carom_record *record)
{
    return carom_wait_time(record, 10, &no_function);
}
static int gathering_without_a_function(carom_record *record)
{
    return carom_request_collect(record, 10, &no_function);
}
static int posted_without_a_function(carom_record *record)
{
    return carom_post(record, &no_function);
}
static int posted_without_a_waker(carom_record *record)
{
    return carom_post(record, NULL);
}
static int waited_for_twice(carom_record *record)
{
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waker), 0);
    return carom_wait(record, CAROM_READABLE, &other_waker);
}
static int one_waker_for_two(carom_record *record)
{
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waker), 0);
    return carom_wait_time(record, 10, &waker);
}
static int posted_while_it_waits(carom_record *record)
{
    assert_int_equal(carom_wait(record, CAROM_READABLE, &waker), 0);
    return carom_post(record, &waker);
}
static int a_waker_that_was_not_cleared(carom_record *record)
{
    memset(&waker, 0xaa, sizeof waker);
    waker.wake = never;
    int error = carom_wait(record, CAROM_WRITABLE, &waker);
    assert_int_equal(carom_wait_time(record, 10, &waker), error);
    assert_int_equal(carom_post(record, &waker), error);
    carom_unwait(record, &waker);
    return error;
}
static void take_no_notice(carom_waker *posted, int status)
{
    (void)posted;
    (void)status;
}
static int posted_twice(carom_record *record)
{
    waker.wake = take_no_notice;
    assert_int_equal(carom_post(record, &waker), 0);
    return carom_post(record, &waker);
}
static int waits_while_it_is_posted(carom_record *record)
{
    waker.wake = take_no_notice;
    assert_int_equal(carom_post(record, &waker), 0);
    return carom_wait(record, CAROM_READABLE, &waker);
}
static int no_name_of_a_field(carom_record *record)
{
    size_t cursor = 0;
    bool empty = is_empty(carom_request_field(record, NULL)) &&
                 is_empty(carom_request_field_next(record, NULL, &cursor)) &&
                 is_empty(carom_request_field_next(record, "host", NULL));
    return empty ? 0 : 1;
}
static int nowhere_to_tell(carom_record *record)
{
    carom_record_peer(record, NULL);
    carom_record_local(record, NULL);
    return carom_record_tls(record, NULL) == carom_record_tls_certificate(record, NULL)
               ? carom_record_tls(record, NULL)
               : 1;
}

#define MISUSE(call, error)                                                                        \
    {                                                                                              \
#call, call, error                                                                         \
    }

static const struct {
    const char *name;
    int (*call)(carom_record *record);
    int error;
} misuses[] = {
    MISUSE(no_response, -CAROM_EINVAL),
    MISUSE(no_fields, -CAROM_EINVAL),
    MISUSE(no_name, -CAROM_EINVAL),
    MISUSE(no_value, -CAROM_EINVAL),
    MISUSE(no_phrase, -CAROM_EINVAL),
    MISUSE(no_data, -CAROM_EINVAL),
    MISUSE(no_status, -CAROM_EINVAL),
    MISUSE(a_split_field, -CAROM_EFIELD),
    MISUSE(framing_of_ones_own, -CAROM_EFIELD),
    MISUSE(another_length, -CAROM_ELENGTH),
    MISUSE(no_zeros, -CAROM_EINVAL),
    MISUSE(no_zeros_of_a_file, -CAROM_EINVAL),
    MISUSE(no_file, -CAROM_EINVAL),
    MISUSE(no_response_for_a_file, -CAROM_EINVAL),
    MISUSE(no_descriptor, -CAROM_ENOENT),
    MISUSE(no_regular_file, -CAROM_EFILE),
    MISUSE(no_response_to_begin, -CAROM_EINVAL),
    MISUSE(no_response_to_inform, -CAROM_EINVAL),
    MISUSE(a_final_status_informs, -CAROM_EINVAL),
    MISUSE(no_response_to_upgrade, -CAROM_EINVAL),
    MISUSE(nobody_asked_for_it, -CAROM_ESTATE),
    MISUSE(content_of_a_begun_response, -CAROM_EINVAL),
    MISUSE(content_that_informs, -CAROM_EINVAL),
    MISUSE(content_of_an_upgrade, -CAROM_EINVAL),
    MISUSE(another_length_than_the_contents, -CAROM_ELENGTH),
    MISUSE(content_before_the_head, -CAROM_ESTATE),
    MISUSE(an_end_before_the_head, -CAROM_ESTATE),
    MISUSE(no_content, -CAROM_EINVAL),
    MISUSE(no_bytes_of_content, -CAROM_EINVAL),
    MISUSE(no_trailers, -CAROM_EINVAL),
    MISUSE(answered_twice, -CAROM_ESTATE),
    MISUSE(written_behind_the_end, -CAROM_ESTATE),
    MISUSE(more_than_was_said, -CAROM_ELENGTH),
    MISUSE(less_than_was_said, -CAROM_ELENGTH),
    MISUSE(nowhere_to_put_content, -CAROM_EINVAL),
    MISUSE(no_waker, -CAROM_EINVAL),
    MISUSE(a_waker_without_a_function, -CAROM_EINVAL),
    MISUSE(no_such_edge, -CAROM_EINVAL),
    MISUSE(a_time_without_a_function, -CAROM_EINVAL),
    MISUSE(gathering_without_a_function, -CAROM_EINVAL),
    MISUSE(posted_without_a_function, -CAROM_EINVAL),
    MISUSE(posted_without_a_waker, -CAROM_EINVAL),
    MISUSE(a_waker_that_was_not_cleared, -CAROM_ESTATE),
    MISUSE(waited_for_twice, -CAROM_ESTATE),
    MISUSE(one_waker_for_two, -CAROM_ESTATE),
    MISUSE(posted_while_it_waits, -CAROM_ESTATE),
    MISUSE(posted_twice, -CAROM_ESTATE),
    MISUSE(waits_while_it_is_posted, -CAROM_ESTATE),
    MISUSE(no_name_of_a_field, 0),
    MISUSE(nowhere_to_tell, -CAROM_EINVAL),
};

/* The record stands as before: what was begun goes on, what was not is answered by the engine. */
static void a_wrong_call_is_told_and_does_nothing(void **state)
{
    for (size_t i = 0; i < COUNT(misuses); i++) {
        make_wakers(state);
        carom_record *record = hold_one();
        int error = misuses[i].call(record);
        if (error != misuses[i].error)
            fail_msg("%s: %s", misuses[i].name, carom_error_name(error));
        turn();
        carom_outcome now = carom_record_outcome(record);
        assert_true(now.reason == CAROM_REASON_NONE || now.reason == CAROM_REASON_COMPLETE);
        release(record);
        turn();
        assert_got(peer, "HTTP/1.1 ");
        finish();
    }
}

/* ---------------------------------------------------------------- services */

static void there_is_no_service(void **state)
{
    (void)state;
    const carom_options options = simulation_options();
    const carom_tls_options tls_options = CAROM_TLS_OPTIONS_INIT;
    carom_service *service;
    carom_address address;
    carom_stats stats = CAROM_STATS_INIT;
    assert_int_equal(carom_service_create(NULL, &options), -CAROM_EINVAL);
    assert_int_equal(carom_service_create(&service, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_service_listen(NULL, "127.0.0.1:0"), -CAROM_EINVAL);
    assert_int_equal(carom_service_listen_tls(NULL, "127.0.0.1:0", &tls_options), -CAROM_EINVAL);
    assert_int_equal(carom_tls_reload(NULL), -CAROM_EINVAL);
    assert_int_equal(carom_tls_replace(NULL, &tls_options), -CAROM_EINVAL);
    assert_int_equal(carom_tls_set_ticket_keys(NULL, (carom_slice){"", 0}), -CAROM_EINVAL);
    assert_int_equal(carom_tls_self_signed(NULL, "localhost"), -CAROM_EINVAL);
    carom_tls_certificate_free(NULL);
    assert_int_equal(carom_service_listener_count(NULL), 0);
    assert_int_equal(carom_service_listener(NULL, 0, &address), -CAROM_EINVAL);
    assert_int_equal(carom_run(NULL), -CAROM_EINVAL);
    assert_int_equal(carom_service_descriptor(NULL), -CAROM_EINVAL);
    assert_int_equal(carom_service_turn(NULL), -CAROM_EINVAL);
    carom_shutdown(NULL, 0);
    assert_int_equal(carom_service_wait_drained(NULL, &waker), -CAROM_EINVAL);
    assert_int_equal(carom_service_adjust(NULL, &options), -CAROM_EINVAL);
    assert_int_equal(carom_service_stats(NULL, &stats), -CAROM_EINVAL);
    assert_string_equal(carom_service_backend(NULL), "");
    assert_int_equal(carom_service_destroy(NULL), 0);
}

static void there_is_no_worker(void **state)
{
    (void)state;
    const carom_slice topic = {"a", 1};
    const carom_content content = {.data = "x", .length = 1, .give_back = count_back};
    given_back = 0;
    assert_null(carom_service_worker(NULL, 0));
    assert_null(carom_record_worker(NULL));
    assert_null(carom_worker_data(NULL));
    assert_int_equal(carom_worker_index(NULL), 0);
    carom_worker_set_data(NULL, &given_back);
    assert_int_equal(carom_service_records(NULL, 0, NULL, NULL), 0);
    assert_int_equal(carom_post_worker(NULL, &waker), -CAROM_EINVAL);
    assert_int_equal(carom_wait_time_worker(NULL, 1, &waker), -CAROM_EINVAL);
    carom_unwait_worker(NULL, &waker);
    assert_int_equal(carom_publish(NULL, topic, CAROM_WEBSOCKET_TEXT, &content), -CAROM_EINVAL);
    assert_int_equal(given_back, 1);
    assert_int_equal(carom_publish(NULL, topic, CAROM_WEBSOCKET_TEXT, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_subscribers(NULL, topic), 0);
}

static void a_worker_is_asked_for_what_it_cannot(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    carom_worker *worker = carom_service_worker(sim.service, 0);
    assert_non_null(worker);
    assert_null(carom_service_worker(sim.service, 1));
    assert_int_equal(carom_service_records(sim.service, 1, NULL, NULL), 0);
    assert_int_equal(carom_wait_time_worker(worker, 1, &no_function), -CAROM_EINVAL);
    assert_int_equal(carom_post_worker(worker, NULL), -CAROM_EINVAL);
    carom_unwait_worker(worker, NULL);
    assert_int_equal(carom_subscribers(sim.service, (carom_slice){NULL, 0}), 0);
    finish();
}

/* A program that was compiled with other counters gets those that it knows, and 0 of what we do not
 * have. */
static void counters_are_as_many_as_the_program_has(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    struct carom_peer *asking = connect_peer();
    say(asking, GET("/now"));
    turn();
    union {
        carom_stats stats;
        uint64_t words[CAROM_STATS_WORDS + 2];
    } of_ours, of_theirs;
    of_ours.stats = stats_now();
    for (size_t words = 1; words <= CAROM_STATS_WORDS + 1; words++) {
        memset(&of_theirs, 0x55, sizeof of_theirs);
        of_theirs.stats.size = words * sizeof(uint64_t);
        assert_int_equal(carom_service_stats(sim.service, &of_theirs.stats), 0);
        assert_int_equal(of_theirs.stats.size, words * sizeof(uint64_t));
        for (size_t i = 1; i < CAROM_STATS_WORDS + 2; i++) {
            uint64_t told = i < CAROM_STATS_WORDS ? of_ours.words[i] : 0;
            assert_true(of_theirs.words[i] == (i < words ? told : UINT64_C(0x5555555555555555)));
        }
    }
    assert_int_equal(of_ours.stats.requests, 1);
    finish();
}

static void a_service_is_asked_for_what_it_cannot(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    begin(&options);
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), -CAROM_ESTATE);
    assert_int_equal(carom_run(sim.service), -CAROM_ESTATE);
    assert_int_equal(carom_service_destroy(sim.service), -CAROM_ESTATE);
    assert_int_equal(carom_service_wait_drained(sim.service, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_service_wait_drained(sim.service, &no_function), -CAROM_EINVAL);
    assert_int_equal(carom_service_listener(sim.service, 0, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_tls_set_ticket_keys(sim.service, (carom_slice){NULL, 80}),
                     -CAROM_EINVAL);
    assert_int_equal(carom_service_stats(sim.service, NULL), -CAROM_EINVAL);
    assert_int_equal(carom_service_stats(sim.service, &(carom_stats){0}), -CAROM_EINVAL);
    assert_int_equal(carom_set_allocator(NULL), -CAROM_EINVAL);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup(a_wrong_call_is_told_and_does_nothing, make_wakers),
        cmocka_unit_test_setup(there_is_no_service, make_wakers),
        cmocka_unit_test_setup(there_is_no_worker, make_wakers),
        cmocka_unit_test_setup(a_worker_is_asked_for_what_it_cannot, make_wakers),
        cmocka_unit_test_setup(counters_are_as_many_as_the_program_has, make_wakers),
        cmocka_unit_test_setup(a_service_is_asked_for_what_it_cannot, make_wakers),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
