// The kinds of channels over which the suite of check_stream.h runs.

#include "streams/check_stream.h"
#include "streams/descriptor_channel.h"

#include <sys/socket.h>

namespace {

std::shared_ptr<Channel> faulty(std::shared_ptr<Channel> inner) {
    return std::make_shared<FaultyChannel>(get_running_loop(), std::move(inner),
                                           Faults{.seed = support::seed_or(7)});
}

Pipe over(std::shared_ptr<Channel> channel, std::size_t limit) {
    EventLoop& loop = get_running_loop();
    StreamReader reader(loop, channel, {.limit = limit});
    return {std::move(reader), StreamWriter(loop, std::move(channel))};
}

Coro<Pipe> pipe(std::size_t limit) { return open_pipe({.limit = limit}); }

Coro<Pipe> socket(std::size_t limit) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    lowlevel::Fd writing(ends[1]);
    StreamReader reader = connect_read_pipe(lowlevel::Fd(ends[0]), {.limit = limit});
    co_return Pipe{std::move(reader), connect_write_pipe(std::move(writing))};
}

/// One direction of a connection with small buffers. The other direction is closed at both ends.
Coro<Pipe> connection(std::size_t limit) {
    constexpr int buffer_bytes = 32 * 1024;
    Socket listener(AF_INET);
    listener.setsockopt(SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    listener.bind(Address::loopback_v4(0));
    listener.listen();
    Socket client(AF_INET);
    client.setsockopt(SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    co_await client.connect(listener.getsockname());
    Accepted accepted = co_await listener.accept();
    co_return asyncio::testing::one_way(connect_accepted_socket(std::move(client)),
                                        connect_accepted_socket(std::move(accepted.socket)), limit);
}

Coro<Pipe> memory(std::size_t limit) {
    co_return over(std::make_shared<MemoryChannel>(get_running_loop()), limit);
}

Coro<Pipe> small_memory(std::size_t limit) {
    co_return over(std::make_shared<MemoryChannel>(get_running_loop(), 1000), limit);
}

Coro<Pipe> faulty_memory(std::size_t limit) {
    co_return over(faulty(std::make_shared<MemoryChannel>(get_running_loop())), limit);
}

/// Two layers of channels, and the back-end below.
Coro<Pipe> faulty_pipe(std::size_t limit) {
    EventLoop& loop = get_running_loop();
    int ends[2];
    const int result = co_await lowlevel::perform(
        {.kind = OperationKind::pipe, .buffer = ends, .size = sizeof ends});
    EXPECT_EQ(result, 0);
    const auto channel_of = [&](int fd) {
        return faulty(std::make_shared<internal::DescriptorChannel>(
            loop, internal::StreamFd(lowlevel::Fd(fd)), internal::Access::non_blocking));
    };
    StreamReader reader(loop, channel_of(ends[0]), {.limit = limit});
    co_return Pipe{std::move(reader), StreamWriter(loop, channel_of(ends[1]))};
}

INSTANTIATE_TEST_SUITE_P(channels, check_stream,
                         ::testing::Values(Kind{"pipe", pipe}, Kind{"socket", socket},
                                           Kind{"connection", connection}, Kind{"memory", memory},
                                           Kind{"small_memory", small_memory},
                                           Kind{"faulty_memory", faulty_memory},
                                           Kind{"faulty_pipe", faulty_pipe}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
