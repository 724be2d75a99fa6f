#!/bin/bash
# tier.sh commit|merge|nightly|release - what is run before a commit, before a merge, every
# night and before a release. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT

# step NAME COMMAND...: its last line counts; without one it is one test.
step() {
    local name=$1 status p= f= started=$SECONDS
    shift
    echo "== $name"
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r p f < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
    [ -n "$p" ] || p=$((status == 0))
    [ "$status" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + ${f:-0}))
    echo "   $((SECONDS - started)) s"
}
scaled() { step "$2" env TEST_SCALE="$1" "${@:3}"; }

commit() {
    scaled 0.05 'tests, gcc' env WORKERS='2 4' tests/run.sh unit spec history explore lint
    scaled 0.05 'tests, clang' env WORKERS=4 CC=clang B=build/clang tests/run.sh unit spec
    step models tests/model/run.sh
}
merge() {
    scaled 0.3 tests make test
    step 'address and undefined' tests/config/matrix.sh 'asan ubsan'
    step 'races, both views' tests/config/matrix.sh tsan
    scaled 0.1 mutants tests/mutants/run.sh
    step models tests/model/run.sh
    step 'memory orders' tests/orders/run.sh
    step 'two preemptions' env PREEMPT=1000 tests/explore/run.sh
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
