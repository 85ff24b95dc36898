# Small functions shared by the CMakeLists.txt files of this project.
include_guard(GLOBAL)

# The warnings this project is free of, on one target.
function(asyncio_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra)
    # With sanitizers, g++'s own documentation says, this warning is wrong more often than right.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS MATCHES "-fsanitize")
        target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
    if(ASYNCIO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

# What every coroutine has to be compiled with. A loop around a co_await can be entered in its
# middle, when the coroutine is resumed, and g++ before 14 makes wrong code of some such loops: when
# it packs two scalars into one vector (which it does from -O2 on), it may use them before they are
# computed. That is PR tree-optimization/111387. Loops over arrays are vectorised all the same.
set(asyncio_coroutine_options "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    set(asyncio_coroutine_options -fno-tree-slp-vectorize)
endif()

# Notes why something optional is left out. Printed again at the end, where it is seen.
function(asyncio_skip what why)
    set_property(GLOBAL APPEND PROPERTY asyncio_skipped "${what}: ${why}")
endfunction()

function(asyncio_print_summary)
    get_property(skipped GLOBAL PROPERTY asyncio_skipped)
    set(compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
    message(STATUS "asyncio ${PROJECT_VERSION}, ${compiler}, ${CMAKE_BUILD_TYPE}")
    message(STATUS "  io_uring back-end      ${ASYNCIO_HAVE_IO_URING}")
    message(STATUS "  file:line of stacks    ${ASYNCIO_HAVE_BACKTRACE}")
    message(STATUS "  quick throws           ${ASYNCIO_HAVE_QUICK_THROW}")
    message(STATUS "  tool, examples         ${ASYNCIO_TOOL}, ${ASYNCIO_EXAMPLES}")
    message(STATUS "  bench, tests           ${ASYNCIO_BENCH}, ${ASYNCIO_TESTS}")
    foreach(line IN LISTS skipped)
        message(STATUS "  left out - ${line}")
    endforeach()
endfunction()
