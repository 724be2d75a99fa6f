#!/bin/bash
# run.sh SECS SEED - every stress program for SECS seconds with pools of 1, 2, 4 and 8 workers;
# ends with `N passed, M failed`. A failure is repeated by `program SECS SEED`, though the
# machine may have to be lucky twice.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build} secs=${1:-${SECS:-2}} seed=${2:-${SEED:-$RANDOM}}
passed=0 failed=0 programs=()
for f in tests/stress/*.c; do programs+=("stress/$(basename "$f" .c)"); done
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -k "${programs[@]/#/$B/}" || echo "FAIL  build"
for p in "${programs[@]}"; do
    for w in ${WORKERS:-1 2 4 8}; do
        limit=$((${secs%.*} * 3 + 60))
        if out=$(CHANRT_WORKERS=$w timeout -k 5 $limit "$B/$p" "$secs" "$seed" 2>&1)
        then passed=$((passed + 1)) && echo "ok    $w workers, $out"
        else failed=$((failed + 1)) && echo "FAIL  $w workers, $p, seed $seed: exit status $?"
             tail -n 40 <<<"$out" | sed 's/^/      /'
        fi
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
