#!/usr/bin/env bash
# Shows what this is, on real input: breakfast one after another and together, then a batch of
# commands with a time limit, drawn on a time line, and what it saved.
#
# usage: tools/demo.sh BUILD_DIR     (run by `./dev demo`, which builds first)
set -euo pipefail

build_dir=$1
heading() { printf '\n== %s\n\n' "$*"; }

heading "breakfast: one after another, then together"
"$build_dir/examples/breakfast"

heading "four commands at once, two seconds each: asyncio batch -j 0 -t 2s …"
commands=('sleep 1 && echo hello' 'sleep 1.5' 'echo world' 'sleep 500')
start=$(date +%s%N)
status=0
"$build_dir/bin/asyncio" batch -j 0 -t 2s --grace 0 --timeline "${commands[@]}" || status=$?
took=$(($(date +%s%N) - start))
# One by one: 1 s, 1.5 s, nothing to speak of, and the two seconds after which the last is ended.
printf '\ntogether: %d.%02d s; one by one it would have been 4.50 s\n' \
    $((took / 1000000000)) $((took / 10000000 % 100))
if ((status != 1)); then
    printf 'the batch ended with status %d; one timeout makes 1\n' "$status" >&2
    exit 1
fi
