// Answers in the shape of getaddrinfo(3) and getnameinfo(3).
//
// The library answers questions about numbers itself (net/numeric_names.h), so most questions that
// come here have a name. The rules that are followed are those on which programs rely: the order of
// the addresses, an entry for each kind of socket, the errors. Flags that are about the machine
// (AI_ADDRCONFIG) or about rare conversions (AI_V4MAPPED) have no effect.

#include "backend/simulated/network_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::lowlevel::simulated {

namespace {

struct Service {
    std::string_view name;
    std::uint16_t port;
};

/// /etc/services is a file of the machine on which the test runs, so it is not asked.
constexpr Service services[] = {{"ftp", 21},    {"ssh", 22},    {"smtp", 25},        {"domain", 53},
                                {"http", 80},   {"pop3", 110},  {"ntp", 123},        {"imap2", 143},
                                {"https", 443}, {"imaps", 993}, {"postgresql", 5432}};

constexpr std::pair<int, int> kinds_of_sockets[] = {
    {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, IPPROTO_UDP}, {SOCK_RAW, 0}};

/// A service is a number or one of the few names above. Empty: port 0.
std::optional<std::uint16_t> port_of(const std::string& service) {
    if (service.empty()) return std::uint16_t{0};
    std::uint16_t port = 0;
    const char* const end = service.data() + service.size();
    const auto [stop, error] = std::from_chars(service.data(), end, port);
    if (error == std::errc() && stop == end) return port;
    for (const Service& known : services) {
        if (known.name == service) return known.port;
    }
    return std::nullopt;
}

std::string name_of_port(std::uint16_t port) {
    for (const Service& known : services) {
        if (known.port == port) return std::string(known.name);
    }
    return std::to_string(port);
}

/// Names are compared without regard to capital letters (RFC 4343), and the dot of the root at the
/// end means nothing here.
std::string canonical(std::string name) {
    for (char& letter : name) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    }
    if (name.size() > 1 && name.back() == '.') name.pop_back();
    return name;
}

/// The order is that of glibc, which prefers ::1 to 127.0.0.1, but 0.0.0.0 to ::.
std::vector<Ip> without_host(const AddressHints& hints) {
    if ((hints.flags & AI_PASSIVE) != 0) return {Ip::any(AF_INET), Ip::any(AF_INET6)};
    return {Ip::loopback(AF_INET6), Ip::loopback(AF_INET)};
}

}  // namespace

/// The names are one flat table for the whole network, as a name server has it. A second host of
/// the same name is a mistake of the test, so it is refused.
void NetworkNames::add(std::string name, std::vector<Ip> addresses) {
    name = canonical(std::move(name));
    if (name.empty()) throw std::invalid_argument("the name of a host is empty");
    if (hosts_.contains(name)) throw std::invalid_argument("a host has the name " + name);
    for (const Ip& ip : addresses) names_.emplace(ip, name);
    hosts_.emplace(std::move(name), std::move(addresses));
}

/// A number needs no name. AI_NUMERICHOST forbids the lookup, and the error is then the one for a
/// name that does not exist.
std::vector<Ip> NetworkNames::ips_of(const std::string& host, const AddressHints& hints,
                                     int& error) const {
    if (host.empty()) return without_host(hints);
    if (const auto number = Address::try_ip(host, 0)) {
        Endpoint endpoint;
        static_cast<void>(
            read_endpoint(number->data(), number->size(), number->family(), endpoint));
        return {endpoint.ip};
    }
    const auto found = hosts_.find(canonical(host));
    const bool only_numbers = (hints.flags & AI_NUMERICHOST) != 0;
    if (!only_numbers && found != hosts_.end()) return found->second;
    error = EAI_NONAME;
    return {};
}

/// An element for each pair of an address and a kind of socket, the kinds of the first address
/// first.
Names::Addresses NetworkNames::addresses_of(const std::string& host, const std::string& service,
                                            const AddressHints& hints) {
    Addresses answer;
    const std::optional<std::uint16_t> port = port_of(service);
    if (!port) answer.error = EAI_SERVICE;
    if (host.empty() && service.empty()) answer.error = EAI_NONAME;
    const std::vector<Ip> ips = ips_of(host, hints, answer.error);
    if (!port || answer.error != 0) return answer;
    for (const Ip& ip : ips) {
        if (hints.family != AF_UNSPEC && hints.family != ip.family()) continue;
        for (const auto& [type, proto] : kinds_of_sockets) {
            const bool is_wanted = (hints.type == 0 || hints.type == type) &&
                                   (hints.proto == 0 || hints.proto == proto);
            if (!is_wanted) continue;
            answer.list.push_back(
                {.type = type, .proto = proto, .address = address_of({ip, *port}, ip.family())});
        }
    }
    // As glibc: the family does not fit, or the type of socket.
    if (answer.list.empty()) answer.error = Address::try_ip(host, 0) ? EAI_ADDRFAMILY : EAI_NODATA;
    if (!answer.list.empty() && (hints.flags & AI_CANONNAME) != 0)
        answer.list.front().canonname = canonical(host);
    return answer;
}

/// An address without a name shows as a number, unless the caller demands a name.
Names::Name NetworkNames::name_of(const Address& address, int flags) {
    Endpoint endpoint;
    if (!address.is_ip() ||
        read_endpoint(address.data(), address.size(), address.family(), endpoint) != 0)
        return {.error = EAI_FAMILY};
    const bool is_number = (flags & NI_NUMERICHOST) != 0;
    const auto found = is_number ? names_.end() : names_.find(endpoint.ip);
    if (found == names_.end() && (flags & NI_NAMEREQD) != 0) return {.error = EAI_NONAME};
    Name answer;
    answer.name.host = found == names_.end() ? address.host() : found->second;
    answer.name.service =
        (flags & NI_NUMERICSERV) != 0 ? std::to_string(endpoint.port) : name_of_port(endpoint.port);
    return answer;
}

}  // namespace asyncio::lowlevel::simulated
