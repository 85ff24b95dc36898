#pragma once
// Locks, events, conditions, semaphores and barriers: what tasks of one loop coordinate with.
//
// Each is a header of its own; this one is for who wants them all, as Python's documentation has
// them on one page. They share their rules: who waits is served in the order of arrival, nobody is
// overtaken, a cancelled waiter passes on what it was given, waiting allocates nothing, and what
// need not wait does not go through the loop.

#include <asyncio/barrier.h>
#include <asyncio/condition.h>
#include <asyncio/event.h>
#include <asyncio/lock.h>
#include <asyncio/semaphore.h>
