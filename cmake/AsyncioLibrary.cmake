# asyncio_add_library: makes a library beside the core from the folder libs/NAME.
#
# The core needs libc, and liburing and libbacktrace where they are installed. A library that needs
# another third-party library, or that only some programs want, has a folder of its own with its own
# include root. So a program that links with asyncio::asyncio links with nothing else, and a header
# of the core cannot include a header of such a library: the compiler does not find it.
#
#   libs/NAME/CMakeLists.txt   calls asyncio_add_library(NAME …) and is at most 30 lines long
#   libs/NAME/include/         the public headers, asyncio/NAME.h or asyncio/NAME/*.h
#   libs/NAME/src/             the sources, found by glob
#   libs/NAME/tests/           GoogleTest sources, built as the program test_NAME
#   libs/NAME/README.md        what the library is for
include_guard(GLOBAL)

# Adds the folder of a library, once. A library adds those that it needs, so the order of the
# folders does not matter.
function(asyncio_add_library_folder folder)
    get_property(added GLOBAL PROPERTY asyncio_library_folders)
    if(folder IN_LIST added)
        return()
    endif()
    set_property(GLOBAL APPEND PROPERTY asyncio_library_folders "${folder}")
    cmake_path(GET folder FILENAME name)
    add_subdirectory("${folder}" "${asyncio_BINARY_DIR}/libs/${name}")
endfunction()

# Finds third-party libraries by pkg-config, as the targets PkgConfig::ASYNCIO_USES_MODULE. Sets
# `result` to the list of those that are missing.
function(asyncio_find_modules result)
    set(missing "")
    if(ARGN)
        find_package(PkgConfig QUIET)
    endif()
    foreach(module IN LISTS ARGN)
        if(PKG_CONFIG_FOUND)
            pkg_check_modules(ASYNCIO_USES_${module} QUIET IMPORTED_TARGET GLOBAL "${module}")
        endif()
        if(NOT TARGET PkgConfig::ASYNCIO_USES_${module})
            list(APPEND missing "${module}")
        endif()
    endforeach()
    set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# asyncio_add_library(NAME [DESCRIPTION text] [NEEDS NAME …] [USES MODULE …])
#
# NEEDS names other libraries of libs/; their headers may be included by the headers of this one.
# USES names third-party libraries as pkg-config knows them; only the sources of this library may
# include their headers. The option ASYNCIO_LIB_<NAME> decides: AUTO (the default) builds the
# library if all of these are there, ON fails without them, OFF leaves the library out.
#
# Makes: the target asyncio_NAME with the alias asyncio::NAME; in an installation the component NAME
# of find_package(asyncio) and the pkg-config file asyncio-NAME.pc.
function(asyncio_add_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION" "NEEDS;USES")
    if(DEFINED arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR
            "asyncio_add_library(${name}): unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    string(TOUPPER "${name}" upper)
    set(ASYNCIO_LIB_${upper} AUTO CACHE STRING "The library asyncio::${name}: AUTO, ON or OFF")
    set_property(CACHE ASYNCIO_LIB_${upper} PROPERTY STRINGS AUTO ON OFF)

    asyncio_find_modules(missing ${arg_USES})
    foreach(need IN LISTS arg_NEEDS)
        asyncio_add_library_folder("${asyncio_SOURCE_DIR}/libs/${need}")
        if(NOT TARGET asyncio_${need})
            list(APPEND missing "asyncio::${need}")
        endif()
    endforeach()
    set(found ON)
    set(what "asyncio::${name}")
    if(missing)
        set(found OFF)
        list(JOIN missing ", " missing)
        string(APPEND what " (needs ${missing})")
    endif()
    asyncio_decide(ASYNCIO_LIB_${upper} ${found} "${what}" built)
    if(NOT built)
        return()
    endif()

    # In another project only the libraries that it links with are built.
    set(exclude "")
    if(NOT asyncio_IS_TOP_LEVEL AND NOT ASYNCIO_INSTALL)
        set(exclude EXCLUDE_FROM_ALL)
    endif()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS src/*.cpp)
    set(target asyncio_${name})
    add_library(${target} ${exclude} ${sources})
    add_library(asyncio::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME asyncio-${name} EXPORT_NAME ${name})
    asyncio_library_settings(${target} "${CMAKE_CURRENT_SOURCE_DIR}/include")
    target_link_libraries(${target} PUBLIC asyncio::asyncio)
    foreach(need IN LISTS arg_NEEDS)
        target_link_libraries(${target} PUBLIC asyncio::${need})
    endforeach()
    foreach(module IN LISTS arg_USES)
        target_link_libraries(${target} PRIVATE PkgConfig::ASYNCIO_USES_${module})
    endforeach()

    # The tests and the check of the headers are made in tests/, from this list.
    set_property(GLOBAL APPEND PROPERTY asyncio_libraries ${name})
    set_property(GLOBAL PROPERTY asyncio_folder_of_${name} "${CMAKE_CURRENT_SOURCE_DIR}")
    list(TRANSFORM arg_USES PREPEND PkgConfig::ASYNCIO_USES_ OUTPUT_VARIABLE modules)
    set_property(GLOBAL PROPERTY asyncio_modules_of_${name} "${modules}")
    if(TARGET asyncio_installed)
        add_dependencies(asyncio_installed ${target})
    endif()
    if(ASYNCIO_INSTALL)
        asyncio_install_library(${name} "${arg_DESCRIPTION}" "${arg_NEEDS}" "${arg_USES}")
    endif()
endfunction()

function(asyncio_install_library name description needs uses)
    set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/asyncio")
    install(TARGETS asyncio_${name} EXPORT asyncio-${name}Targets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    install(DIRECTORY include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT asyncio-${name}Targets NAMESPACE asyncio:: DESTINATION "${package_dir}")

    # The component is a file that asyncioConfig.cmake includes when a project asks for it.
    set(lines "")
    foreach(need IN LISTS needs)
        string(APPEND lines "include(\"\${CMAKE_CURRENT_LIST_DIR}/${need}.cmake\")\n")
    endforeach()
    if(NOT BUILD_SHARED_LIBS AND uses)
        # A static library leaves its own libraries to the program that links with it.
        string(APPEND lines "find_dependency(PkgConfig)\n")
        foreach(module IN LISTS uses)
            string(APPEND lines
                "pkg_check_modules(ASYNCIO_USES_${module} REQUIRED IMPORTED_TARGET ${module})\n")
        endforeach()
    endif()
    string(APPEND lines "include(\"\${CMAKE_CURRENT_LIST_DIR}/../asyncio-${name}Targets.cmake\")\n")
    file(CONFIGURE OUTPUT "${name}.cmake" CONTENT "${lines}" @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.cmake"
        DESTINATION "${package_dir}/components")

    # A program uses the headers and the library of one version, so the version is exact.
    set(pc_name asyncio-${name})
    set(pc_description "${description}")
    set(requires "asyncio = ${asyncio_VERSION}")
    foreach(need IN LISTS needs)
        list(APPEND requires "asyncio-${need} = ${asyncio_VERSION}")
    endforeach()
    set(pc_requires_private "")
    if(BUILD_SHARED_LIBS)
        list(JOIN uses ", " pc_requires_private)
    else()
        list(APPEND requires ${uses})
    endif()
    list(JOIN requires ", " pc_requires)
    set(pc_cflags "")
    set(pc_libs "-L\${libdir} -lasyncio-${name}")
    set(pc_libs_private "")
    asyncio_install_pc_file()
endfunction()
