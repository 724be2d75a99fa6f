#!/bin/bash
# lint.sh - the structure of the header and of the tree; ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
check() {    # check NAME COMMAND...: silence and status 0 is a pass
    local name=$1 out
    shift
    if out=$("$@" 2>&1) && [ -z "$out" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'lint: %s\n%s\n' "$name" "$out"
    fi
}

# What is tracked, or would be; without git, what lies there.
files() {
    { git ls-files -co --exclude-standard 2>/dev/null ||
        find . -path ./build -prune -o -type f -print | sed 's|^\./||'; } |
        while read -r f; do [ -e "$f" ] && echo "$f"; done
}

# Each rule fires where the bad header says, and nowhere else.
rooms_bites() {
    diff <(awk '/bad: [RS]/ { match($0, /bad: /); print FNR, substr($0, RSTART + 5, 2) }' \
               tests/tools/rooms_bad.h | sort) \
         <(awk -v longest=11 -f tests/tools/rooms.awk tests/tools/rooms_bad.h |
               awk -F '[: ]+' '{ print $2, $3 }' | sort -u)
}

top_level() {
    files | sed 's|/.*||' | sort -u |
        grep -vxE 'chanrt\.h|tests|examples|Makefile|README\.md|LICENSE|\..*'
    true
}

# Sources, scripts and text, but not the lists of bad lines above.
text() { files | grep -E '\.(c|h|cc|sh|awk|md|txt|go|pml|def)$|Makefile|^\.ci' |
             grep -vE 'tests/tools/(rooms|lint)'; }

style() {
    text | grep -E '\.(c|h|cc|sh|awk)$' |
        xargs awk 'length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns" }'
    text | grep -vE '(Makefile|\.go)$' | xargs grep -nP '\t| +$'
    text | xargs grep -nE 'TODO|FIXME|XXX'
    text | xargs grep -nE '/(home|root|work)/'
    text | grep -E '\.(c|h|cc)$' | xargs grep -nE '^ */\*'
    text | grep -E '^chanrt.h$|\.(c|h|cc)$' | xargs grep -nP '[^\x00-\x7F]'
    true
}

# The table of memory orders has every ordered access.
orders() { TABLE=1 tests/orders/run.sh | grep -v ' passed, 0 failed$'; true; }

# The C library's headers are left out: cppcheck knows them better than it can read them.
static_analysis() {
    cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability \
        --suppressions-list=tests/tools/cppcheck.txt --error-exitcode=1 \
        -DCHANRT_IMPLEMENTATION -D__linux__ -D__x86_64__ -D__GNUC__=12 -U__cplusplus chanrt.h
}

check 'rooms.awk on a bad header' rooms_bites
check 'rooms and layers'  awk -f tests/tools/rooms.awk chanrt.h
check 'top level'         top_level
check 'style'             style
check 'orders.txt'        orders
if command -v cppcheck >/dev/null; then check 'cppcheck' static_analysis
else echo "lint: cppcheck is not installed: left out"; fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
