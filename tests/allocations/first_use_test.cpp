// The first use of the library in a process, with every allocation failing once. In other sweeps
// what is made once per process is there before. How it is done is told in sweep.cpp.

#include <asyncio/executor.h>
#include <asyncio/gather.h>
#include <asyncio/subprocess.h>

#include "parts.h"
#include "sweep.h"

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

Coro<> with_errors() {
    get_running_loop().call_soon([] { throw std::logic_error(long_text); });
    co_await gather(part(1), part(2));
}

Coro<> with_a_thread() {
    require(co_await to_thread([] { return 3; }) == 3, "result");
}

Coro<> with_a_process() {
    Process process = co_await create_subprocess_exec("true");
    co_await process.wait();
}

Coro<> with_a_slow_step() {
    get_running_loop().slow_callback_duration = 0s;
    get_running_loop().call_soon([] {});
    co_await part(1);
}

}  // namespace

TEST(allocations, first_run_of_a_process) {
    sweep_first_use("run", [] { run(with_errors()); });
}

TEST(allocations, first_thread_of_a_process) {
    sweep_first_use("thread", [] { run(with_a_thread()); });
}

TEST(allocations, first_child_of_a_process) {
    sweep_first_use("child", [] { run(with_a_process()); });
}

TEST(allocations, first_run_of_a_process_in_debug_mode) {
    sweep_first_use("debug mode", [] { run(with_a_slow_step(), {.debug = true}); });
}
