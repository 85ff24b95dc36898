#pragma once
// What the Unix sockets have in common: names, and descriptors in messages.
//
// Unix sockets are within one host, so nothing is ever on its way: what one side sends, the other
// one has. The rules are Linux's (net/unix/af_unix.c).
//
// Messages can carry sockets whose messages carry sockets. As in Linux, the depth of this is
// limited (MAX_RECURSION_LEVEL), because closing the first closes all the others inside it.
//
// Left out: SOCK_SEQPACKET, credentials in messages.
//
// Thread-safety: none. A socket belongs to one world.

#include "backend/simulated/file_tree.h"
#include "backend/simulated/sockets/socket.h"

#include <memory>
#include <string>

namespace asyncio::lowlevel::simulated {

class UnixSocket : public Socket {
public:
    UnixSocket(Host& host, int type) noexcept : Socket(host, AF_UNIX, type) {}
    ~UnixSocket() override { leave_name(); }

    const std::string& name() const noexcept { return name_; }

protected:
    int bind(const Operation& operation, Surroundings& around) final;
    Address local_address() const noexcept final { return address_of_name(name_); }

    static Address address_of_name(const std::string& name) noexcept;
    /// Finds the socket that is bound to an address, which must be of the same type. 0, or −errno.
    int find_peer(const void* address, std::size_t length, UnixSocket*& peer) const;
    /// Reads the passengers of a message. 0, or −errno. Throws: `std::bad_alloc`.
    static int board_all(const Transfer& transfer, Passengers& passengers, Surroundings& around);
    /// How deep sockets lie in the messages of the passengers, themselves included.
    static int depth_of(const Passengers& passengers) noexcept;
    /// The socket has got a message with passengers, or has none any more.
    void note_depth(int depth) noexcept { depth_ = depth > depth_ ? depth : depth_; }
    void note_no_passengers() noexcept { depth_ = 0; }
    void leave_name() noexcept;

    /// Empty if the socket has none. An abstract one begins with a zero byte.
    std::string name_;

private:
    static bool is_abstract(const std::string& name) noexcept { return name.front() == '\0'; }
    int bind_to_unused_name();

    /// The socket is the one that its name means. (An accepted socket shows the name of its
    /// listener.)
    bool is_bound_ = false;
    /// Of a path.
    std::shared_ptr<SocketNode> node_;

    /// How deep sockets lie in the messages of this one; or did, as long as some are left.
    int depth_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
