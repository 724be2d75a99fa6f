/* waiter_free.pml - the waiter frees the channel or wait group the moment it returns, and its frame goes with it (M1).
 * Mirrors: chanrt__chan_send, _recv, _block, _sent, _received, _close; chanrt__wait_take; chanrt_wg_add, _wait_timeout;
 * chanrt__wait_finish, _leave, _block_thread; chanrt__sched_ready, _thread_block, _thread_unblock.
 * Waker: lock; take the node; unlock, its last touch of the object; read the next node; copy; chosen, err; owner; ready, its
 * last touch of the frame. Scenes: 1 a send, 2 a receive, 3 a receive from a full ring, 4 a close of two waiters, 5 a wait
 * group of two waiters and two adders, 6 the same with a deadline on the first, 7 a send into the ring.
 * Property: no touch of a freed object or of a left frame; every waiter returns, the value has arrived; freed once.
 *   BUG_UNLOCKLATE the unlock comes after the ready
 *   BUG_TOUCHLATE  a sender that put its value into the ring touches the channel after the unlock
 *   BUG_COPYLATE   the value is copied after the ready
 *   BUG_NEXTLATE   the next node is read after the ready
 *   BUG_OWNERLATE  the result is stored after the ready
 *   BUG_PLAINTAKE  a waiter with a deadline is taken without its claim word
 *   BUG_NONOTICE   a waiter whose claim was lost at the deadline does not wait for its notice
 *   BUG_NOLEAVE    a waiter that timed out does not take its node off the queue
 *   BUG_PEEK       the waiter looks at the count without the lock and returns
 */
#define NIL 255
#define OPEN 0
#define DONE 1
bit lk, dead; byte count;                                   /* the object */
bit frame[2], linked[2], shared[2], value[2]; byte claim[2], err[2];      /* the two waiters: 0, 1 */
bit note[2];                                                /* the notice of their owners, which live on */
byte back, frees; bit ring;

#define ALIVE      assert(!dead)
#define LOCK       atomic { !lk -> ALIVE; lk = 1 }
#define UNLOCK     atomic { ALIVE; assert(lk); lk = 0 }
#define FRAME(w)   assert(frame[w])
inline free_it() { atomic { ALIVE; dead = 1; frees++ } }

/* Under the lock: the waiters that can still be woken, at most `most`, into list. */
inline detach(most) { atomic {
  n = 0; k = 0;
  do
  :: n < 2 && k < most && linked[n] -> FRAME(n); linked[n] = 0;
#ifndef BUG_PLAINTAKE
     if :: shared[n] && claim[n] == DONE :: else -> claim[n] = DONE; list[n] = 1; k++ fi;
#else
     claim[n] = DONE; list[n] = 1; k++;
#endif
     n++
  :: n < 2 && !(k < most && linked[n]) -> n++
  :: n == 2 -> break
  od; n = 0; k = 0 } }
inline ready(w) { atomic { assert(!note[w]); note[w] = 1 } }
inline finish(w, copies, e) {
#ifndef BUG_COPYLATE
  if :: copies -> atomic { FRAME(w); value[w] = 1 } :: else fi;
#endif
#ifndef BUG_OWNERLATE
  atomic { FRAME(w); err[w] = e };
#endif
  FRAME(w);                                                 /* the owner */
  ready(w);
#ifdef BUG_COPYLATE
  if :: copies -> atomic { FRAME(w); value[w] = 1 } :: else fi;
#endif
#ifdef BUG_OWNERLATE
  atomic { FRAME(w); err[w] = e };
#endif
  skip }
inline finish_all(e) {
  do
  :: atomic { list[0] || list[1] -> n = (list[0] -> 0 : 1); list[n] = 0 };
#ifndef BUG_NEXTLATE
     FRAME(n);
#endif
     finish(n, 0, e);
#ifdef BUG_NEXTLATE
     FRAME(n);
#endif
     n = 0
  :: else -> break
  od }

/* One operation that finds a waiter, or nothing to do yet. */
proctype Peer(bit buffered) { byte n, k; bit list[2], copies;
again:
  LOCK; detach(1); copies = 1;
  if :: buffered && list[0] -> atomic { FRAME(0); ring = value[0]; copies = 0 } :: else fi;
#ifndef BUG_UNLOCKLATE
  UNLOCK;
#endif
  if
  :: list[0] ->
     finish(0, copies, 0)
#ifdef BUG_UNLOCKLATE
     ; UNLOCK
#endif
  :: else ->
#ifdef BUG_UNLOCKLATE
     UNLOCK;
#endif
     linked[0]; goto again
  fi }
proctype Put() { LOCK; count = 1; UNLOCK;                   /* into the ring: nobody waits */
#ifdef BUG_TOUCHLATE
  ALIVE;
#endif
  skip }
proctype Get() {                        /* out of it, again and again; then frees the channel */
  do :: LOCK; if :: count > 0 -> count--; UNLOCK; break :: else -> UNLOCK; count > 0 fi od;
  free_it() }
proctype Closer() { byte n, k; bit list[2];
  linked[0] && linked[1];
  LOCK; detach(2); UNLOCK; finish_all(1) }
proctype Adder() { byte n, k; bit list[2];
  LOCK; count--;
  if :: count == 0 -> detach(2) :: else fi;
#ifdef BUG_UNLOCKLATE
  finish_all(0); UNLOCK
#else
  UNLOCK; finish_all(0)
#endif
  }
/* Waits for the notice; the frame is gone after it. */
proctype Waiter(byte me; bit timed, frees_it, isvalue) {
  LOCK;
  atomic { frame[me] = 1; shared[me] = timed; claim[me] = OPEN; value[me] = 0; err[me] = 9; linked[me] = 1 };
  UNLOCK;
  note[me];
  atomic { note[me] = 0; assert(err[me] != 9); if :: isvalue -> assert(value[me]) :: else fi; frame[me] = 0; back++ };
  if :: frees_it -> free_it() :: else fi }
proctype Group(byte me; bit timed) {
again:
#ifdef BUG_PEEK
  if :: count == 0 -> goto out :: else fi;
#endif
  LOCK;
  if :: count == 0 -> UNLOCK; goto out :: else fi;
  atomic { frame[me] = 1; shared[me] = timed; claim[me] = OPEN; linked[me] = 1; err[me] = 9 };
  UNLOCK;
  if
  :: note[me] -> note[me] = 0
  :: timed -> atomic { if :: claim[me] == OPEN -> claim[me] = DONE; timed = 0 :: else fi };
     if
     :: timed ->                        /* claimed just now: the notice comes */
#ifndef BUG_NONOTICE
        note[me]; note[me] = 0
#endif
     :: else -> LOCK;
#ifndef BUG_NOLEAVE
        linked[me] = 0;
#endif
        UNLOCK; frame[me] = 0; goto again                    /* now without a deadline */
     fi
  fi;
  atomic { assert(err[me] == 0); frame[me] = 0 };
out:
  atomic { back++; if :: back == 2 -> free_it() :: else fi } }

init { byte scn;
  atomic {
#ifdef SCN
    scn = SCN;
#else
    if :: scn = 1 :: scn = 2 :: scn = 3 :: scn = 4 :: scn = 5 :: scn = 6 :: scn = 7 fi;
#endif
    if
    :: scn == 1 || scn == 2 -> run Waiter(0, 0, 1, 1); run Peer(0)
    :: scn == 3 -> run Waiter(0, 0, 1, 0); run Peer(1)
    :: scn == 4 -> run Waiter(0, 0, 1, 0); run Waiter(1, 0, 0, 0); run Closer()
    :: scn == 5 -> count = 2; run Group(0, 0); run Group(1, 0); run Adder(); run Adder()
    :: scn == 6 -> count = 2; run Group(0, 1); run Group(1, 0); run Adder(); run Adder()
    :: scn == 7 -> run Put(); run Get()
    fi };
  timeout; assert(frees == 1 && !lk) }
