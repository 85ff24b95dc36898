// Goal: the first Ctrl-C cancels the main task and leaves `run` as KeyboardInterrupt if that was
// why it ended; the second ends the process; handlers of the program's own are left alone.
// Method: each case in a forked child, which sends itself real signals. What the child found out is
// its exit status.

#include <asyncio.h>

#include "support/child.h"
#include "support/run_test.h"

#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::KeyboardInterrupt;
using asyncio::sleep;
using support::as_expected;
using support::check;
using support::in_child;
using namespace std::chrono_literals;

/// How `run` ended: "value", "interrupt", "cancelled" or "error".
template <class Main>
std::string outcome_of(Main main, asyncio::RunOptions options = {}) {
    try {
        asyncio::run(main(), options);
        return "value";
    } catch (const KeyboardInterrupt&) {
        return "interrupt";
    } catch (const CancelledError&) {
        return "cancelled";
    } catch (const std::exception&) {
        return "error";
    }
}

TEST(interrupt, RUN_09_a_main_that_waits_is_cancelled_cleans_up_and_run_throws_it) {
    EXPECT_SCENE([] {
        bool cleaned_up = false;
        const auto main = [&]() -> Coro<> {
            asyncio::get_running_loop().call_later(1ms, [] { ::raise(SIGINT); });
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            co_await sleep(1ms);
            cleaned_up = cancelled;
            if (cancelled) throw CancelledError();
        };
        return check(outcome_of(main) == "interrupt" && cleaned_up);
    });
}

TEST(interrupt, RUN_09_it_wakes_a_loop_that_sleeps_in_the_kernel) {
    if (std::string_view(asyncio::EventLoop().backend_name()) == "simulated") {
        GTEST_SKIP() << "the simulated world does not sleep";
    }
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            const pid_t self = ::getpid();
            std::thread([self] {
                ::usleep(2000);
                ::kill(self, SIGINT);
            }).detach();
            co_await sleep(10s);
        };
        return check(outcome_of(main) == "interrupt");
    });
}

TEST(interrupt, RUN_10_a_main_that_somebody_else_cancelled_too_leaves_as_cancelled) {
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            const auto self = current_task();
            asyncio::get_running_loop().call_later(1ms, [self] {
                self.cancel();
                ::raise(SIGINT);
            });
            // Long enough in its cleanup to be told twice.
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            try {
                co_await sleep(1ms);
            } catch (const CancelledError&) {
            }
            if (cancelled) throw CancelledError();
        };
        return check(outcome_of(main) == "cancelled");
    });
}

TEST(interrupt, RUN_11_a_main_that_never_rests_is_cancelled_at_a_turn) {
    EXPECT_SCENE([] {
        int turns = 0;
        const auto main = [&]() -> Coro<> {
            while (true) {
                if (++turns == 100) ::raise(SIGINT);
                co_await sleep(0s);
            }
        };
        return check(outcome_of(main) == "interrupt" && turns < 110);
    });
}

TEST(interrupt, RUN_11_a_second_one_ends_the_process_as_the_signal_does) {
    const int status = in_child([] {
        const auto main = []() -> Coro<> {
            for (;;) {
                ::raise(SIGINT);
                try {
                    co_await sleep(1ms);
                } catch (const CancelledError&) {
                }
            }
        };
        outcome_of(main);
        return 1;
    });
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(interrupt, a_main_that_refuses_to_end_returns_its_value) {
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            ::raise(SIGINT);
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
        };
        return check(outcome_of(main) == "value");
    });
}

TEST(interrupt, a_main_that_answers_with_an_error_leaves_with_that) {
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            ::raise(SIGINT);
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::runtime_error("instead");
            }
        };
        return check(outcome_of(main) == "error");
    });
}

TEST(interrupt, one_in_the_last_moment_of_main_is_not_lost_and_hurts_nobody) {
    EXPECT_SCENE([] {
        // In the last step of main itself; in the iteration after it, in which the loop stops; and
        // in that of a main that had a step more.
        for (int moment = 0; moment < 3; ++moment) {
            asyncio::Runner runner;
            bool interrupted = false;
            const auto main = [&]() -> Coro<> {
                auto& loop = asyncio::get_running_loop();
                if (moment == 0) ::raise(SIGINT);
                if (moment == 1) loop.call_soon([] { ::raise(SIGINT); });
                if (moment == 2) {
                    loop.call_soon([&loop] { loop.call_soon([] { ::raise(SIGINT); }); });
                    co_await sleep(0s);
                }
            };
            try {
                runner.run(main());
            } catch (const KeyboardInterrupt&) {
                interrupted = true;
            }
            if (!interrupted) return 3 + moment;
            // The loop is in order afterwards.
            const auto after = []() -> Coro<int> {
                co_await sleep(1ms);
                co_return 7;
            };
            if (runner.run(after()) != 7) return 10;
        }
        return as_expected;
    });
}

TEST(interrupt, tasks_that_are_left_are_ended_before_it_leaves_run) {
    EXPECT_SCENE([] {
        bool ended = false;
        const auto left = [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                ended = true;
                throw;
            }
        };
        const auto main = [&]() -> Coro<> {
            create_task(left());
            co_await sleep(1ms);
            ::raise(SIGINT);
            co_await sleep(1h);
        };
        return check(outcome_of(main) == "interrupt" && ended);
    });
}

TEST(interrupt, a_runner_can_be_interrupted_again_in_its_next_run) {
    EXPECT_SCENE([] {
        asyncio::Runner runner;
        for (int i = 0; i < 3; ++i) {
            bool interrupted = false;
            const auto main = []() -> Coro<> {
                ::raise(SIGINT);
                co_await sleep(1h);
            };
            try {
                runner.run(main());
            } catch (const KeyboardInterrupt&) {
                interrupted = true;
            }
            if (!interrupted) return 1;
        }
        return as_expected;
    });
}

TEST(interrupt, RUN_12_a_handler_of_the_programs_own_is_left_alone) {
    EXPECT_SCENE([] {
        static volatile std::sig_atomic_t own = 0;
        ::signal(SIGINT, [](int) { own = own + 1; });
        const auto main = []() -> Coro<> {
            for (int time = 0; time < 2; ++time) {
                ::raise(SIGINT);
                // ThreadSanitizer delivers signals where the program waits, and equal ones once.
                co_await sleep(1ms);
            }
        };
        return check(outcome_of(main) == "value" && own == 2);
    });
}

TEST(interrupt, RUN_12_an_ignored_signal_stays_ignored) {
    EXPECT_SCENE([] {
        ::signal(SIGINT, SIG_IGN);
        const auto main = []() -> Coro<> {
            ::raise(SIGINT);
            co_await sleep(1ms);
        };
        return check(outcome_of(main) == "value");
    });
}

TEST(interrupt, RUN_12_a_loop_in_another_thread_leaves_signals_alone) {
    const int status = in_child([] {
        std::thread([] {
            const auto main = []() -> Coro<> {
                ::kill(::getpid(), SIGINT);
                co_await sleep(10s);
            };
            outcome_of(main);
        }).join();
        return 1;
    });
    EXPECT_TRUE(WIFSIGNALED(status)) << "the default action";
    EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(interrupt, it_can_be_switched_off) {
    const int status = in_child([] {
        const auto main = []() -> Coro<> {
            ::raise(SIGINT);
            co_await sleep(1ms);
        };
        outcome_of(main, {.sigint = asyncio::Sigint::ignore});
        return 1;
    });
    EXPECT_TRUE(WIFSIGNALED(status));
}

TEST(interrupt, after_run_the_signal_does_what_it_did_before) {
    const int status = in_child([] {
        const auto main = []() -> Coro<> { co_await sleep(0s); };
        outcome_of(main);
        ::raise(SIGINT);
        return 1;
    });
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(interrupt, LOOP_27_one_that_a_callback_throws_goes_to_the_exception_handler) {
    support::run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        static int interrupts = 0;
        static int others = 0;
        loop.set_exception_handler([](asyncio::EventLoop&, const asyncio::ErrorContext& context) {
            try {
                std::rethrow_exception(context.exception);
            } catch (const KeyboardInterrupt&) {
                ++interrupts;
            } catch (int) {
                ++others;
            }
        });
        loop.call_soon([] { throw KeyboardInterrupt(); });
        loop.call_soon([] { throw 7; });
        auto future = loop.create_future();
        future.add_done_callback([] { throw KeyboardInterrupt(); });
        future.set_result();
        co_await sleep(1ms);
        EXPECT_EQ(interrupts, 2);
        EXPECT_EQ(others, 1);
        loop.set_exception_handler(nullptr);
    });
}

// --- fork
// ------------------------------------------------------------------------------------------

TEST(fork, LOOP_25_a_child_may_run_a_loop_of_its_own) {
    const int status = in_child([] {
        const auto main = []() -> Coro<int> {
            co_await sleep(1ms);
            co_return as_expected;
        };
        return asyncio::run(main());
    });
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), as_expected);
}

TEST(fork, LOOP_25_a_child_forked_inside_a_task_sees_no_running_loop_and_may_run_its_own) {
    int status = 0;
    support::run_test([&]() -> Coro<> {
        co_await sleep(1ms);
        status = in_child([] {
            if (current_task()) return 3;
            try {
                asyncio::get_running_loop();
                return 4;
            } catch (const asyncio::RuntimeError&) {
            }
            const auto main = []() -> Coro<int> {
                auto task = create_task([]() -> Coro<> { co_await sleep(1ms); }());
                co_await task;
                co_return as_expected;
            };
            return asyncio::run(main());
        });
        // And the parent's loop is undisturbed.
        co_await sleep(1ms);
    });
    EXPECT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), as_expected);
}

}  // namespace
