#!/bin/bash
# without.sh [NAME...] - what each technique of without.txt gains: its rows with it and without,
# ROUNDS=7 samples of each in turn, with one worker on one processor or with two. Writes
# build/bench/GAINS.md: medians of the rounds' ratios, and their extremes.
set -euo pipefail
cd "$(dirname "$0")/../.."
list=tests/bench/without.txt
out=${B:-build}/bench/without
mkdir -p "$out/h"
cc=${CC:-gcc}
rounds=${ROUNDS:-7} shrink=${SHRINK:-8}
apply=tests/mutants/apply.awk

# A copy of the header without the technique, and the programs built with it.
build() {    # build NAME: prints the program's path
    local dir=$out/h/$1 flag
    mkdir -p "$dir/tests"
    cp -r tests/bench "$dir/tests"
    flag=$(awk -v n="$1" '/^mutant / { on = $2 == n } on && /^-D/ { sub(/ .*/, ""); print }' $list)
    if [ "$1" = with ] || [ -n "$flag" ]; then cp chanrt.h "$dir"
    else awk -v only="$1" -f $apply <(grep -v '^-D' $list) chanrt.h >"$dir/chanrt.h"; fi
    # shellcheck disable=SC2086
    $cc -std=c11 -O2 -DNDEBUG $flag -pthread "$dir"/tests/bench/*.c -o "$out/$1"
    rm -rf "$dir"
    echo "$out/$1"
}
work() {     # work ROW: its N
    awk -F '[(,]' -v r="$1" -v s="$shrink" '/^ROW/ {
        gsub(/ /, "")
        if ($2 == r) { n = int($7 / s); print n < 1 ? 1 : n }
    }' tests/bench/rows.def
}
sample() {   # sample PROGRAM WORKERS ROW N: its time
    local pin=()
    [ "$2" != 1 ] || pin=(taskset -c $(($(nproc) - 1)))
    CHANRT_WORKERS=$2 timeout 120 "${pin[@]}" "$1" "$3" "$4" </dev/null | cut -d ' ' -f 2
}

with=$(build with)
{
    echo '# What each technique gains'
    echo
    echo 'The time that rows take without it, as a ratio to the time with it: the median of'
    echo "$rounds rounds (N divided by $shrink) and the extremes. Made by"
    echo '`tests/bench/without.sh`, which says how, from'
    echo '`without.txt`, which says what was taken away, on' \
         "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) CPUs," \
         "$($cc --version | head -n 1), $(date -u +%Y-%m-%d)."
    echo
    echo '| technique | workers | rows without it |'
    echo '|---|---|---|'
} >"$out/head"
: >"$out/lines"
while IFS='|' read -r name workers rows what; do
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    without=$(build "$name")
    line=
    for row in $rows; do
        n=$(work "$row")
        for ((i = 0; i < rounds; i++)); do
            a=$(sample "$with" "$workers" "$row" "$n")
            echo "$a $(sample "$without" "$workers" "$row" "$n")"
        done | awk '{ print $2 / $1 }' | sort -n >"$out/ratios"
        line+=$(awk -v row="$row" '{ r[NR] = $1 }
            END { printf " `%s` %.2f (%.2f-%.2f)", row, r[int((NR + 1) / 2)], r[1], r[NR] }' \
            "$out/ratios")
    done
    echo "| $what | $workers |$line |" | tee -a "$out/lines"
    rm -f "$without"
done < <(awk '/^mutant / { split(substr($0, 8), p, / *\| */); getline what; sub(/\.$/, "", what)
                           print p[1] "|" p[2] "|" p[3] "|" what }' $list)
cat "$out/head" "$out/lines" >"${B:-build}/bench/GAINS.md"
