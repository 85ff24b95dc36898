#pragma once
// Datagrams: endpoints that send and receive messages, each of which arrives whole or not at all.
//
//     Datagram endpoint = co_await open_datagram({.local_addr = Address::ip("127.0.0.1", 9999)});
//     for (;;) {
//         ReceivedFrom message = co_await endpoint.receive();
//         co_await endpoint.send(message.data, message.address);
//     }
//
// In Python a program gives the loop an object, and the loop calls its methods
// (`datagram_protocol.h` has that form, too). Here a task awaits the next datagram. So a server is
// a loop, a question with an answer is two lines, and a time limit is a `timeout`.
//
// What the network does to datagrams is not hidden. They may get lost, arrive twice, or overtake
// each other. The endpoint itself adds nothing to that: it loses no datagram that the kernel has
// handed out, whatever tasks are cancelled. The next `receive` gets it.
//
// A connected endpoint has one peer. It alone can learn that no program listens there: the network
// sends the refusal some time after the datagram. So the refusal (ECONNREFUSED) is news about the
// past. It is thrown by the next `receive`, never by a later `send`, and the endpoint stays open.
//
// Many datagrams at once. `receive_many` and `send_many` take as few system calls as the kernel
// allows. Datagrams of one size to one address leave as a single piece of work (UDP_SEGMENT), and
// may arrive as one (UDP_GRO). The program sees single datagrams in any case. The order in which
// they are received is the order in which the kernel had them.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/internal/base/ref.h>
#include <asyncio/socket.h>

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

/// How an endpoint is opened.
struct DatagramOptions {
    /// Where datagrams come in. Empty: the system chooses an address when the first datagram is
    /// sent. An old socket at the path of a Unix address is replaced.
    Address local_addr = {};
    /// The peer. With one the endpoint is connected: it sends to this address alone, and receives
    /// from it alone.
    Address remote_addr = {};
    /// AF_INET, AF_INET6 or AF_UNIX. Needed only if there is no address.
    int family = 0;
    /// Whether several sockets may have the same local address (SO_REUSEPORT). The kernel then
    /// gives each datagram to one of them.
    bool reuse_port = false;
    /// Whether datagrams may be sent to a broadcast address.
    bool allow_broadcast = false;
    /// Whether the kernel may send and receive several datagrams as one piece of work. A program
    /// that uses the descriptor itself, beside this class, switches it off.
    bool offload = true;
    /// How many bytes `send_nowait` may keep while the kernel has no room. Each datagram counts
    /// with its bytes and some 200 more.
    std::size_t send_buffer_limit = 65536;
};

namespace internal {

class DatagramState;

/// A datagram that `send_many` sends. Both pointers refer to the caller's memory; without an
/// address it goes to the peer.
struct OutgoingDatagram {
    std::string_view data;
    const Address* address;
};

template <class Item>
concept DatagramText = std::convertible_to<const Item&, std::string_view>;

template <class Item>
concept DatagramWithAddress = requires(const Item& item) {
    { item.data } -> std::convertible_to<std::string_view>;
    { item.address } -> std::convertible_to<const Address&>;
};

}  // namespace internal

/// What `Datagram::send_many` takes: a range of texts, or of objects with `data` and `address`, as
/// `ReceivedFrom`.
template <class Range>
concept DatagramRange = std::ranges::forward_range<const Range> &&
                        (internal::DatagramText<std::ranges::range_value_t<const Range>> ||
                         internal::DatagramWithAddress<std::ranges::range_value_t<const Range>>);

/// An endpoint for datagrams. Move-only; made by `open_datagram`. An empty one throws RuntimeError
/// when it is used.
///
/// An endpoint that is destroyed is closed at once, and what `send_nowait` has kept is lost.
/// Python: the transport of `loop.create_datagram_endpoint`.
class Datagram {
public:
    /// Refers to no endpoint.
    Datagram() noexcept;
    /// An endpoint over a socket that was made elsewhere, or that needs options of its own: a
    /// membership in a multicast group, for example.
    /// Throws: `std::invalid_argument` if it is not a socket for datagrams; OsError; RuntimeError
    /// if no loop runs. The socket is closed then.
    /// Python: the `sock` argument of `create_datagram_endpoint`.
    explicit Datagram(Socket socket);
    explicit Datagram(internal::Ref<internal::DatagramState> state) noexcept;
    Datagram(Datagram&& other) noexcept;
    Datagram& operator=(Datagram&& other) noexcept;
    ~Datagram();

    explicit operator bool() const noexcept;

    // Receiving. Every function throws OsError, and CancelledError if the task is cancelled.

    /// Waits for a datagram. An empty datagram is one, too: there is no end of the stream.
    ///
    /// Datagrams of Unix sockets may be longer than 64 KiB, and are cut there; `truncated` says so.
    /// No memory is used while it waits.
    /// Throws: OsError. ECONNREFUSED is the peer's answer to an earlier datagram, and the endpoint
    /// is still usable. ECANCELED: the endpoint was closed meanwhile. EBADF: it was closed before.
    /// Cancellation: a cancellation point if it must wait. No datagram is lost.
    /// Python: `DatagramProtocol.datagram_received`, and `error_received` for the error.
    Coro<ReceivedFrom> receive() const;
    /// Waits for a datagram, and returns it with the others that are there, `most` at the most and
    /// one at least.
    /// Throws: `std::invalid_argument` if `most` is zero; otherwise as `receive`.
    /// Cancellation: as `receive`.
    /// Cost: one system call for 16 datagrams, or for many more if they came as one piece of work.
    Coro<std::vector<ReceivedFrom>> receive_many(std::size_t most) const;

    // Sending. `data` must live until the await returns.

    /// Sends a datagram to the peer. Waits while the kernel has no room, and behind the datagrams
    /// that `send_nowait` has kept.
    /// Throws: OsError: EMSGSIZE if it is too long, EDESTADDRREQ if there is no peer.
    /// Cancellation: a cancellation point if it must wait. The datagram was not sent then.
    /// Python: `DatagramTransport.sendto`, which does not wait.
    Coro<void> send(std::string_view data) const;
    /// Sends a datagram to `address`. An empty address is the peer.
    /// Throws: `std::invalid_argument` if the endpoint is connected to another address; otherwise
    /// as above.
    Coro<void> send(std::string_view data, Address address) const;

    /// Sends several datagrams, in their order. `datagrams` must live until the await returns.
    ///
    /// Texts go to `address`, or to the peer if it is empty. A range of objects with `data` and
    /// `address` says where each one goes: what `receive_many` has returned can be sent back.
    /// Throws: as `send`. The datagrams before the one that has failed were sent, and no others.
    /// Cancellation: any number of the first datagrams may have been sent.
    /// Cost: few system calls. Datagrams of one size to one address (the last may be shorter) are
    /// one piece of work for the kernel, 64 at the most, which costs about a third.
    template <DatagramRange Range>
    Coro<void> send_many(const Range& datagrams, Address address = {}) const {
        std::vector<internal::OutgoingDatagram> outgoing;
        if constexpr (std::ranges::sized_range<const Range>)
            outgoing.reserve(static_cast<std::size_t>(std::ranges::size(datagrams)));
        for (const auto& datagram : datagrams) {
            using Item = std::remove_cvref_t<decltype(datagram)>;
            if constexpr (internal::DatagramText<Item>) {
                outgoing.push_back({std::string_view(datagram), nullptr});
            } else {
                outgoing.push_back({std::string_view(datagram.data), &datagram.address});
            }
        }
        return send_all(std::move(outgoing), address);
    }

    /// Sends a datagram without waiting. If the kernel has no room, the endpoint keeps a copy and
    /// sends it later, in order.
    ///
    /// Returns false if there is no room for the copy either, or if the endpoint is closed: the
    /// datagram is dropped, as a network does it.
    /// Throws: OsError, as `send`. A datagram that was kept and fails later is an error of the next
    /// `drain` or `receive`. `std::invalid_argument`, as `send`.
    /// Python: `DatagramTransport.sendto`. Its buffer has no limit, and it gives errors to
    /// `error_received`.
    bool send_nowait(std::string_view data, const Address& address = {}) const;
    /// Waits until everything that `send_nowait` has kept is sent.
    /// Throws: OsError of a datagram that could not be sent; ECANCELED if the endpoint was closed
    /// with datagrams left.
    /// Cancellation: a cancellation point if it must wait; nothing else changes.
    Coro<void> drain() const;
    /// How many bytes `send_nowait` has kept, counted as for `send_buffer_limit`.
    /// Python: `get_write_buffer_size`.
    std::size_t get_write_buffer_size() const;

    // The end.

    /// Receives no more, sends what `send_nowait` has kept, and closes the socket. Waiting receives
    /// end with an OsError (ECANCELED). Does not wait. Closing twice is allowed.
    void close() const noexcept;
    /// Closes the socket at once.
    void abort() const noexcept;
    /// Waits until the socket is closed. Does not close it.
    /// Cancellation: a cancellation point if it must wait; nothing else changes.
    Coro<void> wait_closed() const;
    /// `close` and `wait_closed`.
    Coro<void> aclose() const;
    bool is_closing() const noexcept;

    /// The local address. Empty after the close.
    Address local() const;
    /// The peer of a connected endpoint, also after the close; empty if there is none.
    Address peer() const;
    /// The descriptor, which stays the endpoint's; −1 after the close.
    int fd() const;

    /// For the library. Throws: RuntimeError if the handle is empty.
    internal::DatagramState& state() const;

private:
    Coro<void> send_all(std::vector<internal::OutgoingDatagram> datagrams, Address address) const;

    internal::Ref<internal::DatagramState> state_;
};

namespace no_adl {

/// Opens an endpoint.
///
/// Throws: OsError, which names the address; `std::invalid_argument` if the two addresses have
/// different families, or if there is neither an address nor a family.
/// Cancellation: nothing is left open.
/// Python: `loop.create_datagram_endpoint`.
Coro<Datagram> open_datagram(DatagramOptions options);

/// Opens an endpoint that is connected to `host`, a name or a number. The addresses of the name are
/// tried in the order of the system, those alone whose family fits `options`, until one works.
/// Datagrams have no handshake: that it works does not mean that a program listens there.
///
/// Throws: GaiError if the name has no address; `std::invalid_argument` if no address fits
/// `local_addr`, if the port is not between 0 and 65535, or if `remote_addr` is given as well;
/// OsError, that of the first address.
/// Cancellation: nothing is left open.
Coro<Datagram> open_datagram(std::string host, int port, DatagramOptions options = {});

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
