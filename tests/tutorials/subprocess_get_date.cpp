// Subprocesses: Examples
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

Coro<std::string> get_date() {
    // Create the subprocess; redirect the standard output into a pipe.
    Process proc =
        co_await create_subprocess_exec("date", "-d", "@0", "-u", "+%F", {.stdout = PIPE});

    // Read one line of output.
    std::string line = co_await proc.stdout.readline();
    line.pop_back();

    // Wait for the subprocess exit.
    co_await proc.wait();
    co_return line;
}

int main() {
    std::string date = run(get_date());
    fmt::print("Current date: {}\n", date);
}
