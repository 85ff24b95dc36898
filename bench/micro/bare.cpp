// The speed limit of coroutines on this machine with this compiler: a minimal program that starts a
// task, awaits it, and yields. It has no cancellation, no errors, no names, no contexts, no timers
// and no back-end. The figures of the library are compared with these. The goal is one and a half
// times of them.

#include "benchmark.h"

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <new>
#include <utility>

namespace bench {
namespace {

// --- The least of a loop ------------------------------------------------------------------------

struct Node {
    Node* next = nullptr;
    std::coroutine_handle<> coroutine;
};

/// The ready queue, first in, first out. Intrusive, because an allocation for each entry would cost
/// more than the rest of an operation.
class Queue {
public:
    void push(Node& node) {
        node.next = nullptr;
        (last_ != nullptr ? last_->next : first_) = &node;
        last_ = &node;
    }
    bool empty() const { return first_ == nullptr; }
    Node& pop() {
        Node& node = *first_;
        first_ = node.next;
        if (first_ == nullptr) last_ = nullptr;
        return node;
    }

private:
    Node* first_ = nullptr;
    Node* last_ = nullptr;
};

thread_local Queue* ready = nullptr;

void run(Queue& queue) {
    ready = &queue;
    while (!queue.empty()) queue.pop().coroutine.resume();
    ready = nullptr;
}

/// A list of free blocks of one size.
class Blocks {
public:
    void* take(std::size_t size) {
        if (free_ == nullptr) return std::malloc(size);
        return std::exchange(free_, *static_cast<void**>(free_));
    }
    void give_back(void* block) {
        *static_cast<void**>(block) = free_;
        free_ = block;
    }

private:
    void* free_ = nullptr;
};

// --- The least of a task ------------------------------------------------------------------------

/// A coroutine that the queue starts, that can be awaited once, and that owns its frame.
class BareTask {
public:
    struct promise_type {
        BareTask get_return_object() {
            return BareTask(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        auto final_suspend() noexcept {
            struct Wake {
                bool await_ready() noexcept { return false; }
                void await_suspend(std::coroutine_handle<promise_type> self) noexcept {
                    promise_type& promise = self.promise();
                    promise.done = true;
                    if (promise.waiting != nullptr) ready->push(*promise.waiting);
                }
                void await_resume() noexcept {}
            };
            return Wake{};
        }
        void return_value(std::uint64_t result) { value = result; }
        void unhandled_exception() { std::terminate(); }
        static void* operator new(std::size_t size) { return blocks.take(size); }
        static void operator delete(void* block, std::size_t) { blocks.give_back(block); }

        static inline thread_local Blocks blocks;
        Node node;
        Node* waiting = nullptr;
        std::uint64_t value = 0;
        bool done = false;
    };

    explicit BareTask(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {
        Node& node = coroutine.promise().node;
        node.coroutine = coroutine;
        ready->push(node);
    }
    BareTask(BareTask&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    BareTask& operator=(BareTask&&) = delete;
    ~BareTask() {
        if (coroutine_) coroutine_.destroy();
    }

    bool await_ready() const { return coroutine_.promise().done; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) {
        Node& node = awaiting.promise().node;
        node.coroutine = awaiting;
        coroutine_.promise().waiting = &node;
    }
    std::uint64_t await_resume() const { return coroutine_.promise().value; }

private:
    std::coroutine_handle<promise_type> coroutine_;
};

struct BareYield {
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<BareTask::promise_type> coroutine) {
        Node& node = coroutine.promise().node;
        node.coroutine = coroutine;
        ready->push(node);
    }
    void await_resume() const {}
};

// --- What is measured ---------------------------------------------------------------------------

BareTask same(std::uint64_t number) { co_return number; }

BareTask yield_often(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) co_await BareYield{};
    co_return times;
}

BareTask spawn_often(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) keep(co_await same(i));
    co_return count;
}

// The counterpart of `yield`.
Cost bare_yield(std::uint64_t count) {
    Queue queue;
    ready = &queue;
    const BareTask one = yield_often(count / 2);
    const BareTask other = yield_often(count / 2);
    const WallClock clock;
    run(queue);
    return {clock.nanoseconds()};
}

// The counterpart of `spawn_await`.
Cost bare_spawn_await(std::uint64_t count) {
    Queue queue;
    ready = &queue;
    const BareTask task = spawn_often(count);
    const WallClock clock;
    run(queue);
    return {clock.nanoseconds()};
}

constexpr Benchmark benchmarks[] = {
    {"bare_yield", "a turn, in the least of a loop", 2'000'000, 50, &bare_yield},
    {"bare_spawn_await", "a task in the least of a loop", 500'000, 50, &bare_spawn_await},
};

}  // namespace

std::span<const Benchmark> bare_benchmarks() { return benchmarks; }

}  // namespace bench
