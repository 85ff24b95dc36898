#pragma once
// Files: reading and writing them without holding up the loop.
//
//   File log = co_await File::open("server.log", "a");
//   co_await log.write("ready\n");
//   co_await log.close();
//
//   auto lines = file.lines();
//   while (auto line = co_await lines.next()) …
//
// A call that has to wait for the disk waits in the kernel (io_uring) or in a thread of the
// back-end (epoll). What the kernel has in memory is read at once. In the simulated world the files
// are in memory, too, and belong to the world.
//
// Contents are bytes, kept in a `std::string`. No encoding is applied and no end of line is
// changed, whatever the mode says.
//
// The position. A file knows its position itself and names the place in each call, so the position
// moves with what a call has reported, and with nothing else. A cancelled `read` has moved nothing:
// bytes that came are kept for the next read. A cancelled `write` may have written a prefix of its
// bytes, and `tell` says of what length.
//
// Writes are not kept back. When `write` returns, the kernel has the bytes, and every other program
// sees them. `sync` waits until the disk has them. (Python keeps small writes in memory until
// `flush`, and a program that forgets `close` relies on the garbage collector.)
//
// A file is used by one task at a time. `read_at` and `write_at` use no position, and any number of
// tasks may call them at once.
//
// Functions for whole files and for folders are in `asyncio::files` (files.h).
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/generator.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

namespace internal {
struct FileState;
}

/// How a file is opened: what the letters of Python's mode mean, one by one.
struct OpenOptions {
    bool read = false;
    bool write = false;
    /// Every write goes to the end of the file, also if other programs write to it. Implies
    /// `write`.
    bool append = false;
    /// Makes the file if it does not exist.
    bool create = false;
    /// The file must not exist. With `create`.
    bool exclusive = false;
    /// Removes what the file holds. With `write`.
    bool truncate = false;
    /// The permission bits of a new file, less the umask of the process.
    unsigned permissions = 0666;
    /// How long a line may be, in bytes, for `readline` and `lines`.
    std::size_t limit = 64 * 1024;
};

/// What the system knows of a file. Python: `os.stat_result`.
struct FileStat {
    std::uint64_t size = 0;   ///< In bytes.
    unsigned mode = 0;        ///< Type and permissions: `st_mode`.
    std::uint64_t inode = 0;  ///< The same number means the same file, on one device.
    std::uint64_t device = 0;
    std::uint64_t links = 0;  ///< 0: the file has no name any more.
    unsigned uid = 0;
    unsigned gid = 0;
    std::chrono::system_clock::time_point modified{};  ///< `st_mtime`
    std::chrono::system_clock::time_point changed{};   ///< `st_ctime`

    bool is_file() const noexcept;
    bool is_dir() const noexcept;
};

/// From where `File::seek` counts. Python: `os.SEEK_SET`, `SEEK_CUR`, `SEEK_END`.
enum class Whence : std::uint8_t { start, current, end };

/// What `File::sync` waits for.
struct SyncOptions {
    /// The bytes and the length alone, and not the times. Python: `os.fdatasync`.
    bool data_only = false;
};

/// An open file. Move-only; an object that was moved from holds no file, and its functions throw
/// RuntimeError.
///
/// The destructor closes the file and does not wait; `close` waits and reports errors.
/// Python: what `aiofiles.open` gives. Differences: contents are bytes, writes are not kept back,
/// and a cancellation loses nothing.
class File {
public:
    /// Opens a file.
    ///
    /// `mode` is Python's: "r" reads; "w" writes, makes the file and removes what it holds; "x"
    /// makes the file, which must not exist; "a" writes at the end, and makes the file; "+" behind
    /// the letter allows the other direction, too. A "b" or "t" has no effect.
    /// Throws: `std::invalid_argument` for another mode. OsError that names the path: `open
    /// "/x/y": No such file or directory`. RuntimeError if it is not awaited in a task.
    /// Cancellation: an open that has happened in spite of the request returns the file. If it was
    /// cancelled in time, it has had no effect; a new file may exist nevertheless only if it was
    /// opened.
    /// A named pipe is opened without waiting for its other end: for writing without a reader, the
    /// error is ENXIO. (Python's open waits.)
    /// Python: `aiofiles.open`, without encodings and buffering.
    static Coro<File> open(std::string path, std::string_view mode = "r");
    /// The same, with each part of the mode by its name. Throws: `std::invalid_argument` if neither
    /// reading nor writing is asked for; as above.
    static Coro<File> open(std::string path, const OpenOptions& options);

    File() noexcept = default;
    File(File&&) noexcept = default;
    File& operator=(File&&) noexcept = default;
    ~File() = default;

    /// Reads all that is left. As `read(most_bytes)` otherwise.
    Coro<std::string> read() const;
    /// Reads `most_bytes` bytes, or fewer at the end of the file. Empty: the file is at its end, or
    /// nothing was asked for.
    /// Throws: OsError; RuntimeError while another task uses the position, and for a closed file.
    /// Cancellation: nothing is lost; the next read gets what has come.
    Coro<std::string> read(std::size_t most_bytes) const;
    /// Reads into `memory`, which must live until the await returns, until it is full or the file
    /// is at its end. Returns how many bytes came. A cancelled call has moved nothing, but may have
    /// written into `memory`. Otherwise as `read`. Python: `readinto`.
    Coro<std::size_t> read_into(std::span<char> memory) const;
    /// Reads up to the next end of line, which is part of the result. The last line may have none.
    /// Empty: the file is at its end.
    /// Throws: LimitOverrunError if the line is longer than `OpenOptions::limit`; the bytes stay,
    /// and `read` gets them. Otherwise as `read`.
    Coro<std::string> readline() const;
    /// The lines that are left, one after the other, each with its end of line.
    AsyncGenerator<std::string> lines() const;

    /// Writes all bytes at the position, or at the end of a file that was opened for appending.
    /// Returns their number.
    /// Throws: OsError, for example for a full disk: a prefix may have been written then. Otherwise
    /// as `read`.
    /// Cancellation: a prefix may have been written; `tell` has moved by its length.
    Coro<std::size_t> write(std::string bytes) const;
    /// Writes all pieces, joined to one.
    template <class Range>
    Coro<std::size_t> writelines(Range&& pieces) const {
        std::string all;
        for (const auto& piece : pieces) all += piece;
        return write(std::move(all));
    }

    /// Reads at `offset` and leaves the position alone. Otherwise as `read(most_bytes)`; when it is
    /// cancelled, the bytes that came are dropped, and can be read again.
    Coro<std::string> read_at(std::int64_t offset, std::size_t most_bytes) const;
    /// Writes at `offset` and leaves the position alone. Otherwise as `write`.
    Coro<std::size_t> write_at(std::int64_t offset, std::string bytes) const;

    /// Moves the position, and returns it. Throws: `std::invalid_argument` for a place before the
    /// start; OsError; RuntimeError as `read`.
    Coro<std::int64_t> seek(std::int64_t offset, Whence whence = Whence::start) const;
    /// The position. In a file that was opened for appending: the length when the file was opened,
    /// plus what was written by this object.
    std::int64_t tell() const;

    /// Changes the length to `size`, and leaves the position. Bytes that are added are zero.
    Coro<> truncate(std::int64_t size) const;
    /// Changes the length to the position. Python: `truncate()`.
    Coro<> truncate() const;
    /// Returns at once, because `write` keeps nothing back. For programs that come from Python.
    Coro<> flush() const;
    /// Waits until the disk has what was written. Python: `os.fsync(f.fileno())`.
    Coro<> sync(SyncOptions options = {}) const;
    /// What the system knows of the file.
    Coro<FileStat> stat() const;
    /// The length in bytes.
    Coro<std::uint64_t> size() const;

    /// Closes the file, and waits until it is closed. Operations of other tasks on the file end as
    /// cancelled. Closing twice has no effect.
    /// Throws: OsError if the kernel reports a late error; the file is closed nevertheless.
    /// Cancellation: the file is closed all the same.
    Coro<> close() const;
    /// Whether the file is closed, or the object holds none.
    bool closed() const noexcept;
    /// The descriptor; −1 if the file is closed. Under simulation it is no descriptor of the
    /// kernel.
    int fileno() const noexcept;
    /// The path that was opened.
    const std::string& name() const;

private:
    explicit File(std::shared_ptr<internal::FileState> state) noexcept;
    friend struct internal::FileState;

    std::shared_ptr<internal::FileState> state_;
};

}  // namespace asyncio
