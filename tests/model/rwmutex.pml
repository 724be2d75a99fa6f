/* rwmutex.pml - a rwmutex whose only reader leaves with a plain store: no reader is lost, no writer is beside one, nobody
 * waits for ever.
 * Mirrors: chanrt__sync_rw_share, _unshare, _try, _lock, _pass_locked, _drop_reader, _runlock; chanrt_x_rwmutex_runlock,
 * _unlock. [rwmutex] [alone]
 * Parties 0..NR-1 read, ROUNDS times each; those below NW on workers, who may leave plainly, the others on threads of the
 * program's own; then come NWR writers, once each. The word is one: cnt, l, q, s. Stores of a worker (its mark, the word, its
 * mark again) go into a store buffer (sb) that drains in order at any time, or by a locked instruction of its own; the heavy
 * fence drains one buffer after the other. A parked party waits for its note. What the lot's lock covers is one step.
 * Property: a writer inside is alone; who leaves is counted in the word; in the end it is free and nobody is queued.
 *   BUG_NOFENCE    who shares does not fence
 *   BUG_NOSCAN     it does not wait for those who are marked
 *   BUG_SCANFIRST  it looks at the marks before the fence
 *   BUG_LATESHARE  it fences before it says that it shares
 *   BUG_EARLYDONE  it has done sharing before it has changed the word
 *   BUG_NOSHARE    a second reader counts himself without sharing
 *   BUG_NOSHAREW   a writer queues without it
 *   BUG_NOMARK     who leaves plainly is not marked
 *   BUG_NOLOOK     who leaves plainly does not look whether somebody shares
 *   BUG_WORDFIRST  he looks at the word first
 *   BUG_UNMARKFIRST he is unmarked before the store
 *   BUG_ANYWORD    he looks for readers, not for one and nothing else
 * That a word once SHARED stays so saves fences and is not needed for any of this.
 */
#ifndef NR
#define NR 3
#endif
#ifndef NW
#define NW 2
#endif
#ifndef NWR
#define NWR 1
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define N (NR + NWR)
#define MARK 1
#define FREE 2
#define UNMARK 3
byte cnt; bit l, q, s;                 /* the word */
byte sharing; bit mark[NW]; bit lk;
byte sb[NW * 4], held[NW];              /* store buffers */
bit rq[N], wq[N], note[N];             /* who is queued, who has been given it */
byte reading, writing, done;
#define LOCK   atomic { !lk -> lk = 1 }
#define UNLOCK lk = 0
inline drain_one(t) { d_step {
  if :: sb[t * 4] == MARK -> mark[t] = 1
     :: sb[t * 4] == FREE -> cnt = 0; l = 0; q = 0; s = 0
     :: sb[t * 4] == UNMARK -> mark[t] = 0 fi;
  sb[t * 4] = sb[t * 4 + 1]; sb[t * 4 + 1] = sb[t * 4 + 2]; sb[t * 4 + 2] = sb[t * 4 + 3]; sb[t * 4 + 3] = 0; held[t]-- } }
inline drain(t) { do :: t < NW && held[t] > 0 -> drain_one(t) :: else -> break od }
inline put(t, what) { atomic { held[t] < 4 -> sb[t * 4 + held[t]] = what; held[t]++ } }
active proctype Buffer() { do
  :: atomic { held[0] > 0 -> drain_one(0) }
#if NW > 1
  :: atomic { held[1] > 0 -> drain_one(1) }
#endif
  :: done == N -> break od }
inline fence() { atomic { drain(0) };
#if NW > 1
  atomic { drain(1) }
#endif
}
inline scan() { mark[0] == 0;
#if NW > 1
  mark[1] == 0
#endif
}
inline share() {
#ifdef BUG_LATESHARE
  fence(); atomic { drain(me); sharing++ };
#else
  atomic { drain(me); sharing++ };
#ifdef BUG_SCANFIRST
  scan();
#endif
#ifndef BUG_NOFENCE
  fence();
#endif
#endif
#if !defined BUG_NOSCAN && !defined BUG_SCANFIRST
  scan()
#else
  skip
#endif
}
/* Mirrors chanrt__sync_rw_try: one load and one compare and swap that fits it. */
inline try(reader, marks, may) { atomic {
  drain(me); got = 0;
  if
  :: reader && !l && !q ->
     if
     :: cnt > 0 && (s || may) -> got = 1; cnt++; s = 1
     :: cnt == 0 -> got = 1; cnt++
     :: else
     fi
  :: !reader && !l && !q && cnt == 0 -> got = 1; l = 1
  :: else -> if :: marks && !q && (s || may || cnt != 1) -> q = 1; s = 1 :: else fi
  fi } }
inline pass(readers_first) { d_step {      /* the lot's lock is held; nobody has the word */
  k = 0; any = 0; l = 0; cnt = 0;
  if
  :: readers_first ->
     do :: k < N -> if :: rq[k] -> rq[k] = 0; note[k] = 1; cnt++ :: else fi; k++ :: else -> break od;
     k = 0; do :: k < N && cnt == 0 && !l -> if :: wq[k] -> wq[k] = 0; note[k] = 1; l = 1 :: else fi; k++ :: else -> break od
  :: else ->
     do :: k < N && !l -> if :: wq[k] -> wq[k] = 0; note[k] = 1; l = 1 :: else fi; k++ :: else -> break od;
     k = 0; do :: k < N && !l -> if :: rq[k] -> rq[k] = 0; note[k] = 1; cnt++ :: else fi; k++ :: else -> break od
  fi;
  k = 0; do :: k < N -> if :: rq[k] || wq[k] -> any = 1 :: else fi; k++ :: else -> break od; k = 0; q = any; any = 0 } }
inline take(reader, buggy) {
  try(reader, 0, buggy);
  if
  :: got
  :: else ->
     atomic { drain(me); shares = !s };
     if :: shares && !buggy -> share() :: else fi;
#ifdef BUG_EARLYDONE
     if :: shares && !buggy -> sharing-- :: else fi;
#endif
     LOCK; try(reader, 1, 1);
     if :: !got -> if :: reader -> rq[me] = 1 :: else -> wq[me] = 1 fi :: else fi;
#ifndef BUG_EARLYDONE
     if :: shares && !buggy -> atomic { drain(me); sharing-- } :: else fi;
#endif
     UNLOCK;
     if :: !got -> note[me]; note[me] = 0 :: else fi
  fi }
/* Mirrors chanrt__sync_rw_runlock: with the lot's lock where somebody waits. */
inline leave() {
  do
  :: atomic { drain(me); assert(cnt > 0);
       if :: !q -> cnt--; break :: else fi };
     LOCK; atomic { drain(me);
       if
       :: !q
       :: q && cnt > 1 -> cnt--; UNLOCK; break
       :: q && cnt == 1 -> pass(0); UNLOCK; break
       fi };
     UNLOCK
  od }
proctype Reader(byte me) {
  byte k, rounds; bit got, shares, any, one, free;
  do
  :: rounds < ROUNDS -> rounds++;
#ifdef BUG_NOSHARE
     take(1, 1);
#else
     take(1, 0);
#endif
     atomic { reading++; assert(writing == 0) };
     atomic { reading--; assert(writing == 0) };
     one = 0;
     if
     :: me < NW ->
#ifndef BUG_NOMARK
        put(me, MARK);
#endif
#ifdef BUG_WORDFIRST
        one = (cnt == 1 && !l && !q && !s);
        free = (sharing == 0); one = one && free;
#else
#ifndef BUG_NOLOOK
        free = (sharing == 0);
#else
        free = 1;
#endif
#ifdef BUG_ANYWORD
        one = free && cnt >= 1;
#else
        one = free && cnt == 1 && !l && !q && !s;
#endif
#endif
#if defined BUG_UNMARKFIRST
        put(me, UNMARK); if :: one -> put(me, FREE) :: else fi
#else
        if :: one -> put(me, FREE) :: else fi;
#ifndef BUG_NOMARK
        put(me, UNMARK)
#endif
#endif
     :: else
     fi;
     if :: !one -> leave() :: else fi
  :: else -> break
  od;
  atomic { drain(me); done++ } }
proctype Writer(byte me) {
  byte k; bit got, shares, any;
#ifdef BUG_NOSHAREW
  take(0, 1);
#else
  take(0, 0);
#endif
  atomic { writing++; assert(writing == 1 && reading == 0) };
  atomic { writing--; assert(reading == 0) };
  if
  :: atomic { l && !q -> l = 0 }
  :: atomic { l && q && !lk -> lk = 1 }; atomic { assert(l); pass(1) }; UNLOCK
  fi;
  done++ }
init { byte t;
  atomic { do :: t < NR -> run Reader(t); t++ :: t >= NR && t < N -> run Writer(t); t++ :: else -> break od };
  done == N;
  assert(cnt == 0 && !l && !q && sharing == 0) }
