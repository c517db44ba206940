/* A service on the simulated network: one worker, one thread, a clock that the test moves. */
#ifndef CAROM_TEST_UNIT_HTTP_SIMULATION_H
#define CAROM_TEST_UNIT_HTTP_SIMULATION_H

#include <string.h>

#include "unit/base/support.h"

#include "base/memory.h"
#include "http/connection.h"
#include "net/loop_simulated.h"
#include "record/waker.h"
#include "service/service.h"

/* What the handler keeps with a record: it answers when the test says so. */
struct held {
    carom_waker waker, cancelled;
    carom_record *record;
    bool fired;
    int status;
};

#define HELD_MAX 64

#define SECOND 1000u /* for pass() */

/* The bytes of a request. */
#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct simulation {
    carom_service *service;
    struct carom_loop *loop;
    carom_record *held[HELD_MAX]; /* given to the handler and not released */
    int held_count;
    int cancelled; /* CANCELLED edges that fired */
} sim;

static void turn(void)
{
    do
        carom_worker_turn(&sim.service->workers[0], false);
    while (carom_simulated_busy(sim.loop) || carom_worker_busy(&sim.service->workers[0]));
}

static void pass(uint64_t milliseconds)
{
    carom_simulated_advance(sim.loop, milliseconds);
    turn();
}

static void forget(carom_record *record)
{
    for (int i = 0; i < sim.held_count; i++)
        if (sim.held[i] == record) {
            memmove(&sim.held[i], &sim.held[i + 1],
                    (size_t)(sim.held_count - i - 1) * sizeof *sim.held);
            sim.held_count--;
            return;
        }
}

static void release(carom_record *record)
{
    forget(record);
    carom_release(record);
}

static inline int answer(carom_record *record, const char *text)
{
    const carom_response response = {.status = 200, .content = {text, strlen(text), NULL, NULL}};
    return carom_respond(record, &response);
}

static inline void answer_and_release(carom_record *record, const char *text)
{
    answer(record, text);
    release(record);
}

static inline void on_cancelled(carom_waker *waker, int status)
{
    (void)waker;
    assert_int_equal(status, 0);
    sim.cancelled++;
}

/* "/now" is answered with its content's length at the end of the content; "/hold" is kept. */
static inline void on_content(carom_waker *waker, int status)
{
    struct held *held = carom_container(waker, struct held, waker);
    held->fired = true;
    held->status = status;
    carom_slice target = carom_request_target(held->record);
    if (status < 0 || target.length == 5) /* "/hold" */
        return;
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)carom_request_buffered(held->record));
    answer_and_release(held->record, text);
}

static inline void simulation_handler(carom_record *record, void *data)
{
    struct held *held = carom_record_state(record);
    (void)data;
    held->record = record;
    held->waker.wake = on_content;
    held->cancelled.wake = on_cancelled;
    assert_true(sim.held_count < HELD_MAX);
    sim.held[sim.held_count++] = record;
    assert_int_equal(carom_wait(record, CAROM_CANCELLED, &held->cancelled), 0);
    assert_int_equal(carom_request_collect(record, 1000, &held->waker), 0);
}

/* Holds the request and reads nothing. */
static inline void idle_handler(carom_record *record, void *data)
{
    (void)data;
    assert_true(sim.held_count < HELD_MAX);
    sim.held[sim.held_count++] = record;
}

/* Reads all content that is there; how much. */
static inline uint64_t drain_content(carom_record *record)
{
    uint64_t length = 0;
    carom_slice slice;
    while (carom_request_read(record, &slice) == 1)
        length += slice.length;
    turn();
    return length;
}

static inline carom_options simulation_options(void)
{
    carom_options options = CAROM_OPTIONS_INIT;
    options.handler = simulation_handler;
    options.record_state = sizeof(struct held);
    options.pool_floor = 1;
    return options;
}

static void create(const carom_options *options)
{
    sim = (struct simulation){0};
    assert_int_equal(carom_service_create_on(&sim.service, options, carom_loop_simulated_create),
                     0);
    sim.loop = sim.service->workers[0].loop;
}

static void start(void)
{
    assert_int_equal(carom_service_listen(sim.service, "127.0.0.1:0"), 0);
    assert_int_equal(carom_service_start(sim.service), 0);
}

static inline void begin(const carom_options *options)
{
    create(options);
    start();
}

static inline carom_stats stats_now(void)
{
    carom_stats stats = CAROM_STATS_INIT;
    carom_service_stats(sim.service, &stats);
    return stats;
}

/* Shut down at once; everything must come back. */
static inline carom_stats finish(void)
{
    carom_shutdown(sim.service, 0);
    turn();
    pass(1);
    while (sim.held_count > 0)
        release(sim.held[0]);
    turn();
    const carom_stats stats = stats_now();
    assert_int_equal(stats.connections_open, 0);
    assert_int_equal(stats.records_in_flight, 0);
    uint64_t ended = 0;
    for (int reason = 0; reason < CAROM_REASON_COUNT; reason++)
        ended += stats.ended[reason];
    assert_int_equal(ended, stats.records_recycled);
    assert_int_equal(stats.ended[CAROM_REASON_NONE], 0);
    assert_true(sim.service->workers[0].drained);
    assert_int_equal(sim.service->workers[0].connections.owed, 0);
    atomic_store(&sim.service->state, CAROM_SERVICE_DRAINED);
    assert_int_equal(carom_service_destroy(sim.service), 0);
    return stats;
}

static inline struct carom_peer *connect_peer(void)
{
    struct carom_peer *peer = carom_simulated_connect(sim.loop);
    assert_non_null(peer);
    return peer;
}

/* A client of a program that holds its requests and reads nothing. */
static inline struct carom_peer *begin_idle(carom_options *options)
{
    options->handler = idle_handler;
    begin(options);
    return connect_peer();
}

static inline void say(struct carom_peer *peer, const char *text)
{
    carom_peer_send(peer, text, strlen(text));
}

/* What the peer has got so far, as a string that lives until the next call. */
static inline const char *got(const struct carom_peer *peer)
{
    static char copy[16384];
    size_t length;
    const char *bytes = carom_peer_received(peer, &length);
    assert_true(length < sizeof copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

/* How often a text has a part. */
static inline int count(const char *text, const char *part)
{
    int found = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        found++;
    return found;
}

static inline void assert_got(const struct carom_peer *peer, const char *part)
{
    if (strstr(got(peer), part) == NULL)
        fail_msg("no \"%s\" in \"%s\"", part, got(peer));
}

#endif
