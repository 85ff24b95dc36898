# `cmake --install`: installs the headers, the library and the command, together with the files for
# `find_package(asyncio CONFIG)` and for `pkg-config asyncio`.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/asyncio")

install(TARGETS asyncio EXPORT asyncioTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(PROGRAMS "${PROJECT_SOURCE_DIR}/tool/lint/asyncio-lint"
    DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(TARGET asyncio_tool)
    # The command finds a shared library by the relative path between the two, so an installed tree
    # may be moved.
    file(RELATIVE_PATH bin_to_lib "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
    set_target_properties(asyncio_tool PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
    install(TARGETS asyncio_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    add_dependencies(asyncio_installed asyncio_tool)
endif()

# ---------------------------------------------------------------------------------- find_package

install(EXPORT asyncioTargets NAMESPACE asyncio:: DESTINATION "${package_dir}")
configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/asyncioConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/asyncioConfig.cmake"
    INSTALL_DESTINATION "${package_dir}"
    NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/asyncioConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/asyncioConfig.cmake"
    "${PROJECT_BINARY_DIR}/asyncioConfigVersion.cmake"
    DESTINATION "${package_dir}")

# ------------------------------------------------------------------------------------ pkg-config
# A static library does not record the libraries that it needs. So the libraries that are private
# for a shared library are public for a static one: `g++ -std=c++20 main.cpp $(pkg-config --cflags
# --libs asyncio)` works for both. The file does not set the language standard: the program chooses
# it, C++20 or later, and a header refuses an older one.

set(private_libs "-pthread")
if(ASYNCIO_HAVE_IO_URING)
    string(APPEND private_libs " -luring")
endif()
if(ASYNCIO_HAVE_BACKTRACE)
    string(APPEND private_libs " -lbacktrace")
endif()
set(pc_name asyncio)
set(pc_description "${PROJECT_DESCRIPTION}")
set(pc_requires "")
set(pc_requires_private "")
if(BUILD_SHARED_LIBS)
    set(pc_libs "-L\${libdir} -lasyncio")
    set(pc_libs_private "${private_libs}")
else()
    set(pc_libs "-L\${libdir} -lasyncio ${private_libs}")
    set(pc_libs_private "")
endif()
string(JOIN " " pc_cflags ${asyncio_coroutine_options} ${asyncio_standard_options})
asyncio_install_pc_file()
