#pragma once
// What all simulated sockets have in common: the kinds of operations, the options, the error that
// waits to be reported.
//
// A socket sees few shapes of requests. `recv`, `read`, `recvmsg` and `recvmmsg` are all a
// `Transfer` when they reach `receive`, and the sends likewise.
//
// Foreseeing. The operations that never wait (bind, options, …) do all their work in `carry_out`,
// and find their errors there. Of the others, `foresee` decides. There is one exception: an error
// that is reported once (SO_ERROR) is foreseen as a success, because reporting it changes the
// socket.
//
// The tree: `Socket` → `InetSocket` → `TcpSocket`, `UdpSocket`; `Socket` → `UnixSocket` →
// `UnixStream`, `UnixDatagram`.
//
// Thread-safety: none. A socket belongs to one world.

#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/simulated/object.h"
#include "backend/simulated/sockets/endpoint.h"
#include "backend/simulated/sockets/messages.h"
#include "backend/simulated/sockets/options.h"

#include <cstddef>
#include <utility>

namespace asyncio::lowlevel::simulated {

class Host;

class Socket : public Object, public internal::ListNode {
public:
    Socket(Host& host, int family, int type) noexcept;
    ~Socket() override;

    int foresee(const Operation& operation, int side) const noexcept final;
    int carry_out(Operation& operation, int side, int foreseen, Surroundings& around) final;

    Host& host() const noexcept { return host_; }
    int family() const noexcept { return family_; }
    int type() const noexcept { return type_; }
    virtual bool is_listening() const noexcept { return false; }

    /// The host has lost its power: the socket is gone, without a word to its peer. Its descriptor
    /// stays, and answers ENETDOWN.
    virtual void lose_power(Surroundings& around) noexcept;

    /// Takes the descriptors out of the messages that wait here. A socket can be among its own
    /// passengers, and owners in a circle never end; so the world asks for this at its end.
    virtual void surrender(Passengers& all) { static_cast<void>(all); }

protected:
    // What a request would answer now; as `Object::foresee`.
    virtual int can_accept() const noexcept { return -EOPNOTSUPP; }
    virtual int can_connect(const Operation& operation) const noexcept = 0;
    virtual int can_receive(const Transfer& transfer) const noexcept = 0;
    virtual int can_send(const Transfer& transfer) const noexcept = 0;

    // The requests. Each may answer an error. The first four are carried out only if they can be.
    virtual int accept(Operation& operation, Surroundings& around);
    /// `would_block` if the connect has begun and its end is to be waited for.
    virtual int connect(const Operation& operation, Surroundings& around) = 0;
    virtual int receive(const Transfer& transfer, Surroundings& around) = 0;
    virtual int send(const Transfer& transfer, Surroundings& around) = 0;
    virtual int bind(const Operation& operation, Surroundings& around) = 0;
    virtual int listen(int backlog, Surroundings& around);
    virtual int shutdown(int how, Surroundings& around) = 0;

    virtual Address local_address() const noexcept = 0;
    /// 0, or −errno.
    virtual int peer_address(Address& address) const noexcept = 0;
    /// Whether the option may be set in the present state. 0, or −errno.
    virtual int can_set(int level, int name) const noexcept;

    /// Whether `events` reports the part of the receives or the sends as shut down.
    bool shut_reading_ = false;
    bool shut_writing_ = false;

    /// The error that the next operation reports, as SO_ERROR: ≥ 0.
    int error_ = 0;
    int take_error() noexcept { return -std::exchange(error_, 0); }

    /// For a new socket of a listener.
    void inherit_options(const Socket& listener) { options_ = listener.options_; }
    int option(int level, int name) const noexcept { return options_.number(level, name); }
    int linger_s() const noexcept { return options_.linger_s(); }
    std::size_t buffer_bytes(int name) const noexcept {
        return static_cast<std::size_t>(option(SOL_SOCKET, name));
    }

private:
    int shut_down(const Operation& operation, Surroundings& around);
    int get_peer_address(Operation& operation) const noexcept;
    int set_option(const Operation& operation);
    int get_option(Operation& operation) noexcept;
    int receive_several(const Operation& operation, Surroundings& around);
    int send_several(const Operation& operation, Surroundings& around);

    bool is_without_power_ = false;
    Host& host_;
    int family_;
    int type_;
    SocketOptions options_;
};

}  // namespace asyncio::lowlevel::simulated
