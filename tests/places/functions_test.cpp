// Goal: every function of the library works wherever it is called, or throws a RuntimeError that
// names it: where no loop runs, and in a callback, which is in no task. It never crashes.
// Method: the table below is the document. Every use runs in a process of its own.

#include <asyncio.h>

#include "places/places.h"

#include <array>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using places::function;
using places::refused;
using places::works;

Coro<int> number() {
    co_await asyncio::sleep(0s);
    co_return 7;
}
Coro<> nothing() { co_return; }
Coro<> limited(Timeout&) { co_return; }
Coro<> grouped(TaskGroup&) { co_return; }
Coro<> stacked(AsyncExitStack&) { co_return; }
Coro<int> doubled(int item) { co_return 2 * item; }
Coro<> take_none(MapResults<int>&) { co_return; }

const std::array<int, 2> items{1, 2};
const std::vector<std::function<Coro<int>()>> ways{number, number};

lowlevel::Fd end_of_a_pipe(int which) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) throw OsError(errno, "pipe");
    ::close(ends[1 - which]);
    return lowlevel::Fd(ends[which]);
}

AsyncGenerator<int> count() {
    co_yield 1;
    co_yield 2;
}

/// A function of the language of the first column, which is called and whose result is dropped.
template <class Function>
auto call(Function function) {
    return [function]() -> Coro<> {
        function();
        co_return;
    };
}

// clang-format off
const std::vector<places::Row> table{
    //                                                                            no loop | callback
    // What waits needs a task.
    function("asyncio::sleep()",
             []() -> Coro<> { co_await asyncio::sleep(1ms); }, refused, refused),
    function("asyncio::sleep()",
             []() -> Coro<> { co_await asyncio::sleep(0s); }, refused, refused),
    function("asyncio::timeout()", []() -> Coro<> { co_await timeout(1s, nothing); },
                                                                               refused, refused),
    function("asyncio::timeout()", []() -> Coro<> { co_await timeout(std::nullopt, limited); },
                                                                               refused, refused),
    function("asyncio::timeout_at()",
             []() -> Coro<> { co_await timeout_at(TimePoint(1s), nothing); },
                                                                               refused, refused),
    function("asyncio::move_on_after()", []() -> Coro<> { co_await move_on_after(1s, nothing); },
                                                                               refused, refused),
    function("asyncio::move_on_at()",
             []() -> Coro<> { co_await move_on_at(TimePoint(1s), nothing); },
                                                                               refused, refused),
    function("asyncio::wait_for()", []() -> Coro<> { co_await wait_for(number(), 1s); },
                                                                               refused, refused),
    function("asyncio::wait_for()", []() -> Coro<> { co_await wait_for(nothing(), std::nullopt); },
                                                                               refused, refused),
    function("asyncio::task_group()", []() -> Coro<> { co_await task_group(grouped); },
                                                                               refused, refused),
    function("asyncio::async_exit_stack()", []() -> Coro<> { co_await async_exit_stack(stacked); },
                                                                               refused, refused),
    function("asyncio::finally_()", []() -> Coro<> { co_await finally_(nothing, nothing); },
                                                                               refused, refused),
    function("asyncio::staggered_race()", []() -> Coro<> { co_await staggered_race(ways, 1ms); },
                                                                               refused, refused),
    function("asyncio::map_concurrent()",
             []() -> Coro<> { co_await map_concurrent(items, doubled); },
                                                                               refused, refused),
    function("asyncio::map_settled()", []() -> Coro<> { co_await map_settled(items, doubled); },
                                                                               refused, refused),
    function("asyncio::map_as_completed()",
             []() -> Coro<> { co_await map_as_completed(items, doubled, take_none); },
                                                                               refused, refused),
    function("asyncio::to_thread()", []() -> Coro<> { co_await to_thread([] { return 1; }); },
                                                                               refused, refused),
    function("asyncio::open_pipe()",
             []() -> Coro<> { co_await open_pipe(); }, refused, refused),
    function("asyncio::create_subprocess_exec()",
             []() -> Coro<> { auto made = co_await create_subprocess_exec("true"); },
                                                                               refused, refused),
    function("asyncio::create_subprocess_shell()",
             []() -> Coro<> { auto made = co_await create_subprocess_shell("true"); },
                                                                               refused, refused),
    function("asyncio::getaddrinfo()",
             []() -> Coro<> { co_await getaddrinfo("127.0.0.1", 80); },
                                                                               refused, refused),
    function("asyncio::getnameinfo()",
             []() -> Coro<> { co_await getnameinfo(Address::any_v4(80)); },
                                                                               refused, refused),
    function("asyncio::open_datagram()",
             []() -> Coro<> { co_await open_datagram({.family = 2}); },
                                                                               refused, works),
    function("asyncio::getaddrinfo()",
             []() -> Coro<> { co_await open_datagram("127.0.0.1", 9); },
                                                                               refused, refused),
    function("lowlevel::perform()",
             []() -> Coro<> { co_await lowlevel::perform({.fd = 1, .events = 4}); },
                                                                               refused, refused),
    function("AsyncGenerator::next()", []() -> Coro<> {
                 auto generator = count();
                 co_await generator.next();
             },
                                                                               refused, refused),
    function("asyncio::wait()", []() -> Coro<> {
                 std::vector<Task<int>> tasks;
                 if (current_task()) tasks.push_back(create_task(number()));
                 if (tasks.empty()) tasks.emplace_back();
                 co_await wait(std::move(tasks));
             },
                                                                               refused, refused),

    // What starts something, or asks about the loop, needs a loop.
    function("asyncio::create_task()", call([] { create_task(number()); }),        refused, works),
    function("asyncio::create_task()", call([] { create_task(nothing, {.eager_start = true}); }),
                                                                               refused, works),
    function("asyncio::ensure_future()", call([] { ensure_future(number()); }),    refused, works),
    function("asyncio::gather()", call([] { gather(number(), number()); }),        refused, works),
    function("asyncio::gather()", call([] { gather(std::vector<Task<int>>()); }),  refused, works),
    function("asyncio::gather_settled()", call([] { gather_settled(number()); }),  refused, works),
    function("asyncio::as_completed()",
             call([] { as_completed(std::vector<Task<int>>()); }),                 refused, works),
    function("asyncio::all_tasks()", call([] { all_tasks(); }),                    refused, works),
    function("asyncio::get_running_loop()", call([] { get_running_loop(); }),      refused, works),
    function("asyncio::open_stdin()",
             call([] { open_stdin(); }),                                           refused, works),
    function("asyncio::open_stdout()",
             call([] { open_stdout(); }),                                          refused, works),
    function("asyncio::open_stderr()",
             call([] { open_stderr(); }),                                          refused, works),
    function("asyncio::connect_read_pipe()",
             call([] { connect_read_pipe(end_of_a_pipe(0)); }),                    refused, works),
    function("asyncio::connect_write_pipe()",
             call([] { connect_write_pipe(end_of_a_pipe(1)); }),                   refused, works),
    function("asyncio::on_signal()", call([] { auto made = on_signal(SIGURG, [] {}); }),
                                                                               refused, works),
    function("SignalStream::SignalStream()", call([] { const SignalStream made({SIGURG}); }),
                                                                               refused, works),
    function("asyncio::wrap_future()", call([] {
                 ThreadPromise<int> promise;
                 wrap_future(promise.future()).cancel();
             }),                                                                   refused, works),

    // A program's entry needs that no loop runs.
    function("asyncio::run()",
             call([] { run(number()); }), works, refused, refused),
    function("asyncio::run()",
             call([] { Runner().run(number()); }), works, refused, refused),

    // The rest asks for nothing.
    function("asyncio::current_task()", call([] { current_task(); }),              works, works),
    function("a Coro", []() -> Coro<> { co_await nothing(); },                     works, works),
    function("a Coro that is dropped", call([] { const auto dropped = number(); }), works, works),
    function("AsyncGenerator, dropped", call([] { const auto dropped = count(); }), works, works),
    function("asyncio::copy_context()", call([] { copy_context().run([] {}); }),   works, works),
    function("ContextVar", call([] {
                 static const ContextVar<int> variable("variable", 1);
                 auto token = variable.set(2);
                 if (variable.get() != 2) throw std::logic_error("not set");
                 variable.reset(token);
             }),                                                                   works, works),
    function("ThreadPromise and ThreadFuture", call([] {
                 ThreadPromise<int> promise;
                 auto future = promise.future();
                 promise.set_result(1);
                 future.get();
             }),                                                                   works, works),
    function("ThreadPoolExecutor", call([] {
                 ThreadPoolExecutor pool({.max_workers = 1});
                 pool.shutdown();
             }),                                                                   works, works),
    function("ThreadQueue", call([] {
                 ThreadQueue<int> queue;
                 queue.put_blocking(1);
                 queue.get_blocking();
             }),                                                                   works, works),
    function("asyncio::set_log_sink()", call([] { set_log_sink(set_log_sink(nullptr)); }),
                                                                               works, works),
    function("asyncio::describe()", call([] { describe(nullptr); }),               works, works),
    function("EventLoop, made and closed", call([] { EventLoop().close(); }),      works, works),
    function("Runner, made and closed", call([] { Runner().close(); }),            works, works),
};
// clang-format on

TEST(places, every_function_works_or_refuses_by_its_name) {
    for (const places::Row& row : table) {
        for (std::size_t place = 0; place < places::every_place.size(); ++place) {
            const auto where = places::every_place[place];
            // The three in which a task of a second loop runs are the same to a function.
            if (where == places::Place::other_loop || where == places::Place::gone) continue;
            const std::string end = places::use_in(row, where);
            EXPECT_TRUE(places::is_as_expected(end, row, row.ends[place]))
                << row.entry << ", " << places::name_of(where) << ": " << end;
        }
    }
}

}  // namespace
