#!/bin/bash
# run.sh [NAME...] - puts each mistake of mutants.txt into a copy of the header, builds the programs
# named there, and says which test noticed. Ends with `N passed, M failed`: killed, survived.
#
#   FAST=1       the mutants that fast.awk picks, by -O1; 95 % killed are enough
#   WIDE=1       a survivor also meets every other program of unit and spec, with all their rounds
#   JOBS=2       mutants at a time
cd "$(dirname "$0")/../.." || exit 2
work=${B:-build}/mutants
here=tests/mutants opt=-O2 enough=100 sizes='4 1 2'
mkdir -p "$work"
ulimit -c 0
export TEST_SCALE=${TEST_SCALE:-0.1}
export TSAN_OPTIONS="report_thread_leaks=0 halt_on_error=1 exitcode=66"
export ASAN_OPTIONS="detect_stack_use_after_return=1"

list=$(awk -f $here/apply.awk $here/mutants.txt chanrt.h 2>"$work/stale")
cat "$work/stale"
if [ "${FAST:-0}" = 1 ]; then
    opt=-O1 enough=95 sizes='4 1'
    list=$(awk -f $here/fast.awk chanrt.h <(echo "$list"))
fi

# A copy of what a program is built from, so that a mutant has the header to itself.
plant() {
    local dir=$1
    rm -rf "$dir"
    mkdir -p "$dir/tests"
    cp Makefile "$dir"
    cp -r tests/*.[ch] tests/spec tests/unit tests/races tests/history tests/explore "$dir/tests"
}

# A scenario of tests/explore, with 1,000 seeds.
build_scenario() {
    gcc -std=gnu11 -O1 -g1 -w -pthread -o "$1/explore" "$1/tests/explore/explore.c" \
        >"$1/log" 2>&1 || return 1
    printf '#!/bin/sh\nexec %s/explore %s 1 1000\n' "$PWD/$1" "$2" >"$1/explore.sh"
    chmod +x "$1/explore.sh"
    echo explore.sh
}

# build DIR PROGRAM: the binary's path, relative to DIR, by name and flavour.
build() {
    local dir=$1 flavour=plain program=$2 cc=gcc flags=
    case $program in explore/*) build_scenario "$dir" "${program#*/}"; return ;; esac
    case $program in *:*) flavour=${program%%:*} program=${program#*:} ;; esac
    case $flavour in
    tsan)  cc=clang flags='-fsanitize=thread' ;;
    asan)  flags='-fsanitize=address' ;;
    check) flags='-DCHANRT_CHECK=1' ;;
    esac
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -j1 -C "$dir" CC=$cc B="build/$flavour" \
        OPT="$opt -g1" WARN=-w FLAGS="$flags" "build/$flavour/$program" >"$dir/log" 2>&1 &&
        echo "build/$flavour/$program"
}

# probe DIR PROGRAM: 0 when it goes well at each pool size, within LIMIT.
probe() {
    local dir=$1 binary w
    binary=$(build "$dir" "$2") || { echo "      does not build: $2"; sed 5q "$dir/log"; return 2; }
    for w in $sizes; do once "$w" "$dir" "$binary" || return 1; done
}

# Whoever hangs gets a second chance: the machine may be busy.
once() {
    local try
    for try in 1 2; do
        CHANRT_WORKERS=$1 timeout -k 2 "${LIMIT:-60}" "$2/$3" >"$2/log" 2>&1 </dev/null && return 0
        [ $? -ge 124 ] || grep -q '^watchdog' "$2/log" || return 1
    done
    return 1
}

# What the failing program said about it.
said='CHECK failed: .*|watchdog: .*|WARNING: Thread.*|ERROR: Addr[^ ]* [^ ]*|fatal error.*'
reason() {
    grep -m 1 -oE "$said|Assertion.*" "$1/log" || tail -n 1 "$1/log" | cut -c 1-80
}

attack() {
    local name=$1 stars=$2 programs=$3 dir=$work/$1 p
    if [[ $programs == survives:* ]]; then
        echo "excused   $name: ${programs#survives: }"
        return
    fi
    plant "$dir"
    awk -v only="$name" -f $here/apply.awk $here/mutants.txt chanrt.h >"$dir/chanrt.h"
    if [ "${WIDE:-0}" = 1 ]; then
        for p in tests/unit/*.c tests/spec/*.c; do
            p=${p#tests/}
            [[ " $programs " == *" ${p%.c} "* ]] || programs+=" ${p%.c}"
        done
    fi
    for p in $programs; do
        probe "$dir" "$p"
        case $? in
        1) printf 'killed    %-42s %-9s by %-22s %s\n' "$name" "*${stars// / *}" "$p" \
               "$(reason "$dir")"
           rm -rf "$dir"
           return ;;
        2) echo "broken    $name"
           return ;;
        esac
    done
    printf 'SURVIVED  %-42s *%s, %s\n' "$name" "${stars// / *}" "$programs"
    rm -rf "$dir"
}

# Each program must go well without a mutant, at the second attempt if the machine is busy; how
# long that takes bounds it with one.
sound() {
    local dir=$work/none/$2 p=$1 started=${EPOCHREALTIME/./}
    cp -a "$work/none/0" "$dir"
    probe "$dir" "$p" || probe "$dir" "$p" &&
        echo $(((${EPOCHREALTIME/./} - started) / 1000000)) >"$dir/took" ||
        echo "FAIL  $p fails without any mutant: $(reason "$dir")"
}
started=$SECONDS
rm -rf "$work"/none "$work"/report
mkdir -p "$work/none"
plant "$work/none/0"
cp chanrt.h "$work/none/0"
build "$work/none/0" impl.o >/dev/null
build "$work/none/0" main.o >/dev/null
[ $# -eq 0 ] || list=$(echo "$list" | grep -E "^($(IFS='|'; echo "$*"))\|")
n=0
for p in $(echo "$list" | cut -d '|' -f 3 | grep -v '^survives' | tr ' ' '\n' | sort -u); do
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    n=$((n + 1))
    sound "$p" $n &
done
wait
slowest=$(cat "$work"/none/*/took | sort -n | tail -n 1)
if [ "$(cat "$work"/none/*/took | wc -l)" -ne $n ]; then
    echo '0 passed, 1 failed'
    exit 1
fi
echo "$n programs without a mutant, $((SECONDS - started)) s"
export LIMIT=$((slowest * 3 + 15))

started=$SECONDS
{
    while IFS='|' read -r name stars programs _; do
        while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
        attack "$name" "$stars" "$programs" &
    done <<<"$list"
    wait
} | tee "$work/report"
count() { grep -c "^$1 " "$work/report"; }
echo "limit $LIMIT s a program, $((SECONDS - started)) s, excused: $(count excused)"
failed=$(($(count SURVIVED) + $(count broken) + $(wc -l <"$work/stale")))
killed=$(count killed)
[ $failed -eq 0 ] || echo "killed: $((killed * 100 / (killed + failed))) %, $enough % are asked for"
# Those that are not asked for are told, and not counted.
[ $((killed * 100)) -lt $(((killed + failed) * enough)) ] || failed=0
echo "$killed passed, $failed failed"
[ "$killed" -gt 0 ] && [ $failed -eq 0 ]
