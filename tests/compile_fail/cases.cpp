// Programs that must not compile, one for each number given as CASE; 0 is the one that must, which
// shows that the others fail for their own reason. Run by check.sh.
//
// EXPECT lines name what the compiler must say, and on which compilers the case is refused.

#include <asyncio.h>

#include <string>
#include <vector>

#include <unistd.h>

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
    // CPP_11: a limit takes no closure that g++ 12 would destroy twice
    co_await timeout(1s, [text]() -> Coro<> { co_return; });
#elif CASE == 2   // EXPECT g++: capture by reference
    // CPP_11: nor does a group
    co_await task_group([text](TaskGroup&) -> Coro<> { co_return; });
#elif CASE == 3   // EXPECT any: the body must be a coroutine
    co_await timeout(1s, [&] { return 1; });
#elif CASE == 4   // EXPECT any: a Coro can be awaited only once: co_await std::move(coro)
    // TASK_10: a coroutine that stays with the caller is not awaited
    Coro<int> made = number();
    co_await made;
#elif CASE == 5   // EXPECT any: a Coro can be awaited only once
    // TASK_10: nor gathered
    Coro<int> made = number();
    co_await gather(made);
#elif CASE == 6   // EXPECT any: error
    // GATH_24: a shield takes no coroutine
    co_await shield(number());
#elif CASE == 7   // EXPECT any: error
    // TASK_09: the result of a task cannot be set
    Task<int> task = create_task(number());
    task.set_result(1);
#elif CASE == 8   // EXPECT any: error
    Coro<int> made = number();
    Coro<int> copy = made;
#elif CASE == 9   // EXPECT any: this cannot be awaited
    // RUN_03: a number cannot be awaited
    co_await 1;
#elif CASE == 10  // EXPECT any: error
    const auto dangling = []() -> Coro<int&> { co_return 1; };
    co_await dangling();
#elif CASE == 11  // EXPECT any: error
    // GATH_25: a number among the parts of a gather
    co_await gather(number(), 1);
#elif CASE == 12  // EXPECT any: error
    // RUN_03: a number is no main
    run(1);
#elif CASE == 13  // EXPECT any: error
    // TASK_09: nor can its error be set
    Task<int> task = create_task(number());
    task.set_exception(std::exception_ptr());
#elif CASE == 73  // EXPECT clang: temporary whose address is used as value of local variable
    // the wait of an event that is gone at the end of the line
    auto wait = Event().wait();
    co_await wait;
#elif CASE == 74  // EXPECT clang: temporary whose address is used as value of local variable
    // and the item of a queue that is gone
    auto item = Queue<int>().get();
    co_await item;
#endif
    co_return;
}

Coro<> callables() {
    std::string text = "a captured value with a destructor";
#if CASE == 0
    const auto named = [text]() -> Coro<> { co_return; };
    co_await create_task(named);
    co_await create_task([&]() -> Coro<> { co_return; });
#elif CASE == 20  // EXPECT g++: capture by reference
    // CPP_11: nor a task
    co_await create_task([text]() -> Coro<> { co_return; });
#elif CASE == 21  // EXPECT g++: capture by reference
    // CPP_11: nor a task of a group
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task([text]() -> Coro<> { co_return; });
        co_return;
    });
#elif CASE == 22  // EXPECT g++: capture by reference
    // CPP_11: nor one that is started
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        co_await group.start([text](TaskStatus<>) -> Coro<> { co_return; });
    });
#elif CASE == 23  // EXPECT g++: capture by reference
    // CPP_11: nor a scope that moves on
    co_await move_on_after(1s, [text]() -> Coro<> { co_return; });
#elif CASE == 24  // EXPECT g++: capture by reference
    // CPP_11: nor a cleanup
    co_await finally_([&]() -> Coro<> { co_return; }, [text]() -> Coro<> { co_return; });
#elif CASE == 25  // EXPECT g++: capture by reference
    // CPP_11: nor a stack
    co_await async_exit_stack([text](AsyncExitStack&) -> Coro<> { co_return; });
#elif CASE == 26  // EXPECT g++: give it a constructor
    // CPP_11: nor does a stack take an aggregate that would be
    struct Manager {
        std::string text;
        Coro<> aenter() { co_return; }
        Coro<> aexit(std::exception_ptr) { co_return; }
    };
    co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
        co_await stack.enter_async_context(Manager{text});
    });
#elif CASE == 28  // EXPECT g++: capture by reference
    // CPP_11: nor a mapping
    co_await map_concurrent(text, [text](char) -> Coro<> { co_return; });
#elif CASE == 29  // EXPECT g++: capture by reference
    // CPP_11: nor its body
    const auto item = [](char) -> Coro<> { co_return; };
    co_await map_as_completed(text, item, [text](MapResults<void>&) -> Coro<> { co_return; });
#elif CASE == 27  // EXPECT any: error
    create_task([&] { return 1; });
#endif
    co_return;
}

// A scope that is made by hand has nobody who sees to its end.
Coro<> by_hand() {
    const std::vector<int> items{1};
    const auto item = [](int) -> Coro<> { co_return; };
#if CASE == 0
    co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
        AsyncExitStack later = stack.pop_all();
        co_await later.aclose();
    });
    co_await map_as_completed(items, item, [&](MapResults<void>&) -> Coro<> { co_return; });
#elif CASE == 50  // EXPECT any: private
    // CPP_10: a group is made by task_group alone
    TaskGroup group;
#elif CASE == 51  // EXPECT any: private
    // CPP_10: a stack by async_exit_stack
    AsyncExitStack stack;
#elif CASE == 52  // EXPECT any: error
    // CPP_10: a limit by the scopes with a limit
    Timeout limit(std::nullopt);
#elif CASE == 53  // EXPECT any: private
    co_await task_group([&](TaskGroup& group) -> Coro<> { co_await group.finish(); });
#elif CASE == 54  // EXPECT any: private
    co_await timeout(1s, [&](Timeout& limit) -> Coro<> {
        limit.leave_and_decide(false);
        co_return;
    });
#elif CASE == 55  // EXPECT any: error
    TaskStatus<> status(nullptr);
#elif CASE == 56  // EXPECT any: private
    co_await map_as_completed(items, item, [&](MapResults<void>& results) -> Coro<> {
        MapResults<void> again(results.map_, results.outcomes_);
        co_return;
    });
#elif CASE == 57  // EXPECT any: error
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        TaskGroup copy = group;
        co_return;
    });
#elif CASE == 58  // EXPECT any: error
    co_await timeout(1s, [&](Timeout& limit) -> Coro<> {
        Timeout copy = limit;
        co_return;
    });
#endif
    co_return;
}

struct Changed {
    int number;
};

Coro<> threads() {
    std::string text = "a captured value with a destructor";
    EventLoop& loop = get_running_loop();
    ProcessPoolExecutor processes;
#if CASE == 0
    const auto named = [text] { return text.size(); };
    co_await to_thread(named);
    co_await to_thread([&] { return text.size(); });
    co_await loop.run_in_executor(nullptr, [&] { return text.size(); });
    co_await to_thread([](std::string given) { return given.size(); }, text);
    co_await loop.run_in_executor(processes, [](int given) { return given; }, 1);
#elif CASE == 40  // EXPECT g++: capture by reference
    // CPP_11: to_thread takes no closure that g++ 12 would destroy twice
    co_await to_thread([text] { return text.size(); });
#elif CASE == 41  // EXPECT g++: capture by reference
    // CPP_11: nor does run_in_executor
    co_await loop.run_in_executor(nullptr, [text] { return text.size(); });
#elif CASE == 42  // EXPECT any: this is not an executor
    // EXE_05: a number is no executor
    co_await loop.run_in_executor(text, number);
#elif CASE == 43  // EXPECT any: no
    // EXE_05: processes are no default executor
    loop.set_default_executor(std::make_shared<ProcessPoolExecutor>());
#elif CASE == 44  // EXPECT any: wrap an argument that it takes by
    co_await to_thread([](std::string& given) { given.clear(); }, text);
#elif CASE == 45  // EXPECT any: another process cannot call this
    co_await loop.run_in_executor(processes, [&] { return text.size(); });
#elif CASE == 46  // EXPECT any: no asyncio::Serializer
    co_await loop.run_in_executor(processes, [](Changed given) { return given.number; }, Changed{});
#elif CASE == 47  // EXPECT any: changes an argument
    co_await loop.run_in_executor(processes, [](std::string& given) { given.clear(); }, text);
#elif CASE == 48  // EXPECT any: pass it with std::move
    Coro<int> made = number();
    run_coroutine_threadsafe(made, loop).get();
#elif CASE == 49  // EXPECT g++: give it a constructor
    // CPP_11: nor an argument that would be
    struct Aggregate {
        std::string text;
    };
    co_await to_thread([](Aggregate given) { return given.text.size(); }, Aggregate{text});
#endif
    co_return;
}

Coro<> times() {
    EventLoop& loop = get_running_loop();
    const auto body = []() -> Coro<> { co_return; };
#if CASE == 0
    co_await asyncio::sleep(0.5s);
    co_await timeout(0.5s, body);
    co_await timeout_at(loop.time() + 0.5s, body);
    loop.call_later(std::chrono::duration<float>(1), [] {});
#elif CASE == 60  // EXPECT any: a time needs a unit: sleep(1s)
    // This is not the sleep of the system, which would stop the loop.
    sleep(1);
#elif CASE == 61  // EXPECT any: a time needs a unit: sleep(1s)
    sleep(1u);
#elif CASE == 62  // EXPECT any: a time needs a unit: sleep(1s)
    co_await sleep(0.5);
#elif CASE == 63  // EXPECT any: a time needs a unit: sleep(1s)
    co_await asyncio::sleep(1u);
#elif CASE == 64  // EXPECT any: a time needs a unit: sleep(1s)
    co_await timeout(5, body);
#elif CASE == 65  // EXPECT any: a time needs a unit: sleep(1s)
    co_await wait_for(body(), 2.5);
#elif CASE == 66  // EXPECT any: a time needs a unit: sleep(1s)
    const WaitOptions options{.timeout = 5};
#elif CASE == 67  // EXPECT any: a time needs a unit: sleep(1s)
    const MapOptions options{.retry_delay = 1};
#elif CASE == 68  // EXPECT any: a time needs a unit: sleep(1s)
    loop.call_later(1, [] {});
#elif CASE == 69  // EXPECT any: a time needs a unit: loop.time() + 1s
    co_await timeout_at(5, body);
#elif CASE == 70  // EXPECT any: a deadline must be a point in time: loop.time() + 1s
    loop.call_at(5s, [] {});
#elif CASE == 71  // EXPECT any: a deadline must be a time of the loop's clock: loop.time() + 1s
    co_await timeout_at(std::chrono::system_clock::now() + 1s, body);
#elif CASE == 72  // EXPECT any: a time needs a unit: sleep(1s)
    const unsigned long seconds = 3;
    sleep(seconds);
#endif
    co_return;
}

#if CASE == 80  // EXPECT any: handler
Coro<> handler() {
    try {
        co_await number();
    } catch (...) {
        co_await number();
    }
}
#elif CASE == 81  // EXPECT any: return_value
Coro<> returns_a_value() { co_return 1; }
#elif CASE == 82  // EXPECT any: coroutine
int no_coroutine() {
    co_await number();
    return 1;
}
#endif
