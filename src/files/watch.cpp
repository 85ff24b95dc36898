// The kernel's records of inotify(7), made into events.
//
// A read brings as many records as fit, and `next` gives them away one by one. A cancellation finds
// the others in the queue.
//
// The descriptor of inotify is in non-blocking mode and is read by operations, as a socket is. So a
// task that waits for an event can be cancelled, and the loop's end ends it.
//
// The program sees paths and never numbers of watches, because a number means nothing to it when
// the watch has ended.
//
// A watch has a number, and the path under which the program has added it stands in a table. When a
// file is gone, its watch ends by itself, and its last record (IN_IGNORED) removes the number from
// the table. So a file of the same name that is made later is not watched by accident.

#include <asyncio/watch.h>

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/loop_fd.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/lowlevel/perform_now.h>

#include "files/file_state.h"
#include "files/kernel_records.h"

#include <deque>
#include <utility>

#include <sys/inotify.h>

namespace asyncio {
namespace internal {

using lowlevel::OperationKind;
using lowlevel::perform;

/// The part that a call in progress keeps alive.
struct WatcherState {
    explicit WatcherState(lowlevel::LoopFd watcher)
        : fd(std::move(watcher)), loop_number(fd.loop()->number()) {}

    static Coro<FileWatcher> open(std::string path);

    lowlevel::LoopFd fd;
    /// The loop may be gone, and another one at its address.
    const std::uint32_t loop_number;
    WatchedPaths paths;
    std::deque<FileEvent> events;
    /// A task waits in `next`.
    bool in_use = false;
};

namespace {

using StatePtr = std::shared_ptr<WatcherState>;

/// What programs want to know. IN_ATTRIB and the like come too often for what they tell.
constexpr std::uint32_t watched_events =
    IN_CREATE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF;

/// Throws: RuntimeError for an object that was moved from, or that was made without a path.
StatePtr held_watcher(const StatePtr& state) {
    if (state == nullptr) throw RuntimeError("this FileWatcher object watches nothing");
    return state;
}

/// The kernel gives a file that is watched already its old number. Its first path stays, so that
/// the events of one file have one name.
Coro<> add_watch(StatePtr state, std::string path) {
    require_loop(state->loop_number, "FileWatcher::add()");
    const int number = co_await perform({.kind = OperationKind::inotify_add_watch,
                                         .fd = state->fd.get(),
                                         .buffer = path.data(),
                                         .size = watched_events});
    if (number < 0) throw OsError(-number, "watch " + quoted(path));
    state->paths.try_emplace(number, std::move(path));
}

/// Marks the watcher as waited for, for the time of one call. Two tasks would share the events
/// between them in an order that no program could use.
struct NextUse {
    explicit NextUse(WatcherState& of) : state(of) {
        if (state.in_use) throw RuntimeError("another task waits for the next event of a watcher");
        state.in_use = true;
    }
    NextUse(const NextUse&) = delete;
    NextUse& operator=(const NextUse&) = delete;
    ~NextUse() { state.in_use = false; }

    WatcherState& state;
};

/// The records are taken after the read has been reported, so a cancellation loses none: the read
/// has brought them, or they are still with the kernel.
Coro<std::optional<FileEvent>> next_event(StatePtr state) {
    require_loop(state->loop_number, "FileWatcher::next()");
    const NextUse use(*state);
    constexpr std::size_t size_bytes = 16 * 1024;
    std::string records;
    while (state->events.empty()) {
        records.resize(size_bytes);
        const int count = co_await perform({.kind = OperationKind::read,
                                            .fd = state->fd.get(),
                                            .blocking = lowlevel::Blocking::never,
                                            .buffer = records.data(),
                                            .size = size_bytes});
        if (count < 0) throw OsError(-count, "read the events of a watcher");
        take_watch_events({records.data(), static_cast<std::size_t>(count)}, state->paths,
                          state->events);
    }
    FileEvent event = std::move(state->events.front());
    state->events.pop_front();
    co_return event;
}

}  // namespace

/// A path that cannot be watched ends the watcher, too: its state is dropped.
Coro<FileWatcher> WatcherState::open(std::string path) {
    lowlevel::Loop& loop = running_task("asyncio::watch()").loop();
    const int made = co_await perform({.kind = OperationKind::inotify_init});
    if (made < 0) throw OsError(-made, "make a watcher");
    lowlevel::LoopFd fd(loop, lowlevel::Fd(made));
    auto state = std::make_shared<WatcherState>(std::move(fd));
    co_await add_watch(state, std::move(path));
    co_return FileWatcher(std::move(state));
}

}  // namespace internal

FileWatcher::FileWatcher(std::shared_ptr<internal::WatcherState> state) noexcept
    : state_(std::move(state)) {}

Coro<> FileWatcher::add(std::string path) const {
    return internal::add_watch(internal::held_watcher(state_), std::move(path));
}

/// The number stays in the table until its last record has come, so that earlier events have a
/// path.
void FileWatcher::remove(const std::string& path) const {
    const internal::StatePtr state = internal::held_watcher(state_);
    if (internal::running_loop("FileWatcher::remove()").number() != state->loop_number)
        throw RuntimeError("FileWatcher::remove(): the object belongs to another event loop");
    for (const auto& [number, watched] : state->paths) {
        if (watched != path) continue;
        static_cast<void>(lowlevel::perform_now(*state->fd.loop(),
                                                {.kind = lowlevel::OperationKind::inotify_rm_watch,
                                                 .fd = state->fd.get(),
                                                 .offset = number}));
        return;
    }
}

Coro<std::optional<FileEvent>> FileWatcher::next() const {
    return internal::next_event(internal::held_watcher(state_));
}

namespace no_adl {

Coro<FileWatcher> watch(std::string path) { return internal::WatcherState::open(std::move(path)); }

}  // namespace no_adl
}  // namespace asyncio
