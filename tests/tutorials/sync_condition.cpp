// Synchronization Primitives: Condition
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

Coro<> consumer(Condition& cond, std::vector<std::string>& items) {
    auto held = co_await cond.acquire();
    co_await cond.wait();
    fmt::print("an item: {}\n", items.back());
    items.pop_back();
}

Coro<> patient(Condition& cond, std::vector<std::string>& items) {
    auto held = co_await cond.acquire();
    co_await cond.wait_for([&] { return items.size() == 2; });
    fmt::print("{} items\n", items.size());
}

Coro<> amain() {
    Condition cond;
    std::vector<std::string> items;
    std::vector tasks{create_task(consumer(cond, items))};
    co_await sleep(1s);
    auto held = co_await cond.acquire();
    items.push_back("first");
    cond.notify();
    held.release();
    tasks.push_back(create_task(patient(cond, items)));
    co_await sleep(1s);
    held = co_await cond.acquire();
    items.insert(items.end(), {"second", "third"});
    cond.notify_all();
    held.release();
    co_await gather(tasks);
}

int main() { return asyncio::main(amain()); }
