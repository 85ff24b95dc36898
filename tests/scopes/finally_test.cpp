// Goal: a cleanup runs however its body ends, may wait, is not cut short from outside, and no error
// is lost on the way.
// Method: every way for a body to end crossed with every way for a cleanup to end; cancellations at
// every iteration of a cleanup.

#include <asyncio.h>

#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::finally_;
using asyncio::sleep;
using asyncio::task_group;
using asyncio::TaskGroup;
using asyncio::timeout;
using asyncio::TimeoutError;
using support::how;
using support::run_simulated;
using support::run_test;
using support::Ticks;
using namespace std::chrono_literals;

Coro<> succeed() { co_await sleep(0s); }
Coro<> fail(const char* text) {
    co_await sleep(0s);
    throw std::runtime_error(text);
}

TEST(finally_, gives_what_the_body_gives_after_the_cleanup_has_run) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::unique_ptr<int> value = co_await finally_(
            [&]() -> Coro<std::unique_ptr<int>> {
                trace += "body ";
                co_return std::make_unique<int>(3);
            },
            [&]() -> Coro<> {
                co_await sleep(1ms);
                trace += "cleanup";
            });
        EXPECT_EQ(*value, 3);
        EXPECT_EQ(trace, "body cleanup");
    });
}

TEST(finally_, costs_no_iteration_of_its_own) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        const int before = ticks.count();
        co_await finally_([]() -> Coro<> { co_return; }, []() -> Coro<> { co_return; });
        EXPECT_EQ(ticks.count(), before);
    });
}

TEST(finally_, errors_of_the_body_and_of_the_cleanup_are_all_there) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(co_await how(finally_([] { return fail("body"); }, [] { return succeed(); })),
                  "body");
        EXPECT_EQ(co_await how(finally_([] { return succeed(); }, [] { return fail("cleanup"); })),
                  "cleanup");
        EXPECT_EQ(
            co_await how(finally_([] { return fail("body"); }, [] { return fail("cleanup"); })),
            "errors of a body and of its cleanup (2 errors): body; cleanup");
    });
}

TEST(finally_, a_body_that_throws_before_it_is_a_coroutine_is_cleaned_up_as_well) {
    run_test([]() -> Coro<> {
        bool cleaned = false;
        const auto body = []() -> Coro<> { throw std::runtime_error("no coroutine"); };
        static_assert(!std::is_void_v<decltype(body())>);
        const std::string end = co_await how(finally_(body, [&]() -> Coro<> {
            cleaned = true;
            co_return;
        }));
        EXPECT_EQ(end, "no coroutine");
        EXPECT_TRUE(cleaned);
    });
}

TEST(finally_, the_cleanup_of_a_cancelled_body_can_wait_and_the_cancellation_leaves) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_await sleep(1h); },
                              [&]() -> Coro<> {
                                  co_await sleep(1ms);
                                  trace += "cleaned";
                              });
            trace += " went on";
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel("why");
        EXPECT_EQ(co_await how(task), "cancelled: why");
        EXPECT_EQ(trace, "cleaned");
        EXPECT_EQ(task.cancelling(), 1u);
    });
}

TEST(finally_, an_error_of_the_cleanup_takes_the_place_of_a_cancellation) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_await sleep(1h); },
                              [] { return fail("cleanup"); });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        EXPECT_EQ(co_await how(task), "cleanup");
    });
}

TEST(finally_, CAN_23_further_cancellations_wait_until_the_cleanup_has_ended) {
    run_test([]() -> Coro<> {
        // How the body ends, and when in the cleanup the cancellation comes.
        for (const bool body_cancelled : {true, false}) {
            for (int turns = 0; turns < 6; ++turns) {
                std::string trace;
                const auto body = [&]() -> Coro<> {
                    co_await finally_([&]() -> Coro<> { co_await sleep(body_cancelled ? 1h : 0s); },
                                      [&]() -> Coro<> {
                                          for (int i = 0; i < 3; ++i) co_await sleep(0s);
                                          if (turns >= 3) {
                                              // What is held back does not count yet.
                                              EXPECT_EQ(current_task().cancelling(),
                                                        body_cancelled ? 1u : 0u);
                                          }
                                          co_await sleep(1ms);
                                          trace += "cleaned ";
                                      });
                    trace += "on ";
                    co_await sleep(0s);
                    trace += "and on";
                };
                auto task = create_task(body());
                co_await sleep(0s);
                if (body_cancelled) task.cancel("first");
                for (int i = 0; i < turns; ++i) co_await sleep(0s);
                task.cancel("second");
                const std::string end = co_await how(task);
                EXPECT_TRUE(task.cancelled()) << turns;
                EXPECT_EQ(task.cancelling(), body_cancelled ? 2u : 1u);
                if (turns >= 3) {
                    EXPECT_EQ(trace, body_cancelled ? "cleaned " : "cleaned on ") << turns;
                    EXPECT_EQ(end, body_cancelled ? "cancelled: first" : "cancelled: second");
                } else {
                    EXPECT_TRUE(support::contains(trace, "cleaned ")) << turns;
                    EXPECT_FALSE(support::contains(trace, "and on")) << turns;
                }
            }
        }
    });
}

TEST(finally_, TO_15_a_limit_inside_the_cleanup_works) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_await sleep(1h); },
                              [&]() -> Coro<> {
                                  try {
                                      co_await timeout(1ms, []() -> Coro<> { co_await sleep(1h); });
                                  } catch (const TimeoutError&) {
                                      trace += "limited";
                                  }
                              });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        co_await sleep(0s);
        co_await sleep(0s);
        task.cancel();  // while the limit runs, which must not take that for its own
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(trace, "limited");
        EXPECT_EQ(task.cancelling(), 2u);
    });
}

TEST(finally_, a_limit_outside_waits_for_the_cleanup) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        const auto cleanup = [&]() -> Coro<> {
            co_await sleep(5ms);
            trace += "cleaned ";
        };
        const std::string expired_in_body = co_await how(timeout(1ms, [&]() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_await sleep(1h); }, cleanup);
        }));
        EXPECT_EQ(expired_in_body, "the time limit has passed");
        const std::string expired_in_cleanup = co_await how(timeout(1ms, [&]() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_return; }, cleanup);
            co_await sleep(0s);
            trace += "went on";
        }));
        EXPECT_EQ(expired_in_cleanup, "the time limit has passed");
        EXPECT_EQ(trace, "cleaned cleaned ");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(finally_, a_group_inside_the_cleanup_works_and_one_outside_waits) {
    run_test([]() -> Coro<> {
        std::string trace;
        const std::string end = co_await how(task_group([&](TaskGroup& outer) -> Coro<> {
            outer.create_task(fail("child"));
            co_await finally_([]() -> Coro<> { co_return; },
                              [&]() -> Coro<> {
                                  co_await sleep(1ms);
                                  trace += co_await how(task_group([](TaskGroup& group) -> Coro<> {
                                      group.create_task(fail("inner"));
                                      co_await sleep(1h);
                                  }));
                              });
            co_await sleep(1h);
        }));
        EXPECT_EQ(trace, "unhandled errors in a TaskGroup (1 error): inner");
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): child");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(finally_, cleanups_inside_cleanups_hold_back_what_is_outside_of_them) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_return; },
                              [&]() -> Coro<> {
                                  // Expires inside the inner cleanup, which is inside this limit.
                                  trace += co_await how(timeout(2ms, [&]() -> Coro<> {
                                      co_await finally_([]() -> Coro<> { co_return; },
                                                        [&]() -> Coro<> {
                                                            co_await sleep(5ms);
                                                            trace += "inner ";
                                                        });
                                      co_await sleep(1h);
                                  }));
                                  co_await sleep(1ms);
                                  trace += " outer";
                              });
            co_await sleep(1h);
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel("outside");
        EXPECT_EQ(co_await how(task), "cancelled: outside");
        EXPECT_EQ(trace, "inner the time limit has passed outer");
        EXPECT_EQ(task.cancelling(), 1u);
    });
}

TEST(finally_, a_task_that_cancels_itself_in_its_cleanup_ends_as_cancelled) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await finally_([]() -> Coro<> { co_return; },
                              []() -> Coro<> {
                                  current_task().cancel();
                                  co_await sleep(0s);
                              });
        };
        auto task = create_task(body());
        EXPECT_EQ(co_await how(task), "cancelled");
    });
}

TEST(finally_, a_request_that_no_wait_of_the_body_has_felt_is_felt_after_the_cleanup) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            co_await finally_(
                []() -> Coro<> {
                    current_task().cancel("enough");
                    co_return;
                },
                [&]() -> Coro<> {
                    co_await sleep(1ms);
                    trace += "cleanup ";
                });
            trace += "after ";
            co_await sleep(0s);
            trace += "not reached";
        };
        auto task = create_task(body());
        EXPECT_EQ(co_await how(task), "cancelled: enough");
        EXPECT_EQ(trace, "cleanup after ");
    });
}

TEST(finally_, CAN_23_a_cleanup_that_waits_for_ever_is_cancelled_when_that_is_known) {
    const support::LogCapture log;
    EXPECT_THROW(asyncio::run(
                     []() -> Coro<> {
                         const auto for_ever = []() -> Coro<> {
                             const support::Tracked alive;
                             const auto never = asyncio::get_running_loop().create_future();
                             co_await never;
                         };
                         co_await finally_(
                             []() -> Coro<> { co_return; },
                             [&]() -> Coro<> { co_await finally_(for_ever, for_ever); });
                     }(),
                     {.debug = false, .backend = asyncio::lowlevel::BackendKind::simulated}),
                 asyncio::DeadlockError);
    EXPECT_EQ(support::Tracked::alive(), 0);
    std::string said;
    for (const std::string& line : support::LogCapture::take()) said += line;
    EXPECT_TRUE(support::contains(said, "finally_test.cpp")) << said;
}

TEST(finally_, RUN_04_the_end_of_run_waits_for_a_cleanup_in_progress) {
    const support::LogCapture log;
    std::string trace;
    const auto left = [&]() -> Coro<> {
        co_await finally_([]() -> Coro<> { co_return; },
                          [&]() -> Coro<> {
                              co_await sleep(5ms);
                              trace += "cleaned";
                          });
    };
    asyncio::run([](auto make) -> Coro<> {
        create_task(make());
        co_await sleep(1ms);
    }(left));
    EXPECT_EQ(trace, "cleaned");
}

}  // namespace
