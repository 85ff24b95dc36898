// Subprocesses
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;

Coro<> run_command(std::string cmd) {
    Process proc = co_await create_subprocess_shell(cmd, {.stdout = PIPE});
    auto out = (co_await proc.communicate()).stdout;
    out.resize(out.find_last_not_of('\n') + 1);
    fmt::print("['{}' exited with {}] {}\n", cmd, *proc.returncode(), out);
}

Coro<> amain() { co_await gather(run_command("exit 2"), run_command("sleep 0.3; echo \"hello\"")); }

int main() { return asyncio::main(amain()); }
