/* Who sleeps at a ring: the worker (src/ring/ring.c as its guest, src/service/worker.c, src/base/inbox.c) and the
 * thread of a virtual machine (docs/internals/ring.md; js/src/ring/ring.js: drain, post, wakeEngine).
 *
 * REQUESTS requests come in from outside, at any time. The engine puts an event for each into the
 * queue; the VM answers it with a command, in its batch or later. There is one page: some requests need
 * it, and wait until the VM has copied what lies there. Requests also wait while MOST events are not said to be dealt
 * with (EVENT_HEAD): each of them stands for a further one of a connection whose first is not answered. To show: all
 * are answered, so neither side sleeps for ever beside a queue that is not empty, a page that is free, or what the VM has
 * heard. The queues are counts: what they carry is not the subject. The inbox has no messages here; inbox.pml has those. Each
 * switch breaks one thing. */

#ifndef REQUESTS
#define REQUESTS 3
#endif
#define MOST 2

mtype = { AWAKE, ASLEEP, ROUSED }

/* The control block. A tail is what was put in; each side knows what it has taken. */
byte event_tail = 0, command_tail = 0
byte event_said = 0                       /* EVENT_HEAD */
byte page_with = 0                        /* the event whose request lies in the page; 0: it is free (PAGES_HELD) */
bool engine_asleep = false, vm_asleep = true /* ENGINE_ASLEEP, VM_ASLEEP */

mtype consumer = AWAKE /* of the worker's inbox */
bool eventfd = false   /* readable */
bool vm_called = false /* options.wake, and the VM's loop has not come to it yet */
byte coming = 0        /* requests at the socket */
byte answered = 0

/* ---------------------------------------------------------------- the engine */

/* ring.c: carom_ring_wake; inbox.c: carom_inbox_rouse; loop_epoll.c: wake */
inline carom_ring_wake()
{
    d_step {
        if
        :: consumer == ASLEEP -> consumer = ROUSED; rouses = true
#ifdef ROUSES_SLEEPERS_ONLY
        :: else -> rouses = false
#else
        :: else -> consumer = ROUSED; rouses = false
#endif
        fi
    };
    if
    :: rouses -> eventfd = true
    :: else
    fi
}

/* ring.c: has_caught_up, keeps_silent */
#define HAS_CAUGHT_UP (crowded && event_tail - event_said < MOST)
#define KEEPS_SILENT (crowded && vm_asleep && event_said != event_tail)

#ifdef SLEEPS_BESIDE_A_FREE_PAGE
#define MAY_SLEEP (!news && command_tail == command_head && !HAS_CAUGHT_UP && !KEEPS_SILENT)
#else
#ifdef SLEEPS_BESIDE_WHAT_WAS_HEARD
#define MAY_SLEEP (!news && command_tail == command_head && !(starved > 0 && page_with == 0) && !KEEPS_SILENT)
#else
#ifdef SLEEPS_BESIDE_THE_SILENT
#define MAY_SLEEP (!news && command_tail == command_head && !(starved > 0 && page_with == 0) && !HAS_CAUGHT_UP)
#else
#define MAY_SLEEP \
    (!news && command_tail == command_head && !(starved > 0 && page_with == 0) && !HAS_CAUGHT_UP && !KEEPS_SILENT)
#endif
#endif
#endif

/* ring.c: may_sleep */
inline may_sleep(sleeps)
{
#ifdef ENGINE_SAYS_SO_AFTERWARDS
    sleeps = MAY_SLEEP;
    engine_asleep = true
#else
    engine_asleep = true;
#ifdef ENGINE_NEVER_LOOKS_AGAIN
    sleeps = true
#else
    sleeps = MAY_SLEEP
#endif
#endif
}

/* inbox.c: carom_inbox_sleep */
inline carom_inbox_sleep(sleeps)
{
    d_step {
        sleeps = (consumer == AWAKE);
        if
        :: sleeps -> consumer = ASLEEP
        :: else
        fi
    };
    if
    :: !sleeps -> consumer = AWAKE
    :: else
    fi
}

/* ring.c: tell_vm */
inline tell_vm()
{
    d_step {
        wakes = vm_asleep;
        vm_asleep = false
    };
    if
    :: wakes -> vm_called = true
    :: else
    fi
}

/* ring.c: give_slot; slot.c: carom_slot_tell. It may need the page. */
inline tell()
{
    if
    :: event_tail++; news = true
    :: page_with == 0 -> page_with = event_tail + 1; event_tail++; news = true
    :: page_with != 0 -> starved++
    fi
}

/* owed.h: carom_owed_waits; ring.c: behind. */
inline give_on()
{
    if
    :: event_tail - event_said >= MOST -> crowded = true; waiting++
    :: else -> tell()
    fi
}

proctype engine()
{
    byte command_head = 0, starved = 0, waiting = 0;
    bool sleeps, wakes, found, news, crowded;
    do
    :: answered == REQUESTS -> break
    :: answered < REQUESTS ->
       /* worker.c: wait */
       may_sleep(sleeps);
       if
       :: sleeps -> carom_inbox_sleep(sleeps)
       :: else
       fi;
       if
       :: sleeps -> (eventfd || coming > 0) /* epoll_wait */
       :: else
       fi;
       found = eventfd;
       consumer = AWAKE;      /* carom_inbox_awake */
       engine_asleep = false; /* ring.c: awake */
       /* worker.c: work */
       if
       :: found -> eventfd = false
       :: else
       fi;
#ifdef TELLS_BEFORE_IT_PUTS_IN
       if
       :: coming > 0 -> tell_vm()
       :: else
       fi;
#endif
       if
       :: coming > 0 -> coming--; give_on()
       :: else
       fi;
       /* ring.c: work */
       if
       :: HAS_CAUGHT_UP -> crowded = false
       :: else
       fi;
#ifndef CALLS_NO_SILENT_VM
       if
       :: KEEPS_SILENT -> news = true
       :: else
       fi;
#endif
       answered = answered + (command_tail - command_head); /* take_commands */
       command_head = answered;
       if
       :: starved > 0 && page_with == 0 -> /* serve_waiting */
          starved--; page_with = event_tail + 1; event_tail++; news = true
       :: else
       fi;
       if
#ifdef TELLS_BEFORE_IT_PUTS_IN
       :: news -> news = false
#else
       :: news -> news = false; tell_vm()
#endif
       :: else
       fi;
       if
       :: waiting > 0 -> waiting--; give_on() /* owed.c: carom_connections_uncrowd */
       :: else
       fi
    od
}

/* ---------------------------------------------------------------- the VM */

/* ring.js: wakeEngine */
inline wakeEngine()
{
    d_step {
        wakes = engine_asleep;
        engine_asleep = false
    };
    if
    :: wakes -> carom_ring_wake()
    :: else
    fi
}

/* ring.js: drain */
inline drain()
{
    event_said = event_head; /* tellHeard: what it took before is dealt with */
    do
    ::
       do /* takeEvents; each is answered here, or later, and what lay in the page was copied: givePage */
       :: event_head != event_tail ->
          event_head++;
          if
          :: command_tail++ /* post, while it drains */
          :: later++
          fi;
          if
          :: page_with == event_head -> page_with = 0
          :: else
          fi
       :: else -> break
       od;
#ifdef VM_SAYS_SO_AFTERWARDS
       again = (event_tail != event_head);
       vm_asleep = true;
#else
       vm_asleep = true;
       again = (event_tail != event_head);
#endif
#ifdef VM_NEVER_LOOKS_AGAIN
       again = false;
#endif
       if
       :: again ->
          d_step {
              again = vm_asleep; /* else the engine has seen it, and calls */
              vm_asleep = false
          }
       :: else
       fi;
       if
       :: !again -> break
       :: else
       fi
    od;
    wakeEngine()
}

proctype vm()
{
    byte event_head = 0, later = 0;
    bool again, wakes, rouses;
end_idle:
    do
    :: vm_called -> vm_called = false; drain()
    :: later > 0 -> later--; command_tail++; wakeEngine() /* post */
    od
}

proctype network()
{
    byte sent = 0;
    do
    :: sent < REQUESTS -> sent++; coming++
    :: else -> break
    od
}

init { atomic { run engine(); run vm(); run network() } }

ltl all_are_answered { always eventually (answered == REQUESTS) }
