// Goal: a program whose error nobody catches ends in a way that tells why: by SIGINT after Ctrl-C,
// and else with the error's type and text and the places of the awaits it came through.
// Method: forked children that call `run` in a function that may not throw, which is what `main`
// is. How they end and what they write is compared.

#include <asyncio.h>

#include "support/log_capture.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::run;
using asyncio::sleep;
using support::contains;
using namespace std::chrono_literals;

struct Ended {
    int status;
    std::string output;
};

/// Where what `program` throws is caught by nobody: on the main thread, where Ctrl-C is heard,
/// behind a frame that lets nothing out; else on a thread of its own, where nothing is unwound, as
/// behind `main`.
enum class Place : std::uint8_t { main_thread, own_thread };

Ended in_child(const std::function<void()>& program, Place place = Place::main_thread) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGINT, SIG_DFL);
        ::signal(SIGQUIT, SIG_DFL);
        ::alarm(20);
        const rlimit no_core{};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::dup2(ends[1], STDOUT_FILENO);
        ::dup2(ends[1], STDERR_FILENO);
        if (place == Place::own_thread) {
            std::thread(program).join();
        } else {
            [&]() noexcept { program(); }();
        }
        std::fflush(nullptr);
        ::_exit(0);
    }
    ::close(ends[1]);
    Ended ended{};
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        ended.output.append(buffer, static_cast<std::size_t>(got));
    ::close(ends[0]);
    ::waitpid(child, &ended.status, 0);
    return ended;
}

Coro<> clean_up(const char* text) {
    try {
        co_await sleep(1h);
    } catch (const CancelledError&) {
        std::printf("%s ", text);
        throw;
    }
}

Coro<> interrupted() {
    create_task(clean_up("left task"));
    asyncio::get_running_loop().call_later(1ms, [] { ::raise(SIGINT); });
    co_await clean_up("main");
}

TEST(uncaught, RUN_17_ctrl_c_ends_the_program_as_the_signal_does_after_the_cleanups) {
    const Ended ended = in_child([] { run(interrupted()); });
    ASSERT_TRUE(WIFSIGNALED(ended.status)) << ended.output;
    EXPECT_EQ(WTERMSIG(ended.status), SIGINT);
    // Buffered until the end, and nothing else is said.
    EXPECT_EQ(ended.output, "main left task ");
}

TEST(uncaught, RUN_17_also_while_the_signal_is_blocked) {
    const Ended ended = in_child([] {
        try {
            run(interrupted());
        } catch (const asyncio::KeyboardInterrupt&) {
            sigset_t all;
            sigfillset(&all);
            ::sigprocmask(SIG_BLOCK, &all, nullptr);
            throw;
        }
    });
    ASSERT_TRUE(WIFSIGNALED(ended.status));
    EXPECT_EQ(WTERMSIG(ended.status), SIGINT);
}

Coro<> innermost() {
    co_await sleep(1ms);
    throw std::out_of_range("there is no such thing");
}
Coro<> outer() { co_await innermost(); }

TEST(uncaught, RUN_18_an_error_is_shown_with_its_type_its_text_and_the_way_it_came) {
    const Ended ended = in_child([] { run(outer()); }, Place::own_thread);
    ASSERT_TRUE(WIFSIGNALED(ended.status));
    EXPECT_EQ(WTERMSIG(ended.status), SIGABRT) << "as ever";
    EXPECT_TRUE(contains(ended.output, "std::out_of_range: there is no such thing"))
        << ended.output;
    const auto first = ended.output.find("innermost");
    const auto second = ended.output.find("in outer");
    EXPECT_NE(first, std::string::npos) << ended.output;
    EXPECT_NE(second, std::string::npos) << ended.output;
    EXPECT_LT(first, second);
    EXPECT_TRUE(contains(ended.output, "uncaught_test.cpp:")) << ended.output;
}

Coro<> fails_at_once() {
    co_await sleep(0s);
    throw std::runtime_error("first");
}
Coro<> in_scopes() {
    co_await asyncio::timeout(1s, [&]() -> Coro<> {
        co_await sleep(0s);
        co_await outer();
    });
}
Coro<> tries_first() {
    bool failed = false;
    try {
        co_await fails_at_once();
    } catch (const std::runtime_error&) {
        failed = true;
    }
    if (failed) co_await in_scopes();
}

TEST(uncaught, RUN_18_through_scopes_and_behind_an_error_that_was_caught) {
    const Ended ended = in_child([] { run(tries_first()); }, Place::own_thread);
    EXPECT_TRUE(contains(ended.output, "innermost")) << ended.output;
    EXPECT_TRUE(contains(ended.output, "in_scopes")) << ended.output;
    EXPECT_TRUE(contains(ended.output, "tries_first")) << ended.output;
    EXPECT_FALSE(contains(ended.output, "fails_at_once")) << ended.output;
    EXPECT_FALSE(contains(ended.output, "timeout_scope")) << ended.output;
}

TEST(uncaught, the_handler_that_was_there_is_called_after_the_report) {
    const Ended ended = in_child(
        [] {
            std::set_terminate([] {
                std::fputs("mine", stderr);
                ::_exit(7);
            });
            asyncio::Runner runner;  // by hand
            runner.run(outer());
        },
        Place::own_thread);
    ASSERT_TRUE(WIFEXITED(ended.status));
    EXPECT_EQ(WEXITSTATUS(ended.status), 7);
    EXPECT_LT(ended.output.find("out_of_range"), ended.output.find("mine"));
}

TEST(uncaught, an_error_that_is_caught_is_not_shown_and_another_one_neither) {
    const Ended ended = in_child(
        [] {
            try {
                run(outer());
            } catch (const std::out_of_range&) {
                std::fputs("caught\n", stderr);
            }
            throw std::logic_error("of the program's own");
        },
        Place::own_thread);
    ASSERT_TRUE(WIFSIGNALED(ended.status));
    EXPECT_TRUE(contains(ended.output, "caught"));
    EXPECT_FALSE(contains(ended.output, "uncaught error of the main coroutine")) << ended.output;
}

TEST(uncaught, what_is_left_ends_before_an_error_leaves_run) {
    const Ended ended = in_child(
        [] {
            run([]() -> Coro<> {
                ::setbuf(stdout, nullptr);
                create_task(clean_up("left task"));
                co_await sleep(1ms);
                throw std::runtime_error("too bad");
            }());
        },
        Place::own_thread);
    ASSERT_TRUE(WIFSIGNALED(ended.status));
    EXPECT_LT(ended.output.find("left task"), ended.output.find("too bad")) << ended.output;
}

// SIGQUIT.

TEST(task_report, RUN_19_sigquit_prints_the_tasks_in_debug_mode_and_the_program_goes_on) {
    const Ended ended = in_child([] {
        run(
            []() -> Coro<> {
                const auto task = create_task(clean_up("x"), {.name = "the cleaner"});
                co_await sleep(1ms);
                ::raise(SIGQUIT);
                co_await sleep(1ms);
                ::raise(SIGQUIT);
                co_await sleep(1ms);
                std::puts("goes on");
            }(),
            {.debug = true});
        // The disposition is what it was.
        struct sigaction now{};
        ::sigaction(SIGQUIT, nullptr, &now);
        std::puts(now.sa_handler == SIG_DFL ? "restored" : "kept");
    });
    EXPECT_TRUE(WIFEXITED(ended.status)) << ended.output;
    EXPECT_TRUE(contains(ended.output, "the cleaner")) << ended.output;
    EXPECT_TRUE(contains(ended.output, "in clean_up")) << ended.output;
    EXPECT_NE(ended.output.find("the cleaner"), ended.output.rfind("the cleaner")) << "twice";
    EXPECT_TRUE(contains(ended.output, "goes on")) << ended.output;
    EXPECT_TRUE(contains(ended.output, "restored")) << ended.output;
}

TEST(task_report, RUN_19_without_debug_mode_and_with_a_handler_of_its_own_nothing_changes) {
    const Ended killed = in_child([] {
        run(
            []() -> Coro<> {
                ::raise(SIGQUIT);
                co_return;
            }(),
            {.debug = false});
    });
    ASSERT_TRUE(WIFSIGNALED(killed.status));
    EXPECT_EQ(WTERMSIG(killed.status), SIGQUIT);
    const Ended own = in_child([] {
        static volatile std::sig_atomic_t mine = 0;
        ::signal(SIGQUIT, [](int) { mine = mine + 1; });
        run(
            []() -> Coro<> {
                ::raise(SIGQUIT);
                co_return;
            }(),
            {.debug = true});
        std::puts(mine == 1 ? "mine" : "not mine");
    });
    EXPECT_TRUE(contains(own.output, "\nmine") || own.output.starts_with("mine")) << own.output;
    EXPECT_FALSE(contains(own.output, "tasks of the event loop")) << own.output;
}

TEST(task_report, RUN_19_it_works_while_the_end_of_run_waits_for_a_task) {
    const Ended ended = in_child([] {
        run(
            []() -> Coro<> {
                create_task(asyncio::finally_([&]() -> Coro<> { co_await sleep(1h); },
                                              [&]() -> Coro<> {
                                                  ::raise(SIGQUIT);
                                                  co_await sleep(1ms);
                                              }),
                            {.name = "the last"});
                co_await sleep(1ms);
            }(),
            {.debug = true});
    });
    EXPECT_TRUE(WIFEXITED(ended.status)) << ended.output;
    EXPECT_TRUE(contains(ended.output, "the last")) << ended.output;
}

}  // namespace
