// The table of the options, and the rules of their values.
//
// The numbers are those of Linux with its default settings. They matter where a program asks: it
// may compute the size of its own buffers from SO_SNDBUF, or check that an option is off.

#include "backend/simulated/sockets/options.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace asyncio::lowlevel::simulated {

namespace {

enum class Rule : std::uint8_t {
    flag,       ///< 0 or 1.
    number,     ///< Any number.
    positive,   ///< A number from 1 on.
    send_size,  ///< SO_SNDBUF: Linux doubles it, for its own needs.
    receive_size,
    linger,  ///< `struct linger`.
    time,    ///< `struct timeval`.
};

/// An option: how its value is checked, and the value that a new socket has.
struct Known {
    int level;
    int name;
    Rule rule;
    int usual;
};

/// The values of net.core.wmem_max and rmem_max, and of the smallest buffers.
constexpr int largest_buffer_bytes = 212'992;
constexpr int smallest_send_buffer_bytes = 4608;
constexpr int smallest_receive_buffer_bytes = 2304;
/// The middle values of net.ipv4.tcp_wmem and tcp_rmem. Linux lets the buffers of TCP grow from
/// here; in the simulated world they keep their sizes.
constexpr int tcp_send_buffer_bytes = 16'384;
constexpr int tcp_receive_buffer_bytes = 131'072;

/// Options that are not in the table do not exist in the world, and setting one fails as it does on
/// a kernel that does not know it. Most options in the table have no effect beyond being
/// remembered: a program sets them, asks for them, and must get the answer of Linux. The sockets
/// read the few with an effect (`option`).
constexpr Known known_options[] = {
    {SOL_SOCKET, SO_REUSEADDR, Rule::flag, 0},
    {SOL_SOCKET, SO_REUSEPORT, Rule::flag, 0},
    {SOL_SOCKET, SO_KEEPALIVE, Rule::flag, 0},
    {SOL_SOCKET, SO_BROADCAST, Rule::flag, 0},
    {SOL_SOCKET, SO_DONTROUTE, Rule::flag, 0},
    {SOL_SOCKET, SO_OOBINLINE, Rule::flag, 0},
    {SOL_SOCKET, SO_PASSCRED, Rule::flag, 0},
    {SOL_SOCKET, SO_TIMESTAMP, Rule::flag, 0},
    {SOL_SOCKET, SO_PRIORITY, Rule::number, 0},
    {SOL_SOCKET, SO_RCVLOWAT, Rule::number, 1},
    {SOL_SOCKET, SO_SNDBUF, Rule::send_size, largest_buffer_bytes},
    {SOL_SOCKET, SO_RCVBUF, Rule::receive_size, largest_buffer_bytes},
    {SOL_SOCKET, SO_LINGER, Rule::linger, 0},
    {SOL_SOCKET, SO_RCVTIMEO, Rule::time, 0},
    {SOL_SOCKET, SO_SNDTIMEO, Rule::time, 0},
    {IPPROTO_TCP, TCP_NODELAY, Rule::flag, 0},
    {IPPROTO_TCP, TCP_CORK, Rule::flag, 0},
    {IPPROTO_TCP, TCP_QUICKACK, Rule::flag, 1},
    {IPPROTO_TCP, TCP_KEEPIDLE, Rule::positive, 7200},
    {IPPROTO_TCP, TCP_KEEPINTVL, Rule::positive, 75},
    {IPPROTO_TCP, TCP_KEEPCNT, Rule::positive, 9},
    {IPPROTO_TCP, TCP_SYNCNT, Rule::positive, 6},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, Rule::number, 0},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, Rule::number, 0},
    {IPPROTO_TCP, TCP_FASTOPEN, Rule::number, 0},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, Rule::number, 0},
    {IPPROTO_IP, IP_TTL, Rule::number, 64},
    {IPPROTO_IP, IP_TOS, Rule::number, 0},
    {IPPROTO_IP, IP_PKTINFO, Rule::flag, 0},
    {IPPROTO_IP, IP_RECVERR, Rule::flag, 0},
    {IPPROTO_IP, IP_MTU_DISCOVER, Rule::number, IP_PMTUDISC_WANT},
    {IPPROTO_IP, IP_MULTICAST_LOOP, Rule::flag, 1},
    {IPPROTO_IP, IP_MULTICAST_TTL, Rule::number, 1},
    {IPPROTO_IPV6, IPV6_V6ONLY, Rule::flag, 0},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, Rule::number, 64},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, Rule::flag, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, Rule::number, 1},
    {IPPROTO_IPV6, IPV6_TCLASS, Rule::number, 0},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, Rule::flag, 0},
    {IPPROTO_IPV6, IPV6_RECVERR, Rule::flag, 0},
};

/// A walk through a table of some forty entries: options are set when a socket is made, and rarely
/// later.
const Known* find_option(int level, int name) noexcept {
    const auto* found =
        std::find_if(std::begin(known_options), std::end(known_options), [&](const Known& known) {
            return known.level == level && known.name == name;
        });
    return found == std::end(known_options) ? nullptr : found;
}

/// As Linux: the wish is limited first and doubled then.
int buffer_size(int wished, int smallest) noexcept {
    return std::max(2 * std::clamp(wished, 0, largest_buffer_bytes), smallest);
}

/// The time limits of sockets are 16 bytes, and everything else is `int`s.
std::size_t length_of(Rule rule) noexcept {
    switch (rule) {
        case Rule::time: return sizeof(timeval);
        case Rule::linger: return sizeof(linger);
        case Rule::flag:
        case Rule::number:
        case Rule::positive:
        case Rule::send_size:
        case Rule::receive_size: break;
    }
    return sizeof(int);
}

}  // namespace

/// On a socket of another family, or of another type, Linux does not know the level.
bool SocketOptions::has_level(int level) const noexcept {
    switch (level) {
        case SOL_SOCKET: return true;
        case IPPROTO_IP: return family_ != AF_UNIX;
        case IPPROTO_IPV6: return family_ == AF_INET6;
        case IPPROTO_TCP: return family_ != AF_UNIX && type_ == SOCK_STREAM;
        case IPPROTO_UDP: return family_ != AF_UNIX && type_ == SOCK_DGRAM;
        default: return false;
    }
}

/// A value that is too short is refused, and what is longer than the option is not looked at, as in
/// sock_setsockopt.
int SocketOptions::set(int level, int name, const void* value, std::size_t length) {
    if (family_ == AF_UNIX && level != SOL_SOCKET) return -EOPNOTSUPP;
    const Known* known = has_level(level) ? find_option(level, name) : nullptr;
    if (known == nullptr) return -ENOPROTOOPT;
    if (value == nullptr || length < length_of(known->rule)) return -EINVAL;
    Value numbers{};
    if (known->rule == Rule::time) {
        timeval limit{};
        std::memcpy(&limit, value, sizeof limit);
        numbers = {static_cast<int>(limit.tv_sec), static_cast<int>(limit.tv_usec)};
    } else if (known->rule == Rule::linger) {
        std::memcpy(&numbers.first, value, sizeof(int));
        std::memcpy(&numbers.second, static_cast<const char*>(value) + sizeof(int), sizeof(int));
        numbers.first = numbers.first != 0 ? 1 : 0;
    } else {
        std::memcpy(&numbers.first, value, sizeof(int));
    }
    if (known->rule == Rule::flag) numbers.first = numbers.first != 0 ? 1 : 0;
    if (known->rule == Rule::positive && numbers.first < 1) return -EINVAL;
    if (known->rule == Rule::send_size)
        numbers.first = buffer_size(numbers.first, smallest_send_buffer_bytes);
    if (known->rule == Rule::receive_size)
        numbers.first = buffer_size(numbers.first, smallest_receive_buffer_bytes);
    set_[{level, name}] = numbers;
    return 0;
}

/// With less room than the value has, the beginning of it is given, as in sock_getsockopt.
int SocketOptions::get(int level, int name, void* value, std::size_t& length) const noexcept {
    if (family_ == AF_UNIX && level != SOL_SOCKET) return -EOPNOTSUPP;
    // IPv4 alone has this error for a level of another protocol, and for questions only.
    if (family_ == AF_INET && !has_level(level)) return -EOPNOTSUPP;
    const Known* known = has_level(level) ? find_option(level, name) : nullptr;
    if (known == nullptr) return -ENOPROTOOPT;
    const Value numbers = value_of(level, name);
    length = std::min(length, length_of(known->rule));
    if (known->rule == Rule::time) {
        const timeval limit{numbers.first, numbers.second};
        std::memcpy(value, &limit, length);
    } else {
        const int both[2] = {numbers.first, numbers.second};
        std::memcpy(value, both, length);
    }
    return 0;
}

int SocketOptions::linger_s() const noexcept {
    const auto [on, seconds] = value_of(SOL_SOCKET, SO_LINGER);
    return on != 0 ? seconds : -1;
}

/// An option that was never set has its first value, which depends on the protocol for buffers.
SocketOptions::Value SocketOptions::value_of(int level, int name) const noexcept {
    if (const auto found = set_.find({level, name}); found != set_.end()) return found->second;
    const Known* known = find_option(level, name);
    if (known == nullptr) return {};
    if (has_level(IPPROTO_TCP) && known->rule == Rule::send_size) return {tcp_send_buffer_bytes, 0};
    if (has_level(IPPROTO_TCP) && known->rule == Rule::receive_size)
        return {tcp_receive_buffer_bytes, 0};
    return {known->usual, 0};
}

}  // namespace asyncio::lowlevel::simulated
