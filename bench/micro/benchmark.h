#pragma once
// What a micro benchmark is, and the clocks it reads.
//
// A benchmark is a function that performs an operation so many times and says what that took. It
// measures the part that counts and nothing around it: the loop is made, and the tasks that only
// set the scene are started, outside.
//
// The same functions serve two readers. A person wants nanoseconds, which a busy machine disturbs;
// `main.cpp` repeats a run and shows the spread. `tools/check_budget.py` counts instructions, which
// nothing disturbs; it runs a benchmark with two counts and takes the difference.

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace bench {

struct Cost {
    double nanoseconds = 0;
    /// Memory at its peak, above what the process had before; 0 where it is not measured.
    double bytes = 0;
};

struct Benchmark {
    std::string_view name;
    /// What is counted as one operation.
    std::string_view operation;
    /// How many a run performs: for some ten milliseconds where that is possible. That is long
    /// beside the reading of a clock, and short enough that on a busy machine some runs are not
    /// interrupted.
    std::uint64_t count;
    int repetitions;
    Cost (*run)(std::uint64_t count);
};

/// Time as it passes.
class WallClock {
public:
    double nanoseconds() const {
        return std::chrono::duration<double, std::nano>(Clock::now() - start_).count();
    }

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point start_ = Clock::now();
};

/// Time this process has used of a processor, its own and the kernel's on its behalf (`getrusage`).
class CpuClock {
public:
    CpuClock();
    double nanoseconds() const;

private:
    double start_;
};

/// Memory the process holds in RAM now.
double resident_bytes();
/// The most it has ever held.
double peak_resident_bytes();

/// Keeps the compiler from leaving out the work that led to `value`.
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
std::span<const Benchmark> bare_benchmarks();

}  // namespace bench
