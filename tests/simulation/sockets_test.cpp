// Goal: a socket in memory answers as the kernel's does. Method: random walks of requests on two
// connected sockets, in the plain world and on the kernel, must tell the same story, line by line:
// results, errors, bytes, poll events.

#include "simulation/socket_walk.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace simulation {
namespace {

using asyncio::lowlevel::BackendKind;
using asyncio::lowlevel::make_backend;
using asyncio::lowlevel::make_simulated_backend;
using asyncio::lowlevel::OperationKind;

using Walk = void (*)(SocketWalk&);

std::string on_kernel(Walk walk, std::uint64_t seed) {
    SocketWalk walker(make_backend(BackendKind::epoll), seed);
    walk(walker);
    return walker.story();
}

std::string simulated(Walk walk, std::uint64_t seed) {
    SocketWalk walker(make_simulated_backend({}), seed);
    walk(walker);
    return walker.story();
}

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// The lines before the first one that differs, and both versions of it.
std::string difference(const std::string& simulated_story, const std::string& real_story) {
    const std::vector<std::string> ours = lines_of(simulated_story);
    const std::vector<std::string> real = lines_of(real_story);
    const std::size_t both = std::min(ours.size(), real.size());
    std::size_t first = 0;
    while (first < both && ours[first] == real[first]) ++first;
    std::string text;
    for (std::size_t i = first - std::min<std::size_t>(first, 12); i < first; ++i)
        text += ours[i] + '\n';
    if (first < both) text += "simulated " + ours[first] + "\nkernel    " + real[first] + '\n';
    return text;
}

/// The kernel usually delivers on the loopback device within the call that sends. If a thread of
/// its own is busy with that, the bytes come later. So a story that differs gets another chance.
void compare(Walk walk, std::uint64_t walks) {
    for (std::uint64_t seed = 0; seed < walks; ++seed) {
        const std::string story = simulated(walk, seed);
        std::string real = on_kernel(walk, seed);
        for (int again = 0; again < 5 && real != story; ++again) real = on_kernel(walk, seed);
        ASSERT_TRUE(story == real) << "walk " << seed << ":\n" << difference(story, real);
    }
}

/// A step on one of two connected sockets; `open` tells which of them are.
void take_step(SocketWalk& walk, const int (&fds)[2], bool (&open)[2], bool is_stream) {
    const std::size_t side = walk.below(2);
    if (!open[side]) return;
    const int fd = fds[side];
    const std::size_t size = walk.below(8) == 0 ? 0 : walk.below(200);
    switch (walk.below(14)) {
        case 0:
        case 1:
        case 2: return walk.send(fd, size);
        case 3: return walk.send_message(fd, size);
        case 4:
        case 5: return walk.receive(fd, size);
        case 6: return walk.receive(fd, size, MSG_PEEK);
        case 7: return walk.receive_message(fd, size);
        case 8: return is_stream ? walk.receive(fd, size) : walk.receive(fd, size, MSG_TRUNC);
        case 9: return walk.option(fd, SOL_SOCKET, SO_ERROR);
        case 10: return walk.peer(fd);
        case 11:
            if (walk.below(3) == 0) walk.shutdown(fd, static_cast<int>(walk.below(3)));
            return;
        case 12:
            if (walk.below(4) == 0) walk.linger(fd, 0);
            return;
        default:
            if (walk.below(5) != 0) return;
            open[side] = false;
            walk.note("close", walk.close(fd));
    }
}

void walk_on(SocketWalk& walk, std::pair<int, int> pair, bool is_stream) {
    const int fds[2] = {pair.first, pair.second};
    bool open[2] = {true, true};
    for (int step = 0; step < 40; ++step) {
        take_step(walk, fds, open, is_stream);
        for (const std::size_t side : {0u, 1u}) {
            if (open[side]) walk.poll(fds[side]);
        }
    }
}

TEST(Sockets, tcp_sockets_answer_as_the_kernel_s) {
    compare([](SocketWalk& walk) { walk_on(walk, walk.stream_pair(AF_INET), true); }, 300);
    compare([](SocketWalk& walk) { walk_on(walk, walk.stream_pair(AF_INET6), true); }, 20);
}

TEST(Sockets, unix_stream_sockets_answer_as_the_kernel_s) {
    compare([](SocketWalk& walk) { walk_on(walk, walk.stream_pair(AF_UNIX), true); }, 300);
}

TEST(Sockets, udp_sockets_answer_as_the_kernel_s) {
    compare([](SocketWalk& walk) { walk_on(walk, walk.datagram_pair(AF_INET), false); }, 300);
    compare([](SocketWalk& walk) { walk_on(walk, walk.datagram_pair(AF_INET6), false); }, 20);
}

TEST(Sockets, unix_datagram_sockets_answer_as_the_kernel_s) {
    compare([](SocketWalk& walk) { walk_on(walk, walk.datagram_pair(AF_UNIX), false); }, 300);
}

/// Every request that a socket may get before it has a peer.
void ask_unconnected(SocketWalk& walk, int family, int type) {
    const int fd = walk.socket(family, type);
    for (int round = 0; round < 2; ++round) {
        walk.poll(fd);
        walk.peer(fd);
        walk.send(fd, 1);
        walk.send(fd, 0);
        walk.receive(fd, 1);
        walk.receive(fd, 0);
        walk.note("accept", walk.ask({.kind = OperationKind::accept, .fd = fd}));
        walk.poll(fd);
        for (const int how : {0, 1, 2, 7}) walk.shutdown(fd, how);
        walk.poll(fd);
        walk.option(fd, SOL_SOCKET, SO_ERROR);
    }
}

/// The same for a listener, on which one connection waits.
void ask_listener(SocketWalk& walk, int family) {
    const int fd = walk.listener(family);
    const int client = walk.socket(family, SOCK_STREAM);
    for (int round = 0; round < 2; ++round) {
        walk.poll(fd);
        walk.peer(fd);
        walk.send(fd, 1);
        walk.receive(fd, 1);
        walk.option(fd, SOL_SOCKET, SO_ACCEPTCONN);
        walk.note("connect", walk.connect(client, walk.local(fd)));
        walk.note("connect of a listener", walk.connect(fd, walk.local(fd)));
    }
    walk.shutdown(fd, SHUT_WR);
    walk.poll(fd);
    walk.shutdown(fd, SHUT_RD);
    walk.poll(fd);
    walk.note("accept", walk.ask({.kind = OperationKind::accept, .fd = fd}) >= 0 ? 0 : 1);
    walk.poll(client);
    walk.close(fd);
    walk.poll(client);
    walk.receive(client, 1);
    walk.send(client, 1);
}

TEST(Sockets, sockets_without_a_peer_answer_as_the_kernel_s) {
    compare([](SocketWalk& walk) { ask_unconnected(walk, AF_INET, SOCK_STREAM); }, 1);
    compare([](SocketWalk& walk) { ask_unconnected(walk, AF_INET6, SOCK_DGRAM); }, 1);
    compare([](SocketWalk& walk) { ask_unconnected(walk, AF_UNIX, SOCK_STREAM); }, 1);
    compare([](SocketWalk& walk) { ask_unconnected(walk, AF_UNIX, SOCK_DGRAM); }, 1);
}

TEST(Sockets, listeners_answer_as_the_kernel_s) {
    compare([](SocketWalk& walk) { ask_listener(walk, AF_INET); }, 1);
    compare([](SocketWalk& walk) { ask_listener(walk, AF_UNIX); }, 1);
}

/// A connect that fails, and what the socket answers afterwards.
void ask_refused(SocketWalk& walk) {
    const int listener = walk.listener(AF_INET);
    const Address address = walk.local(listener);
    walk.close(listener);
    const int fd = walk.socket(AF_INET, SOCK_STREAM);
    for (int round = 0; round < 2; ++round) {
        walk.note("connect", walk.connect(fd, address));
        walk.poll(fd);
        walk.option(fd, SOL_SOCKET, SO_ERROR);
        walk.peer(fd);
    }
}

TEST(Sockets, a_refused_connect_leaves_the_socket_as_the_kernel_s) { compare(ask_refused, 1); }

Address address_of(int family, const char* ip, std::uint16_t port_in_order) {
    Address address;
    if (family == AF_INET) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
        v4.sin_family = AF_INET;
        v4.sin_port = port_in_order;
        ::inet_pton(AF_INET, ip, &v4.sin_addr);
        address.length = sizeof v4;
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = port_in_order;
        ::inet_pton(AF_INET6, ip, &v6.sin6_addr);
        address.length = sizeof v6;
    }
    return address;
}

/// Sockets of all families that want the same port, with and without an option that lets them
/// share it. The option is SO_REUSEADDR. The answers of the kernel for SO_REUSEPORT depend on the
/// order in which the sockets came, as soon as their addresses differ.
void ask_binds(SocketWalk& walk, int type) {
    const int probe = walk.bound(AF_INET, type);
    const Address used = walk.local(probe);
    const std::uint16_t port = reinterpret_cast<const sockaddr_in&>(used.storage).sin_port;
    walk.close(probe);
    constexpr const char* v4[] = {"0.0.0.0", "127.0.0.1", "127.0.0.2", "10.99.99.99"};
    constexpr const char* v6[] = {"::", "::1", "::ffff:127.0.0.1", "fd00::77"};
    std::vector<int> open;
    for (int step = 0; step < 12; ++step) {
        const bool is_v4 = walk.below(2) == 0;
        const int family = is_v4 ? AF_INET : AF_INET6;
        const int fd = walk.socket(family, type);
        walk.note(is_v4 ? "IPv4" : "IPv6", 0);
        if (walk.below(3) > 0) walk.set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (walk.below(2) == 0) walk.set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        const char* ip = (is_v4 ? v4 : v6)[walk.below(4)];
        walk.note(std::string("bind ") + ip, walk.bind(fd, address_of(family, ip, port)));
        if (walk.below(3) == 0) walk.note("bind again", walk.bind(fd, address_of(family, ip, 0)));
        if (type == SOCK_STREAM && walk.below(2) == 0) walk.listen(fd, 1);
        open.push_back(fd);
        if (walk.below(4) != 0) continue;
        const std::size_t index = walk.below(open.size());
        walk.note("close", walk.close(open[index]));
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(index));
    }
}

TEST(Sockets, ports_are_shared_as_in_the_kernel) {
    compare([](SocketWalk& walk) { ask_binds(walk, SOCK_STREAM); }, 300);
    compare([](SocketWalk& walk) { ask_binds(walk, SOCK_DGRAM); }, 300);
}

/// Who reaches whom: a client of each family connects to a listener of each family.
void ask_families(SocketWalk& walk) {
    constexpr const char* v4[] = {"0.0.0.0", "127.0.0.1", "127.0.0.2"};
    constexpr const char* v6[] = {"::", "::1", "::ffff:127.0.0.1"};
    const bool serves_v4 = walk.below(2) == 0;
    const int family = serves_v4 ? AF_INET : AF_INET6;
    const int listener = walk.socket(family, SOCK_STREAM);
    if (walk.below(2) == 0) walk.set_option(listener, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    const char* at = (serves_v4 ? v4 : v6)[walk.below(3)];
    walk.note(std::string("bind ") + at, walk.bind(listener, address_of(family, at, 0)));
    walk.listen(listener, 8);
    const Address local = walk.local(listener);
    const std::uint16_t port = serves_v4
                                   ? reinterpret_cast<const sockaddr_in&>(local.storage).sin_port
                                   : reinterpret_cast<const sockaddr_in6&>(local.storage).sin6_port;
    for (const int of_client : {AF_INET, AF_INET6}) {
        for (const char* ip : of_client == AF_INET ? v4 : v6) {
            const int client = walk.socket(of_client, SOCK_STREAM);
            const int connected = walk.connect(client, address_of(of_client, ip, port));
            walk.note(std::string("connect ") + ip, connected);
            if (connected != 0) continue;
            const int server = walk.accept(listener);
            for (const int fd : {client, server}) {
                walk.address("local", fd, OperationKind::getsockname);
                walk.address("peer", fd, OperationKind::getpeername);
            }
        }
    }
}

/// Several sockets of one address, with SO_REUSEPORT and without.
void ask_shared_binds(SocketWalk& walk, int type) {
    const int first = walk.socket(AF_INET, type);
    walk.set_option(first, SOL_SOCKET, SO_REUSEPORT, 1);
    walk.note("bind", walk.bind(first, address_of(AF_INET, "127.0.0.1", 0)));
    const Address address = walk.local(first);
    for (const int sharing : {1, 1, 0}) {
        const int fd = walk.socket(AF_INET, type);
        walk.set_option(fd, SOL_SOCKET, SO_REUSEPORT, sharing);
        walk.note("bind", walk.bind(fd, address));
        if (type == SOCK_STREAM) walk.listen(fd, 1);
    }
    if (type == SOCK_STREAM) walk.listen(first, 1);
}

TEST(Sockets, a_port_is_shared_by_sockets_that_all_wish_it) {
    compare([](SocketWalk& walk) { ask_shared_binds(walk, SOCK_STREAM); }, 1);
    compare([](SocketWalk& walk) { ask_shared_binds(walk, SOCK_DGRAM); }, 1);
}

TEST(Sockets, families_reach_each_other_as_in_the_kernel) { compare(ask_families, 60); }

/// Datagrams that nothing receives, up to the one that has to wait. They are empty, since the world
/// knows only for small ones what the kernel takes of the buffer.
void fill_own_queue(SocketWalk& walk, bool is_connected) {
    const int fd = walk.bound(AF_UNIX, SOCK_DGRAM);
    const Address own = walk.local(fd);
    if (is_connected) walk.note("connect", walk.connect(fd, own));
    for (int sent = 0; sent < 400; ++sent) walk.send_message(fd, 0, &own);
    for (int received = 0; received < 20; ++received) walk.receive_message(fd, 200);
    for (int sent = 0; sent < 30; ++sent) walk.send_message(fd, 0, &own);
}

TEST(Sockets, a_unix_socket_does_not_wait_for_itself_before_its_buffer_is_full) {
    compare([](SocketWalk& walk) { fill_own_queue(walk, false); }, 1);
    compare([](SocketWalk& walk) { fill_own_queue(walk, true); }, 1);
}

/// The port as a yes or no: the numbers of the two worlds differ.
void note_port(SocketWalk& walk, int fd) {
    const Address local = walk.local(fd);
    // In the same place for both families.
    const auto port = reinterpret_cast<const sockaddr_in&>(local.storage).sin_port;
    walk.note("has a port", port != 0 ? 1 : 0);
    walk.address("local", fd, OperationKind::getsockname);
    walk.address("peer", fd, OperationKind::getpeername);
}

/// A datagram socket that was bound in one of several ways, connected, and disconnected.
void ask_disconnected(SocketWalk& walk, int family) {
    const bool is_v4 = family == AF_INET;
    const int receiver = walk.bound(family, SOCK_DGRAM);
    const int probe = walk.bound(family, SOCK_DGRAM);
    const Address used = walk.local(probe);
    const std::uint16_t port = reinterpret_cast<const sockaddr_in&>(used.storage).sin_port;
    walk.close(probe);
    const int fd = walk.socket(family, SOCK_DGRAM);
    const char* loopback = is_v4 ? "127.0.0.1" : "::1";
    const char* any = is_v4 ? "0.0.0.0" : "::";
    const std::uint64_t way = walk.below(5);
    if (way > 0) {
        const char* ip = way % 2 == 0 ? any : loopback;
        walk.note(ip, walk.bind(fd, address_of(family, ip, way > 2 ? port : 0)));
    }
    const Address to = walk.local(receiver);
    Address nowhere;
    nowhere.storage.ss_family = AF_UNSPEC;
    for (int round = 0; round < 2; ++round) {
        if (walk.below(2) == 0) walk.send_message(fd, 1, &to);
        note_port(walk, fd);
        walk.note("connect", walk.connect(fd, to));
        note_port(walk, fd);
        walk.note("disconnect", walk.connect(fd, nowhere));
        note_port(walk, fd);
        walk.send(fd, 1);
    }
    const Address again = address_of(family, loopback, 0);
    walk.note("bind", walk.bind(fd, again));
    note_port(walk, fd);
}

TEST(Sockets, a_disconnected_datagram_socket_has_only_what_it_was_bound_to) {
    compare([](SocketWalk& walk) { ask_disconnected(walk, AF_INET); }, 60);
    compare([](SocketWalk& walk) { ask_disconnected(walk, AF_INET6); }, 60);
}

void ask_options(SocketWalk& walk, int family, int type) {
    const int fd = walk.socket(family, type);
    constexpr int levels[] = {SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, 200};
    constexpr int names[] = {SO_REUSEADDR, SO_REUSEPORT,  SO_KEEPALIVE, SO_BROADCAST, SO_LINGER,
                             SO_SNDBUF,    SO_RCVBUF,     SO_TYPE,      SO_DOMAIN,    SO_PROTOCOL,
                             SO_ERROR,     SO_ACCEPTCONN, 12345};
    for (const int name : names) {
        // Newer kernels refuse it, older ones do not.
        if (family == AF_UNIX && name == SO_REUSEPORT) continue;
        walk.option(fd, SOL_SOCKET, name);
        for (const int value : {1, 5, 0}) {
            walk.set_option(fd, SOL_SOCKET, name, value);
            walk.option(fd, SOL_SOCKET, name);
        }
    }
    for (const int value : {4000, 100'000}) {
        for (const int name : {SO_SNDBUF, SO_RCVBUF}) {
            walk.set_option(fd, SOL_SOCKET, name, value);
            walk.option(fd, SOL_SOCKET, name);
        }
    }
    for (const int level : levels) walk.option(fd, level, 12345);
    walk.set_option(fd, IPPROTO_TCP, TCP_NODELAY, 2);
    walk.option(fd, IPPROTO_TCP, TCP_NODELAY);
    walk.set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    walk.option(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    walk.set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 0);
    walk.set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    walk.option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
}

TEST(Sockets, options_are_those_of_the_kernel) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        const auto walk_of = [](int of_type) -> Walk {
            return of_type == SOCK_STREAM
                       ? [](SocketWalk& walk) {
                             ask_options(walk, AF_INET, SOCK_STREAM);
                             ask_options(walk, AF_INET6, SOCK_STREAM);
                             ask_options(walk, AF_UNIX, SOCK_STREAM);
                         }
                       : [](SocketWalk& walk) {
                             ask_options(walk, AF_INET, SOCK_DGRAM);
                             ask_options(walk, AF_INET6, SOCK_DGRAM);
                             ask_options(walk, AF_UNIX, SOCK_DGRAM);
                         };
        };
        compare(walk_of(type), 1);
    }
}

}  // namespace
}  // namespace simulation
