#!/bin/sh
# run.sh - every row of rows.def, ours beside each peer that can be built here.
#
#   ROUNDS=5    samples of each row, setting and implementation, interleaved
#   ROWS=regex  only the rows that match
#   PEERS="go pthread boost_fiber"    which peers to build; besides them those that are given:
#   NECO=dir LIBDILL=dir              where neco.c, and libdill.h and libdill.a, are
#   ARGOBOTS=dir CROSSBEAM=dir        where it is installed; a checkout, or what cargo vendor made
#   WORKERS="1 2"                     pool sizes
#   QUICK=1     an eighth of the work, 3 rounds: about four minutes
#   CC, BENCH_FLAGS                   how ours is built
#
# Results: a table on stdout, build/bench/RESULTS.md, build/bench/results.json, and every single
# sample in build/bench/samples.tsv; a run of all rows also writes tests/bench/RESULTS.md, with
# LOST.md at its head. Fails when a checksum differs or a sample could not be taken.
set -eu
cd "$(dirname "$0")/../.."
here=tests/bench
mkdir -p "${B:-build}/bench"
out=$(cd "${B:-build}/bench" && pwd)
quick=${QUICK:-0}
if [ "$quick" = 0 ]; then shrink=1 rounds=${ROUNDS:-5}; else shrink=8 rounds=${ROUNDS:-3}; fi
rows=${ROWS:-.}
given="${NECO:+ neco}${LIBDILL:+ libdill}${ARGOBOTS:+ argobots}${CROSSBEAM:+ crossbeam}"
peers=${PEERS-go pthread boost_fiber$given}
workers=${WORKERS:-1 2}
cc=${CC:-gcc}
flags=${BENCH_FLAGS:--std=c11 -O2 -DNDEBUG}
last_cpu=$(($(nproc) - 1))
samples=$out/samples.tsv
: > "$samples"
: > "$out/failed.txt"

say() { echo "bench: $*" >&2; }

build_go() {
    go=$(command -v go || echo /usr/local/go/bin/go)
    [ -x "$go" ] || return 1
    (cd $here/peers/go && GOTOOLCHAIN=local CGO_ENABLED=0 "$go" build -o "$1" .)
}
build_pthread()     { $cc -O2 -pthread $here/peers/pthread/bench.c -o "$1"; }
build_boost_fiber() {
    ${CXX:-g++} -std=c++17 -O2 -DNDEBUG -pthread $here/peers/boost_fiber/bench.cc -o "$1" \
        -lboost_fiber -lboost_context
}
build_neco() {
    $cc -O3 -DNDEBUG -DNECO_NOSIGNALS -pthread -I"$NECO" $here/peers/neco/bench.c "$NECO/neco.c" \
        -o "$1" -lm
}
build_libdill() {
    $cc -O3 -DNDEBUG -I"$LIBDILL" -I"$LIBDILL/include" $here/peers/libdill/bench.c -o "$1" \
        -L"$LIBDILL" -L"$LIBDILL/lib" -l:libdill.a -pthread
}
build_argobots() {
    $cc -O3 -DNDEBUG -I"$ARGOBOTS/include" $here/peers/argobots/bench.c -o "$1" \
        -L"$ARGOBOTS/lib" -l:libabt.a -pthread -lm
}
# What cargo writes beside a manifest belongs below build/, so it gets a copy. Where crossbeam-utils
# is a path of the copy given, its patch is not used and cargo says so.
build_crossbeam() {
    from=$(cd "$CROSSBEAM" && pwd) && mkdir -p "$out/crossbeam.d" &&
        cp $here/peers/crossbeam/* "$out/crossbeam.d" && (
        cd "$out/crossbeam.d" && ${CARGO:-cargo} build --offline --release --target-dir target \
            --config "patch.crates-io.crossbeam-channel.path='$from/crossbeam-channel'" \
            --config "patch.crates-io.crossbeam-utils.path='$from/crossbeam-utils'"
    ) && cp "$out/crossbeam.d/target/release/bench" "$1"
}

# shellcheck disable=SC2086    # flags are words
$cc $flags -pthread $here/*.c -o "$out/ours"
built=ours
for peer in $peers; do
    if "build_$peer" "$out/$peer" 2> "$out/$peer.log"; then
        built="$built $peer"
    else
        say "$peer skipped, it does not build here (see $out/$peer.log)"
    fi
done

# "row divisor" of each implementation: what it can run, and with how much of N.
for impl in $built; do
    "$out/$impl" | awk '{ print $1, $2 ? $2 : 1 }' > "$out/$impl.rows"
done

steal_ticks() { awk '/^cpu / { print $9 }' /proc/stat; }

# sample ROUND ROW W IMPL N - one process, one line. A sample that the hypervisor took time from
# is taken once more.
sample() {
    pin=
    [ "$3" != 1 ] || pin="taskset -c $last_cpu"
    for attempt in 1 2; do
        before=$(steal_ticks)
        status=0
        line=$(GOMAXPROCS=$3 CHANRT_WORKERS=$3 timeout 120 $pin "$out/$4" "$2" "$5" \
               < /dev/null 2> "$out/stderr.txt") || status=$?
        [ $(($(steal_ticks) - before)) -gt 2 ] || break
        [ $attempt = 2 ] || stolen=$((stolen + 1))
    done
    case $status in
    0)  echo "$1 $3 $4 $5 $line" >> "$samples" ;;
    77) ;;
    *)  why=$(head -c 200 "$out/stderr.txt" | tr '\n' ' ')
        echo "$2 W=$3 $4: status $status $why" | tee -a "$out/failed.txt" >&2 ;;
    esac
}

# share ROW IMPL N - the N for this implementation; nothing when it has no such row.
share() {
    awk -v r="$1" -v n="$3" '$1 == r { n = int(n / $2); print n < 1 ? 1 : n }' "$out/$2.rows"
}

# The table as words: row n workers.
awk -F '[(,]' -v keep="$rows" -v shrink="$shrink" '/^ROW/ {
    gsub(/ /, "")
    n = int($7 / shrink)
    if ($2 ~ keep) print $2, n < 1 ? 1 : n, $8
}' $here/rows.def > "$out/rows.txt"
[ -s "$out/rows.txt" ] || { say "no row matches $rows"; exit 2; }

# Memory that the host has not backed yet costs several times more: touch the peak once, unmeasured.
large='^(parked|sleepers|daisy|ring100k|skynet|spawn_burst)'
if [ "$quick" = 0 ] && grep -qE "$large" "$out/rows.txt"; then
    for impl in ours go; do
        [ -x "$out/$impl" ] || continue
        timeout 120 "$out/$impl" parked_time 1000000 > "$out/warm.txt" 2>&1 || :
    done
fi

stolen=0
round=1
while [ "$round" -le "$rounds" ]; do
    turn=$round
    while read -r row n where; do
        # Another implementation goes first each time.
        turn=$((turn + 1))
        order=$(echo "$built" |
            awk -v t=$turn '{ for (i = t; i < t + NF; i++) print $(i % NF + 1) }')
        for w in $workers; do
            case $where in *$w*) ;; *) continue ;; esac
            for impl in $order; do
                part=$(share "$row" "$impl" "$n")
                [ -n "$part" ] || continue
                sample "$round" "$row" "$w" "$impl" "$part"
                # A peer that runs less than N still needs somebody to agree with.
                if [ "$round" = 1 ] && [ "$part" != "$n" ] && [ "$impl" != ours ]; then
                    sample 0 "$row" "$w" ours "$part"
                fi
            done
        done
    done < "$out/rows.txt"
    say "round $round of $rounds done"
    round=$((round + 1))
done
[ $stolen = 0 ] || say "$stolen samples were taken again: the hypervisor had taken time from them"

{
    echo "machine $(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) CPUs," \
         "Linux $(uname -r)"
    echo "built $($cc --version | head -n 1); $flags"
    for impl in $built; do
        case $impl in
        go) echo "go $("$go" version | cut -d ' ' -f 3)" ;;
        boost_fiber) echo "boost $(awk '/define BOOST_LIB_VERSION/ { print $3 }' \
                     /usr/include/boost/version.hpp 2>/dev/null)" ;;
        esac
    done
    [ -z "$given" ] || echo "built from the sources given:$given"
    echo "run $(date -u +%Y-%m-%d), $rounds rounds, N divided by $shrink:" \
         "\`$([ "$quick" = 0 ] || echo "QUICK=1 ")ROUNDS=$rounds PEERS=\"$peers\" make bench\`"
} > "$out/machine.txt"

status=0
awk -f $here/report.awk -v machine="$out/machine.txt" -v md="$out/RESULTS.md" \
    -v json="$out/results.json" $here/rows.def "$samples" || status=1
if [ "$rows" = . ] && [ "$workers" = "1 2" ]; then
    awk -v lost=$here/LOST.md '{ print } /^- run / {
        print ""
        while ((getline line < lost) > 0) print line
    }' "$out/RESULTS.md" > $here/RESULTS.md
fi
if [ -s "$out/failed.txt" ]; then
    say "samples that failed:"
    sort "$out/failed.txt" | uniq -c >&2
    status=1
fi
exit $status
