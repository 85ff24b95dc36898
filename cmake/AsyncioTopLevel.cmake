# Settings for the case that this is the top-level project. As a part of another project, the
# library must not choose them.
include_guard(GLOBAL)

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, …" FORCE)
endif()

# A release keeps its line tables: they cost no time, and they give the line of a slow step.
if(CMAKE_CXX_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
    set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG" CACHE STRING "" FORCE)
endif()

find_program(ASYNCIO_CCACHE ccache)
mark_as_advanced(ASYNCIO_CCACHE)
if(ASYNCIO_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${ASYNCIO_CCACHE}")
endif()
