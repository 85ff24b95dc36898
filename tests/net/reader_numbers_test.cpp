// Goal: a callback on a descriptor is refused where the descriptor belongs to the library, and is
// never called for another file that has got the number.
// Method: pipes and sockets whose numbers are used again on purpose.

#include "net/reader_help.h"

#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace net_test;

std::string refusal_of(int fd) {
    try {
        get_running_loop().add_reader(fd, [] {});
    } catch (const RuntimeError& error) {
        return error.what();
    }
    get_running_loop().remove_reader(fd);
    return "";
}

std::string refused_number(int fd) {
    return "add_reader: descriptor " + std::to_string(fd) +
           " belongs to a stream, a server or a datagram endpoint";
}

TEST(add_reader, SCK_13_the_descriptor_of_a_stream_is_refused) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream stream = co_await open_connection(loopback, server.port());
        EXPECT_EQ(refusal_of(stream.fd()), refused_number(stream.fd()));
        const int listener = server.fds().front();
        EXPECT_EQ(refusal_of(listener), refused_number(listener));
        Datagram endpoint = co_await open_datagram({.family = AF_INET});
        EXPECT_EQ(refusal_of(endpoint.fd()), refused_number(endpoint.fd()));
        RealPipe pipe;
        const int read_end = pipe.reader.get();
        StreamReader reader = connect_read_pipe(std::move(pipe.reader));
        EXPECT_EQ(refusal_of(read_end), refused_number(read_end));
        EXPECT_THROW(get_running_loop().add_writer(stream.fd(), [] {}), RuntimeError);
        co_await stream.aclose();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(add_reader, SCK_13_the_number_is_free_again_after_the_close) {
    run_test([]() -> Coro<> {
        RealPipe pipe;
        const int number_before = pipe.reader.get();
        StreamReader reader = connect_read_pipe(std::move(pipe.reader));
        reader.close();
        co_await sleep(1ms);
        int number_now = -1;
        std::vector<lowlevel::Fd> taken;
        for (int round = 0; round < 64 && number_now != number_before; ++round) {
            taken.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
            number_now = taken.back().get();
        }
        EXPECT_EQ(number_now, number_before);
        EXPECT_EQ(refusal_of(number_now), "");
    });
}

TEST(add_reader, a_plain_socket_is_not_refused) {
    run_test([]() -> Coro<> {
        SocketEnds ends = co_await sockets_of_the_loop();
        EXPECT_EQ(refusal_of(ends.one.fileno()), "");
        Stream stream = connect_accepted_socket(std::move(ends.one));
        EXPECT_EQ(refusal_of(stream.fd()), refused_number(stream.fd()));
    });
}

TEST(add_reader, what_is_no_descriptor_or_a_file_is_refused) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto error_of = [&](int fd) {
            try {
                loop.add_reader(fd, [] {});
            } catch (const OsError& error) {
                return error.error();
            }
            return 0;
        };
        EXPECT_EQ(error_of(-1), EBADF);
        EXPECT_EQ(error_of(1'000'000), EBADF);
        const lowlevel::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(error_of(file.get()), EPERM);
        EXPECT_FALSE(loop.remove_reader(file.get()));
        EXPECT_FALSE(loop.remove_reader(-1));
        co_return;
    });
}

TEST(add_reader, a_close_by_the_library_ends_the_reader) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        SocketEnds ends = co_await sockets_of_the_loop();
        const int fd = ends.one.fileno();
        bool gone = false;
        loop.add_reader(fd, [witness = Witness(gone)] {});
        ends.one.close();
        EXPECT_THROW(loop.add_reader(fd, [] {}), OsError);
        const bool ended = co_await becomes([&] { return gone; });
        EXPECT_TRUE(ended);
        EXPECT_FALSE(loop.remove_reader(fd));
    });
}

// --- Numbers with another meaning ----------------------------------------------------------------

TEST(add_reader, SCK_15_events_of_another_file_with_the_number_do_not_come_to_it) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        const RealPipe other;
        int calls = 0;
        bool gone = false;
        loop.add_reader(pipe.reader.get(), [&calls, witness = Witness(gone)] { ++calls; });
        co_await sleep(1ms);
        // The number now means the other pipe, without a step in between.
        EXPECT_EQ(::dup3(other.reader.get(), pipe.reader.get(), O_CLOEXEC), pipe.reader.get());
        other.put();
        // A wait of the loop on the same number arms it for the new file.
        co_await readable(pipe.reader.get());
        co_await sleep(1ms);
        EXPECT_EQ(calls, 0);
        loop.remove_reader(pipe.reader.get());
        EXPECT_TRUE(gone);
    });
}

TEST(add_reader, SCK_15_a_new_reader_of_the_number_is_not_the_old_one) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RealPipe pipe;
        const RealPipe other;
        std::string calls;
        loop.add_reader(pipe.reader.get(), [&] { calls += "old"; });
        co_await sleep(1ms);
        EXPECT_EQ(::dup3(other.reader.get(), pipe.reader.get(), O_CLOEXEC), pipe.reader.get());
        loop.add_reader(pipe.reader.get(), [&] {
            calls += "new";
            loop.remove_reader(pipe.reader.get());
        });
        other.put();
        const bool called = co_await becomes([&] { return !calls.empty(); });
        EXPECT_TRUE(called);
        co_await sleep(1ms);
        EXPECT_EQ(calls, "new");
    });
}

TEST(add_reader, SCK_15_a_socket_of_the_library_that_gets_the_number_drops_it) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        SocketEnds ends = co_await sockets_of_the_loop();
        const int fd = ends.one.fileno();
        bool gone = false;
        int calls = 0;
        loop.add_reader(fd, [&calls, witness = Witness(gone)] { ++calls; });
        co_await sleep(1ms);
        ends.one.close();
        std::vector<Socket> sockets;
        while (!gone && sockets.size() < 64) {
            sockets.emplace_back(AF_INET, SOCK_DGRAM);
            co_await sleep(1ms);
        }
        EXPECT_TRUE(gone);
        EXPECT_EQ(calls, 0);
        EXPECT_FALSE(loop.remove_reader(fd));
    });
}

TEST(add_reader, a_descriptor_that_was_closed_is_forgotten_without_a_word) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        RealPipe pipe;
        int calls = 0;
        bool gone = false;
        loop.add_reader(pipe.reader.get(), [&, witness = Witness(gone)] {
            ++calls;
            pipe.reader.reset();
        });
        pipe.put();
        const bool ended = co_await becomes([&] { return gone; });
        EXPECT_TRUE(ended);
        EXPECT_EQ(calls, 1);
    });
}

}  // namespace
