#pragma once
// The whole of asyncio::testing: what a test of a program of asyncio needs.
//
// A name of the namespace `asyncio::testing` and GoogleTest's `testing` can be confused in a file
// that has `using namespace asyncio;`. Write `::testing::Test` there.

#include <asyncio/testing/assertion_error.h>
#include <asyncio/testing/check_stream.h>
#include <asyncio/testing/fault_plan.h>
#include <asyncio/testing/log_capture.h>
#include <asyncio/testing/memory_stream.h>
#include <asyncio/testing/network.h>
#include <asyncio/testing/probe_backend.h>
#include <asyncio/testing/seed.h>
#include <asyncio/testing/simulate.h>
#include <asyncio/testing/test_loop.h>
