# Small functions that the CMakeLists.txt files of this project share.
include_guard(GLOBAL)

# Switches the warnings of this project on for a target.
function(asyncio_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra)
    # With sanitizers this warning has many false positives, as g++'s documentation says.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS MATCHES "-fsanitize")
        target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
    # This warning is about headers, and g++ takes a source for a header if it is one of a group.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_UNITY_BUILD)
        target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
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

# Everything that the library targets have in common, the core and the libraries of libs/.
# `include_dir` has the public headers.
function(asyncio_library_settings target include_dir)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        POSITION_INDEPENDENT_CODE ON
        # A shared library finds those that it needs beside itself, wherever the tree is moved.
        INSTALL_RPATH "$ORIGIN"
        VERSION ${asyncio_VERSION}
        # Before 1.0 each minor version may change the interface of the binary.
        SOVERSION ${asyncio_VERSION_MAJOR}.${asyncio_VERSION_MINOR})
    target_include_directories(${target}
        PUBLIC $<BUILD_INTERFACE:${include_dir}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        PRIVATE src)
    asyncio_warnings(${target})
    asyncio_optimise(${target})
    asyncio_choose_visible_symbols(${target} "${include_dir}")
endfunction()

# In a build without a build type CMake gives the compiler no options at all. The build type belongs
# to the whole project, so a part of it must not set one. The library then has options of its own:
# otherwise it would not be optimised, and its user would see a slow program and no reason.
function(asyncio_optimise target)
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES AND NOT CMAKE_CXX_FLAGS MATCHES "-O")
        target_compile_options(${target} PRIVATE -O2 -g1)
    endif()
endfunction()

# Which symbols a shared library exports: those that its public headers declare, and no others.
#
# The sources are compiled with -fvisibility=hidden, and every public header is included before,
# with visible symbols, by a header that is made here. The usual way is a macro at each declaration
# (generate_export_header); a forgotten macro is an error at link time, at the user. A library that
# is not shared keeps all symbols visible, also in a project that hides its own: the library may be
# linked into a shared library of that project, and a program may use it through that.
function(asyncio_choose_visible_symbols target include_dir)
    if(NOT BUILD_SHARED_LIBS)
        set_target_properties(${target} PROPERTIES
            CXX_VISIBILITY_PRESET default VISIBILITY_INLINES_HIDDEN OFF)
        return()
    endif()
    file(GLOB_RECURSE headers RELATIVE "${include_dir}" CONFIGURE_DEPENDS "${include_dir}/*.h")
    list(TRANSFORM headers REPLACE "(.+)" "#include <\\1>\n")
    list(JOIN headers "" includes)
    set(visible_header "${CMAKE_CURRENT_BINARY_DIR}/${target}_visible.h")
    file(CONFIGURE OUTPUT "${visible_header}" @ONLY CONTENT
"#pragma GCC visibility push(default)
@includes@#pragma GCC visibility pop
")
    # A static library that is linked into this one, libbacktrace for example, is not exported.
    target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
    target_compile_options(${target} PRIVATE "SHELL:-include \"${visible_header}\"")
    # Inline functions of the headers stay visible, because their static variables must exist once
    # in the process.
    set_target_properties(${target} PROPERTIES
        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN OFF)
endfunction()

# Makes and installs a pkg-config file from the variables pc_*. The paths in it are relative to the
# file itself, so that an installed tree may be moved.
macro(asyncio_install_pc_file)
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}"
        OUTPUT_VARIABLE pc_libdir)
    file(RELATIVE_PATH pc_to_prefix "${pc_libdir}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
    configure_file("${asyncio_SOURCE_DIR}/cmake/asyncio.pc.in"
        "${CMAKE_CURRENT_BINARY_DIR}/${pc_name}.pc" @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${pc_name}.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endmacro()

# Records why an optional part is left out. The summary prints it at the end, where a user sees it.
function(asyncio_skip what why)
    set_property(GLOBAL APPEND PROPERTY asyncio_skipped "${what}: ${why}")
endfunction()

function(asyncio_print_summary)
    get_property(skipped GLOBAL PROPERTY asyncio_skipped)
    get_property(libraries GLOBAL PROPERTY asyncio_libraries)
    list(JOIN libraries ", " libraries)
    set(compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
    message(STATUS "asyncio ${PROJECT_VERSION}, ${compiler}, ${CMAKE_BUILD_TYPE}")
    message(STATUS "  io_uring back-end      ${ASYNCIO_HAVE_IO_URING}")
    message(STATUS "  file:line of stacks    ${ASYNCIO_HAVE_BACKTRACE}")
    message(STATUS "  quick throws           ${ASYNCIO_HAVE_QUICK_THROW}")
    message(STATUS "  libraries beside it    ${libraries}")
    message(STATUS "  tool, examples         ${ASYNCIO_TOOL}, ${ASYNCIO_EXAMPLES}")
    message(STATUS "  bench, tests           ${ASYNCIO_BENCH}, ${ASYNCIO_TESTS}")
    foreach(line IN LISTS skipped)
        message(STATUS "  left out - ${line}")
    endforeach()
    message(STATUS "  install prefix         ${CMAKE_INSTALL_PREFIX}")
endfunction()
