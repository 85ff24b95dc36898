// Event Loop: Watch a file descriptor for read events
#include <asyncio.h>

#include <fmt/core.h>
#include <unistd.h>
using namespace asyncio;

Coro<> reader(int rfd) {
    // Wait until the file descriptor can be read
    co_await readable(rfd);

    char data[100];
    auto size = ::read(rfd, data, sizeof data);
    fmt::print("Received: {}\n", std::string_view(data, std::size_t(size)));
}

int main() {
    auto loop = new_event_loop();

    // Create a pair of connected file descriptors
    int fds[2];
    if (::pipe(fds) != 0) return 1;

    // Simulate the reception of data
    loop.call_soon(::write, fds[1], "abc", 3);

    // Run the event loop until the data is there
    loop.run_until_complete(reader(fds[0]));

    // We are done. Close the descriptors.
    ::close(fds[0]);
    ::close(fds[1]);
}
