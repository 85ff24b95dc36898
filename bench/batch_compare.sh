#!/usr/bin/env bash
# Runs the same commands through `asyncio batch`, xargs, GNU parallel and a Python script, one after
# another in each round, so that a busy machine disturbs all of them alike. Each of them runs every
# command through `sh -c`.
#
# usage: bench/batch_compare.sh [BUILD_DIR [ROUNDS [COMMANDS [JOBS]]]]
#   BUILD_DIR  where bin/asyncio is (build/release)     ROUNDS    how often each runs (7)
#   COMMANDS   how many times `true` (2000)             JOBS      how many at once (2)
# Prints the median of the rounds for each, and asyncio's time as a multiple of it.
set -euo pipefail

build_dir=${1:-build/release}
rounds=${2:-7}
count=${3:-2000}
jobs=${4:-2}
here=$(dirname "$0")
python=$(command -v /usr/bin/python3 || command -v python3)

commands=$(mktemp)
times=$(mktemp -d)
trap 'rm -rf "$commands" "$times"' EXIT
yes true | head -n "$count" >"$commands" || true

run_asyncio() { "$build_dir/bin/asyncio" batch -j "$jobs" <"$commands"; }
run_xargs() { xargs -P "$jobs" -I{} sh -c {} <"$commands"; }
run_parallel() { PARALLEL_SHELL=/bin/sh parallel --will-cite -j "$jobs" <"$commands"; }
run_python() { "$python" "$here/batch_asyncio.py" "$jobs" <"$commands"; }

contestants=(asyncio xargs python)
if command -v parallel >/dev/null; then
    contestants+=(parallel)
else
    echo "GNU parallel is not installed and left out"
fi

# Microseconds of one run.
measure() {
    local start=${EPOCHREALTIME/./}
    "run_$1" >/dev/null 2>&1
    echo $((${EPOCHREALTIME/./} - start))
}

for ((round = 1; round <= rounds; ++round)); do
    for contestant in "${contestants[@]}"; do
        measure "$contestant" >>"$times/$contestant"
    done
done

median() { sort -n "$times/$1" | sed -n "$(((rounds + 1) / 2))p"; }

ours=$(median asyncio)
printf '%d x `true`, %d at a time, median of %d rounds\n' "$count" "$jobs" "$rounds"
for contestant in "${contestants[@]}"; do
    theirs=$(median "$contestant")
    awk -v name="$contestant" -v theirs="$theirs" -v ours="$ours" -v count="$count" 'BEGIN {
        printf "%-9s %7.3f s  %6.1f us per command", name, theirs / 1e6, theirs / count
        if (name != "asyncio") printf "   asyncio takes %.2f x of it", ours / theirs
        print ""
    }'
done
