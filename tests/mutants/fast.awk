# fast.awk HEADER LIST - of the lines `name|stars|programs|line`: some for each star and each room
# of the header, two if their killer is a unit program or a scenario, which are quick and need no
# luck, else one; with two programs each, one of those among them.

FILENAME == ARGV[1] {
    if (/^\/\/ >>[a-z]/) { rooms++; begins[rooms] = FNR }
    next
}
{
    n++
    split($0, part, "|")
    if (part[3] ~ /^survives/) next
    many = split(part[3], program, " ")
    other = program[2]
    for (j = many; j > 1; j--) if (program[j] ~ /^(unit|explore)\//) other = program[j]
    text[n] = part[1] "|" part[2] "|" program[1] (many > 1 ? " " other : "") "|" part[4]
    kind[n] = program[1] ~ /^(unit|explore)\// ? 1 : program[1] ~ /^spec\// ? 2 : 3
    stars[n] = part[2]
    for (room[n] = 0; room[n] < rooms && begins[room[n] + 1] <= part[4]; ) room[n]++
}

function wanted(k, what) { return seen[what] < (k == 1 ? 2 : 1) }

END {
    for (k = 1; k <= 3; k++)
        for (i = 1; i <= n; i++) {
            if (kind[i] != k) continue
            many = split(stars[i], star, " ")
            take = wanted(k, "room " room[i])
            for (j = 1; j <= many; j++)
                if (star[j] ~ /^[1-9]/ && wanted(k, star[j])) take = 1
            if (!take) continue
            taken[i] = 1
            seen["room " room[i]]++
            for (j = 1; j <= many; j++) seen[star[j]]++
        }
    for (i = 1; i <= n; i++) if (taken[i]) print text[i]
}
