#pragma once
// A scene in a forked child: what it found out is its exit status, and how it ended can be seen
// from outside, as a shell or a service manager sees it.

#include <csignal>
#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// The exit status of a scene in which everything was as it should be.
inline constexpr int as_expected = 42;

/// What a scene returns.
inline int check(bool good) { return good ? as_expected : 1; }

/// Runs `scene` in a child process and returns how that ended, as waitpid says. A child that hangs
/// is ended by SIGALRM. The signals with which a user or a service manager ends a program have
/// their default action, whatever the tests' own launcher ignores.
inline int in_child(const std::function<int()>& scene) {
    const pid_t child = ::fork();
    if (child == 0) {
        for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
        ::alarm(20);
        int status = 1;
        try {
            status = scene();
        } catch (...) {
            status = 2;
        }
        ::_exit(status);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

/// "exit 42" or "signal TERM", for a status of waitpid.
inline std::string end_of(int status) {
    if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
    const char* const name = ::sigabbrev_np(WTERMSIG(status));
    return std::string("signal ") + (name != nullptr ? name : "?");
}

}  // namespace support

/// Runs a scene, which must return `as_expected`.
#define EXPECT_SCENE(...) EXPECT_EQ(support::end_of(support::in_child(__VA_ARGS__)), "exit 42")
