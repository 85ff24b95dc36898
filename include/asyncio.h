#pragma once
// The whole library.

#include <asyncio/as_completed.h>
#include <asyncio/context.h>
#include <asyncio/coro.h>
#include <asyncio/debug.h>
#include <asyncio/event_loop.h>
#include <asyncio/exceptions.h>
#include <asyncio/executor.h>
#include <asyncio/exit_stack.h>
#include <asyncio/finally.h>
#include <asyncio/future.h>
#include <asyncio/gather.h>
#include <asyncio/outcome.h>
#include <asyncio/queue.h>
#include <asyncio/run.h>
#include <asyncio/shield.h>
#include <asyncio/sleep.h>
#include <asyncio/streams.h>
#include <asyncio/subprocess.h>
#include <asyncio/sync.h>
#include <asyncio/task.h>
#include <asyncio/task_group.h>
#include <asyncio/thread_future.h>
#include <asyncio/thread_queue.h>
#include <asyncio/timeout.h>
#include <asyncio/wait.h>
