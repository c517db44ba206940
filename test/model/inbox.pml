/* The hand-over between threads: src/base/inbox.c, and how the worker (src/service/worker.c), carom_post
 * (src/record/waker.c) and carom_shutdown, carom_service_destroy (src/service/service.c) use it.
 *
 * POSTERS threads post a message each; one more shuts the service down; the worker sleeps when it may,
 * and when all is answered it is destroyed. To show: every message fires, once; the shutdown is
 * seen though nobody posts; nothing is touched after it was destroyed; nobody sleeps for ever.
 *
 * -DDRIVEN: the worker is driven by a foreign loop. Each of the other switches breaks one thing, and
 * test/model/run sees to it that this is found. An atomic or d_step is one atomic operation of C; all
 * that is shared is read and written by one statement each. */

#ifndef POSTERS
#define POSTERS 2
#endif
#define NULL 0

mtype = { AWAKE, ASLEEP, ROUSED }

/* struct carom_inbox; messages are numbers from 1 on */
byte last = NULL
mtype consumer = AWAKE
byte inside = 0
byte next[POSTERS + 1]

bool event = false     /* the eventfd of the loop is readable */
bool shut_down = false /* service->shut_down */
byte fired[POSTERS + 1]
byte fired_count = 0
byte others = 1        /* times that epoll_wait ends for a socket or a timer */
bool loop_destroyed = false
bool destroyed = false

/* ---------------------------------------------------------------- inbox.c */

inline carom_inbox_enter() { d_step { assert(!destroyed); inside++ } }

inline carom_inbox_leave()
{
    d_step { assert(!destroyed); assert(inside > 0); inside-- } /* carom_assert(before > 0) */
}

inline carom_inbox_post(message, seen, wakes)
{
#ifdef LOOKS_FIRST
    wakes = (consumer == ASLEEP);
#endif
    d_step { assert(!destroyed); seen = last };
    do
    :: next[message] = seen;
       atomic {
           if
           :: last == seen -> last = message; break
           :: else -> seen = last
           fi
       }
    od;
#ifndef LOOKS_FIRST
    if
    :: d_step { consumer != ASLEEP -> assert(!destroyed); wakes = false }
    :: else -> d_step {
           assert(!destroyed);
           wakes = (consumer == ASLEEP);
           if :: wakes -> consumer = AWAKE :: else fi
       }
    fi
#endif
}

inline carom_inbox_rouse(wakes)
{
    d_step {
        assert(!destroyed);
        wakes = (consumer == ASLEEP);
#ifdef ROUSES_SLEEPERS_ONLY
        if :: wakes -> consumer = AWAKE :: else fi
#else
        consumer = ROUSED
#endif
    }
}

inline carom_inbox_awake() { consumer = AWAKE }

inline carom_inbox_sleep(sleeps)
{
#ifdef LOOKS_BEFORE_IT_SAYS_SO
    sleeps = (last == NULL);
    d_step {
        sleeps = sleeps && consumer == AWAKE;
        if :: sleeps -> consumer = ASLEEP :: else fi
    };
#else
    d_step {
        sleeps = (consumer == AWAKE);
        if :: sleeps -> consumer = ASLEEP :: else fi
    };
#ifndef NEVER_LOOKS_AGAIN
    if
    :: sleeps -> sleeps = (last == NULL)
    :: else
    fi;
#endif
#endif
    if
    :: !sleeps -> carom_inbox_awake()
    :: else
    fi
}

/* The messages taken, newest first: oldest first. */
inline carom_inbox_take(newest, older, oldest)
{
    if
    :: last == NULL -> oldest = NULL
    :: else ->
       d_step { newest = last; last = NULL };
       d_step { /* these messages are the consumer's now */
           oldest = NULL;
           do
           :: newest != NULL ->
              older = next[newest];
              next[newest] = oldest;
              oldest = newest;
              newest = older
           :: else -> break
           od;
           newest = NULL;
           older = NULL
       }
    fi
}

/* ---------------------------------------------------------------- producers */

/* loop_epoll.c: wake */
inline wake() { d_step { assert(!loop_destroyed); event = true } }

/* waker.c: carom_post. The record, and so the service, is kept until the waker has fired. */
proctype poster(byte message)
{
    byte seen;
    bool wakes;
    carom_inbox_enter();
    carom_inbox_post(message, seen, wakes);
    if :: wakes -> wake() :: else fi;
    carom_inbox_leave()
}

/* service.c: carom_shutdown, worker.c: carom_worker_rouse */
proctype shutter()
{
    bool wakes;
#ifndef ENTERS_LATE
    carom_inbox_enter();
#endif
    shut_down = true;
#ifdef ENTERS_LATE
    carom_inbox_enter();
#endif
    carom_inbox_rouse(wakes);
    if :: wakes -> wake() :: else fi;
    carom_inbox_leave()
}

/* ---------------------------------------------------------------- the worker */

/* waker.c: carom_wakers_take_posted, carom_wakers_pass */
inline fire_all(message, older, newest)
{
    carom_inbox_take(newest, older, message);
    d_step {
        do
        :: message != NULL ->
           assert(fired[message] == 0);
           fired[message]++;
           fired_count++;
           message = next[message]
        :: else -> break
        od
    }
}

/* loop_epoll.c: wait, when the worker may sleep (`blocks`) or only looks; `found`: the eventfd. */
inline epoll_wait(blocks, found)
{
    if
    :: blocks ->
       if
       :: event
       :: atomic { others > 0 -> others-- }
       fi
    :: else
    fi;
    found = event
}

proctype worker()
{
    byte message, older, newest;
    bool sleeps, found, draining;
    do
    ::
#ifdef DRIVEN
       /* The foreign loop looks at the descriptor, then worker.c: carom_worker_turn(block = false). */
       epoll_wait(true, found);
#else
       carom_inbox_sleep(sleeps); /* worker.c: wait */
       epoll_wait(sleeps, found);
#endif
       carom_inbox_awake();
       fire_all(message, older, newest); /* worker.c: work */
       draining = draining || shut_down; /* look_at_shutdown */
       if
       :: found -> event = false /* loop_epoll.c: deliver reads the eventfd */
       :: else
       fi;
       if
       :: draining && fired_count == POSTERS -> break /* has_drained */
       :: else
       fi;
#ifdef DRIVEN
       carom_inbox_sleep(sleeps); /* leave_to_foreign_loop */
       if :: !sleeps -> wake() :: else fi
#endif
    od;
    /* service.c: carom_service_destroy */
#ifdef DESTROYS_THE_LOOP_FIRST
    loop_destroyed = true;
#endif
#ifdef NEVER_WAITS
    skip;
#else
    inside == 0; /* inbox.c: carom_inbox_finish */
#endif
    d_step { loop_destroyed = true; destroyed = true }
}

init {
    atomic {
        byte message = 1;
#ifdef DRIVEN
        event = true; /* the first turn is the caller's */
#endif
        run worker();
        run shutter();
        do
        :: message <= POSTERS -> run poster(message); message++
        :: else -> break
        od
    }
}

/* With POSTERS messages fired before it, by has_drained. `always`, so that the search goes on behind it. */
ltl all_is_heard { always eventually destroyed }
