#!/usr/bin/env bash
# Proves that the library can be used from outside: the same small program is built through
# find_package, through add_subdirectory and through pkg-config with a plain compiler command,
# against a static and a shared library, and run. Then matrix.sh compiles a larger program in every
# way there is, and the library itself is built for libc++.
#
# usage: tests/consumer/run.sh [BUILD_DIR]
#   BUILD_DIR  a finished build of this project to install from, which saves building the static
#              library again
# Everything is made in a temporary folder, which is removed at the end.
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/../.." && pwd)
consumer_dir=$source_dir/tests/consumer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$(nproc)
passed=0
failed=0
skipped=0

quietly() {  # quietly COMMAND...: shows what the command said only if it failed
    if ! "$@" >"$work/log" 2>&1; then
        cat "$work/log"
        return 1
    fi
}

check() {  # check NAME FUNCTION ARGUMENT...
    local name=$1
    shift
    # In a subshell with its own -e: a function called in a condition would go on after an error.
    local status=0
    set +e
    (set -e; "$@")
    status=$?
    set -e
    if ((status == 0)); then
        printf '   ok      %s\n' "$name"
        passed=$((passed + 1))
    else
        printf '   FAILED  %s\n' "$name"
        failed=$((failed + 1))
    fi
}

build_library() {  # build_library DIR SHARED CMAKE_OPTION...
    quietly cmake -S "$source_dir" -B "$1" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS="$2" \
        "${@:3}" -DASYNCIO_TESTS=OFF -DASYNCIO_EXAMPLES=OFF -DASYNCIO_BENCH=OFF -DASYNCIO_TOOL=OFF
    quietly cmake --build "$1" --parallel "$jobs"
}

install_library() {  # install_library BUILD_DIR PREFIX
    quietly cmake --install "$1" --prefix "$2"
    # Moved after the fact: what is installed must not remember where.
    mv "$2" "$2.moved"
}

cmake_consumer() {  # cmake_consumer KIND BUILD_DIR CMAKE_OPTION...
    local kind=$1 build=$2
    shift 2
    quietly cmake -S "$consumer_dir/$kind" -B "$build" "$@"
    quietly cmake --build "$build" --target consumer --parallel "$jobs"
    quietly "$build/consumer"
}

pkg_config_consumer() {  # pkg_config_consumer PREFIX PROGRAM
    local flags
    flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$1" -name asyncio.pc)") \
        pkg-config --cflags --libs asyncio)
    # The flags are words for the compiler, so they are split on purpose.
    # shellcheck disable=SC2086
    quietly "${CXX:-g++}" -Wall -Wextra "$consumer_dir/main.cpp" -o "$2" $flags
    LD_LIBRARY_PATH=$(dirname "$(find "$1" -name 'libasyncio.*' | head -n 1)") quietly "$2"
}

installed_command() {  # installed_command PREFIX
    local output
    output=$("$1/bin/asyncio" batch 'echo hello')
    [[ $output == *hello* ]]
}

static_build=${1:-$work/static}
if (($# == 0)); then
    check "the static library builds" build_library "$work/static" OFF
fi
check "the static library installs" install_library "$static_build" "$work/usr-static"
check "static: find_package" cmake_consumer find_package "$work/c1" \
    -DCMAKE_PREFIX_PATH="$work/usr-static.moved"
check "static: pkg-config and a plain compiler command" \
    pkg_config_consumer "$work/usr-static.moved" "$work/c2"
if [[ -e $static_build/bin/asyncio ]]; then
    check "the installed command runs" installed_command "$work/usr-static.moved"
fi

check "the shared library builds" build_library "$work/shared" ON
check "the shared library installs" install_library "$work/shared" "$work/usr-shared"
check "shared: find_package" cmake_consumer find_package "$work/c3" \
    -DCMAKE_PREFIX_PATH="$work/usr-shared.moved"
check "shared: pkg-config and a plain compiler command" \
    pkg_config_consumer "$work/usr-shared.moved" "$work/c4"

# As a part of a project that hides its symbols and compiles its files together.
check "add_subdirectory: shared, hidden symbols, unity build" \
    cmake_consumer add_subdirectory "$work/c5" \
    -DASYNCIO_SOURCE_DIR="$source_dir" -DCMAKE_BUILD_TYPE=Debug -DBUILD_SHARED_LIBS=ON \
    -DCMAKE_CXX_VISIBILITY_PRESET=hidden -DCMAKE_VISIBILITY_INLINES_HIDDEN=ON -DCMAKE_UNITY_BUILD=ON

# The larger program, in the ways of matrix.sh.
if "$consumer_dir/matrix.sh" "$work/usr-static.moved" "$work/usr-shared.moved" | tee "$work/matrix"
then :; fi
counts='^matrix: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$'
if [[ $(tail -n 1 "$work/matrix") =~ $counts ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + BASH_REMATCH[3]))
else
    printf '   FAILED  matrix.sh did not come to its end\n'
    failed=$((failed + 1))
fi

libcxx_consumer() {  # libcxx_consumer BUILD_DIR
    build_library "$1" OFF -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_CXX_FLAGS=-stdlib=libc++
    install_library "$1" "$work/usr-libcxx"
    local flags
    flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$work/usr-libcxx.moved" -name asyncio.pc)") \
        pkg-config --cflags --libs asyncio)
    # shellcheck disable=SC2086
    quietly clang++-19 -stdlib=libc++ "$consumer_dir/program.cpp" -o "$work/c6" $flags
    quietly "$work/c6"
}
if echo '#include <vector>' | clang++-19 -stdlib=libc++ -fsyntax-only -x c++ - 2>/dev/null; then
    check "clang++-19 and libc++: the library and a program" libcxx_consumer "$work/libcxx"
else
    printf '   skipped clang++-19 and libc++: not installed\n'
    skipped=$((skipped + 1))
fi

printf 'test: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
