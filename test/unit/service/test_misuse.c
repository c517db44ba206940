/* The interface held wrong: calls on what is no record or was released, arguments that are not
 * there, calls in the wrong order. Each is told by an error, or by one line that names the call
 * before the program ends; and nothing of it reaches a client.
 *
 * tidy: long because it is one table of the whole interface */
#include <fcntl.h>
#include <pthread.h>

#include "unit/http/simulation.h"

#ifdef CAROM_EXPENSIVE_CHECKS
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

static const carom_response ok = {.status = 200, .content = {"text", 4, NULL, NULL}};

static struct carom_peer *peer;

/* A record that the handler holds, with content to come. */
static carom_record *hold_one(void)
{
    carom_options options = simulation_options();
    begin(&options);
    peer = connect_peer();
    say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    turn();
    assert_int_equal(sim.held_count, 1);
    carom_unwait(sim.held[0], &((struct held *)carom_record_state(sim.held[0]))->waker);
    carom_unwait(sim.held[0], &((struct held *)carom_record_state(sim.held[0]))->cancelled);
    return sim.held[0];
}

static void never(carom_waker *waker, int status)
{
    (void)status;
    fail_msg("%p fired", (void *)waker);
}

static void no_event(carom_io *io, int events)
{
    (void)events;
    fail_msg("%p is ready", (void *)io);
}

static carom_waker waker, other_waker, no_function;

static int make_wakers(void **state)
{
    (void)state;
    waker = other_waker = (carom_waker){.wake = never};
    no_function = (carom_waker){.wake = NULL};
    return 0;
}

/* ---------------------------------------------------------------- what is no record any more */

static int respond(carom_record *record)
{
    return carom_respond(record, &ok);
}
static int respond_file(carom_record *record)
{
    const carom_file file = {.descriptor = open("/dev/null", O_RDONLY), .length = 0};
    int error = carom_respond_file(record, &ok, &file);
    assert_int_equal(fcntl(file.descriptor, F_GETFD), -1); /* closed, whatever happens */
    return error;
}
static int respond_begin(carom_record *record)
{
    return carom_respond_begin(record, &ok);
}
static int respond_raw(carom_record *record)
{
    return carom_respond_raw(record);
}
static int redirect(carom_record *record)
{
    return carom_redirect_to_https(record, 443);
}
static int write_content(carom_record *record)
{
    return carom_write(record, &ok.content);
}
static int end_response(carom_record *record)
{
    return carom_end(record, NULL, 0);
}
static int inform(carom_record *record)
{
    return carom_inform(record, &(carom_response){.status = 103});
}
static int upgrade(carom_record *record)
{
    return carom_upgrade(record, &(carom_response){.status = 101});
}
static int read_content(carom_record *record)
{
    carom_slice bytes;
    return carom_request_read(record, &bytes);
}
static int collect(carom_record *record)
{
    return carom_request_collect(record, 10, &waker);
}
static int wait_for(carom_record *record)
{
    return carom_wait(record, CAROM_WRITABLE, &waker);
}
static int wait_time(carom_record *record)
{
    return carom_wait_time(record, 10, &waker);
}
static int post(carom_record *record)
{
    return carom_post(record, &waker);
}
static int tls(carom_record *record)
{
    carom_tls_info info;
    return carom_record_tls(record, &info);
}
static int tls_certificate(carom_record *record)
{
    carom_slice der;
    return carom_record_tls_certificate(record, &der);
}

static const struct {
    const char *name;
    int (*call)(carom_record *record);
} calls[] = {
    {"carom_respond", respond},
    {"carom_respond_file", respond_file},
    {"carom_respond_begin", respond_begin},
    {"carom_respond_raw", respond_raw},
    {"carom_redirect_to_https", redirect},
    {"carom_write", write_content},
    {"carom_end", end_response},
    {"carom_inform", inform},
    {"carom_upgrade", upgrade},
    {"carom_request_read", read_content},
    {"carom_request_collect", collect},
    {"carom_wait", wait_for},
    {"carom_wait_time", wait_time},
    {"carom_post", post},
    {"carom_record_tls", tls},
    {"carom_record_tls_certificate", tls_certificate},
};

/* What only tells of a record: nothing of none. */
static bool is_empty(carom_slice slice)
{
    return slice.data == NULL && slice.length == 0;
}
static bool method(carom_record *record)
{
    return is_empty(carom_request_method(record));
}
static bool target(carom_record *record)
{
    return is_empty(carom_request_target(record));
}
static bool version(carom_record *record)
{
    return carom_request_version(record) == 0;
}
static bool protocol(carom_record *record)
{
    return is_empty(carom_request_protocol(record));
}
static bool field_count(carom_record *record)
{
    return carom_request_field_count(record) == 0;
}
static bool field_at(carom_record *record)
{
    return is_empty(carom_request_field_at(record, 0).name);
}
static bool field(carom_record *record)
{
    return is_empty(carom_request_field(record, "host"));
}
static bool field_next(carom_record *record)
{
    size_t cursor = 0;
    return is_empty(carom_request_field_next(record, "host", &cursor));
}
static bool trailer_count(carom_record *record)
{
    return carom_request_trailer_count(record) == 0;
}
static bool trailer_at(carom_record *record)
{
    return is_empty(carom_request_trailer_at(record, 0).name);
}
static bool content_length(carom_record *record)
{
    return carom_request_content_length(record) == 0;
}
static bool buffered(carom_record *record)
{
    return carom_request_buffered(record) == 0;
}
static bool state_of(carom_record *record)
{
    return carom_record_state(record) == NULL;
}
static bool peer_of(carom_record *record)
{
    carom_address address = {.port = 1};
    carom_record_peer(record, &address);
    return address.family == CAROM_FAMILY_NONE && address.port == 0;
}
static bool local_of(carom_record *record)
{
    carom_address address = {.port = 1};
    carom_record_local(record, &address);
    return address.family == CAROM_FAMILY_NONE && address.port == 0;
}
static bool outcome(carom_record *record)
{
    return carom_record_outcome(record).reason == CAROM_REASON_NONE;
}
static bool reference(carom_record *record)
{
    return carom_record_ref(record).life == NULL;
}
static bool cancel(carom_record *record)
{
    carom_cancel(record);
    return true;
}
static bool unwait(carom_record *record)
{
    carom_unwait(record, &waker);
    return true;
}

static const struct {
    const char *name;
    bool (*call)(carom_record *record);
} tellers[] = {
    {"carom_request_method", method},
    {"carom_request_target", target},
    {"carom_request_version", version},
    {"carom_request_protocol", protocol},
    {"carom_request_field_count", field_count},
    {"carom_request_field_at", field_at},
    {"carom_request_field", field},
    {"carom_request_field_next", field_next},
    {"carom_request_trailer_count", trailer_count},
    {"carom_request_trailer_at", trailer_at},
    {"carom_request_content_length", content_length},
    {"carom_request_buffered", buffered},
    {"carom_record_state", state_of},
    {"carom_record_peer", peer_of},
    {"carom_record_local", local_of},
    {"carom_record_outcome", outcome},
    {"carom_record_ref", reference},
    {"carom_cancel", cancel},
    {"carom_unwait", unwait},
};

static void there_is_no_record(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++)
        if (calls[i].call(NULL) != -CAROM_EINVAL)
            fail_msg("%s without a record", calls[i].name);
    for (size_t i = 0; i < COUNT(tellers); i++)
        if (!tellers[i].call(NULL))
            fail_msg("%s without a record", tellers[i].name);
    carom_release(NULL);
}

struct attempt {
    int (*call)(carom_record *record);
    bool (*tell)(carom_record *record);
    carom_record *record;
};

static void attempt(void *data)
{
    struct attempt *attempt = data;
    if (attempt->call != NULL)
        attempt->call(attempt->record);
    else if (attempt->tell != NULL)
        attempt->tell(attempt->record);
    else
        carom_release(attempt->record);
}

static void assert_ends(const char *name, struct attempt *what, const char *why)
{
    char line[160];
    snprintf(line, sizeof line, "carom: %s: %s\n", name, why);
    assert_says(attempt, what, line);
}

/* A release build tells the caller; one for debugging ends, and names the call. */
static void assert_released(carom_record *record)
{
    static const char why[] = "the record was released";
    struct attempt twice = {.record = record};
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct attempt what = {.call = calls[i].call, .record = record};
        if (DEBUG_BUILD)
            assert_ends(calls[i].name, &what, why);
        else if (calls[i].call(record) != -CAROM_ESTATE)
            fail_msg("%s on a record that was released", calls[i].name);
    }
    for (size_t i = 0; i < COUNT(tellers); i++) {
        struct attempt what = {.tell = tellers[i].call, .record = record};
        if (DEBUG_BUILD)
            assert_ends(tellers[i].name, &what, why);
        else if (!tellers[i].call(record))
            fail_msg("%s on a record that was released", tellers[i].name);
    }
    assert_ends("carom_release", &twice, why); /* the next time it would be another's */
}

static void the_record_was_released(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    release(record); /* and its 500 is not sent yet */
    assert_released(record);
    say(peer, "123456789");
    turn(); /* it lies in its pool */
    assert_int_equal(sim.service->workers[0].connections.records.pool.in_use, 0);
    assert_released(record);
    assert_got(peer, "HTTP/1.1 500 ");
    finish();
}

static void *attempt_there(void *data)
{
    attempt(data);
    return NULL;
}

static void attempt_on_another_thread(void *data)
{
    pthread_t thread;
    pthread_create(&thread, NULL, attempt_there, data);
    pthread_join(thread, NULL);
}

/* All that do something; what only tells may be asked by whoever sees to it that nobody releases.
 */
static void this_is_another_thread(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    for (size_t i = 0; i < COUNT(calls); i++) {
        char line[160];
        struct attempt what = {.call = calls[i].call, .record = record};
        if (calls[i].call == post)
            continue;
        snprintf(line, sizeof line, "carom: %s: this is not the thread of the record's worker\n",
                 calls[i].name);
        assert_says(attempt_on_another_thread, &what, line);
    }
    finish();
}

/* What takes a worker, or tells of one. */
static void list(void)
{
    carom_service_records(sim.service, 0, NULL, NULL);
}
static void set_data(void)
{
    carom_worker_set_data(carom_service_worker(sim.service, 0), NULL);
}
static void data(void)
{
    carom_worker_data(carom_service_worker(sim.service, 0));
}
static void wait_time_worker(void)
{
    carom_wait_time_worker(carom_service_worker(sim.service, 0), 10, &waker);
}
static void unwait_worker(void)
{
    carom_unwait_worker(carom_service_worker(sim.service, 0), &waker);
}
static void watch_worker(void)
{
    static carom_io io = {.ready = no_event};
    carom_watch_worker(carom_service_worker(sim.service, 0), &io, 0, CAROM_WATCH_READABLE);
}

static void *call_there(void *data)
{
    (*(void (**)(void))data)();
    return NULL;
}

static void call_on_another_thread(void *data)
{
    pthread_t thread;
    pthread_create(&thread, NULL, call_there, data);
    pthread_join(thread, NULL);
}

static void this_is_another_thread_than_the_workers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*call)(void);
    } of_a_worker[] = {
        {"carom_service_records", list},
        {"carom_worker_set_data", set_data},
        {"carom_worker_data", data},
        {"carom_wait_time_worker", wait_time_worker},
        {"carom_unwait_worker", unwait_worker},
        {"carom_watch_worker", watch_worker},
    };
    hold_one();
    for (size_t i = 0; i < COUNT(of_a_worker); i++) {
        char line[160];
        void (*call)(void) = of_a_worker[i].call;
        snprintf(line, sizeof line, "carom: %s: this is not the worker's thread\n",
                 of_a_worker[i].name);
        assert_says(call_on_another_thread, &call, line);
    }
    finish();
}

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

static void a_line_that_is_not_there(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    struct attempt fields = {.tell = trailer_at, .record = record};
    assert_ends("carom_request_trailer_at", &fields, "there is no line of this index");
    finish();
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
        cmocka_unit_test_setup(there_is_no_record, make_wakers),
        cmocka_unit_test_setup(the_record_was_released, make_wakers),
        cmocka_unit_test_setup(this_is_another_thread, make_wakers),
        cmocka_unit_test_setup(this_is_another_thread_than_the_workers, make_wakers),
        cmocka_unit_test_setup(a_wrong_call_is_told_and_does_nothing, make_wakers),
        cmocka_unit_test_setup(a_line_that_is_not_there, make_wakers),
        cmocka_unit_test_setup(there_is_no_service, make_wakers),
        cmocka_unit_test_setup(a_service_is_asked_for_what_it_cannot, make_wakers),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
