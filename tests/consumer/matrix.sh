#!/usr/bin/env bash
# Proves that the library works whatever its user's program is compiled with. One program,
# program.cpp, is built against the same two libraries (a static and a shared one, made by g++ for
# release) with one set of options after the other, and run.
#
# usage: tests/consumer/matrix.sh STATIC_PREFIX SHARED_PREFIX
#   the folders into which the two have been installed
# As many sets are tried at once as there are processors.
# Prints one line for each set, and at the end `matrix: N passed, M failed, K skipped`; a compiler
# that is not installed is skipped, and said so.
set -euo pipefail

consumer_dir=$(cd "$(dirname "$0")" && pwd)
static=$1
shared=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$consumer_dir/checks.sh"

warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wdouble-promotion -Wformat=2
    -Wnull-dereference -Wextra-semi -Werror)

flags_of() {  # flags_of PREFIX: what pkg-config says
    PKG_CONFIG_PATH=$(dirname "$(find "$1" -name asyncio.pc)") pkg-config --cflags --libs asyncio
}
# The flags are words for the compiler.
read -ra static_flags <<<"$(flags_of "$static")"
read -ra shared_flags <<<"$(flags_of "$shared")"
# clang does not know the flag that works around a fault of g++.
clang_flags=("${static_flags[@]/-fno-tree-slp-vectorize/}")
shared_lib=$(find "$shared" -name 'libasyncio.so' | head -n 1)
export LD_LIBRARY_PATH=${shared_lib%/*}

has() {  # has COMPILER NAME: else the check NAME is skipped
    command -v "$1" >/dev/null && return
    checks_skip "$2" "$1 is not installed"
    return 1
}

# It is not the warnings that are tried here: with other options g++ has other doubts.
build() {  # build PROGRAM COMPILER OPTION...
    local program=$1 compiler=$2
    shift 2
    "$compiler" "$consumer_dir/program.cpp" -o "$program" "$@"
}

runs() {  # runs COMPILER OPTION...: builds and runs
    build "$work/program" "$@" && timeout 120 "$work/program"
}

g() {  # g NAME OPTION...: with g++, against the static library
    local name=$1
    shift
    checks_run "g++ $name" runs g++ -std=c++20 "$@" "${static_flags[@]}"
}

c() {  # c COMPILER NAME OPTION...: the same with a clang
    local compiler=$1 name=$2
    shift 2
    has "$compiler" "$compiler $name" || return 0
    checks_run "$compiler $name" runs "$compiler" -std=c++20 "$@" "${clang_flags[@]}"
}

# -------------------------------------------------------------------------------- what must work

g "-O0" -O0
g "-O3, no assertions" -O3 -DNDEBUG
g "-O2 -flto" -O2 -flto
g "-O2 -D_GLIBCXX_ASSERTIONS, sections and gc" -O2 -D_GLIBCXX_ASSERTIONS -ffunction-sections \
    -Wl,--gc-sections
g "-static" -O1 -static
g "hidden symbols" -O1 -fvisibility=hidden -fvisibility-inlines-hidden
checks_run "g++ -std=c++23" runs g++ -std=c++23 -O1 "${static_flags[@]}"

checks_run "g++, shared" runs g++ -std=c++20 -O1 "${shared_flags[@]}"
checks_run "g++, shared, hidden symbols" runs g++ -std=c++20 -O1 -fvisibility=hidden \
    -fvisibility-inlines-hidden "${shared_flags[@]}"

c clang++-16 "-O0" -O0
c clang++-16 "-O2" -O2
c clang++-19 "-O2 -std=c++23" -O2 -std=c++23
if has clang++-19 "clang++-19, shared, hidden symbols"; then
    checks_run "clang++-19, shared, hidden symbols" runs clang++-19 -std=c++20 -O1 \
        -fvisibility=hidden -fvisibility-inlines-hidden \
        "${shared_flags[@]/-fno-tree-slp-vectorize/}"
fi

# Nothing the program and the library both have may be there twice: no variable, and no type that
# is thrown. Names of internal classes may, since nobody asks for their types.
nothing_is_there_twice() {
    g++ -std=c++20 -O0 -fvisibility=hidden -fvisibility-inlines-hidden "${shared_flags[0]}" \
        -c "$consumer_dir/program.cpp" -o "$work/hidden.o"
    readelf --syms --wide "$work/hidden.o" |
        awk '$6 == "HIDDEN" && ($4 == "OBJECT" || $4 == "TLS") { print $8 }' | sort -u >"$work/all"
    # Constants may be there twice.
    nm --format=sysv "$work/hidden.o" | awk -F'|' '$7 ~ /[.]rodata/ { print $1 }' |
        tr -d ' ' | sort -u >"$work/constant"
    comm -23 "$work/all" "$work/constant" >"$work/own"
    nm --dynamic --defined-only "$shared_lib" | awk '{ print $3 }' | sort -u >"$work/exported"
    comm -12 "$work/own" "$work/exported" | c++filt |
        grep -E '^((typeinfo|vtable|guard variable) for )?asyncio::' |
        grep -vE '^(typeinfo|vtable) for asyncio::internal::' >"$work/twice" || true
    cat "$work/twice"
    [[ -s $work/own && -s $work/exported && ! -s $work/twice ]]
}
checks_run "g++, shared, hidden symbols: no variable and no type is there twice" \
    nothing_is_there_twice

# ----------------------------------------------------------------- sanitizers in the program alone

reports() {  # reports TEXT COMMAND...: the command fails with that text
    local text=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        echo "it did not fail"
        return 1
    fi
    grep -q "$text" "$work/said" || { cat "$work/said"; return 1; }
}

asan_sees_it() {
    build "$work/program" g++ -std=c++20 -O1 -g -fsanitize=address "${static_flags[@]}" &&
        reports heap-use-after-free "$work/program" use-after-free
}
valgrind_sees_it() {
    build "$work/program" g++ -std=c++20 -O0 -g "${static_flags[@]}" &&
        ASYNCIO_FRAME_POOL=0 ASYNCIO_BACKEND=epoll reports "Invalid read" \
            valgrind --error-exitcode=9 "$work/program" use-after-free
}

g "-fsanitize=address" -O1 -g -fsanitize=address
checks_run "g++ -fsanitize=address sees the use of a frame that is gone" asan_sees_it
g "-fsanitize=undefined" -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
g "-fsanitize=thread" -O1 -g -fsanitize=thread
checks_run "g++, shared, -fsanitize=address" \
    runs g++ -std=c++20 -O0 -g -fsanitize=address "${shared_flags[@]}"
c clang++-19 "-fsanitize=address" -O1 -g -fsanitize=address
c clang++-19 "-fsanitize=thread" -O1 -g -fsanitize=thread
if has valgrind "valgrind sees the use of a frame that is gone"; then
    checks_run "valgrind sees the use of a frame that is gone" valgrind_sees_it
fi

# -------------------------------------------------------------- debug mode, in the midst of throws

stalls() {
    build "$work/stall" g++ -std=c++20 -O1 "$@" "${static_flags[@]}" &&
        timeout 120 "$work/stall" stall
}
checks_run "g++: the watcher of debug mode interrupts throws" stalls
checks_run "g++ -static: the watcher of debug mode interrupts throws" stalls -static

# -------------------------------------------------------------------- what must be refused, clearly

refuses() {  # refuses TEXT OPTION...
    reports "$1" g++ -fsyntax-only "${static_flags[0]}" "${@:2}" "$consumer_dir/main.cpp"
}
checks_run "-fno-exceptions is refused in a sentence" \
    refuses 'compile without -fno-exceptions' -std=c++20 -fno-exceptions
checks_run "-fno-rtti is refused in a sentence" \
    refuses 'compile without -fno-rtti' -std=c++20 -fno-rtti
checks_run "-std=c++17 is refused in a sentence" refuses 'compile with -std=c++20' -std=c++17

# ---------------------------------------------------------------------------------------- warnings

# As headers of the user's own, where no warning is kept back.
clean() {
    "$1" -fsyntax-only "${@:2}" "${warnings[@]}" "${static_flags[0]}" "$consumer_dir/program.cpp"
}
# c++2b is c++23 by the name that clang 16 knows, too.
for standard in c++20 c++2b; do
    checks_run "g++ -std=$standard: no warnings" \
        clean g++ -std=$standard -Wuseless-cast -Wlogical-op -Wduplicated-cond
    for compiler in clang++-16 clang++-19; do
        has "$compiler" "$compiler -std=$standard: no warnings" || continue
        checks_run "$compiler -std=$standard: no warnings" clean "$compiler" -std=$standard
    done
done

checks_end
printf 'matrix: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
((failed == 0))
