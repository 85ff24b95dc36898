// `echo_asio`: an echo server on Asio with C++20 coroutines, for the comparison in `bench/limits`.
//
//   echo_asio [BUFFER_BYTES]
//
// It is the echo server of Asio's own examples: a coroutine per connection, with a buffer in its
// frame's heap. One thread runs it, and Asio is told so, so it takes no locks. It prints its port
// and runs until SIGTERM.

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <asio.hpp>

namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

size_t buffer_size = 1024;

awaitable<void> echo(tcp::socket socket) {
    try {
        std::vector<char> buffer(buffer_size);
        for (;;) {
            const size_t size =
                co_await socket.async_read_some(asio::buffer(buffer), use_awaitable);
            co_await asio::async_write(socket, asio::buffer(buffer.data(), size), use_awaitable);
        }
    } catch (const std::system_error&) {
        // The client has closed the connection.
    }
}

awaitable<void> accept(tcp::acceptor acceptor) {
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
        asio::co_spawn(acceptor.get_executor(), echo(std::move(socket)), asio::detached);
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count > 1) buffer_size = std::strtoul(arguments[1], nullptr, 10);
    asio::io_context context(1);
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    std::printf("%d\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context, accept(std::move(acceptor)), asio::detached);
    context.run();
}
