#!/bin/bash
# trace.sh [PICTURE.png] - an example built with CHANRT_TRACE, and its timeline in the viewer, used
# by a hand in headless Chromium where that is installed; what is true of every file is checked by
# tests/unit/trace.c. PICTURE: a new one for README. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
check() {    # check WHAT COMMAND...: status 0 is a pass
    local what=$1 out
    shift
    if out=$("$@" 2>&1); then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'trace: %s\n%s\n' "$what" "$out" | head -n 40; fi
}
browse() {    # browse PAGE OPTIONS...: what the page has become
    timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --user-data-dir="$work/profile" \
        --window-size=1000,"${height:-300}" "${@:2}" "file://$1" 2>/dev/null
}
# The lines of the file that are events of this kind.
count() { grep -c "^{\"ph\":\"$1\"" "$work/words.json"; }

check 'it compiles' gcc -std=c11 -O1 -pthread -DCHANRT_TRACE=1 examples/wordcount/wordcount.c \
    -o "$work/wordcount"
CHANRT_WORKERS=2 CHANRT_TRACE_FILE=$work/words.json "$work/wordcount" >"$work/counts" 2>&1
check 'it counts all the same' grep -q ' words, .* different' "$work/counts"
check 'workers and main' test "$(grep -c '"thread_name"' "$work/words.json")" -ge 2
check 'arrows in pairs' test "$(count s)" -gt 20 -a "$(count s)" -eq "$(count f)"
tests/tools/trace-page.sh "$work/words.json" >"$work/words.html"
check 'a page with it' grep -q '"otherData"' "$work/words.html"

if ! command -v chromium >/dev/null; then
    echo 'trace: chromium is not installed: the viewer is left out'
else
    { cat "$work/words.html"; echo '<script>'; cat tests/tools/trace-viewer-test.js
      echo '</script>'; } >"$work/test.html"
    browse "$work/test.html" --dump-dom --screenshot="$work/shot.png" >"$work/dom"
    summary="[12] workers?, 1 thread, $(count X) slices, $(count s) arrows, [^,]*, ended by"
    check 'the viewer has all of it' \
        grep -qE "id=\"summary\">$summary shutdown, nothing lost" "$work/dom"
    check 'everything held' test "$(grep -c '^held: ' "$work/dom")" -ge 12
    check 'and nothing did not' bash -c "! grep '^.*NOT: ' '$work/dom'"
    check 'a picture' test "$(stat -c %s "$work/shot.png")" -gt 20000
    task=$(sed -n 's/.*"name":"counter","args":{"task":\([0-9]*\).*/\1/p' "$work/words.json" |
        tail -n 1)
    [ -z "$1" ] || height=256 browse "$work/words.html#task=$task" --screenshot="$1" \
        --force-device-scale-factor=1.5 >/dev/null
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
