#pragma once
// What a reader and a writer have in common: a descriptor that belongs to a loop, and its end.
//
// The handle of the user is one reference to the state; an awaiter and an operation that the state
// itself keeps in flight are others. So the handle may go at any time: the state stays until the
// back-end has reported what uses its memory.
//
// The descriptor is closed once, when nothing is in flight on it, as an operation of its own: the
// simulated back-end knows its descriptors only so. When the loop closes, it shuts every stream
// that is left; after that a state never touches its loop again, for the loop may be gone.
//
// Thread-safety: none.

#include <asyncio/event_loop.h>
#include <asyncio/internal/frame_pool.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/streams.h>

#include <cstdint>
#include <string>
#include <utility>

namespace asyncio::internal {

/// How the descriptor is to be used.
enum class Access : std::uint8_t {
    non_blocking,  ///< Read and write: it says EAGAIN when it must.
    shared,        ///< It may block, and its mode is not ours to change: wait for readiness first.
    file,          ///< A regular file: never blocks for long, knows no readiness.
};

/// Whether this is a descriptor every program is given at its start, and shares with its parent.
constexpr bool is_standard(int fd) noexcept { return fd >= 0 && fd <= 2; }

/// The descriptor of a stream. The standard ones belong to the program: a stream uses them and
/// never closes them, also when the stream cannot be made.
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

    /// The loop closes: end what is in flight, then close the descriptor.
    virtual void shut() noexcept = 0;
    /// The descriptor is closed; `error` is 0 or the errno of that.
    virtual void closed(int error) noexcept = 0;

    void close_descriptor() noexcept;
    int fd() const noexcept { return fd_.get(); }
    Access access() const noexcept { return access_; }
    /// How much is known about the descriptor. (The mode of a shared one may change at any time.)
    lowlevel::Blocking blocking() const noexcept {
        if (access_ == Access::shared) return lowlevel::Blocking::unknown;
        return access_ == Access::file ? lowlevel::Blocking::possible : lowlevel::Blocking::never;
    }

    bool closing_ = false;

private:
    struct CloseOperation : lowlevel::Operation {
        StreamState* stream = nullptr;
    };

    static void loop_closes(AtClose& listener) noexcept;
    static void close_reported(lowlevel::Operation& operation) noexcept;

    EventLoop& loop_;
    StreamFd fd_;
    CloseOperation close_;
    std::string name_;
    std::uint32_t references_ = 1;
    Access access_;
};

/// The state of a new stream. Throws: what its constructor does, and `std::bad_alloc`. `fd` is
/// closed then, unless it is a standard descriptor.
template <class State>
Ref<State> make_stream(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access) {
    return Ref<State>::adopt(new State(loop, std::move(fd), options, access));
}

}  // namespace asyncio::internal
