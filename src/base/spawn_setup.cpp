// The set-up of `posix_spawn`, call by call: each function adds one action, and turns the error
// number of the C function into an exception.

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

/// The functions of posix_spawn return their error and do not set `errno`.
void SpawnFileActions::require(int error) const {
    if (error != 0) throw OsError(error, operation_);
}

// --- Signals and groups --------------------------------------------------------------------------

/// An ignored signal stays ignored through exec, while handlers become the default by exec itself.
/// The back-ends ignore SIGPIPE. A worker process ignores SIGINT, and so does a program that a
/// shell started in the background. A child that ignored SIGPIPE would run on after its reader has
/// gone.
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

/// The C library has no function that adds a flag to those that are set.
void SpawnAttributes::add_flag(int flag) noexcept {
    short flags = 0;
    ::posix_spawnattr_getflags(&attributes_, &flags);
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags | flag));
}

}  // namespace asyncio::internal
