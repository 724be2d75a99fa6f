#!/bin/bash
# run.sh - requests per second and latency of the echo server and the file server beside Go's,
# in one interleaved run: the same client for both, pinned to the same CPU, the server to the
# other one. Beside the rate and the latency: how much processor time of the server a request
# took, which the client's own limits do not touch.
#
#     tests/bench/net/run.sh              # 3 rounds
#     ROUNDS=5 SECS=4 tests/bench/net/run.sh
#
# Needs go, gcc; wrk for the file server. Medians of the rounds; the ratio is of each round's
# pair, ours to Go's: above 1 is faster than Go.
cd "$(dirname "$0")/../../.." || exit 2
B=${B:-build}
out=$B/bench/net
mkdir -p "$out/site"
rounds=${ROUNDS:-3} secs=${SECS:-3}
gcc -std=c11 -O2 -DNDEBUG -pthread -I. examples/37_echo_server.c -o "$out/echo" || exit 2
gcc -std=c11 -O2 -DNDEBUG -pthread -I. examples/httpd/httpd.c -o "$out/httpd" || exit 2
gcc -std=c11 -O2 -Wall -Wextra tests/bench/net/load.c -o "$out/load" || exit 2
(cd tests/bench/net/go && CGO_ENABLED=0 GOTOOLCHAIN=local go build -o "$OLDPWD/$out/go" .) || exit 2
head -c 1024 /dev/zero | tr '\0' a >"$out/site/small"
head -c 262144 /dev/zero | tr '\0' b >"$out/site/large"
ulimit -n "$(ulimit -H -n)"

port=$((20000 + RANDOM % 10000))
trap 'kill $(jobs -p) 2>/dev/null' EXIT

# with SERVER COMMAND...: starts the server on CPU 0, runs the command on CPU 1, stops it. What the
# server took of the processor goes to the file `cpu`, in hundredths of a second.
with() {
    local server=$1 pid ticks
    shift
    port=$((port + 1))
    taskset -c 0 ${server//PORT/$port} >/dev/null 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        sleep 0.05
    done
    taskset -c 1 "${@//PORT/$port}"
    read -ra ticks <"/proc/$pid/stat"
    echo $((ticks[13] + ticks[14])) >"$out/cpu"
    kill $pid
    wait $pid 2>/dev/null
}
echo_load() { with "$1" "$out/load" PORT "$2" "$secs" 64 | awk '{ print $1, $4, $7 }'; }
# sample ROUND WHO ROW LOAD...: one line, the processor time of a request in us at its end.
sample() {
    local what="$1 $2 $3" rate rest
    shift 3
    "$@" >"$out/answer"
    read -r rate rest <"$out/answer"
    echo "$what $rate $rest $(awk -v rate="$rate" -v secs="$secs" \
        '{ print (rate > 0 ? $1 * 10000 / (rate * secs) : 0) }' "$out/cpu")"
}
wrk_load() {
    with "$1" wrk -t1 -c"$2" -d"${secs}s" --latency "http://127.0.0.1:PORT/$3" | awk '
        function us(x) { return x ~ /ms$/ ? x * 1000 : x ~ /us$/ ? x + 0 : x * 1000000 }
        $1 == "50%" { p50 = us($2) } $1 == "99%" { p99 = us($2) }
        /Requests\/sec/ { rate = $2 } /Non-2xx|Socket errors/ { bad = 1 }
        END { if (bad) print "errors" > "/dev/stderr"; print rate, p50, p99 }'
}
export GOMAXPROCS=1 CHANRT_WORKERS=1
samples=$out/samples
: >"$samples"
for round in $(seq "$rounds"); do
    for who in ours go; do
        [ $who = ours ] && echo_server="$out/echo PORT" http="$out/httpd --port PORT $out/site" ||
            { echo_server="$out/go echo PORT"; http="$out/go http PORT $out/site"; }
        for n in 1 64 1000; do sample $round $who echo_$n echo_load "$echo_server" $n; done
        if command -v wrk >/dev/null; then
            sample $round $who file_1k_64 wrk_load "$http" 64 small
            sample $round $who file_1k_1000 wrk_load "$http" 1000 small
            sample $round $who file_256k_64 wrk_load "$http" 64 large
        fi
    done
done >>"$samples"
awk '
    function median(list,   n, a, i, j, t) {
        n = split(list, a, " ")
        for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++)
            if (a[j] + 0 < a[i] + 0) { t = a[i]; a[i] = a[j]; a[j] = t }
        return a[int((n + 1) / 2)]
    }
    !($3 in seen) { seen[$3] = 1; order[++rows] = $3 }
    { rate[$2, $3] = rate[$2, $3] " " $4; p50[$2, $3] = p50[$2, $3] " " $5
      p99[$2, $3] = p99[$2, $3] " " $6; cpu[$2, $3] = cpu[$2, $3] " " $7
      one[$1, $2, $3] = $4; if ($1 > rounds) rounds = $1 }
    END {
        print "| row | ours req/s | Go req/s | ours/Go | p50 us ours, Go | p99 us ours, Go |" \
              " server us/req ours, Go |"
        print "|---|--:|--:|--:|--:|--:|--:|"
        for (r = 1; r <= rows; r++) {
            row = order[r]; ratios = ""
            for (i = 1; i <= rounds; i++) if (one[i, "go", row] > 0)
                ratios = ratios " " one[i, "ours", row] / one[i, "go", row]
            printf "| %s | %.0f | %.0f | %.2f | %d, %d | %d, %d | %.1f, %.1f |\n", row,
                   median(rate["ours", row]), median(rate["go", row]), median(ratios),
                   median(p50["ours", row]), median(p50["go", row]),
                   median(p99["ours", row]), median(p99["go", row]),
                   median(cpu["ours", row]), median(cpu["go", row])
        }
    }' "$samples"
