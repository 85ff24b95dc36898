#pragma once
// The common part of a reader and a writer: one side of a channel, and its end.
//
// References. The user's handle is one reference to the state. Others are an awaiter that waits and
// an operation that the state itself keeps in flight. So the handle may be destroyed at any time:
// the state stays until the channel has reported the operation that uses its memory. The count is
// no atomic, because a stream belongs to one loop and so to one thread at a time.
//
// A side of the channel is closed when no operation of the state is in flight. (The writer of a
// connection closes twice: its own side at `write_eof`, and later both.) The close operation is a
// member, so closing needs no memory and cannot fail for lack of it. While it is in flight, it
// holds a reference.
//
// The channel is shared: a reader and a writer may use one. A stream over a descriptor has a
// channel of its own, which lies in the same block of memory as the state (`OverDescriptor`). So
// such a stream costs one allocation.
//
// The end of the loop. Every state is on a list of its loop (`AtClose`). When the loop closes, it
// shuts every stream that is left, and waits for the operations. After that a state never touches
// its loop again, because the loop may be gone while a handle still lives.
//
// Thread-safety: none.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/lowlevel/channel.h>
#include <asyncio/streams.h>

#include "streams/descriptor_channel.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace asyncio::internal {

using ChannelPtr = std::shared_ptr<lowlevel::Channel>;

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
    lowlevel::Channel& channel() const noexcept { return *channel_; }
    bool closing() const noexcept { return closing_; }
    /// Throws: RuntimeError if the stream belongs to another loop than `task`.
    void require_loop_of(TaskCore& task, const char* function) const;
    /// The name that the program gave the stream, or else the name of the channel.
    std::string name() const;
    /// Whether the channel was given away. There is no channel to ask then.
    bool is_detached() const noexcept { return channel_ == nullptr; }
    /// Gives the channel away. The state has ended then, and never uses a channel again. No
    /// operation may be in flight.
    ChannelPtr detach() noexcept {
        closing_ = true;
        return std::move(channel_);
    }

protected:
    StreamState(EventLoop& loop, ChannelPtr channel, const StreamOptions& options);
    virtual ~StreamState();

    /// The loop closes: the state ends its operation in flight and then closes its side.
    virtual void shut() noexcept = 0;
    /// Called when the side is closed. `error` is 0, or the errno of the close.
    virtual void closed(int error) noexcept = 0;

    /// Closes a side of the channel, or both. No other operation may be in flight, also no earlier
    /// close.
    void close_side(lowlevel::Channel::Side side) noexcept;
    bool close_in_flight() const noexcept { return close_in_flight_; }

    /// Lets the callback, which knows the operation alone, find the state.
    struct OwnOperation : lowlevel::Operation {
        StreamState* stream = nullptr;
    };
    /// The operation that the state itself keeps in flight: a write, or the close, which comes when
    /// nothing else is in flight. There may be very many streams, so there is one and not two.
    OwnOperation operation_;

private:
    static void loop_closes(AtClose& listener) noexcept;
    static void close_reported(lowlevel::Operation& operation) noexcept;

    /// Null for most streams, which have the name of their channel.
    std::unique_ptr<const std::string> name_;

    // What every read and every write looks at comes last, in front of the members of the derived
    // class that they look at, too: with thousands of streams each line of the cache is a miss.
    EventLoop& loop_;
    ChannelPtr channel_;
    /// Begins with the reference of the handle.
    std::uint32_t references_ = 1;
    bool close_in_flight_ = false;

protected:
    /// No new bytes are read or accepted. Set once, never taken back.
    bool closing_ = false;
};

/// A base class, so that the channel is constructed before the state.
template <class OwnChannel>
struct ChannelInside {
    OwnChannel own_channel;
};

/// A stream over a descriptor: the state and its channel as one object. The state is given a
/// pointer that does not own.
template <class State, class OwnChannel>
class OverDescriptor final : private ChannelInside<OwnChannel>, public State {
public:
    OverDescriptor(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access)
        : ChannelInside<OwnChannel>{OwnChannel(loop, std::move(fd), access)},
          State(loop, ChannelPtr(ChannelPtr(), &this->own_channel), options) {}
};

/// The state of a new stream. Throws: what its constructor throws, and `std::bad_alloc`. `fd` is
/// closed then, unless it is a standard descriptor.
///
/// A caller that gives a descriptor directly, as `StreamReader(loop, fd)`, has not gone through
/// `prepare` in pipes.cpp; so it is decided here whether the descriptor is shared.
template <class State>
Ref<State> make_stream(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access) {
    const bool is_shared = options.shared || is_standard(fd.get());
    if (access == Access::non_blocking && is_shared) access = Access::shared;
    if (access == Access::shared)
        return Ref<State>::adopt(new OverDescriptor<State, SharedDescriptorChannel>(
            loop, std::move(fd), options, access));
    return Ref<State>::adopt(
        new OverDescriptor<State, DescriptorChannel>(loop, std::move(fd), options, access));
}

/// The state of a stream over a channel of the program.
template <class State>
Ref<State> make_stream(EventLoop& loop, ChannelPtr channel, const StreamOptions& options) {
    return Ref<State>::adopt(new State(loop, std::move(channel), options));
}

}  // namespace asyncio::internal
