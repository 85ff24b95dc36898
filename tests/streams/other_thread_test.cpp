// Goal: a loop may run on one thread, then on another, and be closed on a third, as in Python.
// Method: threads that follow each other; a task that waits in a read all the time.

#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/run.h>

#include "streams/stream_help.h"

#include <functional>
#include <memory>
#include <string_view>
#include <thread>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using streams_test::RealPipe;

void on_another_thread(const std::function<void()>& body) { std::thread(body).join(); }

struct Story {
    std::string text;
    bool cancelled = false;
};

Coro<> tell(StreamReader& reader, Story& story) {
    try {
        for (;;) story.text += co_await reader.read(100);
    } catch (const CancelledError&) {
        story.cancelled = true;
        throw;
    }
}

TEST(other_thread, LOOP_31_a_loop_runs_here_and_there_and_is_closed_elsewhere) {
    for (const bool eager : {false, true}) {
        Story story;
        auto loop = std::make_unique<EventLoop>(LoopOptions{.debug = false, .eager_tasks = eager});
        std::unique_ptr<Pipe> pipe;
        Task<> reading;
        on_another_thread([&] {
            pipe = std::make_unique<Pipe>(loop->run_until_complete(open_pipe()));
            reading = loop->create_task(tell(pipe->reader, story));
            loop->call_later(2ms, [&] { loop->stop(); });
            loop->run_forever();
        });
        for (int round = 0; round < 3; ++round) {
            on_another_thread([&] {
                loop->call_soon([&] { pipe->writer.write("more,"); });
                loop->call_later(2ms, [&] { loop->stop(); });
                loop->run_forever();
            });
        }
        EXPECT_FALSE(reading.done());
        on_another_thread([&] { loop->close(); });
        EXPECT_EQ(story.text, "more,more,more,");
        EXPECT_TRUE(story.cancelled);
        on_another_thread([&] { loop.reset(); });
    }
}

Coro<int> read_one_byte(int descriptor) {
    char byte = 0;
    const int count = co_await lowlevel::perform(
        {.kind = lowlevel::OperationKind::read, .fd = descriptor, .buffer = &byte, .size = 1});
    co_return count;
}

// A descriptor in blocking mode is read by the kernel itself, where there is a ring.
TEST(other_thread, a_read_in_the_kernels_hands_goes_on_there) {
    EventLoop loop(LoopOptions{.debug = false});
    RealPipe ends;
    if (std::string_view(loop.backend_name()) != "io_uring") {
        ASSERT_EQ(::fcntl(ends.reading.get(), F_SETFL, O_NONBLOCK), 0);
    }
    auto reading = loop.create_task(read_one_byte(ends.reading.get()));
    on_another_thread([&] {
        loop.call_later(2ms, [&] { loop.stop(); });
        loop.run_forever();
    });
    EXPECT_FALSE(reading.done());
    int count = 0;
    on_another_thread([&] {
        loop.call_later(2ms, [&] { EXPECT_EQ(::write(ends.writing.get(), "x", 1), 1); });
        count = loop.run_until_complete(reading);
    });
    EXPECT_EQ(count, 1);
}

TEST(other_thread, a_loop_is_destroyed_where_it_did_not_run) {
    Story story;
    auto loop = std::make_unique<EventLoop>(LoopOptions{.debug = false});
    std::unique_ptr<Pipe> pipe;
    on_another_thread([&] {
        pipe = std::make_unique<Pipe>(loop->run_until_complete(open_pipe()));
        loop->create_task(tell(pipe->reader, story));
        loop->call_later(2ms, [&] { loop->stop(); });
        loop->run_forever();
    });
    const support::LogCapture log;  // it names the task
    loop.reset();
    EXPECT_TRUE(story.cancelled);
}

TEST(other_thread, a_runner_is_used_and_destroyed_on_several) {
    auto runner = std::make_unique<Runner>(RunOptions{.debug = false});
    std::unique_ptr<Pipe> pipe;
    on_another_thread([&] { pipe = std::make_unique<Pipe>(runner->run(open_pipe())); });
    pipe->writer.write("hello");
    std::string text;
    on_another_thread([&] {
        text = runner->run([](StreamReader& reader) -> Coro<std::string> {
            std::string all = co_await reader.readexactly(5);
            co_return all;
        }(pipe->reader));
    });
    EXPECT_EQ(text, "hello");
    on_another_thread([&] { runner.reset(); });
}

}  // namespace
