#pragma once
// Ownership of a descriptor that belongs to a loop.
//
// `Fd` closes by a plain system call, which is right for a descriptor of the kernel on which
// nothing is in flight. A socket or a file that a loop uses is different: its back-end may have
// made it (in the simulation it is no descriptor of the kernel at all), and operations may wait on
// it. So it is closed by an operation, which the back-end sees.
//
// An owner may live longer than its loop. The descriptor is then closed by a system call, because
// no back-end is left that could know it.
//
// Thread-safety: loop thread only, as long as the loop exists.

#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/loop.h>

#include <cstdint>
#include <utility>

namespace asyncio::lowlevel {

/// Owns a descriptor of a loop and closes it by the loop's back-end. Move-only. −1 is "none".
class LoopFd {
public:
    LoopFd() noexcept = default;
    LoopFd(Loop& loop, Fd fd) noexcept
        : loop_(&loop), loop_number_(loop.number()), fd_(std::move(fd)) {}
    LoopFd(LoopFd&& other) noexcept = default;
    LoopFd& operator=(LoopFd&& other) noexcept {
        if (this == &other) return *this;
        reset();
        loop_ = other.loop_;
        loop_number_ = other.loop_number_;
        fd_ = std::move(other.fd_);
        return *this;
    }
    ~LoopFd() { reset(); }

    /// The number; −1 if this object holds no descriptor.
    int get() const noexcept { return fd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    /// The loop; null in an object that was default-constructed. It may be gone.
    Loop* loop() const noexcept { return loop_; }

    /// Whether the loop still exists.
    bool has_loop() const noexcept;

    /// Gives the descriptor away; this object holds none afterwards.
    [[nodiscard]] int release() noexcept { return fd_.release(); }

    /// Closes the descriptor. Operations in flight on it end as −ECANCELED. Does not wait.
    void reset() noexcept {
        if (fd_) close();
    }

private:
    void close() noexcept;

    Loop* loop_ = nullptr;
    std::uint32_t loop_number_ = 0;
    Fd fd_;
};

}  // namespace asyncio::lowlevel
