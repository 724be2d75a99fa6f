#!/bin/bash
# docs.sh - what README.md and the header's manual show is compiled and run; see docs.awk
# for what counts. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
cc=${CC:-gcc}
flags='-std=c11 -O1 -I. -pthread -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror'
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
shopt -s nullglob
verdict() {    # verdict FILE STATUS TEXT
    if [ "$2" -eq 0 ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf '%s:\n%s\n' "${1##*/}" "$3"; fi
}

awk -v dir="$work" -f tests/tools/docs.awk README.md chanrt.h || failed=1
for f in "$work"/*.c; do
    out=$($cc $flags -o "$f.bin" "$f" 2>&1 && timeout 20 "$f.bin" 2>&1 </dev/null)
    status=$?
    verdict "$f" $status "$out"
    want=${f%.c}.out
    if [ $status -eq 0 ] && [ -e "$want" ]; then
        out=$(diff "$want" <(printf '%s\n' "$out"))
        verdict "$want" $? "$out"
    fi
done
fragment() {    # fragment FILE COMPILER FLAGS...
    { echo '#include "tests/tools/fragment.h"'
      echo 'void fragment(void);'
      echo 'void fragment(void) {'
      cat "$1"
      echo '}'; } >"$1.c"
    out=$("${@:2}" -I. -fsyntax-only "$1.c" 2>&1)
    verdict "$1" $? "$out"
}
for f in "$work"/*.part; do
    fragment "$f" $cc -std=c11 -Werror=incompatible-pointer-types -Werror=int-conversion \
        -Werror=implicit-function-declaration
done
for f in "$work"/*.ccpart; do fragment "$f" g++ -std=c++17 -Wall -Wno-unused -x c++; done
for f in "$work"/*.sh; do
    out=$(timeout 60 bash -e "$f" 2>&1 </dev/null)
    verdict "$f" $? "$out"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
