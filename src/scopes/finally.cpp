// Several errors into one: the rule that `finally_` and the exit stacks share.
//
// A cancellation gives way to errors: the request was to end, and the errors say what went wrong on
// the way. If there are only cancellations, the first one leaves. One error leaves as itself,
// because a caller that catches its type should not have to look into a group.

#include <asyncio/finally.h>

#include <algorithm>

namespace asyncio::internal {

std::exception_ptr joined_errors(std::vector<std::exception_ptr> errors, const char* message) {
    std::erase(errors, nullptr);
    if (errors.empty()) return nullptr;
    std::exception_ptr first = errors.front();
    std::erase_if(errors, is_cancellation);
    if (errors.empty()) return first;
    if (errors.size() == 1) return errors.front();
    return std::make_exception_ptr(ExceptionGroup(message, std::move(errors)));
}

}  // namespace asyncio::internal
