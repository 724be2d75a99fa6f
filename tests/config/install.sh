#!/bin/bash
# install.sh - `make install`, then a project of three files that is built against it by its own
# Makefile, by CMake and with pkg-config; the manual; `make uninstall`. Ends with `N passed, M
# failed`.
cd "$(dirname "$0")/../.." || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 src=tests/config/project p=$work/prefix
check() {    # check WHAT COMMAND...
    local out
    if out=$("${@:2}" 2>&1); then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'install: %s\n%s\n' "$1" "$out"; fi
}
says() { local out; out=$("${@:2}") && [ "$out" = "$1" ] || { echo "$out"; return 1; }; }
silent() { local out; out=$("$@" 2>&1); [ -z "$out" ] || { echo "$out"; return 1; }; }
target() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s "$@"; }

by_make() { mkdir "$work/make" && target -C $src PREFIX="$p" OUT="$work/make" &&
            says 385 "$work/make/sum"; }
by_cmake() { cmake -S $src -B "$work/cmake" -DCMAKE_PREFIX_PATH="$p" >"$work/log" 2>&1 &&
             cmake --build "$work/cmake" >>"$work/log" 2>&1 || { cat "$work/log"; return 1; }
             says 385 "$work/cmake/sum"; }
by_pkg_config() {
    local flags
    flags=$(PKG_CONFIG_PATH=$p/share/pkgconfig pkg-config --cflags --libs 'chanrt >= 0.9') &&
        ${CC:-gcc} -std=c11 -O2 $src/*.c $flags -o "$work/sum" && says 385 "$work/sum"
}
too_new() { ! PKG_CONFIG_PATH=$p/share/pkgconfig pkg-config 'chanrt >= 99'; }

# Every page renders without a word of complaint.
manual() {
    local page
    for page in "$p"/share/man/man3/*.3; do
        LC_ALL=C.UTF-8 silent eval "(cd '$p/share/man' && man --warnings=w -E UTF-8 -l -Tutf8 -Z \
            'man3/${page##*/}' 2>&1 >/dev/null)" || return
    done
}
# What the reference documents has a page, and the page says what the header says.
pages() {
    local name text
    # Whatever has a short name, types and constants apart.
    for name in chanrt chanrt_cxx chanrt_shutdown $(sed -n '/^\/\/ >>short-names/,/^#endif/ {
        s/^#define .* \(chanrt_[a-z_]*\).*/\1/p }' chanrt.h); do
        grep -qE "^(typedef struct $name|}) $name;" chanrt.h ||
            [ -s "$p/share/man/man3/$name.3" ] || { echo "no page $name(3)"; return 1; }
    done
    text=$(MANPATH=$p/share/man MANWIDTH=200 man 3 chanrt_chan_send) &&
        grep -q 'EPIPE: closed, the value was not sent' <<<"$text" || { echo "$text"; return 1; }
}
nothing_left() { silent find "$1" ! -type d; }
staged() {
    target install DESTDIR="$work/stage" PREFIX=/opt/c &&
        [ -e "$work/stage/opt/c/include/chanrt.h" ] &&
        grep -qx 'prefix=/opt/c' "$work/stage/opt/c/share/pkgconfig/chanrt.pc" &&
        target uninstall DESTDIR="$work/stage" PREFIX=/opt/c && nothing_left "$work/stage"
}

check 'make install' target install PREFIX="$p"
check 'a project with a Makefile' by_make
check 'a project with CMake' by_cmake
check 'a project with pkg-config' by_pkg_config
check 'a version to come' too_new
check 'manual pages' pages
check 'manual pages, warnings' manual
check 'make uninstall' target uninstall PREFIX="$p"
check 'make uninstall leaves nothing' nothing_left "$p"
check 'DESTDIR and PREFIX' staged
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
