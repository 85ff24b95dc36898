// The error of an outcome that was given none.

#include <asyncio/outcome.h>

namespace asyncio {

/// The stand-in for a null pointer where an error was promised: a mistake of the caller, which must
/// reach the code that looks at the outcome and not crash here.
std::exception_ptr internal::no_failure() noexcept {
    return error_with<RuntimeError>(
        "an Outcome failed without an error: the exception_ptr is null; give an exception");
}

}  // namespace asyncio
