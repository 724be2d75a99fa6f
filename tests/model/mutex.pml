/* mutex.pml - a mutex that is unlocked with a plain store: nobody sleeps on, nobody has it twice, and who unlocks last may
 * free it.
 * Mirrors: chanrt_sync_mutex_lock, _unlock; chanrt__sync_mutex_try, _wait, _enter, _note_locked, _settle_locked,
 * _unneeded_locked; chanrt_x_mutex_unlock, _wake; chanrt__wait_take, _finish, _fire, _leave. [mutex]
 * Threads 0..NL-1 lock and unlock LOCKS times each, those below NTIMED with a deadline that may come at any time (once). The
 * plain store of an unlock goes into a store buffer (sb) that drains at any time, or by the thread's own locked instruction;
 * the lot's mood is read from memory. The heavy fence drains every thread's buffer. QUIETs times somebody finds the lot with
 * nobody in it and lets it be quiet: at any moment, which is more often than the code does.
 * NEIGHBOUR: somebody comes to wait for another mutex of the same lot.
 * HAND: a waiter that was woken in vain asks for the hand-off (in the code after a millisecond; here it may, or may not).
 * Property: never two inside; every waiter returns, with the mutex or without; in the end it is free, nobody is queued and the
 * lot lists nothing; no touch of the mutex after the last user's unlock was seen (dead), unless it was known to be alive.
 *   BUG_NOFENCE    who wakes up a quiet lot does not fence
 *   BUG_TRUST      who finds the lot not quiet takes it that the fence of whoever woke it up has ended
 *   BUG_FENCEFIRST it fences before it says that the lot is not quiet any more
 *   BUG_NOPOST     the quick unlock does not look at the lot again after its store
 *   BUG_LOOKFIRST  the waiter looks at the word before the fence, and queues on what it saw
 *   BUG_TOUCH      the late wake touches the mutex without having found it in the lot
 *   BUG_QUIETBUSY  a lot becomes quiet with somebody queued
 *   BUG_KEEPWOKEN  a woken waiter that queues again leaves WOKEN set
 *   BUG_DEADHAND   a hand-off to a waiter whose time is up, without its claim
 *   BUG_NOPASS     an unlock that finds only such waiters leaves the mutex locked
 *   BUG_HANDFREE   a hand-off frees the word, too
 *   BUG_WAKELOSS   an unlock that wakes nobody, since its waiter has just been claimed by the timer, keeps WOKEN
 */
#ifndef NL
#define NL 2
#endif
#ifndef LOCKS
#define LOCKS 1
#endif
#ifndef NTIMED
#define NTIMED 0
#endif
#ifndef QUIETS
#define QUIETS 1
#endif
#define NIL 15
#define IDLE 0
#define QUEUED 1
#define CLAIMED 2                      /* by a waker, or by the timer */
bit locked, woken, hand;               /* the word */
bit sb[NL];                            /* a store of 0 to the word that has not reached memory */
bit quiet, lk; byte quiets, fenced;    /* the lot: how often it fell quiet, up to which time a fence has ended since */
bit listed;
byte q[NL], n;                         /* the queue */
byte st[NL]; bit note[NL], given[NL], timer[NL], over[NL];
byte inside, users, done; bit dead;

#define LOCK     atomic { !lk -> lk = 1 }
#define UNLOCK   lk = 0
#define ALIVE    assert(!dead)
/* A locked instruction of thread t is a fence: its own store first. */
inline drain(t) { if :: sb[t] -> sb[t] = 0; locked = 0; woken = 0; hand = 0 :: else fi }
active proctype Buffer() { do :: atomic { NL > 0 && sb[0] -> drain(0) } :: atomic { sb[1] -> drain(1) }
#if NL > 2
  :: atomic { sb[2] -> drain(2) }
#endif
  :: done == NL -> break od }
/* The lot falls quiet when nobody is in it: the code does it in an unlock that wakes nobody. */
active proctype Quieter() { byte looks; do
  :: looks < QUIETS -> LOCK; atomic {
#ifdef BUG_QUIETBUSY
     if :: true -> quiet = 1; quiets++ fi;
#else
     if :: !listed -> quiet = 1; quiets++ :: else fi;
#endif
     looks++ }; UNLOCK
  :: done == NL -> break
  od }
inline remove(k) { d_step {              /* the k-th out of the queue */
  i = k; do :: i + 1 < n -> q[i] = q[i + 1]; i++ :: else -> break od; n--; q[n] = NIL; i = 0;
  if :: n == 0 -> listed = 0 :: else fi } }
/* Under the lot's lock: the first that can be claimed; the others' time is up, and they go on their own. */
inline take() { atomic {
  who = NIL;
  do :: who == NIL && n > 0 -> j = q[0]; remove(0);
#ifdef BUG_DEADHAND
        st[j] = CLAIMED; who = j
#else
        if :: st[j] == QUEUED -> st[j] = CLAIMED; who = j :: else fi
#endif
     :: else -> break
  od; j = 0 } }
inline enter() {
  LOCK;
  do
#ifdef BUG_TRUST
  :: quiet ->
#else
  :: quiet || quiets != fenced ->
#endif
     upto = quiets;
#ifdef BUG_FENCEFIRST
     UNLOCK; d_step { drain(0); drain(1) }; LOCK; quiet = 0; fenced = quiets; break
#else
     quiet = 0; UNLOCK;
#ifndef BUG_NOFENCE
     d_step { drain(0); drain(1);
#if NL > 2
              drain(2)
#endif
              };
#endif
     LOCK; if :: quiets == upto -> fenced = upto :: else fi
#endif
  :: else -> break
  od }
/* The word if it is free: a locked instruction. */
inline try_lock(iswoken) { atomic {
  drain(me); ALIVE;
  if :: !locked -> locked = 1; got = 1; if :: iswoken -> woken = 0 :: else fi :: else -> got = 0 fi } }
inline lock_it() {
  mine = 0; starved = 0;
again:
  try_lock(mine);
  if
  :: got -> goto have
  :: else
#ifdef BUG_LOOKFIRST
     ; see = locked
#endif
  fi;
  enter();
  atomic { drain(me); ALIVE;                                  /* note_locked */
#ifdef BUG_LOOKFIRST
    if :: see ->
#else
    if :: locked ->
#endif
#ifndef BUG_KEEPWOKEN
       if :: mine -> woken = 0 :: else fi;
#endif
       if :: starved -> hand = 1 :: else fi;
       i = n; do :: mine && i > 0 -> q[i] = q[i - 1]; i-- :: else -> break od;
       q[i] = me; i = 0; n++; listed = 1; st[me] = QUEUED; given[me] = 0; timer[me] = timed && !over[me]
    :: else -> see = 2 fi };
  UNLOCK;
  if :: see == 2 -> see = 0; goto again :: else fi;
  if
  :: note[me] -> note[me] = 0; timer[me] = 0
  :: atomic { timer[me] && st[me] == QUEUED -> st[me] = CLAIMED; timer[me] = 0; over[me] = 1 };
     LOCK; atomic { ALIVE; i = 0;
       do :: i < n && q[i] != me -> i++ :: else -> break od;
       k = i; i = 0; if :: k < n -> remove(k) :: else fi; st[me] = IDLE }; UNLOCK;
     goto out
  fi;
  st[me] = IDLE;
  if :: given[me] -> goto have :: else -> mine = 1 fi;
#ifdef HAND
  if :: starved = 1 :: starved = 0 fi;
#endif
  goto again;
have:
  atomic { inside++; assert(inside == 1) };
  atomic { inside--; users--; last = (users == 0) };
  unlock_it();
out: skip }
inline finish(w, g) { atomic { assert(!note[w]); given[w] = g; note[w] = 1 } }
inline unlock_it() {
  /* The quick one: the word is LOCKED and nothing else, the lot quiet; a plain store; the lot again. */
  if
  :: locked && !woken && !hand && !sb[me] ->
     if
     :: quiet -> sb[me] = 1;
#ifndef BUG_NOPOST
        if
        :: quiet -> goto unlocked
        :: else                                              /* the late wake: by address */
        fi;
        atomic { !lk -> lk = 1; drain(me) };
#ifdef BUG_TOUCH
        ALIVE;
#endif
        atomic { who = NIL; if :: listed && !woken && !hand -> take(); if :: who != NIL -> woken = 1 :: else fi :: else fi };
        UNLOCK;
        if :: who != NIL -> finish(who, 0); who = NIL :: else fi;
#endif
        goto unlocked
     :: else
     fi
  :: else
  fi;
slow:
  if
  :: atomic { woken && !hand -> drain(me); locked = 0 }; goto unlocked     /* somebody is on his way: one CAS */
  :: atomic { !(woken && !hand) && !lk -> lk = 1; drain(me) }
  fi;
  atomic { ALIVE; assert(locked); who = NIL;
    if :: hand || !woken -> take() :: else fi;
    if
    :: who == NIL -> hand = 0;
#ifdef BUG_NOPASS
       skip
#else
       locked = 0
#endif
#ifdef BUG_WAKELOSS
       ; woken = 1
#endif
    :: who != NIL && hand -> given[who] = 1; if :: hand = 0 :: n > 0 -> skip fi;
#ifdef BUG_HANDFREE
       locked = 0
#endif
    :: who != NIL && !hand -> given[who] = 0; locked = 0; woken = 1
    fi };
  UNLOCK;
  if :: who != NIL -> finish(who, given[who]); who = NIL :: else fi;
unlocked: skip }
#ifdef NEIGHBOUR
active proctype Neighbour() { byte upto; enter(); UNLOCK }
#endif
proctype Thread(byte me; bit timed) {
  byte i, j, k, who = NIL, see, rounds, upto; bit got, mine, starved, last;
  do
  :: rounds < LOCKS -> rounds++; last = 0; lock_it();
     if :: last -> dead = 1 :: else fi
  :: else -> break
  od;
  atomic { drain(me); done++ } }
init { byte t;
  atomic {
    do :: t < NL -> q[t] = NIL; run Thread(t, t < NTIMED); t++ :: else -> break od; users = (NTIMED == 0 -> NL * LOCKS : 200) };
  done == NL;
  assert(!locked && !hand && !woken && n == 0 && !listed && inside == 0) }
