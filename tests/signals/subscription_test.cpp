// Goal: every subscriber of a signal is called for every signal, as a callback of its loop; a
// subscription may end at any moment, also in the callback; the disposition of before comes back.
// Method: signals that the test raises itself, so that the order is exact on every back-end.

#include "signals/signal_help.h"
#include "support/how.h"
#include "support/sanitizer.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace signal_test;

TEST(on_signal, SIG_11_calls_back_in_the_next_iteration_and_not_in_the_handler) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        std::uint64_t called_in = 0;
        const auto subscription = on_signal(SIGUSR1, [&] { called_in = loop.iterations(); });
        for (int time = 0; time < 2; ++time) {
            const std::uint64_t raised_in = loop.iterations();
            ::raise(SIGUSR1);
            EXPECT_NE(called_in, raised_in);
            co_await settle_signals();
            EXPECT_EQ(called_in, raised_in + 1);
        }
    });
}

TEST(on_signal, SIG_06_every_subscriber_gets_the_signal_in_the_order_of_subscription) {
    run_test([]() -> Coro<> {
        std::string order;
        const auto first = on_signal(SIGUSR1, [&] { order += 'a'; });
        const auto second = on_signal(SIGUSR1, [&] { order += 'b'; });
        get_running_loop().add_signal_handler(SIGUSR1, [&] { order += 'c'; });
        const auto fourth = on_signal(SIGUSR1, [&] { order += 'd'; });
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "abcd");
        get_running_loop().remove_signal_handler(SIGUSR1);
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "abcdabd");
    });
}

TEST(on_signal, SIG_08_the_last_subscriber_that_leaves_restores_the_disposition) {
    const Ignored ignored(SIGUSR1);
    support::run_test([&]() -> Coro<> {
        std::optional<SignalSubscription> first = on_signal(SIGUSR1, [] {});
        std::optional<SignalSubscription> second = on_signal(SIGUSR1, [] {});
        EXPECT_FALSE(ignored.is_back());
        first.reset();
        EXPECT_FALSE(ignored.is_back());
        second.reset();
        EXPECT_TRUE(ignored.is_back());
        first = on_signal(SIGUSR1, [] {});
        EXPECT_FALSE(ignored.is_back());
        first->remove();
        EXPECT_TRUE(ignored.is_back());
        first->remove();
        co_return;
    });
}

TEST(on_signal, a_subscription_that_has_ended_is_empty_and_its_captures_are_gone) {
    run_test([]() -> Coro<> {
        auto captured = std::make_shared<int>(7);
        auto subscription = on_signal(SIGUSR1, [captured] {});
        EXPECT_TRUE(subscription);
        EXPECT_EQ(captured.use_count(), 2);
        subscription.remove();
        EXPECT_FALSE(subscription);
        EXPECT_EQ(captured.use_count(), 1);
        SignalSubscription none;
        none.remove();
        EXPECT_FALSE(none);
        co_return;
    });
}

TEST(on_signal, moving_a_subscription_moves_the_callback_and_ends_the_one_it_replaces) {
    run_test([]() -> Coro<> {
        std::string order;
        auto first = on_signal(SIGUSR1, [&] { order += 'a'; });
        auto second = on_signal(SIGUSR1, [&] { order += 'b'; });
        const auto moved = std::move(first);
        first.remove();
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "ab");
        second = on_signal(SIGUSR1, [&] { order += 'c'; });
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "abac");
    });
}

TEST(on_signal, one_that_ends_before_its_turn_is_not_called) {
    run_test([]() -> Coro<> {
        int calls = 0;
        auto subscription = on_signal(SIGUSR1, [&] { ++calls; });
        ::raise(SIGUSR1);
        subscription.remove();
        co_await settle_signals();
        EXPECT_EQ(calls, 0);
    });
}

TEST(on_signal, one_that_begins_before_the_turn_of_a_signal_gets_it) {
    run_test([]() -> Coro<> {
        int calls = 0;
        auto first = on_signal(SIGUSR1, [] {});
        ::raise(SIGUSR1);
        first.remove();
        const auto second = on_signal(SIGUSR1, [&] { ++calls; });
        co_await settle_signals();
        EXPECT_EQ(calls, 1);
    });
}

TEST(on_signal, each_signal_that_the_handler_has_counted_is_delivered_in_an_iteration_of_its_own) {
    run_test([]() -> Coro<> {
        auto& loop = get_running_loop();
        std::vector<std::uint64_t> called_in;
        const std::uint64_t now = loop.iterations();
        const auto subscription =
            on_signal(SIGUSR1, [&] { called_in.push_back(loop.iterations() - now); });
        for (int time = 0; time < 3; ++time) ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(called_in, (std::vector<std::uint64_t>{1, 2, 3}));
    });
}

TEST(on_signal, a_signal_raised_in_its_own_callback_is_delivered_too) {
    run_test([]() -> Coro<> {
        int calls = 0;
        const auto subscription = on_signal(SIGUSR1, [&] {
            if (++calls < 5) ::raise(SIGUSR1);
        });
        ::raise(SIGUSR1);
        co_await settle_signals(12);
        EXPECT_EQ(calls, 5);
    });
}

TEST(on_signal, different_signals_come_in_the_order_in_which_they_were_raised) {
    run_test([]() -> Coro<> {
        std::string order;
        const auto one = on_signal(SIGUSR1, [&] { order += '1'; });
        const auto two = on_signal(SIGUSR2, [&] { order += '2'; });
        const auto three = on_signal(SIGHUP, [&] { order += '3'; });
        for (const int signal : {SIGUSR2, SIGHUP, SIGUSR1}) ::raise(signal);
        co_await settle_signals();
        EXPECT_EQ(order, "231");
    });
}

TEST(on_signal, a_callback_may_end_its_own_subscription) {
    run_test([]() -> Coro<> {
        auto captured = std::make_shared<int>(0);
        std::optional<SignalSubscription> subscription;
        subscription = on_signal(SIGUSR1, [captured, &subscription] {
            ++*captured;
            subscription.reset();
            ++*captured;  // what it captured is still there
        });
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(*captured, 2);
        EXPECT_EQ(captured.use_count(), 1);
        EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_IGN);
    });
}

TEST(on_signal, a_callback_may_end_the_subscriptions_before_and_behind_it) {
    run_test([]() -> Coro<> {
        std::string order;
        SignalSubscription first;
        SignalSubscription third;
        first = on_signal(SIGUSR1, [&] { order += 'a'; });
        auto second = on_signal(SIGUSR1, [&] {
            order += 'b';
            first.remove();
            third.remove();
        });
        third = on_signal(SIGUSR1, [&] { order += 'c'; });
        const auto fourth = on_signal(SIGUSR1, [&] { order += 'd'; });
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "abdbd");
    });
}

TEST(on_signal, a_subscriber_made_in_a_callback_gets_the_next_signal_and_stands_behind) {
    run_test([]() -> Coro<> {
        std::string order;
        std::vector<SignalSubscription> made;
        const auto first = on_signal(SIGUSR1, [&] {
            order += 'a';
            if (made.empty()) made.push_back(on_signal(SIGUSR1, [&] { order += 'c'; }));
        });
        const auto second = on_signal(SIGUSR1, [&] { order += 'b'; });
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "ab");
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(order, "ababc");
    });
}

TEST(on_signal, a_callback_may_leave_and_subscribe_again_as_the_only_one) {
    run_test([]() -> Coro<> {
        int calls = 0;
        SignalSubscription subscription;
        std::function<void()> again = [&] {
            ++calls;
            subscription = SignalSubscription();
            subscription = on_signal(SIGUSR1, again);
        };
        subscription = on_signal(SIGUSR1, again);
        for (int time = 0; time < 3; ++time) ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(calls, 3);
    });
}

TEST(on_signal,
     SIG_11_an_exception_of_a_callback_goes_to_the_exception_handler_and_others_are_called) {
    run_test([]() -> Coro<> {
        std::string reported;
        get_running_loop().set_exception_handler([&](EventLoop&, const ErrorContext& context) {
            reported = std::string(context.message) + ": " + describe(context.exception);
        });
        int calls = 0;
        const auto throws = on_signal(SIGUSR1, [] { throw std::runtime_error("no"); });
        const auto counts = on_signal(SIGUSR1, [&] { ++calls; });
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(reported, "a callback threw an exception: no");
        EXPECT_EQ(calls, 1);
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(on_signal, SIG_11_the_callback_runs_in_a_copy_of_the_context_of_the_subscription) {
    run_test([]() -> Coro<> {
        static ContextVar<int> variable("variable", 0);
        std::vector<int> seen;
        variable.set(1);
        const auto subscription = on_signal(SIGUSR1, [&] {
            seen.push_back(variable.get());
            variable.set(variable.get() + 10);
        });
        variable.set(2);
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(seen, (std::vector<int>{1, 11}));
        EXPECT_EQ(variable.get(), 2);
    });
}

TEST(on_signal, arguments_are_copied_once_and_given_to_every_call) {
    run_test([]() -> Coro<> {
        std::string text;
        const auto append = [](std::string& to, const std::string& what, int times) {
            for (int time = 0; time < times; ++time) to += what;
        };
        const auto subscription = on_signal(SIGUSR1, append, std::ref(text), std::string("ab"), 2);
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(text, "abababab");
    });
}

TEST(on_signal, a_callback_that_can_only_be_moved_is_taken) {
    run_test([]() -> Coro<> {
        auto owned = std::make_unique<int>(7);
        int seen = 0;
        const auto subscription =
            on_signal(SIGUSR1, [owned = std::move(owned), &seen] { seen = *owned; });
        ::raise(SIGUSR1);
        co_await settle_signals();
        EXPECT_EQ(seen, 7);
    });
}

TEST(on_signal, SIG_10_a_signal_that_cannot_be_caught_is_refused_by_name_and_nothing_is_kept) {
    run_test([]() -> Coro<> {
        auto captured = std::make_shared<int>(7);
        const auto subscribe = [&](int signal) {
            return refusal_of([&] { auto made = on_signal(signal, [captured] {}); });
        };
        EXPECT_EQ(subscribe(SIGKILL), "RuntimeError: SIGKILL cannot be caught");
        EXPECT_EQ(subscribe(SIGSTOP), "RuntimeError: SIGSTOP cannot be caught");
        EXPECT_TRUE(subscribe(SIGSEGV).starts_with("RuntimeError: SIGSEGV cannot be left to"));
        EXPECT_EQ(subscribe(0), "invalid_argument: 0 is not the number of a signal");
        EXPECT_EQ(subscribe(65), "invalid_argument: 65 is not the number of a signal");
        EXPECT_EQ(captured.use_count(), 1);
        co_return;
    });
}

TEST(on_signal, needs_a_running_loop) {
    EXPECT_EQ(refusal_of([] { auto made = on_signal(SIGUSR1, [] {}); }),
              "RuntimeError: no running event loop: asyncio::on_signal() must be called in a "
              "coroutine or a callback that a loop runs");
}

TEST(on_signal, a_real_time_signal_is_queued_by_the_kernel_and_delivered_as_often) {
    if (support::under_thread_sanitizer) GTEST_SKIP() << "it delivers equal signals once";
    const int signal = SIGRTMIN + 2;
    const Ignored ignored(signal);
    support::run_test([=]() -> Coro<> {
        int calls = 0;
        const auto subscription = on_signal(signal, [&] { ++calls; });
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, signal);
        ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
        for (int time = 0; time < 5; ++time) ::raise(signal);
        ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
        co_await settle_signals();
        EXPECT_EQ(calls, 5);
    });
}

}  // namespace
