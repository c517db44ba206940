/* Calls on what is no record or was released, and on the wrong thread. Each is told by an error, or
 * by one line that names the call before the program ends. */
#include <fcntl.h>
#include <pthread.h>

#include "unit/service/misuse.h"

#ifdef CAROM_EXPENSIVE_CHECKS
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

static void no_event(carom_io *io, int events)
{
    (void)events;
    fail_msg("%p is ready", (void *)io);
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
static int inform(carom_record *record)
{
    return carom_inform(record, &(carom_response){.status = 103});
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

/* Its response is on its way, and will be for long: the handler's state is poisoned all the same.
 */
static void what_was_kept_in_its_state_is_poisoned(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    const unsigned char *own = carom_record_state(record);
    release(record);
    assert_int_equal(sim.service->workers[0].connections.records.pool.in_use, 1);
#ifdef CAROM_POISONS
    assert_true(__asan_address_is_poisoned(own));
#else
    assert_int_equal(own[0] == 0xd5 && own[sizeof(struct held) - 1] == 0xd5, DEBUG_BUILD);
#endif
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

static void a_line_that_is_not_there(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    struct attempt fields = {.tell = trailer_at, .record = record};
    assert_ends("carom_request_trailer_at", &fields, "there is no line of this index");
    finish();
}

/* Such as that of options.record_state = sizeof(struct held *). */
static void it_wrote_behind_its_state(void **state)
{
    (void)state;
#ifdef CAROM_POISONS
    skip(); /* that ends the program as it writes */
#endif
    carom_record *record = hold_one();
    struct attempt what = {.record = record};
    char *behind = (char *)carom_record_state(record) + sizeof(struct held);
    for (int i = 0; i < 8; i++) {
        behind[i] ^= 1;
        assert_ends("carom_release", &what,
                    "the handler has written behind its options.record_state bytes");
        behind[i] ^= 1;
    }
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup(there_is_no_record, make_wakers),
        cmocka_unit_test_setup(the_record_was_released, make_wakers),
        cmocka_unit_test_setup(what_was_kept_in_its_state_is_poisoned, make_wakers),
        cmocka_unit_test_setup(this_is_another_thread, make_wakers),
        cmocka_unit_test_setup(this_is_another_thread_than_the_workers, make_wakers),
        cmocka_unit_test_setup(a_line_that_is_not_there, make_wakers),
        cmocka_unit_test_setup(it_wrote_behind_its_state, make_wakers),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
