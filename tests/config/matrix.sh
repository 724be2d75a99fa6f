#!/bin/bash
# matrix.sh [PART OF A ROW'S NAME] - runs the rows of matrix.txt, two at a time (JOBS=), each
# built under build/matrix/; a failing row shows its log. FULL=1: the rows with a + as well.
# QUICK=1: of `smoke`, `spec` and `unit` only the programs that `quick` names. NOT="NAME,NAME": all
# but these rows. What was seen goes to build/matrix/MATRIX.md, the form of MATRIX.md here, beside
# what earlier runs of some of the rows have left there. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
table=tests/config/matrix.txt
smoke=$(sed -n 's/^smoke = //p' $table)
quick=$(sed -n 's/^quick = //p' $table)
only=$1
export ASAN_OPTIONS=detect_stack_use_after_return=1
trim() { sed 's/^ *//; s/ *$//' <<<"$1"; }

# The compiler must say the sentence, and make nothing.
refuses() {
    local out
    if out=$($CC $FLAGS -I. -c -o "$B/refused.o" -x c - 2>&1 \
        <<<$'#define CHANRT_IMPLEMENTATION\n#include "chanrt.h"'); then
        echo compiles
    elif ! grep -qF "$1" <<<"$out"; then
        echo "does not say: $1"
        echo "$out"
    else
        echo '1 passed, 0 failed'
        return
    fi
    echo '0 passed, 1 failed'
}

# The words with = become variables of this row alone, the rest is what to run.
run_suites() (
    workers=${WORKERS:-1 4} under='' scale=${SCALE:-0.2} qemu='' libs=-lcmocka stdxx=c++17
    refusal='' needs=''
    names=() some=$smoke
    [ -z "$QUICK" ] || some=$quick
    eval "set -- $1"
    for word; do
        case $QUICK$word in
        bare|1bare) libs='' FLAGS="$FLAGS -Itests/config/bare -idirafter /usr/include" ;;
        *=*)        declare "${word%%=*}=${word#*=}" ;;
        1unit)      ;;
        smoke|1smoke|1spec) read -r -a names <<<"${names[*]} $some" ;;
        *)          names+=("$word") ;;
        esac
    done
    if [ -n "$needs" ] && ! grep -qw "$needs" /proc/cpuinfo; then
        echo "not run: this processor has no $needs"
        echo '0 passed, 0 failed'
        return
    fi
    if [ -n "$qemu" ]; then
        under=qemu-$qemu
        export TEST_RUNNER=$under QEMU_LD_PREFIX=${qemu_libs:-/usr/$qemu-linux-gnu}
    fi
    export WORKERS=$workers UNDER=$under TEST_SCALE=$scale JOBS=1 LIBS=$libs STDXX=-std=$stdxx
    [ -z "$refusal" ] || refuses "$refusal"
    [ ${#names[@]} -eq 0 ] || tests/run.sh "${names[@]}"
)

what() {    # what PASSED FAILED SUITES: one word for the table
    case "$2 $3" in
    [1-9]*)     echo FAILED ;;
    0\ *needs=*) [ "$1" -gt 0 ] && echo "run: $1 tests" || echo 'neither: not this processor' ;;
    *refusal=*) echo 'neither: it refuses, and says why' ;;
    *)          echo "run: $1 tests" ;;
    esac
}

run_row() {    # run_row NAME COMPILER FLAGS SUITES
    local p f started=$SECONDS
    export B=build/matrix/${1//[ +,]/-} CC=$2 STD='' OPT=-g FLAGS=$3
    mkdir -p "$B"
    rm -f "$B/counts" "$B/line"
    run_suites " $4 " >"$B/output" 2>&1 </dev/null
    read -r p f <<<"$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$B/output")"
    echo "${p:-0} ${f:-1}" >"$B/counts"
    printf '| %s | %s | `%s` | %s |\n' "$1" \
        "$($CC --version 2>&1 | head -n 1 | sed 's/ (.*) / /')" "${FLAGS:- }" \
        "$(what "${p:-0}" "${f:-1}" "$4")" >"$B/line"
    printf '%-5s %-18s %4d tests %4d s\n' "$([ "${f:-1}" -eq 0 ] && echo ok || echo FAIL)" \
        "$1" "${p:-0}" $((SECONDS - started))
    grep '^not run: ' "$B/output"
    [ "${f:-1}" -eq 0 ] || grep -v '^ok ' "$B/output" | head -n 50 | sed 's/^/      /'
}

[ -n "$only" ] || rm -f build/matrix/*/line
all=() names=()
while IFS='|' read -r name cc flags suites; do
    all+=("$(trim "${name#+}")")
    case $name in *"$only"*) ;; *) continue ;; esac
    case ,$NOT, in *,"${all[-1]}",*) continue ;; esac
    case $name in +*) [ -n "$FULL$only" ] || continue ;; esac
    name=$(trim "${name#+}")
    names+=("$name")
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    run_row "$name" "$(trim "$cc")" "$(trim "$flags")" "$(trim "$suites")" &
done < <(grep '|' $table | grep -v '^#')
wait
seen() { cat "build/matrix/${2//[ +,]/-}/$1" 2>/dev/null; }    # seen FILE ROW
{
    sed -n 's/^#: \{0,1\}//p' $table
    printf '| row | compiler | flags | |\n|---|---|---|---|\n'
    for name in "${all[@]}"; do seen line "$name"; done
} >build/matrix/MATRIX.md
for name in "${names[@]}"; do seen counts "$name"; done | awk '
    { passed += $1; failed += $2 }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || NR == 0 }'
