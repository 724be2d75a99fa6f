#!/bin/bash
# run.sh - every scenario of explore.c with seeds SEED=1 and up, SEEDS=100 of them; a failure prints
# its seed. Ends with `N passed, M failed`.
#
#   SCENARIO=part of a name
#   JOBS=2               scenarios at a time, each on a processor of its own
#   PREEMPT=1000         instead of seeds: every schedule with up to two preemptions, but no more
#                        than so many of those with two, evenly; a failure prints the list of them
#   MUTANTS="NAME ..."   instead: each of these mistakes of tests/mutants must be found; says where
cd "$(dirname "$0")/../.." || exit 2
out=${B:-build}/explore
mkdir -p "$out"
flags='-std=gnu11 -O1 -g -Wall -Wextra -pthread'
passed=0 failed=0

build() {      # build HEADER'S_FOLDER PROGRAM
    sed "s|../../chanrt.h|$1/chanrt.h|" tests/explore/explore.c >"$out/explore.c"
    # shellcheck disable=SC2086
    ${CC:-gcc} $flags -Itests/explore -o "$2" "$out/explore.c"
}

explore() {    # explore PROGRAM SCENARIO
    if [ -n "$PREEMPT" ]; then "$1" "$2" exhaust "$PREEMPT"
    else "$1" "$2" "${SEED:-1}" "${SEEDS:-100}"; fi
}
scenario() {   # scenario PROGRAM SCENARIO: what there is to say, and a line for the count
    local log=$1.$2.log
    if timeout 900 bash -c 'explore "$@"' - "$1" "$2" >"$log" 2>&1; then
        [ -z "$PREEMPT" ] || echo "$2: $(tail -n 1 "$log")"
        echo passed >>"$1.counts"
    else
        printf 'scenario %s:\n%s\n' "$2" "$(tail -n 30 "$log")"
        echo failed >>"$1.counts"
    fi
    rm -f "$log"
}
export -f explore scenario
export PREEMPT SEED SEEDS

if [ -n "$MUTANTS" ]; then
    for m in $MUTANTS; do
        mkdir -p "$out/$m"
        awk -v only="$m" -f tests/mutants/apply.awk tests/mutants/mutants.txt chanrt.h \
            >"$out/$m/chanrt.h" && build "$PWD/$out/$m" "$out/$m/explore" 2>"$out/$m/log" ||
            { echo "mutant $m: does not build"; failed=$((failed + 1)); continue; }
        found=
        for s in $("$out/$m/explore"); do
            timeout 100 bash -c 'explore "$@"' - "$out/$m/explore" "$s" 2>"$out/$m/log" >&2 &&
                continue
            found="$s, $(grep -oE 'seed [0-9]*|preemptions:[^)]*' "$out/$m/log" | head -n 1)"
            break
        done
        if [ -n "$found" ]; then passed=$((passed + 1)); echo "mutant $m: $found"
        else failed=$((failed + 1)); echo "mutant $m: not found"; fi
    done
else
    build "$PWD" "$out/explore" || exit 2
    : >"$out/explore.counts"
    "$out/explore" | grep -F -- "$SCENARIO" |
        xargs -r -n 1 -P "${JOBS:-2}" --process-slot-var=LANE \
            bash -c 'scenario "$@"' - "$out/explore"
    passed=$(grep -c passed "$out/explore.counts")
    failed=$(grep -c failed "$out/explore.counts")
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
