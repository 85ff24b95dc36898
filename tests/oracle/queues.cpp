// Queues: who gets what, and what becomes of those who are cancelled. The twins are in queues.py.

#include <asyncio/queue.h>

#include "oracle/oracle.h"

#include <vector>

namespace {

using namespace oracle;
using asyncio::LifoQueue;
using asyncio::PriorityQueue;
using asyncio::Queue;
using asyncio::QueueShutDown;

template <class Items>
Coro<> getter(Items& queue) {
    co_await tell("get", queue.get());
}

Coro<> putter(Queue<int>& queue, int item) {
    try {
        co_await queue.put(item);
        say("has put " + std::to_string(item));
    } catch (const CancelledError&) {
        say("has not put " + std::to_string(item));
        throw;
    }
}

/// Whether they are cancelled does not matter.
Coro<> all_of(std::vector<Task<>> tasks) {
    for (const Task<>& task : tasks) {
        try {
            co_await task;
        } catch (const CancelledError&) {  // as said
        }
    }
}

std::vector<Task<>> spawn_getters(std::string_view names, Queue<int>& queue) {
    std::vector<Task<>> tasks;
    for (const char& name : names)
        tasks.push_back(spawn(std::string_view(&name, 1), getter(queue)));
    return tasks;
}

/// They put 1, 2, ….
std::vector<Task<>> spawn_putters(std::string_view names, Queue<int>& queue) {
    std::vector<Task<>> tasks;
    int item = 0;
    for (const char& name : names)
        tasks.push_back(spawn(std::string_view(&name, 1), putter(queue, ++item)));
    return tasks;
}

void say_left(Queue<int>& queue) { say("left " + std::to_string(queue.qsize())); }
void say_got(Queue<int>& queue) { say("got " + std::to_string(queue.get_nowait())); }

SCENARIO(queues, QUE_01_getters_are_served_in_order) {
    Queue<int> queue;
    const auto tasks = spawn_getters("abc", queue);
    co_await sleep(0s);
    for (const int item : {1, 2, 3}) queue.put_nowait(item);
    co_await all_of(tasks);
}

SCENARIO(queues, QUE_01_a_queue_of_one_place) {
    Queue<int> queue(1);
    const auto producer = [&]() -> Coro<> {
        for (int item = 0; item < 4; ++item) co_await putter(queue, item);
    };
    const auto consumer = [&]() -> Coro<> {
        for (int i = 0; i < 4; ++i) co_await getter(queue);
    };
    const auto first = spawn("producer", producer());
    const auto second = spawn("consumer", consumer());
    co_await first;
    co_await second;
}

SCENARIO(queues, QUE_01_putters_are_served_in_order) {
    Queue<int> queue(1);
    queue.put_nowait(0);
    const auto tasks = spawn_putters("abc", queue);
    co_await sleep(0s);
    for (int i = 0; i < 4; ++i) co_await getter(queue);
    co_await all_of(tasks);
}

SCENARIO(queues, QUE_04_a_woken_getter_is_cancelled) {
    Queue<int> queue;
    const auto tasks = spawn_getters("ab", queue);
    co_await sleep(0s);
    queue.put_nowait(1);
    tasks[0].cancel();
    co_await all_of(tasks);
    say_left(queue);
}

SCENARIO(queues, QUE_04_a_getter_is_cancelled_and_then_woken) {
    Queue<int> queue;
    const auto tasks = spawn_getters("ab", queue);
    co_await sleep(0s);
    tasks[0].cancel();
    queue.put_nowait(1);
    co_await all_of(tasks);
}

SCENARIO(queues, QUE_04_the_only_woken_getter_is_cancelled) {
    Queue<int> queue;
    const auto tasks = spawn_getters("a", queue);
    co_await sleep(0s);
    queue.put_nowait(1);
    tasks[0].cancel();
    co_await all_of(tasks);
    say_left(queue);
    co_await getter(queue);
}

SCENARIO(queues, QUE_04_a_newcomer_takes_what_a_woken_getter_was_woken_for) {
    Queue<int> queue;
    const auto tasks = spawn_getters("a", queue);
    co_await sleep(0s);
    queue.put_nowait(1);
    say("newcomer gets " + std::to_string(queue.get_nowait()));
    co_await turns(2);
    queue.put_nowait(2);
    co_await all_of(tasks);
}

SCENARIO(queues, QUE_05_a_woken_putter_is_cancelled) {
    Queue<int> queue(1);
    queue.put_nowait(0);
    const auto tasks = spawn_putters("ab", queue);
    co_await sleep(0s);
    say_got(queue);
    tasks[0].cancel();
    co_await all_of(tasks);
    say_got(queue);
}

SCENARIO(queues, QUE_07_what_a_cancelled_put_wanted_is_not_there) {
    Queue<int> queue(1);
    queue.put_nowait(0);
    const auto tasks = spawn_putters("a", queue);
    co_await sleep(0s);
    tasks[0].cancel();
    co_await all_of(tasks);
    const int first = queue.get_nowait();
    say("got " + std::to_string(first) + ", left " + std::to_string(queue.qsize()));
}

template <class Items>
Coro<> put_and_get(Items& queue) {
    for (const int item : {2, 3, 1}) queue.put_nowait(item);
    for (int i = 0; i < 3; ++i) co_await getter(queue);
}

SCENARIO(queues, QUE_12_last_in_first_out_and_the_smallest) {
    LifoQueue<int> last_first;
    co_await put_and_get(last_first);
    PriorityQueue<int> smallest_first;
    co_await put_and_get(smallest_first);
}

Coro<> limited_getter(Queue<int>& queue) { co_await tell("limit", wait_for(queue.get(), 1s)); }

SCENARIO(queues, QUE_14_an_item_in_the_tick_of_the_deadline) {
    Queue<int> queue;
    const auto a = spawn("a", limited_getter(queue));
    co_await sleep(0s);
    call_later(1s, [&] { queue.put_nowait(7); });
    co_await end_of("a", a);
    say_left(queue);
}

SCENARIO(queues, QUE_14_an_item_in_the_tick_of_the_deadline_before_it) {
    Queue<int> queue;
    call_later(1s, [&] { queue.put_nowait(7); });
    const auto a = spawn("a", limited_getter(queue));
    co_await end_of("a", a);
    say_left(queue);
}

SCENARIO(queues, QUE_10_join_waits_for_the_last_task_done) {
    Queue<int> queue;
    const auto worker = [&]() -> Coro<> {
        for (int i = 0; i < 2; ++i) {
            const int item = co_await queue.get();
            co_await turns(2);
            say("done with " + std::to_string(item));
            queue.task_done();
        }
    };
    queue.put_nowait(1);
    queue.put_nowait(2);
    const auto task = spawn("worker", worker());
    co_await queue.join();
    say("joined");
    co_await task;
}

Coro<> getter_to_the_end(Queue<int>& queue) {
    try {
        co_await queue.get();
    } catch (const QueueShutDown&) {
        say("QueueShutDown");
    }
}

SCENARIO(queues, QUE_09_shutting_down_an_empty_queue) {
    Queue<int> queue;
    const auto a = spawn("a", getter_to_the_end(queue));
    const auto b = spawn("b", getter_to_the_end(queue));
    co_await sleep(0s);
    queue.shutdown();
    say("shut down");
    co_await a;
    co_await b;
    try {
        queue.put_nowait(1);
    } catch (const QueueShutDown&) {
        say("put: QueueShutDown");
    }
}

SCENARIO(queues, QUE_10_what_is_in_it_can_still_be_got) {
    Queue<int> queue;
    queue.put_nowait(1);
    queue.put_nowait(2);
    queue.shutdown();
    co_await getter(queue);
    co_await getter(queue);
    co_await getter_to_the_end(queue);
}

}  // namespace
