# hook_free.awk - chanrt.h as it would be if nobody had ever thought of debug builds and traces:
# every block under their switches and every hook is gone, line for line, so that the numbers of
# the lines stay. tests/tools/hook_free.sh compiles it beside the real one.

# Blanks NAME(...) wherever it stands in text, with a comma or semicolon after it.
function without(text, name,    at, i, depth, c) {
    while ((at = index(text, name "(")) > 0) {
        depth = 0
        for (i = at + length(name); i <= length(text); i++) {
            c = substr(text, i, 1)
            depth += (c == "(") - (c == ")")
            if (depth == 0) break
        }
        if (substr(text, i + 1, 1) ~ /[,;]/) i++
        text = substr(text, 1, at - 1) substr(text, i + 1)
    }
    return text
}

# One entry per #if that is open: 1 if it is about our switches and in its false branch.
/^#(if|ifdef|ifndef)/ {
    ours[++depth] = /^#ifn?(def)? .*CHANRT_(DEBUG|TRACE|PROFILE)/ && !/&&/
    dropped[depth] = ours[depth]
    if (ours[depth]) { hidden++; print ""; next }
}
/^#el/ && ours[depth] {
    hidden += dropped[depth] ? -1 : 1
    dropped[depth] = !dropped[depth]
    print ""
    next
}
/^#endif/ {
    was = ours[depth]
    if (was && dropped[depth]) hidden--
    depth--
    if (was) { print ""; next }
}
hidden { print ""; next }
/^#define CHANRT__(IF_DEBUG|IF_TRACE|IF_PROFILE|NOTE)/ { print ""; next }
{
    text = without(without($0, "CHANRT__IF_DEBUG"), "CHANRT__IF_TRACE")
    text = without(without(text, "CHANRT__IF_PROFILE"), "CHANRT__NOTE")
    gsub(/-DCHANRT_DEBUG=1/, "\001", text) # what a plain build says of the others
    gsub(/CHANRT_(DEBUG|TRACE|PROFILE)/, "0", text)
    gsub("\001", "-DCHANRT_DEBUG=1", text)
    print text
}
