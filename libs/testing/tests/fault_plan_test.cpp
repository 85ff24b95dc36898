// Goal: a plan of faults is written and read without loss, and the seed draws plans that can be
// repeated. Method: texts and plans compared; runs of one seed compared.

#include <asyncio/connection.h>
#include <asyncio/files.h>
#include <asyncio/server.h>
#include <asyncio/sleep.h>
#include <asyncio/testing/fault_plan.h>
#include <asyncio/testing/simulate.h>
#include <asyncio/timeout.h>

#include <chrono>
#include <set>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using namespace asyncio;
using asyncio::testing::AssertionError;
using asyncio::testing::Fault;
using asyncio::testing::FaultPlan;
using asyncio::testing::Host;
using asyncio::testing::Network;
using asyncio::testing::plan_of_text;
using asyncio::testing::SeedError;
using asyncio::testing::simulate;
using asyncio::testing::simulate_seeds;
using asyncio::testing::to_text;

TEST(fault_plan, a_text_is_read_and_written_without_change) {
    const std::string text = "0s partition a b\n"
                             "1s heal a b\n"
                             "1s500ms heal\n"
                             "2m3s4ms5us6ns reset a b\n"
                             "1h die a\n"
                             "1h1m come_back a\n"
                             "2h clock a -3s\n"
                             "2h clock a 3s drift=-0.5\n"
                             "2h1s disk a 0\n"
                             "2h2s disk a 1000000\n"
                             "3h link a b latency=20ms jitter=1ms500us bytes_per_second=1000 "
                             "largest_piece_bytes=10 loss=0.1 duplication=0.25 reordering=0.001\n";
    EXPECT_EQ(to_text(plan_of_text(text)), text);
}

TEST(fault_plan, the_longest_times_are_written) {
    using std::chrono::nanoseconds;
    const std::string longest = "2562047h47m16s854ms775us807ns";
    EXPECT_EQ(to_text(plan_of_text(longest + " heal")), longest + " heal\n");
    EXPECT_EQ(to_text({{{}, Fault::clock("a", nanoseconds::min())}}),
              "0s clock a -2562047h47m16s854ms775us808ns\n");
}

TEST(fault_plan, comments_and_empty_lines_mean_nothing) {
    const FaultPlan plan = plan_of_text("\n  # a comment\n 500ms   die   server  # another\r\n\n");
    ASSERT_EQ(plan.size(), 1u);
    EXPECT_EQ(plan[0].when, 500ms);
    EXPECT_EQ(plan[0].what.kind, Fault::Kind::die);
    EXPECT_EQ(plan[0].what.one, "server");
}

TEST(fault_plan, a_wrong_line_is_quoted) {
    for (const std::string line :
         {"die server", "1 die server", "1s", "1s explode server", "1s die", "1s partition a",
          "1s die a b", "1s clock a", "1s clock a 1s slow=2", "1s clock a 1s drift=", "1s disk a",
          "1s disk a much", "1s disk a 1 2", "1s link a b speed=7", "1s link a b loss=much",
          "s die a", "1s link a b loss", "2562048h die a", "9223372036s9999999999ns die a"}) {
        try {
            plan_of_text(line);
            ADD_FAILURE() << line;
        } catch (const std::invalid_argument& error) {
            EXPECT_NE(std::string(error.what()).find('"' + line + '"'), std::string::npos)
                << error.what();
        }
    }
}

/// The text of the plan that a seed draws.
std::string drawn(std::uint64_t seed) {
    return simulate(
        [](Network& network) -> Coro<std::string> {
            for (const std::string name : {"a", "b", "c"}) network.host(name);
            co_return to_text(network.fail_at_random(
                {.deaths = true, .full_disks = true, .worst_skew = 10s, .worst_drift = 0.01}));
        },
        {.seed = seed});
}

TEST(fault_plan, a_seed_draws_one_plan_and_another_seed_another) {
    std::set<std::string> plans;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const std::string plan = drawn(seed);
        EXPECT_EQ(plan, drawn(seed));
        EXPECT_EQ(to_text(plan_of_text(plan)), plan);
        plans.insert(plan);
    }
    EXPECT_EQ(plans.size(), 20u);
}

TEST(fault_plan, the_plain_seed_draws_nothing) { EXPECT_EQ(drawn(0), ""); }

TEST(fault_plan, every_kind_of_fault_is_drawn_that_was_asked_for_and_no_other) {
    std::string all;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) all += drawn(seed);
    for (const std::string word : {" partition ", " heal ", " reset ", " die ", " come_back ",
                                   " link ", " clock ", " disk ", " drift="})
        EXPECT_NE(all.find(word), std::string::npos) << word;
    const std::string usual = simulate(
        [](Network& network) -> Coro<std::string> {
            for (const std::string name : {"a", "b", "c"}) network.host(name);
            co_return to_text(network.fail_at_random({.duration = 1h}));
        },
        {.seed = 1});
    for (const std::string word : {" die ", " clock ", " disk "})
        EXPECT_EQ(usual.find(word), std::string::npos) << word;
}

TEST(fault_plan, after_the_time_of_the_random_faults_the_network_is_whole) {
    const auto survive = [](Network& network) -> Coro<> {
        const Host server = network.host("server");
        const Host client = network.host("client");
        network.fail_at_random({.duration = 30s,
                                .pause = 1s,
                                .deaths = true,
                                .full_disks = true,
                                .worst_skew = 10s,
                                .worst_drift = 0.01});
        co_await sleep(31s);
        if (server.clock_now() != client.clock_now()) throw AssertionError("the clocks differ");
        co_await server.run(files::write_text("/tmp/f", "room"));
        auto handler = [](Stream stream) -> Coro<> {
            co_await stream.send("alive");
            co_await stream.aclose();
        };
        const Server serving = co_await server.run(start_server(handler, "0.0.0.0", 80));
        const Stream stream = co_await client.run(open_connection("server", 80));
        if (co_await stream.readexactly(5) != "alive") throw AssertionError("not alive");
        co_await stream.aclose();
        serving.close();
        co_await serving.wait_closed();
    };
    simulate_seeds(survive, {.first = 1, .count = 30});
}

TEST(fault_plan, the_error_of_a_seed_shows_the_faults) {
    const auto fail = [](Network& network) -> Coro<> {
        network.host("server");
        network.plan("1s die server");
        co_await sleep(2s);
        throw AssertionError("wrong");
    };
    try {
        simulate_seeds(fail, {.first = 5, .count = 1});
        ADD_FAILURE();
    } catch (const SeedError& error) {
        EXPECT_NE(std::string(error.what()).find("the faults of this run:\n1s die server"),
                  std::string::npos)
            << error.what();
    }
}

/// What a client sees of a bad network, as a text: when, and what.
std::string story_of(std::uint64_t seed) {
    return simulate(
        [](Network& network) -> Coro<std::string> {
            const Host server = network.host("server");
            const Host client = network.host("client");
            network.fail_at_random({.duration = 20s, .pause = 1s});
            server.start([]() -> Coro<> {
                auto echo = [](Stream stream) -> Coro<> {
                    try {
                        for (;;) {
                            std::string bytes = co_await stream.read(100);
                            if (bytes.empty()) break;
                            co_await stream.send(std::move(bytes));
                        }
                    } catch (const OsError&) {
                        // The network has broken the connection off.
                    }
                    stream.abort();
                };
                Server serving = co_await start_server(echo, "0.0.0.0", 80);
                co_await serving.serve_forever();
            }());
            std::string story;
            const auto note = [&](const std::string& what) {
                const auto time = get_running_loop().time().time_since_epoch().count();
                story += std::to_string(time) + " " + what + "\n";
            };
            for (int round = 0; round < 10; ++round) {
                const auto talk = [&]() -> Coro<> {
                    const Stream stream = co_await open_connection("server", 80);
                    for (int i = 0; i < 20; ++i) {
                        co_await stream.send("hello " + std::to_string(i));
                        note(co_await stream.read(100));
                    }
                    co_await stream.aclose();
                };
                const auto limited = [&]() -> Coro<> { co_await move_on_after(5s, talk); };
                try {
                    co_await client.run(limited());
                } catch (const OsError& error) {
                    note(error.what());
                }
            }
            co_return story;
        },
        {.seed = seed});
}

TEST(fault_plan, the_same_seed_gives_the_same_run_to_the_last_tick) {
    std::set<std::string> stories;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const std::string story = story_of(seed);
        EXPECT_EQ(story, story_of(seed)) << "seed " << seed;
        stories.insert(story);
    }
    EXPECT_EQ(stories.size(), 10u);
}

}  // namespace
