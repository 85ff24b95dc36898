// The await tree as text: where each task stands and what it waits for. It is printed for a
// deadlock, for a circle of waits, and on request (`format_tasks`).
//
// Every frame of the library's coroutines has a pointer to the frame that awaits it (`caller`) and
// the source location of its current `co_await` (`where`). A task that is not running has a pointer
// to its innermost frame. So the tree needs no bookkeeping at run time: these pointers exist
// anyway, and the report only reads them.
//
// In debug mode every wait for a future is also checked for a circle, at the moment in which the
// wait would close it. The library looks at all futures that the task would wait for, directly and
// through others. If the task itself is among them, the wait closes a circle. Tasks in a circle
// wait for ever, and on a real back-end the program would hang without any message.

#include "core/await_tree.h"

#include <asyncio/future.h>
#include <asyncio/task.h>

#include "base/log.h"
#include "machine/call_stack.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {
namespace internal {

void append_place(std::string& text, const std::source_location& place) {
    std::string function = short_function_name(place.function_name());
    // Some compilers write an unnamed namespace in another way than the one `short_function_name`
    // removes.
    constexpr std::string_view unnamed = "{anonymous}::";
    for (auto at = function.find(unnamed); at != function.npos; at = function.find(unnamed))
        function.erase(at, unnamed.size());
    text += std::string("\n        at ") + place.file_name() + ":" + std::to_string(place.line()) +
            " in " + (function.empty() ? place.function_name() : function);
}

/// Frames of the library's scopes stand between those of the program, and would only confuse its
/// reader.
bool is_own(const std::source_location& place) noexcept {
    try {
        return short_function_name(place.function_name()).starts_with("asyncio::internal::");
    } catch (const std::bad_alloc&) {
        return false;
    }
}

namespace {

/// Limits of the text: a longer tree would not be read. Of a longer chain of frames both ends are
/// shown, because the beginning says what waits and the end says why.
constexpr std::size_t most_tasks = 1000;
constexpr std::size_t most_frames = 40;

/// Two passes: the number of frames must be known before the middle can be left out.
void append_frames(std::string& text, const PromiseBase* innermost) {
    std::size_t count = 0;
    for (const PromiseBase* frame = innermost; frame != nullptr; frame = frame->caller) ++count;
    std::size_t number = 0;
    for (const PromiseBase* frame = innermost; frame != nullptr; frame = frame->caller) {
        const bool shown = number < most_frames / 2 || number + most_frames / 2 >= count;
        if (shown || count <= most_frames) {
            append_place(text, frame->where);
        } else if (number == most_frames / 2) {
            text += "\n        … " + std::to_string(count - most_frames) + " more …";
        }
        ++number;
    }
}

/// " waits for Task-7", for a task that waits for another one or for a gather. A gather has no
/// name; its parts are tasks of the same list.
void append_awaited(std::string& text, const CancelRelay& relay) {
    FutureBase* const awaited = relay.awaited(0);
    CancelRelay* const next = awaited != nullptr ? awaited->relay() : nullptr;
    if (next == nullptr) return;
    TaskCore* const task = next->as_task();
    text += " waits for " + (task != nullptr ? task->name() : "a gather");
}

/// The frames of the running task are not printed: `innermost` is where it stood before.
void append_task(std::string& text, TaskCore& task) {
    text += "\n    " + task.name();
    if (&task == here.task) {
        text += " runs now";
    } else if (!task.has_begun()) {
        text += " has not begun";
    } else {
        append_awaited(text, task);
        append_frames(text, task.innermost());
    }
}

void append_tasks(std::string& text, EventLoop& loop) {
    std::size_t count = 0;
    loop.residents().for_each([&](Resident& resident) {
        if (++count <= most_tasks) append_task(text, static_cast<TaskCore&>(resident));
    });
    if (count > most_tasks)
        text += "\n    … and " + std::to_string(count - most_tasks) + " more tasks";
}

// Circles.

/// All futures that can be reached from one that a task is about to wait for, in the order of their
/// distance. Debug mode searches at every such wait, so the search has a fixed size: a longer
/// circle is not found, and a chain of n tasks costs at most n times this.
///
/// The array is the queue of a breadth-first search and its result at once: `reached_from` leads
/// back along the way.
class Reachable {
public:
    explicit Reachable(FutureBase& first) noexcept { add(&first, none); }

    /// The way to `wanted`, nearest last; empty if there is none. Breadth first, so the way that is
    /// found is a shortest one. A future that is done delays no task, and is left out.
    std::vector<CancelRelay*> way_to(const TaskCore& wanted) {
        for (std::size_t index = 0; index < count_; ++index) {
            CancelRelay* const relay = steps_[index].future->relay();
            if (relay == nullptr || steps_[index].future->done()) continue;
            if (relay->as_task() == &wanted) return way_back(index);
            std::size_t number = 0;
            while (FutureBase* const next = relay->awaited(number++)) {
                if (!add(next, index)) break;
            }
        }
        return {};
    }

private:
    static constexpr std::size_t none = 0;
    struct Step {
        FutureBase* future;
        std::size_t reached_from;
    };

    bool add(FutureBase* future, std::size_t reached_from) noexcept {
        if (count_ == steps_.size()) return false;
        steps_[count_++] = {future, reached_from};
        return true;
    }
    /// From `index` back to the start: the nearest comes last, as `way_to` promises.
    std::vector<CancelRelay*> way_back(std::size_t index) {
        std::vector<CancelRelay*> way;
        for (; index != none; index = steps_[index].reached_from)
            way.push_back(steps_[index].future->relay());
        way.push_back(steps_[none].future->relay());
        return way;
    }

    std::array<Step, 64> steps_;
    std::size_t count_ = 0;
};

}  // namespace

namespace {

/// The report of a circle; empty if there is none. The way is printed from the waiter onwards, so
/// that each line "waits for" the next.
std::string describe_circle(TaskCore& waiter, FutureBase& awaited, const PromiseBase* place) {
    const std::vector<CancelRelay*> way = Reachable(awaited).way_to(waiter);
    if (way.empty()) return {};
    std::string text = "tasks wait for each other in a circle; none of them ends before one is "
                       "cancelled:\n    " +
                       waiter.name();
    append_frames(text, place);
    // The first of the way is the waiter itself.
    for (std::size_t left = way.size(); left > 1; --left) {
        TaskCore* const task = way[left - 1]->as_task();
        if (task == nullptr) continue;
        text += "\n    waits for " + task->name();
        append_frames(text, task->innermost());
    }
    return text + "\n    waits for " + waiter.name();
}

}  // namespace

/// A task that has a pending request will not wait, so it closes no circle. The program is warned
/// and continues: a circle may still be opened by a cancellation.
void warn_of_circle(TaskCore& waiter, FutureBase& awaited, const PromiseBase* place) noexcept {
    if (waiter.must_cancel()) return;  // it will not wait
    try {
        const std::string text = describe_circle(waiter, awaited, place);
        if (!text.empty()) log(LogLevel::error, text);
    } catch (const std::bad_alloc&) {
        // The circle is reported at the next wait.
    }
}

std::string describe_residents(lowlevel::Loop& loop) {
    std::string text = "deadlock: nothing is left to run, and these tasks wait:";
    append_tasks(text, face_of(loop));
    return text;
}

}  // namespace internal

/// Reads the state of the tasks while they are parked, so it may be called at any time on the
/// loop's thread.
std::string format_tasks(EventLoop& loop) {
    std::string text = "tasks of the event loop: " + std::to_string(loop.residents().count());
    internal::append_tasks(text, loop);
    return text;
}

void print_tasks(EventLoop& loop) { std::fputs((format_tasks(loop) + "\n").c_str(), stderr); }

}  // namespace asyncio
