/* Answers from files, on the simulated network: what is refused, when the descriptor goes back,
 * the order in a pipeline, slow and leaving clients, and files that change meanwhile. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/http/simulation.h"

#define HEAD(target) "HEAD " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define TEXT         "0123456789abcdefghij"
#define LARGE        1000000

/* What "/file" is answered with; "/text" is answered at once, all else is held. */
static struct {
    carom_file file;
    uint16_t status;
    int result;
    int given_back;
} use;

static void count_back(void *owner)
{
    ++*(int *)owner;
}

static int answer_file(carom_record *record)
{
    const carom_response response = {.status = use.status,
                                     .content = {"not looked at", 13, NULL, NULL}};
    return carom_respond_file(record, &response, &use.file);
}

static void handler(carom_record *record, void *data)
{
    carom_slice target = carom_request_target(record);
    (void)data;
    sim.held[sim.held_count++] = record;
    if (memcmp(target.data, "/text", target.length) == 0) {
        answer_and_release(record, "text");
    } else if (memcmp(target.data, "/file", target.length) == 0) {
        use.result = answer_file(record);
        release(record);
    }
}

static int make_file(size_t length)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)length) == 0);
    assert_int_equal(pwrite(fd, TEXT, length < 20 ? length : 20, 0), length < 20 ? length : 20);
    return fd;
}

static void use_file(size_t file_length, uint64_t offset, uint64_t length)
{
    use.status = 200;
    use.result = 1;
    use.given_back = 0;
    use.file =
        (carom_file){make_file(file_length), offset, length, count_back, &use.given_back, {0}};
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void begin_files(void)
{
    carom_options options = simulation_options();
    options.handler = handler;
    begin(&options);
}

static struct carom_peer *ask(const char *text)
{
    struct carom_peer *peer = connect_peer();
    say(peer, text);
    turn();
    return peer;
}

static void content_comes_from_the_file(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset, length;
        const char *end;
    } cases[] = {
        {0, 20, "Content-Length: 20\r\n"}, {0, CAROM_LENGTH_UNKNOWN, "\r\n\r\n" TEXT},
        {10, 5, "\r\n\r\nabcde"},          {15, CAROM_LENGTH_UNKNOWN, "\r\n\r\nfghij"},
        {3, 0, "Content-Length: 0\r\n"},   {20, CAROM_LENGTH_UNKNOWN, "Content-Length: 0\r\n"},
    };
    begin_files();
    for (size_t i = 0; i < COUNT(cases); i++) {
        use_file(20, cases[i].offset, cases[i].length);
        struct carom_peer *peer = ask(GET("/file"));
        assert_int_equal(use.result, 0);
        assert_got(peer, "HTTP/1.1 200 OK\r\n");
        assert_got(peer, cases[i].end);
        assert_int_equal(use.given_back, 1);
        assert_true(is_open(use.file.descriptor));
        close(use.file.descriptor);
        say(peer, GET("/text"));
        turn();
        assert_got(peer, "\r\n\r\ntext");
    }
    carom_stats stats = finish();
    assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 2 * COUNT(cases));
}

static void a_descriptor_that_was_given_is_closed(void **state)
{
    (void)state;
    begin_files();
    use_file(20, 0, 20);
    use.file.give_back = NULL;
    ask(GET("/file"));
    assert_int_equal(use.result, 0);
    assert_false(is_open(use.file.descriptor));
    use_file(20, 0, 21); /* refused: closed all the same */
    use.file.give_back = NULL;
    ask(GET("/file"));
    assert_int_equal(use.result, -CAROM_ELENGTH);
    assert_false(is_open(use.file.descriptor));
    finish();
}

/* RFC 9110, 9.3.2 and 6.4.1. */
static void answers_without_content_give_it_back_at_once(void **state)
{
    (void)state;
    begin_files();
    use_file(20, 5, 10);
    struct carom_peer *peer = ask(HEAD("/file"));
    assert_int_equal(use.result, 0);
    assert_int_equal(use.given_back, 1);
    assert_got(peer, "Content-Length: 10\r\n");
    assert_string_equal(strstr(got(peer), "\r\n\r\n"), "\r\n\r\n");
    for (uint16_t status = 204; status <= 304; status += 100) {
        use.status = status;
        peer = ask(GET("/file"));
        assert_int_equal(use.result, 0);
        assert_string_equal(strstr(got(peer), "\r\n\r\n"), "\r\n\r\n");
    }
    assert_int_equal(use.given_back, 3);
    close(use.file.descriptor);
    finish();
}

static void what_is_no_file_is_refused_and_nothing_sent(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const struct {
        int descriptor;
        uint64_t offset, length;
        int error;
    } cases[] = {
        {open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, CAROM_LENGTH_UNKNOWN, -CAROM_EFILE},
        {ends[0], 0, 1, -CAROM_EFILE},
        {open("/dev/zero", O_RDONLY | O_CLOEXEC), 0, 1, -CAROM_EFILE},
        {-1, 0, 1, -CAROM_ENOENT},
        {make_file(20), 0, 21, -CAROM_ELENGTH},
        {make_file(20), 21, CAROM_LENGTH_UNKNOWN, -CAROM_ELENGTH},
        {make_file(20), UINT64_MAX, 0, -CAROM_ELENGTH},
        {make_file(20), 1, UINT64_MAX - 1, -CAROM_ELENGTH},
        {make_file(20), 20, 1, -CAROM_ELENGTH},
    };
    begin_files();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct carom_peer *peer = ask(GET("/hold"));
        carom_record *record = sim.held[0];
        use.status = 200;
        use.given_back = 0;
        use.file = (carom_file){cases[i].descriptor, cases[i].offset, cases[i].length,
                                count_back,          &use.given_back, {0}};
        assert_int_equal(answer_file(record), cases[i].error);
        assert_int_equal(use.given_back, 1);
        answer_and_release(record, "other"); /* nothing was sent */
        turn();
        assert_got(peer, "HTTP/1.1 200 OK\r\n");
        assert_got(peer, "\r\n\r\nother");
        if (cases[i].descriptor >= 0)
            close(cases[i].descriptor);
    }
    close(ends[1]);
    finish();
}

static void answered_or_over_it_is_given_back(void **state)
{
    (void)state;
    begin_files();
    use_file(20, 0, 20);
    ask(GET("/hold"));
    carom_record *record = sim.held[0];
    answer(record, "first");
    assert_int_equal(answer_file(record), -CAROM_ESTATE);
    assert_int_equal(use.given_back, 1);
    release(record);
    struct carom_peer *peer = ask(GET("/hold"));
    record = sim.held[0];
    carom_peer_reset(peer);
    turn();
    assert_int_equal(answer_file(record), -CAROM_ECANCELED);
    assert_int_equal(use.given_back, 2);
    release(record);
    use.status = 99;
    ask(GET("/hold"));
    assert_int_equal(answer_file(sim.held[0]), -CAROM_EINVAL);
    assert_int_equal(use.given_back, 3);
    close(use.file.descriptor);
    finish();
}

static void files_keep_their_place_in_a_pipeline(void **state)
{
    (void)state;
    begin_files();
    use_file(20, 0, 20);
    struct carom_peer *peer = ask(GET("/text") GET("/file") GET("/text") GET("/hold") GET("/file"));
    const char *bytes = strstr(got(peer), "\r\n\r\ntext");
    assert_non_null(bytes);
    bytes = strstr(bytes, "\r\n\r\n" TEXT "HTTP/1.1 200");
    assert_non_null(bytes);
    bytes = strstr(bytes, "\r\n\r\ntext");
    assert_non_null(bytes);
    assert_null(strstr(bytes, TEXT)); /* it waits */
    assert_int_equal(use.given_back, 1);
    answer_and_release(sim.held[0], "held");
    turn();
    bytes = strstr(got(peer), "\r\n\r\nheld");
    assert_non_null(bytes);
    assert_non_null(strstr(bytes, TEXT));
    assert_int_equal(use.given_back, 2);
    close(use.file.descriptor);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 5);
}

/* A large file to a client that takes little: no memory grows, and time runs as for other content.
 */
static void a_slow_reader_costs_no_memory_and_runs_out_of_time(void **state)
{
    (void)state;
    begin_files();
    use_file(LARGE, 0, LARGE);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 1000);
    say(peer, GET("/file"));
    turn();
    const struct carom_records *records = &sim.service->workers[0].connections.records;
    uint32_t pages = records->pages.pool.in_use, segments = records->segments.in_use;
    for (int i = 0; i < 20; i++) {
        pass(20000);
        carom_peer_set_window(peer, 100);
        turn();
        assert_int_equal(records->pages.pool.in_use, pages);
        assert_int_equal(records->segments.in_use, segments);
    }
    assert_int_equal(use.given_back, 0);
    assert_false(carom_peer_saw_close(peer));
    pass(31000);
    assert_true(carom_peer_saw_reset(peer));
    assert_int_equal(use.given_back, 1);
    close(use.file.descriptor);
    assert_int_equal(finish().ended[CAROM_REASON_WRITE_TIMEOUT], 1);
}

static void a_client_that_leaves_in_the_middle_gives_it_back(void **state)
{
    (void)state;
    begin_files();
    use_file(LARGE, 0, LARGE);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 50000);
    say(peer, GET("/file") GET("/text"));
    turn();
    assert_int_equal(use.given_back, 0);
    carom_peer_reset(peer);
    turn();
    assert_int_equal(use.given_back, 1);
    close(use.file.descriptor);
    assert_int_equal(finish().ended[CAROM_REASON_CLIENT_RESET], 2);
}

static void a_drain_lets_it_end(void **state)
{
    (void)state;
    begin_files();
    use_file(LARGE, 0, LARGE);
    struct carom_peer *peer = connect_peer();
    carom_peer_set_window(peer, 50000);
    say(peer, GET("/file"));
    turn();
    carom_shutdown(sim.service, CAROM_OFF);
    turn();
    assert_int_equal(use.given_back, 0);
    carom_peer_set_window(peer, SIZE_MAX);
    turn();
    size_t length;
    carom_peer_received(peer, &length);
    assert_true(length > LARGE);
    assert_int_equal(use.given_back, 1);
    close(use.file.descriptor);
    assert_int_equal(finish().ended[CAROM_REASON_COMPLETE], 1);
}

/* Those before it are whole, it is cut off with a reset and never padded, those behind it go. */
static void a_file_that_was_cut_short_resets_the_connection(void **state)
{
    (void)state;
    for (int begun = 0; begun < 2; begun++) {
        begin_files();
        use_file(LARGE, 0, LARGE);
        struct carom_peer *peer = connect_peer();
        if (begun) {
            carom_peer_set_window(peer, 3000);
            say(peer, GET("/text") GET("/file") GET("/text"));
            turn();
        } else {
            say(peer, GET("/text") GET("/hold") GET("/text"));
            turn();
            assert_int_equal(answer_file(sim.held[0]), 0);
        }
        assert_int_equal(ftruncate(use.file.descriptor, 10000), 0);
        carom_peer_set_window(peer, SIZE_MAX);
        turn();
        if (!begun)
            release(sim.held[0]);
        turn();
        size_t length;
        carom_peer_received(peer, &length);
        assert_in_range(length, 10000, 10500);
        assert_got(peer, "\r\n\r\ntext");
        assert_true(carom_peer_saw_reset(peer));
        assert_int_equal(use.given_back, 1);
        close(use.file.descriptor);
        carom_stats stats = finish();
        assert_int_equal(stats.ended[CAROM_REASON_COMPLETE], 1);
        assert_int_equal(stats.ended[CAROM_REASON_FILE_FAILED], 1);
        assert_int_equal(stats.ended[CAROM_REASON_CLIENT_RESET], 1);
    }
}

static void files_need_no_allocation_after_warm_up(void **state)
{
    (void)state;
    begin_files();
    use_file(20, 0, 20);
    struct carom_peer *peer = ask(GET("/file") GET("/file"));
    carom_stats before = CAROM_STATS_INIT, after = CAROM_STATS_INIT;
    carom_service_stats(sim.service, &before);
    for (int i = 0; i < 10; i++) {
        say(peer, GET("/file"));
        turn();
    }
    carom_service_stats(sim.service, &after);
    assert_int_equal(use.given_back, 12);
    assert_int_equal(after.records_allocated, before.records_allocated);
    assert_int_equal(after.pages_in_use + after.pages_pooled,
                     before.pages_in_use + before.pages_pooled);
    close(use.file.descriptor);
    finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(content_comes_from_the_file),
        cmocka_unit_test(a_descriptor_that_was_given_is_closed),
        cmocka_unit_test(answers_without_content_give_it_back_at_once),
        cmocka_unit_test(what_is_no_file_is_refused_and_nothing_sent),
        cmocka_unit_test(answered_or_over_it_is_given_back),
        cmocka_unit_test(files_keep_their_place_in_a_pipeline),
        cmocka_unit_test(a_slow_reader_costs_no_memory_and_runs_out_of_time),
        cmocka_unit_test(a_client_that_leaves_in_the_middle_gives_it_back),
        cmocka_unit_test(a_drain_lets_it_end),
        cmocka_unit_test(a_file_that_was_cut_short_resets_the_connection),
        cmocka_unit_test(files_need_no_allocation_after_warm_up),
    };
    return cmocka_run_group_tests_name("http/file", all, NULL, NULL);
}
