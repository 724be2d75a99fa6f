/* channel.pml - a channel of capacity 0 to 2: the ring, the two queues, the close, and looks without the lock.
 * Mirrors: chanrt__chan_send, _recv, _send_unlock, _recv_unlock, _offer_locked, _accept_locked, _rotate, _put, _pull,
 * _block, _close, _may_send, _may_recv; chanrt__wait_take, _take_all, _finish. [peek]
 * What only the lock protects is merged into one step; what is also read without it (count, the heads of the queues,
 * closed) changes in a step of its own. The switch that publishes a waiter is its unlock here (park.pml has the rest).
 * Properties: values leave in the order in which they came, those of blocked senders included; blocked receivers are
 * served in theirs; none lost or doubled; laws C1 to C5 at every unlock; who closes ends every wait, senders keep their
 * value, the ring stays to be drained; a try fails only if at one instant it had to; nobody stuck.
 *   BUG_LIFO        a waiter is put at the head of its queue
 *   BUG_BARGE       a receive takes a blocked sender's value before the older ones in the ring
 *   BUG_TAIL        the ring's tail stays where it was when a blocked sender moves up
 *   BUG_NOMOVE      a receive from a full ring lets no blocked sender in
 *   BUG_DIP         while a blocked sender moves up the count is one less
 *   BUG_NODRAIN     a receive looks at `closed` before the ring
 *   BUG_CLOSEDFIRST the look of a try reads `closed` before the count
 *   BUG_QUICK       a closed channel keeps its short way, which does not look whether it is
 *   BUG_LATECLOSED  closed is stored after the unlock
 *   BUG_CLOSEONE    a close takes the first receiver only
 *   BUG_NOSENDERS   a close does not take the senders
 *   BUG_KEPT        a sender that a close has woken is told success
 * Every scene of init is searched, or only SCN.
 */
#ifndef CAP
#define CAP 1
#endif
#if CAP == 0
#define SLOTS 1
#else
#define SLOTS CAP
#endif
#define NP 4
#define NV 5                                                     /* values 1 to 4 */
#define OK 0
#define EPIPE 14
#define EAGAIN 15
#define NIL 9

bit lk, closed, quick = 1; byte count, head, tail, ring[SLOTS];
byte sq[NP], sn, rq[NP], rn;                                     /* who waits, first come first */
byte val[NP], err[NP]; bit rdy[NP];                              /* the waits: value, result, notice */
bit dry = 1, brim = (CAP == 0), wasdry[NP], wasbrim[NP];     /* ghosts: as of now; since a try began */
byte order[NV], nin, nout, rin[NP], rnin, rnout, sent[NV], rcvd[NV], fin; bit gone[NV];

#define LOCK    atomic { !lk -> lk = 1 }
inline note_state() {
  dry = count == 0 && sn == 0 && !closed; brim = count == CAP && rn == 0 && !closed;
  q = 0; do :: q < NP -> wasdry[q] = wasdry[q] || dry; wasbrim[q] = wasbrim[q] || brim; q++ :: else -> break od; q = 0 }
inline unlock() { atomic {
  assert(count <= CAP);                                          /* C1 */
  assert(count == 0 || rn == 0);                                 /* C2 */
  assert(count == CAP || sn == 0);                               /* C3 */
  assert(rn == 0 || sn == 0);                                    /* C4 */
  assert(!closed || (rn == 0 && sn == 0));                       /* C5 */
  note_state(); lk = 0 } }
#ifdef BUG_LIFO
#define PUSH(queue, size) q = size; do :: q > 0 -> queue[q] = queue[q - 1]; q-- :: else -> break od; queue[0] = me; size++
#else
#define PUSH(queue, size) queue[size] = me; size++
#endif
#define SHIFT(queue, size) n = queue[0]; size--; q = 0; \
  do :: q < size -> queue[q] = queue[q + 1]; q++ :: else -> break od; queue[size] = 0; q = 0
inline comes(v) { order[v] = nin; nin++ }
inline leaves(v) { assert(v > 0 && !gone[v] && order[v] == nout); nout++; rcvd[v]++ }
inline served(p) { assert(rin[p] == rnout); rnout++ }
inline finish(p, e) { atomic { assert(!rdy[p]); err[p] = e; rdy[p] = 1 } }
inline wait_here() { atomic { rdy[me]; rdy[me] = 0; r = err[me] } }

/* One attempt to send v under the lock, which it drops: r is OK, EPIPE, or EAGAIN when it may not block. */
inline send(v, blocks) {
  n = NIL;
  if
  :: closed && !quick -> unlock(); r = EPIPE
  :: !(closed && !quick) && rn > 0 -> atomic { SHIFT(rq, rn); served(n); comes(v); leaves(v); note_state() }; unlock();
     val[n] = v; finish(n, OK); r = OK
  :: !(closed && !quick) && rn == 0 && count < CAP -> atomic { ring[tail] = v; tail = (tail + 1) % SLOTS; comes(v) };
     atomic { count++; note_state() }; unlock(); r = OK
  :: !(closed && !quick) && rn == 0 && count == CAP && !blocks -> unlock(); r = EAGAIN
  :: !(closed && !quick) && rn == 0 && count == CAP && blocks -> atomic { val[me] = v; comes(v); PUSH(sq, sn) }; unlock();
     wait_here()
  fi;
  atomic { if :: r == OK -> sent[v]++ :: else fi; n = NIL } }

/* One attempt to receive: x is the value when r is OK. */
inline receive(blocks) {
  n = NIL;
  if
#ifdef BUG_NODRAIN
  :: closed -> unlock(); r = EPIPE
  :: !closed && sn > 0 ->
#else
  :: sn > 0 ->
#endif
#ifdef BUG_NOMOVE
     if :: count > 0 -> goto pull :: else fi;
#endif
     atomic { SHIFT(sq, sn); note_state() };
     if
#ifdef BUG_BARGE
     :: true -> atomic { x = val[n]; leaves(x) }
#else
     :: count > 0 ->
#ifdef BUG_DIP
        count--;
#endif
        atomic { x = ring[head]; leaves(x); ring[head] = val[n]; head = (head + 1) % SLOTS;
#ifndef BUG_TAIL
          tail = head
#endif
        };
#ifdef BUG_DIP
        count++
#endif
     :: count == 0 -> atomic { x = val[n]; leaves(x) }
#endif
     fi;
     unlock(); finish(n, OK); r = OK
#ifdef BUG_NODRAIN
  :: !closed && sn == 0 && count > 0 ->
#else
  :: sn == 0 && count > 0 ->
#endif
pull:
     atomic { x = ring[head]; leaves(x); ring[head] = 0; head = (head + 1) % SLOTS };
     atomic { count--; note_state() }; unlock(); r = OK
  :: sn == 0 && count == 0 && closed -> unlock(); r = EPIPE
  :: sn == 0 && count == 0 && !closed && !blocks -> unlock(); r = EAGAIN
  :: sn == 0 && count == 0 && !closed && blocks -> atomic { val[me] = 0; rin[me] = rnin; rnin++; PUSH(rq, rn) }; unlock();
     wait_here(); x = val[me]
  fi;
  n = NIL }

inline close() {
  LOCK;
#ifndef BUG_LATECLOSED
  closed = 1;
#endif
#ifndef BUG_QUICK
  quick = 0;
#endif
  do                                                             /* in their order, receivers first */
  :: rn > 0 -> atomic { SHIFT(rq, rn); served(n); batch = batch | (1 << n) };
#ifdef BUG_CLOSEONE
     break
#endif
#ifndef BUG_NOSENDERS
  :: rn == 0 && sn > 0 -> atomic { SHIFT(sq, sn); gone[val[n]] = 1; batch = batch | (1 << n) }
#endif
#ifdef BUG_NOSENDERS
  :: rn == 0 -> break
#else
  :: rn == 0 && sn == 0 -> break
#endif
  od;
  unlock();
#ifdef BUG_LATECLOSED
  closed = 1;
#endif
  do
  :: batch ->
     atomic { n = 0; do :: !(batch & (1 << n)) -> n++ :: else -> break od; batch = batch & ~(1 << n) };
#ifdef BUG_KEPT
     finish(n, (gone[val[n]] && val[n] > 0 -> OK : EPIPE))
#else
     finish(n, EPIPE)
#endif
  :: else -> break
  od; n = NIL }

proctype Sender(byte me, first, last; bit closes) { byte n = NIL, r, q, v, batch; v = first;
  do :: v <= last -> LOCK; send(v, 1); v++ :: else -> break od;
  if :: closes -> close() :: else fi; fin++ }
proctype Receiver(byte me, times) { byte n = NIL, r, q, x;
  do :: times > 0 -> LOCK; receive(1); times-- :: else -> break od; fin++ }
proctype Drain(byte me) { byte n = NIL, r, q, x;
  do :: LOCK; receive(1); if :: r == EPIPE -> break :: else fi od;
  atomic { assert(closed && count == 0); fin++ } }
proctype Closer(byte me) { byte n = NIL, q, batch; close(); fin++ }

/* The looks without the lock: one read each, in this order. */
proctype TryReceiver(byte me) { byte n = NIL, r = EAGAIN, q, x;
  atomic { wasdry[me] = dry };
#ifdef BUG_CLOSEDFIRST
  if :: closed -> goto may :: else fi;
  if :: sn > 0 -> goto may :: else fi;
  if :: count > 0 -> goto may :: else -> goto out fi;
#else
  if :: count > 0 -> goto may :: else fi;
  if :: sn > 0 -> goto may :: else fi;
  if :: closed -> goto may :: else -> goto out fi;
#endif
may:
  LOCK; receive(0);
out:
  atomic { assert(r != EAGAIN || wasdry[me]); fin++ } }
proctype TrySender(byte me, v) { byte n = NIL, r = EAGAIN, q;
  atomic { wasbrim[me] = brim };
  if :: count != CAP -> goto may :: else fi;
  if :: rn > 0 -> goto may :: else fi;
  if :: closed -> goto may :: else -> goto out fi;
may:
  LOCK; send(v, 0);
out:
  atomic { assert(r != EAGAIN || wasbrim[me]); fin++ } }

init { byte live = 4, i, left, scn;
  atomic {
#ifdef SCN
    scn = SCN;
#else
    if :: scn = 1 :: scn = 2 :: scn = 3 :: scn = 4 :: scn = 5 :: scn = 6 fi;
#endif
    if
    /* two that send, one that receives */
    :: scn == 1 -> run Sender(0, 1, 3, 0); run Sender(1, 4, 4, 0); run Receiver(2, 4); live = 3
    /* the same, closed at any time */
    :: scn == 2 -> run Sender(0, 1, 2, 0); run Sender(1, 3, 3, 0); run Drain(2); run Closer(3)
    /* two that receive until it is closed */
    :: scn == 3 -> run Drain(0); run Drain(1); run Sender(2, 1, 3, 1); live = 3
    /* a try beside a receive, blocked senders, a close */
    :: scn == 4 -> run Sender(0, 1, 3, 0); run Receiver(1, 2); run TryReceiver(2); run Closer(3)
    /* a try to send */
    :: scn == 5 -> run Sender(0, 1, 2, 0); run Receiver(1, 1); run TrySender(2, 3); run Closer(3)
    /* two receives wait, and are served in their order */
    :: scn == 6 -> run Receiver(0, 1); run Receiver(1, 1); run Sender(2, 1, 2, 0); live = 3
    fi
  };
  fin == live;
  atomic {
    i = 1; do
    :: i < NV -> assert(rcvd[i] <= 1 && !(gone[i] && sent[i] > 0));
       left = 0;
       head = head % SLOTS;
       if :: count > 0 && ring[head] == i -> left = 1 :: else fi;
       if :: count > 1 && ring[(head + 1) % SLOTS] == i -> left = 1 :: else fi;
       assert(sent[i] == rcvd[i] + left); i++
    :: else -> break
    od } }
