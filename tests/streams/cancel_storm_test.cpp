// Goal: whatever is cancelled and whenever, no byte of a stream is lost, doubled or out of order.
// Method: a sender of numbered frames and a receiver, both cancelled at random moments, over and
// over; each attempt goes on where the last one was stopped. The seed is printed on failure.

#include "streams/stream_help.h"
#include "support/random.h"

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;
using support::Random;

constexpr int frames = 300;

/// Frames of all sizes: "NUMBER LENGTH\n" and as many bytes.
std::string frame(int number) {
    const std::string body = numbered_text(static_cast<std::size_t>(number * 7919 % 5000));
    return std::to_string(number) + ' ' + std::to_string(body.size()) + '\n' + body;
}

/// What a receiver knows. Kept outside of the tasks that come and go.
struct Receiver {
    int next = 0;
    bool in_body = false;
    std::size_t body_bytes = 0;
    std::string body;

    void take_header(const std::string& line) {
        EXPECT_TRUE(line.ends_with('\n')) << line;
        EXPECT_EQ(std::stoi(line), next);
        body_bytes = std::stoull(line.substr(line.find(' ')));
        in_body = true;
    }
    std::size_t missing() const { return body_bytes - body.size(); }
    void take_body(const std::string& part) {
        body += part;
        if (missing() > 0) return;
        const std::string sent = frame(next);
        EXPECT_TRUE(body == sent.substr(sent.find('\n') + 1)) << "frame " << next;
        body.clear();
        in_body = false;
        ++next;
    }
};

/// Reads until it is cancelled or the last frame has come.
Coro<> receive(const StreamReader& reader, Receiver& state, Random& random) {
    while (state.next < frames) {
        if (!state.in_body) {
            auto reading = random.one_in(2) ? reader.readline() : reader.readuntil("\n");
            const std::string line = co_await std::move(reading);
            state.take_header(line);
        } else if (random.one_in(2)) {
            const std::string part = co_await reader.read(state.missing());
            state.take_body(part);
        } else {
            const std::string part = co_await reader.readexactly(state.missing());
            state.take_body(part);
        }
    }
}

/// Sends until it is cancelled or all is sent. A frame whose `send` was cancelled is sent all the
/// same.
Coro<> transmit(const StreamWriter& writer, int& next, Random& random) {
    while (next < frames) {
        if (random.one_in(4)) co_await sleep(std::chrono::microseconds(random.below(200)));
        const std::string bytes = frame(next++);
        if (random.one_in(2)) {
            co_await writer.send(bytes);
        } else {
            writer.write(bytes);
            co_await writer.drain();
        }
    }
}

/// Runs what `start` makes again and again, cancelled after random delays, until one ends.
template <class Start>
Coro<int> with_interruptions(Start start, Random& random) {
    int interruptions = 0;
    for (;;) {
        Task<> task = create_task(start());
        for (std::uint64_t steps = random.below(6); steps > 0; --steps) co_await sleep(0ns);
        if (random.one_in(2)) co_await sleep(std::chrono::microseconds(random.below(300)));
        task.cancel();
        const auto outcome = co_await internal::settle(std::move(task));
        if (!outcome.failed()) co_return interruptions;
        if (!outcome.cancelled()) outcome.value();
        ++interruptions;
    }
}

Coro<> storm(std::uint64_t seed) {
    Random random(seed);
    SCOPED_TRACE(random.name());
    const Pipe pipe = co_await open_pipe({.limit = 64});
    Receiver received;
    int sent = 0;
    const auto start_sender = [&] { return transmit(pipe.writer, sent, random); };
    const auto start_receiver = [&] { return receive(pipe.reader, received, random); };
    auto sending = create_task(with_interruptions(start_sender, random));
    auto receiving = create_task(with_interruptions(start_receiver, random));
    co_await sending;
    const int interruptions = co_await receiving;
    EXPECT_EQ(received.next, frames);
    EXPECT_GT(interruptions, 0);
    EXPECT_EQ(pipe.reader.take_buffered(), "");
}

TEST(cancel_storm, STR_18_CPP_02_a_stream_survives_any_cancellation) {
    const std::uint64_t first = support::seed_or(1);
    for (std::uint64_t seed = first; seed < first + 5; ++seed) {
        SCOPED_TRACE("ASYNCIO_SEED=" + std::to_string(seed));
        support::run_test([seed]() { return storm(seed); });
    }
}

}  // namespace
