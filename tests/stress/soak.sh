#!/bin/bash
# soak.sh - soak.c for SECS=600 seconds, with pools of 1, 2 and 8 workers at the same time.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build} secs=${SECS:-600}
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s "$B/stress/soak" ||
    { echo "0 passed, 1 failed"; exit 1; }
passed=0 failed=0 pids=()
for w in ${WORKERS:-1 2 8}; do
    CHANRT_WORKERS=$w timeout -k 5 $((secs + 300)) "$B/stress/soak" "$secs" "${SEED:-1}" &
    pids+=($!)
done
for p in "${pids[@]}"; do
    if wait "$p"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
