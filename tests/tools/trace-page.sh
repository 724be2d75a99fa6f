#!/bin/sh
# trace-page.sh FILE.json >FILE.html - the viewer with a trace in it, as one page.
here=$(dirname "$0")
[ -r "$1" ] || { echo "usage: trace-page.sh FILE.json >FILE.html" >&2; exit 2; }
awk -v file="$1" -v name="$(basename "$1")" '
    /^<script id="trace"/ {
        print "<script id=\"trace\" type=\"application/json\" data-name=\"" name "\">"
        while ((getline line <file) > 0) { gsub(/<\//, "<\\/", line); print line }
        print "</script>"
        next
    }
    { print }' "$here/trace-viewer.html"
