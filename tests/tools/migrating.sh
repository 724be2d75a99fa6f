#!/bin/bash
# migrating.sh - the programs of examples/MIGRATING.md, before and after, print the text block that
# ends their section; Go's where go is installed. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
# Files are numbered by section, then by program.
awk -v dir="$work" '
    /^## /                { section++; program = 0 }
    /^```/ && kind != ""  { kind = ""; next }
    /^```(c|go|text)$/    { kind = substr($0, 4); if (kind != "text") program++
                            file = dir "/" section (kind == "text" ? ".text" : "_" program "." kind)
                            next }
    kind != ""            { print > file }' examples/MIGRATING.md
for f in "$work"/*_*.*; do
    if grep -q '^// .*, not built here$' "$f"; then continue; fi
    want=$(cat "$work/$(basename "$f" | cut -d_ -f1).text")
    case $f in
    *.go) command -v go >/dev/null || { skipped=$((skipped + 1)); continue; }
          out=$(cd "$work" && GOFLAGS=-mod=mod GOTOOLCHAIN=local \
                timeout -k 5 120 go run "$f" 2>&1) ;;
    *)    out=$(gcc -std=gnu11 -O1 -Wall -Wextra -Werror -I. -pthread -o "$f.bin" "$f" 2>&1 &&
                timeout -k 5 20 "$f.bin" 2>&1) ;;
    esac
    if [ "$out" = "$want" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf '%s: %s\n' "$(basename "$f")" "$out"; fi
done
[ $skipped -eq 0 ] || echo "migrating: go is not installed: $skipped left out"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
