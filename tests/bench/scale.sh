#!/bin/sh
# scale.sh - the same rows with more and more workers, for a machine with many cores.
#
#   tests/bench/scale.sh                        # pools of 1 2 4 8 16, then stress; under 4 minutes
#   WORKERS="1 4 32" SAMPLES=5 STRESS=0 tests/bench/scale.sh
#
#   WORKERS="..."    pool sizes; by default those up to the CPUs at hand, and 16 for the stress
#   SAMPLES=3        samples of each row and pool size; the smallest counts
#   ROWS=regex       only the rows that match
#   STRESS=2         seconds for each stress program at the largest pool; 0: none
#   LIMIT=150        seconds after which no further sample is taken
#   GO=1             beside Go, where there is one (as long again)
#
# Needs a C compiler only. The table: ns per operation for each pool size, then how many times
# faster than with one worker, and the CPU time of the largest pool relative to one worker, which
# says what the speed was bought with. Everything goes to build/bench/scale.md as well.
set -eu
cd "$(dirname "$0")/../.."
here=tests/bench
out=${B:-build}/bench
mkdir -p "$out"
cc=${CC:-gcc}
cpus=$(nproc)
largest=16
if [ -z "${WORKERS:-}" ]; then
    WORKERS=1
    for w in 2 4 8 16; do [ "$w" -gt "$cpus" ] || WORKERS="$WORKERS $w"; done
fi
for w in $WORKERS; do [ "$w" -le "$largest" ] || largest=$w; done
limit=${LIMIT:-150}
start=$(date +%s)
samples=$out/scale.tsv
: > "$samples"

# Rows, and what each is to show. Every N is a fraction of a second with one worker.
cat > "$out/scale.rows" <<'EOF'
pingpong_64      1600000 pairs apart from each other: as many times faster as there are workers
yield1000        4000000 every worker its own queue: the same
fanout64_10us      16000 one producer, 10 us of work each: the same, until the producer is the limit
fanout_10us        16000 the same with 8 tasks to work: never more than 8 times
fanout_1us        100000 1 us of work: what a hand-over across cores costs
fib25                  1 a tree of tasks, each spawned where it is needed
skynet                 1 a broad tree, a million leaves
spawn_burst       300000 one parent, work is there only to be stolen
sieve1000              1 a chain, each link waiting for the one before
ring10k           400000 one message: must not get slower
pingpong_same     800000 one pair: must not get slower
spsc128          3000000 one stream: must not get slower
mpsc4_128        3000000 one channel, five tasks
mpmc32x32_128    2000000 one hot channel, 64 tasks: must not collapse
select_both       300000 four channels, both sides choosing
wg_gate1000       100000 a thousand released at once
timers_fire       100000 one heap of timers
sleep_1ms_p50        100 how late a sleep ends
foreign            10000 the main thread and a task
hog_timer_p99        500 a sleep beside a task that never yields
parked_time       200000 stacks touched for the first time
EOF

# shellcheck disable=SC2086    # flags are words
$cc ${BENCH_FLAGS:--std=c11 -O2 -DNDEBUG} -pthread $here/*.c -o "$out/ours"
impls=ours
if [ "${GO:-0}" = 1 ]; then
    (cd $here/peers/go && GOTOOLCHAIN=local CGO_ENABLED=0 go build -o "$OLDPWD/$out/go" .) &&
        impls="ours go"
fi

# Each round visits everything once, so that a slow minute of the machine spreads over all.
round=0
while [ $round -lt "${SAMPLES:-3}" ]; do
    round=$((round + 1))
    while read -r row n _; do
        echo "$row" | grep -qE "${ROWS:-.}" || continue
        for w in $WORKERS; do
            [ $(($(date +%s) - start)) -lt "$limit" ] || continue
            for impl in $impls; do
                line=$(GOMAXPROCS=$w CHANRT_WORKERS=$w timeout 20 "$out/$impl" "$row" "$n" \
                       2> "$out/scale.err" < /dev/null) || {
                    case $? in
                    77) ;;
                    *)  echo "scale: $impl $row with $w workers failed" >&2
                        head -n 3 "$out/scale.err" >&2 ;;
                    esac
                    continue
                }
                echo "$impl $w $line" >> "$samples"
            done
        done
    done < "$out/scale.rows"
done

{
    echo "machine $(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $cpus CPUs," \
         "Linux $(uname -r), $($cc --version | head -n 1), load $(cut -d ' ' -f 1 /proc/loadavg)"
    echo
    awk -v workers="$WORKERS" -v impls="$impls" '
        function cell(x) { return x == "" ? "-" : sprintf(x < 100 ? "%.1f" : "%.0f", x) }
        FNR == NR {
            what = $0; sub(/^[^ ]+ +[^ ]+ +/, "", what)
            order[++rows] = $1; says[$1] = what
            next
        }
        {
            if (!(($3, $1, $2) in ns) || $4 < ns[$3, $1, $2]) {
                ns[$3, $1, $2] = $4; cpu[$3, $1, $2] = $5
            }
            if (!($3 in sum)) sum[$3] = $7
            else if (sum[$3] != $7) { printf "CHECKSUM of %s differs\n", $3; bad = 1 }
        }
        END {
            n = split(workers, w, " "); k = split(impls, impl, " ")
            printf "| row | |"
            for (i = 1; i <= n; i++) printf " W=%d |", w[i]
            for (i = 2; i <= n; i++) printf " x%d |", w[i]
            printf " cpu x%d | what it shows |\n|---|---|", w[n]
            for (i = 1; i < 2 * n; i++) printf "--:|"
            print "--:|---|"
            for (r = 1; r <= rows; r++) for (j = 1; j <= k; j++) {
                row = order[r]; p = impl[j]
                found = 0
                for (i = 1; i <= n; i++) found += (row, p, w[i]) in ns
                if (!found) continue
                printf "| %s | %s |", row, p
                for (i = 1; i <= n; i++) printf " %s |", cell(ns[row, p, w[i]])
                one = ns[row, p, w[1]]
                for (i = 2; i <= n; i++) {
                    x = ns[row, p, w[i]]
                    if (one > 0 && x > 0) printf " %.2f |", one / x
                    else printf " - |"
                }
                x = cpu[row, p, w[n]]; one = cpu[row, p, w[1]]
                if (one > 0 && x > 0) printf " %.2f |", x / one
                else printf " - |"
                printf " %s |\n", j == 1 ? says[row] : ""
            }
            exit bad
        }' "$out/scale.rows" "$samples"
} > "$out/scale.md" || status=1
cat "$out/scale.md"

# The stress programs, one after the other, in the largest pool.
passed=0 failed=0
if [ "${STRESS:-2}" != 0 ]; then
    for f in tests/stress/*.c; do
        p=$(basename "$f" .c)
        if $cc -std=c11 -O2 -pthread -DCHANRT_IMPLEMENTATION "$f" -lm -o "$out/stress_$p" \
               2> "$out/scale.err" &&
           text=$(CHANRT_WORKERS=$largest timeout 60 "$out/stress_$p" "${STRESS:-2}" 2>&1); then
            passed=$((passed + 1)) && echo "ok    $largest workers, $text"
        else
            failed=$((failed + 1)) && echo "FAIL  $largest workers, $p"
            head -n 5 "$out/scale.err"
            echo "${text:-}" | tail -n 20
        fi
    done
    echo "stress at $largest workers: $passed passed, $failed failed"
fi
echo "took $(($(date +%s) - start)) s"
[ "${status:-0}" = 0 ] && [ $failed = 0 ]
