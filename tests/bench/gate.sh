#!/bin/sh
# gate.sh - what one operation costs, in numbers that need no quiet machine.
#
#   gate.sh            measures the rows of budget.txt and fails where one is more than 5 % over
#   gate.sh -w         measures and rewrites budget.txt
#
# callgrind runs each row with N and with 2N; the difference divided by N is the operation, free
# of startup. Instructions are counted per address, so those that objdump shows as locked (a lock
# prefix, or xchg with memory) and those that enter the kernel can be told from the rest. The
# program is static, so that libc's are seen as well. One worker: with two, the count would depend
# on who waits for whom. A clock read counts as a system call: valgrind hides the vDSO.
set -eu
cd "$(dirname "$0")/../.."
here=tests/bench
out=${B:-build}/bench
budget=$here/budget.txt
for tool in valgrind objdump; do
    command -v $tool > /dev/null || { echo "gate: needs $tool"; exit 2; }
done
mkdir -p "$out"

# shellcheck disable=SC2086    # flags are words
${CC:-gcc} ${BENCH_FLAGS:--std=c11 -O2 -DNDEBUG} -g -static -no-pie -pthread $here/*.c \
    -o "$out/gate"
objdump -d --no-show-raw-insn "$out/gate" |
    awk -F '[ :]+' '
        /\tlock |\txchg .*\(/ { print "0x" $2, "locked" }
        /\tsyscall/           { print "0x" $2, "kernel" }' > "$out/gate.addresses"

# count ROW N - instructions, locked ones and system calls of the whole run. In callgrind's file a
# line of cost is `address line count`; the one after calls= repeats the callee's and is left out.
count() {
    CHANRT_WORKERS=1 valgrind --tool=callgrind --callgrind-out-file="$out/callgrind.out" \
        --dump-instr=yes --compress-strings=no --compress-pos=no \
        "$out/gate" "$1" "$2" > "$out/gate.log" 2>&1 || { cat "$out/gate.log" >&2; return 1; }
    awk 'NR == FNR { kind[$1] = $2; next }
         /^calls=/ { getline; next }
         /^0x/     { all += $3; if ($1 in kind) special[kind[$1]] += $3 }
         END       { printf "%.0f %.0f %.0f\n", all, special["locked"], special["kernel"] }' \
        "$out/gate.addresses" "$out/callgrind.out"
}

# Rows of a few operations of one kind: n is large enough that the rest drowns.
: > "$out/gate.txt"
for row in $(awk '/^[^#]/ { print $1 }' $budget); do
    n=$(awk -v r="$row" '$1 == r { print $2 }' $budget)
    once=$(count "$row" "$n")
    twice=$(count "$row" $((2 * n)))
    echo "$row $n $once $twice" >> "$out/gate.txt"
done

head='# row n instructions locked syscalls, each per operation with one worker; see gate.sh'
measured() {
    awk 'function each(more, n) { return more < 0 ? 0 : more / n }
         { printf "%-16s %8d %9.1f %7.2f %8.3f\n", $1, $2,
                  each($6 - $3, $2), each($7 - $4, $2), each($8 - $5, $2) }' "$out/gate.txt"
}
if [ "${1:-}" = -w ]; then
    { echo "$head"; measured; } > "$out/budget.txt"
    cp "$out/budget.txt" $budget
    cat $budget
    exit
fi

# A locked instruction or a system call more per operation breaks the budget even where 5 % of
# none is none; 0.01 is what startup leaves in the difference.
measured | awk '
    NR == FNR { if (/^[^#]/) { instr[$1] = $3; locked[$1] = $4; calls[$1] = $5 } next }
    function over(x, limit) { return x > limit * 1.05 + 0.01 }
    {
        bad = over($3, instr[$1]) || over($4, locked[$1]) || over($5, calls[$1])
        printf "%-4s %-15s instructions %.1f of %.1f, locked %.2f of %.2f, syscalls %.3f of %.3f\n",
               bad ? "OVER" : "ok", $1, $3, instr[$1], $4, locked[$1], $5, calls[$1]
        if (bad) failed++; else passed++
    }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' $budget -
