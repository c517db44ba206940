/* The k-th system call of the engine fails with each error that it can give there, and takes or
 * gives a single byte, for every k; over real sockets and the calls of a foreign loop. */
#include "unit/fault/opening.h"

#include <poll.h>

#include "unit/fault/ring_calls.h"

#include "net/uring_operations.h"
#include "service/service.h"

/* Turns until all is quiet; more is a loop that never rests. */
#define TURNS_MAX 3000
/* What a slow client takes at a time. */
#define SLOW_BYTES 3000

static carom_service *service; /* NULL: not made yet */
static int descriptor;         /* of the service */
static int lives;              /* what the last turn said: 0 when it has drained */

static struct carom_uring *ring_of_service(void)
{
    bool there = service != NULL && strcmp(carom_service_backend(service), "uring") == 0;
    return there ? &carom_uring_of(service->workers[0].loop)->ring : NULL;
}

/* ---------------------------------------------------------------- clients */

struct client {
    const struct scenario *scenario;
    int fd;
    bool ended; /* the engine's side is closed */
    size_t length;
    char bytes[3 * LARGE_LENGTH]; /* two large answers, and more */
};

static struct client client, neighbour, another;

static const struct scenario neighbour_scenario = {.says = {GET("/hold")},
                                                   .answers = {ANSWER(200, "held")}};

static void connect_client(struct client *to, const struct scenario *says)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t length = strlen(opening.abstract + strlen("unix:"));
    memcpy(un.sun_path, opening.abstract + strlen("unix:"), length);
    un.sun_path[0] = '\0';
    to->scenario = says;
    to->ended = false;
    to->length = 0;
    to->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    assert_int_equal(connect(to->fd, (struct sockaddr *)&un, size), 0);
}

/* Take what has come. True when there was something. */
static bool pump(struct client *of)
{
    if (of->fd < 0 || of->ended)
        return false;
    size_t room = sizeof of->bytes - of->length;
    assert_true(room > 0);
    if (of->scenario->slow && room > SLOW_BYTES)
        room = SLOW_BYTES;
    ssize_t got = recv(of->fd, of->bytes + of->length, room, 0);
    if (got > 0)
        of->length += (size_t)got;
    else if (got == 0 || errno != EAGAIN)
        of->ended = true;
    return got > 0;
}

static void put(struct client *from, const char *text, size_t length)
{
    if (!from->ended && send(from->fd, text, length, MSG_NOSIGNAL) != (ssize_t)length)
        assert_true(errno == EPIPE || errno == ECONNRESET);
}

static struct verdict judge_client(const struct client *of)
{
    return judge(of->scenario, of->bytes, of->length);
}

/* ---------------------------------------------------------------- backends */

static int far_ends[BELLS];

/* It is not the engine that calls. (No eventfd: the kernel tells a ring of one by and by.) */
static void ring_socket(unsigned bell, bool on)
{
    char bytes[64] = "rung";
    if (on)
        syscall(SYS_write, far_ends[bell], bytes, 1L);
    else
        while (syscall(SYS_read, bells.descriptors[bell], bytes, sizeof bytes) > 0)
            ;
}

static void make_bells(void)
{
    for (int i = 0; i < BELLS; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                         0);
        bells.descriptors[i] = ends[0];
        far_ends[i] = ends[1];
    }
    bells.ring = ring_socket;
}

/* ---------------------------------------------------------------- turns */

static bool engine_ready(void)
{
    struct pollfd poll_for = {.fd = descriptor, .events = POLLIN};
    return poll(&poll_for, 1, 0) == 1;
}

static void one_turn(void)
{
    if (lives != 0)
        ENGINE(lives = carom_service_turn(service));
    assert_true(lives >= 0);
}

/* As a foreign loop does it: no turn that the descriptor has not asked for. */
static void settle(void)
{
    int turns = 0;
    bool goes_on;
    do {
        ENGINE(post_tasks());
        goes_on = lives != 0 && engine_ready();
        if (goes_on)
            one_turn();
        goes_on |= pump(&client);
        goes_on |= pump(&neighbour);
        goes_on |= pump(&another);
        assert_true(turns++ < TURNS_MAX);
    } while (goes_on);
}

/* Accepting pauses for 100 ms when there are no descriptors. */
static void settle_and_pass(void)
{
    settle();
    /* A connection that is broken ends by itself. */
    if (calls.injected && !calls.passes &&
        (calls.call == CALL_SEND || calls.call == CALL_RECEIVE || calls.call == CALL_CONTENT ||
         calls.call == CALL_OPERATION_SEND || calls.call == CALL_OPERATION_RECEIVE ||
         calls.call == CALL_OPERATION_ROOM))
        assert_true(client.ended || client.fd < 0);
    calls.seconds_on++;
    one_turn(); /* the alarm does not know that the clock was moved */
    settle();
}

static void converse(struct client *with)
{
    const struct scenario *script = with->scenario;
    for (int i = 0; i < SAYS_MAX && script->says[i] != NULL; i++) {
        put(with, script->says[i], says_length(script, i));
        settle_and_pass();
    }
    if (script->leaves) {
        shutdown(with->fd, SHUT_WR);
        settle_and_pass();
    }
}

/* ---------------------------------------------------------------- one run */

/* From here on calls are counted, and one fails. */
static void count_calls(unsigned after, unsigned index)
{
    calls.calls = 0;
    calls.after = after;
    calls.index = index;
    calls.injected = calls.lasts = false;
    calls.bound_file = false;
}

/* Let no further call fail, but keep the count. */
static void stop_counting(void)
{
    calls.lasts = false;
    if (calls.calls <= calls.after)
        calls.after = UINT32_MAX;
}

static void go_on_counting(unsigned after, unsigned count)
{
    calls.calls = count;
    calls.after = after;
}

static void close_client(struct client *of)
{
    if (of->fd >= 0)
        close(of->fd);
    of->fd = -1;
}

static void end_service(void)
{
    ENGINE(carom_shutdown(service, CAROM_OFF));
    int turns = 0;
    for (settle(); lives != 0; settle_and_pass()) {
        close_client(&neighbour);
        close_client(&another);
        close_client(&client);
        assert_true(turns++ < 5);
    }
    int error;
    ENGINE(error = carom_service_destroy(service));
    service = NULL;
    assert_int_equal(error, 0);
}

/* Whether the call that failed may be one that the handler has asked for: it hears of it. */
static bool fails_handler(void)
{
    return calls.injected && (calls.call == CALL_STATUS || calls.call == CALL_WATCH ||
                              calls.call == CALL_DESCRIPTOR || calls.call == CALL_OPERATION_POLL);
}

static void check_answers(void)
{
    struct verdict verdict = judge_client(&client);
    bool all = verdict.whole == answers_of(client.scenario);
    bool refused =
        fails_handler() && verdict.whole + verdict.refused == answers_of(client.scenario);
    assert_true(all || refused || client.ended);
    /* A shutdown comes before a client that could not be accepted. */
    if (!calls.injected ||
        (calls.passes && !(client.scenario->drains && calls.call == CALL_ACCEPT)))
        assert_true(all);
}

static const struct scenario *scenario; /* the one that is tried */

static bool fail_one(unsigned k, unsigned index, bool *more)
{
    uint64_t held = carom_memory_held();
    int open = open_descriptors();
    RUN("%s, call %u, its fault %u", scenario->name, k, index);
    reset_tasks();
    count_calls(UINT32_MAX, 0);
    lives = 1;
    client.fd = neighbour.fd = another.fd = -1;
    carom_options options = fault_options();
    assert_int_equal(carom_service_create(&service, &options), 0);
    assert_int_equal(carom_service_listen(service, opening.abstract), 0);
    descriptor = carom_service_descriptor(service);
    assert_true(descriptor >= 0);
    connect_client(&neighbour, &neighbour_scenario);
    converse(&neighbour);

    count_calls(k, index);
    calls.narrow = scenario->slow;
    connect_client(&client, scenario);
    converse(&client);
    calls.narrow = false;
    if (scenario->drains)
        ENGINE(carom_shutdown(service, CAROM_OFF));
    settle();
    unsigned count = calls.calls;
    stop_counting();
    ENGINE(answer_held());
    settle_and_pass();
    check_answers();
    assert_int_equal(judge_client(&neighbour).whole, 1);
    if (!scenario->drains) {
        connect_client(&another, &scenarios[0]);
        converse(&another);
        assert_int_equal(judge_client(&another).whole, answers_of(&scenarios[0]));
    }
    go_on_counting(k, count);
    end_service();
    assert_null(tasks.first);
    assert_int_equal(tasks.lent, tasks.returned);
    close_client(&client);
    close_client(&neighbour);
    close_client(&another);
    assert_int_equal(carom_memory_held(), held);
    assert_int_equal(open_descriptors(), open);
    *more = calls.injected;
    return calls.calls > k;
}

/* Does one run, in which the k-th call fails with error `index` of its list. False when there is no
 * such call; *more tells whether it has such an error. */
typedef bool run_with_fault(unsigned k, unsigned index, bool *more);

/* Every call, with each of its faults. How many that were. */
static unsigned fail_all(run_with_fault *run)
{
    unsigned step = sparsely(19), count = 0;
    bool there = true, more;
    for (unsigned k = 0; there; k += step) {
        unsigned index = 0;
        do {
            there = run(k, index++, &more);
            count += more;
        } while (there && more);
    }
    return count;
}

static void every_call_fails(void **state)
{
    (void)state;
    unsigned total = 0;
    for (scenario = scenarios; scenario < scenarios + COUNT(scenarios); scenario++) {
        unsigned count = fail_all(fail_one);
        print_message("%-24s %4u calls failed\n", scenario->name, count);
        total += count;
    }
    print_message("%-24s %4u calls failed\n", "all", total);
    this_run[0] = '\0';
}

/* ---------------------------------------------------------------- opening */

/* A socket file that nobody listens on any more. */
static void leave_stale_file(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, opening.path, strlen(opening.path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
}

/* Every listener says where it is. */
static void check_listeners(void)
{
    carom_address address;
    assert_int_equal(carom_service_listener_count(service), LISTENERS);
    for (size_t i = 0; i < LISTENERS; i++) {
        assert_int_equal(carom_service_listener(service, i, &address), 0);
        assert_true(address.family != CAROM_FAMILY_NONE);
        assert_true(address.family == CAROM_UNIX || address.port != 0);
    }
}

static bool fail_to_open(unsigned k, unsigned index, bool *more)
{
    uint64_t held = carom_memory_held();
    int open = open_descriptors(), error;
    RUN("opening, call %u, its fault %u", k, index);
    leave_stale_file();
    count_calls(k, index);
    ENGINE(error = open_service(&service));
    assert_true(error == 0 || calls.injected);
    if (error == 0) {
        check_listeners();
        ENGINE(error = carom_service_destroy(service));
        service = NULL;
        assert_int_equal(error, 0);
    }
    /* A file of ours is removed, if the kernel lets us. */
    assert_true(calls.bound_file || calls.injected);
    if (!calls.bound_file || (calls.injected && calls.call == CALL_FILE))
        unlink(opening.path);
    assert_nothing_left(held, open);
    *more = calls.injected;
    bool there = calls.calls > k;
    assert_int_equal(open_service(&service), 0);
    assert_int_equal(carom_service_destroy(service), 0);
    service = NULL;
    assert_nothing_left(held, open);
    return there;
}

/* A foreign loop asks for the descriptor, and again when that failed. */
static bool fail_to_drive(unsigned k, unsigned index, bool *more)
{
    uint64_t held = carom_memory_held();
    int open = open_descriptors();
    RUN("driving, call %u, its fault %u", k, index);
    carom_options options = fault_options();
    reset_tasks();
    lives = 1;
    assert_int_equal(carom_service_create(&service, &options), 0);
    assert_int_equal(carom_service_listen(service, opening.abstract), 0);
    count_calls(k, index);
    ENGINE(descriptor = carom_service_descriptor(service));
    assert_true(descriptor >= 0 || calls.injected);
    if (descriptor < 0) {
        stop_counting();
        ENGINE(descriptor = carom_service_descriptor(service));
    }
    assert_true(descriptor >= 0);
    settle_and_pass();
    stop_counting();
    *more = calls.injected;
    bool there = calls.calls > k;
    connect_client(&another, &scenarios[0]);
    converse(&another);
    assert_int_equal(judge_client(&another).whole, answers_of(&scenarios[0]));
    end_service();
    close_client(&another);
    assert_nothing_left(held, open);
    return there;
}

static void every_call_of_opening_fails(void **state)
{
    (void)state;
    print_message("%-24s %4u calls failed\n", "opening", fail_all(fail_to_open));
    print_message("%-24s %4u calls failed\n", "driving", fail_all(fail_to_drive));
    this_run[0] = '\0';
}

/* Where there is no io_uring, what it was to be tested of is passed over; ctest says so. */
static void skip_where_refused(void)
{
    carom_options options = fault_options();
    assert_int_equal(carom_service_create(&service, &options), 0);
    const char *backend = carom_service_backend(service);
    bool refused = options.backend != NULL && strcmp(options.backend, backend) != 0;
    assert_int_equal(carom_service_destroy(service), 0);
    service = NULL;
    if (refused) {
        printf("skipped: io_uring is refused here\n");
        exit(77);
    }
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_teardown(every_call_fails, tell_run),
        cmocka_unit_test_teardown(every_call_of_opening_fails, tell_run),
    };
    make_pattern();
    make_files();
    make_bells();
    unmovable = pattern_files[1];
    name_listeners();
    skip_where_refused();
    return cmocka_run_group_tests_name("fault/calls", all, NULL, NULL);
}
