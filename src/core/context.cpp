// Identities of context variables. A variable is known by a number and not by its address: a
// context may outlive the variable, and another variable may come to lie at the same address.

#include <asyncio/context.h>

#include <atomic>

namespace asyncio::internal {

/// Variables are usually static objects, and may be constructed on any thread.
std::uint64_t next_context_variable() noexcept {
    static constinit std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void throw_not_set(const std::string& name) {
    throw LookupError("the context variable " + name + " has no value here");
}

}  // namespace asyncio::internal
