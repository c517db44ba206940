/* Tests of what connections are owed, by its numbers: how large answers are lately, who leaves room
 * for others, and when a virtual machine has too much before it. */
#include "unit/base/support.h"

#include "http/owed.h"

#define KIB 1024u

static carom_options options;
static struct carom_connections connections;
static struct carom_owed owed;
static carom_record first, second, third;
static carom_record *const records[] = {&first, &second, &third};
static struct carom_node exchanges;
static uint64_t behind; /* the kernel, of each record */

static uint64_t unsent(const carom_record *record)
{
    (void)record;
    return behind;
}

static const struct carom_exchange_ops ops = {.unsent = unsent, .unreceived = unsent};

static int begin(void **state)
{
    (void)state;
    options = (carom_options){.write_buffer = 64 * KIB, .max_pipeline = 100, .max_unsent = 1000};
    memset(&connections, 0, sizeof connections);
    connections.options = &options;
    connections.requests_ahead = options.max_pipeline;
    carom_node_init(&connections.crowded);
    memset(&owed, 0xa5, sizeof owed); /* as a pool gives it */
    carom_owed_init(&owed, NULL);
    carom_node_init(&exchanges);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        memset(records[i], 0, sizeof *records[i]);
        records[i]->ops = &ops;
        records[i]->holds = CAROM_HOLD_EXCHANGE;
        records[i]->response = CAROM_RESPONSE_BEGUN;
        carom_node_init(&records[i]->link);
        carom_list_append(&exchanges, &records[i]->link);
    }
    behind = 0;
    return 0;
}

/* The record has so much to send, and the connection knows. */
static void owe(carom_record *record, uint64_t bytes)
{
    record->body.length = bytes;
    carom_owed_count(&connections, &owed, record);
}

static void what_is_owed_is_the_sum(void **state)
{
    (void)state;
    assert_int_equal(owed.bytes, 0);
    owe(records[0], 100);
    owe(records[1], 20);
    assert_int_equal(owed.bytes, 120);
    owe(records[0], 30);
    assert_int_equal(owed.bytes, 50);
    assert_int_equal(connections.owed, 50);
    behind = 5; /* with the stream, and not with the kernel */
    owe(records[1], 20);
    assert_int_equal(owed.bytes, 55);
    behind = 0;
    carom_owed_forget(&connections, &owed, records[0]);
    carom_owed_forget(&connections, &owed, records[0]);
    assert_int_equal(owed.bytes, 25);
    assert_int_equal(connections.owed, 25);
    assert_int_equal(records[0]->owed, 0);
    owe(records[1], 0);
    assert_int_equal(owed.bytes, 0);
    assert_int_equal(connections.owed, 0);
    records[2]->lies_in_file = true; /* which costs no memory */
    owe(records[2], 1000);
    assert_int_equal(owed.bytes, 0);
}

/* The mean of about eight answers; a larger one is known when it is given, and once. */
static void answers_are_as_large_as_lately(void **state)
{
    (void)state;
    carom_owed_learn(&connections, 800);
    assert_int_equal(connections.answers_of_eight, 800);
    carom_owed_learn(&connections, 100); /* the mean: nothing new */
    assert_int_equal(connections.answers_of_eight, 800);
    carom_owed_learn(&connections, 0);
    assert_int_equal(connections.answers_of_eight, 700);
    owe(records[0], 87); /* as the mean is, and less */
    assert_int_equal(connections.answers_of_eight, 700);
    owe(records[1], 88);
    assert_int_equal(connections.answers_of_eight, 700 + 88 - 87);
    owe(records[1], 880); /* more of the same */
    assert_int_equal(connections.answers_of_eight, 701);
    owe(records[2], 880);
    assert_int_equal(connections.answers_of_eight, 701 + 880 - 87);
}

/* Four write buffers of them, and one; or max_pipeline. */
static void so_many_requests_are_taken_ahead(void **state)
{
    (void)state;
    carom_owed_learn_anew(&connections, 1);
    assert_int_equal(connections.requests_ahead, 100);
    carom_owed_learn_anew(&connections, (uint64_t)8 * (256 * KIB - 1));
    assert_int_equal(connections.requests_ahead, 2);
    connections.answers_of_eight = 0;
    carom_owed_learn_anew(&connections, (uint64_t)8 * 256 * KIB);
    assert_int_equal(connections.requests_ahead, 1);
    connections.answers_of_eight = 0;
    carom_owed_learn_anew(&connections, (uint64_t)8 * (64 * KIB - 1));
    assert_int_equal(connections.requests_ahead, 5);
    options.max_pipeline = 5;
    connections.answers_of_eight = 0;
    carom_owed_learn_anew(&connections, 8);
    assert_int_equal(connections.requests_ahead, 5);
}

static bool leaves_room(void)
{
    return carom_owed_leaves_room(&connections, &owed, &exchanges);
}

/* Of 1,000 bytes a connection may have as many as it leaves, its largest answer not counted. */
static void a_connection_leaves_as_much_as_it_is_owed(void **state)
{
    (void)state;
    assert_true(leaves_room());
    owe(records[0], 5000); /* one answer may be as large as it is */
    assert_true(leaves_room());
    owe(records[1], 1);
    assert_false(leaves_room());
    owe(records[0], 300);
    owe(records[1], 199);
    assert_true(leaves_room()); /* 501 are left */
    owe(records[1], 301);
    assert_true(leaves_room()); /* 399, and 300 beside the largest */
    owe(records[2], 99);
    assert_false(leaves_room()); /* 300, and 399 */
    owe(records[2], 0);
    connections.owed += 98;     /* to others */
    assert_true(leaves_room()); /* 301, and 300 */
    connections.owed++;
    assert_false(leaves_room()); /* 300 */
    connections.owed += 1000;
    assert_false(leaves_room());
    owe(records[0], 0);
    owe(records[1], 0);
    assert_true(leaves_room()); /* who is owed nothing */
}

static uint32_t most; /* what the guest was asked for */

static bool far_behind(struct carom_guest *guest, uint32_t asked)
{
    (void)guest;
    most = asked;
    return asked <= 10;
}

/* 4 MiB of answers that nobody has seen, each taken for a write buffer while few have come. */
static void who_answers_has_so_much_before_it(void **state)
{
    (void)state;
    struct carom_guest guest = {.behind = far_behind};
    assert_false(carom_connections_crowded(&connections));
    connections.records.guest = &guest;
    assert_false(carom_connections_crowded(&connections));
    assert_int_equal(most, 64 + 1);
    connections.responses = 63;
    connections.answers_of_eight = 8 * KIB;
    assert_false(carom_connections_crowded(&connections));
    assert_int_equal(most, 64 + 1);
    connections.responses = 64;
    assert_false(carom_connections_crowded(&connections));
    assert_int_equal(most, 4096 + 1);
    connections.answers_of_eight = 0;
    assert_false(carom_connections_crowded(&connections));
    assert_int_equal(most, 4 * KIB * KIB + 1);
    connections.responses = 0;
    connections.answers_of_eight = (uint64_t)8 * 512 * KIB;
    assert_true(carom_connections_crowded(&connections));
    assert_int_equal(most, 8 + 1);
}

/* A connection waits for that once. */
static void who_waits_is_in_the_list(void **state)
{
    (void)state;
    struct carom_guest guest = {.behind = far_behind};
    assert_false(carom_owed_waits(&connections, &owed));
    connections.records.guest = &guest;
    assert_false(carom_owed_waits(&connections, &owed));
    assert_true(carom_node_alone(&connections.crowded));
    connections.answers_of_eight = (uint64_t)8 * 512 * KIB;
    for (int i = 0; i < 2; i++) {
        assert_true(carom_owed_waits(&connections, &owed));
        assert_ptr_equal(connections.crowded.next, &owed.waiting);
        assert_ptr_equal(owed.waiting.next, &connections.crowded);
    }
    assert_false(owed.turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_owed_is_the_sum, begin),
        cmocka_unit_test_setup(answers_are_as_large_as_lately, begin),
        cmocka_unit_test_setup(so_many_requests_are_taken_ahead, begin),
        cmocka_unit_test_setup(a_connection_leaves_as_much_as_it_is_owed, begin),
        cmocka_unit_test_setup(who_answers_has_so_much_before_it, begin),
        cmocka_unit_test_setup(who_waits_is_in_the_list, begin),
    };
    return cmocka_run_group_tests_name("http/owed", tests, NULL, NULL);
}
