#include "base/spawn_setup.h"

#include <asyncio/exceptions.h>

#include <csignal>

namespace asyncio::internal {

// --- Descriptors ---------------------------------------------------------------------------------

SpawnFileActions::SpawnFileActions(const char* operation) : operation_(operation) {
    require(::posix_spawn_file_actions_init(&actions_));
}

void SpawnFileActions::open(int number, const char* path, int flags) {
    require(::posix_spawn_file_actions_addopen(&actions_, number, path, flags, 0));
}

void SpawnFileActions::copy(int from, int to) {
    require(::posix_spawn_file_actions_adddup2(&actions_, from, to));
}

void SpawnFileActions::close(int number) {
    require(::posix_spawn_file_actions_addclose(&actions_, number));
}

void SpawnFileActions::close_from(int number) {
    require(::posix_spawn_file_actions_addclosefrom_np(&actions_, number));
}

void SpawnFileActions::change_directory(const std::string& path) {
    require(::posix_spawn_file_actions_addchdir_np(&actions_, path.c_str()));
}

/// These functions return their error; they do not set `errno`.
void SpawnFileActions::require(int error) const {
    if (error != 0) throw OsError(error, operation_);
}

// --- Signals and groups --------------------------------------------------------------------------

/// The back-ends ignore SIGPIPE, and a worker process ignores SIGINT. An ignored signal stays
/// ignored through an exec, a handled one becomes the default by itself.
SpawnAttributes::SpawnAttributes(const char* operation) {
    if (const int error = ::posix_spawnattr_init(&attributes_)) throw OsError(error, operation);
    sigset_t signals;
    sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGINT);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    add_flag(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

void SpawnAttributes::join_group(int group) noexcept {
    add_flag(POSIX_SPAWN_SETPGROUP);
    ::posix_spawnattr_setpgroup(&attributes_, group);
}

void SpawnAttributes::add_flag(int flag) noexcept {
    short flags = 0;
    ::posix_spawnattr_getflags(&attributes_, &flags);
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags | flag));
}

}  // namespace asyncio::internal
