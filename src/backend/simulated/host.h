#pragma once
// A host of the simulated network: its addresses, its disk, and what its sockets have taken.
//
// A host is passive. It is a set of names for things (ports, paths, abstract names), and two hosts
// may use the same names. Which code runs "on" a host is decided above (simulated_network.h). When
// a host loses its power, its disk stays, and its sockets are gone.
//
// Thread-safety: none. A host belongs to one network.

#include <asyncio/internal/base/intrusive_list.h>

#include "backend/simulated/files.h"
#include "backend/simulated/sockets/endpoint.h"
#include "backend/simulated/sockets/ports.h"
#include "backend/simulated/sockets/socket.h"
#include "backend/simulated/sockets/unix_names.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Host {
public:
    /// `files` is the disk of the host.
    Host(int number_of_host, std::string name_of_host, std::vector<Ip> addresses_of_host,
         std::unique_ptr<Files> files_of_host)
        : number(number_of_host),
          name(std::move(name_of_host)),
          addresses(std::move(addresses_of_host)),
          files(std::move(files_of_host)) {}
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
    const std::unique_ptr<Files> files;
    bool is_on = true;

    Ports tcp;
    Ports udp;
    UnixNames unix_names;
    /// All sockets of the host, open or not.
    internal::IntrusiveList<Socket> sockets;
};

}  // namespace asyncio::lowlevel::simulated
