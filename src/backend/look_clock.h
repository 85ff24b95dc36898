#pragma once
// How long ago a back-end was last looked at. The loop asks at every step of every task, so the
// answer may be coarse and must be cheap.
//
// If the processor has a counter of its own (x86), the clock reads that, which takes a few
// nanoseconds and no call. The counter is not compared with any other clock. Such counters run at
// one to four gigahertz, so an interval of 100,000 is between 25 and 100 µs, and "some 50 µs" is
// all that is promised. A thread that moves to another processor may read a slightly different
// counter; a look then comes a little early or late. On other processors the system's clock is
// asked.
//
// Thread-safety: none.

#include <asyncio/internal/base/time.h>

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace asyncio::lowlevel {

class LookClock {
public:
    void looked() noexcept { last_ = now(); }
    bool due() const noexcept { return now() - last_ >= interval; }

private:
#if defined(__x86_64__)
    static constexpr std::uint64_t interval = 100'000;
    static std::uint64_t now() noexcept { return __rdtsc(); }
#else
    static constexpr std::uint64_t interval = 50'000;
    static std::uint64_t now() noexcept {
        return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
    }
#endif

    std::uint64_t last_ = 0;
};

}  // namespace asyncio::lowlevel
