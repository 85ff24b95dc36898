#pragma once
// The program's own standard input and output as streams, and the readiness of any descriptor.
//
// Thread-safety: loop thread only.

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/streams.h>

#include <cstdint>
#include <string>

namespace asyncio {

/// Standard input as a stream: `while ((line = co_await input.readline()) != "") …`.
///
/// The descriptor stays open, and its file is not switched to non-blocking mode, because other
/// programs use the same file. Keep one reader for as long as the program reads: the bytes that it
/// has read ahead are in its buffer.
/// Throws: OsError if standard input is closed; RuntimeError if no loop runs.
/// Python: none; `loop.connect_read_pipe` of `sys.stdin`.
StreamReader open_stdin(StreamOptions options = {});

/// Standard output and standard error as streams. The descriptors stay open, as for `open_stdin`.
/// Throws: as `open_stdin`.
StreamWriter open_stdout(StreamOptions options = {});
StreamWriter open_stderr(StreamOptions options = {});

namespace internal {

[[noreturn]] void throw_not_watchable(int fd, int error);

/// The awaiter of `readable` and `writable`: one poll operation.
class ReadinessAwaiter final : public lowlevel::OperationAwaiter {
public:
    ReadinessAwaiter(int fd, std::int16_t events) noexcept {
        operation_.kind = lowlevel::OperationKind::poll;
        operation_.fd = fd;
        operation_.events = events;
    }
    bool await_ready() { return start(); }
    void await_resume() {
        const int end = result();
        if (end < 0) [[unlikely]]
            throw_not_watchable(operation_.fd, -end);
    }
};

}  // namespace internal

/// The return type of `readable` and `writable`.
class [[nodiscard]] Readiness {
public:
    Readiness(int fd, std::int16_t events) noexcept : fd_(fd), events_(events) {}
    auto operator co_await() const noexcept { return internal::ReadinessAwaiter(fd_, events_); }

private:
    int fd_;
    std::int16_t events_;
};

/// Waits until a read of `fd` would not block: data, the end, or an error is there.
///
/// For descriptors that other code reads, a C library for example. The descriptor stays the
/// caller's, and must stay open until the await returns. A regular file is always ready.
/// Throws: OsError if `fd` is not an open descriptor or cannot be watched; RuntimeError if it is
/// not awaited in a task.
/// Cancellation: a cancellation point if it must wait. The descriptor does not change.
/// Python: `loop.add_reader`, which calls a function instead.
Readiness readable(int fd) noexcept;

/// The same for writing. Python: `loop.add_writer`.
Readiness writable(int fd) noexcept;

}  // namespace asyncio
