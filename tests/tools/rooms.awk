# rooms.awk - the architecture of chanrt.h, checked.
#
#     awk -f rooms.awk chanrt.h             what is wrong, one line each; exit status 1
#     awk -v map=1 -f rooms.awk chanrt.h    the rooms and their sizes as well
#
# R1  a room uses a room that is not above it, or one that is not there
# R2  a forward declaration: what it calls belongs in a lower room
# R3  a call into a room that the banner does not list
# R4  a memory order or an atomic builtin outside >>atom
# R5  a thread-local besides the one in >>os
# R6  an ordered atomic without a [tag], or a tag that pairs with nothing (an acqrel is both
#     ends of its own)
# R7  a platform #if above >>stack
# R8  a private name whose room does not exist
# S1  a line over 100 columns     S2  a tab or trailing blank     S3  a word left for later
# S4  a function over 60 lines (-v longest=N) that does not say why (// long:)
# S5  a block comment

BEGIN { if (!longest) longest = 60 }
function err(id, msg) { err_at(FNR, id, msg) }
function err_at(line, id, msg) { printf "%s:%d: %s %s\n", FILENAME, line, id, msg; bad++ }

# The name of the room in an identifier: chanrt__chan_send gives chan. A bare chanrt__task
# is a type, not a room's verb.
function callees(text, list,    n) {
    n = 0
    while (match(text, /chanrt__[a-z0-9]+_/)) {
        list[++n] = substr(text, RSTART + 8, RLENGTH - 9)
        text = substr(text, RSTART + RLENGTH)
        sub(/^[A-Za-z0-9_]*/, "", text)
    }
    return n
}

# The tags of a comment, noted with where they were seen.
function take_tags(text) {
    while (match(text, /\[[a-z][a-z0-9-]*\]/)) {
        tag = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        last_tag = tag
    }
}

length($0) > 100                  { err("S1", length($0) " columns") }
/\t/ || /[ ]$/                    { err("S2", "tab or trailing blank") }
/TODO|FIXME|XXX/                  { err("S3", "finish it, or write an issue") }
/^\/\/ >>[a-z]/ {
    room = substr($2, 3)
    if (room == "port") impl = 1           # above it lies the interface
    if (room in seen) err("R1", "two rooms named " room)
    seen[room] = ++rooms
    name[rooms] = room
    first[rooms] = FNR
}
/^\/\/   uses / {
    for (i = 3; i <= NF; i++) {
        if ($i == "nothing" || $i == "//") break
        if (!($i in seen) || $i == room) err("R1", room " uses " $i ", which is not above it")
        else may[room, $i] = 1
    }
}
rooms { last[rooms] = FNR }

{
    code = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
    comment = ""
    if (match(code, /\/\//)) {
        comment = substr(code, RSTART)
        code = substr(code, 1, RSTART - 1)
    }
    sub(/[ ]+$/, "", code)
    only_comment = code == ""
    if (code ~ /\/\*/) err("S5", "block comment")
    if (!only_comment && !in_comment) last_tag = ""
    in_comment = only_comment && comment != ""
    take_tags(comment)
}

!impl || room == "" { next }

/^static [^={]*\);/ && !/\(\*/ { err("R2", "forward declaration") }

code ~ /__ATOMIC_|memory_order_|__atomic_|(^|[^a-z])__sync_|(^|[^A-Za-z_])atomic_[a-z]/ && room != "atom" {
    err("R4", "atomics are spelled in >>atom only")
}

code ~ /_Thread_local|__thread([^_a-z]|$)|thread_local/ {
    if (room != "os" || locals++) err("R5", "there is one thread-local, in >>os")
}

{
    n = callees(code, called)
    for (i = 1; i <= n; i++) {
        c = called[i]
        if (c == room || (room, c) in may) continue
        if (c in seen) err("R3", room " calls into " c " without listing it")
        else unknown[FNR] = c
    }
}

room != "atom" && code ~ /chanrt__atom_[a-z0-9_]*_(acq|rel|acqrel|seq)[a-z0-9_]*[ ]*\(/ {
    if (last_tag == "") err("R6", "ordered atomic without a [tag]")
    else { uses[last_tag] += code ~ /_acqrel/ ? 2 : 1; seen_at[last_tag] = FNR }
}

code ~ /^[ ]*#[ ]*(if|elif)/ && room !~ /^(port|fail|atom|os|ctx|stack)$/ &&
code ~ /__linux__|__APPLE__|_WIN32|__x86_64__|__aarch64__|__GNUC__|__clang__|__GLIBC__/ {
    err("R7", "platform #if above >>stack")
}

# Functions start in column 0 and end with a brace there.
code ~ /^[A-Za-z_].*\)[ ]*\{$/ && code !~ /^(typedef|struct|union|enum)[ ][a-z_]*[ ]*\{/ {
    start = FNR
    excused = long_above
}
{
    long_above = in_comment && (long_above || comment ~ /\/\/ long: /)
    if (comment ~ /\/\/ long: /) excused = 1
}
/^}/ && start {
    if (FNR - start + 1 > longest && !excused) err_at(start, "S4", FNR - start + 1 " lines")
    start = 0
}

END {
    for (line in unknown)
        if (!(unknown[line] in seen)) err_at(line, "R8", "no room named " unknown[line])
        else err_at(line, "R3", "calls up into " unknown[line])
    for (tag in uses)
        if (uses[tag] < 2) err_at(seen_at[tag], "R6", tag " pairs with nothing")
    for (i = 1; map && i <= rooms; i++)
        printf "  %-12s %5d..%-5d %5d lines\n", name[i], first[i], last[i], last[i] - first[i] + 1
    exit bad > 0
}
