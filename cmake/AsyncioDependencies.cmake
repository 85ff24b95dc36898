# Searches the optional dependencies of the library and sets ASYNCIO_HAVE_IO_URING,
# ASYNCIO_HAVE_BACKTRACE and ASYNCIO_HAVE_QUICK_THROW.
#
# Both libraries are private: no public header includes a header of them. They are linked as flags
# (`-luring`) and not by path or target. So an installed static library names them in the same way
# in its CMake package and in its pkg-config file, and it works on another machine, where the paths
# differ.
include_guard(GLOBAL)
include(CheckIncludeFileCXX)
include(CheckCXXSourceCompiles)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Evaluates an AUTO/ON/OFF option: sets `result` to whether the dependency is used. The
# configuration fails if the option is ON and the dependency was not found.
function(asyncio_decide option found what result)
    if("${${option}}" STREQUAL "AUTO")
        set(${result} ${found} PARENT_SCOPE)
        if(NOT found)
            asyncio_skip("${what}" "not found")
        endif()
    elseif(${option} AND NOT found)
        message(FATAL_ERROR "${option} is ON, but ${what} was not found")
    elseif(${option})
        set(${result} ON PARENT_SCOPE)
    else()
        set(${result} OFF PARENT_SCOPE)
        asyncio_skip("${what}" "switched off (${option}=OFF)")
    endif()
endfunction()

function(asyncio_check_links result source options library)
    set(CMAKE_REQUIRED_FLAGS "${options}")
    set(CMAKE_REQUIRED_LIBRARIES "${library}")
    set(CMAKE_REQUIRED_QUIET ON)
    check_cxx_source_compiles("${source}" ${result})
    if(${result})
        set(${result} ON PARENT_SCOPE)
    else()
        set(${result} OFF PARENT_SCOPE)
    endif()
endfunction()

# ------------------------------------------------------------------------- the standard library
# libc++ has `std::stop_token` from version 20 on; before, it counts as an experiment.

set(program [[
    #include <stop_token>
    int main() { return std::stop_source().get_token().stop_requested(); }
]])
set(asyncio_standard_options "")
asyncio_check_links(ASYNCIO_FOUND_STOP_TOKEN "${program}" -std=c++20 "")
if(NOT ASYNCIO_FOUND_STOP_TOKEN)
    asyncio_check_links(ASYNCIO_FOUND_EXPERIMENTAL_STOP_TOKEN
        "${program}" "-std=c++20 -fexperimental-library" "")
    if(NOT ASYNCIO_FOUND_EXPERIMENTAL_STOP_TOKEN)
        message(FATAL_ERROR "asyncio needs std::stop_token, which this C++ library does not have")
    endif()
    set(asyncio_standard_options -fexperimental-library)
endif()

# ------------------------------------------------------------------------------------- liburing

set(program [[
    #include <liburing.h>
    int main() { io_uring ring; return io_uring_queue_init(8, &ring, 0); }
]])
asyncio_check_links(ASYNCIO_FOUND_LIBURING "${program}" "" -luring)
asyncio_decide(ASYNCIO_IO_URING ${ASYNCIO_FOUND_LIBURING} "io_uring back-end (liburing-dev)"
    ASYNCIO_HAVE_IO_URING)

# --------------------------------------------------------------------------------- libbacktrace
# It ships with g++, in folders that only g++ searches. clang uses g++'s library folder but not its
# header folder. `-idirafter` adds this folder as the last one, so that clang's own headers come
# before g++'s other headers.

set(asyncio_backtrace_options "")
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    find_program(ASYNCIO_GXX g++)
    mark_as_advanced(ASYNCIO_GXX)
    if(ASYNCIO_GXX)
        execute_process(COMMAND "${ASYNCIO_GXX}" -print-file-name=include
            OUTPUT_VARIABLE gxx_include OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        if(EXISTS "${gxx_include}/backtrace.h")
            set(asyncio_backtrace_options "-idirafter${gxx_include}")
        endif()
    endif()
endif()
set(program [[
    #include <backtrace.h>
    int main() { return backtrace_create_state(nullptr, 1, nullptr, nullptr) == nullptr; }
]])
asyncio_check_links(ASYNCIO_FOUND_LIBBACKTRACE
    "${program}" "${asyncio_backtrace_options}" -lbacktrace)
asyncio_decide(ASYNCIO_BACKTRACE ${ASYNCIO_FOUND_LIBBACKTRACE}
    "file and line of stacks (libbacktrace)" ASYNCIO_HAVE_BACKTRACE)

# --------------------------------------------------------------------------------- quick throws
# They depend on the ABI of one processor, on the type information of one C++ library, and on the
# function by which the GNU runtime library finds the tables of a function.

set(program [[
    #include <exception>
    #if !defined(__x86_64__) || !defined(__LP64__) || !defined(__ELF__) || !defined(__GLIBCXX__)
    #error "not here"
    #endif
    extern "C" const void* _Unwind_Find_FDE(void* address, void* bases);
    int main() { void* bases[3]; return _Unwind_Find_FDE(nullptr, bases) != nullptr; }
]])
asyncio_check_links(ASYNCIO_FOUND_QUICK_THROW "${program}" "" "")
asyncio_decide(ASYNCIO_QUICK_THROW ${ASYNCIO_FOUND_QUICK_THROW}
    "quick throws (x86-64 and the GNU C++ library)" ASYNCIO_HAVE_QUICK_THROW)
