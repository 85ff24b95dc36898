#pragma once
// Locks, events, conditions, semaphores and barriers: the means by which tasks of one loop
// coordinate.
//
// Each has a header of its own; this one includes them all, as Python's documentation has them on
// one page. They share their rules. Waiters are served in the order of arrival, and no newcomer
// overtakes them. A cancelled waiter passes on what it was given. Waiting allocates nothing. A call
// that need not wait does not yield to the loop.

#include <asyncio/barrier.h>
#include <asyncio/condition.h>
#include <asyncio/event.h>
#include <asyncio/lock.h>
#include <asyncio/semaphore.h>
