#!/usr/bin/env bash
# What a new compiler has to pass before quick throws are trusted with it: quick_throw.cpp is built
# with one set of options after the other, and each program must leave the same trace with quick
# throws, without them (ASYNCIO_QUICK_THROW=0), and as the first program did. Quick throws must have
# been quick; with them ruled out, none may be.
#
# usage: tests/consumer/quick_throw.sh [BUILD_DIR]     (build/release)
# Prints one line for each set, and at the end `test: N passed, M failed, K skipped`.
#
# Not tried: processors that keep a second stack of return addresses (SHSTK). The code for them is
# built and runs on others only.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
build_dir=$(cd "${1:-$source_dir/build/release}" && pwd)
program=$source_dir/tests/consumer/quick_throw.cpp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$source_dir/tests/consumer/checks.sh"
# What the library needs, as its pkg-config file says.
read -ra needed <<<"$(sed -n 's/^Libs://p' "$build_dir/asyncio.pc")"
libraries=("$build_dir/libasyncio.a")
for word in "${needed[@]}"; do
    [[ $word != -l* || $word == -lasyncio ]] || libraries+=("$word")
done

trace() {  # trace NAME QUICK: runs ./program
    ASYNCIO_QUICK_THROW=$2 timeout 120 ./program >"$1" 2>"$1.count"
}

# The trace to compare with.
expected=$work/expected

compare() {  # compare OPTION...
    set -e
    "$@" -std=c++20 -I"$source_dir/include" "$program" -o program "${libraries[@]}"
    trace usual 0
    trace quick 1
    [[ -e $expected ]] || cp usual "$expected"
    diff "$expected" usual
    diff "$expected" quick
    grep -qx '0 of 3000' usual.count || { cat usual.count; return 1; }
    grep -qx '3000 of 3000' quick.count || { cat quick.count; return 1; }
}

try() {  # try COMPILER OPTION...
    if ! command -v "$1" >/dev/null; then
        checks_skip "$*" "not installed"
        return
    fi
    checks_run "$*" bash -c "$(declare -p expected source_dir program libraries)
        $(declare -f trace compare); compare \"\$@\"" compare "$@"
}

# The first one makes the trace for all others.
try g++ -O0 -fno-tree-slp-vectorize
wait
for level in -Og -O1 -O2 -O3 -Os; do
    try g++ $level -fno-tree-slp-vectorize
done
for options in -fcf-protection=full "-no-pie -fno-pie" -static -flto \
    "-static-libgcc -static-libstdc++" --coverage -fsplit-stack -fnon-call-exceptions \
    -fno-reorder-blocks-and-partition -fstack-protector-all -fuse-ld=gold \
    "-march=native -mstackrealign" -ffunction-sections \
    -fsanitize=undefined -fsanitize=thread "-fsanitize=address -fno-omit-frame-pointer"; do
    # Several words may stand in one set.
    # shellcheck disable=SC2086
    try g++ -O2 -fno-tree-slp-vectorize $options
done
for compiler in clang++-16 clang++-19; do
    for options in -O0 -O1 "-O2 -fcf-protection=full" -O3 -Oz; do
        # shellcheck disable=SC2086
        try $compiler $options
    done
done
if command -v ld.lld-19 >/dev/null; then
    try clang++-19 -O2 -fuse-ld=lld -Wl,--icf=all
fi

checks_end
printf 'test: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
