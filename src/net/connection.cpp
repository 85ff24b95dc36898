// `open_connection`: the addresses in an order, and a race between them.
//
// An attempt is a coroutine that owns its socket. When the race cancels it, the socket is closed by
// its destructor, and so no descriptor is left, whatever the moment. An attempt that succeeds in
// the same iteration as another one is a loser with a result: the race drops it, which closes it,
// too.
//
// Why a race and not a list of time limits. An address that does not answer costs a quarter of a
// second here, and two minutes in a program that waits for the kernel to give up. A time limit for
// each attempt would have to be short to help, and would then fail on slow networks.
//
// The error. Every attempt fails with an OsError. Their numbers and addresses are gathered, and the
// message tells all of them: "connect to example.org:80 (192.0.2.1:80: Connection refused;
// [2001:db8::1]:80: Network is unreachable): Connection refused". An exception of another kind, for
// lack of memory, is passed on as it is.

#include <asyncio/connection.h>

#include <asyncio/names.h>
#include <asyncio/staggered_race.h>

#include "net/stream_over_socket.h"
#include "streams/socket_facts.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <stdexcept>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace asyncio {
namespace {

/// The addresses in brackets, with their reasons if these differ. OsError adds the first reason at
/// the end. A caller that asked for one address knows it.
std::string described(const std::string& to, const std::vector<FailedConnect>& attempts) {
    const auto same_as_first = [&](const FailedConnect& attempt) {
        return attempt.error == attempts.front().error;
    };
    const bool all_same = std::all_of(attempts.begin(), attempts.end(), same_as_first);
    std::string tried;
    for (const FailedConnect& attempt : attempts) {
        if (!tried.empty()) tried += all_same ? ", " : "; ";
        tried += attempt.address.to_string();
        if (!all_same) tried += ": " + std::generic_category().message(attempt.error);
    }
    return "connect to " + to + (tried == to ? "" : " (" + tried + ")");
}

/// A socket for one attempt, from the address that the caller wants. An address of the other family
/// fails here, and the attempts to addresses of its own family are still made.
Socket bound_socket(const Address& to, const Address& local) {
    Socket socket(to.family(), SOCK_STREAM);
    if (local.is_empty()) return socket;
    if (local.family() != to.family()) throw OsError(EAFNOSUPPORT, "bind to " + local.to_string());
    socket.bind(local);
    return socket;
}

/// One attempt. The socket is closed unless it is returned. Without TCP_NODELAY the kernel would
/// hold small writes back until the peer has acknowledged the ones before, which is what a program
/// that asks and waits for an answer wants least.
Coro<Socket> connected_socket(Address to, const ConnectOptions& options) {
    Socket socket = bound_socket(to, options.local_addr);
    if (to.is_ip() && options.no_delay) socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    co_await socket.connect(to);
    co_return socket;
}

/// Takes one address of each family in turns, and begins with the family of the first. Within a
/// family the order of the system stays, which knows better which address is near.
std::vector<Address> interleaved(const std::vector<Address>& addresses) {
    std::vector<Address> first;
    std::vector<Address> others;
    for (const Address& address : addresses)
        (address.family() == addresses.front().family() ? first : others).push_back(address);
    std::vector<Address> result;
    result.reserve(addresses.size());
    for (std::size_t index = 0; index < std::max(first.size(), others.size()); ++index) {
        if (index < first.size()) result.push_back(first[index]);
        if (index < others.size()) result.push_back(others[index]);
    }
    return result;
}

/// The number of an attempt's error. Any exception but an OsError is thrown again.
int number_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const OsError& failed) {
        return failed.error();
    }
}

/// An attempt of which the race has not started is not in the list of exceptions.
[[noreturn]] void throw_failed(const std::string& to, const std::vector<Address>& addresses,
                               const std::vector<std::exception_ptr>& errors) {
    std::vector<FailedConnect> attempts;
    attempts.reserve(errors.size());
    for (std::size_t index = 0; index < errors.size(); ++index)
        attempts.push_back({addresses[index], number_of(errors[index])});
    throw ConnectError(to, std::move(attempts));
}

/// The attempts refer to the addresses and the options in this frame, which lives until the race
/// has ended with all of them.
Coro<Stream> race_to(std::string to, std::vector<Address> addresses, ConnectOptions options) {
    std::vector<std::function<Coro<Socket>()>> attempts;
    attempts.reserve(addresses.size());
    for (const Address& address : addresses)
        attempts.emplace_back([&address, &options] { return connected_socket(address, options); });
    RaceResult<Socket> result = co_await staggered_race(attempts, options.happy_eyeballs_delay);
    if (!result.winner_index || !result.winner_result)
        throw_failed(to, addresses, result.exceptions);
    EventLoop& loop = internal::running_loop("asyncio::open_connection()");
    lowlevel::LoopFd socket(loop, result.winner_result->detach());
    const Address& peer = addresses[*result.winner_index];
    co_return internal::stream_over_socket(loop, std::move(socket), peer, peer.is_ip(),
                                           {.limit = options.limit});
}

}  // namespace

ConnectError::ConnectError(const std::string& to, std::vector<FailedConnect> attempts)
    : OsError(attempts.front().error, described(to, attempts)), attempts_(std::move(attempts)) {}

namespace no_adl {

Coro<Stream> open_connection(std::string host, int port, ConnectOptions options) {
    const AddressHints hints{.family = options.family, .type = SOCK_STREAM};
    const std::vector<AddressInfo> found = co_await getaddrinfo(host, port, hints);
    std::vector<Address> addresses;
    addresses.reserve(found.size());
    for (const AddressInfo& info : found) addresses.push_back(info.address);
    if (options.interleave) addresses = interleaved(addresses);
    co_return co_await race_to(host + ":" + std::to_string(port), std::move(addresses), options);
}

/// A race with one attempt, so that the error is the same as for a host.
Coro<Stream> open_connection(Address address, ConnectOptions options) {
    if (address.is_empty()) throw std::invalid_argument("open_connection: the address is empty");
    std::vector<Address> one(1, address);
    co_return co_await race_to(address.to_string(), std::move(one), options);
}

Coro<Stream> open_unix_connection(std::string path, ConnectOptions options) {
    if (path.empty()) throw std::invalid_argument("open_unix_connection: the path is empty");
    co_return co_await open_connection(Address::local(path), options);
}

/// A connection that was reset in the meantime has no peer any more. This is no error here: the
/// first read says what has happened.
Stream connect_accepted_socket(Socket socket, StreamOptions options) {
    EventLoop& loop = internal::running_loop("asyncio::connect_accepted_socket()");
    if (!socket) throw OsError(EBADF, "make a stream of a socket");
    const Address peer = internal::peer_address_of(loop, socket.fileno());
    const bool is_tcp = internal::is_tcp(loop, socket.fileno());
    lowlevel::LoopFd fd(loop, socket.detach());
    return internal::stream_over_socket(loop, std::move(fd), peer, is_tcp, options);
}

}  // namespace no_adl

}  // namespace asyncio
