#!/bin/sh
# gate.sh - what one operation costs, in numbers that need no quiet machine.
#
#   gate.sh            measures the rows of budget.txt and fails where one is over
#   gate.sh -w         measures and rewrites budget.txt
#   ROWS=regex         only the rows that match
#
# callgrind runs each row with N and with 2N; the difference divided by N is the operation, free
# of startup. Instructions are counted per address, so those that objdump shows as locked (a lock
# prefix, or xchg with memory) and those that enter the kernel can be told from the rest: a clock
# read (valgrind hides the vDSO) from the other system calls, futex among them. The program is
# static, so that libc's are seen as well. One worker: with two, the count would depend on who
# waits for whom. Page faults are counted the same way in a run without valgrind.
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
        /^[0-9a-f]+ </        { inside = $2 }
        /\tlock |\txchg .*\(/ { print "0x" $2, "locked" }
        /\tsyscall/           { print "0x" $2, inside ~ /clock_gettime/ ? "clock" : "kernel" }
    ' > "$out/gate.addresses"

# count ROW N - instructions, locked ones, clock reads, other system calls and page faults of the
# whole run. In callgrind's file a line of cost is `address line count`; the one after calls=
# repeats the callee's and is left out.
count() {
    CHANRT_WORKERS=1 valgrind --tool=callgrind --callgrind-out-file="$out/callgrind.out" \
        --dump-instr=yes --compress-strings=no --compress-pos=no \
        "$out/gate" "$1" "$2" > "$out/gate.log" 2>&1 || { cat "$out/gate.log" >&2; return 1; }
    faults=$(CHANRT_WORKERS=1 "$out/gate" "$1" "$2" | cut -d ' ' -f 6)
    awk -v faults="$faults" '
         NR == FNR { kind[$1] = $2; next }
         /^calls=/ { getline; next }
         /^0x/     { all += $3; if ($1 in kind) special[kind[$1]] += $3 }
         END       { printf "%.0f %.0f %.0f %.0f %d\n", all, special["locked"], special["clock"],
                            special["kernel"], faults }' \
        "$out/gate.addresses" "$out/callgrind.out"
}

# Rows of a few operations of one kind: n is large enough that the rest drowns.
: > "$out/gate.txt"
for row in $(awk -v keep="${ROWS:-.}" '/^[^#]/ && $1 ~ keep { print $1 }' $budget); do
    n=$(awk -v r="$row" '$1 == r { print $2 }' $budget)
    once=$(count "$row" "$n")
    twice=$(count "$row" $((2 * n)))
    echo "$row $n $once $twice" >> "$out/gate.txt"
done

head='# row n instructions locked clock syscalls faults: per operation, one worker; see gate.sh'
measured() {
    awk 'function each(i) { return $(i + 5) < $i ? 0 : ($(i + 5) - $i) / $2 }
         { printf "%-16s %8d %9.1f %7.2f %8.3f %8.3f %8.3f\n", $1, $2, each(3), each(4), each(5),
                  each(6), each(7) }' "$out/gate.txt"
}
if [ "${1:-}" = -w ]; then
    { echo "$head"; measured; } > "$out/budget.txt"
    cp "$out/budget.txt" $budget
    cat $budget
    exit
fi

# 5 % and a little; the little is what startup leaves in the difference, where 5 % of none is none.
measured | awk '
    NR == FNR { if (/^[^#]/) for (i = 3; i <= 7; i++) most[$1, i] = $i; next }
    BEGIN { split("- - instructions locked clock syscalls faults", name) }
    {
        text = ""; bad = 0
        for (i = 3; i <= 7; i++) {
            over = $i > most[$1, i] * 1.05 + (i == 3 ? 0.5 : i < 7 ? 0.01 : 0.05)
            bad += over
            text = text sprintf("%s%s %s of %s", i > 3 ? ", " : " ", name[i], $i, most[$1, i])
            if (over) text = text " (OVER)"
        }
        printf "%-4s %-15s%s\n", bad ? "OVER" : "ok", $1, text
        if (bad) failed++; else passed++
    }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' $budget -
