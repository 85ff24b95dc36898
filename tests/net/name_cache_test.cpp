// Goal: a loop keeps an answer for exactly the time that the options say, forgets what it should,
// and never holds more answers than it may. The clock is virtual, and the names are counted.

#include <asyncio/names.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "net/names_help.h"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace names_test;
using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::get_running_loop;
using asyncio::NameCache;

TEST(name_cache, NET_40_keeps_addresses_for_thirty_seconds_and_no_longer) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 1s);
    run_with(names, [&]() -> Coro<> {
        co_await look_up("a.test");
        names.hosts["a.test"] = found("192.0.2.2");
        co_await asyncio::sleep(30s - 1ns);
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
        co_await asyncio::sleep(1ns);
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.2:80");
        EXPECT_EQ(names.count(), 2u);
        EXPECT_EQ(get_running_loop().name_cache().size(), 1u);
    });
}

TEST(name_cache, keeps_that_a_name_is_missing_for_five_seconds) {
    FakeNames names;
    names.hosts["nodata.test"] = missing(EAI_NODATA);
    names.hosts["family.test"] = missing(EAI_ADDRFAMILY);
    run_with(names, [&]() -> Coro<> {
        for (const char* host : {"a.test", "nodata.test", "family.test"}) {
            const std::size_t before = names.count();
            const std::string error = co_await look_up(host);
            co_await asyncio::sleep(5s - 1ns);
            EXPECT_EQ(co_await look_up(host), error);
            EXPECT_EQ(names.count(), before + 1) << host;
            co_await asyncio::sleep(1ns);
            co_await look_up(host);
            EXPECT_EQ(names.count(), before + 2) << host;
        }
    });
}

TEST(name_cache, a_failure_that_may_pass_is_asked_again) {
    FakeNames names;
    run_with(names, [&]() -> Coro<> {
        for (const int error : {EAI_AGAIN, EAI_FAIL, EAI_SYSTEM, EAI_MEMORY, EAI_SERVICE}) {
            names.hosts["a.test"] = missing(error, 1ms);
            const std::size_t before = names.count();
            co_await look_up("a.test");
            co_await look_up("a.test");
            EXPECT_EQ(names.count(), before + 2) << error;
        }
        EXPECT_EQ(get_running_loop().name_cache().size(), 0u);
    });
}

TEST(name_cache, has_the_times_of_its_options) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    run_with(names, [&]() -> Coro<> {
        NameCache cache = get_running_loop().name_cache();
        EXPECT_EQ(cache.options().found_for, asyncio::Delay(30s));
        cache.set_options({.found_for = 2s, .missing_for = 1s});
        EXPECT_EQ(cache.options().found_for, asyncio::Delay(2s));
        co_await look_up("a.test");
        co_await look_up("b.test");
        co_await asyncio::sleep(1s);
        co_await look_up("a.test");
        co_await look_up("b.test");
        EXPECT_EQ(names.count(), 3u);
        co_await asyncio::sleep(1s);
        co_await look_up("a.test");
        EXPECT_EQ(names.count(), 4u);
        cache.set_options({.found_for = asyncio::Duration::max()});
        cache.clear();
        co_await look_up("a.test");
        co_await asyncio::sleep(24h * 365);
        co_await look_up("a.test");
        EXPECT_EQ(names.count(), 5u);
    });
}

TEST(name_cache, keeps_nothing_when_it_is_switched_off) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    names.hosts["b.test"] = found("192.0.2.2", 1s);
    run_with(names, [&]() -> Coro<> {
        NameCache cache = get_running_loop().name_cache();
        for (const asyncio::NameCacheOptions& off :
             {asyncio::NameCacheOptions{.enabled = false},
              asyncio::NameCacheOptions{.found_for = 0s, .missing_for = 0s},
              asyncio::NameCacheOptions{.found_for = -1s, .missing_for = -1s},
              asyncio::NameCacheOptions{.max_answers = 0}}) {
            cache.set_options({});
            co_await look_up("a.test");
            EXPECT_EQ(cache.size(), 1u);
            cache.set_options(off);
            const bool keeps_old = off.enabled && off.max_answers > 0;
            EXPECT_EQ(cache.size(), keeps_old ? 1u : 0u);
            cache.clear();
            const std::size_t before = names.count();
            for (const char* host : {"a.test", "a.test", "b.test", "b.test", "c.test", "c.test"}) {
                co_await look_up(host);
            }
            EXPECT_EQ(names.count(), before + 6);
            EXPECT_EQ(cache.size(), 0u);
        }
    });
}

TEST(name_cache, forgets_the_answer_that_was_used_longest_ago_when_it_is_full) {
    FakeNames names;
    for (const char* host : {"a", "b", "c", "d"}) names.hosts[host] = found("192.0.2.1");
    run_with(names, [&]() -> Coro<> {
        NameCache cache = get_running_loop().name_cache();
        cache.set_options({.max_answers = 3});
        for (const char* host : {"a", "b", "c"}) co_await look_up(host);
        co_await look_up("a");  // used, so "b" is the oldest
        co_await look_up("d");
        EXPECT_EQ(cache.size(), 3u);
        EXPECT_EQ(names.count(), 4u);
        for (const char* host : {"a", "c", "d"}) co_await look_up(host);
        EXPECT_EQ(names.count(), 4u);
        co_await look_up("b");
        EXPECT_EQ(names.count(), 5u);
        cache.set_options({.max_answers = 1});
        EXPECT_EQ(cache.size(), 1u);
        co_await look_up("b");
        EXPECT_EQ(names.count(), 5u);
    });
}

TEST(name_cache, forgets_one_host_with_all_its_questions) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    names.hosts["b.test"] = found("192.0.2.2");
    run_with(names, [&]() -> Coro<> {
        NameCache cache = get_running_loop().name_cache();
        const auto ask = []() -> Coro<> {
            co_await look_up("a.test");
            co_await look_up("a.test", 80, {.type = SOCK_DGRAM});
            co_await look_up("b.test");
        };
        co_await ask();
        EXPECT_EQ(cache.size(), 3u);
        cache.forget("a.test");
        EXPECT_EQ(cache.size(), 1u);
        cache.forget("nobody.test");
        co_await ask();
        EXPECT_EQ(names.count(), 5u);
        cache.clear();
        EXPECT_EQ(cache.size(), 0u);
        co_await ask();
        EXPECT_EQ(names.count(), 8u);
    });
}

TEST(name_cache, a_lookup_from_before_a_clear_answers_its_tasks_and_no_others) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 5s);
    run_with(names, [&]() -> Coro<> {
        NameCache cache = get_running_loop().name_cache();
        for (const bool all : {true, false}) {
            cache.clear();
            names.hosts["a.test"] = found("192.0.2.1", 5s);
            auto early = asyncio::create_task(look_up("a.test"));
            co_await asyncio::sleep(1s);
            all ? cache.clear() : cache.forget("a.test");
            names.hosts["a.test"] = found("192.0.2.2", 10s);
            auto late = asyncio::create_task(look_up("a.test"));
            EXPECT_EQ(co_await early, "192.0.2.1:80");
            EXPECT_EQ(cache.size(), 0u);
            EXPECT_EQ(co_await look_up("a.test"), "192.0.2.2:80");
            EXPECT_EQ(co_await late, "192.0.2.2:80");
            EXPECT_EQ(cache.size(), 1u);
        }
        EXPECT_EQ(names.count(), 4u);
    });
}

TEST(name_cache, every_loop_has_its_own) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    for (int loop = 0; loop < 2; ++loop) {
        run_with(names, []() -> Coro<> { co_await look_up("a.test"); });
    }
    EXPECT_EQ(names.count(), 2u);
}

TEST(name_cache, of_a_loop_that_is_closed_or_gone_is_refused) {
    std::optional<EventLoop> loop(std::in_place);
    NameCache cache = loop->name_cache();
    EXPECT_EQ(cache.size(), 0u);
    loop->close();
    const auto expect_refused = [&] {
        EXPECT_THROW(cache.clear(), asyncio::RuntimeError);
        EXPECT_THROW(cache.forget("a.test"), asyncio::RuntimeError);
        EXPECT_THROW(cache.set_options({}), asyncio::RuntimeError);
        EXPECT_THROW(static_cast<void>(cache.options()), asyncio::RuntimeError);
        try {
            static_cast<void>(cache.size());
            ADD_FAILURE() << "no error";
        } catch (const asyncio::RuntimeError& error) {
            EXPECT_STREQ(error.what(), "NameCache::size(): the event loop is closed");
        }
    };
    expect_refused();
    EXPECT_THROW(static_cast<void>(loop->name_cache()), asyncio::RuntimeError);
    loop.reset();
    expect_refused();
    loop.emplace();  // at the same address
    expect_refused();
}

TEST(name_cache, a_caller_may_change_the_list_that_it_gets) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    run_with(names, []() -> Coro<> {
        auto list = co_await asyncio::getaddrinfo("a.test", 80, {.type = SOCK_STREAM});
        list.clear();
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
    });
}

}  // namespace
