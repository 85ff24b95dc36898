#include <asyncio/exit_stack.h>

#include "base/log.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {
namespace {

constexpr auto several = "errors of a body and of its cleanups";

}  // namespace

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
    const std::exception_ptr none;
    Outcome<void> end;
    end.emplace();
    if (std::exception_ptr error = co_await unwind(none)) end.fail(std::move(error));
    co_await internal::LeaveWith{end};
}

namespace {

/// What is on its way out. Where there is no memory to keep an error, `bad_alloc` is what leaves,
/// and the cleanups go on.
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
            // One that lets go what it was given has not failed itself.
            if (left.error() != given) errors.add(left.error());
        } else if (left.value()) {
            errors.clear();
        }
    }
    co_return errors.joined();
}

void internal::throw_body_suppressed() {
    throw RuntimeError("a cleanup has dealt with the error of a body that had a value to return");
}

}  // namespace asyncio
