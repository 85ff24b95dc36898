// Goal: what a stream does with the answers of its channel, and what the library's own channels
// promise.
// Method: channels in memory that fail on request; `ChannelReports` by hand.

#include <asyncio/lowlevel/channel.h>

#include "streams/channels.h"
#include "streams/stream_help.h"

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;
using support::run_test;

struct Streams {
    std::shared_ptr<MemoryChannel> memory;
    std::shared_ptr<FaultyChannel> channel;
    StreamReader reader;
    StreamWriter writer;
};

/// Reads go through the faulty channel, and writes directly to the memory behind it.
Streams faulty_reader(Faults faults, StreamOptions options = {}) {
    EventLoop& loop = get_running_loop();
    auto memory = std::make_shared<MemoryChannel>(loop);
    auto channel = std::make_shared<FaultyChannel>(loop, memory, faults);
    return {memory, channel, StreamReader(loop, channel, options), StreamWriter(loop, memory)};
}

Streams faulty_writer(Faults faults) {
    EventLoop& loop = get_running_loop();
    auto memory = std::make_shared<MemoryChannel>(loop);
    auto channel = std::make_shared<FaultyChannel>(loop, memory, faults);
    return {memory, channel, StreamReader(loop, memory), StreamWriter(loop, channel)};
}

// --- What a stream needs ------------------------------------------------------------------------

TEST(channel, a_stream_without_one_is_refused) {
    run_test([]() -> Coro<> {
        const std::shared_ptr<Channel> none;
        EXPECT_THROW(StreamReader(get_running_loop(), none), std::invalid_argument);
        EXPECT_THROW(StreamWriter(get_running_loop(), none), std::invalid_argument);
        co_return;
    });
}

TEST(channel, a_closed_loop_is_refused_and_the_channel_is_let_go) {
    support::TestLoop loop;
    auto memory = std::make_shared<MemoryChannel>(*loop);
    loop->close();
    EXPECT_THROW(StreamReader(*loop, memory), RuntimeError);
    EXPECT_THROW(StreamWriter(*loop, memory), RuntimeError);
    EXPECT_EQ(memory.use_count(), 1);
}

TEST(channel, each_side_is_closed_once_and_the_channel_goes_with_the_last) {
    run_test([]() -> Coro<> {
        Streams streams = faulty_reader({});
        const std::weak_ptr<Channel> channel = std::exchange(streams.channel, nullptr);
        streams.reader.close();
        streams.reader.close();
        EXPECT_EQ(streams.memory->closes, 1);
        streams.writer.close();
        co_await streams.writer.wait_closed();
        streams.writer.abort();
        EXPECT_EQ(streams.memory->closes, 2);
        EXPECT_FALSE(channel.expired());
        streams.reader = StreamReader();
        EXPECT_TRUE(channel.expired());
        EXPECT_EQ(streams.memory->closes, 2);
    });
}

TEST(channel, stays_until_its_operation_is_reported) {
    run_test([]() -> Coro<> {
        Streams streams = faulty_reader({});
        const std::weak_ptr<Channel> channel = std::exchange(streams.channel, nullptr);
        auto reading = create_task([](Coro<std::string> line) -> Coro<std::string> {
            co_return co_await std::move(line);
        }(streams.reader.readline()));
        co_await sleep(1ms);
        streams.reader = StreamReader();
        EXPECT_FALSE(channel.expired()) << "the read is cancelled, and not reported yet";
        const std::string line = co_await reading;
        EXPECT_EQ(line, "");
        EXPECT_TRUE(channel.expired());
        EXPECT_EQ(streams.memory->closes, 1);
    });
}

// --- Errors -------------------------------------------------------------------------------------

TEST(channel, an_error_of_a_read_names_the_channel_and_meets_every_later_read) {
    run_test([]() -> Coro<> {
        const Streams streams = faulty_reader({.fails_after_bytes = 3, .error = EPROTO});
        streams.writer.write("abc");
        const std::string got = co_await streams.reader.read(10);
        EXPECT_EQ(got, "abc");
        for (int i = 0; i < 2; ++i) {
            std::string said;
            try {
                const std::string none = co_await streams.reader.readline();
                ADD_FAILURE() << none;
            } catch (const OsError& error) {
                EXPECT_EQ(error.error(), EPROTO);
                said = error.what();
            }
            EXPECT_EQ(said, "read from faulty memory: Protocol error");
        }
    });
}

TEST(channel, the_name_that_the_program_gave_comes_first) {
    run_test([]() -> Coro<> {
        const Faults faults{.fails_after_bytes = 0, .error = EPROTO};
        const Streams streams = faulty_reader(faults, {.name = "a peer"});
        std::string said;
        try {
            co_await streams.reader.readline();
        } catch (const OsError& error) {
            said = error.what();
        }
        EXPECT_EQ(said, "read from a peer: Protocol error");
    });
}

TEST(channel, says_which_errors_mean_the_end) {
    run_test([]() -> Coro<> {
        const Streams streams =
            faulty_reader({.fails_after_bytes = 3, .error = EPROTO, .means_end = EPROTO});
        streams.writer.write("abc");
        const std::string got = co_await streams.reader.read();
        EXPECT_EQ(got, "abc");
        EXPECT_TRUE(streams.reader.at_eof());
    });
}

TEST(channel, an_error_of_a_write_meets_every_later_wait_and_drops_what_is_buffered) {
    for (const std::uint64_t seed : {0U, 5U}) {
        run_test([seed]() -> Coro<> {
            const Streams streams =
                faulty_writer({.seed = seed, .fails_after_bytes = 100'000, .error = EPROTO});
            auto reading = create_task(streams.reader.read());
            const int first = co_await error_of(streams.writer.send(std::string(300'000, 'x')));
            EXPECT_EQ(first, EPROTO);
            EXPECT_EQ(streams.writer.get_write_buffer_size(), 0U);
            const int second = co_await error_of(streams.writer.drain());
            EXPECT_EQ(second, EPROTO);
            const std::string got = co_await reading;
            EXPECT_GE(got.size(), 100'000U);
            EXPECT_LT(got.size(), 300'000U);
        });
    }
}

// --- Cancellation -------------------------------------------------------------------------------

TEST(channel, a_cancellation_that_loses_gives_the_bytes_and_keeps_the_request) {
    run_test([]() -> Coro<> {
        const Streams streams = faulty_reader({.loses_cancels = true});
        std::string got;
        auto reading = create_task([](const StreamReader& reader, std::string& bytes) -> Coro<> {
            bytes = co_await reader.read(10);
            co_await sleep(1s);
        }(streams.reader, got));
        co_await sleep(1ms);
        reading.cancel();
        co_await sleep(1ms);
        EXPECT_EQ(streams.channel->cancels, 1);
        EXPECT_FALSE(reading.done()) << "the operation is still the channel's";
        streams.writer.write("late");
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(got, "late");
    });
}

TEST(channel, a_cancellation_is_not_the_end_whatever_the_channel_says) {
    run_test([]() -> Coro<> {
        const Streams streams = faulty_reader({.means_end = ECANCELED});
        auto reading = create_task(streams.reader.readexactly(1));
        co_await sleep(1ms);
        reading.cancel();
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_FALSE(streams.reader.at_eof());
        streams.writer.write("x");
        const std::string got = co_await streams.reader.readexactly(1);
        EXPECT_EQ(got, "x");
    });
}

TEST(channel, bytes_that_come_with_the_cancellation_stay_in_the_stream) {
    run_test([]() -> Coro<> {
        const Streams streams = faulty_reader({});
        auto reading = create_task(streams.reader.readexactly(10));
        co_await sleep(1ms);
        streams.writer.write("12345");
        reading.cancel();
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        streams.writer.write("67890");
        const std::string got = co_await streams.reader.readexactly(10);
        EXPECT_EQ(got, "1234567890");
    });
}

/// A back-end in which every cancellation comes too late. It notes what it is told of descriptors.
class DeafBackend final : public lowlevel::Backend {
public:
    const char* name() const noexcept override { return real_->name(); }
    Submitted submit(Operation& operation) noexcept override {
        if (operation.kind == OperationKind::read) blocking = operation.blocking;
        return real_->submit(operation);
    }
    void cancel(Operation&) noexcept override { ++cancels; }
    Waited wait(TimePoint deadline, lowlevel::OperationList& finished) noexcept override {
        return real_->wait(deadline, finished);
    }
    void wake() noexcept override { real_->wake(); }
    TimePoint now() noexcept override { return real_->now(); }

    int cancels = 0;
    lowlevel::Blocking blocking{};  ///< Of the last read.

private:
    std::unique_ptr<Backend> real_ = lowlevel::make_backend();
};

TEST(channel, a_shared_descriptor_is_not_read_for_a_task_that_was_cancelled_before) {
    auto backend = std::make_unique<DeafBackend>();
    const DeafBackend& deaf = *backend;
    support::TestLoop loop(std::move(backend));
    loop->run_until_complete([&]() -> Coro<> {
        RealPipe ends;
        const StreamReader reader = connect_read_pipe(std::move(ends.reading), {.shared = true});
        auto reading = create_task([](const StreamReader& from) -> Coro<std::string> {
            co_return co_await from.read(10);
        }(reader));
        co_await sleep(1ms);
        reading.cancel();
        EXPECT_EQ(deaf.cancels, 1);
        EXPECT_EQ(::write(ends.writing.get(), "x", 1), 1);
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        const std::string got = co_await reader.read(10);
        EXPECT_EQ(got, "x");
    }());
    loop->close();
}

TEST(channel, of_a_descriptor_tells_the_back_end_what_it_knows) {
    auto backend = std::make_unique<DeafBackend>();
    const DeafBackend& deaf = *backend;
    support::TestLoop loop(std::move(backend));
    loop->run_until_complete([&]() -> Coro<> {
        const auto blocking_of = [&](const StreamReader& reader) -> Coro<lowlevel::Blocking> {
            co_await reader.read(1);
            co_return deaf.blocking;
        };
        RealPipe own;
        RealPipe shared;
        EXPECT_EQ(::write(own.writing.get(), "x", 1) + ::write(shared.writing.get(), "x", 1), 2);
        const lowlevel::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        const auto own_pipe = co_await blocking_of(connect_read_pipe(std::move(own.reading)));
        EXPECT_EQ(own_pipe, lowlevel::Blocking::never);
        const auto a_file =
            co_await blocking_of(connect_read_pipe(lowlevel::Fd(::dup(file.get()))));
        EXPECT_EQ(a_file, lowlevel::Blocking::possible);
        const StreamOptions options{.shared = true};
        const auto theirs =
            co_await blocking_of(connect_read_pipe(std::move(shared.reading), options));
        EXPECT_EQ(theirs, lowlevel::Blocking::unknown);
    }());
    loop->close();
}

// --- Reports ------------------------------------------------------------------------------------

struct Noted : Operation {
    int reports = 0;
    int result_then = 0;

    Noted() {
        state = State::in_flight;
        on_finished = [](Operation& operation) noexcept {
            auto& self = static_cast<Noted&>(operation);
            ++self.reports;
            self.result_then = operation.result;
            EXPECT_EQ(operation.state, State::finished);
        };
    }
};

TEST(channel_reports, come_in_the_next_iteration_in_order) {
    run_test([]() -> Coro<> {
        lowlevel::ChannelReports reports(get_running_loop());
        Noted first;
        Noted second;
        reports.add(first, 7);
        reports.add(second, -ECANCELED);
        EXPECT_EQ(first.reports, 0);
        EXPECT_EQ(first.state, Operation::State::in_flight);
        const support::Ticks ticks;
        co_await sleep(0ns);
        EXPECT_EQ(ticks.count(), 1);
        EXPECT_EQ(first.reports, 1);
        EXPECT_EQ(first.result_then, 7);
        EXPECT_EQ(second.reports, 1);
        EXPECT_EQ(second.result_then, -ECANCELED);
        co_await sleep(0ns);
        EXPECT_EQ(first.reports + second.reports, 2);
    });
}

TEST(channel_reports, that_a_report_adds_come_in_the_iteration_after_it) {
    struct Chain : Noted {
        lowlevel::ChannelReports* reports_of = nullptr;
        Noted* following = nullptr;
    };
    run_test([]() -> Coro<> {
        lowlevel::ChannelReports reports(get_running_loop());
        Noted second;
        Chain first;
        first.reports_of = &reports;
        first.following = &second;
        first.on_finished = [](Operation& operation) noexcept {
            auto& self = static_cast<Chain&>(operation);
            self.reports_of->add(*self.following, 1);
        };
        reports.add(first, 1);
        co_await sleep(0ns);
        EXPECT_EQ(second.reports, 0);
        co_await sleep(0ns);
        EXPECT_EQ(second.reports, 1);
    });
}

TEST(channel_reports, come_when_the_loop_closes_as_long_as_it_still_collects_operations) {
    struct Asks : Noted {
        EventLoop* loop = nullptr;
        bool was_closed = true;
    };
    support::TestLoop loop;
    lowlevel::ChannelReports reports(*loop);
    Asks operation;
    operation.loop = &*loop;
    operation.on_finished = [](Operation& finished) noexcept {
        auto& self = static_cast<Asks&>(finished);
        ++self.reports;
        self.was_closed = self.loop->is_closed();
    };
    reports.add(operation, 1);
    EXPECT_EQ(operation.reports, 0);
    loop->close();
    EXPECT_EQ(operation.reports, 1);
    EXPECT_FALSE(operation.was_closed) << "a channel may submit a last operation from there";
}

}  // namespace
