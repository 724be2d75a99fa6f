#!/bin/bash
# run.sh - which lines and branches of the header the tests run, by room: the lines that none has
# run and, in the core rooms, the branches that none has taken, unless reasons.txt says why.
# `N passed, M failed` counts those of the core rooms.
#
#   SUITES="unit spec history"   what is run, WORKERS="1 4" with which pools
#   AGAIN=1                      the report alone, of what has been run
cd "$(dirname "$0")/../.." || exit 2
export B=build/coverage TEST_SCALE=${TEST_SCALE:-0.05} WORKERS=${WORKERS:-1 4}
FLAGS="--coverage -fprofile-update=atomic -DTEST_COVERAGE -D_exit=test_exit -Dabort=test_abort"
# Else each call of what is always inlined would have its own branches.
export FLAGS="$FLAGS -Dalways_inline=unused"
export OPT='-O0 -g' CC=gcc WARN=-w
if [ "${AGAIN:-0}" != 1 ]; then
    find $B -name '*.gcda' -delete 2>/dev/null
    # shellcheck disable=SC2086    # suites are words
    tests/run.sh ${SUITES:-unit spec history} | grep -v '^ok'
    # Again with a seed, and on one processor.
    CHANRT_SEED=11 WORKERS=1 tests/run.sh spec/channels spec/select spec/io | grep -v '^ok'
    UNDER='taskset -c 0' tests/run.sh spec/channels unit/sched | grep -v '^ok'
fi
find $B -name '*.gcda' -print0 | xargs -0 -n 1 gcov -b -c -t 2>$B/gcov.log |
    awk -f tests/coverage/report.awk tests/coverage/reasons.txt chanrt.h -
