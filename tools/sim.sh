#!/usr/bin/env bash
# Runs the tests of the areas that work on any back-end, once per seed of the simulation. Each seed
# decides in another way everything that the back-end's contract leaves open. A seed that fails once
# fails again.
#
# usage: tools/sim.sh BUILD_DIR SEEDS [JOBS]     FIRST_SEED=N starts elsewhere than at 1
set -euo pipefail

build_dir=$1
seeds=$2
jobs=${3:-$(nproc)}
first=${FIRST_SEED:-1}

# An area says in its own folder that it can be run under seeds; CTest knows that as a label.
mapfile -t programs < <(ctest --test-dir "$build_dir" --show-only=json-v1 --label-regex '^seeded$' |
    python3 -c '
import json, sys
tests = json.load(sys.stdin)["tests"]
print(*sorted({test["command"][0] for test in tests if "command" in test}), sep="\n")')
if ((${#programs[@]} == 0)); then
    echo "sim: there are no test programs in $build_dir/tests" >&2
    exit 1
fi

failures=$(mktemp -d)
trap 'rm -rf "$failures"' EXIT

one_run() {  # one_run SEED PROGRAM
    local seed=$1 program=$2 log status=0 test filter=""
    log=$failures/$seed-${program##*/}.log
    ASYNCIO_BACKEND=simulated ASYNCIO_SEED=$seed timeout 300 "$program" --gtest_brief=1 \
        >"$log" 2>&1 || status=$?
    if ((status == 0)); then
        rm "$log"
        return
    fi
    test=$(sed -n 's/^\[  FAILED  \] \([^ ,]*\).*/\1/p' "$log" | sort -u | paste -sd: -)
    [[ -z $test ]] || filter=" --gtest_filter=$test"
    printf 'seed %d fails (status %d). Replay:\n' "$seed" "$status"
    printf '  ASYNCIO_BACKEND=simulated ASYNCIO_SEED=%d %s%s\n' "$seed" "$program" "$filter"
    head -n 40 "$log" | sed 's/^/    /'
}
export -f one_run
export failures

start=$SECONDS
for ((seed = first; seed < first + seeds; seed++)); do
    for program in "${programs[@]}"; do
        printf '%d\0%s\0' "$seed" "$program"
    done
done | xargs -0 -n 2 -P "$jobs" bash -c 'one_run "$@"' one_run

failed=$(find "$failures" -name '*.log' | wc -l)
total=$((seeds * ${#programs[@]}))
printf 'sim: %d seeds from %d on, %d programs, %d runs, %d failed, %d s\n' \
    "$seeds" "$first" "${#programs[@]}" "$total" "$failed" "$((SECONDS - start))"
((failed == 0))
