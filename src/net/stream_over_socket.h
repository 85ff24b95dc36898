#pragma once
// Streams over sockets.
//
// The socket comes with its loop, so a socket that no stream could be made of is closed by its
// back-end, also in the simulated world.

#include <asyncio/address.h>
#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/loop_fd.h>
#include <asyncio/stream.h>

#include "streams/socket_channel.h"

#include <memory>
#include <utility>

namespace asyncio::internal {

/// A stream over a connected socket. The parameters are those of `SocketChannel`.
inline Stream stream_over_socket(EventLoop& loop, lowlevel::LoopFd socket, const Address& peer,
                                 bool is_tcp, const StreamOptions& options) {
    return Stream(loop, std::make_shared<SocketChannel>(std::move(socket), peer, is_tcp), options);
}

}  // namespace asyncio::internal
