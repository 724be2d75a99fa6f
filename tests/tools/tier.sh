#!/bin/bash
# tier.sh commit|merge|nightly|release - what is run before a commit, before a merge, every
# night and before a release. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
exec 2>&1
passed=0 failed=0
log=$(mktemp) || exit 2
trap 'rm -f "$log" "$log.orders"; kill $(jobs -p) 2>/dev/null' EXIT

asan='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
export ASAN_OPTIONS=detect_stack_use_after_return=1

# step NAME COMMAND...: its last line counts; without one it is one test.
step() {
    local name=$1 status p= f= TIMEFORMAT='   %0R s, processors %0U s and %0S s in the kernel'
    shift
    echo "== $name"
    time env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r p f < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
    [ -n "$p" ] || p=$((status == 0))
    [ "$status" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + ${f:-0}))
}
scaled() { step "$2" env TEST_SCALE="$1" "${@:3}"; }

commit() {
    scaled 0.05 'spec, gcc' env CC=gcc B=build/commit/gcc OPT='-O1 -g1' WORKERS=2 \
        tests/run.sh spec history lint
    scaled 0.05 'unit, gcc' env CC=gcc B=build/commit/unit OPT='-O0 -g1' WORKERS=4 \
        tests/run.sh unit
    scaled 0.05 'spec, clang, address and undefined' env CC=clang B=build/commit/asan \
        OPT='-O0 -g1' FLAGS="$asan" WORKERS=4 tests/run.sh spec
    step '1,000 seeds a scenario' env SEEDS=1000 tests/explore/run.sh
    step 'fuzz examples' env N=1000 OPT=-O1 tests/fuzz/run.sh
    step models tests/model/run.sh
}
merge() {
    # Takes what the others leave: some of them use one processor only.
    N=1000 nice -n 19 tests/orders/run.sh >"$log.orders" 2>&1 &
    scaled 0.3 tests make test
    scaled 0.1 'address and undefined' env CC=gcc B=build/merge/asan OPT='-O0 -g1' FLAGS="$asan" \
        WORKERS='1 4' tests/run.sh spec unit history
    scaled 0.1 'races of the runtime' env CC=clang B=build/merge/tsan OPT='-O0 -g1' \
        FLAGS=-fsanitize=thread WORKERS='1 4' tests/run.sh spec unit history
    step 'races of programs' env NOT= tests/config/matrix.sh 'of users'
    step '20,000 seeds a scenario' env SEEDS=20000 tests/explore/run.sh
    step 'two preemptions' env PREEMPT=1000 tests/explore/run.sh
    wait
    step 'memory orders, begun first' sh -c 'cat "$1"; tail -n 1 "$1" | grep -q ", 0 failed$"' - \
        "$log.orders"
    scaled 0.1 'mutants, the fast set' env FAST=1 tests/mutants/run.sh
}
nightly() {
    scaled 1 tests make test
    scaled 5 histories tests/run.sh history
    step matrix make matrix
    scaled 0.3 mutants env WIDE=1 tests/mutants/run.sh
    step coverage tests/coverage/run.sh
    step stress make stress SECS=60
    step soak make soak SECS=3600
    step models tests/model/run.sh
    step 'memory orders' tests/orders/run.sh
    step 'two preemptions' env PREEMPT=1000000 tests/explore/run.sh
}
release() {
    nightly
    step 'every compiler' make matrix-full
    scaled 50 histories tests/run.sh history
    step 'long soak' make soak SECS=172800
}

case ${1:-} in
commit|merge|nightly|release) "$1" ;;
*) echo "tier.sh commit|merge|nightly|release"; exit 2 ;;
esac
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
