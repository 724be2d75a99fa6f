/* select.pml - blocking select, one lock at a time, one claim word per wait.
 * Mirrors: chanrt__wait_take, _enqueue, _leave, _finish, _fire; chanrt__chan_offer_locked, _accept_locked, _close, _free,
 * _leave; chanrt__select_block. [claim]
 * A wait's claim is BUSY while its cases are being linked, in the order of the channels' addresses; the store of OPEN,
 * under the last channel's lock, comes with the last link; the cases of one channel are tried, then linked, under one lock. Who meets a BUSY peer does nothing, unlocks and tries again.
 * So nobody can learn that a select is decided while it may still have to touch a channel that it is not linked on.
 *   channel.selects (nsel): nodes linked or still to be visited by their owner; the winner's is taken off by the waker.
 * Properties: one case per wait; a value neither lost nor doubled; nobody stuck; no touch of a freed channel or a left frame.
 *   BUG_OPENEARLY  claim OPEN while linking (own OPEN->BUSY->DONE per case): a decided select locks a freed channel
 *   BUG_UNSORTED   cases linked in the order written: two selects wait for each other's BUSY
 *   BUG_UNGROUPED  the cases of one channel are linked one after the other: likewise
 *   BUG_ONELEFT    of two cases on one channel the second stays linked
 *   BUG_NOCLAIM    a waker takes a node without the claim word
 *   BUG_SKIPBUSY   a BUSY node is passed over
 *   BUG_NOUNLINK   losing nodes stay linked
 *   BUG_LATECLAIM  node unlinked under the lock, claimed after the unlock
 *   BUG_FREENOW    freed while selects > 0
 *   BUG_SELF       own node not passed over: matters only with UNGROUPED, since else none is there yet
 *   BUG_DROPCOUNT  a waker that drops a lost node takes it off selects too
 *   BUG_LATETIMER  the timer touches the wait after its lock is released
 * Every scene of init is searched, or only SCN; CAP0 and CAP1 the capacities, POLL adds phase 1, TWICE a second round.
 */
#ifndef CAP0
#define CAP0 0
#endif
#ifndef CAP1
#define CAP1 0
#endif
#ifndef NP
#define NP 3
#endif
#define NC 3
#define NN (2 * NP)
#define OPEN 0
#define BUSY 1
#define DONE 2
#define NO 0
#define YES 1
#define WAIT 2
#define RECV 0
#define SEND 1
#define EPIPE 254
#define NIL 255
#define TIMEOUT 9
#define CAP(c)  cap[c]

byte cap[NC]; bit lk[NC], closed[NC], dead[NC], zomb[NC]; byte cnt[NC], buf[NC], nsel[NC];
bit lnk[NN], dir[NN]; byte nch[NN], val[NN];                    /* nodes: 2 * task + case */
byte claim[NP], win[NP], got[NP]; bit sel[NP], rdy[NP], frame[NP], armed[NP], tl;
byte sent[NN + 1], rcvd[NN + 1], fin;                           /* ghosts: per value */

#define LOCK(c)    atomic { !lk[c] -> assert(!dead[c]); lk[c] = 1 }
#define UNLOCK(c)  atomic { assert(!dead[c] && lk[c]); lk[c] = 0 }
inline ready(t) { atomic { assert(frame[t] && !rdy[t]); rdy[t] = 1 } }

/* Under lock c: take a waiter of direction e. r: NO none, YES node n claimed and unlinked, WAIT node n is BUSY. */
inline find(c, e) {
  do
  :: i = 0; n = NIL; r = NO;
     do
#ifdef BUG_SELF
     :: i < NN && lnk[i] && nch[i] == c && dir[i] == e
#elif defined(BUG_SKIPBUSY)
     :: i < NN && lnk[i] && nch[i] == c && dir[i] == e && i / 2 != me && !(sel[i / 2] && claim[i / 2] == BUSY)
#else
     :: i < NN && lnk[i] && nch[i] == c && dir[i] == e && i / 2 != me
#endif
        -> n = i; if :: break :: i++ fi
     :: i < NN && !(lnk[i] && nch[i] == c && dir[i] == e) -> i++
#ifdef BUG_SKIPBUSY
     :: i < NN && lnk[i] && nch[i] == c && dir[i] == e && (i / 2 == me || (sel[i / 2] && claim[i / 2] == BUSY)) -> i++
#elif !defined(BUG_SELF)
     :: i < NN && lnk[i] && nch[i] == c && dir[i] == e && i / 2 == me -> i++
#endif
     :: i >= NN -> break
     od;
     if
     :: n == NIL -> break
     :: n != NIL && !sel[n / 2] -> lnk[n] = 0; r = YES; break
#ifdef BUG_NOCLAIM
     :: n != NIL && sel[n / 2] ->
#else
     :: n != NIL && sel[n / 2] && claim[n / 2] == BUSY -> r = WAIT; break
     :: n != NIL && sel[n / 2] && claim[n / 2] == DONE -> lnk[n] = 0;           /* its owner still comes by */
#ifdef BUG_DROPCOUNT
        nsel[c]--
#endif
     :: n != NIL && sel[n / 2] && claim[n / 2] == OPEN ->
#endif
#ifndef BUG_LATECLAIM
        claim[n / 2] = DONE; win[n / 2] = n % 2;
#endif
        lnk[n] = 0; nsel[c]--; r = YES; break
     fi
  od; i = 0 }

/* Under lock c: do the operation if it is ready. r as above; x: the value received or EPIPE; w: whom to wake. */
inline attempt(c, d, v) { atomic {
  w = NIL; x = 0;
  if
  :: d == SEND && closed[c] -> r = YES; x = EPIPE
  :: else ->
     if :: d == SEND && cnt[c] > 0 -> r = NO; n = NIL :: else -> find(c, 1 - d) fi;
     if
     :: r == WAIT
     :: r == YES -> w = n / 2;
        if :: d == RECV && cnt[c] > 0 -> x = buf[c]; buf[c] = val[n]
           :: d == RECV && cnt[c] == 0 -> x = val[n]
           :: d == SEND
        fi
     :: r == NO && d == SEND && cnt[c] < CAP(c) -> buf[c] = v; cnt[c]++; r = YES
     :: r == NO && d == RECV && cnt[c] > 0 -> x = buf[c]; buf[c] = 0; cnt[c]--; r = YES
     :: r == NO && d == RECV && cnt[c] == 0 && closed[c] -> r = YES; x = EPIPE
     :: else
     fi
  fi } }
inline hand(d, v) {                     /* after the unlock: copy, then ready */
  if
  :: w != NIL ->
#ifdef BUG_LATECLAIM
     if :: sel[w] -> atomic { assert(frame[w] && claim[w] == OPEN); claim[w] = DONE; win[w] = n % 2 } :: else fi;
#endif
     if :: d == SEND -> atomic { assert(frame[w]); got[w] = v } :: else fi;
     ready(w)
  :: else
  fi }
inline account(d, v) {                  /* the operation (d, v) ended with x */
  atomic { if
  :: x == EPIPE
  :: x != EPIPE && d == SEND -> sent[v]++
  :: x != EPIPE && d == RECV -> assert(x > 0); rcvd[x]++
  fi; x = 0; w = NIL; n = NIL; r = NO } }
inline link(c, d, v, k) { atomic { lnk[2 * me + k] = 1; nch[2 * me + k] = c; dir[2 * me + k] = d; val[2 * me + k] = v } }
#define BACKOFF  (claim[n / 2] != BUSY || !lnk[n])

inline plain(c, d) {
  skip;
again:
  LOCK(c); attempt(c, d, 2 * me + 1);
  if
  :: r == YES -> UNLOCK(c); hand(d, 2 * me + 1)
  :: r == WAIT -> UNLOCK(c); BACKOFF; goto again
  :: r == NO -> atomic { frame[me] = 1; sel[me] = 0; got[me] = 0 }; link(c, d, 2 * me + 1, 0); UNLOCK(c);
     atomic { rdy[me]; rdy[me] = 0; frame[me] = 0; x = got[me]; if :: d == RECV && x == 0 -> x = val[2 * me] :: else fi }
  fi;
  account(d, 2 * me + 1) }

#define C(k)  ch[k]
#define D(k)  di[k]
#define V(k)  (2 * me + k + 1)
inline leave(k) {                       /* after the wake: every linked case but the winner's */
  if
  :: on[k] && win[me] != k ->
     LOCK(C(k));
#ifdef BUG_ONELEFT
     if :: k == 1 && C(0) == C(1) :: else -> lnk[2 * me + k] = 0 fi;
#elif !defined(BUG_NOUNLINK)
     lnk[2 * me + k] = 0;
#endif
     atomic { nsel[C(k)]--; z = zomb[C(k)] && nsel[C(k)] == 0 }; UNLOCK(C(k));
     if :: z -> atomic { assert(!dead[C(k)]); dead[C(k)] = 1 } :: else fi; z = 0
  :: else
  fi }

proctype Select(byte me, c0; bit d0; byte c1; bit d1, timed; byte rounds) {
  byte j, k, r, w = NIL, x, n = NIL, i, ch[2]; bit di[2], on[2], z;
  atomic { ch[0] = c0; ch[1] = c1; di[0] = d0; di[1] = d1 };
  do
  :: rounds > 0 ->
#ifdef POLL
     if :: k = 0 :: k = 1 :: goto enqueue fi;                   /* phase 1: a case that looked ready */
     LOCK(C(k)); attempt(C(k), D(k), V(k));
     UNLOCK(C(k));
     if :: r == YES -> hand(D(k), V(k)); goto chosen :: else fi;
enqueue:
#endif
     atomic { frame[me] = 1; sel[me] = 1; win[me] = NIL; got[me] = 0; j = 0;
#ifdef BUG_OPENEARLY
       claim[me] = OPEN
#else
       claim[me] = BUSY
#endif
     };
next:
     atomic {
#ifdef BUG_UNSORTED
       k = j
#else
       k = (c0 <= c1 -> j : 1 - j)
#endif
     };
     LOCK(C(k));
#ifdef BUG_OPENEARLY
     atomic { if :: claim[me] == OPEN -> claim[me] = BUSY; r = YES :: else -> r = NO fi };
     if :: r == NO -> UNLOCK(C(k)); goto park :: else fi;
#endif
     attempt(C(k), D(k), V(k));
#ifndef BUG_UNGROUPED
     if
     :: r == NO && j == 0 && c0 == c1 ->
        k = 1; attempt(C(k), D(k), V(k));
        if
        :: r == NO -> atomic { link(C(0), D(0), V(0), 0); link(C(1), D(1), V(1), 1); on[0] = 1; on[1] = 1; nsel[C(0)] = nsel[C(0)] + 2 };
           claim[me] = OPEN; UNLOCK(C(k)); goto linked
        :: else
        fi
     :: else
     fi;
#endif
     if
     :: r == YES -> claim[me] = DONE; win[me] = k; UNLOCK(C(k)); hand(D(k), V(k)); goto out
     :: r == WAIT ->
#ifdef BUG_OPENEARLY
        claim[me] = OPEN; UNLOCK(C(k)); (BACKOFF || claim[me] == DONE)
#else
        UNLOCK(C(k)); BACKOFF
#endif
        ; goto next
     :: r == NO -> atomic { link(C(k), D(k), V(k), k); on[k] = 1; nsel[C(k)]++ };
#ifndef BUG_OPENEARLY
        if :: j == 1 -> claim[me] = OPEN :: else fi;
#else
        claim[me] = OPEN;
#endif
        UNLOCK(C(k));
        if :: j == 0 -> j = 1; goto next :: else fi
     fi;
linked:
     if :: timed -> armed[me] = 1 :: else fi;
park:
     atomic { rdy[me]; rdy[me] = 0; k = win[me]; assert(claim[me] == DONE);
       if :: k < 2 -> x = got[me]; if :: D(k) == RECV && x == 0 -> x = val[2 * me + k] :: else fi :: else fi };
out:
     leave(0); leave(1);
     if :: timed -> atomic { !tl -> armed[me] = 0 } :: else fi;
     atomic { frame[me] = 0; on[0] = 0; on[1] = 0; assert(!lnk[2 * me] && !lnk[2 * me + 1]) };
     if :: k == TIMEOUT -> goto ended :: else fi;
chosen:
     account(D(k), V(k));
ended:
     atomic { rounds--; k = 0; j = 0 }
  :: else -> break
  od;
  fin++ }

active proctype Timer() { byte t = NIL;
end:
  if :: atomic { !tl && armed[0] -> tl = 1; t = 0 } :: atomic { !tl && armed[1] -> tl = 1; t = 1 }
#if NP > 2
        :: atomic { !tl && armed[2] -> tl = 1; t = 2 }
#endif
  fi;
     atomic { armed[t] = 0;
#ifdef BUG_LATETIMER
       tl = 0 };
     atomic { assert(frame[t]);
#endif
       if :: claim[t] == OPEN -> claim[t] = DONE; win[t] = TIMEOUT :: else -> assert(claim[t] == DONE); t = NIL fi };
     tl = 0;
     if :: t != NIL -> ready(t); t = NIL :: else fi;
     goto end }

inline close(c, last) {                 /* last: chan_free of the last reference */
  LOCK(c); closed[c] = 1; w = 0;
  do
  :: atomic { find(c, RECV); if :: r == NO -> find(c, SEND) :: else fi };
     if
     :: r == YES -> atomic { got[n / 2] = EPIPE; batch = batch | (1 << (n / 2)) }
     :: r == WAIT -> UNLOCK(c); BACKOFF; LOCK(c)
     :: r == NO -> break
     fi
  od;
  UNLOCK(c);
  do :: batch -> atomic { i = 0; do :: !(batch & (1 << i)) -> i++ :: else -> break od; batch = batch & ~(1 << i) }; ready(i); i = 0
     :: else -> break
  od;
  if
  :: last -> LOCK(c); zomb[c] = 1;
#ifdef BUG_FREENOW
     z = 1;
#else
     z = nsel[c] == 0;
#endif
     UNLOCK(c); if :: z -> atomic { assert(!dead[c]); dead[c] = 1 } :: else fi; z = 0
  :: else
  fi; n = NIL; w = NIL }

proctype Plain(byte me, c; bit d; byte rounds) { byte r, w = NIL, x, n = NIL, i;
  do :: rounds > 0 -> plain(c, d); rounds-- :: else -> break od; fin++ }
proctype SendClose(byte me, c, a, b; bit last) { byte r, w = NIL, x, n = NIL, i, batch; bit z;
  plain(c, SEND); close(a, last); close(b, last); fin++ }
proctype Close(byte me, a, b) { byte r, w = NIL, n = NIL, i, batch; bit z;
  close(a, 0); close(b, 0); fin++ }
proctype FreeLinked(byte me, a, b) { byte r, w = NIL, n = NIL, i, batch; bit z;      /* the select is known to be blocked */
  nsel[a] > 0 && nsel[b] > 0; close(a, 1); close(b, 1); fin++ }
proctype FreeAfter(byte me, a, b; byte until) { byte r, w = NIL, n = NIL, i, batch; bit z;
  fin >= until; close(a, 1); close(b, 1); fin++ }

#ifdef TWICE
#define R 2
#else
#define R 1
#endif
init { byte i, live, b, scn;
  atomic { cap[0] = CAP0; cap[1] = CAP1;
#ifdef SCN
    scn = SCN;
#else
    if :: scn = 1 :: scn = 2 :: scn = 3 :: scn = 6 :: scn = 7 :: scn = 8 :: scn = 10 :: scn = 12 :: scn = 13
#if CAP0 == 0 && CAP1 == 0               /* a send into a buffer proves nothing: only rendezvous may free at once */
       :: scn = 4 :: scn = 5 :: scn = 9 :: scn = 11
#endif
    fi;
#endif
    if
    /* one select, a plain sender on each channel */
    :: scn == 1 -> run Select(0, 0, RECV, 1, RECV, 0, 2); run Plain(1, 0, SEND, 1); run Plain(2, 1, SEND, 1); live = 3
    /* two selects, opposite orders, both directions */
    :: scn == 2 -> run Select(0, 0, SEND, 1, RECV, 0, R); run Select(1, 1, SEND, 0, RECV, 0, R); live = 2
    /* both directions of one channel: never with itself */
    :: scn == 3 -> run Select(0, 0, SEND, 0, RECV, 0, R); run Select(1, 0, RECV, 0, SEND, 0, R); live = 2
    /* the peer frees both channels the moment its send returns */
    :: scn == 4 -> run Select(0, 0, RECV, 1, RECV, 0, 1); run SendClose(1, 0, 1, 0, 1); live = 2
    /* the same channel twice, freed likewise; a second select beside it */
    :: scn == 5 -> run Select(0, 0, RECV, 0, RECV, 0, 1); run SendClose(1, 0, 0, 1, 1); live = 2
    /* timed selects against each other */
    :: scn == 6 -> run Select(0, 0, RECV, 1, SEND, 1, R); run Select(1, 1, RECV, 0, SEND, 1, R); live = 2
    /* a ring of three timed selects over three channels */
    :: scn == 7 -> run Select(0, 0, SEND, 1, RECV, 1, 1); run Select(1, 1, SEND, 2, RECV, 1, 1); run Select(2, 2, SEND, 0, RECV, 1, 1); live = 3
    /* a closer against a select and a plain waiter */
    :: scn == 8 -> run Select(0, 0, RECV, 1, SEND, 0, 1); run Plain(1, 1, RECV, 1); run Close(2, 0, 1); live = 3
    /* two selects meet, both channels are freed under the loser nodes */
    :: scn == 9 -> run Select(0, 0, RECV, 1, RECV, 0, 1); run Select(1, 1, SEND, 0, SEND, 0, 1); run FreeAfter(2, 1, 0, 1); live = 3
    /* one value, a timed select and a plain receiver; the close ends what is left */
    :: scn == 10 -> run Select(0, 0, RECV, 1, RECV, 1, 1); run Plain(1, 0, RECV, 1); run SendClose(2, 0, 0, 1, 0); live = 3
    /* both channels freed under a blocked select */
    :: scn == 11 -> run Select(0, 0, RECV, 1, SEND, 0, 1); run FreeLinked(1, 0, 1); live = 2
    /* both select on one channel only, in both directions, in the same order */
    :: scn == 12 -> run Select(0, 0, SEND, 0, RECV, 0, R); run Select(1, 0, SEND, 0, RECV, 0, R); live = 2
    /* both name one channel twice: which of its two cases each used is its own affair */
    :: scn == 13 -> run Select(0, 0, RECV, 0, RECV, 0, R); run Select(1, 0, SEND, 0, SEND, 0, R); live = 2
    fi
  };
  fin == live;
  atomic { do :: i < NN -> i++; b = (cnt[0] > 0 && buf[0] == i -> 1 : 0) + (cnt[1] > 0 && buf[1] == i -> 1 : 0);
                assert(sent[i] == rcvd[i] + b) :: else -> break od } }
