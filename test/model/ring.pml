/* Who sleeps at a ring: the worker (src/ring/ring.c as its guest, src/service/worker.c, src/base/inbox.c) and the
 * thread of a virtual machine (docs/internals/ring.md; js/src/ring/ring.js: drain, post, wakeEngine).
 *
 * REQUESTS requests come in from outside, at any time. The engine puts an event for each into the
 * queue; the VM answers it with a command, in its batch or later. To show: all are answered, so
 * neither side sleeps for ever beside a queue that is not empty. The queues are counts: what they carry
 * is not the subject. The inbox has no messages here; inbox.pml has those. Each switch breaks one
 * thing. */

#ifndef REQUESTS
#define REQUESTS 3
#endif

mtype = { AWAKE, ASLEEP, ROUSED }

/* The control block. A tail is what was put in; each side knows what it has taken. */
byte event_tail = 0, command_tail = 0
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

/* ring.c: may_sleep */
inline may_sleep(sleeps)
{
#ifdef ENGINE_SAYS_SO_AFTERWARDS
    sleeps = (command_tail == command_head);
    engine_asleep = true
#else
    engine_asleep = true;
#ifdef ENGINE_NEVER_LOOKS_AGAIN
    sleeps = true
#else
    sleeps = (command_tail == command_head)
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

proctype engine()
{
    byte command_head = 0;
    bool sleeps, wakes, found, news;
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
       :: coming > 0 -> tell_vm(); coming--; event_tail++
       :: else
       fi;
#else
       if
       :: coming > 0 -> coming--; event_tail++; news = true /* carom_slot_tell */
       :: else
       fi;
#endif
       answered = answered + (command_tail - command_head); /* take_commands */
       command_head = answered;
#ifndef TELLS_BEFORE_IT_PUTS_IN
       if
       :: news -> news = false; tell_vm()
       :: else
       fi
#endif
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
    do
    ::
       do /* takeEvents; each is answered here, or later */
       :: event_head != event_tail ->
          event_head++;
          if
          :: command_tail++ /* post, while it drains */
          :: later++
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
