#!/bin/bash
# run.sh [PART OF A NAME] - programs that must not compile, with gcc and with clang. Line 1
# of each is the diagnostic, `// expect: <extended regex>`; it must come from the #else part.
# With -DOK the same program must compile in silence: so it is that one part that is wrong.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
warn='-I. -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror'
fault() {
    failed=$((failed + 1))
    printf '%s: %s: %s\n' "$1" "$2" "$3"
}

attempt() {    # attempt SOURCE COMPILER FLAGS
    local source=$1 cc=$2 flags="$3 $warn" expect lines out
    expect=$(sed -n '1s|^// expect: ||p' "$source")
    lines=$(awk '/^#else/ { on = 1 } /^#endif/ { on = 0 } on { printf "%s|", FNR }' "$source")
    if ! out=$($cc $flags -DOK "$source" 2>&1); then
        fault "$source" $cc "the right way does not compile"$'\n'"$out"
    elif out=$($cc $flags "$source" 2>&1); then
        fault "$source" $cc 'compiles'
    elif ! grep -Eq "$expect" <<<"$out"; then
        fault "$source" $cc "expected: $expect"$'\n'"$out"
    elif ! grep -Eq "$source:(${lines%|}):" <<<"$out"; then
        fault "$source" $cc "the diagnostic is not at the wrong line"$'\n'"$out"
    else
        passed=$((passed + 1))
    fi
}

for source in tests/fail/*"$1"*.c; do
    [ -e "$source" ] || continue
    for cc in gcc clang; do attempt "$source" $cc -std=c11; done
done
for source in tests/fail/*"$1"*.cc; do
    [ -e "$source" ] || continue
    for cc in g++ clang++; do attempt "$source" $cc -std=c++17; done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
