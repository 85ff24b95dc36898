#pragma once
// The simulated network: its hosts, and who reaches whom.
//
// The sockets (sockets/) know the rules of their protocols, and the links (links.h) how packets
// travel. The network knows the hosts, and is what a test sees of all this
// (asyncio/lowlevel/simulated_network.h).
//
// The choices of the network come from dice of their own. So a program without sockets has the same
// run under a seed, whatever the network asks its dice for.
//
// Thread-safety: none. A network belongs to one world.

#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/operation.h>
#include <asyncio/lowlevel/simulated_network.h>

#include "backend/simulated/host.h"
#include "backend/simulated/links.h"
#include "backend/simulated/network_names.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Network final : public SimulatedNetwork {
public:
    /// The surroundings and the table are made after the network, and belong to the same world.
    Network(const SimulationOptions& options, Surroundings& around, const Descriptors& descriptors,
            TimePoint now);

    // For the world and the sockets.

    /// Carries out an operation of the kind `socket`. Throws: `std::bad_alloc`.
    int make_socket(const Operation& operation);

    /// The host on which the code runs that calls the back-end now.
    Host& host_of_caller() const noexcept;
    /// The host that `from` reaches at an address; null if there is none.
    Host* host_at(Host& from, const Ip& to) const noexcept;
    /// The own address with which `from` speaks to another. False if it cannot be reached.
    bool source_for(Host& from, const Ip& to, Ip& source) const noexcept;

    /// As `Links`. A host that is off sends and receives nothing.
    std::optional<Duration> travel(const Host& from, const Host& to, std::size_t bytes) noexcept;
    Links::Arrivals travel_as_datagram(const Host& from, const Host& to,
                                       std::size_t bytes) noexcept;
    std::size_t piece_of(const Host& from, const Host& to, std::size_t most) noexcept {
        return links_.piece_of(from.number, to.number, most);
    }

    Names& names() noexcept { return names_; }

    /// The end of the world: messages no longer own the sockets that they carry.
    void release_passengers() noexcept;

    // For tests.

    HostNumber add_host(std::string name, std::span<const Address> addresses) override;
    void add_name(std::string name, HostNumber host) override;
    void set_caller(HostNumber (*host_of_caller)() noexcept) noexcept override;
    void set_link(HostNumber from, HostNumber to, const SimulatedLink& link) override;
    void set_usual_link(const SimulatedLink& link) override { links_.set_usual(link); }
    void cut(HostNumber from, HostNumber to) override;
    void mend(HostNumber from, HostNumber to) override;
    void reset_connections(HostNumber one, HostNumber other) override;
    void power_off(HostNumber host) override;
    void power_on(HostNumber host) override { host_of(host).is_on = true; }
    bool is_on(HostNumber host) const override { return host_of(host).is_on; }
    void set_disk_size(HostNumber host, std::uint64_t size_bytes) override {
        host_of(host).files->set_disk_size(size_bytes);
    }
    std::uint64_t usual_disk_size_bytes() const noexcept override { return disk_size_bytes_; }
    std::size_t open_descriptors() const noexcept override;
    TimePoint now() const noexcept override { return around_.now; }
    bool is_plain() const noexcept override { return links_.is_plain(); }
    std::uint64_t random_below(std::uint64_t bound) noexcept override {
        return links_.dice().below(bound);
    }

private:
    /// Throws: `std::invalid_argument` for a number that is no host.
    Host& host_of(HostNumber number) const;
    std::unique_ptr<Files> new_disk(TimePoint now) const;

    Surroundings& around_;
    const Descriptors& descriptors_;
    std::uint64_t disk_size_bytes_;
    Links links_;
    NetworkNames names_;
    HostNumber (*ask_caller_)() noexcept = nullptr;
    std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace asyncio::lowlevel::simulated
