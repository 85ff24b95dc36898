// How the error that ends a program is reported, and how a signal ends it.
//
// The report shows the awaits that the error came through. When it is known that the error is
// uncaught, in `std::terminate`, the frames have gone. So every coroutine that an error leaves
// notes its place in a record of the thread (`Trail`). One record per thread is enough, because
// only the last error is of interest; a new error overwrites it. The cost is a few stores for an
// error, which is far less than the throw.
//
// A frame knows the coroutine that awaits it only if it has ever been suspended: a child that ends
// within its parent's step has no `caller`. So the chain behind a frame may be incomplete at first.
// When the error leaves the next frame, that one is found behind the last known frame, or is
// appended if the chain has ended openly in the same task.
//
// The handler of `std::terminate` is installed only when an error leaves `run`, and it calls the
// handler that was there before. A program that catches what leaves `run` sees no difference.
// `frames_left` is above zero while the stack is inside a call of `run` that an error is leaving:
// so an unrelated `std::terminate` reports nothing.

#include <asyncio/internal/core/uncaught.h>

#include <asyncio/coro.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/core/task_core.h>
#include <asyncio/run.h>

#include "base/signal_handler.h"
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

// The path of an error.

/// The address of the thrown object, which identifies an error without keeping it alive. The
/// standard library keeps it as the only member of `std::exception_ptr`.
const void* object_of(const std::exception_ptr& error) noexcept {
    return *reinterpret_cast<const void* const*>(&error);
}

/// The frames that an error has left, and those that await them, innermost first. The record holds
/// addresses only: it must not keep the error alive.
struct Trail {
    static constexpr std::size_t longest = 32;
    struct Passage {
        const PromiseBase* frame;
        std::source_location where;
    };

    /// Whether `frame` is among the known frames behind the one that was left last. Frames in
    /// between may be skipped: a scope passes an error on as an `Outcome`, without a throw, and
    /// notes nothing.
    bool goes_on_at(const PromiseBase& frame) noexcept {
        for (std::size_t next = left; next < count; ++next) {
            if (passages[next].frame != &frame) continue;
            left = next + 1;
            return true;
        }
        return false;
    }
    /// The last known frame was started inside its parent's step, so it did not know its parent.
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
    /// How many of the passages the error has left.
    std::size_t left = 0;
    std::array<Passage, longest> passages{};
};

constinit thread_local Trail trail{};
/// The trail of the error that left `run` last on this thread.
constinit thread_local Trail left_run{};
/// How many frames of `run` an error is leaving on this thread's stack.
constinit thread_local unsigned frames_left = 0;

// The text of a report.

/// The name as a programmer writes it, or the compiler's own if that fails.
std::string type_name(const std::type_info* type) {
    if (type == nullptr) return "an error of unknown type";
    int status = 0;
    char* const readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    std::string name = readable != nullptr ? readable : type->name();
    std::free(readable);
    return name;
}

/// The type can be asked for only inside a handler, so the error is thrown once more.
std::string type_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (...) {
        return type_name(abi::__cxa_current_exception_type());
    }
}

/// The places of the program's awaits. Frames of the library's scopes are left out.
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

/// The signal that the error stands for; 0 if it is an ordinary error.
int signal_of(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const KeyboardInterrupt&) {
        return SIGINT;
    } catch (const Terminated& terminated) {
        return terminated.signal();
    } catch (...) {
        return 0;
    }
}

/// The last code that runs. An error that stands for a signal does not come back from here. Any
/// other error is reported and then given to the handler that was installed before, which ends the
/// program.
void at_terminate() {
    const std::exception_ptr error = std::current_exception();
    if (error != nullptr) {
        if (const int signal = signal_of(error)) end_by_signal(signal);
        if (frames_left > 0) report_uncaught(error);
    }
    if (const std::terminate_handler next = next_handler.load()) next();
    std::abort();
}

}  // namespace

/// Called for every coroutine that an error leaves, so it does little: the usual case is one
/// comparison and one step along the known chain.
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

/// The handler is installed here, and not at the start of a run, so that a program without such an
/// error keeps its own. A program that installs another handler later keeps that one until the next
/// error.
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

/// Goes to standard error, where the runtime library also reports an uncaught exception.
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

/// Ends the process by the signal itself and not by an exit code, so that the parent process sees
/// it: a shell stops its script after Ctrl-C, and a service manager sees the signal that it has
/// sent. Buffered output is flushed first, because the default action of the signal does not do it.
void end_by_signal(int signal) noexcept {
    std::cout.flush();
    std::clog.flush();
    std::fflush(nullptr);
    end_process_by(signal);
}

}  // namespace asyncio::internal
