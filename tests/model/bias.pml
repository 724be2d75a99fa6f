/* bias.pml - the biased lock: owner and thief are never at the queue together, and each sees what the other left.
 * Mirrors: chanrt__sched_enter, _enter_slow, _leave, _rob. [bias] [thief] [fence]
 * Every thread has a store buffer in order of its stores; it reads its own stores out of it. A light fence drains nothing, a
 * heavy one (membarrier) drains all buffers, an atomic read-modify-write drains the thread's own.
 *   owner: in=1; light fence; request? then let the thief in: in=0; granted=request, until request=0.
 *   thief: swap thief; request=ticket; granted=ticket? then it is in; else, having waited: heavy fence; in? then give up.
 * Property: one at a time in the queue; every item taken once, none lost; nobody waits for ever.
 *   BUG_NOFENCE    the thief does not fence
 *   BUG_OWNFENCE   the thief's fence is one for itself only
 *   BUG_CHECKFIRST the owner looks at request before it stores in
 *   BUG_INFIRST    the thief looks at in before it stores request
 *   BUG_NORECHECK  having let a thief in, the owner does not look at request again
 *   BUG_EARLYLEAVE the owner stores in=0 before the queue
 *   BUG_EARLYDONE  the thief stores request=0 before the queue
 *   BUG_NOTHIEF    thieves do not exclude each other
 *   BUG_STAY       waiting for a thief, the owner keeps in=1, and the thief does not give up
 *   BUG_SAMETICKET every thief has the same ticket: a grant of before lets the next one in
 *   BUG_GRANTGO    the owner grants what it saw, and goes on without waiting for the end
 */
#ifndef ITEMS
#define ITEMS 2
#endif
#define NT 2                            /* thieves */
#define IN 0
#define REQ 1
#define THIEF 2
#define LEN 3
#define GRANTED 4
#define P(p, a)  (5 * (p) + (a))
byte mem[5]; byte ticket; byte taken[ITEMS + 2], total;
byte np[5 * (NT + 1)], view[5 * (NT + 1)];                  /* of each thread and place: stores not drained, the last one */
chan sb0 = [6] of { byte, byte }; chan sb1 = [6] of { byte, byte }; chan sb2 = [6] of { byte, byte };
byte inside;                            /* ghost: threads at the queue */
#define READ(p, a)  (np[P(p, a)] > 0 -> view[P(p, a)] : mem[a])
inline store(p, b, a, v) { d_step { b!a,v; np[P(p, a)]++; view[P(p, a)] = v } }
inline drain1(p, b) { d_step { nempty(b) -> b?da,dv; mem[da] = dv; np[P(p, da)]--; if :: np[P(p, da)] == 0 -> view[P(p, da)] = 0 :: else fi; da = 0; dv = 0 } }
inline drain(p, b) { do :: nempty(b) -> b?da,dv; mem[da] = dv; np[P(p, da)]--; if :: np[P(p, da)] == 0 -> view[P(p, da)] = 0 :: else fi
                        :: empty(b) -> break od; da = 0; dv = 0 }
inline take(p, b) {                     /* what is read and stored at the queue */
  atomic { inside++; assert(inside == 1) };
  x = READ(p, LEN);
  if :: x > 0 -> atomic { taken[x]++; assert(taken[x] == 1); total++ } :: else fi }
#define leave_queue() inside--

active proctype Owner() { byte x, g, da, dv, turns = ITEMS + 1;
  atomic { mem[LEN] = ITEMS; run Thief(1, sb1); run Thief(2, sb2) };
  do
  :: turns > 0 -> turns--;
#ifdef BUG_CHECKFIRST
     x = READ(0, REQ); store(0, sb0, IN, 1);
     if :: x -> goto slow :: else fi;
#else
     store(0, sb0, IN, 1);
     if :: READ(0, REQ) -> goto slow :: else fi;
#endif
have:
     take(0, sb0);
#ifdef BUG_EARLYLEAVE
     store(0, sb0, IN, 0);
#endif
     if :: x > 0 -> store(0, sb0, LEN, x - 1) :: else fi;
     leave_queue();
#ifndef BUG_EARLYLEAVE
     store(0, sb0, IN, 0);
#endif
     x = 0
  :: else -> break
  od;
  goto out;
slow:
#ifndef BUG_STAY
  store(0, sb0, IN, 0);
#endif
wait:
  if
  :: READ(0, REQ) == 0
  :: READ(0, REQ) != 0 && READ(0, REQ) != g ->
     atomic { g = READ(0, REQ); store(0, sb0, GRANTED, g) };
#ifndef BUG_GRANTGO
     goto wait
#endif
  fi;
  store(0, sb0, IN, 1);
#if !defined(BUG_NORECHECK) && !defined(BUG_GRANTGO)
  if :: READ(0, REQ) -> goto slow :: else fi;
#endif
  goto have;
out: skip }

proctype Thief(byte me; chan b) { byte x, mine = 1, da, dv;
#ifndef BUG_NOTHIEF
  atomic { drain(me, b); x = mem[THIEF]; mem[THIEF] = 1 };
  if :: x -> goto out :: else fi;
#endif
#ifdef BUG_INFIRST
  if :: mem[IN] -> goto out :: else fi;
#endif
#ifndef BUG_SAMETICKET
  atomic { ticket++; mine = ticket };
#endif
  store(me, b, REQ, mine);
  if :: READ(me, GRANTED) == mine -> goto in :: true fi;    /* it looks for a while; any look may be the last */
#ifdef BUG_OWNFENCE
  atomic { drain(me, b) };
#elif !defined(BUG_NOFENCE)
  atomic { drain(0, sb0); drain(1, sb1); drain(2, sb2) };
#endif
#ifndef BUG_INFIRST
#ifdef BUG_STAY
  !READ(me, IN);
#else
  if :: !READ(me, IN) :: READ(me, IN) -> goto done fi;      /* it looks for a while; any look may be the last */
#endif
#endif
in:
  take(me, b);
#ifdef BUG_EARLYDONE
  store(me, b, REQ, 0);
#endif
  if :: x > 0 -> store(me, b, LEN, x - 1) :: else fi;
  leave_queue();
done:
#ifndef BUG_EARLYDONE
  store(me, b, REQ, 0);
#endif
  store(me, b, THIEF, 0);
out: x = 0 }

active proctype Drain() { byte da, dv;
end:
  do
  :: drain1(0, sb0) :: drain1(1, sb1) :: drain1(2, sb2)
  :: timeout -> assert(total + mem[LEN] == ITEMS); break
  od }
