// Goal: a lookup gives the answer of the names to every task that has asked, at the time at which
// it comes, and to nobody who has left.
//
// The names are a table behind the simulated back-end, so an answer takes virtual time, and every
// race between an answer and a cancellation can be set up to the iteration. How threads answer in
// the place of a back-end is the subject of name_threads_test.cpp.

#include <asyncio/exceptions.h>
#include <asyncio/gather.h>
#include <asyncio/names.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>
#include <asyncio/timeout.h>

#include "net/names_help.h"
#include "support/log_capture.h"

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace names_test;
using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::GaiError;
using asyncio::get_running_loop;
using asyncio::OsError;

TEST(names, an_answer_takes_the_time_that_the_names_say) {
    FakeNames names;
    names.hosts["slow.test"] = found("192.0.2.1", 3s);
    names.hosts["quick.test"] = found("192.0.2.2");
    run_with(names, []() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto start = loop.time();
        EXPECT_EQ(co_await look_up("slow.test"), "192.0.2.1:80");
        EXPECT_EQ(loop.time() - start, 3s);
        const auto iterations = loop.iterations();
        EXPECT_EQ(co_await look_up("quick.test"), "192.0.2.2:80");
        EXPECT_EQ(loop.time() - start, 3s);
        EXPECT_EQ(loop.iterations(), iterations) << "an answer that is there is not waited for";
    });
}

TEST(names, are_asked_with_the_family_type_and_protocol_of_the_hints) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1");
    run_with(names, [&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const AddressHints hints{
            .family = AF_INET6, .type = SOCK_DGRAM, .proto = 17, .flags = AI_CANONNAME};
        co_await loop.getaddrinfo("a.test", 53, hints);
        co_await asyncio::getaddrinfo("a.test", "domain");
    });
    const std::vector<Asked> expected = {
        {"a.test", "", {AF_INET6, SOCK_DGRAM, 17, AI_CANONNAME}},
        {"a.test", "domain", {}},
    };
    EXPECT_EQ(names.asked(), expected);
}

TEST(names, the_whole_answer_is_returned_and_the_port_is_added_to_each_address) {
    FakeNames names;
    names.hosts["a.test"].list = {
        {.type = SOCK_STREAM, .proto = 6, .canonname = "b.test", .address = Address::ip("::1", 0)},
        {.type = SOCK_DGRAM, .proto = 17, .address = Address::ip("10.0.0.1", 0)},
    };
    run_with(names, []() -> Coro<> {
        const auto list = co_await asyncio::getaddrinfo("a.test", 8080);
        const std::vector<AddressInfo> expected = {
            {SOCK_STREAM, 6, "b.test", Address::ip("::1", 8080)},
            {SOCK_DGRAM, 17, "", Address::ip("10.0.0.1", 8080)},
        };
        EXPECT_EQ(list, expected);
        EXPECT_EQ(list[0].family(), AF_INET6);
        // Without a port, with the port as a text, and another port of the same answer.
        EXPECT_EQ(texts(co_await asyncio::getaddrinfo("a.test", "")).front(), "[::1]:0");
        EXPECT_EQ(texts(co_await asyncio::getaddrinfo("a.test", "0443")).front(), "[::1]:443");
        EXPECT_EQ(texts(co_await asyncio::getaddrinfo("a.test", 65535)).back(), "10.0.0.1:65535");
    });
    EXPECT_EQ(names.count(), 1u);
}

TEST(names, a_service_by_name_and_a_raw_socket_are_asked_as_they_are) {
    FakeNames names;
    names.hosts["a.test"] = {.list = {stream_to("192.0.2.1", 80)}};
    run_with(names, []() -> Coro<> {
        EXPECT_EQ(texts(co_await asyncio::getaddrinfo("a.test", "http")).front(), "192.0.2.1:80");
        co_await asyncio::getaddrinfo("a.test", 80, {.type = SOCK_RAW});
        EXPECT_EQ(co_await look_up("", 80, {.family = AF_INET, .flags = AI_ADDRCONFIG}),
                  "look up the addresses of this machine, port 80: Name or service not known");
    });
    const std::vector<Asked> expected = {
        {"a.test", "http", {}},
        {"a.test", "80", {.type = SOCK_RAW}},
        {"", "80", {.family = AF_INET, .flags = AI_ADDRCONFIG}},
    };
    EXPECT_EQ(names.asked(), expected);
}

// Sharing.

TEST(names, tasks_that_ask_the_same_question_share_one_lookup) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 1s);
    run_with(names, [&]() -> Coro<> {
        get_running_loop().name_cache().set_options({.enabled = false});
        const auto [one, two, other_port] =
            co_await asyncio::gather(look_up("a.test"), look_up("a.test"), look_up("a.test", 443));
        EXPECT_EQ(one, "192.0.2.1:80");
        EXPECT_EQ(two, "192.0.2.1:80");
        EXPECT_EQ(other_port, "192.0.2.1:443");
        EXPECT_EQ(names.count(), 1u);
        co_await asyncio::gather(look_up("a.test"), look_up("a.test", 80, {.type = SOCK_DGRAM}),
                                 look_up("b.test"));
        EXPECT_EQ(names.count(), 4u);
    });
}

TEST(names, tasks_wake_in_the_order_in_which_they_asked) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 1s);
    run_with(names, []() -> Coro<> {
        std::string order;
        const auto ask = [&order](char letter) -> Coro<> {
            co_await look_up("a.test");
            order += letter;
        };
        co_await asyncio::gather(ask('a'), ask('b'), ask('c'));
        EXPECT_EQ(order, "abc");
    });
}

// Cancellation.

TEST(names, a_cancelled_task_ends_at_once_and_the_others_get_the_answer) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 10s);
    run_with(names, [&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        auto leaves = asyncio::create_task(look_up("a.test"));
        auto stays = asyncio::create_task(look_up("a.test"));
        co_await asyncio::sleep(1s);
        const auto start = loop.time();
        leaves.cancel();
        EXPECT_THROW(co_await leaves, asyncio::CancelledError);
        EXPECT_EQ(loop.time(), start);
        EXPECT_EQ(co_await stays, "192.0.2.1:80");
        EXPECT_EQ(loop.time() - start, 9s);
        EXPECT_EQ(names.count(), 1u);
    });
}

TEST(names, the_answer_for_a_task_that_has_left_serves_the_next_one) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 10s);
    run_with(names, [&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto start = loop.time();
        EXPECT_THROW(co_await asyncio::wait_for(look_up("a.test"), 4s), asyncio::TimeoutError);
        EXPECT_EQ(loop.time() - start, 4s);
        // The lookup is still in flight, and this task joins it.
        EXPECT_THROW(co_await asyncio::wait_for(look_up("a.test"), 4s), asyncio::TimeoutError);
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
        EXPECT_EQ(loop.time() - start, 10s);
        EXPECT_THROW(co_await asyncio::wait_for(look_up("b.test"), 0s), asyncio::TimeoutError);
        EXPECT_EQ(names.count(), 1u) << "a task that never began has asked nothing";
    });
}

TEST(names, an_answer_that_no_task_waits_for_is_kept_when_it_comes) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 10s);
    run_with(names, [&]() -> Coro<> {
        EXPECT_THROW(co_await asyncio::wait_for(look_up("a.test"), 1s), asyncio::TimeoutError);
        co_await asyncio::sleep(9s);
        EXPECT_EQ(get_running_loop().name_cache().size(), 1u);
        const auto start = get_running_loop().time();
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
        EXPECT_EQ(get_running_loop().time(), start);
        EXPECT_EQ(names.count(), 1u);
    });
}

TEST(names, a_cancellation_in_the_iteration_of_the_answer_ends_the_task_and_keeps_the_answer) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 1s);
    run_with(names, [&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto when = loop.time() + 1s;
        asyncio::Task<std::string> before = asyncio::create_task(look_up("a.test"));
        // Armed before the task has asked, so it rings before the answer comes.
        loop.call_at(when, [&] { before.cancel(); });
        asyncio::Task<std::string> after = asyncio::create_task(look_up("a.test"));
        co_await asyncio::sleep(0s);
        // Armed after the task has asked: the answer has come, and the task is about to run.
        loop.call_at(when, [&] { after.cancel(); });
        co_await asyncio::sleep(2s);
        EXPECT_TRUE(before.cancelled());
        EXPECT_TRUE(after.cancelled());
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
        EXPECT_EQ(names.count(), 1u);
    });
}

TEST(names, a_lookup_without_an_end_is_a_deadlock_that_the_simulation_reports) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", asyncio::Duration::max());
    const support::LogCapture log;
    support::TestLoop loop(asyncio::lowlevel::make_simulated_backend({}));
    loop.probe().names_instead = &names;
    EXPECT_THROW(loop->run_until_complete(look_up("a.test")), asyncio::DeadlockError);
    support::LogCapture::take();  // the tasks that the loop ends when it is closed
    loop->close();
    support::LogCapture::take();
}

TEST(names, a_loop_may_close_while_answers_are_on_their_way) {
    FakeNames names;
    names.hosts["a.test"] = found("192.0.2.1", 10s);
    names.hosts["b.test"] = found("192.0.2.2", 10s);
    const support::LogCapture log;
    support::TestLoop loop(asyncio::lowlevel::make_simulated_backend({}));
    loop.probe().names_instead = &names;
    loop->run_until_complete([]() -> Coro<> {
        EXPECT_THROW(co_await asyncio::wait_for(look_up("a.test"), 1s), asyncio::TimeoutError);
        get_running_loop().name_cache().clear();
        EXPECT_THROW(co_await asyncio::wait_for(look_up("b.test"), 1s), asyncio::TimeoutError);
    }());
    loop->close();
}

// Errors.

TEST(names, an_error_names_the_host_and_the_port) {
    FakeNames names;
    names.hosts["again.test"] = missing(EAI_AGAIN);
    run_with(names, []() -> Coro<> {
        EXPECT_EQ(co_await look_up("nohost.test"),
                  "look up \"nohost.test\", port 80: Name or service not known");
        EXPECT_EQ(co_await look_up("again.test", 0),
                  "look up \"again.test\", port 0: Temporary failure in name resolution");
        try {
            co_await asyncio::getaddrinfo("nohost.test", "http");
            ADD_FAILURE() << "no error";
        } catch (const OsError& error) {
            EXPECT_STREQ(error.what(),
                         "look up \"nohost.test\", service \"http\": Name or service not known");
            EXPECT_EQ(error.error(), EAI_NONAME);
            EXPECT_EQ(error.code(), std::error_code(EAI_NONAME, asyncio::gai_category()));
            EXPECT_STREQ(error.code().category().name(), "getaddrinfo");
            const auto* const gai = dynamic_cast<const GaiError*>(&error);
            EXPECT_TRUE(gai != nullptr && gai->host() == "nohost.test");
        }
        try {
            co_await asyncio::getaddrinfo("nohost.test", "");
            ADD_FAILURE() << "no error";
        } catch (const GaiError& error) {
            EXPECT_STREQ(error.what(), "look up \"nohost.test\": Name or service not known");
        }
    });
}

TEST(names, an_error_of_the_system_is_an_os_error_with_its_errno) {
    FakeNames names;
    names.hosts["a.test"] = {.error = EAI_SYSTEM, .system_error = EMFILE};
    run_with(names, []() -> Coro<> {
        try {
            co_await asyncio::getaddrinfo("a.test", 80);
            ADD_FAILURE() << "no error";
        } catch (const GaiError&) {
            ADD_FAILURE() << "EMFILE is no error of names";
        } catch (const OsError& error) {
            EXPECT_EQ(error.code(), std::errc::too_many_files_open);
            EXPECT_STREQ(error.what(), "look up \"a.test\", port 80: Too many open files");
        }
    });
}

TEST(names, an_exception_of_the_names_reaches_the_task_and_leaves_nothing_behind) {
    FakeNames names;
    names.on_question = [](const std::string&) { throw std::domain_error("no world"); };
    run_with(names, [&]() -> Coro<> {
        EXPECT_EQ(co_await look_up("a.test"), "no world");
        names.on_question = nullptr;
        names.hosts["a.test"] = found("192.0.2.1");
        EXPECT_EQ(co_await look_up("a.test"), "192.0.2.1:80");
    });
}

TEST(names, arguments_that_cannot_be_asked_are_refused) {
    FakeNames names;
    run_with(names, []() -> Coro<> {
        using namespace std::string_literals;
        EXPECT_THROW(co_await asyncio::getaddrinfo("a\0b"s, 80), std::invalid_argument);
        EXPECT_THROW(co_await asyncio::getaddrinfo("a", "8\0"s), std::invalid_argument);
        EXPECT_THROW(static_cast<void>(asyncio::getaddrinfo("a", -1)), std::invalid_argument);
        EXPECT_THROW(static_cast<void>(get_running_loop().getaddrinfo("a", 65536)),
                     std::invalid_argument);
        try {
            co_await asyncio::getaddrinfo("a.test", "65536");
            ADD_FAILURE() << "no error";
        } catch (const GaiError& error) {
            EXPECT_EQ(error.error(), EAI_SERVICE);
        }
        try {
            co_await asyncio::getaddrinfo("", "");
            ADD_FAILURE() << "no error";
        } catch (const GaiError& error) {
            EXPECT_EQ(error.error(), EAI_NONAME);
        }
    });
    EXPECT_EQ(names.count(), 0u);
}

TEST(names, a_loop_answers_its_own_tasks_only_and_none_when_it_is_closed) {
    EventLoop other;
    support::run_test([&]() -> Coro<> {
        EXPECT_THROW(co_await other.getaddrinfo("127.0.0.1", 80), asyncio::RuntimeError);
        EXPECT_THROW(co_await other.getnameinfo(Address::any_v4(1)), asyncio::RuntimeError);
    });
    other.close();
    EXPECT_THROW(static_cast<void>(other.getaddrinfo("a", 80)), asyncio::RuntimeError);
    EXPECT_THROW(static_cast<void>(other.getaddrinfo("a", "80")), asyncio::RuntimeError);
    EXPECT_THROW(static_cast<void>(other.getnameinfo(Address::any_v4(1))), asyncio::RuntimeError);
    EXPECT_THROW(static_cast<void>(other.name_cache()), asyncio::RuntimeError);
}

// The other direction.

TEST(names, the_name_of_an_address_takes_the_time_that_the_names_say) {
    FakeNames names;
    names.name = {.name = {.host = "a.test", .service = "http"}, .delay = 2s};
    run_with(names, []() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto start = loop.time();
        const asyncio::NameInfo name = co_await asyncio::getnameinfo(Address::ip("192.0.2.1", 80));
        EXPECT_EQ(name, (asyncio::NameInfo{"a.test", "http"}));
        EXPECT_EQ(loop.time() - start, 2s);
        EXPECT_EQ((co_await loop.getnameinfo(Address::ip("192.0.2.1", 80), NI_NAMEREQD)).host,
                  "a.test");
        EXPECT_THROW(
            co_await asyncio::wait_for(asyncio::getnameinfo(Address::ip("192.0.2.1", 80)), 1s),
            asyncio::TimeoutError);
        EXPECT_EQ(loop.time() - start, 5s);
    });
    const std::vector<Asked> expected = {
        {"192.0.2.1:80", "0", {}},
        {"192.0.2.1:80", std::to_string(NI_NAMEREQD), {}},
        {"192.0.2.1:80", "0", {}},
    };
    EXPECT_EQ(names.asked(), expected);
}

TEST(names, an_address_without_a_name_is_named_in_the_error) {
    FakeNames names;
    names.name = {.error = EAI_NONAME};
    run_with(names, [&]() -> Coro<> {
        try {
            co_await asyncio::getnameinfo(Address::ip("::1", 80), NI_NAMEREQD);
            ADD_FAILURE() << "no error";
        } catch (const GaiError& error) {
            EXPECT_STREQ(error.what(), "look up the name of [::1]:80: Name or service not known");
            EXPECT_EQ(error.host(), "[::1]:80");
        }
        names.name = {.error = EAI_SYSTEM, .system_error = EIO};
        EXPECT_THROW(co_await asyncio::getnameinfo(Address::ip("::1", 80)), OsError);
    });
}

}  // namespace
