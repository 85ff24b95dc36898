// Addresses of sockets: reading texts, writing texts, and the one form of the bytes.
//
// An Address's bytes are read by memcpy into a sockaddr of the family. A cast would be shorter,
// but the storage holds bytes, and the compiler may assume that no `sockaddr_in` lies there. The
// copy is a few instructions.

#include <asyncio/address.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace asyncio {

static_assert(std::is_trivially_copyable_v<Address> && std::is_trivially_destructible_v<Address>);
static_assert(Address::capacity == sizeof(sockaddr_storage));
static_assert(alignof(Address) >= alignof(sockaddr_storage));
static_assert(std::is_same_v<socklen_t, std::uint32_t>);

namespace {

constexpr std::size_t path_begin = offsetof(sockaddr_un, sun_path);
constexpr std::size_t path_room = sizeof(sockaddr_un::sun_path);

/// The sockaddr of a family, out of the bytes of an address. Bytes that are missing are zero.
template <class Sockaddr>
Sockaddr read_as(const Address& address) noexcept {
    Sockaddr result{};
    std::memcpy(&result, address.data(), std::min<std::size_t>(sizeof result, address.size()));
    return result;
}

/// Sockaddrs of the families that this file knows are never refused.
template <class Sockaddr>
Address made_of(const Sockaddr& value) {
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&value), sizeof value);
}

Address made_of(in_addr host, std::uint16_t port) {
    sockaddr_in value{};
    value.sin_family = AF_INET;
    value.sin_port = htons(port);
    value.sin_addr = host;
    return made_of(value);
}

Address made_of(const in6_addr& host, std::uint16_t port, std::uint32_t scope_id) {
    sockaddr_in6 value{};
    value.sin6_family = AF_INET6;
    value.sin6_port = htons(port);
    value.sin6_addr = host;
    value.sin6_scope_id = scope_id;
    return made_of(value);
}

/// A text with a NUL at its end, for functions of the C library. A numeric address and the name of
/// an interface are short, so a longer text is neither.
class ShortText {
public:
    explicit ShortText(std::string_view text) noexcept {
        const bool has_nul = text.find('\0') != text.npos;
        if (text.empty() || has_nul || text.size() >= characters_.size()) return;
        text.copy(characters_.data(), text.size());
    }
    /// Empty if the text was too long, or held a NUL.
    const char* get() const noexcept { return characters_.data(); }

private:
    std::array<char, INET6_ADDRSTRLEN> characters_{};
};

/// The number of an interface from its name or from its number as a text. A name is tried first, as
/// the C library does it, because an interface may be called "12".
std::optional<std::uint32_t> scope_of(std::string_view text) noexcept {
    if (text.empty()) return {};
    if (text.size() < IF_NAMESIZE) {
        if (const unsigned index = ::if_nametoindex(ShortText(text).get())) return index;
    }
    std::uint32_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end) return {};
    return number;
}

std::string scope_text(std::uint32_t scope_id) {
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(scope_id, name.data())) return name.data();
    return std::to_string(scope_id);
}

/// The text with "\x0a" in the place of a byte that would spoil a line of a log.
std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte >= 0x20 && byte != 0x7f) {
            result += character;
        } else {
            result += {'\\', 'x', digits[byte / 16], digits[byte % 16]};
        }
    }
    return result;
}

std::string quoted(std::string_view text) { return '"' + printable(text) + '"'; }

std::string unix_text(std::string_view path) {
    if (path.empty()) return "unnamed Unix socket";
    const bool is_abstract = path.front() == '\0';
    return is_abstract ? '@' + printable(path.substr(1)) : printable(path);
}

std::string unknown_text(const Address& address) {
    const std::size_t behind_family = address.size() - sizeof(sa_family_t);
    return "an address of family " + std::to_string(address.family()) + " with " +
           std::to_string(behind_family) + " bytes";
}

/// Throws: std::invalid_argument if an address of the family needs more bytes than `size`.
void check_size(int family, std::uint32_t size) {
    std::size_t least = sizeof(sa_family_t);
    if (family == AF_INET) least = sizeof(sockaddr_in);
    if (family == AF_INET6) least = sizeof(sockaddr_in6);
    if (size >= least && size <= Address::capacity) return;
    throw std::invalid_argument("an address of family " + std::to_string(family) + " with " +
                                std::to_string(size) + " bytes");
}

/// How many of the `room` bytes at `path` belong to the address of a Unix socket. The kernel counts
/// the NUL behind a path in one call and not in another, so a path always gets one here. A path
/// that fills its whole room has none.
std::size_t used_of_path(const char* path, std::size_t room) {
    if (room == 0 || path[0] == '\0') return room;
    const std::size_t length = ::strnlen(path, room);
    return std::min(length + 1, path_room);
}

}  // namespace

Address Address::from_sockaddr(const sockaddr* address, std::uint32_t size) {
    Address result;
    if (size == 0) return result;
    sa_family_t family = 0;
    std::memcpy(&family, address, std::min<std::size_t>(sizeof family, size));
    check_size(family, size);

    std::memcpy(result.bytes_, address, size);
    result.size_ = size;
    if (family == AF_INET) {
        // The bytes behind the host are padding, and the kernel does not clear them everywhere.
        result.size_ = sizeof(sockaddr_in);
        std::memset(result.bytes_ + offsetof(sockaddr_in, sin_zero), 0,
                    capacity - offsetof(sockaddr_in, sin_zero));
    } else if (family == AF_INET6) {
        result.size_ = sizeof(sockaddr_in6);
    } else if (family == AF_UNIX) {
        const auto* const path = reinterpret_cast<const char*>(result.bytes_) + path_begin;
        result.size_ = static_cast<std::uint32_t>(
            path_begin + used_of_path(path, std::min(size - path_begin, path_room)));
    }
    std::memset(result.bytes_ + result.size_, 0, capacity - result.size_);
    return result;
}

std::optional<Address> Address::try_ip(std::string_view host, std::uint16_t port) noexcept {
    if (in_addr v4{}; ::inet_pton(AF_INET, ShortText(host).get(), &v4) == 1) {
        return made_of(v4, port);
    }
    const std::size_t percent = host.find('%');
    std::optional<std::uint32_t> scope_id = 0;
    if (percent != host.npos) {
        scope_id = scope_of(host.substr(percent + 1));
        host = host.substr(0, percent);
    }
    in6_addr v6{};
    if (!scope_id || ::inet_pton(AF_INET6, ShortText(host).get(), &v6) != 1) return {};
    return made_of(v6, port, *scope_id);
}

Address Address::ip(std::string_view host, std::uint16_t port) {
    if (const std::optional<Address> address = try_ip(host, port)) return *address;
    throw std::invalid_argument(quoted(host) + " is not a numeric IP address");
}

Address Address::any_v4(std::uint16_t port) noexcept {
    return made_of(in_addr{htonl(INADDR_ANY)}, port);
}

Address Address::any_v6(std::uint16_t port) noexcept { return made_of(in6addr_any, port, 0); }

Address Address::loopback_v4(std::uint16_t port) noexcept {
    return made_of(in_addr{htonl(INADDR_LOOPBACK)}, port);
}

Address Address::loopback_v6(std::uint16_t port) noexcept {
    return made_of(in6addr_loopback, port, 0);
}

Address Address::local(std::string_view path) {
    const bool is_abstract = path.starts_with('\0');
    // The kernel would also take a path of 108 bytes without a NUL. Programs that read such an
    // address as a string of C read past its end, so Python refuses it, and so does this function.
    const std::size_t limit = is_abstract ? path_room : path_room - 1;
    if (path.size() > limit) {
        throw std::invalid_argument("the path of a Unix socket has at most " +
                                    std::to_string(limit) + " bytes, and " + quoted(path) +
                                    " has " + std::to_string(path.size()));
    }
    if (!is_abstract && path.find('\0') != path.npos) {
        throw std::invalid_argument("the path of a Unix socket has a NUL in its middle: " +
                                    quoted(path));
    }
    sockaddr_un value{};
    value.sun_family = AF_UNIX;
    path.copy(value.sun_path, path_room);
    return from_sockaddr(reinterpret_cast<const sockaddr*>(&value),
                         static_cast<std::uint32_t>(path_begin + path.size()));
}

int Address::family() const noexcept {
    sa_family_t family = AF_UNSPEC;
    std::memcpy(&family, bytes_, sizeof family);
    return family;
}

bool Address::is_ipv4() const noexcept { return family() == AF_INET; }
bool Address::is_ipv6() const noexcept { return family() == AF_INET6; }
bool Address::is_local() const noexcept { return family() == AF_UNIX; }

std::string Address::host() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (is_ipv4()) {
        const in_addr host = read_as<sockaddr_in>(*this).sin_addr;
        return ::inet_ntop(AF_INET, &host, text.data(), text.size());
    }
    if (!is_ipv6()) return {};
    const in6_addr host = read_as<sockaddr_in6>(*this).sin6_addr;
    const std::string number = ::inet_ntop(AF_INET6, &host, text.data(), text.size());
    return scope_id() == 0 ? number : number + '%' + scope_text(scope_id());
}

// The port lies at the same place in both families.
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

std::uint16_t Address::port() const noexcept {
    return is_ip() ? ntohs(read_as<sockaddr_in>(*this).sin_port) : 0;
}

Address Address::with_port(std::uint16_t port) const {
    if (!is_ip()) throw std::invalid_argument(to_string() + " cannot have a port");
    Address result = *this;
    const in_port_t bytes = htons(port);
    std::memcpy(result.bytes_ + offsetof(sockaddr_in, sin_port), &bytes, sizeof bytes);
    return result;
}

std::uint32_t Address::scope_id() const noexcept {
    return is_ipv6() ? read_as<sockaddr_in6>(*this).sin6_scope_id : 0;
}

std::uint32_t Address::flow_info() const noexcept {
    return is_ipv6() ? ntohl(read_as<sockaddr_in6>(*this).sin6_flowinfo) : 0;
}

Address Address::with_flow_info(std::uint32_t flow_info) const {
    if (!is_ipv6()) throw std::invalid_argument(to_string() + " cannot have a flow label");
    Address result = *this;
    const std::uint32_t bytes = htonl(flow_info);
    std::memcpy(result.bytes_ + offsetof(sockaddr_in6, sin6_flowinfo), &bytes, sizeof bytes);
    return result;
}

std::string_view Address::path() const noexcept {
    if (!is_local()) return {};
    const auto* const path = reinterpret_cast<const char*>(bytes_) + path_begin;
    const std::size_t room = size_ - path_begin;
    if (room == 0 || path[0] == '\0') return {path, room};
    return {path, ::strnlen(path, room)};
}

std::string Address::to_string() const {
    if (is_empty()) return "no address";
    if (is_ipv4()) return host() + ':' + std::to_string(port());
    if (is_ipv6()) return '[' + host() + "]:" + std::to_string(port());
    return is_local() ? unix_text(path()) : unknown_text(*this);
}

std::strong_ordering Address::compare(const Address& other) const noexcept {
    if (const auto order = family() <=> other.family(); order != 0) return order;
    if (is_ipv6()) {
        // The bytes have the flow label before the host, where it would decide first.
        const auto left = read_as<sockaddr_in6>(*this);
        const auto right = read_as<sockaddr_in6>(other);
        const int hosts = std::memcmp(&left.sin6_addr, &right.sin6_addr, sizeof left.sin6_addr);
        if (hosts != 0) return hosts <=> 0;
        if (const auto order = scope_id() <=> other.scope_id(); order != 0) return order;
    } else if (is_ipv4()) {
        const auto left = ntohl(read_as<sockaddr_in>(*this).sin_addr.s_addr);
        const auto right = ntohl(read_as<sockaddr_in>(other).sin_addr.s_addr);
        if (left != right) return left <=> right;
    }
    const int bytes = std::memcmp(bytes_, other.bytes_, std::min(size_, other.size_));
    return bytes != 0 ? bytes <=> 0 : size_ <=> other.size_;
}

}  // namespace asyncio

std::size_t
std::hash<asyncio::Address>::operator()(const asyncio::Address& address) const noexcept {
    const auto* const bytes = reinterpret_cast<const char*>(address.bytes_);
    return std::hash<std::string_view>()({bytes, address.size_});
}
