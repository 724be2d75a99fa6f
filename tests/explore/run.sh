#!/bin/bash
# run.sh - every scenario of explore.c with seeds SEED=1 and up, SEEDS=100 of them; a failure prints
# its seed. Ends with `N passed, M failed`.
#
#   SCENARIO=part of a name
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

if [ -n "$MUTANTS" ]; then
    for m in $MUTANTS; do
        mkdir -p "$out/$m"
        awk -v only="$m" -f tests/mutants/apply.awk tests/mutants/mutants.txt chanrt.h \
            >"$out/$m/chanrt.h" && build "$PWD/$out/$m" "$out/$m/explore" 2>"$out/$m/log" ||
            { echo "mutant $m: does not build"; failed=$((failed + 1)); continue; }
        found=
        for s in $("$out/$m/explore"); do
            timeout 100 "$out/$m/explore" "$s" 1 "${SEEDS:-100}" 2>"$out/$m/log" >&2 && continue
            found="$s, $(grep -o 'seed [0-9]*' "$out/$m/log" | head -n 1)"
            break
        done
        if [ -n "$found" ]; then passed=$((passed + 1)); echo "mutant $m: $found"
        else failed=$((failed + 1)); echo "mutant $m: not found"; fi
    done
else
    build "$PWD" "$out/explore" || exit 2
    for s in $("$out/explore"); do
        case $s in *"$SCENARIO"*) ;; *) continue ;; esac
        if timeout 900 "$out/explore" "$s" "${SEED:-1}" "${SEEDS:-100}" >"$out/log" 2>&1; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "scenario $s:"
            tail -n 30 "$out/log"
        fi
    done
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
