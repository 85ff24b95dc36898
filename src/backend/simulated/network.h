#pragma once
// The simulated network: hosts, their addresses, and how long it takes to get from one to another.
//
// The sockets (sockets/) know the rules of their protocols. The network knows who is where, and
// decides with its part of the seed when a parcel arrives. Every world has one host, `localhost`
// with 127.0.0.0/8 and ::1, to which the sockets of the program belong.
//
// Each host has its own ports and its own names of Unix sockets.
//
// The choices of the network come from dice of their own. So a program without sockets has the same
// run under a seed, whatever the network asks its dice for.
//
// Thread-safety: none. A network belongs to one world.

#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/simulated/dice.h"
#include "backend/simulated/sockets/endpoint.h"
#include "backend/simulated/sockets/ports.h"
#include "backend/simulated/sockets/socket.h"
#include "backend/simulated/sockets/unix_names.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Host {
public:
    explicit Host(std::string name) : name(std::move(name)) {}
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// Whether the address is one of the host's own.
    bool has(const Ip& ip) const noexcept;

    std::string name;
    std::vector<Ip> addresses;
    Ports tcp;
    Ports udp;
    UnixNames unix_names;
    /// All sockets of the host, open or not.
    internal::IntrusiveList<Socket> sockets;
};

class Network {
public:
    explicit Network(std::uint64_t seed);
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    /// Carries out an operation of the kind `socket`. Throws: `std::bad_alloc`.
    int make_socket(const Operation& operation, Surroundings& around);

    /// The host that `from` reaches at an address; null if there is none.
    Host* host_at(Host& from, const Ip& to) const noexcept;
    /// The own address with which `from` speaks to another. False if it cannot be reached.
    bool source_for(Host& from, const Ip& to, Ip& source) const noexcept;

    /// How long so many bytes, sent now, are on their way. Empty: they are lost.
    std::optional<Duration> travel(const Host& from, const Host& to, std::size_t bytes,
                                   const Surroundings& around) noexcept;

    /// How many of `most` bytes (at least one) go into one segment of a stream.
    std::size_t cut(std::size_t most) noexcept;

    /// The end of the world: messages no longer own the sockets that they carry.
    void release_passengers() noexcept;

private:
    Host& host_of_caller() noexcept { return *hosts_.front(); }

    bool plain_;
    Dice dice_;
    /// How often a parcel takes its time, and how often a segment is cut, in sixteenths.
    std::uint64_t delayed_;
    std::uint64_t cut_;
    /// The first one is localhost.
    std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace asyncio::lowlevel::simulated
