#!/bin/bash
# run.sh - which lines and branches of the header the tests run. A table by room, and the lines that
# none has run and exclusions.txt gives no reason for; `N passed, M failed` counts these.
#
#   SUITES="unit spec history"   what is run, WORKERS="1 4" with which pools
cd "$(dirname "$0")/../.." || exit 2
export B=build/coverage TEST_SCALE=${TEST_SCALE:-0.05} WORKERS=${WORKERS:-1 4}
FLAGS="--coverage -fprofile-update=atomic -DTEST_COVERAGE"
export FLAGS="$FLAGS -D_exit=test_exit -Dabort=test_abort"
export OPT='-O0 -g' CC=gcc WARN=-w
find $B -name '*.gcda' -delete 2>/dev/null
# shellcheck disable=SC2086    # suites are words
tests/run.sh ${SUITES:-unit spec history} | grep -v '^ok'
lcov -q -c -d $B -o $B/all.info --rc lcov_branch_coverage=1 2>$B/lcov.log &&
    lcov -q -e $B/all.info '*/chanrt.h' -o $B/chanrt.info --rc lcov_branch_coverage=1 || exit 2
awk -f tests/coverage/report.awk tests/coverage/exclusions.txt chanrt.h $B/chanrt.info
