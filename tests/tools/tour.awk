# tour.awk - one page of the tour out of one example's comments and code.
#
#     awk -v name=04_channel -v previous=... -v next_one=... -v at="4 of 25" -f tour.awk FILE...
#
# The head of the file says what it shows and the Go it mirrors, its tail what it prints; the code
# between is shown as it is. With -v list=1 only what it shows, for the table of contents.

function html(s) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    gsub(/>/, "\\&gt;", s)
    return s
}
function is_ours(word) {
    return word in ours || word ~ /^CHANRT_/ ||
        word ~ /^(chan|chanrt|task|wg|timer|ticker|on|sync|ctx|group|io|case)_/
}
# Comments, strings, and words of C and of ours in colour; a line at a time.
function coloured(line,    out, at, word) {
    while (line != "") {
        if (match(line, /^\/\/.*/)) { out = out "<i>" html(line) "</i>"; break }
        if (match(line, /^"([^"\\]|\\.)*"/) || match(line, /^'([^'\\]|\\.)*'/)) {
            out = out "<u>" html(substr(line, 1, RLENGTH)) "</u>"
        } else if (match(line, /^[A-Za-z_][A-Za-z0-9_]*/)) {
            word = substr(line, 1, RLENGTH)
            if (is_ours(word)) out = out "<b>" word "</b>"
            else if (word in keyword) out = out "<em>" word "</em>"
            else out = out word
        } else if (match(line, /^[^A-Za-z_"'\/]+/) || match(line, /^./)) {
            out = out html(substr(line, 1, RLENGTH))
        }
        line = substr(line, RLENGTH + 1)
    }
    return out
}
function link(to, text) { return to == "" ? "<span></span>" : "<a href='" to ".html'>" text "</a>" }

BEGIN {
    n = split("go TASK TASK_ERR TASK_EXTERN TASK_DECLARE go_opt go_fn chan waitgroup select_err",
              w, " ")
    for (i = 1; i <= n; i++) ours[w[i]]
    n = split("int void char const static struct return for while if else break continue typedef " \
              "enum unsigned size_t int64_t bool sizeof double long", w, " ")
    for (i = 1; i <= n; i++) keyword[w[i]]
}
FNR == 1 { part = "code"; files++; if (code != "") code = code "\n"
           if (ARGC > 2) { sub(/.*\//, "", FILENAME); code = code "<i>// --- " FILENAME "</i>\n" } }
/^\/\/ Shows: / && shows == "" { part = "shows"; shows = substr($0, 11); next }
/^\/\/ Go: /                   { part = "go"; go_code = substr($0, 11) "\n"; next }
/^\/\/ Output[^:]*:/           { part = "out"; what = $0 ~ /any order/ ? " (in any order)" : \
                                     $0 ~ /pattern/ ? " (* is any text)" : ""; next }
/^\/\/ Stderr[^:]*:/           { part = "err"; next }
/^\/\/ Exit: /                 { code_of_exit = $3; next }
/^\/\// && part == "shows"     { shows = shows " " substr($0, 11); next }
/^\/\// && part == "go"        { go_code = go_code substr($0, 11) "\n"; next }
/^\/\// && part == "out"       { out = out substr($0, 4) "\n"; next }
/^\/\// && part == "err"       { err = err substr($0, 4) "\n"; next }
                               { if (part ~ /shows|go|out|err/) part = "code"
                                 blank = $0 == "" ? blank "\n" : ""
                                 code = code coloured($0) "\n" }
END {
    if (list) { print html(shows); exit }
    sub(/\n+$/, "\n", code)
    title = name
    sub(/^[0-9]+_/, "", title)
    gsub(/_/, " ", title)
    sub(/^cpp$/, "C++", title)
    shows = toupper(substr(shows, 1, 1)) substr(shows, 2)
    title = toupper(substr(title, 1, 1)) substr(title, 2)
    print "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>"
    print "<meta name='viewport' content='width=device-width'>"
    print "<title>" html(title) " - a tour of chanrt.h</title>"
    print "<link rel='stylesheet' href='tour.css'>"
    print "<nav>" link(previous, "&larr; " previous) "<a href='index.html'>lesson " at "</a>" \
          link(next_one, next_one " &rarr;") "</nav>"
    print "<main>\n<h1>" html(title) "</h1>\n<p class='shows'>" html(shows) "</p>"
    if (go_code != "") print "<h2>In Go</h2>\n<pre class='go'>" html(go_code) "</pre>"
    print "<h2>In C" (title == "C++" ? "++" : "") "</h2>\n<pre>" code "</pre>"
    print "<h2>What it prints" what "</h2>\n<pre class='out'>" html(out) "</pre>"
    if (err != "")
        print "<h2>and on stderr (* is any text)</h2>\n<pre class='out'>" html(err) "</pre>"
    if (code_of_exit != "") print "<p>It exits with status " code_of_exit ".</p>"
    print "<p class='run'>Run it: <code>make build/examples/" name " &amp;&amp; " \
          "build/examples/" name "</code></p>\n</main>\n</html>"
}
