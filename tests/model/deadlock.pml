/* deadlock.pml - the detector: reported exactly when nothing can ever run again.
 * Mirrors: chanrt__sched_thread_block, _thread_unblock, _stuck_locked, _sleep, _rouse; the exit of a thread.
 * Two workers, three ordinary threads, one shared queue; sequentially consistent (idle.pml has the store buffers).
 * Wake of a thread: CAS word EMPTY->NOTIFIED; if it was PARKED: lock; word=NOTIFIED; F--; unlock; futex wake.
 * So F never counts one thread twice, and a waker between its claim and the F-- is itself not in F.
 *   BUG_XCHG       word=NOTIFIED before the F--, outside the lock: the woken thread parks again and is counted twice
 *   BUG_IDLEFIRST  a worker announces idle before it has finished a wake
 *   BUG_NOQUEUE    the check does not look at the queues
 *   BUG_TAKEFIRST  a worker that finds work in its second look takes it before it leaves the idle count
 *   BUG_PLAINPARK  word tested, then stored, instead of CAS
 *   BUG_NOEXIT     a thread's exit does not check
 *   BUG_NOLASTCHECK the last worker going idle does not check
 */
#ifndef NF
#define NF 3
#endif
#define NW 2
#define EMPTY 0
#define PARKED 1
#define NOTIFIED 2
byte word[NF]; bit waiting[NF];         /* waiting: a claimable waiter exists */
byte q, idle, F, total = NF, budget = BUDGET;
bit lk, wk[NW], linked[NW], report, done;
bit can_run[NF], busy[NW];              /* ghosts: the truth */
#define LOCK    atomic { !lk -> lk = 1 }
#define UNLOCK  lk = 0
#define STOP    (report || done)
inline check() {                        /* under the lock */
  atomic { if
#ifdef BUG_NOQUEUE
  :: idle == NW && F == total && !report && !done ->
#else
  :: idle == NW && F == total && q == 0 && !report && !done ->
#endif
       report = 1; assert(q == 0 && !busy[0] && !busy[1]);
       k = 0; do :: k < NF -> assert(!can_run[k]); k++ :: else -> break od; k = 0
  :: else fi } }
inline wakeone() {
  if :: idle > 0 -> LOCK;
          atomic { if :: linked[0] -> linked[0] = 0; idle--; wk[0] = 1
                      :: !linked[0] && linked[1] -> linked[1] = 0; idle--; wk[1] = 1
                      :: else fi };
          UNLOCK
     :: else fi }
inline notify(g) {
#ifdef BUG_XCHG
  atomic { old = word[g]; word[g] = NOTIFIED };
  if :: old == PARKED -> LOCK; F--; UNLOCK :: else fi;
#else
  atomic { old = word[g]; if :: old == EMPTY -> word[g] = NOTIFIED :: else fi };
  if :: old == PARKED -> LOCK; atomic { word[g] = NOTIFIED; F-- }; UNLOCK :: else fi;
#endif
  old = 0 }
inline claim_one() {                    /* some waiter other than me, claimed under its channel's lock; 255: none */
  atomic { g = 255;
    if :: budget > 0 && waiting[0] -> g = 0 :: budget > 0 && waiting[1] -> g = 1
#if NF > 2
       :: budget > 0 && waiting[2] -> g = 2
#endif
       :: else fi;
    if :: g != 255 -> waiting[g] = 0; can_run[g] = 1; budget-- :: else fi } }

proctype Thread(byte me) { byte g, old, k;
  do
  :: STOP -> break
  :: atomic { !STOP && budget > 0 -> budget--; q++ }; wakeone()
  :: !STOP && budget > 0 -> claim_one(); if :: g != 255 -> notify(g); g = 0 :: else -> g = 0 fi
  :: !STOP -> waiting[me] = 1;          /* a blocking call */
     LOCK;
#ifdef BUG_PLAINPARK
     if :: word[me] == EMPTY -> word[me] = PARKED; F++; atomic { can_run[me] = !waiting[me] }; check() :: else fi;
#else
     atomic { if :: word[me] == EMPTY -> word[me] = PARKED; F++; can_run[me] = !waiting[me] :: else fi };
     check();
#endif
     UNLOCK;
     if :: word[me] == NOTIFIED -> word[me] = EMPTY :: STOP -> break fi
  :: !STOP && me > 0 -> LOCK; total--; can_run[me] = 0;
#ifndef BUG_NOEXIT
     check();
#endif
     UNLOCK; break
  :: !STOP && me == 0 -> done = 1
  od }
proctype Worker(byte me) { byte g, old, k;
  do
  :: STOP -> break
  :: atomic { !STOP && q > 0 -> q--; busy[me] = 1 };
#ifdef BUG_IDLEFIRST
     claim_one(); LOCK; idle++; linked[me] = 1; UNLOCK;
     if :: g != 255 -> notify(g) :: else fi; g = 0; busy[me] = 0;
     goto second;
#else
     if :: budget > 0 -> claim_one(); if :: g != 255 -> notify(g) :: else fi; g = 0
        :: skip fi;
     busy[me] = 0
#endif
  :: !STOP && q == 0 -> LOCK; atomic { idle++; linked[me] = 1 }; UNLOCK;
second:
#ifdef BUG_TAKEFIRST
     if :: atomic { q > 0 -> q--; busy[me] = 1 }; LOCK;
           atomic { if :: linked[me] -> linked[me] = 0; idle-- :: else -> wk[me] = 0 fi }; UNLOCK; busy[me] = 0
#else
     if :: q > 0 -> LOCK;
           atomic { if :: linked[me] -> linked[me] = 0; idle-- :: else -> wk[me] = 0 fi }; UNLOCK
#endif
        :: else ->
#ifndef BUG_NOLASTCHECK
           LOCK; check(); UNLOCK;
#endif
           if :: wk[me] -> wk[me] = 0 :: STOP -> break fi
     fi
  od }
init { byte k; atomic {
  do :: k < NF -> can_run[k] = 1; run Thread(k); k++ :: else -> break od;
  run Worker(0); run Worker(1) } }
