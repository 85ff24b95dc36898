#pragma once
// The names of the hosts of the simulated network, as `getaddrinfo` finds them.
//
// A name has the addresses of its host, in the order in which they were given. An answer is there
// at once. A service is a number, or one of the few names that every system has.
//
// Thread-safety: none. The names belong to one network.

#include <asyncio/lowlevel/names.h>

#include "backend/simulated/sockets/endpoint.h"

#include <map>
#include <string>
#include <vector>

namespace asyncio::lowlevel::simulated {

class NetworkNames final : public Names {
public:
    /// Throws: `std::invalid_argument` if the name is used.
    void add(std::string name, std::vector<Ip> addresses);

    Addresses addresses_of(const std::string& host, const std::string& service,
                           const AddressHints& hints) override;
    Name name_of(const Address& address, int flags) override;

private:
    std::vector<Ip> ips_of(const std::string& host, const AddressHints& hints, int& error) const;

    std::map<std::string, std::vector<Ip>> hosts_;
    /// The first name of each address.
    std::map<Ip, std::string> names_;
};

}  // namespace asyncio::lowlevel::simulated
