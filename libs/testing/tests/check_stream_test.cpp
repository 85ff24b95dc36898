// Goal: the suite of streams passes over right streams, in memory and over the simulated network,
// under many seeds; and it finds streams that break a promise.
// Method: channels that are right, and one that breaks one promise at a time.

#include <asyncio/connection.h>
#include <asyncio/lowlevel/channel.h>
#include <asyncio/socket.h>
#include <asyncio/testing/check_stream.h>
#include <asyncio/testing/memory_stream.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace {

using namespace asyncio;
using asyncio::lowlevel::Channel;
using asyncio::lowlevel::Operation;
using asyncio::lowlevel::OperationKind;
using asyncio::testing::check_stream;
using asyncio::testing::check_stream_seeds;
using asyncio::testing::memory_channels;
using asyncio::testing::MemoryChannels;
using asyncio::testing::one_way;
using asyncio::testing::stream_cases;
using asyncio::testing::StreamCase;

Coro<Pipe> memory(std::size_t limit) {
    EventLoop& loop = get_running_loop();
    MemoryChannels ends = memory_channels(loop);
    StreamReader reader(loop, std::move(ends.first), {.limit = limit});
    co_return Pipe{std::move(reader), StreamWriter(loop, std::move(ends.second))};
}

Coro<Pipe> pipe(std::size_t limit) { return open_pipe({.limit = limit}); }

/// The two ends of a connection, of which one direction is used.
Coro<Pipe> connection(int family, Address address, std::size_t limit) {
    Socket listener(family);
    listener.bind(address);
    listener.listen();
    Socket client(family);
    co_await client.connect(listener.getsockname());
    Accepted accepted = co_await listener.accept();
    co_return one_way(connect_accepted_socket(std::move(client)),
                      connect_accepted_socket(std::move(accepted.socket)), limit);
}

Coro<Pipe> tcp(std::size_t limit) { return connection(AF_INET, Address::loopback_v4(0), limit); }

Coro<Pipe> over_unix(std::size_t limit) {
    // The kernel, or the world, chooses an abstract name.
    return connection(AF_UNIX, Address::local(""), limit);
}

TEST(check_stream_seeds, streams_in_memory_keep_their_promises) {
    check_stream_seeds({.make = memory}, {.count = 5});
}

TEST(check_stream_seeds, pipes_keep_their_promises) {
    check_stream_seeds({.make = pipe}, {.count = 5});
}

TEST(check_stream_seeds, connections_keep_their_promises) {
    check_stream_seeds({.make = tcp}, {.count = 5});
}

TEST(check_stream_seeds, connections_over_unix_sockets_keep_their_promises) {
    check_stream_seeds({.make = over_unix}, {.count = 5});
}

/// Passes everything on, except for one fault.
enum class Break : std::uint8_t {
    nothing,
    loses_a_byte,      ///< A short write counts as a whole one.
    doubles_a_byte,    ///< The last byte of a read comes again with the next one.
    loses_the_end,     ///< The close of the writer is not passed on.
    hides_the_error,   ///< A write after the reader has gone succeeds.
    drops_on_cancel,   ///< A cancelled read throws the bytes away that it has got.
    halves_a_wake_up,  ///< A write that had to wait is reported with half of its bytes.
};

class BrokenChannel final : public Channel {
public:
    BrokenChannel(EventLoop& loop, std::shared_ptr<Channel> inner, Break fault)
        : reports_(loop), inner_(std::move(inner)), fault_(fault) {
        for (Relay* relay : {&read_, &write_}) {
            relay->channel = this;
            relay->on_finished = &reported;
        }
        read_.kind = OperationKind::read;
        read_.receive = [](Operation& operation, std::span<const char> bytes) noexcept {
            static_cast<Relay&>(operation).bytes.assign(bytes.begin(), bytes.end());
        };
        write_.kind = OperationKind::write;
    }

    std::string name() const override { return "broken " + inner_->name(); }

    Submitted submit(Operation& operation) noexcept override {
        Relay& relay = operation.kind == OperationKind::read ? read_ : write_;
        relay.wanted = &operation;
        relay.buffer = operation.buffer;
        relay.size = operation.size;
        relay.is_cancelled = false;
        const bool shortens = fault_ == Break::loses_a_byte && operation.kind != read_.kind;
        if (shortens && relay.size > 1000) relay.size -= 1;
        operation.state = Operation::State::in_flight;
        if (inner_->submit(relay) == Submitted::in_flight) {
            relay.has_waited = true;
            return Submitted::in_flight;
        }
        relay.has_waited = false;
        operation.result = result_of(relay);
        operation.state = Operation::State::finished;
        return Submitted::finished;
    }

    void cancel(Operation& operation) noexcept override {
        Relay& relay = operation.kind == OperationKind::read ? read_ : write_;
        relay.is_cancelled = true;
        if (relay.state == Operation::State::in_flight) inner_->cancel(relay);
    }

    Submitted close(Side side, Operation& operation) noexcept override {
        const bool is_lost = fault_ == Break::loses_the_end && side == Side::writing;
        if (!is_lost) return inner_->close(side, operation);
        operation.result = 0;
        operation.state = Operation::State::finished;
        return Submitted::finished;
    }

    void abort() noexcept override { inner_->abort(); }

private:
    struct Relay : Operation {
        BrokenChannel* channel = nullptr;
        Operation* wanted = nullptr;
        std::string bytes;
        bool is_cancelled = false;
        bool has_waited = false;
    };

    int result_of(Relay& relay) noexcept {
        if (relay.kind == OperationKind::read) return result_of_read(relay);
        if (fault_ == Break::loses_a_byte && relay.result > 999) return relay.result + 1;
        if (fault_ == Break::hides_the_error && relay.result < 0)
            return static_cast<int>(relay.wanted->size);
        return relay.result;
    }

    int result_of_read(Relay& relay) noexcept {
        if (relay.result <= 0) return relay.result;
        const bool drops = fault_ == Break::drops_on_cancel && relay.is_cancelled;
        if (drops) return -ECANCELED;
        if (fault_ == Break::doubles_a_byte && relay.bytes.size() > 1000)
            relay.bytes[1000] = relay.bytes[999];
        Operation& wanted = *relay.wanted;
        wanted.receive(wanted, relay.bytes);
        return relay.result;
    }

    static void reported(Operation& operation) noexcept {
        auto& relay = static_cast<Relay&>(operation);
        BrokenChannel& self = *relay.channel;
        const bool halves = self.fault_ == Break::halves_a_wake_up && relay.result > 1;
        if (halves && relay.kind == OperationKind::write) relay.result /= 2;
        Operation& wanted = *relay.wanted;
        wanted.result = self.result_of(relay);
        wanted.state = Operation::State::finished;
        wanted.on_finished(wanted);
    }

    lowlevel::ChannelReports reports_;
    std::shared_ptr<Channel> inner_;
    Break fault_;
    Relay read_;
    Relay write_;
};

Break fault_under_test = Break::nothing;

Coro<Pipe> broken(std::size_t limit) {
    EventLoop& loop = get_running_loop();
    MemoryChannels ends = memory_channels(loop);
    const auto break_it = [&](std::shared_ptr<Channel> inner) {
        return std::make_shared<BrokenChannel>(loop, std::move(inner), fault_under_test);
    };
    StreamReader reader(loop, break_it(std::move(ends.first)), {.limit = limit});
    co_return Pipe{std::move(reader), StreamWriter(loop, break_it(std::move(ends.second)))};
}

/// How many cases find the fault.
int findings(Break fault) {
    fault_under_test = fault;
    int found = 0;
    for (const StreamCase& each : stream_cases()) {
        try {
            each.run({.make = broken}, {.seed = 0});
        } catch (const std::exception&) {
            ++found;
        }
    }
    return found;
}

TEST(check_stream, a_channel_that_passes_everything_on_is_right) {
    EXPECT_EQ(findings(Break::nothing), 0);
}

TEST(check_stream, every_broken_promise_is_found) {
    for (const Break fault :
         {Break::loses_a_byte, Break::doubles_a_byte, Break::loses_the_end, Break::hides_the_error,
          Break::drops_on_cancel, Break::halves_a_wake_up})
        EXPECT_GT(findings(fault), 0) << static_cast<int>(fault);
}

TEST(check_stream, the_error_names_the_case) {
    fault_under_test = Break::loses_the_end;
    try {
        check_stream({.make = broken}, {.seed = 0});
        ADD_FAILURE();
    } catch (const std::exception& error) {
        EXPECT_FALSE(std::string(error.what()).empty());
    }
    fault_under_test = Break::loses_a_byte;
    try {
        check_stream({.make = broken}, {.seed = 0});
        ADD_FAILURE();
    } catch (const asyncio::testing::AssertionError& error) {
        EXPECT_TRUE(std::string(error.what())
                        .starts_with("everything_written_arrives_in_order_and_then_the_end: got "))
            << error.what();
    }
}

}  // namespace
