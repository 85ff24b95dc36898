#pragma once
// In debug mode: notices a step that blocks the loop for too long, and says where it was stuck.
//
// The duration of a step is known when it ends; the place where it was stuck can be seen only while
// it runs. `StallWatch` knows both. Real time counts on every back-end: a step that blocks its
// thread does not move the clock of a simulated world, and still blocks. Outside debug mode this
// class is one test of a flag.

#include <asyncio/lowlevel/loop.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::internal {

class StallWatch;

class StepWatch {
public:
    /// Made by the function that runs the step, and always inlined there: the part of the stack
    /// that matters is below that function's frame. `describe` writes what runs, if the watcher
    /// looks at the step while it runs; see `StallWatch::Describe`.
    using Describe = std::size_t (*)(std::span<char> text) noexcept;
    [[gnu::always_inline]] StepWatch(const lowlevel::Loop& loop, Describe describe) noexcept {
        if (loop.get_debug()) [[unlikely]]
            begin(loop.slow_callback_duration, __builtin_frame_address(0), describe);
    }
    /// Writes a fixed text, for steps that have no name of their own.
    template <std::size_t size>
    static std::size_t write(std::span<char> text, const char (&what)[size]) noexcept {
        return std::string_view(what).copy(text.data(), text.size());
    }

    /// `describe()` names what ran. It is called only when the step was slow.
    template <class Describe>
    void end(Describe&& describe) const noexcept {
        if (stall_watch_ == nullptr) [[likely]]
            return;
        const Duration held = stop();
        if (held <= limit_) return;
        try {
            report(describe(), held);
        } catch (...) {
            report_without_memory();
        }
    }

private:
    void begin(Duration limit, const void* stack_end, Describe describe) noexcept;
    Duration stop() const noexcept;
    void report(const std::string& what, Duration held) const;
    static void report_without_memory() noexcept;

    /// Null outside debug mode.
    StallWatch* stall_watch_ = nullptr;
    /// `slow_callback_duration` when the step began.
    Duration limit_{};
};

}  // namespace asyncio::internal
