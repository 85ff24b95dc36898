// A user's program that crosses the border to the library in every way there is: what it has
// inlined meets what the library has compiled, whatever the two were compiled with. It is built and
// run by matrix.sh. Exit status 0 and "all of it works" if every expectation holds.
//
// With the argument `stall` it is about debug mode: steps that are too long throw all the time,
// while the watcher samples them. With `use-after-free` it reads a frame that is gone.

#include <asyncio.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

void expect(bool holds, const char* what) {
    if (holds) return;
    std::printf("not so: %s\n", what);
    std::exit(1);
}

struct OwnError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Error, class Body>
Coro<> expect_error(const char* what, Body body) {
    bool caught = false;
    try {
        co_await body();
    } catch (const Error&) {
        caught = true;
    }
    expect(caught, what);
}

Coro<int> value(int result) {
    co_await asyncio::sleep(1ms);
    co_return result;
}

Coro<> for_ever() { co_await asyncio::sleep(1h); }

Coro<int> fail() {
    co_await asyncio::sleep(0s);
    throw OwnError("own");
}

template <std::size_t bytes>
Coro<char> large() {
    char local[bytes] = {};
    co_await asyncio::sleep(0s);
    co_return local[bytes / 2];
}

Coro<> tasks() {
    auto [one, two] = co_await gather(value(1), value(2));
    expect(one + two == 3, "gather");
    auto task = create_task(value(7));
    expect(co_await task == 7 && co_await task == 7, "a task is awaited twice");
    Coro<> nothing = []() -> Coro<> { co_return; }();
    co_await create_task(std::move(nothing));
    for (int i = 0; i < 100; ++i) co_await create_task(large<200>());
    co_await gather(large<400>(), large<900>(), large<1800>(), large<5000>());
    const std::vector<Task<int>> waited(1, task);
    auto first = co_await wait(waited, {.return_when = FIRST_COMPLETED});
    expect(first.done.size() == 1, "wait");
}

// What the library throws is caught here by its type, and the other way round.
Coro<> errors() {
    co_await expect_error<OwnError>("an error of our own", [] { return fail(); });
    co_await expect_error<TimeoutError>("a limit", []() -> Coro<> {
        co_await timeout(1ms, []() -> Coro<> { co_await asyncio::sleep(1h); });
    });
    co_await expect_error<std::runtime_error>(
        "a limit as its base", []() -> Coro<> { co_await wait_for(asyncio::sleep(1h), 1ms); });
    co_await expect_error<OsError>("an error of the system", []() -> Coro<> {
        co_await create_subprocess_exec("/nowhere/nothing");
    });
    co_await expect_error<QueueEmpty>("an empty queue", []() -> Coro<> {
        Queue<int> queue;
        queue.get_nowait();
        co_return;
    });
    auto task = create_task(for_ever());
    co_await asyncio::sleep(0s);
    task.cancel("enough");
    co_await expect_error<CancelledError>("a cancelled task", [&]() -> Coro<> { co_await task; });
    expect(task.cancelled(), "a cancelled task says so");
    try {
        co_await task_group([](TaskGroup& group) -> Coro<> {
            group.create_task(fail());
            co_return;
        });
        expect(false, "a group throws");
    } catch (const ExceptionGroup& group) {
        expect(typeid(group) == typeid(ExceptionGroup), "a group has the type it has");
        expect(group.for_each<OwnError>([](const OwnError&) {}) == 1, "a group holds our error");
        const std::exception& as_base = group;
        expect(dynamic_cast<const ExceptionGroup*>(&as_base) == &group, "a cast to a group");
    }
}

struct OwnExecutor final : Executor {
    void submit(ExecutorJob job) override { job(); }
};

Coro<> threads() {
    std::string text = co_await to_thread([](std::string name) { return name + "!"; }, "there");
    expect(text == "there!", "to_thread");
    co_await expect_error<OwnError>("an error of a thread", []() -> Coro<> {
        co_await to_thread([] { throw OwnError("thread"); });
    });
    const auto executor = std::make_shared<OwnExecutor>();
    Executor* base = executor.get();
    expect(dynamic_cast<OwnExecutor*>(base) == executor.get(), "a cast to an own executor");
    EventLoop& loop = get_running_loop();
    auto from_thread = [&loop] { return run_coroutine_threadsafe(value(5), loop).get(); };
    expect(co_await to_thread(from_thread) == 5, "run_coroutine_threadsafe");
    // What a thread writes and the loop reads, many times: for ThreadSanitizer.
    for (int i = 0; i < 100; ++i) {
        auto written = co_await to_thread([i] { return std::make_unique<int>(i); });
        expect(*written == i, "a result of a thread");
    }
}

Coro<> streams() {
    auto pipe = co_await open_pipe();
    pipe.writer.write("one\ntwo\n");
    expect(co_await pipe.reader.readline() == "one\n", "a line");
    pipe.writer.close();
    expect(co_await pipe.reader.read() == "two\n", "the rest");
    auto process = co_await create_subprocess_exec("true");
    expect(co_await process.wait() == 0, "a subprocess");
}

AsyncGenerator<int> count(int end) {
    for (int i = 0; i < end; ++i) {
        co_await asyncio::sleep(0s);
        co_yield i;
    }
}

Coro<> others() {
    int sum = 0;
    auto numbers = count(5);
    while (auto number = co_await numbers.next()) sum += *number;
    expect(sum == 10, "a generator");
    static ContextVar<int> variable("variable", 1);
    variable.set(2);
    auto inherited = [](int expected) -> Coro<> {
        expect(variable.get() == expected, "a context");
        variable.set(3);
        co_return;
    };
    co_await create_task(inherited(2));
    expect(variable.get() == 2, "a context is a task's own");
    Lock lock;
    auto locked = [&lock]() -> Coro<> {
        auto held = co_await lock.acquire();
        co_await asyncio::sleep(0s);
    };
    co_await gather(locked(), locked());
    co_await shield(create_task(value(1)));
}

Coro<> everything() {
    co_await tasks();
    co_await errors();
    co_await threads();
    co_await streams();
    co_await others();
}

int deep(int n) {
    if (n == 0) throw n;
    const std::string text(static_cast<std::size_t>(n) + 20, 'x');
    return deep(n - 1) + static_cast<int>(text.size());
}

Coro<> throw_for(Duration time) {
    const auto end = Clock::now() + time;
    while (Clock::now() < end) {
        try {
            deep(30);
        } catch (int) {
        }
    }
    co_await asyncio::sleep(0s);
}

/// Some hundreds of samples in the middle of throws.
Coro<> stall() {
    get_running_loop().slow_callback_duration = 1ms;
    for (int i = 0; i < 300; ++i) co_await create_task(throw_for(3ms));
}

Coro<const char*> address_of_local() {
    char local[100] = "gone";
    const char* volatile address = local;
    co_await asyncio::sleep(0s);
    co_return address;
}

Coro<> read_what_is_gone() {
    const char* gone = co_await create_task(address_of_local());
    std::printf("%d\n", gone[0]);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "use-after-free") {
        run(read_what_is_gone());
        return 0;
    }
    if (what == "stall") {
        set_log_sink([](LogLevel, std::string_view) noexcept {});
        run(stall(), {.debug = true});
    } else {
        run(everything());
        run(everything(), {.debug = true});
    }
    std::puts("all of it works");
}
