// Goal: a signal of `RunOptions::terminate_on` ends a run as Ctrl-C does: the main task is
// cancelled and cleans up, `run` throws Terminated, and uncaught the process ends by the signal.
// Signals that come later are neither lost nor harmful.
// Method: each case in a forked child, which sends itself real signals. What the child found out is
// its exit status, or the signal by which it died.

#include "signals/signal_help.h"
#include "support/child.h"
#include "support/how.h"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <sys/resource.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using support::as_expected;
using support::check;
using support::end_of;
using support::in_child;

constexpr RunOptions on_sigterm{.terminate_on = {SIGTERM}};

/// How `run` ended: "value", "terminated by SIGTERM", "cancelled", an error's text.
template <class Main>
std::string outcome_of(Main main, RunOptions options = on_sigterm) {
    try {
        run(main(), options);
        return "value";
    } catch (...) {
        return describe(std::current_exception());
    }
}

/// A main task that waits. `cleaned_up` is set by its cleanup, which waits too.
auto waits_and_cleans_up(bool& cleaned_up) {
    return [&cleaned_up]() -> Coro<> {
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
}

TEST(terminate_on, RUN_20_the_signal_cancels_main_which_cleans_up_and_run_throws_terminated) {
    EXPECT_SCENE([] {
        bool cleaned_up = false;
        const auto main = [&]() -> Coro<> {
            get_running_loop().call_later(1ms, [] { ::raise(SIGTERM); });
            co_await waits_and_cleans_up(cleaned_up)();
        };
        try {
            run(main(), {.terminate_on = {SIGTERM, SIGHUP}});
        } catch (const Terminated& terminated) {
            return check(terminated.signal() == SIGTERM && cleaned_up);
        }
        return 1;
    });
}

TEST(terminate_on, RUN_20_uncaught_it_ends_the_process_by_that_signal_after_the_cleanups) {
    for (const int signal : {SIGTERM, SIGHUP, SIGUSR1}) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const int status = in_child([&] {
            ::signal(SIGUSR1, SIG_DFL);
            const auto clean_up = [&](const char* what) -> Coro<> {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    EXPECT_EQ(::write(ends[1], what, 1), 1);
                    throw;
                }
            };
            const auto main = [&]() -> Coro<> {
                create_task(clean_up("t"));
                get_running_loop().call_later(1ms, [signal] { ::raise(signal); });
                co_await clean_up("m");
            };
            [&]() noexcept { run(main(), {.terminate_on = {SIGTERM, SIGHUP, SIGUSR1}}); }();
            return 1;
        });
        EXPECT_EQ(end_of(status), "signal " + signal_name(signal).substr(3));
        char text[8] = {};
        EXPECT_EQ(::read(ends[0], text, sizeof text), 2);
        EXPECT_STREQ(text, "mt");
        ::close(ends[0]);
        ::close(ends[1]);
    }
}

TEST(terminate_on, RUN_20_it_wakes_a_loop_that_sleeps_in_the_kernel) {
    if (std::string_view(EventLoop().backend_name()) == "simulated")
        GTEST_SKIP() << "the simulated world does not sleep";
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            const pid_t self = ::getpid();
            std::thread([self] {
                ::usleep(2000);
                ::kill(self, SIGTERM);
            }).detach();
            co_await sleep(10s);
        };
        return check(outcome_of(main) == "terminated by SIGTERM");
    });
}

TEST(terminate_on, without_the_option_the_signal_has_its_usual_action) {
    EXPECT_EQ(end_of(in_child([] {
                  const auto main = []() -> Coro<> {
                      ::raise(SIGTERM);
                      co_await sleep(1ms);
                  };
                  outcome_of(main, {});
                  return 1;
              })),
              "signal TERM");
}

TEST(terminate_on, afterwards_the_signal_has_its_old_disposition) {
    EXPECT_SCENE([] {
        static volatile std::sig_atomic_t own = 0;
        ::signal(SIGTERM, [](int) { own = own + 1; });
        const auto stopped = []() -> Coro<> {
            ::raise(SIGTERM);
            co_await sleep(1h);
        };
        const auto ends = []() -> Coro<> { co_await sleep(0s); };
        if (outcome_of(stopped) != "terminated by SIGTERM") return 3;
        if (own != 0) return 4;
        ::raise(SIGTERM);
        if (own != 1) return 5;
        if (outcome_of(ends) != "value") return 6;
        ::raise(SIGTERM);
        return check(own == 2);
    });
}

TEST(terminate_on, a_signal_that_is_ignored_stays_ignored) {
    EXPECT_SCENE([] {
        ::signal(SIGHUP, SIG_IGN);
        const auto main = []() -> Coro<> {
            ::raise(SIGHUP);
            co_await sleep(1ms);
        };
        return check(outcome_of(main, {.terminate_on = {SIGTERM, SIGHUP}}) == "value");
    });
}

TEST(terminate_on, a_main_that_answers_with_a_value_or_an_error_leaves_with_that) {
    EXPECT_SCENE([] {
        const auto value = []() -> Coro<> {
            ::raise(SIGTERM);
            co_await support::how(sleep(1h));
        };
        const auto error = []() -> Coro<> {
            ::raise(SIGTERM);
            if (co_await support::how(sleep(1h)) == "cancelled")
                throw std::runtime_error("instead");
        };
        return check(outcome_of(value) == "value" && outcome_of(error) == "instead");
    });
}

TEST(terminate_on, a_main_that_other_code_cancelled_too_leaves_as_cancelled) {
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            const auto self = current_task();
            get_running_loop().call_later(1ms, [self] {
                self.cancel();
                ::raise(SIGTERM);
            });
            const std::string first = co_await support::how(sleep(1h));
            co_await support::how(sleep(1ms));
            if (first == "cancelled") throw CancelledError();
        };
        return check(outcome_of(main) == "cancelled");
    });
}

TEST(terminate_on, on_a_thread_it_works_as_well) {
    EXPECT_SCENE([] {
        std::string outcome;
        std::thread([&] {
            const auto main = []() -> Coro<> {
                ::kill(::getpid(), SIGTERM);
                get_running_loop().expect_wakes(1);
                co_await sleep(10s);
            };
            outcome = outcome_of(main);
        }).join();
        return check(outcome == "terminated by SIGTERM");
    });
}

TEST(terminate_on, several_runs_in_threads_are_all_ended) {
    EXPECT_SCENE([] {
        std::atomic<int> running = 0;
        std::atomic<int> terminated = 0;
        const auto work = [&] {
            const auto main = [&]() -> Coro<> {
                get_running_loop().expect_wakes(1);
                ++running;
                co_await sleep(10s);
            };
            if (outcome_of(main) == "terminated by SIGTERM") ++terminated;
        };
        std::thread one(work);
        std::thread two(work);
        while (running < 2) ::usleep(100);
        ::kill(::getpid(), SIGTERM);
        one.join();
        two.join();
        return check(terminated == 2);
    });
}

// A second signal.

TEST(terminate_on, RUN_21_a_second_one_at_once_belongs_to_the_first) {
    EXPECT_SCENE([] {
        bool cleaned_up = false;
        const auto main = [&]() -> Coro<> {
            get_running_loop().call_later(1ms, [] {
                ::raise(SIGTERM);
                ::raise(SIGTERM);
            });
            co_await waits_and_cleans_up(cleaned_up)();
        };
        return check(outcome_of(main) == "terminated by SIGTERM" && cleaned_up);
    });
}

TEST(terminate_on, RUN_21_a_second_one_half_a_second_later_ends_the_process) {
    EXPECT_EQ(end_of(in_child([] {
                  const auto main = []() -> Coro<> {
                      ::raise(SIGTERM);
                      co_await support::how(sleep(1h));
                      ::usleep(550'000);
                      ::raise(SIGTERM);
                      ::_exit(3);
                  };
                  outcome_of(main);
                  return 1;
              })),
              "signal TERM");
}

TEST(terminate_on, RUN_21_one_of_another_kind_adds_no_request_and_the_first_is_named) {
    EXPECT_SCENE([] {
        int requests = 0;
        const auto main = [&]() -> Coro<> {
            ::raise(SIGHUP);
            const auto self = current_task();
            co_await support::how(sleep(1h));
            ::raise(SIGTERM);
            ::raise(SIGINT);
            co_await sleep(1ms);
            requests = static_cast<int>(self.cancelling());
            throw CancelledError();
        };
        return check(outcome_of(main, {.terminate_on = {SIGTERM, SIGHUP}}) ==
                         "terminated by SIGHUP" &&
                     requests == 1);
    });
}

TEST(terminate_on, ctrl_c_keeps_its_own_rules_beside_it) {
    EXPECT_SCENE([] {
        const auto main = []() -> Coro<> {
            ::raise(SIGINT);
            co_await sleep(1h);
        };
        return check(outcome_of(main) == "keyboard interrupt" &&
                     outcome_of(main, {.terminate_on = {SIGINT}}) == "keyboard interrupt" &&
                     outcome_of(main, {.sigint = Sigint::ignore, .terminate_on = {SIGINT}}) ==
                         "keyboard interrupt");
    });
    EXPECT_EQ(end_of(in_child([] {
                  const auto main = []() -> Coro<> {
                      ::raise(SIGINT);
                      ::raise(SIGINT);
                      co_return;
                  };
                  outcome_of(main, {.terminate_on = {SIGTERM, SIGINT}});
                  return 1;
              })),
              "signal INT");
}

// The end of the run.

Coro<> raises_in_its_cleanup(int signal, bool& cleaned_up) {
    co_await support::how(sleep(1h));
    ::raise(signal);
    co_await sleep(1ms);
    cleaned_up = true;
}

/// A main task that leaves a task whose cleanup raises `signal` and then goes on.
auto leaves_a_task(int signal, bool& cleaned_up, bool is_asked_first) {
    return [=, &cleaned_up]() -> Coro<> {
        create_task(raises_in_its_cleanup(signal, cleaned_up));
        co_await sleep(0s);
        if (is_asked_first) {
            ::raise(signal);
            co_await sleep(1h);
        }
    };
}

TEST(terminate_on, RUN_21_the_same_request_again_does_not_break_off_the_end) {
    EXPECT_SCENE([] {
        bool cleaned_up = false;
        const std::string outcome = outcome_of(leaves_a_task(SIGTERM, cleaned_up, true));
        return check(outcome == "terminated by SIGTERM" && cleaned_up);
    });
    EXPECT_SCENE([] {
        bool cleaned_up = false;
        std::string outcome;
        {
            Runner runner(on_sigterm);
            try {
                runner.run(leaves_a_task(SIGTERM, cleaned_up, true)());
            } catch (const Terminated&) {
                ::raise(SIGTERM);
                outcome = "terminated";
            }
        }
        return check(outcome == "terminated" && cleaned_up);
    });
}

/// A cleanup that raises SIGTERM, and writes "done" some time later.
Coro<> raises_and_writes(int fd) {
    co_await support::how(sleep(1h));
    ::raise(SIGTERM);
    co_await sleep(5ms);
    EXPECT_EQ(::write(fd, "done", 4), 4);
}

/// Runs `scene(fd)` in a child, which must die of SIGTERM after it has written "done" to `fd`.
template <class Scene>
void expect_done_and_sigterm(Scene scene) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const int status = in_child([&] {
        scene(ends[1]);
        return 1;
    });
    ::close(ends[1]);
    EXPECT_EQ(end_of(status), "signal TERM");
    char text[8] = {};
    EXPECT_EQ(::read(ends[0], text, sizeof text), 4) << "the end was broken off";
    ::close(ends[0]);
}

TEST(terminate_on, RUN_21_one_that_comes_after_main_ends_the_process_when_all_has_been_cleaned_up) {
    expect_done_and_sigterm([](int fd) {
        const auto main = [&]() -> Coro<> {
            create_task(raises_and_writes(fd));
            co_await sleep(0s);
        };
        outcome_of(main);
    });
}

TEST(terminate_on, RUN_21_the_close_of_a_runner_is_not_broken_off_either) {
    expect_done_and_sigterm([](int fd) {
        Runner runner(on_sigterm);
        const auto main = [&]() -> Coro<> {
            create_task(raises_and_writes(fd));
            co_await sleep(0s);
        };
        runner.run(main());
        runner.close();
    });
}

/// A result that raises SIGTERM on its way out of `run`: between the end of the main task and the
/// end of the run.
struct RaisesWhenMoved {
    RaisesWhenMoved() = default;
    RaisesWhenMoved(RaisesWhenMoved&&) noexcept {
        if (asyncio::current_task()) return;
        ::raise(SIGTERM);
    }
};

TEST(terminate_on, RUN_21_one_that_comes_between_main_and_the_end_is_kept_as_well) {
    expect_done_and_sigterm([](int fd) {
        const auto main = [&]() -> Coro<RaisesWhenMoved> {
            create_task(raises_and_writes(fd));
            co_await sleep(0s);
            co_return RaisesWhenMoved();
        };
        run(main(), on_sigterm);
    });
}

/// A main task that ends while its own signal is on the way.
auto asks_in_its_last_moment(int moment) {
    return [moment]() -> Coro<> {
        auto& loop = get_running_loop();
        if (moment == 0) ::raise(SIGTERM);
        if (moment == 1) loop.call_soon([] { ::raise(SIGTERM); });
        if (moment == 2) {
            loop.call_soon([&loop] { loop.call_soon([] { ::raise(SIGTERM); }); });
            co_await sleep(0s);
        }
    };
}

/// Whether the run of `main` was terminated.
template <class Main>
bool is_terminated(Runner& runner, Main main) {
    try {
        runner.run(main());
    } catch (const Terminated&) {
        return true;
    }
    return false;
}

TEST(terminate_on, one_in_the_last_moment_of_main_is_not_lost_and_hurts_no_later_run) {
    EXPECT_SCENE([] {
        for (int moment = 0; moment < 3; ++moment) {
            Runner runner(on_sigterm);
            if (!is_terminated(runner, asks_in_its_last_moment(moment))) return 3 + moment;
            const auto after = []() -> Coro<int> {
                co_await sleep(1ms);
                co_return 7;
            };
            if (runner.run(after()) != 7) return 10;
        }
        return as_expected;
    });
}

TEST(terminate_on, a_runner_can_be_terminated_in_each_of_its_runs) {
    EXPECT_SCENE([] {
        const auto asks_at_once = []() -> Coro<> {
            ::raise(SIGTERM);
            co_await sleep(1h);
        };
        for (int moment = 0; moment < 3; ++moment) {
            Runner runner(on_sigterm);
            // What is left of the signal of one run does not reach the next.
            if (!is_terminated(runner, asks_in_its_last_moment(moment))) return 1;
            for (int time = 0; time < 3; ++time)
                if (!is_terminated(runner, asks_at_once)) return 2;
        }
        return as_expected;
    });
}

TEST(terminate_on, between_the_runs_of_a_runner_the_signal_has_its_usual_action) {
    EXPECT_EQ(end_of(in_child([]() -> int {
                  Runner runner(on_sigterm);
                  runner.run([]() -> Coro<> { co_await sleep(0s); }());
                  ::raise(SIGTERM);
                  ::_exit(1);
              })),
              "signal TERM");
}

// Subscribers, and refusals.

TEST(terminate_on, RUN_22_while_the_program_is_subscribed_the_run_leaves_the_signal_to_it) {
    EXPECT_SCENE([] {
        int calls = 0;
        const auto main = [&]() -> Coro<> {
            {
                const auto subscription = on_signal(SIGTERM, [&] { ++calls; });
                const SignalStream interrupts({SIGINT});
                ::raise(SIGTERM);
                ::raise(SIGINT);
                ::raise(SIGINT);
                co_await sleep(1ms);
                if (interrupts.pending() != 2) co_return;
            }
            ::raise(SIGTERM);
            co_await sleep(1h);
        };
        return check(outcome_of(main) == "terminated by SIGTERM" && calls == 1);
    });
}

TEST(terminate_on, RUN_22_ctrl_c_comes_back_to_the_run_when_the_subscription_ends) {
    EXPECT_SCENE([] {
        int calls = 0;
        const auto main = [&]() -> Coro<> {
            auto& loop = get_running_loop();
            loop.add_signal_handler(SIGINT, [&] { ++calls; });
            ::raise(SIGINT);
            co_await sleep(1ms);
            loop.remove_signal_handler(SIGINT);
            ::raise(SIGINT);
            co_await sleep(1h);
        };
        return check(outcome_of(main, {}) == "keyboard interrupt" && calls == 1);
    });
}

TEST(terminate_on, a_signal_that_cannot_be_caught_is_refused_before_main_runs) {
    EXPECT_SCENE([] {
        bool ran = false;
        const auto main = [&]() -> Coro<> {
            ran = true;
            co_return;
        };
        const std::string outcome = outcome_of(main, {.terminate_on = {SIGTERM, SIGKILL}});
        return check(outcome == "SIGKILL cannot be caught" && !ran &&
                     signal_test::present(SIGTERM).sa_handler == SIG_DFL);
    });
}

}  // namespace
