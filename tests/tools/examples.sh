#!/bin/bash
# examples.sh - builds every example, runs it, and compares with the comment at its end:
#
#     // Output:               stdout, exactly
#     // Output (any order):   the same lines
#     // Output (pattern):     * stands for any text
#     // Stderr (pattern):     likewise for stderr
#     // Exit: 2               the exit status, where it is not 0
#
# Each block ends where the next begins. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

verdict() {    # verdict NAME WHY: an empty why is a pass
    if [ -z "$2" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'example %s: %s\n' "$1" "$2"; fi
}

# block MARKER FILE: the text under that marker. Status 1: there is none.
block() {
    awk -v marker="// $1" '
        /^\/\/ (Output|Stderr|Exit)[^:]*:/ { on = index($0, marker ":") == 1; found += on; next }
        on && /^\/\//                      { sub(/^\/\/ ?/, ""); print; next }
                                           { on = 0 }
        END                                { exit !found }' "$2"
}

like() {       # like FILE PATTERN_FILE: only * is special
    local pattern
    pattern=$(sed 's/[][\\?()|+@!]/\\&/g' "$2")
    # shellcheck disable=SC2053 -- it is a pattern
    [[ $(cat "$1") == $pattern ]]
}

# What differs from what the example promises; nothing when all is well.
faults() {     # faults SOURCE EXIT_STATUS
    local want
    want=$(sed -n 's|^// Exit: ||p' "$1")
    if [ "$2" -ne "${want:-0}" ]; then
        echo "exit status $2, not ${want:-0}"
        cat "$work/out" "$work/err"
    elif block 'Output' "$1" >"$work/want"; then
        diff "$work/want" "$work/out"
    elif block 'Output (any order)' "$1" >"$work/want"; then
        diff <(sort "$work/want") <(sort "$work/out")
    elif block 'Output (pattern)' "$1" >"$work/want"; then
        like "$work/out" "$work/want" || diff "$work/want" "$work/out"
    else
        echo 'no // Output: block'
    fi
    if block 'Stderr (pattern)' "$1" >"$work/want"; then
        like "$work/err" "$work/want" || { echo 'stderr:'; diff "$work/want" "$work/err"; }
    elif [ -s "$work/err" ]; then
        echo 'unexpected on stderr:'
        cat "$work/err"
    fi
}

run() {        # run NAME SOURCE
    # The shell's own word on a program that dies of a signal goes nowhere.
    { timeout -k 5 60 $UNDER "$B/examples/$1" >"$work/out" 2>"$work/err" </dev/null; } 2>/dev/null
    verdict "$1" "$(faults "$2" $?)"
}

form() {       # form NAME SOURCE...: how an example has to look
    local name=$1 lines
    shift
    lines=$(cat "$@" | wc -l)
    [ "$lines" -le 80 ] || echo "$lines lines, more than 80"
    grep -hq '^// Shows: ' "$@" || echo 'no // Shows: at its head'
}

shopt -s nullglob
names=()
for path in examples/[0-9]*; do
    name=${path##*/}
    names+=("${name%.c}")
done
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -k \
    "${names[@]/#/$B/examples/}" "$B"/examples/{wordcount,top,dupfinder} 2>"$work/err" ||
    verdict build "$(head -n 40 "$work/err")"
for name in "${names[@]}"; do
    sources=(examples/"$name".c)
    [ -d "examples/$name" ] && sources=(examples/"$name"/*.{c,cc,h})
    verdict "$name" "$(form "$name" "${sources[@]}")"
    run "$name" "$(grep -l '^// Output' "${sources[@]}" | head -n 1)"
done

# One whole program: the same bytes from any number of workers as from a plain loop, and a
# file that cannot be read is reported while the rest is counted.
count() { "$B/examples/wordcount" --top 0 "$@" 2>"$work/err"; }
text='chanrt.h Makefile examples tests'
count --sequential $text >"$work/want" || verdict wordcount "$(cat "$work/err")"
for n in 1 2 3 8; do
    count --workers $n $text >"$work/out"
    verdict "wordcount --workers $n" "$(cmp "$work/want" "$work/out" 2>&1)"
done
count --sequential chanrt.h >"$work/want"
count no-such-file chanrt.h >"$work/out"
verdict 'wordcount no-such-file' "$(
    [ $? -eq 1 ] || echo 'exit status is not 1'
    grep -q 'no-such-file: No such file' "$work/err" || echo 'not reported'
    cmp "$work/want" "$work/out" 2>&1)"

# A line per interval, each with all figures; then it ends by itself.
timeout 30 "$B/examples/top" 1 100 >"$work/out" 2>&1
verdict 'top' "$(
    [ $? -eq 0 ] || echo 'exit status is not 0'
    grep -vE '^tasks 40  queued [0-9]+  switches [0-9.]+[kM]?/s  parks [0-9.]+[kM]?/s  '`
        `'steals [0-9.]+[kM]?/s  wakes [0-9.]+[kM]?/s  stacks [0-9]+ [0-9.]+MB  '`
        `'\[((asleep|[0-9]+% [0-9]+)( \| )?)+\]$' "$work/out"
    [ "$(wc -l <"$work/out")" -ge 2 ] || echo 'fewer than two lines')"

# Another: its checksums are sha256sum's, on a tree with sizes around every edge of a block; it
# finds the copies, goes on past what it cannot read, and interrupted says what is done by then.
tree=$work/tree
mkdir -p "$tree"/deep/{er,below}
for size in 0 1 55 56 57 63 64 65 119 120 1000 131071 131072 131073 400000; do
    head -c $size /dev/urandom >"$tree/deep/$size"
done
cp "$tree/deep/1000" "$tree/deep/er/copy"
cp "$tree/deep/1000" "$tree/another copy"
(cd "$tree" && find . -type f | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum) >"$work/want"
dups() { (cd "$tree" && "$OLDPWD/$B/examples/dupfinder" "$@") >"$work/out" 2>"$work/err"; }
for jobs in 1 3 16; do
    dups --sums --jobs $jobs
    verdict "dupfinder --jobs $jobs" "$(cmp "$work/want" "$work/out" 2>&1; cat "$work/err")"
done
printf '%s\n' '3 files of 1000 bytes:' '    ./another copy' '    ./deep/1000' '    ./deep/er/copy' \
    '17 files, 15 different, 2000 bytes in copies' >"$work/want"
dups
verdict 'dupfinder, copies' "$(diff "$work/want" "$work/out"; cat "$work/err")"
dups no-such-file .
verdict 'dupfinder no-such-file' "$(
    [ $? -eq 1 ] || echo 'exit status is not 1'
    grep -q 'no-such-file: No such file' "$work/err" || echo 'not reported'
    diff "$work/want" "$work/out")"
(cd "$tree" && find . -type f -print0 | xargs -0 sha256sum) | LC_ALL=C sort >"$work/want"
truncate -s 100G "$tree/deep/too large to read"
(cd "$tree" && timeout -k 20 --preserve-status -s INT 1 "$OLDPWD/$B/examples/dupfinder" --sums) \
    >"$work/out" 2>"$work/err"
verdict 'dupfinder interrupted' "$(
    [ $? -eq 130 ] || echo 'exit status is not 130'
    grep -q 'interrupted: [0-9]* of the 18 files' "$work/err" || cat "$work/err"
    LC_ALL=C sort "$work/out" | comm -23 - "$work/want" | sed 's/^/not a checksum: /')"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
