/* Accepting when descriptors run out: it pauses, takes no processor meanwhile, and goes on after
 * 100 ms, or when a connection closes; on the simulated network, and over real sockets on the
 * backend that CAROM_BACKEND names. The clock is the test's on all of them. */
#include "unit/http/simulation.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "unit/base/libc.h"

static int pauses; /* lines of log that say so */

static void count_pauses(void *data, carom_log_level level, const char *line)
{
    (void)data;
    pauses += level == CAROM_LOG_WARNING && strstr(line, "accepting pauses: ") != NULL;
}

static carom_options logging_options(void)
{
    carom_options options = simulation_options();
    options.log = count_pauses;
    pauses = 0;
    return options;
}

/* ---------------------------------------------------------------- the simulated network */

static uint32_t smallest(void *source, uint32_t below)
{
    (void)source;
    (void)below;
    return 0;
}

static void take_descriptors(bool all)
{
    const struct carom_simulated_whims none = {0};
    const struct carom_simulated_whims fails = {.random = smallest, .no_descriptor = 1};
    carom_simulated_set_whims(sim.loop, all ? &fails : &none);
}

static void accepting_goes_on_after_100_ms(void **state)
{
    (void)state;
    carom_options options = logging_options();
    begin(&options);
    take_descriptors(true);
    struct carom_peer *peer = connect_peer();
    say(peer, GET("/now"));
    for (int attempt = 1; attempt <= 3; attempt++) { /* and again, while the want lasts */
        turn();
        assert_int_equal(pauses, attempt);
        pass(99);
        assert_int_equal(pauses, attempt);
        assert_false(carom_simulated_busy(sim.loop));
        carom_simulated_advance(sim.loop, 1);
    }
    take_descriptors(false);
    turn();
    assert_true(carom_peer_accepted(peer));
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(pauses, 3);
    finish();
}

static void a_connection_that_closes_ends_the_pause(void **state)
{
    (void)state;
    carom_options options = logging_options();
    begin(&options);
    struct carom_peer *first = connect_peer();
    say(first, GET("/now"));
    turn();
    take_descriptors(true);
    struct carom_peer *second = connect_peer();
    say(second, GET("/now"));
    turn();
    assert_int_equal(pauses, 1);
    take_descriptors(false);
    turn();
    assert_false(carom_peer_accepted(second));
    carom_peer_shutdown(first);
    turn();
    assert_true(carom_peer_saw_close(first));
    assert_true(carom_peer_accepted(second));
    assert_got(second, "HTTP/1.1 200 OK\r\n");
    pass(1000); /* the retry that was meant finds nothing to do */
    assert_int_equal(pauses, 1);
    finish();
}

static void a_pause_does_not_outlive_the_listener(void **state)
{
    (void)state;
    carom_options options = logging_options();
    begin(&options);
    take_descriptors(true);
    struct carom_peer *peer = connect_peer();
    turn();
    assert_int_equal(pauses, 1);
    take_descriptors(false);
    carom_shutdown(sim.service, CAROM_OFF);
    pass(100);
    assert_false(carom_peer_accepted(peer));
    finish();
}

static void at_the_most_connections_the_rest_wait(void **state)
{
    (void)state;
    carom_options options = logging_options();
    options.max_connections = 2;
    begin(&options);
    struct carom_peer *peers[4];
    for (int i = 0; i < 4; i++) {
        peers[i] = connect_peer();
        say(peers[i], GET("/now"));
    }
    turn();
    for (int i = 0; i < 4; i++)
        assert_int_equal(carom_peer_accepted(peers[i]), i < 2);
    pass(1000); /* no time helps */
    assert_false(carom_peer_accepted(peers[2]));
    carom_peer_shutdown(peers[0]);
    turn();
    assert_true(carom_peer_accepted(peers[2]));
    assert_false(carom_peer_accepted(peers[3]));
    assert_int_equal(pauses, 0);
    finish();
}

/* A connection that has closed counts for as long as a handler has a record of it. When it lets go,
 * whether in a turn or between two, the next one has its turn. */
static void a_record_that_is_let_go_of_makes_room(void **state)
{
    (void)state;
    carom_options options = logging_options();
    options.max_connections = 1;
    begin(&options);
    struct carom_peer *peers[3];
    for (int i = 0; i < 3; i++)
        peers[i] = connect_peer();
    for (int i = 0; i < 2; i++) {
        say(peers[i], GET("/hold"));
        turn();
        carom_peer_reset(peers[i]);
        turn();
        assert_false(carom_peer_accepted(peers[i + 1]));
        release(sim.held[0]);
        turn();
        assert_true(carom_peer_accepted(peers[i + 1]));
    }
    finish();
}

/* ---------------------------------------------------------------- real sockets */

/* Instead of the C library's: the monotonic clock stands where the test has put it, and accept4
 * fails as often as it says. */
static uint64_t real_clock = 1000000; /* ms */
static int accepts_fail, accept_error;

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_CLOCK, clock, time);
    *time = (struct timespec){(time_t)(real_clock / 1000), (long)(real_clock % 1000) * 1000000};
    return 0;
}

int accept4(int fd, __SOCKADDR_ARG peer, socklen_t *restrict length, int flags)
{
    if (accepts_fail > 0) {
        accepts_fail--;
        errno = accept_error;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, ADDRESS_OF(peer), length, flags);
}

static struct real {
    carom_service *service;
    int descriptor, client;
    struct sockaddr_un un;
    socklen_t length;
} real;

static int real_connect(void)
{
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&real.un, real.length), 0);
    assert_int_equal(write(client, GET("/now"), strlen(GET("/now"))), strlen(GET("/now")));
    return client;
}

/* Turns of a foreign loop, as many as any backend needs for what is there already. */
static void real_turns(void)
{
    for (int turns = 0; turns < 20; turns++)
        assert_int_equal(carom_service_turn(real.service), 1);
}

static void real_begin(void)
{
    carom_options options = logging_options();
    options.backend = getenv("CAROM_BACKEND");
    assert_int_equal(carom_service_create(&real.service, &options), 0);
    if (options.backend != NULL &&
        strcmp(carom_service_backend(real.service), options.backend) != 0) {
        carom_service_destroy(real.service);
        skip();
    }
    char name[64];
    snprintf(name, sizeof name, "unix:@carom-accept-%d", (int)getpid());
    assert_int_equal(carom_service_listen(real.service, name), 0);
    real.descriptor = carom_service_descriptor(real.service);
    assert_true(real.descriptor >= 0);
    real_turns();
    real.un = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(name + strlen("unix:"));
    memcpy(real.un.sun_path, name + strlen("unix:"), length);
    real.un.sun_path[0] = '\0';
    real.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    real.client = real_connect();
}

static void real_finish(void)
{
    close(real.client);
    carom_shutdown(real.service, 0);
    int lives = 1;
    for (int turns = 0; lives == 1 && turns < 1000; turns++)
        lives = carom_service_turn(real.service);
    assert_int_equal(lives, 0);
    assert_int_equal(carom_service_destroy(real.service), 0);
}

static bool real_quiet(void)
{
    struct pollfd poll_for = {.fd = real.descriptor, .events = POLLIN};
    return poll(&poll_for, 1, 0) == 0;
}

static void want_of_descriptors_is_outlived(void **state)
{
    (void)state;
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    for (size_t i = 0; i < COUNT(errors); i++) {
        accepts_fail = 2;
        accept_error = errors[i];
        real_begin();
        for (int attempt = 1; attempt <= 2; attempt++) {
            real_turns();
            assert_int_equal(pauses, attempt);
            assert_int_equal(accepts_fail, 2 - attempt);
            real_clock += 99;
            real_turns();
            assert_int_equal(pauses, attempt); /* it does not ask again and again */
            real_clock += 1;
        }
        real_turns();
        char answer[16] = "";
        assert_int_equal(recv(real.client, answer, 15, MSG_DONTWAIT), 15);
        assert_string_equal(answer, "HTTP/1.1 200 OK");
        assert_int_equal(pauses, 2);
        real_finish();
    }
}

/* Though a connection waits. (The alarm that the pause needs is far, by the kernel's clock.) */
static void a_pause_takes_no_turns(void **state)
{
    (void)state;
    real_clock = (uint64_t)1 << 40;
    accepts_fail = 1;
    accept_error = EMFILE;
    real_begin();
    real_turns();
    assert_int_equal(pauses, 1);
    assert_true(real_quiet());
    real_finish();
}

/* The first connection is the one that is kept ready; there is no memory for the second. */
static void a_connection_without_memory_is_closed(void **state)
{
    (void)state;
    char byte;
    real_begin();
    real_turns();
    carom_memory_fail_after(0);
    int client = real_connect();
    real_turns();
    carom_memory_fail_after(UINT64_MAX);
    /* It leaves with its request unread. */
    ssize_t got = recv(client, &byte, 1, MSG_DONTWAIT);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    close(client);
    real_finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_connection_without_memory_is_closed),
        cmocka_unit_test(accepting_goes_on_after_100_ms),
        cmocka_unit_test(a_connection_that_closes_ends_the_pause),
        cmocka_unit_test(a_pause_does_not_outlive_the_listener),
        cmocka_unit_test(at_the_most_connections_the_rest_wait),
        cmocka_unit_test(a_record_that_is_let_go_of_makes_room),
        cmocka_unit_test(want_of_descriptors_is_outlived),
        cmocka_unit_test(a_pause_takes_no_turns),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
