#pragma once
// The channel of a descriptor: hands the operations of a stream to the back-end.
//
// A descriptor is used in one of three ways (`Access`; pipes.cpp decides which). Descriptors in
// non-blocking mode and files need no help: the operation gets its descriptor and goes to the
// back-end. A shared descriptor must stay in the mode in which it is, and may block. So its
// channel, `SharedDescriptorChannel`, asks for readiness first, and moves only as much as cannot
// block.
//
// Thread-safety: loop thread only.

#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/channel.h>
#include <asyncio/lowlevel/fd.h>

#include <cstdint>
#include <string>
#include <utility>

namespace asyncio::internal {

/// How the descriptor is used; pipes.cpp explains the three ways.
enum class Access : std::uint8_t {
    non_blocking,  ///< Read and write: it says EAGAIN when it must.
    shared,        ///< It may block, and its mode must stay: wait for readiness first.
    file,          ///< A regular file: waits for the disk alone, knows no readiness.
};

/// Whether this is a descriptor that every program gets at its start, and shares with its parent.
constexpr bool is_standard(int fd) noexcept { return fd >= 0 && fd <= 2; }

/// The descriptor of a stream. The standard descriptors belong to the program: a stream uses them
/// and never closes them, also when the stream cannot be made.
class StreamFd : public lowlevel::Fd {
public:
    explicit StreamFd(lowlevel::Fd fd) noexcept : Fd(std::move(fd)) {}
    StreamFd(StreamFd&&) noexcept = default;
    StreamFd& operator=(StreamFd&&) = delete;
    ~StreamFd() {
        if (is_standard(get())) static_cast<void>(release());
    }
};

class DescriptorChannel : public lowlevel::Channel {
public:
    /// `access` is `non_blocking` or `file`.
    DescriptorChannel(EventLoop& loop, StreamFd fd, Access access) noexcept
        : DescriptorChannel(loop, std::move(fd),
                            access == Access::file ? lowlevel::Blocking::possible
                                                   : lowlevel::Blocking::never) {}
    ~DescriptorChannel() override;

    std::string name() const override;
    Submitted submit(lowlevel::Operation& operation) noexcept override;
    void cancel(lowlevel::Operation& operation) noexcept override { loop_.cancel(operation); }
    Submitted close(Side side, lowlevel::Operation& operation) noexcept override;
    bool means_end(int error) const noexcept override;

protected:
    DescriptorChannel(EventLoop& loop, StreamFd fd, lowlevel::Blocking blocking) noexcept;

    EventLoop& loop() const noexcept { return loop_; }
    int number() const noexcept { return number_; }

private:
    EventLoop& loop_;
    StreamFd fd_;
    /// Kept after the close, because the name contains it.
    int number_;
    /// Whether an operation may block, as far as it is known. This saves the back-end a system call
    /// per operation.
    lowlevel::Blocking blocking_;
};

/// Waits for readiness before every read and write, by a poll operation of its own. The stream's
/// operation is in flight all the time, first here and then with the back-end.
class SharedDescriptorChannel final : public DescriptorChannel {
public:
    /// The mode of a shared descriptor may change at any time, so nothing is claimed about it.
    SharedDescriptorChannel(EventLoop& loop, StreamFd fd, Access) noexcept;

    Submitted submit(lowlevel::Operation& operation) noexcept override;
    void cancel(lowlevel::Operation& operation) noexcept override;

private:
    /// The wait for one direction, and the operation that follows it.
    struct Readiness : lowlevel::Operation {
        SharedDescriptorChannel* channel = nullptr;
        lowlevel::Operation* wanted = nullptr;
        bool cancelled = false;
    };

    Readiness& before(const lowlevel::Operation& operation) noexcept {
        return operation.kind == lowlevel::OperationKind::read ? readable_ : writable_;
    }
    Submitted transfer(Readiness& readiness) noexcept;
    static void answered(lowlevel::Operation& operation) noexcept;

    Readiness readable_;
    Readiness writable_;
};

}  // namespace asyncio::internal
