#include "batch/process_group.h"

#include <chrono>
#include <csignal>

#include <sys/wait.h>

// A group is named by a number, and numbers are used again. Ours is safe as long as any process of
// the group is there, its unreaped leader included. Between the end of the last one and our next
// look, at most `between_looks` later, the kernel would have to hand out every other number once
// before it came back to this one.

namespace batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// The end of a group cannot be waited for, as that of a process can; it is looked for. This costs
/// something only when a command is being ended and its shell is dead before the others.
constexpr Duration between_looks = 5ms;

}  // namespace

Coro<int> ProcessGroup::end(const Process& leader, Duration grace) const {
    if (grace > Duration::zero()) {
        signal(SIGTERM);
        // A stopped process gets its SIGTERM only when it goes on.
        signal(SIGCONT);
        co_await wait_until_empty(leader, grace);
    }
    signal(SIGKILL);
    co_return co_await leader.wait();
}

Coro<> ProcessGroup::wait_until_empty(const Process& leader, Duration limit) const {
    const TimePoint deadline = get_running_loop().time() + limit;
    try {
        co_await wait_for(leader.wait(), limit);
    } catch (const TimeoutError&) {
        co_return;
    }
    while (!is_empty() && get_running_loop().time() < deadline) co_await sleep(between_looks);
}

void ProcessGroup::signal(int number) const noexcept { ::kill(-leader_, number); }

bool ProcessGroup::is_empty() const noexcept {
    // Orphans of the group are our children (`descendants.h`), and count until they are reaped.
    while (::waitpid(-leader_, nullptr, WNOHANG) > 0) {
    }
    return ::kill(-leader_, 0) != 0;
}

}  // namespace batch
