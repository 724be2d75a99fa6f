/* idle.pml - a worker goes to sleep, work becomes visible: no work is left while somebody sleeps who nobody will wake.
 * Mirrors: chanrt__sched_announce_work, _rouse, _unlink_idle_locked, _link_idle_locked, _sleep, _rescan, _search,
 * _stop_search, _push, _push_next, _push_shared, _push_pinned, _arm, _keeper_until_locked. [idle] [wake]
 * Stores of queue lengths and of the next deadline sit in their thread's store buffer until it drains: at any moment, at an
 * atomic read-modify-write of that thread, or at anybody's heavy fence (membarrier). Light fences drain nothing.
 *   announce word: ni idle, ns searching; a_wake the futex word; what the mutex guards is one step.
 *   q[w] a queue worth a theft, announced; slot[w] a hand-off between short tasks, not announced, and seen only by a look
 *   at an owner that has not picked since the look before. keeper: the idle worker with a timeout; naps[w]: it has one.
 * Property, when nothing moves: an idle worker and work left mean that the keeper naps, and its looks then find the work;
 * own pinned work: its worker is not idle; an armed timer: the keeper sleeps no longer than that.
 *   BUG_NOFENCE    no heavy fence between announcement and rescan (wants PINNED)
 *   BUG_NORESCAN   no second look after the announcement
 *   BUG_LATEIDLE   second look first, announced after it
 *   BUG_LATECLEAR  a_wake cleared after the worker is on the idle list
 *   BUG_NOCHECK    woken or not, the worker takes itself off the list and counts itself
 *   BUG_NONEXT     a searcher that found work does not look for more
 *   BUG_NONAP      the keeper does not nap while others are busy: a hand-off behind a computing task stays
 *   BUG_NOHEIR     the last searcher does not see to a keeper
 *   BUG_BLIND      a keeper that lay down when all were idle stays keeper when another is woken: it does not nap
 *   BUG_LATESUB    a rouse that found nobody takes its searcher off after the mutex: who pushed meanwhile trusted in it
 *   BUG_PRECOUNT   a rouse of one worker is counted as a searcher before it is known to be idle (wants PINNED)
 *   BUG_NOREARM    arming a timer does not look at the announcement (wants TIMER)
 * NW workers, NT other threads, BUDGET pushes by tasks, EARLY naps that end by themselves; PINNED, TIMER: what the first thread pushes instead.
 *   BUG_LIGHTSHARE shared work is pushed with a light fence (wants PROMPT)
 * PROMPT: long and shared work must not need a nap. With more than two workers a queue may, for _stop_search has no heavy
 * fence: somebody's push to his own queue may trust in a searcher who stops before it is visible.
 */
#ifndef NW
#define NW 2
#endif
#ifndef NT
#define NT 2
#endif
#ifndef BUDGET
#define BUDGET 1
#endif
#ifndef EARLY
#define EARLY 1
#endif
#define NP  (NW + NT)
#define NIL 255
byte ni, ns, n_idle, keeper = NIL, budget = BUDGET, early = EARLY, perm; bit tmo;
bit wake[NW], idle[NW], naps[NW], past[NW], still[NW];      /* past: the keeper's sleep ends at the timer */
byte sh, q[NW]; bit slot[NW], tnext, kuntil; byte pin;      /* memory; pin: of worker 0 */
byte bs[NP], bq[NW]; bit bn[NW], bp, bt;                    /* store buffers */

#if NW == 1
#define QUEUED (q[0] > 0)
#define SHORT  slot[0]
#elif NW == 2
#define QUEUED (q[0] > 0 || q[1] > 0)
#define SHORT  (slot[0] || slot[1])
#else
#define QUEUED (q[0] > 0 || q[1] > 0 || q[2] > 0)
#define SHORT  (slot[0] || slot[1] || slot[2])
#endif
#define LONG   (sh > 0 || QUEUED)
#define DRAIN(p) sh = sh + bs[p]; bs[p] = 0
#define DRAINW(p) q[p] = q[p] + bq[p]; bq[p] = 0; slot[p] = slot[p] | bn[p]; bn[p] = 0
#define DRAIN0   pin = pin + bp; bp = 0; tnext = tnext | bt; bt = 0
inline drain(p) { if :: p < NW -> DRAINW(p) :: p == NW -> DRAIN(p); DRAIN0 :: p > NW -> DRAIN(p) fi }
inline heavy() { d_step { DRAINW(0);
#if NW > 1
  DRAINW(1);
#endif
#if NW > 2
  DRAINW(2);
#endif
#if NT > 0
  DRAIN(NW); DRAIN0;
#endif
#if NT > 1
  DRAIN(NW + 1);
#endif
  skip } }

inline unlink(w) {
#ifdef BUG_BLIND
  if :: keeper == w -> keeper = NIL :: else fi;
#else
  if :: keeper == w || n_idle == NW -> keeper = NIL; kuntil = 0 :: else fi;
#endif
  idle[w] = 0; n_idle-- }
inline rouse_one(w) { unlink(w); wake[w] = 1; ni-- }
/* The caller has counted a searcher. */
inline rouse_any() {
  atomic { drain(me); v = NIL;
    if
    :: n_idle > 0 ->
       if
       :: idle[0] && (keeper != 0 || n_idle == 1) -> v = 0
#if NW > 1
       :: idle[1] && (keeper != 1 || n_idle == 1) -> v = 1
#endif
#if NW > 2
       :: idle[2] && (keeper != 2 || n_idle == 1) -> v = 2
#endif
       fi; rouse_one(v)
    :: else ->
#ifndef BUG_LATESUB
       ns--
#endif
    fi };
#ifdef BUG_LATESUB
  if :: v == NIL -> ns-- :: else fi;
#endif
  v = 0 }
inline announce_work() {
  atomic { ai = ni; as = ns };
  if
  :: ai == 0 || as > 0
  :: else -> atomic { drain(me); if :: ni == ai && ns == as -> ns++; ai = 1 :: else -> ai = 0 fi };
     if :: ai -> rouse_any() :: else fi
  fi; atomic { ai = 0; as = 0 } }
inline rouse_this(w) {
#ifdef BUG_PRECOUNT
  atomic { drain(me); ns++ };
  atomic { if :: w != NIL && idle[w] -> rouse_one(w) :: else -> ns-- fi }
#else
  atomic { drain(me); if :: w != NIL && idle[w] -> rouse_one(w); ns++ :: else fi }
#endif
  }
inline find() { /* own, pinned, shared; got: something */
    if
    :: slot[me] || bn[me] -> slot[me] = 0; bn[me] = 0; got = 1
    :: else ->
       if
       :: q[me] + bq[me] > 0 -> q[me] = q[me] + bq[me] - 1; bq[me] = 0; got = 1
       :: else -> if :: me == 0 && pin > 0 -> drain(me); pin--; got = 1
                     :: !(me == 0 && pin > 0) && sh > 0 -> drain(me); sh--; got = 1
                     :: else fi
       fi
    fi }
inline rob(w) { /* only what is worth it */
    if
    :: w != me && !got && (q[w] > 0 || (slot[w] && still[w])) -> heavy();
       if :: q[w] > 0 -> q[w]--; got = 1 :: q[w] == 0 && slot[w] -> slot[w] = 0; got = 1 :: else fi
    :: else
    fi;
    if :: w != me && BUDGET > 0 -> still[w] = 1 :: else fi }
inline steal() {
  rob(0);
#if NW > 1
  rob(1);
#endif
#if NW > 2
  rob(2);
#endif
  skip }
inline rescan() { /* ai: something to do */
  atomic { ai = sh > 0 || (me == 0 && pin > 0) };
#ifdef TIMER
  ai = ai || (tnext && !kuntil);
#endif
  ai = ai || QUEUED }
inline become_idle() {
  ni++; ns--; idle[me] = 1; n_idle++; naps[me] = 0; past[me] = 0;
  if :: keeper == NIL -> keeper = me; past[me] = tnext;
#ifndef BUG_NONAP
        naps[me] = n_idle < NW;
#endif
        kuntil = past[me] || naps[me]
     :: else fi }

proctype Worker(byte me) { byte v, ai, as; bit got;
main:
  atomic { find(); if :: got -> goto task :: else fi };
  atomic { drain(me); ns++ };
search:                                                     /* one round is one step: what it misses is the rescan's */
  atomic { find(); steal(); if :: got -> goto stop :: !got fi };
  /* sleep */
#ifndef BUG_LATECLEAR
  wake[me] = 0;
#endif
#ifdef BUG_LATEIDLE
  heavy(); rescan(); if :: ai -> ai = 0; goto search :: else fi;
#endif
  atomic { become_idle() };
#ifdef BUG_LATECLEAR
  wake[me] = 0;
#endif
#ifndef BUG_NOFENCE
  heavy();
#endif
#if !defined(BUG_NORESCAN) && !defined(BUG_LATEIDLE)
  rescan();
#endif
  if
  :: ai
  :: else ->
end_sleep:
     if :: wake[me] :: tmo && naps[me] -> tmo = 0 :: early > 0 && naps[me] -> early-- fi
  fi;
  atomic { ai = 0;
#ifdef BUG_NOCHECK
    if :: idle[me] -> unlink(me) :: else fi; ni--; ns++;
#else
    if :: idle[me] -> unlink(me); ni--; ns++ :: else fi;
#endif
    if :: keeper == NIL -> kuntil = 0 :: else fi;
    wake[me] = 0; naps[me] = 0; past[me] = 0 };
  goto search;
stop:
  atomic { drain(me); ns--; ai = ns == 0 && ni > 0 };
#ifdef BUG_NONEXT
  ai = 0;
#endif
  if :: ai ->
     rescan();
#ifndef BUG_NOHEIR
     if :: keeper == NIL -> ai = 1 :: else fi;
#endif
     if :: ai -> announce_work() :: else fi
  :: else
  fi;
task:
  atomic { got = 0; ai = 0; still[me] = 0; perm = 0 };
  do
  :: atomic { budget > 0 -> budget--; bq[me]++ }; announce_work()
  :: atomic { budget > 0 && !bn[me] && !slot[me] -> budget--; bn[me] = 1 }
  :: goto main
  :: break
  od;
end_busy: false }                                           /* computes for ever */

proctype Thread(byte me) { byte v, ai, as;
#ifdef PINNED
  if :: me == NW -> bp = 1; if :: ni > 0 -> rouse_this(0) :: else fi; goto out :: else fi;
#endif
#ifdef TIMER
  if :: me == NW -> bt = 1;
#ifndef BUG_NOREARM
        if :: ni > 0 && !kuntil -> v = keeper; if :: v == NIL && ni > 0 -> atomic { drain(me); ns++ }; rouse_any()
                                                  :: else -> rouse_this(v) fi
           :: else fi;
#endif
        goto out
     :: else fi;
#endif
  bs[me] = 1;
#ifndef BUG_LIGHTSHARE
  atomic { drain(me) };
#endif
  announce_work();
out: skip }

active proctype Drain() { byte p;                           /* the buffers drain by themselves */
end:
  do
  :: d_step { bs[NW] > 0 -> DRAIN(NW) }
#if NT > 1
  :: d_step { bs[NW + 1] > 0 -> DRAIN(NW + 1) }
#endif
  :: d_step { bp || bt -> DRAIN0 }
  :: d_step { bq[0] > 0 -> q[0] = q[0] + bq[0]; bq[0] = 0 }
  :: d_step { bn[0] -> slot[0] = 1; bn[0] = 0 }
#if NW > 1
  :: d_step { bq[1] > 0 -> q[1] = q[1] + bq[1]; bq[1] = 0 }
  :: d_step { bn[1] -> slot[1] = 1; bn[1] = 0 }
#endif
#if NW > 2
  :: d_step { bq[2] > 0 -> q[2] = q[2] + bq[2]; bq[2] = 0 }
  :: d_step { bn[2] -> slot[2] = 1; bn[2] = 0 }
#endif
  od }

init { byte i;
  atomic { do :: i < NW -> run Worker(i); i++ :: else -> break od; do :: i < NP -> run Thread(i); i++ :: else -> break od };
end:
  do
  :: timeout ->                                             /* nothing moves any more */
     atomic {
       assert(!(pin > 0 && idle[0]));
       if :: tnext && n_idle > 0 -> assert(keeper != NIL && (past[keeper] || naps[keeper])) :: else fi;
       if
       :: (!LONG && !SHORT) || n_idle == 0 -> break
       :: else ->
#ifdef PROMPT
          assert(!LONG);
#endif
          assert(keeper != NIL && naps[keeper]);
          assert(perm < 2); perm++; tmo = 1
       fi }
  od }
