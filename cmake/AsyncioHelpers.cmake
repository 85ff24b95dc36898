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
    message(STATUS "  tool, examples         ${ASYNCIO_TOOL}, ${ASYNCIO_EXAMPLES}")
    message(STATUS "  bench, tests           ${ASYNCIO_BENCH}, ${ASYNCIO_TESTS}")
    foreach(line IN LISTS skipped)
        message(STATUS "  left out - ${line}")
    endforeach()
endfunction()
