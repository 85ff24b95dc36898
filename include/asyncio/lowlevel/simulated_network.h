#pragma once
// The network of a simulated back-end, for the tests of programs that use sockets.
//
// Every simulated back-end has a network with one host, `localhost`, which has the addresses
// 127.0.0.0/8 and ::1. To it belong all sockets of the program, until a test adds other hosts and
// says which code runs on which host. Everything stays in one process and in one loop: a host is a
// set of addresses, ports and names, not a machine.
//
// The ways between hosts are links, one for each direction. A link has a latency, a bandwidth, and
// rates at which packets are lost, doubled or overtaken. These hit datagrams as they are. The bytes
// of a stream are sent again, so a lossy link makes a stream slow and never wrong. The choices come
// from the seed of the back-end: the same seed loses the same packets.
//
// `asyncio/testing/network.h` is the comfortable form of this interface, with hosts as objects and
// faults as a plan.
//
// Thread-safety: the thread of the back-end.

#include <asyncio/address.h>
#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/backend.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace asyncio::lowlevel {

/// One direction of the way between two hosts.
struct SimulatedLink {
    /// How long a packet takes at least.
    Duration latency{};
    /// How much longer it takes at most. Each packet gets a time between the two, and packets of
    /// one link keep their order.
    Duration jitter{};
    /// 0: no limit. Packets wait until those before them are through.
    std::uint64_t bytes_per_second = 0;
    /// The largest number of bytes of a stream that arrive together. 0: no limit.
    std::uint64_t largest_piece_bytes = 0;

    // Probabilities from 0 to 1.

    /// A packet is lost.
    double loss = 0;
    /// A datagram arrives twice.
    double duplication = 0;
    /// A datagram is overtaken by those that are sent after it.
    double reordering = 0;
};

/// The network of a simulated back-end, see the top of this file.
class [[gnu::visibility("default")]] SimulatedNetwork {
public:
    SimulatedNetwork(const SimulatedNetwork&) = delete;
    SimulatedNetwork& operator=(const SimulatedNetwork&) = delete;

    /// Hosts have numbers, in the order in which they were added.
    using HostNumber = int;
    static constexpr HostNumber localhost = 0;

    /// Adds a host. Its name and its addresses (IPv4 or IPv6, the ports mean nothing) must be new.
    /// Sockets on other hosts reach it by these addresses, and `getaddrinfo` finds them by the name
    /// (lowlevel/names.h). 127.0.0.1 and ::1 mean the host itself on every host.
    /// Throws: `std::invalid_argument`.
    virtual HostNumber add_host(std::string name, std::span<const Address> addresses) = 0;

    /// Gives a further name to a host. Throws: `std::invalid_argument` if the name is used.
    virtual void add_name(std::string name, HostNumber host) = 0;

    /// Decides on which host code runs: sockets that it makes belong to this host. `host_of_caller`
    /// is called whenever a socket is made, in the context of the code that makes it. Null: the
    /// code runs on localhost.
    virtual void set_caller(HostNumber (*host_of_caller)() noexcept) noexcept = 0;

    /// How packets travel from one host to another. Within a host a link has no effect.
    virtual void set_link(HostNumber from, HostNumber to, const SimulatedLink& link) = 0;
    /// The link of all pairs of hosts for which `set_link` was not called.
    virtual void set_usual_link(const SimulatedLink& link) = 0;

    /// Cuts a direction: every packet is lost. What is on its way arrives.
    virtual void cut(HostNumber from, HostNumber to) = 0;
    /// Ends a cut. What streams could not send follows when they try again, with the waits of TCP:
    /// up to two minutes later.
    virtual void mend(HostNumber from, HostNumber to) = 0;

    /// Ends all TCP connections between two hosts, as a device on the way does that sends RST to
    /// both ends. The hosts may be the same.
    virtual void reset_connections(HostNumber one, HostNumber other) = 0;

    /// The host loses its power: its sockets are gone, and no packet tells their peers. An open
    /// descriptor of the host answers ENETDOWN. What is on its way to the host is lost.
    virtual void power_off(HostNumber host) = 0;
    /// The host is there again, without its former sockets: it answers their peers with RST.
    virtual void power_on(HostNumber host) = 0;
    virtual bool is_on(HostNumber host) const = 0;

    /// How much the files of a host may hold together from now on. What they hold stays. A write
    /// for which there is no room fails with ENOSPC.
    virtual void set_disk_size(HostNumber host, std::uint64_t size_bytes) = 0;
    /// The size of the disks at first (`SimulationOptions`).
    virtual std::uint64_t usual_disk_size_bytes() const noexcept = 0;

    /// How many descriptors of the simulated world are open, on all hosts.
    virtual std::size_t open_descriptors() const noexcept = 0;

    /// The virtual time, as `Backend::now`.
    virtual TimePoint now() const noexcept = 0;

    /// Whether the seed is 0, under which nothing happens by chance.
    virtual bool is_plain() const noexcept = 0;
    /// A number in [0, bound) from the dice of the network, for faults that the seed decides. Each
    /// call changes all that comes after it.
    virtual std::uint64_t random_below(std::uint64_t bound) noexcept = 0;

protected:
    SimulatedNetwork() = default;
    /// The back-end owns its network.
    ~SimulatedNetwork() = default;
};

/// The network of a back-end that `make_simulated_backend` has made, or `make_backend` with the
/// kind `simulated`. Null for any other back-end.
SimulatedNetwork* simulated_network(Backend& backend) noexcept;

}  // namespace asyncio::lowlevel
