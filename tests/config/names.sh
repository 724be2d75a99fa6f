#!/bin/bash
# names.sh - what the header adds to a program's names; ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
check() {    # check WHAT COMMAND...: silence and status 0 is a pass
    local what=$1 out
    shift
    if out=$("$@" 2>&1) && [ -z "$out" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'names: %s\n%s\n' "$what" "$out"; fi
}

# The names that chanrt.h itself defines as macros under the given flags.
macros() {
    gcc -std=c11 -E -dD "$@" -x c chanrt.h |
        awk '/^# [0-9]+ "/ { ours = $3 == "\"chanrt.h\"" }
             ours && /^#define / { sub(/\(.*/, "", $2); print $2 }' | sort -u
}
aliases() { macros | grep -vE '^(chanrt|CHANRT)_|^CHANRT_H$|^errno$'; }

# An alias must not be a word of any header: its meaning would change there.
strangers() {
    gcc -std=gnu17 -D_GNU_SOURCE -E -dD tests/config/posix.h | grep -v '^# [0-9]' |
        grep -ohE '[A-Za-z_][A-Za-z0-9_]*' | sort -u | comm -12 - <(aliases)
}
# Without short names all of them are the program's own.
free_again() {
    { echo '#include "chanrt.h"'; aliases | sed 's/.*/int &;/'; } >"$work/free.c"
    gcc -std=c11 -I. -DCHANRT_NO_SHORT_NAMES -fsyntax-only "$work/free.c"
}
long_macros() { macros -DCHANRT_NO_SHORT_NAMES "$@" | grep -vE '^(chanrt|CHANRT)_|^errno$'; true; }
symbols() {
    echo '#define CHANRT_IMPLEMENTATION' >"$work/impl.c"
    echo '#include "chanrt.h"' >>"$work/impl.c"
    gcc -std=c11 -I. -c -o "$work/impl.o" "$work/impl.c" &&
        nm -g --defined-only "$work/impl.o" | awk '$3 !~ /^chanrt_/ { print $3 }'
}

[ "$(aliases | wc -l)" -gt 40 ] || { echo 'names: aliases not found'; failed=1; }
check 'an alias is a word of POSIX' strangers
check 'an alias stays without short names' free_again
check 'other macros' long_macros
check 'other macros, implementation' \
    eval 'long_macros -DCHANRT_IMPLEMENTATION | grep -vx _GNU_SOURCE; true'
check 'external symbols' symbols
for cc in gcc clang; do
    for order in '' -DPOSIX_FIRST; do
        for std in c11 gnu17; do
            check "$cc -std=$std $order" $cc -std=$std -I. -D_GNU_SOURCE $order -fsyntax-only \
                -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror tests/config/names.c
        done
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
