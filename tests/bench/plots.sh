#!/bin/sh
# plots.sh - what the last run.sh measured, as SVG in build/bench: bars against the peers, and cost
# against scale. Needs gnuplot. With build/bench/scale.tsv (scale.sh) also speed against workers.
set -eu
cd "$(dirname "$0")/../.."
out=${B:-build}/bench
samples=$out/samples.tsv
command -v gnuplot > /dev/null || { echo "plots: needs gnuplot"; exit 2; }
[ -s "$samples" ] || { echo "plots: no samples; run make bench first"; exit 2; }

# The median of each row, setting and implementation: row W implementation ns.
awk '$1 > 0 { list[$5 " " $2 " " $3] = list[$5 " " $2 " " $3] " " $6 }
     END {
         for (key in list) {
             n = split(list[key], v, " ")
             for (i = 2; i <= n; i++)
                 for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--) {
                     x = v[j]; v[j] = v[j - 1]; v[j - 1] = x
                 }
             print key, n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
         }
     }' "$samples" | sort > "$out/medians.txt"
impls=$(awk '{ print $3 }' "$out/medians.txt" | sort -u | grep -v '^ours$' | tr '\n' ' ')
columns=$(($(echo "$impls" | wc -w) + 2))

# ns ROW W IMPLEMENTATION
ns() { awk -v r="$1" -v w="$2" -v i="$3" '$1 == r && $2 == w && $3 == i { print $4 }' \
           "$out/medians.txt"; }

svg() { echo "set terminal svg noenhanced size $1 font 'sans,12' background '#ffffff'
              set output '$2'
              set grid ytics lc rgb '#dddddd'; set border 3; set tics nomirror"; }
made=

# Bars: each implementation relative to ours, so that rows of 2 and of 200 ns share a picture.
bars="yield2 pingpong_same buf_pair spsc0 spsc16 spsc128 mpsc4_128 mpmc4x4_128 select_all4 \
      select_block2 select_default spawn_finish spawn_join fib25 skynet sieve1000 ring1000 \
      fanout_1us wg_pair mutex_pair timer_stop timeout_ready foreign"
for w in 1 2; do
    {
        echo "row ours $impls"
        for row in $bars; do
            mine=$(ns "$row" $w ours)
            [ -n "$mine" ] || continue
            line="$row 1"
            for impl in $impls; do
                theirs=$(ns "$row" $w "$impl")
                line="$line $(awk -v a="$theirs" -v b="$mine" 'BEGIN { print a ? a / b : "?" }')"
            done
            echo "$line" | tr _ -
        done
    } > "$out/bars$w.txt"
    [ "$(wc -l < "$out/bars$w.txt")" -gt 1 ] || continue
    gnuplot <<EOF
$(svg 1200,520 "$out/bars$w.svg")
set title "Time per operation, relative to chanrt (below 1 is faster than chanrt), $w worker(s)"
set style data histograms; set style fill solid 0.8 border -1
set logscale y; set yrange [0.2:*]; set xtics rotate by -40; set datafile missing '?'
set key top left
plot for [i=2:$columns] '$out/bars$w.txt' using i:xtic(1) title columnheader(i)
EOF
    made="$made $out/bars$w.svg"
done

# curve NAME TITLE XLABEL POINT=ROW... - cost against scale, each implementation a line.
curve() {
    name=$1 title=$2 label=$3; shift 3
    {
        echo "x ours $impls"
        for point; do
            line="${point%%=*}"
            for impl in ours $impls; do
                x=$(ns "${point#*=}" 1 "$impl")
                line="$line ${x:-?}"
            done
            echo "$line"
        done
    } > "$out/$name.txt"
    grep -q '^[0-9]* [0-9]' "$out/$name.txt" || return 0
    gnuplot <<EOF
$(svg 640,420 "$out/$name.svg")
set title "$title"; set xlabel "$label"; set ylabel 'ns'; set logscale xy
set datafile missing '?'; set key top left
plot for [i=2:$columns] '$out/$name.txt' using 1:i with linespoints lw 2 title columnheader(i)
EOF
    made="$made $out/$name.svg"
}
curve ring 'A hop round a ring, one worker' 'tasks in the ring' \
    100=ring100 1000=ring1000 10000=ring10k 100000=ring100k
curve select_ready 'Select with all channels ready, one worker' 'channels' \
    2=select_all2 4=select_all4 8=select_all8 64=select_all64
curve select_block 'Select that blocks, one worker' 'channels' \
    2=select_block2 4=select_block4 8=select_block8 64=select_block64
curve tasks 'A yield, one worker' 'tasks that take turns' 2=yield2 10=yield10 1000=yield1000
curve buffer 'A message, one sender, one receiver' 'capacity' 1=spsc1 16=spsc16 128=spsc128

if [ -s "$out/scale.tsv" ]; then
    awk '$1 == "ours" && (!(($3, $2) in ns) || $4 < ns[$3, $2]) { ns[$3, $2] = $4; rows[$3] }
         END {
             for (r in rows) {
                 if (!((r, 1) in ns)) continue
                 title = r
                 gsub(/_/, "-", title)
                 print "\n\n" title
                 for (w = 1; w <= 1024; w++) if ((r, w) in ns) print w, ns[r, 1] / ns[r, w]
             }
         }' "$out/scale.tsv" > "$out/workers.txt"
    sets=$(grep -c '^[a-z]' "$out/workers.txt" || :)
    gnuplot <<EOF
$(svg 800,520 "$out/workers.svg")
set title 'Times faster than with one worker'; set xlabel 'workers'; set logscale xy 2
set key outside right
plot for [i=0:$((sets - 1))] '$out/workers.txt' index i using 1:2 with linespoints \
     title columnheader(1), x with lines dt 2 lc rgb '#999999' title 'ideal'
EOF
    made="$made $out/workers.svg"
fi
for f in $made; do echo "$f"; done
