// Coroutines and Tasks: Terminating a Task Group
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> job(int task_id, Duration sleep_time) {
    fmt::print("Task {}: start\n", task_id);
    co_await sleep(sleep_time);
    fmt::print("Task {}: done\n", task_id);
}

Coro<> amain() {
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        // spawn some tasks
        group.create_task(job(1, 500ms));
        group.create_task(job(2, 1500ms));
        // sleep for 1 second
        co_await sleep(1s);
        // a group can be told to end: it needs no exception that is raised to be caught
        group.cancel();
    });
}

int main() { return asyncio::main(amain()); }
