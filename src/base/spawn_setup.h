#pragma once
// What `posix_spawn` is told: which descriptors and which signals the new program begins with.
//
// Between the fork and the exec of a program with threads, hardly any function may be called: a
// lock that another thread held at the fork stays locked in the child. `posix_spawn` therefore
// takes a list of what it is to do there, made beforehand. These two classes are that list, with
// destructors, and with the one decision that every program started by the library shares: its
// signals begin as a shell's child expects them.
//
// Thread-safety: each object belongs to one thread.

#include <string>

#include <spawn.h>

namespace asyncio::internal {

/// The descriptors of the new program, and its directory, in the order in which they are added.
/// Throws, each function: OsError, "OPERATION: reason", which is mostly that memory is short.
class SpawnFileActions {
public:
    /// `operation` is what an error names. It must outlive this.
    explicit SpawnFileActions(const char* operation);
    SpawnFileActions(const SpawnFileActions&) = delete;
    SpawnFileActions& operator=(const SpawnFileActions&) = delete;
    ~SpawnFileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

    /// Opens `path` as descriptor `number`.
    void open(int number, const char* path, int flags);
    /// A copy onto itself makes the descriptor survive the exec.
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

/// No signal is blocked, and the signals that the library may ignore have their default action.
class SpawnAttributes {
public:
    /// Throws: OsError, "OPERATION: reason".
    explicit SpawnAttributes(const char* operation);
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
    ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }

    /// The new program leads a session of its own.
    void start_session() noexcept { add_flag(POSIX_SPAWN_SETSID); }
    /// The new program joins this process group; 0: one of its own.
    void join_group(int group) noexcept;

    const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    void add_flag(int flag) noexcept;

    posix_spawnattr_t attributes_;
};

}  // namespace asyncio::internal
