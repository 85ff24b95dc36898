// Coroutines and Tasks: Running in Threads
#include <asyncio.h>

#include <thread>

#include <fmt/chrono.h>
using namespace asyncio;
using namespace std::chrono_literals;

void blocking_io() {
    fmt::print("start blocking_io at {:%X}\n", fmt::localtime(std::time(nullptr)));
    // Note that sleep_for() can be replaced with any blocking IO-bound operation, such as file
    // operations.
    std::this_thread::sleep_for(100ms);
    fmt::print("blocking_io complete at {:%X}\n", fmt::localtime(std::time(nullptr)));
}

Coro<> amain() {
    fmt::print("started main at {:%X}\n", fmt::localtime(std::time(nullptr)));

    co_await gather(to_thread(blocking_io), sleep(200ms));

    fmt::print("finished main at {:%X}\n", fmt::localtime(std::time(nullptr)));
}

int main() { return asyncio::main(amain()); }
