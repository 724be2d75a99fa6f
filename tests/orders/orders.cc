// orders.cc - the header's waiting protocols in a simulated weak memory (model.h): each struct
// mirrors the functions it names, access by access.
//
//     orders                            the harnesses
//     orders NAME N [SITE ORDER]        N executions, with the access SITE weakened to ORDER:
//                                       relaxed, acquire, release, acqrel. Status 1: fails
//     TRACE=1 orders ...                says how
#include "model.h"
#include <stdlib.h>

// --- the spin lock: os_lock_try, os_lock_slow, os_unlock [lock]
struct lock : rl::test_suite<lock, 3> {
    spin l;
    plain n;
    void before() { l.init(), n($) = 0; }
    void thread(unsigned) {
        l.lock();
        n($) = n($) + 1;
        l.unlock();
    }
    void after() { RL_ASSERT(n($) == 3); }
};

// --- a plain wait: sched_park_plain, ctx_swap [lock], sched_switch and sched_make_runnable
// [saved]. The lock of what a task waits for is released once its registers are saved, by whoever
// runs next on its worker.
struct park_plain : rl::test_suite<park_plain, 2> {
    spin l;
    word on_cpu;
    plain node, sent, registers, slot;
    void before() { l.init(), STORE(on_cpu, 0), node($) = 0, sent($) = 0, registers($) = 0; }
    void thread(unsigned me) {
        l.lock();
        if (me == 0) {
            if (sent($)) return l.unlock();
            node($) = 1;
            registers($) = 7;
            switched(l.w);
        } else {
            sent($) = 1;
            bool waits = node($) != 0;
            l.unlock();
            if (waits) slot($) = 1, run();
        }
    }
    void run() {
        if (LOAD_ACQ(on_cpu, "saved|chanrt__sched_switch") != 0)
            while (LOAD_ACQ(on_cpu, "saved|chanrt__sched_make_runnable") != 0) pause_();
        RL_ASSERT(registers($) == 7 && slot($) == 1);
    }
};

// --- the claim word: wait_begin, wait_open, wait_take_any, wait_take_node, wait_fire,
// wait_cancel, wait_leave [claim], with a_on_cpu [saved]. Thread 0 is a task that waits in two
// queues with a deadline; 1 and 2 are workers that would wake it, and whoever wins runs it on.
// After that the wait is gone: who touches it still, is wrong.
enum { OPEN, BUSY, DONE };
enum claim_kind { BY_TIMER, BY_QUEUES, BY_NODE, CANCELS };
template<claim_kind KIND> struct claim : rl::test_suite<claim<KIND>, 3> {
    spin l[2], timers;
    word first[2], a_claim, on_cpu;
    plain claims[2], linked[2], armed, owner, chosen, timed_out, registers, ran;
    bool gone;
    void before() {
        for (int i = 0; i < 2; i++)
            l[i].init(), STORE(first[i], 0), claims[i]($) = 0, linked[i]($) = 0;
        timers.init();
        STORE(a_claim, BUSY), STORE(on_cpu, 0);
        armed($) = 0, ran($) = 0, registers($) = 0, gone = false;
    }
    void enqueue(int i) {
        linked[i]($) = 1;
        claims[i]($) = claims[i]($) + 1;
        STORE_REL(first[i], 1, "peek|chanrt__wait_enqueue");
    }
    void unlink(int i) {
        STORE_REL(first[i], 0, "peek|chanrt__wait_unlink");
        linked[i]($) = 0;
    }
    void leave(int i) {
        l[i].lock();
        if (linked[i]($)) unlink(i);
        claims[i]($) = claims[i]($) - 1;
        l[i].unlock();
    }
    void wait() {
        STORE(a_claim, BUSY);
        owner($) = 1, chosen($) = -1, timed_out($) = 0;
        STORE(on_cpu, 1);
        l[0].lock();
        enqueue(0);
        l[0].unlock();
        l[1].lock();
        if (KIND == CANCELS) { // the second case is ready
            STORE_REL(a_claim, DONE, "claim|chanrt__wait_cancel");
            l[1].unlock();
            leave(0);
            STORE(on_cpu, 0);
            return over();
        }
        enqueue(1);
        STORE_REL(a_claim, OPEN, "claim|chanrt__wait_open");
        l[1].unlock();
        timers.lock();
        armed($) = 1;
        timers.unlock();
        registers($) = 7;
        switched(on_cpu);
    }
    void over() {
        ran($) = ran($) + 1;
        gone = true;
        owner($) = 0, chosen($) = 0, timed_out($) = 0;
    }
    void run(int i) {
        if (LOAD_ACQ(on_cpu, "saved|chanrt__sched_switch") != 0)
            while (LOAD_ACQ(on_cpu, "saved|chanrt__sched_make_runnable") != 0) pause_();
        RL_ASSERT(registers($) == 7);
        timers.lock();
        armed($) = 0;
        timers.unlock();
        RL_ASSERT(i < 0 ? timed_out($) == 1 : chosen($) == i && timed_out($) == 0);
        for (int k = 0; k < 2; k++)
            if (k != i) leave(k);
        over();
    }
    void take_any(int i) {
        for (int tries = 0; tries < 4; tries++) {
            l[i].lock();
            if (LOAD(first[i]) == 0) {
                l[i].unlock();
                pause_();
                continue;
            }
            RL_ASSERT(!gone);
            if (CAS(a_claim, OPEN, DONE, "claim|chanrt__wait_take_any")) return taken(i);
            bool busy = LOAD_ACQ(a_claim, "claim|chanrt__wait_take_any") != DONE;
            if (!busy) unlink(i); // its owner still comes to leave
            l[i].unlock();
            if (!busy) return;
            pause_();
        }
    }
    void taken(int i) {
        unlink(i);
        claims[i]($) = claims[i]($) - 1;
        l[i].unlock();
        chosen($) = i;
        RL_ASSERT(owner($) == 1);
        run(i);
    }
    void take_node(int i) {
        l[i].lock();
        for (int tries = 0; linked[i]($) == 0; tries++) {
            l[i].unlock();
            if (tries == 6) return;
            pause_();
            l[i].lock();
        }
        RL_ASSERT(!gone);
        if (CAS(a_claim, OPEN, DONE, "claim|chanrt__wait_take_node")) return taken(i);
        unlink(i);
        l[i].unlock();
    }
    void fire() {
        timers.lock();
        bool won = false;
        for (int tries = 0; !armed($) && tries < 12; tries++) {
            timers.unlock();
            pause_();
            timers.lock();
        }
        if (armed($)) {
            armed($) = 0;
            RL_ASSERT(!gone);
            won = CAS(a_claim, OPEN, DONE, "claim|chanrt__wait_fire");
            if (won) timed_out($) = 1;
            RL_ASSERT(!won || owner($) == 1);
        }
        timers.unlock();
        if (won) run(-1);
    }
    void thread(unsigned me) {
        if (me == 0) wait();
        else if (KIND == BY_NODE && me == 1) take_node(1);
        else if (me == 1) take_any(0);
        else if (KIND == BY_QUEUES) take_any(1);
        else fire();
    }
    void after() { RL_ASSERT(ran($) <= 1); }
};

// --- a thread that blocks: sched_thread_block, sched_thread_unblock [wake],
// wait_block_thread [claim]. Twice in a row, by the same record; TIMED: it may give up; DRAWN: with
// a seed, by det_thread_wait and det_thread_wake, whose turns are not simulated.
enum { EMPTY, PARKED, PARKED_TIMED, NOTIFIED };
template<bool TIMED, bool DRAWN> struct thread_park : rl::test_suite<thread_park<TIMED, DRAWN>, 2> {
    rl::mutex pool, det;
    spin l;
    word a_park, a_claim, blocked;
    plain node, chosen, listed;
    futex<2> sleeping;
    void before() {
        l.init(), STORE(a_park, EMPTY), STORE(a_claim, BUSY), STORE(blocked, 0);
        node($) = 0, chosen($) = 0, listed($) = 0;
    }
    void det_wait() {
        det.lock($);
        if (LOAD_ACQ(a_park, "wake|chanrt__det_thread_wait") != NOTIFIED) STORE(blocked, 1);
        det.unlock($);
        while (LOAD(blocked) != 0) sleeping.sleep(blocked, 1, false);
    }
    unsigned det_wake() {
        det.lock($);
        unsigned old = SWAP_ACQREL(a_park, NOTIFIED, "wake|chanrt__det_thread_wake");
        STORE(blocked, 0);
        det.unlock($);
        return old;
    }
    bool block(bool timed) {
        for (int i = 0; i < 2; i++) {
            if (LOAD_ACQ(a_park, "wake|chanrt__sched_thread_block") == NOTIFIED) break;
            pause_();
        }
        unsigned state = timed ? PARKED_TIMED : PARKED;
        pool.lock($);
        bool park = CAS(a_park, EMPTY, state, "wake|chanrt__sched_thread_block");
        if (park && !timed) listed($) = 1;
        pool.unlock($);
        bool late = false;
        while (park && LOAD_ACQ(a_park, "wake|chanrt__sched_thread_block") != NOTIFIED) {
            if (timed && late)
                if (CAS(a_park, state, EMPTY, "wake|chanrt__sched_thread_block")) return false;
            if (DRAWN) det_wait();
            else late = !sleeping.sleep(a_park, state, timed);
        }
        STORE(a_park, EMPTY);
        return true;
    }
    void unblock() {
        if (CAS(a_park, EMPTY, NOTIFIED, "wake|chanrt__sched_thread_unblock")) return;
        pool.lock($);
        unsigned old = DRAWN ? det_wake()
                             : SWAP_ACQREL(a_park, NOTIFIED, "wake|chanrt__sched_thread_unblock");
        if (old == PARKED) listed($) = 0;
        pool.unlock($);
        if (old != EMPTY) sleeping.wake();
    }
    bool wait_block() {
        if (block(TIMED)) return true;
        if (CAS(a_claim, OPEN, DONE, "claim|chanrt__wait_block_thread")) return false;
        return block(false);
    }
    void thread(unsigned me) {
        if (me == 1) return waker();
        for (int round = 1; round <= 2; round++) {
            chosen($) = -1;
            l.lock();
            node($) = 1;
            STORE_REL(a_claim, OPEN, "claim|chanrt__wait_open");
            l.unlock();
            if (wait_block()) {
                RL_ASSERT(chosen($) == round);
                continue;
            }
            l.lock();
            node($) = 0;
            l.unlock();
            return;
        }
    }
    void waker() {
        for (int round = 1, tries = 0; round <= 2 && tries < 20; tries++) {
            l.lock();
            bool won = node($) && CAS(a_claim, OPEN, DONE, "claim|chanrt__wait_take_any");
            if (won) node($) = 0;
            l.unlock();
            if (won) chosen($) = round++, unblock();
            else if (TIMED && tries > 3) return;
            else pause_(), tries -= !TIMED;
        }
    }
};

// --- the biased lock on a worker's queue: sched_enter, sched_enter_slow, sched_leave,
// sched_let_in [bias], sched_rob [thief], the light and the heavy fence [fence].
template<int N, bool ASYM> struct biased {
    word a_in, request, granted, thief;
    plain ticket, queue;
    void init() {
        STORE(a_in, 0), STORE(request, 0), STORE(granted, 0), STORE(thief, 0);
        ticket($) = 0, queue($) = 0;
    }
    void enter() {
        STORE(a_in, 1);
        light_fence<N, ASYM>();
        if (LOAD_ACQ(request, "bias|chanrt__sched_enter") == 0) return;
        do {
            unsigned t;
            STORE_REL(a_in, 0, "bias|chanrt__sched_enter_slow");
            while ((t = LOAD_ACQ(request, "bias|chanrt__sched_enter_slow")) != 0) {
                STORE_REL(granted, t, "bias|chanrt__sched_enter_slow");
                pause_();
            }
            STORE(a_in, 1);
            light_fence<N, ASYM>();
        } while (LOAD_ACQ(request, "bias|chanrt__sched_enter_slow") != 0);
    }
    void leave() { STORE_REL(a_in, 0, "bias|chanrt__sched_leave"); }
    bool let_in() {
        unsigned t = (unsigned)(ticket($) + 1);
        ticket($) = (int)t;
        STORE_REL(request, t, "bias|chanrt__sched_let_in");
        for (unsigned i = rl::rand(3); i > 0; i--) {
            if (LOAD_ACQ(granted, "bias|chanrt__sched_let_in") == t) return true;
            pause_();
        }
        heavy_fence<N, ASYM>();
        for (int i = 0; i < 2 && LOAD(a_in) != 0; i++) pause_();
        return LOAD_ACQ(a_in, "bias|chanrt__sched_let_in") == 0;
    }
    int rob() { // what the queue holds
        int got = 0;
        if (SWAP_ACQ(thief, 1, "thief|chanrt__sched_rob") != 0) return 0;
        if (let_in() && queue($) != 0) got = queue($), queue($) = 0;
        STORE_REL(request, 0, "bias|chanrt__sched_rob");
        STORE_REL(thief, 0, "thief|chanrt__sched_rob");
        return got;
    }
};

template<bool ASYM> struct bias : rl::test_suite<bias<ASYM>, 3> {
    biased<3, ASYM> b;
    plain got[3];
    void before() {
        b.init();
        for (int i = 0; i < 3; i++) got[i]($) = 0;
    }
    void thread(unsigned me) {
        if (me != 0) {
            got[me]($) = b.rob();
            return;
        }
        for (int i = 0; i < 2; i++) {
            b.enter();
            b.queue($) = b.queue($) + 1;
            b.leave();
        }
    }
    void after() { RL_ASSERT(b.queue($) + got[1]($) + got[2]($) == 2); }
};

// --- the idle protocol: sched_announce, sched_announce_work, sched_rouse, sched_rouse_any,
// sched_push_shared, sched_push_pinned, sched_push, sched_search, sched_sleep, sched_rescan,
// sched_stop_search [idle] [wake] [fence]. Workers take one task each and compute from then on; a
// task that stays although a worker sleeps is a sleep that nobody ends.
enum { IDLE_ONE = 1, SPIN_ONE = 1 << 16 };
enum idle_kind { SHARED, PINNED, OWN };
template<int WORKERS, idle_kind KIND, bool ASYM>
struct idle : rl::test_suite<idle<WORKERS, KIND, ASYM>, WORKERS + 1> {
    enum { N = WORKERS + 1 };
    rl::mutex pool;
    spin l;
    biased<N, ASYM> own;             // the queue of the one who pushes
    word announced, len, a_wake[WORKERS];
    plain tasks, listed[WORKERS], listed_count;
    futex<N> sleeping[WORKERS];
    void before() {
        l.init(), own.init();
        STORE(announced, 0), STORE(len, 0);
        tasks($) = 0, listed_count($) = 0;
        for (int i = 0; i < WORKERS; i++) STORE(a_wake[i], 0), listed[i]($) = 0;
    }
    void unlink(int w) { listed[w]($) = 0, listed_count($) = listed_count($) - 1; }
    void rouse(int w) {
        pool.lock($);
        bool is = listed[w]($) != 0;
        if (is) {
            unlink(w);
            ADD_SEQ(announced, SPIN_ONE - (unsigned)IDLE_ONE, "idle|chanrt__sched_rouse");
            STORE_REL(a_wake[w], 1, "wake|chanrt__sched_rouse");
        }
        pool.unlock($);
        if (is) sleeping[w].wake();
    }
    void rouse_any() {
        int w = WORKERS - 1;
        pool.lock($);
        while (w >= 0 && !listed[w]($)) w--;
        if (w >= 0) {
            unlink(w);
            ADD_SEQ(announced, (unsigned)-IDLE_ONE, "idle|chanrt__sched_rouse_any");
            STORE_REL(a_wake[w], 1, "wake|chanrt__sched_rouse_any");
        } else {
            ADD_SEQ(announced, (unsigned)-SPIN_ONE, "idle|chanrt__sched_rouse_any");
        }
        pool.unlock($);
        if (w >= 0) sleeping[w].wake();
    }
    void announce() {
        unsigned a = LOAD(announced);
        if ((a & 0xffff) == 0 || a >= SPIN_ONE) return;
        if (CAS(announced, a, a + SPIN_ONE, "idle|chanrt__sched_announce")) rouse_any();
    }
    void push() {
        if (KIND == OWN) {
            own.enter();
            own.queue($) = own.queue($) + 1;
            STORE(len, LOAD(len) + 1);
            own.leave();
            light_fence<N, ASYM>();
            return announce();
        }
        l.lock();
        tasks($) = tasks($) + 1;
        STORE(len, LOAD(len) + 1);
        l.unlock();
        if (KIND == SHARED) {
            FENCE("fence|chanrt__sched_push_shared|fence_seq");
            return announce();
        }
        light_fence<N, ASYM>();
        if ((LOAD(announced) & 0xffff) != 0) rouse(0);
    }
    bool find() {
        if (LOAD(len) == 0) return false;
        if (KIND == OWN) return own.rob() != 0;
        l.lock();
        bool found = tasks($) != 0;
        if (found) tasks($) = tasks($) - 1, STORE(len, LOAD(len) - 1);
        l.unlock();
        return found;
    }
    bool rescan() { return LOAD(len) != 0; }
    void sleep(int w) {
        STORE(a_wake[w], 0);
        pool.lock($);
        listed[w]($) = 1, listed_count($) = listed_count($) + 1;
        ADD_SEQ(announced, IDLE_ONE - (unsigned)SPIN_ONE, "idle|chanrt__sched_sleep");
        pool.unlock($);
        heavy_fence<N, ASYM>();
        if (!rescan())
            while (LOAD_ACQ(a_wake[w], "wake|chanrt__sched_sleep") == 0)
                sleeping[w].sleep(a_wake[w], 0, false);
        pool.lock($);
        if (listed[w]($)) {
            unlink(w);
            ADD_SEQ(announced, (unsigned)SPIN_ONE - IDLE_ONE, "idle|chanrt__sched_sleep");
        }
        pool.unlock($);
    }
    void stop_search() {
        unsigned a = ADD_SEQ(announced, (unsigned)-SPIN_ONE, "idle|chanrt__sched_stop_search");
        a -= SPIN_ONE;
        if (a >= SPIN_ONE || (a & 0xffff) == 0) return;
        FENCE("fence|chanrt__sched_stop_search|fence_seq");
        if (!rescan()) return;
        light_fence<N, ASYM>();
        announce();
    }
    void thread(unsigned me) {
        if (me == WORKERS) {
            for (int i = 0; i < WORKERS; i++) push();
            return;
        }
        ADD_SEQ(announced, SPIN_ONE, "idle|chanrt__sched_search");
        while (!find()) sleep((int)me);
        stop_search();
    }
};

// --- a select with a default, or a timeout of 0: select_count, select_same, chan_may_recv,
// chan_may_send, chan_put, chan_pull, chan_changed, chan_close, wait_enqueue, wait_unlink,
// wait_shift [peek]. At each instant one of two channels is ready, so the default is wrong.
// ROOM: of two full buffers one has room.
enum peek_kind { COUNTS, ROOM, QUEUES, SHIFTS, CLOSES };
template<peek_kind KIND> struct peek : rl::test_suite<peek<KIND>, 2> {
    struct chan {
        spin l;
        word version, count, first, closed;
    } c[2];
    void before() {
        for (int i = 0; i < 2; i++)
            c[i].l.init(), STORE(c[i].version, 0), STORE(c[i].count, 0), STORE(c[i].first, 0),
                STORE(c[i].closed, 0);
        STORE(KIND == QUEUES || KIND == SHIFTS ? c[0].first : c[KIND == ROOM].count, 1);
    }
    void changed(chan &k) {
        STORE_REL(k.version, LOAD(k.version) + 1, "peek|chanrt__chan_changed");
    }
    void ready(chan &k) {
        k.l.lock();
        if (KIND == COUNTS) STORE_REL(k.count, LOAD(k.count) + 1, "peek|chanrt__chan_put");
        if (KIND == ROOM) STORE_REL(k.count, LOAD(k.count) - 1, "peek|chanrt__chan_pull");
        if (KIND == QUEUES || KIND == SHIFTS) STORE_REL(k.first, 1, "peek|chanrt__wait_enqueue");
        if (KIND == CLOSES) STORE_REL(k.closed, 1, "peek|chanrt__chan_close");
        changed(k);
        k.l.unlock();
    }
    void spent(chan &k) {
        k.l.lock();
        if (KIND == QUEUES) STORE_REL(k.first, 0, "peek|chanrt__wait_unlink");
        else if (KIND == SHIFTS) STORE_REL(k.first, 0, "peek|chanrt__wait_shift");
        else if (KIND == ROOM) STORE_REL(k.count, LOAD(k.count) + 1, "peek|chanrt__chan_put");
        else STORE_REL(k.count, LOAD(k.count) - 1, "peek|chanrt__chan_pull");
        changed(k);
        k.l.unlock();
    }
    bool may_send(chan &k) {
        return LOAD_ACQ(k.count, "peek|chanrt__chan_may_send") != 1 || // of one
               LOAD_ACQ(k.first, "peek|chanrt__chan_may_send") != 0 ||
               LOAD_ACQ(k.closed, "peek|chanrt__chan_may_send") != 0;
    }
    bool may(chan &k) { return KIND == ROOM ? may_send(k) : may_recv(k); }
    bool may_recv(chan &k) {
        return LOAD_ACQ(k.count, "peek|chanrt__chan_may_recv") != 0 ||
               LOAD_ACQ(k.first, "peek|chanrt__chan_may_recv") != 0 ||
               LOAD_ACQ(k.closed, "peek|chanrt__chan_may_recv") != 0;
    }
    bool poll() { // whether one was seen to be ready
        for (;;) {
            unsigned version[2];
            for (int i = 0; i < 2; i++) {
                version[i] = LOAD_ACQ(c[i].version, "peek|chanrt__select_count");
                if (may(c[i])) return true;
            }
            bool same = true;
            for (int i = 0; i < 2 && same; i++)
                same = !may(c[i]) &&
                       LOAD_ACQ(c[i].version, "peek|chanrt__select_same") == version[i];
            if (same) return false;
            pause_();
        }
    }
    void thread(unsigned me) {
        if (me == 0) {
            for (int i = 0; i < (KIND == CLOSES ? 1 : 3); i++) {
                if (i > 0) ready(c[0]), spent(c[1]);
                ready(c[1]);
                spent(c[0]);
            }
        } else {
            RL_ASSERT(poll());
        }
    }
};

// --- the last reference: chan_drop, chan_close [refs]; context_drop [held]. Each looks at a field
// before it lets go; the last one frees.
template<bool CONTEXT> struct refs : rl::test_suite<refs<CONTEXT>, 3> {
    word a_refs;
    plain field, freed;
    void before() { STORE(a_refs, 3), field($) = 1, freed($) = 0; }
    bool drop(unsigned me) {
        if (CONTEXT)
            return LOAD_ACQ(a_refs, "held|chanrt__context_drop") == 1 ||
                   SUB_ACQREL(a_refs, 1, "held|chanrt__context_drop") == 1;
        if (me == 0) return SUB_ACQREL(a_refs, 1, "refs|chanrt__chan_close") == 1;
        return LOAD_ACQ(a_refs, "refs|chanrt__chan_drop") == 1 ||
               SUB_ACQREL(a_refs, 1, "refs|chanrt__chan_drop") == 1;
    }
    void thread(unsigned me) {
        RL_ASSERT(field($) == 1);
        if (drop(me)) field($) = 0, freed($) = freed($) + 1;
    }
    void after() { RL_ASSERT(freed($) == 1); }
};

// --- something is written, then a word says that it is there.
#define PUBLISH(name, store, load)                                \
    struct name : rl::test_suite<name, 2> {                       \
        word there;                                               \
        plain fields;                                             \
        void before() { STORE(there, 0); }                        \
        void thread(unsigned me) {                                \
            if (me == 0) {                                        \
                fields($) = 1;                                    \
                STORE_REL(there, 1, store);                       \
            } else if (LOAD_ACQ(there, load) != 0) {              \
                RL_ASSERT(fields($) == 1);                        \
            }                                                     \
        }                                                         \
    }
PUBLISH(slab, "slab|chanrt__task_grow_locked", "slab|chanrt__inside_each");
PUBLISH(slab_profile, "slab|chanrt__task_grow_locked", "slab|chanrt__profile_write_locked");
PUBLISH(slab_leaks, "slab|chanrt__task_grow_locked", "slab|chanrt__leaks_pass");
PUBLISH(slab_ours, "slab|chanrt__task_grow_locked", "slab|chanrt__leaks_leave_out_ours");
PUBLISH(slab_room, "slab|chanrt__task_grow_locked", "slab|chanrt__leaks_room");
PUBLISH(profile, "profile|chanrt__profile_place", "profile|chanrt__profile_place");
PUBLISH(profile_write, "profile|chanrt__profile_place", "profile|chanrt__profile_write_locked");
PUBLISH(ring_leaks, "ring|chanrt__trace_join", "ring|chanrt__leaks_leave_out_ours");
PUBLISH(traced, "traced|chanrt__trace_place", "traced|chanrt__trace_place");
PUBLISH(start_leaks, "start|chanrt__sched_start_locked", "start|chanrt_leaks");
PUBLISH(chunk, "chunk|chanrt__fd_get", "chunk|chanrt__fd_get");
PUBLISH(start, "start|chanrt__sched_start_locked", "start|chanrt__sched_ensure");
PUBLISH(start_drawn, "start|chanrt__sched_start_locked", "start|chanrt__sched_point_drawn");
PUBLISH(poll, "poll|chanrt__poll_start", "poll|chanrt__poll_open");
PUBLISH(fire, "fire|chanrt__fd_arm", "fire|chanrt__poll_fire");
PUBLISH(fire_arm, "fire|chanrt__fd_arm", "fire|chanrt__fd_arm");
PUBLISH(fire_signal, "fire|chanrt__signal_open_locked", "fire|chanrt__poll_fire");
PUBLISH(current, "current|chanrt__sched_switch", "current|chanrt__watch_look");
PUBLISH(current_reused, "current|chanrt__sched_task_main", "current|chanrt_worker_stats");
PUBLISH(cancel, "cancel|chanrt__context_mark", "cancel|chanrt_ctx_err");
PUBLISH(done, "done|chanrt_ctx_done", "done|chanrt_ctx_done");
PUBLISH(done_help, "done|chanrt_ctx_done", "done|chanrt__context_help");
PUBLISH(done_settle, "done|chanrt_ctx_done", "done|chanrt__context_settle");
PUBLISH(swept, "swept|chanrt__context_sweep", "swept|chanrt__context_mark");
PUBLISH(turn_end, "turn|chanrt__det_stop_worker", "turn|chanrt__det_await");
PUBLISH(turn, "turn|chanrt__det_pass_locked", "turn|chanrt__det_await");
PUBLISH(once_quick, "once|chanrt__sync_once_end", "api|chanrt_sync_once_do");

// Those that meet under one lock as well.
#define LOCKED(name, store, load)                                 \
    struct name : rl::test_suite<name, 2> {                       \
        rl::mutex m;                                              \
        word there;                                               \
        plain fields;                                             \
        void before() { STORE(there, 0); }                        \
        void thread(unsigned me) {                                \
            m.lock($);                                            \
            if (me == 0) {                                        \
                fields($) = 1;                                    \
                STORE_REL(there, 1, store);                       \
            } else if (LOAD_ACQ(there, load) != 0) {              \
                RL_ASSERT(fields($) == 1);                        \
            }                                                     \
            m.unlock($);                                          \
        }                                                         \
    }
LOCKED(helper, "wake|chanrt__blocking_submit", "wake|chanrt__blocking_next");
LOCKED(helper_ends, "wake|chanrt__blocking_shutdown", "wake|chanrt__blocking_next");
LOCKED(once, "once|chanrt__sync_once_end", "once|chanrt_x_once_do");
LOCKED(restart, "start|chanrt_shutdown", "start|chanrt_shutdown");

// --- tasks alive: sched_finish, sched_live [ended]. A task that has ended had spawned another
// one, which is alive for ever: the sum is never 0.
struct ended : rl::test_suite<ended, 2> {
    word spawned, finished;
    void before() { STORE(spawned, 1), STORE(finished, 0); }
    void thread(unsigned me) {
        if (me == 0) {
            STORE(spawned, 2);
            STORE_REL(finished, 1, "ended|chanrt__sched_finish");
        } else {
            unsigned f = LOAD_ACQ(finished, "ended|chanrt__sched_live");
            RL_ASSERT(LOAD(spawned) > f);
        }
    }
};

// --- a signal of a condition: sync_cond_wait, sync_cond_signal, sync_cond_broadcast [peek]. Who
// waits has queued before it lets go of the mutex.
template<bool ALL> struct cond : rl::test_suite<cond<ALL>, 2> {
    rl::mutex m;
    spin l;
    word first, ready;
    plain flag;
    futex<2> sleeping;
    void before() { l.init(), STORE(first, 0), STORE(ready, 0), flag($) = 0; }
    void wait() {
        m.lock($);
        while (flag($) == 0) {
            l.lock();
            STORE_REL(first, 1, "peek|chanrt__wait_enqueue");
            l.unlock();
            m.unlock($);
            while (LOAD(ready) == 0) sleeping.sleep(ready, 0, false);
            m.lock($);
        }
        m.unlock($);
    }
    void signal() {
        if ((ALL ? LOAD_ACQ(first, "peek|chanrt_sync_cond_broadcast")
                 : LOAD_ACQ(first, "peek|chanrt_sync_cond_signal")) == 0)
            return;
        l.lock();
        RL_ASSERT(LOAD(first) != 0);
        STORE_REL(first, 0, "peek|chanrt__wait_unlink");
        l.unlock();
        STORE(ready, 1);
        sleeping.wake();
    }
    void thread(unsigned me) {
        if (me == 0) return wait();
        m.lock($);
        flag($) = 1;
        m.unlock($);
        signal();
    }
};

// --- a context's channel is closed by who sets the error, or by who finds it set: context_help,
// chan_close [peek].
struct help : rl::test_suite<help, 2> {
    spin l;
    word closed;
    plain times;
    void before() { l.init(), STORE(closed, 0), times($) = 0; }
    void thread(unsigned me) {
        if (me == 1 && LOAD_ACQ(closed, "peek|chanrt__context_help") != 0) return;
        l.lock();
        if (LOAD(closed) == 0) {
            STORE_REL(closed, 1, "peek|chanrt__chan_close");
            times($) = times($) + 1;
        }
        l.unlock();
    }
    void after() { RL_ASSERT(times($) == 1); }
};

// --- two that start: chanrt_start, sched_start_locked [start].
struct start_again : rl::test_suite<start_again, 2> {
    rl::mutex m;
    word running;
    plain times;
    void before() { STORE(running, 0), times($) = 0; }
    void thread(unsigned) {
        if (LOAD_ACQ(running, "start|chanrt_start") != 0) return;
        m.lock($);
        if (LOAD(running) == 0) {
            times($) = times($) + 1;
            STORE_REL(running, 1, "start|chanrt__sched_start_locked");
        }
        m.unlock($);
    }
    void after() { RL_ASSERT(times($) == 1); }
};

// --- the thread that looks on: watch_start_locked, watch_main, watch_stop [watch]. What it looks
// at is gone once it has been joined.
struct watch : rl::test_suite<watch, 2> {
    rl::mutex kernel; // orders who starts and joins a thread, and the bell
    word helpers, started, left, bell;
    plain looked_at;
    futex<2> ringing;
    void before() {
        STORE(helpers, 0), STORE(started, 0), STORE(left, 0), STORE(bell, 0);
        looked_at($) = 0;
    }
    void main() {
        while (started($).load(rl::mo_acquire) == 0) pause_();
        while (LOAD_ACQ(helpers, "watch|chanrt__watch_main") > 0) {
            if (rl::rand(2) == 0) RL_ASSERT(looked_at($) == 1);
            while (!rung()) ringing.sleep(bell, 0, false);
        }
        RL_ASSERT(looked_at($) == 1);
        left($).store(1, rl::mo_release);
    }
    bool rung() {
        kernel.lock($);
        bool is = LOAD(bell) != 0;
        STORE(bell, 0);
        kernel.unlock($);
        return is;
    }
    void ring() {
        kernel.lock($);
        STORE(bell, 1);
        kernel.unlock($);
        ringing.wake();
    }
    void thread(unsigned me) {
        if (me == 1) return main();
        looked_at($) = 1;
        STORE_REL(helpers, 1, "watch|chanrt__watch_start_locked");
        started($).store(1, rl::mo_release);
        for (unsigned i = rl::rand(3); i > 0; i--) pause_();
        STORE_REL(helpers, 0, "watch|chanrt__watch_stop");
        ring();
        while (left($).load(rl::mo_acquire) == 0) pause_();
        looked_at($) = 2;
    }
};

// --- signals: signal_handler, signal_fire [rung]. The bell is the kernel's, which orders it.
struct rung : rl::test_suite<rung, 3> {
    rl::mutex kernel;
    word count, bell;
    plain delivered;
    futex<3> ringing;
    void before() { STORE(count, 0), STORE(bell, 0), delivered($) = 0; }
    void handler() {
        ADD_SEQ(count, 1, "rung|chanrt__signal_handler");
        kernel.lock($);
        STORE(bell, LOAD(bell) + 1);
        kernel.unlock($);
        ringing.wake();
    }
    bool heard() {
        kernel.lock($);
        bool is = LOAD(bell) != 0;
        STORE(bell, 0);
        kernel.unlock($);
        return is;
    }
    void thread(unsigned me) {
        if (me != 0) return handler();
        while (delivered($) < 2) {
            while (!heard()) ringing.sleep(bell, 0, false);
            if (LOAD(count) != 0)
                delivered($) =
                    delivered($) + (int)SWAP_ACQREL(count, 0, "rung|chanrt__signal_fire");
        }
    }
    void after() { RL_ASSERT(delivered($) == 2); }
};

// --- events of a descriptor: fd_fire, fd_begin, fd_check_locked, fd_empty, io_note [edge] [kind];
// fd_cancel, fd_closed [closes]. What is there to read is a word of the kernel, which is supposed
// to order nothing. The reader looks until it has read all, or the number is closed.
enum edge_kind { ARRIVES, ENDS, IS_CLOSED };
enum { ALIVE = 1, OTHER = 2 };
template<edge_kind KIND> struct edge : rl::test_suite<edge<KIND>, 2> {
    spin l;
    word there, ended, open; // the kernel's
    word edges, closes, a_kind, drained;
    plain waits, got;
    word woken;
    futex<2> sleeping;
    void before() {
        l.init();
        STORE(there, 0), STORE(ended, 0), STORE(open, 1), STORE(woken, 0);
        STORE(edges, 0), STORE(closes, 0), STORE(a_kind, 0), STORE(drained, 0);
        waits($) = 0, got($) = 0;
    }
    void take_all_unlock() {
        bool wake = waits($) != 0;
        waits($) = 0;
        l.unlock();
        if (wake) woken($).store(1, rl::mo_release), sleeping.wake();
    }
    void fire(bool end) {
        if (end) STORE(a_kind, OTHER);
        l.lock();
        STORE_REL(edges, LOAD(edges) + 1, "edge|chanrt__fd_fire");
        take_all_unlock();
    }
    void close() {
        l.lock();
        STORE_REL(closes, LOAD(closes) + 1, "closes|chanrt__fd_cancel");
        take_all_unlock();
        STORE(open, 0);
        fire(false);
    }
    bool wait(unsigned look, unsigned closes_then) { // false: it is closed
        l.lock();
        if (LOAD(closes) != closes_then) return l.unlock(), false;
        if (LOAD(edges) != look) return l.unlock(), true;
        waits($) = 1;
        l.unlock();
        while (woken($).load(rl::mo_acquire) == 0) sleeping.sleep(woken, 0, false);
        STORE(woken, 0);
        return true;
    }
    void note(unsigned look, bool emptied) {
        unsigned k = LOAD(a_kind);
        if (k == OTHER) return;
        STORE(drained, look - !emptied);
        if (k == 0) CAS(a_kind, 0, ALIVE, "kind|chanrt__io_note");
    }
    void read_all() {
        for (;;) {
            unsigned look = LOAD_ACQ(edges, "edge|chanrt__fd_begin");
            unsigned closes_then = LOAD_ACQ(closes, "closes|chanrt__fd_begin");
            bool empty = LOAD(a_kind) == ALIVE && LOAD(drained) == look;
            if (!empty) {
                if (LOAD(open) == 0) return;
                bool end = LOAD(ended) != 0;
                int n = (int)LOAD(there) - got($);
                got($) = got($) + n;
                if (end || (KIND == ARRIVES && got($) == 2)) return;
                note(look, true);
                if (n > 0) continue;
            }
            if (!wait(look, closes_then)) return;
        }
    }
    void thread(unsigned me) {
        if (me == 1) return read_all();
        STORE(there, 1);
        fire(false);
        if (KIND == IS_CLOSED) return close();
        STORE(there, 2);
        if (KIND == ENDS) STORE(ended, 1);
        fire(KIND == ENDS);
    }
};

// --- a record of events is read while its thread may still add to it: trace_start, trace_ring,
// trace_join, trace_add, trace_finish, trace_joined, trace_survey [run] [ring] [trace]. All that
// is left out is the oldest record, over which one may be written.
template<bool ASYM> struct trace : rl::test_suite<trace<ASYM>, 2> {
    enum { N = 2, MOST = 4 };
    word run, ring, head;
    plain size, fields, record[N];
    void before() { STORE(run, 0), STORE(ring, 0), STORE(head, 0), size($) = 0, fields($) = 0; }
    void adds() {
        bool joined = false;
        for (unsigned i = 0; i < MOST; i++) {
            light_fence<2, ASYM>();
            if (LOAD_ACQ(run, "run|chanrt__trace_ring") == 0) {
                if (joined) return;
                pause_();
                continue;
            }
            if (!joined) {
                RL_ASSERT(size($) == 1);
                fields($) = 1;
                STORE_REL(ring, 1, "ring|chanrt__trace_join");
                joined = true;
            }
            unsigned at = LOAD(head);
            record[at % N]($) = (int)at + 1;
            STORE_REL(head, at + 1, "trace|chanrt__trace_add");
        }
    }
    void reads() {
        size($) = 1;
        STORE_REL(run, 1, "run|chanrt__trace_start");
        for (unsigned i = rl::rand(12); i > 0; i--) pause_();
        STORE_REL(run, 0, "run|chanrt__trace_finish");
        heavy_fence<2, ASYM>();
        unsigned end = 0;
        if (LOAD_ACQ(ring, "ring|chanrt__trace_joined") != 0) {
            RL_ASSERT(fields($) == 1);
            end = LOAD_ACQ(head, "trace|chanrt__trace_survey");
        }
        if (LOAD_ACQ(ring, "ring|chanrt__trace_joined") != 0) { // it may have come meanwhile
            RL_ASSERT(fields($) == 1);
            for (unsigned at = end < N ? 0 : end - N + 1; at < end; at++)
                RL_ASSERT(record[at % N]($) == (int)at + 1);
        }
    }
    void thread(unsigned me) {
        if (me == 0) adds();
        else reads();
    }
};

// --- a spawn's place: trace_start, trace_place [run]. Who spawns has seen that the pool runs.
struct run_place : rl::test_suite<run_place, 2> {
    word run, running;
    plain places;
    void before() { STORE(run, 0), STORE(running, 0), places($) = 0; }
    void thread(unsigned me) {
        if (me == 0) {
            places($) = 1;
            STORE_REL(run, 1, "run|chanrt__trace_start");
            STORE_REL(running, 1, "start|chanrt__sched_start_locked");
        } else if (LOAD_ACQ(running, "start|chanrt__sched_ensure") != 0) {
            RL_ASSERT(places($) == 1);
            RL_ASSERT(LOAD_ACQ(run, "run|chanrt__trace_place") != 0);
        }
    }
};

// --- mutexes: sync_mutex_try, _enter, _note_locked, _wait, _unlock [mutex], wait_enqueue_first
// [peek], and the unlock of a quiet lot that is inlined into programs, with chanrt_x_mutex_wake. No
// deadlines; whether a waiter counts as starved is drawn.
enum { LOCKED_ = 1, WOKEN = 2, HANDOFF = 4 };
template<int N, bool QUIET, bool ASYM> struct mutex : rl::test_suite<mutex<N, QUIET, ASYM>, N> {
    spin lot;
    word state, quiet, first, ready[N];
    plain data, queue[N], queued, err[N];
    futex<N> sleeping[N];
    void before() {
        lot.init(), STORE(state, 0), STORE(quiet, QUIET), data($) = 0, queued($) = 0;
        STORE(first, 0);
        for (int i = 0; i < N; i++) STORE(ready[i], 0);
    }
    bool try_(bool woken) {
        unsigned s = LOAD(state), kept = ~(woken ? (unsigned)WOKEN : 0u);
        while (!(s & LOCKED_)) {
            if (CAS(state, s, (s | LOCKED_) & kept, "mutex|chanrt__sync_mutex_try")) return true;
            s = LOAD(state);
        }
        return false;
    }
    void enter() {
        lot.lock();
        while (LOAD(quiet) != 0) {
            STORE(quiet, 0);
            lot.unlock();
            heavy_fence<N, ASYM>();
            lot.lock();
        }
    }
    bool note(bool woken, bool starved) {
        for (;;) {
            unsigned s = LOAD(state), t = s;
            if (!(s & LOCKED_)) return false;
            if (woken) t &= ~(unsigned)WOKEN;
            if (starved) t |= HANDOFF;
            if (s == t || CAS(state, s, t, "mutex|chanrt__sync_mutex_note_locked")) return true;
        }
    }
    void lock(unsigned me) {
        bool woken = false, starved = false;
        if (try_(false)) return;
        for (;;) {
            enter();
            if (!note(woken, starved)) {
                lot.unlock();
                if (try_(woken)) return;
                continue;
            }
            enqueue(me, woken && queued($));
            switched(lot.w);
            while (ready[me]($).load(rl::mo_acquire) == 0) sleeping[me].sleep(ready[me], 0, false);
            STORE(ready[me], 0);
            if (err[me]($) == 0) return;
            woken = true;
            if (try_(true)) return;
            starved = rl::rand(2) != 0;
        }
    }
    void enqueue(unsigned me, bool at_head) {
        if (at_head) {
            queue[1]($) = queue[0]($), queue[0]($) = (int)me;
            STORE_REL(first, me + 1, "peek|chanrt__wait_enqueue_first");
        } else {
            queue[queued($)]($) = (int)me;
            if (!queued($)) STORE_REL(first, me + 1, "peek|chanrt__wait_enqueue");
        }
        queued($) = queued($) + 1;
    }
    int take() {
        int n = (int)LOAD(first) - 1;
        RL_ASSERT(n == (queued($) ? queue[0]($) : -1));
        if (n < 0) return n;
        queued($) = queued($) - 1;
        if (queued($)) queue[0]($) = queue[1]($);
        STORE_REL(first, queued($) ? (unsigned)queue[0]($) + 1 : 0, "peek|chanrt__wait_unlink");
        return n;
    }
    void finish(int n, int e) { // through a run queue, whose locks order it
        err[n]($) = e;
        ready[n]($).store(1, rl::mo_release);
        sleeping[n].wake();
    }
    void unlock() {
        if (LOAD(state) == LOCKED_ && LOAD(quiet) != 0) {
            state($).store(0, ORDER("api|chanrt_sync_mutex_unlock|SYNC_CLEAR", rl::mo_release));
            if (!ASYM) FENCE("fence|chanrt__os_light_fence|fence_seq");
            if (LOAD(quiet) == 0) wake();
            return;
        }
        for (;;) {
            unsigned s = LOAD(state);
            RL_ASSERT(s & LOCKED_);
            if ((s & (WOKEN | HANDOFF)) != WOKEN) break;
            if (CAS(state, s, WOKEN, "mutex|chanrt__sync_mutex_unlock")) return;
        }
        int n = -1;
        bool given = false;
        lot.lock();
        unsigned s = LOAD(state);
        RL_ASSERT(s & LOCKED_);
        if ((s & HANDOFF) || !(s & WOKEN)) n = take();
        if (n < 0) {
            s &= WOKEN;
        } else if (s & HANDOFF) {
            given = true;
            s &= ~(unsigned)HANDOFF;
        } else {
            s = WOKEN;
        }
        STORE_REL(state, s, "mutex|chanrt__sync_mutex_unlock");
        lot.unlock();
        if (n >= 0) finish(n, given ? 0 : 1);
    }
    void wake() {
        lot.lock();
        int n = -1;
        if (queued($) && !(LOAD(state) & (WOKEN | HANDOFF))) n = take();
        if (n >= 0) state($).fetch_or(WOKEN, rl::mo_relaxed);
        lot.unlock();
        if (n >= 0) finish(n, 1);
    }
    void thread(unsigned me) {
        for (int i = 0; i < (N == 2 || me == 0 ? 2 : 1); i++) { // 0 may come before one it woke
            lock(me);
            data($) = data($) + 1;
            unlock();
        }
    }
    void after() { RL_ASSERT(data($) == 4); }
};

// --- shared rwmutexes: sync_rw_try, _pass_locked, _leave, _lock, _drop, unlock [rwmutex].
// Thread 0 writes; 1 reads; 2 reads, and gives up when it has to wait for long.
enum { QUEUED = 2, READER = 4 };
struct rwmutex : rl::test_suite<rwmutex, 3> {
    spin lot;
    word state, ready[3];
    plain data[3], readers, writers, waits[3];
    futex<3> sleeping[3];
    void before() {
        lot.init(), STORE(state, 0), readers($) = 0, writers($) = 0;
        for (int i = 0; i < 3; i++) STORE(ready[i], 0), data[i]($) = 0, waits[i]($) = 0;
    }
    unsigned queued() { return readers($) + writers($) != 0 ? QUEUED : 0; }
    bool try_(bool reader, bool mark) {
        for (;;) {
            unsigned s = LOAD(state), t = s | QUEUED;
            bool free = reader ? (s & (LOCKED_ | QUEUED)) == 0 : s == 0;
            if (free) t = reader ? s + READER : (unsigned)LOCKED_;
            else if (!mark || (s & QUEUED)) return false;
            if (!mark && CAS(state, s, t, "rwmutex|chanrt__sync_rw_try")) return free;
            if (mark && CAS(state, s, t, "rwmutex|chanrt__sync_rw_try_locked")) return free;
        }
    }
    unsigned pass(unsigned s, bool readers_first) { // whom to make ready, a bit each
        unsigned out = 0;
        for (int turn = 0; turn < 2 && out == 0; turn++) {
            if (readers_first == (turn == 0)) {
                for (unsigned i = 1; i < 3; i++)
                    if (waits[i]($)) waits[i]($) = 0, out |= 1u << i, s += READER;
                readers($) = 0;
            } else if (s == 0 && writers($)) {
                writers($) = 0, waits[0]($) = 0;
                out = 1, s = LOCKED_;
            }
        }
        s |= queued();
        STORE_REL(state, s, "rwmutex|chanrt__sync_rw_put_locked");
        return out;
    }
    void finish(unsigned out) {
        for (unsigned i = 0; i < 3; i++)
            if (out >> i & 1) ready[i]($).store(1, rl::mo_release), sleeping[i].wake();
    }
    bool lock(unsigned me) {
        bool reader = me != 0, late = false;
        if (try_(reader, false)) return true;
        lot.lock();
        if (try_(reader, true)) return lot.unlock(), true;
        waits[me]($) = 1;
        if (reader) readers($) = readers($) + 1;
        else writers($) = 1;
        lot.unlock();
        while (ready[me]($).load(rl::mo_acquire) == 0 && !late)
            late = !sleeping[me].sleep(ready[me], 0, me == 2);
        if (!late) return STORE(ready[me], 0), true;
        lot.lock();
        unsigned in = 0;
        if (!waits[me]($)) { // served just now
            lot.unlock();
            while (ready[me]($).load(rl::mo_acquire) == 0) pause_();
            STORE(ready[me], 0);
            return true;
        }
        waits[me]($) = 0, readers($) = readers($) - 1;
        unsigned s = LOAD(state), held = s & ~(unsigned)QUEUED;
        if (s & QUEUED) {
            if (!(s & LOCKED_) && writers($) == 0) in = pass(held, true);
            else STORE_REL(state, held | queued(), "rwmutex|chanrt__sync_rw_put_locked");
        }
        lot.unlock();
        finish(in);
        return false;
    }
    void runlock() {
        unsigned s = LOAD(state), in = 0;
        if (s >= READER && (s & QUEUED) == 0 &&
            CAS(state, s, s - READER, "rwmutex|chanrt__sync_rw_drop_reader"))
            return;
        lot.lock();
        for (;;) {
            s = LOAD(state);
            RL_ASSERT(s >= READER);
            if (s & QUEUED) break;
            if (CAS(state, s, s - READER, "rwmutex|chanrt__sync_rw_drop_locked"))
                return lot.unlock();
        }
        s = LOAD(state) - READER;
        if (s >= READER) STORE_REL(state, s, "rwmutex|chanrt__sync_rw_put_locked");
        else in = pass(0, false);
        lot.unlock();
        finish(in);
    }
    void unlock() {
        if (cas(state, LOCKED_, 0, ORDER("api|chanrt_x_sync_swap|cas", rl::mo_acq_rel), $)) return;
        lot.lock();
        unsigned in = pass(0, true);
        lot.unlock();
        finish(in);
    }
    void thread(unsigned me) {
        for (int i = 0; i < 2; i++) use(me);
    }
    void use(unsigned me) {
        for (unsigned i = me == 2 ? rl::rand(30) : 0; i > 0; i--) pause_(); // late, as a rule
        if (!lock(me)) return;
        if (me == 0) {
            for (int i = 0; i < 3; i++) data[i]($) = data[i]($) + 1;
            unlock();
        } else {
            int seen = data[0]($);
            RL_ASSERT(data[me]($) == seen);
            runlock();
        }
    }
};

// --- who has a rwmutex to himself leaves with a plain store: sync_rw_alone, x_rwmutex_back,
// sync_rw_share_locked, _settle_locked, _free_locked, _unlock_locked, _unshare [alone] [rwmutex].
// Thread 0 has written and leaves; 1 reads if it can have it alone; 2 shares it, writes once nobody
// is counted, and leaves it as it was. With membarrier: accesses that are seq_cst beside a fence
// that is, as without it, are not simulated.
struct alone : rl::test_suite<alone, 3> {
    enum { SHARED_ = 8, ALONE = 16 };
    spin lot;
    word state, has;
    plain data;
    void before() { lot.init(), STORE(state, 0), STORE(has, LOCKED_), data($) = 0; }
    bool take(unsigned how) {
        if (LOAD(state) != 0 || !CAS_SEQ(has, 0, how, "alone|chanrt__sync_rw_alone")) return false;
        if (LOAD_SEQ(state, "alone|chanrt__sync_rw_alone") == 0) return true;
        STORE_REL(has, 0, "alone|chanrt_x_rwmutex_back");
        return false;
    }
    void enter() {
        lot.lock();
        STORE(state, QUEUED);
        lot.unlock();
        heavy_fence<3, true>();
        lot.lock();
        unsigned in = LOAD_ACQ(has, "alone|chanrt__sync_rw_share_locked");
        STORE_REL(state, SHARED_ | (in ? in | ALONE : 0), "rwmutex|chanrt__sync_rw_share_locked");
    }
    void settle() {
        unsigned s = LOAD(state);
        if (!(s & ALONE) || LOAD_ACQ(has, "alone|chanrt__sync_rw_settle_locked") != 0) return;
        CAS(state, s, SHARED_, "rwmutex|chanrt__sync_rw_drop_locked");
    }
    void leave() {
        lot.lock();
        if (!(LOAD(state) & SHARED_)) {
            STORE_REL(has, 0, "alone|chanrt__sync_rw_unlock_locked");
        } else {
            STORE_REL(has, 0, "alone|chanrt__sync_rw_free_locked");
            STORE_REL(state, SHARED_, "rwmutex|chanrt__sync_rw_put_locked");
        }
        lot.unlock();
    }
    void thread(unsigned me) {
        if (me == 0) {
            data($) = 1;
            if (LOAD(state) == 0) has($).store(0, rl::mo_release); // inlined
            else leave();
        } else if (me == 1) {
            for (unsigned i = rl::rand(20); i > 0; i--) pause_();
            for (int tries = 0; tries < 3; tries++, pause_())
                if (take(READER)) {
                    RL_ASSERT(data($) >= 1);
                    has($).store(0, rl::mo_release);
                    return;
                }
        } else {
            enter();
            for (int tries = 0; tries < 6; tries++, pause_()) {
                settle();
                if (CAS(state, SHARED_, SHARED_ | LOCKED_, "rwmutex|chanrt__sync_rw_try_locked")) {
                    data($) = 2;
                    CAS(state, SHARED_ | LOCKED_, 0, "rwmutex|chanrt__sync_rw_unshare");
                    break;
                }
                lot.unlock(), pause_(), lot.lock();
            }
            lot.unlock();
        }
    }
};

// --- semaphores: sync_sem_try, _serve_locked, acquire and release [sem]. Two units: thread 0 takes
// both and writes, 1 and 2 take one each and read.
struct sem : rl::test_suite<sem, 3> {
    spin lot;
    word state, ready[3];
    plain data, queue[3], queued;
    futex<3> sleeping[3];
    void before() {
        lot.init(), STORE(state, 4), data($) = 0, queued($) = 0;
        for (int i = 0; i < 3; i++) STORE(ready[i], 0);
    }
    static unsigned wants(int thread) { return thread == 0 ? 2 : 1; }
    bool try_(unsigned k, bool mark) {
        for (;;) {
            unsigned old = LOAD(state), now = old | 1;
            bool free = (old & 1) == 0 && k <= old >> 1;
            if (free) now = old - 2 * k;
            else if (!mark || (old & 1)) return false;
            if (CAS(state, old, now, "sem|chanrt__sync_sem_try")) return free;
        }
    }
    void acquire(int me) {
        if (try_(wants(me), false)) return;
        lot.lock();
        if (try_(wants(me), true)) return lot.unlock();
        queue[queued($)]($) = me;
        queued($) = queued($) + 1;
        switched(lot.w);
        while (ready[me]($).load(rl::mo_acquire) == 0) sleeping[me].sleep(ready[me], 0, false);
        STORE(ready[me], 0);
    }
    unsigned serve(unsigned free) { // whom to make ready, a bit each
        unsigned out = 0;
        while (queued($) && wants(queue[0]($)) <= free) {
            out |= 1u << queue[0]($);
            free -= wants(queue[0]($));
            queued($) = queued($) - 1;
            for (int i = 0; i < queued($); i++) queue[i]($) = queue[i + 1]($);
        }
        STORE_REL(state, 2 * free | (queued($) != 0), "sem|chanrt__sync_sem_serve_locked");
        return out;
    }
    void release(int me) {
        unsigned old, in = 0;
        lot.lock();
        do {
            old = LOAD(state);
            if (old & 1) in = serve((old >> 1) + wants(me));
        } while (!(old & 1) && !CAS(state, old, old + 2 * wants(me), "sem|chanrt_x_sem_release"));
        lot.unlock();
        for (unsigned i = 0; i < 3; i++)
            if (in >> i & 1) ready[i]($).store(1, rl::mo_release), sleeping[i].wake();
    }
    void thread(unsigned me) {
        for (unsigned i = me == 2 ? rl::rand(30) : 0; i > 0; i--) pause_(); // late, as a rule
        acquire((int)me);
        if (me == 0) data($) = data($) + 1;
        else RL_ASSERT(data($) <= 1);
        release((int)me);
    }
    void after() { RL_ASSERT(data($) == 1); }
};

// --- after a shutdown that reclaimed who waited for a semaphore: sync_sem_try, marking [sem].
// 0 has written and releases, and marks for one that is gone by then; 1 finds the mark; 2 comes and
// reads.
struct sem_left : rl::test_suite<sem_left, 3> {
    spin lot;
    word state;
    plain data;
    void before() { lot.init(), STORE(state, 0), data($) = 0; }
    bool try_(bool mark) {
        for (;;) {
            unsigned old = LOAD(state), now = old | 1;
            if (mark && (old & 1)) {
                old &= ~1u;
                STORE_REL(state, old, "sem|chanrt__sync_sem_try");
            }
            bool free = (old & 1) == 0 && old >= 2;
            if (free) now = old - 2;
            else if (!mark || (old & 1)) return false;
            if (CAS(state, old, now, "sem|chanrt__sync_sem_try")) return free;
        }
    }
    void thread(unsigned me) {
        if (me == 0) {
            data($) = 1;
            lot.lock();
            CAS(state, 0, 4, "sem|chanrt_x_sem_release");
            CAS(state, 4, 4 | 1, "sem|chanrt__sync_sem_try");
            lot.unlock();
        } else if (me == 1) {
            lot.lock();
            if (LOAD(state) & 1) try_(true);
            lot.unlock();
        } else {
            for (int tries = 0; tries < 6; tries++, pause_()) {
                if (!try_(false)) continue;
                RL_ASSERT(data($) == 1);
                return;
            }
        }
    }
};

//--------------------------------------------------------------------------------------------------

struct nothing : std::streambuf {
    int overflow(int c) { return c; }
};

// Status: 0 holds, 1 fails, 2 the weakened access is not in this harness.
template<class H> static int harness(unsigned long n) {
    static nothing sink;
    static std::ostream quiet(&sink);
    rl::test_params p;
    p.iteration_count = n;
    p.execution_depth_limit = 2000;
    if (getenv("TRACE") == NULL) p.output_stream = &quiet;
    p.progress_stream = &quiet;
    p.iteration_count = n < 500 ? n : 500; // whether it is in here at all
    bool ok = rl::simulate<H>(p);
    if (weak_site != NULL && !weak_hit) return puts("no such access"), 2;
    p.iteration_count = n;
    ok = ok && rl::simulate<H>(p);
    if (ok) printf("holds, %lu executions\n", n);
    else printf("fails at execution %lu: %s\n", (unsigned long)p.stop_iteration,
                rl::test_result_str(p.test_result));
    return ok ? 0 : 1;
}

static const struct {
    const char *name;
    int (*run)(unsigned long n);
} all[] = {
    { "lock", harness<lock> },
    { "park", harness<park_plain> },
    { "claim_timer", harness<claim<BY_TIMER> > },
    { "claim_queues", harness<claim<BY_QUEUES> > },
    { "claim_node", harness<claim<BY_NODE> > },
    { "claim_cancel", harness<claim<CANCELS> > },
    { "thread", harness<thread_park<false, false> > },
    { "thread_timed", harness<thread_park<true, false> > },
    { "thread_drawn", harness<thread_park<false, true> > },
    { "bias", harness<bias<true> > },
    { "bias_sym", harness<bias<false> > },
    { "idle_shared", harness<idle<1, SHARED, true> > },
    { "idle_pinned", harness<idle<1, PINNED, true> > },
    { "idle_pinned_sym", harness<idle<1, PINNED, false> > },
    { "idle_own", harness<idle<1, OWN, true> > },
    { "idle_two", harness<idle<2, SHARED, true> > },
    { "idle_two_sym", harness<idle<2, SHARED, false> > },
    { "peek_counts", harness<peek<COUNTS> > },
    { "peek_room", harness<peek<ROOM> > },
    { "peek_queues", harness<peek<QUEUES> > },
    { "peek_shifts", harness<peek<SHIFTS> > },
    { "peek_closes", harness<peek<CLOSES> > },
    { "refs", harness<refs<false> > },
    { "refs_context", harness<refs<true> > },
    { "slab", harness<slab> },
    { "slab_profile", harness<slab_profile> },
    { "slab_leaks", harness<slab_leaks> },
    { "slab_ours", harness<slab_ours> },
    { "slab_room", harness<slab_room> },
    { "profile", harness<profile> },
    { "profile_write", harness<profile_write> },
    { "start_leaks", harness<start_leaks> },
    { "alone", harness<alone> },
    { "chunk", harness<chunk> },
    { "start", harness<start> },
    { "start_drawn", harness<start_drawn> },
    { "restart", harness<restart> },
    { "poll", harness<poll> },
    { "fire", harness<fire> },
    { "fire_arm", harness<fire_arm> },
    { "fire_signal", harness<fire_signal> },
    { "current", harness<current> },
    { "current_reused", harness<current_reused> },
    { "cancel", harness<cancel> },
    { "done", harness<done> },
    { "done_help", harness<done_help> },
    { "done_settle", harness<done_settle> },
    { "swept", harness<swept> },
    { "turn", harness<turn> },
    { "turn_end", harness<turn_end> },
    { "once", harness<once> },
    { "once_quick", harness<once_quick> },
    { "helper", harness<helper> },
    { "helper_ends", harness<helper_ends> },
    { "ended", harness<ended> },
    { "cond_signal", harness<cond<false> > },
    { "cond_broadcast", harness<cond<true> > },
    { "help", harness<help> },
    { "start_again", harness<start_again> },
    { "watch", harness<watch> },
    { "rung", harness<rung> },
    { "edge", harness<edge<ARRIVES> > },
    { "edge_ends", harness<edge<ENDS> > },
    { "edge_closed", harness<edge<IS_CLOSED> > },
    { "trace", harness<trace<true> > },
    { "trace_sym", harness<trace<false> > },
    { "run_place", harness<run_place> },
    { "ring_leaks", harness<ring_leaks> },
    { "traced", harness<traced> },
    { "mutex", harness<mutex<2, false, true> > },
    { "mutex_three", harness<mutex<3, false, true> > },
    { "mutex_quiet", harness<mutex<2, true, true> > },
    { "rwmutex", harness<rwmutex> },
    { "sem", harness<sem> },
    { "sem_left", harness<sem_left> },
};

static order order_named(const char *name) {
    if (strcmp(name, "acquire") == 0) return rl::mo_acquire;
    if (strcmp(name, "release") == 0) return rl::mo_release;
    if (strcmp(name, "acqrel") == 0) return rl::mo_acq_rel;
    return rl::mo_relaxed;
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc < 3 && i < sizeof all / sizeof *all; i++) puts(all[i].name);
    if (argc < 3) return 0;
    if (argc > 4) weak_site = argv[3], weak_order = order_named(argv[4]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].name, argv[1]) != 0) continue;
        return all[i].run(strtoul(argv[2], NULL, 10));
    }
    return puts("no such harness"), 2;
}
