#!/bin/bash
# run.sh - the inputs of tests/fuzz/corpus and N=4000 made-up ones from SEED=1 through fuzz.c. Ends
# with `N passed, M failed`.
#
#   SECS=60              instead: libFuzzer for so long, beginning with the corpus
#   AFL=60               instead: AFL++ for so long
#   MERGE=1              after SECS: what it found and the corpus, minimised, to build/fuzz/merged
#   MUTANTS="NAME ..."   instead: each of these mistakes of tests/mutants must be found; says at
#                        which input
cd "$(dirname "$0")/../.." || exit 2
out=${B:-build}/fuzz
corpus=tests/fuzz/corpus
mkdir -p "$out"
flags='-std=c11 -g -pthread'
warn=${WARN:--Wall -Wextra}
export ASAN_OPTIONS=detect_stack_use_after_return=0

build() {      # build HEADER'S_FOLDER PROGRAM COMPILER AND FLAGS...: a copy of the tree's part
    local from=$1 to=$2
    shift 2
    mkdir -p "$to.src/tests/fuzz"
    cp "$from/chanrt.h" "$to.src"
    cp tests/test.h tests/impl.c "$to.src/tests"
    cp tests/fuzz/*.[ch] "$to.src/tests/fuzz"
    # shellcheck disable=SC2086
    "$@" $flags $warn -I"$to.src" -I"$to.src/tests" -o "$to" "$to.src/tests/fuzz/fuzz.c"
}

finish() {
    echo "$1 passed, $2 failed"
    [ "$2" -eq 0 ] && [ "$1" -gt 0 ]
    exit
}

with_libfuzzer() {
    local status found
    build . "$out/libfuzzer" clang -O1 -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined -DFUZZ_LIBFUZZER || exit 2
    mkdir -p "$out/found"
    "$out/libfuzzer" -max_total_time="$SECS" -max_len=160 -timeout=30 -print_final_stats=1 \
        -artifact_prefix="$out/" "$out/found" $corpus >"$out/log" 2>&1
    status=$?
    grep -E 'INITED|stat::|^seed|SUMMARY|Test unit' "$out/log"
    grep 'cov:' "$out/log" | tail -n 1
    [ $status -eq 0 ] || { tail -n 60 "$out/log"; finish 0 1; }
    if [ "${MERGE:-0}" = 1 ]; then
        rm -rf "$out/merged"
        mkdir -p "$out/merged"
        "$out/libfuzzer" -merge=1 -max_len=160 "$out/merged" $corpus "$out/found" 2>"$out/log" ||
            finish 0 1
        find "$out/merged" -type f | wc -l
    fi
    found=$(find "$out/found" -type f | wc -l)
    echo "$found inputs that reach something new: $out/found"
    finish 1 0
}

with_afl() {
    command -v afl-clang-fast >/dev/null || { echo 'needs afl++'; finish 0 1; }
    warn=-w # its macros would be told of
    build . "$out/afl" afl-clang-fast -O1 2>"$out/log" || { tail "$out/log"; exit 2; }
    rm -rf "$out/afl.out"
    unset ASAN_OPTIONS # afl-fuzz wants it its own way, and there is no AddressSanitizer here
    AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
        afl-fuzz -V "$AFL" -t 5000 -i $corpus -o "$out/afl.out" -- "$out/afl" >"$out/log" 2>&1
    grep -E 'execs_done|execs_per_sec|corpus_count|saved_|stability|edges_found' \
        "$out/afl.out/default/fuzzer_stats" || { tail "$out/log"; finish 0 1; }
    grep -qE 'saved_crashes +: 0$' "$out/afl.out/default/fuzzer_stats" || finish 0 1
    finish 1 0
}

with_mutants() {
    local passed=0 failed=0 m
    for m in $MUTANTS; do
        mkdir -p "$out/$m"
        awk -v only="$m" -f tests/mutants/apply.awk tests/mutants/mutants.txt chanrt.h \
            >"$out/$m/chanrt.h" && build "$out/$m" "$out/$m/fuzz" gcc -O2 -w 2>"$out/$m/log" ||
            { echo "mutant $m: does not build"; failed=$((failed + 1)); continue; }
        (cd "$out/$m" && timeout 100 ./fuzz -n "${N:-4000}" -s "${SEED:-1}" >log 2>&1)
        case $? in
        0) failed=$((failed + 1)); echo "mutant $m: not found" ;;
        1) passed=$((passed + 1))
           echo "mutant $m: at input $(grep -o '^[0-9]* inputs' "$out/$m/log" | sed 's/ .*//'):" \
               "$(grep -m 1 '^seed' "$out/$m/log")" ;;
        *) passed=$((passed + 1)); echo "mutant $m: crash or hang" ;;
        esac
    done
    finish $passed $failed
}

[ -z "$SECS" ] || with_libfuzzer
[ -z "$AFL" ] || with_afl
[ -z "$MUTANTS" ] || with_mutants
# shellcheck disable=SC2086
build . "$out/fuzz" ${CC:-gcc} ${OPT:--O2} $FLAGS || finish 0 1
exec "$out/fuzz" -n "${N:-4000}" -s "${SEED:-1}" $corpus/*
