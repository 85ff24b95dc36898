#pragma once
// The interface of a micro benchmark, and the clocks that it reads.
//
// A benchmark is a function that performs an operation a given number of times and returns the
// cost. It measures only the operations: the loop is made before, and so are tasks that are needed
// only as surroundings.
//
// The same functions serve two purposes. `main.cpp` measures nanoseconds, which a busy machine
// disturbs, so it repeats a run and shows the spread. `tools/check_budget.py` counts instructions,
// which do not depend on the load. It runs a benchmark with two counts and takes the difference.

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace bench {

struct Cost {
    double nanoseconds = 0;
    /// The peak of the memory, minus the memory that the process had before; 0 if it was not
    /// measured.
    double bytes = 0;
};

struct Benchmark {
    std::string_view name;
    /// The description of one operation.
    std::string_view operation;
    /// The operations of a run: enough for some ten milliseconds where that is possible. This is
    /// long compared with reading a clock, and so short that even on a busy machine some runs are
    /// not interrupted.
    std::uint64_t count;
    int repetitions;
    Cost (*run)(std::uint64_t count);
};

/// Elapsed time.
class WallClock {
public:
    double nanoseconds() const {
        return std::chrono::duration<double, std::nano>(Clock::now() - start_).count();
    }

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point start_ = Clock::now();
};

/// The processor time of this process, in its own code and in the kernel (`getrusage`).
class CpuClock {
public:
    CpuClock();
    double nanoseconds() const;

private:
    double start_;
};

/// The memory that the process holds in RAM now.
double resident_bytes();
/// The largest value of `resident_bytes` so far.
double peak_resident_bytes();

/// Prevents the compiler from removing the work that computed `value`.
template <class Value>
void keep(const Value& value) {
    asm volatile("" : : "r,m"(value) : "memory");
}

std::span<const Benchmark> await_benchmarks();
std::span<const Benchmark> spawn_benchmarks();
std::span<const Benchmark> time_benchmarks();
std::span<const Benchmark> cancel_benchmarks();
std::span<const Benchmark> sync_benchmarks();
std::span<const Benchmark> thread_benchmarks();
std::span<const Benchmark> pipe_benchmarks();
std::span<const Benchmark> datagram_benchmarks();
std::span<const Benchmark> bare_benchmarks();

}  // namespace bench
