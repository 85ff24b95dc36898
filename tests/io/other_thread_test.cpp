// Goal: a loop may run on one thread, then on another, and be closed on a third, as in Python.
// Method: threads that follow each other; a task that waits in a read all the time.

#include <asyncio/run.h>

#include "io/stream_help.h"

#include <functional>
#include <memory>
#include <thread>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;

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
