#!/usr/bin/env bash
# Runs the fuzzers, each for a time, two at once, and prints what each has reached. After the first
# input that breaks a rule or crashes, no further fuzzer is started.
#
# Each begins with the inputs in tests/fuzz/corpus/NAME and with those that earlier runs have found,
# which lie in BUILD_DIR/corpus/NAME. An input that found something belongs into the first folder,
# as the smallest that shows it: fuzz_NAME -minimize_crash=1 FILE.
#
# usage: tools/fuzz.sh BUILD_DIR SECONDS [NAME ...]
set -euo pipefail

build_dir=$1
seconds=$2
shift 2
cd "$(dirname "$0")/.."
targets=("$@")
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(
        find "$build_dir/fuzz" -name 'fuzz_*' -printf '%f\n' | sed 's/^fuzz_//' | sort)
fi
if ((${#targets[@]} == 0)); then
    echo "fuzz: there are no fuzzers in $build_dir/fuzz" >&2
    exit 1
fi

logs=$build_dir/fuzz_logs
found=$build_dir/found
mkdir -p "$logs" "$found"
rm -f "$logs"/*
export build_dir seconds logs found
# Names of functions in a report need it.
export ASAN_SYMBOLIZER_PATH=${ASAN_SYMBOLIZER_PATH:-$(
    command -v llvm-symbolizer-19 llvm-symbolizer /usr/lib/llvm-*/bin/llvm-symbolizer | head -n 1)}

one_run() {  # one_run NAME
    local name=$1 status=0
    [[ ! -e $logs/failed ]] || return 0
    local corpus=$build_dir/corpus/$name
    mkdir -p "$corpus"
    # The time limit is for a program that does not look at its own.
    UBSAN_OPTIONS=print_stacktrace=1 timeout --kill-after=10 "$((seconds + 120))" \
        "$build_dir/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=3000 \
        -print_final_stats=1 -artifact_prefix="$found/$name-" \
        "$corpus" "tests/fuzz/corpus/$name" >"$logs/$name.log" 2>&1 || status=$?
    ((status == 0)) || echo "$name $status" >>"$logs/failed"
}
export -f one_run

printf '%s\0' "${targets[@]}" |
    xargs -0 -n 1 -P 2 bash -c 'one_run "$@"' one_run

printf '%-20s %12s %10s %8s %8s\n' target executions features edges inputs
for name in "${targets[@]}"; do
    log=$logs/$name.log
    [[ -e $log ]] || continue
    # The end of the log is, after the number of executions: "DONE cov: 120 ft: 300 corp: 40/2Kb …"
    line=$(grep -E '^#[0-9]+\s.* cov: ' "$log" | tail -n 1 || true)
    [[ $line =~ ^\#([0-9]+).*\ cov:\ ([0-9]+)\ ft:\ ([0-9]+)\ corp:\ ([0-9]+) ]] || continue
    printf '%-20s %12d %10d %8d %8d\n' "$name" "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}" \
        "${BASH_REMATCH[2]}" "${BASH_REMATCH[4]}"
done

[[ -e $logs/failed ]] || exit 0
while read -r name status; do
    printf '\n%s has found something (status %d):\n' "$name" "$status"
    grep -E -m 12 '^BROKEN|ERROR: |runtime error|^SUMMARY|^    #[0-9] ' "$logs/$name.log" ||
        tail "$logs/$name.log"
    input=$(sed -n 's/.*Test unit written to //p' "$logs/$name.log" | tail -n 1)
    printf 'the input is %s; repeat it with:\n  %s/fuzz/fuzz_%s %s\n' \
        "${input:-not stored}" "$build_dir" "$name" "$input"
done <"$logs/failed"
exit 1
