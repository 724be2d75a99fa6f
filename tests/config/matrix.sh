#!/bin/bash
# matrix.sh [PART OF A ROW'S NAME] - runs the rows of matrix.txt, two at a time (JOBS=), each
# built under build/matrix/; a failing row shows its log. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
table=tests/config/matrix.txt
smoke=$(sed -n 's/^smoke = //p' $table)
only=$1
trim() { sed 's/^ *//; s/ *$//' <<<"$1"; }

# The words with = become variables of this row alone, the rest is what to run.
run_suites() (
    workers='1 4' under='' scale=0.2 names=()
    eval "set -- ${1/ smoke / $smoke }"
    for word; do
        case $word in
        workers=*|under=*|scale=*) declare "${word%%=*}=${word#*=}" ;;
        *) names+=("$word") ;;
        esac
    done
    export WORKERS=$workers UNDER=$under TEST_SCALE=$scale JOBS=1
    tests/run.sh "${names[@]}"
)

run_row() {    # run_row NAME COMPILER FLAGS SUITES
    local p f started=$SECONDS
    export B=build/matrix/${1//[ +]/-} CC=$2 STD='' OPT=-g FLAGS=$3
    mkdir -p "$B"
    run_suites " $4 " >"$B/output" 2>&1 </dev/null
    read -r p f <<<"$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$B/output")"
    echo "${p:-0} ${f:-1}" >"$B/counts"
    printf '%-5s %-18s %4d tests %4d s\n' "$([ "${f:-1}" -eq 0 ] && echo ok || echo FAIL)" \
        "$1" "${p:-0}" $((SECONDS - started))
    [ "${f:-1}" -eq 0 ] || grep -v '^ok ' "$B/output" | head -n 50 | sed 's/^/      /'
}

rm -f build/matrix/*/counts
while IFS='|' read -r name cc flags suites; do
    case $name in *"$only"*) ;; *) continue ;; esac
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    run_row "$(trim "$name")" "$(trim "$cc")" "$(trim "$flags")" "$(trim "$suites")" &
done < <(grep '|' $table | grep -v '^#')
wait
cat build/matrix/*/counts 2>/dev/null | awk '
    { passed += $1; failed += $2 }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || NR == 0 }'
