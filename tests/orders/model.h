// model.h - the header's words for atomics, over relacy's simulated memory: every access that the
// header tags carries the same name here, `tag|function|access`, and can be weakened by it.
//
// What a load may return, beside the newest value, is any older one that the orders allow, up to
// two stores back (relacy keeps three). A race on plain data is an error, and so is a sleep that
// nobody ends.
#ifndef ORDERS_MODEL_H
#define ORDERS_MODEL_H

#include <relacy/relacy.hpp>
#include <stdio.h>
#include <string.h>

typedef rl::memory_order order;
typedef rl::atomic<unsigned> word;

// Plain data. relacy switches threads at atomic accesses only, which is enough for races; but a
// membarrier of another thread may come before this access, too.
struct plain : rl::var<int> {
    rl::var_proxy<int> operator()(rl::debug_info_param at) {
        rl::ctx().sched();
        return rl::var<int>::operator()(at);
    }
};

static const char *weak_site;   // the access that is weakened; NULL: none
static order weak_order;
static bool weak_hit;

static order order_of(const char *site, order strong) {
    if (weak_site == NULL || strcmp(site, weak_site) != 0) return strong;
    weak_hit = true;
    return weak_order;
}
#define ORDER(site, strong) \
    ([]() -> order { static const order o = order_of(site, strong); return o; }())

#define LOAD(p) ((p)($).load(rl::mo_relaxed))
#define STORE(p, v) ((p)($).store((v), rl::mo_relaxed))
#define LOAD_ACQ(p, at) ((p)($).load(ORDER(at "|load_acq", rl::mo_acquire)))
#define STORE_REL(p, v, at) ((p)($).store((v), ORDER(at "|store_rel", rl::mo_release)))
#define SWAP_ACQ(p, v, at) ((p)($).exchange((v), ORDER(at "|swap_acq", rl::mo_acquire)))
#define SWAP_ACQREL(p, v, at) ((p)($).exchange((v), ORDER(at "|swap_acqrel", rl::mo_acq_rel)))
#define SUB_ACQREL(p, v, at) ((p)($).fetch_sub((v), ORDER(at "|sub_acqrel", rl::mo_acq_rel)))
#define ADD_SEQ(p, v, at) ((p)($).fetch_add((v), ORDER(at "|add_seq", rl::mo_seq_cst)))
#define CAS(p, from, to, at) cas((p), (from), (to), ORDER(at "|cas_acqrel", rl::mo_acq_rel), $)
#define LOAD_SEQ(p, at) ((p)($).load(ORDER(at "|load_seq", rl::mo_seq_cst)))
#define CAS_SEQ(p, from, to, at) cas((p), (from), (to), ORDER(at "|cas_seq", rl::mo_seq_cst), $)
#define FENCE(at) fence(ORDER(at, rl::mo_seq_cst), $)

static inline bool cas(word &p, unsigned from, unsigned to, order o, rl::debug_info_param at) {
    return p(at).compare_exchange_strong(from, to, o);
}

static inline void fence(order o, rl::debug_info_param at) {
    if (o != rl::mo_relaxed) rl::atomic_thread_fence(o, at);
}

static inline void pause_() { rl::ctx().yield(1, $); }

template<int N> static rl::aligned<rl::thread_info<N> > *threads() {
    typedef rl::aligned<rl::thread_info<N> > slot;
    rl::thread_info_base *me = rl::ctx().threadx_;
    return static_cast<slot *>(static_cast<rl::thread_info<N> *>(me)) - me->index_;
}

// membarrier(2): every thread executes a full barrier somewhere in its program order while the
// call lasts, one after the other.
template<int N> static void membarrier() {
    if (ORDER("fence|chanrt__os_heavy_fence|membarrier", rl::mo_seq_cst) == rl::mo_relaxed) return;
    rl::timestamp_t *total = rl::ctx().seq_cst_fence_order_;
    unsigned me = rl::ctx().threadx_->index_;
    threads<N>()[me].atomic_thread_fence_seq_cst(total);
    for (unsigned i = 0; i < N; i++) {
        rl::ctx().sched();
        threads<N>()[i].atomic_thread_fence_seq_cst(total);
    }
    threads<N>()[me].atomic_thread_fence_seq_cst(total);
}

// chanrt__os_light_fence and _heavy_fence, with membarrier (ASYM) and without.
template<int N, bool ASYM> static void light_fence() {
    if (!ASYM) FENCE("fence|chanrt__os_light_fence|fence_seq");
}
template<int N, bool ASYM> static void heavy_fence() {
    if (ASYM) membarrier<N>();
    else FENCE("fence|chanrt__os_heavy_fence|fence_seq");
}

// chanrt__os_sleep and _wake: the kernel compares the newest value and sleeps in one step, and
// orders nothing.
template<int N> struct futex {
    rl::waitset<N> sleepers;
    bool sleep(word &w, unsigned value, bool timed) { // false: time is up
        rl::ctx().sched();
        if (w.debug_value() != value) return true;
        return sleepers.park_current(rl::ctx(), timed, false, false, $) !=
               rl::unpark_reason_timeout;
    }
    void wake() {
        rl::ctx().sched();
        sleepers.unpark_all(rl::ctx(), $);
    }
};

// chanrt__os_lock_try, _lock_slow, _unlock.
struct spin {
    word w;
    void init() { STORE(w, 0); }
    void lock() {
        if (SWAP_ACQ(w, 1, "lock|chanrt__os_lock_try") == 0) return;
        for (;;) {
            if (LOAD(w) == 0 && SWAP_ACQ(w, 1, "lock|chanrt__os_lock_slow") == 0) return;
            pause_();
        }
    }
    void unlock() { STORE_REL(w, 0, "lock|chanrt__os_unlock"); }
};

// chanrt__ctx_swap: the last thing it does for the context it leaves is to clear a word.
static inline void switched(word &w) {
    w($).store(0, ORDER("lock|chanrt__ctx_swap|asm", rl::mo_release));
}

#endif
