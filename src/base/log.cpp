// The log: one sink for the whole process, standard error by default.
//
// A line may come from any thread and at any time: from a worker, from the destructor of a static
// object, from the child of a fork, from code that has no memory left. The sink is the user's
// function and may take long, so it is called without any lock held. Three things follow.
//
//  - Each call holds a reference to the sink it calls (`shared_ptr`). Replacing the sink does not
//    wait for calls in progress, and a sink is destroyed when its last call has returned.
//  - The lock protects only the copy of that pointer. `std::atomic<std::shared_ptr>` would do, but
//    in the child of a fork its hidden lock could be held by a thread that does not exist there. A
//    flag of the library's own can be cleared in the child.
//  - The caller gets no exception. An error that the sink throws is dropped: the log is the place
//    to which errors are reported, and there is no further one.

#include "base/log.h"

#include "base/after_fork.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace asyncio {
namespace {

constexpr const char* name_of(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "?";
}

/// The default sink. Errors when writing to standard error are ignored: there is no place left to
/// report them.
void write_to_stderr(LogLevel level, std::string_view line) noexcept {
    if (level < LogLevel::warning && !debug_requested()) return;
    // A single call for the whole line, so that lines of several threads do not mix.
    std::fprintf(stderr, "asyncio %s: %.*s\n", name_of(level), static_cast<int>(line.size()),
                 line.data());
}

/// The present sink, and the flag that protects it. Every call copies the pointer, so replacing the
/// sink need not wait for the calls in progress.
///
/// The lock is held while a pointer is copied. It is a flag and not a mutex, so that the child of a
/// fork can release it in place of a thread that the child does not have.
class SharedSink {
public:
    using Pointer = std::shared_ptr<const LogSink>;

    SharedSink() { internal::call_in_forked_children(&release_in_child); }

    Pointer get() noexcept {
        const Hold hold(busy_);
        return sink_;
    }
    Pointer exchange(Pointer sink) noexcept {
        const Hold hold(busy_);
        sink_.swap(sink);
        return sink;
    }

    /// Never destroyed: destructors of static objects log, too, in an order that is not known.
    static SharedSink& instance() {
        static auto* const sink = new SharedSink();
        return *sink;
    }

private:
    /// A lock that yields while it waits. It is held for a few instructions, so sleeping would cost
    /// more than waiting.
    class Hold {
    public:
        explicit Hold(std::atomic_flag& busy) noexcept : busy_(busy) {
            while (busy_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
        }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        ~Hold() { busy_.clear(std::memory_order_release); }

    private:
        std::atomic_flag& busy_;
    };

    static void release_in_child() { instance().busy_.clear(); }

    std::atomic_flag busy_;
    Pointer sink_ = std::make_shared<const LogSink>(&write_to_stderr);
};

}  // namespace

/// Returns the sink that was replaced. The copy is made outside the lock, since copying a user's
/// function may do anything.
LogSink set_log_sink(LogSink sink) {
    if (!sink) sink = &write_to_stderr;
    return *SharedSink::instance().exchange(std::make_shared<const LogSink>(std::move(sink)));
}

/// Asked once per process: getenv(3) is not safe while another thread changes the environment.
bool debug_requested() noexcept {
    static const bool requested = [] {
        const char* value = std::getenv("ASYNCIO_DEBUG");
        return value != nullptr && *value != '\0' && std::string_view(value) != "0";
    }();
    return requested;
}

void internal::log(LogLevel level, std::string_view line) noexcept {
    try {
        (*SharedSink::instance().get())(level, line);
    } catch (...) {
        // The log is the last place to which an error is reported.
    }
}

}  // namespace asyncio
