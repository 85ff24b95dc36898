#pragma once
// A program that asks sockets questions, one after the other, and writes down the answers. It runs
// on any back-end, so the simulated world and the kernel can be compared word by word.
//
// An operation that would have to wait is cancelled, and its answer is "waits". Addresses and
// descriptors differ between the two, so they are not written down.

#include <asyncio/lowlevel/backend.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace simulation {

struct Address {
    sockaddr_storage storage{};
    std::size_t length = sizeof storage;
};

class SocketWalk {
public:
    explicit SocketWalk(std::unique_ptr<asyncio::lowlevel::Backend> backend, std::uint64_t seed);
    /// Closes what is left.
    ~SocketWalk();

    const std::string& story() const { return story_; }
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

    /// The result of a request, or the number of "waits". `patient`: it may take a moment.
    int ask(const asyncio::lowlevel::OperationRequest& request, bool patient = false);
    static constexpr int waits = -1000;

    void note(const std::string& what, int answer);

    int socket(int family, int type);
    int close(int fd);
    Address local(int fd);
    int bind(int fd, const Address& address);
    int connect(int fd, const Address& address);
    int accept(int listener);
    /// Bound to the loopback address of the family, or to an abstract name.
    int bound(int family, int type);
    int listener(int family, int backlog = 8);
    /// The one that has connected, and the accepted one.
    std::pair<int, int> stream_pair(int family);
    /// Connected to each other.
    std::pair<int, int> datagram_pair(int family);

    // Questions that are written down.
    void send(int fd, std::size_t size, int flags = 0);
    void send_message(int fd, std::size_t size, const Address* to = nullptr);
    void receive(int fd, std::size_t size, int flags = 0);
    void receive_message(int fd, std::size_t size, int flags = 0);
    void shutdown(int fd, int how);
    void poll(int fd);
    void option(int fd, int level, int name);
    void set_option(int fd, int level, int name, int value);
    void linger(int fd, int seconds);
    void peer(int fd);
    void listen(int fd, int backlog);
    /// The address that `kind` asks for, without the port.
    void address(const std::string& what, int fd, asyncio::lowlevel::OperationKind kind);

private:
    std::unique_ptr<asyncio::lowlevel::Backend> backend_;
    std::mt19937_64 random_;
    std::vector<int> open_;
    std::string story_;
};

}  // namespace simulation
