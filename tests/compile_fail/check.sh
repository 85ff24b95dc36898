#!/bin/bash
# Checks that every case of cases.cpp is refused with the words it names.
# Usage: check.sh COMPILER INCLUDE_DIR
set -u
compiler=$1 include=$2
here=$(cd "$(dirname "$0")" && pwd)
kind=any
"$compiler" --version | head -1 | grep -q clang || kind=g++

compile() { "$compiler" -std=c++20 -fsyntax-only -I"$include" -DCASE="$1" "$here/cases.cpp" 2>&1; }

if ! output=$(compile 0); then
    printf 'FAILED: the program that is right does not compile\n%s\n' "$output"
    exit 1
fi
failures=0
expectation='s/^#elif CASE == ([0-9]+) +\/\/ EXPECT ([^:]+): (.*)$/\1 \2 \3/p'
while read -r number who words; do
    [ "$who" = any ] || [ "$who" = "$kind" ] || continue
    if output=$(compile "$number"); then
        printf 'FAILED: case %s compiles\n' "$number"
        failures=$((failures + 1))
    elif ! grep -qF "$words" <<<"$output"; then
        printf 'FAILED: case %s is refused for another reason\n%s\n' "$number" "$output" |
            head -20
        failures=$((failures + 1))
    fi
done < <(sed -nE "$expectation" "$here/cases.cpp")
[ "$failures" -eq 0 ] && echo "every case is refused"
exit "$failures"
