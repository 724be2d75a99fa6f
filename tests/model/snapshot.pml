/* snapshot.pml - chan_select with a default over several channels: "none was ready" must be one instant.
 * Mirrors: chanrt__select_poll (exact), _count, _same, chanrt__chan_changed, chanrt__chan_may_send, chanrt__chan_may_recv. [peek]
 * What makes ready: lock; change; version++; unlock. What does not: lock; change; unlock.
 * Poll, pass 1, per channel: version, readiness. Pass 2, per channel: readiness, then version; any order of the channels.
 * It holds because a channel made ready between the passes is unready again in pass 2 only after the first operation's
 * unlock, so after its version++. Property: default only if at some instant of the poll none was ready.
 *   BUG_NOPASS2    default after one pass
 *   BUG_NOREREAD   pass 2 compares versions only
 *   BUG_EARLY      version++ before the change, pass 2 compares versions only
 *   BUG_RFIRST     pass 1 reads readiness before the version
 *   BUG_VFIRST     pass 2 reads the version before readiness
 *   BUG_UNLOCKED   version++ after the unlock
 */
#define N 2
bit lk[N], rdy[N]; byte ver[N];
bit none;                               /* ghost: an instant of this poll had nothing ready */
#define LOCK(c)    atomic { !lk[c] -> lk[c] = 1 }
#define SET(c, v)  atomic { rdy[c] = v; none = none || !(rdy[0] || rdy[1]) }

proctype Fill(byte c) { byte i;
  do :: i < 2 -> LOCK(c);
#ifdef BUG_EARLY
        ver[c]++; SET(c, 1); lk[c] = 0;
#elif defined(BUG_UNLOCKED)
        SET(c, 1); lk[c] = 0; ver[c]++;
#else
        SET(c, 1); ver[c]++; lk[c] = 0;
#endif
        i++
     :: break od }
proctype Drain(byte c) { byte i;
  do :: i < 2 -> LOCK(c); SET(c, 0); lk[c] = 0; i++
     :: break od }
active proctype Poller() { byte v[N], i, c, s; bit r;
  atomic { run Fill(0); run Fill(1); run Drain(0); run Drain(1); rdy[0] = 1 }
  none = !(rdy[0] || rdy[1]);
again:
  if :: s = 0 :: s = 1 fi; i = 0;
  do
  :: i < N -> c = (s + i) % N;
#ifdef BUG_RFIRST
     r = rdy[c]; v[c] = ver[c];
#else
     v[c] = ver[c]; r = rdy[c];
#endif
     if :: r -> goto found :: else -> i++ fi
  :: else -> break
  od;
#ifndef BUG_NOPASS2
  if :: s = 0 :: s = 1 fi; i = 0;
  do
  :: i < N -> c = (s + i) % N;
#ifdef BUG_VFIRST
     if :: ver[c] != v[c] -> goto again :: else fi; if :: rdy[c] -> goto again :: else fi;
#else
#if !defined(BUG_NOREREAD) && !defined(BUG_EARLY)
     if :: rdy[c] -> goto again :: else fi;
#endif
     if :: ver[c] != v[c] -> goto again :: else fi;
#endif
     i++
  :: else -> break
  od;
#endif
  assert(none);                         /* default runs */
found: skip }
