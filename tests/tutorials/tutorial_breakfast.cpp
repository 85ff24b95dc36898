// Tutorials: breakfast, one after another, then together
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;
using Breakfast = std::tuple<std::string, std::string>;

Coro<std::string> brew_coffee() {
    fmt::print("Start brew coffee\n");
    co_await sleep(3s);
    fmt::print("End brew coffee\n");
    co_return "coffee ready";
}

Coro<std::string> toast_bagel() {
    fmt::print("Start toast bagel\n");
    co_await sleep(5s);
    fmt::print("End toast bagel\n");
    co_return "bagel toasted";
}

Coro<Breakfast> in_turn() {
    auto coffee = co_await brew_coffee();
    co_return Breakfast{coffee, co_await toast_bagel()};
}

Coro<Breakfast> gathered() { co_return co_await gather(brew_coffee(), toast_bagel()); }

Coro<Breakfast> as_tasks() {
    auto coffee = create_task(brew_coffee());
    auto bagel = create_task(toast_bagel());
    co_return Breakfast{co_await coffee, co_await bagel};
}

Coro<> amain() {
    for (auto way : {in_turn, gathered, as_tasks}) {
        auto start = get_running_loop().time();
        auto [coffee, bagel] = co_await way();
        fmt::print("{} {}\n", coffee, bagel);
        std::chrono::duration<double> took = get_running_loop().time() - start;
        fmt::print("{:.2f} minutes\n", took.count());
    }
}

int main() { return asyncio::main(amain()); }
