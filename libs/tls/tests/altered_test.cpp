// Goal: a byte that is altered between two ends of TLS, wherever it is, ends the connection at both
// ends. Neither end ever reads wrong data.
// Method: a relay between the two ends flips one bit of one byte. The ends take turns, so that the
// end that finds the fault is always waited for by the other one. There is a connection for every
// third byte.

#include "tls_help.h"

#include <cstdint>

namespace {

using namespace tls_test;

constexpr std::size_t no_byte = SIZE_MAX;

/// A direction of the relay.
struct Direction {
    /// Which byte is altered.
    std::size_t altered = no_byte;
    std::size_t passed = 0;
};

/// What happens to a connection.
struct Scene {
    tls::Version version;
    Direction to_server = {};
    Direction to_client = {};
    /// How many bytes had gone to the client before the last message: a fault behind them has no
    /// other end that waits.
    std::size_t before_last = 0;
    std::string client_said = {};
    std::string server_said = {};
};

/// Passes bytes on until one of the ends has ended.
Coro<> pass(const StreamReader& from, const StreamWriter& to, Direction& direction) {
    for (;;) {
        std::string bytes = co_await from.read(4096);
        if (bytes.empty()) break;
        const std::size_t at = direction.altered - direction.passed;
        if (direction.altered >= direction.passed && at < bytes.size())
            bytes[at] = static_cast<char>(bytes[at] ^ 1);
        direction.passed += bytes.size();
        co_await to.send(std::move(bytes));
    }
    to.close();
}

Coro<> expect_message(const StreamReader& reader, std::string text) {
    const std::string got = co_await reader.readexactly(text.size());
    if (got != text) throw std::logic_error("WRONG DATA");
}

Coro<> talk_as_client(ChannelPtr inner, Scene& scene) {
    constexpr TlsOptions options{.server_hostname = "example.test", .handshake_timeout = 10s};
    const Streams own(co_await tls::start_tls(
        std::move(inner), client_of({.maximum_version = scene.version}), options));
    co_await own.writer.send("question");
    co_await expect_message(own.reader, "answer");
    co_await own.writer.send("thanks");
    co_await expect_message(own.reader, "goodbye");
    scene.client_said = "good";
}

Coro<> talk_as_server(ChannelPtr inner, Scene& scene) {
    const Streams own(co_await tls::start_tls(std::move(inner), good_server_context(),
                                              {.handshake_timeout = 10s}));
    co_await expect_message(own.reader, "question");
    co_await own.writer.send("answer");
    co_await expect_message(own.reader, "thanks");
    scene.before_last = scene.to_client.passed;
    co_await own.writer.send("goodbye");
    scene.server_said = "good";
    co_await own.reader.read();
}

/// A length that was altered makes an end wait for bytes that never come.
Coro<> with_limit(Coro<> talk, std::string& said) {
    const auto body = [&talk]() -> Coro<> { co_await std::move(talk); };
    try {
        co_await timeout(20s, body);
    } catch (const std::exception& error) {
        if (said.empty()) said = error.what();
    }
}

void run(Scene& scene) {
    run_simulated([&scene]() -> Coro<> {
        MemoryChannels near = channels_between({});
        MemoryChannels far = channels_between({});
        const Streams one(std::move(near.second));
        const Streams other(std::move(far.first));
        Task<> there = create_task(pass(one.reader, other.writer, scene.to_server));
        Task<> back = create_task(pass(other.reader, one.writer, scene.to_client));
        Task<> serving = create_task(
            with_limit(talk_as_server(std::move(far.second), scene), scene.server_said));
        co_await with_limit(talk_as_client(std::move(near.first), scene), scene.client_said);
        co_await serving;
        // The relay may write to an end that has gone.
        co_await internal::settle(std::move(there));
        co_await internal::settle(std::move(back));
    });
}

class tls_altered_byte : public ::testing::TestWithParam<tls::Version> {
protected:
    /// Alters every third byte of a direction, up to `limit`.
    static void alter_each(Direction Scene::* direction, std::size_t limit) {
        int harmless = 0;
        for (std::size_t at = 0; at < limit; at += 3) {
            Scene scene{GetParam()};
            (scene.*direction).altered = at;
            run(scene);
            EXPECT_NE(scene.client_said, "WRONG DATA") << at;
            EXPECT_NE(scene.server_said, "WRONG DATA") << at;
            // Signatures differ in length, so the last message begins a little earlier or later.
            if (scene.before_last > 0 && scene.to_client.altered != no_byte &&
                at >= scene.before_last)
                break;
            EXPECT_EQ(scene.client_said == "good", scene.server_said == "good")
                << at << ": " << scene.client_said << ", " << scene.server_said;
            if (scene.client_said == "good") ++harmless;
        }
        // The version in the header of a record without encryption means nothing.
        EXPECT_LE(harmless, 8);
        EXPECT_EQ(left_error(), 0U);
    }
};

INSTANTIATE_TEST_SUITE_P(of, tls_altered_byte,
                         ::testing::Values(tls::Version::tls_1_2, tls::Version::tls_1_3),
                         [](const auto& info) {
                             return info.param == tls::Version::tls_1_2 ? "tls_1_2" : "tls_1_3";
                         });

TEST_P(tls_altered_byte, TLS_06_fails_at_both_ends) {
    Scene unaltered{GetParam()};
    run(unaltered);
    EXPECT_EQ(unaltered.client_said, "good");
    EXPECT_EQ(unaltered.server_said, "good");
    EXPECT_GT(unaltered.to_server.passed, 300U);
    EXPECT_GT(unaltered.before_last, 800U);
    alter_each(&Scene::to_server, unaltered.to_server.passed - 8);
    alter_each(&Scene::to_client, unaltered.before_last);
}

}  // namespace
