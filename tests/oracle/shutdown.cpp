// The end of `run`: what is left over, what resists, what is reported. The twins are in
// shutdown.py.
//
// Here the loop is one the runner makes, and its time is real on the real back-ends. So nothing
// waits for a timer that would expire.

#include "oracle/oracle.h"

#include <optional>

namespace {

using namespace oracle;
using asyncio::current_task;

/// Runs `body` as a task of that name, and says how it ended.
template <class Body>
void end_of_run(const std::string& what, Runner& runner, Body body) {
    const auto named = [&]() {
        return [](Body inner) -> decltype(inner()) {
            current_task().set_name("main");
            co_return co_await inner();
        }(body);
    };
    try {
        if constexpr (std::is_void_v<typename decltype(body())::value_type>) {
            runner.run(named());
            say(what + ": done");
        } else {
            say(what + ": " + text_of_value(runner.run(named())));
        }
    } catch (...) {
        say(what + ": " + text_of(std::current_exception()));
    }
}

template <class Body>
void run(Body body) {
    Runner runner;
    trace_reports(runner.get_loop());
    end_of_run("run", runner, body);
}

RUN_SCENARIO(shutdown, RUN_01_a_value_and_an_error) {
    run([]() -> Coro<int> {
        co_await sleep(0s);
        co_return 7;
    });
    run([]() -> Coro<> {
        throw Error("boom");
        co_return;
    });
}

RUN_SCENARIO(shutdown, RUN_04_a_task_that_is_left_is_cancelled_and_waited_for) {
    run([]() -> Coro<int> {
        spawn("a", stubborn(2));
        co_await sleep(0s);
        co_return 1;
    });
}

RUN_SCENARIO(shutdown, RUN_04_a_task_made_in_the_last_step_of_main_has_its_first) {
    run([]() -> Coro<> {
        spawn("a", []() -> Coro<> {
            say("first step");
            co_await tell("turn", sleep(0s));
        }());
        co_return;
    });
}

RUN_SCENARIO(shutdown, RUN_04_main_fails_and_leaves_a_task) {
    run([]() -> Coro<> {
        spawn("a", sleeper());
        co_await sleep(0s);
        throw Error("main");
    });
}

RUN_SCENARIO(shutdown, RUN_05_a_task_that_is_left_fails_in_its_cleanup) {
    run([]() -> Coro<int> {
        spawn("a", []() -> Coro<> {
            try {
                co_await sleep(forever);
            } catch (const CancelledError&) {
                throw Error("cleanup");
            }
        }());
        co_await sleep(0s);
        co_return 2;
    });
}

Coro<int> resisting() {
    for (int i = 0; i < 3; ++i) {
        try {
            co_await turns(2);
        } catch (const CancelledError&) {
            say("not me");
        }
        say("round " + std::to_string(i));
    }
    co_return 1;
}

RUN_SCENARIO(shutdown, RUN_06_a_task_that_is_left_swallows_the_cancellation) {
    run([]() -> Coro<> {
        spawn("a", resisting());
        co_await sleep(0s);
    });
}

Coro<> group_of_one() {
    const auto body = [](TaskGroup& group) -> Coro<> {
        // A group of one task: whoever is asked first, the leaf ends first.
        group.create_task(stubborn(1), {.name = "leaf"});
        co_return;
    };
    co_await task_group(body);
}

RUN_SCENARIO(shutdown, RUN_04_a_group_is_left) {
    run([]() -> Coro<> {
        spawn("group", group_of_one());
        co_await turns(2);
    });
}

RUN_SCENARIO(shutdown, RUN_04_main_is_cancelled_by_itself) {
    run([]() -> Coro<> {
        current_task().cancel();
        co_await tell("turn", sleep(0s));
    });
}

RUN_SCENARIO(shutdown, RUN_07_two_runs_share_a_loop_and_a_task) {
    std::optional<Task<>> task;
    const auto ticking = []() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            say("round " + std::to_string(i));
            co_await sleep(0s);
        }
    };
    Runner runner;
    end_of_run("first", runner, [&]() -> Coro<> {
        task = spawn("a", ticking());
        co_await sleep(0s);
        say("first ends");
    });
    end_of_run("second", runner, [&]() -> Coro<> {
        say("second begins");
        co_await *task;
    });
}

RUN_SCENARIO(shutdown, RUN_08_a_runner_that_was_closed) {
    Runner runner;
    const auto body = []() -> Coro<> {
        say("runs");
        co_return;
    };
    end_of_run("run", runner, body);
    runner.close();
    runner.close();
    try {
        runner.run(body());
    } catch (...) {
        say(text_of(std::current_exception()));
    }
}

RUN_SCENARIO(shutdown, RUN_02_inside_a_running_loop) {
    const auto inner = []() -> Coro<> {
        say("never");
        co_return;
    };
    run([&]() -> Coro<> {
        try {
            asyncio::run(inner());
        } catch (...) {
            say(text_of(std::current_exception()));
        }
        co_return;
    });
}

RUN_SCENARIO(shutdown, RUN_04_callbacks_that_are_left_do_not_run) {
    run([]() -> Coro<> {
        call_later(forever, [] { say("never"); });
        call_soon([] { say("still runs"); });
        co_return;
    });
}

Coro<> late() {
    say("late begins");
    co_await tell("late turn", sleep(0s));
}

Coro<> starting() {
    try {
        co_await sleep(forever);
    } catch (const CancelledError&) {  // goes on below
    }
    co_await tell("late task", spawn("late", late()));
    throw CancelledError();
}

RUN_SCENARIO(shutdown, RUN_04_a_task_starts_another_while_it_is_cancelled) {
    run([]() -> Coro<> {
        spawn("a", starting());
        co_await sleep(0s);
    });
}

}  // namespace
