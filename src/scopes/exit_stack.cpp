// A stack of cleanups: the order in which they run, and the error that leaves when some of them
// fail.
//
// The cleanups run from the last one pushed to the first, all of them under one mask: a request to
// cancel waits until the last cleanup has ended. A cleanup is taken off the stack before it runs,
// so it runs once, even if it fails or asks for the stack again.
//
// Each cleanup is given the error that would leave at that moment: first the body's, then the
// result of the cleanups that have run. It may answer in four ways:
// - It ends with a value that is false: the error stays as it is.
// - It ends with true: the error is dealt with, and the next cleanup sees none.
// - It throws the error that it was given: no new error has come.
// - It throws another error: both are kept, and leave together as one ExceptionGroup. In Python the
//   second error leaves, and the first is its context; here no error is hidden.

#include <asyncio/exit_stack.h>

#include "base/log.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {
namespace {

// The message of the group in which several errors leave.
constexpr auto several = "errors of a body and of its cleanups";

}  // namespace

/// A destructor cannot await, so the cleanups cannot run here. Their callables are destroyed
/// unused, which is a mistake of the program.
AsyncExitStack::~AsyncExitStack() {
    if (exits_.empty()) return;
    internal::log(LogLevel::error, "an AsyncExitStack was destroyed before its cleanups had run",
                  [count = exits_.size()] {
                      return "an AsyncExitStack was destroyed before " + std::to_string(count) +
                             " of its cleanups had run: await its aclose(), or use "
                             "async_exit_stack()";
                  });
}

Coro<> AsyncExitStack::aclose() {
    internal::running_task("AsyncExitStack::aclose()");
    // No body has failed here; the errors are those of the cleanups only.
    const std::exception_ptr none;
    Outcome<void> end;
    end.emplace();
    if (std::exception_ptr error = co_await unwind(none)) end.fail(std::move(error));
    co_return co_await internal::leave_with(end);
}

namespace {

/// The errors that would leave at this moment. Without memory to keep an error, `bad_alloc` is what
/// leaves, and the cleanups continue: they matter more than the report.
class Errors {
public:
    void add(std::exception_ptr error) noexcept {
        try {
            errors_.push_back(std::move(error));
        } catch (...) {
            without_memory_ = std::current_exception();
        }
    }
    void clear() noexcept {
        errors_.clear();
        without_memory_ = nullptr;
    }
    /// Called for every cleanup, because each is given the error that would leave at that moment.
    std::exception_ptr joined() const noexcept {
        if (without_memory_ != nullptr) return without_memory_;
        try {
            return internal::joined_errors(errors_, several);
        } catch (...) {
            return std::current_exception();
        }
    }

private:
    std::vector<std::exception_ptr> errors_;
    std::exception_ptr without_memory_;
};

}  // namespace

/// Returns the error instead of throwing it, so that the caller throws once, in the frame of the
/// program's await.
Coro<std::exception_ptr> AsyncExitStack::unwind(const std::exception_ptr& body_error) {
    const internal::CancelMask mask(*internal::here.task);
    Errors errors;
    if (body_error != nullptr) errors.add(body_error);
    while (!exits_.empty()) {
        Exit exit = std::move(exits_.back());
        exits_.pop_back();
        const std::exception_ptr given = errors.joined();
        const Outcome<bool> left = co_await internal::settled_call(exit, given);
        if (left.failed()) {
            // A cleanup that passes on the error that it was given has not failed itself.
            if (left.error() != given) errors.add(left.error());
        } else if (left.value()) {
            errors.clear();
        }
    }
    co_return errors.joined();
}

}  // namespace asyncio
