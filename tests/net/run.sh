#!/bin/bash
# run.sh - the network programs under examples/, driven by real clients over loopback: curl,
# ab where it is installed, and shells that misbehave. Ends with `N passed, M failed`.
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
passed=0 failed=0
work=$(mktemp -d) || exit 2
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

verdict() {    # verdict NAME WHY: an empty why is a pass
    if [ -z "$2" ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); printf 'net %s: %s\n' "$1" "$2"; fi
}
same() { [ "$1" == "$2" ] || printf 'got "%s", not "%s"' "$1" "$2"; }

env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -k "$B/examples/httpd" "$B/examples/chat" \
    2>"$work/err" || verdict build "$(head -n 40 "$work/err")"

# serve NAME ARGS...: starts it on a free port; sets pid, port and log.
serve() {
    local name=$1
    shift
    log=$work/$name.log
    $UNDER "$B/examples/$name" --port 0 "$@" >"$work/port" 2>"$log" &
    pid=$!
    for _ in $(seq 200); do
        port=$(grep -oE '[0-9]+/?$' "$work/port" | tr -d /)
        [ -z "$port" ] || return
        sleep 0.05
    done
    verdict "$name" 'did not start'
}
finish() {     # finish NAME: Ctrl-C, and it has to end well
    kill -INT $pid
    wait $pid
    verdict "$1 ends on Ctrl-C" "$(same $? 0)"
}
# until_logged PATTERN: the server has said so, within ten seconds.
until_logged() {
    for _ in $(seq 200); do
        grep -q -- "$1" "$log" && return
        sleep 0.05
    done
    echo "not logged: $1"
}
get() { curl -sS --max-time 20 --path-as-is "$@"; }
code() { get -o /dev/null -w '%{http_code}' "$@" 2>&1; }

#-------------------------------------------------------------------------------
# The file server: what it serves.

site=$work/site
mkdir -p "$site/sub/deep" "$site/empty" "$work/outside"
printf 'hello\n' >"$site/hello.txt"
printf '<p>index\n' >"$site/sub/index.html"
printf 'x' >"$site/sub/deep/a b&c.txt"
printf 'secret\n' | tee "$work/outside/secret" "$site/.hidden" >"$work/secret"
ln -s "$work/outside" "$site/link"
mkfifo "$site/fifo"
: >"$site/nothing"
seq 1 400000 >"$site/large"
serve httpd --patience 700 "$site"
url=http://127.0.0.1:$port

verdict 'a small file'  "$(get $url/hello.txt | cmp - "$site/hello.txt" 2>&1)"
verdict 'a large file'  "$(get $url/large | cmp - "$site/large" 2>&1)"
verdict 'an empty file' "$(same "$(get -o "$work/out" -w '%{http_code} %{size_download}' \
                                       $url/nothing)" '200 0')"
verdict 'an index'      "$(get $url/sub/ | cmp - "$site/sub/index.html" 2>&1)"
verdict 'a folder without a slash' "$(same "$(get -o /dev/null \
    -w '%{http_code} %{redirect_url}' $url/sub)" "301 $url/sub/")"
verdict 'an escaped name' "$(same "$(get "$url/sub/deep/a%20b%26c.txt?q=1")" x)"
verdict 'a list'        "$(get $url/ | grep -q 'href="./hello.txt"' || echo 'no link')"
verdict 'a list hides'  "$(get $url/ | grep -o hidden)"
verdict 'nothing there' "$(same "$(code $url/nope)" 404)"
verdict 'a fifo'        "$(same "$(code $url/fifo)" 404)"
verdict 'a file is no folder' "$(same "$(code $url/hello.txt/)" 404)"
verdict 'HEAD'          "$(same "$(get -I $url/large | tr -d '\r' |
    sed -n 's/^Content-Length: //p')" "$(stat -c %s "$site/large")")"
verdict 'two on one connection' "$(same "$(get $url/hello.txt $url/hello.txt \
    -w '%{num_connects}')" $'hello\n1hello\n0')"
verdict 'a range'       "$(get -r 1000-1999 $url/large | cmp - <(tail -c +1001 "$site/large" |
                                                             head -c 1000) 2>&1)"
verdict 'the last bytes' "$(get -r -10 $url/large | cmp - <(tail -c 10 "$site/large") 2>&1)"
verdict 'a range behind the end' "$(same "$(code -r 99999999- $url/large)" 416)"
verdict 'not modified'  "$(same "$(code -z "$site/hello.txt" $url/hello.txt)" 304)"
verdict 'another method' "$(same "$(code -X DELETE $url/hello.txt)" 501)"
verdict 'a body'        "$(same "$(code -d x $url/hello.txt)" 400)"
verdict 'HTTP/1.0'      "$(same "$(get -0 $url/hello.txt)" hello)"

#-------------------------------------------------------------------------------
# What it refuses, and survives.

for path in /../secret /sub/../../secret '/%2e%2e/secret' '/sub/..%2f..%2fsecret' /.hidden \
            '/%2e%2e%2fsecret' '//../secret' '/sub/%00' '/hello.txt%00.html' '/%zz'; do
    verdict "path $path" "$(same "$(code "$url$path")" 404)"
done
verdict 'a link out'    "$(same "$(code $url/link/secret)" 404)"
verdict 'a refused path is logged' "$(until_logged 'refused path /../secret')"

# raw FILE: what comes back for those bytes, until the server closes.
raw() { timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0 && cat "$1" >&3 && cat <&3' $port "$1"; }
printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n%s\r\n' '' $'Connection: close\r\n' >"$work/raw"
verdict 'pipelined' "$(same "$(raw "$work/raw" | grep -c '^hello')" 2)"
printf 'GET /hello.txt HTTP/1.1\r\n\r\n' >"$work/raw"
verdict 'no host' "$(raw "$work/raw" | grep -q '^HTTP/1.1 400' || echo 'not refused')"
head -c 20000 /dev/zero | tr '\0' a >"$work/raw"
verdict 'a head without end' "$(raw "$work/raw" | grep -q '^HTTP/1.1 431' || echo 'not refused')"
head -c 3000 /dev/urandom >"$work/raw"
printf '\r\n\r\n' >>"$work/raw"
verdict 'noise' "$(raw "$work/raw" | head -n 1 | grep -aqE '^HTTP/1.1 (400|505)' ||
    echo 'not refused')"

# Whoever connects and never says anything is let go after six times the patience, unanswered.
silent() {
    local began=${EPOCHREALTIME/./}
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    timeout 20 cat <&3 >"$work/said" || echo 'not closed'
    local ms=$(((${EPOCHREALTIME/./} - began) / 1000))
    [ $ms -ge 4100 ] || echo "closed after $ms ms"
    [ ! -s "$work/said" ] || echo 'answered'
}
silent >"$work/silent" 2>&1 &
silent=$!

# A slow loris sends its head byte by byte and has to be cut off, also while others are served.
loris() {
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    for c in G E T ' ' / ' ' H T T P / 1 . 1; do
        printf %s "$c" >&3 2>/dev/null || break
        sleep 0.1
    done
    timeout 5 cat <&3
}
loris >"$work/loris" 2>/dev/null &
loris=$!
verdict 'others beside a slow loris' "$(same "$(get $url/hello.txt)" hello)"
wait $loris
verdict 'a slow loris' "$(grep -q '^HTTP/1.1 408' "$work/loris" || echo 'no 408'
                          until_logged 'no whole request within 700 ms')"

# A reader that takes nothing: the server must give up on it.
(exec 3<>"/dev/tcp/127.0.0.1/$port"
 for _ in 1 2 3 4; do printf 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n'; done >&3
 sleep 4) &
verdict 'a reader that takes nothing' "$(until_logged 'takes nothing for 700 ms')"

# A reset in the middle of an answer: bash closes with unread bytes in its buffer.
for _ in 1 2 3 4 5 6 7 8; do
    (exec 3<>"/dev/tcp/127.0.0.1/$port"
     printf 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n' >&3
     head -c 10 <&3 >/dev/null)
done
verdict 'resets' "$(until_logged 'Connection reset by peer\|Broken pipe')"
verdict 'served after all that' "$(get $url/large | cmp - "$site/large" 2>&1)"

wait $silent
verdict 'a connection that says nothing' "$(cat "$work/silent")"

# Real load: every answer right, and nothing left open.
if command -v ab >/dev/null; then
    ab -q -k -n 4000 -c 100 $url/hello.txt >"$work/ab" 2>&1
    verdict 'ab, connections kept' "$(grep -q 'Complete requests: *4000' "$work/ab" &&
        grep -q 'Failed requests: *0' "$work/ab" || cat "$work/ab")"
    ab -q -n 1000 -c 50 $url/sub/ >"$work/ab" 2>&1
    verdict 'ab, a connection each' "$(grep -q 'Complete requests: *1000' "$work/ab" &&
        grep -q 'Failed requests: *0' "$work/ab" || cat "$work/ab")"
fi
for _ in $(seq 60); do
    open=$(find /proc/$pid/fd -lname 'socket:*' 2>/dev/null | wc -l)
    [ "$open" -gt 1 ] || break
    sleep 0.1
done
verdict 'no socket is left' "$(same "$open" 1)"

# A download under way is finished before the server goes.
(sleep 0.3; kill -INT $pid) &
verdict 'Ctrl-C in a download' "$(get --limit-rate 2M $url/large | cmp - "$site/large" 2>&1)"
wait $pid
verdict 'httpd ends on Ctrl-C' "$(same $? 0)"

# Out of descriptors: one line says so, and service goes on as soon as some are back.
ulimit -S -n 24
serve httpd --patience 700 "$site"
ulimit -S -n "$(ulimit -H -n)"
for _ in $(seq 30); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port" && sleep 1.2) 2>/dev/null &
    crowd="$crowd $!"
done
verdict 'out of descriptors' "$(until_logged 'cannot accept: Too many open files')"
# shellcheck disable=SC2086
wait $crowd
verdict 'back after that' "$(same "$(get http://127.0.0.1:$port/hello.txt)" hello)"
finish 'httpd without descriptors'

#-------------------------------------------------------------------------------
# The chat.

serve chat --quiet 2
# talk NAME: a client; what it is told goes to $work/NAME, what it is to say comes from fd.
exec 4<>"/dev/tcp/127.0.0.1/$port"
cat <&4 >"$work/ann" &
exec 5<>"/dev/tcp/127.0.0.1/$port"
cat <&5 >"$work/bob" &
hears() {      # hears NAME TEXT: within five seconds
    for _ in $(seq 100); do
        grep -qsF -- "$2" "$work/$1" && return
        sleep 0.05
    done
    echo "$1 did not hear: $2"
}
verdict 'chat welcome' "$(hears ann '* welcome' && hears bob '* welcome')"
printf '/name ann\n' >&4
verdict 'chat name' "$(hears bob 'is now ann')"
printf 'hello bob\r\n' >&4
verdict 'chat line' "$(hears bob 'ann: hello bob')"
verdict 'not to oneself' "$(grep -F 'ann: hello' "$work/ann")"
printf '/who\n' >&5
verdict 'chat who' "$(hears bob '* here: ')"
head -c 1000 /dev/zero | tr '\0' y >&5
printf '\n' >&5
verdict 'chat long line' "$(hears ann ': yyy')"
exec 6<>"/dev/tcp/127.0.0.1/$port"
exec 6>&-
verdict 'chat leave' "$(hears ann 'guest3 left')"
verdict 'chat quiet' "$(hears bob '* so quiet?')"
exec 7<>"/dev/tcp/127.0.0.1/$port"
cat <&7 >"$work/cid" &
verdict 'chat again' "$(hears cid '* welcome')"
kill -INT $pid
verdict 'chat says good bye' "$(hears cid '* the server goes down')"
wait $pid
verdict 'chat ends on Ctrl-C' "$(same $? 0)"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
