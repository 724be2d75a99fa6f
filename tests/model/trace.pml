/* trace.pml - a ring of records is read while its thread may still be adding to it: no record is read that is being written.
 * Mirrors: chanrt__trace_ring, _begin, _add, chanrt__trace_finish, _survey. [trace] [run]
 * The thread has a store buffer in order of its stores; a light fence drains nothing, the heavy one (membarrier) drains it.
 *   thread: on = 0? then leave. Write the record over the oldest; head = head + 1.
 *   reader: on = 0; heavy fence; end = head; read all but the oldest of the N before end, when there are N.
 * Property: while a record is read it is not written to, and it is the one that its place says.
 *   BUG_NOFENCE  the reader does not fence
 *   BUG_OLDEST   the reader reads the oldest, too
 *   BUG_GOESON   the reader leaves `on` as it is
 *   BUG_HEADFIRST the thread stores the head before the record
 *   BUG_EARLYEND the reader takes the head before it ends the run
 */
#define N 3                             /* records of the ring */
#define MOST 7                          /* records the thread makes */
byte on = 1, head, rec[N];             /* rec: the number of the record there, counted from 1 */
chan sb = [4] of { byte, byte };        /* stores not drained: N: head, else a record */
inline drain1() { d_step { nempty(sb) -> sb?a,v; if :: a == N -> head = v :: else -> rec[a] = v fi; a = 0; v = 0 } }

active proctype Buffer() { byte a, v;
end: do :: drain1() od }

active proctype Thread() { byte at;
  do
  :: at < MOST ->
     if :: on == 0 -> break :: else fi;
#ifdef BUG_HEADFIRST
     sb!N,(at + 1); sb!(at % N),(at + 1);
#else
     sb!(at % N),(at + 1); sb!N,(at + 1);
#endif
     at++
  :: else -> break
  od }

active proctype Reader() { byte end, i, a, v;
#ifdef BUG_EARLYEND
  end = head;
#endif
#ifndef BUG_GOESON
  on = 0;
#endif
#ifndef BUG_NOFENCE
  atomic { do :: nempty(sb) -> drain1() :: empty(sb) -> break od };
#endif
#ifndef BUG_EARLYEND
  end = head;
#endif
#ifdef BUG_OLDEST
  i = (end >= N -> end - N : 0);
#else
  i = (end >= N -> end - N + 1 : 0);
#endif
  do
  :: i < end -> assert(rec[(i % N)] == i + 1); i++
  :: else -> break
  od }
