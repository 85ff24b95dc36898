#pragma once
// A library of libs/ as small as possible, to test how such libraries are built and installed.

#include <asyncio/testing/simulate.h>

namespace asyncio::annex {

/// The major version of liburing, found out in a simulated world.
int liburing_version();

}  // namespace asyncio::annex
