// Waiting or computing? Two kinds of work, each done in four ways, and a table of the times.
//
// The first kind waits: many small downloads. (A download is replaced by a wait, so that the
// program needs no network and its times can be compared.) The second kind computes: sums of
// squares, modulo a prime. Each kind is done one by one, on threads, on one loop, and on worker
// processes.
//
// The table shows: a loop speeds up work that waits, with a single thread. It does not speed up
// work that computes, because a single thread does all of it. Threads and processes speed up both,
// as far as there are enough threads or processors. (In Python threads do not speed up computing.)

#include <asyncio.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/core.h>

using asyncio::Coro;
using asyncio::Duration;

constexpr const char* usage =
    "usage: waiting_or_computing [DOWNLOADS [MILLISECONDS [SUMS [UP_TO]]]]\n"
    "  DOWNLOADS     how many, each of which waits for MILLISECONDS; 60 of 20 if not given\n"
    "  SUMS          how many, each of the squares up to UP_TO; 20 of 5000000 if not given\n";

/// The number of threads, and of processes. It is large enough for waiting; computing gains only as
/// far as there are processors.
constexpr std::size_t workers = 10;

// The work, as functions for threads and processes, and as coroutines for a loop.

int download(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    return milliseconds;
}

Coro<int> download_on_loop(int milliseconds) {
    co_await asyncio::sleep(std::chrono::milliseconds(milliseconds));
    co_return milliseconds;
}

int sum_of_squares(int up_to) {
    std::int64_t sum = 0;
    for (std::int64_t i = 1; i <= up_to; ++i) sum = (sum + i * i) % 1'000'000'007;
    return static_cast<int>(sum);
}

/// A coroutine that never waits: no other task runs until it has returned.
Coro<int> sum_on_loop(int up_to) { co_return sum_of_squares(up_to); }

struct Work {
    std::string_view name;
    int (*function)(int);
    Coro<int> (*coroutine)(int);
    int argument;
    std::size_t count;
};

// The ways.

std::vector<int> one_after_another(const Work& work) {
    std::vector<int> results(work.count);
    for (int& result : results) result = work.function(work.argument);
    return results;
}

template <class Pool>
Coro<std::vector<int>> in_pool(const Work& work, Pool& pool) {
    // All jobs are started before the first is awaited.
    std::vector<asyncio::Future<int>> futures(work.count);
    for (asyncio::Future<int>& future : futures)
        future = asyncio::get_running_loop().run_in_executor(pool, work.function, work.argument);
    std::vector<int> results;
    results.reserve(work.count);
    for (const asyncio::Future<int>& future : futures) results.push_back(co_await future);
    co_return results;
}

std::vector<int> on_threads(const Work& work) {
    asyncio::ThreadPoolExecutor pool({.max_workers = workers});
    return asyncio::run(in_pool(work, pool));
}

std::vector<int> on_processes(const Work& work) {
    asyncio::ProcessPoolExecutor pool({.max_workers = workers});
    return asyncio::run(in_pool(work, pool));
}

std::vector<int> on_one_loop(const Work& work) {
    const auto all = [&]() -> Coro<std::vector<int>> {
        std::vector<Coro<int>> coroutines;
        coroutines.reserve(work.count);
        for (std::size_t i = 0; i < work.count; ++i)
            coroutines.push_back(work.coroutine(work.argument));
        co_return co_await asyncio::gather(std::move(coroutines));
    };
    return asyncio::run(all());
}

struct Way {
    std::string_view name;
    std::vector<int> (*run)(const Work& work);
};

constexpr Way ways[] = {{"one after another", &one_after_another},
                        {"on threads", &on_threads},
                        {"on one loop", &on_one_loop},
                        {"on processes", &on_processes}};

// The table.

bool compare(const Work& work) {
    fmt::print("{}\n", work.name);
    std::vector<int> expected;
    double first = 0;
    for (const Way& way : ways) {
        const auto start = asyncio::Clock::now();
        const std::vector<int> results = way.run(work);
        const std::chrono::duration<double> taken = asyncio::Clock::now() - start;
        if (expected.empty()) {
            expected = results;
            first = taken.count();
        }
        if (results != expected) return false;
        fmt::print("  {:<18}{:8.3f} s  {:6.2f} times as fast\n", way.name, taken.count(),
                   first / taken.count());
    }
    return true;
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    int numbers[] = {60, 20, 20, 5'000'000};
    const std::span<char*> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
    if (arguments.size() > std::size(numbers)) return fmt::print("{}", usage), 2;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        numbers[i] = std::atoi(arguments[i]);
        if (numbers[i] <= 0) {
            fmt::print("{}", usage);
            return arguments[i] == std::string_view("--help") ? 0 : 2;
        }
    }
    const Work waiting{"waiting", &download, &download_on_loop, numbers[1],
                       static_cast<std::size_t>(numbers[0])};
    const Work computing{"computing", &sum_of_squares, &sum_on_loop, numbers[3],
                         static_cast<std::size_t>(numbers[2])};
    if (compare(waiting) && compare(computing)) return 0;
    fmt::print("the results differ\n");
    return 1;
}
