#!/bin/sh
# need.sh THING... - says in one line which Debian packages are missing.
cc=${CC:-cc}
missing=
program() { command -v "$1" >/dev/null || missing="$missing $2"; }
builds() {    # builds "COMPILER FLAGS" PACKAGE: reads a program
    $1 -x c -o /dev/null - >/dev/null 2>&1 || missing="$missing $2"
}

for thing; do
    case $thing in
    cc)         program "${cc%% *}" 'gcc libc6-dev' ;;
    stb)        echo '#include <stb/stb_ds.h>' | builds "$cc -fsyntax-only" libstb-dev ;;
    cmocka)     printf '#include <%s>\n' stdarg.h stddef.h stdint.h setjmp.h cmocka.h |
                    builds "$cc -fsyntax-only" libcmocka-dev ;;
    sanitizers) echo 'int main(void) { return 0; }' |
                    builds 'clang -fsanitize=address' libclang-rt-14-dev ;;
    *)          program "$thing" "$thing" ;;
    esac
done
[ -z "$missing" ] && exit 0
echo "missing packages; on Debian: apt-get install -y$missing" >&2
exit 1
