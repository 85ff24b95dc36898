#!/bin/bash
# Checks that every case of cases.cpp is refused with the words it names, and that the first error
# line of g++ is the one that docs/guide/troubleshooting.md gives for the case.
# Usage: check.sh COMPILER INCLUDE_DIR
set -u
compiler=$1 includes=(-I"$2")
here=$(cd "$(dirname "$0")" && pwd)
kind=g++ warnings=()
if "$compiler" --version | head -1 | grep -q clang; then
    # The warning that the library's lifetime attributes cause.
    kind=clang warnings=(-Werror=dangling)
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# g++ reads asyncio.h once for all cases, as a precompiled header.
if [ "$kind" = g++ ]; then
    printf '#pragma once\n#include "%s/asyncio.h"\n' "$2" >"$folder/asyncio.h"
    "$compiler" -std=c++20 -w "${includes[@]}" -x c++-header "$folder/asyncio.h" \
        -o "$folder/asyncio.h.gch"
    includes=(-I"$folder" "${includes[@]}")
fi

# What the compiler says of a case; each case is compiled once.
compile() {  # compile CASE
    local said=$folder/$1
    if [ ! -e "$said.status" ]; then
        "$compiler" -std=c++20 -fsyntax-only "${warnings[@]}" "${includes[@]}" -DCASE="$1" \
            "$here/cases.cpp" >"$said" 2>&1
        echo $? >"$said.status"
    fi
    cat "$said"
    return "$(cat "$said.status")"
}

if ! output=$(compile 0); then
    printf 'FAILED: the correct program does not compile\n%s\n' "$output"
    exit 1
fi
failures=0
expectation='s/^#(el)?if CASE == ([0-9]+) +\/\/ EXPECT ([^:]+): (.*)$/\2 \3 \4/p'
while read -r number who words; do
    [ "$who" = any ] || [ "$who" = "$kind" ] || continue
    if output=$(compile "$number"); then
        printf 'FAILED: case %s compiles\n' "$number"
        failures=$((failures + 1))
    elif ! grep -qF "$words" <<<"$output"; then
        printf 'FAILED: case %s is refused without the expected text\n%s\n' "$number" "$output" |
            head -20
        failures=$((failures + 1))
    fi
done < <(sed -nE "$expectation" "$here/cases.cpp")

# The table: | `first line` | mistake | write instead | case |
row='s/^\| `([^`]+)` \|.*\| ([0-9]+) \|$/\2 \1/p'
rows=0
while [ "$kind" = g++ ] && read -r number words; do
    rows=$((rows + 1))
    first=$(compile "$number" | sed "s/[‘’]/'/g" | grep -m1 'error:')
    if ! grep -qF -- "$words" <<<"$first"; then
        printf 'FAILED: the page has another first line for case %s\n  page: %s\n  g++:  %s\n' \
            "$number" "$words" "$first"
        failures=$((failures + 1))
    fi
done < <(sed -nE "$row" "$here/../../docs/guide/troubleshooting.md")
if [ "$kind" = g++ ] && [ "$rows" -lt 10 ]; then
    echo "FAILED: the table in docs/guide/troubleshooting.md was not found"
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ] && echo "every case is refused"
exit "$failures"
