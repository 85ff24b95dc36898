// Goal: every text and every sockaddr is either refused or becomes an address that keeps its rules.
// Method: the first byte chooses the reader. An address is written and read again. inet_pton(3) and
// getaddrinfo(3) say what a numeric address is, and which port a service is.

#include <asyncio/address.h>

#include "fuzz/fuzz.h"
#include "net/numeric_names.h"

#include <stdexcept>

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/un.h>

namespace {

using asyncio::Address;
using fuzz::Input;
using fuzz::require;

void check(const Address& address) {
    require(address.size() <= Address::capacity, "an address fits into its room");
    const Address again = Address::from_sockaddr(address.data(), address.size());
    require(again == address, "an address is read from its own bytes");
    require(std::hash<Address>()(again) == std::hash<Address>()(address), "equal ones hash equal");
    require((address <=> again) == 0, "an address is ordered as equal to itself");
    const std::string text = address.to_string();
    require(!text.empty(), "every address has a text");
    require(text.find('\n') == text.npos, "the text is one line");
    if (address.is_ip()) {
        // A flow label has no place in the text.
        Address plain = address.is_ipv6() ? address.with_flow_info(0) : address;
        require(Address::ip(address.host(), address.port()) == plain, "the host is read again");
        require(plain.with_port(7).port() == 7, "the port can be set");
    }
    // The kernel may fill the whole room without a NUL; a program may not ask for such a path.
    if (address.is_local() && address.path().size() < sizeof(sockaddr_un::sun_path))
        require(Address::local(address.path()) == address, "the path is read again");
}

void read_host(Input input) {
    const auto port = static_cast<std::uint16_t>(input.byte() << 8 | input.byte());
    const std::string host = input.all();
    const std::optional<Address> address = Address::try_ip(host, port);
    if (address) check(*address);
    // A scope is the business of this library, so the C library judges only the part before it.
    const std::string number = host.substr(0, host.find('%'));
    in6_addr bytes{};
    const bool has_nul = host.find('\0') != host.npos;
    const bool v4 = !has_nul && ::inet_pton(AF_INET, host.c_str(), &bytes) == 1;
    const bool v6 = !has_nul && ::inet_pton(AF_INET6, number.c_str(), &bytes) == 1;
    if (address) require(v4 || v6, "the C library knows every accepted number");
    if (v4 || (v6 && number == host)) require(address.has_value(), "every number is accepted");
}

void read_sockaddr(Input input) {
    const std::string bytes = input.all();
    try {
        check(Address::from_sockaddr(reinterpret_cast<const sockaddr*>(bytes.data()),
                                     static_cast<std::uint32_t>(bytes.size())));
    } catch (const std::invalid_argument&) {
        require(bytes.size() < sizeof(sockaddr_in6) || bytes.size() > Address::capacity,
                "an address of a good size is accepted");
    }
}

void read_path(Input input) {
    const std::string path = input.all();
    try {
        const Address address = Address::local(path);
        require(address.path() == path, "a path is kept as it is");
        check(address);
    } catch (const std::invalid_argument&) {
        const bool is_good =
            path.size() < sizeof(sockaddr_un::sun_path) && path.find('\0') == path.npos;
        require(!is_good, "a good path is accepted");
    }
}

/// The lookups that need no system, with hints of every kind.
void read_names(Input input) {
    constexpr int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    asyncio::AddressHints hints;
    hints.family = families[input.below(4)];
    hints.type = static_cast<int>(input.below(5));
    hints.flags = static_cast<int>(input.byte());
    const std::string service = input.short_text();
    const std::string host = input.all();
    const auto port = asyncio::internal::port_number(service);
    if (port && !service.empty()) require(std::stoul(service) == *port, "a port is its number");
    if (port) require(!asyncio::internal::is_beyond_ports(service), "a port is no other number");
    const auto answer = asyncio::internal::addresses_of_numbers(host, service, hints);
    if (!answer || answer->error != 0) return;
    require(!answer->list.empty(), "an answer has addresses");
    for (const auto& each : answer->list) {
        check(each.address);
        require(each.address.port() == *port, "each address has the port");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    Input input(bytes, size);
    switch (input.below(4)) {
        case 0: read_host(input); break;
        case 1: read_sockaddr(input); break;
        case 2: read_path(input); break;
        default: read_names(input);
    }
    return 0;
}
