// Queues: Examples
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

Coro<> worker(std::string name, Queue<Duration>& queue) {
    while (true) {
        // Get a "work item" out of the queue.
        Duration sleep_for = co_await queue.get();

        // Sleep for the "sleep_for" seconds.
        co_await sleep(sleep_for);

        // Notify the queue that the "work item" has been processed.
        queue.task_done();

        fmt::print("{} has slept for {:.2f} seconds\n", name, Seconds(sleep_for).count());
    }
}

Coro<> amain() {
    // Create a queue that we will use to store our "workload".
    Queue<Duration> queue;

    // Generate timings and put them into the queue.
    Duration total_sleep_time{};
    for (int number = 0; number < 20; ++number) {
        Duration sleep_for = 50ms + number * 10ms;
        total_sleep_time += sleep_for;
        queue.put_nowait(sleep_for);
    }
    // Create three worker tasks to process the queue concurrently.
    std::vector<Task<>> tasks;
    for (int i = 0; i < 3; ++i) {
        tasks.push_back(create_task(worker(fmt::format("worker-{}", i), queue)));
    }
    // Wait until the queue is fully processed.
    EventLoop& loop = get_running_loop();
    auto started_at = loop.time();
    co_await queue.join();
    Seconds total_slept_for = loop.time() - started_at;

    // Cancel our worker tasks.
    for (auto& task : tasks) task.cancel();
    // Wait until all worker tasks are cancelled.
    co_await gather_settled(tasks);

    fmt::print("====\n");
    fmt::print("3 workers slept in parallel for {:.2f} seconds\n", total_slept_for.count());
    fmt::print("total expected sleep time: {:.2f} seconds\n", Seconds(total_sleep_time).count());
}

int main() { return asyncio::main(amain()); }
