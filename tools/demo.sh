#!/usr/bin/env bash
# Shows the library at work: breakfast one by one and concurrently, then a batch of commands with a
# time limit, and a table of the time that was saved.
#
# usage: tools/demo.sh BUILD_DIR     (run by `./dev demo`, which builds first)
set -euo pipefail

build_dir=$1
bold='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '\n   %s\n' "$@"; }

# Times are in microseconds.
now() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }
in_seconds() { printf '%d.%02d s' $(($1 / 1000000)) $(($1 / 10000 % 100)); }

# Prints before each line the time since the start.
with_clock() {
    local start line
    start=$(now)
    while IFS= read -r line; do
        printf '   %7s  %s\n' "$(in_seconds $(($(now) - start)))" "$line"
    done
}

# Runs `breakfast WAY`; its time is left in `took`.
breakfast() {
    local start
    start=$(now)
    printf '\n'
    "$build_dir/examples/breakfast" "$1" 1 | with_clock
    took=$(($(now) - start))
}

heading 'Breakfast'
say 'Coffee takes three minutes, a bagel five. (A minute is a second here.)' \
    'One cook waits for each in turn:'
breakfast one-by-one
breakfast_apart=$took
say 'The same cook prepares the bagel while the coffee runs: co_await gather(coffee, bagel)'
breakfast gather
breakfast_together=$took

heading 'A batch of real commands, two seconds for each'
commands=('sleep 1 && echo hello' 'sleep 1.5' 'echo world' 'sleep 500')
printf "\n   \$ asyncio batch -j 0 -t 2s --grace 0 --timeline"
printf " '%s'" "${commands[@]}"
printf '\n\n'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mark=ASYNCIO_DEMO_MARK=$$
status=0
start=$(now)
env "$mark" "$build_dir/bin/asyncio" batch -j 0 -t 2s --grace 0 --timeline --joblog "$log" \
    "${commands[@]}" || status=$?
batch_together=$(($(now) - start))
# The fourth column of the log is the duration of each command in seconds.
batch_apart=$(awk 'NR > 1 { sum += $4 } END { printf "%d", sum * 1e6 }' "$log")
left=$(grep --files-with-matches --text "$mark" /proc/[0-9]*/environ 2>/dev/null | wc -l) || true
say "Exit status $status, because one command reached its limit. Processes left: $left."

heading 'Time used, and time needed one by one'
row() { printf '   %-12s %10s %14s\n' "$@"; }
together=$((breakfast_together + batch_together))
apart=$((breakfast_apart + batch_apart))
printf '\n'
row '' together 'one by one'
row breakfast "$(in_seconds $breakfast_together)" "$(in_seconds $breakfast_apart)"
row 'the batch' "$(in_seconds $batch_together)" "$(in_seconds "$batch_apart")"
printf '\n   %sTogether: %s. One by one: %s.%s\n\n' \
    "$bold" "$(in_seconds $together)" "$(in_seconds $apart)" "$plain"

if ((status != 1 || left != 0)); then
    printf 'demo: the batch must end with status 1 and leave no process\n' >&2
    exit 1
fi
