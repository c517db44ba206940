/* The holds of a record and its one cancel door: src/record/record.c, with what its connection
 * (src/http/connection.c, h1_read.c, h1_write.c) and its handler do to it, and a post from another thread.
 *
 * One record, from take to recycle, on a connection to which anything may happen at any time. The
 * handler makes CALLS calls at most, in any order, when it is called or one of its wakers is; it
 * returns only when something is left that will call it again, or it has released. All that runs
 * in the worker is one process; the thread of carom_post is another.
 *
 * To show: what the code asserts; recycled once, and by then nobody waits, all reasons are written and
 * "complete" was sent; no call on the exchange when it has let go; and every run ends with the
 * record recycled, so no waker is forgotten. Left out: upgrades, the writer's waker, the timer's.
 * Each switch breaks one thing. */

#ifndef CALLS
#define CALLS 5
#endif

/* enum carom_hold */
#define EXCHANGE 1
#define HANDLER  2
/* enum carom_request_state */
#define HEAD    0
#define CONTENT 1
#define WHOLE   2
#define DROPPED 3
/* enum carom_response_state */
#define OPEN      0
#define BEGUN     1
#define ENDED     2
#define SENT      3
#define CANCELLED 4
/* The wakers' slots */
#define ON_READABLE  0
#define ON_ENDED     1
#define ON_CANCELLED 2
#define SLOTS        3

mtype = { NONE, COMPLETE, BAD } /* carom_reason: all that are not well are one */
mtype = { IDLE, WAITING, READY } /* enum carom_waker_state */
mtype = { NOBODY, ASKED, POSTED } /* the waker given to a thread */

/* struct carom_record */
byte holds = EXCHANGE
byte request = HEAD
byte response = OPEN
mtype reason = NONE
bool refused, closes, framed
mtype waker[SLOTS] = IDLE
mtype posted = NOBODY
byte recycled = 0

/* struct carom_connection, struct carom_h1 */
bool open = true
bool attached = true /* in connection->exchanges */
bool reading = true  /* h1->reading is this record */
bool fresh = false   /* h1->fresh is: its handler is to be called */
bool peer_done = false

bool called = false /* the handler, or one of its wakers: it runs before all else */
byte calls = CALLS
byte pieces = 2 /* of content, before its last */

#define over (reason == BAD) /* carom_record_over */

/* ---------------------------------------------------------------- record.c */

#define request_may(from, to)                                                                      \
    ((from == HEAD && to != HEAD) || (from == CONTENT && (to == WHOLE || to == DROPPED)))
#define response_may(from, to)                                                                     \
    ((from == OPEN && (to == BEGUN || to == ENDED || to == CANCELLED)) ||                          \
     (from == BEGUN && (to == ENDED || to == CANCELLED)) ||                                        \
     (from == ENDED && (to == SENT || to == CANCELLED)))

/* states.h: carom_assert(moves[*state] & CAROM_TO(to)) */
inline carom_request_move(to) { assert(request_may(request, to)); request = to }
inline carom_response_move(to) { assert(response_may(response, to)); response = to }

inline carom_waker_ready(slot)
{
    if
    :: waker[slot] == WAITING -> waker[slot] = READY
    :: else
    fi
}

inline carom_record_set_reason(why)
{
#ifdef LAST_REASON_COUNTS
    reason = why;
#endif
    if
    :: reason == NONE -> reason = why
    :: else
    fi
}

inline wake_all()
{
#ifdef CANCELS_IN_SILENCE
    skip
#else
    carom_waker_ready(ON_READABLE);
    carom_waker_ready(ON_ENDED);
    carom_waker_ready(ON_CANCELLED)
#endif
}

inline carom_record_cancel()
{
    if
#ifndef CANCELS_WHAT_IS_SENT
    :: response >= SENT
#endif
    :: else ->
       carom_record_set_reason(BAD);
       carom_response_move(CANCELLED);
       wake_all()
    fi
}

inline carom_record_refuse()
{
    assert(response == OPEN); /* carom_assert(record->response == CAROM_RESPONSE_OPEN) */
    carom_record_set_reason(BAD);
    refused = true;
    wake_all()
}

inline carom_record_sent()
{
    carom_response_move(SENT);
    carom_record_set_reason(COMPLETE);
    carom_waker_ready(ON_ENDED);
    waker[ON_CANCELLED] = IDLE
}

inline carom_record_content_dropped()
{
    carom_request_move(DROPPED);
    carom_waker_ready(ON_READABLE)
}

inline carom_record_content_whole()
{
    carom_request_move(WHOLE);
    carom_waker_ready(ON_READABLE)
}

inline recycle()
{
    assert(recycled == 0);
    recycled++;
    assert(!attached && !reading && !fresh);
    assert(waker[ON_READABLE] == IDLE && waker[ON_ENDED] == IDLE && waker[ON_CANCELLED] == IDLE);
    assert(posted == NOBODY);
    assert(reason != NONE);
    assert((reason == COMPLETE) == (response == SENT && !refused))
}

inline carom_record_drop(hold)
{
    assert(holds & hold); /* carom_assert(record->holds & hold) */
#ifndef LEAVES_THE_READER
    if
    :: hold == EXCHANGE && request < WHOLE -> carom_record_content_dropped()
    :: else
    fi;
#endif
    holds = holds & (3 - hold);
    if
    :: holds == 0 -> recycle()
#ifdef RELEASE_RECYCLES
    :: holds != 0 && hold == HANDLER -> recycle()
#endif
    :: else
    fi
}

inline carom_record_hand_over()
{
#ifndef HANDS_OVER_WITHOUT_HOLD
    holds = holds | HANDLER
#else
    skip
#endif
}

/* carom_record_assert_held */
inline assert_held() { assert(holds & HANDLER); assert(recycled == 0) }
/* record->ops->changed, want, released: "only while the exchange holds the record" */
inline ops() { assert(holds & EXCHANGE) }

inline carom_release()
{
    assert_held();
#ifndef RELEASE_LEAVES_WAKERS
    waker[ON_READABLE] = IDLE;
    waker[ON_ENDED] = IDLE;
    waker[ON_CANCELLED] = IDLE;
#endif
    if
    :: holds & EXCHANGE ->
       if
       :: response == OPEN && !refused -> carom_record_refuse()
       :: response == BEGUN -> carom_record_cancel()
       :: else
       fi;
       ops()
    :: else
    fi;
    carom_record_drop(HANDLER)
}

/* ---------------------------------------------------------------- the handler */

/* waker.c: carom_wait, edge_now */
inline carom_wait(slot)
{
    assert_held();
    if
    :: waker[slot] != IDLE /* ESTATE */
    :: else ->
       waker[slot] = WAITING;
       if
       :: over || (slot == ON_ENDED && response >= SENT) ||
          (slot == ON_READABLE && request != CONTENT) -> carom_waker_ready(slot)
       :: else ->
          if
          :: slot == ON_READABLE -> ops() /* want */
          :: else
          fi
       fi
    fi
}

/* Something will call it again: what it may wait for alone. */
#define waits (waker[ON_READABLE] != IDLE || waker[ON_ENDED] != IDLE || posted != NOBODY)

/* respond.c, request.c: one call */
inline call_something()
{
    if
    :: over || response != OPEN -> skip /* carom_respond: ECANCELED, ESTATE */
    :: !over && response == OPEN -> carom_response_move(ENDED); ops()
    :: !over && response == OPEN -> carom_response_move(BEGUN); ops() /* carom_respond_begin */
    :: !over && response == BEGUN -> carom_response_move(ENDED); ops() /* carom_end */
    :: !(response >= SENT || over) -> carom_record_cancel(); ops()    /* carom_cancel */
    :: !over && request < WHOLE -> ops()                              /* carom_request_read: want */
    :: carom_wait(ON_READABLE)
    :: carom_wait(ON_ENDED)
    :: carom_wait(ON_CANCELLED)
    :: posted == NOBODY -> posted = ASKED
    fi
}

inline handler()
{
    assert_held();
    do
    :: calls > 0 -> calls--; call_something()
    :: waits -> break
#ifdef RELEASES_WHAT_IS_POSTED
    :: carom_release(); break
#else
    :: posted == NOBODY -> carom_release(); break
#endif
    :: calls == 0 && !waits && posted == NOBODY -> carom_release(); break
    od
}

/* ---------------------------------------------------------------- the connection */

/* h1_write.c: carom_h1_detach */
inline carom_h1_detach()
{
    reading = false;
    fresh = false;
    attached = false;
    carom_record_drop(EXCHANGE)
}

/* connection.c: carom_connection_abort, carom_connection_end; cancel_exchanges */
inline close_connection()
{
    open = false;
    if
    :: attached -> carom_record_cancel(); carom_h1_detach()
    :: else
    fi
}

/* h1_read.c: refuse */
inline h1_refuse()
{
    closes = true;
    if
    :: response == OPEN -> carom_record_refuse()
    :: response == BEGUN -> carom_record_cancel()
    :: else
    fi;
    if
    :: request < WHOLE -> carom_record_content_dropped()
    :: else
    fi;
    reading = false; /* stop_reading */
    fresh = false
}

inline dispatch()
{
    fresh = false;
    carom_record_hand_over();
    called = true
}

inline request_whole()
{
    reading = false;
    carom_record_content_whole();
    if
    :: fresh -> dispatch()
    :: else
    fi
}

inline carom_h1_ended()
{
    peer_done = true;
    if
    :: reading ->
       reading = false;
       fresh = false;
       closes = true;
       carom_record_content_dropped();
       carom_record_cancel()
    :: !reading && response < ENDED && !refused -> carom_record_cancel()
    :: else
    fi
}

/* h1_write.c: carom_h1_flush of the one record that is there */
#define to_flush                                                                                   \
    (response == CANCELLED || (response == OPEN && refused) || (response == ENDED && !framed))

inline carom_h1_flush()
{
    if
    :: response == CANCELLED -> close_connection()
    :: response == OPEN && refused -> carom_response_move(ENDED); framed = true /* answer_refusal */
    :: response == ENDED -> framed = true
    fi
}

/* h1_write.c: finish_first, when it finds something new */
#define reads_on (request < WHOLE && (!closes || (holds & HANDLER)))
#define to_finish (framed && response != CANCELLED && (response != SENT || !reads_on))

inline finish_first()
{
    if
    :: response != SENT -> carom_record_sent()
    :: else
    fi;
    if
    :: reads_on
    :: !reads_on && closes -> close_connection()
    :: !reads_on && !closes -> carom_h1_detach()
    fi
}

/* ---------------------------------------------------------------- who runs */

inline fire(slot) { waker[slot] = IDLE; called = true }

/* Between a head and its dispatch only more input of the same delivery is looked at. */
#define between (open && attached && !fresh)

/* What happens in the worker: one thing after the other, in any order. */
inline something_happens()
{
    if
    /* input */
    :: open && reading && request == HEAD -> fresh = true; request_whole()
    :: open && reading && request == HEAD -> fresh = true; carom_request_move(CONTENT)
    :: open && reading && request == CONTENT && pieces > 0 -> /* take_content */
       pieces--;
       if
       :: !fresh && (over || !(holds & HANDLER)) -> /* drained enough */
          closes = true;
          carom_record_content_dropped();
          reading = false
       :: !over && ((holds & HANDLER) || fresh) -> carom_waker_ready(ON_READABLE) /* content_added */
       fi
    :: open && reading && request == CONTENT -> request_whole()
    :: open && reading -> h1_refuse() /* bad, over a limit; or in time: read_timeout */
    :: open && fresh -> dispatch()
    :: between && !peer_done -> carom_h1_ended()
    :: open && attached -> close_connection() /* reset, time-out of writing, no memory, shutdown */
    /* timers */
    :: between && (holds & HANDLER) && response == OPEN && !over -> /* handler_is_late */
       carom_record_refuse();
       ops()
    /* wakers: carom_wakers_pass */
    :: !fresh && waker[ON_READABLE] == READY -> fire(ON_READABLE)
    :: !fresh && waker[ON_ENDED] == READY -> fire(ON_ENDED)
    :: !fresh && waker[ON_CANCELLED] == READY -> assert(over); fire(ON_CANCELLED)
    :: !fresh && posted == POSTED -> posted = NOBODY; called = true
    /* output */
    :: between && to_flush -> carom_h1_flush()
    :: between && to_finish -> finish_first()
    :: recycled > 0 && posted == NOBODY -> break
    fi
}

proctype worker()
{
    do
    :: atomic { called -> called = false; handler() }
    :: atomic { !called -> something_happens() }
    od
}

/* waker.c: carom_post, from a thread pool */
proctype thread()
{
end_nothing_to_do:
    do
    :: posted == ASKED -> assert(recycled == 0); posted = POSTED
    od
}

init { atomic { run worker(); run thread() } }
