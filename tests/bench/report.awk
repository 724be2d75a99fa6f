# report.awk - samples to tables.
#   awk -f report.awk -v machine=FILE -v md=FILE -v json=FILE rows.def samples.tsv
#
# A sample: round W implementation N row ns cpu-ns rss-KiB checksum. Ratios are taken per round,
# ours / other, and their median is reported with the extremes: drift of the machine between
# rounds cancels. Round 0 holds samples that only check a checksum.

FILENAME ~ /rows\.def$/ {
    if (/^ROW/) {
        split($0, part, /[(, ]+/)
        order[++rows] = part[2]
    } else if (match($0, /".*"/)) {
        meaning[order[rows]] = substr($0, RSTART + 1, RLENGTH - 2)
    }
    next
}

{
    round = $1; w = $2; impl = $3; n = $4; row = $5
    if (!((row, n) in sum)) { sum[row, n] = $9; who[row, n] = impl }
    else if (sum[row, n] != $9) {
        printf "CHECKSUM of %s (N=%s) differs: %s %s, %s %s\n", row, n, who[row, n], sum[row, n],
               impl, $9
        bad = 1
    }
    if (round == 0) next
    if (round > rounds) rounds = round
    seen[row, w] = has[impl] = width[w] = 1
    ns[row, w, impl] = ns[row, w, impl] " " $6
    cpu[row, w, impl] = cpu[row, w, impl] " " $7
    rss[row, w, impl] = rss[row, w, impl] " " $8
    at[row, w, impl, round] = $6
}

# sorted splits a list of numbers into v[1..count], ascending.
function sorted(list, v,    count, i, j, x) {
    count = split(list, v, " ")
    for (i = 2; i <= count; i++) {
        x = v[i] + 0
        for (j = i - 1; j > 0 && v[j] + 0 > x; j--) v[j + 1] = v[j]
        v[j + 1] = x
    }
    return count
}
function median(list,    v, count) {
    count = sorted(list, v)
    return count % 2 ? v[(count + 1) / 2] : (v[count / 2] + v[count / 2 + 1]) / 2
}

function smaller(best, x) { return best == 0 || x + 0 < best ? x + 0 : best }

# ratio sets mid, low and high of ours at w over the other at any of the settings in others.
function ratio(row, w, impl, others,    r, i, k, set, list, best, v, count) {
    k = split(others, set, " ")
    for (r = 1; r <= rounds; r++) {
        best = 0
        for (i = 1; i <= k; i++)
            if ((row, set[i], impl, r) in at) best = smaller(best, at[row, set[i], impl, r])
        if (best > 0 && (row, w, "ours", r) in at) list = list " " at[row, w, "ours", r] / best
    }
    count = sorted(list, v)
    if (count == 0) return 0
    mid = median(list); low = v[1]; high = v[count]
    return 1
}
function number(x) {
    return sprintf(x < 10 ? "%.2f" : x < 1000 ? "%.1f" : "%.0f", x)
}
function spread() { return sprintf("%.2f (%.2f..%.2f)", mid, low, high) }
function cell(table, row, w, impl) {
    return (row, w, impl) in table ? number(median(table[row, w, impl])) : "-"
}
# fields fills f[1..count] with the cells of a line of the table.
function fields(row, w, f,    i) {
    f[1] = row; f[2] = w
    f[3] = cell(ns, row, w, "ours"); f[4] = cell(ns, row, w, "go")
    f[5] = ratio(row, w, "go", w) ? spread() : "-"
    f[6] = ratio(row, w, "go", "1 2") ? sprintf("%.2f", mid) : "-"
    f[7] = cell(cpu, row, w, "ours"); f[8] = cell(cpu, row, w, "go")
    f[9] = cell(rss, row, w, "ours"); f[10] = cell(rss, row, w, "go")
    for (i = 1; i <= others; i++) f[10 + i] = cell(ns, row, w, other[i])
    return 10 + others
}
function aligned(f, count,    i, text) {
    text = sprintf("%-16s %1s %10s %10s  %-20s %5s", f[1], f[2], f[3], f[4], f[5], f[6])
    for (i = 7; i <= count; i++) text = text sprintf(" %9s", f[i])
    return text
}
function marked(f, count,    i, text) {
    text = "|"
    for (i = 1; i <= count; i++) text = text " " f[i] " |"
    return text
}
function json_impl(row, w, impl) {
    return sprintf("\"%s\": { \"ns\": %.2f, \"cpu_ns\": %.2f, \"rss_kib\": %.0f }", impl,
                   median(ns[row, w, impl]), median(cpu[row, w, impl]), median(rss[row, w, impl]))
}

END {
    split("pthread boost_fiber neco libdill argobots crossbeam", list, " ")
    for (i = 1; i in list; i++) if (list[i] in has) other[++others] = list[i]
    split("row|W|ours|go|ours/go (min..max)|best|cpu ours|cpu go|KiB ours|KiB go", h, "|")
    for (i = 1; i <= others; i++) h[10 + i] = other[i]
    print aligned(h, 10 + others)
    print "# Benchmark\n" > md
    while ((getline info < machine) > 0) print "- " info > md
    print "\nns per operation, medians. Ratios are medians of the rounds' ratios; below 1 is" \
          "\nfaster than Go. `best` compares with Go at the better of GOMAXPROCS 1 and 2.\n" > md
    print marked(h, 10 + others) > md
    rule = "|---|---|--:|--:|---|"
    for (i = 6; i <= 10 + others; i++) rule = rule "--:|"
    print rule > md
    print "[" > json
    for (i = 1; i <= rows; i++) {
        for (w = 1; w <= 2; w++) {
            row = order[i]
            if (!((row, w) in seen)) continue
            count = fields(row, w, f)
            print aligned(f, count)
            print marked(f, count) > md
            printf "%s  { \"row\": \"%s\", \"workers\": %d, \"what\": \"%s\"", comma, row, w,
                   meaning[row] > json
            for (impl in has)
                if ((row, w, impl) in ns) printf ", %s", json_impl(row, w, impl) > json
            if (ratio(row, w, "go", w))
                printf ", \"ratio_go\": [%.3f, %.3f, %.3f]", mid, low, high > json
            if (ratio(row, w, "go", "1 2"))
                printf ", \"ratio_best_go\": [%.3f, %.3f, %.3f]", mid, low, high > json
            printf " }" > json
            comma = ",\n"
        }
    }
    print "\n]" > json
    print "\n| row | one operation |\n|---|---|" > md
    for (i = 1; i <= rows; i++)
        if (((order[i], 1) in seen) || ((order[i], 2) in seen))
            printf "| %s | %s |\n", order[i], meaning[order[i]] > md
    exit bad
}
