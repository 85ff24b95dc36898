#pragma once
// Parts of the suite that need a process of their own: to refuse it system calls, to count them, to
// kill it.

#include <functional>
#include <span>
#include <string>

namespace asyncio::lowlevel::conformance {

struct ChildEnd {
    int status;        ///< As waitpid(2) gives it.
    std::string text;  ///< What the function returned, or what the process wrote to standard error.
};

/// Runs `body` in a forked child and returns how it ended. The process must have one thread.
ChildEnd in_child(const std::function<std::string()>& body);

/// From now on this process, and what it forks, gets `error` from the `calls`. Cannot be undone.
void refuse_system_calls(std::span<const int> calls, int error);

/// How often the process made one of the `calls` while `body` ran in it. Runs `prepare` before it
/// starts to count.
int count_system_calls(std::span<const int> calls, const std::function<void()>& prepare,
                       const std::function<void()>& body);

}  // namespace asyncio::lowlevel::conformance
