// Goal: an error that passes from coroutine to coroutine is caught as C++ says, however it is
// thrown. Method: each chain of coroutines stands beside the same chain of plain functions, which
// throw the usual way, and both must leave the same trace. This file is optimised in every build,
// for only then is the throw another one; that it was is read from the exception's header.

#include <asyncio.h>

#include "support/run_test.h"
#include "support/sanitizer.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <cxxabi.h>
#include <gtest/gtest.h>
#include <unwind.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using support::run_test;
using namespace std::chrono_literals;

#ifdef ASYNCIO_WITH_QUICK_THROW
constexpr bool has_quick_throw = true;
#else
constexpr bool has_quick_throw = false;
#endif

// --- How the exception in the innermost handler was thrown ---------------------------------------

using Cleanup = _Unwind_Exception_Cleanup_Fn;

/// The function that will destroy the exception being handled. Who threw it has chosen it.
Cleanup cleanup_of_the_caught() {
    constexpr std::size_t unwind_offset = 80;
    const char* header = nullptr;
    std::memcpy(&header, abi::__cxa_get_globals(), sizeof header);
    _Unwind_Exception unwind;
    std::memcpy(&unwind, header + unwind_offset, sizeof unwind);
    return unwind.exception_cleanup;
}

Cleanup cleanup_of_the_usual_throw() {
    try {
        std::rethrow_exception(std::make_exception_ptr(0));
    } catch (int) {
        return cleanup_of_the_caught();
    }
}

bool was_thrown_the_quick_way() { return cleanup_of_the_caught() != cleanup_of_the_usual_throw(); }

Coro<int> fail() {
    co_await asyncio::sleep(0s);
    throw std::runtime_error("spilt");
}

TEST(Rethrow, the_error_of_a_child_takes_the_short_way_where_there_is_one) {
    if (!has_quick_throw) GTEST_SKIP() << "this build has none";
    run_test([]() -> Coro<> {
        bool quick = false;
        try {
            co_await fail();
        } catch (const std::runtime_error& error) {
            quick = was_thrown_the_quick_way();
            EXPECT_STREQ(error.what(), "spilt");
        }
        EXPECT_TRUE(quick);
    });
}

TEST(Rethrow, a_request_to_cancel_takes_it_from_the_first_frame_on) {
    if (!has_quick_throw) GTEST_SKIP() << "this build has none";
    if (support::under_address_sanitizer || support::under_thread_sanitizer)
        GTEST_SKIP() << "what a sanitizer adds is too much for sleep() to be inlined";
    run_test([]() -> Coro<> {
        bool quick = false;
        const auto parked = [&]() -> Coro<> {
            try {
                co_await asyncio::sleep(1h);
            } catch (const CancelledError& request) {
                quick = was_thrown_the_quick_way();
                EXPECT_EQ(request.message(), "enough");
                throw;
            }
        };
        asyncio::Task<> task = asyncio::create_task(parked());
        co_await asyncio::sleep(0s);
        task.cancel("enough");
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_TRUE(quick);
    });
}

// --- The same program in both worlds -------------------------------------------------------------

std::string trace;

void note(const std::string& event) { trace += event + "\n"; }

struct Local {
    explicit Local(std::string name) : name_(std::move(name)) { note("+" + name_); }
    Local(const Local&) = delete;
    Local& operator=(const Local&) = delete;
    ~Local() { note("-" + name_ + " " + std::to_string(std::uncaught_exceptions())); }
    int value() const { return 1; }

private:
    std::string name_;
};

/// A destructor in which something is thrown and caught, while another error is on its way.
struct Busy {
    Busy() = default;
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
        try {
            throw 7;
        } catch (int seven) {
            note("busy " + std::to_string(seven) + " " +
                 std::to_string(std::uncaught_exceptions()));
        }
    }
};

struct Left {
    virtual ~Left() = default;
    int left = 1;
};
struct Right {
    virtual ~Right() = default;
    int right = 2;
};
struct Root {
    virtual ~Root() = default;
    int root = 3;
};
struct Middle : virtual Root {
    int middle = 4;
};
struct Hidden : private Right {};
struct Both : Left, Right, Middle {
    int both = 5;
};

constexpr int kinds_of_errors = 9;

[[noreturn]] void throw_error(int kind) {
    static const Both both;
    switch (kind) {
        case 0: throw std::runtime_error("a runtime error");
        case 1: throw std::out_of_range("out of range");
        case 2: throw CancelledError("cancelled");
        case 3: throw 42;
        case 4: throw Both();
        case 5: throw static_cast<const Both*>(&both);
        case 6: throw Hidden();
        case 7: throw "a literal";
        default: throw nullptr;
    }
}

/// What is thrown in place of an error that was caught.
struct Replaced : std::logic_error {
    using std::logic_error::logic_error;
};

// A level calls the next one within handlers of one sort or another. `CALL` is `co_await` in a
// coroutine and nothing in a function. NOLINTBEGIN(bugprone-macro-parentheses)
#define LEVELS(RESULT, SUFFIX, CALL, RETURN)                                             \
    RESULT level##SUFFIX(const std::vector<int>& plan, std::size_t at);                  \
    RESULT bare##SUFFIX(const std::vector<int>& plan, std::size_t at) {                  \
        const int number = CALL level##SUFFIX(plan, at + 1);                             \
        RETURN number + 1;                                                               \
    }                                                                                    \
    RESULT with_locals##SUFFIX(const std::vector<int>& plan, std::size_t at) {           \
        const Local one("one");                                                          \
        int sum = 0;                                                                     \
        for (int round = 0; round < 2; ++round) {                                        \
            const Local two("two");                                                      \
            const Busy busy;                                                             \
            sum += CALL level##SUFFIX(plan, at + 1);                                     \
            sum += Local("temporary").value();                                           \
        }                                                                                \
        RETURN sum;                                                                      \
    }                                                                                    \
    RESULT base_first##SUFFIX(const std::vector<int>& plan, std::size_t at) {            \
        const Local local("local");                                                      \
        int number = 0;                                                                  \
        try {                                                                            \
            const Local inner("inner");                                                  \
            number = CALL level##SUFFIX(plan, at + 1);                                   \
        } catch (const std::exception& error) {                                          \
            note(std::string("exception ") + error.what());                              \
            number = -1;                                                                 \
        } catch (const Right& right) {                                                   \
            note("right " + std::to_string(right.right));                                \
            throw;                                                                       \
        }                                                                                \
        RETURN number;                                                                   \
    }                                                                                    \
    RESULT pointers##SUFFIX(const std::vector<int>& plan, std::size_t at) {              \
        int number = 0;                                                                  \
        try {                                                                            \
            number = CALL level##SUFFIX(plan, at + 1);                                   \
        } catch (const Right* right) {                                                   \
            note(right != nullptr ? "pointer " + std::to_string(right->right) : "null"); \
            throw;                                                                       \
        } catch (const char* text) {                                                     \
            note(text != nullptr ? std::string("text ") + text : "no text");             \
        } catch (const Root& root) {                                                     \
            note("root " + std::to_string(root.root));                                   \
            throw Replaced("after root");                                                \
        }                                                                                \
        RETURN number;                                                                   \
    }                                                                                    \
    RESULT nested##SUFFIX(const std::vector<int>& plan, std::size_t at) {                \
        int number = 0;                                                                  \
        try {                                                                            \
            try {                                                                        \
                const Local deep("deep");                                                \
                number = CALL level##SUFFIX(plan, at + 1);                               \
            } catch (int caught) {                                                       \
                note("int " + std::to_string(caught));                                   \
                throw caught + 1;                                                        \
            } catch (const std::out_of_range&) {                                         \
                note("out of range");                                                    \
                std::throw_with_nested(Replaced("around"));                              \
            }                                                                            \
        } catch (const CancelledError& request) {                                        \
            note("request " + request.message());                                        \
            throw;                                                                       \
        } catch (const Replaced& replaced) {                                             \
            try {                                                                        \
                std::rethrow_if_nested(replaced);                                        \
                note("not nested");                                                      \
            } catch (const std::exception& inner) {                                      \
                note(std::string("nested ") + inner.what());                             \
            }                                                                            \
            throw;                                                                       \
        }                                                                                \
        RETURN number;                                                                   \
    }                                                                                    \
    RESULT everything##SUFFIX(const std::vector<int>& plan, std::size_t at) {            \
        std::exception_ptr kept;                                                         \
        try {                                                                            \
            const Local local("guarded");                                                \
            static_cast<void>(CALL level##SUFFIX(plan, at + 1));                         \
        } catch (...) {                                                                  \
            note("all " + std::to_string(std::uncaught_exceptions()));                   \
            kept = std::current_exception();                                             \
        }                                                                                \
        if (kept != nullptr) std::rethrow_exception(kept);                               \
        RETURN 0;                                                                        \
    }                                                                                    \
    RESULT level##SUFFIX(const std::vector<int>& plan, std::size_t at) {                 \
        switch (plan[at]) {                                                              \
            case 0: RETURN CALL bare##SUFFIX(plan, at);                                  \
            case 1: RETURN CALL with_locals##SUFFIX(plan, at);                           \
            case 2: RETURN CALL base_first##SUFFIX(plan, at);                            \
            case 3: RETURN CALL pointers##SUFFIX(plan, at);                              \
            case 4: RETURN CALL nested##SUFFIX(plan, at);                                \
            case 5: RETURN CALL everything##SUFFIX(plan, at);                            \
            case 6: RETURN 1;                                                            \
            default: throw_error(plan[at] - 7);                                          \
        }                                                                                \
    }
// NOLINTEND(bugprone-macro-parentheses)

constexpr int kinds_of_levels = 6;

LEVELS(Coro<int>, _in_coroutines, co_await, co_return)
LEVELS(int, _in_functions, , return)

/// What is seen of an error outside.
std::string name_of_current() {
    try {
        throw;
    } catch (const std::exception& error) {
        return error.what();
    } catch (const CancelledError& request) {
        return request.message();
    } catch (int number) {
        return std::to_string(number);
    } catch (const Both& both) {
        return "both " + std::to_string(both.left + both.right + both.root + both.both);
    } catch (const Both* both) {
        return both == nullptr ? "null" : "pointer to both " + std::to_string(both->both);
    } catch (const char* text) {
        return text;
    } catch (...) {
        return "something";
    }
}

std::string in_functions(const std::vector<int>& plan) {
    trace.clear();
    try {
        note("result " + std::to_string(level_in_functions(plan, 0)));
    } catch (...) {
        note("ended by " + name_of_current());
    }
    note(std::to_string(std::uncaught_exceptions()));
    return trace;
}

Coro<std::string> in_coroutines(const std::vector<int>& plan) {
    trace.clear();
    try {
        const int number = co_await level_in_coroutines(plan, 0);
        note("result " + std::to_string(number));
    } catch (...) {
        note("ended by " + name_of_current());
    }
    note(std::to_string(std::uncaught_exceptions()));
    co_return trace;
}

std::string written(const std::vector<int>& plan) {
    std::string text = "plan:";
    for (const int step : plan) text += " " + std::to_string(step);
    return text;
}

TEST(Rethrow, every_pair_of_levels_treats_every_error_as_functions_do) {
    run_test([]() -> Coro<> {
        for (int outer = 0; outer < kinds_of_levels; ++outer) {
            for (int inner = 0; inner < kinds_of_levels; ++inner) {
                for (int end = 6; end < 7 + kinds_of_errors; ++end) {
                    const std::vector<int> plan{outer, inner, end};
                    const std::string expected = in_functions(plan);
                    const std::string found = co_await in_coroutines(plan);
                    EXPECT_EQ(found, expected) << written(plan);
                }
            }
        }
    });
}

TEST(Rethrow, random_chains_of_levels_leave_the_trace_of_functions) {
    run_test([]() -> Coro<> {
        std::mt19937 random(1);
        for (int round = 0; round < 2000; ++round) {
            std::vector<int> plan;
            for (unsigned int depth = random() % 8; depth > 0; --depth) {
                plan.push_back(static_cast<int>(random() % kinds_of_levels));
            }
            plan.push_back(static_cast<int>(6 + random() % (1 + kinds_of_errors)));
            const std::string expected = in_functions(plan);
            const std::string found = co_await in_coroutines(plan);
            EXPECT_EQ(found, expected) << written(plan);
        }
    });
}

// --- The error itself ----------------------------------------------------------------------------

/// An error of which is known how many there are.
struct Counted {
    Counted() { ++alive; }
    Counted(const Counted&) { ++alive; }
    Counted& operator=(const Counted&) = default;
    ~Counted() { --alive; }
    static inline int alive = 0;
};

Coro<> throw_counted(int frames, const Counted*& thrown) {
    if (frames > 0) {
        co_await throw_counted(frames - 1, thrown);
        co_return;
    }
    co_await asyncio::sleep(0s);
    try {
        throw Counted();
    } catch (const Counted& counted) {
        thrown = &counted;
        throw;
    }
}

TEST(Rethrow, it_is_one_and_the_same_object_in_all_frames_and_goes_with_the_last_reference) {
    run_test([]() -> Coro<> {
        const Counted* thrown = nullptr;
        std::exception_ptr kept;
        try {
            co_await throw_counted(10, thrown);
        } catch (const Counted& counted) {
            EXPECT_EQ(&counted, thrown);
            EXPECT_EQ(Counted::alive, 1);
            kept = std::current_exception();
        }
        EXPECT_EQ(Counted::alive, 1);
        kept = nullptr;
        EXPECT_EQ(Counted::alive, 0);
    });
}

TEST(Rethrow, an_error_may_be_caught_by_value_and_changed) {
    run_test([]() -> Coro<> {
        const Counted* thrown = nullptr;
        try {
            co_await throw_counted(1, thrown);
        } catch (Counted counted) {  // NOLINT(misc-throw-by-value-catch-by-reference)
            EXPECT_NE(&counted, thrown);
            EXPECT_EQ(Counted::alive, 2);
        }
        EXPECT_EQ(Counted::alive, 0);
    });
}

TEST(Rethrow, many_who_await_one_future_each_get_the_error) {
    run_test([]() -> Coro<> {
        asyncio::Future<int> future = asyncio::get_running_loop().create_future<int>();
        const auto wait = [&]() -> Coro<std::string> {
            try {
                const int value = co_await future;
                co_return std::to_string(value);
            } catch (const std::runtime_error& error) {
                co_return error.what();
            }
        };
        std::vector<Coro<std::string>> waiting;
        for (int i = 0; i < 10; ++i) waiting.push_back(wait());
        auto all = asyncio::ensure_future(asyncio::gather(std::move(waiting)));
        co_await asyncio::sleep(0s);
        future.set_exception(std::make_exception_ptr(std::runtime_error("for all")));
        const std::vector<std::string> said = co_await all;
        EXPECT_EQ(said, std::vector<std::string>(10, "for all"));
    });
}

TEST(Rethrow, threads_may_throw_one_error_at_the_same_time) {
    const std::exception_ptr shared = std::make_exception_ptr(std::runtime_error("shared"));
    const auto pass = [&]() -> Coro<int> {
        const auto end_with_it = [&]() -> Coro<int> {
            co_await asyncio::sleep(0s);
            std::rethrow_exception(shared);
        };
        int caught = 0;
        for (int i = 0; i < 500; ++i) {
            try {
                static_cast<void>(co_await end_with_it());
            } catch (const std::runtime_error& error) {
                caught += std::strcmp(error.what(), "shared") == 0 ? 1 : 0;
            }
        }
        co_return caught;
    };
    std::array<int, 4> caught{};
    std::vector<std::thread> threads;
    for (int& count : caught) threads.emplace_back([&] { count = asyncio::run(pass()); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(caught, (std::array<int, 4>{500, 500, 500, 500}));
}

TEST(Rethrow, outside_a_handler_the_error_leaves_the_function) {
    run_test([]() -> Coro<> {
        asyncio::Future<int> future = asyncio::get_running_loop().create_future<int>();
        future.set_exception(std::make_exception_ptr(std::runtime_error("out")));
        const auto ask = [&]() -> int {
            const Local local("asking");
            return future.result();
        };
        trace.clear();
        EXPECT_THROW(ask(), std::runtime_error);
        EXPECT_EQ(trace, "+asking\n-asking 1\n");
        co_return;
    });
}

}  // namespace
