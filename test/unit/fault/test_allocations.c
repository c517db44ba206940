/* The k-th allocation fails, for every k: alone, or with all that follow it. The client whose
 * conversation it hits gets right answers, a refusal or a closed connection. A neighbour who waits
 * for an answer meanwhile gets it, and so does a client who comes afterwards. Nothing stays
 * allocated. */
#include "unit/fault/opening.h"
#include "unit/fault/simulated.h"

static void (*const failures[])(uint64_t count) = {
    carom_memory_fail_once_after,
    carom_memory_fail_after,
};

static const struct scenario neighbour_scenario = {.says = {GET("/hold")},
                                                   .answers = {ANSWER(200, "held")}};

/* Whether an allocation failed. */
static bool fail_one(const struct scenario *scenario, uint64_t k, void (*fail_after)(uint64_t))
{
    uint64_t held = carom_memory_held(), failed_before = carom_memory_failed();
    RUN("%s, allocation %u", scenario->name, (unsigned)k);
    converse_begin();
    struct client neighbour = {.peer = connect_peer()}, client = {.peer = connect_peer()};
    converse(&neighbour, &neighbour_scenario);
    fail_after(k);
    converse(&client, scenario);
    carom_memory_fail_after(UINT64_MAX);
    bool failed = carom_memory_failed() > failed_before;

    answer_held();
    settle();
    pass(200); /* accepting pauses for 100 ms */
    struct verdict verdict = judge_client(&client, scenario);
    if (verdict.whole < answers_of(scenario)) {
        assert_true(failed);
        assert_true(carom_peer_saw_close(client.peer) || carom_peer_saw_fin(client.peer) ||
                    verdict.whole + verdict.refused == answers_of(scenario));
    }
    assert_int_equal(judge_client(&neighbour, &neighbour_scenario).whole, 1);
    int whole = verdict.whole + 1 + scenario->is_socket; /* whose 101 is complete before it */
    if (!scenario->drains)
        whole += serve_another();
    /* What the engine calls complete has come whole. */
    assert_true(converse_end(held).ended[CAROM_REASON_COMPLETE] <= (uint64_t)whole);
    return failed;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    unsigned total = 0;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        unsigned faults = 0;
        for (size_t f = 0; f < COUNT(failures); f++)
            for (uint64_t k = 0; fail_one(&scenarios[i], k, failures[f]); k++)
                faults++;
        print_message("%-24s %4u allocations failed\n", scenarios[i].name, faults);
        assert_true(faults > 0);
        total += faults;
    }
    print_message("%-24s %4u allocations failed\n", "all", total);
    this_run[0] = '\0';
}

/* Whether an allocation failed. */
static bool fail_to_open(uint64_t k, void (*fail_after)(uint64_t))
{
    uint64_t held = carom_memory_held(), failed_before = carom_memory_failed();
    int open = open_descriptors();
    carom_service *service;
    RUN("opening, allocation %u", (unsigned)k);
    fail_after(k);
    int error = open_service(&service);
    carom_memory_fail_after(UINT64_MAX);
    bool failed = carom_memory_failed() > failed_before;
    assert_int_equal(error, failed ? -CAROM_ENOMEM : 0);
    if (error == 0)
        assert_int_equal(carom_service_destroy(service), 0);
    assert_nothing_left(held, open);
    assert_int_equal(open_service(&service), 0);
    assert_int_equal(carom_service_destroy(service), 0);
    assert_nothing_left(held, open);
    return failed;
}

static void every_allocation_of_opening_fails(void **state)
{
    (void)state;
    unsigned faults = 0;
    for (size_t f = 0; f < COUNT(failures); f++)
        for (uint64_t k = 0; fail_to_open(k, failures[f]); k++)
            faults++;
    print_message("%-24s %4u allocations failed\n", "opening", faults);
    this_run[0] = '\0';
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_teardown(every_allocation_fails, tell_run),
        cmocka_unit_test_teardown(every_allocation_of_opening_fails, tell_run),
    };
    make_pattern();
    make_files();
    name_listeners();
    return cmocka_run_group_tests_name("fault/allocations", all, NULL, NULL);
}
