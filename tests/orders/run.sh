#!/bin/bash
# run.sh - the table orders.txt has every ordered access of the header, and no other; then the
# harnesses of orders.cc, by relacy: as they are, and with each access weakened as the table says.
# Ends with `N passed, M failed`.
#
#   TABLE=1      only the table
#   N=20000      executions of what must hold; what must fail has ten times as many
cd "$(dirname "$0")/../.." || exit 2
here=tests/orders out=${B:-build}/orders
n=${N:-20000}
passed=0 failed=0
mkdir -p "$out"

verdict() {  # verdict STATUS TEXT
    if [ "$1" -eq 0 ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAIL  $2"; fi
}

rows() { grep -v '^#' $here/orders.txt | grep . | sed 's/ *| */|/g; s/ *$//'; }
listed() { rows | grep -vE '^api|membarrier' | cut -d '|' -f 1-3 | sort; }
if difference=$(diff <(awk -f $here/tags.awk chanrt.h | sort) <(listed)); then verdict 0
else verdict 1 "orders.txt (>) and the header (<) differ:"; echo "$difference"; fi
silent=$(rows | awk -F '|' '$4 == "-" && $6 == "" || $4 == "relaxed" && $6 == "" || NF > 6')
[ -z "$silent" ]; verdict $? "without a reason: $silent"
for mirrored in $(rows | awk -F '|' '$4 != "-" { print $1 "|" $2 }'); do
    grep -qF "\"$mirrored" $here/orders.cc $here/model.h
    verdict $? "$mirrored is not in orders.cc"
done
if [ "${TABLE:-0}" = 1 ]; then
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
    exit
fi

# relacy's own headers do not compile without warnings.
${CXX:-g++} -std=gnu++11 -O2 -w -I$here -o "$out/orders" $here/orders.cc ||
    { echo '0 passed, 1 failed'; exit 1; }

for h in $("$out/orders"); do
    timeout 300 "$out/orders" "$h" $((10 * n)) >"$out/log"
    verdict $? "$h: $(cat "$out/log")"
done

weaker() {   # weaker ACCESS ENOUGH: the orders that must fail
    case $1/$2 in
    */relaxed) ;;
    cas*/acquire|swap_acqrel/acquire|sub*/acquire) echo release ;;
    cas*/release|swap_acqrel/release|sub*/release) echo acquire ;;
    */acqrel) echo acquire release ;;
    *) echo relaxed ;;
    esac
}
needs() {    # needs ACCESS ENOUGH: whether the access asks for more
    case $1/$2 in
    */relaxed|cas*/acquire|swap_acqrel/acquire|sub*/acquire) true ;;
    cas*/release|swap_acqrel/release|sub*/release) true ;;
    *) false ;;
    esac
}
while IFS='|' read -r tag fn access enough by why; do
    [ "$enough" != - ] || continue
    site="$tag|$fn|$access"
    if needs "$access" "$enough"; then
        for h in $by; do
            timeout 300 "$out/orders" "$h" "$n" "$site" "$enough" >"$out/log"
            verdict $? "$site, $enough, $h: $(cat "$out/log")"
        done
    fi
    for order in $(weaker "$access" "$enough"); do
        found=1
        for h in $by; do
            timeout 300 "$out/orders" "$h" $((10 * n)) "$site" "$order" >"$out/log"
            [ $? -ne 1 ] || { found=0; break; }
        done
        verdict $found "$site, $order: no harness of $by fails"
    done
done < <(rows)
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
