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

void write_to_stderr(LogLevel level, std::string_view line) noexcept {
    if (level < LogLevel::warning && !debug_requested()) return;
    // One call for the whole line: lines of several threads do not mix.
    std::fprintf(stderr, "asyncio %s: %.*s\n", name_of(level), static_cast<int>(line.size()),
                 line.data());
}

/// The sink. Every call holds a reference to it, so replacing it need not wait for the calls in
/// progress.
///
/// The lock is held for the copy of a pointer. It is a flag and not a mutex, so that the child of a
/// fork can release it for a thread that the child does not have.
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

    /// Never destroyed: destructors of statics log, too.
    static SharedSink& instance() {
        static auto* const sink = new SharedSink();
        return *sink;
    }

private:
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

LogSink set_log_sink(LogSink sink) {
    if (!sink) sink = &write_to_stderr;
    return *SharedSink::instance().exchange(std::make_shared<const LogSink>(std::move(sink)));
}

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
