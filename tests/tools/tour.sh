#!/bin/bash
# tour.sh [DIR] - the tour: a page per example, made from its comments, into build/tour. The pages
# need no network. Ends with `N passed, M failed`: each page has its example's code, links lead
# somewhere.
cd "$(dirname "$0")/../.." || exit 2
dir=${1:-${B:-build}/tour}
rm -rf "$dir"
mkdir -p "$dir"
passed=0 failed=0
check() {    # check WHAT WHY: an empty why is a pass
    if [ -z "$2" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'tour: %s: %s\n' "$1" "$2"; fi
}

cat >"$dir/tour.css" <<'END'
body { margin: 0; background: #fbfaf7; color: #222; font: 17px/1.55 Georgia, serif; }
nav { display: flex; justify-content: space-between; padding: .6em 1.2em; font-size: 15px;
      border-bottom: 1px solid #ddd6c8; }
a { color: #0b5a8a; text-decoration: none; }
a:hover { text-decoration: underline; }
main { max-width: 50em; margin: 0 auto; padding: 1em 1.2em 4em; }
h1 { font-size: 34px; margin: .6em 0 .1em; }
h2 { font-size: 16px; margin: 1.8em 0 .4em; color: #8a6d3b; font-weight: normal; }
.shows { font-size: 20px; color: #444; margin-top: 0; }
pre { background: #fff; border: 1px solid #e4dfd3; border-radius: 6px; padding: .8em 1em; margin: 0;
      overflow-x: auto; font: 14px/1.5 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
pre.go { background: #f3f7f9; }
pre.out { background: #25282c; color: #d8e6d0; border-color: #25282c; }
pre i { color: #7a7364; } pre b { color: #0b5a8a; } pre em { color: #8b3a62; font-style: normal; }
pre u { color: #3c7a3c; text-decoration: none; }
code { font: 14px 'DejaVu Sans Mono', Menlo, Consolas, monospace; }
ol { padding-left: 1.6em; } li { margin: .3em 0; }
END

names=() sources=()
for path in examples/[0-9]*; do
    case $path in *.md) continue ;; esac
    name=${path##*/}
    names+=("${name%.c}")
    if [ -d "$path" ]; then sources+=("$(ls "$path"/main.c*; ls "$path"/*.[ch] | grep -v /main.c |
        LC_ALL=C sort -r)")
    else sources+=("$path"); fi
done
{
    cat <<'END'
<!doctype html>
<html lang='en'>
<meta charset='utf-8'>
<meta name='viewport' content='width=device-width'>
<title>A tour of chanrt.h</title>
<link rel='stylesheet' href='tour.css'>
<main>
<h1>A tour of chanrt.h</h1>
<p class='shows'>Go's concurrency model for C, one idea at a time. Every program here is complete,
and prints what its page says: the tests compare.</p>
<ol>
END
    for i in "${!names[@]}"; do
        # shellcheck disable=SC2086    # several files
        shows=$(awk -v list=1 -f tests/tools/tour.awk ${sources[$i]})
        title=${names[$i]#*_}
        title=${title/#cpp/C++}
        echo "<li><a href='${names[$i]}.html'>${title//_/ }</a> &mdash; $shows</li>"
    done
    printf '</ol>\n</main>\n</html>\n'
} >"$dir/index.html"
for i in "${!names[@]}"; do
    previous=''
    [ "$i" -eq 0 ] || previous=${names[$((i - 1))]}
    # shellcheck disable=SC2086
    awk -v name="${names[$i]}" -v previous="$previous" -v next_one="${names[$((i + 1))]:-}" \
        -v at="$((i + 1)) of ${#names[@]}" -f tests/tools/tour.awk ${sources[$i]} \
        >"$dir/${names[$i]}.html"
    # Without markup it is the file again.
    page=$(sed -e 's/<[^>]*>//g' -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&amp;/\&/g' \
        "$dir/${names[$i]}.html")
    # shellcheck disable=SC2086
    check "${names[$i]}" "$(grep -hvE '^//|^$' ${sources[$i]} | while IFS= read -r line; do
        case $page in *"$line"*) ;; *) echo "lacks: $line" ;; esac; done)"
done
check links "$(grep -oh "href='[^']*'" "$dir"/*.html | cut -d\' -f2 | sort -u | while read -r f; do
    [ -e "$dir/$f" ] || echo "$f"; done)"
check 'no network' "$(grep -lE 'https?://|//[a-z]+\.' "$dir"/*.html "$dir"/tour.css)"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
