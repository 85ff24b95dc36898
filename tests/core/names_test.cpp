// The names of the library's functions are ordinary words: run, gather, wait, timeout, sleep. A
// program may have functions of its own with these names and give them a coroutine or a task. These
// tests do that, in a namespace that takes no names from the library. A call must reach the
// program's function, although the type of the argument belongs to the library.
//
// Method: each function of the program takes anything. A function of the library that was found by
// the type of the argument would make the call ambiguous, or be the better match.

#include <asyncio/as_completed.h>
#include <asyncio/coro.h>
#include <asyncio/executor.h>
#include <asyncio/finally.h>
#include <asyncio/gather.h>
#include <asyncio/map_concurrent.h>
#include <asyncio/run.h>
#include <asyncio/shield.h>
#include <asyncio/sleep.h>
#include <asyncio/staggered_race.h>
#include <asyncio/task.h>
#include <asyncio/task_group.h>
#include <asyncio/timeout.h>
#include <asyncio/wait.h>

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace program {
namespace {

asyncio::Coro<int> answer() { co_return 42; }

template <class... Given>
std::string run(Given&&...) {
    return "the program's run";
}
template <class... Given>
std::string gather(Given&&...) {
    return "the program's gather";
}
template <class... Given>
std::string wait(Given&&...) {
    return "the program's wait";
}
template <class... Given>
std::string wait_for(Given&&...) {
    return "the program's wait_for";
}
template <class... Given>
std::string timeout(Given&&...) {
    return "the program's timeout";
}
template <class... Given>
std::string sleep(Given&&...) {
    return "the program's sleep";
}
template <class... Given>
std::string shield(Given&&...) {
    return "the program's shield";
}
template <class... Given>
std::string create_task(Given&&...) {
    return "the program's create_task";
}
template <class... Given>
std::string ensure_future(Given&&...) {
    return "the program's ensure_future";
}
template <class... Given>
std::string as_completed(Given&&...) {
    return "the program's as_completed";
}
template <class... Given>
std::string task_group(Given&&...) {
    return "the program's task_group";
}
template <class... Given>
std::string to_thread(Given&&...) {
    return "the program's to_thread";
}

/// In a template, where a name that depends on the type is looked up once more when the type is
/// known.
template <class Given>
std::string gather_of_a_template(Given&& given) {
    return gather(std::forward<Given>(given));
}

TEST(names, a_coroutine_given_to_a_function_of_the_program_reaches_it) {
    EXPECT_EQ(run(answer()), "the program's run");
    EXPECT_EQ(gather(answer()), "the program's gather");
    EXPECT_EQ(gather(answer(), answer()), "the program's gather");
    EXPECT_EQ(gather_of_a_template(answer()), "the program's gather");
    EXPECT_EQ(wait_for(answer(), asyncio::Delay()), "the program's wait_for");
    EXPECT_EQ(timeout(asyncio::Delay(), answer()), "the program's timeout");
    EXPECT_EQ(sleep(asyncio::Delay()), "the program's sleep");
    EXPECT_EQ(create_task(answer()), "the program's create_task");
    EXPECT_EQ(ensure_future(answer()), "the program's ensure_future");
    EXPECT_EQ(as_completed(answer(), answer()), "the program's as_completed");
    EXPECT_EQ(task_group(answer()), "the program's task_group");
    EXPECT_EQ(to_thread(answer()), "the program's to_thread");
}

TEST(names, a_task_given_to_a_function_of_the_program_reaches_it) {
    asyncio::run([]() -> asyncio::Coro<> {
        const asyncio::Task<int> task = asyncio::create_task(answer());
        EXPECT_EQ(wait(task), "the program's wait");
        EXPECT_EQ(shield(task), "the program's shield");
        EXPECT_EQ(gather(task), "the program's gather");
        EXPECT_EQ(co_await task, 42);
    });
}

}  // namespace
}  // namespace program

namespace program_with_declarations {
namespace {

using asyncio::gather;
using asyncio::run;

struct Options {};
std::string run(Options) { return "the program's run"; }
std::string gather(int) { return "the program's gather"; }

TEST(names, after_a_using_declaration_both_functions_of_one_name_can_be_called) {
    EXPECT_EQ(run(Options()), "the program's run");
    EXPECT_EQ(gather(1), "the program's gather");
    EXPECT_EQ(run(program::answer()), 42);
}

}  // namespace
}  // namespace program_with_declarations
