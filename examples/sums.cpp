// Two slow sums, computed in three ways: without coroutines, with coroutines that block, and with
// coroutines that wait correctly.
//
// The second way is a common mistake: a coroutine calls a function that blocks the thread. The
// compiler does not warn of it; only the time shows it. Debug mode names the line:
//   ASYNCIO_DEBUG=1 sums blocking

#include <asyncio.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/core.h>

using asyncio::Coro;
using asyncio::TimePoint;

constexpr const char* usage =
    "usage: sums [WAY [SECONDS]]\n"
    "  WAY      plain, blocking or async; all three if not given\n"
    "  SECONDS  how long a second of this program takes; 1 if not given\n";

std::chrono::duration<double> second(1);
TimePoint start;

void print_time(TimePoint now) { fmt::print("Time: {:.2f}\n", (now - start) / second); }

void print_step(std::string_view name, int total, int number) {
    fmt::print("Task {}: Computing {}+{}\n", name, total, number);
}

void print_result(std::string_view name, int total) {
    fmt::print("Task {}: Sum = {}\n\n", name, total);
}

void print_end(TimePoint now) { fmt::print("Time: {:.2f} sec\n", (now - start) / second); }

// Plain functions: the second sum starts after the first.

void plain_sleep() {
    print_time(asyncio::Clock::now());
    std::this_thread::sleep_for(second);
}

void plain_sum(std::string_view name, const std::vector<int>& numbers) {
    int total = 0;
    for (const int number : numbers) {
        print_step(name, total, number);
        plain_sleep();
        total += number;
    }
    print_result(name, total);
}

void plain() {
    start = asyncio::Clock::now();
    plain_sum("A", {1, 2});
    plain_sum("B", {1, 2, 3});
    print_end(asyncio::Clock::now());
}

// Coroutines whose sleep blocks the thread. Meanwhile no other task runs. So the two sums run one
// after the other, even as tasks.

Coro<> blocking_sleep() {
    print_time(asyncio::Clock::now());
    std::this_thread::sleep_for(second);
    co_return;
}

Coro<> blocking_sum(std::string_view name, std::vector<int> numbers) {
    int total = 0;
    for (const int number : numbers) {
        print_step(name, total, number);
        co_await blocking_sleep();
        total += number;
    }
    print_result(name, total);
}

Coro<> blocking() {
    start = asyncio::Clock::now();
    auto a = asyncio::create_task(blocking_sum("A", std::vector{1, 2}));
    auto b = asyncio::create_task(blocking_sum("B", std::vector{1, 2, 3}));
    co_await a;
    co_await b;
    print_end(asyncio::Clock::now());
}

// Coroutines that wait correctly: while one of them sleeps, the other runs.

Coro<> async_sleep() {
    print_time(asyncio::get_running_loop().time());
    co_await asyncio::sleep(second);
}

Coro<> async_sum(std::string_view name, std::vector<int> numbers) {
    int total = 0;
    for (const int number : numbers) {
        print_step(name, total, number);
        co_await async_sleep();
        total += number;
    }
    print_result(name, total);
}

Coro<> async() {
    start = asyncio::get_running_loop().time();
    auto a = asyncio::create_task(async_sum("A", std::vector{1, 2}));
    auto b = asyncio::create_task(async_sum("B", std::vector{1, 2, 3}));
    co_await a;
    co_await b;
    print_end(asyncio::get_running_loop().time());
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string_view way = argc > 1 ? argv[1] : "all";
    if (argc > 2) second = std::chrono::duration<double>(std::atof(argv[2]));

    if (way != "all" && way != "plain" && way != "blocking" && way != "async") {
        fmt::print("{}", usage);
        return way == "--help" ? 0 : 2;
    }
    if (way == "all" || way == "plain") plain();
    if (way == "all" || way == "blocking") asyncio::run(blocking());
    if (way == "all" || way == "async") asyncio::run(async());
}
