#include <asyncio/internal/uncaught.h>

#include <asyncio/coro.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/task_core.h>
#include <asyncio/run.h>

#include "core/await_tree.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <source_location>
#include <string>
#include <string_view>
#include <typeinfo>

#include <cxxabi.h>

namespace asyncio::internal {
namespace {

// The way of an error.

const void* object_of(const std::exception_ptr& error) noexcept {
    return *reinterpret_cast<const void* const*>(&error);
}

/// The frames an error has left, and those that wait for them: innermost first. It holds addresses
/// only, for it must not keep the error alive.
struct Trail {
    static constexpr std::size_t longest = 32;
    struct Passage {
        const PromiseBase* frame;
        std::source_location where;
    };

    /// Whether `frame` is one of those behind the frame that was left last.
    bool goes_on_at(const PromiseBase& frame) noexcept {
        for (std::size_t next = left; next < count; ++next) {
            if (passages[next].frame != &frame) continue;
            left = next + 1;
            return true;
        }
        return false;
    }
    /// The last known frame was started inside the step of whoever awaits it, so it did not know
    /// by whom.
    bool ends_openly(const TaskCore* in) const noexcept {
        return in == task && left == count && count < longest;
    }
    void add_all(const PromiseBase& from) noexcept {
        left = count + 1;
        for (const PromiseBase* frame = &from; frame != nullptr && count < longest;
             frame = frame->caller)
            passages[count++] = {frame, frame->where};
    }

    const void* error = nullptr;
    const TaskCore* task = nullptr;
    std::size_t count = 0;
    /// How many of them the error has left.
    std::size_t left = 0;
    std::array<Passage, longest> passages{};
};

constinit thread_local Trail trail{};
/// Of the error that left `run` last on this thread.
constinit thread_local Trail left_run{};
/// How many of the frames on this thread's stack are those that an error of `run` leaves.
constinit thread_local unsigned frames_left = 0;

// What is said.

std::string type_name(const std::type_info* type) {
    if (type == nullptr) return "an error of unknown type";
    int status = 0;
    char* const readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    std::string name = readable != nullptr ? readable : type->name();
    std::free(readable);
    return name;
}

std::string type_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (...) {
        return type_name(abi::__cxa_current_exception_type());
    }
}

std::string places(const Trail& way) {
    std::string text;
    for (std::size_t index = 0; index < way.count; ++index) {
        const std::source_location& place = way.passages[index].where;
        if (place.line() == 0 || is_own(place)) continue;  // it has awaited nothing, or is a scope
        append_place(text, place);
    }
    return text;
}

// The end.

std::atomic<std::terminate_handler> next_handler{nullptr};

bool is_interrupt(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const KeyboardInterrupt&) {
        return true;
    } catch (...) {
        return false;
    }
}

void at_terminate() {
    const std::exception_ptr error = std::current_exception();
    if (error != nullptr) {
        if (is_interrupt(error)) end_by_interrupt();
        if (frames_left > 0) report_uncaught(error);
    }
    if (const std::terminate_handler next = next_handler.load()) next();
    std::abort();
}

}  // namespace

void note_passage(const std::exception_ptr& error, const PromiseBase& frame) noexcept {
    const void* const object = object_of(error);
    if (trail.error == object) {
        if (trail.goes_on_at(frame)) return;
        if (trail.ends_openly(here.task)) return trail.add_all(frame);
    }
    trail.error = object;
    trail.task = here.task;
    trail.count = 0;
    trail.add_all(frame);
    trail.left = 1;
}

void error_leaves_run(const std::exception_ptr& error) noexcept {
    if (trail.error == object_of(error)) {
        left_run = trail;
    } else {
        left_run.count = 0;
    }
    left_run.error = object_of(error);
    const std::terminate_handler present = std::get_terminate();
    if (present == &at_terminate) return;
    next_handler = present;
    std::set_terminate(&at_terminate);
}

LeavingRun::LeavingRun() noexcept { ++frames_left; }
LeavingRun::~LeavingRun() { --frames_left; }

void report_uncaught(const std::exception_ptr& error) noexcept {
    try {
        std::string text =
            "uncaught error of the main coroutine: " + type_of(error) + ": " + describe(error);
        if (object_of(error) == left_run.error) text += places(left_run);
        std::fputs((text + "\n").c_str(), stderr);
    } catch (...) {
        std::fputs("uncaught error of the main coroutine\n", stderr);
    }
}

void end_by_interrupt() noexcept {
    std::cout.flush();
    std::clog.flush();
    std::fflush(nullptr);
    std::signal(SIGINT, SIG_DFL);
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
    std::raise(SIGINT);
    std::_Exit(128 + SIGINT);  // a debugger, say, has kept the signal
}

}  // namespace asyncio::internal
