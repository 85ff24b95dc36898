// Goal: a Coro carries any kind of value and any error to whoever awaits it, runs nothing before it
// is awaited, and destroys everything once and in the right order.
// Method: one coroutine per kind of result; instances are counted.

#include <asyncio.h>

#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using support::Fragile;
using support::LogCapture;
using support::MoveOnly;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

/// Parks for one iteration where `parks` says so: every case is tried both ways, since a child that
/// ends at once and one that is resumed by the loop take different paths.
Coro<> maybe_park(bool parks) {
    if (parks) co_await asyncio::sleep(0s);
}

class coro : public testing::TestWithParam<bool> {
protected:
    static bool parks() { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(child, coro, testing::Bool(), [](const auto& info) {
    return info.param ? std::string("that_parks") : std::string("that_ends_at_once");
});

// --- CPP-08: kinds of results
// ----------------------------------------------------------------------

TEST_P(coro, CPP_08_of_nothing) {
    run_test([parks = parks()]() -> Coro<> {
        bool ran = false;
        const auto child = [&]() -> Coro<> {
            co_await maybe_park(parks);
            ran = true;
        };
        co_await child();
        EXPECT_TRUE(ran);
    });
}

TEST_P(coro, CPP_08_of_a_reference_gives_the_same_object) {
    run_test([parks = parks()]() -> Coro<> {
        int target = 1;
        const auto child = [&]() -> Coro<int&> {
            co_await maybe_park(parks);
            co_return target;
        };
        int& seen = co_await child();
        EXPECT_EQ(&seen, &target);
    });
}

TEST_P(coro, CPP_08_of_a_reference_to_a_base_returns_the_derived) {
    struct Base {
        virtual ~Base() = default;
    };
    struct Derived : Base {};
    run_test([parks = parks()]() -> Coro<> {
        Derived target;
        const auto child = [&]() -> Coro<Base&> {
            co_await maybe_park(parks);
            co_return target;
        };
        Base& seen = co_await child();
        EXPECT_EQ(&seen, &target);
    });
}

TEST_P(coro, CPP_08_of_what_can_only_be_moved) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&]() -> Coro<std::unique_ptr<int>> {
            co_await maybe_park(parks);
            co_return std::make_unique<int>(7);
        };
        std::unique_ptr<int> value = co_await child();
        EXPECT_EQ(*value, 7);
    });
}

TEST_P(coro, CPP_08_of_what_cannot_be_made_from_nothing) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&]() -> Coro<MoveOnly> {
            co_await maybe_park(parks);
            co_return MoveOnly(7);
        };
        const MoveOnly value = co_await child();
        EXPECT_EQ(value.number, 7);
    });
}

TEST_P(coro, CPP_08_converts_what_is_returned) {
    run_test([parks = parks()]() -> Coro<> {
        const auto text = [&]() -> Coro<std::string> {
            co_await maybe_park(parks);
            co_return "literal";
        };
        const std::string value = co_await text();
        EXPECT_EQ(value, "literal");
        const auto maybe = [&]() -> Coro<std::optional<int>> {
            co_await maybe_park(parks);
            co_return 3;
        };
        const std::optional<int> three = co_await maybe();
        EXPECT_EQ(three, 3);
    });
}

TEST_P(coro, CPP_08_returns_what_stands_in_braces) {
    run_test([parks = parks()]() -> Coro<> {
        const auto empty = [&]() -> Coro<std::string> {
            co_await maybe_park(parks);
            co_return {};
        };
        const std::string nothing = co_await empty();
        EXPECT_EQ(nothing, "");
        struct Point {
            int x, y;
        };
        const auto point = [&]() -> Coro<Point> {
            co_await maybe_park(parks);
            co_return {1, 2};
        };
        const Point place = co_await point();
        EXPECT_EQ(place.x, 1);
        EXPECT_EQ(place.y, 2);
        const auto none = [&]() -> Coro<std::optional<int>> {
            co_await maybe_park(parks);
            co_return {};
        };
        const std::optional<int> no_value = co_await none();
        EXPECT_FALSE(no_value.has_value());
    });
}

TEST_P(coro, CPP_08_of_an_outcome_or_an_exception_returns_it_as_a_value) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&]() -> Coro<std::exception_ptr> {
            co_await maybe_park(parks);
            co_return std::make_exception_ptr(asyncio::CancelledError());
        };
        const std::exception_ptr value = co_await child();
        EXPECT_TRUE(value != nullptr);
    });
}

TEST_P(coro, an_error_reaches_whoever_awaits) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&]() -> Coro<int> {
            co_await maybe_park(parks);
            throw std::runtime_error("broken");
        };
        std::string seen;
        try {
            co_await child();
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "broken");
    });
}

TEST_P(coro, CPP_08_an_error_while_the_result_is_stored_reaches_whoever_awaits) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&]() -> Coro<Fragile> {
            co_await maybe_park(parks);
            const Fragile breaks_when_copied(1, 0, 9);
            co_return breaks_when_copied;
        };
        std::string seen;
        try {
            co_await child();
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "copy 1");
    });
}

TEST_P(coro, CPP_08_an_error_while_the_result_is_handed_over_reaches_whoever_awaits) {
    for (int safe_moves = 1; safe_moves <= 6; ++safe_moves) {
        run_test([parks = parks(), safe_moves]() -> Coro<> {
            const auto child = [&]() -> Coro<Fragile> {
                co_await maybe_park(parks);
                co_return Fragile(2, 9, safe_moves);
            };
            // Directly, and through a task, where the result passes from the frame to the future.
            int received = 0, errors = 0;
            try {
                [[maybe_unused]] const Fragile value = co_await child();
                ++received;
            } catch (const std::runtime_error& error) {
                EXPECT_STREQ(error.what(), "move 2");
                ++errors;
            }
            try {
                [[maybe_unused]] const Fragile value = co_await asyncio::create_task(child());
                ++received;
            } catch (const std::runtime_error& error) {
                EXPECT_STREQ(error.what(), "move 2");
                ++errors;
            }
            EXPECT_EQ(received + errors, 2);
            EXPECT_TRUE(safe_moves > 1 || errors == 2);
            EXPECT_TRUE(safe_moves < 6 || received == 2);
        });
    }
}

// --- Lifetimes
// -------------------------------------------------------------------------------------

TEST_P(coro, CPP_07_locals_of_the_child_are_gone_when_the_parent_goes_on) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&]() -> Coro<int> {
            const Tracked local(1);
            co_await maybe_park(parks);
            co_return Tracked::alive();
        };
        const int alive_inside = co_await child();
        EXPECT_EQ(alive_inside, 1);
        EXPECT_EQ(Tracked::alive(), 0);
        const auto thrower = [&]() -> Coro<> {
            const Tracked local(1);
            co_await maybe_park(parks);
            throw std::runtime_error("x");
        };
        try {
            co_await thrower();
        } catch (const std::runtime_error&) {
            EXPECT_EQ(Tracked::alive(), 0);
        }
    });
}

TEST_P(coro, CPP_07_locals_of_a_chain_are_destroyed_from_the_inside_out) {
    struct Noter {
        std::string& trace;
        char name;
        ~Noter() { trace += name; }
    };
    run_test([parks = parks()]() -> Coro<> {
        std::string trace;
        const auto inner = [&]() -> Coro<> {
            const Noter noter{trace, 'c'};
            co_await maybe_park(parks);
        };
        const auto middle = [&]() -> Coro<> {
            const Noter noter{trace, 'b'};
            co_await inner();
            trace += '-';
        };
        const auto outer = [&]() -> Coro<> {
            const Noter noter{trace, 'a'};
            co_await middle();
            trace += '-';
        };
        co_await outer();
        EXPECT_EQ(trace, "c-b-a");
    });
}

TEST_P(coro, CPP_05_arguments_by_value_live_as_long_as_the_frame) {
    run_test([parks = parks()]() -> Coro<> {
        const auto child = [&](std::string text, Tracked tracked) -> Coro<std::string> {
            co_await maybe_park(parks);
            EXPECT_EQ(tracked.number(), 5);
            co_return text + "!";
        };
        Coro<std::string> made =
            child("an argument that is longer than a small string", Tracked(5));
        EXPECT_EQ(Tracked::alive(), 1);
        const std::string value = co_await std::move(made);
        EXPECT_EQ(value, "an argument that is longer than a small string!");
        made = child("", Tracked(6));
        EXPECT_EQ(Tracked::alive(), 1) << "assigning dropped the frame before";
    });
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(coro_life, runs_nothing_before_it_is_awaited) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto child = [&]() -> Coro<> {
            trace += 'b';
            co_return;
        };
        Coro<> made = child();
        trace += 'a';
        co_await std::move(made);
        EXPECT_EQ(trace, "ab");
    });
}

TEST(coro_life, dropping_one_that_never_ran_destroys_its_arguments_and_nothing_else) {
    const LogCapture log;
    bool ran = false;
    const auto child = [&](Tracked) -> Coro<> {
        ran = true;
        co_return;
    };
    {
        const Coro<> dropped = child(Tracked(1));
    }
    EXPECT_EQ(Tracked::alive(), 0);
    for (int i = 0; i < 100'000; ++i) static_cast<void>(child(Tracked(i)));
    EXPECT_EQ(Tracked::alive(), 0);
    EXPECT_FALSE(ran);
}

TEST(coro_life, moving_one_passes_the_duty_to_destroy_it) {
    const LogCapture log;
    const auto child = [](Tracked) -> Coro<> { co_return; };
    Coro<> first = child(Tracked(1));
    Coro<> second = std::move(first);
    EXPECT_EQ(Tracked::alive(), 1);
    first = child(Tracked(2));
    second = std::move(first);
    EXPECT_EQ(Tracked::alive(), 1);
    Coro<>& same = second;
    second = std::move(same);
    EXPECT_EQ(Tracked::alive(), 1);
    {
        const Coro<> third = std::move(second);
    }
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(coro_life, may_be_kept_in_containers_and_awaited_in_any_order) {
    run_test([]() -> Coro<> {
        const auto child = [](int number) -> Coro<int> {
            co_await asyncio::sleep(0s);
            co_return number;
        };
        std::vector<Coro<int>> made;
        for (int i = 0; i < 10; ++i) made.push_back(child(i));
        int sum = 0;
        while (!made.empty()) {
            sum = sum * 2 + co_await std::move(made.back());
            made.pop_back();
        }
        EXPECT_EQ(
            sum,
            ((((((((9 * 2 + 8) * 2 + 7) * 2 + 6) * 2 + 5) * 2 + 4) * 2 + 3) * 2 + 2) * 2 + 1) * 2);
    });
}

TEST(coro_life, may_be_made_on_one_thread_and_run_on_another) {
    const LogCapture log;
    const auto child = [](std::string text) -> Coro<std::string> {
        co_await asyncio::sleep(0s);
        co_return text;
    };
    Coro<std::string> made = child("from afar");
    std::string result;
    std::thread([&] { result = asyncio::run(std::move(made)); }).join();
    EXPECT_EQ(result, "from afar");
}

TEST(coro_life, CPP_09_an_error_from_a_destructor_reaches_whoever_awaits) {
    struct Bomb {
        bool armed = true;
        ~Bomb() noexcept(false) {
            if (armed) throw std::runtime_error("destructor");
        }
    };
    run_test([]() -> Coro<> {
        const auto child = []() -> Coro<int> {
            const Bomb bomb;
            co_await asyncio::sleep(0s);
            co_return 1;
        };
        std::string seen;
        try {
            co_await child();
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "destructor");
        auto task = asyncio::create_task(child());
        try {
            co_await task;
            seen = "nothing";
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "destructor");
    });
}

TEST(coro_life, CPP_11_is_awaited_in_conditions_arguments_and_loops) {
    run_test([]() -> Coro<> {
        const auto number = [](int value) -> Coro<int> {
            co_await asyncio::sleep(0s);
            co_return value;
        };
        int sum = 0;
        if (co_await number(1) == 1) ++sum;
        for (int i = 0; i < co_await number(3); ++i) sum += co_await number(i) * co_await number(2);
        while (co_await number(sum) < 10) ++sum;
        switch (co_await number(sum)) {
            case 10: sum = 100; break;
            default: sum = -1;
        }
        sum += (co_await number(0) != 0 ? co_await number(5) : co_await number(6));
        EXPECT_EQ(sum, 106);
    });
}

TEST(coro_life, CPP_11_many_values_pass_through_one_expression) {
    run_test([]() -> Coro<> {
        const auto text = [](std::string value) -> Coro<std::string> {
            co_await asyncio::sleep(0s);
            co_return value;
        };
        const std::string all = co_await text("a long text that needs memory, ") +
                                co_await text("another long text that needs memory, ") +
                                co_await text(co_await text("and one inside the other"));
        EXPECT_EQ(all, "a long text that needs memory, another long text that needs memory, "
                       "and one inside the other");
    });
}

}  // namespace
