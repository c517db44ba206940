/* At the k-th event of a conversation, for every k, the client resets, sends FIN or takes no more,
 * a drain begins, or the handler cancels or answers at once. An event is a turn of the worker, or a
 * call of the handler or of one of its wakers. */
#include "unit/fault/simulated.h"

enum kind { RESET, FIN, STALL, DRAIN, CANCEL, ANSWER, KINDS };

static const char *const kind_names[] = {"reset", "fin", "stall", "drain", "cancel", "answer"};

static struct {
    const struct scenario *scenario;
    enum kind kinds[2];
    unsigned at[2];    /* events before it */
    bool done[KINDS];  /* it has happened */
    unsigned happened; /* of the two */
    unsigned events;
    bool tunnel; /* the client wants one */
    struct client client;
} run;

static void inject(enum kind kind)
{
    struct client *client = &run.client;
    if ((kind == CANCEL || kind == ANSWER) && tasks.first == NULL)
        return; /* no record to do it to */
    run.done[kind] = true;
    run.happened++;
    switch (kind) {
    case RESET:
        carom_peer_reset(client->peer);
        client->silent = client->stalled = true;
        break;
    case FIN:
        carom_peer_shutdown(client->peer);
        client->silent = true;
        break;
    case STALL:
        carom_peer_set_window(client->peer, 0);
        client->silent = client->stalled = true;
        break;
    case DRAIN:
        carom_shutdown(sim.service, CAROM_OFF);
        break;
    case CANCEL:
        carom_cancel(tasks.first->record);
        break;
    default: {
        const carom_response response = {.status = 200, .content = {"early", 5, NULL, NULL}};
        bool answered = carom_respond(tasks.first->record, &response) == 0;
        tasks.early += answered;
        client->silent |= run.tunnel && answered; /* the rest was for the tunnel */
        break;
    }
    }
}

static void count_event(void)
{
    unsigned now = run.events++;
    for (int i = 0; i < 2; i++)
        if (run.at[i] == now)
            inject(run.kinds[i]);
}

/* Whether the connection is at its end, as the client sees it. */
static bool at_end(const struct client *client)
{
    return carom_peer_saw_close(client->peer) || carom_peer_saw_fin(client->peer);
}

/* It takes nothing: the time-outs end it. A tunnel has none but the handler's. */
static void let_time_pass(void)
{
    const struct client *client = &run.client;
    for (int seconds = 0; seconds < 200 && !carom_peer_saw_close(client->peer); seconds += 10)
        pass(10000);
    if (!carom_peer_saw_close(client->peer) && run.tunnel && tasks.first != NULL) {
        carom_cancel(tasks.first->record);
        settle();
    }
}

/* After what happened: the conversation has come to an end, in the way it must. */
static void check_end(const struct verdict *verdict)
{
    const struct client *client = &run.client;
    const struct carom_worker *worker = &sim.service->workers[0];
    bool all = verdict->whole == answers_of(run.scenario);
    bool left = run.done[RESET] || run.done[FIN];
    if (run.done[STALL])
        let_time_pass();
    if (run.done[DRAIN]) {
        for (int i = 0; i < 3; i++) /* it says so in two steps, and lingers */
            pass(3000);
        assert_true(worker->drained);
        if (!left && !run.done[STALL] && !run.done[CANCEL])
            assert_false(verdict->cut || verdict->refused > 0);
    }
    bool too_late = run.done[DRAIN] && worker->connections.accepted == 0;
    if (left || run.done[STALL] || run.done[DRAIN])
        assert_true(carom_peer_saw_close(client->peer) || too_late);
    else
        assert_true(all || at_end(client) || /* or a stream of many was reset */
                    verdict->whole + verdict->refused == answers_of(run.scenario));
}

/* Up to two things happen, before events `first` and `second`. False when there is no event
 * `first`. */
static bool happen(const struct scenario *scenario, enum kind one, unsigned first, enum kind other,
                   unsigned second)
{
    uint64_t held = carom_memory_held();
    RUN("%s, %s at event %u, %s at %u", scenario->name, kind_names[one], first, kind_names[other],
        second);
    converse_begin();
    memset(&run, 0, sizeof run);
    run.scenario = scenario;
    run.kinds[0] = one;
    run.kinds[1] = other;
    run.at[0] = first;
    run.at[1] = second;
    run.tunnel = scenario->answers[0].status == 101 || scenario->is_socket;
    run.client.peer = connect_peer();
    tasks.on_event = count_event;
    converse(&run.client, scenario);
    tasks.on_event = NULL;
    answer_held();
    settle();
    struct verdict verdict = judge_client(&run.client, scenario);
    int whole = 0;
    if (run.happened > 0)
        check_end(&verdict);
    else
        assert_int_equal(verdict.whole, answers_of(scenario));
    if (!scenario->drains && !run.done[DRAIN])
        whole = serve_another();
    whole += judge_client(&run.client, scenario).whole;
    if (run.tunnel)
        whole++; /* a tunnel is complete when both sides have ended it, early or late */
    /* What the engine calls complete has come whole. */
    assert_true(converse_end(held).ended[CAROM_REASON_COMPLETE] <= (uint64_t)whole);
    return first < run.events;
}

/* Whether the next case of all is in this part of them (CAROM_PART). */
static bool in_this_part(void)
{
    static unsigned cases;
    const struct part part = part_of_cases();
    return cases++ % part.step == part.first;
}

/* Each kind at each event; how many that were. */
static unsigned one_thing(const struct scenario *scenario)
{
    unsigned step = sparsely(17), count = 0;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!in_this_part())
            continue;
        for (unsigned k = 0; happen(scenario, kind, k, kind, UINT32_MAX); k += step)
            count += run.happened == 1;
    }
    return count;
}

/* Each kind at each event, and each kind at it, or at one of the next two. */
static unsigned two_things(const struct scenario *scenario)
{
    unsigned step = 1000 / rounds(1000), count = 0;
    for (enum kind one = 0; one < KINDS; one++)
        for (enum kind other = 0; other < KINDS; other++) {
            if (!in_this_part())
                continue;
            for (unsigned apart = 0; apart < 3; apart++)
                for (unsigned k = 0; happen(scenario, one, k, other, k + apart); k += step)
                    count += run.happened == 2;
        }
    return count;
}

static void try_all(unsigned (*things)(const struct scenario *), const char *what)
{
    unsigned total = 0;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        unsigned count = things(&scenarios[i]);
        print_message("%-24s %6u times %s\n", scenarios[i].name, count, what);
        total += count;
    }
    print_message("%-24s %6u times %s\n", "all", total, what);
    this_run[0] = '\0';
}

static void everything_happens_at_every_event(void **state)
{
    (void)state;
    try_all(one_thing, "one thing");
}

static void two_things_happen_at_once_or_nearly(void **state)
{
    (void)state;
    try_all(two_things, "two things");
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_teardown(everything_happens_at_every_event, tell_run),
        cmocka_unit_test_teardown(two_things_happen_at_once_or_nearly, tell_run),
    };
    make_pattern();
    make_files();
    return cmocka_run_group_tests_name("fault/events", all, NULL, NULL);
}
