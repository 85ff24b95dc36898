// Tutorials: two sums, added up together
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

double since_start() {
    static TimePoint start = get_running_loop().time();
    return std::chrono::duration<double>(get_running_loop().time() - start).count();
}

Coro<> tick() {
    fmt::print("Time: {:.2f}\n", since_start());
    co_await sleep(1s);
}

Coro<> sum(std::string name, std::vector<int> numbers) {
    int total = 0;
    for (int number : numbers) {
        fmt::print("Task {}: Computing {}+{}\n", name, total, number);
        co_await tick();
        total += number;
    }
    fmt::print("Task {}: Sum = {}\n\n", name, total);
}

Coro<> amain() {
    std::vector tasks{create_task(sum("A", {1, 2})), create_task(sum("B", {1, 2, 3}))};
    co_await gather(tasks);
    fmt::print("Time: {:.2f} sec\n", since_start());
}

int main() { return asyncio::main(amain()); }
