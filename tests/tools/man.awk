# man.awk - manual pages out of chanrt.h, where the only copy of the reference is.
#
#     awk -v dir=DIR -f man.awk chanrt.h
#
# chanrt.3 is the manual, chanrt_chan.3 the room >>api-chan and so on; chanrt_chan_send.3 and its
# like only name the page that has them. A paragraph is a comment, and what it documents are the
# declarations and public macros under it up to the next comment.

BEGIN { version = "chanrt" }
/^#define CHANRT_VERSION / { version = "chanrt " substr($3, 2, length($3) - 2) }

function roff(s) {                    # no line of text may begin a request or hold an escape
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    if (s ~ /^[.']/) s = "\\\\&" s
    return s
}
function words(s) {                   # labels and names of ours in bold
    s = roff(s)
    gsub(/(Blocks|Returns|Order|Misuse|How):/, "\\fB&\\fR", s)
    gsub(/(chanrt|CHANRT)_[A-Za-z0-9_]+/, "\\fB&\\fR", s)
    return s
}
function head(page, title) {
    file = dir "/" page ".3"
    printf ".TH %s 3 \"\" \"%s\" \"chanrt Manual\"\n.SH NAME\n", toupper(page), version > file
    printf "%s \\- %s\n", roff(page), roff(title) > file
}
function see_also(page,    i, s, n) {
    print ".SH SEE ALSO" > file
    for (i = 1; i <= pages; i++)
        if (page_name[i] != page) s = s (n++ ? ",\n" : "") ".BR " roff(page_name[i]) " (3)"
    gsub(/,\n/, " ,\n", s)
    print s > file
}
function declared(text,    name) {    # the public name that a declaration or a macro makes
    if (match(text, /^#define (chanrt|CHANRT)_[A-Za-z0-9_]+/)) return substr(text, 9, RLENGTH - 8)
    sub(/ __attribute__.*/, "", text)
    if (match(text, /(chanrt|CHANRT)_[A-Za-z0-9_]+\(/)) {
        while (match(text, /(chanrt|CHANRT)_[A-Za-z0-9_]+\(/)) {
            name = substr(text, RSTART, RLENGTH - 1)
            if (name !~ /^chanrt_(chan|chan_receiver|chan_sender)$/) return name
            text = substr(text, RSTART + RLENGTH)
        }
    }
    return ""
}
function prototype(text) {
    sub(/^(CHANRT_API|static inline) /, "", text)
    sub(/^#define /, "", text)
    sub(/ __attribute__\(\([a-z]+\)\)/, "", text)
    return text
}
# A comment with its declarations is over.
function flush_item(    i) {
    if (heads > 0 || (paragraph != "" && code != "")) {
        for (i = 1; i <= heads; i++) synopsis = synopsis ".br\n" roff(head_of[i]) "\n"
        body = body ".PP\n" paragraph
        if (code != "") body = body ".nf\n.RS 2\n" code ".RE\n.fi\n"
    } else if (paragraph != "" && is_prose) {
        body = body ".PP\n" paragraph
    }
    paragraph = code = ""
    heads = 0
}
function flush_room(    i) {
    flush_item()
    if (room == "") return
    head(page_of[room], title)
    printf ".SH SYNOPSIS\n.nf\n#include \"chanrt.h\"\n.fi\n" > file
    if (synopsis != "") printf ".PP\n%s", substr(synopsis, 5) > file
    printf ".SH DESCRIPTION\n%s", substr(body, 5) > file
    see_also(page_of[room])
    close(file)
    for (i = 1; i <= links; i++)
        if (link[i] != page_of[room]) {
            printf ".so man3/%s.3\n", page_of[room] > (dir "/" link[i] ".3")
            close(dir "/" link[i] ".3")
        }
    synopsis = body = room = ""
    links = 0
}

# First reading: which pages there are.
NR == FNR {
    if (/^\/\/ >>(types|api-[a-z]+)/) {
        name = substr($2, 3)
        sub(/^api-/, "", name)
        page_of[substr($2, 3)] = page_name[++pages] = "chanrt_" name
    }
    if (FNR == 1) page_name[++pages] = "chanrt"
    next
}

FNR == 1 { head("chanrt", "Go's concurrency model for C: tasks, channels, select, in one header")
           print ".SH DESCRIPTION" > file; manual = 1; next }
manual && /^$/ { manual = 0; see_also("chanrt"); close(file) }
manual && /^\/\/ (SPDX|>>manual)/ { next }
manual && /^\/\/ [A-Z ]+$/ { skip = /HOW TO READ/ } # what is for who reads the source
manual && skip { next }
manual {
    line = substr($0, 4)
    if ($0 == "//") { if (verbatim) print ".fi" > file; verbatim = 0; print ".PP" > file; next }
    if (line ~ /^[A-Z][A-Z ]+$/) { print ".SH " line > file; next }
    if (line ~ /^  (    |  CHANRT_)/ || line ~ /^ {12,}/) {
        if (!verbatim) print ".nf" > file
        verbatim = 1
        print roff(line) > file
        next
    }
    if (verbatim) print ".fi" > file
    verbatim = 0
    sub(/^ */, "", line)
    if (line ~ /^- /) { print ".PP" > file; line = substr(line, 3) }
    print words(line) > file
    next
}

/^\/\/ >>/ {
    flush_room()
    name = substr($2, 3)
    if (name in page_of) {
        room = name
        title = $0
        sub(/^\/\/ >>[^ ]+ */, "", title)
        sub(/\.$/, "", title)
        if (title == "") title = "the types of chanrt.h"
        first = 1
    }
    next
}
room == "" { next }
/^\/\/---/ { next }
/^\/\// {
    if (heads > 0 || code != "" || (paragraph != "" && !in_comment)) flush_item()
    in_comment = is_prose = 1
    line = substr($0, 4)
    if (line ~ /^(Blocks|Returns|Order|Misuse|  - )/) paragraph = paragraph ".br\n"
    sub(/^ +/, "", line)
    paragraph = paragraph words(line) "\n"
    next
}
# What a comment without a blank line under it says of private things stays out.
in_comment && !/^(#ifdef __cplusplus)?$/ && !/^#define (chanrt|CHANRT)_[A-WYZa-wyz]/ &&
    (/_[xX]_|CHANRT__|^(#if|template)/ || !/(chanrt|CHANRT)_[A-Za-z]/) {
    paragraph = ""
}
{ in_comment = 0 }
/^(CHANRT_API|static inline .* chanrt_[a-wyz][a-z_]*\(|#define (chanrt|CHANRT)_[A-Za-z])/ {
    text = $0
    if (/^#define/) {                 # the head of a macro is its name and parameters
        match(text, /^#define [A-Za-z0-9_]+(\([^)]*\))?/)
        text = substr(text, 1, RLENGTH)
    } else while (!sub(/ \{$/, ";", text) && text !~ /;/ && (getline line) > 0) {
        sub(/^ +/, " ", line)
        text = text line
    }
    name = declared(text)
    if (name == "" || name ~ /_x_|^CHANRT_(API|H|VERSION)$/ || (name in listed)) next
    listed[name] = 1
    sub(/;.*/, ";", text)
    head_of[++heads] = prototype(text)
    link[++links] = name
    next
}
/^typedef struct chanrt_[a-wyz][a-z_]* \{/ {
    if (paragraph != "") body = body ".PP\n" paragraph
    paragraph = ""
    body = body ".PP\n.nf\n" roff($0) "\n"
    fields = hidden = 0
    while ((getline line) > 0 && line !~ /^}/) {
        if (line ~ / \**[ax]_[a-z_]+(;|,)/) { hidden = 1; continue }
        body = body roff(line) "\n"
        fields = 1
    }
    if (hidden) body = body roff("    // " (fields ? "and " : "") "private") "\n"
    body = body roff(line) "\n.fi\n"
    next
}
/^(#if|#endif|#else|enum|static|template|struct|namespace|extern|#include)/ { flush_item() }
END { flush_room() }
