// `late_reader`: how late a reader is beside tasks that compute in slices of 5 ms.
//
//   late_reader [TASKS [SECONDS]]
//
// TASKS tasks (default 1) compute for 5 ms and yield to the loop, again and again. A thread writes
// a time stamp into a pipe every 17 ms, and a task reads it. The program prints the number of
// stamps, and the median and the worst delay in milliseconds. `late_reader.py` is the same program
// for CPython, and runs both.

#include <asyncio.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace {

using asyncio::Clock;
using asyncio::Coro;
using asyncio::Task;
using asyncio::TimePoint;
using namespace std::chrono_literals;

Coro<> compute() {
    for (;;) {
        const TimePoint end = Clock::now() + 5ms;
        while (Clock::now() < end) {
        }
        co_await asyncio::sleep(0s);
    }
}

Coro<> note_delays(int descriptor, std::vector<double>& delays) {
    const asyncio::StreamReader in = asyncio::connect_read_pipe(asyncio::lowlevel::Fd(descriptor));
    for (;;) {
        const std::string stamp = co_await in.readexactly(sizeof(TimePoint));
        TimePoint written;
        std::memcpy(&written, stamp.data(), sizeof written);
        delays.push_back(std::chrono::duration<double, std::milli>(Clock::now() - written).count());
    }
}

Coro<std::vector<double>> measure(int tasks, std::chrono::seconds how_long) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    const std::jthread writer([descriptor = ends[1]](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const TimePoint now = Clock::now();
            if (::write(descriptor, &now, sizeof now) != sizeof now) std::abort();
            std::this_thread::sleep_for(17ms);
        }
    });
    std::vector<double> delays;
    std::vector<Task<>> running;
    for (int i = 0; i < tasks; ++i) running.push_back(asyncio::create_task(compute()));
    running.push_back(asyncio::create_task(note_delays(ends[0], delays)));
    co_await asyncio::sleep(how_long);
    for (const Task<>& task : running) task.cancel();
    co_return delays;
}

}  // namespace

int main(int count, char** arguments) {
    const int tasks = count > 1 ? std::atoi(arguments[1]) : 1;
    const int seconds = count > 2 ? std::atoi(arguments[2]) : 5;
    std::vector<double> delays = asyncio::run(measure(tasks, std::chrono::seconds(seconds)));
    if (delays.empty()) return EXIT_FAILURE;
    std::ranges::sort(delays);
    std::printf("%zu %.3f %.3f\n", delays.size(), delays[delays.size() / 2], delays.back());
}
