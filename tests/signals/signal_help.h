#pragma once
// What the tests of signals have in common: dispositions that come back, and what must hold at the
// end of a test, which is that no handler is left.

#include <asyncio.h>

#include "support/run_test.h"

#include <csignal>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace signal_test {

inline struct sigaction present(int signal) {
    struct sigaction action{};
    ::sigaction(signal, nullptr, &action);
    return action;
}

/// A signal whose effect would end the tests is ignored while this lives. So a signal that no
/// handler gets is noticed by the test and not by its launcher.
class Ignored {
public:
    explicit Ignored(int signal) : signal_(signal) { before_ = ::signal(signal, SIG_IGN); }
    Ignored(const Ignored&) = delete;
    Ignored& operator=(const Ignored&) = delete;
    ~Ignored() {
        EXPECT_TRUE(is_back()) << "a handler of the library is left";
        ::signal(signal_, before_);
    }

    /// Whether the signal is ignored: whether the disposition from before a subscription is back.
    bool is_back() const { return present(signal_).sa_handler == SIG_IGN; }

private:
    int signal_;
    void (*before_)(int);
};

/// `support::run_test` with SIGUSR1, SIGUSR2 and SIGHUP ignored before and after.
template <class Body>
void run_test(Body body) {
    const Ignored usr1(SIGUSR1);
    const Ignored usr2(SIGUSR2);
    const Ignored hup(SIGHUP);
    support::run_test(std::move(body));
}

/// Gives the loop time for all signals that have come.
inline asyncio::Coro<> settle_signals(int iterations = 8) {
    for (int turn = 0; turn < iterations; ++turn) co_await asyncio::sleep(std::chrono::seconds(0));
}

/// What a function throws, with its type; "nothing" if it does not.
template <class Function>
std::string refusal_of(Function use) {
    try {
        use();
        return "nothing";
    } catch (const asyncio::RuntimeError& error) {
        return std::string("RuntimeError: ") + error.what();
    } catch (const std::invalid_argument& error) {
        return std::string("invalid_argument: ") + error.what();
    }
}

}  // namespace signal_test
