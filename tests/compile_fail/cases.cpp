// Programs that must not compile, one for each number given as CASE; 0 is the one that must, which
// shows that the others fail for their own reason. Run by check.sh.
//
// EXPECT lines name what the compiler must say, and on which compilers the case is refused.

#include <asyncio.h>

#include <string>

using namespace asyncio;
using namespace std::chrono_literals;

Coro<int> number() { co_return 1; }

Coro<> program() {
    std::string text = "a captured value with a destructor";
#if CASE == 0
    co_await timeout(1s, [&]() -> Coro<> { co_return; });
    co_await task_group([&](TaskGroup&) -> Coro<> { co_return; });
    Coro<int> made = number();
    co_await std::move(made);
#elif CASE == 1   // EXPECT g++: capture by reference
    co_await timeout(1s, [text]() -> Coro<> { co_return; });
#elif CASE == 2   // EXPECT g++: capture by reference
    co_await task_group([text](TaskGroup&) -> Coro<> { co_return; });
#elif CASE == 3   // EXPECT any: the body must be a coroutine
    co_await timeout(1s, [&] { return 1; });
#elif CASE == 4   // EXPECT any: error
    Coro<int> made = number();
    co_await made;
#elif CASE == 5   // EXPECT any: no matching function
    Coro<int> made = number();
    co_await gather(made);
#elif CASE == 6   // EXPECT any: error
    co_await shield(number());
#elif CASE == 7   // EXPECT any: error
    Task<int> task = create_task(number());
    task.set_result(1);
#elif CASE == 8   // EXPECT any: error
    Coro<int> made = number();
    Coro<int> copy = made;
#elif CASE == 9   // EXPECT any: error
    co_await 1;
#elif CASE == 10  // EXPECT any: error
    const auto dangling = []() -> Coro<int&> { co_return 1; };
    co_await dangling();
#endif
    co_return;
}
