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
# As the presets do. CMake's own choice needs make, which `./dev setup` does not install.
export CMAKE_GENERATOR=${CMAKE_GENERATOR:-Ninja}
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

pkg_config_consumer() {  # pkg_config_consumer PREFIX PROGRAM [PACKAGE [SOURCE]]
    local flags
    flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$1" -name asyncio.pc)") \
        pkg-config --cflags --libs "${3:-asyncio}")
    [[ $flags != *-std=* ]] || { echo "the .pc file sets a language standard"; return 1; }
    # The flags are words for the compiler, so they are split on purpose.
    # shellcheck disable=SC2086
    quietly "${CXX:-g++}" -std=c++20 -Wall -Wextra "$consumer_dir/${4:-main.cpp}" -o "$2" $flags
    LD_LIBRARY_PATH=$(dirname "$(find "$1" -name 'libasyncio.*' | head -n 1)") quietly "$2"
}

# Checks which shared libraries a program needs that links with asyncio::asyncio only. The list is
# fixed: a program of the core does not pay for a library that the core does not need.
needs_only() {  # needs_only PROGRAM LIBRARY...
    local needed
    needed=$(readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort)
    # The loader and libm are there or not, as the version of the compiler likes.
    needed=$(grep -v '^ld-linux\|^libm[.]' <<<"$needed")
    diff <(printf '%s\n' "${@:2}" | sort) <(printf '%s\n' "$needed")
}

# What the README says, run as it stands there. A block has a name behind its language.
readme_block() {  # readme_block NAME
    awk -v name="$1" '/^```/ { inside = $2 == name; next } inside' "$source_dir/README.md"
}

# The first program of the README.
breakfast() {  # breakfast FOLDER
    mkdir -p "$1"
    awk '/^```/ { block += 1; next } block == 3' "$source_dir/README.md" >"$1/breakfast.cpp"
    grep -q 'int main' "$1/breakfast.cpp"
}

readme_pkg_config() {  # readme_pkg_config PREFIX FOLDER
    local lines
    breakfast "$2"
    lines=$(readme_block pkg-config)
    [[ $lines == *pkg-config* ]]
    quietly bash -euc "cd '$2'; ${lines//PREFIX/$1}; ./breakfast"
}

readme_cmake() {  # readme_cmake BLOCK FOLDER CMAKE_OPTION...
    local lines
    breakfast "$2"
    lines=$(readme_block "$1")
    [[ $lines == *asyncio::asyncio* ]]
    printf '%s\n' "${lines//\/path\/to\/this\/repository/$source_dir}" >"$2/CMakeLists.txt"
    quietly cmake -S "$2" -B "$2/build" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "${@:3}"
    quietly cmake --build "$2/build" --parallel "$jobs"
    quietly "$2/build/breakfast"
}

# In a project without a build type the library is optimised, and the project is as it was.
without_build_type() {  # without_build_type BUILD_DIR
    grep -q '^CMAKE_BUILD_TYPE:STRING=$' "$1/CMakeCache.txt"
    # Into files: a `grep -q` that ends early would end the one before it in a pipe by a signal.
    grep '"command".*asyncio[.]dir/' "$1/compile_commands.json" >"$work/of-library"
    grep '"command".*breakfast.cpp' "$1/compile_commands.json" >"$work/of-program"
    grep -q -e ' -O2 ' "$work/of-library"
    if grep -q -e ' -O' "$work/of-program"; then return 1; fi
    # Of the libraries beside the core it builds those that are linked with: none.
    [[ -z $(find "$1" -name 'libasyncio-*') ]]
}

dev_install() {  # dev_install PREFIX: and then the commands that it prints
    quietly "$source_dir/dev" install "$1"
    local lines
    lines=$("$source_dir/dev" install "$1" | grep -E '^ +(export|g\+\+)')
    cp "$consumer_dir/main.cpp" "$work/main.cpp"
    quietly bash -euc "cd '$work'; $lines; ./main"
}

says_which_component_is_missing() {  # says_which_component_is_missing PREFIX
    if cmake -S "$consumer_dir/components" -B "$work/missing" -DCMAKE_PREFIX_PATH="$1" \
        -DCOMPONENTS="testing;nothing" >"$work/log" 2>&1; then
        return 1
    fi
    # CMake breaks the lines of a message.
    tr -s '\n ' ' ' <"$work/log" >"$work/said"
    if ! grep -q 'has no component "nothing". It has: .*testing' "$work/said"; then
        cat "$work/said"
        return 1
    fi
}

component_consumer() {  # component_consumer PREFIX BUILD_DIR COMPONENT...
    quietly cmake -S "$consumer_dir/components" -B "$2" -DCMAKE_PREFIX_PATH="$1" \
        -DCOMPONENTS="$(IFS=';' && echo "${*:3}")"
    quietly cmake --build "$2" --target consumer --parallel "$jobs"
    local component
    for component in "${@:3}"; do quietly "$2/$component"; done
}

exports_what_the_headers_declare() {  # exports_what_the_headers_declare LIB_DIR
    quietly "$consumer_dir/exported.py" "$1/libasyncio.so" "$source_dir/include"
    local library
    for library in testing tls; do
        [[ -e $1/libasyncio-$library.so ]] || continue
        quietly "$consumer_dir/exported.py" "$1/libasyncio-$library.so" "$source_dir/include" \
            "$source_dir/libs/$library/include"
    done
}

library_refuses() {  # library_refuses TEXT CMAKE_OPTION...: the configuration fails with that text
    if cmake -S "$source_dir" -B "$work/refused" -DASYNCIO_TESTS=OFF -DASYNCIO_EXAMPLES=OFF \
        -DASYNCIO_BENCH=OFF -DASYNCIO_TOOL=OFF "${@:2}" >"$work/log" 2>&1; then
        return 1
    fi
    tr -s '\n ' ' ' <"$work/log" >"$work/said"
    grep -q "$1" "$work/said"
}

installed_command() {  # installed_command PREFIX
    local output
    output=$("$1/bin/asyncio" batch 'echo hello')
    [[ $output == *hello* ]]
}

# A compiler cache, where there is one, serves the builds that do not look for it themselves.
launcher=()
if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
# The ring's library stands in the lists of what is needed if it is installed.
uring=()
if echo '#include <liburing.h>' | g++ -fsyntax-only -x c++ - 2>/dev/null; then
    uring=(liburing.so.2)
fi

# asyncio::tls is built if OpenSSL is installed.
openssl=()
if pkg-config --exists openssl; then openssl=(libssl.so.3 libcrypto.so.3); fi

readme_install() {  # readme_install: the lines of the README, with other folders
    local lines
    lines=$(readme_block install)
    lines=${lines//build\/install/$work/static}
    quietly bash -euc "cd '$source_dir'; ${lines//PREFIX/$work/readme}"
    [[ -e $work/readme/include/asyncio.h ]]
}

static_build=${1:-$work/static}
if (($# == 0)); then
    check "README: plain CMake" readme_install
fi
check "the static library installs" install_library "$static_build" "$work/usr-static"
check "static: find_package" cmake_consumer find_package "$work/c1" \
    -DCMAKE_PREFIX_PATH="$work/usr-static.moved"
check "static: pkg-config and a plain compiler command" \
    pkg_config_consumer "$work/usr-static.moved" "$work/c2"
check "static: the program needs no other library" needs_only "$work/c2" \
    libc.so.6 libgcc_s.so.1 libstdc++.so.6 "${uring[@]}"
check "static: the component testing" component_consumer "$work/usr-static.moved" "$work/c7" testing
check "static: pkg-config asyncio-testing" \
    pkg_config_consumer "$work/usr-static.moved" "$work/c8" asyncio-testing components/testing.cpp
if ((${#openssl[@]} > 0)); then
    check "static: the component tls" component_consumer "$work/usr-static.moved" "$work/c11" tls
    check "static: pkg-config asyncio-tls" \
        pkg_config_consumer "$work/usr-static.moved" "$work/c12" asyncio-tls components/tls.cpp
fi
check "a component that is missing is named" \
    says_which_component_is_missing "$work/usr-static.moved"
check "README: pkg-config" readme_pkg_config "$work/usr-static.moved" "$work/r1"
check "README: find_package" readme_cmake find_package "$work/r2" \
    -DCMAKE_PREFIX_PATH="$work/usr-static.moved"
if [[ $static_build -ef $source_dir/build/release ]]; then
    check "./dev install, and the commands that it prints" dev_install "$work/usr-dev"
fi
if [[ -e $static_build/bin/asyncio ]]; then
    check "the installed command runs" installed_command "$work/usr-static.moved"
fi

# In groups, to save time: that each source compiles alone is shown by BUILD_DIR.
check "the shared library builds, and another library beside it" \
    build_library "$work/shared" ON -DASYNCIO_GROUPS=ON -DASYNCIO_EXTRA_LIBS="$consumer_dir/annex"
check "the shared library installs" install_library "$work/shared" "$work/usr-shared"
check "shared: find_package" cmake_consumer find_package "$work/c3" \
    -DCMAKE_PREFIX_PATH="$work/usr-shared.moved"
check "shared: pkg-config and a plain compiler command" \
    pkg_config_consumer "$work/usr-shared.moved" "$work/c4"

check "shared: the program needs no other library" needs_only "$work/c4" \
    libasyncio.so.0.1 libc.so.6 libgcc_s.so.1 libstdc++.so.6
shared_lib=$(find "$work/usr-shared.moved" -name libasyncio.so)
check "shared: libasyncio.so needs no other library" needs_only "$shared_lib" \
    libc.so.6 libgcc_s.so.1 libstdc++.so.6 "${uring[@]}"
check "shared: exports what the headers declare, and nothing else" \
    exports_what_the_headers_declare "${shared_lib%/*}"
components=(testing)
if ((${#openssl[@]} > 0)); then components+=(tls); fi
if ((${#uring[@]} > 0)); then components+=(annex); fi
check "shared: the components ${components[*]}" \
    component_consumer "$work/usr-shared.moved" "$work/c9" "${components[@]}"
if ((${#openssl[@]} > 0)); then
    check "shared: pkg-config asyncio-tls" \
        pkg_config_consumer "$work/usr-shared.moved" "$work/c13" asyncio-tls components/tls.cpp
fi
if ((${#uring[@]} > 0)); then
    check "shared: pkg-config asyncio-annex" \
        pkg_config_consumer "$work/usr-shared.moved" "$work/c10" asyncio-annex components/annex.cpp
fi

mkdir -p "$work/lost"
echo 'asyncio_add_library(lost USES no_such_module)' >"$work/lost/CMakeLists.txt"
check "a library whose third-party library is missing is refused if it is demanded" \
    library_refuses 'asyncio::lost (needs no_such_module) was not found' \
    -DASYNCIO_EXTRA_LIBS="$work/lost" -DASYNCIO_LIB_LOST=ON

# From the sources, in a project that has no build type. In groups, to save time.
check "README: FetchContent" \
    readme_cmake FetchContent "$work/r3" -DCMAKE_BUILD_TYPE= -DASYNCIO_GROUPS=ON "${launcher[@]}"
check "without a build type the library is optimised" without_build_type "$work/r3/build"

# As a part of a project that hides its symbols and compiles all files of a target together.
check "add_subdirectory: shared, hidden symbols, unity build" \
    cmake_consumer add_subdirectory "$work/c5" \
    -DASYNCIO_SOURCE_DIR="$source_dir" -DCMAKE_BUILD_TYPE=Debug -DBUILD_SHARED_LIBS=ON \
    -DCMAKE_CXX_VISIBILITY_PRESET=hidden -DCMAKE_VISIBILITY_INLINES_HIDDEN=ON \
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0 -DASYNCIO_GROUPS=ON

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
    build_library "$1" OFF -DASYNCIO_GROUPS=ON \
        -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_CXX_FLAGS=-stdlib=libc++
    install_library "$1" "$work/usr-libcxx"
    local flags
    flags=$(PKG_CONFIG_PATH=$(dirname "$(find "$work/usr-libcxx.moved" -name asyncio.pc)") \
        pkg-config --cflags --libs asyncio)
    # shellcheck disable=SC2086
    quietly clang++-19 -std=c++20 -stdlib=libc++ "$consumer_dir/program.cpp" -o "$work/c6" $flags
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
