#include "oracle/oracle.h"

#include "oracle/clock.h"
#include "support/log_capture.h"

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <sstream>

namespace oracle {
namespace {

std::string trace;
asyncio::TimePoint started;
std::string (*position)(EventLoop& loop) = nullptr;

// What Python says --------------------------------------------------------------------------------

struct Expected {
    /// The trace of the system's Python, or what stands for it.
    std::string python;
    /// Python is too old, and the trace is from the documentation.
    bool documented = false;
    /// Ours, where it differs on purpose.
    std::string ours;
};

using Scenarios = std::map<std::string, Expected>;

/// Parts of the output begin with "== run NAME", "== documented NAME" or "== ours NAME".
Scenarios parse(const std::string& output) {
    Scenarios scenarios;
    std::istringstream stream(output);
    std::string* part = nullptr;
    for (std::string line; std::getline(stream, line);) {
        if (line.rfind("== ", 0) != 0) {
            if (part != nullptr) *part += line + "\n";
            continue;
        }
        std::istringstream words(line.substr(3));
        std::string kind;
        std::string name;
        words >> kind >> name;
        Expected& expected = scenarios[name];
        if (kind == "documented") expected.documented = true;
        part = kind == "ours" ? &expected.ours : &expected.python;
    }
    return scenarios;
}

/// Every scenario of `theme`.py has a twin among the tests here.
void expect_twins_of(const std::string& theme, const Scenarios& scenarios) {
    const testing::UnitTest& all = *testing::UnitTest::GetInstance();
    std::set<std::string> ours;
    for (int i = 0; i < all.total_test_suite_count(); ++i) {
        const testing::TestSuite& suite = *all.GetTestSuite(i);
        if (suite.name() != "oracle_" + theme) continue;
        for (int j = 0; j < suite.total_test_count(); ++j)
            ours.insert(suite.GetTestInfo(j)->name());
    }
    for (const auto& [name, expected] : scenarios) {
        EXPECT_TRUE(ours.contains(name)) << theme << ".cpp has no scenario " << name;
    }
}

const Scenarios& twins_in(const std::string& theme) {
    static std::map<std::string, Scenarios> themes;
    const auto known = themes.find(theme);
    if (known != themes.end()) return known->second;
    int status = 0;
    const std::string output =
        output_of("python3 -B '" ASYNCIO_SOURCE_DIR "/tests/oracle/" + theme + ".py' 2>&1", status);
    EXPECT_EQ(status, 0) << theme << ".py ends with an error:\n" << output;
    const Scenarios& scenarios = themes[theme] = parse(output);
    expect_twins_of(theme, scenarios);
    return scenarios;
}

// Comparing ---------------------------------------------------------------------------------------

void compare_trace(const Expected& expected, const std::string& name) {
    if (expected.documented) testing::Test::RecordProperty("documented", "Python is too old");
    const std::string& wanted = expected.ours.empty() ? expected.python : expected.ours;
    if (trace != wanted) {
        ADD_FAILURE() << name << "\n--- Python"
                      << (expected.ours.empty() ? "" : ", as ours should differ from it")
                      << (expected.documented ? ", from the documentation" : "") << "\n"
                      << wanted << "--- C++\n"
                      << trace;
    }
    if (!expected.ours.empty() && !expected.documented) {
        EXPECT_NE(expected.python, expected.ours)
            << name << " is said to differ from CPython, and does not";
    }
}

template <class Run>
void compare_with_twin(const char* theme, const char* name, Run run) {
    if (!python_is_here()) {
        GTEST_SKIP() << "SKIPPED: the oracle needs python3, 3.11 or newer";
    }
    const Scenarios& twins = twins_in(theme);
    const auto twin = twins.find(name);
    ASSERT_NE(twin, twins.end()) << theme << ".py has no scenario " << name;
    trace.clear();
    const support::LogCapture log;
    run();
    compare_trace(twin->second, name);
}

}  // namespace

std::string output_of(const std::string& command, int& status) {
    std::string text;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) {
        status = -1;
        return text;
    }
    std::array<char, 4096> buffer;
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
        text.append(buffer.data(), count);
    status = ::pclose(pipe);
    return text;
}

bool python_is_here() {
    static const bool here = [] {
        int status = 0;
        output_of("python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>&1", status);
        return status == 0;
    }();
    return here;
}

void set_position(std::string (*wanted)(EventLoop& loop)) { position = wanted; }
void clear_trace() { trace.clear(); }
std::string trace_so_far() { return trace; }

void say(const std::string& event) {
    if (asyncio::internal::here.loop == nullptr) {
        trace += "- -: " + event + "\n";
        return;
    }
    const asyncio::TaskRef task = asyncio::current_task();
    EventLoop& loop = asyncio::get_running_loop();
    trace += (position != nullptr ? position(loop) : std::to_string(loop.iterations())) + " " +
             (task ? task.get_name() : "-") + ": " + event + "\n";
}

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const asyncio::ExceptionGroup& group) {
        std::string text;
        for (const std::exception_ptr& inner : group.exceptions())
            text += (text.empty() ? "" : ", ") + text_of(inner);
        return "ExceptionGroup[" + text + "]";
    } catch (const Error& own) {
        return std::string("Error") + (*own.what() == '\0' ? "" : " ") + own.what();
    } catch (const CancelledError& cancelled) {
        return "CancelledError" + (cancelled.message().empty() ? "" : " " + cancelled.message());
    } catch (const asyncio::TimeoutError&) {
        return "TimeoutError";
    } catch (const asyncio::InvalidStateError&) {
        return "InvalidStateError";
    } catch (const asyncio::RuntimeError&) {
        return "RuntimeError";
    } catch (const std::invalid_argument&) {
        return "ValueError";
    } catch (...) {
        return asyncio::describe(error);
    }
}

std::string loop_time() {
    const auto passed = asyncio::get_running_loop().time() - started;
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(passed).count());
}

Coro<> turns(int count) {
    for (int i = 0; i < count; ++i) co_await sleep(0s);
}

Coro<int> number(Duration delay, int value) {
    co_await sleep(delay);
    say("returns " + std::to_string(value));
    co_return value;
}

Coro<int> failing(Duration delay, std::string text) {
    co_await sleep(delay);
    say("fails with " + text);
    throw Error(text);
}

Coro<> sleeper() { co_await tell("sleep", sleep(forever)); }

Coro<> stubborn(int count) {
    try {
        co_await sleep(forever);
    } catch (const CancelledError&) {
        say("cleaning up");
    }
    co_await turns(count);
    say("clean");
    throw CancelledError();
}

void trace_reports(EventLoop& loop) {
    loop.set_exception_handler([](EventLoop&, const asyncio::ErrorContext& context) {
        say("report " + text_of(context.exception));
    });
}

void compare(const char* theme, const char* name, Coro<> (*scenario)()) {
    compare_with_twin(theme, name, [&] {
        EventLoop loop(std::make_unique<JumpingClock>(asyncio::lowlevel::make_backend()));
        trace_reports(loop);
        started = loop.time();
        try {
            loop.run_until_complete(loop.create_task(scenario(), {.name = "main"}));
        } catch (...) {
            trace += "main ended with " + text_of(std::current_exception()) + "\n";
        }
        for (const asyncio::TaskRef& task : asyncio::all_tasks(loop))
            ADD_FAILURE() << "a task is left over: " << task.get_name();
    });
}

void compare(const char* theme, const char* name, void (*scenario)()) {
    compare_with_twin(theme, name, scenario);
}

}  // namespace oracle
