/* A connection without a stream of bytes: a core on a transport of its own, as QUIC would be one.
 * Requests come whole, answers leave in packets, as many bytes at once as the window lets through,
 * and the peer says which of them it has. This is all of such a protocol; the lists of a turn,
 * deadlines, admission, the drain and the answer are the engine's. */
#include <arpa/inet.h>
#include <string.h>

#include "unit/base/support.h"

#include "base/memory.h"
#include "http/admission.h"
#include "http/connection.h"
#include "record/waker.h"

struct transport {
    struct carom_queue unsent;                 /* the window does not let it through yet */
    uint64_t window, handed, acknowledged;     /* bytes, of all answers */
    struct carom_node exchanges;               /* records in flight, in order */
    int flushes, resumes, read_timeouts, ends; /* as often as each was asked for */
    carom_reason reason;                       /* of its end */
    bool freed;
    struct carom_core core;
};

static struct carom_connections connections;
static struct transport transport;
static carom_record *handled; /* that the handler was called with last */
static unsigned refused;      /* with this status it was refused; 0: it was not */
static uint64_t held_before;  /* memory */
static uint64_t now;
static int frees;
static struct transport *flushed; /* the first one since this was NULL */

static struct transport *of_core(const struct carom_core *core)
{
    return carom_container(core, struct transport, core);
}

/* ---------------------------------------------------------------- exchanges */

static int exchange_head(carom_record *record, const struct carom_response_plan *plan,
                         const carom_response *response)
{
    (void)record, (void)plan, (void)response;
    return 0; /* content is all that leaves */
}

static int exchange_end(carom_record *record, const carom_field *trailers, size_t count)
{
    (void)record, (void)trailers, (void)count;
    return 0;
}

static void exchange_changed(carom_record *record)
{
    carom_core_touch(record->exchange);
}

static void exchange_want(carom_record *record)
{
    (void)record;
}

static uint64_t behind(const carom_record *record, uint64_t position)
{
    return record->stream_end > position ? record->stream_end - position : 0;
}

static uint64_t exchange_unsent(const carom_record *record)
{
    return behind(record, of_core(record->exchange)->handed);
}

static uint64_t exchange_unreceived(const carom_record *record)
{
    return behind(record, of_core(record->exchange)->acknowledged);
}

static struct carom_core *exchange_core(const carom_record *record)
{
    return record->exchange;
}

static void exchange_recycled(carom_record *record)
{
    carom_core_drop(record->exchange);
}

static const struct carom_exchange_ops exchange_ops = {
    .head = exchange_head,
    .end = exchange_end,
    .changed = exchange_changed,
    .want = exchange_want,
    .unsent = exchange_unsent,
    .unreceived = exchange_unreceived,
    .released = exchange_changed,
    .core = exchange_core,
    .recycled = exchange_recycled,
};

static void detach(carom_record *record)
{
    carom_node_remove(&record->link);
    carom_record_drop(record, CAROM_HOLD_EXCHANGE);
}

/* ---------------------------------------------------------------- the carrier */

static void send_packets(struct transport *to)
{
    uint64_t room = to->window - (to->handed - to->acknowledged);
    uint64_t bytes = to->unsent.length < room ? to->unsent.length : room;
    carom_queue_consume(&to->unsent, &connections.records.segments, bytes);
    to->handed += bytes;
}

static void flush(struct carom_core *core)
{
    struct transport *to = of_core(core);
    to->flushes++;
    if (flushed == NULL)
        flushed = to;
    for (struct carom_node *node = to->exchanges.next; node != &to->exchanges; node = node->next) {
        carom_record *record = carom_container(node, carom_record, link);
        uint64_t bytes = record->body.length;
        carom_queue_splice(&to->unsent, &record->body, &connections.records.segments);
        record->content_framed += bytes;
        record->stream_end = to->handed + to->unsent.length;
        record->framed = record->response == CAROM_RESPONSE_WHOLE;
        send_packets(to);
        carom_record_wake_writer(record);
    }
}

static void resume(struct carom_core *core)
{
    of_core(core)->resumes++;
}

static void read_timeout(struct carom_core *core)
{
    of_core(core)->read_timeouts++;
}

static void drop_transport(struct carom_core *core, carom_reason reason, bool reset)
{
    struct transport *to = of_core(core);
    (void)reset;
    carom_core_close(core);
    to->ends++;
    to->reason = reason;
    while (!carom_node_alone(&to->exchanges)) {
        carom_record *record = carom_container(to->exchanges.next, carom_record, link);
        carom_record_cancel(record, reason);
        detach(record);
    }
    carom_queue_clear(&to->unsent, &connections.records.segments);
    carom_core_drop(core);
}

static void drain(struct carom_core *core)
{
    if (carom_node_alone(&of_core(core)->exchanges))
        drop_transport(core, CAROM_REASON_SHUTDOWN, false);
}

static int descriptor(const struct carom_core *core)
{
    (void)core;
    return -1; /* it shares a socket with all others */
}

static uint64_t sent(const struct carom_core *core)
{
    return of_core(core)->handed;
}

static void local(const struct carom_core *core, carom_address *address)
{
    *address = (carom_address){.family = CAROM_IPV4, .port = core->listener};
}

static struct carom_tls_session *tls(const struct carom_core *core)
{
    (void)core;
    return NULL;
}

static void dispose(struct carom_core *core)
{
    of_core(core)->freed = true;
}

static const struct carom_carrier carrier = {
    .flush = flush,
    .resume = resume,
    .read_timeout = read_timeout,
    .drain = drain,
    .abort = drop_transport,
    .descriptor = descriptor,
    .sent = sent,
    .local = local,
    .tls = tls,
    .dispose = dispose,
};

/* There is no other protocol in this program. */
static const struct carom_protocol protocol = {.carrier = &carrier};
const struct carom_protocol *const carom_protocols[CAROM_SPEAKS_COUNT] = {&protocol};

/* ---------------------------------------------------------------- the worker's part */

static void handle(carom_record *record, void *data)
{
    (void)data;
    handled = record;
}

static int rouses;

static void rouse(struct carom_records *records)
{
    (void)records;
    rouses++;
}

static void read_clock(struct carom_records *records)
{
    records->now = now;
}

static void freed(struct carom_connections *of)
{
    assert_ptr_equal(of, &connections);
    frees++;
}

static carom_options options;

static int begin(void **state)
{
    (void)state;
    options = (carom_options)CAROM_OPTIONS_INIT;
    options.handler = handle;
    options.pool_floor = 1;
    options.max_fields = 20;
    options.max_in_flight = 4;
    options.max_content = 1000;
    options.max_connections = 1;
    options.max_connection_requests = UINT32_MAX;
    options.max_response_head = 1000;
    options.write_buffer = 1000;
    options.handler_timeout = options.keep_alive = CAROM_OFF;
    held_before = carom_memory_held();
    now = 1000;
    frees = 0;
    handled = NULL;
    connections = (struct carom_connections){.freed = freed};
    carom_connections_init(&connections, &options, 16384);
    connections.records.rouse = rouse;
    connections.records.read_clock = read_clock;
    connections.records.thread = pthread_self();
    connections.records.now = now;
    carom_wheel_init(&connections.records.wheel, now);
    transport = (struct transport){.window = 10};
    carom_node_init(&transport.exchanges);
    carom_core_init(&transport.core, &connections, 7);
    carom_list_append(&connections.open, &transport.core.link);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (!transport.freed || connections.count != 0 || frees != 1)
        return -1;
    carom_connections_finish(&connections);
    return carom_memory_held() == held_before ? 0 : -1;
}

static void pass(uint64_t milliseconds)
{
    now += milliseconds;
    connections.records.now = now;
    carom_wheel_advance(&connections.records.wheel, now);
}

static void turn(void)
{
    connections.records.in_turn = true;
    carom_connections_resume(&connections);
    carom_wakers_pass(&connections.records);
    carom_connections_flush(&connections);
    connections.records.in_turn = false;
}

/* A request has come whole, with content of this length. */
static void request(uint64_t content_length)
{
    static const uint8_t bytes[] = "GET/";
    carom_record *record = carom_record_take(&connections.records, &exchange_ops, &transport.core);
    assert_non_null(record);
    carom_core_hold(&transport.core);
    carom_list_append(&transport.exchanges, &record->link);
    record->head.method = (struct carom_span){0, 3};
    record->head.target = (struct carom_span){3, 1};
    record->head.version = 30;
    record->head.fields.base = bytes;
    record->head.framing = CAROM_FRAMING_LENGTH;
    record->head.content_length = content_length;
    carom_request_move(record, CAROM_REQUEST_CONTENT);
    carom_admission_count(&transport.core);
    refused = carom_admission_status(&transport.core, record);
    if (refused != 0) {
        carom_admission_refuse(record, refused, carom_admission_reason(refused));
        detach(record);
        return;
    }
    carom_record_content_whole(record);
    carom_admission_dispatch(&connections, record);
    assert_ptr_equal(handled, record);
}

static void answer(carom_record *record, const char *text)
{
    const carom_response response = {.status = 200, .content = {text, strlen(text), NULL, NULL}};
    assert_int_equal(carom_respond(record, &response), 0);
}

/* The peer says that it has all bytes up to here. */
static void acknowledge(uint64_t position)
{
    transport.acknowledged = position;
    send_packets(&transport);
    while (!carom_node_alone(&transport.exchanges)) {
        carom_record *record = carom_container(transport.exchanges.next, carom_record, link);
        if (!record->framed || record->stream_end > position)
            break;
        carom_record_sent(record);
        detach(record);
    }
}

/* ---------------------------------------------------------------- tests */

static void what_was_handed_over_is_not_what_the_peer_has(void **state)
{
    (void)state;
    request(0);
    carom_record *record = handled;
    answer(record, "0123456789abcdef");
    assert_int_equal(carom_record_unsent(record), 16);
    turn();
    assert_int_equal(carom_record_unsent(record), 6); /* the window is of 10 */
    assert_int_equal(carom_record_outcome(record).content_sent, 0);
    acknowledge(4);
    assert_int_equal(carom_record_unsent(record), 2);
    assert_int_equal(carom_record_outcome(record).content_sent, 4);
    acknowledge(10);
    assert_int_equal(carom_record_unsent(record), 0);
    assert_int_equal(carom_record_outcome(record).content_sent, 10);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_NONE);
    acknowledge(16);
    assert_int_equal(carom_record_outcome(record).reason, CAROM_REASON_COMPLETE);
    assert_int_equal(carom_record_outcome(record).content_sent, 16);
    carom_release(record);
    assert_int_equal(connections.records.pool.in_use, 0);
    assert_int_equal(carom_core_sent(&transport.core), 16);
    assert_true(carom_core_is_idle(&transport.core));
    carom_core_destroy(&transport.core, CAROM_REASON_CLIENT_CLOSED, false);
}

static void the_limits_of_admission_hold(void **state)
{
    (void)state;
    request(1001);
    assert_int_equal(refused, 413);
    /* Of four, a connection takes no more than it leaves. */
    carom_record *records[2];
    for (int i = 0; i < 2; i++) {
        request(1000);
        records[i] = handled;
    }
    assert_int_equal(carom_core_records(&transport.core), 2);
    request(0);
    assert_int_equal(refused, 503);
    assert_int_equal(connections.records.refused, 1);
    assert_int_equal(connections.requests, 4);
    assert_int_equal(transport.core.requests, 4);
    carom_core_destroy(&transport.core, CAROM_REASON_CLIENT_RESET, true);
    /* A handler's record keeps the core, and with it a place among the connections. */
    for (int i = 0; i < 2; i++) {
        assert_false(transport.freed);
        assert_true(carom_connections_full(&connections));
        assert_int_equal(frees, 0);
        assert_int_equal(carom_record_outcome(records[i]).reason, CAROM_REASON_CLIENT_RESET);
        carom_release(records[i]);
    }
    assert_false(carom_connections_full(&connections));
}

static void the_core_tells_of_its_ends(void **state)
{
    (void)state;
    carom_address address;
    request(0);
    transport.core.peer = (struct carom_endpoint){{192, 0, 2, 1}, htons(8080), CAROM_IPV4};
    carom_record_peer(handled, &address);
    assert_int_equal(address.family, CAROM_IPV4);
    assert_int_equal(address.port, 8080);
    assert_string_equal(address.text, "192.0.2.1");
    transport.core.peer =
        (struct carom_endpoint){{0x20, 1, 0xd, 0xb8, [15] = 7}, htons(1), CAROM_IPV6};
    carom_record_peer(handled, &address);
    assert_int_equal(address.family, CAROM_IPV6);
    assert_int_equal(address.port, 1);
    assert_string_equal(address.text, "2001:db8::7");
    transport.core.peer = (struct carom_endpoint){.family = CAROM_UNIX};
    carom_record_peer(handled, &address);
    assert_int_equal(address.family, CAROM_UNIX);
    assert_string_equal(address.text, "");
    carom_record_local(handled, &address);
    assert_int_equal(address.port, 7);
    carom_tls_info info;
    assert_int_equal(carom_record_tls(handled, &info), -CAROM_ENOENT);
    assert_int_equal(carom_connection_descriptor(handled), -CAROM_ENOENT);
    carom_core_destroy(&transport.core, CAROM_REASON_CLIENT_RESET, true);
    carom_release(handled);
}

static void its_deadlines_pass_without_a_socket(void **state)
{
    (void)state;
    carom_core_read_within(&transport.core, 100);
    pass(100);
    assert_int_equal(transport.read_timeouts, 0);
    pass(1);
    assert_int_equal(transport.read_timeouts, 1);
    pass(50);
    assert_int_equal(transport.read_timeouts, 1); /* once */
    carom_core_read_within(&transport.core, CAROM_OFF);
    carom_core_write_within(&transport.core, 1000);
    pass(1000);
    assert_int_equal(transport.ends, 0);
    pass(1);
    assert_int_equal(transport.ends, 1);
    assert_int_equal(transport.reason, CAROM_REASON_WRITE_TIMEOUT);
}

static void it_takes_part_in_turns_and_drains(void **state)
{
    (void)state;
    carom_core_touch(&transport.core);
    carom_core_touch(&transport.core);
    assert_true(carom_connections_busy(&connections));
    turn();
    assert_int_equal(transport.flushes, 1);
    assert_false(carom_connections_busy(&connections));
    carom_core_resume(&transport.core);
    turn();
    assert_int_equal(transport.resumes, 1);
    request(0);
    carom_connections_drain(&connections);
    assert_int_equal(transport.ends, 0);
    answer(handled, "last");
    turn();
    acknowledge(4);
    carom_release(handled);
    carom_core_touch(&transport.core);
    assert_true(
        carom_core_is_idle(&transport.core)); /* what waits for its flush asks for nothing */
    turn();
    assert_true(carom_core_is_idle(&transport.core));
    carom_connections_drain(&connections);
    assert_int_equal(transport.ends, 1);
}

/* Between two turns a worker sleeps, and its alarm is for what was known then. */
static void a_time_that_is_set_between_turns_rouses_the_worker(void **state)
{
    (void)state;
    request(0);
    turn();
    assert_true(carom_inbox_sleep(&connections.records.inbox));
    rouses = 0;
    assert_int_equal(carom_set_handler_timeout(handled, 10), 0);
    assert_int_equal(rouses, 1);
    carom_inbox_awake(&connections.records.inbox);
    answer(handled, "fine");
    turn();
    acknowledge(4);
    carom_release(handled);
    carom_core_destroy(&transport.core, CAROM_REASON_CANCELED, false);
}

static void who_is_answered_first_is_sent_to_first(void **state)
{
    struct transport other = {.window = 10};
    (void)state;
    carom_node_init(&other.exchanges);
    carom_core_init(&other.core, &connections, 7);
    carom_list_append(&connections.open, &other.core.link);
    for (int i = 0; i < 2; i++) {
        struct transport *first = i == 0 ? &transport : &other;
        flushed = NULL;
        carom_core_touch(&first->core);
        carom_core_touch(i == 0 ? &other.core : &transport.core);
        turn();
        assert_ptr_equal(flushed, first);
    }
    assert_int_equal(transport.flushes + other.flushes, 4);
    carom_core_destroy(&other.core, CAROM_REASON_CANCELED, false);
    assert_true(other.freed);
    frees--; /* end() knows of one */
    carom_core_destroy(&transport.core, CAROM_REASON_CANCELED, false);
}

/* Whatever list of the turn a connection is in. */
static void all_are_drained(void **state)
{
    (void)state;
    carom_core_resume(&transport.core);
    carom_connections_drain(&connections);
    assert_int_equal(transport.ends, 1);
    turn();
}

static void all_are_cancelled(void **state)
{
    (void)state;
    carom_core_resume(&transport.core);
    carom_connections_cancel(&connections);
    assert_int_equal(transport.core.state, CAROM_CONNECTION_CLOSED);
    turn();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_was_handed_over_is_not_what_the_peer_has),
        TEST(the_limits_of_admission_hold),
        TEST(the_core_tells_of_its_ends),
        TEST(its_deadlines_pass_without_a_socket),
        TEST(it_takes_part_in_turns_and_drains),
        TEST(a_time_that_is_set_between_turns_rouses_the_worker),
        TEST(who_is_answered_first_is_sent_to_first),
        TEST(all_are_drained),
        TEST(all_are_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
