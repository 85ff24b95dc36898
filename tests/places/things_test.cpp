// Goal: everything that belongs to a loop works wherever it is used, or throws a RuntimeError that
// names what was called: without a loop, in another one, when its own is closed or gone, and in a
// callback. It never crashes, and nobody waits for what cannot come.
// Method: the tables below are the document. Each thing is made and used in one loop first. Every
// use runs in a process of its own.

#include <asyncio.h>

#include "places/places.h"

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using places::call;
using places::expect_in_table;
using places::Made;
using places::not_asked;
using places::refused;
using places::refused_as;
using places::thing;
using places::throws;
using places::works;

template <class Waiting>
Coro<> await_in_task(Waiting waiting) {
    co_await waiting();
}

// --- The things, each of which has been waited for once in the first loop ------------------------

Made<Event> event() {
    auto made = std::make_shared<Event>();
    const auto waiting = [&] { return made->wait(); };
    auto waiter = create_task(await_in_task(waiting));
    co_await asyncio::sleep(0s);
    made->set();
    co_await waiter;
    made->clear();
    co_return made;
}

Made<Event> set_event() {
    auto made = co_await event();
    made->set();
    co_return made;
}

template <class Source>
Made<Source> taken() {
    auto made = std::make_shared<Source>();
    auto held = co_await made->acquire();
    const auto waiting = [&]() -> Coro<> {
        auto second = co_await made->acquire();
        second.keep();
    };
    auto waiter = create_task(waiting());
    co_await asyncio::sleep(0s);
    held.release();
    co_await waiter;
    co_return made;
}

template <class Source>
Made<Source> untaken() {
    auto made = co_await taken<Source>();
    made->release();
    co_return made;
}

Made<Condition> condition() {
    auto made = std::make_shared<Condition>();
    const auto waiting = [&]() -> Coro<> {
        const auto held = co_await made->acquire();
        co_await made->wait();
    };
    auto waiter = create_task(waiting());
    co_await asyncio::sleep(0s);
    auto held = co_await made->acquire();
    made->notify();
    held.release();
    co_await waiter;
    auto kept = co_await made->acquire();
    kept.keep();
    co_return made;
}

Made<Barrier> barrier() {
    auto made = std::make_shared<Barrier>(2);
    const auto waiting = [&] { return made->wait(); };
    auto first = create_task(await_in_task(waiting));
    auto second = create_task(await_in_task(waiting));
    co_await first;
    co_await second;
    co_return made;
}

template <class Kind>
Made<Kind> empty_queue() {
    auto made = std::make_shared<Kind>(1);
    const auto getting = [&] { return made->get(); };
    auto getter = create_task(await_in_task(getting));
    co_await asyncio::sleep(0s);
    made->put_nowait(1);
    co_await getter;
    made->task_done();
    co_return made;
}

template <class Kind>
Made<Kind> full_queue() {
    auto made = co_await empty_queue<Kind>();
    made->put_nowait(1);
    const auto putting = [&] { return made->put(2); };
    auto putter = create_task(await_in_task(putting));
    const auto joining = [&] { return made->join(); };
    auto joiner = create_task(await_in_task(joining));
    co_await asyncio::sleep(0s);
    made->get_nowait();
    made->task_done();
    co_await putter;
    made->get_nowait();
    made->task_done();
    co_await joiner;
    made->put_nowait(3);
    co_return made;
}

Made<ThreadQueue<int>> thread_queue() {
    auto made = std::make_shared<ThreadQueue<int>>(1);
    const auto getting = [&] { return made->get(); };
    auto getter = create_task(await_in_task(getting));
    co_await asyncio::sleep(0s);
    made->try_put(1);
    co_await getter;
    co_return made;
}

/// Puts something soon, if there is a loop that could wait for it.
void put_soon(ThreadQueue<int>& queue) {
    if (current_task()) get_running_loop().call_soon([&queue] { queue.try_put(1); });
}

Made<AsyncGenerator<int>> generator() {
    const auto count = []() -> AsyncGenerator<int> {
        for (int number = 1;; ++number) co_yield number;
    };
    auto made = std::make_shared<AsyncGenerator<int>>(count());
    co_await made->next();
    co_return made;
}

Made<Pipe> silent_pipe() {
    auto made = std::make_shared<Pipe>(co_await open_pipe({.name = "a pipe"}));
    co_await made->writer.send("x");
    co_await made->reader.read(1);
    co_return made;
}

/// Nobody reads what is written.
Made<Pipe> full_pipe() {
    auto made = co_await silent_pipe();
    made->writer.write(std::string(1 << 20, 'x'));
    co_return made;
}

Made<Process> sleeper() {
    auto made = std::make_shared<Process>(co_await create_subprocess_exec(
        "sleep", "30", SubprocessOptions{.stdin = PIPE, .stdout = PIPE}));
    co_return made;
}

Made<Process> ended_process() {
    auto made = std::make_shared<Process>(
        co_await create_subprocess_exec("true", SubprocessOptions{.stdout = PIPE}));
    co_await made->wait();
    co_return made;
}

Made<EventLoop*> own_loop() { co_return std::make_shared<EventLoop*>(&get_running_loop()); }

Made<AsyncExitStack> popped_stack() {
    std::shared_ptr<AsyncExitStack> made;
    co_await async_exit_stack([&](AsyncExitStack& stack) -> Coro<> {
        stack.callback([] {});
        made = std::make_shared<AsyncExitStack>(stack.pop_all());
        co_return;
    });
    co_return made;
}

/// A group whose body waits for ever.
Made<TaskGroup*> open_group() {
    auto made = std::make_shared<TaskGroup*>(nullptr);
    const auto body = [made](TaskGroup& group) -> Coro<> {
        *made = &group;
        co_await asyncio::sleep(1h);
    };
    create_task(task_group(body));
    co_await asyncio::sleep(0s);
    co_return made;
}

Made<Timeout*> open_limit() {
    auto made = std::make_shared<Timeout*>(nullptr);
    const auto body = [made](Timeout& limit) -> Coro<> {
        *made = &limit;
        co_await asyncio::sleep(1h);
    };
    create_task(timeout(1h, body));
    co_await asyncio::sleep(0s);
    co_return made;
}

using Iteration = AsCompleted<Task<>>;

Made<Iteration> iteration() {
    const auto forever = []() -> Coro<> { co_await asyncio::sleep(1h); };
    std::vector<Task<>> tasks;
    tasks.push_back(create_task(forever()));
    auto made = std::make_shared<Iteration>(as_completed(std::move(tasks)));
    co_return made;
}

Made<Future<int>> set_future() {
    auto made = std::make_shared<Future<int>>(get_running_loop().create_future<int>());
    made->set_result(1);
    co_return made;
}

Made<Future<int>> pending_future() {
    auto made = std::make_shared<Future<int>>(get_running_loop().create_future<int>());
    co_return made;
}

Made<Task<int>> done_task() {
    const auto seven = []() -> Coro<int> { co_return 7; };
    auto made = std::make_shared<Task<int>>(create_task(seven()));
    co_await *made;
    co_return made;
}

Made<Task<>> waiting_task() {
    const auto forever = []() -> Coro<> { co_await asyncio::sleep(1h); };
    auto made = std::make_shared<Task<>>(create_task(forever()));
    co_await asyncio::sleep(0s);
    co_return made;
}

Made<TimerHandle> timer() {
    co_return std::make_shared<TimerHandle>(get_running_loop().call_later(1h, [] {}));
}

Made<Context> context() { co_return std::make_shared<Context>(copy_context()); }

Made<Coro<int>> fresh_coroutine() {
    const auto seven = []() -> Coro<int> { co_return 7; };
    co_return std::make_shared<Coro<int>>(seven());
}

using asyncio::sleep;

// clang-format off
//                       no loop     another     closed      gone        callback
const std::vector<places::Row> locks_and_queues{
    thing("Event::wait()", event, [](Event& it) -> Coro<> { co_await it.wait(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Event::wait(), set", set_event, [](Event& it) -> Coro<> { co_await it.wait(); },
                        {works,      works,      works,      works,      works}),
    thing("Event::set(), clear() and is_set()", event, call<Event>([](Event& it) {
              it.set();
              it.clear();
              it.is_set();
          }),           {works,      works,      works,      works,      works}),
    thing("Lock::acquire()", taken<Lock>,
          [](Lock& it) -> Coro<> { auto held = co_await it.acquire(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Lock::acquire(), free", untaken<Lock>,
          [](Lock& it) -> Coro<> { auto held = co_await it.acquire(); },
                        {works,      works,      works,      works,      works}),
    thing("Lock::release() and locked()", taken<Lock>, call<Lock>([](Lock& it) {
              if (it.locked()) it.release();
          }),           {works,      works,      works,      works,      works}),
    thing("Semaphore::acquire()", taken<Semaphore>,
          [](Semaphore& it) -> Coro<> { auto held = co_await it.acquire(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Semaphore::acquire(), free", untaken<Semaphore>,
          [](Semaphore& it) -> Coro<> { auto held = co_await it.acquire(); },
                        {works,      works,      works,      works,      works}),
    thing("Semaphore::release()", taken<Semaphore>,
          call<Semaphore>([](Semaphore& it) { it.release(); }),
                        {works,      works,      works,      works,      works}),
    thing("Semaphore::acquire()", taken<BoundedSemaphore>,
          [](BoundedSemaphore& it) -> Coro<> { auto held = co_await it.acquire(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Condition::wait()", condition, [](Condition& it) -> Coro<> { co_await it.wait(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("wait_for()", condition,
          [](Condition& it) -> Coro<> { co_await it.wait_for([] { return false; }); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Condition::wait_for(), true", condition,
          [](Condition& it) -> Coro<> { co_await it.wait_for([] { return true; }); },
                        {works,      works,      works,      works,      works}),
    thing("Condition::notify() and notify_all()", condition, call<Condition>([](Condition& it) {
              it.notify();
              it.notify_all();
              it.release();
          }),           {works,      works,      works,      works,      works}),
    thing("Barrier::wait()", barrier, [](Barrier& it) -> Coro<> { co_await it.wait(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Barrier::reset() and abort()", barrier, call<Barrier>([](Barrier& it) {
              it.reset();
              it.abort();
              it.n_waiting();
          }),           {works,      works,      works,      works,      works}),
    thing("Queue::get()", empty_queue<Queue<int>>,
          [](Queue<int>& it) -> Coro<> { co_await it.get(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("next()", empty_queue<Queue<int>>, [](Queue<int>& it) -> Coro<> { co_await it.next(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Queue::get()", empty_queue<LifoQueue<int>>,
          [](LifoQueue<int>& it) -> Coro<> { co_await it.get(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Queue::get()", empty_queue<PriorityQueue<int>>,
          [](PriorityQueue<int>& it) -> Coro<> { co_await it.get(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Queue::put()", full_queue<Queue<int>>,
          [](Queue<int>& it) -> Coro<> { co_await it.put(1); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Queue::join()", full_queue<Queue<int>>,
          [](Queue<int>& it) -> Coro<> { co_await it.join(); },
                        {refused,    refused,    refused,    refused,    refused}),
    thing("Queue::get(), put() and join() without a wait", full_queue<Queue<int>>,
          [](Queue<int>& it) -> Coro<> {
              co_await it.get();
              co_await it.put(2);
              it.get_nowait();
              it.task_done();
              it.task_done();
              co_await it.join();
              it.shutdown();
          },            {works,      works,      works,      works,      works}),
    thing("ThreadQueue::get()", thread_queue, [](ThreadQueue<int>& it) -> Coro<> {
              put_soon(it);
              co_await it.get();
          },            {refused,    works,      works,      works,      refused}),
    thing("ThreadQueue::try_put() and try_get()", thread_queue, call<ThreadQueue<int>>(
              [](ThreadQueue<int>& it) {
                  it.try_put(1);
                  it.try_get();
                  it.shutdown();
              }),       {works,      works,      works,      works,      works}),
};

const std::vector<places::Row> streams_and_processes{
    thing("StreamReader", silent_pipe, [](Pipe& it) -> Coro<> { co_await it.reader.read(1); },
                        {refused,    refused,    works,      works,      refused}),
    thing("StreamReader", silent_pipe, [](Pipe& it) -> Coro<> { co_await it.reader.readline(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("StreamReader", silent_pipe, [](Pipe& it) -> Coro<> { co_await it.reader.read(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("StreamReader::take_buffered(), at_eof() and close()", silent_pipe,
          call<Pipe>([](Pipe& it) {
              it.reader.take_buffered();
              it.reader.at_eof();
              it.reader.close();
          }),           {works,      works,      works,      works,      works}),
    thing("StreamWriter::drain()", full_pipe,
          [](Pipe& it) -> Coro<> { co_await it.writer.drain(); },
                        {refused,    refused,    throws("a pipe"), throws("a pipe"), refused}),
    thing("send()", full_pipe, [](Pipe& it) -> Coro<> { co_await it.writer.send("x"); },
                        {refused,    refused,    throws("a pipe"), throws("a pipe"), refused}),
    thing("wait_closed()", full_pipe, [](Pipe& it) -> Coro<> {
              it.writer.close();
              co_await it.writer.wait_closed();
          },            {refused,    refused,    works,      works,      refused}),
    thing("StreamWriter::write(), close() and abort()", full_pipe, call<Pipe>([](Pipe& it) {
              it.writer.write("x");
              it.writer.is_closing();
              it.writer.close();
              it.writer.abort();
          }),           {works,      works,      works,      works,      works}),
    thing("Process::wait()", sleeper, [](Process& it) -> Coro<> { co_await it.wait(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("Process::communicate()", sleeper,
          [](Process& it) -> Coro<> { co_await it.communicate(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("Process::wait(), ended", ended_process,
          [](Process& it) -> Coro<> { co_await it.wait(); },
                        {works,      works,      works,      works,      works}),
    thing("Process::kill() and the like", sleeper, call<Process>([](Process& it) {
              it.pid();
              it.returncode();
              it.send_signal(0);
              it.terminate();
              it.kill();
              it.take_output();
          }),           {works,      works,      works,      works,      works}),
};

const std::vector<places::Row> tasks_and_scopes{
    thing("a Future or Task", pending_future, [](Future<int>& it) -> Coro<> { co_await it; },
                        {refused,    refused_as("future of another event loop"),
                                                 not_asked,  not_asked,  refused}),
    thing("a Future, set", set_future, [](Future<int>& it) -> Coro<> { co_await it; },
                        {works,      works,      works,      works,      works}),
    thing("Future::result() and the like", set_future, call<Future<int>>([](Future<int>& it) {
              it.result();
              it.exception();
              it.done();
              it.cancelled();
              it.cancel();
          }),           {works,      works,      works,      works,      works}),
    thing("Future::add_done_callback()", pending_future, call<Future<int>>([](Future<int>& it) {
              it.add_done_callback([] {});
          }),           {works,      works,      refused_as("event loop of this future is closed"),
                                                             refused_as("has been destroyed"),
                                                                         works}),
    thing("Future::set_result()", pending_future, call<Future<int>>([](Future<int>& it) {
              it.set_result(1);
          }),           {works,      works,      works,      refused_as("has been destroyed"),
                                                                         works}),
    thing("a Task, done", done_task, [](Task<int>& it) -> Coro<> { co_await it; },
                        {works,      works,      works,      works,      works}),
    thing("a Future or Task", waiting_task, [](Task<>& it) -> Coro<> { co_await it; },
                        {refused,    refused_as("future of another event loop"),
                                                throws("cancelled"), throws("cancelled"), refused}),
    thing("Task::get_name() and the like", done_task, call<Task<int>>([](Task<int>& it) {
              it.set_name(it.get_name());
              it.cancelling();
              it.uncancel();
              it.get_context();
              it.result();
          }),           {works,      works,      works,      works,      works}),
    thing("asyncio::shield()", done_task, [](Task<int>& it) -> Coro<> { co_await shield(it); },
                        {works,      works,      works,      works,      works}),
    thing("AsyncGenerator::next()", generator,
          [](AsyncGenerator<int>& it) -> Coro<> { co_await it.next(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("aclose()", generator, [](AsyncGenerator<int>& it) -> Coro<> { co_await it.aclose(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("a Coro that has not begun", fresh_coroutine,
          [](Coro<int>& it) -> Coro<> { co_await std::move(it); },
                        {works,      works,      works,      works,      works}),
    thing("AsCompleted::next()", iteration, [](Iteration& it) -> Coro<> { co_await it.next(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("AsyncExitStack::aclose()", popped_stack,
          [](AsyncExitStack& it) -> Coro<> { co_await it.aclose(); },
                        {refused,    works,      works,      works,      refused}),
    thing("TaskGroup::create_task() and cancel()", open_group, call<TaskGroup*>([](TaskGroup*& it) {
              const auto nothing = []() -> Coro<> { co_return; };
              it->create_task(nothing());
              it->cancel();
          }),           {works,      works,      not_asked,  not_asked,  works}),
    thing("TaskGroup::start()", open_group, [](TaskGroup*& it) -> Coro<> {
              co_await it->start([](TaskStatus<> status) -> Coro<> {
                  status.started();
                  co_return;
              });
          },            {refused,    refused,    not_asked,  not_asked,  refused}),
    thing("Timeout::reschedule() and the like", open_limit, call<Timeout*>([](Timeout*& it) {
              it->reschedule(it->when());
              it->expired();
          }),           {works,      works,      not_asked,  not_asked,  works}),
    thing("TimerHandle", timer, call<TimerHandle>([](TimerHandle& it) {
              it.when();
              it.cancelled();
              it.cancel();
          }),           {works,      works,      works,      works,      works}),
    thing("Context::run()", context, call<Context>([](Context& it) { it.run([] {}); }),
                        {works,      works,      works,      works,      works}),
};

// A loop that is gone has no methods: to refer to it is the caller's mistake.
const std::vector<places::Row> loops{
    thing("EventLoop::call_soon()", own_loop,
          call<EventLoop*>([](EventLoop*& it) { it->call_soon([] {}); }),
                        {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::call_later()", own_loop,
          call<EventLoop*>([](EventLoop*& it) { it->call_later(1ms, [] {}); }),
                        {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::call_at()", own_loop,
          call<EventLoop*>([](EventLoop*& it) { it->call_at(it->time(), [] {}); }),
                        {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::call_soon_threadsafe()", own_loop,
          call<EventLoop*>([](EventLoop*& it) { it->call_soon_threadsafe([] {}); }),
                        {works,      works,      refused,    not_asked,  works}),
    thing("create_task()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              const auto nothing = []() -> Coro<> { co_return; };
              it->create_task(nothing());
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::create_future()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              it->create_future<int>().set_result(1);
          }),           {works,      works,      works,      not_asked,  works}),
    thing("EventLoop::run_in_executor()", own_loop,
          call<EventLoop*>([](EventLoop*& it) { it->run_in_executor(nullptr, [] {}); }),
                        {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::set_default_executor()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              it->set_default_executor(std::make_shared<ThreadPoolExecutor>());
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("run_forever()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              auto stopper = it->call_later(1ms, [it] { it->stop(); });
              try {
                  it->run_forever();
              } catch (...) {
                  stopper.cancel();
                  throw;
              }
          }),           {works,      refused,    refused_as("EventLoop::call_later()"),
                                                             not_asked,  refused}),
    thing("run_until_complete()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              const auto nothing = []() -> Coro<> { co_return; };
              it->run_until_complete(nothing());
          }),           {works,      refused,    refused,    not_asked,  refused}),
    thing("EventLoop::add_signal_handler()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              it->add_signal_handler(SIGURG, [] {});
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::remove_signal_handler()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              it->remove_signal_handler(SIGURG);
          }),           {works,      works,      works,      not_asked,  works}),
    thing("EventLoop::close()", own_loop, call<EventLoop*>([](EventLoop*& it) { it->close(); }),
                        {works,      works,      works,      not_asked,  refused}),
    thing("EventLoop::shutdown_asyncgens()", own_loop,
          [](EventLoop*& it) -> Coro<> { co_await it->shutdown_asyncgens(); },
                        {refused,    refused,    refused,    not_asked,  refused}),
    thing("EventLoop::shutdown_default_executor()", own_loop,
          [](EventLoop*& it) -> Coro<> { co_await it->shutdown_default_executor(); },
                        {refused,    refused,    refused,    not_asked,  refused}),
    thing("EventLoop::getaddrinfo()", own_loop,
          [](EventLoop*& it) -> Coro<> { co_await it->getaddrinfo("127.0.0.1", "80"); },
                        {refused,    refused,    refused,    not_asked,  refused}),
    thing("EventLoop::getnameinfo()", own_loop,
          [](EventLoop*& it) -> Coro<> { co_await it->getnameinfo(Address::any_v4(80)); },
                        {refused,    refused,    refused,    not_asked,  refused}),
    thing("EventLoop::name_cache()", own_loop,
          call<EventLoop*>([](EventLoop*& it) { it->name_cache(); }),
                        {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop, what it is asked", own_loop, call<EventLoop*>([](EventLoop*& it) {
              it->time();
              it->is_running();
              it->is_closed();
              it->get_debug();
              it->get_eager_tasks();
              it->iterations();
              it->backend_name();
              it->call_exception_handler({.message = "a message"});
              all_tasks(*it);
          }),           {works,      works,      works,      not_asked,  works}),
    thing("asyncio::run_coroutine_threadsafe()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              const auto nothing = []() -> Coro<> { co_return; };
              auto dropped = run_coroutine_threadsafe(nothing(), *it);
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("asyncio::wrap_future()", own_loop, call<EventLoop*>([](EventLoop*& it) {
              ThreadPromise<int> promise;
              wrap_future(promise.future(), *it).cancel();
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("a StreamReader", own_loop, call<EventLoop*>([](EventLoop*& it) {
              const StreamReader reader(*it, lowlevel::Fd(::dup(0)));
          }),           {works,      works,      refused,    not_asked,  works}),
};
// clang-format on

TEST(places, locks_and_queues) { expect_in_table(locks_and_queues); }

TEST(places, streams_and_processes) { expect_in_table(streams_and_processes); }

TEST(places, tasks_and_scopes) { expect_in_table(tasks_and_scopes); }

TEST(places, loops) { expect_in_table(loops); }

}  // namespace
