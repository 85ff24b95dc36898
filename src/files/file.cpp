// Reading and writing by operations of the back-end.
//
// A call of the user is a coroutine over a shared state, so the `File` may be destroyed or moved
// while a task waits in one of its calls. The state closes the descriptor when the last of them has
// gone.
//
// Every read goes by pread(2) at a place that the state keeps. What is neither a file nor a block
// device answers ESPIPE; the state remembers that, and uses read(2) from then on. So no question
// about the kind of file has to be asked when a file is opened, which would cost a thread.
//
// The position belongs to the state and not to the kernel. So a read that was cancelled has not
// moved it, and two calls of one task never meet at a place that neither has chosen.
//
// Reading ahead. `read` and `readline` read into a buffer, from which the bytes are given away when
// all that were asked for are there. A cancellation therefore finds them still in the buffer. A
// write gives up what was read ahead: it happens at the place of the first byte that was not given
// away.

#include <asyncio/lowlevel/operation_awaiter.h>

#include "files/file_state.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>

namespace asyncio {
namespace internal {
namespace {

using lowlevel::Blocking;
using lowlevel::OperationKind;
using lowlevel::perform;

/// One read brings this much at the least, so that short lines do not cost a call each.
constexpr std::size_t chunk_bytes = 64 * 1024;

/// The same for both ways of opening, so the two cannot differ. A mode without reading and writing
/// would be O_RDONLY to the kernel, whose value is zero; it is a mistake of the program.
int open_flags_of(const OpenOptions& options) {
    const bool writes = options.write || options.append;
    if (!options.read && !writes)
        throw std::invalid_argument("a file is opened for reading, writing, or both");
    int flags = options.read ? (writes ? O_RDWR : O_RDONLY) : O_WRONLY;
    if (options.append) flags |= O_APPEND;
    if (options.create) flags |= O_CREAT;
    if (options.exclusive) flags |= O_EXCL;
    if (options.truncate) flags |= O_TRUNC;
    return flags;
}

/// The letters may come in any order, as in Python.
OpenOptions parse_mode(std::string_view mode) {
    OpenOptions options;
    int ways = 0;
    bool both = false;
    for (const char letter : mode) {
        switch (letter) {
            case 'r': options.read = true; break;
            case 'w': options.write = options.create = options.truncate = true; break;
            case 'x': options.write = options.create = options.exclusive = true; break;
            case 'a': options.append = options.create = true; break;
            case '+': both = true; continue;
            case 'b':
            case 't': continue;
            default: ways = 2;
        }
        ++ways;
    }
    if (ways != 1)
        throw std::invalid_argument("the mode of a file is r, w, x or a, with + if wanted: \"" +
                                    std::string(mode) + "\"");
    if (both) options.read = options.write = true;
    return options;
}

/// One read of at most `size` bytes to the end of what is ahead. Returns how many came; 0 at the
/// end of the file.
Coro<std::size_t> read_more(FileStatePtr state, std::size_t size, const char* function) {
    const int fd = state->number(function);
    std::string part(size, '\0');
    int count = -ESPIPE;
    if (!state->has_no_places)
        count = co_await perform({.kind = OperationKind::pread,
                                  .fd = fd,
                                  .buffer = part.data(),
                                  .size = size,
                                  .offset = state->read_up_to});
    if (count == -ESPIPE) {
        state->has_no_places = true;
        count = co_await perform({.kind = OperationKind::read,
                                  .fd = fd,
                                  .blocking = Blocking::possible,
                                  .buffer = part.data(),
                                  .size = size});
    }
    if (count < 0) state->refuse(-count, "read from");
    state->ahead.append(std::string_view(part).substr(0, static_cast<std::size_t>(count)));
    state->read_up_to += count;
    co_return static_cast<std::size_t>(count);
}

/// The size of the next read grows with what was read, so that a large file takes few calls and
/// each byte is copied a constant number of times.
Coro<std::string> read_bytes_of(FileStatePtr state, std::size_t most_bytes, const char* function) {
    state->number(function);
    const PositionUse use(*state);
    while (state->ahead.size() < most_bytes) {
        const std::size_t missing = most_bytes - state->ahead.size();
        const std::size_t wanted = std::min(missing, std::max(chunk_bytes, state->ahead.size()));
        if (co_await read_more(state, wanted, function) == 0) break;
    }
    co_return state->ahead.take(std::min(most_bytes, state->ahead.size()));
}

/// By way of the buffer, so that a cancelled call has moved nothing.
Coro<std::size_t> read_into_of(FileStatePtr state, std::span<char> memory) {
    const std::string bytes = co_await read_bytes_of(state, memory.size(), "File::read_into()");
    std::copy(bytes.begin(), bytes.end(), memory.begin());
    co_return bytes.size();
}

/// What was searched already is not searched again.
Coro<std::string> read_line_of(FileStatePtr state, const char* function) {
    state->number(function);
    const PositionUse use(*state);
    std::size_t searched = 0;
    for (;;) {
        const std::string_view bytes = state->ahead.bytes();
        const std::size_t end = bytes.find('\n', searched);
        const std::size_t length = end == std::string_view::npos ? bytes.size() : end + 1;
        if (length > state->limit)
            throw LimitOverrunError("a line of " + quoted(state->name) + " is longer than " +
                                        std::to_string(state->limit) + " bytes",
                                    length);
        if (end != std::string_view::npos) co_return state->ahead.take(length);
        searched = bytes.size();
        if (co_await read_more(state, chunk_bytes, function) == 0)
            co_return state->ahead.take(state->ahead.size());
    }
}

/// Another task may use the file between two lines.
AsyncGenerator<std::string> lines_of(FileStatePtr state) {
    for (;;) {
        std::string line = co_await read_line_of(state, "File::lines()");
        if (line.empty()) co_return;
        co_yield std::move(line);
    }
}

/// One write of a part of `bytes`. Returns how many bytes were written, at least one.
Coro<std::size_t> write_some(FileStatePtr state, std::string_view bytes, std::int64_t place) {
    const int fd = state->number("File::write()");
    int count = -ESPIPE;
    if (!state->has_no_places)
        count = co_await perform({.kind = OperationKind::pwrite,
                                  .fd = fd,
                                  .buffer = const_cast<char*>(bytes.data()),
                                  .size = bytes.size(),
                                  .offset = place});
    if (count == -ESPIPE) {
        state->has_no_places = true;
        count = co_await perform({.kind = OperationKind::write,
                                  .fd = fd,
                                  .blocking = Blocking::possible,
                                  .buffer = const_cast<char*>(bytes.data()),
                                  .size = bytes.size()});
    }
    if (count < 0) state->refuse(-count, "write to");
    co_return static_cast<std::size_t>(count);
}

/// What was read ahead is dropped first. In a pipe it is kept: there it can be read once only, and
/// has no place at which a write could happen.
Coro<std::size_t> write_bytes_of(FileStatePtr state, std::string bytes) {
    state->number("File::write()");
    const PositionUse use(*state);
    if (!state->has_no_places) {
        state->read_up_to = state->place();
        state->ahead.drop_all();
    }
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const std::size_t count = co_await write_some(state, rest, state->read_up_to);
        state->read_up_to += static_cast<std::int64_t>(count);
        rest.remove_prefix(count);
    }
    co_return bytes.size();
}

/// The memory grows with what has come, because the caller may ask for more than the file has.
Coro<std::string> read_at_of(FileStatePtr state, std::int64_t offset, std::size_t most_bytes) {
    std::string bytes;
    state->number("File::read_at()");
    while (bytes.size() < most_bytes) {
        const std::size_t before = bytes.size();
        const std::size_t wanted = std::min(most_bytes - before, std::max(chunk_bytes, before));
        bytes.resize(before + wanted);
        const int count = co_await perform({.kind = OperationKind::pread,
                                            .fd = state->number("File::read_at()"),
                                            .buffer = bytes.data() + before,
                                            .size = wanted,
                                            .offset = offset});
        if (count < 0) state->refuse(-count, "read from");
        bytes.resize(before + static_cast<std::size_t>(count));
        if (count == 0) break;
        offset += count;
    }
    co_return bytes;
}

/// The kernel may write less than it was given, for example at the end of the disk's space. The
/// next call then brings the rest, or the error.
Coro<std::size_t> write_at_of(FileStatePtr state, std::int64_t offset, std::string bytes) {
    std::string_view rest = bytes;
    state->number("File::write_at()");
    while (!rest.empty()) {
        const int count = co_await perform({.kind = OperationKind::pwrite,
                                            .fd = state->number("File::write_at()"),
                                            .buffer = const_cast<char*>(rest.data()),
                                            .size = rest.size(),
                                            .offset = offset});
        if (count < 0) state->refuse(-count, "write to");
        offset += count;
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    co_return bytes.size();
}

/// Asks by the descriptor and not by the path, whose file may have another name by now.
Coro<FileStat> stat_of(FileStatePtr state, const char* function) {
    struct statx about{};
    char no_path[] = "";
    const int result = co_await perform({.kind = OperationKind::statx,
                                         .fd = state->number(function),
                                         .flags = AT_EMPTY_PATH,
                                         .buffer = no_path,
                                         .size = STATX_BASIC_STATS,
                                         .second = &about});
    if (result < 0) state->refuse(-result, "stat");
    co_return as_file_stat(about);
}

Coro<std::uint64_t> size_of_file(FileStatePtr state) {
    const FileStat about = co_await stat_of(std::move(state), "File::size()");
    co_return about.size;
}

/// Only the end has to be asked for. The kernel's own position is not used, so it is not moved.
Coro<std::int64_t> seek_of(FileStatePtr state, std::int64_t offset, Whence whence) {
    state->number("File::seek()");
    const PositionUse use(*state);
    std::int64_t start = 0;
    if (whence == Whence::current) start = state->place();
    if (whence == Whence::end) {
        const FileStat about = co_await stat_of(state, "File::seek()");
        start = static_cast<std::int64_t>(about.size);
    }
    std::int64_t place = 0;
    if (__builtin_add_overflow(start, offset, &place) || place < 0)
        throw std::invalid_argument("seek to a place before the start of " + quoted(state->name));
    if (state->has_no_places) state->refuse(ESPIPE, "seek in");
    state->read_up_to = place;
    state->ahead.drop_all();
    co_return place;
}

Coro<> truncate_of(FileStatePtr state, std::int64_t size) {
    const int result = co_await perform({.kind = OperationKind::ftruncate,
                                         .fd = state->number("File::truncate()"),
                                         .offset = size});
    if (result < 0) state->refuse(-result, "truncate");
}

Coro<> sync_of(FileStatePtr state, bool data_only) {
    const int result = co_await perform({.kind = OperationKind::fsync,
                                         .fd = state->number("File::sync()"),
                                         .flags = data_only ? 1 : 0});
    if (result < 0) state->refuse(-result, "sync");
}

/// The number is given up before the close, so that nothing closes it a second time.
Coro<> close_of(FileStatePtr state) {
    if (!state->fd) co_return;
    state->number("File::close()");
    const int result = co_await perform({.kind = OperationKind::close, .fd = state->fd.release()});
    if (result < 0) state->refuse(-result, "close");
}

/// A closed file refuses `flush`, too, as in Python.
Coro<> nothing_of(FileStatePtr state) {
    state->number("File::flush()");
    co_return;
}

/// The system clock counts from 1970, as the kernel does.
std::chrono::system_clock::time_point as_time(const statx_timestamp& time) noexcept {
    using namespace std::chrono;
    return system_clock::time_point(
        duration_cast<system_clock::duration>(seconds(time.tv_sec) + nanoseconds(time.tv_nsec)));
}

}  // namespace

std::string quoted(std::string_view path) { return '"' + std::string(path) + '"'; }

FileStat as_file_stat(const struct statx& about) noexcept {
    FileStat result;
    result.size = about.stx_size;
    result.mode = about.stx_mode;
    result.inode = about.stx_ino;
    result.device = std::uint64_t{about.stx_dev_major} << 32 | about.stx_dev_minor;
    result.links = about.stx_nlink;
    result.uid = about.stx_uid;
    result.gid = about.stx_gid;
    result.modified = as_time(about.stx_mtime);
    result.changed = as_time(about.stx_ctime);
    return result;
}

void require_loop(std::uint32_t number, const char* function) {
    if (running_task(function).loop().number() != number)
        throw RuntimeError(std::string(function) + ": the object belongs to another event loop");
}

/// Asked before each operation and not once for a call: another task may close the file while this
/// one waits between two pieces.
int FileState::number(const char* function) const {
    require_loop(loop_number, function);
    if (!fd) throw RuntimeError("the file " + quoted(name) + " is closed");
    return fd.get();
}

/// The path as the program wrote it, since that is what the program can look for.
void FileState::refuse(int error, const char* verb) const {
    throw OsError(error, std::string(verb) + " " + quoted(name));
}

/// A file that is opened for appending begins at its end, so that `tell` is right.
Coro<File> FileState::open(std::string path, OpenOptions options) {
    const int flags = open_flags_of(options);
    lowlevel::Loop& loop = running_task("asyncio::File::open()").loop();
    const int made = co_await perform({.kind = OperationKind::open,
                                       .fd = AT_FDCWD,
                                       .flags = flags,
                                       .buffer = path.data(),
                                       .size = options.permissions});
    if (made < 0) throw OsError(-made, "open " + quoted(path));
    lowlevel::LoopFd fd(loop, lowlevel::Fd(made));
    auto state = std::make_shared<FileState>(std::move(fd), std::move(path), options);
    if (options.append) {
        const FileStat about = co_await stat_of(state, "asyncio::File::open()");
        state->read_up_to = static_cast<std::int64_t>(about.size);
    }
    co_return File(std::move(state));
}

namespace {

/// Throws: RuntimeError for an object that holds no file.
FileStatePtr held(const FileStatePtr& state) {
    if (state == nullptr) throw RuntimeError("this File object holds no file");
    return state;
}

}  // namespace
}  // namespace internal

bool FileStat::is_file() const noexcept { return S_ISREG(mode); }
bool FileStat::is_dir() const noexcept { return S_ISDIR(mode); }

File::File(std::shared_ptr<internal::FileState> state) noexcept : state_(std::move(state)) {}

Coro<File> File::open(std::string path, std::string_view mode) {
    return internal::FileState::open(std::move(path), internal::parse_mode(mode));
}

Coro<File> File::open(std::string path, const OpenOptions& options) {
    return internal::FileState::open(std::move(path), options);
}

Coro<std::string> File::read() const {
    return internal::read_bytes_of(internal::held(state_), std::numeric_limits<std::size_t>::max(),
                                   "File::read()");
}
Coro<std::string> File::read(std::size_t most_bytes) const {
    return internal::read_bytes_of(internal::held(state_), most_bytes, "File::read()");
}
Coro<std::size_t> File::read_into(std::span<char> memory) const {
    return internal::read_into_of(internal::held(state_), memory);
}
Coro<std::string> File::readline() const {
    return internal::read_line_of(internal::held(state_), "File::readline()");
}
AsyncGenerator<std::string> File::lines() const {
    return internal::lines_of(internal::held(state_));
}
Coro<std::size_t> File::write(std::string bytes) const {
    return internal::write_bytes_of(internal::held(state_), std::move(bytes));
}
Coro<std::string> File::read_at(std::int64_t offset, std::size_t most_bytes) const {
    return internal::read_at_of(internal::held(state_), offset, most_bytes);
}
Coro<std::size_t> File::write_at(std::int64_t offset, std::string bytes) const {
    return internal::write_at_of(internal::held(state_), offset, std::move(bytes));
}
Coro<std::int64_t> File::seek(std::int64_t offset, Whence whence) const {
    return internal::seek_of(internal::held(state_), offset, whence);
}
std::int64_t File::tell() const { return internal::held(state_)->place(); }
Coro<> File::truncate(std::int64_t size) const {
    return internal::truncate_of(internal::held(state_), size);
}
Coro<> File::truncate() const { return truncate(tell()); }
Coro<> File::flush() const { return internal::nothing_of(internal::held(state_)); }
Coro<> File::sync(SyncOptions options) const {
    return internal::sync_of(internal::held(state_), options.data_only);
}
Coro<FileStat> File::stat() const {
    return internal::stat_of(internal::held(state_), "File::stat()");
}
Coro<std::uint64_t> File::size() const { return internal::size_of_file(internal::held(state_)); }
Coro<> File::close() const { return internal::close_of(internal::held(state_)); }
bool File::closed() const noexcept { return state_ == nullptr || !state_->fd; }
int File::fileno() const noexcept { return state_ == nullptr ? -1 : state_->fd.get(); }
const std::string& File::name() const { return internal::held(state_)->name; }

}  // namespace asyncio
