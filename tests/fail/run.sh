#!/bin/bash
# run.sh [PART OF A NAME] - programs that must not compile, with gcc and with clang. Line 1
# of each is the diagnostic, `// expect: <extended regex>`; it must come from the #else part.
# With -DOK the same program must compile in silence: so it is that one part that is wrong.
cd "$(dirname "$0")/../.." || exit 2
passed=0 failed=0
flags='-std=c11 -I. -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror'
fault() {
    failed=$((failed + 1))
    printf '%s: %s: %s\n' "$1" "$2" "$3"
}

for source in tests/fail/*"$1"*.c; do
    expect=$(sed -n '1s|^// expect: ||p' "$source")
    lines=$(awk '/^#else/ { on = 1 } /^#endif/ { on = 0 } on { printf "%s|", FNR }' "$source")
    for cc in gcc clang; do
        if ! out=$($cc $flags -DOK "$source" 2>&1); then
            fault "$source" $cc "the right way does not compile"$'\n'"$out"
        elif out=$($cc $flags "$source" 2>&1); then
            fault "$source" $cc 'compiles'
        elif ! grep -Eq "$expect" <<<"$out"; then
            fault "$source" $cc "expected: $expect"$'\n'"$out"
        elif ! grep -Eq "^$source:(${lines%|}):" <<<"$out"; then
            fault "$source" $cc "the diagnostic is not at the wrong line"$'\n'"$out"
        else
            passed=$((passed + 1))
        fi
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
