// Goal: what a stream does with a channel that writes without a wait (`Channel::write_now`).
// Method: a channel that answers as it is told, and keeps the bytes in the order in which it got
// them, by whichever way.

#include <asyncio/lowlevel/channel.h>

#include "streams/channels.h"
#include "streams/stream_help.h"

#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;
using support::run_test;

class AnsweringChannel final : public Channel {
public:
    explicit AnsweringChannel(EventLoop& loop) : reports_(loop) {}

    std::string name() const override { return "answering"; }

    /// The next answer: so many bytes at most, or −errno. Without one everything is taken.
    int write_now(std::string_view bytes) noexcept override {
        ++tries;
        int answer = static_cast<int>(bytes.size());
        if (!answers.empty()) {
            answer = std::min(answer, answers.front());
            answers.pop_front();
        }
        if (answer > 0) taken += bytes.substr(0, static_cast<std::size_t>(answer));
        return answer;
    }

    Submitted submit(Operation& operation) noexcept override {
        if (operation.kind == OperationKind::read) return finish_at_once(operation, 0);
        ++submits;
        if (holds_writes) {
            held_ = &operation;
            return keep(operation);
        }
        return finish_at_once(operation, take(operation));
    }
    /// Reports the write that is held.
    void let_go() noexcept {
        Operation& operation = *std::exchange(held_, nullptr);
        reports_.add(operation, take(operation));
    }

    void cancel(Operation&) noexcept override {
        if (held_ != nullptr) reports_.add(*std::exchange(held_, nullptr), -ECANCELED);
    }
    Submitted close(Side, Operation& operation) noexcept override {
        return finish_at_once(operation, 0);
    }
    void note_write_error(int error) noexcept override { noted_error = error; }

    std::deque<int> answers;
    std::string taken;
    int tries = 0;
    int submits = 0;
    int noted_error = 0;
    bool holds_writes = false;

private:
    int take(const Operation& operation) noexcept {
        taken.append(static_cast<const char*>(operation.buffer), operation.size);
        return static_cast<int>(operation.size);
    }

    lowlevel::ChannelReports reports_;
    Operation* held_ = nullptr;
};

struct Answering {
    std::shared_ptr<AnsweringChannel> channel =
        std::make_shared<AnsweringChannel>(get_running_loop());
    StreamWriter writer{get_running_loop(), channel};
};

TEST(write_now, what_goes_at_once_is_in_no_buffer) {
    run_test([]() -> Coro<> {
        const Answering stream;
        stream.writer.write("view,");
        stream.writer.write(std::string("string,"));
        stream.writer.write("");
        EXPECT_EQ(stream.writer.get_write_buffer_size(), 0U);
        co_await stream.writer.send("sent");
        EXPECT_EQ(stream.channel->taken, "view,string,sent");
        EXPECT_EQ(stream.channel->tries, 3);
        EXPECT_EQ(stream.channel->submits, 0);
    });
}

TEST(write_now, the_rest_follows_by_an_operation) {
    run_test([]() -> Coro<> {
        for (const bool moves : {false, true}) {
            const Answering stream;
            stream.channel->answers = {3};
            stream.channel->holds_writes = true;
            moves ? stream.writer.write(std::string("0123456789"))
                  : stream.writer.write("0123456789");
            EXPECT_EQ(stream.channel->taken, "012");
            EXPECT_EQ(stream.writer.get_write_buffer_size(), 7U);
            stream.writer.write("abc");
            stream.writer.write(std::string("def"));
            EXPECT_EQ(stream.channel->tries, 1) << "bytes are in front of these";
            auto sending = ensure_future(stream.writer.send("!"));
            co_await sleep(1ms);
            EXPECT_FALSE(sending.done());
            stream.channel->holds_writes = false;
            stream.channel->let_go();
            co_await sending;
            EXPECT_EQ(stream.channel->taken, "0123456789abcdef!");
            EXPECT_EQ(stream.writer.get_write_buffer_size(), 0U);
            EXPECT_EQ(stream.channel->submits, 2);
            co_await stream.writer.send("after");
            EXPECT_EQ(stream.channel->tries, 2);
            EXPECT_EQ(stream.channel->taken, "0123456789abcdef!after");
        }
    });
}

TEST(write_now, what_does_not_go_is_an_operation_as_a_whole) {
    run_test([]() -> Coro<> {
        const Answering stream;
        stream.channel->answers = {-EAGAIN, -EAGAIN};
        co_await stream.writer.send("first,");
        co_await stream.writer.send(std::string("second"));
        EXPECT_EQ(stream.channel->taken, "first,second");
        EXPECT_EQ(stream.channel->submits, 2);
    });
}

TEST(write_now, an_error_ends_the_stream_as_that_of_an_operation) {
    run_test([]() -> Coro<> {
        for (const bool moves : {false, true}) {
            const Answering stream;
            stream.channel->answers = {-ECONNRESET};
            moves ? stream.writer.write(std::string("lost")) : stream.writer.write("lost");
            EXPECT_EQ(stream.channel->noted_error, ECONNRESET);
            EXPECT_EQ(stream.writer.get_write_buffer_size(), 0U);
            const int drained = co_await error_of(stream.writer.drain());
            EXPECT_EQ(drained, ECONNRESET);
            stream.writer.write("refused");
            EXPECT_EQ(stream.channel->tries, 1);
            EXPECT_EQ(stream.channel->submits, 0);
            EXPECT_EQ(stream.channel->taken, "");
            const int sent = co_await error_of(stream.writer.send("x"));
            EXPECT_EQ(sent, ECONNRESET);
        }
    });
}

TEST(write_now, a_task_that_writes_without_a_wait_lets_the_writer_rest) {
    run_test([]() -> Coro<> {
        const Answering stream;
        std::string expected;
        for (int round = 0; round < 100; ++round) {
            const std::string piece = std::to_string(round) + ' ';
            expected += piece;
            stream.writer.write(piece);
        }
        EXPECT_LT(stream.channel->tries, 40);
        EXPECT_GT(stream.writer.get_write_buffer_size(), 0U);
        co_await stream.writer.send("end");
        EXPECT_EQ(stream.channel->taken, expected + "end");
    });
}

TEST(write_now, nothing_goes_past_a_close) {
    run_test([]() -> Coro<> {
        const Answering stream;
        stream.writer.write("before");
        stream.writer.close();
        stream.writer.write("after");
        co_await stream.writer.wait_closed();
        EXPECT_EQ(stream.channel->taken, "before");
    });
}

}  // namespace
