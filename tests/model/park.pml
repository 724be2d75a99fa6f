/* park.pml - a task is run by nobody before its registers are saved and its stack is left; nobody waits for that in a circle.
 * Mirrors: chanrt__sched_park, _switch, _pick, _find (pending), _make_runnable, chanrt__ctx_swap, chanrt_task_yield,
 * chanrt__wait_begin, _wait_open, _wait_block. [saved] [lock] (T2)
 * One source: the channel's lock is held over the park and is the word that the switch clears. Several sources, or a yield, or
 * a condition, whose lock is not held meanwhile: the word is the task's own a_on_cpu, set before anybody can wake it.
 * A worker on a task's stack that picked a task still on its way out takes it to its base stack as pending: its own park is
 * complete then, and only there it spins. Property: no stack in use twice, no context used before it is saved, nobody lost.
 *   BUG_EARLYWORD  the word is cleared before the registers are saved
 *   BUG_UNLOCK     one source: the lock is released before the park
 *   BUG_NOCHECK    a picked task is run whatever its a_on_cpu says
 *   BUG_SPINSELF   spins for a_on_cpu on the stack of a task, its own too
 *   BUG_BASEGO     the base stack does not spin
 *   BUG_NOONCPU    a wait with several sources does not set a_on_cpu
 *   BUG_LATEONCPU  sets it when it can be woken already
 *   BUG_YIELD      a yield does not set it
 *   BUG_NOPENDING  the base stack forgets what was picked for it
 *   BUG_SELFLEFT   a task that picks itself leaves a_on_cpu set
 * SPINTASK spins on the stack of a task, but not for itself. That makes no circle either: whatever a worker's own queue holds
 * set its a_on_cpu before the task that picks it did. It costs a stack that stays unsaved, and holds the lock, while it spins.
 */
#ifndef NT
#define NT 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define NW 2
#define NIL 255
#define SHARED NW
bit on_cpu[NT], lk;
bit sq[NT], open[NT];                   /* queued as the waiter of one source; can be claimed */
byte at[NT] = NIL;                      /* the queue it is in: a worker's or the shared one */
bit saved[NT], used[NT];                /* ghosts: the context is whole; somebody is on the stack */
byte rounds[NT], ended;

inline push(t, where) { assert(at[t] == NIL); at[t] = where }
inline take_any(where) {                /* any order */
  if :: at[0] == where -> at[0] = NIL; n = 0
     :: at[1] == where -> at[1] = NIL; n = 1
#if NT > 2
     :: at[2] == where -> at[2] = NIL; n = 2
#endif
  fi }
#if NT > 2
#define WAITING  (open[0] || open[1] || open[2] || sq[0] || sq[1] || sq[2])
#define SOME(where)  (at[0] == where || at[1] == where || at[2] == where)
#else
#define WAITING  (open[0] || open[1] || sq[0] || sq[1])
#define SOME(where)  (at[0] == where || at[1] == where)
#endif
/* Claims one that waits, under its queue's lock, and makes it ready. */
inline wake(where) {
  if
  :: atomic { open[0] -> open[0] = 0; n = 0 }
  :: atomic { open[1] -> open[1] = 0; n = 1 }
#if NT > 2
  :: atomic { open[2] -> open[2] = 0; n = 2 }
#endif
  :: atomic { !lk -> lk = 1;
       if :: sq[0] -> sq[0] = 0; n = 0 :: sq[1] -> sq[1] = 0; n = 1
#if NT > 2
          :: sq[2] -> sq[2] = 0; n = 2
#endif
          :: else -> n = NIL fi; lk = 0 }
  fi;
  atomic { if :: n != NIL -> push(n, where) :: else fi; n = NIL } }

proctype Worker(byte me) { byte t = NIL, n = NIL, pending = NIL; bit own;   /* own: the word is a_on_cpu, not the lock */
base:
  if
#ifndef BUG_NOPENDING
  :: atomic { pending != NIL -> n = pending; pending = NIL }
#else
  :: atomic { pending != NIL && (SOME(me) || SOME(SHARED)) -> pending = NIL; if :: SOME(me) -> take_any(me) :: else -> take_any(SHARED) fi }
  :: atomic { pending != NIL && !SOME(me) && !SOME(SHARED) -> n = pending; pending = NIL }
#endif
  :: atomic { pending == NIL && SOME(me) -> take_any(me) }
  :: atomic { pending == NIL && SOME(SHARED) -> take_any(SHARED) }
  :: atomic { pending == NIL && SOME(1 - me) -> take_any(1 - me) }          /* a theft */
  :: pending == NIL && ended == NT -> goto over
  fi;
#ifndef BUG_BASEGO
  !on_cpu[n];
#endif
go:                                     /* on its stack */
  atomic { t = n; n = NIL; assert(saved[t] && !used[t]); saved[t] = 0; used[t] = 1 };
task:
  if
  :: rounds[t] == 0 -> goto dies
  :: else -> atomic { rounds[t]--;
       if :: skip :: skip -> n = NT fi }
     if :: n == NT -> n = NIL; if :: wake(me) :: skip fi :: else fi;
     if
     :: atomic { !lk -> lk = 1; sq[t] = 1; own = 0 };
#ifdef BUG_UNLOCK
        lk = 0;
#endif
     :: own = 1;
#ifdef BUG_LATEONCPU
        open[t] = 1; on_cpu[t] = 1
#elif defined(BUG_NOONCPU)
        open[t] = 1
#else
        on_cpu[t] = 1; open[t] = 1
#endif
     :: own = 1;
#ifndef BUG_YIELD
        on_cpu[t] = 1;
#endif
        push(t, me)
     fi
  fi;
  /* park */
  if
  :: atomic { SOME(me) -> take_any(me) }
  :: skip                               /* nothing, or time to look around */
  fi;
  if
#ifndef BUG_SPINSELF
  :: n == t ->
#ifndef BUG_SELFLEFT
     on_cpu[t] = 0;
#endif
     n = NIL; goto task
#endif
  :: else
  fi;
#if defined(SPINTASK) || defined(BUG_SPINSELF)
  if :: n != NIL -> !on_cpu[n] :: else fi;
#elif !defined(BUG_NOCHECK)
  atomic { if :: n != NIL && on_cpu[n] -> pending = n; n = NIL :: else fi };
#endif
#ifdef BUG_EARLYWORD
  atomic { if :: own -> on_cpu[t] = 0 :: else -> lk = 0 fi };
#endif
  saved[t] = 1;
  if                                    /* the other stack, then the word */
  :: n != NIL -> atomic { assert(saved[n] && !used[n]); used[n] = 1; used[t] = 0 }
  :: else -> used[t] = 0
  fi;
#ifndef BUG_EARLYWORD
#ifdef BUG_UNLOCK
  atomic { if :: own -> on_cpu[t] = 0 :: else fi };
#else
  atomic { if :: own -> on_cpu[t] = 0 :: else -> assert(lk); lk = 0 fi };
#endif
#endif
  atomic { t = NIL; own = 0 };
  if :: n == NIL -> goto base :: else -> atomic { t = n; n = NIL; saved[t] = 0; goto task } fi;
dies:
  atomic { used[t] = 0; t = NIL; ended++ };
  if :: atomic { SOME(me) -> take_any(me) };
        if :: !on_cpu[n] -> goto go :: else -> atomic { pending = n; n = NIL; goto base } fi
     :: goto base
  fi;
over: skip }

active proctype Outside() { byte n = NIL;                   /* other threads, timers: whoever waits is woken in the end */
end:
  do
  :: WAITING -> wake(SHARED)
  od }
init { byte i;
  atomic { do :: i < NT -> rounds[i] = ROUNDS; saved[i] = 1; at[i] = (i < 2 -> i : SHARED); i++ :: else -> break od;
    run Worker(0); run Worker(1) } }
