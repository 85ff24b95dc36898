// Goal: what a back-end does to the process it lives in, and what it asks of the kernel: SIGPIPE,
// fork, and no more system calls than the contract allows. Method: forked children, whose signals
// are set up and whose system calls are counted.

#include "conformance/child.h"
#include "conformance/harness.h"

#include <array>
#include <csignal>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

constexpr int waiting_calls[] = {
    SYS_epoll_pwait, SYS_epoll_pwait2, SYS_io_uring_enter, SYS_ppoll,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,  SYS_poll,
#endif
};

TEST_P(OnKernel, a_look_with_nothing_in_flight_makes_no_system_call) {
    std::unique_ptr<Backend> counted;
    auto [reader, writer] = real_pipe();
    const auto look = [&] {
        OperationList finished;
        for (int i = 0; i < 100; ++i) counted->wait(internal::at_once, finished);
    };
    const auto make_it = [&] { counted = make(GetParam()); };
    EXPECT_EQ(count_system_calls(waiting_calls, make_it, look), 0) << "a new one";

    // However the last operations ended.
    const auto use_it = [&] {
        make_it();
        char byte = 0;
        Read reading(reader.get(), std::span(&byte, 1));
        OperationList finished;
        for (int round = 0; round < 3; ++round) {
            counted->submit(reading);
            if (round == 0 && ::write(writer.get(), "x", 1) != 1) ::_exit(1);
            for (int cancels = 0; cancels < round; ++cancels) counted->cancel(reading);
            while (finished.empty()) counted->wait(internal::never, finished);
            finished.pop_front();
        }
    };
    EXPECT_EQ(count_system_calls(waiting_calls, use_it, look), 0) << "a used one";
}

TEST_P(OnKernel, a_wait_makes_one_waiting_system_call_at_the_most) {
    std::unique_ptr<Backend> counted;
    auto [reader, writer] = real_pipe();
    char bytes[20];
    constexpr int waits = 50;
    const int count = count_system_calls(
        waiting_calls, [&] { counted = make(GetParam()); },
        [&] {
            OperationList finished;
            std::array<Read, 2> readings{Read(reader.get(), std::span(bytes, 10)),
                                         Read(reader.get(), std::span(bytes + 10, 10))};
            for (int i = 0; i < waits; ++i) {
                for (Read& reading : readings) {
                    if (reading.state != State::in_flight) counted->submit(reading);
                }
                if (i % 5 == 0) counted->cancel(readings[0]);
                if (i % 3 == 0 && ::write(writer.get(), "x", 1) != 1) ::_exit(1);
                counted->wait(counted->now() + 100us, finished);
                while (!finished.empty()) finished.pop_front();
            }
        });
    EXPECT_GT(count, 0) << "the counter counts";
    EXPECT_LE(count, waits);
}

TEST_P(OnKernel, a_broken_pipe_does_not_kill_the_process) {
    const ChildEnd end = in_child([&] {
        ::signal(SIGPIPE, SIG_DFL);
        auto fresh = make(GetParam());
        auto [reader, writer] = real_pipe();
        reader.reset();
        Write writing(writer.get(), std::string_view("x"));
        fresh->submit(writing);
        return std::to_string(writing.result);
    });
    ASSERT_TRUE(WIFEXITED(end.status)) << "killed by signal " << WTERMSIG(end.status);
    EXPECT_EQ(end.text, std::to_string(-EPIPE));
}

TEST_P(OnKernel, a_SIGPIPE_handler_of_the_programs_own_stays) {
    const ChildEnd end = in_child([&] {
        const auto handler = [](int) {};
        ::signal(SIGPIPE, handler);
        auto fresh = make(GetParam());
        struct sigaction now{};
        ::sigaction(SIGPIPE, nullptr, &now);
        return std::string(now.sa_handler == +handler ? "stays" : "replaced");
    });
    EXPECT_EQ(end.text, "stays");
}

TEST_P(OnKernel, use_in_a_forked_child_ends_the_child_with_a_clear_message) {
    const auto expect_abort = [](const ChildEnd& end) {
        ASSERT_TRUE(WIFSIGNALED(end.status));
        EXPECT_EQ(WTERMSIG(end.status), SIGABRT);
        EXPECT_NE(end.text.find("made before fork()"), std::string::npos) << end.text;
    };
    auto [reader, writer] = real_pipe();
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    ASSERT_TRUE(driver().submit(reading));
    expect_abort(in_child([&] {
        OperationList finished;
        backend().wait(internal::at_once, finished);
        return "waited";
    }));
    expect_abort(in_child([&] {
        Poll polling(reader.get(), 1);
        backend().submit(polling);
        return "submitted";
    }));
    EXPECT_EQ(in_child([&] {
                  backend_.reset();
                  return "destroyed";
              }).text,
              "destroyed");

    ASSERT_EQ(::write(writer.get(), "x", 1), 1);
    driver().finish(reading);
    EXPECT_EQ(reading.result, 1) << "the parent's own is untouched";
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
