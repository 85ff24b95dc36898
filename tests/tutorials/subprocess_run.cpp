// Subprocesses
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

Coro<> run_command(std::string cmd) {
    Process proc = co_await create_subprocess_shell(cmd, {.stdout = PIPE, .stderr = PIPE});

    auto [stdout, stderr] = co_await proc.communicate();

    fmt::print("['{}' exited with {}]\n", cmd, *proc.returncode());
    if (!stdout.empty()) fmt::print("[stdout]\n{}\n", stdout);
    if (!stderr.empty()) fmt::print("[stderr]\n{}\n", stderr);
}

int main() { return asyncio::main(run_command("echo hello; echo hi >&2; exit 3")); }
