// Goal: what is a coroutine, a coroutine function, a future: the compiler knows.
// Method: every kind of thing is asked, in a constant expression.

#include <asyncio.h>

#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::iscoroutine;
using asyncio::iscoroutinefunction;
using asyncio::isfuture;

Coro<int> number(int value) { co_return value; }
int plain(int value) { return value; }
Coro<> quiet() noexcept { co_return; }

struct Callable {
    Coro<> operator()(std::string) { co_return; }
};
struct Overloaded {
    Coro<> operator()(int) { co_return; }
    int operator()(std::string) { return 1; }
};

static_assert(iscoroutinefunction(number));
static_assert(iscoroutinefunction(&number));
static_assert(iscoroutinefunction(quiet));
static_assert(!iscoroutinefunction(plain));
static_assert(!iscoroutinefunction(1));
static_assert(iscoroutinefunction([](int) -> Coro<> { co_return; }));
static_assert(iscoroutinefunction([]() mutable noexcept -> Coro<> { co_return; }));
static_assert(!iscoroutinefunction([] { return 1; }));
static_assert(!iscoroutinefunction([](auto) -> Coro<> { co_return; }), "a template for one");
static_assert(iscoroutinefunction(Callable()));
static_assert(!iscoroutinefunction(Overloaded()));
static_assert(!iscoroutine(number), "a function is none, what it returns is");
static_assert(!isfuture(number));
static_assert(!isfuture(1));

TEST(inspect, knows_coroutines_and_futures) {
    asyncio::EventLoop loop;
    const std::function<Coro<int>(int)> wrapped = number;
    EXPECT_TRUE(iscoroutinefunction(wrapped));
    const Coro<int> coroutine = number(1);
    static_assert(iscoroutine(coroutine));
    static_assert(!isfuture(coroutine));
    static_assert(!iscoroutinefunction(coroutine));
    const asyncio::Future<int> future(loop);
    static_assert(isfuture(future));
    static_assert(!iscoroutine(future));
    const asyncio::Task<> task;
    static_assert(isfuture(task));
    const asyncio::TaskRef reference;
    static_assert(isfuture(reference));
}

}  // namespace
