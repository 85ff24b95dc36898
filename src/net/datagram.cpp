// Opening endpoints, and their handles.
//
// An endpoint is opened in three steps: a socket with its options, the local address, the peer. The
// socket has an owner from the beginning, so an error or a cancellation in any step closes it.
//
// By the name of a host, the steps are repeated for each address of the name, until one works. An
// address of another family than the local one cannot work, and is left out. There is no race as
// between connections: the connect of a datagram socket asks nobody, and ends at once.

#include <asyncio/datagram.h>

#include <asyncio/exceptions.h>
#include <asyncio/names.h>

#include "net/datagram_state.h"
#include "net/listener.h"

#include <stdexcept>
#include <utility>

#include <sys/socket.h>

namespace asyncio {

using internal::DatagramState;
using DatagramRef = internal::Ref<DatagramState>;

namespace {

/// The descriptor changes its owner before the state is made, which closes it if there is no
/// memory.
DatagramRef endpoint_over(EventLoop& loop, Socket socket, const Address& peer,
                          const DatagramOptions& options) {
    const DatagramState::Limits limits{options.send_buffer_limit, options.offload};
    lowlevel::LoopFd fd(loop, socket.detach());
    return DatagramRef::adopt(new DatagramState(loop, std::move(fd), peer, limits));
}

/// Empty if the socket has no peer. The question is how the kernel tells a connected socket from
/// another one, so its error is an answer here.
Address peer_of(const Socket& socket) {
    try {
        return socket.getpeername();
    } catch (const OsError&) {
        return {};
    }
}

/// The family of both addresses, or the one that the caller names. The kernel would report a
/// mixture by an errno, which does not say which of the addresses is meant.
int family_of(const DatagramOptions& options) {
    const Address& local = options.local_addr;
    const Address& remote = options.remote_addr;
    if (!local.is_empty() && !remote.is_empty() && local.family() != remote.family())
        throw std::invalid_argument("open_datagram: " + local.to_string() + " and " +
                                    remote.to_string() + " have different families");
    const Address& known = remote.is_empty() ? local : remote;
    const int family = known.is_empty() ? options.family : known.family();
    if (family == 0)
        throw std::invalid_argument("open_datagram: neither an address nor a family is given");
    if (options.family != 0 && options.family != family)
        throw std::invalid_argument("open_datagram: " + known.to_string() +
                                    " is no address of the given family");
    return family;
}

/// SO_REUSEADDR is not set, and cannot be asked for. On Linux it lets a second socket take the
/// datagrams of the first without a word, and Python has removed the option for that reason.
///
/// The options come before the bind, because the kernel looks at them there.
Coro<Datagram> open_endpoint(DatagramOptions options) {
    EventLoop& loop = internal::running_loop("asyncio::open_datagram()");
    Socket socket(family_of(options), SOCK_DGRAM);
    if (options.reuse_port) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
    if (options.allow_broadcast) socket.setsockopt(SOL_SOCKET, SO_BROADCAST, 1);
    if (!options.local_addr.is_empty()) {
        if (options.local_addr.is_local())
            co_await internal::remove_old_socket(std::string(options.local_addr.path()));
        socket.bind(options.local_addr);
    }
    if (!options.remote_addr.is_empty()) co_await socket.connect(options.remote_addr);
    co_return Datagram(endpoint_over(loop, std::move(socket), options.remote_addr, options));
}

/// Tries one address. Returns an empty handle if there is an error, which is kept if it is the
/// first.
Coro<Datagram> try_endpoint(DatagramOptions options, std::optional<OsError>& first_error) {
    try {
        co_return co_await open_endpoint(options);
    } catch (const OsError& error) {
        if (!first_error) first_error = error;
    }
    co_return Datagram();
}

/// Whether a socket with the local address can send to `remote`. A socket has one family, so no
/// attempt with another address could work.
bool fits(const Address& remote, const DatagramOptions& options) noexcept {
    return options.local_addr.is_empty() || options.local_addr.family() == remote.family();
}

}  // namespace

// --- The handle ---------------------------------------------------------------------------------
//
// A function that waits takes a share of the state with it: the program may destroy the handle
// while a task waits, which aborts the endpoint and wakes the task.

Datagram::Datagram() noexcept = default;
Datagram::Datagram(DatagramRef state) noexcept : state_(std::move(state)) {}
Datagram::Datagram(Datagram&& other) noexcept = default;

/// The type is checked, because a stream socket would work at first and lose the borders of the
/// datagrams.
Datagram::Datagram(Socket socket) {
    EventLoop& loop = internal::running_loop("asyncio::Datagram()");
    if (socket.getsockopt(SOL_SOCKET, SO_TYPE) != SOCK_DGRAM)
        throw std::invalid_argument("descriptor " + std::to_string(socket.fileno()) +
                                    " is no socket for datagrams");
    const Address peer = peer_of(socket);
    state_ = endpoint_over(loop, std::move(socket), peer, {});
}

/// The endpoint that the handle referred to ends, as if the handle had been destroyed.
Datagram& Datagram::operator=(Datagram&& other) noexcept {
    if (this == &other) return *this;
    if (state_) state_->abort();
    state_ = std::move(other.state_);
    return *this;
}

Datagram::~Datagram() {
    if (state_) state_->abort();
}

Datagram::operator bool() const noexcept { return static_cast<bool>(state_); }

DatagramState& Datagram::state() const {
    if (!state_) internal::throw_empty("Datagram");
    return *state_;
}

Coro<ReceivedFrom> Datagram::receive() const {
    return DatagramState::receive(DatagramRef::share(&state()));
}

Coro<std::vector<ReceivedFrom>> Datagram::receive_many(std::size_t most) const {
    return DatagramState::receive_many(DatagramRef::share(&state()), most);
}

Coro<void> Datagram::send(std::string_view data) const {
    return DatagramState::send(DatagramRef::share(&state()), data, Address());
}

Coro<void> Datagram::send(std::string_view data, Address address) const {
    return DatagramState::send(DatagramRef::share(&state()), data, address);
}

Coro<void> Datagram::send_all(std::vector<internal::OutgoingDatagram> datagrams,
                              Address address) const {
    return DatagramState::send_many(DatagramRef::share(&state()), std::move(datagrams), address);
}

bool Datagram::send_nowait(std::string_view data, const Address& address) const {
    return state().send_nowait(data, address);
}

Coro<void> Datagram::drain() const { return DatagramState::drain(DatagramRef::share(&state())); }

std::size_t Datagram::get_write_buffer_size() const { return state().kept_bytes(); }

void Datagram::close() const noexcept {
    if (state_) state_->close();
}

void Datagram::abort() const noexcept {
    if (state_) state_->abort();
}

Coro<void> Datagram::wait_closed() const {
    return DatagramState::wait_closed(DatagramRef::share(&state()));
}

/// The close comes at the call, and not when the result is awaited.
Coro<void> Datagram::aclose() const {
    close();
    return wait_closed();
}

/// An empty handle counts as closed: there is nothing that could still be sent.
bool Datagram::is_closing() const noexcept { return !state_ || state_->is_closing(); }

Address Datagram::local() const { return state().local(); }

Address Datagram::peer() const { return state().peer(); }

int Datagram::fd() const { return state().fd(); }

// --- Opening ------------------------------------------------------------------------------------

namespace no_adl {

Coro<Datagram> open_datagram(DatagramOptions options) { return open_endpoint(options); }

/// The error of the first address is thrown, as for a connection: the later ones were tried only
/// because of it.
Coro<Datagram> open_datagram(std::string host, int port, DatagramOptions options) {
    if (!options.remote_addr.is_empty())
        throw std::invalid_argument("open_datagram: the peer is given twice");
    const AddressHints hints{.family = options.family, .type = SOCK_DGRAM};
    const std::vector<AddressInfo> found = co_await getaddrinfo(host, port, hints);
    std::optional<OsError> first_error;
    for (const AddressInfo& info : found) {
        if (!fits(info.address, options)) continue;
        options.remote_addr = info.address;
        Datagram endpoint = co_await try_endpoint(options, first_error);
        if (endpoint) co_return endpoint;
    }
    if (first_error) throw OsError(*first_error);
    throw std::invalid_argument("open_datagram: no address of " + host + " has the family of " +
                                options.local_addr.to_string());
}

}  // namespace no_adl

}  // namespace asyncio
