/* context.pml - a tree of contexts: cancelled from above, freed in any order, with a deadline that fires meanwhile.
 * Mirrors: chanrt__context_mark, _settle, _sweep, _leave, _cancel, _drop, _link, _expire; chanrt_ctx_free.
 * P has the children C and D; C's owner makes G under C while C may be cancelled from anywhere. A context counts its
 * references: the owner's handle, its place in the parent's list, each child's record, an armed deadline.
 * Top cancels P and frees it; Again (-DAGAIN) cancels P at the same time; OwnerC makes G, may cancel C, frees it; OwnerG and
 * OwnerD (-DWITHD) free theirs; Deadline is C's (-DTIMED=1), or P's (-DTIMED=0). A lock's section is one step: no two nest.
 * Property: nothing freed is touched; all are freed once; the channel is closed after the error is set; when a cancel
 * returns, all below has its error and a closed channel, whoever cancelled it; nobody waits for ever.
 *   BUG_NOLINKREF   the parent's list holds no reference
 *   BUG_NOPARENTREF a child holds no reference to its parent
 *   BUG_NOTIMERREF  an armed deadline holds no reference
 *   BUG_TIMERTWICE  the canceller drops the deadline's reference though it has fired
 *   BUG_LEAVEFIRST  the child leaves the list before it has its error
 *   BUG_LEAVEBLIND  the child takes itself off a list that is the sweeper's by now
 *   BUG_LINKBLIND   a child is linked without a look at the parent's error
 *   BUG_DONEFIRST   the channel is closed before the error is set
 *   BUG_NOWAIT      who finds the error set does not wait until all below is cancelled
 *   BUG_EARLYSWEPT  a context is called swept before what is below it is
 *   BUG_DROPFIRST   the sweeper drops its reference before it reads where to go on
 *   BUG_NESTED      a sweeper keeps the parent's lock while it marks a child, and the root of a sweep its own while it
 *                   leaves the parent's list
 */
#define P 0
#define C 1
#define D 2
#define G 3
#define NIL 255
#ifndef TIMED
#define TIMED NIL
#endif
bit made[4], dead[4], lk[4], closed[4], swept[4], listed[4];  /* listed: in the parent's list, which may be a sweeper's */
byte refs[4], err[4], up[4];
bit armed; byte others;                            /* others: users of P that have to end before it is freed */
#define TOUCH(n)  assert(made[n] && !dead[n])

/* Drops one reference; the last one frees the record, and then its hold on the parent. */
inline drop(n) {
  x = n;
  do
  :: atomic { x != NIL -> TOUCH(x); assert(refs[x] > 0); refs[x]--;
       if
       :: refs[x] == 0 -> dead[x] = 1;
#ifdef BUG_NOPARENTREF
          x = NIL
#else
          x = up[x]
#endif
       :: else -> x = NIL
       fi;
       if :: x == NIL -> break :: else fi }
  od }

/* The first child in n's list and the one after n; the list is the sweeper's, so it stands still. */
#define FIRST(n)  (n == P -> (listed[C] -> C : (listed[D] -> D : NIL)) : (n == C -> (listed[G] -> G : NIL) : NIL))
#define NEXT(n)   (n == C && listed[D] -> D : NIL)
#define FREE(n)   (!lk[n])

/* Under n's lock: the error, unless there is one. Outside: the channel, the deadline. */
inline mark(n, e) {
#ifdef BUG_DONEFIRST
  atomic { TOUCH(n); if :: err[n] == 0 -> closed[n] = 1 :: else fi };
#endif
#ifdef BUG_NESTED
  if :: n != c0 -> atomic { FREE(up[n]) -> lk[up[n]] = 1 } :: else fi;
#endif
  atomic { FREE(n) -> TOUCH(n); mine = (err[n] == 0); if :: mine -> err[n] = e :: else fi;
#ifdef BUG_NESTED
    if :: n != c0 -> lk[up[n]] = 0 :: else fi
#endif
  } }
inline settle(n) {
  atomic { TOUCH(n); closed[n] = 1 };
  if
  :: n == TIMED ->
     atomic { t = armed; armed = 0 };              /* under the heap's lock */
#ifdef BUG_TIMERTWICE
     t = 1;
#endif
#ifndef BUG_NOTIMERREF
     if :: t -> drop(n) :: else fi;
#endif
     t = 0
  :: else
  fi }

/* Depth first, down along the lists, up along the parents. */
inline sweep(c, e) {
  atomic { n = c; c0 = c };
  do
  :: mark(n, e);
     if
     :: mine ->
#ifdef BUG_EARLYSWEPT
        atomic { TOUCH(n); swept[n] = 1 };
#endif
        settle(n);
        atomic { mine = 0; k = FIRST(n) }
     :: else ->
#ifndef BUG_NOWAIT
        atomic { swept[n] -> TOUCH(n) }
#endif
     fi;
     do
     :: k != NIL -> atomic { n = k; k = NIL; break }
     :: atomic { k == NIL -> TOUCH(n); swept[n] = 1;            /* no news to who found it so */
          if :: n == c -> n = NIL; break :: else fi };
#ifdef BUG_DROPFIRST
        drop(n);
        atomic { TOUCH(n); if :: NEXT(n) != NIL -> n = NEXT(n); break :: else -> n = up[n] fi }
#else
        atomic { TOUCH(n); u = n; if :: NEXT(n) != NIL -> n = NEXT(n); k = n :: else -> n = up[n] fi };
#ifndef BUG_NOLINKREF
        drop(u);
#endif
        atomic { u = NIL; if :: k != NIL -> k = NIL; break :: else fi }
#endif
     od;
     if :: n == NIL -> break :: else fi
  od; c0 = NIL }

inline leave(c) {
  if
  :: up[c] == NIL
  :: else ->
     atomic { FREE(up[c]) -> TOUCH(up[c]); TOUCH(c);
#ifdef BUG_LEAVEBLIND
       t = listed[c];
#else
       t = listed[c] && err[up[c]] == 0;
#endif
       if :: t -> listed[c] = 0 :: else fi };
#ifndef BUG_NOLINKREF
     if :: t -> drop(c) :: else fi;
#endif
     t = 0
  fi }
inline cancel(c, e) {
#ifdef BUG_LEAVEFIRST
  leave(c);
#endif
  sweep(c, e);
#ifdef BUG_NESTED
  atomic { FREE(c) -> lk[c] = 1 };
#endif
  leave(c);
#ifdef BUG_NESTED
  lk[c] = 0
#endif
  }
inline free_it(c) { cancel(c, 1); drop(c) }

/* What a cancel of P, and of C, promises when it returns. */
#define GONE(n)   (!made[n] || dead[n] || (err[n] != 0 && closed[n] && swept[n]))
#define PROMISED  assert(GONE(C) && GONE(D) && GONE(G))
#define LOCALS    bit mine, t; byte n = NIL, k = NIL, u = NIL, x = NIL, c0 = NIL

proctype Top() { LOCALS;
  cancel(P, 1);
  atomic { PROMISED; others == 0 -> skip };
  leave(P); drop(P) }                              /* free: cancelled already */
proctype Again() { LOCALS;
  cancel(P, 2);
  atomic { PROMISED; others-- } }
proctype OwnerC() { LOCALS;
  atomic { FREE(C) -> TOUCH(C); made[G] = 1; refs[G] = 1; up[G] = C;          /* makes G */
#ifndef BUG_NOPARENTREF
    refs[C]++;
#endif
    if
#ifndef BUG_LINKBLIND
    :: err[C] != 0 -> err[G] = err[C]; closed[G] = 1; swept[G] = 1
#endif
    :: else -> listed[G] = 1;
#ifndef BUG_NOLINKREF
       refs[G]++
#endif
    fi; run OwnerG() };
  if
  :: atomic { closed[C] -> assert(err[C] != 0) }
  :: cancel(C, 3); assert(GONE(G))
  :: skip
  fi;
  free_it(C) }
proctype OwnerG() { LOCALS; free_it(G) }
proctype OwnerD() { LOCALS; free_it(D) }
proctype Deadline() { LOCALS;
  if
  :: atomic { armed -> armed = 0 };                /* fires: the prepared task runs */
     cancel(TIMED, 4);
#ifndef BUG_NOTIMERREF
     drop(TIMED)
#endif
  :: !armed                                        /* taken back */
  fi }

init { atomic {
  made[P] = 1; refs[P] = 2; up[P] = NIL; made[C] = 1; refs[C] = 2; up[C] = P; listed[C] = 1; up[G] = NIL; up[D] = P;
#ifdef WITHD
  made[D] = 1; refs[D] = 2; listed[D] = 1; refs[P]++;
#endif
#ifdef BUG_NOLINKREF
  refs[C] = 1; if :: made[D] -> refs[D] = 1 :: else fi;
#endif
#ifdef BUG_NOPARENTREF
  refs[P] = 1;
#endif
  if
  :: TIMED != NIL -> armed = 1;
#ifndef BUG_NOTIMERREF
     refs[TIMED]++;
#endif
     run Deadline()
  :: else
  fi;
#ifdef AGAIN
  others = 1; run Again();
#endif
#ifdef WITHD
  run OwnerD();
#endif
  run Top(); run OwnerC() };
  timeout; assert(dead[P] && dead[C] && (dead[D] || !made[D]) && dead[G]) }
