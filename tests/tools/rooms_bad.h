// A header with one of each fault. A comment that names a rule marks the line that rooms.awk
// must complain of, this and no other. A function may have eleven lines here.
//------------------------------------------------------------------------------
// >>port    Where the implementation begins.
//   uses    nothing
//------------------------------------------------------------------------------
// >>atom    The only room that spells an order.
//   uses    nothing
#define chanrt__atom_load_acq(p)      __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define chanrt__atom_store_rel(p, v)  __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define chanrt__atom_load(p)          __atomic_load_n(p, __ATOMIC_RELAXED)
//------------------------------------------------------------------------------
// >>os      The only room with a thread-local.
//   uses    atom
static _Thread_local int chanrt__os_tls;
static _Thread_local int chanrt__os_second; // bad: R5
//------------------------------------------------------------------------------
// >>stack   The last room that may ask for a platform.
//   uses    atom os
#if defined __linux__
static int chanrt__stack_get(void) { return chanrt__os_tls; }
#endif
//------------------------------------------------------------------------------
// >>list
//   uses    atom later // bad: R1
static int chanrt__list_pop(void) { return chanrt__stack_get(); } // bad: R3
static int chanrt__list_push(int n); // bad: R2
static int (*chanrt__list_hook)(int n);
//------------------------------------------------------------------------------
// >>task
//   uses    atom list
#if defined __linux__ // bad: R7
#endif
static _Thread_local int chanrt__task_tls; // bad: R5
static int chanrt__task_get(int *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE); // bad: R4
}
static int chanrt__task_up(void) { return chanrt__later_get(); } // bad: R3
static int chanrt__task_none(void) { return chanrt__nowhere_get(); } // bad: R8
static void chanrt__task_wake(int *p) {
    // [wake] publishes *p to the one that sleeps,
    // and this comment may go on for a second line.
    chanrt__atom_store_rel(p, 1);
    while (chanrt__atom_load_acq(p)) continue;    // [wake]
    chanrt__atom_store_rel(p, 2); // bad: R6
    chanrt__atom_store_rel(p, 3); // [alone] bad: R6
    chanrt__atom_sub_acqrel(p, 1); // [drop]
    chanrt__atom_load(p);
}
static void chanrt__task_long(int *p) { // bad: S4
    p[0] = 0;
    p[1] = 0;
    p[2] = 0;
    p[3] = 0;
    p[4] = 0;
    p[5] = 0;
    p[6] = 0;
    p[7] = 0;
    p[8] = 0;
    p[9] = 0;
}
// long: a list that has no shorter form.
static void chanrt__task_excused(int *p) {
    p[0] = 0;
    p[1] = 0;
    p[2] = 0;
    p[3] = 0;
    p[4] = 0;
    p[5] = 0;
    p[6] = 0;
    p[7] = 0;
    p[8] = 0;
    p[9] = 0;
}
//------------------------------------------------------------------------------
// >>later
//   uses    atom
// a line that is far too long, because nobody looked at it, and so it goes on past the last column bad: S1
	// bad: S2
// TODO bad: S3
static int later; /* bad: S5 */
//------------------------------------------------------------------------------
// >>task    bad: R1
