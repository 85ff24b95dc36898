// The current loop of a thread, which counts while no loop runs on it: `get_event_loop`,
// `set_event_loop`.
//
// A thread remembers its current loop by address and by number. The loop may be destroyed on
// another thread, which has no way to inform this thread. The number shows it, because no later
// loop has the same number.

#include <asyncio/event_loop.h>

#include "base/after_fork.h"
#include "base/interrupt.h"
#include "loop/live_loop.h"

#include <memory>
#include <string>

namespace asyncio {
namespace {

struct Current {
    EventLoop* loop = nullptr;
    std::uint32_t number = 0;
    /// `set_event_loop` was called, perhaps with null. From then on `get_event_loop` makes no loop.
    bool set = false;
};

Current& current() noexcept {
    thread_local Current here;
    return here;
}

/// Null if there is none, or it has been destroyed.
EventLoop* current_loop() noexcept {
    const Current& here = current();
    return internal::loop_exists(here.number) ? here.loop : nullptr;
}

/// Never destroyed: when static objects are destroyed it is too late to run the tasks that are left
/// in it.
EventLoop& make_loop_of_main_thread() {
    auto* loop = new EventLoop();
    set_event_loop(*loop);
    return *loop;
}

}  // namespace

/// As in Python up to 3.13, only the main thread gets a loop without asking for one.
EventLoop& get_event_loop() {
    if (internal::here.loop == nullptr && !current().set && internal::on_main_thread())
        return make_loop_of_main_thread();
    return internal::running_or_current_loop("asyncio::get_event_loop()");
}

/// The loop of a parent process cannot be used in a forked child, so the child forgets it.
void set_event_loop(EventLoop& loop) {
    [[maybe_unused]] static const bool told =
        (internal::call_in_forked_children([] { current() = {}; }), true);
    current() = {.loop = &loop, .number = loop.number(), .set = true};
}

void set_event_loop(std::nullptr_t) noexcept {
    current() = {.loop = nullptr, .number = 0, .set = true};
}

/// The running loop first. The current one counts only while no loop runs on this thread.
EventLoop& internal::running_or_current_loop(const char* function) {
    if (here.loop != nullptr) return face_of(*here.loop);
    if (EventLoop* loop = current_loop()) return *loop;
    throw RuntimeError(
        std::string("no running event loop, and no current event loop on this thread: ") +
        function + " needs one");
}

}  // namespace asyncio
