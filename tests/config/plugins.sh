#!/bin/bash
# plugins.sh - the runtime in a shared object that a program and two plugins use, opened with
# dlopen; and two plugins that each hold a runtime of their own. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build} CC=${CC:-gcc} d=$B/config/plugins src=tests/config/plugins
rm -rf "$d"
mkdir -p "$d"
passed=0 failed=0
flags="${STD--std=c11} ${OPT:--O2 -g} $WARN $FLAGS -I. -pthread -fPIC"
check() {    # check NAME COMMAND...
    local out
    if out=$("${@:2}" 2>&1); then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'plugins: %s\n%s\n' "$1" "$out"; fi
}
for p in ping pong; do
    check "$p with a runtime of its own" $CC $flags -DOWN_RUNTIME -shared \
        -o "$d/own_$p.so" $src/$p.c
done
check 'a runtime to share' $CC $flags -shared -o "$d/libruntime.so" $src/runtime.c
for p in ping pong; do
    check "$p" $CC $flags -shared -o "$d/$p.so" $src/$p.c -L"$d" -lruntime -Wl,-rpath,'$ORIGIN'
done
check 'the program' $CC $flags -o "$d/main" $src/main.c -ldl
for n in 1 2 4; do
    run="env CHANRT_WORKERS=$n timeout -k 5 60 $UNDER $d/main"
    check "one runtime, CHANRT_WORKERS=$n" $run "$d/ping.so" "$d/pong.so" same
    check "two runtimes, CHANRT_WORKERS=$n" $run "$d/own_ping.so" "$d/own_pong.so" own
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
