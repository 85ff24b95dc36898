#pragma once
// The common part of a reader and a writer: a descriptor that belongs to a loop, and its end.
//
// References. The user's handle is one reference to the state. Others are an awaiter that waits and
// an operation that the state itself keeps in flight. So the handle may be destroyed at any time:
// the state stays until the back-end has reported the operation that uses its memory. The count is
// no atomic, because a stream belongs to one loop and so to one thread at a time.
//
// The descriptor is closed once, when no operation is in flight on it (rule 9 of the back-end's
// contract), and by an operation of its own: only so does the simulated back-end learn of it. The
// close operation is a member, so closing needs no memory and cannot fail for lack of it. While it
// is in flight, it holds a reference.
//
// The end of the loop. Every state is on a list of its loop (`AtClose`). When the loop closes, it
// shuts every stream that is left, and waits for the operations. After that a state never touches
// its loop again, because the loop may be gone while a handle still lives.
//
// Thread-safety: none.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/streams.h>

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

class StreamState : public Pooled, private AtClose {
public:
    StreamState(const StreamState&) = delete;
    StreamState& operator=(const StreamState&) = delete;

    void retain() noexcept { ++references_; }
    /// The last reference destroys the state. No operation is in flight then, because each one
    /// holds a reference or lies in a frame that does.
    void release() noexcept {
        if (--references_ == 0) delete this;
    }

    EventLoop& loop() const noexcept { return loop_; }
    bool closing() const noexcept { return closing_; }
    /// Throws: RuntimeError if the stream belongs to another loop than `task`.
    void require_loop_of(TaskCore& task, const char* function) const;
    /// "descriptor 7", or what the program called it.
    std::string name() const;

protected:
    StreamState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access);
    virtual ~StreamState();

    /// The loop closes: the state ends its operation in flight and then closes the descriptor.
    virtual void shut() noexcept = 0;
    /// Called when the descriptor is closed. `error` is 0, or the errno of the close.
    virtual void closed(int error) noexcept = 0;

    /// Closes the descriptor, unless that has begun already. No other operation may be in flight.
    void close_descriptor() noexcept;
    int fd() const noexcept { return fd_.get(); }
    Access access() const noexcept { return access_; }
    /// The knowledge that spares the back-end a system call per operation. The mode of a shared
    /// descriptor may change at any time, so nothing is claimed about it.
    lowlevel::Blocking blocking() const noexcept {
        if (access_ == Access::shared) return lowlevel::Blocking::unknown;
        return access_ == Access::file ? lowlevel::Blocking::possible : lowlevel::Blocking::never;
    }

    /// No new bytes are read or accepted. Set once, never taken back.
    bool closing_ = false;

private:
    /// Lets the callback, which knows the operation alone, find the state.
    struct CloseOperation : lowlevel::Operation {
        StreamState* stream = nullptr;
    };

    static void loop_closes(AtClose& listener) noexcept;
    static void close_reported(lowlevel::Operation& operation) noexcept;

    EventLoop& loop_;
    StreamFd fd_;
    CloseOperation close_;
    std::string name_;
    /// Begins with the reference of the handle.
    std::uint32_t references_ = 1;
    /// How the descriptor may be used. Never changes.
    Access access_;
};

/// The state of a new stream. Throws: what its constructor does, and `std::bad_alloc`. `fd` is
/// closed then, unless it is a standard descriptor.
template <class State>
Ref<State> make_stream(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access) {
    return Ref<State>::adopt(new State(loop, std::move(fd), options, access));
}

}  // namespace asyncio::internal
