/* cond.pml - conditions: a signal wakes one who waited before it, and is not lost to one whose time is up.
 * Mirrors: chanrt_sync_cond_wait_timeout, _signal, _broadcast; chanrt__wait_begin, _enqueue, _open, _block, _fire, _leave,
 * chanrt__wait_take. The mutex is one bit here: model/mutex.pml is about that.
 * Consumers wait until there is an item and take it. Those below NTIMED may give up, at any moment in which they wait; if such
 * a one gets an item it puts it back and signals. Producers make an item and signal, one of them after it has unlocked.
 * The waiter: mutex held; queue its node under the lot's lock, the claim word OPEN; unlock the mutex; park (it may be woken
 * before: model/park.pml); lock the mutex again, whatever it returns. (A task whose time is never up needs no claim word.)
 * Property: as many items as patient consumers: all of them return; nobody wakes without a signal or a timeout; nobody takes a
 * signal that was given before he came; two never in the mutex; a waiter's frame is not touched after it has been left.
 *   BUG_UNLOCKFIRST the mutex is unlocked before the node is queued
 *   BUG_NOCLAIM     a signal takes the first node, its time up or not
 *   BUG_COUNTER     a signal is counted, and whoever comes first takes it
 *   BUG_NOLEAVE     a waiter whose time is up leaves its node in the queue
 *   BUG_LATECLAIM   the node is taken first, and claimed after the lot's lock is dropped
 *   BUG_NORELOCK    after a timeout the mutex is not locked again
 *   BUG_BOTH        a signal and the timer both wake the waiter
 */
#ifndef NC
#define NC 3
#endif
#ifndef NTIMED
#define NTIMED 1
#endif
#define NP 2
#define NIL 15
#define OPEN 0
#define DONE 1
bit m, lk; byte items, inside;
byte q[NC], n; byte claim[NC]; bit frame[NC], note[NC], wants[NC];
byte ticket[NC], tickets, upto; byte tokens;
#define LOCK   atomic { !lk -> lk = 1 }
#define UNLOCK lk = 0
inline lock_m() { atomic { !m -> m = 1; inside++; assert(inside == 1) } }
inline unlock_m() { atomic { assert(inside == 1); inside--; m = 0 } }
inline remove(k) { d_step { i = k; do :: i + 1 < n -> q[i] = q[i + 1]; i++ :: else -> break od; n--; q[n] = NIL; i = 0 } }
inline ready(w) { atomic { assert(!note[w]); note[w] = 1 } }
/* Mirrors chanrt__wait_take under the lot's lock, then finish after it. */
inline signal() {
  LOCK; atomic { who = NIL; upto = tickets;
#ifdef BUG_COUNTER
    if :: n > 0 -> tokens++ :: else fi
#else
    do :: who == NIL && n > 0 -> j = q[0]; assert(frame[j]); remove(0);
#ifdef BUG_NOCLAIM
          who = j
#elif defined BUG_LATECLAIM
          if :: claim[j] == OPEN -> who = j :: else fi
#elif defined BUG_BOTH
          if :: claim[j] == OPEN -> who = j :: else fi
#else
          if :: claim[j] == OPEN -> claim[j] = DONE; who = j :: else fi
#endif
       :: else -> break
    od; j = 0
#endif
    }; UNLOCK;
#ifdef BUG_LATECLAIM
  if :: who != NIL -> atomic { if :: claim[who] == OPEN -> claim[who] = DONE :: else -> who = NIL fi } :: else fi;
#endif
  if :: who != NIL -> assert(frame[who]); ready(who); who = NIL :: else fi }
inline wait(timed) {
  err = 0;
#ifdef BUG_UNLOCKFIRST
  unlock_m();
#endif
  LOCK; atomic { frame[me] = 1; claim[me] = OPEN; q[n] = me; n++; ticket[me] = tickets; tickets++ }; UNLOCK;
#ifndef BUG_UNLOCKFIRST
  unlock_m();
#endif
  wants[me] = timed;                                        /* parked, or about to be: model/park.pml */
#ifdef BUG_COUNTER
  if
  :: atomic { tokens > 0 -> tokens--; assert(ticket[me] < upto) };
     LOCK; atomic { i = 0; do :: i < n && q[i] != me -> i++ :: else -> break od; k = i; i = 0; remove(k) }; UNLOCK
#else
  if
  :: atomic { note[me] -> note[me] = 0; assert(claim[me] == DONE && ticket[me] < upto) }
#endif
  :: atomic { wants[me] && claim[me] == OPEN -> claim[me] = DONE }; err = 1;                    /* the timer's claim */
     LOCK;
#ifndef BUG_NOLEAVE
     atomic { i = 0; do :: i < n && q[i] != me -> i++ :: else -> break od;
       k = i; i = 0; if :: k < n -> remove(k) :: else fi };
#endif
     UNLOCK
  fi;
  atomic { wants[me] = 0; frame[me] = 0; assert(!note[me]) };
#ifdef BUG_NORELOCK
  if :: err -> skip :: else -> lock_m() fi
#else
  lock_m()
#endif
}
proctype Consumer(byte me; bit timed) { byte i, j, k, who = NIL; bit err;
  lock_m();
  do
  :: items == 0 -> wait(timed); if :: err -> break :: else fi
  :: else -> break
  od;
  if
  :: err -> unlock_m()
  :: else -> items--;
     if :: timed -> items++; signal(); unlock_m() :: else -> unlock_m() fi
  fi }
proctype Producer(bit late) { byte i, j, who = NIL;
  lock_m(); items++;
  if :: late -> unlock_m(); signal() :: else -> signal(); unlock_m() fi }
init { byte t;
  atomic {
    do :: t < NC -> q[t] = NIL; run Consumer(t, t < NTIMED); t++ :: else -> break od;
    t = 0;
    do :: t < NC - NTIMED -> run Producer(t == 0); t++ :: else -> break od } ;
  _nr_pr == 1;
  assert(items == 0 && n == 0 && inside == 0) }
