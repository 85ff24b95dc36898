// Datagrams and callbacks on descriptors, with every allocation failing once on each back-end. How
// it is done is told in sweep.cpp.
//
// A datagram for which there was no memory is lost. If it was lost on this side, the sender is
// told. If it was lost in the network, the sender is not told. The network of the simulated world
// takes its memory from this program, so only there may a datagram be lost in silence.

#include <asyncio/datagram.h>
#include <asyncio/datagram_protocol.h>
#include <asyncio/sync.h>
#include <asyncio/timeout.h>

#include "parts.h"
#include "sweep.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

/// What `receiving` gives. Throws: what the sender is told, if nothing arrives.
template <class T>
Coro<T> received(Coro<T> receiving, const Datagram& sender) {
    try {
        co_return co_await wait_for(std::move(receiving), 1s);
    } catch (const TimeoutError&) {
        // Told below.
    }
    co_await sender.drain();
    require(get_running_loop().backend_name() == std::string_view("simulated"),
            "a datagram was lost, and the sender is not told");
    throw std::bad_alloc();
}

}  // namespace

SCENARIO_EVERYWHERE(datagrams_sent_and_received) {
    const Datagram server = co_await open_datagram({.local_addr = Address::loopback_v4(0)});
    const Datagram client = co_await open_datagram("127.0.0.1", server.local().port());
    co_await client.send(long_text);
    const ReceivedFrom message = co_await received(server.receive(), client);
    require(message.data == long_text, "a datagram");
    const std::vector<std::string> several(40, long_text);
    co_await client.send_many(several);
    std::size_t count = 0;
    while (count < several.size()) {
        const std::vector<ReceivedFrom> some = co_await received(server.receive_many(7), client);
        count += some.size();
    }
    require(client.send_nowait(long_text), "sent at once");
    co_await client.drain();
    const ReceivedFrom last = co_await received(server.receive(), client);
    require(last.data == long_text, "the last datagram");
}

SCENARIO_EVERYWHERE(datagrams_that_are_kept) {
    const std::string name = std::string("\0asyncio-kept-", 14) + std::to_string(::getpid());
    const Datagram receiver = co_await open_datagram({.local_addr = Address::local(name)});
    const Datagram sender = co_await open_datagram({.remote_addr = Address::local(name)});
    std::size_t sent = 0;
    while (sender.get_write_buffer_size() == 0) sent += sender.send_nowait(long_text) ? 1 : 0;
    sent += sender.send_nowait(long_text) ? 1 : 0;
    for (; sent > 0; --sent) {
        const ReceivedFrom message = co_await received(receiver.receive(), sender);
        require(message.data == long_text, "a datagram");
    }
    co_await sender.drain();
    require(sender.get_write_buffer_size() == 0, "all are sent");
}

namespace {

/// Answers, and tells when it is over.
struct Answers : DatagramProtocol {
    void connection_made(Datagram& to) override { endpoint = &to; }
    void datagram_received(std::string data, const Address& address) override {
        if (!endpoint->send_nowait(data, address)) throw std::bad_alloc();
    }
    void connection_lost(std::exception_ptr error) override {
        lost_by = std::move(error);
        over.set();
    }
    Datagram* endpoint = nullptr;
    std::exception_ptr lost_by;
    Event over;
};

}  // namespace

SCENARIO_EVERYWHERE(datagrams_by_callbacks) {
    const auto answers = std::make_shared<Answers>();
    const DatagramOptions options{.local_addr = Address::loopback_v4(0)};
    const Datagram server = co_await get_running_loop().create_datagram_endpoint(answers, options);
    // Without memory the endpoint ends by itself, and has no address then.
    if (!server.is_closing()) {
        const Datagram client = co_await open_datagram({.remote_addr = server.local()});
        co_await client.send(long_text);
        server.close();
    }
    co_await answers->over.wait();
    if (answers->lost_by != nullptr) std::rethrow_exception(answers->lost_by);
}

SCENARIO_EVERYWHERE(callbacks_on_descriptors) {
    EventLoop& loop = get_running_loop();
    const Datagram server = co_await open_datagram({.local_addr = Address::loopback_v4(0)});
    Socket socket(AF_INET, SOCK_DGRAM);
    socket.bind(Address::loopback_v4(0));
    // Not in the frame: without memory for the second callback the first outlives it.
    static int calls;
    calls = 0;
    loop.add_writer(socket.fileno(), [] { ++calls; });
    loop.add_reader(socket.fileno(), [] { ++calls; });
    loop.add_reader(socket.fileno(), [text = std::string(long_text)] { ++calls; });
    while (calls == 0) co_await sleep(1ms);
    require(loop.remove_reader(socket.fileno()), "the reader was there");
    require(loop.remove_writer(socket.fileno()), "the writer was there");
}
