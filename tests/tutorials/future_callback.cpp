// Futures: Future Object
#include <asyncio.h>

#include <fmt/core.h>
using namespace asyncio;
using namespace std::chrono_literals;

void show(std::string before, Future<int> future) {
    fmt::print("{} {}\n", before, future.result());
}

Coro<> amain() {
    EventLoop& loop = get_running_loop();
    Future<int> fut(loop);
    // Call 'show("Future:", fut)' when "fut" is done.
    fut.add_done_callback(std::bind_front(show, "Future:"));
    auto removed = fut.add_done_callback([] { fmt::print("never\n"); });
    fmt::print("{:d}\n", fut.remove_done_callback(removed));
    loop.call_later(1s, [=] { fut.set_result(42); });
    bool done = fut.done();
    int value = co_await fut;
    fmt::print("{} {} {} {}\n", done, value, fut.cancelled(), fut.exception() != nullptr);
}

int main() { return asyncio::main(amain()); }
