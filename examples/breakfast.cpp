// Breakfast: coffee takes three minutes, a bagel five.
//
// A cook who waits at the coffee machine until it is done, and then at the toaster, needs eight
// minutes. A cook who makes the bagel while the coffee runs needs five minutes. Two such cooks make
// two breakfasts in five minutes.

#include <asyncio.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

#include <fmt/core.h>

using asyncio::Coro;
using asyncio::TimePoint;

constexpr const char* usage =
    "usage: breakfast [WAY [SECONDS]]\n"
    "  WAY      one-by-one, gather, tasks or threads; without one, the first two\n"
    "  SECONDS  how long a minute of this kitchen takes; 1 if not given\n";

std::chrono::duration<double> minute(1);

std::chrono::duration<double> minutes(int count) { return count * minute; }

void print_breakfast(const std::string& coffee, const std::string& bagel) {
    fmt::print("{}\n{}\n", coffee, bagel);
}

void print_total(asyncio::Duration took) {
    fmt::print("Total time: {:.3f} minutes\n", took / minute);
}

// Level one: a single cook, who waits idly. These are plain functions, and `sleep_for` blocks.

std::string brew_coffee_idly() {
    fmt::print("Start brew coffee\n");
    std::this_thread::sleep_for(minutes(3));
    fmt::print("End brew coffee\n");
    return "coffee ready";
}

std::string toast_bagel_idly() {
    fmt::print("Start toast bagel\n");
    std::this_thread::sleep_for(minutes(5));
    fmt::print("End toast bagel\n");
    return "bagel toasted";
}

void one_by_one() {
    const TimePoint start = asyncio::Clock::now();
    const std::string coffee = brew_coffee_idly();
    const std::string bagel = toast_bagel_idly();
    print_breakfast(coffee, bagel);
    print_total(asyncio::Clock::now() - start);
}

// Level two: a single cook, who does other work while he waits. The same functions as coroutines.

Coro<std::string> brew_coffee() {
    fmt::print("Start brew coffee\n");
    co_await asyncio::sleep(minutes(3));
    fmt::print("End brew coffee\n");
    co_return "coffee ready";
}

Coro<std::string> toast_bagel() {
    fmt::print("Start toast bagel\n");
    co_await asyncio::sleep(minutes(5));
    fmt::print("End toast bagel\n");
    co_return "bagel toasted";
}

Coro<> with_gather() {
    const TimePoint start = asyncio::get_running_loop().time();
    const auto dishes = co_await asyncio::gather(brew_coffee(), toast_bagel());
    print_breakfast(std::get<0>(dishes), std::get<1>(dishes));
    print_total(asyncio::get_running_loop().time() - start);
}

Coro<> with_tasks() {
    const TimePoint start = asyncio::get_running_loop().time();
    auto coffee = asyncio::create_task(brew_coffee());
    auto bagel = asyncio::create_task(toast_bagel());
    co_await coffee;
    co_await bagel;
    print_breakfast(coffee.result(), bagel.result());
    print_total(asyncio::get_running_loop().time() - start);
}

// Level three: several cooks, and no cook waits idly. Each cook is a thread with a loop of its own.
// A thread may call only one function of another thread's loop: `call_soon_threadsafe`.

class Cook {
public:
    Cook() : thread_([this] { loop_.run_forever(); }) {}
    ~Cook() {
        loop_.call_soon_threadsafe([this] { loop_.stop(); });
        thread_.join();
    }
    asyncio::EventLoop& loop() { return loop_; }

private:
    asyncio::EventLoop loop_;
    std::thread thread_;
};

/// Runs in the cook's loop. The finished dish is put on the plate in the waiter's loop.
Coro<> serve(Coro<std::string> dish, asyncio::EventLoop& waiter,
             asyncio::Future<std::string> plate) {
    std::string ready = co_await std::move(dish);
    waiter.call_soon_threadsafe([plate = std::move(plate), ready] { plate.set_result(ready); });
}

/// Runs in the waiter's loop. Returns at once; the plate is empty until the dish is ready.
asyncio::Future<std::string> order(Cook& cook, Coro<std::string> dish) {
    asyncio::EventLoop& waiter = asyncio::get_running_loop();
    auto plate = waiter.create_future<std::string>();
    cook.loop().call_soon_threadsafe(
        [&cook, job = serve(std::move(dish), waiter, plate)]() mutable {
            cook.loop().create_task(std::move(job));
        });
    return plate;
}

Coro<> with_threads() {
    Cook alice;
    Cook bob;
    const TimePoint start = asyncio::get_running_loop().time();
    const auto dishes =
        co_await asyncio::gather(order(alice, brew_coffee()), order(alice, toast_bagel()),
                                 order(bob, brew_coffee()), order(bob, toast_bagel()));
    print_breakfast(std::get<0>(dishes), std::get<1>(dishes));
    print_breakfast(std::get<2>(dishes), std::get<3>(dishes));
    print_total(asyncio::get_running_loop().time() - start);
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::string_view way = argc > 1 ? argv[1] : "";
    if (argc > 2) minute = std::chrono::duration<double>(std::atof(argv[2]));

    if (way == "one-by-one") {
        one_by_one();
    } else if (way == "gather") {
        asyncio::run(with_gather());
    } else if (way == "tasks") {
        asyncio::run(with_tasks());
    } else if (way == "threads") {
        if (asyncio::EventLoop().backend_name() == std::string_view("simulated")) {
            fmt::print("A simulated kitchen has room for one cook.\n");
            return 2;
        }
        asyncio::run(with_threads());
    } else if (way.empty()) {
        one_by_one();
        asyncio::run(with_gather());
    } else {
        fmt::print("{}", usage);
        return way == "--help" ? 0 : 2;
    }
}
