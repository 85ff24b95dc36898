// Coroutines and Tasks: Creating Tasks
#include <asyncio.h>

#include <set>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

std::set<Task<>> background_tasks;

Coro<> some_coro(int param) {
    co_await sleep(1s + param * 100ms);
    fmt::print("done: {}\n", param);
}

Coro<> amain() {
    for (int i = 0; i < 10; ++i) {
        auto task = create_task(some_coro(i));

        // Add task to the set. (The loop holds a reference of its own here.)
        background_tasks.insert(task);

        // To prevent keeping references to finished tasks forever, make each task remove its own
        // reference from the set after completion:
        task.add_done_callback([](const Task<>& ended) { background_tasks.erase(ended); });
    }
    fmt::print("{}\n", background_tasks.size());
    co_await sleep(3s);
    fmt::print("{}\n", background_tasks.size());
}

int main() { return asyncio::main(amain()); }
