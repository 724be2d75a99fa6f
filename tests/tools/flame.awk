# flame.awk - folded stacks ("a;b;c 123" a line) as an SVG: each width is a share of all that is
# counted, each rectangle says what and how much when the pointer is over it.
#
#     awk -f tests/tools/flame.awk out.folded >out.svg
#     grep '^run;' out.folded | awk -v unit=us -f tests/tools/flame.awk >run.svg
#
# -v unit=us     what the numbers are, for the texts
# -v width=1000  of the picture

function escaped(text) {
    gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
    gsub(/"/, "\\&quot;", text)
    return text
}

# A warm colour that is always the same for a name; cold ones for those below "blocked".
function colour(name, cold,    i, h) {
    for (i = 1; i <= length(name); i++)
        h = (h * 31 + index(letters, substr(name, i, 1))) % 997
    if (cold) return sprintf("rgb(%d,%d,235)", 120 + h % 60, 150 + h % 50)
    return sprintf("rgb(%d,%d,%d)", 225 + h % 30, 110 + h % 90, 40 + h % 40)
}

# The children of a node, largest first, as a list of paths from kids[path, 1] on.
function sort_kids(path,    i, k, n, x) {
    n = kid_count[path]
    for (i = 2; i <= n; i++) {
        x = kids[path, i]
        for (k = i - 1; k > 0 && sum[kids[path, k]] < sum[x]; k--)
            kids[path, k + 1] = kids[path, k]
        kids[path, k + 1] = x
    }
}

function draw(path, x, depth,    i, w, y, name, text, room) {
    if (path != "") {
        w = sum[path] * scale
        if (w < 0.3) return
        y = height - (depth + 1) * row
        name = path
        sub(/^.*;/, "", name)
        text = sprintf("%s: %d%s, %.1f %%", path, sum[path], unit == "" ? "" : " " unit,
                       100 * sum[path] / sum[""])
        printf "<g><title>%s</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" " \
               "fill=\"%s\"/>", escaped(text), x, y, w, row - 1, colour(name, path ~ /^blocked/)
        room = int((w - 6) / 6.6)
        if (room >= 3)
            printf "<text x=\"%.1f\" y=\"%d\">%s</text>", x + 3, y + row - 5,
                   escaped(length(name) > room ? substr(name, 1, room - 2) ".." : name)
        print "</g>"
    }
    sort_kids(path)
    for (i = 1; i <= kid_count[path]; i++) {
        draw(kids[path, i], x, depth + (path != ""))
        x += sum[kids[path, i]] * scale
    }
}

BEGIN {
    for (i = 32; i < 127; i++) letters = letters sprintf("%c", i)
    if (!width) width = 1000
    row = 18
}

match($0, / [0-9]+$/) {
    value = substr($0, RSTART + 1) + 0
    n = split(substr($0, 1, RSTART - 1), frame, ";")
    path = ""
    sum[""] += value
    for (i = 1; i <= n; i++) {
        up = path
        path = path (i > 1 ? ";" : "") frame[i]
        if (!(path in sum)) kids[up, ++kid_count[up]] = path
        sum[path] += value
    }
    if (n > deepest) deepest = n
}

END {
    height = (deepest + 1) * row
    scale = sum[""] > 0 ? width / sum[""] : 0
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" " \
           "font-family=\"monospace\" font-size=\"11\">\n", width, height
    draw("", 0, 0)
    print "</svg>"
}
