# figure.awk - RESULTS.md's most telling rows as a picture.
#
#     awk -f tests/bench/figure.awk tests/bench/RESULTS.md > tests/bench/figure.svg
#
# Each pair of bars is one row: Go's is as long as the worse of the two, ours in proportion.

BEGIN {
    want("buf_pair 1", "send and receive, buffered")
    want("pingpong_same 2", "round trip, unbuffered")
    want("spsc128 2", "message, capacity 128")
    want("mpmc4x4_0 2", "message, 4 senders, 4 receivers")
    want("select_all4 2", "select over 4, all ready")
    want("select_block2 2", "select over 2, blocking")
    want("spawn_finish 2", "spawn, run, wait for")
    want("fib25 2", "fib(25), a task per call")
    want("sieve1000 2", "prime sieve, per message")
    want("ring1000 2", "ring of 1,000 tasks, per hop")
    want("foreign 2", "main thread and a task")
    want("parked_bytes 1", "memory of a parked task")
}
function want(row, text) { label[row] = text; order[++rows] = row }
function amount(x, row) {
    if (row ~ /bytes/) return sprintf("%.1f KB", x / 1024)
    return x >= 1000 ? sprintf("%.1f us", x / 1000) : sprintf(x < 10 ? "%.1f ns" : "%.0f ns", x)
}
function text(x, y, s, more) {
    printf "<text x='%d' y='%d' %s>%s</text>\n", x, y, more, s
}

/^- (machine|go|run) / { sub(/^- [a-z]+ /, ""); note = note (note ? "; " : "") $0 }
/^\| [a-z]/ {
    split($0, cell, / *\| */)
    row = cell[2] " " cell[3]
    if (!(row in label)) next
    ours[row] = cell[4]
    gos[row] = cell[5]
}
END {
    for (i = 1; i <= rows; i++) if (order[i] in ours) shown[++n] = order[i]
    left = 250; width = 430; step = 38; top = 54
    printf "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 800 %d' width='800' " \
           "font-family='Helvetica, Arial, sans-serif' font-size='13'>\n", top + n * step + 34
    print "<rect width='100%' height='100%' fill='#fbfaf7'/>"
    text(left, 26, "chanrt.h", "fill='#0b5a8a' font-weight='bold' font-size='15'")
    text(left + 80, 26, "and Go, the same program: shorter is better", "fill='#555'")
    for (i = 1; i <= n; i++) {
        row = shown[i]
        y = top + (i - 1) * step
        most = ours[row] > gos[row] ? ours[row] + 0 : gos[row] + 0
        a = width * ours[row] / most
        b = width * gos[row] / most
        text(left - 10, y + 16, label[row], "text-anchor='end' fill='#222'")
        printf "<rect x='%d' y='%d' width='%.1f' height='12' rx='2' fill='#0b5a8a'/>\n", left, y, a
        printf "<rect x='%d' y='%d' width='%.1f' height='12' rx='2' fill='#c9c2b2'/>\n",
               left, y + 14, b
        text(left + a + 6, y + 11, amount(ours[row], row), "fill='#0b5a8a'")
        text(left + b + 6, y + 25, amount(gos[row], row), "fill='#8a8170'")
    }
    text(10, top + n * step + 20, note, "fill='#8a8170' font-size='11'")
    print "</svg>"
}
