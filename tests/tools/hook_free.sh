#!/bin/bash
# hook_free.sh - a build without CHANRT_DEBUG, CHANRT_TRACE and CHANRT_PROFILE is, byte for byte,
# what it would be if they did not exist; ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
mkdir "$work/with" "$work/without"
cp chanrt.h "$work/with/chanrt.h"
awk -f tests/tools/hook_free.awk chanrt.h >"$work/without/chanrt.h"
check() {    # check WHAT COMMAND...: silence and status 0 is a pass
    local what=$1 out
    shift
    if out=$("$@" 2>&1) && [ -z "$out" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'hook_free: %s\n%s\n' "$what" "$out"; fi
}
object() {    # object COMPILER FLAGS HEADER SOURCE
    sed 's|"[./a-z]*chanrt\.h"|"chanrt.h"|' "$4" >"$work/program.c"
    cp "$work/$3/chanrt.h" "$work/chanrt.h" # objects hold the name of the header
    # shellcheck disable=SC2086 -- flags are words
    (cd "$work" && $1 $2 -I. -c -o "$3/out.o" program.c)
}
same() {      # same COMPILER FLAGS SOURCE
    object "$1" "$2" with "$3" && object "$1" "$2" without "$3" &&
        cmp "$work/with/out.o" "$work/without/out.o"
}
nothing_left() {
    grep -nE 'DEBUG|TRACE|PROFILE|chanrt__(debug|trace|profile)_' "$work/without/chanrt.h" |
        grep -v 'compiled with -DCHANRT_DEBUG=1'
    true
}
no_traces() {
    echo '#define CHANRT_IMPLEMENTATION' | cat - chanrt.h >"$work/whole.c"
    gcc -O2 -g0 -c -o "$work/whole.o" "$work/whole.c"
    nm "$work/whole.o" | grep -iE 'debug|trace|stbds|profile'
    strings "$work/whole.o" |
        grep -iE 'freed at|never freed|CHANRT_(TRACE|PROFILE)|stbds|without a sched'
    true
}
# The two differ where they should: the hooks were there to be removed.
removed() {
    cmp -s "$work/with/chanrt.h" "$work/without/chanrt.h" && echo 'nothing was removed'
    true
}

check 'something was removed' removed
check 'nothing is left' nothing_left
check 'symbols and texts' no_traces
for cc in gcc clang; do
    check "$cc" same $cc '-std=c11 -O2' examples/09_select.c
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
