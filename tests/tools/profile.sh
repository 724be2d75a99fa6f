#!/bin/bash
# profile.sh - a build with CHANRT_PROFILE says where known times went, and flame.awk draws it; ends
# with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
passed=0 failed=0
mkdir -p "$B/profile"
program=$B/profile/program folded=$B/profile/out.folded svg=$B/profile/out.svg
check() {    # check WHAT COMMAND...: silence and status 0 is a pass
    local what=$1 out
    shift
    if out=$("$@" 2>&1) && [ -z "$out" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'profile: %s\n%s\n' "$what" "$out"; fi
}
# shellcheck disable=SC2086    # flags are words
build() { ${CC:-gcc} ${STD:--std=c11} -O1 $WARN -pthread -DCHANRT_PROFILE=1 $FLAGS \
              -o "$program" tests/tools/profile_program.c; }
lines() { awk '!/^(run|blocked);[^;]+ \([^;]+:[0-9]+\)(;[^;]+)? [1-9][0-9]*$/' "$folded"; }
sum() { awk -v what="$1" 'index($0, what) == 1 { n += $NF } END { print n + 0 }' "$folded"; }
place() { echo "$1 (tests/tools/profile_program.c:$(
              grep -nE "[ (]$1[,)]" tests/tools/profile_program.c | tail -1 | cut -d: -f1))"; }
at_least() {    # at_least US WHAT: and not twice as much, on a machine that has time for us
    local got
    got=$(sum "$2")
    [ "$got" -ge "$1" ] || { echo "$2: $got us, not at least $1"; cat "$folded"; }
}
# Nobody runs on more workers than there are, for longer than the program.
not_more_than_there_is() {
    local run
    run=$(sum 'run;')
    [ "$run" -le $((workers * wall + 1000)) ] ||
        { echo "$run us ran, of $workers workers in $wall us"; cat "$folded"; }
}
# A task is either running or blocked from its first run to its end, so asks and sleeps, which last
# almost as long as the program, make no more than that.
no_instant_twice() {
    local all
    all=$(($(sum "run;$(place asks)") + $(sum "blocked;$(place asks)")))
    [ "$all" -le $((wall + 1000)) ] || { echo "asks: $all us of $wall"; cat "$folded"; }
}
well_formed() {
    awk '/<g>/ { g++ }
         /<g>/ && !/<title>.*<\/title><rect [^<>]*\/>(<text [^<>]*>[^<>]*<\/text>)?<\/g>$/ { print }
         NR == 1 && !/^<svg / || /<svg/ && NR > 1 { print "no svg" }
         { last = $0 }
         END { if (last != "</svg>" || g < 8) print "too short: " g " rectangles" }' "$svg"
}
# The widths of the lowest row add up to the picture, and a child is not wider than its parent.
widths() {
    awk -F '"' '/<rect/ { n[$4]++; w[$4] += $6; if ($4 > low) low = $4 }
        END { for (y in w) if (w[y] > 1000.5) print "row " y ": " w[y]
              if (w[low] < 999) print "the lowest row is " w[low] }' "$svg"
}
measure() {    # measure ARGUMENTS: runs it
    rm -f "$folded"
    read -r workers wall < <(
        CHANRT_WORKERS=2 CHANRT_PROFILE_FILE=$folded timeout 60 "$program" "$@")
}

check 'the program' build
measure
for known in "120000 run;$(place computes)" "300000 blocked;$(place sleeps);sleep" \
             "100000 blocked;$(place answers);sleep" "98000 blocked;$(place asks);chan receive" \
             "100000 blocked;$(place waits_for_ever);chan receive"; do
    check "${known#* }" at_least "${known%% *}" "${known#* }"
done
check 'form' lines
check 'run time' not_more_than_there_is
check 'every instant once' no_instant_twice
measure and end
check 'a task that waits at the end' at_least 100000 \
    "blocked;$(place waits_for_ever);chan receive"
check 'run time at the end' not_more_than_there_is
awk -v unit=us -f tests/tools/flame.awk "$folded" >"$svg"
check 'the picture' well_formed
check 'its widths' widths
mv "$folded" "$folded.kept"
timeout 60 "$program" >"$B/profile/out.txt"
check 'without the file nothing is written' test ! -e "$folded"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
