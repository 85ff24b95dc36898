#pragma once
// A host of the simulated network: its addresses, and what its sockets have taken.
//
// Thread-safety: none. A host belongs to one network.

#include <asyncio/internal/base/intrusive_list.h>

#include "backend/simulated/sockets/endpoint.h"
#include "backend/simulated/sockets/ports.h"
#include "backend/simulated/sockets/socket.h"
#include "backend/simulated/sockets/unix_names.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Host {
public:
    Host(int number_of_host, std::string name_of_host, std::vector<Ip> addresses_of_host)
        : number(number_of_host),
          name(std::move(name_of_host)),
          addresses(std::move(addresses_of_host)) {}
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// Whether the address is one of the host's own.
    bool has(const Ip& ip) const noexcept { return ip.is_loopback() || has_own(ip); }
    /// The same without the loopback addresses, which every host has.
    bool has_own(const Ip& ip) const noexcept {
        return std::find(addresses.begin(), addresses.end(), ip) != addresses.end();
    }

    const int number;
    const std::string name;
    const std::vector<Ip> addresses;
    bool is_on = true;

    Ports tcp;
    Ports udp;
    UnixNames unix_names;
    /// All sockets of the host, open or not.
    internal::IntrusiveList<Socket> sockets;
};

}  // namespace asyncio::lowlevel::simulated
