// Goal: functions run in other processes, and what they take and return arrives unchanged; a
// process that crashes costs one job and nothing else; none is left when its pool or its program
// has ended. Method: real processes, which are this test program started again. Crashes are real
// ones.

#include <asyncio/gather.h>
#include <asyncio/process_pool.h>
#include <asyncio/run.h>
#include <asyncio/sleep.h>

#include "executors/executors_help.h"
#include "support/run_test.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using asyncio::BrokenProcessPool;
using asyncio::Coro;
using asyncio::get_running_loop;
using asyncio::ProcessPoolExecutor;
using asyncio::RemoteError;
using asyncio::sleep;
using support::contains;
using support::run_test;
using threads_test::ends_cancelled;
using namespace std::chrono_literals;

constexpr asyncio::ProcessPoolOptions one_process{.max_workers = 1};

/// `co_await` for a call in a pool.
template <class Function, class... Arguments>
auto in(ProcessPoolExecutor& pool, Function function, const Arguments&... arguments) {
    return get_running_loop().run_in_executor(pool, function, arguments...);
}

int own_pid() { return ::getpid(); }
long sum_to(long number) { return number * (number + 1) / 2; }
void do_nothing() {}
void nap(int milliseconds) { std::this_thread::sleep_for(milliseconds * 1ms); }

bool exists(int pid) { return ::kill(pid, 0) == 0; }

bool vanish(const std::vector<int>& pids) {
    for (int turn = 0; turn < 12'000; ++turn) {
        if (std::none_of(pids.begin(), pids.end(), exists)) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

/// Lets a job nap until it is woken, in another process, too; for no longer than a minute.
class Alarm {
public:
    Alarm() { ::close(::mkstemp(path_.data())); }
    ~Alarm() { ring(); }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    const std::string& path() const { return path_; }
    void ring() const { std::remove(path_.c_str()); }

private:
    std::string path_ = ::testing::TempDir() + "asyncio_alarm_XXXXXX";
};

void nap_until_alarm(const std::string& path) {
    for (int turn = 0; turn < 12'000 && std::ifstream(path).good(); ++turn) nap(5);
}

// Calling.

TEST(process_pool, runs_functions_in_another_process) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        EXPECT_TRUE(pool.process_ids().empty()) << "started on demand";
        const int pid = co_await in(pool, own_pid);
        EXPECT_NE(pid, ::getpid());
        EXPECT_EQ(co_await in(pool, own_pid), pid) << "a process is kept";
        EXPECT_EQ(pool.process_ids(), std::vector<int>{pid});
        EXPECT_EQ(co_await in(pool, sum_to, 10), 55) << "an int becomes the long it is taken as";
        co_await in(pool, do_nothing);
        EXPECT_EQ(co_await in(pool, [](int a, int b) { return a * b; }, 6, 7), 42);
    });
}

using Everything =
    std::tuple<int, double, std::string, std::vector<std::pair<std::string, bool>>,
               std::array<char, 3>, std::optional<std::vector<int>>, std::optional<int>>;

Everything turned(Everything given) {
    std::get<0>(given) *= -1;
    std::get<2>(given) += "!";
    return given;
}

TEST(process_pool, carries_numbers_strings_lists_pairs_and_tuples) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        Everything given{1,
                         0.5,
                         std::string("zero\0inside", 11),
                         {{"a", true}, {"", false}},
                         {'x', 'y', 'z'},
                         std::vector{1, 2, 3},
                         std::nullopt};
        const Everything back = co_await in(pool, turned, given);
        std::get<0>(given) = -1;
        std::get<2>(given) += "!";
        EXPECT_EQ(back, given);
    });
}

struct Point {
    int x;
    std::string name;
};

}  // namespace

template <>
struct asyncio::Serializer<Point> {
    static void write(ByteWriter& to, const Point& point) { to.put(point.x, point.name); }
    static Point read(ByteReader& from) {
        const int x = from.take<int>();
        return {x, from.take<std::string>()};
    }
};

namespace {

Point moved(const Point& point, int by) { return {point.x + by, point.name}; }

TEST(process_pool, carries_types_of_the_users_own) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const Point start{1, "start"};
        const Point end = co_await in(pool, moved, start, 2);
        EXPECT_EQ(end.x, 3);
        EXPECT_EQ(end.name, "start");
    });
}

std::vector<int> doubled(std::vector<int> numbers) {
    for (int& number : numbers) number *= 2;
    return numbers;
}

TEST(process_pool, carries_megabytes) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        std::vector<int> numbers(2'000'000);
        std::iota(numbers.begin(), numbers.end(), 0);
        const std::vector<int> back = co_await in(pool, doubled, numbers);
        EXPECT_EQ(back.size(), numbers.size());
        EXPECT_EQ(back.back(), 2 * numbers.back());
    });
}

/// Initialised by a constructor, which `main` does not call.
const std::map<int, std::string> table = {{1, "one"}, {2, "two"}};

TEST(process_pool, static_objects_are_initialised_there_too) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        EXPECT_EQ(co_await in(pool, [](int number) { return table.at(number); }, 2), "two");
    });
}

Coro<int> waits_and_returns(int number) {
    co_await sleep(1ms);
    co_return number;
}

TEST(process_pool, a_worker_may_run_a_loop_of_its_own_and_a_pool_in_it) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        EXPECT_EQ(co_await in(pool, [] { return asyncio::run(waits_and_returns(4)); }), 4);
        const auto nested = [] {
            ProcessPoolExecutor inner(one_process);
            return asyncio::run([](ProcessPoolExecutor& own) -> Coro<long> {
                co_return co_await in(own, sum_to, 4);
            }(inner));
        };
        EXPECT_EQ(co_await in(pool, nested), 10);
    });
}

/// Leaves a file in `folder` and waits until so many are there. Whether that was ever so.
bool meet(const std::string& folder, int count) {
    std::ofstream(folder + "/" + std::to_string(::getpid())) << "here";
    const auto files = [&] {
        return std::distance(std::filesystem::directory_iterator(folder),
                             std::filesystem::directory_iterator());
    };
    for (int turn = 0; turn < 10'000; ++turn) {
        if (files() >= count) return true;
        std::this_thread::sleep_for(2ms);
    }
    return false;
}

TEST(process_pool, EXE_06_processes_really_run_at_the_same_time) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool({.max_workers = 3});
        std::string folder = ::testing::TempDir() + "asyncio_meet_XXXXXX";
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        std::vector<asyncio::Future<bool>> meetings;
        for (int i = 0; i < 3; ++i) meetings.push_back(in(pool, meet, folder, 3));
        for (const auto& meeting : meetings) EXPECT_TRUE(co_await meeting);
        EXPECT_EQ(pool.process_ids().size(), 3U);
        std::filesystem::remove_all(folder);
    });
}

TEST(process_pool, a_busy_process_is_called_by_its_function) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const Alarm alarm;
        auto job = in(pool, nap_until_alarm, alarm.path());
        std::vector<std::string> busy;
        while (!job.done() && (busy = pool.busy()).empty()) co_await sleep(1ms);
        EXPECT_FALSE(busy.empty());
        if (!busy.empty()) {
            EXPECT_TRUE(contains(busy[0], "nap_until_alarm")) << busy[0];
        }
        alarm.ring();
        co_await job;
    });
}

TEST(process_pool, a_process_is_replaced_after_so_many_jobs) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool({.max_workers = 1, .max_tasks_per_child = 2});
        const int first = co_await in(pool, own_pid);
        EXPECT_EQ(co_await in(pool, own_pid), first);
        EXPECT_NE(co_await in(pool, own_pid), first);
        EXPECT_FALSE(exists(first));
    });
}

void print_into(const std::string& path) {
    EXPECT_NE(std::freopen(path.c_str(), "w", stdout), nullptr);
    std::printf("printed");
}

TEST(process_pool, what_a_job_prints_is_there_when_it_has_ended) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const std::string path =
            ::testing::TempDir() + "asyncio_printed_" + std::to_string(::getpid());
        co_await in(pool, print_into, path);
        std::string text;
        std::ifstream(path) >> text;
        EXPECT_EQ(text, "printed");
        std::remove(path.c_str());
    });
}

// Errors.

struct Peculiar : std::exception {
    const char* what() const noexcept override { return "quite"; }
};

TEST(process_pool, errors_come_back_as_what_they_were) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        std::string said;
        try {
            co_await in(pool, [] { throw std::out_of_range("too far"); });
        } catch (const std::out_of_range& error) {
            said = error.what();
        }
        EXPECT_EQ(said, "too far");
        try {
            co_await in(pool, [] { throw Peculiar(); });
        } catch (const RemoteError& error) {
            said = error.type() + ": " + error.what();
        }
        EXPECT_TRUE(contains(said, "Peculiar: quite")) << said;
        EXPECT_THROW(co_await in(pool, [] { throw 3; }), RemoteError);
        EXPECT_EQ(pool.process_ids().size(), 1U) << "an error is no crash";
    });
}

// Crashes.

void crash_with(int signal_number) {
    // Neither a core file nor a sanitizer's report.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    std::signal(signal_number, SIG_DFL);
    ::raise(signal_number);
}

TEST(process_pool, EXE_08_a_crash_is_told_to_the_job_and_the_process_replaced) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const int first = co_await in(pool, own_pid);
        std::string said;
        try {
            co_await in(pool, crash_with, SIGSEGV);
        } catch (const BrokenProcessPool& error) {
            said = error.what();
        }
        EXPECT_TRUE(contains(said, "worker process " + std::to_string(first))) << said;
        EXPECT_TRUE(contains(said, "killed by signal 11")) << said;
        EXPECT_TRUE(contains(said, "crash_with")) << said;
        EXPECT_FALSE(exists(first));
        EXPECT_NE(co_await in(pool, own_pid), first);
        try {
            co_await in(pool, [] { ::_exit(3); });
        } catch (const BrokenProcessPool& error) {
            said = error.what();
        }
        EXPECT_TRUE(contains(said, "ended with status 3")) << said;
    });
}

/// Leaves a process behind that has all the worker's descriptors and lives until the alarm, and
/// crashes.
void crash_and_leave_a_child(const std::string& alarm) {
    if (::fork() == 0) {
        nap_until_alarm(alarm);
        ::_exit(0);
    }
    std::raise(SIGKILL);
}

TEST(process_pool, EXE_08_a_crash_is_told_while_a_child_of_the_job_lives_on) {
    const Alarm alarm;
    run_test([&]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const auto outcome =
            co_await asyncio::internal::settle(in(pool, crash_and_leave_a_child, alarm.path()));
        EXPECT_TRUE(std::ifstream(alarm.path()).good()) << "told before the child had ended";
        EXPECT_THROW(outcome.value(), BrokenProcessPool);
        EXPECT_EQ(co_await in(pool, sum_to, 10), 55) << "the process was replaced";
    });
}

/// The same child, of a job that ends well.
int leave_a_child(const std::string& alarm) {
    const int child = ::fork();
    if (child == 0) {
        nap_until_alarm(alarm);
        ::_exit(0);
    }
    return child;
}

TEST(process_pool, the_end_of_a_pool_does_not_wait_for_children_of_its_jobs) {
    const Alarm alarm;
    run_test([&]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        co_await in(pool, leave_a_child, alarm.path());
    });
    EXPECT_TRUE(std::ifstream(alarm.path()).good()) << "the pool has gone before the child";
}

TEST(process_pool, a_process_killed_while_idle_is_noticed_although_its_child_holds_the_socket) {
    const Alarm alarm;
    run_test([&]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const int pid = co_await in(pool, own_pid);
        co_await in(pool, leave_a_child, alarm.path());
        ::kill(pid, SIGKILL);
        // The parent has not reaped it, so it is there until then; its state says that it has
        // ended.
        siginfo_t ended{};
        ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT);
        EXPECT_NE(co_await in(pool, own_pid), pid);
    });
}

// A program that is started as a worker by something else than the library takes no orders.

/// The exit status of this program, started with the mark of a worker and `channel` as descriptor
/// 3.
int status_as_false_worker(const char* mark, int channel) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(channel, 3);
        ::setenv("ASYNCIO_PROCESS_WORKER", mark, 1);
        ::execl("/proc/self/exe", "test", "--gtest_list_tests", nullptr);
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(process_pool, a_worker_takes_orders_from_its_parent_alone) {
    // A socket made by a process that is not the parent of the program that gets it.
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    int between[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, between), 0);
    const std::string own = std::to_string(::getpid());
    EXPECT_EQ(status_as_false_worker(own.c_str(), ends[0]), 1) << "no socket at all";
    const pid_t maker = ::fork();
    if (maker == 0) {
        // The grandchild's parent is this process, the socket is of the test's.
        const std::string mark = std::to_string(::getpid());
        ::_exit(status_as_false_worker(mark.c_str(), between[0]) == 1 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(maker, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0) << "a socket that the parent has not made";
    for (const int fd : {ends[0], ends[1], between[0], between[1]}) ::close(fd);
}

TEST(process_pool, EXE_08_a_crash_costs_its_own_job_and_no_other) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool({.max_workers = 2});
        std::vector<asyncio::Future<long>> sums;
        std::vector<asyncio::Future<>> crashes;
        for (int i = 0; i < 40; ++i) {
            if (i % 10 == 5) crashes.push_back(in(pool, crash_with, SIGKILL));
            sums.push_back(in(pool, sum_to, i));
        }
        for (const auto& crash : crashes) EXPECT_THROW(co_await crash, BrokenProcessPool);
        for (int i = 0; i < 40; ++i)
            EXPECT_EQ(co_await sums[static_cast<std::size_t>(i)], i * (i + 1) / 2);
    });
}

TEST(process_pool, a_process_that_was_killed_while_idle_costs_no_job) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        for (int round = 0; round < 5; ++round) {
            const int pid = co_await in(pool, own_pid);
            ::kill(pid, SIGKILL);
            // A zombie until the pool looks, so its state is asked for, not its existence.
            siginfo_t info{};
            while (info.si_pid == 0)
                ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
            EXPECT_NE(co_await in(pool, own_pid), pid);
        }
    });
}

// Cancelling and ending.

TEST(process_pool, EXE_02_EXE_03_cancellation_is_that_of_threads) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const Alarm alarm;
        auto busy = in(pool, nap_until_alarm, alarm.path());
        auto queued = in(pool, crash_with, SIGKILL);
        while (!busy.done() && pool.busy().empty()) co_await sleep(1ms);
        busy.cancel();
        queued.cancel();
        EXPECT_TRUE(co_await ends_cancelled(busy));
        EXPECT_TRUE(co_await ends_cancelled(queued));
        alarm.ring();
        EXPECT_EQ(co_await in(pool, sum_to, 2), 3);
    });
}

TEST(process_pool, its_processes_end_with_it) {
    std::vector<int> pids;
    run_test([&]() -> Coro<> {
        ProcessPoolExecutor pool({.max_workers = 2});
        co_await asyncio::gather(in(pool, nap, 20), in(pool, nap, 20));
        pids = pool.process_ids();
        pool.shutdown();
        EXPECT_TRUE(pool.process_ids().empty());
        EXPECT_THROW(in(pool, do_nothing), asyncio::RuntimeError);
    });
    EXPECT_FALSE(pids.empty());
    EXPECT_TRUE(std::none_of(pids.begin(), pids.end(), exists));
}

/// A program with a pool, whose process it tells by a file and keeps busy for a minute.
void program_with_a_busy_process(const std::string& path) {
    ProcessPoolExecutor inner(one_process);
    asyncio::run([](ProcessPoolExecutor& own, const std::string& file) -> Coro<> {
        std::ofstream(file) << co_await in(own, own_pid) << std::endl;
        co_await in(own, nap, 60'000);
    }(inner, path));
}

TEST(process_pool, a_busy_process_ends_with_its_program_even_if_that_is_killed) {
    run_test([]() -> Coro<> {
        ProcessPoolExecutor pool(one_process);
        const std::string path =
            ::testing::TempDir() + "asyncio_process_pool_" + std::to_string(::getpid());
        auto program = in(pool, program_with_a_busy_process, path);
        int worker = 0;
        while (!(std::ifstream(path) >> worker)) co_await sleep(2ms);
        EXPECT_TRUE(exists(worker));
        ::kill(pool.process_ids().at(0), SIGKILL);
        EXPECT_THROW(co_await program, BrokenProcessPool);
        EXPECT_TRUE(vanish({worker}));
        std::remove(path.c_str());
    });
}

TEST(process_pool, bytes_that_are_no_call_are_answered_with_an_error) {
    using asyncio::internal::answer_request;
    using asyncio::internal::read_answer;
    EXPECT_THROW(read_answer(answer_request("nonsense")), asyncio::SerializationError);
    EXPECT_THROW(read_answer(answer_request("")), asyncio::SerializationError);
    EXPECT_THROW(asyncio::internal::name_of(&table), std::invalid_argument);
}

TEST(serialize, a_byte_that_is_neither_true_nor_false_is_refused) {
    using asyncio::ByteReader;
    EXPECT_TRUE(ByteReader(std::string_view("\1", 1)).take<bool>());
    EXPECT_FALSE(ByteReader(std::string_view("\0", 1)).take<bool>());
    EXPECT_THROW(ByteReader("\2").take<bool>(), asyncio::SerializationError);
    EXPECT_THROW(ByteReader("\2").take<std::optional<int>>(), asyncio::SerializationError);
}

}  // namespace
