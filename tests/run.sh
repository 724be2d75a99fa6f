#!/bin/bash
# run.sh SUITE... - builds and runs test programs, and ends with `N passed, M failed`.
#
#   unit spec history races   every program of that folder
#   spec/chan config/x   one program
#   fail names hooks gdb trace profile install plugins mistakes migrating tour examples docs lint
#                        a script that ends with the same line
#
#   B CC FLAGS ...       the build, as for make
#   WORKERS="1 2 4 8"    pool sizes each program is run with
#   JOBS=2               programs run at a time
#   UNDER=               what to run a program under: valgrind, setarch -R
#   TEST_TIMEOUT=300     seconds before a program is killed
cd "$(dirname "$0")/.." || exit 2
export B=${B:-build}
# Children may end with threads running.
export TSAN_OPTIONS="report_thread_leaks=0 ${TSAN_OPTIONS:-}"
logs=$B/log
mkdir -p "$logs"
rm -f "$logs"/*.counts

# A make of its own, not a part of the one that may have called us.
build() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -k "$@"; }

# The programs that a word stands for.
programs() {
    case $1 in
    unit|spec|history|races)
        for f in tests/"$1"/*.c; do [ -e "$f" ] && echo "$1/$(basename "$f" .c)"; done ;;
    */*) echo "$1" ;;
    esac
}

# attempt LOG COMMAND...: runs it; `passed` and `failed` are the counts of its last line. A
# program that has none counts as one test; one that did not get that far is one failure.
attempt() {
    local log=$1 status
    shift
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    passed=0 failed=1
    read -r passed failed < <(
        sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | grep . ||
            echo $((status == 0)) $((status != 0)))
    [ $status -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    return $status
}

milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }

# run POOL_SIZES NAME COMMAND...: one line when all is well, else the log without the tests
# that went well.
run() {
    local sizes=$1 name=$2 log=$logs/${2//\//-} w total=0 started status pool
    shift 2
    started=$(milliseconds)
    for w in $sizes; do
        pool=(CHANRT_WORKERS="$w")
        [ "$w" != default ] || pool=(-u CHANRT_WORKERS)
        attempt "$log" env "${pool[@]}" "$@"
        status=$?
        total=$((total + passed))
        echo "$passed $failed" >>"$log.counts"
        [ "$failed" -eq 0 ] && continue
        printf 'FAIL  %s, CHANRT_WORKERS=%s, exit status %s\n%s\n' "$name" "$w" $status "$(
            awk '/^\[ RUN / { run = "      " $0 "\n"; next } /^\[       OK / { run = ""; next }
                 { printf "%s      %s\n", run, $0; run = "" }' "$log" | tail -n 60)"
        return
    done
    printf 'ok    %-22s %4d tests %6d ms\n' "$name" $total $(($(milliseconds) - started))
}

# As many at a time as there are jobs; a script has the machine for itself.
go() {
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    run "${WORKERS:-1 2 4 8}" "$@" &
}
alone() {
    wait
    run default "$@"
}

targets=()
for word; do
    for p in $(programs "$word"); do targets+=("$B/$p"); done
done
if [ ${#targets[@]} -gt 0 ] && ! build "${targets[@]}"; then
    echo 'FAIL  build'
    echo '0 1' >"$logs/build.counts"
fi
for word; do
    case $word in
    fail)     alone fail tests/fail/run.sh ;;
    explore)  alone explore tests/explore/run.sh ;;
    fuzz)     alone fuzz tests/fuzz/run.sh ;;
    names)    alone names tests/config/names.sh ;;
    install)  alone install tests/config/install.sh ;;
    mistakes) alone mistakes tests/tools/mistakes.sh ;;
    migrating) alone migrating tests/tools/migrating.sh ;;
    tour)     alone tour tests/tools/tour.sh ;;
    plugins)  alone plugins tests/config/plugins.sh ;;
    tcc)      alone tcc tests/config/tcc.sh ;;
    gdb)      alone gdb tests/tools/gdb.sh ;;
    trace)    alone trace tests/tools/trace.sh ;;
    profile)  alone profile tests/tools/profile.sh ;;
    hooks)    alone hooks tests/tools/hook_free.sh ;;
    examples) alone examples tests/tools/examples.sh ;;
    net)      alone net timeout -k 5 300 tests/net/run.sh ;;
    docs)     alone docs tests/tools/docs.sh ;;
    lint)     alone lint tests/tools/lint.sh ;;
    *)        for p in $(programs "$word"); do
                  [ ! -x "$B/$p" ] || go "$p" timeout -k 5 "${TEST_TIMEOUT:-300}" $UNDER "$B/$p"
              done ;;
    esac
done
wait
cat "$logs"/*.counts | awk '
    { passed += $1; failed += $2 }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || NR == 0 }'
