// Goal: a stream sends a part of a file behind what was written before and in front of what is
// written meanwhile, and the position of the file says how far, whatever ends the sending.
// Method: connections, over which the kernel sends the file, and a channel in memory, over which
// the bytes are read and written.

#include "net/file_help.h"
#include "streams/channels.h"

#include <stdexcept>

#include <sys/socket.h>

namespace {

using namespace net_test;

struct FileEnds {
    Stream sender;
    Stream receiver;
};

Coro<FileEnds> ends_over_tcp() {
    Socket listener(AF_INET);
    listener.bind(Address::loopback_v4(0));
    listener.listen();
    Task<Accepted> accepting = create_task(listener.accept());
    FileEnds ends;
    ends.sender = co_await open_connection(listener.getsockname());
    Accepted accepted = co_await std::move(accepting);
    ends.receiver = connect_accepted_socket(std::move(accepted.socket));
    co_return ends;
}

/// The kernel cannot send to it.
Coro<FileEnds> ends_in_memory() {
    const auto channel = std::make_shared<streams_test::MemoryChannel>(get_running_loop(), 10'000);
    FileEnds ends;
    ends.sender.writer = StreamWriter(get_running_loop(), channel);
    ends.receiver.reader = StreamReader(get_running_loop(), channel);
    co_return ends;
}

struct FileWay {
    const char* name;
    Coro<FileEnds> (*make)();
};
std::ostream& operator<<(std::ostream& out, const FileWay& way) { return out << way.name; }

class stream_sendfile : public ::testing::TestWithParam<FileWay> {
protected:
    static Coro<FileEnds> make() { return GetParam().make(); }
};
INSTANTIATE_TEST_SUITE_P(ways, stream_sendfile,
                         ::testing::Values(FileWay{"kernel", ends_over_tcp},
                                           FileWay{"pieces", ends_in_memory}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(stream_sendfile, SFD_01_sends_the_file_or_a_part_of_it) {
    run_test([]() -> Coro<> {
        const FileEnds ends = co_await make();
        const std::string content = numbered(1'000'000);
        const lowlevel::Fd file = file_with(content);
        Task<std::string> receiving = create_task(ends.receiver.reader.read());
        std::uint64_t sent = co_await ends.sender.writer.sendfile(file.get());
        EXPECT_EQ(sent, content.size());
        EXPECT_EQ(position_of(file), 1'000'000);
        sent = co_await ends.sender.writer.sendfile(file.get(), {.offset = 10, .count = 20});
        EXPECT_EQ(sent, 20u);
        EXPECT_EQ(position_of(file), 30);
        sent = co_await ends.sender.writer.sendfile(file.get(), {.offset = 2'000'000});
        EXPECT_EQ(sent, 0u);
        ends.sender.writer.close();
        const std::string got = co_await receiving;
        EXPECT_TRUE(got == content + content.substr(10, 20));
    });
}

TEST_P(stream_sendfile, SFD_04_stands_between_what_is_written_before_and_meanwhile) {
    run_test([]() -> Coro<> {
        const FileEnds ends = co_await make();
        const std::string content = numbered(20'000'000);
        const std::string before = numbered(10'000'000);
        const lowlevel::Fd file = file_with(content);
        const StreamWriter& writer = ends.sender.writer;
        writer.write(before);
        Task<std::uint64_t> sending = create_task(writer.sendfile(file.get()));
        const std::string first = co_await ends.receiver.reader.readexactly(before.size() + 1000);
        EXPECT_FALSE(sending.done());
        bool is_sent = false;
        const auto write_behind = [&]() -> Coro<> {
            co_await writer.send(std::string(" behind"));
            is_sent = true;
        };
        Task<> writing = create_task(write_behind());
        co_await sleep(1ms);
        EXPECT_FALSE(is_sent);
        EXPECT_GE(writer.get_write_buffer_size(), 7u);
        const std::string second_text =
            co_await error_text(writer.sendfile(file.get(), {.count = 1}));
        EXPECT_NE(second_text, "") << "one file at a time";
        writer.close();
        const std::string rest = co_await ends.receiver.reader.read();
        const std::uint64_t sent = co_await sending;
        co_await writing;
        EXPECT_EQ(sent, content.size());
        EXPECT_TRUE(first + rest == before + content + " behind");
        co_await writer.wait_closed();
    });
}

TEST_P(stream_sendfile, SFD_05_a_peer_that_goes_is_an_error_and_the_position_tells_how_far) {
    run_test([]() -> Coro<> {
        FileEnds ends = co_await make();
        const lowlevel::Fd file = file_with(numbered(20'000'000));
        Task<std::uint64_t> sending = create_task(ends.sender.writer.sendfile(file.get()));
        co_await ends.receiver.reader.readexactly(100'000);
        ends.receiver = Stream();
        const int error = co_await error_number(std::move(sending));
        EXPECT_TRUE(error == EPIPE || error == ECONNRESET) << error;
        EXPECT_GE(position_of(file), 100'000);
        EXPECT_LT(position_of(file), 20'000'000);
    });
}

TEST_P(stream_sendfile, SFD_06_after_a_cancellation_the_stream_goes_on_behind_the_position) {
    run_test([]() -> Coro<> {
        const std::string content = numbered(20'000'000);
        for (int steps = 0; steps < 5; ++steps) {
            const FileEnds ends = co_await make();
            const lowlevel::Fd file = file_with(content);
            const StreamWriter& writer = ends.sender.writer;
            Task<std::uint64_t> sending = create_task(writer.sendfile(file.get(), {.offset = 10}));
            for (int step = 0; step < steps; ++step) co_await sleep(1ms);
            sending.cancel();
            co_await until_done(sending);
            EXPECT_TRUE(sending.cancelled());
            const long position = steps == 0 ? 10 : position_of(file);
            writer.write("end");
            writer.close();
            const std::string got = co_await ends.receiver.reader.read();
            const auto sent = static_cast<std::size_t>(position - 10);
            EXPECT_TRUE(got == content.substr(10, sent) + "end") << got.size() << " " << sent;
        }
    });
}

TEST_P(stream_sendfile, SFD_07_a_stream_that_closes_refuses_it_and_an_abort_ends_it) {
    run_test([]() -> Coro<> {
        FileEnds ends = co_await make();
        const lowlevel::Fd file = file_with(numbered(20'000'000));
        Task<std::uint64_t> sending = create_task(ends.sender.writer.sendfile(file.get()));
        co_await ends.receiver.reader.readexactly(100'000);
        ends.sender.writer.abort();
        int error = co_await error_number(std::move(sending));
        EXPECT_EQ(error, ECONNRESET);
        EXPECT_GE(position_of(file), 100'000);
        error = co_await error_number(ends.sender.writer.sendfile(file.get()));
        EXPECT_EQ(error, ECONNRESET);
        ends = co_await make();
        ends.sender.writer.close();
        error = co_await error_number(ends.sender.writer.sendfile(file.get()));
        EXPECT_EQ(error, ECONNRESET);
    });
}

TEST(stream_sendfile_alone, SFD_02_without_a_fallback_it_says_so) {
    run_test([]() -> Coro<> {
        const FileEnds ends = co_await ends_in_memory();
        const lowlevel::Fd file = file_with("x");
        bool refused = false;
        try {
            co_await ends.sender.writer.sendfile(file.get(), {.fallback = false});
        } catch (const SendfileNotAvailableError&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
        ends.sender.writer.write("goes on");
        const std::string got = co_await ends.receiver.reader.read(100);
        EXPECT_EQ(got, "goes on");
        const std::string text =
            co_await error_text(ends.sender.writer.sendfile(file.get(), {.offset = -1}));
        EXPECT_EQ(text, "sendfile: the offset is negative");
    });
}

}  // namespace
