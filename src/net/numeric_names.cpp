// What glibc answers for numbers. An answer has an element for each pair of an address and a kind
// of socket, the kinds of the first address first.
//
// A question is answered here only where the answer of glibc is certain. In every doubtful case
// this file gives no answer, and the system is asked: that costs a thread its time, and is never
// wrong. A shortcut with a rule of its own would make a program behave in one way with a number,
// and in another way with a name that stands for the number.

#include "net/numeric_names.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::internal {
namespace {

/// A kind of socket.
struct SocketKind {
    int type;
    int proto;
};

/// The kinds that glibc lists, in its order.
constexpr std::array<SocketKind, 3> kinds = {{
    {SOCK_STREAM, IPPROTO_TCP},
    {SOCK_DGRAM, IPPROTO_UDP},
    {SOCK_RAW, 0},
}};

/// Not `std::isdigit`, which is undefined for a negative `char`. True for the empty text, which is
/// port 0.
bool is_digits(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The kinds that the hints ask for. None: the hints ask for a kind that is not in the list, or for
/// raw sockets, whose rules are others.
std::vector<SocketKind> wanted_kinds(const AddressHints& hints) {
    if (hints.type == 0 && hints.proto == 0) return {kinds.begin(), kinds.end()};
    std::vector<SocketKind> wanted;
    for (const SocketKind& kind : kinds) {
        const bool has_type = hints.type == 0 || hints.type == kind.type;
        const bool has_proto = hints.proto == 0 || hints.proto == kind.proto;
        if (kind.type != SOCK_RAW && has_type && has_proto) wanted.push_back(kind);
    }
    return wanted;
}

/// Every address of this machine for a server, else the machine itself. The order is that of glibc,
/// which prefers "::1" to 127.0.0.1, but 0.0.0.0 to "::".
std::vector<Address> own_addresses(const AddressHints& hints, std::uint16_t port) {
    std::vector<Address> addresses;
    if ((hints.flags & AI_PASSIVE) != 0) {
        addresses = {Address::any_v4(port), Address::any_v6(port)};
    } else {
        addresses = {Address::loopback_v6(port), Address::loopback_v4(port)};
    }
    if (hints.family != AF_UNSPEC) {
        std::erase_if(addresses, [&](const Address& a) { return a.family() != hints.family; });
    }
    return addresses;
}

/// Whether the hints have only what this file knows. AI_ADDRCONFIG depends on the interfaces of the
/// machine where the family is fixed or the host is empty.
bool are_usual(const AddressHints& hints, bool has_host) noexcept {
    constexpr int known = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV |
                          AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG;
    if ((hints.flags & ~known) != 0) return false;
    if (hints.family != AF_UNSPEC && hints.family != AF_INET && hints.family != AF_INET6) {
        return false;
    }
    if ((hints.flags & AI_CANONNAME) != 0 && !has_host) return false;
    const bool is_any_host = has_host && hints.family == AF_UNSPEC;
    return (hints.flags & AI_ADDRCONFIG) == 0 || is_any_host;
}

/// Empty if `host` is not a number, or a number of another family than the hints ask for: some of
/// these can be converted.
std::vector<Address> numeric_addresses(const std::string& host, const AddressHints& hints,
                                       std::uint16_t port) {
    if (host.empty()) return own_addresses(hints, port);
    const std::optional<Address> address = Address::try_ip(host, port);
    if (!address) return {};
    if (hints.family != AF_UNSPEC && hints.family != address->family()) return {};
    return {*address};
}

}  // namespace

/// A sign or a space is no digit, so the system decides about such a text. Leading zeros change
/// nothing.
std::optional<std::uint16_t> port_number(std::string_view service) noexcept {
    if (service.empty()) return std::uint16_t{0};
    if (!is_digits(service)) return {};
    std::uint16_t port = 0;
    const auto [end, error] =
        std::from_chars(service.data(), service.data() + service.size(), port);
    static_cast<void>(end);
    if (error != std::errc()) return {};
    return port;
}

bool is_beyond_ports(std::string_view service) noexcept {
    return is_digits(service) && !port_number(service);
}

/// The two errors come first, because no hint changes them. If no element is left, the system is
/// asked: its error says why more exactly than a guess here.
std::optional<lowlevel::Names::Addresses> addresses_of_numbers(const std::string& host,
                                                               const std::string& service,
                                                               const AddressHints& hints) {
    lowlevel::Names::Addresses answer;
    if (host.empty() && service.empty()) {
        answer.error = EAI_NONAME;
        return answer;
    }
    if (is_beyond_ports(service)) {
        answer.error = EAI_SERVICE;
        return answer;
    }
    const std::optional<std::uint16_t> port = port_number(service);
    if (!port || !are_usual(hints, !host.empty())) return {};
    const std::vector<SocketKind> wanted = wanted_kinds(hints);
    for (const Address& address : numeric_addresses(host, hints, *port)) {
        for (const SocketKind& kind : wanted) {
            answer.list.push_back({.type = kind.type, .proto = kind.proto, .address = address});
        }
    }
    if (answer.list.empty()) return {};
    if ((hints.flags & AI_CANONNAME) != 0) answer.list.front().canonname = host;
    return answer;
}

/// glibc has the name of the interface behind the number of a scope, as `Address::host` does.
std::optional<lowlevel::Names::Name> name_of_numbers(const Address& address, int flags) {
    constexpr int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
    constexpr int known = numbers | NI_DGRAM | NI_NOFQDN;
    if ((flags & numbers) != numbers || (flags & ~known) != 0 || !address.is_ip()) return {};
    lowlevel::Names::Name answer;
    answer.name = {.host = address.host(), .service = std::to_string(address.port())};
    return answer;
}

}  // namespace asyncio::internal
