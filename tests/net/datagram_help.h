#pragma once
// What the tests of datagrams have in common: endpoints on the loopback address.

#include "net/net_help.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <set>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace net_test {

inline Address here(std::uint16_t port = 0) { return Address::loopback_v4(port); }

/// An endpoint on a port that the system chooses.
inline Coro<Datagram> open_here(DatagramOptions options = {}) {
    options.local_addr = here();
    co_return co_await open_datagram(options);
}

/// An endpoint that is connected to `peer`.
inline Coro<Datagram> connected_endpoint(Address peer, DatagramOptions options = {}) {
    options.remote_addr = peer;
    co_return co_await open_datagram(options);
}

/// A pair that knows each other.
struct DatagramPair {
    Datagram one;
    Datagram other;
};
inline Coro<DatagramPair> connected_datagrams() {
    DatagramPair pair;
    Socket first(AF_INET, SOCK_DGRAM);
    Socket second(AF_INET, SOCK_DGRAM);
    first.bind(here());
    second.bind(here());
    co_await first.connect(second.getsockname());
    co_await second.connect(first.getsockname());
    pair.one = Datagram(std::move(first));
    pair.other = Datagram(std::move(second));
    co_return pair;
}

/// A port of the loopback address that no socket has.
inline Coro<Address> closed_port() {
    Datagram endpoint = co_await open_here();
    const Address address = endpoint.local();
    co_await endpoint.aclose();
    co_return address;
}

/// The data of the next `count` datagrams, one by one.
inline Coro<std::vector<std::string>> receive_texts(const Datagram& endpoint, std::size_t count) {
    std::vector<std::string> texts;
    while (texts.size() < count) {
        ReceivedFrom message = co_await endpoint.receive();
        texts.push_back(std::move(message.data));
    }
    co_return texts;
}

/// Texts of `bytes` bytes that begin with their number.
inline std::vector<std::string> numbered_texts(std::size_t count, std::size_t bytes) {
    std::vector<std::string> texts;
    for (std::size_t index = 0; index < count; ++index) {
        texts.push_back(std::to_string(index) + " ");
        texts.back().resize(bytes, 'x');
    }
    return texts;
}

/// A name for a Unix socket in no folder. Two tests never get the same one.
inline std::string abstract_name() {
    static std::atomic<int> count{0};
    return std::string("\0asyncio-test-", 14) + std::to_string(::getpid()) + "-" +
           std::to_string(++count);
}

/// A pair over Unix sockets, whose receiver takes only a few datagrams before it is full.
struct NarrowPair {
    Datagram sender;
    Datagram receiver;
};
inline Coro<NarrowPair> narrow_pair(DatagramOptions options = {}) {
    const Address address = Address::local(abstract_name());
    NarrowPair pair;
    pair.receiver = co_await open_datagram({.local_addr = address});
    options.remote_addr = address;
    pair.sender = co_await open_datagram(options);
    co_return pair;
}

/// How much processor time the process has used.
inline std::chrono::nanoseconds processor_time() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

/// Sends single letters from 'a' on until the kernel has no room, and `more` of them after that.
/// Returns how many were accepted.
inline std::size_t send_letters(const Datagram& endpoint, std::size_t more) {
    std::size_t sent = 0;
    while (sent < 26 && endpoint.get_write_buffer_size() == 0)
        sent += endpoint.send_nowait(std::string(1, static_cast<char>('a' + sent))) ? 1 : 0;
    for (; more > 1; --more)
        sent += endpoint.send_nowait(std::string(1, static_cast<char>('a' + sent))) ? 1 : 0;
    return sent;
}

/// g++ 12 does not compile a braced list of texts in an expression that awaits.
template <class... Text>
std::vector<std::string> texts(const Text&... text) {
    return {std::string(text)...};
}

inline std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += text;
    return all;
}

}  // namespace net_test
