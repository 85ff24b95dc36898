#pragma once
// What an open file is made of, and the calls on it.
//
// Thread-safety: loop thread only.

#include <asyncio/exceptions.h>
#include <asyncio/file.h>
#include <asyncio/lowlevel/loop_fd.h>

#include "streams/byte_buffer.h"

#include <cstdint>
#include <memory>
#include <string>

struct statx;

namespace asyncio::internal {

/// Throws: RuntimeError that names `function`, if the code does not run in a task, or in a task of
/// another loop than the one with this number. An operation of another loop would reach a back-end
/// that does not know the descriptor.
void require_loop(std::uint32_t number, const char* function);

/// `path` in quotes, for messages.
std::string quoted(std::string_view path);

/// The answer of statx(2) in the library's terms.
FileStat as_file_stat(const struct statx& about) noexcept;

/// The part of a file that the tasks which use it share. It lives as long as the file object or a
/// call that is in progress.
struct FileState {
    FileState(lowlevel::LoopFd file, std::string file_name, const OpenOptions& options)
        : fd(std::move(file)),
          loop_number(fd.loop()->number()),
          name(std::move(file_name)),
          limit(options.limit) {}

    static Coro<File> open(std::string path, OpenOptions options);

    /// The descriptor, for the use by `function`. Throws: RuntimeError for a closed file, and if
    /// the code does not run in a task of the file's loop; the message names `function`.
    int number(const char* function) const;
    /// Throws: OsError that names the verb and the file.
    [[noreturn]] void refuse(int error, const char* verb) const;

    /// Where the next byte is read or written: behind the buffer lies what was read ahead.
    std::int64_t place() const noexcept {
        return read_up_to - static_cast<std::int64_t>(ahead.size());
    }

    lowlevel::LoopFd fd;
    /// The loop may be gone, and another one at its address.
    const std::uint32_t loop_number;
    const std::string name;
    const std::size_t limit;
    /// The place up to which the file was read, or at which it was written.
    std::int64_t read_up_to = 0;
    /// What was read and not given away.
    ByteBuffer ahead;
    /// A pipe or a terminal: there are no places in it, and calls take what comes next.
    bool has_no_places = false;
    /// A task uses the position.
    bool in_use = false;
};

using FileStatePtr = std::shared_ptr<FileState>;

/// Marks the position as used, for the time of one call.
class PositionUse {
public:
    /// Throws: RuntimeError if another task uses it.
    explicit PositionUse(FileState& state) : state_(state) {
        if (state.in_use)
            throw RuntimeError("another task reads or writes " + quoted(state.name) +
                               " at the moment");
        state.in_use = true;
    }
    PositionUse(const PositionUse&) = delete;
    PositionUse& operator=(const PositionUse&) = delete;
    ~PositionUse() { state_.in_use = false; }

private:
    FileState& state_;
};

}  // namespace asyncio::internal
