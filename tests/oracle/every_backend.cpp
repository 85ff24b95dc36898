// The same program, in one process, on each of the back-ends: with tasks, deadlines, cancellation,
// and bytes through a pipe. Nobody above the back-end can tell which one it was.

#include "oracle/clock.h"
#include "oracle/oracle.h"
#include "support/log_capture.h"

#include <memory>
#include <vector>

namespace {

using namespace oracle;
using asyncio::lowlevel::BackendKind;

class Program {
public:
    /// What happened, without ticks where the kernel decides on them.
    std::string run_on(std::unique_ptr<asyncio::lowlevel::Backend> backend) {
        EventLoop loop(std::make_unique<JumpingClock>(std::move(backend)));
        started_ = loop.time();
        loop.run_until_complete(main());
        return trace_;
    }

private:
    void note(const std::string& what) {
        EventLoop& loop = asyncio::get_running_loop();
        const auto passed =
            std::chrono::duration_cast<std::chrono::seconds>(loop.time() - started_);
        trace_ += std::to_string(loop.iterations()) + " " + std::to_string(passed.count()) + "s " +
                  what + "\n";
    }

    Coro<> worker(std::string name, Duration delay, int rounds) {
        try {
            for (int i = 0; i < rounds; ++i) {
                co_await sleep(delay);
                note(name + " " + std::to_string(i));
            }
        } catch (const CancelledError&) {
            note(name + " cancelled");
            throw;
        }
    }

    Coro<> reader(asyncio::StreamReader from) {
        for (;;) {
            const std::string line = co_await from.readline();
            if (line.empty()) break;
            bytes_ += line;
        }
        note("read " + bytes_);
    }

    Coro<> main() {
        const auto body = [&](TaskGroup& group) -> Coro<> {
            group.create_task(worker("a", 2s, 3));
            group.create_task(worker("b", 3s, 9));
            group.create_task(worker("c", 0s, 4));
            co_await sleep(8s);
            throw Error("enough");
        };
        co_await end_of_scope("group", task_group(body));
        const auto limited = [&] { return worker("d", 5s, 2); };
        co_await end_of_scope("limit", timeout(7s, limited));

        asyncio::Pipe pipe = co_await asyncio::open_pipe();
        const auto task = asyncio::create_task(reader(std::move(pipe.reader)));
        co_await sleep(1s);
        for (const char* line : {"one\n", "two\n", "three\n"}) {
            co_await pipe.writer.send(line);
            co_await sleep(1s);
        }
        pipe.writer.close();
        co_await pipe.writer.wait_closed();
        co_await task;
        note("end");
    }

    template <class Given>
    Coro<> end_of_scope(std::string what, Given scope) {
        try {
            co_await std::move(scope);
            note(what + " done");
        } catch (...) {
            note(what + " " + text_of(std::current_exception()));
        }
    }

    std::string trace_;
    std::string bytes_;
    asyncio::TimePoint started_;
};

TEST(oracle_every_backend, CPP_04_the_same_program_leaves_the_same_trace) {
    const support::LogCapture log;
    const std::string simulated =
        Program().run_on(asyncio::lowlevel::make_simulated_backend({.seed = 0}));
    EXPECT_TRUE(support::contains(simulated, "group ExceptionGroup[Error enough]")) << simulated;
    EXPECT_TRUE(support::contains(simulated, "read one\ntwo\nthree\n")) << simulated;
    EXPECT_EQ(Program().run_on(asyncio::lowlevel::make_backend(BackendKind::epoll)), simulated);
    try {
        EXPECT_EQ(Program().run_on(asyncio::lowlevel::make_backend(BackendKind::io_uring)),
                  simulated);
    } catch (const asyncio::OsError& refused) {
        GTEST_SKIP() << "SKIPPED, its part on io_uring: " << refused.what();
    }
}

}  // namespace
