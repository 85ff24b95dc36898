#pragma once
// The options of a simulated socket: what setsockopt(2) sets and getsockopt(2) gives back.
//
// Most options have no effect in a network in memory, and are only remembered. A program that sets
// TCP_NODELAY must not fail here, and a program that sets an option of another protocol must fail
// as it does in the kernel. So the table in options.cpp lists the options that exist, with the
// values that Linux gives at first. The sockets ask for the few options that change what they do:
// the sizes of the buffers, the reuse of addresses, SO_LINGER, IPV6_V6ONLY, TCP_SYNCNT,
// TCP_USER_TIMEOUT.
//
// Left out: options whose values are structures of a protocol (TCP_INFO, memberships in groups).
//
// Thread-safety: none.

#include <cstddef>
#include <map>
#include <utility>

namespace asyncio::lowlevel::simulated {

class SocketOptions {
public:
    SocketOptions(int family, int type) noexcept : family_(family), type_(type) {}

    /// 0, or −errno. Throws: `std::bad_alloc`.
    int set(int level, int name, const void* value, std::size_t length);

    /// 0, or −errno. `length` is the room at `value`, and becomes the length of the answer.
    int get(int level, int name, void* value, std::size_t& length) const noexcept;

    /// The value of an option that is a number; 0 if the socket has no such option.
    int number(int level, int name) const noexcept { return value_of(level, name).first; }

    /// How many seconds SO_LINGER asks for; −1 if it is off.
    int linger_s() const noexcept;

private:
    /// An option is one number or two: SO_LINGER and the time limits have two.
    using Value = std::pair<int, int>;

    Value value_of(int level, int name) const noexcept;
    bool has_level(int level) const noexcept;

    int family_;
    int type_;
    /// By level and name. What was never set is not here.
    std::map<std::pair<int, int>, Value> set_;
};

}  // namespace asyncio::lowlevel::simulated
