// Goal: where memory is short, what was called throws `bad_alloc` and nothing else happens.
//
// Method: in every run of a scenario another allocation fails, once. The run must end as
// `bad_alloc`, or well where the allocation was one that can be done without; nobody may wait for
// ever; and afterwards as many blocks must be allocated, and as many descriptors open, as before.
// Frames come straight from `operator new` here (ASYNCIO_FRAME_POOL=0, set in failing_memory.cpp),
// so each counts, and what is live afterwards is blocks, frames, tasks and nodes all in one number.
//
// A scenario's runs happen in a child process. One in which the program was ended (`terminate`, an
// assertion, a sanitizer) is reported with its number like any other, and the sweep goes on behind
// it in another child.
//
// The environment: ASYNCIO_ALLOCATIONS_TABLE=1 prints what was run, a line for each scenario.
// ASYNCIO_ALLOCATIONS_FAIL_AT=N runs the scenarios once, in this process and with that allocation
// failing, for a debugger to stop in `memory::fail`.

#include "sweep.h"

#include <asyncio/debug.h>
#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/backend.h>

#include "failing_memory.h"
#include "streams/spare_strings.h"
#include "support/descriptors.h"
#include "support/sanitizer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <thread>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace allocations {
namespace {

/// No scenario may wait for ever, and none may be said to only because the machine is busy.
constexpr unsigned longest_run_seconds = 60;
constexpr int most_crashes = 20;
constexpr long most_allocations = 5000;
/// How many allocations fail, one after the other. Where one has failed the next often does, and
/// the way out meets it.
constexpr std::array<long, 3> bursts{1, 3, most_allocations};

enum class End { well, bad_alloc, wrong };

/// What a child tells its parent, in memory of both.
struct Report {
    /// The run in progress.
    long number;
    bool finished;
    long allocations;
    long well;
    long bad_alloc;
    std::size_t length;
    char text[16 * 1024];

    void add(long at, const char* what, std::string_view more) {
        if (length >= sizeof text) return;
        const int written =
            std::snprintf(text + length, sizeof text - length, "  allocation %ld: %s%.*s\n", at,
                          what, static_cast<int>(more.size()), more.data());
        length = std::min(sizeof text, length + static_cast<std::size_t>(std::max(written, 0)));
    }
};

/// Several errors are as one if all of them are that. What a back-end had no memory for is told as
/// the kernel tells of it.
bool is_bad_alloc(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::bad_alloc&) {
        return true;
    } catch (const asyncio::OsError& refused) {
        return refused.error() == ENOMEM;
    } catch (const asyncio::ExceptionGroup& group) {
        return std::ranges::all_of(group.exceptions(), is_bad_alloc);
    } catch (...) {
        return false;
    }
}

struct Run {
    End end = End::well;
    std::string why;
    bool had_failure = false;
    long allocations = 0;
    long blocks_left = 0;
    int descriptors_left = 0;
};

Run run_once(const std::function<void()>& scenario, long number, long burst) {
    Run run;
    const int descriptors = support::open_descriptors();
    const long live = memory::live();
    std::exception_ptr error;
    memory::begin(number, burst);
    try {
        scenario();
    } catch (...) {
        error = std::current_exception();
    }
    run.allocations = memory::end();
    run.had_failure = memory::has_failed();
    if (error != nullptr) {
        run.end = is_bad_alloc(error) ? End::bad_alloc : End::wrong;
        if (run.end == End::wrong) run.why = asyncio::describe(error);
        error = nullptr;
    }
    asyncio::internal::drop_spares();
    // A thread lets go of its last blocks a moment after it has been joined, or was left.
    const long mine = run.why.capacity() > 15 ? 1 : 0;
    for (int looks = 0; memory::live() - mine != live && looks < 100; ++looks)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    run.blocks_left = memory::live() - mine - live;
    run.descriptors_left = support::open_descriptors() - descriptors;
    return run;
}

/// In the child: from `report.number` on.
void sweep_in_child(const std::function<void()>& scenario, Report& report, long burst) {
    asyncio::set_log_sink([](asyncio::LogLevel, std::string_view) {});
    // What is made once per process is made now.
    for (int times = 0; times < 3; ++times)
        report.allocations = run_once(scenario, 0, 0).allocations;
    for (; report.number <= most_allocations; ++report.number) {
        const long number = report.number;
        ::alarm(longest_run_seconds);
        Run run = run_once(scenario, number, burst);
        // Where a failure leads may be a place that makes something once per process.
        if (run.blocks_left != 0 || run.descriptors_left != 0)
            run = run_once(scenario, number, burst);
        if (run.end == End::wrong) report.add(number, "it ended with: ", run.why);
        if (run.blocks_left != 0)
            report.add(number, "blocks left: ", std::to_string(run.blocks_left));
        if (run.descriptors_left != 0)
            report.add(number, "descriptors left: ", std::to_string(run.descriptors_left));
        if (::waitpid(-1, nullptr, WNOHANG) >= 0) report.add(number, "a process is left", "");
        // With threads the number of allocations differs from run to run.
        if (!run.had_failure && number > report.allocations) break;
        if (run.had_failure) ++(run.end == End::well ? report.well : report.bad_alloc);
    }
    report.finished = true;
}

/// Returns how the child has ended, if that is not what it was to do.
std::string wait_for_child(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "it did not end";
    if (WIFSIGNALED(status)) return std::string("signal: ") + ::strsignal(WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) return "status " + std::to_string(WEXITSTATUS(status));
    return {};
}

void sweep_burst(const char* name, const std::function<void()>& scenario, Report& report,
                 long burst) {
    report = {};
    report.number = 1;
    int crashes = 0;
    while (!report.finished && crashes < most_crashes) {
        std::fflush(nullptr);
        const pid_t child = ::fork();
        if (child == 0) {
            sweep_in_child(scenario, report, burst);
            ::_exit(0);
        }
        const std::string crash = wait_for_child(child);
        if (crash.empty()) continue;
        ++crashes;
        report.add(report.number++, "the program was ended by ", crash);
    }
    EXPECT_EQ(report.length, 0U) << name << ", " << burst << " in a row failing:\n" << report.text;
    EXPECT_GT(report.allocations, 0) << "the scenario has done nothing";
    if (std::getenv("ASYNCIO_ALLOCATIONS_TABLE") != nullptr) {
        std::printf("%-56s %2ld failing: %4ld allocations, %4ld bad_alloc, %4ld well\n", name,
                    burst, report.allocations, report.bad_alloc, report.well);
    }
}

}  // namespace

void sweep(const char* name, const std::function<void()>& scenario) {
    if (const char* at = std::getenv("ASYNCIO_ALLOCATIONS_FAIL_AT")) {
        scenario();
        const char* burst = std::getenv("ASYNCIO_ALLOCATIONS_BURST");
        const Run run = run_once(scenario, std::atol(at), burst != nullptr ? std::atol(burst) : 1);
        std::printf("%s: %s, %ld blocks left, %ld allocations\n", name,
                    run.end == End::bad_alloc ? "bad_alloc" : run.why.c_str(), run.blocks_left,
                    run.allocations);
        return;
    }
    void* const shared =
        ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    for (const long burst : bursts)
        sweep_burst(name, scenario, *static_cast<Report*>(shared), burst);
    ::munmap(shared, sizeof(Report));
}

void sweep_first_use(const char* name, const std::function<void()>& scenario) {
    std::string problems;
    bool is_over = false;
    for (long number = 1; !is_over && number <= most_allocations; ++number) {
        std::fflush(nullptr);
        const pid_t child = ::fork();
        if (child == 0) {
            asyncio::set_log_sink([](asyncio::LogLevel, std::string_view) {});
            ::alarm(longest_run_seconds);
            const Run run = run_once(scenario, number, 1);
            ::_exit(run.end == End::wrong ? 1 : run.had_failure ? 0 : 2);
        }
        std::string end = wait_for_child(child);
        is_over = end == "status 2";
        if (!is_over && !end.empty())
            problems += "  allocation " + std::to_string(number) + ": " + end + "\n";
    }
    EXPECT_EQ(problems, "") << name;
}

void sweep_everywhere(const char* name,
                      const std::function<void(asyncio::lowlevel::BackendKind)>& scenario) {
    using Kind = asyncio::lowlevel::BackendKind;
    for (const Kind kind : {Kind::simulated, Kind::epoll, Kind::io_uring}) {
        std::string full_name = name;
        try {
            full_name += std::string(" on ") + asyncio::lowlevel::make_backend(kind)->name();
        } catch (const asyncio::OsError&) {
            continue;  // this kernel refuses it
        }
        sweep(full_name.c_str(), [&] { scenario(kind); });
    }
}

}  // namespace allocations
