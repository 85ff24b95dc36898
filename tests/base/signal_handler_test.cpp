// Goal: the signal handler of the library is installed by the first listener and gone with the
// last; listeners come before stand-bys; what foreign code does to a disposition is respected; a
// listener may be destroyed as soon as it has stopped listening; a child of a fork begins anew.
// Method: listeners that count, real signals, forked children that report by their exit status.

#include <asyncio/exceptions.h>
#include <asyncio/signal_set.h>

#include "base/interrupt.h"
#include "base/signal_handler.h"
#include "support/child.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace asyncio::internal;
using asyncio::signal_name;
using asyncio::SignalSet;
using support::as_expected;
using support::end_of;
using support::in_child;

struct Counter : SignalListener {
    explicit Counter(int signal)
        : SignalListener(signal, [](SignalListener& listener) noexcept {
              ++static_cast<Counter&>(listener).heard;
              errno = ENOMEM;
          }) {}
    ~Counter() { stop_listening(*this); }

    std::atomic<int> heard = 0;
};

struct sigaction present(int signal) {
    struct sigaction action{};
    ::sigaction(signal, nullptr, &action);
    return action;
}

bool same(const struct sigaction& one, const struct sigaction& other) {
    for (int signal = 1; signal <= SignalSet::highest; ++signal)
        if (::sigismember(&one.sa_mask, signal) != ::sigismember(&other.sa_mask, signal))
            return false;
    return one.sa_handler == other.sa_handler && one.sa_flags == other.sa_flags;
}

/// Sets a disposition while it lives.
class Disposition {
public:
    Disposition(int signal, void (*handler)(int), int flags = 0) : signal_(signal) {
        struct sigaction action{};
        action.sa_handler = handler;
        action.sa_flags = flags;
        ::sigaction(signal, &action, &before_);
    }
    Disposition(const Disposition&) = delete;
    Disposition& operator=(const Disposition&) = delete;
    ~Disposition() { ::sigaction(signal_, &before_, nullptr); }

private:
    int signal_;
    struct sigaction before_{};
};

volatile std::sig_atomic_t own_calls = 0;
void own_handler(int) { own_calls = own_calls + 1; }
void other_handler(int) {}

TEST(signal_handler, SIG_08_the_first_listener_installs_it_and_the_last_restores_exactly_what_was) {
    struct sigaction before{};
    before.sa_handler = &own_handler;
    before.sa_flags = SA_NODEFER | SA_RESTART;
    sigemptyset(&before.sa_mask);
    sigaddset(&before.sa_mask, SIGHUP);
    const Disposition outer(SIGUSR1, SIG_DFL);
    ::sigaction(SIGUSR1, &before, nullptr);
    const struct sigaction as_the_kernel_says = present(SIGUSR1);
    {
        auto first = std::make_unique<Counter>(SIGUSR1);
        EXPECT_EQ(listen_to_signal(*first), 0);
        Counter second(SIGUSR1);
        EXPECT_EQ(listen_to_signal(second), 0);
        const struct sigaction ours = present(SIGUSR1);
        EXPECT_NE(ours.sa_handler, before.sa_handler);
        EXPECT_EQ(ours.sa_flags & (SA_RESTART | SA_ONSTACK), SA_RESTART | SA_ONSTACK);
        EXPECT_EQ(::sigismember(&ours.sa_mask, SIGTERM), 1) << "no handler inside this one";
        ::raise(SIGUSR1);
        EXPECT_EQ(first->heard, 1);
        first.reset();
        ::raise(SIGUSR1);
        EXPECT_EQ(second.heard, 2);
        EXPECT_TRUE(same(present(SIGUSR1), ours));
    }
    EXPECT_TRUE(same(present(SIGUSR1), as_the_kernel_says));
}

TEST(signal_handler, errno_stays_and_a_listener_that_left_hears_nothing) {
    const Disposition ignored(SIGUSR1, SIG_IGN);
    Counter stays(SIGUSR1);
    Counter leaves(SIGUSR1);
    listen_to_signal(leaves);
    listen_to_signal(stays);
    stop_listening(leaves);
    stop_listening(leaves);
    errno = EAGAIN;
    ::raise(SIGUSR1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(leaves.heard, 0);
    EXPECT_EQ(stays.heard, 1);
    listen_to_signal(leaves);
    ::raise(SIGUSR1);
    EXPECT_EQ(leaves.heard, 1);
}

TEST(signal_handler, any_of_several_may_leave_first) {
    const Disposition ignored(SIGUSR1, SIG_IGN);
    for (int leaver = 0; leaver < 3; ++leaver) {
        std::array<std::unique_ptr<Counter>, 3> all;
        for (auto& one : all) {
            one = std::make_unique<Counter>(SIGUSR1);
            listen_to_signal(*one);
        }
        all[static_cast<std::size_t>(leaver)].reset();
        ::raise(SIGUSR1);
        for (const auto& one : all) {
            if (one) {
                EXPECT_EQ(one->heard, 1);
            }
        }
    }
    EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_IGN);
}

TEST(signal_handler, a_stand_by_hears_only_while_there_is_no_listener) {
    const Disposition standard(SIGUSR1, SIG_DFL);
    Counter stand_by(SIGUSR1);
    EXPECT_TRUE(stand_by_for_signal(stand_by, StandByOver::default_action));
    ::raise(SIGUSR1);
    {
        Counter listener(SIGUSR1);
        listen_to_signal(listener);
        ::raise(SIGUSR1);
        EXPECT_EQ(listener.heard, 1);
    }
    EXPECT_EQ(stand_by.heard, 1);
    ::raise(SIGUSR1);
    EXPECT_EQ(stand_by.heard, 2);
    stop_listening(stand_by);
    EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_DFL);
}

TEST(signal_handler, a_stand_by_looks_behind_the_listeners_at_what_the_program_has_decided) {
    const auto takes_effect = [](void (*handler)(int), StandByOver over) {
        const Disposition of_program(SIGUSR1, handler);
        Counter listener(SIGUSR1);
        Counter stand_by(SIGUSR1);
        listen_to_signal(listener);
        return stand_by_for_signal(stand_by, over);
    };
    EXPECT_TRUE(takes_effect(SIG_DFL, StandByOver::default_action));
    EXPECT_FALSE(takes_effect(SIG_IGN, StandByOver::default_action));
    EXPECT_FALSE(takes_effect(&own_handler, StandByOver::default_action));
    EXPECT_TRUE(takes_effect(SIG_DFL, StandByOver::all_but_ignored));
    EXPECT_FALSE(takes_effect(SIG_IGN, StandByOver::all_but_ignored));
    EXPECT_TRUE(takes_effect(&own_handler, StandByOver::all_but_ignored));
}

TEST(signal_handler, a_stand_by_that_outlives_the_listeners_keeps_the_handler) {
    const Disposition standard(SIGUSR1, SIG_DFL);
    auto listener = std::make_unique<Counter>(SIGUSR1);
    listen_to_signal(*listener);
    {
        Counter stand_by(SIGUSR1);
        stand_by_for_signal(stand_by, StandByOver::default_action);
        listener.reset();
        ::raise(SIGUSR1);
        EXPECT_EQ(stand_by.heard, 1);
        listener = std::make_unique<Counter>(SIGUSR1);
        listen_to_signal(*listener);
    }
    ::raise(SIGUSR1);
    EXPECT_EQ(listener->heard, 1);
    listener.reset();
    EXPECT_EQ(present(SIGUSR1).sa_handler, SIG_DFL);
}

TEST(signal_handler, a_disposition_that_foreign_code_has_set_since_stays) {
    const Disposition standard(SIGUSR1, SIG_DFL);
    {
        Counter listener(SIGUSR1);
        listen_to_signal(listener);
        ::signal(SIGUSR1, &other_handler);
    }
    EXPECT_EQ(present(SIGUSR1).sa_handler, &other_handler);
}

TEST(signal_handler, a_new_listener_takes_the_signal_back_from_foreign_code) {
    const Disposition standard(SIGUSR1, SIG_DFL);
    {
        Counter first(SIGUSR1);
        listen_to_signal(first);
        ::signal(SIGUSR1, &other_handler);
        Counter second(SIGUSR1);
        listen_to_signal(second);
        ::raise(SIGUSR1);
        EXPECT_EQ(first.heard, 1);
        EXPECT_EQ(second.heard, 1);
    }
    EXPECT_EQ(present(SIGUSR1).sa_handler, &other_handler);
}

TEST(signal_handler, different_signals_do_not_disturb_each_other) {
    const Disposition one(SIGUSR1, SIG_IGN);
    const Disposition two(SIGRTMIN + 1, &own_handler);
    Counter first(SIGUSR1);
    listen_to_signal(first);
    {
        Counter second(SIGRTMIN + 1);
        listen_to_signal(second);
        ::raise(SIGRTMIN + 1);
        EXPECT_EQ(second.heard, 1);
        EXPECT_EQ(first.heard, 0);
    }
    EXPECT_EQ(present(SIGRTMIN + 1).sa_handler, &own_handler);
    ::raise(SIGUSR1);
    EXPECT_EQ(first.heard, 1);
}

TEST(signal_handler, listeners_come_and_go_on_threads_while_the_signal_comes) {
    const Disposition ignored(SIGUSR1, SIG_IGN);
    Counter always(SIGUSR1);
    listen_to_signal(always);
    std::atomic<bool> over = false;
    std::thread sender([&] {
        for (; !over; ::sched_yield()) ::raise(SIGUSR1);
    });
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 2; ++thread) {
        threads.emplace_back([] {
            for (int round = 0; round < 50; ++round) {
                const auto listener = std::make_unique<Counter>(SIGUSR1);
                listen_to_signal(*listener);
                ::raise(SIGUSR1);
                EXPECT_GE(listener->heard, 1);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    over = true;
    sender.join();
    EXPECT_GE(always.heard, 100);
}

// Forks.

TEST(signal_handler, SIG_07_a_child_has_the_dispositions_from_before_and_an_empty_table) {
    const Disposition standard(SIGUSR1, &own_handler);
    Counter of_parent(SIGUSR1);
    listen_to_signal(of_parent);
    const int status = in_child([&] {
        own_calls = 0;
        if (present(SIGUSR1).sa_handler != &own_handler) return 1;
        ::raise(SIGUSR1);
        if (own_calls != 1 || of_parent.heard != 0) return 2;
        stop_listening(of_parent);
        Counter own(SIGUSR1);
        if (listen_to_signal(own) != 0) return 3;
        ::raise(SIGUSR1);
        if (own.heard != 1 || of_parent.heard != 0) return 4;
        stop_listening(own);
        return present(SIGUSR1).sa_handler == &own_handler ? as_expected : 5;
    });
    EXPECT_EQ(end_of(status), "exit 42");
    ::raise(SIGUSR1);
    EXPECT_EQ(of_parent.heard, 1);
}

/// A child of which the C library knows nothing: no function runs in it that was registered for
/// forks.
int in_bare_child(const std::function<int()>& scene) {
    const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (child == 0) ::_exit(scene());
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

TEST(signal_handler, SIG_07_a_signal_that_is_faster_than_the_child_gets_its_old_disposition) {
    const Disposition standard(SIGUSR1, SIG_DFL);
    Counter of_parent(SIGUSR1);
    listen_to_signal(of_parent);
    const int killed = in_bare_child([] {
        ::kill(static_cast<pid_t>(::syscall(SYS_getpid)), SIGUSR1);
        return 1;
    });
    EXPECT_EQ(end_of(killed), "signal USR1");
    const Disposition own(SIGUSR2, &own_handler);
    Counter second(SIGUSR2);
    listen_to_signal(second);
    const int went_on = in_bare_child([&] {
        own_calls = 0;
        ::kill(static_cast<pid_t>(::syscall(SYS_getpid)), SIGUSR2);
        return own_calls == 1 && second.heard == 0 ? as_expected : 1;
    });
    EXPECT_EQ(end_of(went_on), "exit 42");
}

TEST(signal_handler, SIG_07_a_fork_beside_a_thread_that_subscribes_leaves_the_child_free) {
    std::atomic<bool> over = false;
    std::thread busy([&] {
        for (; !over; ::sched_yield()) {
            Counter listener(SIGUSR1);
            listen_to_signal(listener);
            ::raise(SIGUSR1);
        }
    });
    for (int round = 0; round < 20; ++round) {
        const int status = in_child([] {
            Counter own(SIGUSR1);
            listen_to_signal(own);
            ::raise(SIGUSR1);
            stop_listening(own);
            return own.heard == 1 ? as_expected : 1;
        });
        EXPECT_EQ(end_of(status), "exit 42") << "SIGALRM: it hangs";
    }
    over = true;
    busy.join();
}

// Which signals.

TEST(signal_handler, SIG_10_a_signal_that_makes_no_sense_is_refused_by_name) {
    const auto refusal = [](int signal) -> std::string {
        try {
            require_catchable(signal);
            return "none";
        } catch (const asyncio::RuntimeError& error) {
            return error.what();
        } catch (const std::invalid_argument& error) {
            return std::string("invalid: ") + error.what();
        }
    };
    EXPECT_EQ(refusal(SIGKILL), "SIGKILL cannot be caught");
    EXPECT_EQ(refusal(SIGSTOP), "SIGSTOP cannot be caught");
    EXPECT_EQ(refusal(32), "signal 32 cannot be caught") << "the C library's own";
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        EXPECT_EQ(refusal(fault), signal_name(fault) +
                                      " cannot be left to an event loop: the fault would be "
                                      "repeated as soon as the signal handler returns");
    EXPECT_EQ(refusal(0), "invalid: 0 is not the number of a signal");
    EXPECT_EQ(refusal(-1), "invalid: -1 is not the number of a signal");
    EXPECT_EQ(refusal(65), "invalid: 65 is not the number of a signal");
    for (const int good : {SIGTERM, SIGCHLD, SIGABRT, SIGRTMIN, SIGRTMAX})
        EXPECT_EQ(refusal(good), "none") << good;
}

TEST(signal_handler, signals_have_names) {
    EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
    EXPECT_EQ(signal_name(SIGRTMIN), "SIGRTMIN");
    EXPECT_EQ(signal_name(SIGRTMIN + 3), "SIGRTMIN+3");
    EXPECT_EQ(signal_name(99), "signal 99");
    EXPECT_EQ(signal_name(0), "signal 0");
    EXPECT_EQ(signal_name(-5), "signal -5");
}

TEST(signal_set, holds_what_it_was_given) {
    constexpr SignalSet set{SIGTERM, SIGHUP, 1, 64};
    static_assert(set.contains(SIGTERM) && set.contains(64) && set.contains(SIGHUP));
    static_assert(!set.contains(SIGINT) && !set.contains(0) && !set.contains(65));
    static_assert(!set.contains(-63), "no shift by a negative number");
    static_assert(SignalSet().empty() && !set.empty());
    static_assert(SignalSet(SIGTERM) == SignalSet{SIGTERM});
    static_assert((SignalSet(SIGTERM) | SIGHUP) == SignalSet(SIGHUP, SIGTERM));
    std::vector<int> visited;
    set.for_each([&](int signal) { visited.push_back(signal); });
    EXPECT_EQ(visited, (std::vector<int>{1, SIGTERM, 64}));
    EXPECT_THROW(SignalSet(0), std::invalid_argument);
    EXPECT_THROW(SignalSet(SIGTERM, 65), std::invalid_argument);
}

// The end of the process.

TEST(end_process_by, a_signal_also_where_it_is_blocked_or_ignored) {
    const int status = in_child([]() -> int {
        ::signal(SIGTERM, SIG_IGN);
        sigset_t all;
        sigfillset(&all);
        ::sigprocmask(SIG_BLOCK, &all, nullptr);
        end_process_by(SIGTERM);
    });
    EXPECT_EQ(end_of(status), "signal TERM");
}

TEST(end_process_by, a_signal_that_ends_no_process_becomes_the_exit_status) {
    const int status = in_child([]() -> int { end_process_by(SIGWINCH); });
    EXPECT_EQ(end_of(status), "exit " + std::to_string(128 + SIGWINCH));
}

// Guards of a request to end.

TEST(termination_guard, a_second_request_in_a_moment_belongs_to_the_first) {
    const int status = in_child([] {
        std::atomic<int> calls = 0;
        const auto count = [](void* argument, int signal) noexcept {
            if (signal == SIGTERM) ++*static_cast<std::atomic<int>*>(argument);
        };
        const TerminationGuard guard(SIGTERM, count, &calls);
        for (int time = 0; time < 3; ++time) ::raise(SIGTERM);
        return calls == 1 && guard.count() == 3 ? as_expected : 1;
    });
    EXPECT_EQ(end_of(status), "exit 42");
}

TEST(termination_guard, a_second_request_half_a_second_later_ends_the_process) {
    const int status = in_child([] {
        const TerminationGuard guard(SIGTERM, [](void*, int) noexcept {}, nullptr);
        ::raise(SIGTERM);
        ::usleep(550'000);
        ::raise(SIGTERM);
        return 1;
    });
    EXPECT_EQ(end_of(status), "signal TERM");
}

TEST(termination_guard, it_replaces_a_handler_and_leaves_an_ignored_signal_alone) {
    const auto heard_over = [](void (*handler)(int)) {
        const Disposition of_program(SIGUSR1, handler);
        const TerminationGuard guard(SIGUSR1, [](void*, int) noexcept {}, nullptr);
        ::raise(SIGUSR1);
        return guard.count();
    };
    EXPECT_EQ(heard_over(&own_handler), 1);
    EXPECT_EQ(heard_over(SIG_IGN), 0);
}

}  // namespace
