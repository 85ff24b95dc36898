#pragma once
// The set-up of `posix_spawn`: the descriptors and the signals with which a new program begins.
//
// Between the fork and the exec of a program with threads, hardly any function may be called: a
// lock that another thread held at the fork stays locked in the child. `posix_spawn` therefore
// takes a list of actions that was made beforehand, and no code of this library runs there. These
// two classes are that list, with destructors. They also hold the decision that is the same for
// commands (`process/spawn.cpp`) and worker processes (`executors/worker_process.cpp`): the signals
// of a new program begin as a child of a shell expects them.
//
// Thread-safety: each object belongs to one thread.

#include <string>

#include <spawn.h>

namespace asyncio::internal {

/// The child's work on its descriptors and its directory, carried out in the order in which the
/// actions are added.
/// Throws: each function, OsError, "OPERATION: reason". The functions of posix_spawn allocate, so
/// the usual reason is ENOMEM.
class SpawnFileActions {
public:
    /// An empty list. Errors name `operation`, a text that must outlive this object.
    explicit SpawnFileActions(const char* operation);
    SpawnFileActions(const SpawnFileActions&) = delete;
    SpawnFileActions& operator=(const SpawnFileActions&) = delete;
    ~SpawnFileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

    /// Opens `path` as descriptor `number`.
    void open(int number, const char* path, int flags);
    /// Copies descriptor `from` to the number `to`. The copy is not close-on-exec. POSIX: a copy of
    /// a descriptor onto itself removes its flag close-on-exec here. dup2(2) itself would do
    /// nothing.
    void copy(int from, int to);
    void close(int number);
    /// Closes all descriptors from `number` on.
    void close_from(int number);
    void change_directory(const std::string& path);

    const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

private:
    void require(int error) const;

    posix_spawn_file_actions_t actions_;
    const char* operation_;
};

/// The child's signals, session and group. In the new program no signal is blocked, and the signals
/// that the library may ignore have their default action.
class SpawnAttributes {
public:
    /// No session and no group of its own. Throws: OsError, "OPERATION: reason".
    explicit SpawnAttributes(const char* operation);
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
    ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }

    /// The new program leads a session of its own, and so a group of its own.
    void start_session() noexcept { add_flag(POSIX_SPAWN_SETSID); }
    /// The new program joins this process group; 0 stands for a new group of its own.
    void join_group(int group) noexcept;

    const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    void add_flag(int flag) noexcept;

    posix_spawnattr_t attributes_;
};

}  // namespace asyncio::internal
