# docs.awk - takes the examples out of README.md and of the manual in chanrt.h.
#
#     awk -v dir=DIR -f docs.awk README.md chanrt.h
#
# Each goes to DIR/FILE_LINE.KIND:
#     c      a ```c block with a main, or an indented program of the manual
#     out    the ```text block after a c block: what that program prints
#     part   a ```c block without a main, after a line <!-- test -->
#     ccpart a ```cpp block likewise
#     sh     a ```sh block after a line <!-- test -->

function stem(    s) { s = FILENAME; gsub(/[^A-Za-z0-9]/, "_", s); return dir "/" s "_" FNR }
function flush_block(    kind) {
    if (text != "") {
        kind = language
        if (kind == "c" && text !~ /int main\(/) kind = marked ? "part" : ""
        if (kind == "sh" && !marked) kind = ""
        if (kind == "cpp") kind = marked ? "ccpart" : ""
        if (kind == "text") { at = program; kind = program != "" ? "out" : "" }
        program = kind == "c" ? at : ""
        if (kind != "") { printf "%s", text > (at "." kind); close(at "." kind) }
    }
    text = language = ""
    marked = 0
}

FNR == 1                          { flush_block(); in_markdown = FILENAME ~ /\.md$/; code = 0 }

in_markdown && language != ""     { if (/^```/) flush_block(); else text = text $0 "\n"; next }
in_markdown && /^<!-- test -->/   { marked = 1 }
in_markdown && /^```[a-z]/        { language = substr($0, 4); at = stem() }
in_markdown && /^```$/            { language = "none"; at = stem() }

!in_markdown && /^#/              { flush_block(); code = 1 }
in_markdown || code               { next }
language == "" && /^\/\/       #(define|include)/ { language = "c"; at = stem() }
language != "" && ($0 == "//" || /^\/\/       /)  { text = text substr($0, 10) "\n"; next }
                                  { flush_block() }
