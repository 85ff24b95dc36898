// Goal: threads ask the system, and no more of them than allowed. A lookup that hangs delays
// neither the default executor, nor the end of a run, of a loop or of the process.
//
// A table stands in the place of the system. A test closes a door at which the asking threads wait,
// so a lookup hangs exactly as long as the test wants. The real system is asked for nothing that
// would leave this machine.

#include <asyncio/executor.h>
#include <asyncio/gather.h>
#include <asyncio/names.h>
#include <asyncio/process_pool.h>
#include <asyncio/run.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>
#include <asyncio/timeout.h>

#include "net/names_help.h"
#include "support/sanitizer.h"
#include "support/system_names.h"

#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace names_test;
using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::get_running_loop;
using asyncio::ProcessPoolExecutor;

/// How long a step may take that does not wait for a hanging lookup. Generous, for a busy machine.
constexpr auto promptly = 10s;

std::chrono::steady_clock::duration time_of(auto&& action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    return std::chrono::steady_clock::now() - start;
}

/// A system whose lookups wait at a door.
struct HangingSystem {
    HangingSystem() {
        names.on_question = [this](const std::string&) { door.pass(); };
        for (const char* host : {"a", "b", "c", "d", "e", "f"}) {
            names.hosts[host] = found("192.0.2.1");
        }
    }

    /// Blocks until each of the four threads has finished its job to the last line, because they
    /// are all needed at the same time for new ones.
    void wait_until_threads_are_free() {
        door.close();
        SystemLoop loop;
        loop->run_until_complete([this]() -> Coro<> {
            std::vector<asyncio::Task<std::string>> tasks;
            for (const char* host : {"a", "b", "c", "d"}) {
                tasks.push_back(asyncio::create_task(look_up(host)));
            }
            co_await asyncio::sleep(0s);
            door.wait_for(4);
            door.open();
            for (auto& task : tasks) co_await task;
        }());
    }

    // In this order: the names are used until the door has let every thread pass.
    FakeNames names;
    Door door;
    InsteadOfSystem instead{names};
};

TEST(name_threads, ask_the_system_under_a_name_of_their_own) {
    FakeNames names;
    std::string thread_name;
    names.hosts["a.test"] = found("192.0.2.1");
    names.on_question = [&](const std::string&) {
        std::array<char, 16> name{};
        ::pthread_getname_np(::pthread_self(), name.data(), name.size());
        thread_name = name.data();
    };
    const InsteadOfSystem instead(names);
    run_asking_system([&]() -> Coro<> {
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
        EXPECT_TRUE(thread_name.starts_with("asyncio_names")) << thread_name;
        EXPECT_EQ(co_await look_up("a.test", 443), "192.0.2.1:443");
        EXPECT_EQ(names.count(), 1u);
        names.name = {.name = {.host = "a.test", .service = "http"}};
        thread_name.clear();
        EXPECT_EQ((co_await asyncio::getnameinfo(Address::any_v4(80))).host, "a.test");
        EXPECT_TRUE(thread_name.starts_with("asyncio_names")) << thread_name;
        EXPECT_EQ(co_await look_up("nohost.test"),
                  "look up \"nohost.test\", port 80: Name or service not known");
    });
}

TEST(name_threads, get_the_answers_of_the_real_system) {
    run_asking_system([]() -> Coro<> {
        if (support::system_knows_localhost()) {
            const std::string local = co_await look_up("localhost");
            EXPECT_TRUE(local.find("127.0.0.1:80") != local.npos ||
                        local.find("[::1]:80") != local.npos)
                << local;
        }
        EXPECT_EQ(co_await look_up("nohost", 80, {.flags = AI_NUMERICHOST}),
                  "look up \"nohost\", port 80: Name or service not known");
        EXPECT_EQ(co_await look_up("127.1"), "127.0.0.1:80");
        const auto named = co_await asyncio::getaddrinfo(
            "127.1", 80, {.type = SOCK_STREAM, .flags = AI_CANONNAME});
        EXPECT_EQ(named.front().canonname, "127.1");
        const Address address = Address::loopback_v4(80);
        const auto name = co_await asyncio::getnameinfo(address);
        EXPECT_EQ(name, asyncio::internal::SystemNames().name_of(address, 0).name);
    });
}

TEST(name_threads, an_exception_on_the_thread_reaches_the_task) {
    FakeNames names;
    names.on_question = [](const std::string&) { throw std::domain_error("no system"); };
    const InsteadOfSystem instead(names);
    run_asking_system([]() -> Coro<> {
        EXPECT_EQ(co_await look_up("a.test"), "no system");
        EXPECT_THROW(co_await asyncio::getnameinfo(Address::any_v4(80)), std::domain_error);
    });
}

TEST(name_threads, hanging_lookups_do_not_delay_the_default_executor_and_can_be_left) {
    HangingSystem system;
    system.door.close();
    run_asking_system([&]() -> Coro<> {
        std::vector<asyncio::Task<std::string>> tasks;
        for (const char* host : {"a", "b", "c", "d", "e", "f"}) {
            tasks.push_back(asyncio::create_task(look_up(host)));
        }
        co_await asyncio::sleep(0s);
        system.door.wait_for(4);
        EXPECT_EQ(co_await asyncio::to_thread([] { return 9; }), 9);
        EXPECT_EQ(system.names.count(), 4u) << "more than four threads ask";

        // "e" has not begun, and never will. The others go on.
        for (const std::size_t leaving : {0, 4}) {
            tasks[leaving].cancel();
            EXPECT_THROW(co_await tasks[leaving], asyncio::CancelledError);
        }
        system.door.open();
        for (const std::size_t staying : {1, 2, 3, 5}) {
            EXPECT_EQ(co_await tasks[staying], "192.0.2.1:80");
        }
        EXPECT_EQ(co_await look_up("a"), "192.0.2.1:80");
        EXPECT_EQ(system.names.count(), 5u);
        EXPECT_EQ(co_await look_up("e"), "192.0.2.1:80");
        EXPECT_EQ(system.names.count(), 6u);
    });
}

TEST(name_threads, a_lookup_in_the_queue_stays_while_one_of_its_tasks_waits) {
    HangingSystem system;
    system.door.close();
    run_asking_system([&]() -> Coro<> {
        std::vector<asyncio::Task<std::string>> tasks;
        for (const char* host : {"a", "b", "c", "d", "e", "e", "f"}) {
            tasks.push_back(asyncio::create_task(look_up(host)));
        }
        co_await asyncio::sleep(0s);
        system.door.wait_for(4);
        tasks[4].cancel();
        tasks[6].cancel();
        // Cancelled in this iteration, and asked again before the cancelled task runs.
        tasks.push_back(asyncio::create_task(look_up("f")));
        EXPECT_THROW(co_await tasks[4], asyncio::CancelledError);
        EXPECT_THROW(co_await tasks[6], asyncio::CancelledError);
        system.door.open();
        for (const std::size_t staying : {0, 1, 2, 3, 5, 7}) {
            EXPECT_EQ(co_await tasks[staying], "192.0.2.1:80");
        }
    });
    const std::vector<Asked> asked = system.names.asked();
    EXPECT_EQ(std::ranges::count(asked, "e", &Asked::host), 1);
    EXPECT_EQ(std::ranges::count(asked, "f", &Asked::host), 1);
}

TEST(name_threads, a_forgotten_lookup_that_is_given_up_leaves_the_one_in_its_place) {
    HangingSystem system;
    system.door.close();
    run_asking_system([&]() -> Coro<> {
        std::vector<asyncio::Task<std::string>> tasks;
        for (const char* host : {"a", "b", "c", "d", "e"}) {
            tasks.push_back(asyncio::create_task(look_up(host)));
        }
        co_await asyncio::sleep(0s);
        system.door.wait_for(4);
        get_running_loop().name_cache().clear();
        tasks.push_back(asyncio::create_task(look_up("e")));
        co_await asyncio::sleep(0s);
        tasks[4].cancel();
        EXPECT_THROW(co_await tasks[4], asyncio::CancelledError);
        tasks.push_back(asyncio::create_task(look_up("e")));
        co_await asyncio::sleep(0s);
        system.door.open();
        for (const std::size_t staying : {0, 1, 2, 3, 5, 6}) {
            EXPECT_EQ(co_await tasks[staying], "192.0.2.1:80");
        }
    });
    EXPECT_EQ(std::ranges::count(system.names.asked(), "e", &Asked::host), 1);
    system.wait_until_threads_are_free();
}

TEST(name_threads, trying_again_joins_the_lookup_that_hangs) {
    HangingSystem system;
    system.door.close();
    run_asking_system([&]() -> Coro<> {
        for (int attempt = 0; attempt < 10; ++attempt) {
            EXPECT_THROW(co_await asyncio::wait_for(look_up("a"), 1ms), asyncio::TimeoutError);
        }
        system.door.wait_for(1);
        EXPECT_EQ(system.names.count(), 1u);
        system.door.open();
        EXPECT_EQ(co_await look_up("a"), "192.0.2.1:80");
        EXPECT_EQ(system.names.count(), 1u);
    });
}

TEST(name_threads, a_lookup_of_a_name_can_be_left) {
    HangingSystem system;
    system.door.close();
    run_asking_system([&]() -> Coro<> {
        auto task = asyncio::create_task(asyncio::getnameinfo(Address::any_v4(80)));
        co_await asyncio::sleep(0s);
        system.door.wait_for(1);
        task.cancel();
        EXPECT_THROW(co_await task, asyncio::CancelledError);
        system.door.open();
    });
    system.wait_until_threads_are_free();
}

// The ends.

/// Leaves three lookups that hang: one that a clear has taken out of the table, one that stands
/// there, and one of a name.
Coro<> leave_hanging_lookups(Door& door) {
    auto cleared = asyncio::create_task(look_up("a"));
    auto waits = asyncio::create_task(look_up("b"));
    auto name = asyncio::create_task(asyncio::getnameinfo(Address::any_v4(80)));
    co_await asyncio::sleep(0s);
    door.wait_for(3);
    get_running_loop().name_cache().forget("a");
    for (auto* task : {&cleared, &waits}) {
        task->cancel();
        EXPECT_THROW(co_await *task, asyncio::CancelledError);
    }
    name.cancel();
    EXPECT_THROW(co_await name, asyncio::CancelledError);
}

TEST(name_threads, NET_26_an_answer_that_comes_after_the_loop_has_closed_finds_no_loop) {
    // The loop lets go of its names and of its threads in the order in which it got them.
    for (const bool threads_first : {false, true}) {
        HangingSystem system;
        system.door.close();
        {
            SystemLoop loop;
            loop->run_until_complete([](Door& door, bool begins_with_a_thread) -> Coro<> {
                if (begins_with_a_thread) co_await asyncio::to_thread([] {});
                co_await leave_hanging_lookups(door);
            }(system.door, threads_first));
            loop->close();
        }
        system.door.open();
        system.wait_until_threads_are_free();
    }
}

TEST(name_threads, NET_26_a_loop_that_closes_with_answers_on_their_way_drops_them) {
    HangingSystem system;
    system.door.close();
    {
        const support::LogCapture log;
        SystemLoop loop;
        auto task = loop->create_task(look_up("a"));
        loop.run_once();
        system.door.wait_for(1);
        system.door.open();
        // The post of the answer may come before, while or after the loop closes.
        loop->close();
        support::LogCapture::take();  // the task, which was still running
        EXPECT_TRUE(task.done());
    }
    system.wait_until_threads_are_free();
}

TEST(name_threads, a_run_ends_promptly_although_lookups_hang) {
    HangingSystem system;
    system.door.close();
    EXPECT_LT(time_of([&] {
                  asyncio::run(
                      [](Door& door) -> Coro<> {
                          auto left = asyncio::create_task(look_up("a"));
                          auto name =
                              asyncio::create_task(asyncio::getnameinfo(Address::any_v4(80)));
                          co_await asyncio::sleep(0s);
                          door.wait_for(2);
                      }(system.door),
                      {.backend = backend_of_system()});
              }),
              promptly);
    system.door.open();
    system.wait_until_threads_are_free();
}

/// The loops exist at the same time, from before the first lookup until after the last: the thread
/// sanitizer does not know that memory of one ring was given back before it is that of another.
TEST(name_threads, loops_of_several_threads_share_them) {
    HangingSystem system;
    std::array<std::string, 4> answers;
    std::barrier all_threads(4);
    {
        std::vector<std::jthread> threads;
        threads.reserve(answers.size());
        for (std::string& answer : answers) {
            threads.emplace_back([&] {
                SystemLoop loop;
                all_threads.arrive_and_wait();
                for (int run = 0; run < 5; ++run) {
                    loop->name_cache().clear();
                    answer = loop->run_until_complete(look_up("a"));
                }
                all_threads.arrive_and_wait();
            });
        }
    }
    for (const std::string& answer : answers) EXPECT_EQ(answer, "192.0.2.1:80");
    EXPECT_EQ(system.names.count(), 20u);
}

/// For a process of its own: a program that ends while a lookup hangs, and others wait in the
/// queue. The objects are never destroyed, as the thread still uses them.
void exit_with_a_hanging_lookup() {
    static auto& system = *new HangingSystem;
    system.door.close();
    asyncio::run(
        []() -> Coro<> {
            std::vector<asyncio::Task<std::string>> tasks;
            for (const char* host : {"a", "b", "c", "d", "e"}) {
                tasks.push_back(asyncio::create_task(look_up(host)));
            }
            co_await asyncio::sleep(0s);
            system.door.wait_for(4);
        }(),
        {.backend = backend_of_system()});
    std::exit(3);
}

TEST(name_threads, a_process_ends_promptly_although_lookups_hang) {
    run_asking_system([]() -> Coro<> {
        ProcessPoolExecutor programs({.max_workers = 1});
        const auto start = std::chrono::steady_clock::now();
        std::string end;
        try {
            co_await get_running_loop().run_in_executor(programs, exit_with_a_hanging_lookup);
        } catch (const asyncio::BrokenProcessPool& error) {
            end = error.what();
        }
        EXPECT_TRUE(support::contains(end, "ended with status 3")) << end;
        EXPECT_LT(std::chrono::steady_clock::now() - start, promptly);
    });
}

/// For a process of its own. Returns 0, or the number of the step that went wrong.
int raise_the_number_of_threads() {
    HangingSystem system;
    // Whether exactly so many of six lookups begin while none ends.
    const auto begin_together = [&](int threads) -> Coro<bool> {
        get_running_loop().name_cache().clear();
        const std::size_t before = system.names.count();
        system.door.close();
        std::vector<asyncio::Task<std::string>> tasks;
        for (const char* host : {"a", "b", "c", "d", "e", "f"}) {
            tasks.push_back(asyncio::create_task(look_up(host)));
        }
        co_await asyncio::sleep(0s);
        system.door.wait_for(threads);
        const std::size_t begun = system.names.count() - before;
        system.door.open();
        for (auto& task : tasks) co_await task;
        co_return begun == static_cast<std::size_t>(threads);
    };
    return asyncio::run(
        [&]() -> Coro<int> {
            asyncio::set_max_name_threads(1);
            if (!co_await begin_together(1)) co_return 1;
            asyncio::set_max_name_threads(6);
            if (!co_await begin_together(6)) co_return 2;
            co_return 0;
        }(),
        {.backend = backend_of_system()});
}

TEST(name_threads, can_be_more_or_fewer) {
    run_asking_system([]() -> Coro<> {
        ProcessPoolExecutor programs({.max_workers = 1});
        EXPECT_EQ(
            co_await get_running_loop().run_in_executor(programs, raise_the_number_of_threads), 0);
    });
    EXPECT_THROW(asyncio::set_max_name_threads(0), std::invalid_argument);
}

/// The size of the memory of this process in bytes.
rlim_t address_space() {
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

/// For a process of its own, which has no room for the stack of a thread for a while.
std::string look_up_without_room_for_a_thread() {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    const InsteadOfSystem instead(names);
    return asyncio::run(
        [&]() -> Coro<std::string> {
            rlimit limit{};
            ::getrlimit(RLIMIT_AS, &limit);
            const rlimit narrow{address_space() + (rlim_t{4} << 20), limit.rlim_max};
            ::setrlimit(RLIMIT_AS, &narrow);
            std::string result = co_await look_up("a.test");
            result += "; " + co_await look_up("a.test");
            ::setrlimit(RLIMIT_AS, &limit);
            co_return result + "; " + co_await look_up("a.test");
        }(),
        {.backend = backend_of_system()});
}

TEST(name_threads, a_thread_that_cannot_be_started_is_an_error_and_leaves_nothing_behind) {
    if (support::under_address_sanitizer || support::under_thread_sanitizer)
        GTEST_SKIP() << "a sanitizer has no limit for its memory";
    run_asking_system([]() -> Coro<> {
        ProcessPoolExecutor programs({.max_workers = 1});
        const std::string text = co_await get_running_loop().run_in_executor(
            programs, look_up_without_room_for_a_thread);
        const std::string error = "cannot start a worker thread: Resource temporarily unavailable";
        EXPECT_EQ(text, error + "; " + error + "; 192.0.2.1:80");
    });
}

TEST(name_threads, a_forked_child_has_threads_of_its_own) {
    if (support::under_thread_sanitizer)
        GTEST_SKIP() << "the sanitizer allows no threads in a child of a program with threads";
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    const InsteadOfSystem instead(names);
    run_asking_system([]() -> Coro<> { EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80"); });
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20);
        ::_exit(asyncio::run(look_up("a.test"), {.backend = backend_of_system()}) == "192.0.2.1:80"
                    ? 0
                    : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    run_asking_system([]() -> Coro<> { EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80"); });
}

}  // namespace
