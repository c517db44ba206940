/* Answers out of files, and the timer of a slot. */
#include "unit/ring/vm.h"

#include <fcntl.h>
#include <unistd.h>

#define ANSWER (CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END)
#define TEXT   "the content of a file"

static struct carom_peer *peer;
static int file;

static void vm_begin(void)
{
    char name[] = "/tmp/carom-answers-XXXXXX";
    carom_options options = simulation_options();
    vm_begin_with(&options, CAPACITY);
    file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    assert_int_equal(write(file, TEXT, strlen(TEXT)), strlen(TEXT));
}

static void end(void)
{
    vm_finish();
    assert_int_equal(fcntl(file, F_GETFD) & ~FD_CLOEXEC, 0); /* it is still open */
    close(file);
}

/* A message without fields whose content is a loan, number + 1. */
static void say_loan(uint32_t index, uint32_t loan, uint32_t flags)
{
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 10 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    words[CAROM_SLOT_DATA_LOAN] = loan;
    command(index, flags);
}

/* ---------------------------------------------------------------- files */

static void a_lent_file_is_sent(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset, length;
        const char *field, *content;
    } parts[] = {{0, CAROM_LENGTH_UNKNOWN, "Content-Length: 21\r\n", TEXT},
                 {4, 7, "Content-Length: 7\r\n", "content"},
                 {21, CAROM_LENGTH_UNKNOWN, "Content-Length: 0\r\n", ""}};
    vm_begin();
    for (size_t i = 0; i < COUNT(parts); i++) {
        uint32_t index = ask(&peer, GET("/"));
        assert_int_equal(carom_ring_lend_file(vm.ring, 300, file, parts[i].offset, parts[i].length),
                         0);
        assert_int_equal(carom_ring_lend_file(vm.ring, 300, file, 0, 1), -CAROM_ESTATE);
        say_loan(index, 301, ANSWER | CAROM_FLAG_RELEASE);
        assert_int_equal(news_of(index), 0);
        assert_int_equal(returned(300), 1);
        assert_got(peer, parts[i].field);
        assert_string_equal(strstr(got(peer), "\r\n\r\n") + 4, parts[i].content);
    }
    end();
}

/* It is given back when the client has all of it, or has left. */
static void a_file_stays_lent_while_it_is_sent(void **state)
{
    (void)state;
    vm_begin();
    for (int leaves = 0; leaves < 2; leaves++) {
        uint32_t index = ask(&peer, GET("/"));
        carom_peer_set_window(peer, 0);
        assert_int_equal(carom_ring_lend_file(vm.ring, 0, file, 0, CAROM_LENGTH_UNKNOWN), 0);
        say_loan(index, 1, ANSWER | CAROM_FLAG_RELEASE);
        assert_int_equal(returned(0), 0);
        if (leaves)
            carom_peer_reset(peer);
        else
            carom_peer_set_window(peer, SIZE_MAX);
        turn();
        assert_int_equal(returned(0), 1);
    }
    end();
}

/* Each is refused, the file comes back, and the slot can be answered otherwise. */
static void a_file_is_a_whole_answer_or_none(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    const struct {
        int descriptor;
        uint64_t length;
        uint32_t flags;
        int error;
    } table[] = {
        {file, 5, CAROM_FLAG_RAW | CAROM_FLAG_DATA, CAROM_EINVAL},
        {file, 5, CAROM_FLAG_HEAD | CAROM_FLAG_DATA, CAROM_EINVAL},
        {file, 5, CAROM_FLAG_DATA | CAROM_FLAG_END, CAROM_EINVAL},
        {file, 5000, ANSWER, CAROM_ELENGTH},
        {pipe_ends[0], 5, ANSWER, CAROM_EFILE},
        {1 << 20, 5, ANSWER, CAROM_ENOENT},
    };
    vm_begin();
    for (size_t i = 0; i < COUNT(table); i++) {
        int descriptor = i < 4 ? file : table[i].descriptor;
        uint32_t index = ask(&peer, GET("/"));
        assert_int_equal(carom_ring_lend_file(vm.ring, 9, descriptor, 0, table[i].length), 0);
        say_loan(index, 10, table[i].flags | CAROM_FLAG_RELEASE);
        assert_int_equal(news_of(index), CAROM_NEWS_ERROR);
        assert_int_equal(slot_words(index)[CAROM_SLOT_ERROR], table[i].error);
        assert_int_equal(returned(9), 1);
        command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
        assert_int_equal(bad_commands(), 0);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    end();
}

/* Nor can one be the fields of an answer. */
static void a_file_has_no_fields(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, GET("/"));
    assert_int_equal(carom_ring_lend_file(vm.ring, 9, -1, 0, 1), -CAROM_EINVAL);
    assert_int_equal(carom_ring_lend_file(vm.ring, CAROM_RING_LOANS, file, 0, 1), -CAROM_EINVAL);
    assert_int_equal(carom_ring_lend_file(vm.ring, 9, file, 0, 5), 0);
    memset(slot_words(index) + CAROM_SLOT_STATUS, 0, 10 * sizeof(uint32_t));
    slot_words(index)[CAROM_SLOT_STATUS] = 200;
    slot_words(index)[CAROM_SLOT_FIELDS_LOAN] = 10;
    command(index, CAROM_FLAG_HEAD | CAROM_FLAG_END);
    assert_int_equal(news_of(index), CAROM_NEWS_ERROR);
    assert_int_equal(slot_words(index)[CAROM_SLOT_ERROR], CAROM_EINVAL);
    assert_int_equal(returned(9), 1);
    end();
}

static void head_sends_nothing_of_a_file(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(carom_ring_lend_file(vm.ring, 0, file, 0, CAROM_LENGTH_UNKNOWN), 0);
    say_loan(index, 1, ANSWER | CAROM_FLAG_RELEASE);
    assert_int_equal(returned(0), 1);
    assert_got(peer, "Content-Length: 21\r\n");
    assert_string_equal(strstr(got(peer), "\r\n\r\n"), "\r\n\r\n");
    end();
}

/* ---------------------------------------------------------------- timers */

static void set_timer(uint32_t index, uint32_t milliseconds, uint32_t flags)
{
    slot_words(index)[CAROM_SLOT_TIME] = milliseconds;
    command(index, CAROM_FLAG_TIMER | flags);
    assert_int_equal(slot_words(index)[CAROM_SLOT_FLAGS], 0);
}

static void the_time_of_a_slot_is_told(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, GET("/"));
    set_timer(index, 500, 0);
    pass(499);
    assert_int_equal(news_of(index), 0);
    pass(2);
    assert_int_equal(news_of(index), CAROM_NEWS_TIME);
    pass(5000); /* once */
    assert_int_equal(news_of(index), 0);
    end();
}

static void a_timer_takes_the_place_of_another(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, GET("/"));
    set_timer(index, 500, 0);
    set_timer(index, 2000, 0);
    pass(1999);
    assert_int_equal(news_of(index), 0);
    pass(2);
    assert_int_equal(news_of(index), CAROM_NEWS_TIME);
    set_timer(index, 500, 0);
    set_timer(index, UINT32_MAX, 0);
    pass(10000);
    assert_int_equal(news_of(index), 0);
    end();
}

static void who_has_left_is_told_once(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, GET("/"));
    set_timer(index, 500, 0);
    carom_peer_reset(peer);
    turn();
    assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
    pass(1000);
    assert_int_equal(news_of(index), 0);
    set_timer(index, 500, 0); /* nor of what is over */
    pass(1000);
    assert_int_equal(news_of(index), 0);
    /* A slot's next request has no timer of the one before. */
    index = ask(&peer, GET("/"));
    set_timer(index, 500, CAROM_FLAG_RELEASE);
    assert_int_equal(ask(&peer, GET("/")), index);
    pass(1000);
    assert_int_equal(news_of(index), 0);
    end();
}

/* So that a message that the client does not take can be given up. */
static void time_passes_while_a_message_waits(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, GET("/"));
    carom_peer_set_window(peer, 0);
    say_loan(index, 0, CAROM_FLAG_HEAD);
    static char bytes[1 << 17];
    assert_int_equal(carom_ring_lend(vm.ring, 0, bytes, sizeof bytes), 0);
    say_loan(index, 1, CAROM_FLAG_DATA);
    say_loan(index, 0, 0); /* more than is taken ahead: what comes now waits */
    slot_words(index)[CAROM_SLOT_DATA_LENGTH] = 5;
    slot_words(index)[CAROM_SLOT_TIME] = 700;
    command(index, CAROM_FLAG_DATA | CAROM_FLAG_TIMER);
    assert_int_equal(slot_words(index)[CAROM_SLOT_FLAGS], CAROM_FLAG_DATA | CAROM_FLAG_WAITS);
    pass(701);
    assert_int_equal(news_of(index), CAROM_NEWS_TIME);
    command(index, CAROM_FLAG_CANCEL | CAROM_FLAG_RELEASE);
    assert_int_equal(returned(0), 1);
    end();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(a_lent_file_is_sent),
        cmocka_unit_test(a_file_stays_lent_while_it_is_sent),
        cmocka_unit_test(a_file_is_a_whole_answer_or_none),
        cmocka_unit_test(a_file_has_no_fields),
        cmocka_unit_test(head_sends_nothing_of_a_file),
        cmocka_unit_test(the_time_of_a_slot_is_told),
        cmocka_unit_test(a_timer_takes_the_place_of_another),
        cmocka_unit_test(who_has_left_is_told_once),
        cmocka_unit_test(time_passes_while_a_message_waits),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
