#pragma once
// The channel of a connection that a server has accepted.
//
// A server closes a connection through a second handle of its stream. But a handler may take the
// stream apart (`Stream::detach`) and put another one over the channel: TLS after a STARTTLS, for
// example. The second handle then refers to a stream that has ended, and the server does not know
// the new one. So the server has a way to the channel as well. It ends the connection there, below
// every stream: the new one reads the end, or fails to write.
//
// The channel also knows two things for the streams above it. A stream that is dropped closes and
// does not abort (`sends_rest_when_dropped`), so that what a handler has written is sent. And the
// task of the connection is told when the connection is over, whatever stream has closed it.
//
// The channel and the task refer to each other, and the first that ends tells the other. The task
// does not share the channel: a handler that drops it wants the connection closed.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/lowlevel/loop_fd.h>

#include "net/server_state.h"
#include "streams/socket_channel.h"

#include <utility>

namespace asyncio::internal {

class ServedChannel final : public SocketChannel {
public:
    ServedChannel(lowlevel::LoopFd socket, const Address& peer, bool is_tcp) noexcept
        : SocketChannel(std::move(socket), peer, is_tcp) {}
    ~ServedChannel() override { tell_end(); }

    Submitted close(Side side, lowlevel::Operation& operation) noexcept override {
        const Submitted submitted = SocketChannel::close(side, operation);
        if (fd() < 0) tell_end();
        return submitted;
    }
    bool sends_rest_when_dropped() const noexcept override { return sends_rest_when_dropped_; }

    /// From here on the handler has the stream.
    void send_rest_when_dropped() noexcept { sends_rest_when_dropped_ = true; }
    /// The task of the connection begins, or, with null, ends.
    void belong_to(ServerClient* client) noexcept { client_ = client; }

private:
    void tell_end() noexcept {
        if (client_ != nullptr) std::exchange(client_, nullptr)->note_channel_ended();
    }

    // The first lies in the padding of the base class.
    bool sends_rest_when_dropped_ = false;
    ServerClient* client_ = nullptr;
};

}  // namespace asyncio::internal
