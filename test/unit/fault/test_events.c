/* At the k-th event of a conversation, for every k, the client resets, sends FIN or takes no more,
 * a drain begins, or the handler cancels or answers at once. An event is a turn of the worker, or a
 * call of the handler or of one of its wakers. */
#include "unit/fault/simulated.h"

enum injection { RESET, FIN, STALL, DRAIN, CANCEL, ANSWER, INJECTIONS };

static const char *const injection_names[] = {"reset", "fin", "stall", "drain", "cancel", "answer"};

static struct {
    enum injection what;
    unsigned after; /* events before it */
    bool done;
    bool tunnel; /* the client wants one */
    struct client client;
} injection;

static void inject(void)
{
    struct client *client = &injection.client;
    switch (injection.what) {
    case RESET:
        carom_peer_reset(client->peer);
        client->silent = client->stalled = true;
        break;
    case FIN:
        carom_peer_finish(client->peer);
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
        if (tasks.first != NULL)
            carom_cancel(tasks.first->record);
        break;
    default:
        if (tasks.first != NULL) {
            const carom_response response = {.status = 200, .content = {"early", 5, NULL, NULL}};
            tasks.early = carom_respond(tasks.first->record, &response) == 0;
            client->silent = injection.tunnel && tasks.early > 0; /* the rest was for the tunnel */
        }
        break;
    }
}

static void count_event(void)
{
    if (injection.done || injection.after-- > 0)
        return;
    injection.done = true;
    inject();
}

/* Whether the connection is at its end, as the client sees it. */
static bool at_end(const struct client *client)
{
    return carom_peer_saw_close(client->peer) || carom_peer_saw_fin(client->peer);
}

/* After what happened: the conversation has come to an end, in the way it must. */
static void check_end(const struct scenario *scenario, const struct verdict *verdict)
{
    const struct client *client = &injection.client;
    bool all = verdict->whole == answers_of(scenario);
    switch (injection.what) {
    case RESET:
    case FIN:
        assert_true(carom_peer_saw_close(client->peer));
        break;
    case STALL:
        for (int seconds = 0; seconds < 200 && !carom_peer_saw_close(client->peer); seconds += 10)
            pass(10000);
        if (!carom_peer_saw_close(client->peer)) { /* a tunnel has no time-outs but the handler's */
            assert_non_null(tasks.first);
            assert_true(injection.tunnel);
            carom_cancel(tasks.first->record);
            settle();
        }
        assert_true(carom_peer_saw_close(client->peer));
        break;
    case DRAIN:
        pass(3000); /* it lingers */
        assert_true(sim.service->workers[0].drained);
        assert_false(verdict->cut || verdict->refused > 0);
        if (sim.service->workers[0].accepted > 0) /* or it has come too late */
            assert_true(carom_peer_saw_close(client->peer));
        break;
    default:
        assert_true(all || at_end(client));
        break;
    }
}

/* False when there is no k-th event. */
static bool inject_one(const struct scenario *scenario, enum injection what, unsigned k)
{
    uint64_t held = carom_memory_held();
    RUN("%s, %s at event %u", scenario->name, injection_names[what], k);
    converse_begin();
    injection.what = what;
    injection.after = k;
    injection.done = false;
    injection.tunnel = scenario->answers[0].status == 101;
    injection.client = (struct client){.peer = connect_peer()};
    tasks.on_event = count_event;
    converse(&injection.client, scenario);
    tasks.on_event = NULL;
    answer_held();
    settle();
    struct verdict verdict = judge_client(&injection.client, scenario);
    bool injected = injection.done;
    int whole = 0;
    if (injected)
        check_end(scenario, &verdict);
    else
        assert_int_equal(verdict.whole, answers_of(scenario));
    if (!scenario->drains && what != DRAIN)
        whole = serve_another();
    whole += judge_client(&injection.client, scenario).whole;
    if (injection.tunnel)
        whole++; /* a tunnel is complete when both sides have ended it, early or late */
    /* What the engine calls complete has come whole. */
    assert_true(converse_end(held).ended[CAROM_REASON_COMPLETE] <= (uint64_t)whole);
    return injected;
}

static void everything_happens_at_every_event(void **state)
{
    (void)state;
    unsigned step = getenv("CAROM_VALGRIND") != NULL ? 17 : 1, total = 0;
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        unsigned count = 0;
        for (enum injection what = 0; what < INJECTIONS; what++)
            for (unsigned k = 0; inject_one(&scenarios[i], what, k); k += step)
                count++;
        print_message("%-24s %4u injections of %zu kinds\n", scenarios[i].name, count,
                      COUNT(injection_names));
        total += count;
    }
    print_message("%-24s %4u injections\n", "all", total);
    this_run[0] = '\0';
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_teardown(everything_happens_at_every_event, tell_run)};
    make_pattern();
    return cmocka_run_group_tests_name("fault/events", all, NULL, NULL);
}
