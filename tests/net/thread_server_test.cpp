// Servers on several threads. In the simulated world one loop does it all.

#include <asyncio/thread_server.h>

#include "net_help.h"
#include "support/sanitizer.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace net_test;

namespace {

constexpr std::size_t threads = 4;

/// A handler that counts its copies and the threads on which it runs.
struct Counting {
    struct Seen {
        std::mutex mutex;
        std::set<std::thread::id> threads;
        std::atomic<int> copies = 0;
        std::atomic<int> running = 0;
        std::atomic<int> cancelled = 0;
    };

    explicit Counting(std::shared_ptr<Seen> shared) : seen(std::move(shared)) {}
    Counting(const Counting& other) : seen(other.seen) { ++seen->copies; }
    Counting(Counting&&) = default;

    Coro<> operator()(Stream stream) const {
        {
            const std::lock_guard lock(seen->mutex);
            seen->threads.insert(std::this_thread::get_id());
        }
        ++seen->running;
        const Outcome<std::string> line = co_await settle_line(stream);
        --seen->running;
        if (line.cancelled()) ++seen->cancelled;
        co_await stream.send(line.value());
    }
    static Coro<Outcome<std::string>> settle_line(const Stream& stream) {
        co_return co_await internal::settle(stream.readline());
    }

    std::shared_ptr<Seen> seen;
};

Coro<> ask(std::uint16_t port) {
    const Stream client = co_await open_connection(loopback, port);
    co_await client.send("hello\n");
    EXPECT_EQ(co_await client.read(), "hello\n");
}

TEST(thread_server, every_thread_serves_and_has_a_copy_of_the_handler) {
    run_test([]() -> Coro<> {
        const auto seen = std::make_shared<Counting::Seen>();
        const Counting handler(seen);
        const ThreadServer server =
            co_await start_server_on_threads(handler, loopback, 0, {.threads = threads});
        EXPECT_EQ(server.threads(), is_simulated() ? 1u : threads);
        // The program's own copy comes first.
        EXPECT_EQ(seen->copies, 1 + static_cast<int>(server.threads()));
        EXPECT_NE(server.port(), 0);
        for (int client = 0; client < 200; ++client) co_await ask(server.port());
        EXPECT_TRUE(co_await server.shutdown(10s));
        // The kernel chooses. That one of four gets none of 200 would be a fault.
        EXPECT_EQ(seen->threads.size(), server.threads());
        EXPECT_EQ(seen->threads.contains(std::this_thread::get_id()), is_simulated());
    });
}

TEST(thread_server, without_a_number_there_is_a_thread_for_each_processor) {
    run_test([]() -> Coro<> {
        const ThreadServer server = co_await start_server_on_threads(echo, loopback, 0);
        EXPECT_EQ(server.threads(), is_simulated() ? 1 : std::thread::hardware_concurrency());
    });
}

TEST(thread_server, one_line_serves_until_it_is_cancelled) {
    run_test([]() -> Coro<> {
        std::uint16_t port = 0;
        {
            // A port that is free, most probably.
            const Server other = co_await start_server(echo, loopback, 0);
            port = other.port();
        }
        co_await sleep(0s);
        Task<void> serving =
            create_task(serve_on_threads(echo, loopback, port, {.threads = threads}));
        const auto served = [&]() -> Coro<bool> {
            co_return co_await error_number(open_connection(loopback, port)) == 0;
        };
        for (int round = 0; round < 1000 && !co_await served(); ++round) co_await sleep(1ms);
        EXPECT_TRUE(co_await served());
        EXPECT_FALSE(serving.done());
        serving.cancel();
        co_await until_done(serving);
        EXPECT_TRUE(serving.cancelled());
        EXPECT_FALSE(co_await served());
    });
}

TEST(thread_server, the_end_waits_for_handlers_and_closes_what_is_idle) {
    run_test([]() -> Coro<> {
        const auto seen = std::make_shared<Counting::Seen>();
        const Counting handler(seen);
        const ThreadServer server =
            co_await start_server_on_threads(handler, loopback, 0, {.threads = threads});
        std::vector<Stream> idle;
        for (int client = 0; client < 20; ++client)
            idle.push_back(co_await open_connection(loopback, server.port()));
        EXPECT_TRUE(co_await becomes([&] { return seen->running == 20; }));
        EXPECT_TRUE(co_await server.shutdown(100ms));
        EXPECT_EQ(seen->running, 0);
        EXPECT_EQ(seen->cancelled, 0);
        for (const Stream& client : idle) EXPECT_EQ(co_await client.read(), "");
    });
}

/// Ignores the end of its client, and ends when it is cancelled.
Coro<> stay(Stream) { co_await sleep(1h); }

TEST(thread_server, handlers_that_stay_are_cancelled_when_the_grace_is_over) {
    run_test([]() -> Coro<> {
        const ThreadServer server =
            co_await start_server_on_threads(stay, loopback, 0, {.threads = threads});
        std::vector<Stream> clients;
        for (int client = 0; client < 20; ++client)
            clients.push_back(co_await open_connection(loopback, server.port()));
        EXPECT_FALSE(co_await server.shutdown(50ms));
    });
}

TEST(thread_server, a_cancelled_shutdown_ends_what_is_left_at_once) {
    run_test([]() -> Coro<> {
        const ThreadServer server =
            co_await start_server_on_threads(stay, loopback, 0, {.threads = threads});
        std::vector<Stream> clients;
        for (int client = 0; client < 20; ++client)
            clients.push_back(co_await open_connection(loopback, server.port()));
        Task<bool> ending = create_task(server.shutdown(1h));
        co_await sleep(10ms);
        ending.cancel();
        co_await until_done(ending);
        EXPECT_TRUE(ending.cancelled());
    });
}

TEST(thread_server, a_server_that_is_dropped_has_ended_its_handlers) {
    run_test([]() -> Coro<> {
        const auto seen = std::make_shared<Counting::Seen>();
        std::vector<Stream> clients;
        {
            const Counting handler(seen);
            const ThreadServer server =
                co_await start_server_on_threads(handler, loopback, 0, {.threads = threads});
            for (int client = 0; client < 20; ++client)
                clients.push_back(co_await open_connection(loopback, server.port()));
            EXPECT_TRUE(co_await becomes([&] { return seen->running == 20; }));
        }
        // The simulated world has one loop, which has to go on for that.
        if (is_simulated()) co_await sleep(1ms);
        EXPECT_EQ(seen->running, 0);
        EXPECT_EQ(seen->cancelled, 20);
    });
}

TEST(thread_server, idle_connections_are_closed_when_serving_ends) {
    run_test([]() -> Coro<> {
        const auto seen = std::make_shared<Counting::Seen>();
        const Counting handler(seen);
        const ThreadServer server = co_await start_server_on_threads(
            handler, loopback, 0, {.threads = threads, .server = {.grace = 1h}});
        Task<void> serving = create_task(server.serve_forever());
        const Stream idle = co_await open_connection(loopback, server.port());
        EXPECT_TRUE(co_await becomes([&] { return seen->running == 1; }));
        serving.cancel();
        EXPECT_EQ(co_await idle.read(), "");
        co_await until_done(serving);
        EXPECT_EQ(seen->cancelled, 0);
    });
}

TEST(thread_server, a_thread_that_cannot_begin_makes_the_start_fail) {
    run_test([]() -> Coro<> {
        if (is_simulated()) co_return;  // No thread and no descriptor of the kernel.
        // That sanitizer needs a descriptor to look at an object, and takes its lack for a fault.
        if (support::under_undefined_sanitizer) co_return;
        // The listening sockets take the last descriptors, and none is left for a loop.
        const lowlevel::Fd next(::dup(0));
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        const rlimit tight{static_cast<rlim_t>(next.get()) + 1 + threads, limit.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &tight);
        const int error =
            co_await error_number(start_server_on_threads(echo, loopback, 0, {.threads = threads}));
        ::setrlimit(RLIMIT_NOFILE, &limit);
        EXPECT_EQ(error, EMFILE);
        // A thread that got the descriptor of another one has begun to serve, and says what it
        // lacks.
        for (const std::string& line : support::LogCapture::take())
            EXPECT_TRUE(support::contains(line, "cannot accept connections")) << line;
    });
}

TEST(thread_server, a_wait_goes_on_when_the_handle_is_gone) {
    run_test([]() -> Coro<> {
        ThreadServer server =
            co_await start_server_on_threads(echo, loopback, 0, {.threads = threads});
        Task<void> serving = create_task(server.serve_forever());
        co_await sleep(1ms);
        server = ThreadServer();
        co_await until_done(serving);
        EXPECT_FALSE(serving.cancelled());
    });
}

TEST(thread_server, an_address_that_is_taken_is_named) {
    run_test([]() -> Coro<> {
        const Server other = co_await start_server(echo, loopback, 0);
        const std::string text =
            co_await error_text(start_server_on_threads(echo, loopback, other.port()));
        EXPECT_NE(text.find(other.addresses().front().to_string()), std::string::npos) << text;
    });
}

TEST(thread_server, an_upgrade_runs_on_every_thread) {
    run_test([]() -> Coro<> {
        const auto upgrades = std::make_shared<std::atomic<int>>(0);
        const auto upgrade = [upgrades](Stream plain) -> Coro<Stream> {
            ++*upgrades;
            co_return plain;
        };
        const Counting handler(std::make_shared<Counting::Seen>());
        const ThreadServer server =
            co_await start_server_on_threads(handler, loopback, 0, {.threads = threads}, upgrade);
        for (int client = 0; client < 20; ++client) co_await ask(server.port());
        EXPECT_EQ(*upgrades, 20);
        co_await server.shutdown(1s);
    });
}

TEST(thread_server, an_empty_handle_is_an_error) {
    run_test([]() -> Coro<> {
        const ThreadServer empty;
        EXPECT_FALSE(empty);
        EXPECT_THROW(empty.port(), RuntimeError);
        EXPECT_THROW(static_cast<void>(empty.serve_forever()), RuntimeError);
        EXPECT_THROW(static_cast<void>(empty.shutdown(1s)), RuntimeError);
        co_return;
    });
}

/// A handler that can be moved alone cannot have copies for threads.
struct MoveOnly {
    std::unique_ptr<int> number;
    Coro<> operator()(Stream) const;
};
static_assert(ConnectionHandler<MoveOnly>);
static_assert(!CopyableConnectionHandler<MoveOnly>);

TEST(existing_socket, a_server_takes_a_socket_that_is_bound_already) {
    run_test([]() -> Coro<> {
        Socket bound(AF_INET);
        bound.bind(Address::ip(loopback, 0));
        const Address address = bound.getsockname();
        const Server server = co_await start_server(echo, std::move(bound));
        EXPECT_EQ(server.addresses(), std::vector<Address>{address});
        const Stream client = co_await open_connection(loopback, server.port());
        co_await client.send("x");
        EXPECT_EQ(co_await client.readexactly(1), "x");
        co_await server.shutdown(0s);
    });
}

TEST(existing_socket, a_socket_of_datagrams_is_refused_and_an_empty_one_is_an_error) {
    run_test([]() -> Coro<> {
        Socket datagrams(AF_INET, SOCK_DGRAM);
        EXPECT_EQ(co_await error_text(start_server(echo, std::move(datagrams))),
                  "start_server: the socket is not a stream socket");
        EXPECT_EQ(co_await error_number(start_server(echo, Socket())), EBADF);
    });
}

}  // namespace
