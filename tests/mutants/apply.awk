# apply.awk -v only=NAME MUTANTS HEADER - prints the header with that one mutant applied. Without
# `only` it prints `name|stars|programs|line` for each. Exit status 3: a mutant's lines are
# not in the header exactly once.

FILENAME == ARGV[1] {
    if (/^#/ || /^$/) next
    if (/^mutant /) {
        split(substr($0, 8), part, / *\| */)
        n++
        name[n] = part[1]; stars[n] = part[2]; programs[n] = part[3]
        sub(/ *$/, "", programs[n])
        said = 0
        next
    }
    if (!said) { what[n] = $0; said = 1; next }
    kind = substr($0, 1, 1)
    text = substr($0, 2)
    if (kind != "+") old[n, ++olds[n]] = text
    if (kind != "-") new[n, ++news[n]] = text
    next
}
{ line[++lines] = $0 }

# An old line that ends with `...` is the beginning of the line.
function same(have, want) {
    if (want !~ /\.\.\.$/) return have == want
    return substr(have, 1, length(want) - 3) == substr(want, 1, length(want) - 3)
}

function place(m,    i, j, at) {
    at = 0
    for (i = 1; i + olds[m] - 1 <= lines; i++) {
        for (j = 1; j <= olds[m]; j++) if (!same(line[i + j - 1], old[m, j])) break
        if (j <= olds[m]) continue
        if (at) return -i
        at = i
    }
    return at
}

END {
    for (m = 1; m <= n; m++) {
        if (only != "" && name[m] != only) continue
        at = place(m)
        if (at <= 0) {
            print "stale: " name[m] (at < 0 ? " fits twice" : " fits nowhere") > "/dev/stderr"
            stale = 1
            continue
        }
        if (only == "") { print name[m] "|" stars[m] "|" programs[m] "|" at; continue }
        for (i = 1; i < at; i++) print line[i]
        for (j = 1; j <= news[m]; j++) {
            text = new[m, j]
            last = olds[m]
            if (text ~ /\.\.\.$/)
                text = substr(text, 1, length(text) - 3) \
                       substr(line[at + last - 1], length(old[m, last]) - 2)
            print text
        }
        for (i = at + olds[m]; i <= lines; i++) print line[i]
    }
    exit stale ? 3 : 0
}
