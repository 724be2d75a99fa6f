#!/bin/bash
# mistakes.sh - each program of examples/MISTAKES.md says what stands under it: each line of the
# text block, in which * is any text, is part of a line of what compiler, linker and program say.
# Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8    # the compiler's quotation marks
passed=0 failed=0
awk -v dir="$work" '
    /^### [0-9]+\./           { n = $2 + 0 }
    /^```/ && kind != ""      { kind = ""; next }
    /^```(c|cpp|text)$/       { kind = substr($0, 4); next }
    kind != ""                { print > (dir "/" n "." kind) }' examples/MISTAKES.md
printf '#define CHANRT_IMPLEMENTATION\n#include "chanrt.h"\n' >"$work/impl.c"
gcc -std=c11 -I. -O1 -c -o "$work/impl.o" "$work/impl.c" || exit 1

says() {    # says FILE LINE: the line is a pattern, but for all other special signs
    local pattern line
    pattern=$(sed 's/[][\\?()|+@!]/\\&/g' <<<"$2")
    while read -r line; do
        # shellcheck disable=SC2053 -- it is a pattern
        [[ $line == *$pattern* ]] && return
    done <"$1"
    return 1
}
# What program N does not say, and then what it does; nothing when all is well.
attempt() {
    local program=$work/$1 line missing=''
    {
        if [ -e "$program.c" ]; then
            gcc -std=c11 -Wall -I. -pthread -o "$program" "$program.c"
        elif grep -q '^#define CHANRT_IMPLEMENTATION' "$program.cpp"; then
            g++ -std=c++17 -I. -pthread -o "$program" "$program.cpp"
        else
            g++ -std=c++17 -Wall -I. -pthread -o "$program" "$program.cpp" "$work/impl.o"
        fi
        [ ! -x "$program" ] || { timeout -k 5 30 "$program"; } 2>&1
    } >"$program.out" 2>&1 </dev/null
    while read -r line; do
        says "$program.out" "$line" && continue
        printf 'mistake %s does not say: %s\n' "$1" "$line"
        missing=1
    done <"$program.text"
    [ -z "$missing" ] || head -n 20 "$program.out"
}
for want in "$work"/*.text; do
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    n=$(basename "$want" .text)
    attempt "$n" >"$work/$n.verdict" &
done
wait
for verdict in "$work"/*.verdict; do
    if [ -s "$verdict" ]; then failed=$((failed + 1))
    else passed=$((passed + 1)); fi
    cat "$verdict"
done
[ $((passed + failed)) -ge 28 ] || { echo "programs are missing"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
