/* What the tests of wrong calls share: a record that is held, and wakers that must not fire. */
#include "unit/http/simulation.h"

static const carom_response ok = {.status = 200, .content = {"text", 4, NULL, NULL}};

static struct carom_peer *peer;

/* A record that the handler holds, with content to come. */
static carom_record *hold_one(void)
{
    carom_options options = simulation_options();
    begin(&options);
    peer = connect_peer();
    say(peer, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    turn();
    assert_int_equal(sim.held_count, 1);
    carom_unwait(sim.held[0], &((struct held *)carom_record_state(sim.held[0]))->waker);
    carom_unwait(sim.held[0], &((struct held *)carom_record_state(sim.held[0]))->cancelled);
    return sim.held[0];
}

static void never(carom_waker *waker, int status)
{
    (void)status;
    fail_msg("%p fired", (void *)waker);
}

static carom_waker waker, other_waker, no_function;

static int make_wakers(void **state)
{
    (void)state;
    waker = other_waker = (carom_waker){.wake = never};
    no_function = (carom_waker){.wake = NULL};
    return 0;
}

/* Calls that are right at another time. */
static int write_content(carom_record *record)
{
    return carom_write(record, &ok.content);
}

static int end_response(carom_record *record)
{
    return carom_end(record, NULL, 0);
}

static int upgrade(carom_record *record)
{
    return carom_upgrade(record, &(carom_response){.status = 101});
}

static bool is_empty(carom_slice slice)
{
    return slice.data == NULL && slice.length == 0;
}
