#!/bin/bash
# tcc.sh - every example in one file (without stdatomic.h, which tcc has not), its own code by tcc
# and the implementation by gcc, prints what it promises. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build} d=$B/config/tcc
mkdir -p "$d"
passed=0 failed=0
printf '#define CHANRT_IMPLEMENTATION\n#include "chanrt.h"\n' >"$d/impl.c"
gcc -std=c11 -O2 -I. -pthread -c -o "$d/impl.o" "$d/impl.c" || exit 1
# tcc has no section that says so.
link='-pthread -Wl,-z,noexecstack -lm'
for f in examples/[0-9]*.c; do
    name=${f##*/}
    ! grep -q stdatomic.h "$f" || continue
    sed 's|^#define CHANRT_IMPLEMENTATION||' "$f" | sed 's|"../chanrt.h"|"chanrt.h"|' >"$d/$name"
    want=$(sed -n 's|^// Exit: ||p' "$f")
    if out=$(tcc -Werror -I. -c -o "$d/$name.o" "$d/$name" 2>&1 &&
             gcc -o "$d/$name.bin" "$d/$name.o" "$d/impl.o" $link 2>&1) &&
       { { out=$(timeout -k 5 60 "$d/$name.bin" 2>/dev/null </dev/null); } 2>/dev/null
         [ $? -eq "${want:-0}" ]; } &&
       { ! grep -q '^// Output:' "$f" ||
         [ "$out" = "$(sed -n '/^\/\/ Output:/,$s|^// \{0,1\}||p' "$f" |
                       sed '1d;/^Exit:/,$d;/^Stderr/,$d')" ]; }
    then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'tcc %s: %s\n' "$name" "$out"; fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
