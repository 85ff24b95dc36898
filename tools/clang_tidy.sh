#!/usr/bin/env bash
# Runs clang-tidy over what the library, the tool and the examples consist of. The checks are in
# .clang-tidy; headers are looked at through the files that include them.
#
# usage: tools/clang_tidy.sh BUILD_DIR [JOBS]   BUILD_DIR is (or will be) that of preset clang
set -euo pipefail
cd "$(dirname "$0")/.."

build_dir=$1
jobs=${2:-$(nproc)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

cmake --preset "$(basename "$build_dir")" >"$log" 2>&1 || {
    cat "$log"
    exit 1
}
files="^$PWD/(src|tool|examples)/"
if run-clang-tidy-19 -quiet -p "$build_dir" -j "$jobs" "$files" >"$log" 2>&1; then
    echo "   clean"
else
    # The tool counts warnings it does not show; only the findings are of interest.
    grep -E '(warning|error): ' "$log" | sort -u || cat "$log"
    exit 1
fi
