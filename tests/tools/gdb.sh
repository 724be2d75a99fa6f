#!/bin/bash
# gdb.sh - tasks seen by gdb, in a live process and in a core, as tests/tools/chanrt-gdb.py shows
# them: every one listed, every stack whole from where it waits to its first function, and not a
# frame further. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
if ! command -v gdb >/dev/null; then
    echo 'gdb: is not installed: left out'
    echo '1 passed, 0 failed'
    exit
fi
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
fault() { failed=$((failed + 1)); printf 'gdb: %s\n' "$1"; sed 's/^/      /' "$2" | head -n 60; }
check() {    # check WHAT FILE PATTERN TIMES
    local n
    n=$(grep -cE "$3" "$2")
    if [ "$n" -eq "$4" ]; then passed=$((passed + 1))
    else fault "$1: $n times '$3', not $4" "$2"; fi
}
commands=(-ex 'info tasks' -ex 'task apply all bt' -ex 'bt' -ex 'task 9 bt')
ask() { CHANRT_WORKERS=2 timeout 120 gdb -q -nx -batch "$@" </dev/null 2>&1; }

looked_at() {    # looked_at HOW FILE: what any of the sessions must show
    check "$1, list" "$2" '^ +[0-9]+  digs +chan receive 0x[0-9a-f]+ +spawned at .*:2[0-9]$' 2
    check "$1, list" "$2" '^ +[0-9]+  naps +sleep +spawned at .*:2[0-9]$' 1
    check "$1, third" "$2" '^#[0-9]+ .* third \(ch' 2
    check "$1, second" "$2" '^#[0-9]+ .* second \(ch' 2
    check "$1, naps" "$2" '^#[0-9]+ .* naps \(\)' 1
    check "$1, first" "$2" '^#[0-9]+ .*chanrt__sched_task_main \(\)' 3
    check "$1, ends" "$2" '0x0+ in \?\?' 0
    check "$1, no such task" "$2" 'no task has the id 9' 1
    check "$1, errors" "$2" 'Traceback|previous frame identical|corrupt stack' 0
    check "$1, the thread again" "$2" '^#[0-9]+ .*main \(argc' 1
}

# The kernel's core, where it writes one here; gdb's own stops at guard pages made by advice.
make_core() {
    local here=$PWD
    (cd "$work" && ulimit -c unlimited && CHANRT_WORKERS=2 ./program abort) >/dev/null 2>&1
    mv "$work"/core* "$work/dump" 2>/dev/null && return
    gcc -std=c11 -O2 -g -pthread -DCHANRT_GUARD=1 -o "$work/program" "$here/$source"
    ask -ex 'break all_wait' -ex run -ex "generate-core-file $work/dump" "$work/program" >/dev/null
}

source=tests/tools/gdb_program.c
for build in 'gcc -O2' 'clang -O2' 'gcc -O0'; do
    # shellcheck disable=SC2086 -- flags are words
    ${build%% *} -std=c11 ${build#* } -g -pthread -o "$work/program" $source ||
        { failed=$((failed + 1)); continue; }
    ask -ex 'source tests/tools/chanrt-gdb.py' -ex 'break all_wait' -ex run "${commands[@]}" \
        "$work/program" >"$work/live"
    looked_at "$build, live" "$work/live"
    make_core 2>/dev/null
    ask -ex 'source tests/tools/chanrt-gdb.py' "${commands[@]}" "$work/program" "$work/dump" \
        >"$work/dead"
    looked_at "$build, core" "$work/dead"
    rm -f "$work/dump"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
