/* Calls on what is no socket, has ended, or is another thread's. Each is told by an error, or by
 * one line that names the call before the program ends. */
#include <pthread.h>

#include "unit/websocket/sockets.h"

#ifdef CAROM_EXPENSIVE_CHECKS
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

static const carom_content word = {.data = "word", .length = 4};
static const carom_slice topic = CAROM_SLICE("room");
static const carom_slice nothing = {NULL, 0};

static int send_message(carom_websocket *socket)
{
    return carom_websocket_send(socket, CAROM_WEBSOCKET_TEXT, &word);
}
static int send_piece(carom_websocket *socket)
{
    return carom_websocket_send_piece(socket, CAROM_WEBSOCKET_TEXT, &word, true);
}
static int ping(carom_websocket *socket)
{
    return carom_websocket_ping(socket, NULL, 0);
}
static int pong(carom_websocket *socket)
{
    return carom_websocket_pong(socket, NULL, 0);
}
static int close_it(carom_websocket *socket)
{
    return carom_websocket_close(socket, 1000, nothing);
}
static int subscribe(carom_websocket *socket)
{
    return carom_websocket_subscribe(socket, topic);
}

static int given_back;

static void give_back(void *owner)
{
    (void)owner;
    given_back++;
}

static int publish(carom_websocket *socket)
{
    const carom_content lent = {.data = "word", .length = 4, .give_back = give_back};
    given_back = 0;
    int error = carom_websocket_publish(socket, topic, CAROM_WEBSOCKET_TEXT, &lent);
    assert_int_equal(given_back, 1);
    return error;
}

static const struct {
    const char *name;
    int (*call)(carom_websocket *socket);
} calls[] = {
    {"carom_websocket_send", send_message}, {"carom_websocket_send_piece", send_piece},
    {"carom_websocket_ping", ping},         {"carom_websocket_pong", pong},
    {"carom_websocket_close", close_it},    {"carom_websocket_subscribe", subscribe},
    {"carom_websocket_publish", publish},
};

/* What only tells, or does what needs no answer: nothing of none. */
static bool buffered(carom_websocket *socket)
{
    return carom_websocket_buffered(socket) == 0;
}
static bool pause_it(carom_websocket *socket)
{
    carom_websocket_pause(socket);
    return true;
}
static bool resume(carom_websocket *socket)
{
    carom_websocket_resume(socket);
    return true;
}
static bool state_of(carom_websocket *socket)
{
    return carom_websocket_get_state(socket) == CAROM_WEBSOCKET_CLOSED;
}
static bool data_of(carom_websocket *socket)
{
    return carom_websocket_data(socket) == NULL;
}
static bool set_data(carom_websocket *socket)
{
    carom_websocket_set_data(socket, &given_back);
    return true;
}
static bool protocol(carom_websocket *socket)
{
    return carom_websocket_protocol(socket).data == NULL;
}
static bool compressed(carom_websocket *socket)
{
    return !carom_websocket_is_compressed(socket);
}
static bool peer_of(carom_websocket *socket)
{
    carom_address address;
    carom_websocket_peer(socket, &address);
    return address.family == CAROM_FAMILY_NONE;
}
static bool worker_of(carom_websocket *socket)
{
    return carom_websocket_worker(socket) == NULL;
}
static bool ref_of(carom_websocket *socket)
{
    return carom_websocket_get(carom_websocket_get_ref(socket)) == NULL;
}
static bool abort_it(carom_websocket *socket)
{
    carom_websocket_abort(socket);
    return true;
}
static bool unsubscribe(carom_websocket *socket)
{
    return carom_websocket_unsubscribe(socket, topic) == 0;
}
static bool subscribed(carom_websocket *socket)
{
    return !carom_websocket_is_subscribed(socket, topic);
}

static const struct {
    const char *name;
    bool (*call)(carom_websocket *socket);
} tellers[] = {
    {"carom_websocket_buffered", buffered},
    {"carom_websocket_pause", pause_it},
    {"carom_websocket_resume", resume},
    {"carom_websocket_get_state", state_of},
    {"carom_websocket_data", data_of},
    {"carom_websocket_set_data", set_data},
    {"carom_websocket_protocol", protocol},
    {"carom_websocket_is_compressed", compressed},
    {"carom_websocket_peer", peer_of},
    {"carom_websocket_worker", worker_of},
    {"carom_websocket_get_ref", ref_of},
    {"carom_websocket_abort", abort_it},
    {"carom_websocket_unsubscribe", unsubscribe},
    {"carom_websocket_is_subscribed", subscribed},
};

struct attempt {
    int (*call)(carom_websocket *socket);
    bool (*tell)(carom_websocket *socket);
    carom_websocket *socket;
};

static void *attempt(void *data)
{
    struct attempt *attempt = data;
    if (attempt->call != NULL)
        attempt->call(attempt->socket);
    else
        attempt->tell(attempt->socket);
    return NULL;
}

static void attempt_here(void *data)
{
    attempt(data);
}

static void attempt_on_another_thread(void *data)
{
    pthread_t thread;
    pthread_create(&thread, NULL, attempt, data);
    pthread_join(thread, NULL);
}

static void assert_ends(const char *name, void (*run)(void *data), struct attempt what,
                        const char *why)
{
    char line[160];
    snprintf(line, sizeof line, "carom: %s: %s\n", name, why);
    assert_says(run, &what, line);
}

static void there_is_no_socket(void **state)
{
    (void)state;
    begin_sockets();
    for (size_t i = 0; i < COUNT(calls); i++)
        if (calls[i].call(NULL) != -CAROM_EINVAL)
            fail_msg("%s on no socket", calls[i].name);
    for (size_t i = 0; i < COUNT(tellers); i++)
        if (!tellers[i].call(NULL))
            fail_msg("%s on no socket", tellers[i].name);
    finish_sockets();
}

/* A release build tells the caller; one for debugging ends, and names the call. */
static void the_socket_has_ended(void **state)
{
    (void)state;
    static const char why[] = "the socket has ended";
    begin_sockets();
    struct socket_client client = open_client();
    carom_websocket *socket = program.sockets[0];
    send_close_code(&client, 1000, "");
    assert_string_equal(noted(), "close:1000+");
    for (size_t i = 0; i < COUNT(calls); i++) {
        if (DEBUG_BUILD)
            assert_ends(calls[i].name, attempt_here,
                        (struct attempt){.call = calls[i].call, .socket = socket}, why);
        else if (calls[i].call(socket) != -CAROM_ESTATE)
            fail_msg("%s on a socket that has ended", calls[i].name);
    }
    for (size_t i = 0; i < COUNT(tellers); i++) {
        if (DEBUG_BUILD)
            assert_ends(tellers[i].name, attempt_here,
                        (struct attempt){.tell = tellers[i].call, .socket = socket}, why);
        else if (!tellers[i].call(socket))
            fail_msg("%s on a socket that has ended", tellers[i].name);
    }
    finish_sockets();
}

static void this_is_another_thread_than_the_sockets(void **state)
{
    (void)state;
    static const char why[] = "this is not the thread of the socket's worker";
    begin_sockets();
    open_client();
    carom_websocket *socket = program.sockets[0];
    for (size_t i = 0; i < COUNT(calls); i++)
        assert_ends(calls[i].name, attempt_on_another_thread,
                    (struct attempt){.call = calls[i].call, .socket = socket}, why);
    for (size_t i = 0; i < COUNT(tellers); i++)
        assert_ends(tellers[i].name, attempt_on_another_thread,
                    (struct attempt){.tell = tellers[i].call, .socket = socket}, why);
    assert_string_equal(noted(), "");
    finish_sockets();
}

/* ---------------------------------------------------------------- accepting */

/* A request for a socket that the handler holds. */
static carom_record *hold_one(void)
{
    begin_sockets();
    say(connect_peer(), HANDSHAKE("/hold", ""));
    turn();
    assert_int_equal(sim.held_count, 1);
    sim.held_count = 0; /* a socket is made of it */
    return sim.held[0];
}

static int accept_with(carom_record *record, const carom_websocket_options *options)
{
    return carom_websocket_accept(record, options, NULL, 0, NULL, NULL);
}

static void settings_that_are_none(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    carom_websocket_handlers without_size = handlers;
    without_size.size = 0;
    carom_websocket_options bad = program.options;
    assert_int_equal(accept_with(record, NULL), -CAROM_EINVAL);
    bad.size = 0;
    assert_int_equal(accept_with(record, &bad), -CAROM_EINVAL);
    bad = program.options;
    bad.handlers = NULL;
    assert_int_equal(accept_with(record, &bad), -CAROM_EINVAL);
    bad.handlers = &without_size;
    assert_int_equal(accept_with(record, &bad), -CAROM_EINVAL);
    bad = program.options;
    bad.deflate_window = 16;
    assert_int_equal(accept_with(record, &bad), -CAROM_EINVAL);
    assert_int_equal(accept_with(record, &program.options), 0); /* nothing has changed */
    turn();
    assert_string_equal(noted(), "open");
    finish_sockets();
}

static void release_it(void *record)
{
    carom_release(record);
}

/* Accepting has released it. */
static void the_record_is_the_sockets(void **state)
{
    (void)state;
    carom_record *record = hold_one();
    assert_int_equal(accept_with(record, &program.options), 0);
    assert_says(release_it, record, "carom: carom_release: the record was released\n");
    if (!DEBUG_BUILD)
        assert_int_equal(carom_respond(record, &(carom_response){.status = 200}), -CAROM_ESTATE);
    finish_sockets();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(there_is_no_socket),
        cmocka_unit_test(the_socket_has_ended),
        cmocka_unit_test(this_is_another_thread_than_the_sockets),
        cmocka_unit_test(settings_that_are_none),
        cmocka_unit_test(the_record_is_the_sockets),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
