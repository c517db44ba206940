/* Connections, as the VM hears of them: their numbers, their ends, what was no request, and how the
 * VM closes them. */
#include "ring/observer.h"
#include "unit/ring/vm.h"

#define SLOTS   16
#define GARBAGE "NO REQUEST\r\n\r\n"
#define ANSWER  (CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE)

static struct carom_peer *peer;

static void vm_begin(void)
{
    carom_options options = simulation_options();
    vm_begin_watching(&options, SLOTS, true);
}

/* The next news there are, which must be these; of which connection. */
static carom_ring_connection heard(uint32_t news)
{
    carom_ring_connection connection = CAROM_RING_CONNECTION_INIT;
    assert_int_equal(carom_ring_take_connection(vm.ring, &connection), 1);
    assert_int_equal(connection.news, news);
    return connection;
}

static void assert_no_news(void)
{
    carom_ring_connection connection = CAROM_RING_CONNECTION_INIT;
    assert_int_equal(carom_ring_take_connection(vm.ring, &connection), 0);
}

/* A program that was compiled for an earlier library, or a later one, has another size. */
static void a_connection_of_any_size_is_told(void **state)
{
    (void)state;
    struct {
        carom_ring_connection known;
        uint64_t more;
    } later = {.known.size = sizeof later, .more = 7};
    carom_ring_connection bad = {0}, earlier = {.size = offsetof(carom_ring_connection, peer)};
    earlier.peer.port = 7;
    vm_begin();
    peer = connect_peer();
    turn();
    assert_int_equal(carom_ring_take_connection(vm.ring, &bad), -CAROM_EINVAL);
    assert_int_equal(carom_ring_take_connection(vm.ring, &earlier), 1);
    assert_int_equal(earlier.news, CAROM_RING_OPENED);
    assert_int_equal(earlier.peer.port, 7); /* behind its end */
    carom_peer_reset(peer);
    turn();
    assert_int_equal(carom_ring_take_connection(vm.ring, &later.known), 1);
    assert_int_equal(later.known.news, CAROM_RING_CLOSED);
    assert_int_equal(later.known.size, sizeof later);
    assert_int_equal(later.more, 0);
    carom_ring_forget_connection(vm.ring, later.known.number);
    vm_finish();
}

static void respond(uint32_t index, const char *text, uint32_t flags)
{
    uint32_t *words = slot_words(index);
    uint32_t length = (uint32_t)strlen(text);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_DATA_LENGTH] = length;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
    memcpy(slot_out(index), text, length);
    command(index, flags);
}

static void close_connection(uint32_t number, uint32_t how)
{
    carom_ring_close_connection(vm.ring, number, how);
    assert_true(carom_ring_has_commands(vm.ring));
    turn();
    assert_false(carom_ring_has_commands(vm.ring));
}

static void a_connection_has_one_number_from_its_beginning_to_its_end(void **state)
{
    (void)state;
    vm_begin();
    peer = connect_peer();
    turn();
    assert_int_equal(vm.control[CAROM_RING_CONNECTION_NEWS], 1);
    carom_ring_connection connection = heard(CAROM_RING_OPENED);
    assert_int_equal(connection.number, 1);
    assert_int_equal(connection.peer.family, CAROM_IPV4);
    assert_string_equal(connection.peer.text, "127.0.0.1");
    assert_int_equal(connection.peer.port, 1);
    assert_false(connection.secure);
    for (int i = 0; i < 2; i++) {
        say(peer, GET("/"));
        turn();
        uint32_t index = new_request();
        assert_int_equal(slot_words(index)[CAROM_SLOT_CONNECTION], 1);
        respond(index, "abc", ANSWER);
    }
    assert_no_news();
    carom_peer_shutdown(peer);
    turn();
    connection = heard(CAROM_RING_CLOSED);
    assert_int_equal(connection.number, 1);
    assert_int_equal(connection.reason, CAROM_REASON_CLIENT_CLOSED);
    assert_int_equal(connection.received, 2 * strlen(GET("/")));
    assert_int_equal(connection.sent, strlen(got(peer)));
    vm_finish();
}

static void a_number_is_used_again_when_its_end_was_heard(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *first = connect_peer();
    turn();
    carom_peer_reset(first);
    turn();
    struct carom_peer *second = connect_peer();
    turn();
    carom_ring_connection connection = heard(CAROM_RING_OPENED | CAROM_RING_CLOSED);
    assert_int_equal(connection.number, 1);
    assert_int_equal(connection.reason, CAROM_REASON_CLIENT_RESET);
    assert_int_equal(heard(CAROM_RING_OPENED).number, 2);
    carom_ring_forget_connection(vm.ring, 2); /* is not closed */
    carom_ring_forget_connection(vm.ring, 9);
    connect_peer();
    turn();
    assert_int_equal(heard(CAROM_RING_OPENED).number, 3);
    carom_ring_forget_connection(vm.ring, 1);
    carom_ring_forget_connection(vm.ring, 1);
    connect_peer();
    turn();
    assert_int_equal(heard(CAROM_RING_OPENED).number, 1);
    carom_peer_shutdown(second);
    turn();
    assert_int_equal(heard(CAROM_RING_CLOSED).number, 2);
    assert_no_news();
    vm_finish();
}

static void a_vm_that_hears_of_none_cannot_make_them_endless(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.max_connections = 32;
    vm_begin_watching(&options, SLOTS, true);
    for (int i = 0; i < 64; i++) {
        peer = connect_peer();
        turn();
        assert_false(carom_peer_saw_reset(peer));
        carom_peer_reset(peer);
        turn();
    }
    peer = connect_peer();
    turn();
    assert_true(carom_peer_saw_reset(peer));
    carom_ring_forget_connection(vm.ring, heard(CAROM_RING_OPENED | CAROM_RING_CLOSED).number);
    peer = connect_peer();
    turn();
    assert_false(carom_peer_saw_reset(peer));
    vm_finish();
}

static void what_is_no_request_is_told_and_may_be_answered(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, GARBAGE);
    const uint32_t *words = slot_words(index);
    assert_int_equal(words[CAROM_SLOT_METHOD_LENGTH], 0);
    assert_int_equal(words[CAROM_SLOT_FIELD_COUNT], 0);
    assert_int_equal(words[CAROM_SLOT_VERSION], 11 | 400u << 16);
    assert_int_equal(words[CAROM_SLOT_REASON], CAROM_REASON_BAD_REQUEST);
    assert_int_equal(words[CAROM_SLOT_TARGET_LENGTH], strlen(GARBAGE));
    assert_memory_equal((const uint8_t *)words + CAROM_SLOT_IN, GARBAGE, strlen(GARBAGE));
    assert_int_equal(words[CAROM_SLOT_CONNECTION], heard(CAROM_RING_OPENED).number);
    say(peer, GET("/")); /* is not taken any more */
    respond(index, "mine", ANSWER);
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_got(peer, "mine");
    assert_int_equal(new_request(), vm.slot_count);
    assert_true(carom_peer_saw_fin(peer));
    carom_peer_shutdown(peer);
    turn();
    assert_int_equal(heard(CAROM_RING_CLOSED).received, strlen(GARBAGE GET("/")));
    vm_finish();
}

static void bytes_are_sent_as_they_are(void **state)
{
    (void)state;
    static const char *const asked[] = {GARBAGE, GET("/")};
    for (size_t i = 0; i < COUNT(asked); i++) {
        vm_begin();
        uint32_t index = ask(&peer, asked[i]);
        respond(index, "HTTP/1.1 418 Mine\r\nX: y", CAROM_FLAG_RAW | CAROM_FLAG_DATA);
        assert_string_equal(got(peer), "HTTP/1.1 418 Mine\r\nX: y");
        say(peer, GET("/")); /* nothing behind it is a request */
        turn();
        respond(index, "z\r\n\r\n", CAROM_FLAG_DATA | CAROM_FLAG_END | CAROM_FLAG_RELEASE);
        assert_string_equal(got(peer), "HTTP/1.1 418 Mine\r\nX: yz\r\n\r\n");
        assert_int_equal(new_request(), vm.slot_count);
        assert_true(carom_peer_saw_fin(peer));
        vm_finish();
    }
}

static void an_expectation_is_for_the_vm(void **state)
{
    (void)state;
    vm_begin();
    uint32_t index = ask(&peer, "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n");
    assert_int_equal(slot_words(index)[CAROM_SLOT_VERSION], 11);
    respond(index, "tea", ANSWER);
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    vm_finish();
}

static void what_the_vm_does_not_answer_the_engine_does(void **state)
{
    (void)state;
    vm_begin();
    command(ask(&peer, GARBAGE), CAROM_FLAG_RELEASE);
    assert_got(peer, "HTTP/1.1 400 Bad Request\r\n");
    assert_true(carom_peer_saw_fin(peer));
    const carom_stats stats = stats_now();
    assert_int_equal(stats.ended[CAROM_REASON_BAD_REQUEST], 1);
    vm_finish();
}

/* The peer has only said that it is done, so the VM may answer. */
static void fin_in_a_head_is_told_with_its_reason(void **state)
{
    (void)state;
    for (int answers = 0; answers < 2; answers++) {
        vm_begin();
        peer = connect_peer();
        say(peer, "GET / HT");
        carom_peer_shutdown(peer);
        turn();
        uint32_t index = new_request();
        const uint32_t *words = slot_words(index);
        assert_int_equal(words[CAROM_SLOT_VERSION] >> 16, 400);
        assert_int_equal(words[CAROM_SLOT_REASON], CAROM_REASON_CLIENT_CLOSED);
        assert_int_equal(words[CAROM_SLOT_TARGET_LENGTH], strlen("GET / HT"));
        assert_memory_equal((const uint8_t *)words + CAROM_SLOT_IN, "GET / HT", strlen("GET / HT"));
        if (answers)
            respond(index, "mine", ANSWER);
        else
            command(index, CAROM_FLAG_RELEASE);
        assert_got(peer, answers ? "mine" : "HTTP/1.1 400 Bad Request\r\n");
        assert_true(carom_peer_saw_fin(peer));
        vm_finish();
    }
}

static void a_head_that_is_late_is_told_as_far_as_it_came(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.header_timeout = 1000;
    vm_begin_watching(&options, SLOTS, true);
    peer = connect_peer();
    say(peer, "GET / HT");
    turn();
    assert_int_equal(new_request(), vm.slot_count);
    pass(2000);
    turn();
    uint32_t index = new_request();
    const uint32_t *words = slot_words(index);
    assert_int_equal(words[CAROM_SLOT_VERSION] >> 16, 408);
    assert_int_equal(words[CAROM_SLOT_TARGET_LENGTH], 8);
    assert_memory_equal((const uint8_t *)words + CAROM_SLOT_IN, "GET / HT", 8);
    command(index, CAROM_FLAG_RELEASE);
    assert_got(peer, "HTTP/1.1 408 ");
    vm_finish();
}

static void only_those_that_are_idle_are_closed(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *idle = connect_peer();
    turn();
    uint32_t index = ask(&peer, GET("/"));
    struct carom_peer *reading = connect_peer();
    say(reading, "GET / ");
    turn();
    close_connection(0, CAROM_CLOSE_IDLE);
    assert_true(carom_peer_saw_fin(idle));
    assert_false(carom_peer_saw_close(peer));
    assert_false(carom_peer_saw_close(reading));
    close_connection(2, CAROM_CLOSE_IDLE);
    assert_false(carom_peer_saw_close(peer));
    respond(index, "abc", ANSWER);
    close_connection(2, CAROM_CLOSE_IDLE);
    assert_true(carom_peer_saw_fin(peer));
    assert_false(carom_peer_saw_close(reading));
    vm_finish();
}

/* It is closed by the VM in the round in which a page is there for it: it is not told of any more,
 * for its content has gone. */
static void a_request_that_was_closed_while_it_waited_is_not_told(void **state)
{
    (void)state;
    char request[4096];
    snprintf(request, sizeof request,
             "POST / HTTP/1.1\r\nHost: a\r\nX: %03000d\r\nContent-Length: 2\r\n\r\nhi", 7);
    carom_options options = simulation_options();
    vm_begin_watching(&options, CAROM_RING_PAGES + 1, true);
    uint32_t first = 0;
    for (int i = 0; i < CAROM_RING_PAGES; i++)
        first = ask(&peer, request);
    peer = connect_peer();
    say(peer, request);
    turn();
    assert_int_equal(new_request(), vm.slot_count);
    give_page(slot_words(first)[CAROM_SLOT_HEAD_PAGE]);
    close_connection(CAROM_RING_PAGES + 1, CAROM_CLOSE_NOW);
    assert_true(carom_peer_saw_close(peer));
    assert_int_equal(new_request(), vm.slot_count);
    assert_int_equal(stats_now().records_in_flight, CAROM_RING_PAGES);
    vm_finish();
}

static void what_was_answered_before_arrives_and_then_it_closes(void **state)
{
    (void)state;
    static const uint32_t how[] = {CAROM_CLOSE_NOW, CAROM_CLOSE_RESET};
    for (size_t i = 0; i < COUNT(how); i++) {
        vm_begin();
        uint32_t index = ask(&peer, GET("/"));
        uint64_t received, sent;
        carom_ring_traffic(vm.ring, 1, NULL, &sent); /* nowhere to tell */
        carom_ring_traffic(vm.ring, 1, &received, NULL);
        carom_ring_traffic(vm.ring, 1, &received, &sent);
        assert_int_equal(received, strlen(GET("/")));
        assert_int_equal(sent, 0);
        respond(index, "begun", CAROM_FLAG_HEAD | CAROM_FLAG_DATA);
        carom_ring_traffic(vm.ring, 1, &received, &sent);
        assert_int_equal(sent, strlen(got(peer)));
        slot_words(index)[CAROM_SLOT_NEWS] = 0;
        /* Both in one turn. */
        uint32_t *words = slot_words(index);
        memcpy(slot_out(index), "going", 5);
        words[CAROM_SLOT_FIELDS_LENGTH] = 0;
        words[CAROM_SLOT_ECHO] = words[CAROM_SLOT_GENERATION];
        words[CAROM_SLOT_FLAGS] = CAROM_FLAG_DATA;
        put_command(index);
        carom_ring_close_connection(vm.ring, 1, how[i]);
        turn();
        assert_got(peer, "going");
        assert_int_equal(carom_peer_saw_reset(peer), how[i] == CAROM_CLOSE_RESET);
        assert_true(carom_peer_saw_close(peer));
        assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
        assert_int_equal(slot_words(index)[CAROM_SLOT_REASON], CAROM_REASON_CANCELED);
        assert_int_equal(heard(CAROM_RING_OPENED | CAROM_RING_CLOSED).sent, strlen(got(peer)));
        command(index, CAROM_FLAG_RELEASE);
        vm_finish();
    }
}

static void who_has_the_number_of_one_that_was_to_be_closed_stays(void **state)
{
    (void)state;
    vm_begin();
    peer = connect_peer();
    turn();
    assert_int_equal(heard(CAROM_RING_OPENED).number, 1);
    carom_ring_close_connection(vm.ring, 7, CAROM_CLOSE_NOW); /* unknown */
    carom_ring_close_connection(vm.ring, 1, 9);               /* in no known way */
    turn();
    assert_false(carom_peer_saw_close(peer));
    carom_ring_close_connection(vm.ring, 1, CAROM_CLOSE_NOW);
    turn();
    assert_true(carom_peer_saw_close(peer));
    assert_int_equal(heard(CAROM_RING_CLOSED).number, 1);
    carom_ring_forget_connection(vm.ring, 1);
    carom_ring_close_connection(vm.ring, 1, CAROM_CLOSE_NOW);
    peer = connect_peer();
    turn();
    assert_int_equal(heard(CAROM_RING_OPENED).number, 1);
    assert_false(carom_peer_saw_close(peer));
    vm_finish();
}

/* As a listener does who only counts: it may answer for a while, since nothing more comes. */
static void a_refusal_that_nobody_answers_ends_behind_fin(void **state)
{
    (void)state;
    const char *const bad[] = {"GET / HT", "GET@ / HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        vm_begin();
        peer = connect_peer();
        say(peer, bad[i]);
        carom_peer_shutdown(peer);
        turn();
        uint32_t index = new_request();
        assert_int_equal(slot_words(index)[CAROM_SLOT_VERSION] >> 16, 400);
        pass(1900);
        assert_int_equal(news_of(index), 0);
        assert_false(carom_peer_saw_close(peer));
        pass(200);
        assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
        command(index, CAROM_FLAG_RELEASE);
        assert_true(carom_peer_saw_close(peer));
        vm_finish();
    }
}

/* A VM on a thread of its own may hear of an end, and ask to close whoever has the number next,
 * while the one that it asked of before still stands in the list. */
static void a_number_stands_in_the_list_once(void **state)
{
    (void)state;
    vm_begin();
    peer = connect_peer();
    turn();
    assert_int_equal(heard(CAROM_RING_OPENED).number, 1);
    struct carom_node *open = &sim.service->workers[0].connections.open;
    struct carom_core *core = carom_container(open->next, struct carom_core, link);
    struct carom_observer *observer = carom_ring_observer_of(vm.ring);
    for (int round = 0; round < 3; round++) {
        carom_ring_close_connection(vm.ring, 1, CAROM_CLOSE_NOW);
        observer->closed(observer, core, CAROM_REASON_CLIENT_CLOSED);
        assert_int_equal(heard(CAROM_RING_CLOSED).number, 1);
        carom_ring_forget_connection(vm.ring, 1);
        assert_int_equal(observer->opened(observer, core), 1);
        assert_int_equal(heard(CAROM_RING_OPENED).number, 1);
    }
    turn();
    assert_false(carom_peer_saw_close(peer)); /* it is none of those */
    close_connection(1, CAROM_CLOSE_NOW);
    assert_true(carom_peer_saw_close(peer));
    vm_finish();
}

/* Nor does whoever has the number of one in the list cut off those behind it. */
static void those_behind_a_number_that_is_used_again_are_closed(void **state)
{
    (void)state;
    vm_begin();
    peer = connect_peer();
    struct carom_peer *other = connect_peer();
    turn();
    assert_int_equal(heard(CAROM_RING_OPENED).number, 1);
    assert_int_equal(heard(CAROM_RING_OPENED).number, 2);
    struct carom_node *open = &sim.service->workers[0].connections.open;
    struct carom_core *core = carom_container(open->next, struct carom_core, link);
    struct carom_observer *observer = carom_ring_observer_of(vm.ring);
    assert_int_equal(carom_core_number(core), 1);
    carom_ring_close_connection(vm.ring, 1, CAROM_CLOSE_NOW);
    carom_ring_close_connection(vm.ring, 2, CAROM_CLOSE_NOW);
    observer->closed(observer, core, CAROM_REASON_CLIENT_CLOSED);
    assert_int_equal(heard(CAROM_RING_CLOSED).number, 1);
    carom_ring_forget_connection(vm.ring, 1);
    assert_int_equal(observer->opened(observer, core), 1);
    turn();
    assert_false(carom_peer_saw_close(peer));
    assert_true(carom_peer_saw_close(other));
    vm_finish();
}

static void note_in_state(carom_record *record, void *data)
{
    memset(carom_connection_state(record), 0xff, 32);
    carom_ring_handle(record, data);
}

static void the_state_of_a_connection_lies_behind_what_is_observed(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    options.connection_state = 32;
    vm_begin_watching(&options, SLOTS, true);
    sim.service->options.handler = note_in_state;
    uint32_t index = ask(&peer, GET("/"));
    assert_int_equal(slot_words(index)[CAROM_SLOT_CONNECTION], 1);
    heard(CAROM_RING_OPENED);
    respond(index, "fine", ANSWER);
    carom_peer_shutdown(peer);
    turn();
    carom_ring_connection connection = heard(CAROM_RING_CLOSED);
    assert_int_equal(connection.number, 1);
    assert_int_equal(connection.received, strlen(GET("/")));
    vm_finish();
}

/* Numbers that a burst has used cost nothing two windows later; what stays open keeps its own. */
static void what_a_burst_has_left_of_the_table_goes_back(void **state)
{
    (void)state;
    enum { COUNT = 200, CHUNK = 64 };
    struct carom_peer *peers[COUNT];
    vm_begin();
    struct carom_ring_observer *watch = vm.ring->observer;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            peers[i] = connect_peer();
            turn();
            assert_int_equal(heard(CAROM_RING_OPENED).number, i + 1); /* the lowest */
        }
        assert_false(carom_ring_observer_above_floor(watch));
        for (uint32_t number = 1; number < COUNT; number++) {
            carom_peer_reset(peers[number - 1]);
            turn();
            assert_int_equal(heard(CAROM_RING_CLOSED).number, number);
            for (int times = 0; times < 2; times++) /* counts once */
                carom_ring_forget_connection(vm.ring, number);
        }
        assert_true(carom_ring_observer_above_floor(watch));
        uint64_t before = carom_memory_held();
        carom_ring_observer_tick(watch);
        assert_int_equal(carom_memory_held(), before);
        carom_ring_observer_tick(watch);
        uint64_t gone = before - carom_memory_held();
        assert_in_range(gone / 2, CHUNK * 48, CHUNK * 96); /* of the two between first and last */
        assert_false(carom_ring_observer_above_floor(watch));
        carom_ring_close_connection(vm.ring, CHUNK + 1, CAROM_CLOSE_NOW); /* there is none */
        close_connection(round == 0 ? COUNT : 0, CAROM_CLOSE_NOW);
        assert_int_equal(heard(CAROM_RING_CLOSED).number, COUNT);
        carom_ring_forget_connection(vm.ring, COUNT);
    }
    struct carom_guest *guest = &vm.ring->guest;
    assert_true(guest->above_floor(guest));
    for (int i = 0; i < 3; i++)
        pass(CAROM_POOL_WINDOW);
    assert_false(guest->above_floor(guest));
    vm_finish();
}

static void who_does_not_watch_hears_nothing(void **state)
{
    (void)state;
    carom_options options = simulation_options();
    vm_begin_with(&options, SLOTS);
    peer = connect_peer();
    say(peer, GARBAGE);
    turn();
    assert_got(peer, "HTTP/1.1 400 ");
    assert_int_equal(new_request(), vm.slot_count);
    assert_no_news();
    uint32_t index = ask(&peer, GET("/"));
    assert_int_equal(slot_words(index)[CAROM_SLOT_CONNECTION], 0);
    carom_ring_close_connection(vm.ring, 0, CAROM_CLOSE_NOW);
    assert_false(carom_ring_has_commands(vm.ring));
    turn();
    assert_false(carom_peer_saw_close(peer));
    uint64_t received = 1, sent = 1;
    carom_ring_traffic(vm.ring, 1, &received, &sent);
    assert_int_equal(received + sent, 0);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_has_one_number_from_its_beginning_to_its_end),
        cmocka_unit_test(a_number_is_used_again_when_its_end_was_heard),
        cmocka_unit_test(a_connection_of_any_size_is_told),
        cmocka_unit_test(a_vm_that_hears_of_none_cannot_make_them_endless),
        cmocka_unit_test(what_is_no_request_is_told_and_may_be_answered),
        cmocka_unit_test(bytes_are_sent_as_they_are),
        cmocka_unit_test(an_expectation_is_for_the_vm),
        cmocka_unit_test(what_the_vm_does_not_answer_the_engine_does),
        cmocka_unit_test(fin_in_a_head_is_told_with_its_reason),
        cmocka_unit_test(a_refusal_that_nobody_answers_ends_behind_fin),
        cmocka_unit_test(a_head_that_is_late_is_told_as_far_as_it_came),
        cmocka_unit_test(only_those_that_are_idle_are_closed),
        cmocka_unit_test(a_request_that_was_closed_while_it_waited_is_not_told),
        cmocka_unit_test(what_was_answered_before_arrives_and_then_it_closes),
        cmocka_unit_test(who_has_the_number_of_one_that_was_to_be_closed_stays),
        cmocka_unit_test(a_number_stands_in_the_list_once),
        cmocka_unit_test(those_behind_a_number_that_is_used_again_are_closed),
        cmocka_unit_test(the_state_of_a_connection_lies_behind_what_is_observed),
        cmocka_unit_test(what_a_burst_has_left_of_the_table_goes_back),
        cmocka_unit_test(who_does_not_watch_hears_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
