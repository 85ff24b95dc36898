// Tutorials: a batch of commands with a time limit
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<std::string> run_command(std::string command) {
    Process proc = co_await create_subprocess_shell(
        command,
        {.stdout = PIPE, .stderr = PIPE, .start_new_session = true, .end_group_at_exit = true});
    try {
        co_await wait_for(proc.communicate(), 1s);
        co_return "complete: " + command;
    } catch (const TimeoutError&) {
        proc.kill();
    }
    co_await proc.wait();
    co_return "timeout: " + command;
}

Coro<> amain() {
    const char* commands[] = {"sleep 0.1 && echo hello", "echo world", "exec sleep 500"};
    for (std::string line : co_await map_concurrent(commands, run_command))
        fmt::print("{}\n", line);
}

int main() { return asyncio::main(amain()); }
