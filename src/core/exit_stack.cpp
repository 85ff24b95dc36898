#include <asyncio/exit_stack.h>

#include "base/log.h"

#include <string>

namespace asyncio {
namespace {

constexpr auto several = "errors of a body and of its cleanups";

}  // namespace

AsyncExitStack::~AsyncExitStack() {
    if (exits_.empty()) return;
    internal::log(LogLevel::error,
                  "an AsyncExitStack was destroyed before " + std::to_string(exits_.size()) +
                      " of its cleanups had run: await its aclose(), or use async_exit_stack()");
}

Coro<> AsyncExitStack::aclose() {
    internal::running_task("AsyncExitStack::aclose()");
    Outcome<void> end;
    end.emplace();
    if (std::exception_ptr error = co_await unwind(nullptr)) end.fail(std::move(error));
    co_await internal::LeaveWith{end};
}

Coro<std::exception_ptr> AsyncExitStack::unwind(std::exception_ptr error) {
    const internal::CancelMask mask(*internal::here.task);
    std::vector<std::exception_ptr> errors;
    if (error != nullptr) errors.push_back(std::move(error));
    while (!exits_.empty()) {
        Exit exit = std::move(exits_.back());
        exits_.pop_back();
        const std::exception_ptr given = internal::joined_errors(errors, several);
        const Outcome<bool> left = co_await internal::settled_call(exit, given);
        if (left.failed()) {
            // One that lets go what it was given has not failed itself.
            if (left.error() != given) errors.push_back(left.error());
        } else if (left.value()) {
            errors.clear();
        }
    }
    co_return internal::joined_errors(std::move(errors), several);
}

void internal::throw_body_suppressed() {
    throw RuntimeError("a cleanup has dealt with the error of a body that had a value to return");
}

}  // namespace asyncio
