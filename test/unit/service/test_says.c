/* What the log says of a program's mistakes: an option that is not valid, a service that nobody can
 * reach, records that are held too long or beyond a shutdown's deadline; and the list of what is
 * held. */
#include "unit/http/simulation.h"

#include "service/options.h"

static char said[512];
static int lines;

static void note(void *data, carom_log_level level, const char *line)
{
    assert_ptr_equal(data, said);
    (void)level;
    snprintf(said, sizeof said, "%s", line);
    lines++;
}

static carom_options noted_options(void)
{
    carom_options options = simulation_options();
    options.log = note;
    options.log_data = said;
    said[0] = '\0';
    lines = 0;
    return options;
}

static void no_handler(carom_options *options)
{
    options->handler = NULL;
}
static void workers(carom_options *options)
{
    options->workers = 1025;
}
static void record_state(carom_options *options)
{
    options->record_state = 1u << 31;
}
static void record_state_by_one(carom_options *options)
{
    options->record_state = 1024 * 1024 + 1;
}
static void pipeline(carom_options *options)
{
    options->max_pipeline = 70000;
}
static void target(carom_options *options)
{
    options->max_target = 4194305;
}
static void window(carom_options *options)
{
    options->h2_stream_window = 1023;
}
static void stream_window_beyond_its_limit(carom_options *options)
{
    options->h2_stream_window = 100000;
    options->h2_stream_window_max = 99999;
}
static void window_beyond_its_limit(carom_options *options)
{
    options->h2_connection_window = 100000;
    options->h2_connection_window_max = 99999;
}

static void an_option_that_is_refused_is_named(void **state)
{
    (void)state;
    static const struct {
        void (*set)(carom_options *options);
        const char *line;
    } cases[] = {
        {no_handler, "options: there is no handler"},
        {workers, "options: workers is 1025, and may be 1024 at most"},
        {record_state, "options: record_state is 2147483648, and may be 1048576 at most"},
        {record_state_by_one, "options: record_state is 1048577, and may be 1048576 at most"},
        {pipeline, "options: max_pipeline is 70000, and may be 65535 at most"},
        {target, "options: max_target is 4194305, and may be 4194304 at most"},
        {window, "options: h2_stream_window is 1023, and may be 1024 at least"},
        {stream_window_beyond_its_limit,
         "options: h2_stream_window is 100000, and may be 99999 at most"},
        {window_beyond_its_limit,
         "options: h2_connection_window is 100000, and may be 99999 at most"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        carom_options options = noted_options();
        carom_service *service;
        cases[i].set(&options);
        assert_int_equal(carom_service_create(&service, &options), -CAROM_EINVAL);
        assert_string_equal(said, cases[i].line);
        assert_int_equal(lines, 1);
    }
    carom_options options = noted_options();
    carom_options resolved;
    options.backend = "kqueue";
    assert_int_equal(carom_options_resolve(&resolved, &options), -CAROM_EUNSUPPORTED);
    assert_string_equal(said, "options: backend is \"kqueue\", and may be epoll or uring");
    options = noted_options();
    options.record_state = 1024 * 1024;
    options.max_pipeline = 65535;
    assert_int_equal(carom_options_resolve(&resolved, &options), 0);
    assert_int_equal(lines, 0);
}

/* Another backend than the usual one, or why it is not that. */
static void the_backend_that_was_asked_for_is_said(void **state)
{
    (void)state;
    carom_options options = noted_options();
    carom_service *service = NULL;
    options.backend = "uring";
    assert_int_equal(carom_service_create(&service, &options), 0);
    assert_int_equal(lines, 1);
    bool is_uring = strcmp(carom_service_backend(service), "uring") == 0;
    assert_non_null(strstr(said, is_uring ? "backend: io_uring" : "is refused: "));
    assert_int_equal(carom_service_destroy(service), 0);
}

static void nobody_can_reach_it(void **state)
{
    (void)state;
    carom_options options = noted_options();
    create(&options);
    assert_int_equal(carom_service_start(sim.service), 0);
    assert_string_equal(said, "the service runs without a listener: nobody can connect");
    finish();
    options = noted_options();
    begin(&options);
    assert_int_equal(lines, 0);
    finish();
}

static void what_holds_a_shutdown_up_is_named(void **state)
{
    (void)state;
    carom_options options = noted_options();
    begin(&options);
    struct carom_peer *first = connect_peer(), *second = connect_peer();
    say(first, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    pass(700);
    say(second, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    carom_shutdown(sim.service, 0);
    turn();
    pass(300); /* handlers were told, and have had their turn */
    const char *line =
        "the deadline of the shutdown has passed, and 2 records are not released; the "
        "oldest, after ";
    assert_memory_equal(said, line, strlen(line));
    assert_string_equal(strstr(said, " ms, is "), " ms, is cancelled: /hold");
    assert_in_range(atoi(said + strlen(line)), 700, 1000);
    assert_int_equal(lines, 1);
    pass(10000);
    assert_int_equal(lines, 1);
    finish();
}

/* Handlers that let go when they are told are no news. */
static void a_shutdown_that_nobody_holds_up_says_nothing(void **state)
{
    (void)state;
    carom_options options = noted_options();
    begin(&options);
    say(connect_peer(), "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    turn();
    finish();
    assert_int_equal(lines, 0);
}

/* ---------------------------------------------------------------- records that are held for long
 */

/* A record is told of when it comes of age, together with others, and not again. */
static void what_is_held_for_long_is_told_once(void **state)
{
    (void)state;
    carom_options options = noted_options();
    options.held_warning = 4000;
    begin(&options);
    say(connect_peer(), GET("/hold"));
    turn();
    pass(1500);
    say(connect_peer(), GET("/held"));
    turn();
    pass(2000);
    assert_int_equal(lines, 0);
    for (int i = 0; i < 3; i++)
        pass(500);
    assert_int_equal(lines, 1);
    const char *line = "held_warning: 4000 ms have passed, and 1 record is not released; the "
                       "oldest, after ";
    assert_memory_equal(said, line, strlen(line));
    assert_in_range(atoi(said + strlen(line)), 4000, 5000);
    assert_string_equal(strstr(said, " ms, is "), " ms, is unanswered: /hold");
    assert_int_equal(answer(sim.held[1], "text"), 0); /* answered, and not released: /held */
    int halves = 0; /* of a second, until the other one is told of: looks are a second apart */
    for (; halves < 20 && lines < 2; halves++)
        pass(500);
    assert_in_range(halves, 1, 4);
    for (int i = 0; i < 20; i++)
        pass(500);
    assert_int_equal(lines, 2);
    assert_string_equal(strstr(said, " ms, is "), " ms, is answered: /held");
    finish();
}

static void by_default_nothing_is_told_of_what_is_held(void **state)
{
    (void)state;
    carom_options options = noted_options();
    options.handler_timeout = options.first_byte_timeout = CAROM_OFF;
    begin(&options);
    say(connect_peer(), GET("/hold"));
    turn();
    for (int i = 0; i < 100; i++)
        pass(100 * SECOND);
    assert_int_equal(lines, 0);
    finish();
}

struct seen {
    int count;
    carom_record_info infos[4];
};

static void see(void *data, const carom_record_info *info)
{
    struct seen *seen = data;
    seen->infos[seen->count++] = *info;
}

static void records_in_flight_are_listed(void **state)
{
    (void)state;
    carom_options options = noted_options();
    begin(&options);
    turn();
    assert_int_equal(carom_service_records(sim.service, 0, see, NULL), 0);
    say(connect_peer(), "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123");
    turn();
    pass(700);
    say(connect_peer(), GET("/held"));
    turn();
    assert_int_equal(carom_respond_begin(sim.held[1], &(carom_response){.status = 200}), 0);
    assert_int_equal(carom_write(sim.held[1], &(carom_content){.data = "seven b", .length = 7}), 0);
    turn();
    struct seen seen = {0};
    assert_int_equal(carom_service_records(sim.service, 0, see, &seen), 2);
    assert_int_equal(seen.count, 2);
    const carom_record_info *post = &seen.infos[0], *get = &seen.infos[1];
    if (post->method.length == 3) {
        post = &seen.infos[1];
        get = &seen.infos[0];
    }
    assert_memory_equal(post->method.data, "POST", 4);
    assert_int_equal(post->target.length, 5);
    assert_memory_equal(post->target.data, "/hold", 5);
    assert_in_range(post->age, 700, 800);
    assert_int_equal(post->content_received, 3);
    assert_int_equal(post->content_sent, 0);
    assert_int_equal(get->content_sent, 7);
    assert_ptr_equal(carom_record_get(post->ref), sim.held[0]);
    assert_string_equal(carom_progress_name(post->progress), "unanswered");
    assert_memory_equal(get->target.data, "/held", 5);
    assert_in_range(get->age, 0, 50);
    assert_string_equal(carom_progress_name(get->progress), "begun");
    assert_int_equal(carom_service_records(sim.service, 0, NULL, NULL), 2);
    assert_int_equal(carom_service_records(sim.service, 1, see, NULL), 0);
    assert_int_equal(carom_service_records(NULL, 0, see, NULL), 0);
    finish();
    assert_string_equal(carom_progress_name(CAROM_PROGRESS_CANCELLED), "cancelled");
    assert_string_equal(carom_progress_name((carom_progress)4), "unknown");
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(an_option_that_is_refused_is_named),
        cmocka_unit_test(the_backend_that_was_asked_for_is_said),
        cmocka_unit_test(nobody_can_reach_it),
        cmocka_unit_test(what_holds_a_shutdown_up_is_named),
        cmocka_unit_test(a_shutdown_that_nobody_holds_up_says_nothing),
        cmocka_unit_test(what_is_held_for_long_is_told_once),
        cmocka_unit_test(by_default_nothing_is_told_of_what_is_held),
        cmocka_unit_test(records_in_flight_are_listed),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
