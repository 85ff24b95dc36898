#pragma once
// Opening connections.
//
//     auto [reader, writer] = co_await asyncio::open_connection("example.org", 80);
//
// A name has several addresses, and some of them may not answer. `open_connection` tries them in
// turns, one of IPv6 and one of IPv4, and does not wait for an attempt that takes long: after a
// quarter of a second it starts the next one beside it. The first connection that stands is taken.
// The other attempts are cancelled, and have ended when the function returns ("happy eyeballs", RFC
// 8305). Python does so only if it is asked to.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/exceptions.h>
#include <asyncio/socket.h>
#include <asyncio/stream.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace asyncio {

/// How a connection is opened.
struct ConnectOptions {
    /// As in `StreamOptions`.
    std::size_t limit = default_stream_limit_bytes;
    /// AF_INET or AF_INET6: only addresses of this family are tried. 0: both.
    int family = 0;
    /// The address from which to connect. Addresses of another family fail then. The port may be 0.
    Address local_addr = {};
    /// How long an attempt may take before the next one begins beside it. Without a value the next
    /// one begins when the one before has failed. Python: `happy_eyeballs_delay`, by default None.
    std::optional<Delay> happy_eyeballs_delay = Delay(std::chrono::milliseconds(250));
    /// Whether addresses of the two families are tried in turns, and not in the order of the
    /// system. Python: `interleave`.
    bool interleave = true;
    /// Whether small writes are sent at once (TCP_NODELAY). Python sets it always.
    bool no_delay = true;
};

/// An address that was tried, and why it failed.
struct FailedConnect {
    Address address;
    /// An errno.
    int error = 0;
};

/// No address could be connected to. The message names the host, the port, and every address with
/// its reason. The errno is that of the first address.
///
/// Python: an OSError whose message joins those of all addresses, or an ExceptionGroup.
class [[gnu::visibility("default")]] ConnectError : public OsError {
public:
    /// `to` is what the caller asked for: "example.org:80". `attempts` must not be empty.
    ConnectError(const std::string& to, std::vector<FailedConnect> attempts);

    /// In the order in which they were tried.
    const std::vector<FailedConnect>& attempts() const noexcept { return attempts_; }

private:
    std::vector<FailedConnect> attempts_;
};

namespace no_adl {

/// Connects to `host`, a name or a number, over TCP. An empty host is this machine.
///
/// Throws: GaiError if the name has no address; ConnectError if no address could be connected to;
/// `std::invalid_argument` if the port is not between 0 and 65535.
/// Cancellation: no attempt is left, and no descriptor is open. There is no time limit; use
/// `timeout`.
/// Python: `asyncio.open_connection`.
/// Source: RFC 8305.
Coro<Stream> open_connection(std::string host, int port, ConnectOptions options = {});

/// Connects to one address, also of a Unix socket. Throws: ConnectError.
Coro<Stream> open_connection(Address address, ConnectOptions options = {});

/// Connects to the Unix socket at `path`; an abstract name begins with a NUL.
/// Throws: `std::invalid_argument` if the path is empty or too long; ConnectError.
/// Python: `asyncio.open_unix_connection`.
Coro<Stream> open_unix_connection(std::string path, ConnectOptions options = {});

/// Makes a stream of a connected socket: of one that was accepted, or comes from elsewhere.
/// Throws: OsError if the socket has no descriptor.
/// Python: `loop.connect_accepted_socket`, or the `sock` argument of `open_connection`.
Stream connect_accepted_socket(Socket socket, StreamOptions options = {});

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
