// The rule by which several errors become one, for all scopes.
//
// A cancellation gives way to errors: the request was to end, and the errors say what went wrong on
// the way. If there are only cancellations, the first one leaves.

#include <asyncio/internal/scopes/joined_errors.h>

#include <asyncio/exceptions.h>

#include <algorithm>
#include <utility>

namespace asyncio::internal {

std::exception_ptr joined_errors(std::vector<std::exception_ptr> errors, const char* message,
                                 SingleError single) {
    std::erase(errors, nullptr);
    if (errors.empty()) return nullptr;
    std::exception_ptr first = errors.front();
    std::erase_if(errors, is_cancellation);
    if (errors.empty()) return first;
    if (errors.size() == 1 && single == SingleError::unchanged) return errors.front();
    return std::make_exception_ptr(ExceptionGroup(message, std::move(errors)));
}

}  // namespace asyncio::internal
