/* Messages that a VM gets wrong, one table: each is refused as a whole, nothing of it is sent, its
 * loan comes back once, and the slot is the VM's as before. And the nearest ones that are right,
 * which are sent byte for byte. Here the VM is the test itself: it writes the words and reads the
 * news, and nothing happens that a test does not do. */
#include "unit/ring/vm.h"

#define NEVER UINT32_MAX

/* The flags of a whole answer that keeps its slot. */
#define ANSWER (CAROM_FLAG_HEAD | CAROM_FLAG_DATA | CAROM_FLAG_END)

static void vm_begin(void)
{
    carom_options options = simulation_options();
    vm_begin_with(&options, CAPACITY);
}

/* A good answer: the slot is still the VM's, and nothing has been sent on it before. */
static void assert_still_open(uint32_t index, struct carom_peer *peer)
{
    assert_string_equal(got(peer), "");
    uint32_t *words = slot_words(index);
    memset(words + CAROM_SLOT_STATUS, 0, 7 * sizeof *words);
    words[CAROM_SLOT_STATUS] = 200;
    words[CAROM_SLOT_FIELDS_LOAN] = 0;
    words[CAROM_SLOT_DATA_LENGTH] = 4;
    memcpy(slot_out(index), "fine", 4);
    uint32_t bad = bad_commands();
    command(index, ANSWER | CAROM_FLAG_RELEASE);
    assert_int_equal(bad_commands(), bad);
    assert_int_equal(news_of(index), 0);
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    assert_got(peer, "\r\nContent-Length: 4\r\n");
    assert_got(peer, "\r\n\r\nfine");
}

/* ---------------------------------------------------------------- the table */

struct message {
    const char *what;
    uint32_t status, fields, data, loan, trailers; /* as the words are; status 0: 200 */
    const char *out;                               /* how the area begins */
    size_t out_length;
    int error; /* 0: it is sent */
};

#define OUT(text)     .out = (text), .out_length = sizeof(text) - 1
#define REFUSED(name) .error = CAROM_##name

/* The area is filled with 'x' behind `out`, so that a length that runs on finds only what may stand
 * in a field. */
static const struct message messages[] = {
    {"nothing but a status", .fields = 0},
    {"a field", .fields = 9, OUT(LENGTHS("\4", "\1") "x-ab1")},
    {"a field and content", .fields = 9, .data = 3, OUT(LENGTHS("\4", "\1") "x-ab1one")},
    {"two fields", .fields = 16, OUT(LENGTHS("\3", "\1") "x-a1" LENGTHS("\3", "\1") "x-b2")},
    {"a value without length", .fields = 7, OUT(LENGTHS("\3", "\0") "x-a")},
    {"the shortest field", .fields = 5, OUT(LENGTHS("\1", "\0") "a")},
    {"content that fills the slot", .data = ROOM_OUT},
    {"a field and content that fill it", .fields = 9, .data = ROOM_OUT - 9,
     OUT(LENGTHS("\4", "\1") "x-ab1")},
    {"trailers", .trailers = 8, OUT(LENGTHS("\3", "\1") "x-a1")},
    {"a field, content, trailers", .fields = 8, .data = 3, .trailers = 8,
     OUT(LENGTHS("\3", "\1") "x-a1one" LENGTHS("\3", "\1") "x-t2")},
    {"status 599", .status = 599},

    {"content one byte too long", .data = ROOM_OUT + 1, REFUSED(EINVAL)},
    {"fields one byte too long", .fields = ROOM_OUT + 1, REFUSED(EINVAL)},
    {"trailers one byte too long", .trailers = ROOM_OUT + 1, REFUSED(EINVAL)},
    {"together one byte too long", .fields = 9, .data = ROOM_OUT - 8,
     OUT(LENGTHS("\4", "\1") "x-ab1"), REFUSED(EINVAL)},
    {"with trailers one byte too long", .data = ROOM_OUT - 7, .trailers = 8, REFUSED(EINVAL)},
    {"content of 32 ones", .data = UINT32_MAX, REFUSED(EINVAL)},
    {"fields of 32 ones", .fields = UINT32_MAX, REFUSED(EINVAL)},
    {"trailers of 32 ones", .trailers = UINT32_MAX, REFUSED(EINVAL)},
    {"content and fields wrap to 0", .fields = 9, .data = UINT32_MAX - 8,
     OUT(LENGTHS("\4", "\1") "x-ab1"), REFUSED(EINVAL)},
    {"fields and content wrap to 1", .fields = UINT32_MAX, .data = 2, REFUSED(EINVAL)},
    {"content and trailers wrap to 8", .data = UINT32_MAX, .trailers = 9,
     OUT(LENGTHS("\4", "\1") "x-ab1"), REFUSED(EINVAL)},
    {"fields and trailers wrap to 0", .fields = 9, .trailers = UINT32_MAX - 8,
     OUT(LENGTHS("\4", "\1") "x-ab1"), REFUSED(EINVAL)},
    {"two halves wrap to 0", .fields = 1u << 31, .data = 1u << 31, REFUSED(EINVAL)},
    {"all three wrap to 0", .fields = 1u << 31, .data = 1u << 30, .trailers = 1u << 30,
     REFUSED(EINVAL)},

    {"fields of one byte", .fields = 1, OUT("\1"), REFUSED(EFIELD)},
    {"fields of lengths only", .fields = 4, OUT(LENGTHS("\1", "\0") "a"), REFUSED(EFIELD)},
    {"a second field without name", .fields = 12,
     OUT(LENGTHS("\3", "\1") "x-a1" LENGTHS("\1", "\0") "a"), REFUSED(EFIELD)},
    {"a phrase that splits", .fields = 5, OUT(LENGTHS("\0", "\1") "\r"), REFUSED(EFIELD)},
    {"a second name without length", .fields = 13,
     OUT(LENGTHS("\3", "\1") "x-a1" LENGTHS("\0", "\1") "a"), REFUSED(EFIELD)},
    {"a value one byte past the fields", .fields = 9, OUT(LENGTHS("\4", "\2") "x-ab1"),
     REFUSED(EFIELD)},
    {"a name one byte past the fields", .fields = 7, OUT(LENGTHS("\4", "\0") "x-ab"),
     REFUSED(EFIELD)},
    {"a value into the content", .fields = 9, .data = 20, OUT(LENGTHS("\4", "\5") "x-ab1"),
     REFUSED(EFIELD)},
    {"a name into the content", .fields = 9, .data = 20, OUT(LENGTHS("\11", "\0") "x-ab1"),
     REFUSED(EFIELD)},
    {"a value into the trailers", .fields = 9, .trailers = 8, OUT(LENGTHS("\4", "\5") "x-ab1"),
     REFUSED(EFIELD)},
    {"a value to the end of the slot", .fields = 9,
     OUT(HALF("\4", "\0") HALF("\370", "\027") "x-ab1"), REFUSED(EFIELD)},
    {"a value past the slot", .fields = 9, OUT(HALF("\4", "\0") HALF("\377", "\377") "x-ab1"),
     REFUSED(EFIELD)},
    {"a name past the slot", .fields = 9, OUT(HALF("\377", "\377") HALF("\0", "\0") "x-ab1"),
     REFUSED(EFIELD)},
    {"name and value wrap to 5", .fields = 9, OUT(HALF("\377", "\377") HALF("\6", "\0") "x-ab1"),
     REFUSED(EFIELD)},
    {"name and value wrap to 0", .fields = 9, OUT(HALF("\0", "\200") HALF("\0", "\200") "x-ab1"),
     REFUSED(EFIELD)},
    {"a second value past the fields", .fields = 16,
     OUT(LENGTHS("\3", "\1") "x-a1" LENGTHS("\3", "\2") "x-b2"), REFUSED(EFIELD)},

    {"status 0", .status = NEVER, REFUSED(EINVAL)},
    {"status 99", .status = 99, REFUSED(EINVAL)},
    {"status 1000", .status = 1000, REFUSED(EINVAL)},
    {"status 200 in the low half only", .status = 65536 + 200, REFUSED(EINVAL)},

    {"a loan that is not lent", .data = 3, .loan = 8, REFUSED(EINVAL)},
    {"the last loan, not lent", .data = 3, .loan = CAROM_RING_LOANS, REFUSED(EINVAL)},
    {"a loan behind the last", .data = 3, .loan = CAROM_RING_LOANS + 1, REFUSED(EINVAL)},
    {"a loan far behind the last", .data = 3, .loan = 1u << 20, REFUSED(EINVAL)},
    {"a loan of 32 ones", .data = 3, .loan = UINT32_MAX, REFUSED(EINVAL)},
};

static void write_message(uint32_t index, const struct message *message)
{
    uint32_t *words = slot_words(index);
    memset(slot_out(index), 'x', ROOM_OUT);
    if (message->out_length > 0)
        memcpy(slot_out(index), message->out, message->out_length);
    words[CAROM_SLOT_STATUS] = message->status == 0       ? 200
                               : message->status == NEVER ? 0
                                                          : message->status;
    words[CAROM_SLOT_FIELDS_LENGTH] = message->fields;
    words[CAROM_SLOT_DATA_LENGTH] = message->data;
    words[CAROM_SLOT_DATA_LOAN] = message->loan;
    words[CAROM_SLOT_OUT_TRAILERS] = message->trailers;
    words[CAROM_SLOT_FIELDS_LOAN] = 0;
    words[CAROM_SLOT_WHOLE_LOW] = words[CAROM_SLOT_WHOLE_HIGH] = UINT32_MAX;
}

/* Fields of a message as lines. */
static char *write_lines(char *to, const uint8_t *at, uint32_t length)
{
    for (const uint8_t *end = at + length; at < end;) {
        uint16_t lengths[2]; /* of name and value */
        memcpy(lengths, at, sizeof lengths);
        const char *name = (const char *)at + sizeof lengths;
        to += sprintf(to, "%.*s: %.*s\r\n", lengths[0], name, lengths[1], name + lengths[0]);
        at += sizeof lengths + lengths[0] + lengths[1];
    }
    return to;
}

/* What a client gets of a good message, by our own reading of it. */
static void assert_sent(const struct message *message, struct carom_peer *peer, const uint8_t *out)
{
    char fields[64], rest[ROOM_OUT + 64] = "\r\n\r\n", *to = rest + 4;
    const uint8_t *content = out + message->fields;
    write_lines(fields, out, message->fields)[0] = '\0';
    if (message->trailers > 0 && message->data > 0)
        to += sprintf(to, "%x\r\n", message->data);
    memcpy(to, content, message->data);
    to += message->data;
    if (message->trailers > 0) {
        to += sprintf(to, message->data > 0 ? "\r\n0\r\n" : "0\r\n");
        to = write_lines(to, content + message->data, message->trailers);
        to += sprintf(to, "\r\n");
    }
    size_t length, rest_length = (size_t)(to - rest);
    carom_peer_received(peer, &length);
    const char *bytes = got(peer);
    assert_got(peer, message->status == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 599 ");
    assert_got(peer, fields);
    assert_ptr_equal(strstr(bytes, "\r\n\r\n"), bytes + length - rest_length);
    assert_memory_equal(bytes + length - rest_length, rest, rest_length);
}

static void assert_refused(uint32_t index, struct carom_peer *peer, const struct message *message)
{
    const uint32_t *words = slot_words(index);
    uint32_t news = news_of(index);
    if (news != CAROM_NEWS_ERROR || words[CAROM_SLOT_ERROR] != (uint32_t)message->error)
        fail_msg("%s: news %u, error %u", message->what, news, words[CAROM_SLOT_ERROR]);
    assert_int_equal(words[CAROM_SLOT_FLAGS], 0);
    assert_still_open(index, peer);
}

static void messages_are_sent_or_refused_as_the_table_says(void **state)
{
    (void)state;
    vm_begin();
    for (size_t i = 0; i < COUNT(messages); i++) {
        const struct message *message = &messages[i];
        struct carom_peer *peer;
        uint32_t index = ask(&peer, GET("/"));
        write_message(index, message);
        uint32_t bad = bad_commands();
        command(index, ANSWER);
        assert_int_equal(bad_commands(), bad);
        assert_int_equal(returned(0), 0);
        if (message->error != 0) {
            assert_refused(index, peer, message);
            continue;
        }
        if (news_of(index) != 0)
            fail_msg("%s: news, error %u", message->what, slot_words(index)[CAROM_SLOT_ERROR]);
        assert_sent(message, peer, slot_out(index));
        command(index, CAROM_FLAG_RELEASE);
    }
    vm_finish();
}

/* What is wrong is wrong with a loan as well, and with RELEASE, which is not done then. */
static void a_refused_message_gives_its_loan_back_once(void **state)
{
    (void)state;
    vm_begin();
    for (size_t i = 0; i < COUNT(messages); i++) {
        struct message message = messages[i];
        if (message.error == 0 || message.data != 0)
            continue;
        struct carom_peer *peer;
        uint32_t index = ask(&peer, GET("/"));
        message.loan = 4;
        assert_int_equal(carom_ring_lend(vm.ring, 3, "lent", 4), 0);
        write_message(index, &message);
        command(index, ANSWER | CAROM_FLAG_RELEASE);
        if (returned(3) != 1)
            fail_msg("%s: the loan has not come back", message.what);
        assert_refused(index, peer, &message);
        assert_int_equal(returned(3), 0);
    }
    vm_finish();
}

/* ---------------------------------------------------------------- fields by number */

/* `count` fields "a" without value. */
static void write_fields(uint32_t index, uint32_t count)
{
    write_message(index, &(struct message){.fields = 5 * count});
    for (uint32_t i = 0; i < count; i++)
        memcpy(slot_out(index) + (size_t)i * 5, LENGTHS("\1", "\0") "a", 5);
}

static void a_message_has_as_many_fields_as_fit(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    for (uint32_t count = ROOM_OUT / 5; count > 0; count /= 3) { /* the list is used again */
        uint32_t index = ask(&peer, GET("/"));
        write_fields(index, count);
        command(index, ANSWER | CAROM_FLAG_RELEASE);
        assert_int_equal(news_of(index), 0);
        assert_int_equal(lines_of(peer), count);
    }
    vm_finish();
}

/* ---------------------------------------------------------------- what is not looked at */

static void what_the_flags_do_not_mention_may_be_anything(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    write_message(
        index, &(struct message){.data = UINT32_MAX, .loan = UINT32_MAX, .trailers = UINT32_MAX});
    command(index, CAROM_FLAG_HEAD);
    assert_int_equal(news_of(index), 0);
    assert_got(peer, "\r\nTransfer-Encoding: chunked\r\n");
    write_message(index, &(struct message){.status = 1000, .data = 5, .trailers = UINT32_MAX});
    command(index, CAROM_FLAG_DATA);
    assert_int_equal(news_of(index), 0);
    assert_got(peer, "\r\n\r\n5\r\nxxxxx\r\n");
    write_message(index, &(struct message){.status = 1000, .data = UINT32_MAX, .loan = UINT32_MAX});
    command(index, CAROM_FLAG_END | CAROM_FLAG_RELEASE);
    assert_int_equal(news_of(index), 0);
    assert_got(peer, "xxxxx\r\n0\r\n\r\n");
    vm_finish();
}

/* The head has gone with its message by then; the VM ends otherwise. */
static void bad_trailers_leave_the_end_to_the_vm(void **state)
{
    (void)state;
    static const struct message table[] = {
        {"a value past the trailers", .trailers = 8, OUT(LENGTHS("\3", "\2") "x-t1")},
        {"a name past the trailers", .trailers = 8, OUT(LENGTHS("\5", "\0") "x-t1")},
        {"a value past the slot", .trailers = 8, OUT(HALF("\3", "\0") HALF("\377", "\377") "x-t1")},
        {"lengths only", .trailers = 4, OUT(LENGTHS("\1", "\0") "a")},
        {"a value behind the content past them", .data = 3, .trailers = 8,
         OUT("one" LENGTHS("\3", "\2") "x-t1")},
    };
    vm_begin();
    for (size_t i = 0; i < COUNT(table); i++) {
        struct carom_peer *peer;
        uint32_t index = ask(&peer, GET("/"));
        write_message(index, &table[i]);
        command(index, ANSWER | CAROM_FLAG_RELEASE);
        if (news_of(index) != CAROM_NEWS_ERROR)
            fail_msg("%s: is not refused", table[i].what);
        assert_int_equal(slot_words(index)[CAROM_SLOT_ERROR], CAROM_EFIELD);
        assert_null(strstr(got(peer), "0\r\n\r\n"));
        write_message(index, &(struct message){0});
        command(index, CAROM_FLAG_END | CAROM_FLAG_RELEASE);
        assert_int_equal(news_of(index), 0);
        assert_got(peer, table[i].data > 0 ? "3\r\none\r\n0\r\n\r\n" : "\r\n\r\n0\r\n\r\n");
    }
    vm_finish();
}

/* ---------------------------------------------------------------- loans */

static void a_loan_serves_one_message(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *first, *second;
    uint32_t one = ask(&first, GET("/")), two = ask(&second, GET("/"));
    /* Longer than what is copied at once: it stays lent while the peer takes nothing. */
    static char bytes[1000];
    memset(bytes, 'b', sizeof bytes);
    carom_peer_set_window(first, 0);
    const struct message message = {
        .what = "used", .loan = CAROM_RING_LOANS, .error = CAROM_EINVAL};
    assert_int_equal(carom_ring_lend(vm.ring, CAROM_RING_LOANS - 1, bytes, sizeof bytes), 0);
    write_message(one, &message);
    command(one, ANSWER | CAROM_FLAG_RELEASE);
    assert_int_equal(news_of(one), 0);
    write_message(two, &message);
    command(two, ANSWER);
    assert_int_equal(returned(CAROM_RING_LOANS - 1), 0); /* it is the first one's still */
    assert_refused(two, second, &message);
    carom_peer_set_window(first, SIZE_MAX);
    turn();
    assert_int_equal(returned(CAROM_RING_LOANS - 1), 1);
    assert_got(first, "\r\nContent-Length: 1000\r\n");
    /* Back is back: another message must not name it. */
    two = ask(&second, GET("/"));
    write_message(two, &message);
    command(two, ANSWER);
    assert_int_equal(returned(CAROM_RING_LOANS - 1), 0);
    assert_refused(two, second, &message);
    vm_finish();
}

static void the_loan_of_a_message_for_nobody_comes_back_once(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    carom_peer_reset(peer);
    turn();
    assert_int_equal(news_of(index), CAROM_NEWS_ENDED);
    assert_int_equal(slot_words(index)[CAROM_SLOT_REASON], CAROM_REASON_CLIENT_RESET);
    const uint32_t flags[] = {ANSWER, CAROM_FLAG_HEAD | CAROM_FLAG_DATA, CAROM_FLAG_DATA,
                              CAROM_FLAG_DATA | CAROM_FLAG_END};
    for (size_t i = 0; i < COUNT(flags); i++) {
        assert_int_equal(carom_ring_lend(vm.ring, 0, "lent", 4), 0);
        write_message(index, &(struct message){.loan = 1});
        command(index, flags[i]);
        assert_int_equal(returned(0), 1);
        assert_int_equal(news_of(index), 0); /* it is no error of the VM's */
        assert_int_equal(slot_words(index)[CAROM_SLOT_FLAGS], 0);
    }
    command(index, CAROM_FLAG_RELEASE);
    assert_int_equal(returned(0), 0);
    assert_int_equal(bad_commands(), 0);
    vm_finish();
}

/* ---------------------------------------------------------------- who the message is for */

/* One command, with an ECHO of its own. */
static void command_as(uint32_t index, uint32_t flags, uint32_t echo)
{
    write_message(index, &(struct message){0});
    slot_words(index)[CAROM_SLOT_ECHO] = echo;
    slot_words(index)[CAROM_SLOT_FLAGS] = flags;
    put_command(index);
    carom_ring_wake(vm.ring);
    turn();
}

static void a_message_for_another_generation_is_counted_and_not_done(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    uint32_t stale = slot_words(index)[CAROM_SLOT_GENERATION];
    command_as(index, ANSWER | CAROM_FLAG_RELEASE, stale);
    assert_got(peer, "HTTP/1.1 200 OK\r\n");
    struct carom_peer *other;
    assert_int_equal(ask(&other, GET("/")), index); /* the slot's next request */
    uint32_t generation = slot_words(index)[CAROM_SLOT_GENERATION];
    assert_int_equal(generation, stale + 1);
    const uint32_t wrong[] = {stale,      generation + 1,   0,
                              UINT32_MAX, generation + 256, generation + 65536};
    const uint32_t flags[] = {ANSWER | CAROM_FLAG_RELEASE, CAROM_FLAG_CANCEL, CAROM_FLAG_RELEASE};
    uint32_t bad = 0;
    for (size_t i = 0; i < COUNT(wrong); i++)
        for (size_t k = 0; k < COUNT(flags); k++) {
            command_as(index, flags[k], wrong[i]);
            assert_int_equal(bad_commands(), ++bad);
            assert_int_equal(news_of(index), 0);
            assert_int_equal(slot_words(index)[CAROM_SLOT_FLAGS], 0); /* the next may be written */
        }
    /* Who waits for that is told. */
    slot_words(index)[CAROM_SLOT_NOTIFY] = 1;
    command_as(index, CAROM_FLAG_RELEASE, stale);
    assert_int_equal(bad_commands(), ++bad);
    assert_int_equal(news_of(index), CAROM_NEWS_ROOM);
    /* Nor does it help the VM to write GENERATION. */
    slot_words(index)[CAROM_SLOT_GENERATION] = stale;
    command_as(index, CAROM_FLAG_CANCEL, stale);
    assert_int_equal(bad_commands(), ++bad);
    slot_words(index)[CAROM_SLOT_GENERATION] = generation;
    assert_still_open(index, other);
    vm_finish();
}

static void commands_for_no_slot_of_the_vm_are_counted(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/")), bad = 0;
    const uint32_t none[] = {CAPACITY, CAPACITY + 1, 256 * CAPACITY + index, UINT32_MAX,
                             (1u << 31) + index};
    for (size_t i = 0; i < COUNT(none); i++) {
        put_command(none[i]);
        carom_ring_wake(vm.ring);
        turn();
        assert_int_equal(bad_commands(), ++bad);
    }
    uint32_t free_slot = index == 0 ? 1 : 0;
    command_as(free_slot, CAROM_FLAG_RELEASE, slot_words(free_slot)[CAROM_SLOT_GENERATION]);
    assert_int_equal(bad_commands(), ++bad);
    command_as(index, 0, slot_words(index)[CAROM_SLOT_GENERATION]); /* says nothing */
    assert_int_equal(bad_commands(), bad);
    assert_still_open(index, peer);
    uint32_t again = slot_words(index)[CAROM_SLOT_GENERATION];
    command_as(index, CAROM_FLAG_RELEASE, again); /* has been released */
    assert_int_equal(bad_commands(), ++bad);
    vm_finish();
}

/* The queue's entries are taken at most once each, whatever its tail says. */
static void a_tail_that_runs_ahead_costs_a_round_of_the_queue(void **state)
{
    (void)state;
    vm_begin();
    struct carom_peer *peer;
    uint32_t index = ask(&peer, GET("/"));
    for (uint32_t i = 0; i < CAPACITY; i++)
        put_command(UINT32_MAX);
    carom_ring_wake(vm.ring);
    turn();
    assert_int_equal(bad_commands(), CAPACITY); /* a full queue is no fault */
    vm.command_tail += CAPACITY + 1;
    vm.control[CAROM_RING_COMMAND_TAIL] = vm.command_tail;
    assert_true(carom_ring_has_commands(vm.ring));
    carom_ring_wake(vm.ring);
    turn();
    assert_false(carom_ring_has_commands(vm.ring));
    assert_int_equal(bad_commands(), 2 * CAPACITY + 1); /* the entries, and the tail itself */
    assert_still_open(index, peer);
    vm_finish();
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(messages_are_sent_or_refused_as_the_table_says),
        cmocka_unit_test(a_refused_message_gives_its_loan_back_once),
        cmocka_unit_test(a_message_has_as_many_fields_as_fit),
        cmocka_unit_test(what_the_flags_do_not_mention_may_be_anything),
        cmocka_unit_test(bad_trailers_leave_the_end_to_the_vm),
        cmocka_unit_test(a_loan_serves_one_message),
        cmocka_unit_test(the_loan_of_a_message_for_nobody_comes_back_once),
        cmocka_unit_test(a_message_for_another_generation_is_counted_and_not_done),
        cmocka_unit_test(commands_for_no_slot_of_the_vm_are_counted),
        cmocka_unit_test(a_tail_that_runs_ahead_costs_a_round_of_the_queue),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
