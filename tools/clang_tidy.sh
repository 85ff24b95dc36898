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

# The groups, by the folders of the build. A folder without any would be one that nothing checks.
groups=()
for folder in CMakeFiles/asyncio.dir libs tool examples; do
    mapfile -t found < <(find "$build_dir/$folder" -path '*/Unity/*.cxx')
    if ((${#found[@]} == 0)); then
        echo "$build_dir/$folder has no group of sources: is preset clang configured?" >&2
        exit 1
    fi
    groups+=("${found[@]}")
done
if run-clang-tidy-19 -quiet -p "$build_dir" -j "$jobs" "${groups[@]/%/\$}" >"$log" 2>&1; then
    echo "   clean: ${#groups[@]} groups of sources"
else
    # clang-tidy also prints how many warnings it does not show. Only the findings are of interest.
    grep -E '(warning|error): ' "$log" | sort -u || cat "$log"
    exit 1
fi
