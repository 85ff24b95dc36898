#pragma once
// Watching files and folders: what happens to them, as an async sequence.
//
//   FileWatcher watcher = co_await watch("logs");
//   while (auto event = co_await watcher.next()) fmt::print("{}\n", event->path);
//
// A watched folder tells of the files and folders in it, and not of what lies further down. A
// watched file tells of itself. A program that follows files by their names (a log that is rotated,
// a file that an editor replaces) watches the folder: the name may then mean another file, and a
// watch of the file stays with the old one.
//
// The events are the kernel's: inotify(7). Equal events in a row come once. If more than some
// 16,000 events are waiting, the kernel drops the further ones, and the event `overflow` says so;
// the program then has to look at the files itself. A file system on a network tells only what this
// machine does.
//
// Under simulation the file system of the simulated world tells the same.
//
// Python: none in the standard library; `watchfiles.awatch` and `asyncinotify` are the usual ones.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace asyncio {

namespace internal {
struct WatcherState;
}

/// What has happened to a file or folder.
struct FileEvent {
    enum class Kind : std::uint8_t {
        created,   ///< It is there: made, or moved in from an unwatched folder.
        modified,  ///< Its bytes or its length have changed.
        moved,     ///< It has another name, `to`.
        removed,   ///< It is gone: removed, or moved to an unwatched folder.
        overflow,  ///< Events were lost. There is no path.
    };

    Kind kind = Kind::overflow;
    /// The path that was watched, and behind it the name in the folder.
    std::string path;
    /// For `moved`: the new path. Empty for a file that was watched itself, because the kernel does
    /// not tell it.
    std::string to;
    bool is_dir = false;
};

/// Watches any number of files and folders. Move-only; an object that was moved from throws
/// RuntimeError. The destructor ends all watches and does not wait.
class FileWatcher {
public:
    FileWatcher() noexcept = default;
    FileWatcher(FileWatcher&&) noexcept = default;
    FileWatcher& operator=(FileWatcher&&) noexcept = default;
    ~FileWatcher() = default;

    /// Watches `path`, too. A path that is watched already is watched once.
    /// Throws: OsError that names the path, also if the user has too many watches (ENOSPC).
    Coro<> add(std::string path) const;
    /// Ends the watch of a path that was added under this text. Events that have come before are
    /// still told. No effect if the path is not watched, or its file is gone.
    /// Throws: RuntimeError if the watcher's loop does not run.
    void remove(const std::string& path) const;

    /// The next event. Never empty: a watcher has no end, and a program ends its loop by a
    /// cancellation or by `break`.
    /// A rename is told as one event if both names are watched. In rare cases the kernel tells the
    /// halves apart; then they come as `removed` and `created`.
    /// Throws: OsError; RuntimeError if another task waits in `next`.
    /// Cancellation: no event is lost.
    Coro<std::optional<FileEvent>> next() const;

private:
    explicit FileWatcher(std::shared_ptr<internal::WatcherState> state) noexcept;
    friend struct internal::WatcherState;

    std::shared_ptr<internal::WatcherState> state_;
};

namespace no_adl {

/// Watches `path`, a file or a folder. More are added by `FileWatcher::add`.
/// Throws: OsError that names the path: `watch "/x": No such file or directory`. RuntimeError if it
/// is not awaited in a task.
Coro<FileWatcher> watch(std::string path);

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
