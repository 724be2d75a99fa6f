# report.awk EXCLUSIONS HEADER INFO - lines and branches of the header by room, from lcov's records.
#
# An exclusion is `function: reason`: its lines need not be run.

FILENAME == ARGV[1] {
    if (/^#/ || !/:/) next
    at = index($0, ":")
    excused[substr($0, 1, at - 1)] = substr($0, at + 2)
    next
}

FILENAME == ARGV[2] {
    if (/^\/\/ >>/) { split($2, part, ">>"); room = part[2]; order[++rooms] = room }
    if (/^[a-zA-Z_].*chanrt_[a-z_0-9]+\(/ && !/;$/) {
        match($0, /chanrt_[a-z_0-9]+\(/)
        name = substr($0, RSTART, RLENGTH - 1)
    }
    if (/^}/) { of[FNR] = room; in_function[FNR] = name; name = ""; text[FNR] = $0; next }
    of[FNR] = room
    in_function[FNR] = name
    text[FNR] = $0
    next
}

# An inline function stands in many objects: a line has been run when one of them has run it.
/^DA:/ {
    split(substr($0, 4), part, ",")
    line = part[1] + 0
    seen[line] = 1
    if (part[2] > 0) ran[line] = 1
}
/^BRDA:/ {
    split(substr($0, 6), part, ",")
    key = part[1] "," part[2] "," part[3]
    branch[key] = part[1] + 0
    if (part[4] != "-" && part[4] > 0) took[key] = 1
}

END {
    for (line in seen) {
        room = of[line + 0]
        if (in_function[line] in excused) { out[room]++; used[in_function[line]] = 1; continue }
        lines[room]++
        if (line in ran) hit[room]++
        else missed[line + 0] = 1
    }
    for (key in branch) {
        if (in_function[branch[key]] in excused) continue
        room = of[branch[key]]
        branches[room]++
        if (key in took) taken[room]++
    }
    printf "%-12s %8s %8s %7s %9s %8s %7s %9s\n", "room", "lines", "run", "", "branches", "taken",
           "", "excluded"
    for (r = 1; r <= rooms; r++) {
        room = order[r]
        if (!lines[room] && !out[room]) continue
        show(room, lines[room], hit[room], branches[room], taken[room], out[room])
        L += lines[room]; H += hit[room]; Bs += branches[room]; T += taken[room]; O += out[room]
    }
    show("all", L, H, Bs, T, O)
    for (line = 1; line <= 100000; line++) if (line in missed) {
        printf "never run: %d %s: %s\n", line, in_function[line], text[line]
        left++
    }
    for (name in excused) if (!(name in used)) print "no such function, or not built: " name
    printf "%d passed, %d failed\n", H, left
    exit left > 0
}

function show(room, l, h, b, t, o) {
    printf "%-12s %8d %8d %6.1f%% %9d %8d %6.1f%% %9d\n", room, l, h, l ? 100 * h / l : 100, b, t,
           b ? 100 * t / b : 100, o
}
