#pragma once
// What the tests of callbacks on descriptors have in common: descriptors to wait for, and a witness
// of the end of a callback.

#include "net/net_help.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace net_test {

/// A pipe of the kernel.
struct RealPipe {
    RealPipe() {
        int ends[2];
        if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) throw OsError(errno, "make a pipe");
        reader = lowlevel::Fd(ends[0]);
        writer = lowlevel::Fd(ends[1]);
    }
    void put(char byte = 'x') const { EXPECT_EQ(::write(writer.get(), &byte, 1), 1); }
    void take() const {
        char byte = 0;
        EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
    }

    lowlevel::Fd reader;
    lowlevel::Fd writer;
};

/// A connected pair of sockets of the loop.
struct SocketEnds {
    Socket one;
    Socket other;
};
inline Coro<SocketEnds> sockets_of_the_loop() {
    SocketEnds ends;
    Socket listener(AF_INET);
    listener.bind(Address::loopback_v4(0));
    listener.listen();
    ends.one = Socket(AF_INET);
    Task<Accepted> accepting = create_task(listener.accept());
    co_await ends.one.connect(listener.getsockname());
    Accepted accepted = co_await std::move(accepting);
    ends.other = std::move(accepted.socket);
    co_return ends;
}

/// Sets a flag when it is destroyed, as the captures of a callback are.
struct Witness {
    explicit Witness(bool& flag) : gone(&flag) {}
    Witness(Witness&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
    Witness& operator=(Witness&&) = delete;
    ~Witness() {
        if (gone != nullptr) *gone = true;
    }
    bool* gone;
};

}  // namespace net_test
