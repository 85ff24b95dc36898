#pragma once
// What a socket tells about itself: its two addresses and its protocol.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/lowlevel/loop.h>

namespace asyncio::internal {

/// The local address of the socket. Empty if `fd` is no socket.
Address local_address_of(lowlevel::Loop& loop, int fd);

/// The address of the peer. Empty if the socket is not connected, or not connected any more.
Address peer_address_of(lowlevel::Loop& loop, int fd);

/// Whether the socket speaks TCP. False if `fd` is no socket.
bool is_tcp(lowlevel::Loop& loop, int fd);

}  // namespace asyncio::internal
