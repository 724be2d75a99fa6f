/* rwmutex.pml - who has a rwmutex to himself leaves with a plain store: nobody is lost, no writer is beside another party,
 * nobody waits for ever.
 * Mirrors: chanrt_x_rwmutex_left, _back, _rlock, _runlock, _lock, _unlock; chanrt__sync_rw_alone, _settle_locked, _leave,
 * _drop_locked, _try, _try_locked, _share_locked, _enter, _lock, _pass_locked, _drop_reader, _free_locked, _unshare.
 * [rwmutex] [alone]
 * Parties 0..NR-1 read, ROUNDS times each; then come NWR writers, WROUNDS times each. Two words: `a`, of whoever has the
 * rwmutex to himself (FREE, READER, LOCKED), and the word for several: cnt, l, q, s, al. Once s, `a` means nothing but with
 * al: cnt or l counts one who may leave through it. UNSHARES times one who is in, alone, leaves with s 0. Plain stores of 0 to `a` wait in a store buffer of one
 * place, and drain at any time, or by a locked instruction of their party; the heavy fence drains one buffer after the other.
 * A lot that is quiet may be trusted to have nobody in it; it becomes quiet again QUIETS times, while nobody is listed.
 * What the lot's lock covers is one step where no other word than the lot's and the queues is touched.
 * Property: a writer inside is alone; who leaves is counted; in the end nobody is inside and nobody is queued.
 *   BUG_NOFENCE    who waits for the one in `a`, or shares, does not fence
 *   BUG_FENCEFIRST it fences before it closes the way through `a`
 *   BUG_NOAGAIN    who takes `a` does not look at the other word again
 *   BUG_LOOKFIRST  he looks again before he takes it
 *   BUG_NOBACK     he gives it back and tells nobody
 *   BUG_NOPOST     who leaves plainly does not look at the lot
 *   BUG_POSTFIRST  he looks before the store
 *   BUG_UNCOUNTED  who shares does not count the one in `a`
 *   BUG_UNLISTED   who waits is not listed in the lot
 *   BUG_QUIETBUSY  a lot becomes quiet with somebody listed
 *   BUG_BLIND      who has left settles although `a` is taken
 *   BUG_STALE      a last party that leaves through the other word leaves al
 *   BUG_FAST       a last reader who leaves changes the other word without the lot's lock while al
 *   BUG_NOSETTLE   a party that finds `a` left does not settle
 *   BUG_LEFTOVER   the last one counted leaves `a` taken
 *   BUG_OPEN       he frees it while others still come in through the other word
 *   BUG_WIPE       who settles frees it as well
 *   BUG_OLDFENCE   who shares trusts a fence from before it was unshared
 *   BUG_UNSHAREAL  unshared while al
 *   BUG_UNSHAREQ   unshared while somebody is queued
 *   BUG_LEAVEBLIND whose time is up takes the word for one that is shared
 */
#ifndef NR
#define NR 2
#endif
#ifndef NWR
#define NWR 1
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef WROUNDS
#define WROUNDS 1
#endif
#ifndef QUIETS
#define QUIETS 1
#endif
#ifndef UNSHARES
#define UNSHARES 0
#endif
#ifdef TIMED                           /* that party waits only for a while */
#define WAITS (me != TIMED)
#else
#define WAITS true
#endif
#define N (NR + NWR)
#define FREE 0
#define READER 1
#define LOCKED 2
byte a;
byte cnt; bit l, q, s, al;             /* the word for several */
bit sb[N];                             /* a store of FREE to `a` on its way */
bit quiet = 1; byte quiets; bit lk, listed;
bit rq[N], wq[N], note[N], late[N];    /* who is queued, who has been given it, whose time is up */
byte reading, writing, done, unshares;
#define LOCK   atomic { !lk -> lk = 1; drain(me) }
#define UNLOCK lk = 0
#ifdef BUG_QUIETBUSY
#define UNUSED true
#else
#define UNUSED (!listed)
#endif
#ifdef TRY                             /* that reader does not wait */
#define TRIES (me == TRY)
#else
#define TRIES false
#endif
#ifdef BUG_STALE
#define AL0 skip
#else
#define AL0 al = 0; listed = 0
#endif
#ifdef BUG_LEFTOVER
#define A0 skip
#else
#define A0 atomic { drain(me); a = FREE }
#endif
#ifdef BUG_WIPE
#define OWNS(keep) true
#else
#define OWNS(keep) keep
#endif
#define NONE   (cnt == 0 && !l && !q && !s)
inline drain(t) { if :: sb[t] -> sb[t] = 0; a = FREE :: else fi }
active proctype Buffer() { do
  :: atomic { sb[0] -> drain(0) }
  :: atomic { sb[1] -> drain(1) }
#if N > 2
  :: atomic { sb[2] -> drain(2) }
#endif
#if N > 3
  :: atomic { sb[3] -> drain(3) }
#endif
  :: done == N -> break od }
active proctype Quietener() { do
  :: atomic { !lk && !quiet && quiets < QUIETS && UNUSED -> quiet = 1; quiets++ }
  :: done == N -> break od }
inline fence() {
#ifndef BUG_NOFENCE
  atomic { drain(0) }; atomic { drain(1) };
#if N > 2
  atomic { drain(2) };
#endif
#if N > 3
  atomic { drain(3) };
#endif
#endif
  skip }
inline pass(readers_first) { d_step {      /* the lot's lock is held; nobody has the word */
  k = 0; any = 0;
  if
  :: readers_first ->
     do :: k < N -> if :: rq[k] -> rq[k] = 0; if :: !late[k] -> note[k] = 1; cnt++ :: else fi :: else fi; k++ :: else -> break od;
     k = 0; do :: k < N && cnt == 0 && !l -> if :: wq[k] -> wq[k] = 0; if :: !late[k] -> note[k] = 1; l = 1 :: else fi :: else fi; k++ :: else -> break od
  :: else ->
     do :: k < N && !l && cnt == 0 -> if :: wq[k] -> wq[k] = 0; if :: !late[k] -> note[k] = 1; l = 1 :: else fi :: else fi; k++ :: else -> break od;
     k = 0; do :: k < N && !l -> if :: rq[k] -> rq[k] = 0; if :: !late[k] -> note[k] = 1; cnt++ :: else fi :: else fi; k++ :: else -> break od
  fi;
  k = 0; do :: k < N -> if :: rq[k] || wq[k] -> any = 1 :: else fi; k++ :: else -> break od; k = 0; q = any; any = 0 } }
/* Mirrors chanrt__sync_rw_drop_locked: one party less; readers may come beside as long as nobody queues. */
inline drop(keep) {
  do
#ifdef BUG_OPEN
  :: !l && !q && cnt == 1 && al && keep -> A0;
     atomic { cnt--; if :: cnt == 0 -> AL0 :: else fi }; break
#else
  :: atomic { !l && !q && cnt == 1 && al && keep -> drain(me); q = 1 }
#endif
  :: l || (q && cnt == 1) ->
     if :: al && OWNS(keep) -> A0 :: else fi;
     if :: atomic { l -> l = 0; cnt = 0; AL0; pass(1) } :: atomic { else -> cnt = 0; AL0; pass(0) } fi;
     break
  :: atomic { !l && !q && cnt == 1 && !(al && keep) -> drain(me); cnt = 0; AL0 }; break
  :: atomic { !l && cnt > 1 -> drain(me); cnt--; if :: !keep -> al = 0; listed = 0 :: else fi }; break
  od }
/* Mirrors chanrt__sync_rw_settle_locked: the one in `a` has left, if so. */
inline settle() {
#ifdef BUG_BLIND
  if :: al ->
#else
  if :: al && a == FREE ->
#endif
        assert(l || cnt > 0); drop(0); closed = 1
     :: else
  fi }
/* Mirrors chanrt_x_rwmutex_left. */
inline left() { LOCK;
  if
#ifdef BUG_BLIND
  :: listed && s -> settle()
#else
  :: listed && a == FREE && s -> settle()
#endif
  :: else
  fi;
  UNLOCK }
inline leave_plainly() {
#ifdef BUG_POSTFIRST
  look = quiet; sb[me] = 1;
#else
  sb[me] = 1;
#ifdef BUG_NOPOST
  look = 1;
#else
  look = quiet;
#endif
#endif
  if :: !look -> left() :: else fi }
/* Mirrors chanrt__sync_rw_alone, and what is inlined of it. */
inline alone(what) {
  got = 0;
  if
  :: NONE ->
     look = 1;
#ifdef BUG_LOOKFIRST
     look = NONE;
#endif
     atomic { drain(me); if :: a == FREE -> a = what; got = 1 :: else fi };
     if
     :: got ->
#if !defined BUG_NOAGAIN && !defined BUG_LOOKFIRST
        look = NONE;
#endif
        if :: !look -> got = 0; sb[me] = 1;
#ifndef BUG_NOBACK
              left()
#endif
           :: else fi
     :: else
     fi
  :: else
  fi }
/* Mirrors chanrt__sync_rw_try: one load and one compare and swap that fits it. */
inline try(reader) { atomic {
  drain(me); got = 0;
  if
  :: reader && s && !l && !q -> got = 1; cnt++
  :: !reader && s && !l && !q && cnt == 0 && !al -> got = 1; l = 1
  :: else
  fi } }
/* Mirrors chanrt__sync_rw_enter, _share_locked: the lot's lock, with the way through `a` closed, the lot unquiet, and a
 * fence since. */
inline enter() {
  do
  :: LOCK; closed = 0;
     if
     :: s && !al -> break
     :: else
     fi;
#ifdef BUG_FENCEFIRST
     if :: NONE -> quiet = 0; UNLOCK; fence(); LOCK :: else fi;
#endif
     shared = unshares;
     if :: NONE -> q = 1 :: else fi;
     do
     :: upto = quiets; quiet = 0; UNLOCK;
#ifndef BUG_FENCEFIRST
        fence();
#endif
        LOCK;
        if :: quiets == upto && !quiet -> break :: else fi
     od;
     if
#ifdef BUG_OLDFENCE
     :: !s ->
#else
     :: !s && shared == unshares ->
#endif
        has = a;                           /* nobody has shared it since */
        d_step { s = 1; q = 0;
#ifndef BUG_UNCOUNTED
        al = (has != FREE); cnt = (has == READER); l = (has == LOCKED);
#endif
        has = FREE }
     :: else
     fi;
#ifndef BUG_NOSETTLE
     settle();
#endif
     if :: s && !closed -> break :: else fi;
     UNLOCK
  od;
  closed = 0 }
inline try_locked(reader) { atomic { drain(me); got = 0;
  if
  :: reader && !l && !q -> got = 1; cnt++
  :: !reader && !l && !q && cnt == 0 -> got = 1; l = 1
  :: else -> q = 1;
#ifndef BUG_UNLISTED
     listed = al
#endif
  fi } }
/* Mirrors chanrt__sync_rw_leave. */
inline give_up() {
  LOCK; out = 1; rq[me] = 0; wq[me] = 0; late[me] = 0;
  if
#ifdef BUG_LEAVEBLIND
  :: atomic { q -> s = 1;
#else
  :: atomic { q && s ->
#endif
     k = 0; any = 0;
     do :: k < N -> if :: wq[k] -> any = 1 :: else fi; k++ :: else -> break od;
     if
     :: !l && !any -> any = 0; pass(1)
     :: else -> k = 0; any = 0;
        do :: k < N -> if :: rq[k] || wq[k] -> any = 1 :: else fi; k++ :: else -> break od;
        q = any; k = 0; any = 0
     fi }
  :: else
  fi;
  UNLOCK }
inline take(reader, what) {
  alone(what);
  if :: !got -> try(reader) :: else fi;
  if
  :: got
  :: !got && TRIES
  :: !got && !TRIES ->
     enter();
     try_locked(reader);
     if :: !got -> if :: reader -> rq[me] = 1 :: else -> wq[me] = 1 fi :: else fi;
     UNLOCK;
     if :: !got -> if :: note[me] -> note[me] = 0 :: atomic { !WAITS && !note[me] -> late[me] = 1 }; give_up() fi
        :: else fi
  fi }
/* Mirrors chanrt__sync_rw_unshare. */
#ifdef BUG_UNSHAREAL
#define UNALONE true
#else
#define UNALONE (!al)
#endif
#ifdef BUG_UNSHAREQ
#define UNQUEUED true
#else
#define UNQUEUED (!q)
#endif
#define TWO    (s && !q && !l && al && cnt == 2)     /* one of them may have left plainly */
inline unshare(only, ghost) {
  if
  :: unshares < UNSHARES && ((s && UNQUEUED && UNALONE && (only)) || (ghost && TWO && a == FREE)) ->
     LOCK;
     if :: ghost && TWO -> settle() :: else fi;
     atomic { if :: unshares < UNSHARES && s && UNQUEUED && UNALONE && (only) ->
                    unshares++; s = 0; cnt = 0; l = 0; gone = 1
                 :: else fi };
     UNLOCK
  :: true
  fi }
/* Mirrors chanrt__sync_rw_runlock. */
inline leave() {
  gone = 0;
  unshare(cnt == 1 && !l, true);
  if
  :: gone
#ifdef BUG_FAST
  :: atomic { !gone && s && !q -> drain(me); assert(cnt > 0); cnt--; gone = 1 }
#else
  :: atomic { !gone && s && !q && (!al || cnt > 1) -> drain(me); assert(cnt > 0); cnt--; gone = 1 }
#endif
  :: else
  fi;
  if
  :: gone
  :: else ->
     LOCK;
     if
     :: !s -> assert(a == READER); sb[me] = 1
     :: else ->
        settle();
        assert(cnt > 0);
        drop(1)
     fi;
     atomic { drain(me); UNLOCK }
  fi }
proctype Reader(byte me) {
  byte k, rounds, upto, shared, has; bit got, any, look, gone, closed, out;
  do
  :: rounds < ROUNDS -> rounds++;
     take(1, READER);
     if
     :: (got || !TRIES) && !out ->
     atomic { reading++; assert(writing == 0) };
     atomic { reading--; assert(writing == 0) };
     if
     :: NONE -> assert(a == READER); leave_plainly()
     :: else -> leave()
     fi
     :: else -> out = 0
     fi
  :: else -> break
  od;
  atomic { drain(me); done++ } }
proctype Writer(byte me) {
  byte k, rounds, upto, shared, has; bit got, any, look, gone, closed, out;
  do
  :: rounds < WROUNDS -> rounds++;
     take(0, LOCKED);
     if
     :: out -> out = 0
     :: else ->
     atomic { writing++; assert(writing == 1 && reading == 0) };
     atomic { writing--; assert(reading == 0) };
     if
     :: NONE -> assert(a == LOCKED); leave_plainly()
     :: else -> gone = 0; unshare(l, false);
        if
        :: gone
        :: atomic { !gone && s && l && !q && !al -> drain(me); l = 0 }
        :: else -> LOCK;
           if
           :: !s -> sb[me] = 1
           :: else -> assert(l);
              drop(1)
           fi;
           atomic { drain(me); UNLOCK }
        fi
     fi
     fi
  :: else -> break
  od;
  atomic { drain(me); done++ } }
init { byte t;
  atomic { do :: t < NR -> run Reader(t); t++ :: t >= NR && t < N -> run Writer(t); t++ :: else -> break od };
  done == N;
  assert((al || a == FREE) && !q && (al || (cnt == 0 && !l)) && (!al || (a == FREE && cnt + l == 1))) }
