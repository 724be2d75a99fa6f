# tags.awk - every ordered access of the header as `tag|function|access`, once each.
# An access takes the tag of its line, or else of the comment above it.

/^[a-zA-Z]/ && !/;$/ && !/^#/ {
    rest = $0
    while (match(rest, /chanrt_[a-z_0-9]+\)?\(/)) {
        fn = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
    }
    gsub(/[()]/, "", fn)
}
/^#define chanrt__atom/ || fn ~ /^chanrt__atom_/ { next }
{
    tag = above
    above = ""
    if (match($0, /\/\/ \[[a-z-]+\]/)) {
        tag = substr($0, RSTART + 4, RLENGTH - 5)
        if ($0 ~ /^ *\/\//) above = tag
    } else if ($0 ~ /^ *\/\//) {
        above = tag
    }
    code = $0
    sub(/\/\/.*/, "", code)
    if (code ~ /^ *"/ && $0 ~ /\/\/ \[/) seen[tag "|" fn "|asm"]
    while (match(code, /chanrt__atom_[a-z]+_(acq|rel|acqrel|seq)\(/)) {
        seen[tag "|" fn "|" substr(code, RSTART + 13, RLENGTH - 14)]
        if (tag == "") print "no tag: line " FNR
        code = substr(code, RSTART + RLENGTH)
    }
}
END { for (key in seen) print key | "sort" }
