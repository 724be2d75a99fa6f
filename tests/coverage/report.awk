# report.awk REASONS HEADER GCOV - lines and branches of the header by room, from `gcov -b -c -t`
# of each object. What has not been run, or taken, is printed; in the core rooms it needs a reason.
#
# A reason is `kind | function | text of the line, * for all of them | how many | why`: it excuses
# so many lines and branches of that function. It fails when the header has no such text, when it
# would have to excuse more, and when it excuses less, unless its kind is `luck`.

function trim(s) { gsub(/^ +| +$/, "", s); return s }

function say(what, line, i, n) {
    printf "%s: %d %s%s: %s\n", what, line, in_function[line], n ? " " i + 1 "/" n : "",
           trim(text[line])
}

# The branches of a line in one function of one object. A line that has another number of them in
# another build is another line.
function flush(    i) {
    for (i = 0; i < count; i++) {
        branch[at "," count "," i] = 1
        if (now[i]) took[at "," count "," i] = 1
    }
    count = 0
}

# Whether there is a reason for this line.
function excuse(line,    r) {
    for (r = 1; r <= reasons; r++) {
        if (fn[r] != in_function[line] || (part_of[r] != "*" && !index(text[line], part_of[r])))
            continue
        excuses[r]++
        kinds[kind[r]]++
        return 1
    }
    return 0
}

FILENAME == ARGV[1] {
    if (/^#/ || !/\|/) next
    reasons++
    split($0, part, "|")
    kind[reasons] = trim(part[1]); fn[reasons] = trim(part[2]); part_of[reasons] = trim(part[3])
    most[reasons] = trim(part[4]) + 0
    if (trim(part[5]) == "" || most[reasons] == 0) { print "no reason: " $0; bad++ }
    next
}

FILENAME == ARGV[2] {
    if (/^\/\/ >>/) { split($2, part, ">>"); room = part[2]; order[++rooms] = room }
    if (/^[a-zA-Z_].*chanrt_[a-z_0-9]+\)?\(/ && !/;$/) {
        rest = $0
        while (match(rest, /chanrt_[a-z_0-9]+\)?\(/)) {
            name = substr(rest, RSTART, RLENGTH - 1)
            rest = substr(rest, RSTART + RLENGTH)
        }
        sub(/\)/, "", name)
    }
    of[FNR] = room
    in_function[FNR] = name
    text[FNR] = $0
    last = FNR
    if (/^}/) name = ""
    next
}

/^ +-: +0:Source:/ { flush(); mine = /chanrt\.h$/; next }
!mine { next }
/^function / { flush(); next }
/^ *[-#=0-9]+\*?: *[0-9]+:/ {
    flush()
    split($0, part, ":")
    at = part[2] + 0
    if (part[1] ~ /-/) next
    seen[at] = 1
    if (part[1] !~ /[#=]/) ran[at] = 1
    next
}
/^branch / { now[count++] = $3 == "taken" && $4 > 0 }

END {
    flush()
    core = " atom os list task sched wait chan select timer wg "
    for (line = 1; line <= last; line++) {
        if (!(line in seen)) continue
        room = of[line]
        lines[room]++
        if (line in ran) hit[room]++
        else judge("never run", line)
    }
    for (key in branch) {
        split(key, part, ",")
        line = part[1]
        branches[of[line]]++
        if (key in took) taken[of[line]]++
        else missed[line] = missed[line] " " part[2] " " part[3]
    }
    for (line = 1; line <= last; line++) {
        n = split(missed[line], part, " ")
        for (i = 1; i < n; i += 2)
            if (index(core, " " of[line] " ")) judge("not taken", line, part[i + 1], part[i])
    }
    table()
    for (r = 1; r <= reasons; r++) judge_reason(r)
    for (k in kinds) printf "excused, %s: %d\n", k, kinds[k]
    printf "%d passed, %d failed\n", good, bad
    exit bad > 0
}

function judge(what, line, i, n) {
    if (excuse(line)) { out[of[line]]++; return }
    say(what, line, i, n)
    bad += index(core, " " of[line] " ") > 0
}

function judge_reason(r,    line, found) {
    for (line = 1; line <= last && !found; line++)
        found = in_function[line] == fn[r] && (part_of[r] == "*" || index(text[line], part_of[r]))
    if (!found) print "no such function or text: " fn[r] ": " part_of[r]
    else if (excuses[r] > most[r]) print "excuses " excuses[r] ": " fn[r] ": " part_of[r]
    else if (excuses[r] < most[r] && kind[r] != "luck")
        print "excuses only " excuses[r] + 0 ": " fn[r] ": " part_of[r]
    else { good++; return }
    bad++
}

function table(    r) {
    printf "%-12s %8s %8s %7s %9s %8s %7s %9s\n", "room", "lines", "run", "", "branches", "taken",
           "", "excused"
    for (r = 1; r <= rooms; r++) {
        room = order[r]
        if (!lines[room]) continue
        show(room, lines[room], hit[room], branches[room], taken[room], out[room])
        L += lines[room]; H += hit[room]; Bs += branches[room]; T += taken[room]; O += out[room]
        if (!index(core, " " room " ")) continue
        cl += lines[room]; ch += hit[room]; cb += branches[room]; ct += taken[room]
        co += out[room]
    }
    show("core", cl, ch, cb, ct, co)
    show("all", L, H, Bs, T, O)
    good = ch + ct + co
}

function show(name, l, h, b, t, o) {
    printf "%-12s %8d %8d %6.1f%% %9d %8d %6.1f%% %9d\n", name, l, h, l ? 100 * h / l : 100, b, t,
           b ? 100 * t / b : 100, o
}
