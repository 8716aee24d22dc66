#!/bin/sh
# demo: restarts a server thirty times under load, deploys a broken release, and counts what was
# dropped.
#
# usage: tests/demo/demo.sh       BUILD: where socketmaster and the fixtures are (default: build)
# Needs them, a POSIX shell and coreutils. Exit status: 0 nothing was dropped, 1 something was.
#
# The master's log comes in through a FIFO, so that each reload is waited for by reading the line
# that says it is done. Whatever goes wrong, all of it ends within LIMIT_S.
RELOADS=30
BROKEN=5 # reloads with the broken release
CALM_TICKS=15 # of 0.2 s
BAR=30
LIMIT_S=120

if [ -z "$DEMO_STARTED" ]; then
    DEMO_STARTED=1 exec timeout --foreground $LIMIT_S sh "$0" "$@"
fi

build=${BUILD:-build}
directory= # for the FIFO and what the load says
master=    # process id, while it runs
load=      # process id, while it runs
line=      # of the log, the last that was read

bold='' good='' bad='' plain=''
live= # not empty: a line can be replaced
if [ -t 1 ] && [ "$TERM" != dumb ]; then
    live=yes
    if [ -z "$NO_COLOR" ]; then
        bold=$(printf '\033[1m') good=$(printf '\033[1;32m') bad=$(printf '\033[1;31m')
        plain=$(printf '\033[0m')
    fi
fi

clean_up() {
    trap '' INT TERM HUP PIPE
    [ -z "$load" ] || kill "$load" 2>/dev/null
    [ -z "$master" ] || kill "$master" 2>/dev/null
    wait
    [ -z "$directory" ] || rm -rf "$directory"
}
trap clean_up EXIT
trap 'echo; exit 130' INT
trap 'echo; exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

fail() {
    echo
    echo "${bad}The demo failed:$plain $1"
    [ -z "$line" ] || echo "  The last line of the log: $line"
    exit 1
}

# Reads the log up to the line that has $1 in it.
await() {
    while IFS= read -r line <&3; do
        case $line in
        *"$1"*) return ;;
        *"rollout failed"* | *"ending with exit status"*) break ;;
        esac
    done
    fail "waited in vain for \"$1\""
}

# --- the load: each request is a connection of its own, since nothing is easier to lose -----------

load_begin() {
    "$build/fixture/load" --target="$address" --threads=4 --pause-us=300 --seconds=$LIMIT_S \
        --progress=100 --json >"$directory/result" 2>"$directory/progress" &
    load=$!
}

# Ends it: $result is one JSON object.
load_end() {
    kill "$load"
    wait "$load"
    load=
    read -r result <"$directory/result" || fail "the load has no result"
}

# How far it is: the first two parts of "N answered, N failed, generation N".
load_look() {
    progress=$(tail -n 1 "$directory/progress")
    echo "${progress%, generation*}"
}

# The number named $1 in the result $2, without its fraction.
figure() {
    number=${2#*\""$1"\": }
    echo "${number%%[,\}.]*}"
}

# How many processes have answered, by the result $1.
workers() {
    count=0
    rest=$1
    while [ "$rest" != "${rest#*\"pid\"}" ]; do
        rest=${rest#*\"pid\"}
        count=$((count + 1))
    done
    echo $count
}

# --- what one sees --------------------------------------------------------------------------------

# A bar of which $1 of $2 parts are done.
bar() {
    full=
    while [ ${#full} -lt $BAR ]; do
        if [ ${#full} -lt $(($1 * BAR / $2)) ]; then full="$full#"; else full="$full."; fi
    done
    echo "[$full]"
}

# Shows $1 in the place of what was shown before; where that cannot be, only the last of them.
show() {
    [ -z "$live" ] || printf '\r  %-76s' "$1"
}

show_last() {
    show "$1"
    [ -n "$live" ] || printf '  %s' "$1"
    echo
}

# The link that the master starts: a release is what it points at.
deploy() {
    ln -sf "$1" "$directory/next"
    mv -f "$directory/next" "$directory/current"
}

# How a run went, by its result $1.
outcome() {
    echo "$(figure ok "$1") answered, $(figure failed "$1") failed"
}

row() {
    printf '  %-26s%16s%16s%16s\n' "$1" "$2" "$3" "$4"
}

# A row of the numbers named $2, and one of times.
row_of() {
    row "$1" "$(figure "$2" "$calm")" "$(figure "$2" "$storm")" "$(figure "$2" "$trouble")"
}

milliseconds() {
    printf '%d.%02d ms' $(($1 / 1000)) $(($1 % 1000 / 10))
}

row_ms() {
    row "$1" "$(milliseconds "$(figure "$2" "$calm")")" \
        "$(milliseconds "$(figure "$2" "$storm")")" "$(milliseconds "$(figure "$2" "$trouble")")"
}

# --- the play -------------------------------------------------------------------------------------

for program in socketmaster fixture/server fixture/load; do
    [ -x "$build/$program" ] || fail "there is no $build/$program: \"make demo\" builds it"
done
directory=$(mktemp -d) || fail "no place for a directory"
mkfifo "$directory/log" || fail "no place for the log"

echo "${bold}socketmaster: $RELOADS restarts of a server under load$plain"
echo
echo "The master holds one listening socket, and a pool of two servers on it. At each HUP it"
echo "starts new ones, and tells an old one to finish for each that has lived for 200 ms."
echo "Four clients make one connection after another all the time."

case $build in
/*) good_release=$build/fixture/server ;;
*) good_release=$PWD/$build/fixture/server ;;
esac
cat >"$directory/broken" <<'END'
#!/bin/sh
echo "reading settings"
echo "settings: line 7: no such database" >&2
exit 3
END
chmod +x "$directory/broken"
deploy "$good_release"

"$build/socketmaster" -listen=tcp://127.0.0.1:0 -workers=2 -rollout=smooth -max-starting=2 \
    -start=200 -stop=5000 -command="$directory/current" 2>"$directory/log" &
master=$!
exec 3<"$directory/log"
await 'listening on '
address=${line#*listening on }
address=${address%% *}
await 'generation 1: rollout done'

echo
echo "${bold}1. No reload$plain, for comparison: master $master serves $address"
load_begin
tick=0
while [ $tick -lt $CALM_TICKS ]; do
    sleep 0.2
    tick=$((tick + 1))
    show "$(bar $tick $CALM_TICKS)  generation 1   $(load_look)"
done
load_end
calm=$result
show_last "$(bar 1 1)  generation 1   $(outcome "$calm")"

echo
echo "${bold}2. $RELOADS reloads$plain: kill -HUP $master, again and again"
load_begin
reload=0
while [ $reload -lt $RELOADS ]; do
    kill -HUP "$master" 2>/dev/null || fail "the master has gone"
    reload=$((reload + 1))
    await "generation $((reload + 1)): rollout done"
    show "$(bar $reload $RELOADS)  reload $reload/$RELOADS   $(load_look)"
    sleep 0.1
done
load_end
storm=$result
show_last "$(bar 1 1)  reload $reload/$RELOADS   $(outcome "$storm")"

echo
echo "${bold}3. A broken release$plain, $BROKEN times, and then a good one"
load_begin
deploy "$directory/broken"
reload=0
while [ $reload -lt $BROKEN ]; do
    kill -HUP "$master" 2>/dev/null || fail "the master has gone"
    reload=$((reload + 1))
    await "generation $((RELOADS + reload + 1)): rollout failed"
    show "$(bar $reload $BROKEN)  failed $reload/$BROKEN   $(load_look)"
    sleep 0.1
done
why=${line#*rollout failed after * ms: }
deploy "$good_release"
kill -HUP "$master" 2>/dev/null || fail "the master has gone"
await "generation $((RELOADS + BROKEN + 2)): rollout done"
load_end
trouble=$result
show_last "$(bar 1 1)  failed $reload/$BROKEN   $(outcome "$trouble")"
echo "  The log of the last failure:"
echo "$why" | fold -s -w 74 | sed 's/^/    /'

kill "$master"
wait "$master"
status=$?
master=
[ $status -eq 0 ] || fail "the master ended with status $status"

echo
row '' 'no reload' 'reloads' 'broken release'
row 'reloads' 0 $RELOADS $((BROKEN + 1))
row 'processes that answered' "$(workers "$calm")" "$(workers "$storm")" "$(workers "$trouble")"
row_of 'requests answered' ok
row_of 'requests dropped' failed
row_ms 'latency p50' p50_us
row_ms 'latency p99' p99_us
row_ms 'latency max' max_us
echo
for run in "$calm" "$storm" "$trouble"; do
    [ "$(figure failed "$run")" != 0 ] || continue
    reason=${run#*\"first_failure\": \"}
    echo "${bad}Requests were dropped.$plain The first: ${reason%%\"*}"
    exit 1
done
echo "${good}Nothing was dropped:$plain nobody was refused, reset, cut off or left waiting."
