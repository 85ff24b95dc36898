#!/usr/bin/env bash
# Runs clang-tidy on the sources of the library, libs/, the tool and the examples. The checks are in
# .clang-tidy. Headers are checked through the files that include them. The sources are checked in
# the groups in which they are compiled, which takes a quarter of the time.
#
# usage: tools/clang_tidy.sh BUILD_DIR [JOBS]   BUILD_DIR is that of preset clang, configured
set -euo pipefail
cd "$(dirname "$0")/.."

build_dir=$(cd "$1" && pwd)
jobs=${2:-$(nproc)}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

files="^$build_dir/(CMakeFiles/asyncio[.]dir|libs|tool|examples)/.*/Unity/"
if run-clang-tidy-19 -quiet -p "$build_dir" -j "$jobs" "$files" >"$log" 2>&1; then
    echo "   clean"
else
    # clang-tidy also prints how many warnings it does not show. Only the findings are of interest.
    grep -E '(warning|error): ' "$log" | sort -u || cat "$log"
    exit 1
fi
