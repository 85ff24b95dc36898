# Small functions that the CMakeLists.txt files of this project share.
include_guard(GLOBAL)

# Switches the warnings of this project on for a target.
function(asyncio_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra)
    # With sanitizers this warning has many false positives, as g++'s documentation says.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS MATCHES "-fsanitize")
        target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
    if(ASYNCIO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

# The options that every coroutine must be compiled with. When a coroutine is resumed, a loop around
# a co_await is entered in its middle. g++ before 14 makes wrong code for some of these loops: from
# -O2 on it packs two scalars into one vector, and it may use them before they are computed (PR
# tree-optimization/111387). The option does not affect the vectorisation of loops over arrays.
set(asyncio_coroutine_options "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    set(asyncio_coroutine_options -fno-tree-slp-vectorize)
endif()

# Records why an optional part is left out. The summary prints it at the end, where a user sees it.
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
