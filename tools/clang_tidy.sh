#!/usr/bin/env bash
# Runs clang-tidy on the sources of the library, libs/, the tool and the examples. The checks are in
# .clang-tidy. Headers are checked through the files that include them.
#
# usage: tools/clang_tidy.sh BUILD_DIR [JOBS]   BUILD_DIR is that of preset tidy, configured
set -euo pipefail
cd "$(dirname "$0")/.."

build_dir=$1
jobs=${2:-$(nproc)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

files="^$PWD/(src|libs|tool|examples)/"
if run-clang-tidy-19 -quiet -p "$build_dir" -j "$jobs" "$files" >"$log" 2>&1; then
    echo "   clean"
else
    # clang-tidy also prints how many warnings it does not show. Only the findings are of interest.
    grep -E '(warning|error): ' "$log" | sort -u || cat "$log"
    exit 1
fi
