#!/bin/bash
# run.sh - every model searched exhaustively without an error, every seeded bug found.
# Ends with "N passed, M failed".
# run.sh [name]: only that model. JOBS=2: searches at a time. Needs spin, and tcc or cc: most of the
# time was compiling, and tcc is thirty times as quick. Scratch in a temporary directory.
cd "$(dirname "$0")" || exit 1
here=$(pwd); only=$1; passed=0; failed=0; searches=0
command -v spin > /dev/null || {
    echo "run.sh: spin is not installed"
    echo "0 passed, 1 failed"
    exit 1
}
compiler=$(command -v tcc) || compiler="${CC:-cc} -O0"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

# search DIR WANT model flags...: WANT is ok or bug; the verdict is a line in DIR.verdict
search() {
    dir=$1; want=$2; model=$3; shift 3
    mkdir "$dir"; cp "$here/$model.pml" "$dir/"
    ( cd "$dir" && spin -a "$@" "$model.pml" > out 2>&1 &&
      $compiler -w -DSAFETY -DMEMLIM=3000 -o pan pan.c >> out 2>&1 &&
      timeout 60 ./pan -n -m100000 -w20 >> out 2>&1 )
    out=$dir/out
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$out")
    why=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$out")
    if grep -Eq 'max search depth|out of memory|memory limit|rror: ' "$out"; then result=incomplete
    elif grep -q 'errors: 0$' "$out"; then result=ok
    elif grep -q 'errors: [1-9]' "$out"; then result=bug
    else result=incomplete; fi
    {
        if [ "$result" = "$want" ]; then verdict=PASS; else verdict=FAIL; fi
        [ "$result" = incomplete ] && sed 5q "$out"
        printf '%s  %-11s %-42s %8s states  %s\n' "$verdict" "$model" "$*" "${states:-?}" \
            "${why:-exhaustive, no error}"
    } > "$dir.verdict"
    rm -rf "$dir"
}

# check WANT model flags...: the same, beside others
check() {
    if [ -n "$only" ] && [ "$only" != "$2" ]; then return; fi
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    searches=$((searches + 1))
    search "$tmp/$searches" "$@" &
}

# What a model says it mirrors, functions and [tags], is in the header.
mirrors() {
    awk '/Mirrors:/ { on = 1; sub(/.*Mirrors:/, ""); print; next }
         on && /^ \* [A-Z]|^ \*\// { on = 0 }
         on { sub(/^ \*/, ""); print }' "$1.pml" |
        grep -oE 'chanrt_[a-z_]+|\b_[a-z_]+|\[[a-z]+\]' | sort -u
}
for model in *.pml; do
    model=${model%.pml} gone=
    if [ -n "$only" ] && [ "$only" != "$model" ]; then continue; fi
    for name in $(mirrors "$model"); do
        case $name in
        \[*)     grep -qF "$name" ../../chanrt.h ;;
        chanrt*) grep -qE "\\b${name%_}" ../../chanrt.h ;;
        _*)      grep -qE "chanrt_[a-z_]*$name\\b" ../../chanrt.h ;;
        esac || gone="$gone $name"
    done
    if [ -z "$gone" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAIL  $model mirrors what is not in the header:$gone"; fi
done

check ok  select
check ok  select -DCAP0=1
check ok  select -DCAP0=1 -DCAP1=1 -DPOLL
check ok  select -DPOLL -DTWICE
check bug select -DSCN=4 -DBUG_OPENEARLY
check bug select -DSCN=2 -DBUG_UNSORTED
check bug select -DSCN=1 -DBUG_NOCLAIM
check bug select -DSCN=1 -DBUG_SKIPBUSY
check bug select -DSCN=1 -DBUG_NOUNLINK
check bug select -DSCN=1 -DBUG_LATECLAIM
check bug select -DSCN=4 -DBUG_FREENOW
check bug select -DSCN=12 -DBUG_UNGROUPED
check bug select -DSCN=13 -DBUG_ONELEFT
check ok  select -DSCN=3 -DBUG_UNGROUPED
check bug select -DSCN=3 -DBUG_UNGROUPED -DBUG_SELF
check bug select -DSCN=9 -DBUG_DROPCOUNT
check bug select -DSCN=6 -DBUG_LATETIMER

for cap in 0 1 2; do check ok channel -DCAP=$cap; done
check bug channel -DCAP=0 -DSCN=6 -DBUG_LIFO
check bug channel -DCAP=2 -DSCN=1 -DBUG_TAIL
for bug in BARGE NOMOVE; do check bug channel -DSCN=1 -DBUG_$bug; done
for bug in NODRAIN QUICK; do check bug channel -DSCN=2 -DBUG_$bug; done
for bug in DIP CLOSEDFIRST; do check bug channel -DSCN=4 -DBUG_$bug; done
for bug in LATECLOSED CLOSEONE; do check bug channel -DCAP=0 -DSCN=3 -DBUG_$bug; done
for bug in NOSENDERS KEPT; do check bug channel -DCAP=0 -DSCN=2 -DBUG_$bug; done

check ok  snapshot
for bug in NOPASS2 NOREREAD EARLY RFIRST VFIRST UNLOCKED; do
    check bug snapshot -DBUG_$bug
done

check ok  deadlock -DNF=2 -DBUDGET=2
check ok  deadlock -DNF=3 -DBUDGET=1
for bug in XCHG IDLEFIRST NOQUEUE TAKEFIRST PLAINPARK NOEXIT NOLASTCHECK; do
    check bug deadlock -DNF=2 -DBUDGET=2 -DBUG_$bug
done

check ok  park -DNT=2 -DROUNDS=3
check ok  park -DNT=3 -DROUNDS=1
check ok  park -DNT=2 -DROUNDS=3 -DSPINTASK
for bug in EARLYWORD UNLOCK NOCHECK SPINSELF BASEGO NOONCPU LATEONCPU YIELD NOPENDING SELFLEFT; do
    check bug park -DNT=2 -DBUG_$bug
done

check ok  idle -DNW=1
check ok  idle -DBUDGET=0 -DEARLY=0
check ok  idle -DNT=1
check ok  idle -DBUDGET=0 -DEARLY=0 -DPINNED
check ok  idle -DBUDGET=0 -DEARLY=0 -DTIMER
check ok  idle -DBUDGET=0 -DEARLY=0 -DPROMPT
check bug idle -DBUDGET=0 -DEARLY=0 -DPROMPT -DBUG_LIGHTSHARE
check ok  idle -DEARLY=0 -DPROMPT
check bug idle -DBUDGET=0 -DEARLY=0 -DPINNED -DBUG_NOFENCE
for bug in NORESCAN LATEIDLE NOCHECK LATESUB; do
    check bug idle -DNW=1 -DBUG_$bug
done
for bug in LATECLEAR NONEXT; do
    check bug idle -DBUDGET=0 -DEARLY=0 -DBUG_$bug
done
for bug in NONAP NOHEIR BLIND; do
    check bug idle -DNT=1 -DBUG_$bug
done
check bug idle -DBUDGET=0 -DEARLY=0 -DPINNED -DBUG_PRECOUNT
check bug idle -DBUDGET=0 -DEARLY=0 -DTIMER -DBUG_NOREARM

check ok  bias
for bug in NOFENCE OWNFENCE CHECKFIRST INFIRST NORECHECK EARLYLEAVE EARLYDONE NOTHIEF STAY \
           SAMETICKET GRANTGO; do
    check bug bias -DBUG_$bug
done

check ok  waiter_free
for bug in UNLOCKLATE TOUCHLATE COPYLATE NEXTLATE OWNERLATE PLAINTAKE NONOTICE NOLEAVE PEEK; do
    check bug waiter_free -DBUG_$bug
done

check ok  context -DAGAIN
check ok  context -DWITHD
check ok  context -DTIMED=0
check ok  context -DTIMED=1
for bug in NOLINKREF NOPARENTREF LEAVEFIRST LEAVEBLIND LINKBLIND DONEFIRST EARLYSWEPT DROPFIRST \
           NESTED; do
    check bug context -DBUG_$bug
done
check bug context -DAGAIN -DBUG_NOWAIT
check bug context -DTIMED=1 -DBUG_NOTIMERREF
check bug context -DTIMED=0 -DBUG_TIMERTWICE

check ok  mutex -DLOCKS=2 -DHAND
check ok  mutex -DNL=3 -DHAND -DNTIMED=1
check ok  mutex -DLOCKS=2 -DHAND -DNTIMED=2 -DQUIETS=2
check ok  mutex -DLOCKS=2 -DNEIGHBOUR -DQUIETS=2
check bug mutex -DNEIGHBOUR -DBUG_TRUST
for bug in NOFENCE FENCEFIRST NOPOST LOOKFIRST TOUCH QUIETBUSY; do
    check bug mutex -DBUG_$bug
done
for bug in KEEPWOKEN HANDFREE; do
    check bug mutex -DLOCKS=2 -DHAND -DBUG_$bug
done
for bug in DEADHAND NOPASS WAKELOSS; do
    check bug mutex -DNTIMED=1 -DHAND -DBUG_$bug
done

check ok  rwmutex
check ok  rwmutex -DTRY=0
check ok  rwmutex -DUNSHARES=1 -DROUNDS=1
check ok  rwmutex -DUNSHARES=1 -DROUNDS=1 -DTRY=0
check ok  rwmutex -DUNSHARES=1 -DNR=1 -DNWR=2 -DTIMED=1
check bug rwmutex -DTRY=0 -DBUG_NOBACK
for bug in NOFENCE FENCEFIRST NOAGAIN LOOKFIRST NOPOST POSTFIRST UNCOUNTED UNLISTED QUIETBUSY \
           BLIND STALE FAST NOSETTLE OPEN; do
    check bug rwmutex -DBUG_$bug
done
check bug rwmutex -DUNSHARES=1 -DNR=1 -DNWR=2 -DTIMED=1 -DBUG_LEAVEBLIND
for bug in LEFTOVER WIPE OLDFENCE UNSHAREAL UNSHAREQ; do
    check bug rwmutex -DUNSHARES=1 -DROUNDS=1 -DBUG_$bug
done

check ok  cond
check ok  cond -DNC=2 -DNTIMED=0
check ok  cond -DNC=3 -DNTIMED=2
for bug in UNLOCKFIRST NOCLAIM COUNTER NOLEAVE LATECLAIM NORELOCK BOTH; do
    check bug cond -DBUG_$bug
done

for scn in 1 2 3 4 5; do check ok io -DSCN=$scn; done
for bug in FLAG LATESEEN NOCHECK ONE NOPOLL TRUST; do check bug io -DSCN=1 -DBUG_$bug; done
for bug in FORGETLATE NOAFTER; do check bug io -DSCN=2 -DBUG_$bug; done
for bug in CLOSEFIRST NOCLOSES TRUST; do check bug io -DSCN=3 -DBUG_$bug; done
check bug io -DSCN=4 -DBUG_NOREVIEW
check bug io -DSCN=5 -DBUG_NOCLAIM

check ok  trace
for bug in NOFENCE OLDEST GOESON HEADFIRST EARLYEND; do
    check bug trace -DBUG_$bug
done

wait
for i in $(seq "$searches"); do
    cat "$tmp/$i.verdict"
    if grep -q '^PASS' "$tmp/$i.verdict"; then passed=$((passed + 1))
    else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
