/* io.pml - who waits for a descriptor is woken: the laws F1-F3 of >>fd and P1-P3 of >>poll.
 *
 * One number, a record for it, two files that may have the number one after the other, an epoll
 * instance that is edge-triggered. Mirrors chanrt__fd_begin, _wait, _fire, _cancel, _closed,
 * chanrt__poll_arm, _review, and chanrt_io_close. Each reader wants one byte. A lock's section is
 * atomic; a look, a system call, a store outside a lock is a step of its own.
 *
 *   SCN 1   two readers, two bytes written one after the other
 *   SCN 2   a reader and chanrt_io_close; nothing is ever written
 *   SCN 3   the same, and the number comes again at once: another reader, a byte for it
 *   SCN 4   close(2) behind the runtime's back; the number comes again, a reader, a byte
 *   SCN 5   a reader whose time may be over, and a byte
 *
 * BUG_FLAG      the record has a ready flag that a reader clears before it looks
 * BUG_LATESEEN  the events are counted after the look instead of before
 * BUG_NOCHECK   the reader queues without comparing the counts under the lock
 * BUG_ONE       an event wakes the first who waits
 * BUG_NOPOLL    watching a descriptor that is ready already is no event
 * BUG_FORGETLATE the closer forgets the registration after it has woken who waits, and makes up
 *               no event afterwards
 * BUG_NOAFTER   the closer makes up no event after close(2)
 * BUG_CLOSEFIRST the closer wakes who waits after close(2) only
 * BUG_NOCLOSES  the reader compares no count of closes
 * BUG_TRUST     woken means ready: no look after it
 * BUG_NOREVIEW  a registration that was lost with its file is never looked at again
 * BUG_NOCLAIM   the time and the event both end the wait
 */
#ifndef SCN
#define SCN 1
#endif
#define NR 2                   /* readers at most */

byte current;                  /* the file that has the number */
bool open = true;              /* somebody has it */
byte bytes[2];                 /* to be read, per file */
bool watched[2];               /* registered with the kernel, per file */
bool pending[2];               /* an event the kernel has for us */
bool interest;                 /* the record's: registered, as far as we know */
byte edges, closes;
bool flag;                     /* BUG_FLAG */
bool queued[NR];               /* in the record's queue */
bool alive[NR];                /* the wait's frame is there */
byte claim[NR];                /* 0 open, 1 an event's or a close's, 2 the time's */
bool cancelled[NR];
bool noted[NR]; byte note[NR]; /* registrations to be looked at again */
byte done;

#ifdef BUG_NOCLAIM
#define CLAIMABLE(n) true
#else
#define CLAIMABLE(n) (claim[n] == 0)
#endif
#ifdef BUG_TRUST
#define LOOKS (!woken)
#else
#define LOOKS (true)
#endif

inline wake_all(c) {           /* under the record's lock */
    {
        i = 0;
        do
        :: i < NR ->
            if
            :: queued[i] && CLAIMABLE(i) ->
                  assert(alive[i] && claim[i] == 0);
                  claim[i] = 1; queued[i] = false; cancelled[i] = c;
#ifdef BUG_ONE
                  if :: !c -> break :: else fi
#endif
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

inline fire() {
    atomic {
        edges++;
        flag = true;
        wake_all(false)
    }
}

inline register() {            /* EPOLL_CTL_ADD or MOD on the number */
    atomic {
        if
        :: open ->
            watched[current] = true;
            interest = true;
#ifndef BUG_NOPOLL
            if :: bytes[current] > 0 -> pending[current] = true :: else fi
#endif
        :: else
        fi
    }
}

/* Reads a byte of the number's file. mine: the file it is meant for; old: it was spawned before. */
proctype reader(byte me; byte mine) {
    byte seen_edges, seen_closes;
    bool got = false, woken = false;
again:
    atomic {
        if
        :: current != mine -> goto over              /* another one's number: not our concern */
        :: else
        fi;
        seen_closes = closes; seen_edges = edges
    }
#ifdef BUG_FLAG
    flag = false;
#endif
    atomic {                   /* the look */
        if
        :: !open -> goto over  /* EBADF */
        :: open && bytes[current] > 0 && current == mine ->
            bytes[current]--; got = true; goto over
        :: open && bytes[current] == 0 && LOOKS -> skip
        :: open && bytes[current] > 0 && current != mine -> goto over /* another one's number */
        :: open && bytes[current] == 0 && !LOOKS -> assert(false)
        fi
    }
#ifdef BUG_LATESEEN
    atomic { seen_closes = closes; seen_edges = edges }
#endif
    if
    :: !interest -> register()
    :: else
    fi;
    atomic { noted[me] = true; note[me] = edges };
    atomic {                   /* the lock */
        if
#ifndef BUG_NOCLOSES
        :: closes != seen_closes -> goto over        /* ECANCELED */
#endif
#ifndef BUG_NOCHECK
#ifdef BUG_FLAG
        :: closes == seen_closes && flag -> goto again
#else
        :: closes == seen_closes && edges != seen_edges -> goto again
#endif
#endif
        :: else ->
            claim[me] = 0; alive[me] = true; queued[me] = true
        fi
    }
    (claim[me] != 0);          /* parked */
    atomic {
        queued[me] = false;    /* leaves */
        alive[me] = false;
        woken = true;
        if
        :: claim[me] == 2 -> goto over               /* ETIMEDOUT */
        :: cancelled[me] -> cancelled[me] = false; goto over
        :: else
        fi
    }
    goto again;
over:
    assert(mine == 0 || got);  /* the new owner is not disturbed */
    done++
}

proctype writer(byte file; byte n) {
    do
    :: n > 0 ->
        atomic {
            bytes[file]++; n--;
            if :: watched[file] -> pending[file] = true :: else fi
        }
    :: else -> break
    od
}

/* Events of a file that is closed are gone; those taken already are fired all the same. */
proctype poller() {
    byte i;
end:
    do
    :: atomic { pending[0] -> pending[0] = false }; fire()
    :: atomic { pending[1] -> pending[1] = false }; fire()
    od
}

/* The review of waits that last (P3). */
inline review(n) {
    if
    :: note[n] == edges ->
#ifndef BUG_NOREVIEW
        if
        :: open -> register()
        :: else -> fire()
        fi
#else
        skip
#endif
    :: else
    fi
}

proctype reviewer() {
    byte i;
end:
    do
    :: atomic { noted[0] -> noted[0] = false }; review(0)
    :: atomic { noted[1] -> noted[1] = false }; review(1)
    od
}

inline close_file() {
    atomic {
        watched[current] = false; pending[current] = false;
        if
        :: SCN == 2 -> open = false
        :: else -> current = 1; run reader(1, 1); run writer(1, 1) /* comes again at once */
        fi
    }
}

inline forget() { atomic { interest = false; watched[current] = false; pending[current] = false } }

proctype closer() {
    byte i;
#ifdef BUG_CLOSEFIRST
    close_file();
#endif
#ifndef BUG_FORGETLATE
    forget();
#endif
    atomic { closes++; wake_all(true) }
#ifdef BUG_FORGETLATE
    forget();
#endif
#ifndef BUG_CLOSEFIRST
    close_file();
#endif
#if !defined(BUG_NOAFTER) && !defined(BUG_FORGETLATE)
    forget();
    fire()
#endif
}

proctype timer() {
    atomic {
        if
        :: queued[0] && CLAIMABLE(0) -> assert(claim[0] == 0); claim[0] = 2
        :: true -> skip
        fi
    }
}

init {
    atomic {
        run poller();
        if
        :: SCN == 1 -> run reader(0, 0); run reader(1, 0); run writer(0, 2)
        :: SCN == 2 -> run reader(0, 0); run closer()
        :: SCN == 3 -> run reader(0, 0); run closer()
        :: SCN == 4 -> run reader(0, 0); run writer(0, 1)
        :: SCN == 5 -> run reader(0, 0); run writer(0, 1); run timer()
        fi;
        if :: SCN == 4 -> run reviewer() :: else fi
    }
    if
    :: SCN == 4 ->
        (done == 1);
        atomic { watched[0] = false; pending[0] = false; current = 1 } /* interest stays */
        run reader(1, 1);
        run writer(1, 1);
        (done == 2)
    :: SCN == 1 || SCN == 3 -> (done == 2)
    :: else -> (done == 1)
    fi
}
