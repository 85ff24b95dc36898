// Goal: a part of a file is sent as it is, by the kernel or without it, and the position of the
// file says how far, whatever ends the sending.
// Method: real files, over sockets of the back-end; the simulated sockets know no sendfile(2), so
// there the bytes are always read and sent.

#include "net/file_help.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace net_test;

struct FilePair {
    Socket sender;
    Socket receiver;
};
Coro<FilePair> pair_for_files() {
    Socket listener(AF_INET);
    listener.bind(Address::loopback_v4(0));
    listener.listen();
    FilePair pair;
    pair.sender = Socket(AF_INET);
    Task<Accepted> accepting = create_task(listener.accept());
    co_await pair.sender.connect(listener.getsockname());
    Accepted accepted = co_await std::move(accepting);
    pair.receiver = std::move(accepted.socket);
    co_return pair;
}

/// Everything up to the end of the stream.
Coro<std::string> all_of(const Socket& socket) {
    std::string all;
    for (;;) {
        const std::string some = co_await socket.recv(65'536);
        if (some.empty()) co_return all;
        all += some;
    }
}

/// Sends by sendfile, and returns what has arrived.
Coro<std::string> sent_through(const lowlevel::Fd& file, SendfileOptions options,
                               std::uint64_t* count = nullptr) {
    FilePair pair = co_await pair_for_files();
    Task<std::string> receiving = create_task(all_of(pair.receiver));
    const std::uint64_t sent = co_await pair.sender.sendfile(file.get(), options);
    if (count != nullptr) *count = sent;
    pair.sender.close();
    co_return co_await std::move(receiving);
}

TEST(sendfile, SFD_01_the_whole_file) {
    run_test([]() -> Coro<> {
        const std::string content = numbered(3'000'000);
        const lowlevel::Fd file = file_with(content);
        std::uint64_t sent = 0;
        const std::string got = co_await sent_through(file, {}, &sent);
        EXPECT_TRUE(got == content);
        EXPECT_EQ(sent, content.size());
        EXPECT_EQ(position_of(file), 3'000'000);
    });
}

TEST(sendfile, SFD_01_a_part_by_offset_and_count) {
    run_test([]() -> Coro<> {
        const std::string content = numbered(100'000);
        const lowlevel::Fd file = file_with(content);
        std::uint64_t sent = 0;
        std::string got = co_await sent_through(file, {.offset = 1000, .count = 50'000}, &sent);
        EXPECT_TRUE(got == content.substr(1000, 50'000));
        EXPECT_EQ(sent, 50'000u);
        EXPECT_EQ(position_of(file), 51'000);
        got = co_await sent_through(file, {.offset = 90'000, .count = 50'000}, &sent);
        EXPECT_TRUE(got == content.substr(90'000));
        EXPECT_EQ(sent, 10'000u);
        EXPECT_EQ(position_of(file), 100'000);
        got = co_await sent_through(file, {.offset = 200'000}, &sent);
        EXPECT_EQ(got, "");
        EXPECT_EQ(sent, 0u);
        EXPECT_EQ(position_of(file), 200'000);
    });
}

TEST(sendfile, SFD_01_an_empty_file) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd file = file_with("");
        std::uint64_t sent = 1;
        const std::string got = co_await sent_through(file, {}, &sent);
        EXPECT_EQ(got, "");
        EXPECT_EQ(sent, 0u);
        EXPECT_EQ(position_of(file), 0);
    });
}

TEST(sendfile, SFD_01_parts_that_are_none_are_refused) {
    run_test([]() -> Coro<> {
        FilePair pair = co_await pair_for_files();
        const lowlevel::Fd file = file_with("x");
        std::string text = co_await error_text(pair.sender.sendfile(file.get(), {.offset = -1}));
        EXPECT_EQ(text, "sendfile: the offset is negative");
        text = co_await error_text(pair.sender.sendfile(file.get(), {.count = 0}));
        EXPECT_EQ(text, "sendfile: the count must be positive");
        const int error = co_await error_number(pair.sender.sendfile(-1));
        EXPECT_EQ(error, EBADF);
    });
}

TEST(sendfile, SFD_02_what_is_no_file_is_read_and_sent) {
    run_test([]() -> Coro<> {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        const lowlevel::Fd reader(ends[0]);
        lowlevel::Fd writer(ends[1]);
        EXPECT_EQ(::write(writer.get(), "from a pipe", 11), 11);
        std::uint64_t sent = 0;
        std::string got = co_await sent_through(reader, {.count = 6}, &sent);
        EXPECT_EQ(got, "from a");
        EXPECT_EQ(sent, 6u);
        writer.reset();
        got = co_await sent_through(reader, {}, &sent);
        EXPECT_EQ(got, " pipe");
        EXPECT_EQ(sent, 5u);
        FilePair pair = co_await pair_for_files();
        const int error = co_await error_number(pair.sender.sendfile(reader.get(), {.offset = 1}));
        EXPECT_EQ(error, ESPIPE);
    });
}

TEST(sendfile, SFD_02_without_a_fallback_it_says_so) {
    run_test([]() -> Coro<> {
        FilePair pair = co_await pair_for_files();
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        const lowlevel::Fd reader(ends[0]);
        const lowlevel::Fd writer(ends[1]);
        bool refused = false;
        try {
            co_await pair.sender.sendfile(reader.get(), {.fallback = false});
        } catch (const SendfileNotAvailableError& error) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    });
}

TEST(sendfile, SFD_02_a_unix_socket) {
    run_test([]() -> Coro<> {
        Socket listener(AF_UNIX);
        listener.bind(
            Address::local(std::string("\0asyncio-sendfile-", 18) + std::to_string(::getpid())));
        listener.listen();
        Socket sender(AF_UNIX);
        co_await sender.connect(listener.getsockname());
        Accepted accepted = co_await listener.accept();
        const std::string content = numbered(1'000'000);
        const lowlevel::Fd file = file_with(content);
        Task<std::string> receiving = create_task(all_of(accepted.socket));
        const std::uint64_t sent = co_await sender.sendfile(file.get(), {.offset = 10});
        EXPECT_EQ(sent, content.size() - 10);
        sender.close();
        const std::string got = co_await receiving;
        EXPECT_TRUE(got == content.substr(10));
        EXPECT_EQ(position_of(file), 1'000'000);
    });
}

TEST(sendfile, SFD_02_datagrams) {
    run_test([]() -> Coro<> {
        Socket one(AF_INET, SOCK_DGRAM);
        Socket other(AF_INET, SOCK_DGRAM);
        other.bind(Address::loopback_v4(0));
        co_await one.connect(other.getsockname());
        const lowlevel::Fd file = file_with("a datagram");
        const std::uint64_t sent = co_await one.sendfile(file.get());
        EXPECT_EQ(sent, 10u);
        const std::string got = co_await other.recv(100);
        EXPECT_EQ(got, "a datagram");
    });
}

TEST(sendfile, SFD_05_a_peer_that_goes_is_an_error_and_the_position_tells_how_far) {
    run_test([]() -> Coro<> {
        FilePair pair = co_await pair_for_files();
        const lowlevel::Fd file = file_with(std::string(20'000'000, 'x'));
        Task<std::uint64_t> sending = create_task(pair.sender.sendfile(file.get()));
        std::string got;
        while (got.size() < 100'000) got += co_await pair.receiver.recv(65'536);
        pair.receiver.close();
        const int error = co_await error_number(std::move(sending));
        EXPECT_TRUE(error == EPIPE || error == ECONNRESET) << error;
        EXPECT_GE(position_of(file), 100'000);
        EXPECT_LT(position_of(file), 20'000'000);
    });
}

/// The sender's own end fails it, so the receiver gets exactly what was sent.
TEST(sendfile, SFD_01_SFD_05_after_an_error_the_position_is_behind_the_last_byte_that_was_sent) {
    run_test([]() -> Coro<> {
        const std::string content = numbered(20'000'000);
        const lowlevel::Fd file = file_with(content);
        FilePair pair = co_await pair_for_files();
        Task<std::uint64_t> sending =
            create_task(pair.sender.sendfile(file.get(), {.offset = 1000}));
        std::string got = co_await pair.receiver.recv(65'536);
        pair.sender.shutdown(SHUT_WR);
        const int error = co_await error_number(std::move(sending));
        EXPECT_EQ(error, EPIPE);
        got += co_await all_of(pair.receiver);
        EXPECT_EQ(position_of(file), static_cast<long>(1000 + got.size()));
        EXPECT_TRUE(got == content.substr(1000, got.size()));
    });
}

TEST(sendfile, SFD_01_SFD_06_after_a_cancellation_the_position_counts_from_the_offset) {
    run_test([]() -> Coro<> {
        const std::string content = numbered(20'000'000);
        const lowlevel::Fd file = file_with(content);
        FilePair pair = co_await pair_for_files();
        Task<std::uint64_t> sending =
            create_task(pair.sender.sendfile(file.get(), {.offset = 1000}));
        std::string got = co_await pair.receiver.recv(65'536);
        sending.cancel();
        co_await until_done(sending);
        EXPECT_TRUE(sending.cancelled());
        pair.sender.close();
        got += co_await all_of(pair.receiver);
        EXPECT_EQ(position_of(file), static_cast<long>(1000 + got.size()));
        EXPECT_TRUE(got == content.substr(1000, got.size()));
    });
}

TEST(sendfile, SFD_06_a_cancellation_leaves_the_position_right_and_the_socket_usable) {
    run_test([]() -> Coro<> {
        const std::string content = numbered(20'000'000);
        for (int steps = 0; steps < 5; ++steps) {
            FilePair pair = co_await pair_for_files();
            const lowlevel::Fd file = file_with(content);
            Task<std::uint64_t> sending = create_task(pair.sender.sendfile(file.get()));
            for (int step = 0; step < steps; ++step) co_await sleep(1ms);
            sending.cancel();
            co_await until_done(sending);
            EXPECT_TRUE(sending.cancelled());
            const long position = position_of(file);
            co_await sleep(0ms);
            Task<std::string> receiving = create_task(all_of(pair.receiver));
            co_await pair.sender.sendall("end");
            pair.sender.close();
            const std::string got = co_await receiving;
            EXPECT_TRUE(got == content.substr(0, static_cast<std::size_t>(position)) + "end");
        }
    });
}

TEST(sendfile, a_close_in_between_ends_it) {
    run_test([]() -> Coro<> {
        FilePair pair = co_await pair_for_files();
        const lowlevel::Fd file = file_with(std::string(20'000'000, 'x'));
        Task<std::uint64_t> sending = create_task(pair.sender.sendfile(file.get()));
        co_await sleep(1ms);
        pair.sender.close();
        const int error = co_await error_number(std::move(sending));
        EXPECT_TRUE(error == ECANCELED || error == EBADF) << error;
    });
}

TEST(sendfile, the_function_of_the_loop_is_the_same) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        FilePair pair = co_await pair_for_files();
        const lowlevel::Fd file = file_with("0123456789");
        std::uint64_t sent = co_await loop.sock_sendfile(pair.sender, file.get());
        EXPECT_EQ(sent, 10u);
        sent = co_await loop.sock_sendfile(pair.sender, file.get(), {.offset = 8});
        EXPECT_EQ(sent, 2u);
        pair.sender.close();
        const std::string got = co_await all_of(pair.receiver);
        EXPECT_EQ(got, "012345678989");
    });
}

}  // namespace
