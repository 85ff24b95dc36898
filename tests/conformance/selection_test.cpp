// Goal: the back-end that was asked for is the one that runs, or the error says why not and what to
// do; where nobody asked, a refused ring is no error. Method: the environment, and children to
// which seccomp refuses io_uring as a container's sandbox does.

#include <asyncio/debug.h>
#include <asyncio/exceptions.h>

#include "backend/ring_flags.h"
#include "conformance/child.h"
#include "conformance/harness.h"
#include "support/descriptors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>

#include <sys/syscall.h>
#include <sys/wait.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// Sets a variable of the environment, or unsets it, while it lives.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
    }
    ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* name_;
    std::optional<std::string> before_;
};

bool ring_is_granted() {
    try {
        make(Tested::io_uring);
        return true;
    } catch (const OsError&) {
        return false;
    }
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

TEST(Selection, a_kind_makes_the_back_end_of_its_name) {
    EXPECT_STREQ(make_backend(BackendKind::epoll)->name(), "epoll");
    EXPECT_STREQ(make_backend(BackendKind::simulated)->name(), "simulated");
    if (!ring_is_granted()) GTEST_SKIP() << "NOT TESTED: this kernel refuses io_uring";
    EXPECT_STREQ(make_backend(BackendKind::io_uring)->name(), "io_uring");
}

TEST(Selection, the_variable_forces_one) {
    for (const char* word : {"epoll", "simulated", "io_uring"}) {
        if (std::string_view(word) == "io_uring" && !ring_is_granted()) {
            GTEST_SKIP() << "NOT TESTED: this kernel refuses io_uring";
        }
        const Variable forced("ASYNCIO_BACKEND", word);
        EXPECT_STREQ(make_backend()->name(), word);
    }
}

TEST(Selection, a_kind_named_in_code_wins_over_the_variable) {
    const Variable forced("ASYNCIO_BACKEND", "simulated");
    EXPECT_STREQ(make_backend(BackendKind::epoll)->name(), "epoll");
}

TEST(Selection, without_the_variable_it_is_io_uring_where_the_kernel_grants_it) {
    const char* expected = ring_is_granted() ? "io_uring" : "epoll";
    {
        const Variable unset("ASYNCIO_BACKEND", nullptr);
        EXPECT_STREQ(make_backend()->name(), expected);
    }
    const Variable empty("ASYNCIO_BACKEND", "");
    EXPECT_STREQ(make_backend()->name(), expected);
}

TEST(Selection, a_broken_real_pipe_does_not_kill_a_simulated_world) {
    const ChildEnd end = in_child([] {
        ::signal(SIGPIPE, SIG_DFL);
        const auto simulated = make_backend(BackendKind::simulated);
        auto [reader, writer] = real_pipe();
        reader.reset();
        Write writing(writer.get(), std::string_view("x"));
        return std::to_string(Driver(*simulated).run(writing));
    });
    EXPECT_EQ(end.text, std::to_string(-EPIPE));
}

TEST(Selection, a_word_that_names_no_back_end_is_named_in_the_error) {
    const Variable wrong("ASYNCIO_BACKEND", "kqueue");
    try {
        make_backend();
        FAIL() << "accepted";
    } catch (const std::invalid_argument& error) {
        EXPECT_TRUE(contains(error.what(), "ASYNCIO_BACKEND=kqueue")) << error.what();
        EXPECT_TRUE(contains(error.what(), "io_uring, epoll and simulated")) << error.what();
    }
}

TEST(Selection, a_seed_is_a_whole_number) {
    const Variable simulated("ASYNCIO_BACKEND", "simulated");
    for (const char* good : {"0", "1", "18446744073709551615", ""}) {
        const Variable seed("ASYNCIO_SEED", good);
        EXPECT_STREQ(make_backend()->name(), "simulated") << good;
    }
    for (const char* bad : {"x", "12x", "-1", "1.5", "18446744073709551616", " 1"}) {
        const Variable seed("ASYNCIO_SEED", bad);
        EXPECT_THROW(make_backend(), std::invalid_argument) << bad;
    }
}

struct Refusal {
    int call;
    int error;
    const char* reason;
};

constexpr std::array refusals{
    Refusal{SYS_io_uring_setup, EPERM, "seccomp"},
    Refusal{SYS_io_uring_setup, ENOSYS, "has no io_uring"},
    Refusal{SYS_io_uring_setup, EACCES, "security module"},
    Refusal{SYS_io_uring_setup, EINVAL, "older than"},
    Refusal{SYS_io_uring_setup, ENOMEM, "ulimit -l"},
    Refusal{SYS_io_uring_enter, EPERM, "seccomp"},
    Refusal{SYS_io_uring_register, EPERM, "seccomp"},
};

TEST(Selection, a_forced_ring_that_is_refused_is_an_error_that_says_what_to_do) {
    if (!ring_is_granted())
        GTEST_SKIP() << "NOT TESTED: io_uring is not available, so it cannot be refused";
    for (const Refusal& refusal : refusals) {
        const ChildEnd end = in_child([&]() -> std::string {
            refuse_system_calls({&refusal.call, 1}, refusal.error);
            const Variable forced("ASYNCIO_BACKEND", "io_uring");
            try {
                return make_backend()->name();
            } catch (const OsError& error) {
                return std::to_string(error.error()) + " " + error.what();
            }
        });
        ASSERT_TRUE(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0) << end.text;
        EXPECT_TRUE(end.text.starts_with(std::to_string(refusal.error) + " ")) << end.text;
        for (const char* part : {"the io_uring back-end", "ASYNCIO_BACKEND=io_uring",
                                 refusal.reason, "Allow io_uring", "ASYNCIO_BACKEND=epoll"}) {
            EXPECT_TRUE(contains(end.text, part)) << part << " is not in: " << end.text;
        }
    }
}

std::string logged;
int lines_logged = 0;

TEST(Selection, where_nobody_asked_a_refused_ring_gives_epoll_and_one_line_in_the_debug_log) {
    if (!ring_is_granted())
        GTEST_SKIP() << "NOT TESTED: io_uring is not available, so it cannot be refused";
    for (const Refusal& refusal : refusals) {
        const ChildEnd end = in_child([&]() -> std::string {
            refuse_system_calls({&refusal.call, 1}, refusal.error);
            const Variable unset("ASYNCIO_BACKEND", nullptr);
            set_log_sink([](LogLevel level, std::string_view line) noexcept {
                ++lines_logged;
                logged = (level == LogLevel::debug ? "debug " : "too loud ") + std::string(line);
            });
            const auto chosen = make_backend();
            // And it works.
            Driver drive(*chosen);
            MakePipe request;
            drive.run(request);
            Write writing(request.ends[1], std::string_view("x"));
            if (drive.run(writing) != 1) return "cannot write";
            return chosen->name() + (" " + std::to_string(lines_logged) + " " + logged);
        });
        EXPECT_TRUE(end.text.starts_with("epoll 1 debug ")) << end.text;
        EXPECT_TRUE(contains(end.text, "io_uring")) << end.text;
        EXPECT_TRUE(contains(end.text, refusal.reason)) << end.text;
    }
}

TEST(Selection, a_refused_ring_leaves_no_descriptor) {
    const Variable no_demand("ASYNCIO_BACKEND", nullptr);
    const ChildEnd end = in_child([] {
        const int call = SYS_io_uring_register;
        refuse_system_calls({&call, 1}, EPERM);
        const int before = support::open_descriptors();
        for (int i = 0; i < 10; ++i) make_backend(BackendKind::automatic);
        return std::to_string(support::open_descriptors() - before);
    });
    EXPECT_EQ(end.text, "0");
}

TEST(Selection, a_sandbox_older_than_epoll_pwait2_costs_precision_and_nothing_else) {
    for (const int error : {ENOSYS, EPERM}) {
        const ChildEnd end = in_child([&]() -> std::string {
            const int call = SYS_epoll_pwait2;
            refuse_system_calls({&call, 1}, error);
            const auto epoll = make_backend(BackendKind::epoll);
            Driver drive(*epoll);
            // At the best of many: a busy machine makes any single one late.
            Duration late = Duration::max();
            const TimePoint give_up = Clock::now() + 30s;
            while (late > 20ms && Clock::now() < give_up) {
                const TimePoint deadline = epoll->now() + 2300us;
                drive.wait_out(deadline);
                late = epoll->now() - deadline;
                if (late < 0s) return "early";
            }
            if (late > 20ms) return "late";
            epoll->wake();
            drive.wait(internal::never);
            return "in time";
        });
        EXPECT_EQ(end.text, "in time");
    }
}

/// What an older kernel makes of the flags: EINVAL for any that it does not know, and for one
/// without the other that it needs.
int as_kernel_that_knows(unsigned known, unsigned flags) {
    const bool tells = (flags & IORING_SETUP_TASKRUN_FLAG) != 0;
    const bool defers = (flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    if ((flags & ~known) != 0) return -EINVAL;
    if (defers && (flags & IORING_SETUP_SINGLE_ISSUER) == 0) return -EINVAL;
    if (tells && !defers && (flags & IORING_SETUP_COOP_TASKRUN) == 0) return -EINVAL;
    return 0;
}

TEST(RingFlags, a_ring_has_every_flag_that_its_kernel_knows) {
    unsigned known = needed_ring_flags;
    const auto granted = [&] {
        unsigned last = 0;
        const int error = set_up_with_known_flags([&](unsigned flags) {
            last = flags;
            return as_kernel_that_knows(known, flags);
        });
        EXPECT_EQ(error, 0);
        return last;
    };
    EXPECT_EQ(granted(), known) << "the oldest kernel of all";
    std::array<unsigned, std::size(wished_ring_flags)> oldest_first{};
    std::reverse_copy(std::begin(wished_ring_flags), std::end(wished_ring_flags),
                      oldest_first.begin());
    for (const unsigned flag : oldest_first) {
        known |= flag;
        EXPECT_EQ(granted(), known);
    }
}

TEST(RingFlags, any_other_refusal_is_final) {
    int tries = 0;
    EXPECT_EQ(set_up_with_known_flags([&](unsigned) {
                  ++tries;
                  return -EPERM;
              }),
              -EPERM);
    EXPECT_EQ(tries, 1);
}

TEST(RingFlags, a_kernel_thread_is_never_asked_to_poll) {
    set_up_with_known_flags([](unsigned flags) {
        EXPECT_EQ(flags & IORING_SETUP_SQPOLL, 0u);
        return -EINVAL;
    });
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
