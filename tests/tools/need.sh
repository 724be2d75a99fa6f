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
    relacy)     echo '#include <relacy/relacy.hpp>' | g++ -w -fsyntax-only -x c++ - \
                    2>/dev/null || missing="$missing relacy-dev" ;;
    install)    program cmake cmake; program pkg-config pkg-config; program man man-db ;;
    sanitizers) echo 'int main(void) { return 0; }' |
                    builds 'clang -fsanitize=address' libclang-rt-14-dev ;;
    crosses)    program tcc tcc
                program musl-gcc musl-tools
                program qemu-riscv64 qemu-user
                for c in aarch64 riscv64; do
                    program $c-linux-gnu-gcc "gcc-$c-linux-gnu libc6-dev-$(echo $c |
                        sed 's/aarch64/arm64/')-cross"
                done ;;
    compilers)  for c in gcc-11 g++-11 clang-13 clang-15 clang-16 clang-19; do program $c $c; done
                program x86_64-w64-mingw32-gcc-posix gcc-mingw-w64-x86-64-posix
                program x86_64-w64-mingw32-g++-posix g++-mingw-w64-x86-64-posix
                program wine 'wine wine64'
                for c in arm-linux-gnueabihf i686-linux-gnu powerpc64le-linux-gnu \
                    s390x-linux-gnu; do program $c-gcc gcc-$c; done ;;
    *)          program "$thing" "$thing" ;;
    esac
done
[ -z "$missing" ] && exit 0
echo "missing packages; on Debian: apt-get install -y$missing" >&2
exit 1
