/* Fuzzes carom_options: any values are accepted, or refused with an error that has a name. A
 * service with those that are accepted answers lawfully, keeps a connection as long as it has
 * promised, and gives all memory back; also when that runs out in the middle of its creation.
 *
 * Input: size and backend (1 byte), booleans (1), allocations that do not fail (1), then for each
 * number a byte that chooses a value, with 4 bytes behind it when it chooses those. */
#include "fuzz/network.h"
#include "fuzz/reply.h"

#include "service/options.h"

#define OFFSET(option) offsetof(carom_options, option)

static const size_t numbers[] = {
    OFFSET(workers),        OFFSET(backlog),
    OFFSET(record_state),   OFFSET(pool_floor),
    OFFSET(max_target),     OFFSET(max_header_section),
    OFFSET(max_fields),     OFFSET(max_connections),
    OFFSET(max_in_flight),  OFFSET(max_connection_requests),
    OFFSET(max_pipeline),   OFFSET(write_buffer),
    OFFSET(drain_content),  OFFSET(header_timeout),
    OFFSET(keep_alive),     OFFSET(first_byte_timeout),
    OFFSET(content_rate),   OFFSET(keep_alive_grace),
    OFFSET(content_window), OFFSET(write_timeout),
    OFFSET(linger_timeout), OFFSET(handler_timeout),
};

/* The handler's one record: requests come one after the other. */
static struct held {
    carom_waker waker;
    carom_record *record;
} held;

static void content_came(carom_waker *waker, int status)
{
    (void)waker;
    const carom_response response = {.status = 200, .content = {"hello", 5, NULL, NULL}};
    carom_assert(status == 0 || status == -CAROM_ETOOBIG || status == -CAROM_ECANCELED);
    carom_respond(held.record, &response);
    carom_release(held.record);
}

static void handle(carom_record *record, void *data)
{
    (void)data;
    held = (struct held){.waker.wake = content_came, .record = record};
    int error = carom_request_collect(record, 100, &held.waker);
    carom_assert(error == 0);
}

static uint32_t take_value(struct input *input)
{
    static const uint32_t values[] = {0,         1, 2, 1000, UINT16_MAX, 1u << 20, UINT32_MAX - 1,
                                      UINT32_MAX};
    uint8_t which = take_byte(input);
    return which < 128 ? values[which % 8] : take_number(input, 4);
}

static carom_options take_options(struct input *input)
{
    static const char *const backends[] = {NULL, "epoll", "", "simulated"};
    carom_options options = CAROM_OPTIONS_INIT;
    uint8_t first = take_byte(input), booleans = take_byte(input);
    options.handler = booleans & 4 ? NULL : handle;
    options.backend = backends[first & 3];
    options.refuse_connections = booleans & 1;
    options.half_close = booleans & 2;
    if (first >> 2 != 0) /* an older struct, or a newer one */
        options.size = (first >> 2) * sizeof options / 60;
    return options;
}

/* As they are given by a program with a struct of another size. */
static int resolve(carom_options *options)
{
    carom_options given = *options;
    size_t size = given.size < sizeof given ? given.size : sizeof given;
    carom_options *copy = exact(&given, size > sizeof given.size ? size : sizeof given.size);
    int error = carom_options_resolve(options, copy);
    free(copy);
    carom_assert(error == 0 || error == -CAROM_EINVAL || error == -CAROM_EUNSUPPORTED);
    carom_assert(given.size <= sizeof given || error == -CAROM_EINVAL);
    return error;
}

/* Creation that may run out of memory. */
static void create_and_destroy(const carom_options *options, uint8_t allocations)
{
    carom_memory_fail_after(allocations);
    int error = network_create(options);
    carom_memory_fail_after(UINT64_MAX);
    carom_assert(error == 0 || error == -CAROM_ENOMEM);
    if (error == 0)
        carom_assert(carom_service_destroy(network.service) == 0);
    network_check_memory();
}

/* The last reply of all that have come; false when there is none. */
static bool last_reply(const struct carom_peer *peer, struct reply *reply)
{
    static const struct asked asked = {0};
    bool any = false;
    size_t length;
    struct bytes_left left = {carom_peer_received(peer, &length), NULL};
    left.end = left.at + length;
    while (left.at < left.end) {
        carom_assert(!any || !reply->close);
        any = reply_head(&left, reply);
        carom_assert(any && (reply->status == 200 || reply->status >= 400));
        carom_assert(reply_body(reply, &asked) == REPLY_LENGTH);
        carom_assert(reply_content(&left, 0, reply->length) == reply->length);
    }
    return any;
}

static void exchange(void)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char post[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n";
    struct carom_peer *peer = carom_simulated_connect(network.loop);
    struct reply reply;
    carom_peer_send(peer, get, sizeof get - 1);
    network_turn();
    carom_peer_send(peer, post, sizeof post - 1);
    network_turn();
    bool replied = last_reply(peer, &reply);
    carom_assert(replied);
    if (!reply.close && reply.keep_alive > 0) {
        network_pass(reply.keep_alive * 1000 - 1);
        carom_assert(!carom_peer_saw_close(peer));
        carom_peer_send(peer, get, sizeof get - 1);
        network_turn();
        last_reply(peer, &reply);
    }
    network_pass(UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    carom_options options = take_options(&input);
    uint8_t allocations = take_byte(&input);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint32_t value = take_value(&input);
        memcpy((char *)&options + numbers[i], &value, sizeof value);
    }
    options.max_content = take_value(&input);
    if (resolve(&options) < 0)
        return 0;
    /* Accepted; but this machine has its limits, and the network one worker. */
    options.workers = 1;
    options.record_state &= UINT16_MAX;
    create_and_destroy(&options, allocations);
    options.pool_floor %= 4;
    int error = network_create(&options);
    carom_assert(error == 0);
    network_start(NULL);
    exchange();
    network_shut_down();
    network_finish();
    network_check_memory();
    return 0;
}
